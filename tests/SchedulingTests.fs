/// Runs side by side: the budget of cores, failures, interruption, and what the user sees.
module Research.Tests.SchedulingTests

open System
open System.Collections.Concurrent
open System.Collections.Generic
open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Host
open Research.Tests.Hostile

let private item id needs threads (work: WorkContext -> unit) =
    WorkItem(id, List.toArray needs, threads, work)

let private run jobs items =
    use board = new PlainBoard(TextWriter.Null)
    Scheduler(jobs, board).Run(List.toArray items, CancellationToken.None) |> Seq.toList

let private statuses outcomes = outcomes |> List.map (fun (o: WorkOutcome) -> o.Id, o.Status)

let private scheduling =
    testList "scheduler" [
        testCase "host/schedule/budget" (fun () ->
            let mutable cores = 0
            let mutable highest = 0
            let gate = obj ()
            // The threads themselves: .NET gives the number of one that has ended to the next.
            let threads = ConcurrentDictionary<Thread, unit>()

            let work (at: WorkContext) =
                threads[Thread.CurrentThread] <- ()

                lock gate (fun () ->
                    cores <- cores + at.Threads
                    highest <- max highest cores)

                Thread.Sleep 5
                lock gate (fun () -> cores <- cores - at.Threads)

            let items = [ for i in 1..12 -> item $"run {i}" [] (1 + i % 2) work ]
            let outcomes = run 3 items
            Expect.all outcomes (fun o -> o.Status = WorkStatus.Done) "all are done"
            Expect.isLessThanOrEqual highest 3 "never more cores than the budget"
            Expect.isGreaterThan highest 1 "side by side"
            Expect.equal threads.Count 12 "every run has a thread of its own"

            Expect.all
                (run 1 [ item "wide" [] 2 work ])
                (fun o -> o.Status = WorkStatus.Done)
                "a wide run fits one core")

        testCase "host/schedule/alone" (fun () ->
            let mutable running, others, threads = 0, 0, 0

            let other (_: WorkContext) =
                Interlocked.Increment &running |> ignore
                Thread.Sleep 5
                Interlocked.Decrement &running |> ignore

            let timing (at: WorkContext) =
                threads <- at.Threads

                for _ in 1..20 do
                    others <- max others (Volatile.Read &running)
                    Thread.Sleep 1

            let items = [
                for i in 1..6 -> item $"other {i}" [] 1 other
                yield WorkItem("timing", [||], 1, timing, IsAlone = true)
                for i in 7..12 -> item $"other {i}" [] 1 other
            ]

            Expect.all (run 3 items) (fun o -> o.Status = WorkStatus.Done) "all are done"
            Expect.equal others 0 "nothing runs beside what measures time"
            Expect.equal threads 1 "and it computes with one thread all the same")

        testCase "host/schedule/failure" (fun () ->
            let order = ConcurrentQueue<string>()
            let note id = fun (_: WorkContext) -> order.Enqueue id

            let outcomes =
                run 2 [
                    item "grandchild" [ "child" ] 1 (note "grandchild")
                    item "child" [ "bad" ] 1 (note "child")
                    item "after" [ "good" ] 1 (note "after")
                    item "bad" [] 1 (fun _ -> raise (ResearchException "the disk is made of cheese."))
                    item "defect" [] 1 (fun _ -> invalidOp "oops")
                    item "good" [] 1 (note "good")
                ]

            Expect.equal
                (statuses outcomes)
                [
                    "grandchild", WorkStatus.Skipped
                    "child", WorkStatus.Skipped
                    "after", WorkStatus.Done
                    "bad", WorkStatus.Failed
                    "defect", WorkStatus.Failed
                    "good", WorkStatus.Done
                ]
                "only what depends on a failure is skipped"

            Expect.sequenceEqual order [ "good"; "after" ] "dependencies come first"
            Expect.equal outcomes[3].Reason "the disk is made of cheese." "the user's error is its sentence"

            Expect.stringContains
                (nonNull outcomes[1].Reason)
                "bad"
                "the reason names the run that is missing"

            let summary = RunSummary(List.toArray outcomes, 3)
            Expect.equal summary.ExitCode 1 "a failure is exit code 1"
            Expect.hasLength (summary.Lines()) 5 "the summary lists what is not done")

        testCase "host/schedule/interruption" (fun () ->
            use source = new CancellationTokenSource()
            use board = new PlainBoard(TextWriter.Null)

            let obey (at: WorkContext) =
                source.Cancel()
                at.Cancellation.ThrowIfCancellationRequested()

            let items = [| item "first" [] 1 obey; item "second" [] 1 ignore |]
            let outcomes = Scheduler(1, board).Run(items, source.Token)

            Expect.sequenceEqual
                [ for o in outcomes -> o.Status ]
                [ WorkStatus.Cancelled; WorkStatus.Waiting ]
                "nothing starts after an interruption"

            let summary = RunSummary(outcomes, 0)
            Expect.equal summary.ExitCode 130 "exit code of an interrupted command"

            Expect.sequenceEqual
                (summary.Lines())
                [
                    "1 cancelled, 1 waiting, 0 cached"
                    "  first: interrupted; it resumes where it stopped"
                ]
                "What has not begun is counted and not listed")

        testCase "host/schedule/mistakes" (fun () ->
            for items in
                [
                    [ item "a" [] 1 ignore; item "a" [] 1 ignore ]
                    [ item "a" [ "b" ] 1 ignore ]
                    [ item "a" [ "b" ] 1 ignore; item "b" [ "a" ] 1 ignore ]
                ] do
                Expect.throwsT<ArgumentException>
                    (fun () -> run 1 items |> ignore)
                    "refused before anything runs")

        testCase "host/schedule/admission" (fun () ->
            let order = ConcurrentQueue<string>()
            let mutable asked = 0

            // Held elsewhere twice, then free; put aside once while it ran.
            let later () : Admission =
                asked <- asked + 1

                if asked <= 2 then
                    Admission.Later()
                else
                    Admission.Granted()

            let putAside (_: WorkContext) =
                if asked < 4 then
                    raise (WorkDeferredException())

                order.Enqueue "later"

            let over id status = fun () -> Admission.Over(WorkOutcome(id, status, "elsewhere")) :> Admission

            let items = [|
                WorkItem("later", [||], 1, putAside, Admit = later)
                item "after" [ "later" ] 1 (fun _ -> order.Enqueue "after")
                WorkItem(
                    "elsewhere",
                    [||],
                    1,
                    (fun _ -> order.Enqueue "never"),
                    Admit = over "elsewhere" WorkStatus.Done
                )
                item "needs" [ "elsewhere" ] 1 (fun _ -> order.Enqueue "needs")
                WorkItem("lost", [||], 1, ignore, Admit = over "lost" WorkStatus.Failed)
                item "skipped" [ "lost" ] 1 (fun _ -> order.Enqueue "never")
                WorkItem("broken", [||], 1, ignore, Admit = fun () -> invalidOp "oops")
            |]

            use board = new PlainBoard(TextWriter.Null)
            let scheduler = Scheduler(1, board, retry = TimeSpan.FromMilliseconds 5.0)

            Expect.equal
                [ for o in scheduler.Run(items, CancellationToken.None) -> o.Status ]
                [
                    WorkStatus.Done
                    WorkStatus.Done
                    WorkStatus.Done
                    WorkStatus.Done
                    WorkStatus.Failed
                    WorkStatus.Skipped
                    WorkStatus.Failed
                ]
                "what is not admitted is asked again, what is over elsewhere is over here"

            Expect.sequenceEqual order [ "needs"; "later"; "after" ] "others start meanwhile")

        testCase "host/schedule/many" (fun () ->
            // A chain and a fan: with any cost per item that grows with their number, this never ends.
            let count = 50_000
            let over () = Admission.Over(WorkOutcome("", WorkStatus.Done, "elsewhere")) :> Admission
            let some id needs = WorkItem(id, needs, 1, ignore, Admit = over)

            let chain = [|
                for i in 0 .. count - 1 ->
                    some $"c{i}" [|
                        if i > 0 then
                            $"c{i - 1}"
                    |]
            |]

            let fan = [| for i in 0 .. count - 1 -> some $"f{i}" [| "c0" |] |]
            use board = new PlainBoard(TextWriter.Null)
            let outcomes = Scheduler(2, board).Run(Array.append chain fan, CancellationToken.None)
            Expect.all outcomes (fun o -> o.Status = WorkStatus.Done) "all are done")
    ]

