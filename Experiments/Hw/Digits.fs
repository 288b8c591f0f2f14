/// What the rows hw5.1 to hw5.5 share: the model of the UCI digits, its training, and what is measured on the test
/// images once it is trained.
module Research.Experiments.Hw.Digits

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

let set = DataSetId.Digits

/// The largest pixel value: pictures are scaled by it.
let top = 16.0

/// Latents of hw5.1 to hw5.3.
let latent = 16

let shape (latent: int) : VaeShape = {
    Data = 64
    Latent = latent
    Hidden = [ 256; 256 ]
    Activation = LeakyRelu 0.01
    Likelihood = GreyLevels 17
    Variance = LogVariance
}

let private fullEpochs, fullPatience = 1000, 20

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

let origin (plan: Plan) = plan.Origin([ set ], (plan.SeedsOn set).Length, shortenedBy plan.Profile)

/// The protocol with a prior and a loss of choice.
let vae (profile: Profile) (latent: int) (prior: PriorShape) (loss: Loss) : VaeRun = {
    Data = set
    Binarise = false
    Shape = shape latent
    Prior = prior
    Posterior = DiagonalPosterior
    Loss = loss
    Samples = 0
    Optimiser = OptimiserSettings.Adamax 1e-3
    Batch = 64
    Length = length profile
}

/// The model of hw5.1: standard prior, minus the ELBO.
let plain profile = vae profile latent StandardPrior Loss.elbo

/// The models of hw5.1, one per seed. Other rows compare with them and train nothing again. Profile quick, too, keeps to
/// the protocol here: the first bound of the section is the one that a source states.
let plainTrainings (plan: Plan) : Trained list =
    VaeTraining.each plan "hw5.1" {
        plain plan.Profile with
            Length = Profile.pick plan.Profile (length Smoke) (length Paper) (length Paper)
    }

/// For captions of what is shown for one of several seeds.
let ofFirst (plan: Plan) = firstOf (plan.SeedsOn set)

/// Draws of z per test image: the source's K = 500 in profile paper.
let importanceSamples (profile: Profile) = Profile.pick profile 10 50 500

/// Means over images with K samples of z each: reconstruction, KL (closed form where there is one), their sum `bound`
/// (minus the ELBO), `logp` by importance sampling, and the number of active units.
let scores (model: LatentModel) (latent: int) (samples: int) (images: Tensor) (noise: Noise) =
    let n = images.size 0
    // About 10,000 decoded images of 64 x 17 logits at a time.
    let parts, mu =
        blockwise (max 1L (10000L / int64 samples)) n (fun block first count ->
            let x = images.narrow (0L, first, count)
            let shape = [| int64 samples; count; int64 latent |]
            let eps = noise.Normal("score", block, shape, device = images.device)
            let q = model.Encode x
            let z, logQ = Posterior.sample q eps
            let logLikelihood, logPrior = model.LogLikelihood x z, model.Prior.LogProb z
            let kl = klFromPrior model.Prior q eps logQ (lazy logPrior)
            // Over the samples, where it is not in closed form.
            let kl = if kl.ndim = 2L then kl.mean [| 0L |] else kl
            let logP = logLikelihoodImportance (logLikelihood + logPrior) logQ
            let sum (perImage: Tensor) = perImage.sum().ToDouble()
            (sum (logLikelihood.mean [| 0L |]), sum kl, sum logP), q.Base.Mu.MoveToOuterDisposeScope())
        |> Array.unzip
    let mean part = Array.sumBy part parts / float n
    let reconstruction, kl = mean (fun (ll, _, _) -> -ll), mean (fun (_, kl, _) -> kl)

    [
        "reconstruction", reconstruction
        "kl", kl
        "bound", reconstruction + kl
        "logp", mean (fun (_, _, logP) -> logP)
        "active", float (activeUnits 0.01 (torch.cat (mu, 0L)))
    ]

/// The rate on the training images in two parts: `information` about the image, and `marginal`, the divergence of the
/// aggregated posterior from the prior, all that a better prior can save.
let surgery (model: LatentModel) (train: Tensor) (noise: Noise) =
    let parts = Evaluation.surgery model (model.Encode train).Base noise
    [ "information", parts.MutualInformation; "marginal", parts.MarginalKl ]

/// E[x|z] for z from the prior and for the encodings' means of the first test images, these images, and the
/// pseudo-inputs of a VampPrior with E[x|z] at their encodings' means.
let private pictures (built: BuiltVae) (test: Tensor) (noise: Noise) =
    let pictured = 100
    let x = test.narrow (0L, 0L, min (int64 pictured) (test.size 0))
    let throughCode (x: Tensor) = Vae.meanImage built.Vae (Vae.encode built.Vae x).Mu

    [
        "samples", Evaluation.sampleMeans built pictured noise
        "images", x.contiguous ()
        "reconstructions", throughCode x
        for struct (name, tensor) in built.Parameters.All do
            if name = "prior.pseudo_inputs" then
                "pseudo-inputs", tensor
                "pseudo-inputs decoded", throughCode tensor
    ]

