/// What the rows hw5.1 to hw5.5 share: the model of the UCI digits, its training, and what is measured on the test
/// images once it is trained.
module Research.Experiments.Hw.Digits

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

let set = DataSetId.Digits

/// The largest pixel value: pictures are scaled by it.
let top = 16.0

let private fullEpochs, fullPatience = 1000, 20

let shape (latent: int) : VaeShape = {
    Data = 64
    Latent = latent
    Hidden = [ 256; 256 ]
    Activation = LeakyRelu 0.01
    Likelihood = GreyLevels 17
    Variance = LogVariance
}

/// The protocol's early stopping. Profile quick loses patience earlier.
let length (profile: Profile) =
    Profile.pick profile (Epochs 2) (EarlyStop(fullEpochs, 8)) (EarlyStop(fullEpochs, fullPatience))

/// How the profile falls short of the protocol, for captions and claims.
let shortenedBy (profile: Profile) =
    match length profile with
    | EarlyStop(_, patience) when patience = fullPatience -> None
    | EarlyStop(_, patience) -> Some $"patience of {patience} instead of {fullPatience} epochs"
    | Epochs epochs -> Some $"{epochs} epochs"
    | Steps steps -> Some $"{steps} steps"

/// The protocol with a prior and an objective of choice.
let vae (profile: Profile) (latent: int) (prior: PriorShape) (objective: string * Objective) : VaeRun = {
    Data = set
    Binarise = false
    Shape = shape latent
    Prior = prior
    Posterior = DiagonalPosterior
    Objective = objective
    Samples = 0
    Optimiser = OptimiserSettings.Adamax 1e-3
    Batch = 64
    Length = length profile
    EvaluateEvery = None
}

/// Latents of hw5.1 to hw5.3.
let latent = 16

/// The model of hw5.1: standard prior, minus the ELBO.
let plain profile = vae profile latent StandardPrior ("elbo", elbo)

/// A trained model together with what it was trained by.
type Trained = { Run: VaeRun; Training: RunRequest }

let train (plan: Plan) (name: string) (seed: int64) (run: VaeRun) : Trained = {
    Run = run
    Training = VaeRun.request plan $"{name}.seed{seed}" seed run
}

/// The models of hw5.1, one per seed. Other rows compare with them and train nothing again. Profile quick, too, keeps to
/// the protocol here: the first bound of the section is the one that a source states.
let plainTrainings (plan: Plan) : Trained list = [
    for seed in plan.Seeds ->
        train plan "hw5.1" seed {
            plain plan.Profile with
                Length = Profile.pick plan.Profile (length Smoke) (length Paper) (length Paper)
        }
]

/// Draws of z per test image: the source's K = 500 in profile paper.
let importanceSamples (profile: Profile) = Profile.pick profile 10 50 500

/// Pictures of each kind that a measurement keeps.
let private pictured = 100

/// Means over images with K samples of z each: reconstruction, KL (closed form where there is one), their sum `bound`
/// (minus the ELBO), `logp` by importance sampling, and the number of active units.
let scores (model: LatentModel) (latent: int) (samples: int) (images: Tensor) (noise: Noise) =
    let n = images.size 0
    // About 10,000 decoded images of 64 x 17 logits at a time.
    let block = max 1L (10000L / int64 samples)
    let mu = List<Tensor>()

    let parts = [|
        for index, start in Seq.indexed (seq { 0L .. block .. n - 1L }) do
            use _ = torch.NewDisposeScope()
            let x = images.narrow (0L, start, min block (n - start))
            let shape = [| int64 samples; x.size 0; int64 latent |]
            let eps = noise.Normal("score", int64 index, shape, device = images.device)
            let q = model.Encode x
            let z, logQ = Posterior.sample q eps
            let logLikelihood = model.LogLikelihood x z
            let logPrior = model.Prior.LogProb z

            let kl =
                match q.Flow, model.Prior.KlFrom with
                | None, Some klFrom -> klFrom q.Base
                | _ -> klMonteCarlo logQ logPrior

            mu.Add(q.Base.Mu.MoveToOuterDisposeScope())

            float (logLikelihood.mean([| 0L |]).sum().ToDouble()),
            float (kl.sum().ToDouble()),
            float ((logLikelihoodImportance (logLikelihood + logPrior) logQ).sum().ToDouble())
    |]

    let mean part = Array.sumBy part parts / float n
    let reconstruction = mean (fun (ll, _, _) -> -ll)
    let kl = mean (fun (_, kl, _) -> kl)

    [
        "reconstruction", reconstruction
        "kl", kl
        "bound", reconstruction + kl
        "logp", mean (fun (_, _, logP) -> logP)
        "active", float (activeUnits 0.01 (torch.cat (mu.ToArray(), 0L)))
    ]

