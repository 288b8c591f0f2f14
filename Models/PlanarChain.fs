namespace Research.Models

open TorchSharp
open Research.Core

/// k planar layers, their constraint w.u-hat > -1 built in as w.u-hat = softplus(w.u + Offset) - 1.
type PlanarChain = {
    /// `[k,D]`
    U: Tensor
    /// `[k,D]`
    W: Tensor
    /// `[k]`
    B: Tensor
    /// 0 as Rezende and Mohamed print it; `PlanarChain.centred` makes small parameters a map near the identity.
    Offset: float
}

/// A loss over a batch `[B,D]` and its gradients with respect to U, W and B, which are valid until the next call:
/// what a training step needs, however it is computed.
type ValueAndGradient = Tensor -> float * Tensor[]

[<RequireQualifiedAccess>]
module PlanarChain =
    /// The offset log(e - 1), for which w.u = 0 gives w.u-hat = 0. Without it a layer with small u and w squeezes
    /// space by log 2 along w however small they are.
    let centred = log (System.Math.E - 1.0)

    /// u + offset w/|w|^2: it adds the offset to w.u and leaves the map's form as Core has it. `u, w: [..,D]`.
    let shift (offset: float) (u: Tensor) (w: Tensor) : Tensor = u + offset * reciprocal w

    /// Layers at the source's start: u, w ~ N(0, 0.01^2), b = 0.
    let create
        (parameters: Parameters)
        (name: string)
        (offset: float)
        (layers: int)
        (dimension: int)
        : PlanarChain =
        let shape = [| int64 layers; int64 dimension |]

        {
            U = parameters.Normal($"{name}.u", shape, 0.0, 0.01)
            W = parameters.Normal($"{name}.w", shape, 0.0, 0.01)
            B = parameters.Zeros($"{name}.b", [| int64 layers |])
            Offset = offset
        }

    /// The chain as one transform, layer 0 applied first.
    let transform (chain: PlanarChain) : Transform =
        let u = shift chain.Offset chain.U chain.W

        Transform.compose [
            for layer in 0L .. chain.U.size 0 - 1L ->
                planar (u.select (0L, layer)) (chain.W.select (0L, layer)) (chain.B.select (0L, layer))
        ]

    /// E_z [E(f(z)) - log|det J_f(z)|] for a batch z `[B,D]`: the negative log-likelihood when f maps data to a base
    /// of energy E = -log p0, the density-matching loss but for its constant E[log q0] when f maps the base to exp(-E).
    let energyLoss (energy: Tensor -> Tensor) (chain: PlanarChain) (z: Tensor) : Tensor =
        let image, logDet = (transform chain).Forward z
        (energy image - logDet).mean()

    /// The loss by tensor operators and its gradients by autograd: any device, dimension and precision. Raises
    /// ArgumentException unless the chain has a layer, and parameters that record gradients.
    let composed (energy: Tensor -> Tensor) (chain: PlanarChain) : ValueAndGradient =
        // An error inside torch.autograd.grad would end the process.
        for parameter in [ chain.U; chain.W; chain.B ] do
            if parameter.numel () = 0L || not parameter.requires_grad then
                invalidArg (nameof chain) "it has no layer, or a parameter that records no gradient"

        fun z ->
            let loss = energyLoss energy chain z
            let gradients = torch.autograd.grad ([| loss |], [| chain.U; chain.W; chain.B |])
            loss.ToDouble(), Seq.toArray gradients
