/// Ticks: round numbers, enough of them, none over another.
module Research.Tests.TickTests

open System
open System.Globalization
open System.Text
open Expecto
open Research.Report

let private wide = Ticks.Along 60.0
let private labels axis shown = Ticks.ofAxis wide axis shown |> List.map _.Label
let private values axis shown = Ticks.ofAxis wide axis shown |> List.map _.Value

/// The number that a label says, `$2\cdot10^{-7}$` or `$10^{5}$` included.
let private read (label: string) =
    let text =
        label.Trim('$').Replace(@"\,", "").Replace(@"\cdot", "*").Replace("{", "").Replace("}", "")

    let number (s: string) = Double.Parse(s, CultureInfo.InvariantCulture)

    match text.Split([| "*10^"; "10^" |], StringSplitOptions.None) with
    | [| ""; exponent |] -> 10.0 ** number exponent
    | [| mantissa; exponent |] -> number mantissa * 10.0 ** number exponent
    | _ -> number text

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

            Expect.equal (labels log [ 1.0; 100.0 ]) [ "$1$"; "$10$"; "$100$" ] "Powers of ten"

            Expect.equal
                (values log [ 16.0; 1.0; 64.0; 4.0; 1.0 ])
                [ 1.0; 4.0; 16.0; 64.0 ]
                "A few whole numbers mark themselves"

            Expect.equal (values log [ 1.0; 2.5; 10.0; 100.0 ]) [ 1.0; 10.0; 100.0 ] "Others do not"
            Expect.equal (values log (List.map float [ 1..10 ])) [ 1.0; 10.0 ] "nor do many"

            Expect.equal
                (values (log |> Axis.between 1.0 100.0) [ 1.0; 30.0; 200.0 ])
                [ 1.0; 10.0; 100.0 ]
                "nor where the range is given"

            Expect.equal
                (labels log [ 1.0; 1e4 ] |> List.last)
                "$10^{4}$"
                "Written as powers where they are long"

            Expect.equal
                (labels (Axis.linear "") [ -4.0; 4.0 ])
                [ for i in -4 .. 4 -> $"${i}$" ]
                "Whole numbers"

            Expect.equal
                (labels (Axis.linear "") [ 0.0; 0.5 ] |> List.item 3)
                "$0.15$"
                "No rounding is shown"

            Expect.isEmpty (values log [ 5.0; 5.0 ]) "A point"
            Expect.isEmpty (values (Axis.linear "") []) "Nothing"
            Expect.isEmpty (values log []) "Nothing")

        testCase "report/ticks-apart" (fun () ->
            let ticks room = Ticks.ofAxis room (Axis.linear "") [ -4.0; 4.0 ] |> List.map _.Value
            Expect.equal (ticks (Ticks.Along 16.0)) [ -4.0; -2.0; 0.0; 2.0; 4.0 ] "Every second number"
            Expect.equal (ticks (Ticks.Along 10.0)) [ -4.0; 0.0; 4.0 ] "Fewer still"
            Expect.equal (ticks (Ticks.Across 5.0)) [ -4.0; 0.0; 4.0 ] "Lines"
            Expect.isEmpty (ticks (Ticks.Along 2.0)) "No room")

        testCase "report/ticks-everywhere" (fun () ->
            for axis in [ Axis.log ""; Axis.linear "" ] do
                for i in 0..400 do
                    for decades in [ 0.001; 0.01; 0.1; 0.3; 0.6; 0.9; 3.0 ] do
                        let low = 10.0 ** (float i / 100.0 - 2.0)
                        let high = low * 10.0 ** decades
                        let ticks = Ticks.ofAxis wide axis [ low; high ]
                        let where = $"between {low} and {high}: {ticks}"
                        Expect.isTrue (ticks.Length >= 2 && ticks.Length <= 12) where

                        for tick in ticks do
                            Expect.isTrue
                                (tick.Value >= low * 0.999999 && tick.Value <= high * 1.000001)
                                where

                            Expect.isTrue (abs (read tick.Label - tick.Value) <= 1e-9 * abs tick.Value) where)

        testCase "report/ticks-drawn" (fun () ->
            let series = [ ErrorBars("ours", [| 1.0, 1.5; 100.0, 1.5 |], [| nan; 0.5 |]) ]
            let panel = Panel.axes "" (Axis.log "N") (Axis.log "y") series

            let tex =
                (PgfPlots.render (Figure.single "ift1.curve" "Curve" panel)).Head.Bytes
                |> Encoding.UTF8.GetString

            Expect.stringContains tex "ytick={1,1.2,1.5,2}, yticklabels={$1$,$1.2$,$1.5$,$2$}" "In TeX"

            match panel with
            | Images _ -> failtest "a panel of axes"
            | Axes axes ->
                let json = Charts.json [ 0 ] axes
                Expect.stringContains json "\"tickvals\":[1.0,1.2,1.5,2.0]" "In the browser"
                Expect.stringContains json "\"ticktext\":[\"1\",\"1.2\",\"1.5\",\"2\"]" "The same labels")
    ]
