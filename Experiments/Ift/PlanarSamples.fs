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
open Research.Experiments.Ift.PlanarCells

/// The source's mean training loss over the last 200 iterations.
let private source (cell: Cell) =
    match cell.Target.Name, cell.Layers with
    | "arcs", 2 -> 3.4643
    | "arcs", 8 -> 2.7259
    | "arcs", 32 -> 2.7233
    | "sine", 2 -> 3.5468
    | "sine", 8 -> 3.0403
    | "sine", 32 -> 2.9112
    | other -> invalidArg (nameof cell) $"the source has no cell {other}"

let private training built (plan: Plan) (cell: Cell) seed =
    PlanarFit.request plan PlanarFit.FromSamples cell.Target built cell.Layers seed

/// log q(x) of the fitted density, `[n,2] -> [n]`.
let private logDensity (chain: PlanarChain) (x: Tensor) : Tensor =
    flowLogProb logStandardNormal (PlanarChain.transform chain) x

/// Likelihood of fresh samples, and the fitted density on the frame of the figures.
let private evaluate (plan: Plan) (cell: Cell) (seed: int64) : RunRequest =
    let measure (context: RunContext) chain =
        let x = cell.Target.Sample context.Noise "held-out" PlanarFit.heldOutSamples
        let points = Pictures.gridPoints -frame frame resolution torch.CPU
        let density = (logDensity chain points).exp().view(int64 resolution, int64 resolution)
        context.Keep("density", [ "density", density ])
        meanSe "nll" ((logDensity chain x).double().neg())
    let configuration = [ "samples", string PlanarFit.heldOutSamples ]
    evaluation plan (training PlanarFit.centred plan cell seed) configuration measure

let private runs (plan: Plan) =
    eachFit plan (fun cell seed ->
        let training built = training built plan cell seed
        [ training PlanarFit.centred; training PlanarFit.asPublished; evaluate plan cell seed ])

let private each (results: Results) metric run (cell: Cell) =
    Metric.each results metric [ for seed in PlanarFit.seeds results.Plan -> run results.Plan cell seed ]

/// Training loss, one a seed.
let private trained built results cell = each results PlanarFit.lastLoss (training built) cell

let private heldOut results cell = each results (Metric.value "Held-out" "nats" 3 "nll") evaluate cell

/// How far the mean held-out loss is above its floor.
let private gap results (cell: Cell) = heldOut results cell |> List.map (fun nll -> nll - cell.Target.Entropy)

let private figure (results: Results) =
    panels frame (fun cell ->
        evaluate results.Plan cell (PlanarFit.seeds results.Plan).Head
        |> results.Numbers "density" "density"
        |> Pictures.map -frame frame resolution
        |> Density)
    |> Figure.grid
        "ift7.densities"
        $"The true density (left) and the densities of planar flows with $k$ layers fitted to its samples{firstOf (PlanarFit.seeds results.Plan)}, on $[-5,5]^2$; each panel has its own scale, brightest at its maximum."
        4

let private table (results: Results) =
    all ()
    |> Table.over
        "ift7.table"
        "Negative log-likelihood of planar flows fitted to samples (nats): training loss, mean over the last 200 of the iterations, and held-out samples. The entropy is the floor of the expectation of the latter; a training loss below it would be overfitting."
        [
            Column.text "Target" _.Target.Name
            Column.right "$k$" (fun cell -> Text(string cell.Layers))
            Column.right "Source" (fun cell -> Source(source cell, 4))
            Column.right "Training" (trained PlanarFit.centred results >> Seeds.cell 3)
            Column.right "Held-out" (heldOut results >> Seeds.cell 3)
            Column.number "Entropy" 3 _.Target.Entropy
            Column.right "Gap" (gap results >> Seeds.cell 3)
            Column.text "Published, by seed" (fun cell ->
                [ for loss in trained PlanarFit.asPublished results cell -> Markup.fixedPoint 3 loss ]
                |> String.concat ", ")
        ]
    |> Table.withNote
        "Gap: held-out minus entropy. Published: training loss when the constraint on $u$ is built in exactly as Rezende and Mohamed (2015) have it."

