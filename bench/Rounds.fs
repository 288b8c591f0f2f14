/// Sides of a comparison, timed in rounds that alternate.
module Research.Bench.Rounds

open System
open System.Diagnostics
open System.IO
open System.Threading
open TorchSharp

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

/// The same work side by side, `count` times and each on one thread of its own; `make` begins one of them, by its number.
type SideBySide(make: int -> unit -> unit, count: int) =
    let start, stop = new Barrier(count + 1), new Barrier(count + 1)
    // None are left to do when all is done.
    let mutable steps = 0

    let work number () =
        torch.set_num_threads 1
        let step = make number
        stop.SignalAndWait()
        start.SignalAndWait()

        while steps > 0 do
            for _ in 1..steps do
                step ()

            stop.SignalAndWait()
            start.SignalAndWait()

    let threads = [ for i in 1..count -> Thread(work i, 64 <<< 20, IsBackground = true) ]
    do threads |> List.iter _.Start()
    // None counts while another is still being made.
    do stop.SignalAndWait()

    /// Milliseconds of wall-clock time by the steps of all.
    member _.Round(stepsOfEach: int) : float =
        steps <- stepsOfEach
        let watch = Stopwatch.StartNew()
        start.SignalAndWait()
        stop.SignalAndWait()
        watch.Elapsed.TotalMilliseconds / float (count * stepsOfEach)

    interface IDisposable with
        member _.Dispose() =
            steps <- 0
            start.SignalAndWait()
            threads |> List.iter _.Join()
            start.Dispose()
            stop.Dispose()
