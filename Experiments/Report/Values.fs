namespace Research.Report

/// A measured value that the text of the paper uses: `\val{ift1.elbo}`.
type Value = {
    /// Row id, then what: `ift1.elbo`.
    Id: string
    Cell: Cell
}

module Value =
    let number id decimals value = { Id = id; Cell = Number(value, decimals) }

    let integer id (value: int) = number id 0 (float value)

    let meanSe id decimals mean se = { Id = id; Cell = MeanSe(mean, se, decimals) }

    let scientific id digits value = { Id = id; Cell = Scientific(value, digits) }

    /// Text with `$...$` for mathematics.
    let text id text = { Id = id; Cell = Text text }

    let latex value = $@"\defval{{{value.Id}}}{{{Cell.latex value.Cell}}}"

/// What a check says about a sentence.
type Outcome =
    | Holds
    | Fails
    /// The results at hand prove nothing, e.g. a shortened run.
    | NotAssessed of reason: string

/// A check behind a sentence of the paper, `\guarded{ift1.monotone}{The bound rises ...}`.
/// When the results no longer support the sentence, rendering fails and names it.
type Guard = {
    /// Row id, then what: `ift1.monotone`.
    Id: string
    /// What must be true of the results, in words.
    Check: string
    Outcome: Outcome
    /// The numbers that decided, e.g. `epoch 1: 166.1, epoch 20: 101.2`.
    Evidence: string
}

module Guard =
    /// A check that is not asserted on the stand-in and in profile smoke.
    let check (origin: Origin) id check holds evidence = {
        Id = id
        Check = check
        Outcome =
            if not (Origin.assessed origin) then
                NotAssessed(Origin.notComparable origin |> Option.defaultValue "")
            elif holds then
                Holds
            else
                Fails
        Evidence = evidence
    }

    /// The same, and not asserted either when the protocol was shortened.
    let checkFull (origin: Origin) id description holds evidence =
        match Origin.notComparable origin with
        | Some reason -> {
            Id = id
            Check = description
            Outcome = NotAssessed reason
            Evidence = evidence
          }
        | None -> check origin id description holds evidence

    let latex guard =
        let state =
            match guard.Outcome with
            | Holds -> "holds"
            | Fails -> "fails"
            | NotAssessed _ -> "unassessed"

        $@"\defguard{{{guard.Id}}}{{{state}}}"
