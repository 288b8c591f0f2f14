/// Several processes that share the runs of one command, and the hidden child processes that do.
module Research.Tests.ProcessesTests

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Host

let private cpu = torch.device "cpu"

/// A folder beside the runs that says what the processes of a test do.
let private said (root: string) (name: string) =
    Directory.CreateDirectory(Path.Combine(root, "said", name)).FullName

/// While a process works for a test a file is named after it.
let private present (root: string) : IDisposable =
    let file = Path.Combine(said root "present", string Environment.ProcessId)
    File.WriteAllText(file, "")

    {
        new IDisposable with
            member _.Dispose() = File.Delete file
    }

let private processes (root: string) =
    Directory.GetFiles(said root "present") |> Array.map (Path.GetFileName >> int)

/// Which process computed what, from names of files: these are never half there.
let private computedBy (root: string) = [
    for file in Directory.GetFiles(said root "by") do
        let words = (nonNull (Path.GetFileName file)).Split ' '
        words[0], int words[1]
]

/// Trainings of which each step waits for so many milliseconds, a run that measures time, and one that needs it.
let private plan (root: string) (pause: int) : RunRequest list =
    let noting (work: RunContext -> unit) (context: RunContext) =
        File.WriteAllText(Path.Combine(said root "by", $"{context.Key.Name} {Environment.ProcessId}"), "")
        work context

    let measured = RunKey("timed", [], 1L, "none", "test", noCode)

    // For as long as another process takes to begin.
    let measure (context: RunContext) =
        let others = [
            for _ in 1..40 do
                Thread.Sleep 50
                float (processes root |> Array.filter ((<>) Environment.ProcessId)).Length
        ]

        context.Run.SaveValues(readOnlyDict [ "others", List.max others ])

    let ofMeasured = RunKey("of-timed", [], 1L, "none", "test", noCode, [ measured ])

    [
        RunRequest(measured, 1, noting measure, IsAlone = true)
        RunRequest(ofMeasured, 1, noting (fun context -> context.Run.SaveValues(readOnlyDict [ "is", 1.0 ])))
        for seed in 1L .. 6L do
            let key = RunKey($"tiny-{seed}", [], seed, "none", "test", noCode)

            let rest () =
                if pause > 0 then
                    Thread.Sleep pause

            RunRequest(key, 1, noting (TinyTraining.work 300L (CheckpointPolicy()) rest))
    ]

let private together root (pause: int) (cancellation: CancellationToken) : RunSummary =
    use _ = present root
    use board = new PlainBoard(TextWriter.Null)
    let command = [| yield! OwnProgram.CommandLine; "processes-beside"; root; string pause |]
    ProcessesExecutor(RunStore root, cpu, 1, board, 2, command).Run(plan root pause, cancellation)

/// The hidden modes `processes ROOT PAUSE` and `processes-beside ROOT PAUSE` of the test program.
let tryRunChild (argv: string array) =
    match argv with
    | [| "processes"; root; pause |] -> Some((together root (int pause) CancellationToken.None).ExitCode)
    | [| "processes-beside"; root; pause |] ->
        use _ = present root
        use board = new PlainBoard(TextWriter.Null)

        use interruption =
            new Interruption((fun message -> board.Say message), Console.OpenStandardInput())

        let runs = ProcessesExecutor.Shared(plan root (int pause))
        let summary = Runner(RunStore root, cpu, 1, board).Run(runs, interruption.Token)
        Some summary.ExitCode
    | _ -> None

/// Waits for what must come about.
let private await (what: string) (isSo: unit -> bool) =
    let clock = Stopwatch.StartNew()

    while not (isSo ()) do
        if clock.Elapsed > TimeSpan.FromMinutes 1.0 then
            failtest $"in vain waited until {what}"

        Thread.Sleep 20

let private isAlive (id: int) =
    try
        use found = Process.GetProcessById id
        not found.HasExited
    with :? ArgumentException ->
        false

let private values root (request: RunRequest) = [
    for pair in (RunStore(root).Require request.Key).ReadValues() -> pair.Key, pair.Value
]

[<Tests>]
let tests =
    testSequencedGroup "processes"
    <| testList "processes" [
        testCase "host/processes/together" (fun () ->
            inFolder (fun root ->
                inFolder (fun other ->
                    let summary = together root 3 CancellationToken.None
                    let by = computedBy root |> Map.ofList
                    Expect.isTrue summary.IsComplete (String.Join("; ", summary.Lines()))

                    Expect.isGreaterThan
                        (Seq.length (Seq.distinct by.Values))
                        1
                        "more than one process computed"

                    Expect.equal
                        (by["timed"], by["of-timed"])
                        (Environment.ProcessId, Environment.ProcessId)
                        "this one measured"

                    let runs = plan root 0
                    Expect.equal (values root runs.Head) [ "others", 0.0 ] "when the others had ended"
                    use board = new PlainBoard(TextWriter.Null)

                    let here =
                        Runner(RunStore other, cpu, 2, board).Run(plan other 0, CancellationToken.None)

                    Expect.isTrue here.IsComplete "in one process"

                    for run in runs do
                        Expect.equal (values root run) (values other run) run.Key.Name)))

        testCase "host/processes/interrupted" (fun () ->
            inFolder (fun root ->
                use stop = new CancellationTokenSource()
                let mutable seen: int[] = [||]

                let watching =
                    Tasks.Task.Run(fun () ->
                        await "another process computes" (fun () ->
                            seen <- processes root
                            computedBy root |> List.exists (fun (_, by) -> by <> Environment.ProcessId))

                        stop.Cancel())

                let summary = together root 20 stop.Token
                watching.Wait()
                Expect.isTrue summary.IsInterrupted "it stops"
                let listing = RunStore(root).List()
                // Those that measure time were never theirs.
                let left =
                    ProcessesExecutor.Shared(plan root 0)
                    |> Seq.filter (fun run -> not (listing.IsComplete run.Key))

                Expect.isNonEmpty left "the others do not go on to the end"

                for id in seen do
                    if id <> Environment.ProcessId then
                        Expect.isFalse (isAlive id) "and so did the others before it said so"

                Expect.isTrue (together root 0 CancellationToken.None).IsComplete "the next call goes on"))

        testCase "host/processes/killed" (fun () ->
            inFolder (fun root ->
                use child = Children.start [ "processes"; root; "20" ]
                use _ = Children.endWith child
                let others () = processes root |> Array.filter ((<>) child.Id)
                await "another process works" (fun () -> (others ()).Length > 0)
                let seen = others ()
                child.Kill()
                await "no other is left" (fun () -> not (Array.exists isAlive seen))))

        testCase "host/processes/cached" (fun () ->
            inFolder (fun root ->
                use board = new PlainBoard(TextWriter.Null)
                let plan = plan root 0
                Runner(RunStore root, cpu, 2, board).Run(plan, CancellationToken.None) |> ignore
                // A command that cannot start would say so.
                let executor = ProcessesExecutor(RunStore root, cpu, 1, board, 2, [| "/no/such/program" |])
                let again = executor.Run(plan, CancellationToken.None)
                Expect.equal again.Cached plan.Length "with nothing left to compute no process is started"))
    ]
