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

    let median (times: float list) : float = (List.sort times)[times.Length / 2]

    /// Half the distance between the quartiles: how far apart the rounds are, a few disturbed ones aside.
    let spread (times: float list) : float =
        let sorted = List.sort times
        (sorted[3 * times.Length / 4] - sorted[times.Length / 4]) / 2.0
