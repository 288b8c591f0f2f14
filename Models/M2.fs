namespace Research.Models

open TorchSharp
open Research.Core

/// Sizes of the semi-supervised model M2: each of its three networks has one hidden layer of this width.
type M2Shape = { Data: int; Classes: int; Latent: int; Hidden: int }

/// A classifier q(y|x), an encoder q(z|x,y) and a decoder p(x|y,z) with Bernoulli pixels.
/// Source: Semi-supervised Learning with Deep Generative Models (Kingma et al., 2014).
///
/// Encoder and decoder read their input with the one-hot label behind it. The columns of the weights that the label
/// meets are kept apart, as a table of one row a class (`*Label: [C,H]`), so that what does not depend on the label
/// is computed once for all classes.
type M2 = {
    Shape: M2Shape
    Classifier: Mlp
    EncoderInput: Linear
    EncoderLabel: Tensor
    EncoderOutput: Linear
    DecoderInput: Linear
    DecoderLabel: Tensor
    DecoderOutput: Linear
}

[<RequireQualifiedAccess>]
module M2 =
    /// Keys `classifier.*`, `encoder.*`, `decoder.*`. Layers start as PyTorch's do; the labels' rows from
    /// N(0, 0.001^2), as all weights of the source's networks do.
    let create (parameters: Parameters) (shape: M2Shape) : M2 =
        let joined name inputs =
            let bound = 1.0 / sqrt (float inputs)
            let uniform part size = parameters.Uniform($"{name}.{part}", size, -bound, bound)
            let hidden = int64 shape.Hidden

            {
                Weight = uniform "input.weight" [| hidden; int64 inputs |]
                Bias = uniform "input.bias" [| hidden |]
            },
            // Small: before training no class is preferred.
            parameters.Normal($"{name}.label", [| int64 shape.Classes; hidden |], 0.0, 1e-3)

        let encoderInput, encoderLabel = joined "encoder" shape.Data
        let decoderInput, decoderLabel = joined "decoder" shape.Latent

        {
            Shape = shape
            Classifier =
                Mlp.create parameters "classifier" Softplus [ shape.Data; shape.Hidden; shape.Classes ]
            EncoderInput = encoderInput
            EncoderLabel = encoderLabel
            EncoderOutput = Linear.create parameters "encoder.output" shape.Hidden (2 * shape.Latent)
            DecoderInput = decoderInput
            DecoderLabel = decoderLabel
            DecoderOutput = Linear.create parameters "decoder.output" shape.Hidden shape.Data
        }

    /// log q(y|x) of every class. `[B,D] -> [B,C]`.
    let logLabel (m: M2) (x: Tensor) : Tensor =
        torch.nn.functional.log_softmax (Mlp.apply m.Classifier x, -1L)

    /// q(z|x,y) from the features x W' + b and the label's row of the encoder.
    let private posterior (m: M2) (features: Tensor) (label: Tensor) : DiagNormal =
        let h = Linear.apply m.EncoderOutput (softplus (features + label))
        let latent = int64 m.Shape.Latent

        { Mu = h.narrow (-1L, 0L, latent); LogVar = h.narrow (-1L, latent, latent) }

    let private logits (m: M2) (label: Tensor) (z: Tensor) : Tensor =
        Linear.apply m.DecoderOutput (softplus (Linear.apply m.DecoderInput z + label))

    /// L(x,y) with one sample of z. `encoder` and `decoder` are the label's rows and broadcast with the features.
    let private cost
        (m: M2)
        (x: Tensor)
        (features: Tensor)
        (encoder: Tensor)
        (decoder: Tensor)
        (eps: Tensor)
        =
        let q = posterior m features encoder
        let likelihood: Bernoulli = { Logits = logits m decoder (DiagNormal.sample q eps) }
        let kl = klStandard q
        let uniform = torch.full_like (kl, Scalar.op_Implicit (-log(float m.Shape.Classes)))
        m2Labelled (Bernoulli.logProb likelihood x) uniform kl

    /// L(x,y) of labelled examples. `x: [B,D]`, `y: int64 [B]`, `eps: [B,L]`, result `[B]`.
    let labelled (m: M2) (x: Tensor) (y: Tensor) (eps: Tensor) : Tensor =
        let row (table: Tensor) = table.index_select (0L, y)
        cost m x (Linear.apply m.EncoderInput x) (row m.EncoderLabel) (row m.DecoderLabel) eps

    /// L(x,y) of every class, each with its own sample. `x: [B,D]`, `eps: [C,B,L]`, result `[B,C]`.
    let everyLabel (m: M2) (x: Tensor) (eps: Tensor) : Tensor =
        let rows (table: Tensor) = table.unsqueeze 1L
        let features = Linear.apply m.EncoderInput x
        (cost m x features (rows m.EncoderLabel) (rows m.DecoderLabel) eps).t()

    /// A class drawn from q(y|x), without gradient. `x: [B,D]`, `u: [B,1] ~ U[0,1)`, result int64 `[B]`.
    let sampleLabel (m: M2) (x: Tensor) (u: Tensor) : Tensor =
        (Categorical.sample { Logits = (logLabel m x).detach().unsqueeze 1L } u).flatten()

    /// The mean cross-entropy of the classifier. `x: [B,D]`, `y: int64 [B]`, result `[]`.
    let crossEntropy (m: M2) (x: Tensor) (y: Tensor) : Tensor =
        ((logLabel m x).gather(1L, y.unsqueeze 1L)).mean().neg()

    /// The loss over N, estimated from a labelled and an unlabelled batch: (N_l/N) mean L(x,y) + (N_u/N) mean U(x)
    /// + weight times the mean cross-entropy of the labelled; `labelledShare` is N_l/N, and the source's weight 0.1.
    /// `epsLabelled: [B_l,L]`, `epsUnlabelled: [C,B_u,L]`. Source: Kingma et al. (2014), eq. 9.
    let loss
        (m: M2)
        (labelledShare: float)
        (weight: float)
        (x: Tensor, y: Tensor, epsLabelled: Tensor)
        (unlabelled: Tensor, epsUnlabelled: Tensor)
        : Terms =
        let costs = everyLabel m unlabelled epsUnlabelled

        [
            "labelled", labelledShare * (labelled m x y epsLabelled).mean()
            "unlabelled", (1.0 - labelledShare) * (m2Unlabelled (logLabel m unlabelled) costs).mean()
            "classifier", weight * crossEntropy m x y
        ]

    /// E[x|y,z]. `y: int64 [B]`, `z: [B,L]`, result `[B,D]`.
    let meanImage (m: M2) (y: Tensor) (z: Tensor) : Tensor =
        (logits m (m.DecoderLabel.index_select (0L, y)) z).sigmoid()