/// A clock that stands still until it is moved.
type private Clock() =
    inherit TimeProvider()
    let mutable now = 0L
    let ticks = ResizeArray<unit -> unit>()
    member _.Move(seconds: float) = now <- now + int64 (seconds * float TimeSpan.TicksPerSecond)
    override _.TimestampFrequency = TimeSpan.TicksPerSecond
    override _.GetTimestamp() = now
    /// Calls what the timers would.
    member _.Tick() = ticks |> Seq.iter (fun tick -> tick ())

    override _.CreateTimer(callback, state, _, _) =
        ticks.Add(fun () -> callback.Invoke state)

        {
            new ITimer with
                member _.Change(_, _) = true
                member _.Dispose() = ()
                member _.DisposeAsync() = System.Threading.Tasks.ValueTask()
        }

let private progress =
    testList "progress" [
        testCase "host/progress/rate" (fun () ->
            let clock = Clock()
            let meter = ProgressMeter("run", ignore, clock)
            Expect.equal (meter.Read().ToString()) "" "nothing to say before the first step"
            meter.Report(1000L, Nullable 1500L, 3.0)
            clock.Move 2.0
            meter.Report(1200L, Nullable 1500L, 131.25)

            Expect.equal
                (meter.Read().ToString())
                "step 1200/1500, 100 steps/s, 0:03 left, loss 131.2"
                "the rate counts this session's steps only")

        testCase "host/progress/lines" (fun () ->
            use output = new StringWriter()
            let clock = Clock()
            use board = new PlainBoard(output, TimeSpan.FromSeconds 10.0, clock)
            board.Plan(Forecast 4)
            let first = board.Begin "first"
            board.Begin "second" |> ignore
            first.Say "resuming after step 1"
            first.Report(1L, Nullable 1001L, 1.0)
            clock.Move 10.0
            first.Report(101L, Nullable 1001L, 0.5)
            clock.Tick()
            board.Begin "third" |> ignore
            board.End(WorkOutcome("third", WorkStatus.Done, Elapsed = TimeSpan.FromSeconds 0.4))
            board.End(WorkOutcome("first", WorkStatus.Done, Elapsed = TimeSpan.FromSeconds 61.0))
            board.End(WorkOutcome("fourth", WorkStatus.Skipped, "skipped because zero is not done"))

            Expect.sequenceEqual
                (output.ToString().TrimEnd().Split '\n')
                [
                    "first: resuming after step 1"
                    "[0/4] first: step 101/1001, 10 steps/s, 1:30 left, loss 0.5"
                    "[0/4] second: running for 0:10"
                    "[0/4] all runs: running"
                    "[2/4] first: done in 1:01"
                    "[3/4] fourth: skipped because zero is not done"
                ]
                "a line for each that runs and for the whole, none for what takes no time")

        testCase "host/progress/left" (fun () ->
            let clock = Clock()
            let meter id = ProgressMeter(id, ignore, clock)
            let seconds: float -> Nullable<TimeSpan> = TimeSpan.FromSeconds >> Nullable

            let forecast cores items =
                Forecast(cores, [ for item, expected in items -> struct (item, expected) ])

            let known = [ item "a" [] 1 ignore, seconds 100.0; item "b" [] 2 ignore, seconds 60.0 ]

            Expect.equal ((forecast 2 known).Left []) "about 1:50 left" "core-seconds over the cores"
            Expect.equal ((forecast 8 known).Left []) "about 0:27 left" "of what waits"

            let open' = forecast 2 ((item "c" [] 1 ignore, Nullable()) :: known)
            Expect.equal (open'.Left []) "at least 1:50 left" "of one nothing is known"
            let a, c = meter "a", meter "c"
            clock.Move 40.0
            Expect.equal (open'.Left [ a ]) "at least 1:30 left" "what ran has gone by"
            c.Report(1L, Nullable(), 1.0)
            clock.Move 1.0
            c.Report(2L, Nullable(), 1.0)
            Expect.equal (open'.Left [ c ]) "at least 1:50 left" "a rate without an end tells nothing"
            c.Report(2L, Nullable 102L, 1.0)
            Expect.equal (open'.Left [ c ]) "about 2:40 left" "one with an end does"
            open'.End "a"
            open'.End "c"
            Expect.equal (open'.Left []) "about 1:00 left" "the end of one is taken off"
            Expect.equal ((forecast 2 [ item "d" [] 1 ignore, Nullable() ]).Left []) "" "nothing is known"

            let long = forecast 8 [ item "a" [] 1 ignore, seconds 200.0 ]
            Expect.equal (long.Left [ meter "a" ]) "about 3:20 left" "no core helps the one that runs")

        testCase "host/progress/heartbeat" (fun () ->
            use output = new StringWriter()
            let clock = Clock()
            use beat = new Heartbeat(output, "compiling", clock)
            clock.Move 10.0
            clock.Tick()

            Expect.equal
                (output.ToString().TrimEnd().Split '\n')
                [| "compiling"; "compiling, 0:10" |]
                "what goes on")

        testCase "host/schedule/longest-first" (fun () ->
            let order = ConcurrentQueue<string>()
            let item id priority = WorkItem(id, [||], 1, (fun _ -> order.Enqueue id), Priority = priority)
            run 1 [ item "a" 1.0; item "b" 5.0; item "c" infinity; item "d" 5.0 ] |> ignore
            Expect.sequenceEqual order [ "c"; "b"; "d"; "a" ] "largest priority first, then the order given")

        testCase "host/schedule/longest-chain-first" (fun () ->
            let order = ConcurrentQueue<string>()

            let item id needed priority =
                WorkItem(id, needed, 1, (fun _ -> order.Enqueue id), Priority = priority)

            run 1 [
                item "long" [| "middle" |] 9.0
                item "short" [||] 2.0
                item "middle" [| "start" |] 1.0
                item "start" [||] 1.0
                item "longer" [||] 10.0
            ]
            |> ignore

            Expect.sequenceEqual
                order
                [ "longer"; "start"; "middle"; "long"; "short" ]
                "what a long one waits for goes before what is longer than it alone")
    ]

let private devices =
    testList "devices" [
        testCase "host/device" (fun () ->
            Expect.equal (Devices.Parse("cpu").ToString()) "cpu" "cpu"
            let refused = [ "gpu"; "cuda:"; "cuda:-1"; "cuda:x"; "" ]

            for name in refused do
                let sentence = sentenceOf (fun () -> Devices.Parse name |> ignore)
                Expect.stringContains sentence "choose auto, cpu, cuda or cuda:N" "the choices are named"

            if not (torch.cuda.is_available ()) then
                Expect.equal (Devices.Parse("auto").ToString()) "cpu" "auto without a GPU"
                let sentence = sentenceOf (fun () -> Devices.Parse "cuda" |> ignore)
                Expect.stringContains sentence "no CUDA" "the reason is named"

            Expect.stringStarts (Devices.Engine(torch.device "cpu")) "libtorch " "library, version, kind")
    ]

[<Tests>]
let tests = testList "scheduling" [ scheduling; progress; devices ]
