namespace Research.Report

open System
open System.IO
open System.Text
open System.Text.Json

/// What became of a number that a source prints: the first three. Of one that theory expects where the source prints
/// none: the others.
type Verdict =
    | Reproduced
    | Differs
    | NotComparable
    | AsExpected
    | NotAsExpected
    | Unjudged

/// When a measured mean counts as the source's value. Stated before the run.
type Rule =
    | AtMost of limit: float
    /// At most so far from the reference.
    | Within of tolerance: float * reference: float
    /// In [low, high].
    | Between of low: float * high: float
    /// Shown beside the source's value and not judged, for this reason.
    | NotJudged of reason: string

module Rule =
    /// A minus sign, not a hyphen.
    let private number (x: float) = (Markup.coordinate x).Replace('-', '\u2212')

    let text (rule: Rule) =
        match rule with
        | AtMost limit -> $"mean at most {number limit}"
        | Within(tolerance, reference) -> $"mean within {number tolerance} of {number reference}"
        | Between(low, high) -> $"mean between {number low} and {number high}"
        | NotJudged reason -> reason

    let holds (rule: Rule) (mean: float) =
        match rule with
        | AtMost limit -> mean <= limit
        | Within(tolerance, reference) -> abs (mean - reference) <= tolerance
        | Between(low, high) -> low <= mean && mean <= high
        | NotJudged _ -> false

/// What ours stands beside.
type Yardstick =
    /// A number of the source.
    | Printed of float
    /// A number of theory; the source prints none.
    | Theory of float
    /// The rule alone says what is expected.
    | NoNumber

module Yardstick =
    let value yardstick =
        match yardstick with
        | Printed number
        | Theory number -> Some number
        | NoNumber -> None

/// A figure of a source beside ours.
type Claim = {
    /// Row id, then what: `ift1.elbo`.
    Id: string
    /// E.g. `IFT P1.1`.
    Source: string
    What: string
    Reference: Yardstick
    Rule: Rule
    /// One a seed.
    Values: float list
    /// What a reader must know beside the numbers; empty for nothing.
    Note: string
}

/// A claim, held against its rule.
type Judgement = {
    Claim: Claim
    Mean: float
    /// Standard error over seeds; NaN with fewer than two.
    Se: float
    Verdict: Verdict
    Origin: Origin
    /// Why it is not comparable, then the claim's note.
    Note: string
}

