/// Training of planar chains, shared by ift7 and ift8.
module Research.Experiments.Ift.PlanarFit

open System
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

/// How the constraint w.u > -1 is built in: its name in keys, what it adds to the names of runs, and the offset of w.u.
type Constraint = { Name: string; Suffix: string; Offset: float }

/// w.u-hat = softplus(w.u) - 1, as Rezende and Mohamed (2015) publish it; the source itself states none.
let asPublished = { Name = "AsPublished"; Suffix = ".as-published"; Offset = 0.0 }

/// The same moved so that the layers start near the identity.
let centred = { Name = "Centred"; Suffix = ""; Offset = PlanarChain.centred }

let batch = 128
let steps (plan: Plan) = Profile.pick plan.Profile 500 20000 20000

/// A fit takes seconds.
let seeds (plan: Plan) : int64 list = Profile.pick plan.Profile [ 1L ] [ 1L; 2L ] [ 1L; 2L; 3L ]

/// A hundred batches; an epoch sees every sample once.
let private trainingSamples = 100 * batch

let heldOutSamples = 20000

let standardNormal (z: Tensor) : Tensor = (logStandardNormal z).neg()

/// E[log q0] of the base on the plane: what the density-matching loss adds to the energy loss. It is logged at every step
/// and has no gradient, hence one operator.
let private meanLogBase (z0: Tensor) =
    let length = z0.norm().ToDouble()
    -0.5 * length * length / float (z0.size 0) - log (2.0 * Math.PI)

/// Lowers the loss, and returns it, at row numbers of the training samples or at points of the base. On the CPU the fused
/// kernel, elsewhere operators.
type private Losses = { AtRows: int64[] -> float; AtPoints: Tensor -> float }

let private lossesOf
    (energy: Tensor -> Tensor)
    (fused: IPlaneEnergy)
    (chain: PlanarChain)
    (descent: Descent)
    (data: Tensor)
    =
    if chain.U.device_type = DeviceType.CPU then
        let kernel = PlanarKernel(chain.U, chain.W, chain.B, batch, chain.Offset)
        let points = data.data<float32>().ToArray()
        {
            AtRows = fun rows -> kernel.ValueAndGradient(ReadOnlySpan points, ReadOnlySpan rows, fused, descent.Begin())
            AtPoints = fun z -> kernel.ValueAndGradient(z, fused, descent.Begin())
        }
    else
        let lossOf = PlanarChain.composed energy chain
        let lower z =
            let loss, gradients = lossOf z
            descent.Step gradients
            loss
        { AtRows = Rows.pick data >> lower; AtPoints = lower }

let private train objective (target: Target) (built: Constraint) (layers: int) (steps: int) (context: RunContext) =
    let device = context.Device
    let chain, descent =
        Training.fromStart context (fun parameters ->
            PlanarChain.create parameters "flow" built.Offset layers 2,
            Descent(parameters, OptimiserSettings.RmsProp 5e-4))
    let energy, fused =
        match objective with
        | FromSamples -> standardNormal, PlaneEnergies.StandardNormal
        | FromDensity -> target.Energy, target.Fused
    let data = (target.Sample context.Noise "training" trainingSamples).``to`` device
    let lower = lossesOf energy fused chain descent data
    let step (at: StepContext) : IReadOnlyList<Term> =
        let loss =
            match objective with
            | FromSamples -> lower.AtRows(at.Batch(trainingSamples, batch))
            | FromDensity ->
                let z0 = at.Noise.Normal("base", at.Step, [| int64 batch; 2L |], device = device)
                lower.AtPoints z0 + meanLogBase z0
        [| Term("loss", loss) |]

    {
        Training.create [ descent ] (int64 (trainingSamples / batch)) (Steps steps) step with
            EvaluateEvery = Some 1000
    }
    |> Training.run context
    |> ignore

/// A training: `model.safetensors` and the loss at every 100 steps.
let request (plan: Plan) objective (target: Target) (built: Constraint) (layers: int) (seed: int64) : RunRequest =
    let row =
        match objective with
        | FromSamples -> "ift7"
        | FromDensity -> "ift8"
    let configuration = [
        "objective", string objective
        "target", target.Name
        "constraint", built.Name
        "layers", string layers
        "optimiser", "RMSprop 5e-4"
        "batch", string batch
        "steps", string (steps plan)
        "samples", string trainingSamples
    ]
    let name = $"{row}.{target.Name}.k{layers}{built.Suffix}.seed{seed}"
    plan.Run(name, configuration, seed, None, train objective target built layers (steps plan))

/// The trained chain on the CPU.
let load (built: Constraint) (trained: RunDirectory) : PlanarChain =
    let file = trained.ReadTensors "model"
    let tensor name = TensorBytes.ToTensor file[$"flow.{name}"]
    { U = tensor "u"; W = tensor "w"; B = tensor "b"; Offset = built.Offset }

/// Mean loss over the last 200 steps.
let lastLoss: Metric<RunRequest> =
    Metric.create "Training" "nats" 3 (fun results training ->
        let curve = results.Curve "train" "loss" training |> Array.map snd
        Array.average curve[max 0 (curve.Length - 2) ..])
