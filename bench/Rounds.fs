/// Sides of a comparison, timed in rounds that alternate.
module Research.Bench.Rounds

open System
open System.Diagnostics
open System.IO

let median (values: float list) =
    let sorted = List.sort values
    let n = sorted.Length
    (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0

/// Its path.
let script (name: string) = Path.Combine(Environment.CurrentDirectory, "bench", name)

/// Rounds of a comparison, and the milliseconds that one of them should take: many short ones, so that a machine whose
/// speed drifts slows all sides alike.
let rounds, roundTime = 25, 60.0

/// The number of steps that fill a round. Long enough before it for the compiler to have seen a step often.
let stepsOf (round: int -> float) =
    let watch = Stopwatch.StartNew()
    let mutable last = round 1

    while watch.ElapsedMilliseconds < 1500L do
        last <- round (max 1 (int (roundTime / last)))

    max 1 (int (roundTime / last))
