namespace Research.Experiments

open System.Collections.Generic
open TorchSharp
open Research.Host
open Research.Report

/// The finished runs of a plan, as the report reads them.
type Results(plan: Plan, store: RunStore) =
    member _.Plan = plan

    member _.Of(request: RunRequest) : RunDirectory = store.Require request.Key

    /// A run's final figures by name.
    member this.Values(request: RunRequest) : IReadOnlyDictionary<string, float> =
        (this.Of request).ReadValues()

    /// One of the run's final figures. Raises KeyNotFoundException naming the run when it has none of that name.
    member this.Value (name: string) (request: RunRequest) : float =
        match (this.Values request).TryGetValue name with
        | true, value -> value
        | _ -> raise (KeyNotFoundException $"run {request.Key.Name} has no value '{name}'")

    /// (step, value) of a metric in order.
    member this.Curve (split: string) (name: string) (request: RunRequest) : (float * float)[] = [|
        for row in (this.Of request).ReadMetrics() do
            if row.Split = split && row.Name = name then
                float row.Step, row.Value
    |]

    /// A saved array as a CPU tensor.
    member this.Tensor (file: string) (name: string) (request: RunRequest) : torch.Tensor =
        TensorBytes.ToTensor((this.Of request).ReadTensors(file)[name])

    /// The numbers of a saved array, row by row.
    member this.Numbers (file: string) (name: string) (request: RunRequest) : float[] =
        use tensor = this.Tensor file name request
        use doubles = tensor.double ()
        doubles.data<float>().ToArray()

    /// The points of a saved array `[N,2]`.
    member this.Points (file: string) (name: string) (request: RunRequest) : (float * float)[] =
        this.Numbers file name request
        |> Array.chunkBySize 2
        |> Array.map (fun point -> point[0], point[1])

/// A measured quantity: what the report calls it, its unit (empty for a pure number), with how many decimals it is shown,
/// and how it is read from a finished run.
type Metric<'run> = { Title: string; Unit: string; Decimals: int; Read: Results -> 'run -> float }

module Metric =
    let create title unit' decimals read : Metric<'run> = {
        Title = title
        Unit = unit'
        Decimals = decimals
        Read = read
    }

    /// One of a run's final figures, by its name there.
    let value title unit' decimals name : Metric<RunRequest> =
        create title unit' decimals (fun results run -> results.Value name run)

    /// The same quantity of another kind of run, from which `run` finds it.
    let from (run: Results -> 'other -> 'run) (metric: Metric<'run>) : Metric<'other> =
        create metric.Title metric.Unit metric.Decimals (fun results other ->
            metric.Read results (run results other))

    let shownWith decimals (metric: Metric<'run>) = { metric with Decimals = decimals }

    let times (factor: float) (metric: Metric<'run>) =
        create metric.Title metric.Unit metric.Decimals (fun results run -> factor * metric.Read results run)

    let minus title (subtracted: Metric<'run>) (metric: Metric<'run>) =
        create title metric.Unit metric.Decimals (fun results run ->
            metric.Read results run - subtracted.Read results run)

    /// One number a run; the runs are a model's seeds.
    let each (results: Results) (metric: Metric<'run>) (runs: 'run list) : float list =
        runs |> List.map (metric.Read results)

    let mean results metric runs = Seeds.mean (each results metric runs)
    let cell results metric runs = Seeds.cell metric.Decimals (each results metric runs)

    /// What a guard found, by the metric's name.
    let found results (metric: Metric<'run>) runs = metric.Title, each results metric runs

module Column =
    /// A metric of the runs that `runs` finds behind a row of the table.
    let metric results (runs: 'row -> 'run list) (metric: Metric<'run>) : Column<'row> =
        Column.right metric.Title (runs >> Metric.cell results metric)
