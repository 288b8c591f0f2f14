/// Log-weights of draws of z under a trained model, from which the rows on log p(x) estimate it.
module Research.Experiments.Uva.Weights

open TorchSharp
open Research.Core
open Research.Host

/// log p(x|z) of every image for K draws from the standard normal prior, the same for all images: each is decoded once,
/// so many are affordable. In blocks of draws. `x: [B,D]`, result float64 `[K,B]`.
let underPrior (model: LatentModel) (x: Tensor) (latent: int) (samples: int) (noise: Noise) : Tensor =
    let blocks =
        blockwise 500L (int64 samples) (fun block _ draws ->
            let z = noise.Normal("prior", block, [| draws; 1L; int64 latent |], device = x.device)
            (model.LogLikelihood x z).double().MoveToOuterDisposeScope())
    torch.cat (blocks, 0L)

/// log p(x,z) - log q(z|x) of every image for K draws of its posterior, in blocks of images.
/// `x: [B,D]`, result float64 `[K,B]`.
let underPosterior (model: LatentModel) (x: Tensor) (latent: int) (samples: int) (noise: Noise) : Tensor =
    let blocks =
        blockwise (max 1L (10_000L / int64 samples)) (x.size 0) (fun block first count ->
            let rows = x.narrow (0L, first, count)
            let eps = noise.Normal("posterior", block, [| int64 samples; count; int64 latent |], device = x.device)
            let z, logQ = Posterior.sample (model.Encode rows) eps
            let logWeights = model.LogLikelihood rows z + model.Prior.LogProb z - logQ
            logWeights.double().MoveToOuterDisposeScope())
    torch.cat (blocks, 1L)
