/// Log-weights of draws of z under a trained model, from which the rows on log p(x) estimate it.
module Research.Experiments.Uva.Weights

open TorchSharp
open Research.Core
open Research.Host

/// log p(x|z) of every image for K draws from the standard normal prior, the same for all images: each is decoded once,
/// so many are affordable. In blocks of draws. `x: [B,D]`, result float64 `[K,B]`.
let underPrior (model: LatentModel) (x: Tensor) (latent: int) (samples: int) (noise: Noise) : Tensor =
    let block = 500L

    torch.cat (
        [|
            for index, start in Seq.indexed (seq { 0L .. block .. int64 samples - 1L }) do
                use _ = torch.NewDisposeScope()
                let shape = [| min block (int64 samples - start); 1L; int64 latent |]
                let z = noise.Normal("prior", int64 index, shape, device = x.device)
                (model.LogLikelihood x z).double().MoveToOuterDisposeScope()
        |],
        0L
    )

/// log p(x,z) - log q(z|x) of every image for K draws of its posterior, in blocks of images.
/// `x: [B,D]`, result float64 `[K,B]`.
let underPosterior (model: LatentModel) (x: Tensor) (latent: int) (samples: int) (noise: Noise) : Tensor =
    let block = max 1L (10_000L / int64 samples)

    torch.cat (
        [|
            for index, start in Seq.indexed (seq { 0L .. block .. x.size 0 - 1L }) do
                use _ = torch.NewDisposeScope()
                let rows = x.narrow (0L, start, min block (x.size 0 - start))
                let shape = [| int64 samples; rows.size 0; int64 latent |]
                let eps = noise.Normal("posterior", int64 index, shape, device = x.device)
                let z, logQ = Posterior.sample (model.Encode rows) eps
                let logWeights = model.LogLikelihood rows z + model.Prior.LogProb z - logQ
                logWeights.double().MoveToOuterDisposeScope()
        |],
        1L
    )