let private report (results: Results) : Section =
    let plan = results.Plan
    let gap target = gap results (find target 32)
    let mean built target = Seeds.mean (trained built results (find target 32))
    let published, centred = mean PlanarFit.asPublished, mean PlanarFit.centred
    let published8 target = Seeds.mean (trained PlanarFit.asPublished results (find target 8))
    /// In how many of all trainings of both targets 32 layers end below 8, seed by seed.
    let deeper = [
        for target in [ "arcs"; "sine" ] do
            yield!
                List.map2
                    (<)
                    (trained PlanarFit.asPublished results (find target 32))
                    (trained PlanarFit.asPublished results (find target 8))
    ]
    let publishedLosses = [ for target in [ "arcs"; "sine" ] -> published8 target, published target ]
    let aboveEntropy (cell: Cell) =
        let error = each results (Metric.value "se" "nats" 3 "se") evaluate cell |> List.max
        heldOut results cell |> List.forall (fun nll -> nll >= cell.Target.Entropy - 5.0 * error)
    let falling target =
        depths
        |> List.map (find target >> heldOut results >> Seeds.mean)
        |> List.pairwise
        |> List.forall (fun (fewer, more) -> fewer > more)
    let likelihoods = [ for c in all () -> $"{c.Target.Name} k={c.Layers}", heldOut results c ]

    {
        Section.empty "ift7" (plan.Origin([], (PlanarFit.seeds plan).Length, None)) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                Value.number "ift7.arcs-entropy" 4 arcs.Value.Entropy
                Value.number "ift7.sine-entropy" 4 sine.Value.Entropy
                Seeds.value "ift7.arcs-gap" 3 (gap "arcs")
                Seeds.value "ift7.sine-gap" 3 (gap "sine")
                Value.number "ift7.arcs-published" 2 (published "arcs")
                Value.number "ift7.sine-published" 2 (published "sine")
                Value.integer "ift7.deeper" (deeper |> List.filter id |> List.length)
                Value.integer "ift7.deeper-of" deeper.Length
                Value.number "ift7.arcs-published8" 2 (published8 "arcs")
                Value.number "ift7.sine-published8" 2 (published8 "sine")
                Value.integer "ift7.steps" (PlanarFit.steps plan)
                Value.integer "ift7.held-out" PlanarFit.heldOutSamples
            ]
            Claims = [
                for c in all () ->
                    Claim.that
                        "IFT P3.4"
                        $"ift7.{c.Target.Name}.k{c.Layers}"
                        $"training NLL, {c.Target.Name}, $k={c.Layers}$"
                    |> Claim.beside (source c)
                    |> Claim.judgedBy (AtMost(source c + 0.05)) (trained PlanarFit.centred results c)
                    |> Claim.incomparable
                        "the source's samples are lost, and others drawn from the densities of P3.5 stand in for them, on the assumption that they are the same"
                    |> Claim.noting
                        "the constraint is centred, a choice made after the published form fell short at 32 layers"
            ]
            Guards = [
                Guard.that "ift7.floor" "no held-out NLL is below the entropy by more than five standard errors"
                |> Guard.holds (List.forall aboveEntropy (all ()))
                |> Guard.found likelihoods
                Guard.that
                    "ift7.depth"
                    "for both targets the mean held-out NLL falls from 2 to 8 and from 8 to 32 layers"
                |> Guard.holds (falling "arcs" && falling "sine")
                |> Guard.found likelihoods
                Guard.that
                    "ift7.published"
                    "with the published constraint, too, the mean training loss falls from 8 to 32 layers on both targets"
                |> Guard.holds (List.forall (fun (eight, more) -> more < eight) publishedLosses)
                |> Guard.found [ for eight, more in publishedLosses -> "8 and 32 layers", [ eight; more ] ]
                Guard.that
                    "ift7.start"
                    "with 32 layers the centred constraint gives a lower mean training loss than the published one, on both targets"
                |> Guard.holds (centred "arcs" < published "arcs" && centred "sine" < published "sine")
                |> Guard.found [ "as published", [ published "arcs"; published "sine" ] ]
            ]
    }

let experiment = Experiment.row "ift7" runs report
