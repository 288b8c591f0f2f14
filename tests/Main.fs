module Research.Tests.Main

open System
open System.IO
open System.Reflection
open Expecto
open TorchSharp
open Research.Host

/// Not through Console.Out: Expecto's writer stays there, which pads and colours lines whatever it is told, and scripts read
/// these.
let private say (lines: string) =
    use output = new StreamWriter(Console.OpenStandardOutput())
    output.Write $"\n{lines}\n"

/// Runs tests, says why some are ignored, and ends with `N passed, N failed`.
let private counted (run: CLIArguments list -> int) : int =
    let mutable counts = None

    let count (summary: Impl.TestRunSummary) =
        for test, outcome in summary.ignored do
            match outcome.result with
            | Impl.TestResult.Ignored reason -> say $"""ignored {String.Join(".", test.name)}: {reason}"""
            | _ -> ()

        counts <- Some(summary.passed.Length, summary.failed.Length + summary.errored.Length)

    let code =
        run [
            CLIArguments.Append_Summary_Handler(SummaryHandler count)
            if Console.IsOutputRedirected then
                CLIArguments.Colours 0
                CLIArguments.No_Spinner
        ]

    match counts with
    | Some(passed, failed) -> say $"{passed} passed, {failed} failed"
    | None -> ()

    code

/// What the laws measured, from which the report's appendix is made.
let private saveLaws () = Law.save (Path.Combine(Repository.root, "results", "laws.json"))

let private all () = Impl.testFromThisAssembly () |> Option.defaultValue (TestList([], FocusState.Normal))

/// Runs every value marked [<Tests>] in this assembly. A run of all tests also saves what the laws measured.
let private runAll (argv: string array) : int =
    counted (fun settings ->
        let code = runTestsInAssemblyWithCLIArgs settings argv

        if argv.Length = 0 then
            saveLaws ()

        code)

/// `--laws`: the laws alone, which is what a report needs of the tests.
let private runLaws () : int =
    let laws = all () |> Test.filter "." (List.last >> Law.isKnown)

    counted (fun settings ->
        let code = runTestsWithCLIArgs settings [||] laws
        saveLaws ()
        code)

/// Tests, or the training that a test wants in a process of its own, or with `--page PATH` a look at a page that was
/// rendered before. One torch thread: the tests themselves run side by side.
[<EntryPoint>]
let main argv =
    try
        // A race for leases needs no libtorch.
        let loaded (mode: string array -> int option) (argv: string array) =
            TorchLibrary.Load()
            mode argv

        let modes = [
            LeaseRace.tryRunChild
            loaded TinyTraining.tryRunChild
            RenderKillTests.tryRunChild
            SlurmChildren.tryRun
            ProcessesTests.tryRunChild
            Page.tryRun
            TryTests.tryRunChild
        ]

        match modes |> List.tryPick (fun run -> run argv) with
        | Some code -> code
        | None ->
            torch.set_num_threads 1

            if argv = [| "--slurm" |] then
                counted (fun settings -> runTestsWithCLIArgs settings [||] SlurmTorture.tests)
            elif Platform.isCalledBy argv then
                Platform.serve argv (all ())
            elif argv = [| "--laws" |] then
                runLaws ()
            else
                runAll argv
    with :? ResearchException as error ->
        eprintfn "%s" error.Message
        error.ExitCode
