/// From row ids to finished runs.
module Research.Experiments.Session

open System
open System.IO
open System.Text.RegularExpressions
open System.Threading
open System.Threading.Tasks
open Research.Host
open Research.Report
open Research.Experiments.Yours

/// The directories of a command: results of a profile, the paper's sources.
type Places = { Results: string; Paper: string }

/// The rows that ids name, all when there are none. Raises ResearchException (bad usage) for an unknown id.
let select (ids: string list) : Registry.Row list =
    let unknown =
        ids |> List.filter (fun id -> Registry.rows |> List.forall (fun row -> row.Id <> id))

    match unknown |> List.tryFind (fun id -> id.StartsWith '-') with
    | Some option ->
        raise (ResearchException($"there is no option {option}; see --help.", ResearchException.BadUsage))
    | None -> ()

    if not unknown.IsEmpty then
        let list = String.Join(", ", unknown)
        let verb = if unknown.Length = 1 then "is no row" else "are no rows"

        raise (
            ResearchException(
                $"{list} {verb} of the report: `research list` names them all.",
                ResearchException.BadUsage
            )
        )

    match ids with
    | [] -> Registry.rows
    | _ -> Registry.rows |> List.filter (fun row -> List.contains row.Id ids)

/// Those rows' experiments that are not answered in the text alone.
let computed (rows: Registry.Row list) : Experiment list =
    rows
    |> List.choose (fun row ->
        match row.Answer with
        | Registry.Computed experiment -> Some experiment
        | Registry.Derived -> None)

let private withoutRuns id = $"{id} has no runs: the report answers it in the text."

/// Who computes runs.
type Execution =
    /// This process, on so many cores.
    | Here of jobs: int
    /// This process and so many others, which a command line starts, on so many cores each.
    | Together of jobs: int * others: int * command: string list
    /// One of these others.
    | Beside of jobs: int
    /// Tasks of Slurm.
    | OnSlurm of Slurm

/// How runs are handed to Slurm.
and Slurm = {
    Settings: SlurmSettings
    /// The command line of a worker, from its file of tasks and its cores.
    Worker: string -> int -> string list
    /// Whether this process stays until all is computed.
    Wait: bool
    /// The command line that follows the last task when this process does not wait.
    Afterwards: string list option
}

let private executor
    (execution: Execution)
    (store: RunStore)
    (plan: Plan)
    (board: IProgressBoard)
    : IExecutor =
    match execution with
    | Here jobs
    | Beside jobs -> Runner(store, plan.Device, jobs, board)
    | Together(jobs, others, command) ->
        ProcessesExecutor(store, plan.Device, jobs, board, others, List.toArray command)
    | OnSlurm slurm ->
        SlurmExecutor(
            store,
            slurm.Settings,
            (fun file cores -> List.toArray (slurm.Worker file cores)),
            board,
            Wait = slurm.Wait,
            Afterwards = (slurm.Afterwards |> Option.map List.toArray |> Option.toObj)
        )

/// A function of each, side by side. Of those that fail the first says so.
let sideBySide (f: 'a -> 'b) (items: 'a list) : 'b list =
    items
    |> List.map (fun item -> Task.Run(fun () -> f item))
    |> List.map _.GetAwaiter().GetResult()

/// The runs behind the rows; the data sets that these ask for are read side by side.
let private requests (plan: Plan) (rows: Registry.Row list) : RunRequest list =
    let late (experiment: Experiment) = not (List.contains experiment.Row Registry.longest)

    computed rows
    |> List.sortBy late
    |> sideBySide (fun experiment -> experiment.Runs plan)
    |> List.concat

/// Has the runs of the rows computed that are not complete, and says what became of them.
let run (places: Places) (plan: Plan) (execution: Execution) (ids: string list) : RunSummary =
    let selected = select ids

    for row in selected do
        if not ids.IsEmpty && row.Answer.IsDerived then
            printfn "%s" (withoutRuns row.Id)

    use board = LiveBoard.ForConsole()
    let isBeside = execution.IsBeside
    let input = if isBeside then Some(Console.OpenStandardInput()) else None
    use interruption = new Interruption((fun message -> board.Say message), Option.toObj input)
    let executor = executor execution (RunStore places.Results) plan board

    let requests: RunRequest seq =
        if isBeside then
            ProcessesExecutor.Shared(requests plan selected)
        else
            requests plan selected

    let summary = executor.Run(requests, interruption.Token)

    for line in summary.Lines() do
        board.Say line

    summary

/// Computes the runs of one task that `OnSlurm` submitted. Returns the process's exit code.
let work (places: Places) (plan: Plan) (jobs: int) (tasks: string) (ids: string list) : int =
    use board = new PlainBoard(Console.Out)
    let index = SlurmJob.Current |> Option.ofObj |> Option.bind (fun job -> Option.ofObj job.Task)
    let worker = SlurmWorker(RunStore places.Results, plan.Device, jobs, board)
    worker.Run(requests plan (select ids), tasks, index |> Option.map int |> Option.defaultValue 0)

/// Where the runs of the rows stand: a line for each that has begun and is not done, then how many there are of each
/// kind.
let status (places: Places) (plan: Plan) (ids: string list) : string list =
    let keys = requests plan (select ids) |> Seq.map _.Key |> Seq.distinctBy _.Id |> Seq.toArray
    let all = RunStatus.Of(RunStore places.Results, keys)

    let begun =
        all |> Seq.filter (fun r -> r.Phase <> RunPhase.Waiting && r.Phase <> RunPhase.Complete)

    let counts =
        all
        |> Seq.countBy _.Phase
        |> Seq.sortBy fst
        |> Seq.map (fun (phase, n) -> $"{n} {(string phase).ToLowerInvariant()}")

    [ yield! Seq.map string begun; String.Join(", ", counts) ]

/// What decides whether each run of a row is computed, one sentence each.
let why (places: Places) (plan: Plan) (id: string) : string list =
    let store = RunStore places.Results
    let listing = store.List()

    match computed (select [ id ]) with
    | [] -> [ withoutRuns id ]
    | experiments -> [
        for experiment in experiments do
            for request in experiment.Runs plan do
                match request.Key.Configuration "step" with
                | null -> string (store.Why(request.Key, listing))
                | step -> $"{store.Why(request.Key, listing)} Its step: {step}."
      ]

/// Draws images from the trained model of a row and writes them as one PNG.
let sample (places: Places) (plan: Plan) (id: string) (count: int) (seed: int64) (path: string) : unit =
    match computed (select [ id ]) |> List.tryPick _.Sample with
    | None -> raise (ResearchException($"{id} has no generator to sample from.", ResearchException.BadUsage))
    | Some draw ->
        let images = draw (Results(plan, RunStore places.Results)) count (Noise seed)
        let columns = int (ceil (sqrt (float images.Length)))

        try
            File.WriteAllBytes(path, Png.encode (Png.tile columns 1 images))
        with
        | :? IOException
        | :? UnauthorizedAccessException as error ->
            raise (
                ResearchException
                    $"'{path}' cannot be written ({Sentence.Reason error}): name another file with --output."
            )

        printfn "wrote %s" path
