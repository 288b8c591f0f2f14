/// uva1.6: the gap of the bound, log p(x) by importance sampling minus the ELBO, while a VAE on digits is trained.
/// Run it: `./reproduce --only uva1.6`.
module Research.Experiments.Uva.Gap

open TorchSharp
open Research.Core
open Research.Report
open Research.Experiments
open Research.Experiments.Hw

/// Epochs after which the gap is measured. Noise and batches depend on the seed and the step alone, so a shorter training
/// is the beginning of a longer one, and trainings of doubling length are snapshots for twice the price of the longest.
let private epochs profile = Profile.pick profile [ 1; 2 ] [ for i in 0..6 -> 1 <<< i ] [ for i in 0..8 -> 1 <<< i ]

let private images profile = Profile.pick profile 16 100 400
let private samples profile = Profile.pick profile 10 100 500
/// With so many some measurements are repeated: the first, the last, and the one that profile quick ends with.
let private manySamples profile = 10 * samples profile
let private repeated profile =
    let all = epochs profile
    List.distinct [ all.Head; min 64 (List.last all); List.last all ]

/// The model of hw5.1 after so many epochs.
let train (plan: Plan) (seed: int64) (epochs: int) : Trained =
    let run = { Digits.plain plan.Profile with Length = Epochs epochs }
    VaeTraining.request plan $"uva1.6.epochs{epochs}.seed{seed}" seed run

/// Values `elbo.PART`, `logp.PART` and `kl.PART`, means over images of the training and of the test part. The first two
/// come from the same draws, as the mean of the log-weights and as the logarithm of the mean weight.
let private measure (plan: Plan) (trained: Trained) =
    let samples, images = samples plan.Profile, images plan.Profile
    let configuration = [ "samples", string samples; "images", string images ]

    VaeTraining.measure plan $"{trained.Name}.gap" configuration trained (fun context built ->
        let model, latent = built.Model(), trained.Run.Shape.Latent
        [
            for part, all in [ "train", plan.Train Digits.set; "test", plan.Test Digits.set ] do
                let x = all.narrow (0L, 0L, min (int64 images) (all.size 0))
                let logWeights = Weights.underPosterior model x latent samples context.Noise
                $"elbo.{part}", logWeights.mean().ToDouble()
                $"logp.{part}", (importanceWeightedBound logWeights).mean().ToDouble()
                $"kl.{part}", (klStandard (model.Encode x).Base).mean().ToDouble()
        ])

/// `logp`, the mean over the same test images with many more draws: importance sampling errs downwards, and the more the
/// wider the gap.
let private remeasure (plan: Plan) (trained: Trained) =
    let samples, images = manySamples plan.Profile, images plan.Profile
    let configuration = [ "samples", string samples; "images", string images ]

    VaeTraining.measure plan $"{trained.Name}.gap.many" configuration trained (fun context built ->
        let test = plan.Test Digits.set
        let x = test.narrow (0L, 0L, min (int64 images) (test.size 0))
        let logWeights = Weights.underPosterior (built.Model()) x trained.Run.Shape.Latent samples context.Noise
        [ "logp", (importanceWeightedBound logWeights).mean().ToDouble() ])

/// The models after each number of epochs, one per seed.
let private models (plan: Plan) = [
    for e in epochs plan.Profile -> e, [ for seed in plan.SeedsOn Digits.set -> train plan seed e ]
]


let private runs (plan: Plan) = [
    yield! models plan |> List.collect (snd >> VaeTraining.withEach (measure plan))
    for e, trained in models plan do
        if List.contains e (repeated plan.Profile) then
            yield! List.map (remeasure plan) trained
]
let private measured (plan: Plan) = [ for e, trained in models plan -> e, List.map (measure plan) trained ]

let private elbo part = Metric.value $"ELBO, {part}" "nats" 2 $"elbo.{part}"
let private logP part = Metric.value $"$\\log p(x)$, {part}" "nats" 2 $"logp.{part}"
let private gap part = logP part |> Metric.minus $"gap, {part}" (elbo part)
let private rate = Metric.value "rate, test" "nats" 2 "kl.test"

