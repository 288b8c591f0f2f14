/// From finished runs to the report: its PDF, its page, and a row for a script of one's own.
module Research.Experiments.Rendering

open System
open System.ComponentModel
open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
open Research.Host
open Research.Report
open Research.Experiments.Session
open Research.Experiments.Yours

let private notRun (selected: Registry.Row list) (listing: StoreListing) (plan: Plan) (row: Registry.Row) =
    match row.Answer with
    | Registry.Derived -> None
    | Registry.Computed experiment ->
        if not (List.contains row.Id (selected |> List.map _.Id)) then
            Some(row.Id, "not selected")
        elif experiment.Runs plan |> List.forall (fun r -> listing.IsComplete r.Key) then
            None
        else
            Some(row.Id, "its runs are not complete")

let private deviceName (plan: Plan) =
    let host = HostInfo.Current

    if plan.Device.``type`` = TorchSharp.DeviceType.CPU then
        $"CPU ({host.Processor})"
    else
        Devices.Describe plan.Device

let private machineName () =
    let host = HostInfo.Current
    $"{host.Processor}, {host.Cores} cores, {host.System}, {host.Runtime}, libtorch {TorchSharp.torch.__version__}"

/// What git says of a folder; none where there is no repository, or no git.
let private git (folder: string) (arguments: string list) : string option =
    try
        let info = ProcessStartInfo("git", [ "-C"; folder ] @ arguments)
        info.RedirectStandardOutput <- true
        info.RedirectStandardError <- true
        use git = Process.Start info |> nonNull
        let said = git.StandardOutput.ReadToEnd()
        git.WaitForExit()
        if git.ExitCode = 0 then Some(said.Trim()) else None
    with :? Win32Exception ->
        None

/// The commit of the text in this folder, twelve digits of which name it well enough for a title page, and whether files are
/// not as it has them. The scripts build the program anew where its sources changed, and not where only the text did;
/// without a repository it is the commit that the program was built from.
let revision (paper: string) : string =
    let whole = git paper [ "rev-parse"; "HEAD" ] |> Option.defaultValue HostInfo.Revision
    let commit = whole[.. min 11 (whole.Length - 1)]

    match git paper [ "status"; "--porcelain" ] with
    | None
    | Some "" -> commit
    | Some _ -> $"{commit}, with changes that are not committed"

/// How many runs stand behind these rows, and how long they took.
let private work (store: RunStore) (experiments: Experiment list) (plan: Plan) =
    let keys =
        experiments
        |> List.collect (fun e -> e.Runs plan)
        |> List.map _.Key
        |> List.distinctBy _.Id

    let seconds = keys |> List.sumBy (fun key -> (store.Require key).Record.Seconds)
    let time = TimeSpan.FromSeconds seconds
    $"{keys.Length} runs, which took {int time.TotalHours} hours and {time.Minutes} minutes, added up"

/// Gathers what the finished runs of the selected rows say.
let report (places: Places) (plan: Plan) (ids: string list) : Report =
    let store = RunStore places.Results
    let selected = select ids

    let notRun =
        Registry.rows |> sideBySide (notRun selected (store.List()) plan) |> List.choose id

    let idle = notRun |> List.map fst |> Set.ofList
    let results = Results(plan, store)

    let experiments = computed selected |> List.filter (fun e -> not (idle.Contains e.Row))
    let sections = experiments |> sideBySide (fun e -> e.Report results)

    {
        Profile = Profile.name plan.Profile
        Data =
            sections
            |> List.map _.Origin.Data
            // A description may hold the sign between two of them in its brackets.
            |> List.collect (fun data -> List.ofArray (Regex.Split(data, @"; (?![^()]*\))")))
            |> List.filter (fun data -> data <> "")
            |> List.distinct
            |> String.concat "; "
        Device = deviceName plan
        Machine = machineName ()
        Work = work store experiments plan
        Revision = revision places.Paper
        Sections = sections
        Questions = [ for row in Registry.rows -> { Row = row.Id; Source = row.Source; Text = row.Question } ]
        NotRun = notRun
        Laws = Law.read (Path.Combine(places.Results, "laws.json"))
    }

/// The finished runs behind the rows that the report shows, each with the rows that read it.
let private runs (places: Places) (plan: Plan) (ids: string list) (report: Report) : Run list =
    let store = RunStore places.Results
    let shown = report.Sections |> List.map _.Row |> Set.ofList

    computed (select ids)
    |> List.filter (fun e -> shown.Contains e.Row)
    |> List.collect (fun e -> e.Runs plan |> List.map (fun request -> request, e.Row))
    |> List.groupBy (fun (request, _) -> request.Key.Id)
    |> List.map (fun (_, uses) ->
        RunTable.run (uses |> List.map snd |> List.distinct) (store.Require (fst uses.Head).Key))
    |> RunTable.narrowed

/// The runs of the objectives that were tried from scripts, as far as they are still there.
let private runsOfYours (places: Places) (plan: Plan) : Run list =
    let store = RunStore places.Results

    Trial.runs places.Results plan
    |> List.choose (store.Find >> Option.ofObj)
    |> List.map (RunTable.run [ "yours" ])

/// The report with the objectives that were tried from scripts, which have no place in the paper.
let private withYours (places: Places) (plan: Plan) (report: Report) : Report =
    let store = RunStore places.Results
    let isComplete (request: RunRequest) = store.IsComplete request.Key

    match Trial.section places.Results (Results(plan, store)) isComplete with
    | None -> report
    | Some(question, section) -> {
        report with
            Questions = report.Questions @ [ question ]
            Sections = report.Sections @ [ section ]
      }

