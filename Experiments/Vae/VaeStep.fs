/// The training step of a VAE: ift1's, hw5's, cs1's.
module Research.Experiments.VaeStep

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host

/// Lowers the loss at a batch x and its noise eps, and returns what is logged, the loss first.
type Lowering = Tensor -> Tensor -> IReadOnlyList<Term>

/// Any objective on any model. Forward through Core: encoder, z = mu + sigma eps, decoder, -log p(x|z) and
/// KL(q(z|x)||p(z)); back by autograd; then the optimiser's move. Not every objective uses all parameters of a model.
let composed (objective: Objective) (model: unit -> LatentModel) (descent: Descent) : Lowering =
    fun x eps -> descent.LowerTerms((fun () -> objective (model ()) x eps), allowUnused = true)

/// How a run lowers its loss: chosen here, once a training.
let choose (run: VaeRun) (built: BuiltVae) (descent: Descent) : Lowering =
    composed (snd run.Objective) built.Model descent

/// One step: the next batch of the epoch's order, its noise, and the loss lowered there.
let take (run: VaeRun) (images: VaeImages) (lower: Lowering) (at: StepContext) =
    let rows = at.Batch(int (images.Raw.size 0), run.Batch)
    let x = VaeImages.rows images rows at.Noise "binarise" at.Step
    let shape = VaeRun.noiseShape run run.Samples (x.size 0)
    lower x (at.Noise.Normal("posterior", at.Step, shape, device = x.device))
