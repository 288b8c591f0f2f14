namespace Research.Models

open TorchSharp
open Research.Core

/// A VAE whose encoder and decoder are told the class: q(z|x,y) and p(x|y,z), the class as a one-hot vector beside the
/// pixels and beside the latents. An example is the row `[x | one-hot y]` of D + C numbers.
/// Source: Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., 2015).
type ConditionalVae = {
    Networks: Vae
    Classes: int
    /// p(z|y): a normal of each class, `[C,L]`; the standard one where there is none.
    Prior: DiagNormal option
}

[<RequireQualifiedAccess>]
module ConditionalVae =
    /// 1 at the class, 0 elsewhere. `labels: int64 [B]`, result float32 `[B,C]`. A label that is no class raises
    /// libtorch's ExternalException.
    let oneHot (classes: int) (labels: Tensor) : Tensor =
        (torch.eye (int64 classes, dtype = torch.float32, device = labels.device)).index_select(0L, labels)

    /// Rows `[x | one-hot y]`. `x: [B,D]`, `labels: int64 [B]`, result `[B,D+C]`.
    let withLabels (classes: int) (x: Tensor) (labels: Tensor) : Tensor =
        torch.cat ([| x; oneHot classes labels |], -1L)

    /// The plain VAE's networks with C inputs more each; keys `encoder.*` and `decoder.*`.
    let create (parameters: Parameters) (shape: VaeShape) (classes: int) : ConditionalVae =
        let outputs = shape.Data * Likelihood.outputs shape.Likelihood
        let net name widths = Mlp.create parameters name shape.Activation widths

        {
            Networks = {
                Shape = shape
                Encoder = net "encoder" (shape.Data + classes :: shape.Hidden @ [ 2 * shape.Latent ])
                Decoder = net "decoder" (shape.Latent + classes :: List.rev shape.Hidden @ [ outputs ])
            }
            Classes = classes
            Prior = None
        }

    /// The same with a learned normal prior of each class: means from N(0,1), log-variances 0; keys `prior.mu` and
    /// `prior.logvar`. Up to an affine map of each class's codes it is the standard prior; what it changes is the start.
    let createWithPrior (parameters: Parameters) (shape: VaeShape) (classes: int) : ConditionalVae =
        let vae = create parameters shape classes
        let table = [| int64 classes; int64 shape.Latent |]

        {
            vae with
                Prior =
                    Some {
                        Mu = parameters.Normal("prior.mu", table, 0.0, 1.0)
                        LogVar = parameters.Zeros("prior.logvar", table)
                    }
        }

    /// The prior of each example's class. `oneHot: [B,C] -> [B,L]`.
    let private priorOf (vae: ConditionalVae) (oneHot: Tensor) : DiagNormal option =
        vae.Prior
        |> Option.map (fun prior -> { Mu = oneHot.matmul prior.Mu; LogVar = oneHot.matmul prior.LogVar })

    /// The decoder's raw output. `oneHot: [B,C]`, `z: [..,B,L]`, result `[..,B,D * outputs]`.
    let private decode (vae: ConditionalVae) (oneHot: Tensor) (z: Tensor) : Tensor =
        // Codes are in units of their class's prior, which is N(0,I) there.
        let z =
            priorOf vae oneHot
            |> Option.map (fun prior -> DiagNormal.sample prior z)
            |> Option.defaultValue z

        let leading = z.shape[.. z.shape.Length - 2]
        let labels = oneHot.expand (Array.append leading [| int64 vae.Classes |])
        Vae.decode vae.Networks (torch.cat ([| z; labels |], -1L))

    /// The parts that Core's objectives see, for rows `[x | one-hot y]`: the bound is on log p(x|y).
    let model (vae: ConditionalVae) : LatentModel =
        let pixels, classes = int64 vae.Networks.Shape.Data, int64 vae.Classes

        let encode (xy: Tensor) : DiagNormal =
            let q = Vae.encode vae.Networks xy

            match priorOf vae (xy.narrow (-1L, pixels, classes)) with
            | None -> q
            | Some prior -> {
                Mu = (q.Mu - prior.Mu) * (-0.5 * prior.LogVar).exp()
                LogVar = q.LogVar - prior.LogVar
              }

        {
            Encode = fun xy -> { Base = encode xy; Flow = None }
            LogLikelihood =
                fun xy z ->
                    let x, y = xy.narrow (-1L, 0L, pixels), xy.narrow (-1L, pixels, classes)
                    Likelihood.logProb vae.Networks.Shape.Likelihood (decode vae y z) x
            Prior = Prior.standard
        }

    /// E[x|y,z] of the requested classes. `labels: int64 [B]`, `z: [B,L]`, result `[B,D]`.
    let meanImage (vae: ConditionalVae) (labels: Tensor) (z: Tensor) : Tensor =
        Likelihood.mean vae.Networks.Shape.Likelihood (decode vae (oneHot vae.Classes labels) z)

    /// x ~ p(x|y,z) from u ~ U[0,1). `labels: int64 [B]`, `z: [B,L]`, `u: [B,D]`, result `[B,D]`.
    let sample (vae: ConditionalVae) (labels: Tensor) (z: Tensor) (u: Tensor) : Tensor =
        Likelihood.sample vae.Networks.Shape.Likelihood (decode vae (oneHot vae.Classes labels) z) u
