/// cs2.2: a non-saturating GAN trained for one epoch of Fashion-MNIST, with images of 100 fixed latents every 50
/// steps. Run it: `./reproduce --only cs2.2`.
module Research.Experiments.Cs.FashionMnist

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

/// The kept step that the source asks for, or the last one before it.
let private shownStep (profile: Profile) : int64 =
    GanRun.snapshotSteps (gan profile) |> List.filter (fun step -> step <= int64 fullShown) |> List.last

/// Which training image is nearest to each image of that step: `classes`, over how many classes these are spread;
/// `distance`, the mean distance in pixels of [-1,1]; and `real`, the same distance of as many test images.
let private nearest (plan: Plan) (training: RunRequest) : RunRequest =
    let set, step = DataSetId.FashionMnist, shownStep plan.Profile
    let measure (context: RunContext) =
        let ofLevels (x: Tensor) = x * (2.0 / 255.0) - 1.0
        let kept = (context.Dependency training.Key).ReadTensors(GanRun.snapshotFile step)["images"]
        // As the pictures show them: the generator's output is linear, and cut to the range of the data.
        let images = TensorBytes.ToTensor(kept, context.Device).clamp(scalar -1.0, scalar 1.0)
        let data = ofLevels (plan.Train set)
        let test = plan.Test set
        let test = ofLevels (test.narrow (0L, 0L, min (images.size 0) (test.size 0)))
        let (distance, index), (real, _) = Rows.nearest data images, Rows.nearest data test
        let labels = (Rows.labels (plan.Data set).Train context.Device).index_select(0L, index)
        let classes = labels.cpu().data<int64>().ToArray() |> Array.distinct |> Array.length
        let mean (x: Tensor) = x.mean().ToDouble()
        [ "classes", float classes; "distance", mean distance; "real", mean real ]
    plan.Measure(
        training.Key.Name + ".nearest",
        [ "step", string step ],
        training.Key.Seed,
        Some set,
        measure,
        [ training ]
    )

let private runs (plan: Plan) = trainings plan |> List.collect (fun training -> [ training; nearest plan training ])

let private sample (results: Results) count noise =
    GanRun.load FashionNetworks (results.Of (trainings results.Plan).Head) "model" results.Plan.Device
    |> GanRun.sample results.Plan DataSetId.FashionMnist count noise

let private figures (results: Results) =
    let first, run = (trainings results.Plan).Head, gan results.Plan.Profile
    let kept = GanRun.snapshotSteps run |> List.filter (fun step -> step <= int64 fullShown)
    let shown, latents = shownStep results.Plan.Profile, 12
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
            $"Fashion-MNIST: what the generator makes of 100 fixed latents after {shown} steps (the source's fake_0900.png is that of step {fullShown}){firstOf results.Plan.Seeds}, in evaluation mode: with the averages over its training of the batch statistics. The document does not say in which mode its image is made."
            10
            (images shown)
        [ for step in moments -> $"step {step}", (images step)[.. latents - 1] ]
        |> Pictures.rows
            "cs2.2.progress"
            $"Fashion-MNIST: the images of {latents} of the latents of the figure before, on the way there."
        Panel.axes "" (Axis.linear "step") (Axis.linear "loss (nats)") [
            Line("discriminator", curve "critic", None)
            Line("generator", curve "generator", None)
            Level("discriminator", log 4.0)
            Level("generator", log 2.0)
        ]
        |> Figure.single
            "cs2.2.losses"
            $"Fashion-MNIST: both losses, means over five steps (the last over fewer){firstOf results.Plan.Seeds}. Dotted, in their colours: their values for a generator that the discriminator cannot tell from the data, $\\log 4$ and $\\log 2$."
    ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let run, runs = gan plan.Profile, trainings plan
    let shown = shownStep plan.Profile
    let cut = shortened "steps" run.Steps fullSteps
    let losses player = runs |> List.map (results.Curve "train" player)
    // The mean over the last hundred steps. The last value is a mean over fewer of them than the others are.
    let late player = [
        for curve in losses player ->
            let each =
                Array.append [| 0.0, nan |] curve
                |> Array.pairwise
                |> Array.map (fun ((before, _), (step, loss)) -> step, step - before, loss)
                |> Array.filter (fun (step, _, _) -> step > float (run.Steps - 100))
            Array.sumBy (fun (_, steps, loss) -> steps * loss) each
            / Array.sumBy (fun (_, steps, _) -> steps) each
    ]
    let critic, generator = late "critic", late "generator"
    // What the discriminator gives to samples at the start: the generator's loss is the mean of -log D(G(z)).
    let early = [
        for curve in losses "generator" -> curve |> Array.filter (fun (step, _) -> step <= 100.0) |> Array.averageBy snd
    ]
    /// The largest mean of the generator's loss over a hundred steps, of those that begin where a logged mean does.
    let surest = [
        for curve in losses "generator" ->
            let hundred = curve |> Array.filter (fun (step, _) -> step <= 100.0) |> Array.length
            curve |> Array.map snd |> Array.windowed hundred |> Array.map Array.average |> Array.max
    ]
    let of' name = runs |> List.map (nearest plan >> results.Value name)
    let distances = List.map2 (/) (of' "distance") (of' "real")

    {
        Section.empty "cs2.2" (plan.Origin([ DataSetId.FashionMnist ], runs.Length, cut)) with
            Figures = figures results
            Values = [
                Value.integer "cs2.2.steps" run.Steps
                Value.integer "cs2.2.shown" (int shown)
                Seeds.value "cs2.2.critic" 2 critic
                Seeds.value "cs2.2.generator" 2 generator
                Seeds.value "cs2.2.early" 2 early
                Value.number "cs2.2.earlyshare" 2 (exp -(Seeds.mean early))
                Value.number "cs2.2.surest" 2 (List.max surest)
                Value.number "cs2.2.divergence" 2 ((log 4.0 - Seeds.mean critic) / 2.0)
                Seeds.value "cs2.2.classes" 0 (of' "classes")
                Seeds.value "cs2.2.distance" 2 distances
            ]
            Guards = [
                Guard.that
                    "cs2.2.unsure"
                    "in no hundred steps is the generator's mean loss 10 nats or more, for every seed"
                |> Guard.every (fun loss -> loss < 10.0) "largest mean" surest
                Guard.that
                    "cs2.2.garments"
                    "the nearest training images are of at least five classes and less than 1.5 times as far as those of test images, for every seed"
                |> Guard.holds (
                    List.forall2 (fun classes ratio -> classes >= 5.0 && ratio < 1.5) (of' "classes") distances
                )
                |> Guard.found [ "classes", of' "classes"; "distance over that of test images", distances ]
                Guard.that
                    "cs2.2.ahead"
                    "over the last hundred steps the discriminator's loss is below log 4 and the generator's above log 2"
                |> Guard.pairs
                    (fun critic generator -> critic < log 4.0 && generator > log 2.0)
                    ("discriminator", critic)
                    ("generator", generator)
            ]
    }

let experiment = Experiment.sampled "cs2.2" runs report sample
