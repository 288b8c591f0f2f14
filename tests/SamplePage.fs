/// A report with a figure of every kind, for the tests that open its page.
module Research.Tests.SamplePage

open System
open System.IO
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
    Machine = "a processor"
    Work = "1 run"
    Revision = "r1"
    Sections = [
        {
            Section.empty "ift1" origin with
                Figures = figures
                Tables = [ table ]
                Values = [ Value.number "ift1.elbo" 2 101.2 ]
                Claims = [
                    Claim.that "IFT P1.1" "ift1.elbo" "bound"
                    |> Claim.beside 100.94
                    |> Claim.judgedBy (AtMost 102.0) [ 101.2 ]
                    Claim.that "IFT P1.1" "ift1.kl" "KL"
                    |> Claim.beside 25.0
                    |> Claim.judgedBy (AtMost 20.0) [ 25.75 ]
                ]
                Guards = [
                    Guard.that "ift1.falls" "the last bound is the best"
                    |> Guard.holds true
                    |> Guard.found [ "at the end", [ 101.2 ] ]
                ]
        }
    ]
    Questions = [
        { Row = "ift1"; Source = "IFT P1.1"; Text = "VAE on binarized MNIST" }
        { Row = "hw2.1"; Source = "HW Q2"; Text = "The planar log-determinant" }
        { Row = "hw5.2"; Source = "HW Q5"; Text = "The weight of the divergence" }
    ]
    NotRun = [ "hw5.2", "its runs are not complete" ]
    Laws = [
        {
            Id = "planar/jacobian"
            Statement = "The planar map's log-determinant is that of its Jacobian."
            Labels = [ "eq:planar-logdet" ]
            Function = "planar"
            Instances = 7
            LargestError = 3e-15
            Tolerance = 1e-10
            Reason = "rounding of float64"
            Mutants = [ "without the derivative of tanh"; "with a minus" ]
        }
    ]
}

/// A seed of one training.
let private run seed elbo seconds : Run = {
    Id = $"ift1.seed{seed}-{seed}abc"
    Name = $"ift1.seed{seed}"
    Rows = [ "ift1" ]
    Seed = string seed
    Configuration = [ "optimiser", "Adam { LearningRate = 0.0003 }"; "batch", string (64 * seed) ]
    From = []
    Data = "0123456789abcdef"
    Engine = "libtorch 2.10.0 cpu"
    Seconds = seconds
    Started = DateTimeOffset(2026, 1, 1, 12, seed, 0, TimeSpan.Zero)
    Revision = "0123456789abcdef"
    Values = [ "elbo", elbo ]
    Curves = [
        {
            Name = "validation nelbo"
            Points = [| 1.0, 150.0; 2.0, elbo + 1.0; 3.0, elbo |]
        }
    ]
    Functions = (if seed = 1 then Set.ofList [ "planar" ] else Set.empty)
}

/// 101.2 is the mean of the first two; 25.75 was recorded by none.
let runs = [
    run 1 101.0 20.5
    run 2 101.4 100.0
    { run 3 99.0 3.0 with Name = "hw5.3.other"; Rows = [ "hw2.1" ] }
]

let private paper: Paper.Source list =
    [
        "main.tex", @"\input{preamble} \input{findings} \input{flows} \input{results}"
        "preamble.tex", @"\newcommand{\abs}[1]{\left\lvert#1\right\rvert} \newcommand{\T}{\mathsf{T}}"
        "findings.tex",
        @"\section{Findings}\begin{enumerate}\item \emph{It works.} \guarded{ift1.falls}{The bound ends at \val{ift1.elbo}}[Nothing].\end{enumerate}"
        "flows.tex",
        @"\section{Planar flows}
\question{hw2.1}{The planar log-determinant}
\answer{It is $\log\abs{1+u^\T\psi}$.}
\begin{equation}\label{eq:planar-logdet}\log\abs{1+(1-\tanh^2\alpha)\,w^\T u}.\end{equation}"
        "results.tex",
        @"\experiment{ift1}{Binarized MNIST}
\begin{measured}{ift1}
\answer{The bound is \val{ift1.elbo} nats.}
See \cref{fig:ift1.curve} and \eqref{eq:planar-logdet}.
\reportfigure{ift1.curve}
\end{measured}"
    ]
    |> List.map (fun (name, text) -> { Name = name; Text = text })

let private core =
    "module Research.Core\n\n/// log|1 + (1 - h^2) w.u|. `u, w: [L]`. Paper: eq:planar-logdet.\nlet planar (u: Tensor) =\n    let slope = u\n    slope\n"

let content: Page.Content = {
    Report = report
    Runs = runs
    Paper = paper
    Bibliography = ""
    Core = core
    Places = Map.ofList [ "eq:planar-logdet", { Kind = "equation"; Number = "7"; Page = 3 } ]
    Pdf = "report.pdf"
}

/// Writes the page into a folder and hands over its path and text.
let withPage act =
    inFolder (fun folder ->
        Page.write folder content
        let path = Path.Combine(folder, "index.html")
        act path (File.ReadAllText path))

let ids = figures |> List.map (fun f -> f.Id)