/// The measurement of a trained model as a run: the values of `scores` on the test images, of `surgery` on the training
/// images, and `pictures`.
let measure (plan: Plan) (trained: Trained) : RunRequest =
    let samples = importanceSamples plan.Profile
    VaeTraining.measure plan $"{trained.Name}.test" [ "samples", string samples ] trained (fun context built ->
        let model, test = built.Model(), plan.Test set
        context.Keep("pictures", pictures built test context.Noise)
        scores model built.Vae.Shape.Latent samples test context.Noise
        @ surgery model (plan.Train set) context.Noise)

/// The trainings with their measurements, for an experiment's list of runs.
let withMeasurements (plan: Plan) : Trained list -> RunRequest list = VaeTraining.withEach (measure plan)

let private measured title unit' decimals name : Metric<Trained> =
    Metric.value title unit' decimals name |> Metric.from (fun results -> measure results.Plan)

let reconstruction = measured "Reconstruction" "nats" 2 "reconstruction"
let kl = measured "KL" "nats" 2 "kl"
/// Minus the ELBO.
let bound = measured "$-$ELBO" "nats" 2 "bound"
/// Minus the evidence, by importance sampling.
let surprise = measured "$-\\log p(x)$" "nats" 2 "logp" |> Metric.times -1.0
let active = measured "Active units" "" 1 "active"
/// What the codes of the training images tell about them.
let information = measured "$I(n;z)$" "nats" 2 "information"
/// The aggregated posterior's divergence from the prior.
let marginal = measured "$\\mathrm{KL}(q(z)\\|p)$" "nats" 2 "marginal"

/// The best validation value of the watched metric, or the last one where no training was stopped early.
let best: Metric<Trained> =
    Metric.create "Best validation $-$ELBO" "nats" 2 (fun results trained ->
        match (results.Values trained.Training).TryGetValue "best" with
        | true, best -> best
        | _ -> results.Curve "validation" "nelbo" trained.Training |> Array.last |> snd)

/// The validation metric after each epoch, from epoch 1.
let byEpoch (results: Results) (name: string) (trained: Trained) : float[] =
    results.Curve "validation" name trained.Training |> Array.map snd

/// The mean training loss over each epoch.
let trainingByEpoch (results: Results) (trained: Trained) : (float * float)[] = [|
    let stepsPerEpoch = float (StepContext.StepsPerEpoch((results.Plan.Data set).Train.Count, trained.Run.Batch))
    for step, value in results.Curve "train" "loss" trained.Training do
        let epoch = step / stepsPerEpoch
        // Training metrics are also logged between epochs.
        if epoch = floor epoch then
            epoch, value
|]

/// The epoch, from 1, whose model early stopping with this patience keeps of a training that is at least as long.
let keptWith (patience: int) (byEpoch: float[]) : int =
    let rec go next best =
        if next = byEpoch.Length || next - 1 - best >= patience then best + 1
        elif byEpoch[next] < byEpoch[best] then go (next + 1) next
        else go (next + 1) best
    go 1 0

/// What early stopping watches, after each epoch: the loss where that is not minus the ELBO. A training of a fixed length
/// (profile smoke) records no loss of its own.
let watchedByEpoch (results: Results) (trained: Trained) : float[] =
    let loss = byEpoch results "loss" trained
    if loss.Length = 0 then byEpoch results "nelbo" trained else loss

/// The epoch, from 1, of the model that a training left behind.
let keptEpoch (results: Results) (trained: Trained) : int =
    let watched = watchedByEpoch results trained
    match trained.Run.Length with
    | EarlyStop(_, patience) -> keptWith patience watched
    | Epochs _
    | Steps _ -> watched.Length

/// Minus the ELBO of the training images, the mean over the epoch after which the model was kept.
let trainingBound: Metric<Trained> =
    Metric.create "Training $-$ELBO" "nats" 2 (fun results trained ->
        let kept = float (keptEpoch results trained)
        trainingByEpoch results trained |> Array.find (fst >> (=) kept) |> snd)

/// Under a table whose other rows lost patience earlier than the models of hw5.1: whether that makes a difference. Noise and
/// batches depend on the seed and the step alone, so a shorter patience keeps a model of the same training.
let patienceNote (results: Results) (row: string) : string =
    let patience length =
        match length with
        | EarlyStop(_, patience) -> patience
        | Epochs _
        | Steps _ -> fullPatience
    let others = patience (length results.Plan.Profile)
    let models = plainTrainings results.Plan
    let own = patience models.Head.Run.Length
    let lost = [
        for trained in models do
            let bound = byEpoch results "nelbo" trained
            bound[keptWith others bound - 1] - Array.min bound
    ]
    if own = others then
        ""
    else
        let outcome =
            if List.forall ((=) 0.0) lost then
                $"with {others} it would have kept the same model, after the same epoch"
            else
                $"with {others} it would have kept an earlier model, whose validation $-$ELBO is {List.average lost:F2} nats higher"
        $"{row} is the model of HW 5.1, with a patience of {own} epochs and not of {others} as the others; {outcome}"

/// Root mean square over pixels of the distance from each image to the nearest training image, in grey levels; the mean
/// over images. `[N,D]` and `[M,D]`.
let distanceFromData (train: Tensor) (images: Tensor) : float =
    let distance, _ = Rows.nearest train images
    distance.mean().ToDouble() / sqrt (float (train.size 1))

/// The test model's pictures: the first `count` of one kind.
let picturesOf (results: Results) (kind: string) (count: int) (trained: Trained) : Png.Image[] =
    Pictures.saved results set top kind (measure results.Plan trained) |> Array.truncate count