/// The rate on the training images in two parts: `information` about the image, and `marginal`, the divergence of the
/// aggregated posterior from the prior, all that a better prior can save.
let surgery (model: LatentModel) (train: Tensor) (noise: Noise) (latent: int) =
    let encodings = (model.Encode train).Base
    let eps = noise.Normal("surgery", 0L, [| train.size 0; int64 latent |], device = train.device)
    let parts = elboSurgery encodings model.Prior.LogProb eps
    [ "information", parts.MutualInformation; "marginal", parts.MarginalKl ]

/// E[x|z] for z from the prior and for the encodings' means of the first test images, these images, and the
/// pseudo-inputs of a VampPrior with E[x|z] at their encodings' means.
let private pictures (built: BuiltVae) (test: Tensor) (noise: Noise) =
    let x = test.narrow (0L, 0L, min (int64 pictured) (test.size 0))

    let throughCode name (x: Tensor) = NamedTensor(name, Vae.meanImage built.Vae (Vae.encode built.Vae x).Mu)

    [
        NamedTensor("samples", VaeRun.sampleMeans built pictured noise)
        NamedTensor("images", x.contiguous ())
        throughCode "reconstructions" x
        for struct (name, tensor) in built.Parameters.All do
            if name = "prior.pseudo_inputs" then
                NamedTensor("pseudo-inputs", tensor)
                throughCode "pseudo-inputs decoded" tensor
    ]

/// The measurement of a trained model as a run: the values of `scores` on the test images, of `surgery` on the training
/// images, and `pictures`.
let measure (plan: Plan) (trained: Trained) : RunRequest =
    let samples = importanceSamples plan.Profile

    let measure (context: RunContext) (built: BuiltVae) =
        let test, latent = plan.Test set, trained.Run.Shape.Latent
        let model = built.Model()

        context.SaveTensors("pictures", pictures built test context.Noise)

        scores model latent samples test context.Noise
        @ surgery model (plan.Train set) context.Noise latent

    let name = trained.Training.Key.Name + ".test"
    VaeRun.measurement plan name [ "samples", string samples ] 2 trained.Run trained.Training measure

/// The trainings with their measurements, for an experiment's list of runs.
let withMeasurements (plan: Plan) (trained: Trained list) : RunRequest list =
    trained |> List.collect (fun t -> [ t.Training; measure plan t ])

/// A measured value of each model.
let values (plan: Plan) (results: Results) (name: string) (trained: Trained list) : float list =
    trained |> List.map (measure plan >> results.Value name)

/// Mean and standard error over the models, as a cell.
let cell (decimals: int) (values: float list) =
    let mean, se = Claim.meanSe values
    MeanSe(mean, se, decimals)

/// The best validation value of the watched metric, or the last one where no training was stopped early.
let best (results: Results) (trained: Trained) : float =
    match (results.Of trained.Training).ReadValues().TryGetValue "best" with
    | true, best -> best
    | _ -> results.Curve "validation" "nelbo" trained.Training |> Array.last |> snd

/// The test model's pictures: the first `count` of one kind.
let picturesOf (plan: Plan) (results: Results) (kind: string) (count: int) (trained: Trained) : Png.Image[] =
    use all = results.Tensor "pictures" kind (measure plan trained)
    let images = Pictures.images (plan.Data set).Train top all
    Array.truncate count images

/// The validation metric after each epoch, from epoch 1.
let byEpoch (results: Results) (name: string) (trained: Trained) : float[] =
    results.Curve "validation" name trained.Training |> Array.map snd

let origin (plan: Plan) (seeds: int) = plan.Origin([ set ], seeds, shortenedBy plan.Profile)
