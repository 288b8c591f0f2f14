/// The training step of a VAE: ift1's, hw5's, cs1's.
module Research.Experiments.VaeStep

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host

/// What a step needs at a batch x and its noise eps: the terms to log, the loss first, and the loss's gradients.
type TermsAndGradients = Tensor -> Tensor -> IReadOnlyList<Term> * IList<Tensor | null>

/// Any objective on any model: forward through Core's operators (encoder, z = mu + sigma eps, decoder, -log p(x|z) and
/// KL(q(z|x)||p(z))), and back by autograd. Not every objective uses all parameters that a model may have.
let composed (objective: Objective) (model: unit -> LatentModel) (descent: Descent) : TermsAndGradients =
    fun x eps -> descent.Gradients((fun () -> objective (model ()) x eps), allowUnused = true)

/// How the terms and gradients of a run are computed: chosen here, once a training.
let choose (run: VaeRun) (built: BuiltVae) (descent: Descent) : TermsAndGradients =
    composed (snd run.Objective) built.Model descent

/// One step: a batch, its noise, terms and gradients, and the optimiser's move.
let take (run: VaeRun) (images: VaeImages) (compute: TermsAndGradients) (descent: Descent) (at: StepContext) =
    let rows = at.Batch(int (images.Raw.size 0), run.Batch)
    let x = VaeImages.rows images rows at.Noise "binarise" at.Step
    let eps =
        at.Noise.Normal("posterior", at.Step, VaeRun.noiseShape run run.Samples (x.size 0), device = x.device)
    let terms, gradients = compute x eps
    descent.Step gradients
    terms
