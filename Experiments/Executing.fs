/// From the command line to who computes the runs.
module Research.Experiments.Executing

open System
open System.IO
open Argu
open TorchSharp
open Research.Host

let private isOnSlurm (arguments: ParseResults<PlanArguments>) =
    arguments.TryGetResult PlanArguments.Executor = Some Slurm

/// What the command line asks of Slurm, over what slurm.json in the project's folder says.
let private settings (root: string) (arguments: ParseResults<PlanArguments>) : SlurmSettings =
    let asked =
        SlurmSettings(
            Partition = (arguments.TryGetResult PlanArguments.Partition |> Option.toObj),
            Account = (arguments.TryGetResult PlanArguments.Account |> Option.toObj),
            Time = (arguments.TryGetResult PlanArguments.Time |> Option.toObj),
            Memory = (arguments.TryGetResult PlanArguments.Memory |> Option.toObj),
            Gpus = (arguments.TryGetResult PlanArguments.Gpus |> Option.toObj),
            Throttle = (arguments.TryGetResult PlanArguments.Throttle |> Option.toNullable),
            RunsPerTask = (arguments.TryGetResult PlanArguments.Runs_Per_Task |> Option.toNullable),
            Notice = (arguments.TryGetResult PlanArguments.Notice |> Option.toNullable)
        )

    asked.Over(SlurmSettings.Read(Path.Combine(root, "slurm.json")))

/// Raises ResearchException (bad usage) for options of Slurm without Slurm, the other way round, and for numbers below 1.
let requireSense (arguments: ParseResults<PlanArguments>) : unit =
    let badUsage sentence = raise (ResearchException(sentence, ResearchException.BadUsage))

    for result in arguments.GetAllResults() do
        match result with
        | PlanArguments.Throttle n
        | PlanArguments.Runs_Per_Task n
        | PlanArguments.Notice n when n < 1 ->
            badUsage "--throttle, --runs-per-task and --notice must be at least 1."
        | PlanArguments.Processes n when n < 1 -> badUsage "--processes must be at least 1."
        | PlanArguments.Processes _ when isOnSlurm arguments ->
            badUsage
                "--processes belongs to --executor local: with Slurm --throttle says how many tasks go at a time."
        | PlanArguments.Wait
        | PlanArguments.Partition _
        | PlanArguments.Account _
        | PlanArguments.Time _
        | PlanArguments.Memory _
        | PlanArguments.Gpus _
        | PlanArguments.Throttle _
        | PlanArguments.Runs_Per_Task _
        | PlanArguments.Notice _ when not (isOnSlurm arguments) ->
            badUsage "--wait and the options of a task belong to --executor slurm."
        | _ -> ()

/// The device of a plan. On Slurm it is that of machines which this one may not resemble.
let device (root: string) (arguments: ParseResults<PlanArguments>) : torch.Device =
    let isOnSlurm = isOnSlurm arguments

    match arguments.TryGetResult PlanArguments.Device with
    | None when isOnSlurm && not (isNull (settings root arguments).Gpus) -> Devices.Parse("cuda", false)
    | name -> Devices.Parse(defaultArg name "auto", not isOnSlurm)

/// The command line of this program for the same plan in another process.
let private commandOf
    (arguments: ParseResults<PlanArguments>)
    (own: PlanArguments list)
    (subcommand: string)
    =
    let shared =
        arguments.GetAllResults()
        |> List.filter (fun result ->
            match result with
            | PlanArguments.Rows _
            | PlanArguments.Only _
            | PlanArguments.Profile _
            | PlanArguments.Data _ -> true
            | PlanArguments.No_Paper -> subcommand <> "run"
            | _ -> false)

    // The rows come last, where they follow no other option's value.
    let rows, options =
        own @ shared
        |> List.partition (fun result ->
            match result with
            | PlanArguments.Rows _ -> true
            | _ -> false)

    List.ofSeq OwnProgram.CommandLine
    @ [ subcommand ]
    @ List.ofArray (arguments.Parser.PrintCommandLineArguments(options @ rows))

/// Who computes the runs of a plan. `afterwards` is the subcommand that follows the last task of Slurm when nobody waits
/// for it.
let execution
    (root: string)
    (arguments: ParseResults<PlanArguments>)
    (places: Session.Places)
    (plan: Plan)
    (jobs: int)
    (afterwards: string option)
    : Session.Execution =
    let own = [
        PlanArguments.Device(string plan.Device)
        PlanArguments.Results(Path.GetFullPath places.Results)
    ]

    if isOnSlurm arguments then
        Session.OnSlurm {
            Settings = settings root arguments
            Worker =
                fun file cores ->
                    commandOf arguments (PlanArguments.Tasks file :: PlanArguments.Jobs cores :: own) "worker"
            Wait = arguments.Contains PlanArguments.Wait
            Afterwards = afterwards |> Option.map (commandOf arguments own)
        }
    elif arguments.Contains PlanArguments.Beside then
        Session.Beside jobs
    else
        match arguments.GetResult(PlanArguments.Processes, defaultValue = 1) with
        | 1 -> Session.Here jobs
        | processes ->
            // Who names no cores wants them shared too.
            let jobs =
                if arguments.Contains PlanArguments.Jobs then
                    jobs
                else
                    max 1 (jobs / processes)

            let own = PlanArguments.Jobs jobs :: PlanArguments.Beside :: own
            Session.Together(jobs, processes - 1, commandOf arguments own "run")
