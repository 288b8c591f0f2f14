/// From requests to finished runs on a store that others may share: what is computed, cached, waited for, and told.
module Research.Tests.RunnerTests

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Host

[<Tests>]
let tests =
    testList "runner" [
        testCase "host/run/cache" (fun () ->
            inFolder (fun folder ->
                let computed = ConcurrentQueue<string>()

                let request name needs =
                    let key = RunKey(name, [ KeyValuePair("a", "b") ], 1L, "none", "test", noCode, needs)

                    let work (context: RunContext) =
                        computed.Enqueue name

                        for needed in needs do
                            let values = context.Dependency(needed).ReadValues()
                            Expect.equal values["seed"] 1.0 "a dependency is complete when it is read"

                        context.Run.SaveValues(readOnlyDict [ "seed", float context.Key.Seed ])

                    RunRequest(key, 1, work)

                let first = request "first" []
                let second = request "second" [ first.Key ]
                use board = new PlainBoard(TextWriter.Null)
                let runner = Runner(RunStore folder, torch.device "cpu", 2, board)
                // The same run asked for twice is one run.
                let once = runner.Run([ second; first; first ], CancellationToken.None)
                let again = runner.Run([ second; first ], CancellationToken.None)

                Expect.sequenceEqual
                    computed
                    [ "first"; "second" ]
                    "each is computed once, dependencies first"

                Expect.equal (once.ExitCode, once.Cached) (0, 0) "all are new"
                Expect.equal (again.ExitCode, again.Cached) (0, 2) "the second command computes nothing"))

        testCase "host/run/shared" (fun () ->
            inFolder (fun folder ->
                let computed = ConcurrentQueue<string>()

                // As two processes: neither can see that the other lives but by its heart.
                let executor name =
                    let times = LeaseTimes(Poll = TimeSpan.FromMilliseconds 5.0)
                    let store = RunStore(folder, times, owner = LeaseOwner(name, 1, 0L, null, null))
                    Runner(store, torch.device "cpu", 2, new PlainBoard(TextWriter.Null))

                let request (index: int) (needs: RunRequest list) =
                    let key =
                        RunKey($"shared{index}", [], 1L, "none", "test", noCode, needs |> List.map _.Key)

                    let work (context: RunContext) =
                        computed.Enqueue key.Id
                        Thread.Sleep 3

                        for needed in key.Dependencies do
                            context.Dependency needed |> ignore

                        if index = 7 then
                            raise (ResearchException "the disk is made of cheese.")

                    RunRequest(key, 1, work)

                let first = [ for i in 0..39 -> request i [] ]
                let second = first |> List.mapi (fun i needed -> request (100 + i) [ needed ])

                let summaries =
                    [|
                        for name in [ "a"; "b" ] ->
                            async { return (executor name).Run(first @ second, CancellationToken.None) }
                    |]
                    |> Async.Parallel
                    |> Async.RunSynchronously

                // The one that fails may be tried by both: a failure is no result.
                let counts = computed |> Seq.countBy id |> Seq.filter (fun (id, _) -> id <> first[7].Key.Id)

                Expect.equal
                    (Seq.length counts)
                    78
                    "every run but the one that needs the failure is computed"

                Expect.all counts (fun (_, n) -> n = 1) "once"

                for summary in summaries do
                    let of' status =
                        summary.Outcomes
                        |> Seq.filter (fun o -> o.Status = status)
                        |> Seq.map _.Id
                        |> List.ofSeq

                    Expect.equal (of' WorkStatus.Failed) [ first[7].Key.Id ] "both learn what failed"
                    Expect.equal (of' WorkStatus.Skipped) [ second[7].Key.Id ] "and skip what needs it"

                    Expect.equal
                        ((of' WorkStatus.Done).Length + summary.Cached)
                        78
                        "and wait for what the other computes, unless it was complete before they began"))

        testCase "host/run/listed" (fun () ->
            inFolder (fun folder ->
                let key index = RunKey($"many{index}", [], 1L, "none", "test", noCode)
                let requests = [ for index in 1..2000 -> RunRequest(key index, 1, ignore) ]

                // Nothing is in them: a plan that looked inside a folder would find no run.
                for request in requests do
                    Directory.CreateDirectory(Path.Combine(folder, "runs", request.Key.Id)) |> ignore

                use board = new PlainBoard(TextWriter.Null)

                let summary =
                    Runner(RunStore folder, torch.device "cpu", 1, board)
                        .Run(requests, CancellationToken.None)

                Expect.equal summary.Cached 2000 "the folder's list says which runs are complete"))

        testCase "host/run/status" (fun () ->
            inFolder (fun folder ->
                let key name = RunKey(name, [], 1L, "none", "test", noCode)

                let names = [
                    "waiting"
                    "running"
                    "released"
                    "failed"
                    "complete"
                    "dead"
                    "silent"
                    "heard"
                ]

                // A second look comes after one and a half of these, in which another's heart must beat on a busy machine too.
                let fast = LeaseTimes(Beat = TimeSpan.FromSeconds 1.0)
                let store = RunStore(folder, fast)

                let claim (store: RunStore) name =
                    match store.TryClaim(key name, store.Watch()) with
                    | :? Claim.Taken as taken -> taken
                    | claim -> failtest $"{name} should be free, not {claim}"

                let stranger = LeaseOwner("elsewhere", 1, 0L, null, "12_3")
                let running = claim store "running"
                running.Lease.Report(5L, Nullable 9L)
                (claim store "released").Lease.Release(LeaseState.Released, "interrupted")
                (claim store "failed").Lease.Release(LeaseState.Failed, "the disk is made of cheese.")
                (claim store "complete").Run.Complete TimeSpan.Zero
                let here = LeaseOwner.Current

                claim
                    (RunStore(
                        folder,
                        LeaseTimes(),
                        owner = LeaseOwner("here", here.Process, here.Started + 1L, here.Machine, null)
                    ))
                    "dead"
                |> ignore

                claim (RunStore(folder, LeaseTimes(), owner = stranger)) "silent" |> ignore

                let heard =
                    claim
                        (RunStore(
                            folder,
                            LeaseTimes(Beat = TimeSpan.FromMilliseconds 10.0),
                            owner = stranger
                        ))
                        "heard"

                let status = RunStatus.Of(store, [| for name in names -> key name |])

                Expect.equal
                    [ for run in status -> run.Phase ]
                    [
                        RunPhase.Waiting
                        RunPhase.Running
                        RunPhase.Interrupted
                        RunPhase.Failed
                        RunPhase.Complete
                        RunPhase.Interrupted
                        RunPhase.Silent
                        RunPhase.Running
                    ]
                    "each is what it is"

                Expect.stringEnds (string status[3]) $"failed in {here}: the disk is made of cheese." "why"

                Expect.stringContains
                    (string status[7])
                    "running in process 1 on elsewhere (job 12_3) since 2"
                    "where"

                running.Lease.Dispose()
                heard.Lease.Dispose()))

        testCase "host/run/defect" (fun () ->
            inFolder (fun folder ->
                let store = RunStore folder
                let key = RunKey("broken", [], 1L, "none", "test", noCode)
                use board = new PlainBoard(TextWriter.Null)
                let runner = Runner(store, torch.device "cpu", 1, board)

                let summary =
                    runner.Run([ RunRequest(key, 1, fun _ -> invalidOp "oops") ], CancellationToken.None)

                Expect.equal
                    (Seq.last (summary.Lines()))
                    $"  {key.Id}: InvalidOperationException: oops"
                    "no stack trace"

                let notes = String.concat "\n" ((nonNull (store.Find key)).ReadNotes())
                Expect.stringContains notes "   at " "the trace is in the run's log"))
    ]
