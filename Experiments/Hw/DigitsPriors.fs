/// The trainings and measurements behind hw5.4 and hw5.5: the UCI digits under a standard, a mixture, a VampPrior, a
/// topographic and two flow priors, with 2 and 16 latents.
module Research.Experiments.Hw.DigitsPriors

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Experiments.Hw.Digits

/// A prior of the study.
type Choice =
    | Standard
    | MixtureOf of components: int
    | VampOf of pseudoInputs: int
    | Topographic
    | RealNvp
    /// Couplings of rational-quadratic splines.
    | SplineFlow

/// Components of the mixtures unless a sweep says otherwise.
let usual = 16

let dimensions = [ 2; 16 ]

[<RequireQualifiedAccess>]
module Choice =
    let shape choice =
        match choice with
        | Standard -> StandardPrior
        | MixtureOf k -> MixturePrior k
        // Starts within the range of the pixels, 0 to 16.
        | VampOf k -> VampPrior(k, 0.0, 17.0)
        | Topographic -> TopographicPrior(4, 256)
        | RealNvp -> FlowPrior(3, 256)
        | SplineFlow -> SplinePrior(3, 256, 8)
    /// For keys and file names.
    let id choice =
        match choice with
        | Standard -> "standard"
        | MixtureOf k -> $"mog{k}"
        | VampOf k -> $"vamp{k}"
        | Topographic -> "gtm"
        | RealNvp -> "flow"
        | SplineFlow -> "spline"
    /// Family and number of components, for tables.
    let title choice =
        match choice with
        | Standard -> "standard", ""
        | MixtureOf k -> "mixture", string k
        | VampOf k -> "VampPrior", string k
        | Topographic -> "topographic", "16"
        | RealNvp -> "flow", ""
        | SplineFlow -> "spline flow", ""

/// Numbers of components that a profile sweeps.
let sweep (profile: Profile) (latent: int) =
    match profile, latent with
    | Paper, _ -> [ 1; 4; usual; 64 ]
    | Smoke, _
    | Quick, 2 -> [ 1; usual ]
    | Quick, _ -> [ usual ]

/// The priors that a profile studies in this many dimensions.
let choices (profile: Profile) (latent: int) : Choice list = [
    Standard
    for k in sweep profile latent do
        MixtureOf k
    for k in sweep profile latent do
        VampOf k
    Topographic
    RealNvp
    // A minute a seed, which quick has not.
    if profile <> Quick then
        SplineFlow
]

/// One model per seed; a standard prior with 16 latents is the model of hw5.1.
let trainings (plan: Plan) (latent: int) (choice: Choice) : Trained list =
    match choice with
    | Standard when latent = Digits.latent -> plainTrainings plan
    | _ ->
        vae plan.Profile latent (Choice.shape choice) Loss.elbo
        |> VaeTraining.each plan $"hw5.4.{Choice.id choice}.l{latent}"

/// Points of a density map to a side.
let private resolution = 60

/// The prior's density and that of the aggregated posterior of the training images on a square around the latter, as
/// tensors `prior` and `aggregated` of a run, the square's half side as its value `half`. Two latents only.
let map (plan: Plan) (trained: Trained) : RunRequest =
    let configuration = [ "resolution", string resolution ]

    VaeTraining.measure plan (trained.Training.Key.Name + ".map") configuration trained (fun context built ->
        let model = built.Model()
        let encodings = (model.Encode(plan.Train set)).Base
        // A few far codes would shrink the picture of all others.
        let half =
            let extent = (encodings.Mu.abs ()).flatten().double().cpu().data<float>().ToArray()
            ceil (1.15 * (Array.sort extent)[extent.Length * 99 / 100])
        let grid = Pictures.gridPoints -half half resolution context.Device
        let square name (logDensity: Tensor) =
            let n = int64 resolution
            NamedTensor(name, logDensity.exp().``to``(torch.float32).view(n, n))
        context.SaveTensors(
            "map",
            [
                square "prior" (model.Prior.LogProb grid)
                square "aggregated" (logAggregatedPosterior encodings grid)
            ]
        )
        [ "half", half ])

/// Numbers of components whose step is timed.
let timedComponents = [ 1; 4; 16; 64; 256 ]

let private timed: Choice list = [
    Standard
    RealNvp
    for k in timedComponents do
        MixtureOf k
        VampOf k
]

/// The median time in milliseconds of a training step (loss, gradients, update) on one batch with 16 latents, as values
/// by the prior's id, and as `ID.spread` how far the rounds are apart.
let cost (plan: Plan) : RunRequest =
    let rounds = Profile.pick plan.Profile 3 25 100
    let work (context: RunContext) =
        let x = (plan.Train set).narrow(0L, 0L, 64L)
        let eps = context.Noise.Normal("posterior", 0L, [| 64L; int64 latent |], device = context.Device)
        let stepper choice =
            let run = vae plan.Profile latent (Choice.shape choice) Loss.elbo
            Choice.id choice, VaeTraining.stepper run context x eps
        context.Run.SaveValues(
            readOnlyDict [
                for name, times in Timing.rounds rounds 1 (List.map stepper timed) do
                    name, Timing.median times
                    name + ".spread", Timing.spread times
            ]
        )
    plan.Run("hw5.4.cost", [ "rounds", string rounds ], 1L, Some set, work)

/// All runs of the study.
let runs (plan: Plan) : RunRequest list = [
    for latent in dimensions do
        for choice in choices plan.Profile latent do
            let trained = trainings plan latent choice
            yield! withMeasurements plan trained
            if latent = 2 then
                map plan trained.Head
    cost plan
]