let private figure (results: Results) =
    let line name metric =
        Seeds.line name [ for e, runs in measured results.Plan -> float e, Metric.each results metric runs ]
    let panel title y lines = Panel.axes title (Axis.log "epoch") (Axis.linear y) lines |> Panel.withLegend Below
    [
        panel "test images" "nats" [ line "ELBO" (elbo "test"); line "$\\log p(x)$" (logP "test") ]
        panel "$\\log p(x)-$ELBO" "gap (nats)" [ line "training images" (gap "train"); line "test images" (gap "test") ]
    ]
    |> Figure.grid
        "uva1.6.gap"
        $"Digits, $L={Digits.latent}$: the ELBO and $\\log p(x)$ by importance sampling with $K={samples results.Plan.Profile}$ on the first {images results.Plan.Profile} test images (left), and their difference on training and test images (right), against the epochs of training."
        2

let private table (results: Results) =
    measured results.Plan
    |> Table.over
        "uva1.6.table"
        $"Digits, the first {images results.Plan.Profile} training and test images: the bound, $\\log p(x)$ by importance sampling, the gap and the rate (the encoder's mean divergence from the prior) over training (nats)."
        [
            Column.number "Epochs" 0 (fst >> float)
            for metric in [ elbo "test"; logP "test"; gap "test"; rate; elbo "train"; logP "train"; gap "train" ] do
                Column.metric results snd metric
        ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let measured = measured plan
    let of' metric (_, runs) = Metric.each results metric runs
    let mean metric (_, runs) = Metric.mean results metric runs
    let first, last = measured.Head, List.last measured
    let best = measured |> List.maxBy (mean (elbo "test"))
    let least = measured |> List.minBy (mean (gap "test"))
    // What the test images gained from the first measurement to the best one, and which part of that is the gap's.
    let gain metric = List.map2 (-) (of' metric best) (of' metric first)
    let boundGain, logPGain = gain (elbo "test"), gain (logP "test")
    let rates = measured |> List.map (mean rate)
    // What many more draws add to log p(x), where they were made.
    let raised = [
        for (epoch, runs), (_, trained) in List.zip measured (models plan) do
            if List.contains epoch (repeated plan.Profile) then
                let many = trained |> List.map (remeasure plan >> results.Value "logp")
                epoch, List.map2 (-) many (Metric.each results (logP "test") runs)
    ]
    let cut = shortened "epochs" (fst last) (List.last (epochs Paper))
    let raisedTexts = [
        for epoch, nats in raised -> Cell.markup (Seeds.meanSe nats ||> Seeds.resolved 2) + $" after epoch {epoch}"
    ]

    {
        Section.empty "uva1.6" (plan.Origin([ Digits.set ], (plan.SeedsOn Digits.set).Length, cut)) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                Value.integer "uva1.6.epoch" (fst best)
                Seeds.value "uva1.6.gain" 1 boundGain
                Seeds.value "uva1.6.logp" 1 logPGain
                Seeds.value "uva1.6.first" 2 (of' (gap "test") first)
                Value.integer "uva1.6.leastepoch" (fst least)
                Seeds.value "uva1.6.least" 2 (of' (gap "test") least)
                Seeds.value "uva1.6.last" 2 (of' (gap "test") last)
                Value.integer "uva1.6.samples" (samples plan.Profile)
                Value.integer "uva1.6.images" (images plan.Profile)
                Value.integer "uva1.6.many" (manySamples plan.Profile)
                Value.text "uva1.6.raised" (String.concat ", " raisedTexts)
                Seeds.value "uva1.6.last.many" 2 (List.map2 (+) (of' (gap "test") last) (snd (List.last raised)))
            ]
            Guards = [
                Guard.that
                    "uva1.6.model"
                    "at least nine tenths of the bound's gain up to its best are gains of log p(x), for every seed"
                |> Guard.pairs (fun bound logP -> logP >= 0.9 * bound) ("bound", boundGain) ("log p", logPGain)
                Guard.that
                    "uva1.6.valley"
                    "the mean gap on test images is least neither at the first nor at the last measurement"
                |> Guard.holds (fst least <> fst first && fst least <> fst last)
                |> Guard.found [ "least after epoch", [ float (fst least) ] ]
                Guard.that "uva1.6.collapse" "the least mean rate on test images is at most a fifth of the last"
                |> Guard.holds (List.min rates <= 0.2 * List.last rates)
                |> Guard.found [ "rates", rates ]
                Guard.that
                    "uva1.6.generalises"
                    "after the last epoch the gap is larger on test than on training images, for every seed"
                |> Guard.pairs (>) ("test", of' (gap "test") last) ("training", of' (gap "train") last)
            ]
    }

let experiment = Experiment.row "uva1.6" runs report
