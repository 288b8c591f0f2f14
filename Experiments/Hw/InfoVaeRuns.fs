/// The runs of hw4.2: five objectives on the digits, what is measured on each model, and the time of a step.
module Research.Experiments.Hw.InfoVaeRuns

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Experiments.Hw.Digits

/// The weight of beta-ELBO's divergence and of InfoVAE's adversarial one.
let heavy = 10.0

/// alpha + lambda - 1 of the InfoVAE with a maximum mean discrepancy, which is at most two where a divergence has no limit.
let private lambda = 100.0

/// Both kernels' scale is the mean squared distance 2L of two draws from the prior: exp(-d^2/2L) and 2L/(2L + d^2).
let private scale = float latent

/// An objective that is compared, with the noise that it takes an example. `Short` names its row of pictures.
type Method = { Key: string; Label: string; Short: string; Loss: Loss; Samples: int }

let private infoVaeMmd key (kernel: float -> Kernel) scale = {
    Key = key
    Label = $"InfoVAE, MMD, {key.ToUpperInvariant()}"
    Short = key.ToUpperInvariant()
    Loss = OfParts($"infovae 1 {inv lambda} {key} {inv scale}", infoVae 1.0 lambda (mmdUnbiased (kernel scale)))
    Samples = 3
}

/// reconstruction + 10 E_q T(z), T a discriminator that learns log q(z)/p(z) beside it: a training of its own.
let adversarial = {
    Key = "adversarial"
    Label = "InfoVAE, adversarial, weight $10$"
    Short = "adversarial"
    Loss = Other($"reconstruction + {inv heavy} T", elbo)
    Samples = 0
}

let private isAdversarial method = method.Key = adversarial.Key

let methods = [
    { Key = "elbo"; Label = "ELBO"; Short = "ELBO"; Loss = Loss.elbo; Samples = 0 }
    {
        Key = "beta"
        Label = "$\\beta$-ELBO, $\\beta=10$"
        Short = "$\\beta=10$"
        Loss = WeightedElbo heavy
        Samples = 0
    }
    infoVaeMmd "rbf" kernelRbf scale
    infoVaeMmd "imq" kernelImq (2.0 * scale)
    adversarial
]

let fullEpochs = 150

/// The same length for every objective: early stopping would compare models of different ages.
let epochs (profile: Profile) = Profile.pick profile 2 75 fullEpochs

/// The model of hw5.1 with the method's objective.
let private vae (profile: Profile) method : VaeRun = {
    plain profile with
        Length = Epochs(epochs profile)
        Loss = method.Loss
        Samples = method.Samples
}

let private discriminatorSettings = OptimiserSettings.Adam 1e-3

/// Steps of the discriminator before each of the model, and the codes of a step: with one of 64 its noise, ten times
/// enlarged, keeps the model from encoding anything for many epochs.
let private judgements, private judged = 2, 256L

/// A discriminator's logits T: `[N,L] -> [N]`, and the descent of its parameters, which begin at the noise's numbers.
let private discriminator (noise: Noise) (stream: string) (device: torch.Device) =
    let parameters = Parameters(noise.For(stream, 0L), device)
    let net = Mlp.create parameters "discriminator" (LeakyRelu 0.2) [ latent; 128; 128; 1 ]
    (fun (z: Tensor) -> (Mlp.apply net z).squeeze -1L), Descent(parameters, discriminatorSettings, name = "adam")

/// Row numbers drawn with replacement, `[count]`.
let private drawRows (noise: Noise) (stream: string) (step: int64) (count: int64) (examples: int64) device =
    let u = noise.Uniform(stream, step, [| count |], device = device)
    (u * float examples).floor().``to`` torch.int64

/// The run with the loss that a discriminator's logits give it.
let private against (logits: Tensor -> Tensor) (run: VaeRun) : VaeRun =
    let objective: Objective =
        fun parts x eps ->
            let z, _ = Posterior.sample (parts.Encode x) eps
            [ "reconstruction", (parts.LogLikelihood x z).mean().neg(); "divergence", heavy * (logits z).mean() ]
    { run with Loss = OfParts(Loss.name run.Loss, objective) }

/// The model and its discriminator, which play in turn.
type private Duel(run: VaeRun, noise: Noise, device: torch.Device) =
    let parameters = Parameters(noise.For("initialisation", 0L), device)
    let built = VaeRun.build run parameters
    let model = Descent(parameters, run.Optimiser, name = "adamax")
    let logits, judge = discriminator noise "discriminator" device
    let lower = VaeStep.choose (against logits run) built model

    member _.Descents = [ model; judge ]
    /// The discriminator's step on draws of q(z) at images and on as many of the prior.
    member _.Judge (images: Tensor) (eps: Tensor) (prior: Tensor) =
        let codes, _ =
            use _ = torch.no_grad ()
            Posterior.sample (built.Model().Encode images) eps
        judge.Lower(densityRatioLoss (logits codes) (logits prior))
    /// The model's step at the discriminator as it is. Returns its loss and terms.
    member _.Step (x: Tensor) (eps: Tensor) = lower x eps

let private trainDuel (plan: Plan) (run: VaeRun) (context: RunContext) =
    let images, device = plan.Train set, context.Device
    let n = int (images.size 0)
    let duel = Duel(run, context.Noise, device)
    let step (at: StepContext) =
        let rows = at.Batch(n, run.Batch)
        let x = Rows.pick images rows
        let normal stream count = at.Noise.Normal(stream, at.Step, [| count; int64 latent |], device = device)
        for i in 1..judgements do
            let others = drawRows at.Noise $"judged.{i}" at.Step judged (int64 n) device
            let eps, prior = normal $"judged.posterior.{i}" judged, normal $"prior.{i}" judged
            duel.Judge (images.index_select (0L, others)) eps prior
        duel.Step x (normal "posterior" rows.LongLength)

    Training.create duel.Descents (StepContext.StepsPerEpoch(n, run.Batch)) run.Length step
    |> Training.run context
    |> ignore

