/// cs1: a VAE with 10 latents on MNIST, binarised anew for every batch, judged on a fixed subset of 100 test images.
/// Run it: `./reproduce --only cs1`.
module Research.Experiments.Cs.Mnist

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

let private fullSteps = 20000

let private steps profile = Profile.pick profile 100 5000 fullSteps

let private repeats = 100

let vae (profile: Profile) : VaeRun = {
    Data = DataSetId.Mnist
    Binarise = true
    Shape = {
        Data = 784
        Latent = 10
        Hidden = [ 300; 300 ]
        Activation = Elu
        Likelihood = BernoulliLogits 0.0
        Variance = SoftplusVariance
    }
    Prior = StandardPrior
    Posterior = DiagonalPosterior
    Objective = "elbo", elbo
    Samples = 0
    Optimiser = OptimiserSettings.Adam 1e-3
    Batch = 100
    Length = Steps(steps profile)
    EvaluateEvery = None
}

let trainings (plan: Plan) : RunRequest list = [
    for seed in plan.Seeds -> VaeRun.request plan $"cs1.seed{seed}" seed (vae plan.Profile)
]

/// The three figures on the test subset: binarised once, then the mean of 100 one-sample estimates.
let private evaluate (plan: Plan) (training: RunRequest) : RunRequest =
    let run = vae plan.Profile

    let measure (context: RunContext) (built: BuiltVae) =
        let model = built.Model()
        let dataset = plan.Data run.Data
        let subset = MnistTestSubset.Of dataset.Test

        if subset.Note <> "" then
            context.Say subset.Note

        let rows = subset.Indices |> Array.map int64
        // The binarisation belongs to the protocol, not to the seed: every seed is judged on the same bits.
        let x =
            VaeRun.batch run dataset.Test.Levels (plan.Test run.Data) rows (Noise 0L) "test subset" 0L

        let asIs = { run with Binarise = false }

        let repeated = [
            for i in 1..repeats do
                Map.ofList (VaeRun.evaluate asIs 1 model x context.Noise "test" (int64 i))
        ]

        [
            for name in [ "nelbo"; "kl"; "reconstruction" ] do
                name, repeated |> List.averageBy (fun r -> r[name])
        ]

    let name = training.Key.Name.Replace("cs1", "cs1.test")
    VaeRun.measurement plan name [ "repeats", string repeats ] 1 run training measure

let private sample (plan: Plan) (results: Results) (count: int) (noise: Noise) =
    let run = vae plan.Profile
    let built = VaeRun.load run (results.Of (trainings plan).Head) plan.Device
    VaeRun.sampleMeans built count noise |> Pictures.images (plan.Data run.Data).Train 1.0

let private cs1: Experiment = {
    Row = "cs1"
    Title = "VAE on MNIST"
    Runs = fun plan -> trainings plan |> List.collect (fun t -> [ t; evaluate plan t ])
    Report =
        fun plan results ->
            let runs = trainings plan |> List.map (evaluate plan)
            let value name = runs |> List.map (results.Value name)
            let cut = shortened "steps" (steps plan.Profile) fullSteps
            let origin = plan.Origin([ DataSetId.Mnist ], runs.Length, cut)


            // The source says "around 100"; five nats either side is what "around" may mean here.
            let nelbo =
                Claim.judge
                    origin
                    "cs1.nelbo"
                    "CS P1"
                    "$-$ELBO on the test subset"
                    (Some 100.0)
                    (Rule.within 5.0 100.0)
                    (value "nelbo")
                    "the source says \u201Caround 100\u201D"

            let unstated id what name = {
                Claim.judge origin id "CS P1" what None (Rule.atMost infinity) (value name) "" with
                    Rule = "the source states no number"
                    Verdict = NotComparable
            }

            let sampled = sample plan results 200 (Noise 1L)

            {
                Row = "cs1"
                Origin = origin
                Figures = [
                    Pictures.grid
                        "cs1.samples"
                        "MNIST: the mean images $p(x=1|z)$ of 200 latents drawn from the prior."
                        20
                        sampled
                ]
                Tables = [
                    {
                        Id = "cs1.table"
                        Caption =
                            "MNIST: the bound and its two parts (nats) on the source's subset of 100 test images, binarised once, each figure the mean of 100 one-sample estimates."
                        Columns = [ Table.left ""; Table.right "Source"; Table.right "Ours" ]
                        Rows = [
                            [ Text "$-$ELBO"; Source(100.0, 0); Seeds.cell 2 (value "nelbo") ]
                            [ Text "KL"; Missing "the source states no number"; Seeds.cell 2 (value "kl") ]
                            [
                                Text "reconstruction, $-\\mathbb{E}\\log p(x|z)$"
                                Missing "the source states no number"
                                Seeds.cell 2 (value "reconstruction")
                            ]
                        ]
                        Note = ""
                    }
                ]
                Values = [
                    Seeds.value "cs1.nelbo" 2 (value "nelbo")
                    Seeds.value "cs1.kl" 2 (value "kl")
                    Seeds.value "cs1.rec" 2 (value "reconstruction")
                    Value.integer "cs1.steps" (steps plan.Profile)
                ]
                Claims = [
                    nelbo
                    unstated "cs1.kl" "KL on the test subset" "kl"
                    unstated "cs1.rec" "reconstruction on the test subset" "reconstruction"
                ]
                Guards = []
            }
    Sample = Some sample
}

let experiments = [ cs1 ]
