namespace Research.Models

open TorchSharp
open Research.Core

/// What the decoder's output means.
type Likelihood =
    /// Bernoulli logits, shifted by a constant (ift1 starts dark by subtracting 5).
    | BernoulliLogits of shift: float
    /// Softmax over the grey levels of each pixel; data are raw values 0 .. levels - 1.
    | GreyLevels of levels: int
    /// Means of a normal distribution with a fixed standard deviation.
    | Gaussian of sigma: float

/// How the encoder's second half becomes a variance.
type VarianceForm =
    /// It is the log-variance.
    | LogVariance
    /// The variance is its softplus plus 1e-8.
    | SoftplusVariance

type VaeShape = {
    Data: int
    Latent: int
    /// Widths of the encoder's hidden layers; the decoder's are the reverse.
    Hidden: int list
    Activation: Activation
    Likelihood: Likelihood
    Variance: VarianceForm
}

type Vae = { Shape: VaeShape; Encoder: Mlp; Decoder: Mlp }

[<RequireQualifiedAccess>]
module Likelihood =
    /// Decoder outputs per data element.
    let outputs (likelihood: Likelihood) =
        match likelihood with
        | GreyLevels levels -> levels
        | BernoulliLogits _
        | Gaussian _ -> 1

    let private needSigma (sigma: float) =
        if not (sigma > 0.0 && System.Double.IsFinite sigma) then
            invalidArg (nameof sigma) $"a standard deviation is positive, and not {sigma}"

    let private levelLogits levels (output: Tensor) =
        let shape = output.shape
        let pixels = shape[shape.Length - 1] / int64 levels

        {
            Categorical.Logits =
                output.reshape (Array.append shape[.. shape.Length - 2] [| pixels; int64 levels |])
        }

    /// log p(x|output). `x: [B,D]`, `output: [..,B,D * outputs]`, result `[..,B]`.
    let logProb (likelihood: Likelihood) (output: Tensor) (x: Tensor) : Tensor =
        match likelihood with
        | BernoulliLogits shift ->
            let logits = if shift = 0.0 then output else output + shift
            Bernoulli.logProb { Logits = logits } x
        | GreyLevels levels -> Categorical.logProb (levelLogits levels output) (x.long ())
        | Gaussian sigma ->
            needSigma sigma

            DiagNormal.logProb { Mu = output; LogVar = torch.full_like (output, scalar (2.0 * log sigma)) } x

    /// The expected data, `[..,D]`, in the data's own units.
    let mean (likelihood: Likelihood) (output: Tensor) : Tensor =
        match likelihood with
        | BernoulliLogits shift -> (output + shift).sigmoid()
        | GreyLevels levels -> Categorical.mean (levelLogits levels output)
        | Gaussian _ -> output

    /// Data drawn with u ~ U[0,1) (for the normal: eps ~ N(0,1)) of the data's shape `[..,D]`.
    let sample (likelihood: Likelihood) (output: Tensor) (noise: Tensor) : Tensor =
        match likelihood with
        | BernoulliLogits shift -> Bernoulli.sample { Logits = output + shift } noise
        | GreyLevels levels -> (Categorical.sample (levelLogits levels output) noise).``to`` output.dtype
        | Gaussian sigma ->
            needSigma sigma
            output + sigma * noise

[<RequireQualifiedAccess>]
module Vae =
    /// Encoder D - hidden - 2L, decoder L - reversed hidden - D * outputs; keys `encoder.*` and `decoder.*`.
    let create (parameters: Parameters) (shape: VaeShape) : Vae =
        let outputs = shape.Data * Likelihood.outputs shape.Likelihood

        {
            Shape = shape
            Encoder =
                Mlp.create
                    parameters
                    "encoder"
                    shape.Activation
                    (shape.Data :: shape.Hidden @ [ 2 * shape.Latent ])
            Decoder =
                Mlp.create
                    parameters
                    "decoder"
                    shape.Activation
                    (shape.Latent :: List.rev shape.Hidden @ [ outputs ])
        }

    /// q(z|x) from the encoder's outputs. `[B,2L] -> [B,L]`.
    let posterior (vae: Vae) (h: Tensor) : DiagNormal =
        let latent = int64 vae.Shape.Latent
        let second = h.narrow (-1L, latent, latent)

        {
            Mu = h.narrow (-1L, 0L, latent)
            LogVar =
                match vae.Shape.Variance with
                | LogVariance -> second
                | SoftplusVariance -> (softplus second + 1e-8).log()
        }

    /// q(z|x) of a batch. `[B,D] -> [B,L]`.
    let encode (vae: Vae) (x: Tensor) : DiagNormal = posterior vae (Mlp.apply vae.Encoder x)

    /// The decoder's raw output. `[..,L] -> [..,D * outputs]`.
    let decode (vae: Vae) (z: Tensor) : Tensor = Mlp.apply vae.Decoder z

    /// log p(x|z). `x: [B,D]`, `z: [..,B,L]`, result `[..,B]`.
    let logLikelihood (vae: Vae) (x: Tensor) (z: Tensor) : Tensor =
        Likelihood.logProb vae.Shape.Likelihood (decode vae z) x

    /// E[x|z]. `[..,L] -> [..,D]`.
    let meanImage (vae: Vae) (z: Tensor) : Tensor = Likelihood.mean vae.Shape.Likelihood (decode vae z)

    /// The parts that Core's objectives see, with a diagonal posterior.
    let model (vae: Vae) (prior: Prior) : LatentModel = {
        Encode = fun x -> { Base = encode vae x; Flow = None }
        LogLikelihood = logLikelihood vae
        Prior = prior
    }
