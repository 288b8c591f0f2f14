namespace Research.Experiments

open Argu

/// Who computes runs.
type ExecutorName =
    | Local
    | Slurm

/// Options of the commands that plan runs: report, run, render, why, status, worker.
type PlanArguments =
    | [<MainCommand>] Rows of id: string list
    | Only of ids: string
    | Profile of name: string
    | Jobs of n: int
    | Processes of n: int
    | Device of name: string
    | Data of directory: string
    | Results of directory: string
    | No_Paper
    | Executor of ExecutorName
    | Wait
    | Partition of name: string
    | Account of name: string
    | Time of limit: string
    | Memory of size: string
    | Gpus of kind: string
    | Throttle of n: int
    | Runs_Per_Task of n: int
    | Notice of seconds: int
    | [<Hidden>] Tasks of file: string
    | [<Hidden>] Beside

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Rows _ -> "rows of the contents table, e.g. ift1 hw5.1 (default: all)."
            | Only _ -> "the same as one word: ift1,hw5.1."
            | Profile _ ->
                "smoke (tiny), quick (the default: real data, minutes) or paper (the sources' protocols, hours)."
            | Jobs _ -> "cores to use at a time, in each process (default: all; one on a GPU)."
            | Processes _ -> "report, run: processes that share the runs, to fill a GPU (default 1)."
            | Device _ -> "auto, cpu, cuda or cuda:N (default auto)."
            | Data _ -> "where the data sets are (default RESEARCH_DATA, then ./data)."
            | Results _ -> "where results are kept (default ./results)."
            | No_Paper -> "report, render: stop before the PDF."
            | Executor _ -> "report, run: who computes, local or slurm (default local)."
            | Wait -> "slurm: stay until all is computed, and submit again what gets lost."
            | Partition _ -> "slurm: partition (this and the next: default slurm.json, else the cluster's)."
            | Account _ -> "slurm: account."
            | Time _ -> "slurm: time limit of a task, e.g. 2:00:00; what needs longer queues up again."
            | Memory _ -> "slurm: memory of a task, e.g. 8G."
            | Gpus _ ->
                "slurm: GPUs of a task, e.g. 1 or a100:1; then the device is cuda unless --device says another."
            | Throttle _ -> "slurm: tasks at a time (default: as many as there are)."
            | Runs_Per_Task _ -> "slurm: runs of a task (default 1)."
            | Notice _ ->
                "slurm: seconds before the time limit at which a task saves and queues up again (default 120)."
            | Tasks _ -> "worker: the file with the array's tasks."
            | Beside -> "run: stop when the standard input ends; what --processes starts."

type DataAction =
    | List
    | Fetch
    | Verify

type DataArguments =
    | [<MainCommand; First; Unique>] Action of DataAction
    | Set of key: string
    | Directory of path: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Action _ -> "list what is there, fetch from the publishers, or verify digests."
            | Set _ -> "only this data set, e.g. mnist (default: all)."
            | Directory _ -> "where the data sets are (default RESEARCH_DATA, then ./data)."

type SampleArguments =
    | [<MainCommand; ExactlyOnce>] Row of id: string
    | Count of n: int
    | Seed of seed: int64
    | Output of file: string
    | Profile of name: string
    | Data of directory: string
    | Results of directory: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Row _ -> "a row with a trained generator, e.g. ift1."
            | Count _ -> "how many images (default 64)."
            | Seed _ -> "seed of the samples (default 1)."
            | Output _ -> "the PNG to write (default samples.png)."
            | Profile _ -> "whose trained model: smoke, quick or paper (default quick)."
            | Data _ -> "where the data sets are (default RESEARCH_DATA, then ./data)."
            | Results _ -> "where results are kept (default ./results)."

type TryArguments =
    | [<MainCommand; ExactlyOnce>] Script of file: string
    | Profile of name: string
    | Jobs of n: int
    | Data of directory: string
    | Results of directory: string

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Script _ -> "an F# script that defines the value objective, e.g. examples/capacity.fsx."
            | Profile _ -> "how long to train: smoke, quick or paper (default quick)."
            | Jobs _ -> "cores to use at a time (default: all; one on a GPU)."
            | Data _ -> "where the data sets are (default RESEARCH_DATA, then ./data)."
            | Results _ -> "where results are kept (default ./results)."

[<NoEquality; NoComparison>]
type EmptyArguments =
    | [<Hidden>] Nothing

    interface IArgParserTemplate with
        member _.Usage = ""

type Arguments =
    | [<CliPrefix(CliPrefix.None)>] Report of ParseResults<PlanArguments>
    | [<CliPrefix(CliPrefix.None)>] List of ParseResults<EmptyArguments>
    | [<CliPrefix(CliPrefix.None)>] Run of ParseResults<PlanArguments>
    | [<CliPrefix(CliPrefix.None)>] Try of ParseResults<TryArguments>
    | [<CliPrefix(CliPrefix.None)>] Status of ParseResults<PlanArguments>
    | [<CliPrefix(CliPrefix.None)>] Render of ParseResults<PlanArguments>
    | [<CliPrefix(CliPrefix.None)>] Why of ParseResults<PlanArguments>
    | [<CliPrefix(CliPrefix.None)>] Data of ParseResults<DataArguments>
    | [<CliPrefix(CliPrefix.None)>] Sample of ParseResults<SampleArguments>
    | [<CliPrefix(CliPrefix.None)>] Doctor of ParseResults<EmptyArguments>
    | [<CliPrefix(CliPrefix.None)>] Worker of ParseResults<PlanArguments>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Report _ -> "compute what has not been computed, then write the report: run and render."
            | List _ -> "name every row of the report and how it is answered."
            | Run _ -> "compute what has not been computed."
            | Try _ -> "put an objective of your own under its laws, and train it beside the rows of hw5.2."
            | Status _ -> "say which runs wait, run (where, since when, how far), failed (why) or are done."
            | Render _ -> "write figures, tables and the paper from finished runs."
            | Why _ -> "say which runs of a row would be computed, and why."
            | Data _ -> "list, fetch or verify the data sets."
            | Sample _ -> "draw images from a trained model."
            | Doctor _ -> "print library versions, BLAS, its speed, and devices."
            | Worker _ -> "compute the runs of one Slurm task; what --executor slurm submits."
