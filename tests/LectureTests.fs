/// What the rows of the lectures rest on: exact values, moments, and trainings that begin alike.
module Research.Tests.LectureTests

open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Experiments
open Research.Experiments.Nora
open Research.Experiments.Uva
open Research.Tests.Hostile

let private relative (value: float) (expected: float) = abs (value / expected - 1.0)

let private exactKl =
    testList "exact divergence" [
        testCase "uva1.5/exact/large" (fun () ->
            for mean, logVar in [ 0.0, 0.5; 2.0, 1.0; 0.25, 4.0; 1024.0, 16.0 ] do
                // Nothing cancels here, so float64 is exact to rounding.
                let expected = 0.5 * (mean * mean + exp logVar - 1.0 - logVar)
                let value = float (FloatingPoint.exactKl mean logVar)

                Expect.isTrue
                    (relative value expected <= 1e-14)
                    $"mean {mean}, log-variance {logVar}: {value}")

        testCase "uva1.5/exact/small" (fun () ->
            for logVar in [ 2.0 ** -13.0; 2.0 ** -20.0 ] do
                let expected = logVar * logVar / 4.0 * (1.0 + logVar / 3.0 * (1.0 + logVar / 4.0))
                let value = float (FloatingPoint.exactKl 0.0 logVar)
                Expect.isTrue (relative value expected <= 1e-13) $"log-variance {logVar}: {value}")

        testCase "uva1.5/exact/examples" (fun () ->
            // The numbers in the doubles, summed to 60 digits elsewhere.
            for mean, logVar, exact in
                [
                    1e5, 23.02587092984046, 10000099988.4870682284845396m
                    1e-5, 1.999990000066666e-05, 1.49999666669166642099932e-10m
                    2.0 ** -13.0, 2.0 ** -13.0, 1.117602248246207988483e-8m
                ] do
                let value = FloatingPoint.exactKl mean logVar

                Expect.isLessThan
                    (abs (value / exact - 1.0m))
                    1e-16m
                    $"mean {mean}, log-variance {logVar}: {value}")

        testCase "uva1.5/exact/refuses" (fun () ->
            Expect.throwsT<System.ArgumentException>
                (fun () -> FloatingPoint.exactKl 0.0 -1.0 |> ignore)
                "a series that would cancel is no exact value")
    ]

let private moments =
    testList "moments" [
        testCase "nora3/moments/normal" (fun () ->
            let identity = [| 0.0; 1.0 |]
            let moments = [ for m in 1..6 -> GradientVariance.moment m identity ]
            Expect.equal moments [ 0.0; 1.0; 0.0; 3.0; 0.0; 15.0 ] "of a standard normal variable")

        testCase "nora3/moments/score" (fun () ->
            for theta in [ 0.0; 1.0; 10.0 ] do
                let centred = GradientVariance.centredScore theta
                Expect.equal (GradientVariance.moment 1 centred) 0.0 "the mean has been taken off"

                Expect.equal
                    (GradientVariance.moment 2 centred)
                    (scoreVarianceOfSquare theta 1)
                    "the second moment is the exact variance")
    ]

/// The validation bound after the first epoch of each training.
let private firstEpoch (trainings: Plan -> Trained list) =
    let mutable bounds = []

    inFolder (fun folder ->
        let cpu = torch.device "cpu"
        let plan = Plan(Smoke, cpu, DataOptions(folder, false, true))
        use board = new PlainBoard(TextWriter.Null)
        let store = RunStore folder
        let requests = trainings plan |> List.map _.Training
        let summary = Runner(store, cpu, 1, board).Run(requests, CancellationToken.None)
        Expect.equal summary.ExitCode 0 "all runs end well"

        bounds <- [
            for request in requests -> (Results(plan, store).Curve "validation" "nelbo" request)[0] |> snd
        ])

    bounds

let private snapshots =
    testCase "uva1.6/snapshots" (fun () ->
        match firstEpoch (fun plan -> [ Gap.train plan 1L 1; Gap.train plan 1L 3; Gap.train plan 2L 1 ]) with
        | [ short; long; other ] ->
            Expect.equal long short "a shorter training is the beginning of a longer one, to the bit"
            Expect.notEqual other short "another seed is another training"
        | bounds -> failtest $"three bounds were expected, not {bounds.Length}")

[<Tests>]
let tests = testList "lectures" [ exactKl; moments; snapshots ]
