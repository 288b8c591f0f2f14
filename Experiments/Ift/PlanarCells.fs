/// What the tables and figures of ift7 and ift8 share: two targets, each with chains of three lengths.
module Research.Experiments.Ift.PlanarCells

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Ift.PlanarTargets

let private targets () = [ arcs.Value; sine.Value ]

/// Numbers of layers.
let depths = [ 2; 8; 32 ]

/// A row of the tables.
type Cell = { Target: Target; Layers: int }

/// Every target with every number of layers, in the order of the tables.
let all () : Cell list = [
    for target in targets () do
        for layers in depths -> { Target = target; Layers = layers }
]

/// Runs of every cell and seed.
let eachFit (plan: Plan) (runs: Cell -> int64 -> RunRequest list) : RunRequest list =
    List.allPairs (all ()) (PlanarFit.seeds plan) |> List.collect (fun (cell, seed) -> runs cell seed)

let find target layers = all () |> List.find (fun c -> c.Target.Name = target && c.Layers = layers)

/// What is measured on the centred chain of a finished training, as a run of its own: `measure` may save tensors and
/// returns the values.
let evaluation (plan: Plan) (trained: RunRequest) configuration measure : RunRequest =
    let measured (context: RunContext) =
        measure context (PlanarFit.load PlanarFit.centred (context.Dependency trained.Key))
    plan.Measure(trained.Key.Name + ".evaluation", configuration, trained.Key.Seed, None, measured, [ trained ])

/// The mean of values `[N]` under a name, and its standard error as `se`.
let meanSe (name: string) (values: Tensor) : (string * float) list = [
    name, values.mean().ToDouble()
    "se", values.std().ToDouble() / sqrt (float (values.numel ()))
]

/// Half the side of the square about the origin that the densities are computed on.
let frame = 5.0

/// Points of a density map to a side.
let resolution = 100

/// A row for each target: its density, then what was fitted with each number of layers, on [-half, half]^2.
let panels (half: float) (fitted: Cell -> Series) : Panel list =
    let plane title series =
        let axis = Axis.linear "" |> Axis.between -half half
        Panel.axes title axis axis [ series ] |> Panel.equal |> Panel.withLegend NoLegend
    [
        for target in targets () do
            plane target.Name (Density(Pictures.density -half half resolution (density target)))
            for layers in depths do
                plane $"$k={layers}$" (fitted { Target = target; Layers = layers })
    ]
