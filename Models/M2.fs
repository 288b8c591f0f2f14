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

/// What M2 descends.
type M2Loss = {
    /// N_l/N.
    LabelledShare: float
    /// Of the classification term, 0.1 in the source.
    Weight: float
    /// Of the divergence of z from its prior, 1 in the source.
    KlWeight: float
    /// Classes less probable than this are decoded at random only (see `M2.thin`); 0 sums over all classes.
    Floor: float
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

    /// L(x,y) with one sample of z and its divergence weighed by `klWeight`. `encoder` and `decoder` are the label's
    /// rows and broadcast with the features.
    let private cost
        (m: M2)
        (klWeight: float)
        (x: Tensor)
        (features: Tensor)
        (encoder: Tensor)
        (decoder: Tensor)
        (eps: Tensor)
        =
        let q = posterior m features encoder
        let likelihood: Bernoulli = { Logits = logits m decoder (DiagNormal.sample q eps) }
        let kl = klStandard q
        let uniform = torch.full_like (kl, scalar (-log(float m.Shape.Classes)))
        // 0 times a divergence that overflows would be NaN.
        let weighed =
            if klWeight = 0.0 then
                torch.zeros_like kl
            else
                klWeight * kl

        m2Labelled (Bernoulli.logProb likelihood x) uniform weighed

    /// L(x,y) from the features of x.
    let private costOf (m: M2) klWeight (x: Tensor) (features: Tensor) (y: Tensor) (eps: Tensor) : Tensor =
        let row (table: Tensor) = table.index_select (0L, y)
        cost m klWeight x features (row m.EncoderLabel) (row m.DecoderLabel) eps

    /// L(x,y) of labelled examples, the divergence of z weighed by `klWeight` (1 in the source's bound).
    /// `x: [B,D]`, `y: int64 [B]`, `eps: [B,L]`, result `[B]`.
    let labelled (m: M2) (klWeight: float) (x: Tensor) (y: Tensor) (eps: Tensor) : Tensor =
        costOf m klWeight x (Linear.apply m.EncoderInput x) y eps

    /// L(x,y) of every class, each with its own sample. `x: [B,D]`, `eps: [C,B,L]`, result `[B,C]`.
    let everyLabel (m: M2) (x: Tensor) (eps: Tensor) : Tensor =
        let rows (table: Tensor) = table.unsqueeze 1L
        let features = Linear.apply m.EncoderInput x
        (cost m 1.0 x features (rows m.EncoderLabel) (rows m.DecoderLabel) eps).t()

    /// Random weights of mean q and sum 1, few of them not zero: a class of q at least `floor` keeps q, one below gets
    /// the floor with probability q/floor and else 0, and the most probable class has what is left to 1. The mean of
    /// their gradient is q's gradient. `logQ: [B,C]`, `u: [B,C] ~ U[0,1)`, 0 <= floor < 1/C; floor 0 gives q itself.
    /// Raises ArgumentException for another floor.
    /// Source: a Russian roulette, as in Rao-Blackwellized stochastic gradients for discrete distributions (Liu et
    /// al., 2019).
    let thin (floor: float) (u: Tensor) (logQ: Tensor) : Tensor =
        if not (floor >= 0.0 && floor * float (logQ.size -1) < 1.0) then
            invalidArg (nameof floor) $"{floor} is not in [0, 1/C) for {logQ.size -1} classes"

        let held = logQ.detach ()
        let q = held.exp ()
        let kept = torch.where ((floor * u).lt q, q.clamp_min floor, torch.zeros_like q)
        let top = torch.zeros_like(q).scatter(-1L, q.argmax (-1L, true), torch.ones_like q)
        // The exponential is one; through it a weight w has the gradient w d log q, and no small q is divided by.
        let others = (1.0 - top) * kept * (logQ - held).exp()
        others + top * (1.0 - others.sum (-1L, true))

    let private needExamples (name: string) (x: Tensor) =
        if x.size 0 = 0L then
            invalidArg name "an empty batch has no mean"

    /// The mean of U(x) over a batch, its sum over classes thinned at `floor` without bias (0: the exact sum) and the
    /// divergence of z weighed by `klWeight`. Only classes of non-zero weight pass the encoder and the decoder.
    /// `x: [B,D]`, `eps: [C,B,L]`, `u: [B,C]`, result `[]`.
    let unlabelled (m: M2) (floor: float) (klWeight: float) (x: Tensor) (eps: Tensor) (u: Tensor) : Tensor =
        needExamples (nameof x) x
        let logLabel = logLabel m x
        let weights = thin floor u logLabel
        let chosen = weights.detach().nonzero()
        let row, y = chosen.select (1L, 0L), chosen.select (1L, 1L)
        let take (values: Tensor) = values.index_select (0L, row)
        let classes, batch = logLabel.size 1, logLabel.size 0
        let weight = weights.flatten().index_select(0L, row * classes + y)
        let noise = (eps.reshape [| classes * batch; eps.size -1 |]).index_select(0L, y * batch + row)
        let costs = costOf m klWeight (take x) (take (Linear.apply m.EncoderInput x)) y noise
        ((weight * costs).sum() + (logLabel.exp () * logLabel).sum()) / float batch

    /// A class drawn from q(y|x), without gradient. `x: [B,D]`, `u: [B,1] ~ U[0,1)`, result int64 `[B]`.
    let sampleLabel (m: M2) (x: Tensor) (u: Tensor) : Tensor =
        (Categorical.sample { Logits = (logLabel m x).detach().unsqueeze 1L } u).flatten()

    /// The mean cross-entropy of the classifier. `x: [B,D]`, `y: int64 [B]`, result `[]`.
    let crossEntropy (m: M2) (x: Tensor) (y: Tensor) : Tensor =
        needExamples (nameof x) x
        ((logLabel m x).gather(1L, y.unsqueeze 1L)).mean().neg()

    /// The loss over N, estimated from a labelled and an unlabelled batch: (N_l/N) mean L(x,y) + (N_u/N) mean U(x)
    /// + weight times the mean cross-entropy of the labelled. What has no weight is no term, and its batch may be empty.
    /// `epsLabelled: [B_l,L]`, `epsUnlabelled: [C,B_u,L]`, `u: [B_u,C]`. Source: Kingma et al. (2014), eq. 9.
    let loss
        (m: M2)
        (settings: M2Loss)
        (x: Tensor, y: Tensor, epsLabelled: Tensor)
        (unlabelledX: Tensor, epsUnlabelled: Tensor, u: Tensor)
        : Terms =
        let klWeight, share = settings.KlWeight, settings.LabelledShare

        [
            if share <> 0.0 then
                needExamples (nameof x) x
                "labelled", share * (labelled m klWeight x y epsLabelled).mean()
            if share <> 1.0 then
                "unlabelled", (1.0 - share) * unlabelled m settings.Floor klWeight unlabelledX epsUnlabelled u
            if settings.Weight <> 0.0 then
                "classifier", settings.Weight * crossEntropy m x y
        ]

    /// E[x|y,z]. `y: int64 [B]`, `z: [B,L]`, result `[B,D]`.
    let meanImage (m: M2) (y: Tensor) (z: Tensor) : Tensor =
        (logits m (m.DecoderLabel.index_select (0L, y)) z).sigmoid()
