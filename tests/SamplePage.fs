/// A report with a figure of every kind, for the tests that open its page.
module Research.Tests.SamplePage

open System
open System.Collections.Generic
open System.IO
open Research.Experiments
open Research.Host
open Research.Report

let origin = {
    Profile = "paper"
    Data = "MNIST"
    StandIn = false
    Device = "CPU"
    Seeds = 3
    Shortened = None
}

let curve = [| 1.0, 3.0; 10.0, 2.0; 100.0, 1.0 |]

let map: DensityMap = {
    Values = Array2D.init 8 8 (fun r c -> exp (-float((r - 4) * (r - 4) + (c - 4) * (c - 4)) / 8.0))
    X = -5.0, 5.0
    Y = -5.0, 5.0
}

let digit: Png.Image = {
    Width = 8
    Height = 8
    Channels = 1
    Pixels = Array.init 64 (fun i -> byte (4 * i))
}

/// A figure of every kind.
let figures = [
    Panel.axes "Bound" (Axis.log "$N$") (Axis.linear "nats") [
        Line("ours, $\\beta=10^{-3}$", curve, Some [| 0.2; 0.2; 0.2 |])
        Line("diverged", [| 1.0, nan; 10.0, infinity |], None)
        Reference("source", [| 1.0, 2.5; 100.0, 0.5 |])
        Level("required", 1.5)
    ]
    |> Figure.single "ift1.curve" "Curve with $\\abs{\\theta}$"
    Figure.grid "ift1.points" "Clouds and errors" 2 [
        Panel.axes "samples" (Axis.linear "$z_1$") (Axis.linear "$z_2$") [
            Scatter("prior", [| 0.0, 0.0; 1.0, -1.0 |])
            Scatter("posterior", [| 0.5, 0.5; -1.0, 1.0 |])
        ]
        Panel.axes "variance" (Axis.log "$N$") (Axis.log "variance") [
            ErrorBars("score", [| 1.0, 100.0; 1000.0, 0.1 |], [| 10.0; 0.01 |])
            Line("one point", [| 10.0, 10.0 |], None)
        ]
    ]
    Figure.grid "ift1.density" "Density and what was drawn from it" 2 [
        Panel.axes "density" (Axis.linear "") (Axis.linear "") [ Density map ]
        Panel.axes "path" (Axis.linear "") (Axis.linear "") [
            Density map
            Arrows("steps", [| (-1.0, -1.0), (2.0, 2.0) |])
        ]
        |> Panel.withLegend NoLegend
    ]
    Panel.axes "" (Axis.linear "nats") (Axis.linear "share") [
        Bars("train", [| 0.0; 1.0; 2.0 |], [| 0.4; 0.6 |])
        Bars("test", [| 0.0; 1.0; 2.0 |], [| 0.5; 0.5 |])
    ]
    |> Figure.single "ift1.histogram" "Histogram"
    Panel.images "digits" 2 [| digit; digit; digit; digit |]
    |> Panel.withCaptions [ "data"; "$\\beta=1$" ] [ "0"; "1" ]
    |> Figure.single "ift1.samples" "Samples"
]

let table: Table = {
    Id = "ift1.table"
    Caption = "Bounds, $\\sqrt{2}$"
    Columns = [ Table.left ""; Table.right "Ours" ]
    Rows = [
        [ Text "$\\E_q\\log p$"; MeanSe(101.2, 0.3, 2) ]
        [ Text "KL"; Missing "not measured" ]
    ]
    Note = ""
}

let report: Report = {
    Profile = "paper"
    Data = "MNIST"
    Device = "CPU"
    Revision = "r1"
    Sections = [
        {
            Row = "ift1"
            Origin = origin
            Figures = figures
            Tables = [ table ]
            Values = []
            Claims = [
                Claim.judge
                    origin
                    "ift1.elbo"
                    "IFT P1.1"
                    "bound"
                    (Some 100.94)
                    (Rule.atMost 102.0)
                    [ 101.2 ]
                    ""
            ]
            Guards = []
        }
    ]
    Questions = [
        { Row = "ift1"; Source = "IFT P1.1"; Text = "VAE on binarized MNIST" }
        { Row = "hw5.2"; Source = "HW Q5"; Text = "The weight of the divergence" }
    ]
    NotRun = [ "hw5.2", "its runs are not complete" ]
    Laws = []
}

/// The table of one run that was begun in the folder.
let runs (folder: string) =
    let key =
        RunKey(
            "ift1.seed1",
            [
                KeyValuePair("optimiser", "Adam { LearningRate = 0.0003 }")
                KeyValuePair("batch", "64")
            ],
            1L,
            "0123456789abcdef",
            "libtorch 1.13.0 cpu",
            1
        )

    RunTable.ofRecords [ (opened (RunStore folder) key).Record ]

/// Writes the page into a folder and hands over its path and text.
let withPage act =
    inFolder (fun folder ->
        Page.write folder report [ runs folder ]
        let path = Path.Combine(folder, "index.html")
        act path (File.ReadAllText path))

let ids = figures |> List.map (fun f -> f.Id)
