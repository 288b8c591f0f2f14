/// ift7: planar flows of 2, 8 and 32 layers fitted to samples of two densities; likelihoods and learned densities.
/// Run it: `./reproduce --only ift7`.
module Research.Experiments.Ift.PlanarSamples

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Ift.PlanarTargets

/// The source's mean training loss over the last 200 iterations.
let private source target layers =
    match target, layers with
    | "arcs", 2 -> 3.4643
    | "arcs", 8 -> 2.7259
    | "arcs", 32 -> 2.7233
    | "sine", 2 -> 3.5468
    | "sine", 8 -> 3.0403
    | "sine", 32 -> 2.9112
    | other -> invalidArg (nameof target) $"the source has no cell {other}"

let private training built plan target layers seed =
    PlanarFit.request plan PlanarFit.FromSamples target built layers seed

let private centred = training PlanarFit.Centred

/// log q(x) of the fitted density, `[n,2] -> [n]`.
let private logDensity (chain: PlanarChain) (x: Tensor) : Tensor =
    flowLogProb logStandardNormal (PlanarChain.transform chain) x

/// Likelihood of fresh samples, and what the fitted density leaves inside [-10,10]^2: a density integrates to 1.
let private evaluate (plan: Plan) (target: Target) (layers: int) (seed: int64) : RunRequest =
    let measure (context: RunContext) chain =
        let x = target.Sample context.Noise "held-out" PlanarFit.heldOutSamples
        let map = PlanarCells.densityMap (fun z -> (logDensity chain z).exp())
        let values = torch.tensor [| for value in Seq.cast<float> map.Values -> float32 value |]
        context.SaveTensors("density", [ NamedTensor("density", values.view (100L, 100L)) ])
        PlanarCells.meanSe "nll" ((logDensity chain x).double().neg())

    PlanarCells.evaluation
        plan
        (centred plan target layers seed)
        [ "samples", string PlanarFit.heldOutSamples ]
        measure

let private learned (results: Results) (request: RunRequest) : DensityMap =
    let values = (results.Tensor "density" "density" request).data<float32>().ToArray()

    {
        Values = Array2D.init 100 100 (fun row column -> float values[row * 100 + column])
        X = -PlanarCells.frame, PlanarCells.frame
        Y = -PlanarCells.frame, PlanarCells.frame
    }

/// The figures of one cell, one value per seed.
type private Cell = {
    Target: Target
    Layers: int
    Training: float list
    /// Training loss with the constraint as the source prints it.
    AsPrinted: float list
    HeldOut: float list
    /// Standard error of one held-out mean.
    HeldOutSe: float
}

