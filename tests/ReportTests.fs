/// The report: how text, figures and tables are rendered.
module Research.Tests.ReportTests

open System
open System.IO
open System.Text
open System.Text.Json
open System.Text.RegularExpressions
open Expecto
open Research.Report

let private text =
    testList "text" [
        testCase "report/escape" (fun () ->
            Expect.equal
                (Markup.latex @"50% of a_b & {c} #1 ~ ^ \ $x_1$")
                @"50\% of a\_b \& \{c\} \#1 \textasciitilde{} \textasciicircum{} \textbackslash{} $x_1$"
                "Everything outside mathematics is literal"

            Expect.equal (Markup.latex "costs 3$") @"costs 3\$" "A single dollar is a dollar")

        testCase "report/plain" (fun () ->
            Expect.equal (Markup.plain @"$\beta=10$, $-\E_q$") "β=10, −E_q" "Unicode"
            Expect.equal (Markup.plain @"$\le\left($") "≤(" "A control word is not eaten by a shorter one"
            Expect.equal (Markup.plain @"$4.0\cdot10^{-3}$, $z_1^2$") "4.0·10⁻³, z₁²" "Unicode's scripts"
            Expect.equal (Markup.plain @"$\E_q\log p$, $\log\det$") "E_q log p, log det" "Names stand apart"
            Expect.equal (Markup.plain @"$\sqrt{\theta^2+\psi_0^2}$") "√(θ²+ψ₀²)" "A root of a sum"

            Expect.equal
                (Markup.plain @"$\frac{L(L-1)}{2}\log2\pi$")
                "L(L−1)/2 log 2π"
                "A product needs no brackets"

            Expect.equal (Markup.plain @"$\frac{a-b}2$") "(a−b)/2" "A difference does"
            Expect.equal (Markup.plain @"$\norm{\hat u}$, $w^\T u$") "‖u\u0302‖, wᵀu" "Marks and bars"

            Expect.equal
                (Markup.plain @"$\unknown$ costs 3 %")
                @"\unknown costs 3 %"
                "What is not known is seen")

        testCase "report/markup" (fun () ->
            let text = @"a < b & $z_1^{-2}<\E_q\log p$"

            Expect.equal
                (Markup.html text)
                "a &lt; b &amp; z<sub>1</sub><sup>−2</sup>&lt;E<sub>q</sub> log p"
                "For a page"

            Expect.equal
                (Markup.plotly text)
                "a < b & z<sub>1</sub><sup>−2</sup><E<sub>q</sub> log p"
                "For a chart's label")

        testCase "report/numbers" (fun () ->
            Expect.equal (Markup.fixedPoint 2 -95.594) "-95.59" "Fixed"
            Expect.equal (Markup.fixedPoint 2 -0.001) "0.00" "No negative zero"
            Expect.equal (Markup.fixedPoint 0 1234567.0) @"1\,234\,567" "Grouped"
            Expect.equal (Markup.fixedPoint 0 2000.0) "2000" "Four digits stay together"
            Expect.equal (Markup.scientific 2 1.26e-7) @"1.3\cdot10^{-7}" "Scientific"
            Expect.equal (Markup.fixedPoint 2 infinity) @"\infty" "Infinity"
            Expect.equal (Cell.latex (MeanSe(1.5, nan, 1))) "$1.5$" "One seed has no standard error")
    ]