/// Writes index.html, beside a copy of the paper where that was compiled.
let private writePage (places: Places) (plan: Plan) (report: Report) (runs: Run list) (paper: string option) =
    let report = withYours places plan report
    let directory = Path.Combine(places.Results, report.Profile)
    let text (folder: string) (name: string) = Paper.text (Path.Combine(folder, name))

    paper
    |> Option.iter (fun pdf -> File.Copy(pdf, Path.Combine(directory, "report.pdf"), overwrite = true))

    Page.write directory {
        Report = report
        Runs = runs @ runsOfYours places plan
        Paper = Paper.read places.Paper
        Bibliography = text places.Paper "references.bib"
        Core = text (Path.Combine(places.Paper, "..")) "Core.fs"
        Places =
            (if paper.IsSome then
                 Crossreferences.places (Path.Combine(places.Paper, "build", "report.aux"))
             else
                 Map.empty)
        Pdf = if paper.IsSome then "report.pdf" else ""
    }

/// Refuses to render an empty report over a full one: what was asked for must be complete, and of the whole report
/// something. Says what else the report lacks.
let private requireResults (ids: string list) (report: Report) =
    let selected = computed (select ids) |> List.map _.Row

    let incomplete =
        report.NotRun |> List.map fst |> List.filter (fun row -> List.contains row selected)

    let names = String.Join(", ", incomplete)
    let command = String.Join(" ", "research run --profile" :: report.Profile :: ids)

    if ids.IsEmpty && incomplete.Length = selected.Length then
        raise (
            ResearchException $"no row is complete in profile {report.Profile}: `{command}` computes them."
        )
    elif not ids.IsEmpty && not incomplete.IsEmpty then
        let verb = if incomplete.Length = 1 then "is" else "are"

        raise (
            ResearchException
                $"{names} {verb} not complete in profile {report.Profile}: `{command}` computes what is missing."
        )
    elif not incomplete.IsEmpty then
        printfn "not complete, and so not in the report: %s" names

/// Writes generated/ and claims.json, compiles the paper unless told not to, and writes index.html, which needs its
/// numbers of equations and pages. Raises ResearchException with one sentence per claim that is missing, per
/// disagreement between text and results, and per fault of the paper.
let render (places: Places) (plan: Plan) (ids: string list) (withPaper: bool) : unit =
    let report = report places plan ids
    requireResults ids report
    let directory = Path.Combine(places.Results, report.Profile)

    let generated, disagreements = Render.write places.Paper directory report
    let disagreements = disagreements @ Registry.claimFaults plan.Profile report

    let compiled =
        if withPaper && disagreements.IsEmpty then
            use _ = new Heartbeat(Console.Out, "compiling the paper")
            Some(Latex.compile places.Paper generated)
        else
            None

    let paper, problems =
        match compiled with
        | Some(Ok path) -> Some path, []
        | Some(Error problems) -> None, problems
        | None -> None, disagreements

    writePage places plan report (runs places plan ids report) paper
    printfn "wrote %s" (Path.Combine(directory, "index.html"))
    paper |> Option.iter (printfn "wrote %s")
    printfn "the sources' values: %s" (Claim.summary (report.Sections |> List.collect Section.judgements))

    if not problems.IsEmpty then
        raise (ResearchException(String.Join(Environment.NewLine, problems)))

/// Tries the objective of a script: its laws, then its training beside the rows of hw5.2, as a row of their table and of
/// the page. Returns the process's exit code; raises ResearchException for a script that is none, or breaks a law.
let tryScript (places: Places) (plan: Plan) (jobs: int) (path: string) : int =
    use _ = Guard.during $"the script '{path}' cannot be run"
    let script = Script.load path

    for verdict in ObjectiveLaws.check script do
        match verdict.Fault with
        | None -> printfn "holds: %s" verdict.Law
        | Some fault -> raise (ResearchException $"{script.Name} breaks a law ({verdict.Law}): {fault}.")

    let store = RunStore places.Results
    let training = (Trial.training plan script).Training
    use board = Guard.watching script.Name training (LiveBoard.ForConsole())
    use interruption = new Interruption(fun message -> board.Say message)

    let summary =
        Runner(store, plan.Device, jobs, board).Run(Trial.requests plan script, interruption.Token)

    board.Dispose()

    let failed =
        summary.Outcomes
        |> Seq.tryFind (fun outcome -> outcome.Id = training.Key.Id && outcome.Status = WorkStatus.Failed)

    match failed with
    | Some outcome -> raise (ResearchException $"{script.Name} cannot be trained: {outcome.Reason}")
    | None -> ()

    if summary.ExitCode <> 0 then
        summary.Lines() |> Seq.iter (eprintfn "%s")
        summary.ExitCode
    else
        let results = Results(plan, store)
        let outcome = Trial.keep places.Results results script

        Trial.lines results (fun request -> store.IsComplete request.Key) outcome
        |> List.iter (printfn "%s")

        let report = report places plan []
        // The paper stays as it was compiled with this page, if it was.
        let pdf = Path.Combine(places.Paper, "build", "report.pdf")
        let copy = Path.Combine(places.Results, report.Profile, "report.pdf")

        let isCurrent =
            File.Exists pdf
            && File.Exists copy
            && File.GetLastWriteTimeUtc pdf <= File.GetLastWriteTimeUtc copy

        writePage places plan report (runs places plan [] report) (if isCurrent then Some pdf else None)
        printfn "%s" (Path.Combine(places.Results, report.Profile, "index.html#yours"))
        0
