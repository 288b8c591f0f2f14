/// cs2.2: a non-saturating GAN trained for one epoch of Fashion-MNIST, with images of 100 fixed latents every 50
/// steps. Run it: `./reproduce --only cs2.2`.
module Research.Experiments.Cs.FashionMnist

open System
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

/// One epoch of 60,000 images in batches of 64, the last partial batch dropped.
let private fullSteps = 937

/// The step whose images the source asks for.
let private fullShown = 900

let gan (profile: Profile) : GanRun = {
    Data = DataSetId.FashionMnist
    Networks = FashionNetworks
    Adversary = Adversary.nonSaturating
    R1 = 0.0
    GeneratorOptimiser = OptimiserSettings.Adam(1e-3, 0.5, 0.999)
    CriticOptimiser = OptimiserSettings.Adam(1e-3, 0.5, 0.999)
    CriticSteps = 1
    Ema = 0.0
    Batch = 64
    Steps = Profile.pick profile 6 fullSteps fullSteps
    Snapshots = Pictures(Profile.pick profile 2 50 50)
    LogEvery = Profile.pick profile 1 5 5
}

let private trainings (plan: Plan) : RunRequest list = [
    for seed in plan.Seeds -> GanRun.request plan $"cs2.2.seed{seed}" seed (gan plan.Profile)
]

let private sample (results: Results) count noise =
    GanRun.load FashionNetworks (results.Of (trainings results.Plan).Head) "model" results.Plan.Device
    |> GanRun.sample results.Plan DataSetId.FashionMnist count noise

let private figures (results: Results) =
    let first, run = (trainings results.Plan).Head, gan results.Plan.Profile
    let kept = GanRun.snapshotSteps run |> List.filter (fun step -> step <= int64 fullShown)
    let shown, latents = List.last kept, 12
    let images (step: int64) =
        results.Tensor (GanRun.snapshotFile step) "images" first
        |> GanRun.pictures results.Plan DataSetId.FashionMnist
    // Five moments from the first images to the ones shown, each twice as late as the one before.
    let moments =
        [ for k in 4..-1..0 -> kept |> List.minBy (fun step -> abs (step - (shown >>> k))) ]
        |> List.distinct
    let curve name = results.Curve "train" name first

    [
        Pictures.grid
            "cs2.2.samples"
            $"Fashion-MNIST: what the generator makes of 100 fixed latents after {shown} steps, seed 1, with its running batch statistics."
            10
            (images shown)
        [ for step in moments -> $"step {step}", (images step)[.. latents - 1] ]
        |> Pictures.rows "cs2.2.progress" $"Fashion-MNIST: the images of {latents} of these latents on the way there."
        Panel.axes "" (Axis.linear "step") (Axis.linear "loss (nats)") [
            Line("discriminator", curve "critic", None)
            Line("generator", curve "generator", None)
            Level("", log 4.0)
            Level("", log 2.0)
        ]
        |> Figure.single
            "cs2.2.losses"
            "Fashion-MNIST: both losses, means over five steps, seed 1. Dotted: their values for a generator that the discriminator cannot tell from the data, $\\log 4$ and $\\log 2$."
    ],
    shown

let private report (results: Results) : Section =
    let plan = results.Plan
    let run, runs = gan plan.Profile, trainings plan
    let cut = shortened "steps" run.Steps fullSteps
    let figures, shown = figures results
    let losses player = runs |> List.map (results.Curve "train" player)
    // The mean over the last hundred steps.
    let late player = [
        for curve in losses player ->
            curve |> Array.filter (fun (step, _) -> step > float (run.Steps - 100)) |> Array.averageBy snd
    ]
    let critic, generator = late "critic", late "generator"
    let everyLoss = losses "critic" @ losses "generator" |> Seq.concat

    {
        Section.empty "cs2.2" (plan.Origin([ DataSetId.FashionMnist ], runs.Length, cut)) with
            Figures = figures
            Values = [
                Value.integer "cs2.2.steps" run.Steps
                Value.integer "cs2.2.shown" (int shown)
                Seeds.value "cs2.2.critic" 2 critic
                Seeds.value "cs2.2.generator" 2 generator
            ]
            Guards = [
                Guard.that "cs2.2.finite" "every recorded loss of every seed is finite"
                |> Guard.holds (everyLoss |> Seq.forall (snd >> Double.IsFinite))
                |> Guard.found [ "steps", [ float run.Steps ] ]
                Guard.that
                    "cs2.2.ahead"
                    "over the last hundred steps the discriminator's loss is below log 4 and the generator's above log 2"
                |> Guard.pairs
                    (fun critic generator -> critic < log 4.0 && generator > log 2.0)
                    ("discriminator", critic)
                    ("generator", generator)
            ]
    }

let experiment = Experiment.sampled "cs2.2" trainings report sample