let private figures =
    let tex (files: PgfPlots.File list) = Encoding.UTF8.GetString files.Head.Bytes

    testList "figures" [
        testCase "report/thin" (fun () ->
            let ys = Array.init 5000 (fun i -> sin (float i / 50.0))
            ys[1234] <- 7.0
            let kept = Thinning.indices 400 ys
            Expect.isLessThanOrEqual kept.Length 400 "Few points"
            Expect.contains kept 1234 "The extreme stays"
            Expect.contains kept 0 "The first stays"
            Expect.contains kept 4999 "The last stays"
            Expect.sequenceEqual (Array.sort kept) kept "In order")

        testCase "report/curve" (fun () ->
            let points = [| 1.0, 2.0; 2.0, nan; 3.0, 4.0 |]

            let figure =
                Panel.axes "t" (Axis.linear "epoch") (Axis.log "$-$ELBO") [
                    Line("ours", points, Some [| 0.1; 0.1; 9.0 |])
                ]
                |> Figure.single "ift1.curve" "The bound"

            let tex = tex (PgfPlots.render figure)
            Expect.stringContains tex @"\begin{semilogyaxis}" "Logarithmic axis"
            Expect.stringContains tex "(2,nan)" "A missing point leaves a gap"
            Expect.stringContains tex "(3,0.4)" "The band stays positive on a logarithmic axis"
            Expect.stringContains tex @"\label{fig:ift1.curve}" "Label"

            Expect.stringContains tex @"\caption{The bound.}" "A caption is a sentence")

        testCase "report/places" (fun () ->
            let count = 41
            let line = Array.init count (fun i -> float i, Math.Pow(10.0, 2.0 - float i / 10.0))
            let broken = line |> Array.mapi (fun i (x, y) -> x, (if i = 20 then 0.0 else y))

            let drawn points series =
                Panel.axes
                    ""
                    (Axis.linear "" |> Axis.between 0.0 40.0)
                    (Axis.log "" |> Axis.between 0.01 100.0)
                    [ series points ]
                |> Figure.single "ift1.curve" "Curve"
                |> PgfPlots.render
                |> tex

            let frame (text: string) =
                let found = Regex.Match(text, @"width=([0-9.]+)mm, height=([0-9.]+)mm")
                float found.Groups[1].Value, float found.Groups[2].Value

            /// The places that a macro gets, by its call.
            let places (text: string) = [
                for call in Regex.Matches(text, @"\\report(?:path|marks).*\{([^{}]*)\}") ->
                    [
                        for point in call.Groups[1].Value.Split(';', StringSplitOptions.RemoveEmptyEntries) do
                            let at = point.Split ','
                            float at[0], float at[1]
                    ]
            ]

            for series in
                [
                    fun points -> Line("a", points, None)
                    fun points -> Trail("a", points)
                    fun points -> Reference("a", points)
                    fun points -> Scatter("a", points)
                ] do
                let text = drawn line series
                let width, height = frame text

                match places text with
                | [ points ] ->
                    for i, (x, y) in List.indexed points do
                        // Here the logarithm falls as x grows.
                        let along = float i / 40.0
                        Expect.floatClose Accuracy.low x (along * width) "Along the frame"

                        Expect.isLessThan
                            (abs (y - (1.0 - along) * height))
                            0.001
                            "And down the logarithmic axis"

                    Expect.equal points.Length count "All points"
                | found -> failtest $"{found.Length} curves"

                Expect.equal (Regex.Count(text, "addlegendentry")) 1 "One entry in the legend"
                Expect.equal (Regex.Count(text, "addlegendimage")) 1 "with its image"

            let pieces = drawn broken (fun points -> Line("", points, None)) |> places
            Expect.equal (pieces |> List.map _.Length) [ 20; 20 ] "A point that cannot be drawn leaves a gap"

            let outside = Array.append line [| 41.0, 1e300 |]

            let last =
                drawn outside (fun points -> Line("", points, None)) |> places |> List.head |> List.last

            Expect.isLessThan
                (abs (snd last))
                5000.0
                "TeX knows no number of millimetres that is much larger"

            let wide =
                Panel.axes
                    ""
                    (Axis.linear "" |> Axis.between 0.0 40.0)
                    (Axis.linear "" |> Axis.between 0.0 20.0)
                    [ Trail("", line) ]
                |> Panel.equal
                |> Figure.single "ift1.curve" "Curve"
                |> PgfPlots.render
                |> tex

            Expect.isEmpty (places wide) "with units as long on both axes pgfplots chooses the frame"
            let few = drawn line[..9] (fun points -> Line("a", points, None))
            Expect.isEmpty (places few) "pgfplots places a few points"

            let loose axis points =
                Panel.axes "" (Axis.linear "") axis [ Line("", points, None) ]
                |> Figure.single "ift1.curve" "Curve"
                |> PgfPlots.render
                |> tex

            Expect.stringContains
                (loose (Axis.linear "") [| 0.0, 0.0; 10.0, 2.0 |])
                "xmin=-0.2, xmax=10.2, ymin=-0.1, ymax=2.1"
                "Ends of the data, and some room"

            Expect.stringContains
                (loose (Axis.log "") [| 0.0, 0.0; 0.0, 1.0; 1.0, 1e4 |])
                "ymin=0.630957, ymax=15848.9"
                "On a logarithmic axis of what is positive"

            Expect.isFalse
                ((loose (Axis.linear "") [| 0.0, 3.0; 1.0, 3.0 |]).Contains "ymin")
                "No ends where there is no extent")

        testCase "report/colours" (fun () ->
            let at names =
                Panel.axes "" (Axis.linear "x") (Axis.linear "y") [
                    for n in names -> Line(n, [| 0.0, 1.0 |], None)
                ]

            Figure.grid "ift1.curve" "Curves" 2 [ at [ "a"; "b" ]; at [ "b"; "c"; "" ]; at [ ""; "" ] ]
            |> Figure.colours
            |> fun colours -> Expect.equal colours [ [ 0; 1 ]; [ 1; 2; 0 ]; [ 0; 1 ] ] "One colour a name"

            let level name =
                Panel.axes "" (Axis.linear "x") (Axis.linear "y") [
                    Line("b", [| 0.0, 1.0 |], None)
                    Level(name, 1.0)
                ]

            Figure.grid "ift1.curve" "Curves" 2 [ level "b"; level "required" ]
            |> Figure.naming [ "a" ]
            |> Figure.colours
            |> fun colours ->
                Expect.equal
                    colours
                    [ [ 1; 1 ]; [ 1; -1 ] ]
                    "A family's names first; a level in its series' colour or black")

        testCase "report/equal" (fun () ->
            let panel =
                Panel.axes "" (Axis.linear "x") (Axis.linear "y") [
                    Line("", [| 0.0, 1.0; 2.0, 2.0 |], None)
                ]

            let drawn panel = tex (PgfPlots.render (Figure.single "ift1.curve" "Curve" panel))
            Expect.isFalse ((drawn panel).Contains "axis equal image") "As wide as there is room"

            Expect.stringContains
                (drawn (Panel.equal panel))
                "axis equal image"
                "A unit is as long on both axes")

        testCase "report/empty-series" (fun () ->
            let figure =
                Panel.axes "" (Axis.linear "x") (Axis.linear "y") [
                    Line("none", [||], None)
                    Line("some", [| 0.0, 1.0 |], None)
                ]
                |> Figure.single "ift1.curve" "Curve"

            Expect.equal
                (Regex.Count(tex (PgfPlots.render figure), "addlegendentry"))
                1
                "Only what is drawn is in the legend")

        testCase "report/density" (fun () ->
            let map = {
                Values = Array2D.init 2 2 (fun r c -> float (2 * r + c))
                X = -1.0, 1.0
                Y = -1.0, 1.0
            }

            let image = PgfSeries.densityImage map
            let at row column = image.Pixels[(row * 2 + column) * 3 .. (row * 2 + column) * 3 + 2]
            let red, green, blue = Colours.viridisAt 1.0
            Expect.sequenceEqual (at 0 1) [| red; green; blue |] "The largest value, upper right"
            let red, green, blue = Colours.viridisAt 0.0
            Expect.sequenceEqual (at 1 0) [| red; green; blue |] "Zero, lower left"

            let tex =
                Panel.axes "" (Axis.linear "") (Axis.linear "") [ Density map ]
                |> Figure.single "ift1.map" "Map"
                |> PgfPlots.render
                |> tex

            Expect.stringContains tex "point meta max=3" "The bar ends at the largest value"
            Expect.stringContains tex "xticklabels={$0$,$3$}" "And says so")

        testCase "report/table" (fun () ->
            let table = {
                Id = "ift1.table"
                Caption = "Bounds"
                Columns = [ Table.left "a_b"; Table.right "value" ]
                Rows = [ [ Text "x"; MeanSe(101.26, 0.5, 1) ]; [ Text "y"; Missing "not measured" ] ]
                Note = ""
            }

            let tex = Table.latex table
            Expect.stringContains tex @"a\_b & value \\" "Header"
            Expect.stringContains tex @"x & $101.3 \pm 0.5$ \\" "Mean and standard error"
            Expect.stringContains tex "--: not measured." "The reason stands below"

            let column = [ MeanSe(95.3, 0.1, 1); MeanSe(100.0, 12.5, 1); MeanSe(96.8, nan, 1); Missing "" ]

            Expect.equal
                (Cell.aligned column)
                [ @"$95.3 \pm \phantom{1}0.1$"; @"$100.0 \pm 12.5$"; @"$96.8\phantom{{}\pm 12.5}$"; "--" ]
                "Points stand under points"

            let mixed = [ Number(16.0, 0); MeanSe(95.3, 0.1, 1) ]
            Expect.equal (Cell.aligned mixed) (List.map Cell.latex mixed) "But not of different quantities"

            let words = String.replicate 40 "word "

            let wrapped = {
                table with
                    Columns = [ Table.wrapped 0.3 "long"; Table.right "value" ]
                    Rows = List.replicate 8 [ Text words; Number(1.0, 0) ]
            }

            Expect.stringContains
                (Table.latex wrapped)
                "longtable"
                "Eight rows of long text may break across pages"

            Expect.throwsT<ArgumentException>
                (fun () -> Table.latex { table with Rows = [ [ Text "x" ] ] } |> ignore)
                "A row with a cell too few")
    ]

