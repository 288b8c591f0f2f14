/// The page of the report in a headless Chromium: everything is drawn, nothing comes from the network, and each planted
/// fault is found.
module Research.Tests.PageTests

open System
open System.Collections.Generic
open System.IO
open System.Text.Json
open Expecto
open Research.Experiments
open Research.Host
open Research.Report
open Research.Tests.Browser

let private origin = {
    Profile = "paper"
    Data = "MNIST"
    StandIn = false
    Device = "CPU"
    Seeds = 3
    Shortened = None
}

let private curve = [| 1.0, 3.0; 10.0, 2.0; 100.0, 1.0 |]

let private map: DensityMap = {
    Values = Array2D.init 8 8 (fun r c -> exp (-float((r - 4) * (r - 4) + (c - 4) * (c - 4)) / 8.0))
    X = -5.0, 5.0
    Y = -5.0, 5.0
}

let private digit: Png.Image = {
    Width = 8
    Height = 8
    Channels = 1
    Pixels = Array.init 64 (fun i -> byte (4 * i))
}

/// A figure of every kind.
let private figures = [
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

let private table: Table = {
    Id = "ift1.table"
    Caption = "Bounds, $\\sqrt{2}$"
    Columns = [ Table.left ""; Table.right "Ours" ]
    Rows = [
        [ Text "$\\E_q\\log p$"; MeanSe(101.2, 0.3, 2) ]
        [ Text "KL"; Missing "not measured" ]
    ]
    Note = ""
}

let private report: Report = {
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
    Questions = [ "ift1", "VAE on binarized MNIST" ]
    NotRun = [ "hw5.2", "its runs are not complete" ]
    Laws = []
}

/// The table of one run that was begun in the folder.
let private runs (folder: string) =
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
let private withPage act =
    inFolder (fun folder ->
        Html.write folder report [ runs folder ]
        let path = Path.Combine(folder, "index.html")
        act path (File.ReadAllText path))

let private ids = figures |> List.map (fun f -> f.Id)

let private replacing (before: string) (after: string) (html: string) = html.Replace(before, after)

/// Wrong pages: what was planted, how, and a part of what must be said about it.
let private mutants = [
    "a script that fails",
    replacing "</body>" "<script>undefinedFunction()</script></body>",
    "undefinedFunction"
    "an error on the console",
    replacing "</body>" "<script>console.error('planted')</script></body>",
    "planted"
    "a chart that no script draws",
    replacing "Plotly.newPlot('ift1-curve-0'" "void ('ift1-curve-0'",
    "figure 'ift1.curve': a chart is not drawn"
    "a curve without numbers",
    replacing "\"y\":[3.0,2.0,1.0]" "\"y\":[null,null,null]",
    "figure 'ift1.curve': series 2 of a chart shows nothing"
    "a chart without data", replacing "\"z\":[[" "\"w\":[[", "figure 'ift1.density': a chart has no series"
    "no series at all",
    replacing "Plotly.newPlot('ift1-histogram-0', data" "Plotly.newPlot('ift1-histogram-0', []",
    "figure 'ift1.histogram': a chart has no series"
    "two charts in one place", replacing "'ift1-points-1'" "'ift1-points-0'", "figure 'ift1.points'"
    "an image that is not there",
    replacing "src=\"data:image/png;base64," "src=\"samples.png?",
    "figure 'ift1.samples': an image is not drawn"
    "an image that is damaged",
    replacing "png;base64,iVBOR" "png;base64,AAAAA",
    "figure 'ift1.samples': an image is not drawn"
    "a figure that is left out",
    replacing "id=\"ift1.density\"" "id=\"ift1.other\"",
    "lacks the figure 'ift1.density'"
    "a caption that is left out",
    replacing "Histogram. Data: MNIST. Profile paper, 3 seeds, CPU." "",
    "figure 'ift1.histogram': it has no caption"
    "a style sheet from the network",
    replacing "</head>" "<link rel=stylesheet href=\"https://example.org/serif.css\"></head>",
    "the page asks for https://example.org/serif.css"
    "a label that is too long",
    replacing "\"title\":\"nats\"" ("\"title\":\"" + String('n', 90) + "\""),
    "leaves the chart"
    "labels over each other",
    replacing "\"title\":\"share\"" "\"tickvals\":[0.5,0.501],\"ticktext\":[\"a half\",\"more\"]",
    "overlap"
    "LaTeX in a caption", replacing "Clouds and errors" "Clouds of \\norm{z}", "shows LaTeX: \\norm"
    "runs without a configuration", replacing ">Configuration<" "><", "no column 'Configuration'"
]

[<Tests>]
let tests =
    testList "page" [
        testCase "report/browser" (fun () ->
            withPage (fun path _ ->
                use browser = new Browser()
                let shown, faults = Page.look browser ids path
                Expect.equal faults [] "The page is as it should be"
                Expect.equal (shown.charts, shown.images) (6, 1) "Every panel was looked at"

                let runs = shown.tables |> Array.find (fun t -> t.id = "runs")
                Expect.equal runs.rows 1 "The run has its row"))

        testCase "report/browser-mutants" (fun () ->
            withPage (fun path html ->
                use browser = new Browser()

                for name, mutate, said in mutants do
                    let wrong = mutate html
                    Expect.notEqual wrong html $"The mutant '{name}' changes the page"
                    File.WriteAllText(path, wrong)
                    let _, faults = Page.look browser ids path
                    let found = faults |> List.exists (fun fault -> fault.Contains said)
                    let all = String.Join("; ", faults)
                    Expect.isTrue found $"'{name}' must be reported as '{said}'; reported was: {all}"))
    ]
