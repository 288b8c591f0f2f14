namespace Research.Models

open TorchSharp
open Research.Core

/// A prior over L latents as a configuration.
type PriorShape =
    | StandardPrior
    /// K components; means N(0,1), log-variances N(0,1), mixing logits 0 at the start.
    | MixturePrior of components: int
    /// K pseudo-inputs from U[low, high) of the data's dimension; mixing logits 0 at the start.
    | VampPrior of pseudoInputs: int * low: float * high: float
    /// RealNVP: affine couplings with a flip between, nets L/2 - width - width - L/2.
    | FlowPrior of couplings: int * width: int
    /// Couplings of splines with so many bins and a flip between, nets L/2 - width - width - the splines' numbers, whose last
    /// layer is zero at the start: the prior begins as N(0,I).
    | SplinePrior of couplings: int * width: int * bins: int
    /// A network from a square grid of side^2 codes in [-1,1]^2 to the components.
    | TopographicPrior of side: int * width: int

[<RequireQualifiedAccess>]
module PriorShape =
    let private leaky = LeakyRelu 0.01

    let private halfOf latent =
        if latent % 2 <> 0 then
            invalidArg (nameof latent) $"a coupling splits the latents in two halves, which {latent} has not"

        latent / 2

    /// The transform from latents to N(0,I) noise; keys `prior.s.N.*` and `prior.t.N.*`.
    let private realNvp (parameters: Parameters) couplings width latent =
        let half = halfOf latent

        let net name = Mlp.create parameters name leaky [ half; width; width; half ]

        [
            for i in 0 .. couplings - 1 do
                let s, t = net $"prior.s.{i}", net $"prior.t.{i}"
                coupling (fun z -> (Mlp.apply s z).tanh()) (Mlp.apply t)

                if i < couplings - 1 then
                    Transform.flip
        ]
        |> Transform.compose

    /// The same with splines; keys `prior.spline.N.*`.
    let private splines (parameters: Parameters) couplings width bins latent =
        let half = halfOf latent

        let net name =
            let outputs = Spline.outputs bins half

            {
                Activation = leaky
                Layers = [
                    Linear.create parameters $"{name}.0" half width
                    Linear.create parameters $"{name}.2" width width
                    Linear.zeros parameters $"{name}.4" width outputs
                ]
            }

        [
            for i in 0 .. couplings - 1 do
                let net = net $"prior.spline.{i}"
                conditionalCoupling (Mlp.apply net >> Spline.ofOutput bins)

                if i < couplings - 1 then
                    Transform.flip
        ]
        |> Transform.compose

    let private grid side =
        let axis = torch.linspace (-1.0, 1.0, int64 side)
        let x = axis.repeat_interleave (int64 side)
        let y = axis.repeat [| int64 side |]
        torch.stack ([| x; y |], 1L)

    /// Makes the prior's parameters once and returns the prior as a function, since a VampPrior or a topographic
    /// prior changes with the networks behind it: call the function once a step.
    let create
        (parameters: Parameters)
        (encode: Tensor -> DiagNormal)
        (data: int)
        (latent: int)
        (shape: PriorShape)
        : unit -> Prior =
        match shape with
        | StandardPrior -> fun () -> Prior.standard
        | MixturePrior k ->
            let logits = parameters.Zeros("prior.logits", [| int64 k |])
            let mu = parameters.Normal("prior.mu", [| int64 k; int64 latent |], 0.0, 1.0)
            let logVar = parameters.Normal("prior.logvar", [| int64 k; int64 latent |], 0.0, 1.0)
            fun () -> Prior.mixtureOfGaussians logits mu logVar
        | VampPrior(k, low, high) ->
            let logits = parameters.Zeros("prior.logits", [| int64 k |])
            let inputs = parameters.Uniform("prior.pseudo_inputs", [| int64 k; int64 data |], low, high)
            fun () -> Prior.vamp encode logits inputs
        | FlowPrior(couplings, width) ->
            let toBase = realNvp parameters couplings width latent
            fun () -> Prior.flow toBase
        | SplinePrior(couplings, width, bins) ->
            let toBase = splines parameters couplings width bins latent
            fun () -> Prior.flow toBase
        | TopographicPrior(side, width) ->
            let codes = parameters.Buffer("prior.codes", grid side)
            let logits = parameters.Zeros("prior.logits", [| int64 (side * side) |])
            let net = Mlp.create parameters "prior.net" leaky [ 2; width; width; 2 * latent ]

            let centres (codes: Tensor) =
                let h = Mlp.apply net codes

                {
                    Mu = h.narrow (-1L, 0L, int64 latent)
                    LogVar = h.narrow (-1L, int64 latent, int64 latent)
                }

            fun () -> Prior.topographic centres logits codes
