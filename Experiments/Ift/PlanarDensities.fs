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
open Research.Experiments.Ift.PlanarCells

let private lossSamples = 50000

/// As many as the source shows.
let private shown = 500

let private training (plan: Plan) (cell: Cell) seed =
    PlanarFit.request plan PlanarFit.FromDensity cell.Target PlanarFit.centred cell.Layers seed

/// The loss over fresh draws of the base, the share of them that leaves |z1| <= 5, and draws to show.
let private evaluate (plan: Plan) (cell: Cell) (seed: int64) : RunRequest =
    let measure (context: RunContext) chain =
        let z0 = context.Noise.Normal("evaluation", 0L, [| int64 lossSamples; 2L |])
        let z, logDet = (PlanarChain.transform chain).Forward z0
        let outside = (z.select (1L, 0L)).abs().gt(scalar frame).double()
        context.Keep("samples", [ "samples", z.narrow (0L, 0L, int64 shown) ])
        [
            yield! meanSe "loss" ((logStandardNormal z0 - logDet + cell.Target.Energy z).double())
            "outside", outside.mean().ToDouble()
        ]
    let configuration = [ "samples", string lossSamples; "shown", string shown ]
    evaluation plan (training plan cell seed) configuration measure

let private runs (plan: Plan) = eachFit plan (fun cell seed -> [ training plan cell seed; evaluate plan cell seed ])

let private evaluations (plan: Plan) cell = PlanarFit.seeds plan |> List.map (evaluate plan cell)

let private loss = Metric.value "Loss" "nats" 3 "loss"
let private outside = Metric.value "Outside" "" 3 "outside"

/// Half the side of the figure's frame: wide enough for all but a few of the samples that leave the strip.
let private half = 7.5

let private figure (results: Results) =
    let samples cell = results.Points "samples" "samples" (evaluations results.Plan cell).Head
    let isInside (x, y) = abs x <= half && abs y <= half
    let beyond =
        all () |> List.sumBy (fun cell -> samples cell |> Array.filter (isInside >> not) |> Array.length)

    let outside =
        if beyond = 0 then
            "no sample lies beyond"
        else
            $"samples that lie beyond: {beyond}"

    panels half (fun cell -> Scatter("", samples cell |> Array.filter isInside))
    |> Figure.grid
        "ift8.samples"
        $"The targets (left: $\\exp(-U)$ over its integral for arcs, and for sine over that of the strip $|z_1|\\le5$, drawn beyond it as well) and {shown} samples of the planar flows with $k$ layers fitted to them{firstOf (PlanarFit.seeds results.Plan)}, on $[-{inv half},{inv half}]^2$; {outside}."
        4

/// How far the mean loss is above its lower bound.
let private gap results (cell: Cell) (bound: float) = Metric.mean results loss (evaluations results.Plan cell) - bound

let private table (results: Results) =
    let bounded ofBound otherwise (cell: Cell) =
        cell.Target.Bound
        |> Option.map (fun bound -> Number(ofBound cell bound, 3))
        |> Option.defaultValue otherwise

    all ()
    |> Table.over
        "ift8.table"
        $"Density matching: the loss over {lossSamples} fresh draws of the base (nats), its lower bound $-\\log Z$, and the share of samples with $\\abs{{z_1}}>5$."
        [
            Column.text "Target" _.Target.Name
            Column.right "$k$" (fun cell -> Text(string cell.Layers))
            Column.metric results (evaluations results.Plan) loss
            Column.right "Bound" (bounded (fun _ bound -> bound) (Text "$-\\infty$"))
            Column.right "Gap" (bounded (gap results) (Missing "the loss on sine has no lower bound"))
            Column.metric results (evaluations results.Plan) outside
        ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let of' metric target layers = Metric.each results metric (evaluations plan (find target layers))
    let error = Metric.value "se" "nats" 3 "se"
    let bound = arcs.Value.Bound.Value
    let gap layers = gap results (find "arcs" layers) bound
    // On sine the density of the strip |z1| <= 5 alone would give this.
    let strip = -log(10.0 * 0.4 * sqrt (2.0 * System.Math.PI))
    let sineLoss, escaped = List.min (of' loss "sine" 32), Seeds.mean (of' outside "sine" 32)
    let aboveBound layers =
        let slack = 5.0 * List.max (of' error "arcs" layers)
        of' loss "arcs" layers |> List.forall (fun loss -> loss >= bound - slack)

    {
        Section.empty "ift8" (plan.Origin([], (PlanarFit.seeds plan).Length, None)) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                Value.number "ift8.bound" 4 bound
                Value.number "ift8.arcs-gap" 3 (gap 32)
                Value.number "ift8.arcs-gap-2" 3 (gap 2)
                Value.number "ift8.sine" 3 sineLoss
                Value.number "ift8.strip" 4 strip
                Value.number "ift8.outside" 1 (100.0 * escaped)
            ]
            Guards = [
                Guard.that "ift8.above" "no loss on arcs is below -log Z by more than five standard errors"
                |> Guard.holds (List.forall aboveBound depths)
                |> Guard.found [ "gaps", List.map gap depths ]
                Guard.that "ift8.close" "with 32 layers the loss on arcs is within 0.25 of -log Z"
                |> Guard.every (fun gap -> gap < 0.25) "gap" [ gap 32 ]
                Guard.that
                    "ift8.unbounded"
                    "with 32 layers the lowest loss on sine over the seeds is below the bound of the strip |z1| <= 5, with samples outside of it"
                |> Guard.holds (sineLoss < strip && escaped > 0.0)
                |> Guard.found [ "loss", [ sineLoss ]; "bound of the strip", [ strip ] ]
            ]
    }

let experiment = Experiment.row "ift8" runs report
