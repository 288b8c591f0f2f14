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

    let scientific id digits value = { Id = id; Cell = Scientific(value, digits) }

    /// Text with `$...$` for mathematics.
    let text id text = { Id = id; Cell = Text text }

    let latex value =
        let command = if value.Cell.IsText then "defwords" else "defval"
        $@"\{command}{{{value.Id}}}{{{Cell.latex value.Cell}}}"

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
    Holds: bool
    /// The numbers that decided, by name, one a seed where there are seeds.
    Found: (string * float list) list
}

module Guard =
    /// A check that is still to be made.
    let that id check : Guard = { Id = id; Check = check; Holds = false; Found = [] }

    let holds (condition: bool) (guard: Guard) = { guard with Holds = condition }
    let found numbers (guard: Guard) = { guard with Found = numbers }

    /// Holds when all of these numbers meet a condition.
    let all (condition: float -> bool) (numbers: (string * float list) list) (guard: Guard) =
        guard |> holds (numbers |> List.forall (snd >> List.forall condition)) |> found numbers

    /// The same for the values of one name.
    let every condition name values (guard: Guard) = guard |> all condition [ name, values ]

    /// Holds when every two neighbours of a list do.
    let ordered (compare: float -> float -> bool) name values (guard: Guard) =
        guard
        |> holds (List.pairwise values |> List.forall (fun (a, b) -> compare a b))
        |> found [ name, values ]

    /// Holds when the values of two names do, seed by seed.
    let pairs (condition: float -> float -> bool) (first, ours) (second, others) (guard: Guard) =
        guard
        |> holds (List.forall2 condition ours others)
        |> found [ first, ours; second, others ]

    /// What the guard says of results from here: nothing on the stand-in and in profile smoke, and nothing either from a
    /// shortened protocol when `fullOnly`.
    let outcome (origin: Origin) (fullOnly: bool) (guard: Guard) : Outcome =
        match Origin.notComparable origin with
        | Some reason when fullOnly || not (Origin.assessed origin) -> NotAssessed reason
        | _ -> if guard.Holds then Holds else Fails

    /// The numbers that decided, e.g. `first 166.1; last 101.2, 102.3`.
    let evidence (guard: Guard) : string =
        guard.Found
        |> List.map (fun (name, values) ->
            $"{name} " + (values |> List.map (sprintf "%.5g") |> String.concat ", "))
        |> String.concat "; "

    let latex (guard: Guard, outcome: Outcome) =
        let state =
            match outcome with
            | Holds -> "holds"
            | Fails -> "fails"
            | NotAssessed _ -> "unassessed"

        $@"\defguard{{{guard.Id}}}{{{state}}}"
