namespace Expecto

open System
open System.Collections.Concurrent
open System.Diagnostics
open System.Threading

/// Running: from a list of leaves to a list of results.
module Impl =
    /// How a test ended.
    [<RequireQualifiedAccess>]
    type TestResult =
        | Passed
        | Ignored of reason: string
        /// An expectation did not hold.
        | Failed of message: string
        /// The test raised something that is no expectation.
        | Error of exn

    /// A test, how it ended and how long that took.
    type TestRun = { test: FlatTest; result: TestResult; duration: TimeSpan }

    /// The totals of a run.
    type TestRunSummary = {
        results: TestRun list
        duration: TimeSpan
    } with

        member private this.Count predicate =
            this.results |> Seq.filter (fun r -> predicate r.result) |> Seq.length

        member this.passed = this.Count _.IsPassed
        member this.ignored = this.Count _.IsIgnored
        member this.failed = this.Count _.IsFailed
        member this.errored = this.Count _.IsError
        member this.successful = this.failed = 0 && this.errored = 0

    /// Runs one test to its end; only its own verdict comes out.
    let private execute (test: FlatTest) =
        let clock = Stopwatch.StartNew()

        let result =
            try
                match test.test with
                | Sync body -> body ()
                | Async body -> Async.RunSynchronously body

                TestResult.Passed
            with
            | :? IgnoreException as e -> TestResult.Ignored e.Message
            | :? ExpectoException as e -> TestResult.Failed e.Message
            | e -> TestResult.Error e

        { test = test; result = result; duration = clock.Elapsed }

    /// Why a test does not run, if so.
    let private silenced anyFocused (test: FlatTest) =
        match test.state with
        | Pending -> Some "The test is pending."
        | Normal when anyFocused -> Some "Another test is focused."
        | _ -> None

    /// The jobs that may run side by side: single tests, and whole groups of sequenced tests.
    let private parallelJobs (tests: FlatTest list) =
        let singles =
            tests |> List.filter (fun t -> t.sequenced = InParallel) |> List.map List.singleton

        let groups =
            tests
            |> List.filter (fun t -> t.sequenced.IsSynchronousGroup)
            |> List.groupBy _.sequenced
            |> List.map snd

        groups @ singles

    /// Runs the tests on the given number of threads, those that are Synchronous alone at the end.
    /// Each result is handed to `report` as it comes, one at a time. After cancellation no further
    /// test starts. The summary has the order of the tests.
    let run workers (cancellation: CancellationToken) (report: TestRun -> unit) (tests: FlatTest list) =
        let clock = Stopwatch.StartNew()
        let anyFocused = tests |> List.exists _.state.IsFocused
        let results = ConcurrentDictionary<string, TestRun>()
        let reporting = obj ()

        let finish (run: TestRun) =
            results[run.test.fullName] <- run
            lock reporting (fun () -> report run)

        let running =
            tests
            |> List.filter (fun test ->
                match silenced anyFocused test with
                | Some reason ->
                    finish { test = test; result = TestResult.Ignored reason; duration = TimeSpan.Zero }
                    false
                | None -> true)

        let perform job =
            for test in job do
                if not cancellation.IsCancellationRequested then
                    finish (execute test)

        let alone, together = running |> List.partition _.sequenced.IsSynchronous
        let queue = ConcurrentQueue(parallelJobs together)

        let work () =
            let mutable job = []

            while queue.TryDequeue &job do
                perform job

        // Threads of their own: a test may set what belongs to its thread, and may block.
        let threads = List.init (max 1 (min workers queue.Count)) (fun _ -> Thread(work, 16 <<< 20))
        threads |> List.iter _.Start()
        threads |> List.iter _.Join()
        perform alone

        {
            results =
                tests
                |> List.choose (fun test ->
                    match results.TryGetValue test.fullName with
                    | true, run -> Some run
                    | _ -> None)
            duration = clock.Elapsed
        }
