/// Trainings that Slurm's tasks compute, and the hidden child processes that submit them and work on them.
module Research.Tests.SlurmChildren

open System
open System.Collections.Generic
open System.IO
open System.Threading
open TorchSharp
open Research.Host

let private trainings = 5
let private steps = 300L

/// Milliseconds that each step waits, from the environment: it decides no result.
let pauseVariable = "RESEARCH_TEST_PAUSE"

let private pause () =
    match Environment.GetEnvironmentVariable pauseVariable with
    | null -> ()
    | milliseconds -> Thread.Sleep(int milliseconds)

/// Trainings, and for each a run that reads its results.
let plan: RunRequest list = [
    for seed in 1L .. int64 trainings do
        let key = TinyTraining.key seed
        let train = TinyTraining.work steps (CheckpointPolicy()) pause
        RunRequest(key, 1, train)

        let measure (context: RunContext) =
            let values = context.Dependency(key).ReadValues()
            context.Run.SaveValues(readOnlyDict [ "twice", 2.0 * values["best"] ])

        RunRequest(RunKey("tiny.measured", [], seed, "none", "test", noCode, [ key ]), 1, measure)
]

let private cpu = torch.device "cpu"

let private submit (root: string) =
    use board = new PlainBoard(Console.Out)

    let worker file (cores: int) : IReadOnlyList<string> =
        Seq.toArray (Seq.append OwnProgram.CommandLine [ "slurm-work"; root; file; string cores ])

    let executor = SlurmExecutor(RunStore root, SlurmSettings(), worker, board, Wait = true)
    let summary = executor.Run(plan, CancellationToken.None)
    summary.Lines() |> Seq.iter board.Say
    summary.ExitCode

let private work (root: string) (file: string) (cores: int) =
    use board = new PlainBoard(Console.Out)
    let index = SlurmJob.Current |> Option.ofObj |> Option.bind (fun job -> Option.ofObj job.Task)

    SlurmWorker(RunStore root, cpu, cores, board)
        .Run(plan, file, index |> Option.map int |> Option.defaultValue 0)

/// The hidden modes `slurm-submit ROOT`, `slurm-work ROOT TASKS CORES` of the test program.
let tryRun (argv: string array) =
    match argv with
    | [| "slurm-submit"; root |] -> Some(submit root)
    | [| "slurm-work"; root; file; cores |] -> Some(work root file (int cores))
    | _ -> None

/// Computes the same runs in this process.
let computeHere (root: string) =
    use board = new PlainBoard(TextWriter.Null)
    Runner(RunStore root, cpu, 2, board).Run(plan, CancellationToken.None)
