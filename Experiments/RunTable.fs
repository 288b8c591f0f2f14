/// The table of runs at the end of the page: what was computed, from which configuration, when and in how long.
module Research.Experiments.RunTable

open System
open Research.Host
open Research.Report

let private prefix = "configuration."

/// The digits of a digest or a revision that name it well enough.
let private short (digest: string) = digest[.. min 11 (digest.Length - 1)]

let private field (record: RunRecord) (name: string) =
    if record.Fields.ContainsKey name then
        record.Fields[name]
    else
        ""

/// The configuration's fields, and the runs whose results this one reads.
let private configuration (record: RunRecord) =
    let describe (KeyValue(name: string, value: string)) =
        if name.StartsWith(prefix, StringComparison.Ordinal) then
            Some $"{name.Substring prefix.Length}: {value}"
        elif name.StartsWith("dependency ", StringComparison.Ordinal) then
            Some $"from {name.Substring 11}"
        else
            None

    record.Fields |> Seq.choose describe |> String.concat "; "

/// One row a run, as stored in its `run.json`. A field that a record lacks stays empty.
let ofRecords (records: RunRecord list) : Table =
    let engines =
        records |> List.map (fun r -> field r "engine") |> List.distinct |> String.concat "; "

    {
        Id = "runs"
        Caption = "The runs behind this report."
        Columns = [
            Table.wrapped 0.25 "Run"
            Table.right "Seed"
            Table.wrapped 0.33 "Configuration"
            Table.left "Data"
            Table.right "Seconds"
            Table.left "Started (UTC)"
            Table.left "Revision"
        ]
        Rows = [
            for record in records do
                [
                    Text $"{record.Name}-{record.Key}"
                    Text(field record "seed")
                    Text(configuration record)
                    Text(short (field record "data"))
                    Number(record.Seconds, 1)
                    Text(record.Started.UtcDateTime.ToString "yyyy-MM-dd HH:mm")
                    Text(short record.Revision)
                ]
        ]
        Note = if engines = "" then "" else $"Engine: {engines}"
    }