let private report (plan: Plan) (results: Results) : Section =
    let seeds = PlanarFit.seeds plan
    let origin = plan.Origin([], seeds.Length, None)

    let cells = [
        for target, layers in PlanarCells.all () do
            let last built =
                seeds |> List.map (training built plan target layers >> PlanarFit.lastLoss results)

            let held = seeds |> List.map (evaluate plan target layers)

            {
                Target = target
                Layers = layers
                Training = last PlanarFit.Centred
                AsPrinted = last PlanarFit.AsPrinted
                HeldOut = held |> List.map (results.Value "nll")
                HeldOutSe = held |> List.map (results.Value "se") |> List.max
            }
    ]

    let panels =
        PlanarCells.panels (fun target layers ->
            Density(learned results (evaluate plan target layers seeds.Head)))

    let gap cell = Seeds.mean cell.HeldOut - cell.Target.Entropy
    let find target layers = cells |> List.find (fun c -> c.Target.Name = target && c.Layers = layers)

    let printed target = Seeds.mean (find target 32).AsPrinted

    let aboveEntropy =
        cells
        |> List.forall (fun c ->
            c.HeldOut |> List.forall (fun nll -> nll >= c.Target.Entropy - 5.0 * c.HeldOutSe))

    let falling target =
        let nll layers = (find target layers).HeldOut |> Seeds.mean
        nll 2 > nll 8 && nll 8 > nll 32

    let evidence = [ for c in cells -> $"{c.Target.Name} k={c.Layers}: {Seeds.mean c.HeldOut:F4}" ]

    {
        Row = "ift7"
        Origin = origin
        Figures = [
            Figure.grid
                "ift7.densities"
                "The true density (left) and the densities of planar flows with $k$ layers fitted to its samples, first seed, on $[-5,5]^2$; each panel has its own scale, brightest at its maximum."
                4
                panels
        ]
        Tables = [
            {
                Id = "ift7.table"
                Caption =
                    "Negative log-likelihood of planar flows fitted to samples (nats): training loss, mean over the last 200 of the iterations, and held-out samples. The entropy is the floor of the expectation of both."
                Columns = [
                    Table.left "Target"
                    Table.right "$k$"
                    Table.right "Source"
                    Table.right "Training"
                    Table.right "Held-out"
                    Table.right "Entropy"
                    Table.right "Gap"
                    Table.right "As printed"
                ]
                Rows = [
                    for c in cells ->
                        [
                            Text c.Target.Name
                            Text(string c.Layers)
                            Source(source c.Target.Name c.Layers, 4)
                            Seeds.cell 3 c.Training
                            Seeds.cell 3 c.HeldOut
                            Number(c.Target.Entropy, 3)
                            Number(gap c, 3)
                            Seeds.cell 3 c.AsPrinted
                        ]
                ]
                Note =
                    "Gap: held-out minus entropy. As printed: training loss when the constraint on $u$ is built in exactly as the source prints it."
            }
        ]
        Values = [
            Value.number "ift7.arcs-entropy" 4 arcs.Value.Entropy
            Value.number "ift7.sine-entropy" 4 sine.Value.Entropy
            Value.number "ift7.arcs-gap" 3 (gap (find "arcs" 32))
            Value.number "ift7.sine-gap" 3 (gap (find "sine" 32))
            Value.number "ift7.arcs-printed" 2 (printed "arcs")
            Value.number "ift7.sine-printed" 2 (printed "sine")
            Value.integer "ift7.steps" (PlanarFit.steps plan)
            Value.integer "ift7.held-out" PlanarFit.heldOutSamples
        ]
        Claims = [
            for c in cells ->
                let reference = source c.Target.Name c.Layers

                Claim.judge
                    origin
                    $"ift7.{c.Target.Name}.k{c.Layers}"
                    "IFT P3.4"
                    $"training NLL, {c.Target.Name}, $k={c.Layers}$"
                    (Some reference)
                    (Rule.atMost (reference + 0.05))
                    c.Training
                    "the source's samples are lost, ours are drawn exactly from the same densities; the constraint is centred, a choice made after the printed form fell short at 32 layers"
        ]
        Guards = [
            Guard.check
                origin
                "ift7.floor"
                "no held-out NLL is below the entropy by more than five standard errors"
                aboveEntropy
                (String.concat ", " evidence)
            Guard.check
                origin
                "ift7.depth"
                "for both targets the mean held-out NLL falls from 2 to 8 and from 8 to 32 layers"
                (falling "arcs" && falling "sine")
                (String.concat ", " evidence)
            Guard.check
                origin
                "ift7.start"
                "with 32 layers the centred constraint gives a lower mean training loss than the printed one, on both targets"
                ([ "arcs"; "sine" ] |> List.forall (fun t -> Seeds.mean (find t 32).Training < printed t))
                (String.concat ", " [ for t in [ "arcs"; "sine" ] -> $"{t} as printed: {printed t:F3}" ])
        ]
    }

let experiment: Experiment = {
    Row = "ift7"
    Title = "Planar flows fitted to samples"
    Runs =
        fun plan -> [
            for target, layers in PlanarCells.all () do
                for seed in PlanarFit.seeds plan do
                    centred plan target layers seed
                    training PlanarFit.AsPrinted plan target layers seed
                    evaluate plan target layers seed
        ]
    Report = report
    Sample = None
}
