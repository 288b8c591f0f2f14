namespace Research.Report

open System
open System.Collections.Generic
open System.Text.RegularExpressions
open Newtonsoft.Json

/// What a training recorded under one name.
type Curve = { Name: string; Points: (float * float)[] }

/// A finished run as the page tells of it.
type Run = {
    /// Name and key; names the run's row in the page.
    Id: string
    /// E.g. `hw5.2.beta10.seed1`.
    Name: string
    /// The rows of the report that read it.
    Rows: string list
    Seed: string
    Configuration: (string * string) list
    /// Names of the runs whose results it reads.
    From: string list
    Data: string
    Engine: string
    Seconds: float
    Started: DateTimeOffset
    Revision: string
    /// Its final figures.
    Values: (string * float) list
    Curves: Curve list
    /// The functions of Core.fs that its work reaches, e.g. `DiagNormal.logProb`.
    Functions: Set<string>
}

module Run =
    /// Points of a curve that the page gets at most.
    let private maxPoints = 200

    let private thinned (points: (float * float)[]) =
        Thinning.indices maxPoints (Array.map snd points) |> Array.map (fun i -> points[i])

    /// Runs as JSON that may stand in a page: what the table's rows do not show, by id.
    let json (runs: Run list) =
        let describe (run: Run) = {|
            name = run.Name
            fields = [
                for name, value in run.Configuration do
                    [| name; value |]
                for name in run.From do
                    [| "reads"; name |]
                [| "seed"; run.Seed |]
                [| "data"; run.Data |]
                [| "engine"; run.Engine |]
                [| "revision"; run.Revision |]
                [| "seconds"; run.Seconds.ToString("F1", Globalization.CultureInfo.InvariantCulture) |]
            ]
            functions = Set.toArray run.Functions
            values = [ for name, value in run.Values -> [| name; Markup.coordinate value |] ]
            curves = [
                for curve in run.Curves do
                    let points = thinned curve.Points

                    {|
                        name = curve.Name
                        x = Array.map (fst >> Markup.significant) points
                        y = Array.map (snd >> Markup.significant) points
                    |}
            ]
        |}

        let described = runs |> List.map (fun run -> run.Id, describe run) |> dict

        JsonConvert.SerializeObject(
            described,
            JsonSerializerSettings(StringEscapeHandling = StringEscapeHandling.EscapeHtml)
        )

/// Which runs a printed number comes from: those that recorded it, or over whose seeds it is the mean.
type Provenance(runs: Run list) =
    let places = Dictionary<float, string list>()

    /// Small whole numbers are counts and limits, which any run may have.
    let tells (value: float) = Double.IsFinite value && not (value = Math.Round value && abs value < 1000.0)

    /// Sums in another order end a few bits apart.
    let rounded (value: float) =
        Double.Parse(
            value.ToString("E11", Globalization.CultureInfo.InvariantCulture),
            Globalization.CultureInfo.InvariantCulture
        )

    let add ids value =
        if tells value then
            let key = rounded (abs value)

            if not (places.ContainsKey key) then
                places[key] <- ids

    let withoutSeed (run: Run) = Regex.Replace(run.Name, @"\.seed\d+", "")

    /// The last, the lowest and the highest: what reports take from a curve.
    let extremes (curve: Curve) =
        let ys = curve.Points |> Array.map snd |> Array.filter Double.IsFinite

        if ys.Length = 0 then
            []
        else
            [ Array.last ys; Array.min ys; Array.max ys ]

    let figures (run: Run) = [
        yield! run.Values
        for curve in run.Curves do
            yield! extremes curve |> List.mapi (fun i value -> $"{curve.Name} {i}", value)
    ]

    do
        for run in runs do
            for _, value in figures run do
                add [ run.Id ] value

        for _, seeds in runs |> List.groupBy withoutSeed |> List.filter (fun (_, seeds) -> seeds.Length > 1) do
            let all = seeds |> List.map (figures >> Map.ofList)

            for name in all.Head.Keys do
                if all |> List.forall _.ContainsKey(name) then
                    add [ for run in seeds -> run.Id ] (all |> List.averageBy (fun figures -> figures[name]))

    /// The runs behind a number, up to its sign; none when no run has it.
    member _.Of(value: float) : string list =
        match tells value, places.TryGetValue(if tells value then rounded (abs value) else nan) with
        | true, (true, ids) -> ids
        | _ -> []
