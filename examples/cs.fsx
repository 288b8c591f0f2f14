// The functions that the CS assignment asks for, with its arguments and its results, and numbers that they must give:
//
//     dotnet fsi examples/cs.fsx
#load "research.fsx"

open TorchSharp
open Research.Core

/// P1.1, sample_gaussian: z ~ N(m, diag v).
let sampleGaussian (m: Tensor) (v: Tensor) =
    DiagNormal.sample { Mu = m; LogVar = v.log () } (torch.randn_like m)

/// P1.2, negative_elbo_bound: minus the ELBO, its KL term and its reconstruction loss, averaged over the batch.
let negativeElboBound (model: LatentModel) (x: Tensor) =
    let q = (model.Encode x).Base
    let z = sampleGaussian q.Mu (q.LogVar.exp ())
    let kl = (klStandard q).mean()
    let reconstruction = (model.LogLikelihood x z).mean().neg()
    kl + reconstruction, kl, reconstruction

/// P2.2, loss_nonsaturating: the discriminator's loss and the generator's, from logits on data and on samples.
let lossNonsaturating (onData: Tensor) (onSamples: Tensor) =
    densityRatioLoss onData onSamples, nonSaturatingGeneratorLoss onSamples

let shown (x: Tensor) = x.ToDouble().ToString "F2"

torch.random.manual_seed 1L |> ignore
let z = sampleGaussian (torch.ones 100_000L) (4.0 * torch.ones 100_000L)
printfn $"N(1, 4) has mean {shown (z.mean ())} and standard deviation {shown (z.std ())}"

/// z ~ N(0,1), x ~ N(z,1) and its exact posterior N(x/2, 1/2), with which the bound is -log N(x; 0, 2): 1.52 at x = 1.
let linear: LatentModel = {
    Encode =
        fun x -> {
            Base = { Mu = 0.5 * x; LogVar = torch.full_like (x, scalar (log 0.5)) }
            Flow = None
        }
    LogLikelihood = fun x z -> DiagNormal.logProb { Mu = z; LogVar = torch.zeros_like z } x
    Prior = Prior.standard
}

let nelbo, kl, reconstruction = negativeElboBound linear (torch.ones (100_000L, 1L))
printfn $"minus the ELBO {shown nelbo} is KL {shown kl} and reconstruction {shown reconstruction}"

let discriminator, generator = lossNonsaturating (torch.zeros 3L) (torch.zeros 3L)
printfn $"undecided, the discriminator loses {shown discriminator} and the generator {shown generator}"