let training (plan: Plan) method seed : Trained =
    let run = vae plan.Profile method
    let name = $"hw4.2.{method.Key}.seed{seed}"
    if not (isAdversarial method) then
        VaeTraining.request plan name seed run
    else
        let path = VaeStep.path plan.Device (against id run)
        let extra = [
            "step", StepPath.describe path
            "discriminator", $"128-128 {discriminatorSettings}, {judgements} steps of {judged}"
        ]
        let configuration = VaeRun.configuration run @ extra
        { Run = run; Training = plan.Run(name, configuration, seed, Some set, trainDuel plan run) }

/// Two estimates of KL(q(z)||p(z)) from the logits T of a new discriminator, trained on draws of q(z) over these encodings
/// and of the prior: E_q T, and the lower bound E_q T - E_p exp T + 1 (Nguyen et al., 2010).
let private estimatesOfKl (encodings: DiagNormal) (steps: int) (noise: Noise) =
    let device, size = encodings.Mu.device, 256L
    let logits, descent = discriminator noise "estimate" device
    let normal stream step count = noise.Normal(stream, step, [| count; int64 latent |], device = device)
    let draw stream (step: int64) count =
        let rows = drawRows noise $"{stream}.row" step count (encodings.Mu.size 0) device
        let pick (t: Tensor) = t.index_select (0L, rows)
        DiagNormal.sample { Mu = pick encodings.Mu; LogVar = pick encodings.LogVar } (normal stream step count)
    let train () =
        // A measurement records no gradients otherwise.
        use _ = torch.enable_grad ()
        for step in 1L .. int64 steps do
            use _ = torch.NewDisposeScope()
            let codes, prior = draw "estimate.code" step size, normal "estimate.prior" step size
            descent.Lower(densityRatioLoss (logits codes) (logits prior))

    train ()
    let tested = 10_000L
    let onCodes = logits(draw "estimate.test" 0L tested).mean()
    let ratio = (logits (normal "estimate.prior.test" 0L tested)).exp().mean()
    [ "estimate", onCodes.ToDouble(); "estimate.below", (onCodes - ratio).ToDouble() + 1.0 ]

/// Samples of each model in the picture, and those whose distance from the data is measured.
let sampled, private many = 16, 500L

let measurement (plan: Plan) method seed : RunRequest =
    let trained = training plan method seed
    let steps = Profile.pick plan.Profile 20 1000 3000
    let name, configuration = $"hw4.2.measured.{method.Key}.seed{seed}", [ "discriminator steps", string steps ]

    VaeTraining.measure plan name configuration trained (fun context built ->
        let noise, model = context.Noise, built.Model()
        let encodings = Vae.encode built.Vae (plan.Train set)
        let parts = Evaluation.surgery model encodings noise
        let test = VaeImages.asTheyAre (plan.Test set)
        let onTest = Evaluation.nelbo latent model test noise "test" 0L |> Map.ofList
        context.Keep("pictures", [ "samples", Evaluation.sampleMeans built sampled noise ])
        let draws = noise.Normal("draws", 0L, [| many; int64 latent |], device = test.Raw.device)
        [
            "reconstruction", onTest["reconstruction"]
            "kl", (klStandard encodings).mean().ToDouble()
            "information", parts.MutualInformation
            "marginal", parts.MarginalKl
            yield! estimatesOfKl encodings steps noise
            "active", float (activeUnits 0.01 encodings.Mu)
            "distance", distanceFromData (plan.Train set) (Vae.meanImage built.Vae draws)
            "distance.test", distanceFromData (plan.Train set) (plan.Test set)
        ])

/// Median milliseconds of one training step of each objective.
let timing (plan: Plan) : RunRequest =
    let rounds, steps = Profile.pick plan.Profile (2, 2) (7, 20) (15, 60)
    let work (context: RunContext) =
        let images, device, noise = plan.Train set, context.Device, context.Noise
        let x (step: int64) = images.narrow (0L, 64L * (step % 15L), 64L)
        let normal stream step draws count =
            noise.Normal($"timing.{stream}", step, [| draws; count; int64 latent |], device = device)
        let stepper method =
            let run = vae plan.Profile method
            if not (isAdversarial method) then
                VaeTraining.stepper run context (fun step ->
                    let eps = normal "posterior" step 3L 64L
                    x step, (if method.Samples = 0 then eps[0] else eps))
            else
                let duel, many = Duel(run, noise, device), images.narrow (0L, 0L, judged)
                let mutable step = -1L
                fun () ->
                    step <- step + 1L
                    let judging = normal "judged" step 2L judged
                    for _ in 1..judgements do
                        duel.Judge many judging[0] judging[1]
                    duel.Step (x step) (normal "posterior" step 1L 64L).[0] |> ignore
        context.Save(Timing.medians rounds steps [ for m in methods -> m.Key, stepper m ])

    plan.Run("hw4.2.time", [ "rounds", string rounds; "steps", string steps ], 1L, Some set, work)
    |> RunRequest.alone

let runs (plan: Plan) : RunRequest list = [
    for method in methods do
        for seed in plan.Seeds do
            (training plan method seed).Training
            measurement plan method seed
    timing plan
]
