/// The runs behind the report as its page shows them: configuration, figures, curves, and the mathematics they used.
module Research.Experiments.RunTable

open System
open Research.Host
open Research.Report

let private field (record: RunRecord) (name: string) =
    if record.Fields.ContainsKey name then
        record.Fields[name]
    else
        ""

/// The record's fields whose names begin so, without the beginning.
let private fields (record: RunRecord) (prefix: string) = [
    for KeyValue(name, value) in record.Fields do
        if name.StartsWith(prefix, StringComparison.Ordinal) then
            name.Substring prefix.Length, value
]

let private curves (directory: RunDirectory) : Curve list =
    directory.ReadMetrics()
    |> Seq.groupBy (fun row -> $"{row.Split} {row.Name}")
    |> Seq.map (fun (name, rows) -> {
        Name = name
        Points = [| for row in rows -> float row.Step, row.Value |]
    })
    |> Seq.toList

/// `DiagNormal.logProb` for `Core.DiagNormal.logProb`; None outside of Core.fs.
let private inCore (name: string) =
    let prefix = "Core."

    if name.StartsWith(prefix, StringComparison.Ordinal) then
        Some(name.Substring prefix.Length)
    else
        None

/// A finished run, with the rows of the report that read it. A field that its record lacks stays empty.
let run (rows: string list) (directory: RunDirectory) : Run =
    let record = directory.Record

    {
        Id = $"{record.Name}-{record.Key}"
        Name = record.Name
        Rows = rows
        Seed = field record "seed"
        Configuration = fields record "configuration."
        From = fields record "dependency " |> List.map fst
        Data = field record "data"
        Engine = field record "engine"
        Seconds = record.Seconds
        Started = record.Started
        Revision = record.Revision
        Values = [ for KeyValue(name, value) in directory.ReadValues() -> name, value ]
        Curves = curves directory
        Functions = record.Functions.Keys |> Seq.choose inCore |> Set.ofSeq
    }

/// What only some runs compute with: a function of Core.fs, the fields of a configuration that decide, and the values of any
/// of them that need it. The walk through a run's code reaches what every value of the field would need.
let private decided: (string * string list * (string -> bool)) list =
    let names (words: string list) (value: string) = words |> List.exists value.Contains
    let mixtures = [ "MixturePrior"; "VampPrior"; "TopographicPrior" ]

    [
        "Prior.mixtureOfGaussians", [ "prior" ], names [ "MixturePrior" ]
        "Prior.vamp", [ "prior" ], names [ "VampPrior" ]
        "Prior.topographic", [ "prior" ], names [ "TopographicPrior" ]
        "Mixture.logProb", [ "prior" ], names mixtures
        "Prior.flow", [ "prior" ], names [ "FlowPrior"; "SplinePrior" ]
        "coupling", [ "prior" ], names [ "FlowPrior" ]
        "planar", [ "posterior" ], names [ "PlanarPosterior" ]
        "planarInvertibleU", [ "posterior" ], names [ "PlanarPosterior" ]
        "inverseAutoregressive", [ "posterior" ], names [ "IafPosterior" ]
        "householder", [ "posterior" ], names [ "SylvesterPosterior" ]
        "sylvester", [ "posterior" ], names [ "SylvesterPosterior" ]
        "rationalQuadratic", [ "prior"; "posterior" ], names [ "SplinePrior"; "SplinePosterior" ]
        "conditionalCoupling", [ "prior"; "posterior" ], names [ "SplinePrior"; "SplinePosterior" ]
        "madeMask", [ "posterior" ], names [ "IafPosterior" ]
        "Bernoulli.logProb", [ "model" ], names [ "BernoulliLogits" ]
        "Categorical.logProb", [ "model" ], names [ "GreyLevels" ]
        "spectralNorm", [ "networks" ], names [ "spectral True" ]
        "r1Penalty", [ "r1" ], (<>) "0"
    ]

/// The functions that `decided` speaks of.
let decidedFunctions: string list = decided |> List.map (fun (name, _, _) -> name)

/// The runs without the functions that their configuration, or that of the runs which they read, says they do not need.
let narrowed (runs: Run list) : Run list =
    let byName = runs |> List.map (fun run -> run.Name, run) |> Map.ofList

    /// A field of a run and of all that it reads.
    let rec values (field: string) (run: Run) : string list = [
        for name, value in run.Configuration do
            if name = field then
                value
        for source in run.From do
            yield! byName.TryFind source |> Option.map (values field) |> Option.defaultValue []
    ]

    [
        for run in runs ->
            let unneeded =
                decided
                |> List.filter (fun (_, fields, needs) ->
                    let found = fields |> List.collect (fun field -> values field run)
                    not found.IsEmpty && not (List.exists needs found))
                |> List.map (fun (name, _, _) -> name)

            { run with Functions = run.Functions - Set.ofList unneeded }
    ]
