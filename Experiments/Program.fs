/// The command line. Exit codes: 0 done, 1 a run failed, 2 bad usage, 130 interrupted.
module Research.Experiments.Program

open System
open System.IO
open Argu
open TorchSharp
open Research.Host
open Research.Report

let private badUsage sentence = raise (ResearchException(sentence, ResearchException.BadUsage))

/// Raises ResearchException (bad usage) for an option that is given twice, and for an empty text, which names nothing.
let private requireValues (arguments: ParseResults<'T>) =
    let given = [
        for result in arguments.GetAllResults() ->
            List.ofArray (arguments.Parser.PrintCommandLineArguments [ result ])
    ]

    let options = given |> List.map List.head |> List.filter _.StartsWith("--")

    for words in given do
        if words |> List.exists String.IsNullOrWhiteSpace then
            badUsage (
                if List.contains words.Head options then
                    $"{words.Head} needs a value, and an empty text is none."
                else
                    "an empty text names nothing."
            )

    for option, times in List.countBy id options do
        if times > 1 then
            badUsage $"{option} is given {times} times: once is enough."

/// The project's folder, which holds paper/: above the program, or, for a published program, the working directory or
/// above it.
let private root () =
    let rec up (directory: DirectoryInfo | null) =
        match directory with
        | null -> None
        | here when File.Exists(Path.Combine(here.FullName, "paper", "main.tex")) -> Some here.FullName
        | here -> up here.Parent

    [ AppContext.BaseDirectory; Environment.CurrentDirectory ]
    |> List.tryPick (DirectoryInfo >> up)
    |> Option.defaultWith (fun () ->
        raise (
            ResearchException
                "the project's folder is not found: there is no paper/main.tex above the program or the working directory."
        ))

let private profile (name: string option) =
    let word = defaultArg name "quick"

    match Profile.tryParse word with
    | Some profile -> profile
    | None -> badUsage $"'{word}' is no profile: choose smoke, quick or paper."

let private plan profile (device: torch.Device) (data: string option) =
    let directory = DataOptions.Explicit(Option.toObj data)
    let download = profile <> Smoke
    let options = DataOptions(directory, download, Default = Path.Combine(root (), "data"))
    Plan(profile, device, options)

let private places (results: string option) : Session.Places =
    let root = root ()

    {
        Results = defaultArg results (Path.Combine(root, "results"))
        Paper = Path.Combine(root, "paper")
    }

/// Where a command works and with what.
let private setup device (results: string option) (name: string option) (data: string option) =
    places results, plan (profile name) device data

let private list () =
    for row in Registry.rows do
        let answer =
            match row.Answer with
            | Registry.Derived -> "text"
            | Registry.Computed _ -> "runs"

        printfn $"%-8s{row.Id} %-13s{row.Source} %-5s{answer} {row.Question}"

    0

let private words (text: string) =
    match List.ofArray (text.Split([| ','; ' ' |], StringSplitOptions.RemoveEmptyEntries)) with
    | [] -> badUsage "--only needs rows, e.g. ift1,hw5.1."
    | words -> words

/// How many runs go at a time, on so many cores. libtorch has one thread per GPU for all backward passes of a process, and
/// it serves the run that is furthest first: of several small runs at once the last would stand still. On a GPU they go
/// one after the other; processes share a store.
let private jobs (device: TorchSharp.torch.Device) (asked: int option) =
    let usual =
        if device.``type`` = TorchSharp.DeviceType.CPU then
            Environment.ProcessorCount
        else
            1

    let jobs = defaultArg asked usual

    if jobs < 1 then
        badUsage "--jobs must be at least 1."

    jobs

let private planned (arguments: ParseResults<PlanArguments>) (withPaper: bool) action =
    let ids =
        arguments.GetResult(PlanArguments.Rows, defaultValue = [])
        @ (arguments.TryGetResult PlanArguments.Only |> Option.map words |> Option.defaultValue [])

    requireValues arguments

    if not withPaper && arguments.Contains PlanArguments.No_Paper then
        badUsage "--no-paper belongs to report and render."

    Executing.requireSense arguments

    let places, plan =
        setup
            (Executing.device (root ()) arguments)
            (arguments.TryGetResult PlanArguments.Results)
            (arguments.TryGetResult PlanArguments.Profile)
            (arguments.TryGetResult PlanArguments.Data)

    let jobs = jobs plan.Device (arguments.TryGetResult PlanArguments.Jobs)
    // Before anything is read or trained: a typing error should not cost a minute.
    Session.select ids |> ignore
    action places plan jobs ids

let private data (arguments: ParseResults<DataArguments>) =
    requireValues arguments

    let named =
        DataOptions.Explicit(Option.toObj (arguments.TryGetResult DataArguments.Directory))
        |> Option.ofObj

    let directory = named |> Option.defaultWith (fun () -> Path.Combine(root (), "data"))
    let action = arguments.GetResult(DataArguments.Action, defaultValue = DataAction.List)

    if not action.IsFetch then
        Option.iter Datasets.RequireFolder named

    let sets =
        match arguments.TryGetResult DataArguments.Set with
        | None -> List.ofSeq DataCatalog.All
        | Some key ->
            try
                [ DataCatalog.Parse key ]
            with :? ArgumentException as error ->
                badUsage error.Message

    DataCommand.run action sets directory

let private tryScript (arguments: ParseResults<TryArguments>) =
    requireValues arguments

    let places, plan =
        setup
            (Devices.Parse "auto")
            (arguments.TryGetResult TryArguments.Results)
            (arguments.TryGetResult TryArguments.Profile)
            (arguments.TryGetResult TryArguments.Data)

    let jobs = jobs plan.Device (arguments.TryGetResult TryArguments.Jobs)
    Rendering.tryScript places plan jobs (arguments.GetResult TryArguments.Script)

let private sample (arguments: ParseResults<SampleArguments>) =
    requireValues arguments
    let count = arguments.GetResult(SampleArguments.Count, defaultValue = 64)

    if count < 1 || count > 10000 then
        badUsage "--count must be between 1 and 10000."

    let places, plan =
        setup
            (Devices.Parse "auto")
            (arguments.TryGetResult SampleArguments.Results)
            (arguments.TryGetResult SampleArguments.Profile)
            (arguments.TryGetResult SampleArguments.Data)

    Session.sample
        places
        plan
        (arguments.GetResult SampleArguments.Row)
        count
        (arguments.GetResult(SampleArguments.Seed, defaultValue = 1L))
        (arguments.GetResult(SampleArguments.Output, defaultValue = "samples.png"))

    0

let private run (arguments: ParseResults<PlanArguments>) =
    planned arguments false (fun places plan jobs ids ->
        let execution = Executing.execution (root ()) arguments places plan jobs None
        (Session.run places plan execution ids).ExitCode)

let private report (arguments: ParseResults<PlanArguments>) =
    let withPaper = not (arguments.Contains PlanArguments.No_Paper)

    // Before the runs: a missing LaTeX should not be found out after an hour of training.
    if withPaper && not (Latex.isInstalled ()) then
        raise (ResearchException Latex.missing)

    let watch = Diagnostics.Stopwatch.StartNew()

    planned arguments true (fun places plan jobs ids ->
        let execution = Executing.execution (root ()) arguments places plan jobs (Some "report")
        let summary = Session.run places plan execution ids

        if summary.IsComplete then
            Rendering.render places plan ids withPaper
            printfn "done in %s" (ProgressFormat.Time watch.Elapsed)

        summary.ExitCode)

let private worker (arguments: ParseResults<PlanArguments>) =
    match arguments.TryGetResult PlanArguments.Tasks with
    | None -> badUsage "worker needs --tasks FILE; it is what --executor slurm submits."
    | Some tasks ->
        planned arguments true (fun places plan jobs ids -> Session.work places plan jobs tasks ids)

let private dispatch (arguments: ParseResults<Arguments>) =
    match arguments.GetSubCommand() with
    | Report arguments -> report arguments
    | List _ -> list ()
    | Try arguments -> tryScript arguments
    | Run arguments -> run arguments
    | Worker arguments -> worker arguments
    | Status arguments ->
        planned arguments false (fun places plan _ ids ->
            Session.status places plan ids |> List.iter (printfn "%s")
            0)
    | Render arguments ->
        planned arguments true (fun places plan _ ids ->
            Rendering.render places plan ids (not (arguments.Contains PlanArguments.No_Paper))
            0)
    | Why arguments ->
        planned arguments false (fun places plan _ ids ->
            for id in
                (if ids.IsEmpty then
                     badUsage "name a row: research why ID."
                 else
                     ids) do
                Session.why places plan id |> List.iter (printfn "%s")

            0)
    | Data arguments -> data arguments
    | Sample arguments -> sample arguments
    | Doctor _ ->
        Doctor.lines (Devices.Parse "auto") |> List.iter (printfn "%s")
        0

/// Obeys a command line: the exit code and, when it is not obeyed, why in one sentence.
let answer (argv: string array) : int * string option =
    let parser = ArgumentParser.Create<Arguments>(programName = "research")

    try
        if argv |> Array.exists (Seq.exists Char.IsControl) then
            badUsage
                "the command line holds a control character, such as the end of a line: nothing here has one."

        let arguments = parser.ParseCommandLine(argv, raiseOnUsage = true)
        TorchLibrary.Load()
        dispatch arguments, None
    with
    | :? ArguParseException as error when error.ErrorCode = ErrorCode.HelpText ->
        printfn "%s" error.Message
        0, None
    | :? ArguParseException as error ->
        // The first line is the sentence; the usage that follows is a --help away.
        let sentence = (error.Message.Split '\n' |> Array.head).Replace("ERROR: ", "").TrimEnd()
        ResearchException.BadUsage, Some $"{sentence} (see research --help)"
    | :? ResearchException as error -> error.ExitCode, Some error.Message
    // A file or folder that the user named cannot be read or written; the message names it.
    | :? IOException
    | :? UnauthorizedAccessException as error -> ResearchException.RunFailed, Some error.Message
    | error ->
        let trace = Path.Combine(Path.GetTempPath(), "research-defect.txt")
        File.WriteAllText(trace, string error)

        ResearchException.RunFailed,
        Some $"{WorkOutcome.ReasonOf error} (a defect of the program; its trace is in {trace})"

[<EntryPoint>]
let main argv =
    let code, sentence = answer argv
    sentence |> Option.iter (eprintfn "%s")
    code
