/// cs2.2: a non-saturating GAN trained for one epoch of Fashion-MNIST, with images of 100 fixed latents every 50
/// steps. Run it: `./reproduce --only cs2.2`.
module Research.Experiments.Cs.FashionMnist

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

/// One epoch of 60,000 images in batches of 64, the last partial batch dropped.
let private fullSteps = 937

/// The step whose images the source asks for.
let private fullShown = 900

let private every = 50

let private steps profile = Profile.pick profile 6 500 fullSteps

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
    Steps = steps profile
    Snapshots = Pictures(Profile.pick profile 2 every every)
    LogEvery = Profile.pick profile 1 5 5
}

let trainings (plan: Plan) : RunRequest list = [
    for seed in plan.Seeds -> GanRun.request plan $"cs2.2.seed{seed}" seed 1 (gan plan.Profile)
]

/// The generator is linear at its end, so an image may leave [-1,1] a little; it is cut there.
let private pictures (plan: Plan) (images: Tensor) =
    Pictures.images (plan.Data DataSetId.FashionMnist).Train 1.0 ((images + 1.0) / 2.0)

let private sample (plan: Plan) (results: Results) (count: int) (noise: Noise) =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()

    let generator =
        GanRun.load FashionNetworks (results.Of (trainings plan).Head) "model" plan.Device

    let z = GanRun.latents generator noise "sample" 0L count plan.Device
    (generator.Apply Running z).flatten 1L |> pictures plan

let private cs22: Experiment = {
    Row = "cs2.2"
    Title = "Non-saturating GAN on Fashion-MNIST"
    Runs = trainings
    Report =
        fun plan results ->
            let run = gan plan.Profile
            let runs = trainings plan

            let origin =
                plan.Origin([ DataSetId.FashionMnist ], runs.Length, shortened "steps" run.Steps fullSteps)

            let kept = GanRun.snapshotSteps run |> List.filter (fun s -> s <= int64 fullShown)
            let shown = List.last kept
            let first = runs.Head

            let images (step: int64) =
                results.Tensor (GanRun.snapshotFile step) "images" first |> pictures plan

            // Five moments from the first images to the ones shown, each twice as late as the one before.
            let moments =
                [ for k in 4..-1..0 -> kept |> List.minBy (fun s -> abs (s - (shown >>> k))) ]
                |> List.distinct

            let latents = 12

            let strip = [|
                for step in moments do
                    yield! (images step)[.. latents - 1]
            |]

            let curve name = results.Curve "train" name first

            let losses =
                runs
                |> List.map (fun r -> results.Curve "train" "critic" r, results.Curve "train" "generator" r)

            let finite =
                losses
                |> List.forall (fun (d, g) ->
                    Seq.append d g |> Seq.forall (fun (_, loss) -> Double.IsFinite loss))

            // The mean over the last hundred steps.
            let late (points: (float * float)[]) =
                points |> Array.filter (fun (s, _) -> s > float (run.Steps - 100)) |> Array.averageBy snd

            let lateD, lateG = losses |> List.map (fst >> late), losses |> List.map (snd >> late)
            let log4, log2 = log 4.0, log 2.0

            {
                Row = "cs2.2"
                Origin = origin
                Figures = [
                    Pictures.grid
                        "cs2.2.samples"
                        $"Fashion-MNIST: what the generator makes of 100 fixed latents after {shown} steps, seed 1, with its running batch statistics."
                        10
                        (images shown)
                    Figure.single
                        "cs2.2.progress"
                        $"Fashion-MNIST: the images of {latents} of these latents on the way there."
                        (Panel.images "" latents strip
                         |> Panel.withCaptions [ for step in moments -> $"step {step}" ] [])
                    Figure.single
                        "cs2.2.losses"
                        "Fashion-MNIST: both losses, means over five steps, seed 1. Dotted: their values for a generator that the discriminator cannot tell from the data, $\\log 4$ and $\\log 2$."
                        (Panel.axes "" (Axis.linear "step") (Axis.linear "loss (nats)") [
                            Line("discriminator", curve "critic", None)
                            Line("generator", curve "generator", None)
                            Level("", log4)
                            Level("", log2)
                        ])
                ]
                Tables = []
                Values = [
                    Value.integer "cs2.2.steps" run.Steps
                    Value.integer "cs2.2.shown" (int shown)
                    Seeds.value "cs2.2.critic" 2 lateD
                    Seeds.value "cs2.2.generator" 2 lateG
                ]
                Claims = []
                Guards = [
                    Guard.check
                        origin
                        "cs2.2.finite"
                        "every recorded loss of every seed is finite"
                        finite
                        $"{losses.Length} seeds, {run.Steps} steps"
                    Guard.check
                        origin
                        "cs2.2.ahead"
                        "over the last hundred steps the discriminator's loss is below log 4 and the generator's above log 2"
                        (List.forall (fun d -> d < log4) lateD && List.forall (fun g -> g > log2) lateG)
                        (List.map2 (fun d g -> $"{d:F2} and {g:F2}") lateD lateG |> String.concat "; ")
                ]
            }
    Sample = Some sample
}

let experiments = [ cs22 ]
