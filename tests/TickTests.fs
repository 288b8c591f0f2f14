/// Ticks of logarithmic axes: plain numbers where powers of ten are too rare.
module Research.Tests.TickTests

open System
open System.Globalization
open System.Text
open Expecto
open Research.Report

let private values axis shown = Ticks.ofAxis axis shown |> List.map _.Value
let private labels axis shown = Ticks.ofAxis axis shown |> List.map _.Label

[<Tests>]
let tests =
    testList "ticks" [
        testCase "report/ticks" (fun () ->
            let log = Axis.log ""
            Expect.equal (labels log [ 2.0; 1.0; nan; -3.0 ]) [ "$1$"; "$1.2$"; "$1.5$"; "$2$" ] "An octave"
            Expect.equal (labels log [ 3.1; 4.9 ]) [ "$3.5$"; "$4$"; "$4.5$" ] "Half an octave"
            Expect.equal (values log [ 2.0; 90.0 ]) [ 2.0; 5.0; 10.0; 20.0; 50.0 ] "Only one power of ten"

            Expect.equal
                (labels log [ 2e-7; 5e-7 ])
                [
                    @"$2\cdot10^{-7}$"
                    @"$2.5\cdot10^{-7}$"
                    @"$3\cdot10^{-7}$"
                    @"$4\cdot10^{-7}$"
                    @"$5\cdot10^{-7}$"
                ]
                "Very small numbers"

            Expect.equal
                (values (log |> Axis.between 10.0 20.0) [ 1.0; 1e6 ])
                [ 10.0; 12.0; 15.0; 20.0 ]
                "The range given counts"

            Expect.isEmpty (values log [ 1.0; 10.0 ]) "A decade has its powers"
            Expect.isEmpty (values (Axis.linear "") [ 1.0; 2.0 ]) "Linear"
            Expect.isEmpty (values log [ 5.0; 5.0 ]) "A point"
            Expect.isEmpty (values log []) "Nothing")

        testCase "report/ticks-everywhere" (fun () ->
            for i in 0..400 do
                for decades in [ 0.001; 0.01; 0.1; 0.3; 0.6; 0.9 ] do
                    let low = 10.0 ** (float i / 100.0 - 2.0)
                    let high = low * 10.0 ** decades
                    let ticks = Ticks.ofAxis (Axis.log "") [ low; high ]
                    let where = $"between {low} and {high}: {ticks}"
                    Expect.isTrue (ticks.Length >= 3 && ticks.Length <= 12) where

                    for tick in ticks do
                        Expect.isTrue (tick.Value >= low * 0.999999 && tick.Value <= high * 1.000001) where
                        let text = tick.Label.Trim('$').Replace(@"\,", "")
                        let read = Double.Parse(text, CultureInfo.InvariantCulture)
                        Expect.isTrue (abs (read - tick.Value) <= 1e-9 * read) where)

        testCase "report/ticks-drawn" (fun () ->
            let series = [ ErrorBars("ours", [| 1.0, 1.5; 100.0, 1.5 |], [| nan; 0.5 |]) ]
            let panel = Panel.axes "" (Axis.log "N") (Axis.log "y") series

            let tex =
                (PgfPlots.render "" (Figure.single "ift1.curve" "Curve" panel)).Head.Bytes
                |> Encoding.UTF8.GetString

            Expect.stringContains tex "ytick={1,1.2,1.5,2}, yticklabels={$1$,$1.2$,$1.5$,$2$}" "In TeX"
            Expect.isFalse (tex.Contains "xtick=") "Two decades keep their powers"

            match panel with
            | Images _ -> failtest "a panel of axes"
            | Axes axes ->
                let frame: Charts.Frame = { Width = 400; Height = 300; LegendBelow = false }
                let html = (Charts.chart "curve" frame axes).GetInlineHtml()
                Expect.stringContains html "\"tickvals\":[1.0,1.2,1.5,2.0]" "In the browser"
                Expect.stringContains html "\"ticktext\":[\"1\",\"1.2\",\"1.5\",\"2\"]" "The same labels")
    ]
