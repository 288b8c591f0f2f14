namespace Research.Experiments

open System.Diagnostics
open TorchSharp
open Research.Host

/// Times of training steps.
[<RequireQualifiedAccess>]
module Timing =
    /// Milliseconds of one step of each, in every round but the first, which warms up. A round goes through all, so that a
    /// machine whose speed drifts slows all alike, and times `steps` steps of each.
    let rounds
        (rounds: int)
        (steps: int)
        (steppers: (string * (unit -> unit)) list)
        : (string * float list) list =
        [
            for round in 0..rounds do
                for name, step in steppers do
                    Devices.Settle()
                    let watch = Stopwatch.StartNew()

                    for _ in 1..steps do
                        use _ = torch.NewDisposeScope()
                        step ()

                    Devices.Settle()

                    if round > 0 then
                        name, watch.Elapsed.TotalMilliseconds / float steps
        ]
        |> List.groupBy fst
        |> List.map (fun (name, times) -> name, List.map snd times)

    /// Fewest seconds of a call within a budget of them. Interference only ever adds time, so the least is the most
    /// repeatable figure.
    let fewest (budget: float) (call: unit -> unit) : float =
        let clock = Stopwatch.StartNew()
        let mutable least, calls = infinity, 0

        while calls < 9 || (clock.Elapsed.TotalSeconds < budget && calls < 2000) do
            let start = Stopwatch.GetTimestamp()
            call ()
            least <- min least (Stopwatch.GetElapsedTime start).TotalSeconds
            calls <- calls + 1

        least

    let median (times: float list) : float = (List.sort times)[times.Length / 2]

    /// The median times of `rounds`.
    let medians count steps steppers : (string * float) list = [
        for name, times in rounds count steps steppers -> name, median times
    ]

    /// Half the distance between the quartiles: how far apart the rounds are, a few disturbed ones aside.
    let spread (times: float list) : float =
        let sorted = List.sort times
        (sorted[3 * times.Length / 4] - sorted[times.Length / 4]) / 2.0
