/// The command line. Exit codes: 0 done, 1 a run failed, 2 bad usage, 130 interrupted.
module Research.Experiments.Program

open System
open System.IO
open Argu
open Research.Host
open Research.Report

let private badUsage sentence = raise (ResearchException(sentence, ResearchException.BadUsage))

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

let private plan profile (device: string option) (data: string option) =
    let directory = DataOptions.Explicit(Option.toObj data)
    let download = profile <> Smoke
    let options = DataOptions(directory, download, Default = Path.Combine(root (), "data"))
    Plan(profile, Devices.Parse(defaultArg device "auto"), options)

let private places (results: string option) : Session.Places =
    let root = root ()

    {
        Results = defaultArg results (Path.Combine(root, "results"))
        Paper = Path.Combine(root, "paper")
    }

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

let private jobs (asked: int option) =
    let jobs = defaultArg asked Environment.ProcessorCount

    if jobs < 1 then
        badUsage "--jobs must be at least 1."

    jobs

let private planned (arguments: ParseResults<PlanArguments>) (withPaper: bool) action =
    let ids =
        arguments.GetResult(PlanArguments.Rows, defaultValue = [])
        @ (arguments.TryGetResult PlanArguments.Only |> Option.map words |> Option.defaultValue [])

    let jobs = jobs (arguments.TryGetResult PlanArguments.Jobs)

    if not withPaper && arguments.Contains PlanArguments.No_Paper then
        badUsage "--no-paper belongs to report and render."

    let plan =
        plan
            (profile (arguments.TryGetResult PlanArguments.Profile))
            (arguments.TryGetResult PlanArguments.Device)
            (arguments.TryGetResult PlanArguments.Data)

    // Before anything is read or trained: a typing error should not cost a minute.
    Session.select ids |> ignore
    action (places (arguments.TryGetResult PlanArguments.Results)) plan jobs ids

let private data (arguments: ParseResults<DataArguments>) =
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

    let print (rows: DataRow seq) =
        for row in rows do
            let state = (string row.State).ToLowerInvariant()

            printfn
                "%s"
                ($"%-16s{row.Set} %-36s{row.File} %12d{row.Bytes}  %-10s{state} {row.Message}".TrimEnd())

    let bad (rows: DataRow seq) =
        rows
        |> Seq.exists (fun row -> row.State = DataFileState.Missing || row.State = DataFileState.Damaged)

    match action with
    | DataAction.List ->
        for set in sets do
            print (DataCommands.List(set, directory))

        0
    | DataAction.Verify ->
        let rows = [ for set in sets -> DataCommands.Verify(set, directory) ]
        Seq.iter print rows

        if rows |> Seq.exists bad then
            ResearchException.RunFailed
        else
            0
    | DataAction.Fetch ->
        for set in sets do
            DataCommands.Fetch(set, directory, Downloader.Patient)
            printfn "%s is complete" set.Title

        0

let private tryScript (arguments: ParseResults<TryArguments>) =
    let plan =
        plan
            (profile (arguments.TryGetResult TryArguments.Profile))
            None
            (arguments.TryGetResult TryArguments.Data)

    Session.tryScript
        (places (arguments.TryGetResult TryArguments.Results))
        plan
        (jobs (arguments.TryGetResult TryArguments.Jobs))
        (arguments.GetResult TryArguments.Script)

let private sample (arguments: ParseResults<SampleArguments>) =
    let count = arguments.GetResult(SampleArguments.Count, defaultValue = 64)

    if count < 1 || count > 10000 then
        badUsage "--count must be between 1 and 10000."

    let plan =
        plan
            (profile (arguments.TryGetResult SampleArguments.Profile))
            None
            (arguments.TryGetResult SampleArguments.Data)

    Session.sample
        (places (arguments.TryGetResult SampleArguments.Results))
        plan
        (arguments.GetResult SampleArguments.Row)
        count
        (arguments.GetResult(SampleArguments.Seed, defaultValue = 1L))
        (arguments.GetResult(SampleArguments.Output, defaultValue = "samples.png"))

    0

let private report (arguments: ParseResults<PlanArguments>) =
    let withPaper = not (arguments.Contains PlanArguments.No_Paper)

    // Before the runs: a missing LaTeX should not be found out after an hour of training.
    if withPaper && not (Latex.isInstalled ()) then
        raise (ResearchException Latex.missing)

    planned arguments true (fun places plan jobs ids ->
        match Session.run places plan jobs ids with
        | 0 ->
            Session.render places plan ids withPaper
            0
        | code -> code)

let private dispatch (arguments: ParseResults<Arguments>) =
    match arguments.GetSubCommand() with
    | Report arguments -> report arguments
    | List _ -> list ()
    | Run arguments -> planned arguments false Session.run
    | Try arguments -> tryScript arguments
    | Render arguments ->
        planned arguments true (fun places plan _ ids ->
            Session.render places plan ids (not (arguments.Contains PlanArguments.No_Paper))
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

[<EntryPoint>]
let main argv =
    let parser = ArgumentParser.Create<Arguments>(programName = "research")

    try
        TorchLibrary.Load()
        dispatch (parser.ParseCommandLine(argv, raiseOnUsage = true))
    with
    | :? ArguParseException as error when error.ErrorCode = ErrorCode.HelpText ->
        printfn "%s" error.Message
        0
    | :? ArguParseException as error ->
        // The first line is the sentence; the usage that follows is a --help away.
        let sentence = error.Message.Split '\n' |> Array.head
        eprintfn "%s (see research --help)" (sentence.Replace("ERROR: ", "").TrimEnd())
        ResearchException.BadUsage
    | :? ResearchException as error ->
        eprintfn "%s" error.Message
        error.ExitCode
    // A file or folder that the user named cannot be read or written; the message names it.
    | :? IOException
    | :? UnauthorizedAccessException as error ->
        eprintfn "%s" error.Message
        ResearchException.RunFailed
    | error ->
        let trace = Path.Combine(Path.GetTempPath(), "research-defect.txt")
        File.WriteAllText(trace, string error)
        eprintfn "%s (a defect of the program; its trace is in %s)" (WorkOutcome.ReasonOf error) trace
        ResearchException.RunFailed
