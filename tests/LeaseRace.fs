/// Many processes that want the same runs at the same time, some of which die: the hidden child process and its parent.
module Research.Tests.LeaseRace

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open System.Threading
open Research.Host

[<DllImport("libc", SetLastError = true)>]
extern int private ``open``(string path, int flags, int mode)

[<DllImport("libc")>]
extern int private flock(int descriptor, int operation)

[<DllImport("libc")>]
extern int private close(int descriptor)

/// The system's clock, set wrong.
type WrongClock(offset: TimeSpan) =
    inherit TimeProvider()
    override _.GetUtcNow() = DateTimeOffset.UtcNow + offset

let key (index: int) = RunKey($"race{index}", [], 1L, "none", "test", noCode)

// A silence that no living process of the test reaches, however busy the machine and its disk.
let private times =
    LeaseTimes(Beat = TimeSpan.FromMilliseconds 50.0, TakeOver = TimeSpan.FromSeconds 20.0)

/// What a child does with a run that it got.
type private Deed =
    | Finish
    | GiveUp
    | Die

let private deed (random: Random) =
    match random.Next 100 with
    | 0 -> Die
    | n when n < 8 -> GiveUp
    | _ -> Finish

/// Holds a lock of the system on a run's witness while `act` runs: a second process that computes the run at the
/// same time, by whatever mistake of the leases, finds it locked. The system drops it when its owner dies.
let private witnessed (root: string) (id: string) (lease: int) (act: unit -> unit) =
    let readWriteCreate, exclusiveAtOnce = 0x42, 6
    let witness = ``open`` (Path.Combine(root, "witness", id), readWriteCreate, 0o600)

    if flock (witness, exclusiveAtOnce) <> 0 then
        printfn $"{id} is computed by two at the same time, here under lease {lease}"

    act ()
    close witness |> ignore

let private compute (root: string) (random: Random) (id: string) (taken: Claim.Taken) =
    let deed = deed random

    witnessed root id taken.Lease.Number (fun () ->
        Thread.Sleep(random.Next 3)

        if deed = Die then
            Process.GetCurrentProcess().Kill())

    match deed with
    | Finish ->
        let finished = Path.Combine(root, "finished", id)

        if File.Exists finished then
            printfn $"{id} is finished twice, here under lease {taken.Lease.Number}"

        File.WriteAllText(finished, "")
        taken.Run.Complete TimeSpan.Zero
    | _ -> taken.Lease.Release(LeaseState.Released, "given up")

/// Wants all runs, in an order of its own, until all are complete.
let private race (root: string) (runs: int) (seed: int) (offset: TimeSpan) =
    let owner = LeaseOwner($"host{seed}", Environment.ProcessId, 0L, null, null)
    let store = RunStore(root, times, WrongClock offset, owner)
    let watch = store.Watch()
    let random = Random(seed + Environment.ProcessId)
    let mutable left = [| 0 .. runs - 1 |]

    while left.Length > 0 do
        random.Shuffle left

        left <-
            left
            |> Array.filter (fun index ->
                let key = key index

                match store.TryClaim(key, watch) with
                | :? Claim.Complete -> false
                | :? Claim.Taken as taken ->
                    use _ = taken.Lease
                    compute root random key.Id taken
                    true
                | _ -> true)

        Thread.Sleep 20

/// The hidden mode `lease-race ROOT RUNS SEED OFFSET` of the test program; OFFSET are seconds that its clock is wrong.
let tryRunChild (argv: string array) =
    match argv with
    | [| "lease-race"; root; runs; seed; offset |] ->
        race root (int runs) (int seed) (TimeSpan.FromSeconds(float offset))
        Some 0
    | _ -> None

let private killed = 128 + 9

/// Races so many processes for so many runs; each that dies is started again. Returns what they complained about.
let run (root: string) (processes: int) (runs: int) (offsetOf: int -> TimeSpan) : string list =
    for folder in [ "witness"; "finished" ] do
        Directory.CreateDirectory(Path.Combine(root, folder)) |> ignore

    let rec follow seed =
        let offset = int (offsetOf seed).TotalSeconds
        use child = Children.start [ "lease-race"; root; string runs; string seed; string offset ]
        let errors = child.StandardError.ReadToEndAsync()
        let said = child.StandardOutput.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries)
        child.WaitForExit()

        match child.ExitCode with
        | 0 -> List.ofArray said
        | code when code = killed -> List.ofArray said @ follow seed
        | code -> $"a child ended with {code}: {errors.Result}" :: List.ofArray said

    [| for seed in 1..processes -> async { return follow seed } |]
    |> Async.Parallel
    |> Async.RunSynchronously
    |> List.concat
