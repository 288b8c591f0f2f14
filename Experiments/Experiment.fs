namespace Research.Experiments

open Research.Host
open Research.Report

/// A row of the contents table that is computed.
type Experiment = {
    /// Row id, e.g. `ift1`.
    Row: string
    Runs: Plan -> RunRequest list
    /// From the finished runs to figures, tables, values, claims and guards.
    Report: Results -> Section
    /// So many images from the trained generator, for `research sample`; None where a row has none.
    Sample: (Results -> int -> Noise -> Png.Image[]) option
}

module Experiment =
    /// A row without a generator to sample from.
    let row id runs report = { Row = id; Runs = runs; Report = report; Sample = None }

    /// A row with one.
    let sampled id runs report sample = { row id runs report with Sample = Some sample }
