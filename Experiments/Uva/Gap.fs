/// uva1.6: the gap of the bound, log p(x) by importance sampling minus the ELBO, while a VAE on digits is trained.
/// Run it: `./reproduce --only uva1.6`.
module Research.Experiments.Uva.Gap

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Hw

/// Epochs after which the gap is measured. Noise and batches depend on the seed and the step alone, so a shorter training
/// is the beginning of a longer one, and trainings of doubling length are snapshots for twice the price of the longest.
let private epochs profile =
    Profile.pick profile [ 1; 2 ] [ for i in 0..6 -> 1 <<< i ] [ for i in 0..8 -> 1 <<< i ]

let private parts = [ "train"; "test" ]
let private images profile = Profile.pick profile 16 100 400
let private samples profile = Profile.pick profile 10 100 500

/// The model of hw5.1 after so many epochs.
let train (plan: Plan) (seed: int64) (epochs: int) : Digits.Trained =
    let run = { Digits.plain plan.Profile with Length = Epochs epochs }
    Digits.train plan $"uva1.6.epochs{epochs}" seed run

/// Values `elbo.PART`, `logp.PART` and `kl.PART`, means over images of the training and of the test part. The first two
/// come from the same draws, as the mean of the log-weights and as the logarithm of the mean weight.
let private measure (plan: Plan) (trained: Digits.Trained) : RunRequest =
    let profile = plan.Profile

    let measure (context: RunContext) (built: BuiltVae) =
        let model = built.Model()

        [
            for part, all in List.zip parts [ plan.Train Digits.set; plan.Test Digits.set ] do
                let x = all.narrow (0L, 0L, min (int64 (images profile)) (all.size 0))
                let latent = trained.Run.Shape.Latent
                let logWeights = Weights.underPosterior model x latent (samples profile) context.Noise
                $"elbo.{part}", logWeights.mean().ToDouble()
                $"logp.{part}", (importanceWeightedBound logWeights).mean().ToDouble()
                $"kl.{part}", (klStandard (model.Encode x).Base).mean().ToDouble()
        ]

    VaeRun.measurement
        plan
        (trained.Training.Key.Name + ".gap")
        [ "samples", string (samples profile); "images", string (images profile) ]
        1
        trained.Run
        trained.Training
        measure

/// The measurements after each number of epochs, one per seed.
let private measurements (plan: Plan) : (int * RunRequest list) list = [
    for e in epochs plan.Profile -> e, [ for seed in plan.Seeds -> measure plan (train plan seed e) ]
]

let private runs (plan: Plan) = [
    for e in epochs plan.Profile do
        for seed in plan.Seeds do
            let trained = train plan seed e
            trained.Training
            measure plan trained
]

let private report (plan: Plan) (results: Results) : Section =
    let profile = plan.Profile
    let measured = measurements plan
    let origin = plan.Origin([ Digits.set ], plan.Seeds.Length, None)
    let elbo part run = results.Value $"elbo.{part}" run
    let logP part run = results.Value $"logp.{part}" run
    let gap part run = logP part run - elbo part run
    let mean f (runs: RunRequest list) = Seeds.mean (List.map f runs)
    let cell f (runs: RunRequest list) = Seeds.cell 2 (List.map f runs)
    let line name f = Seeds.line name [ for e, runs in measured -> float e, List.map f runs ]
    let first, last = snd measured.Head, snd (List.last measured)
    // What the bound gained on the test images from the first measurement to the best one, and which part of that is the gap's.
    let best = measured |> List.map snd |> List.maxBy (mean (elbo "test"))
    let gain f = List.map2 (fun before after -> f after - f before) first best
    let boundGain, logPGain = gain (elbo "test"), gain (logP "test")
    let bestEpoch = measured |> List.find (fun (_, runs) -> runs = best) |> fst
    let leastEpoch, least = measured |> List.minBy (snd >> mean (gap "test"))
    let gapsAtEnd part = last |> List.map (gap part)
    let rates = measured |> List.map (snd >> mean (results.Value "kl.test"))
    let numbers values = values |> List.map (Markup.fixedPoint 2) |> String.concat ", "

    {
        Row = "uva1.6"
        Origin = origin
        Figures = [
            Figure.grid
                "uva1.6.gap"
                $"Digits, $L={Digits.latent}$: the ELBO and $\\log p(x)$ by importance sampling with $K={samples profile}$ on test images (left), and their difference on training and test images (right), against the epochs of training."
                2
                [
                    Panel.axes "test images" (Axis.log "epoch") (Axis.linear "nats") [
                        line "ELBO" (elbo "test")
                        line "$\\log p(x)$" (logP "test")
                    ]
                    |> Panel.withLegend Below
                    Panel.axes "gap" (Axis.log "epoch") (Axis.linear "$\\log p(x)-$ELBO (nats)") [
                        line "training images" (gap "train")
                        line "test images" (gap "test")
                    ]
                    |> Panel.withLegend Below
                ]
        ]
        Tables = [
            {
                Id = "uva1.6.table"
                Caption =
                    "Digits: the bound, $\\log p(x)$, the gap and the rate (the encoder's mean divergence from the prior) over training (nats)."
                Columns = [
                    Table.right "Epochs"
                    Table.right "ELBO, test"
                    Table.right "$\\log p(x)$, test"
                    Table.right "gap, test"
                    Table.right "rate, test"
                    Table.right "ELBO, train"
                    Table.right "gap, train"
                ]
                Rows = [
                    for e, runs in measured ->
                        [
                            Number(float e, 0)
                            cell (elbo "test") runs
                            cell (logP "test") runs
                            cell (gap "test") runs
                            cell (results.Value "kl.test") runs
                            cell (elbo "train") runs
                            cell (gap "train") runs
                        ]
                ]
                Note = ""
            }
        ]
        Values = [
            Value.integer "uva1.6.epoch" bestEpoch
            Seeds.value "uva1.6.gain" 1 boundGain
            Seeds.value "uva1.6.logp" 1 logPGain
            Seeds.value "uva1.6.first" 2 (first |> List.map (gap "test"))
            Value.integer "uva1.6.leastepoch" leastEpoch
            Seeds.value "uva1.6.least" 2 (least |> List.map (gap "test"))
            Seeds.value "uva1.6.last" 2 (gapsAtEnd "test")
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "uva1.6.model"
                "at least nine tenths of the bound's gain up to its best are gains of log p(x), for every seed"
                (List.forall2 (fun bound logP -> logP >= 0.9 * bound) boundGain logPGain)
                $"bound {numbers boundGain}; log p {numbers logPGain}"
            Guard.check
                origin
                "uva1.6.valley"
                "the mean gap on test images is least neither at the first nor at the last measurement"
                (leastEpoch <> fst measured.Head && leastEpoch <> fst (List.last measured))
                $"least after epoch {leastEpoch}"
            Guard.check
                origin
                "uva1.6.collapse"
                "the least mean rate on test images is at most a fifth of the last"
                (List.min rates <= 0.2 * List.last rates)
                (numbers rates)
            Guard.check
                origin
                "uva1.6.generalises"
                "after the last epoch the gap is larger on test than on training images, for every seed"
                (List.forall2 (>) (gapsAtEnd "test") (gapsAtEnd "train"))
                (numbers (gapsAtEnd "test" @ gapsAtEnd "train"))
        ]
    }

let private experiment: Experiment = {
    Row = "uva1.6"
    Title = "The gap of the bound"
    Runs = runs
    Report = report
    Sample = None
}

let experiments = [ experiment ]
