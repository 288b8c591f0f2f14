namespace Research.Report

open System
open System.IO
open System.Text
open System.Text.Json

type Verdict =
    | Reproduced
    | Differs
    | NotComparable

/// When a measured mean counts as the source's value. Stated before the run:
/// the text is printed, the function decides, both live in the experiment.
type Rule = {
    Text: string
    /// Mean and standard error (NaN with one seed) to verdict.
    Holds: float -> float -> bool
}

module Rule =
    /// A minus sign, not a hyphen.
    let private number (x: float) = (Markup.coordinate x).Replace('-', '\u2212')

    /// The mean is at most `limit`.
    let atMost (limit: float) = { Text = $"mean at most {number limit}"; Holds = fun mean _ -> mean <= limit }

    /// The mean is at most `tolerance` away from `reference`.
    let within (tolerance: float) (reference: float) = {
        Text = $"mean within {number tolerance} of {number reference}"
        Holds = fun mean _ -> abs (mean - reference) <= tolerance
    }

    /// The mean lies in [low, high].
    let between (low: float) (high: float) = {
        Text = $"mean between {number low} and {number high}"
        Holds = fun mean _ -> low <= mean && mean <= high
    }

/// A figure of a source beside ours.
type Claim = {
    /// Row id, then what: `ift1.elbo`.
    Id: string
    /// E.g. `IFT P1.1`.
    Source: string
    What: string
    Reference: float option
    Mean: float
    /// Standard error over seeds; NaN with fewer than two.
    Se: float
    Seeds: int
    Rule: string
    Verdict: Verdict
    Profile: string
    Data: string
    Device: string
    Note: string
}

module Claim =
    /// Mean and standard error (Bessel's correction) of one value per seed;
    /// the error is NaN with fewer than two.
    let meanSe (values: float seq) =
        let values = Seq.toArray values
        let n = float values.Length

        if values.Length = 0 then
            nan, nan
        else
            let mean = Array.average values

            if values.Length < 2 then
                mean, nan
            else
                let squares = values |> Array.sumBy (fun v -> (v - mean) * (v - mean))
                mean, sqrt (squares / (n - 1.0) / n)

    /// Applies the rule to one value per seed. Results on the stand-in, in
    /// profile smoke or from a shortened protocol are not comparable whatever they are.
    let judge
        (origin: Origin)
        id
        source
        what
        (reference: float option)
        (rule: Rule)
        (values: float seq)
        note
        =
        let values = Seq.toArray values
        let mean, se = meanSe values
        let reason = Origin.notComparable origin

        {
            Id = id
            Source = source
            What = what
            Reference = reference
            Mean = mean
            Se = se
            Seeds = values.Length
            Rule = rule.Text
            Verdict =
                match reason with
                | Some _ -> NotComparable
                | None ->
                    if Double.IsFinite mean && rule.Holds mean se then
                        Reproduced
                    else
                        Differs
            Profile = origin.Profile
            Data = origin.Data
            Device = origin.Device
            Note =
                [ reason |> Option.defaultValue ""; note ]
                |> List.filter (fun s -> s <> "")
                |> String.concat "; "
        }

    let verdictText verdict =
        match verdict with
        | Reproduced -> "reproduced"
        | Differs -> "differs"
        | NotComparable -> "not comparable"

    /// The array of claims.json. Numbers that JSON cannot hold are null.
    let json (claims: Claim list) =
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

            for claim in claims do
                writer.WriteStartObject()
                writer.WriteString("id", claim.Id)
                writer.WriteString("source", claim.Source)
                writer.WriteString("what", Markup.plain claim.What)
                number "reference" (claim.Reference |> Option.defaultValue nan)
                number "mean" claim.Mean
                number "se" claim.Se
                writer.WriteNumber("seeds", claim.Seeds)
                writer.WriteString("rule", claim.Rule)
                writer.WriteString("verdict", verdictText claim.Verdict)
                writer.WriteString("profile", claim.Profile)
                writer.WriteString("data", claim.Data)
                writer.WriteString("device", claim.Device)
                writer.WriteString("note", Markup.plain claim.Note)
                writer.WriteEndObject()

            writer.WriteEndArray()

        Encoding.UTF8.GetString(buffer.ToArray()) + "\n"

    /// Decimals that the reference is stated with, at least 2.
    let decimalsOf (reference: float option) =
        match reference with
        | Some r ->
            let text = Markup.coordinate r
            let i = text.IndexOf '.'
            if i < 0 then 2 else max 2 (text.Length - i - 1)
        | None -> 2

    /// a, b, ... z, aa, ab, ...
    let rec private letter i = (if i < 26 then "" else letter (i / 26 - 1)) + string (char (int 'a' + i % 26))

    /// The replication table: what was compared, by which rule, with which outcome.
    let table (claims: Claim list) =
        let notes =
            claims |> List.map (fun c -> c.Note) |> List.filter (fun n -> n <> "") |> List.distinct

        let verdict claim =
            match List.tryFindIndex ((=) claim.Note) notes with
            | Some i -> $"{verdictText claim.Verdict} ({letter i})"
            | None -> verdictText claim.Verdict

        let row claim =
            let decimals = decimalsOf claim.Reference

            [
                Text claim.Source
                Text claim.What
                (match claim.Reference with
                 | Some r -> Source(r, decimals)
                 | None -> Missing "the source states no number")
                MeanSe(claim.Mean, claim.Se, decimals)
                Text claim.Rule
                Text(verdict claim)
            ]

        {
            Id = "replication"
            Caption =
                "Values of the sources beside ours. Every rule was fixed before the runs; the notes say where what is judged by it was chosen after looking."
            Columns = [
                Table.wrapped 0.09 "Source"
                Table.wrapped 0.215 "What"
                Table.right "Reference"
                Table.right "Ours"
                Table.wrapped 0.16 "Rule"
                Table.wrapped 0.155 "Verdict"
            ]
            Rows = claims |> List.map row
            Note =
                notes
                |> List.mapi (fun i note -> $"({letter i})\u00A0{Markup.sentence note}")
                |> String.concat " "
        }

/// A quantity that was measured once per seed, as the report shows it.
module Seeds =
    let mean (values: float seq) : float = fst (Claim.meanSe values)

    /// Mean and standard error.
    let cell decimals (values: float seq) : Cell =
        let mean, se = Claim.meanSe values
        MeanSe(mean, se, decimals)

    /// Mean and standard error under an id of the text.
    let value id decimals (values: float seq) : Value = { Id = id; Cell = cell decimals values }

    /// The means of the values at each x; their standard errors, where there are any, become a band.
    let line name (points: (float * float list) list) : Series =
        let summaries = [| for x, values in points -> x, Claim.meanSe values |]

        Line(
            name,
            [| for x, (mean, _) in summaries -> x, mean |],
            Some [| for _, (_, se) in summaries -> se |]
        )
