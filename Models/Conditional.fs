namespace Research.Models

open TorchSharp
open Research.Core

/// A VAE whose encoder and decoder are told the class: q(z|x,y) and p(x|y,z), the class as a one-hot vector beside the
/// pixels and beside the latents. An example is the row `[x | one-hot y]` of D + C numbers.
/// Source: Learning Structured Output Representation using Deep Conditional Generative Models (Sohn et al., 2015).
type ConditionalVae = { Networks: Vae; Classes: int }

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
        }

    /// The decoder's raw output. `oneHot: [B,C]`, `z: [..,B,L]`, result `[..,B,D * outputs]`.
    let private decode (vae: ConditionalVae) (oneHot: Tensor) (z: Tensor) : Tensor =
        let leading = z.shape[.. z.shape.Length - 2]
        let labels = oneHot.expand (Array.append leading [| int64 vae.Classes |])
        Vae.decode vae.Networks (torch.cat ([| z; labels |], -1L))

    /// The parts that Core's objectives see, for rows `[x | one-hot y]`: the bound is on log p(x|y).
    let model (vae: ConditionalVae) : LatentModel =
        let pixels, classes = int64 vae.Networks.Shape.Data, int64 vae.Classes

        {
            Encode = fun xy -> { Base = Vae.encode vae.Networks xy; Flow = None }
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
