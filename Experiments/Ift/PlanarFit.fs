/// Training of planar chains, shared by ift7 and ift8.
module Research.Experiments.Ift.PlanarFit

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Experiments.Ift.PlanarTargets

/// What a chain is fitted to.
type Objective =
    /// Data to base: the negative log-likelihood of samples.
    | FromSamples
    /// Base to data: the reverse divergence from exp(-U), up to log Z.
    | FromDensity

/// How the constraint w.u > -1 is built in.
type Constraint =
    /// w.u-hat = softplus(w.u) - 1, as the source prints it.
    | AsPrinted
    /// The same moved so that the layers start near the identity.
    | Centred

let private offset built =
    match built with
    | AsPrinted -> 0.0
    | Centred -> PlanarChain.centred

let batch = 128
let private fullSteps = 20000

let steps (plan: Plan) = Profile.pick plan.Profile 500 fullSteps fullSteps

/// Three seeds: a fit takes seconds.
let seeds (plan: Plan) : int64 list = Profile.pick plan.Profile [ 1L ] [ 1L; 2L; 3L ] [ 1L; 2L; 3L ]

/// A hundred batches; an epoch sees every sample once.
let private trainingSamples = 100 * batch

let heldOutSamples = 20000

/// Loss and gradients over batches of one size: the fused kernel on the plane and the CPU, operators elsewhere.
let valueAndGradient
    (energy: Tensor -> Tensor)
    (fused: IPlaneEnergy)
    (chain: PlanarChain)
    : ValueAndGradient =
    if chain.U.device_type = DeviceType.CPU && chain.U.size 1 = 2L then
        let kernel = PlanarKernel(int (chain.U.size 0), batch, chain.Offset)
        let gradients = [| chain.U; chain.W; chain.B |] |> Array.map (fun p -> torch.zeros_like p)

        fun z -> kernel.ValueAndGradient(chain.U, chain.W, chain.B, z, fused, gradients), gradients
    else
        PlanarChain.composed energy chain

let standardNormal (z: Tensor) : Tensor = (logStandardNormal z).neg()

/// E[log q0] of the base: what the density-matching loss adds to the energy loss.
let private meanLogBase (z0: Tensor) = (logStandardNormal z0).mean().ToDouble()

let private train objective (target: Target) built (layers: int) (steps: int) (context: RunContext) =
    let device = context.Device
    use generator = context.Noise.For("initialisation", 0L)
    let parameters = Parameters(generator, device)
    let chain = PlanarChain.create parameters "flow" (offset built) layers 2
    let optimiser = Optimiser.Create(OptimiserSettings.RmsProp 5e-4, parameters.All)

    let energy, fused =
        match objective with
        | FromSamples -> standardNormal, PlaneEnergies.StandardNormal
        | FromDensity -> target.Energy, target.Fused

    let lossOf = valueAndGradient energy fused chain
    let samples = target.Sample context.Noise "training" trainingSamples
    let data = samples.``to`` device

    let step (at: StepContext) : IReadOnlyList<Term> =
        let z, offset =
            match objective with
            | FromSamples ->
                let rows = torch.tensor (at.Batch(trainingSamples, batch), device = device)
                data.index_select (0L, rows), 0.0
            | FromDensity ->
                let z0 = at.Noise.Normal("base", at.Step, [| int64 batch; 2L |], device = device)
                z0, meanLogBase z0

        let loss, gradients = lossOf z
        optimiser.Step gradients
        [| Term("loss", loss + offset) |]

    let job =
        TrainingJob(
            State = ModelFile.tensors parameters,
            StepsPerEpoch = int64 (trainingSamples / batch),
            TotalSteps = int64 steps,
            EvaluateEvery = 1000L,
            Step = step
        )
            .WithOptimiser(optimiser)

    context.Train job |> ignore
    ModelFile.save context parameters

/// A training: `model.safetensors` and the loss at every 100 steps.
let request (plan: Plan) objective (target: Target) built (layers: int) (seed: int64) : RunRequest =
    let row =
        match objective with
        | FromSamples -> "ift7"
        | FromDensity -> "ift8"

    let configuration = [
        "objective", string objective
        "target", target.Name
        "constraint", string built
        "layers", string layers
        "optimiser", "RMSprop 5e-4"
        "batch", string batch
        "steps", string (steps plan)
        "samples", string trainingSamples
    ]

    let variant =
        match built with
        | AsPrinted -> ".as-printed"
        | Centred -> ""

    plan.Run(
        $"{row}.{target.Name}.k{layers}{variant}.seed{seed}",
        configuration,
        seed,
        None,
        1,
        train objective target built layers (steps plan)
    )

/// The trained chain on the CPU.
let load (built: Constraint) (trained: RunDirectory) : PlanarChain =
    let file = trained.ReadTensors "model"
    let tensor name = TensorBytes.ToTensor file[$"flow.{name}"]
    { U = tensor "u"; W = tensor "w"; B = tensor "b"; Offset = offset built }

/// Mean loss over the last 200 steps.
let lastLoss (results: Results) (training: RunRequest) : float =
    let curve = results.Curve "train" "loss" training |> Array.map snd
    Array.average curve[max 0 (curve.Length - 2) ..]