let private rendering =
    let points = [| 1.0, 2.0; 10.0, 1.0 |]
    let grey: Png.Image = { Width = 2; Height = 2; Channels = 1; Pixels = [| 0uy; 255uy; 0uy; 255uy |] }

    let section = {
        Section.empty "ift1" VerdictTests.origin with
            Figures = [
                Panel.axes "a < b" (Axis.log "$N$") (Axis.linear "y") [
                    Line("ours", points, None)
                    Level("limit", 1.5)
                ]
                |> Figure.single "ift1.curve" "Curve"
                Panel.images "" 2 [| grey; grey |] |> Figure.single "ift1.samples" "Samples"
            ]
            Values = [ Value.number "ift1.elbo" 2 101.0 ]
    }

    let report = {
        Profile = "paper"
        Data = "MNIST"
        Device = "CPU"
        Machine = "a processor"
        Work = "1 run"
        Revision = "r1"
        Sections = [ section ]
        Questions = [
            { Row = "ift1"; Source = "IFT P1.1"; Text = "VAE on binarized MNIST" }
            { Row = "hw5.2"; Source = "HW Q5"; Text = "The weight of the divergence" }
        ]
        NotRun = [ "hw5.2", "its runs are not complete" ]
        Laws = []
    }

    testList "rendering" [
        testCase "report/generated" (fun () ->
            inFolder (fun folder ->
                let paper = Path.Combine(folder, "paper")
                let stale = Path.Combine(paper, "generated", "figures", "old.curve.tex")
                Directory.CreateDirectory(Path.Combine(paper, "generated", "figures")) |> ignore
                File.WriteAllText(stale, "of an earlier rendering")

                File.WriteAllText(
                    Path.Combine(paper, "main.tex"),
                    @"\val{ift1.elbo} \reportfigure{ift1.curve}"
                )

                let _, found = Render.write paper (Path.Combine(folder, "results")) report

                Expect.equal
                    found
                    [ @"'ift1.samples' is produced and no \reportfigure shows it" ]
                    "The figure left out"

                Expect.isFalse (File.Exists stale) "A stale figure is gone"
                let values = File.ReadAllText(Path.Combine(paper, "generated", "values.tex"))
                Expect.stringContains values @"\defval{ift1.elbo}{$101.00$}" "The value"

                Expect.stringContains
                    values
                    @"\defprovenance{ift1}{Data: MNIST. Profile paper, 3 seeds, CPU.}"
                    "Where the row's results come from"

                Expect.stringContains
                    values
                    @"\notrun{hw5.2}{its runs are not complete}"
                    "The row that did not run"

                Expect.isTrue (File.Exists(Path.Combine(folder, "results", "claims.json"))) "Claims"))

        testCase "report/foreign-id" (fun () ->
            let foreign = { section with Values = [ Value.number "ift2.elbo" 2 101.0 ]; Figures = [] }

            let found =
                Render.check [ VerdictTests.source @"\val{ift2.elbo}" ] {
                    report with
                        Sections = [ foreign ]
                }

            Expect.equal
                found
                [ "the experiment 'ift1' reports 'ift2.elbo', whose id belongs to another row" ]
                "Named")

        testCase "report/html" (fun () ->
            let html =
                Page.render {
                    Report = report
                    Runs = []
                    Paper = []
                    Bibliography = ""
                    Core = ""
                    Places = Map.empty
                    Pdf = ""
                }

            Expect.stringContains html "data:image/png;base64," "Images are inside the page"
            Expect.stringContains html "<div class=chart id=\"ift1-curve-0\">" "The chart"
            Expect.stringContains html "Not run: its runs are not complete." "What did not run"
            // plotly.js names addresses that it asks for only in maps; the browser's test sees what is asked for.
            let own = Regex.Replace(html, "(?s)<script>/\*\*.*?</script>", "")
            Expect.isFalse (Regex.IsMatch(own, "(src|href)=\"?https?:")) "Nothing comes from the network")
    ]

[<Tests>]
let tests = testList "report" [ text; figures; rendering ]
