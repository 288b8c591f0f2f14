/// The runs of hw4.2: five objectives on the digits, what is measured on each model, and the time of a step.
module Research.Experiments.Hw.InfoVaeRuns

open System.Collections.Generic
open System.Diagnostics
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Experiments.Hw.Digits

/// The weight of beta-ELBO's divergence and of InfoVAE's adversarial one.
let private heavy = 10.0

/// alpha + lambda - 1 of the InfoVAE with a maximum mean discrepancy, which is at most two where a divergence has no limit.
let private lambda = 100.0

/// Both kernels' scale is the mean squared distance 2L of two draws from the prior: exp(-d^2/2L) and 2L/(2L + d^2).
let private scale = float latent

let private infoVaeMmd kernel = infoVae 1.0 lambda (mmdUnbiased kernel)

type Method =
    | Direct of key: string * label: string * objective: (string * Objective) * samples: int
    /// reconstruction + 10 E_q T(z), T a discriminator that learns log q(z)/p(z) beside it.
    | Adversarial

let methods = [
    Direct("elbo", "ELBO", ("elbo", elbo), 0)
    Direct("beta", "$\\beta$-ELBO, $\\beta=10$", ($"beta {inv heavy}", betaElbo heavy), 0)
    Direct(
        "rbf",
        "InfoVAE, MMD, RBF",
        ($"infovae 1 {inv lambda} rbf {inv scale}", infoVaeMmd (kernelRbf scale)),
        3
    )
    Direct(
        "imq",
        "InfoVAE, MMD, IMQ",
        ($"infovae 1 {inv lambda} imq {inv (2.0 * scale)}", infoVaeMmd (kernelImq (2.0 * scale))),
        3
    )
    Adversarial
]

let key method =
    match method with
    | Direct(key, _, _, _) -> key
    | Adversarial -> "adversarial"

let label method =
    match method with
    | Direct(_, label, _, _) -> label
    | Adversarial -> "InfoVAE, adversarial, weight $10$"

let fullEpochs = 150

/// The same length for every objective: early stopping would compare models of different ages.
let epochs (profile: Profile) = Profile.pick profile 2 75 fullEpochs

/// The model of hw5.1 with the method's objective; the adversarial one has its own training.
let private vae (profile: Profile) method : VaeRun =
    let run = { plain profile with Length = Epochs(epochs profile) }

    match method with
    | Direct(_, _, objective, samples) -> { run with Objective = objective; Samples = samples }
    | Adversarial -> { run with Objective = $"reconstruction + {inv heavy} T", elbo }

let private discriminatorSettings = OptimiserSettings.Adam 1e-3

/// Steps of the discriminator before each of the model, and the codes of a step: with one of 64 its noise, ten times
/// enlarged, keeps the model from encoding anything for many epochs.
let private judgements, private judged = 2, 256L

/// A discriminator's logits T: `[N,L] -> [N]`, and its parameters.
let private discriminator (generator: torch.Generator) device =
    let parameters = Parameters(generator, device)
    let net = Mlp.create parameters "discriminator" (LeakyRelu 0.2) [ latent; 128; 128; 1 ]
    parameters, fun (z: Tensor) -> (Mlp.apply net z).squeeze -1L

