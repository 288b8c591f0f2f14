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
let run (rows: string list) (request: RunRequest) (directory: RunDirectory) : Run =
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
        Functions = request.Key.Functions.Keys |> Seq.choose inCore |> Set.ofSeq
    }
