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
        | AtMost limit -> $"at most {number limit}"
        | Within(tolerance, reference) -> $"within {number tolerance} of {number reference}"
        | Between(low, high) -> $"between {number low} and {number high}"
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
    /// A number of a work that the source follows and that is none of the five sources.
    | Cited of float
    /// A number of theory; the source prints none.
    | Theory of float
    /// The rule alone says what is expected.
    | NoNumber

module Yardstick =
    let value yardstick =
        match yardstick with
        | Printed number
        | Cited number
        | Theory number -> Some number
        | NoNumber -> None

    /// Whether somebody printed the number, so that it can be reproduced.
    let isPrinted yardstick =
        match yardstick with
        | Printed _
        | Cited _ -> true
        | Theory _
        | NoNumber -> false

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
    /// Why no run of ours can be held against the source's number; empty where one can.
    Incomparable: string
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
    /// Not to be judged, and outside of its rule as it stands.
    IsOutside: bool
    /// Whether a rule of numbers is there that these results may not decide.
    IsUndecided: bool
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
        Incomparable = ""
        Note = ""
    }

    /// The source's own number.
    let beside (reference: float) (claim: Claim) = { claim with Reference = Printed reference }

    /// The number of a work that the source follows.
    let besideCited (reference: float) (claim: Claim) = { claim with Reference = Cited reference }

    /// What theory says where the source prints no number.
    let expecting (reference: float) (claim: Claim) = { claim with Reference = Theory reference }

    let judgedBy (rule: Rule) (values: float list) (claim: Claim) = {
        claim with
            Rule = rule
            Values = values
    }

    let noting note (claim: Claim) : Claim = { claim with Note = note }

    /// Not to be held against the source, whatever the run: the source's own data are lost, say.
    let incomparable reason (claim: Claim) = { claim with Incomparable = reason }

    /// Applies the rule. Only a number that somebody printed can be reproduced. Results on a stand-in, in profile smoke
    /// or from a shortened protocol are not comparable whatever they are.
    let judge (origin: Origin) (claim: Claim) : Judgement =
        let mean, se = Seeds.meanSe claim.Values

        let reason =
            match claim.Incomparable with
            | "" -> Origin.notComparable origin
            | reason -> Some reason

        let meets = Double.IsFinite mean && Rule.holds claim.Rule mean

        let holds =
            match reason, claim.Rule with
            | Some _, _
            | _, NotJudged _ -> None
            | None, _ -> Some meets

        let isUndecided = holds.IsNone && not claim.Rule.IsNotJudged

        {
            Claim = claim
            Mean = mean
            Se = se
            Verdict =
                match Yardstick.isPrinted claim.Reference, holds with
                | true, Some true -> Reproduced
                | true, Some false -> Differs
                | true, None -> NotComparable
                | false, Some true -> AsExpected
                | false, Some false -> NotAsExpected
                | false, None -> Unjudged
            IsUndecided = isUndecided
            IsOutside = isUndecided && not meets
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

    /// The claims about numbers of the sources themselves, and those about numbers of works that they follow.
    let ofSources (judgements: Judgement list) = judgements |> List.filter _.Claim.Reference.IsPrinted
    let ofCited (judgements: Judgement list) = judgements |> List.filter _.Claim.Reference.IsCited

    /// How many claims have a verdict.
    let count verdict (judgements: Judgement list) : int =
        judgements |> List.filter (fun judged -> judged.Verdict = verdict) |> List.length

    /// How many claims have each verdict, in the order of the verdicts.
    let counts (judgements: Judgement list) : (Verdict * int) list = [
        for verdict in [ Reproduced; Differs; NotComparable; AsExpected; NotAsExpected; Unjudged ] do
            verdict, count verdict judgements
    ]

    /// The sources' numbers in a line, e.g. `4 reproduced, 0 different, 19 not comparable`; then those of other works and
    /// of theory, where there are any.
    let summary (judgements: Judgement list) : string =
        let sources, cited = ofSources judgements, ofCited judgements
        let met = count AsExpected judgements
        let expectations = met + count NotAsExpected judgements

        [
            $"{count Reproduced sources} reproduced, {count Differs sources} different, {count NotComparable sources} not comparable"
            if not cited.IsEmpty then
                $"{count Reproduced cited} of {cited.Length} values of other works reproduced"
            if expectations > 0 then
                $"{met} of {expectations} expectations of theory met"
        ]
        |> String.concat "; "

    /// The array of claims.json, each claim with the revision that made it. Numbers that JSON cannot hold are null.
    let json (revision: string) (judgements: Judgement list) =
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
                writer.WriteString("revision", revision)
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
