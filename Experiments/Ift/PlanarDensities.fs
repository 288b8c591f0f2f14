/// ift8: planar flows of 2, 8 and 32 layers fitted to two densities that are known up to a constant, without samples
/// of them; the loss beside its bound, and samples of the fitted flows. Run it: `./reproduce --only ift8`.
module Research.Experiments.Ift.PlanarDensities

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Ift.PlanarTargets

let private lossSamples = 50000

/// As many as the source shows.
let private shown = 500

let private training plan target layers seed =
    PlanarFit.request plan PlanarFit.FromDensity target PlanarFit.Centred layers seed

/// The loss over fresh draws of the base, the share of them that leaves |z1| <= 5, and draws to show.
let private evaluate (plan: Plan) (target: Target) (layers: int) (seed: int64) : RunRequest =
    let measure (context: RunContext) chain =
        let z0 = context.Noise.Normal("evaluation", 0L, [| int64 lossSamples; 2L |])
        let z, logDet = (PlanarChain.transform chain).Forward z0
        let outside = (z.select (1L, 0L)).abs().gt(Scalar.op_Implicit PlanarCells.frame).double()
        context.SaveTensors("samples", [ NamedTensor("samples", z.narrow (0L, 0L, int64 shown)) ])

        [
            yield! PlanarCells.meanSe "loss" ((logStandardNormal z0 - logDet + target.Energy z).double())
            "outside", outside.mean().ToDouble()
        ]

    PlanarCells.evaluation
        plan
        (training plan target layers seed)
        [ "samples", string lossSamples; "shown", string shown ]
        measure

let private points (results: Results) (request: RunRequest) =
    let flat = (results.Tensor "samples" "samples" request).data<float32>().ToArray()
    [| for i in 0..2 .. flat.Length - 2 -> float flat[i], float flat[i + 1] |]

type private Cell = {
    Target: Target
    Layers: int
    /// Per seed.
    Loss: float list
    Se: float
    Outside: float list
}

let private figure plan results (seed: int64) =
    let inside target layers =
        points results (evaluate plan target layers seed)
        |> Array.filter (fun (x, y) -> abs x <= PlanarCells.frame && abs y <= PlanarCells.frame)

    Figure.grid
        "ift8.samples"
        $"The targets $\\exp(-U)$ (left) and {shown} samples of the planar flows with $k$ layers fitted to them, first seed, on $[-5,5]^2$. Flows with many layers fitted to sine also send samples beyond the frame."
        4
        (PlanarCells.panels (fun target layers -> Scatter("", inside target layers)))

let private report (plan: Plan) (results: Results) : Section =
    let seeds = PlanarFit.seeds plan
    let origin = plan.Origin([], seeds.Length, None)

    let cells = [
        for target, layers in PlanarCells.all () do
            let runs = seeds |> List.map (evaluate plan target layers)

            {
                Target = target
                Layers = layers
                Loss = runs |> List.map (results.Value "loss")
                Se = runs |> List.map (results.Value "se") |> List.max
                Outside = runs |> List.map (results.Value "outside")
            }
    ]

    let find target layers = cells |> List.find (fun c -> c.Target.Name = target && c.Layers = layers)
    let bound = arcs.Value.Bound.Value
    let gap layers = Seeds.mean (find "arcs" layers).Loss - bound
    let strip = -log(10.0 * 0.4 * sqrt (2.0 * System.Math.PI))
    let sineLoss = List.min (find "sine" 32).Loss

    let aboveBound =
        cells
        |> List.forall (fun c ->
            match c.Target.Bound with
            | Some bound -> c.Loss |> List.forall (fun loss -> loss >= bound - 5.0 * c.Se)
            | None -> true)

    {
        Row = "ift8"
        Origin = origin
        Figures = [ figure plan results seeds.Head ]
        Tables = [
            {
                Id = "ift8.table"
                Caption =
                    $"Density matching: the loss over {lossSamples} fresh draws of the base (nats), its infimum $-\\log Z$, and the share of samples with $\\abs{{z_1}}>5$."
                Columns = [
                    Table.left "Target"
                    Table.right "$k$"
                    Table.right "Loss"
                    Table.right "Infimum"
                    Table.right "Gap"
                    Table.right "Outside"
                ]
                Rows = [
                    for c in cells ->
                        [
                            Text c.Target.Name
                            Text(string c.Layers)
                            Seeds.cell 3 c.Loss
                            match c.Target.Bound with
                            | Some bound ->
                                Number(bound, 3)
                                Number(Seeds.mean c.Loss - bound, 3)
                            | None ->
                                Text "$-\\infty$"
                                Missing "the loss on sine has no lower bound"
                            Seeds.cell 3 c.Outside
                        ]
                ]
                Note = ""
            }
        ]
        Values = [
            Value.number "ift8.bound" 4 bound
            Value.number "ift8.arcs-gap" 3 (gap 32)
            Value.number "ift8.arcs-gap-2" 3 (gap 2)
            Value.number "ift8.sine" 3 sineLoss
            Value.number "ift8.strip" 4 strip
            Value.number "ift8.outside" 1 (100.0 * Seeds.mean (find "sine" 32).Outside)
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "ift8.above"
                "no loss on arcs is below -log Z by more than five standard errors"
                aboveBound
                (String.concat ", " [ for k in PlanarCells.depths -> $"k={k}: gap {gap k:F4}" ])
            Guard.check
                origin
                "ift8.close"
                "with 32 layers the loss on arcs is within 0.25 of -log Z"
                (gap 32 < 0.25)
                $"gap {gap 32:F3}"
            Guard.check
                origin
                "ift8.unbounded"
                "with 32 layers the lowest loss on sine over the seeds is below the bound of the strip |z1| <= 5, with samples outside of it"
                (sineLoss < strip && Seeds.mean (find "sine" 32).Outside > 0.0)
                $"loss {sineLoss:F3}, bound of the strip {strip:F3}"
        ]
    }

let experiment: Experiment = {
    Row = "ift8"
    Title = "Planar flows fitted to densities"
    Runs =
        fun plan -> [
            for target, layers in PlanarCells.all () do
                for seed in PlanarFit.seeds plan do
                    training plan target layers seed
                    evaluate plan target layers seed
        ]
    Report = report
    Sample = None
}
