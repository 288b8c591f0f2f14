/// The training step of a VAE: ift1's, hw5's, cs1's.
module Research.Experiments.VaeStep

open System
open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// Lowers the loss at a batch x and its noise eps, and returns what is logged, the loss first.
type Lowering = Tensor -> Tensor -> IReadOnlyList<Term>

/// How a run's steps are computed on a device: part of its key, since `fused` and `composed` round differently.
let path (device: torch.Device) (run: VaeRun) : StepPath =
    let beta, ofParts =
        match run.Loss with
        | WeightedElbo beta -> Some beta, true
        | OfParts _ -> None, true
        | Other _ -> None, false
    FusedVae.path device.``type`` beta ofParts run.Samples run.Prior run.Posterior

/// An objective of the model's parts with both networks fused: the kernel encodes the batch and gives log p(x|z) with its
/// slope in z, the objective and autograd do what lies between, and the kernel carries their gradients through both
/// networks. What the objective asks of the model for anything but the batch, as a VampPrior does, goes through operators,
/// and its gradients are added.
let fusedEnds (objective: Objective) (kernel: EncoderDecoderKernel) (built: BuiltVae) (descent: Descent) : Lowering =
    fun x eps ->
        let model = built.Model()
        let output = (kernel.Encode x).requires_grad_ true
        let logLikelihood: Tensor option ref = ref None
        let isBatch input = Object.ReferenceEquals(input, x)
        let encode input =
            if isBatch input then
                { Base = Vae.posterior built.Vae output; Flow = None }
            else
                model.Encode input
        let decode input (z: Tensor) =
            if isBatch input && logLikelihood.Value.IsNone then
                let codes = z.detach().contiguous().view(-1L, z.size -1)
                let struct (values, slope) = kernel.Decode codes
                let values = values.requires_grad_ true
                logLikelihood.Value <- Some values
                // z minus itself: nothing but a way for the gradient.
                values.view z.shape[.. z.shape.Length - 2] + ((z - z.detach ()) * slope.view z.shape).sum(-1L)
            else
                model.LogLikelihood input z
        let parts = { model with Encode = encode; LogLikelihood = decode }
        let ends () = [|
            struct ("the encoder's outputs", output)
            struct ("log p(x|z)", Option.get logLikelihood.Value)
        |]
        let back (gradients: Tensor[]) sink =
            kernel.BackwardDecoder(gradients[1], sink)
            kernel.BackwardEncoder(gradients[0], sink)
        descent.LowerBetween((fun () -> objective parts x eps), ends, back)

/// Any objective on any model. Forward through Core: encoder, z = mu + sigma eps, decoder, -log p(x|z) and
/// KL(q(z|x)||p(z)); back by autograd; then the optimiser's move. Not every objective uses all parameters of a model.
let composed (objective: Objective) (model: unit -> LatentModel) (descent: Descent) : Lowering =
    fun x eps -> descent.LowerTerms((fun () -> objective (model ()) x eps), allowUnused = true)

/// The weighted ELBO of linear layers and a standard prior: the same numbers from the chain rule written out, and each
/// parameter moves as soon as its gradient is there. Half the time of `composed`.
let fused (kernel: VaeKernel) (beta: float) (descent: Descent) : Lowering =
    fun x eps ->
        let terms = kernel.ValueAndGradient(x, eps, descent.Begin())
        [|
            Term("loss", terms.Loss)
            Term("reconstruction", terms.Reconstruction)
            if beta <> 0.0 then
                Term("kl", terms.Kl)
        |]

/// How a run lowers its loss: chosen here, once a training.
let choose (run: VaeRun) (built: BuiltVae) (descent: Descent) : Lowering =
    match path built.Parameters.Device run with
    | Fused beta -> fused (FusedVae.kernel built.Parameters descent.Learned built.Vae run.Posterior beta) beta descent
    | FusedEnds _ -> fusedEnds (Loss.objective run.Loss) (FusedVae.ends descent.Learned built.Vae) built descent
    | Operators _ -> composed (Loss.objective run.Loss) built.Model descent

/// One step: the next batch of the epoch's order, its noise, and the loss lowered there.
let take (run: VaeRun) (images: VaeImages) (lower: Lowering) (at: StepContext) =
    let rows = at.Batch(int (images.Raw.size 0), run.Batch)
    let x = VaeImages.rows images rows at.Noise "binarise" at.Step
    let shape = VaeRun.noiseShape run run.Samples (x.size 0)
    lower x (at.Noise.Normal("posterior", at.Step, shape, device = x.device))
