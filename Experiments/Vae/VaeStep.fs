/// The training step of a VAE: ift1's, hw5's, cs1's.
module Research.Experiments.VaeStep

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host

/// Lowers the loss at a batch x and its noise eps, and returns what is logged, the loss first.
type Lowering = Tensor -> Tensor -> IReadOnlyList<Term>

/// How a run's steps are computed on a device: part of its key, since `fused` and `composed` round differently.
let path (device: torch.Device) (run: VaeRun) : StepPath =
    let beta =
        match run.Loss with
        | WeightedElbo beta -> Some beta
        | Other _ -> None
    FusedVae.path device.``type`` beta run.Samples run.Prior run.Posterior

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
    | Operators _ -> composed (Loss.objective run.Loss) built.Model descent

/// One step: the next batch of the epoch's order, its noise, and the loss lowered there.
let take (run: VaeRun) (images: VaeImages) (lower: Lowering) (at: StepContext) =
    let rows = at.Batch(int (images.Raw.size 0), run.Batch)
    let x = VaeImages.rows images rows at.Noise "binarise" at.Step
    let shape = VaeRun.noiseShape run run.Samples (x.size 0)
    lower x (at.Noise.Normal("posterior", at.Step, shape, device = x.device))
