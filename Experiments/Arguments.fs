namespace Research.Experiments

open Argu

/// Options of the commands that plan runs: report, run, render, why.
type PlanArguments =
    | [<MainCommand>] Rows of id: string list
    | Only of ids: string
    | Profile of name: string
    | Jobs of n: int
    | Device of name: string
    | Data of directory: string
    | Results of directory: string
    | No_Paper

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Rows _ -> "rows of the contents table, e.g. ift1 hw5.1 (default: all)."
            | Only _ -> "the same as one word: ift1,hw5.1."
            | Profile _ ->
                "smoke (tiny), quick (the default: real data, minutes) or paper (the sources' protocols, hours)."
            | Jobs _ -> "cores to use at a time (default: all)."
            | Device _ -> "auto, cpu, cuda or cuda:N (default auto)."
            | Data _ -> "where the data sets are (default RESEARCH_DATA, then ./data)."
            | Results _ -> "where results are kept (default ./results)."
            | No_Paper -> "report, render: stop before the PDF."

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
            | Jobs _ -> "cores to use at a time (default: all)."
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
    | [<CliPrefix(CliPrefix.None)>] Render of ParseResults<PlanArguments>
    | [<CliPrefix(CliPrefix.None)>] Why of ParseResults<PlanArguments>
    | [<CliPrefix(CliPrefix.None)>] Data of ParseResults<DataArguments>
    | [<CliPrefix(CliPrefix.None)>] Sample of ParseResults<SampleArguments>
    | [<CliPrefix(CliPrefix.None)>] Doctor of ParseResults<EmptyArguments>

    interface IArgParserTemplate with
        member this.Usage =
            match this with
            | Report _ -> "compute what has not been computed, then write the report: run and render."
            | List _ -> "name every row of the report and how it is answered."
            | Run _ -> "compute what has not been computed."
            | Try _ -> "put an objective of your own under its laws, and train it beside the rows of hw5.2."
            | Render _ -> "write figures, tables and the paper from finished runs."
            | Why _ -> "say which runs of a row would be computed, and why."
            | Data _ -> "list, fetch or verify the data sets."
            | Sample _ -> "draw images from a trained model."
            | Doctor _ -> "print library versions, BLAS, its speed, and devices."