/// The model and its discriminator, which play in turn.
type private Duel(run: VaeRun, noise: Noise, device: torch.Device) =
    let initial = noise.For("initialisation", 0L)
    let built = VaeRun.build run initial device
    let parameters, logits = discriminator (noise.For("discriminator", 0L)) device

    let model, judge =
        Descent(built.Parameters, run.Optimiser), Descent(parameters, discriminatorSettings)

    member _.Model = built.Parameters
    member _.Discriminator = parameters

    /// The training with both players' optimisers in its checkpoints.
    member _.WithOptimisers(job: TrainingJob) =
        job.WithOptimiser("adamax", model.Optimiser).WithOptimiser("adam", judge.Optimiser)

    /// The discriminator's step on draws of q(z) at images and on as many of the prior.
    member _.Judge (images: Tensor) (eps: Tensor) (prior: Tensor) =
        let codes, _ = Posterior.sample (built.Model().Encode images) eps
        judge.Lower(densityRatioLoss (logits (codes.detach ())) (logits prior))

    /// The model's step at the discriminator as it is. Returns its loss and terms.
    member _.Step (x: Tensor) (eps: Tensor) : IReadOnlyList<Term> =
        model.LowerTerms(fun () ->
            let parts = built.Model()
            let z, _ = Posterior.sample (parts.Encode x) eps

            [
                "reconstruction", (parts.LogLikelihood x z).mean().neg()
                "divergence", heavy * (logits z).mean()
            ])

let private trainDuel (plan: Plan) (run: VaeRun) (context: RunContext) =
    let images = plan.Train set
    let n = (plan.Data set).Train.Count
    let duel = Duel(run, context.Noise, context.Device)
    let perEpoch = StepContext.StepsPerEpoch(n, run.Batch)

    let step (at: StepContext) =
        let rows = at.Batch(n, run.Batch)
        let x = images.index_select (0L, torch.tensor (rows, device = context.Device))

        let normal stream count =
            at.Noise.Normal(stream, at.Step, [| count; int64 latent |], device = context.Device)

        for i in 1..judgements do
            let u = at.Noise.Uniform($"judged.{i}", at.Step, [| judged |], device = context.Device)
            let others = images.index_select (0L, (u * float n).floor().``to`` torch.int64)
            duel.Judge others (normal $"judged.posterior.{i}" judged) (normal $"prior.{i}" judged)

        duel.Step x (normal "posterior" rows.LongLength)

    TrainingJob(
        State = [| yield! ModelFile.tensors duel.Model; yield! ModelFile.tensors duel.Discriminator |],
        StepsPerEpoch = perEpoch,
        TotalSteps = int64 (epochs plan.Profile) * perEpoch,
        Step = step
    )
    |> duel.WithOptimisers
    |> context.Train
    |> ignore

    ModelFile.save context duel.Model

let training (plan: Plan) method seed : RunRequest =
    let run = vae plan.Profile method
    let name = $"hw4.2.{key method}.seed{seed}"

    match method with
    | Direct _ -> VaeRun.request plan name seed run
    | Adversarial ->
        let extra = [ "discriminator", $"128-128 {discriminatorSettings}, {judgements} steps of {judged}" ]
        plan.Run(name, VaeRun.configuration run @ extra, seed, Some set, 1, trainDuel plan run)

/// E_q T(z) of a new discriminator, trained on draws of q(z) over these encodings and of the prior: its estimate of
/// KL(q(z)||p(z)).
let private estimateKl (encodings: DiagNormal) (steps: int) (noise: Noise) =
    let device = encodings.Mu.device
    use generator = noise.For("estimate", 0L)
    let parameters, logits = discriminator generator device
    let descent = Descent(parameters, discriminatorSettings)
    let n = encodings.Mu.size 0
    let size = 256L

    let draw (stream: string) (step: int64) count =
        let u = noise.Uniform($"{stream}.row", step, [| count |], device = device)
        let rows = (u * float n).floor().``to`` torch.int64
        let eps = noise.Normal(stream, step, [| count; int64 latent |], device = device)
        let pick (t: Tensor) = t.index_select (0L, rows)
        DiagNormal.sample { Mu = pick encodings.Mu; LogVar = pick encodings.LogVar } eps

    for step in 1L .. int64 steps do
        use _ = torch.NewDisposeScope()
        let prior = noise.Normal("estimate.prior", step, [| size; int64 latent |], device = device)
        descent.Lower(densityRatioLoss (logits (draw "estimate.code" step size)) (logits prior))

    use _ = torch.no_grad ()
    (logits (draw "estimate.test" 0L 10_000L)).mean().ToDouble()

