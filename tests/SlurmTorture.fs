/// `./test --slurm`: the whole smoke report through a real Slurm, once for each way in which Slurm loses work. Each must
/// equal the report made here, bit for bit.
module Research.Tests.SlurmTorture

open System
open System.Diagnostics
open System.IO
open Expecto
open TorchSharp
open Research.Host
open Research.Experiments
open Research.Tests.SlurmCluster

/// Runs whose results are times: no two computations of them agree, wherever they take place. The stores share them.
let private timed = [ "hw4.2.time"; "hw5.4.cost"; "ift6.smoke"; "ift9.time" ]

/// The program beside this one, of the same build.
let private program =
    let here = AppContext.BaseDirectory.TrimEnd Path.DirectorySeparatorChar
    let build = Path.GetRelativePath(Path.Combine(Repository.root, "tests"), here)
    Path.Combine(Repository.root, "Experiments", build, "research")

let private start (variables: (string * string) list) (arguments: string list) =
    let info = ProcessStartInfo(program, arguments)
    info.Environment.Remove "RESEARCH_DATA" |> ignore

    for name, value in variables do
        info.Environment[name] <- value

    info.RedirectStandardOutput <- true
    Process.Start info |> nonNull

let private run results = [ "run"; "--profile"; "smoke"; "--results"; results; "--device"; "cpu" ]

/// All files that the report is made of, by name.
let private rendered (results: string) : (string * string) list =
    let paper = paperIn (Directory.CreateDirectory(results + "-paper")).FullName
    let generated = Path.Combine(paper, "generated")
    let options = DataOptions(null, false, ForceStandIn = true, Warn = ignore)
    let plan = Plan(Smoke, torch.device "cpu", options)
    Rendering.render { Results = results; Paper = paper } plan [] false

    [
        yield "claims.json", File.ReadAllText(Path.Combine(results, "smoke", "claims.json"))

        for file in Directory.EnumerateFiles(generated, "*", SearchOption.AllDirectories) |> Seq.sort do
            yield Path.GetRelativePath(generated, file), Convert.ToHexString(File.ReadAllBytes file)
    ]

let private folder = lazy (Directory.CreateTempSubdirectory "research-torture-").FullName

let private here =
    lazy
        (let results = Path.Combine(folder.Value, "here")
         use child = start [] (run results)
         child.StandardOutput.ReadToEnd() |> ignore
         child.WaitForExit()
         Expect.equal child.ExitCode 0 "the runs are done here"
         results, rendered results)

type private Submitter(cluster: Cluster, results: string, options: string list) =
    let begin' () =
        start
            cluster.Environment
            (run results @ [ "--executor"; "slurm"; "--wait"; "--runs-per-task"; "12" ] @ options)

    let mutable child = begin' ()

    member _.AwaitSubmission() =
        let mutable line = child.StandardOutput.ReadLine()

        while not (isNull line)
              && not ((nonNull line).StartsWith("submitted", StringComparison.Ordinal)) do
            line <- child.StandardOutput.ReadLine()

        Expect.isNotNull line "something is submitted"

    member _.KillAndRestart() =
        child.Kill()
        child.WaitForExit()
        child <- begin' ()

    member _.AwaitEnd() =
        let said = child.StandardOutput.ReadToEnd()
        child.WaitForExit()
        Expect.equal child.ExitCode 0 $"all runs are done: {said}"

    interface IDisposable with
        member _.Dispose() = (Children.endWith child).Dispose()

let private awaitWork (results: string) =
    let work = Path.Combine(results, "work")

    await "runs at work" 120.0 (fun () ->
        Directory.Exists work && not (Seq.isEmpty (Directory.EnumerateDirectories work)))

let private logs (results: string) =
    Directory.EnumerateFiles(Path.Combine(results, "slurm"), "*.log", SearchOption.AllDirectories)
    |> Seq.map File.ReadAllText
    |> String.concat "\n"

/// Each way to lose work: further options, and what happens after the submission.
let private faults: (string * string list * (Cluster -> Submitter -> string -> unit)) list = [
    "nothing", [], (fun _ _ _ -> ())
    "a node killed",
    [],
    (fun cluster _ results ->
        awaitWork results

        await "work on n2" 60.0 (fun () ->
            cluster.KillNode "n2"
            || (cluster.StartNode "n2"
                false))

        cluster.StartNode "n2")
    "tasks preempted",
    [],
    (fun cluster _ results ->
        awaitWork results
        cluster.Preempt 5
        await "the preemption" 60.0 (fun () -> (logs results).Contains "asked to stop: saving"))
    "tasks at their limit",
    [ "--time"; "1"; "--notice"; "40" ],
    (fun _ _ results -> await "a limit" 120.0 (fun () -> (logs results).Contains "the time limit is near"))
    "the controller killed right after sbatch",
    [],
    (fun cluster _ _ ->
        cluster.KillController()
        cluster.StartController())
    "the submitting process killed and started again",
    [],
    (fun _ submitter results ->
        awaitWork results
        submitter.KillAndRestart())
]

let private endure (options: string list) (inject: Cluster -> Submitter -> string -> unit) (name: string) =
    let local, expected = here.Value
    let results = Path.Combine(folder.Value, name.Replace(' ', '-'))

    for run in Directory.GetDirectories(Path.Combine(local, "runs")) do
        let id = nonNull (Path.GetFileName run)

        if timed |> List.exists (fun name -> id.StartsWith($"{name}-", StringComparison.Ordinal)) then
            copyFolder run (Path.Combine(results, "runs", id))

    withCluster (fun cluster ->
        use submitter = new Submitter(cluster, results, options)
        submitter.AwaitSubmission()
        inject cluster submitter results
        submitter.AwaitEnd())

    let actual = rendered results

    Expect.equal
        [ for name, _ in actual -> name ]
        [ for name, _ in expected -> name ]
        "the report is made of the same files"

    for (name, bytes), (_, same) in List.zip actual expected do
        Expect.isTrue (bytes = same) $"{name} is equal to the bit"

let tests =
    testSequenced (
        testList "slurm torture" [
            for name, options, inject in faults ->
                testCase $"host/slurm/report: {name}" (fun () -> endure options inject name)
        ]
    )
