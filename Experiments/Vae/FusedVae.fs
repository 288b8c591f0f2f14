namespace Research.Experiments

open System
open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// How a training step comes by its terms and gradients.
type StepPath =
    /// The chain rule written out for this kind of model (`VaeKernel`), the divergence weighed by beta.
    | Fused of beta: float
    /// The encoder and the decoder with its likelihood written out (`EncoderDecoderKernel`), and operators between them,
    /// because of the reason given.
    | FusedEnds of reason: string
    /// Tensor operators and autograd, which do everything, and why they must.
    | Operators of reason: string

[<RequireQualifiedAccess>]
module StepPath =
    /// The path as a run's key holds it: the two paths round differently.
    let describe path =
        match path with
        | Fused _ -> "fused"
        | FusedEnds reason -> $"encoder and decoder fused, operators between: {reason}"
        | Operators reason -> $"operators: {reason}"

/// The fused step of a VAE of linear layers with a standard prior, and what it cannot do.
[<RequireQualifiedAccess>]
module FusedVae =
    let private activation activation : ActivationKind =
        match activation with
        | Elu -> ActivationKind.Elu()
        | Relu -> ActivationKind.Relu()
        | LeakyRelu slope -> ActivationKind.LeakyRelu slope
        | Tanh -> ActivationKind.Tanh()
        | Softplus -> ActivationKind.Softplus()
    let private likelihood likelihood : LikelihoodKind =
        match likelihood with
        | BernoulliLogits shift -> LikelihoodKind.Bernoulli shift
        | GreyLevels levels -> LikelihoodKind.Categorical levels
        | Gaussian sigma -> LikelihoodKind.Normal sigma
    let private variance form =
        match form with
        | LogVariance -> VarianceKind.Log
        | SoftplusVariance -> VarianceKind.Softplus
    /// The path of a model's training: `beta` is the weight of the divergence where the objective is a weighted ELBO,
    /// `ofParts` whether another objective needs no more of the model's parts than their values and first derivatives, and
    /// `samples` the number of draws of z that it takes per example (0 for one without a dimension of its own).
    let path (device: DeviceType) (beta: float option) ofParts (samples: int) prior posterior : StepPath =
        let ends reason = if posterior = DiagonalPosterior then FusedEnds reason else Operators reason
        match VaeKernel.Obstacle, beta, prior, posterior with
        | NonNull obstacle, _, _, _ -> Operators obstacle
        | _ when device <> DeviceType.CPU -> Operators "a GPU"
        | _, None, _, _ when not ofParts -> Operators "the objective is no weighted ELBO"
        | _, None, _, _ -> ends "the objective is no weighted ELBO"
        | _ when samples > 0 -> ends "several draws of z an example"
        | _, _, (MixturePrior _ | VampPrior _ | TopographicPrior _ | FlowPrior _ | SplinePrior _), _ ->
            ends "the divergence from a learned prior has no closed form"
        | _, _, _, (SylvesterPosterior _ | SplinePosterior _) -> Operators "a posterior that the kernel does not know"
        | _, Some beta, StandardPrior, (DiagonalPosterior | PlanarPosterior _ | IafPosterior _) -> Fused beta

    let private place (learned: IReadOnlyList<struct (string * Tensor)>) (weight: Tensor) =
        match learned |> Seq.tryFindIndex (fun struct (_, tensor) -> Object.ReferenceEquals(tensor, weight)) with
        | Some index -> Nullable index
        | None -> Nullable()
    let private layers learned (mlp: Mlp) = [|
        for linear in mlp.Layers -> LinearLayer(linear.Weight, linear.Bias, place learned linear.Weight)
    |]
    /// Encoder and decoder for a loss that is computed elsewhere. Gradients are those of `learned`, by their place in it;
    /// layers that are not in it are held.
    let ends (learned: IReadOnlyList<struct (string * Tensor)>) (vae: Vae) : EncoderDecoderKernel =
        let kinds = activation vae.Shape.Activation, likelihood vae.Shape.Likelihood
        EncoderDecoderKernel(layers learned vae.Encoder, layers learned vae.Decoder, fst kinds, snd kinds)
    /// The kernel of a VAE whose decoder may also read what in x stands behind the data. Gradients are those of `learned`,
    /// by their place in it; layers that are not in it are held. `parameters` are all of the model's.
    let kernel
        (parameters: Parameters)
        (learned: IReadOnlyList<struct (string * Tensor)>)
        (vae: Vae)
        (posterior: PosteriorShape)
        (beta: float)
        : VaeKernel =
        let place = place learned
        let layer weight bias = LinearLayer(weight, bias, place weight)
        let tensor key =
            Seq.append parameters.All parameters.Buffers
            |> Seq.pick (fun struct (name, tensor) -> if name = key then Some tensor else None)
        let named name = layer (tensor $"{name}.weight") (tensor $"{name}.bias")
        let masked name =
            LinearLayer(
                tensor $"{name}.weight",
                tensor $"{name}.bias",
                place (tensor $"{name}.weight"),
                Mask = tensor $"{name}_mask"
            )
        let flow: FlowLayers | null =
            match posterior with
            | DiagonalPosterior -> null
            | SylvesterPosterior _
            | SplinePosterior _ -> invalidArg (nameof posterior) "the kernel does not know this posterior"
            | PlanarPosterior _ ->
                let head name = named $"posterior.planar.{name}"
                PlanarLayers(head "u", head "w", head "b", PlanarChain.centred)
            | IafPosterior(steps, _) ->
                let made i =
                    let at = $"posterior.iaf.{i}"
                    MadeLayers(masked $"{at}.input", named $"{at}.context", masked $"{at}.output")
                IafLayers([| for i in 0 .. steps - 1 -> made i |], PosteriorShape.openGate)
        VaeKernel(
            layers learned vae.Encoder,
            layers learned vae.Decoder,
            VaeForm(activation vae.Shape.Activation, likelihood vae.Shape.Likelihood, variance vae.Shape.Variance, beta),
            flow
        )
