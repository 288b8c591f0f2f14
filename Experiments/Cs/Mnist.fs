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

/// One-sample estimates behind each figure.
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
    Loss = Loss.elbo
    Samples = 0
    Optimiser = OptimiserSettings.Adam 1e-3
    Batch = 100
    Length = Steps(steps profile)
}

let trainings (plan: Plan) : Trained list = VaeTraining.each plan "cs1" (vae plan.Profile)

/// The source's subset of the test images. The binarisation belongs to the protocol, not to the seed: every seed is judged
/// on the same bits.
let private testSubset (plan: Plan) (trained: Trained) : Tensor =
    let test = (plan.Data trained.Run.Data).Test
    let all = { Raw = plan.Test trained.Run.Data; Levels = test.Levels; Binarise = true }
    let subset = MnistTestSubset.Of test
    VaeImages.rows all (Array.map int64 subset.Indices) (Noise 0L) "test subset" 0L

/// The three figures on the test subset: binarised once, then the mean of 100 one-sample estimates.
let private evaluate (plan: Plan) (trained: Trained) : RunRequest =
    VaeTraining.measure plan $"cs1.test.seed{trained.Seed}" [ "repeats", string repeats ] trained (fun context built ->
        let subset = MnistTestSubset.Of((plan.Data trained.Run.Data).Test)
        if subset.Note <> "" then
            context.Say subset.Note
        let x = VaeImages.asTheyAre (testSubset plan trained)
        let latent, model = trained.Run.Shape.Latent, built.Model()
        let repeated = [
            for i in 1..repeats -> Evaluation.nelbo latent model x context.Noise "test" (int64 i) |> Map.ofList
        ]
        [ for name in [ "nelbo"; "kl"; "reconstruction" ] -> name, repeated |> List.averageBy (Map.find name) ])

/// The standard errors of these figures over the images of the subset: the mean of the same one-sample estimates for each.
let private spread (plan: Plan) (trained: Trained) : RunRequest =
    let configuration = [ "repeats", string repeats ]
    VaeTraining.measure plan $"cs1.spread.seed{trained.Seed}" configuration trained (fun context built ->
        let x, model = testSubset plan trained, built.Model()
        let q = (model.Encode x).Base
        let reconstruction =
            List.init repeats (fun i ->
                let eps = context.Noise.Normal("spread", int64 i, q.Mu.shape, device = x.device)
                (model.LogLikelihood x (DiagNormal.sample q eps)).neg().double() / float repeats)
            |> List.reduce (+)
        let kl = (klStandard q).double()
        let error (perImage: Tensor) = perImage.std().ToDouble() / sqrt (float (x.size 0))
        [ "nelbo", error (reconstruction + kl); "kl", error kl; "reconstruction", error reconstruction ])

/// Samples of importance sampling: as many as ift2 takes.
let private samples profile = Profile.pick profile 20 200 200

let private certify (plan: Plan) = Certificate.request plan "cs1" (samples plan.Profile) (testSubset plan)

let private runs (plan: Plan) =
    trainings plan
    |> List.collect (fun t -> [ t.Training; evaluate plan t; spread plan t; certify plan t ])

let private sample = VaeTraining.sampler (trainings >> List.head)

/// Images of P1.4, in rows of `across`.
let private digits, private across = 200, 20

/// The 200 digits: pixels drawn from the decoder's Bernoulli distributions, and under them the means of these, at the
/// same latents.
let private pictures (results: Results) : Figure =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    let trained, noise = (trainings results.Plan).Head, Noise 1L
    let built = VaeTraining.load trained (results.Of trained.Training) results.Plan.Device
    let means = Evaluation.sampleMeans built digits noise
    let pixels = (noise.Uniform("pixels", 0L, means.shape, device = means.device)).lt(means).``to`` torch.float32
    let panel title x = Panel.images title across (Pictures.ofVae results.Plan trained.Run x)

    [ panel "samples: drawn pixels" pixels; panel "the means $p(x=1|z)$ that they are drawn from" means ]
    |> Figure.grid
        "cs1.samples"
        $"MNIST: {digits} latents drawn from the prior{firstOf results.Plan.Seeds}, and what the distribution fitted in {steps results.Plan.Profile} steps makes of them (the source has {fullSteps})."
        1

let private nelbo = Metric.value "$-$ELBO" "nats" 2 "nelbo"
let private kl = Metric.value "KL" "nats" 2 "kl"

let private reconstruction =
    Metric.value "reconstruction, $-\\mathbb{E}\\log p(x|z)$" "nats" 2 "reconstruction"

let private report (results: Results) : Section =
    let plan = results.Plan
    let models = trainings plan |> List.map (evaluate plan)
    let errors = trainings plan |> List.map (spread plan)
    let certificates = trainings plan |> List.map (certify plan)
    let of' metric = Metric.each results metric models
    let cut = shortened "steps" (steps plan.Profile) fullSteps
    let none = "the source states no number"
    let table =
        [ nelbo, Text "about 100"; kl, Missing none; reconstruction, Missing none ]
        |> Table.over
            "cs1.table"
            "MNIST: the bound and its two parts (nats) on the source's subset of 100 test images, binarised once, each figure the mean of 100 one-sample estimates, with the standard error over the 100 images."
            [
                Column.text "" (fun (metric, _) -> metric.Title)
                Column.right "Source" snd
                Column.right "Ours" (fun (metric, _) -> Metric.cell results metric models)
                Column.right "Error over images" (fun (metric, _) -> Number(Metric.mean results metric errors, 2))
            ]

    {
        Section.empty "cs1" (plan.Origin([ DataSetId.Mnist ], models.Length, cut)) with
            Figures = [ pictures results ]
            Tables = [ table; Certificate.table results "cs1" "MNIST" (samples plan.Profile) certificates ]
            Values = [
                Seeds.value "cs1.nelbo" 2 (of' nelbo)
                Seeds.value "cs1.kl" 2 (of' kl)
                Seeds.value "cs1.rec" 2 (of' reconstruction)
                Value.integer "cs1.steps" (steps plan.Profile)
                Value.number "cs1.error" 2 (Metric.mean results nelbo errors)
                Seeds.value "cs1.missed" 2 (Certificate.missed results certificates)
                Seeds.value "cs1.missed.simulated" 2 (Certificate.missedOnGenerated results certificates)
                Certificate.reported results "cs1" certificates
            ]
            Claims = [
                // The source says "around 100"; five nats either side is what "around" may mean here.
                Claim.that "CS P1" "cs1.nelbo" "$-$ELBO on the test subset"
                |> Claim.beside 100.0
                |> Claim.judgedBy (Within(5.0, 100.0)) (of' nelbo)
                |> Claim.noting "the source says \u201Caround 100\u201D"
                Claim.that "CS P1" "cs1.kl" "test subset: KL" |> Claim.judgedBy (NotJudged none) (of' kl)
                Claim.that "CS P1" "cs1.rec" "test subset: reconstruction"
                |> Claim.judgedBy (NotJudged none) (of' reconstruction)
                Certificate.claim results "CS P1" "cs1" "MNIST" certificates
            ]
            Guards = [ Certificate.guard results "cs1" certificates ]
    }

let experiment = Experiment.sampled "cs1" runs report sample