module Claim =
    /// What a source says, before there are values to judge.
    let that source id what : Claim = {
        Id = id
        Source = source
        What = what
        Reference = NoNumber
        Rule = NotJudged ""
        Values = []
        Note = ""
    }

    /// The source's own number.
    let beside (reference: float) (claim: Claim) = { claim with Reference = Printed reference }

    /// What theory says where the source prints no number.
    let expecting (reference: float) (claim: Claim) = { claim with Reference = Theory reference }

    let judgedBy (rule: Rule) (values: float list) (claim: Claim) = {
        claim with
            Rule = rule
            Values = values
    }

    let noting note (claim: Claim) : Claim = { claim with Note = note }

    /// Applies the rule. Only a number that a source prints can be reproduced. Results on the stand-in, in profile smoke
    /// or from a shortened protocol are not comparable whatever they are.
    let judge (origin: Origin) (claim: Claim) : Judgement =
        let mean, se = Seeds.meanSe claim.Values
        let reason = Origin.notComparable origin

        {
            Claim = claim
            Mean = mean
            Se = se
            Verdict =
                let holds =
                    match reason, claim.Rule with
                    | Some _, _
                    | _, NotJudged _ -> None
                    | None, rule -> Some(Double.IsFinite mean && Rule.holds rule mean)

                match claim.Reference, holds with
                | Printed _, Some true -> Reproduced
                | Printed _, Some false -> Differs
                | Printed _, None -> NotComparable
                | _, Some true -> AsExpected
                | _, Some false -> NotAsExpected
                | _, None -> Unjudged
            Origin = origin
            Note =
                [ reason |> Option.defaultValue ""; claim.Note ]
                |> List.filter (fun s -> s <> "")
                |> String.concat "; "
        }

    let verdictText verdict =
        match verdict with
        | Reproduced -> "reproduced"
        | Differs -> "differs"
        | NotComparable -> "not comparable"
        | AsExpected -> "as expected"
        | NotAsExpected -> "not as expected"
        | Unjudged -> "not judged"

    /// How many claims have each verdict, in the order of the verdicts.
    let counts (judgements: Judgement list) : (Verdict * int) list = [
        for verdict in [ Reproduced; Differs; NotComparable; AsExpected; NotAsExpected; Unjudged ] do
            verdict, judgements |> List.filter (fun judged -> judged.Verdict = verdict) |> List.length
    ]

    /// The same in a line, e.g. `10 reproduced, 0 different, 19 not comparable`; what theory expects, where there is any.
    let summary (judgements: Judgement list) : string =
        let count = counts judgements |> Map.ofList

        let expected =
            match count[AsExpected], count[NotAsExpected] with
            | 0, 0 -> ""
            | met, missed -> $"; {met} of {met + missed} expectations of theory met"

        $"{count[Reproduced]} reproduced, {count[Differs]} different, {count[NotComparable]} not comparable{expected}"

    /// The array of claims.json. Numbers that JSON cannot hold are null.
    let json (judgements: Judgement list) =
        use buffer = new MemoryStream()

        do
            let options = JsonWriterOptions(Indented = true, NewLine = "\n")
            use writer = new Utf8JsonWriter(buffer, options)

            let number (name: string) (value: float) =
                if Double.IsFinite value then
                    writer.WriteNumber(name, value)
                else
                    writer.WriteNull name

            writer.WriteStartArray()

            for judged in judgements do
                let claim = judged.Claim
                writer.WriteStartObject()
                writer.WriteString("id", claim.Id)
                writer.WriteString("source", claim.Source)
                writer.WriteString("what", Markup.plain claim.What)
                number "reference" (Yardstick.value claim.Reference |> Option.defaultValue nan)
                number "mean" judged.Mean
                number "se" judged.Se
                writer.WriteNumber("seeds", claim.Values.Length)
                writer.WriteString("rule", Rule.text claim.Rule)
                writer.WriteString("verdict", verdictText judged.Verdict)
                writer.WriteString("profile", judged.Origin.Profile)
                writer.WriteString("data", judged.Origin.Data)
                writer.WriteString("device", judged.Origin.Device)
                writer.WriteString("note", Markup.plain judged.Note)
                writer.WriteEndObject()

            writer.WriteEndArray()

        Encoding.UTF8.GetString(buffer.ToArray()) + "\n"

    /// Decimals that the reference is stated with, at least 2.
    let decimalsOf (reference: Yardstick) =
        match Yardstick.value reference with
        | Some r ->
            let text = Markup.coordinate r
            let i = text.IndexOf '.'
            if i < 0 then 2 else max 2 (text.Length - i - 1)
        | None -> 2

    /// a, b, ... z, aa, ab, ...
    let rec private letter i = (if i < 26 then "" else letter (i / 26 - 1)) + string (char (int 'a' + i % 26))

    let private isExpectation judged =
        match judged.Claim.Reference with
        | Printed _ -> false
        | Theory _
        | NoNumber -> true

    /// The replication table, what the sources print before what theory expects: what was compared, by which rule, with which outcome.
    let table (judgements: Judgement list) =
        let judgements = judgements |> List.sortBy isExpectation

        let notes =
            judgements
            |> List.map (fun j -> j.Note)
            |> List.filter (fun n -> n <> "")
            |> List.distinct

        let verdict judged =
            match List.tryFindIndex ((=) judged.Note) notes with
            | Some i -> $"{verdictText judged.Verdict} ({letter i})"
            | None -> verdictText judged.Verdict

        let row judged =
            let claim = judged.Claim
            let decimals = decimalsOf claim.Reference

            [
                Text claim.Source
                Text claim.What
                (match claim.Reference with
                 | Printed r -> Source(r, decimals)
                 | Theory r -> Text $"${Markup.fixedPoint decimals r}$"
                 | NoNumber -> Missing "the source prints no number")
                MeanSe(judged.Mean, judged.Se, decimals)
                Text(Rule.text claim.Rule)
                Text(verdict judged)
            ]

        {
            Id = "replication"
            Caption =
                "Values of the sources beside ours, then numbers that theory foretells and no source prints. Every rule was fixed before the runs; the notes say where what is judged by it was chosen after looking."
            Columns = [
                Table.wrapped 0.08 "Source"
                Table.wrapped 0.25 "What"
                Table.right "Reference"
                Table.right "Ours"
                Table.wrapped 0.15 "Rule"
                Table.wrapped 0.14 "Verdict"
            ]
            Rows = judgements |> List.map row
            Note =
                notes
                |> List.mapi (fun i note -> $"({letter i})\u00A0{Markup.sentence note}")
                |> String.concat " "
        }
