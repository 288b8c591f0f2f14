/// How long a plan of many runs takes before anything is computed: `bench/run plan`.
module Research.Bench.PlanSize

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading
open TorchSharp
open Research.Host

/// Half of the runs are trainings, half measure one of them.
let private requests (count: int) =
    let run name needs =
        let fields = [ for field in 1..8 -> KeyValuePair($"field{field}", $"value of {name}") ]

        RunRequest(
            RunKey(name, fields, 1L, "none", "bench", RunCode("none", readOnlyDict []), needs),
            1,
            ignore
        )

    let trainings = [| for i in 1 .. count / 2 -> run $"bench.training{i}" [] |]

    Array.append trainings [|
        for training in trainings -> run $"{training.Key.Name}.measured" [ training.Key ]
    |]

let private seconds (act: unit -> 'T) =
    let watch = Stopwatch.StartNew()
    let result = act ()
    watch.Elapsed.TotalSeconds, result

/// Above so many complete runs nobody looks into their folders, which may as well be empty.
let private mostChecked = 1000

let private publish (store: RunStore) (isChecked: bool) (runs: RunRequest seq) =
    for run in runs do
        if isChecked then
            match store.TryClaim(run.Key, store.Watch()) with
            | :? Claim.Taken as taken -> taken.Run.Complete TimeSpan.Zero
            | claim -> failwith $"the run should be free, not {claim}"
        else
            Directory.CreateDirectory(Path.Combine(store.Root, "runs", run.Key.Id)) |> ignore

let private row (count: int) =
    let folder = (Directory.CreateTempSubdirectory "research-plan-").FullName

    try
        use board = new PlainBoard(TextWriter.Null)
        let store = RunStore folder
        let planning, runs = seconds (fun () -> requests count)
        let keys = [| for run in runs -> run.Key |]
        let levels, _ = seconds (fun () -> SlurmExecutor.Levels runs)
        publish store (count <= mostChecked) runs[.. count / 2 - 1]
        let listing, _ = seconds (fun () -> RunStatus.Of(store, keys))
        publish store (count <= mostChecked) runs[count / 2 ..]

        let resuming, summary =
            seconds (fun () -> Runner(store, torch.device "cpu", 2, board).Run(runs, CancellationToken.None))

        if summary.Cached <> count then
            failwith "every run is complete"

        printfn "%10d %10.3f %10.3f %10.3f %10.3f" count planning levels listing resuming
    finally
        Directory.Delete(folder, true)

/// Prints, for plans of 100 to 100,000 runs, the seconds for the keys, the levels of a submission, the status of half a
/// store, and a command that finds everything complete.
let measure () : unit =
    printfn "%10s %10s %10s %10s %10s" "runs" "keys" "levels" "status" "resumed"
    row 100

    for count in [ 100; 1_000; 10_000; 100_000 ] do
        row count
