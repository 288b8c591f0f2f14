/// The trainings and measurements behind hw5.4 and hw5.5: the UCI digits under a standard, a mixture, a VampPrior, a
/// topographic and two flow priors, with 2 and 16 latents.
module Research.Experiments.Hw.DigitsPriors

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Experiments.Hw.Digits

/// A prior of the study: its id in keys and names of files, its family and number of components in tables, and itself.
type Choice = { Id: string; Family: string; Components: string; Prior: PriorShape }

let private choice id family components prior = { Id = id; Family = family; Components = components; Prior = prior }

let standard = choice "standard" "standard" "" StandardPrior
let mixtureOf k = choice $"mog{k}" "mixture" (string k) (MixturePrior k)
/// Starts within the range of the pixels, 0 to 16.
let vampOf k = choice $"vamp{k}" "VampPrior" (string k) (VampPrior(k, 0.0, 17.0))
let topographic = choice "gtm" "topographic" "16" (TopographicPrior(4, 256))
let realNvp = choice "flow" "flow" "" (FlowPrior(3, 256))
let splines = choice "spline" "spline flow" "" (SplinePrior(3, 256, 8))

/// Components of the mixtures unless a sweep says otherwise.
let usual = 16

let dimensions = [ 2; 16 ]

/// Numbers of components that a profile sweeps.
let sweep (profile: Profile) =
    match profile with
    | Smoke -> [ 1; usual ]
    | Quick
    | Paper -> [ 1; 4; usual; 64 ]

/// The priors that a profile studies.
let choices (profile: Profile) : Choice list =
    let swept make = List.map make (sweep profile)
    // A minute a seed, which quick has not.
    let slow = if profile = Quick then [] else [ splines ]
    [ standard ] @ swept mixtureOf @ swept vampOf @ [ topographic; realNvp ] @ slow

/// Profile quick spends its second seed on the priors that are discussed one against the other.
let private seeds (plan: Plan) choice =
    if List.contains choice [ standard; mixtureOf usual; vampOf usual; realNvp ] then
        plan.SeedsOn set
    else
        plan.Seeds

/// One model per seed; a standard prior with 16 latents is the model of hw5.1.
let trainings (plan: Plan) (latent: int) (choice: Choice) : Trained list =
    if choice = standard && latent = Digits.latent then
        plainTrainings plan
    else
        VaeTraining.ofSeeds
            plan
            (seeds plan choice)
            $"hw5.4.{choice.Id}.l{latent}"
            (vae plan.Profile latent choice.Prior Loss.elbo)

/// Points of a density map to a side.
let private resolution = 60

/// The prior's density and that of the aggregated posterior of the training images on a square around the latter, as
/// tensors `prior` and `aggregated` of a run, the square's half side as its value `half`. Two latents only.
let map (plan: Plan) (trained: Trained) : RunRequest =
    VaeTraining.measure plan $"{trained.Name}.map" [ "resolution", string resolution ] trained (fun context built ->
        let model = built.Model()
        let encodings = (model.Encode(plan.Train set)).Base
        // A few far codes would shrink the picture of all others.
        let half =
            let extent = (encodings.Mu.abs ()).flatten().double().cpu().data<float>().ToArray()
            ceil (1.15 * (Array.sort extent)[extent.Length * 99 / 100])
        let grid = Pictures.gridPoints -half half resolution context.Device
        let square (logDensity: Tensor) =
            logDensity.exp().``to``(torch.float32).view(int64 resolution, int64 resolution)
        let prior, aggregated = model.Prior.LogProb grid, logAggregatedPosterior encodings grid
        context.Keep("map", [ "prior", square prior; "aggregated", square aggregated ])
        [ "half", half ])

/// The learned numbers of these priors, and how far they have moved in the mean from their start to the model that is kept:
/// a value for each tensor, by its name.
let moved (plan: Plan) (trained: Trained) : RunRequest =
    VaeTraining.measure plan $"{trained.Name}.moved" [] trained (fun context built ->
        // The measurement's seed is the training's, so this is the training's start.
        let start = (Training.fromStart context (VaeRun.build trained.Run)).Parameters
        [
            for struct (name, before), struct (_, after) in Seq.zip start.All built.Parameters.All do
                if name.StartsWith "prior." then
                    name, (after - before).abs().mean().ToDouble()
        ])

/// The priors of which that is asked.
let movable = [ mixtureOf usual; vampOf usual ]

/// Numbers of components whose step is timed.
let timedComponents = [ 1; 4; 16; 64; 256 ]

let private timed: Choice list =
    standard :: realNvp :: List.collect (fun k -> [ mixtureOf k; vampOf k ]) timedComponents

/// The median time in milliseconds of a training step (loss, gradients, update) on a batch with 16 latents, as values
/// by the prior's id, and as `ID.spread` how far the rounds are apart.
let cost (plan: Plan) : RunRequest =
    let rounds = Profile.pick plan.Profile 3 25 100
    let work (context: RunContext) =
        let batch (step: int64) =
            (plan.Train set).narrow(0L, 64L * (step % 15L), 64L),
            context.Noise.Normal("posterior", step, [| 64L; int64 latent |], device = context.Device)
        let stepper choice =
            choice.Id, VaeTraining.stepper (vae plan.Profile latent choice.Prior Loss.elbo) context batch
        context.Save [
            for name, times in Timing.rounds rounds 1 (List.map stepper timed) do
                name, Timing.median times
                name + ".spread", Timing.spread times
        ]
    plan.Run("hw5.4.cost", [ "rounds", string rounds ], 1L, Some set, work) |> RunRequest.alone

/// All runs of the study.
let runs (plan: Plan) : RunRequest list = [
    for latent in dimensions do
        for choice in choices plan.Profile do
            let trained = trainings plan latent choice
            yield! withMeasurements plan trained
            if latent = 2 then
                map plan trained.Head
            if List.contains choice movable then
                yield! trained |> List.map (moved plan)
    cost plan
]