/// Samples of each model in the picture.
let sampled = 16

let measurement (plan: Plan) method seed : RunRequest =
    let training = training plan method seed
    let steps = Profile.pick plan.Profile 20 1000 3000

    let work (context: RunContext) =
        use _ = torch.NewDisposeScope()
        let run = vae plan.Profile method
        let built = VaeRun.load run (context.Dependency training.Key) context.Device
        let encoded = Vae.encode built.Vae (plan.Train set)

        let encodings = { Mu = encoded.Mu.detach (); LogVar = encoded.LogVar.detach () }

        let eps = context.Noise.Normal("surgery", 0L, encodings.Mu.shape, device = context.Device)
        let surgery = elboSurgery encodings logStandardNormal eps
        let estimate = estimateKl encodings steps context.Noise
        use _ = torch.no_grad ()

        let onTest =
            VaeRun.evaluate run (int top) (built.Model()) (plan.Test set) context.Noise "test" 0L
            |> Map.ofList

        context.Run.SaveValues(
            readOnlyDict [
                "reconstruction", onTest["reconstruction"]
                "kl", (klStandard encodings).mean().ToDouble()
                "information", surgery.MutualInformation
                "marginal", surgery.MarginalKl
                "estimate", estimate
                "active", float (activeUnits 0.01 encodings.Mu)
            ]
        )

        context.SaveTensors(
            "pictures",
            [ NamedTensor("samples", VaeRun.sampleMeans built sampled context.Noise) ]
        )

    plan.Run(
        $"hw4.2.measured.{key method}.seed{seed}",
        [ "discriminator steps", string steps ],
        seed,
        Some set,
        1,
        work,
        dependencies = [ training ]
    )

/// Milliseconds of one training step of each objective, rounds interleaved so that a machine whose speed drifts slows
/// all alike.
let timing (plan: Plan) : RunRequest =
    let rounds, steps = Profile.pick plan.Profile (2, 2) (7, 20) (15, 60)

    let work (context: RunContext) =
        let device, noise = context.Device, context.Noise
        let x = (plan.Train set).narrow(0L, 0L, 64L)
        let eps = noise.Normal("timing", 0L, [| 3L; 64L; int64 latent |], device = device)

        let stepper method =
            let run = vae plan.Profile method

            match method with
            | Adversarial ->
                let duel = Duel(run, noise, device)
                let many = (plan.Train set).narrow(0L, 0L, judged)
                let noise = noise.Normal("timing", 1L, [| 2L; judged; int64 latent |], device = device)

                fun () ->
                    for _ in 1..judgements do
                        duel.Judge many noise[0] noise[1]

                    duel.Step x eps[0]
            | Direct(_, _, (_, objective), samples) ->
                use generator = noise.For("initialisation", 0L)
                let built = VaeRun.build run generator device
                let descent = Descent(built.Parameters, run.Optimiser)

                fun () ->
                    descent.LowerTerms(fun () ->
                        objective (built.Model()) x (if samples = 0 then eps[0] else eps))

        let steppers = methods |> List.map (fun m -> key m, stepper m)

        let measured = [
            for _ in 0..rounds do
                for name, step in steppers do
                    let watch = Stopwatch.StartNew()

                    for _ in 1..steps do
                        use _ = torch.NewDisposeScope()
                        step () |> ignore

                    name, watch.Elapsed.TotalMilliseconds / float steps
        ]

        context.Run.SaveValues(
            readOnlyDict [
                for name, times in List.groupBy fst measured do
                    // The first round warms up.
                    let sorted = times |> List.map snd |> List.tail |> List.sort
                    name, sorted[sorted.Length / 2]
            ]
        )

    plan.Run("hw4.2.time", [ "rounds", string rounds; "steps", string steps ], 1L, Some set, 1, work)

let runs (plan: Plan) : RunRequest list = [
    for method in methods do
        for seed in plan.Seeds do
            training plan method seed
            measurement plan method seed
    timing plan
]
