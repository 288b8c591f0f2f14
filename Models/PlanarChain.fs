namespace Research.Models

open TorchSharp
open Research.Core

/// The parameters of k planar layers: u, w `[k,D]`, b `[k]`.
type PlanarChain = { U: Tensor; W: Tensor; B: Tensor }

/// A loss over a batch `[B,D]` and its gradients with respect to U, W and B, which are valid until the next call:
/// what a training step needs, however it is computed.
type ValueAndGradient = Tensor -> float * Tensor[]

[<RequireQualifiedAccess>]
module PlanarChain =
    /// Layers close to the source's start: u, w ~ N(0, 0.01^2), b = 0.
    let create (parameters: Parameters) (name: string) (layers: int) (dimension: int) : PlanarChain =
        let shape = [| int64 layers; int64 dimension |]

        {
            U = parameters.Normal($"{name}.u", shape, 0.0, 0.01)
            W = parameters.Normal($"{name}.w", shape, 0.0, 0.01)
            B = parameters.Zeros($"{name}.b", [| int64 layers |])
        }

    /// The chain as one transform, layer 0 applied first.
    let transform (chain: PlanarChain) : Transform =
        Transform.compose [
            for layer in 0L .. chain.U.size 0 - 1L ->
                planar (chain.U.select (0L, layer)) (chain.W.select (0L, layer)) (chain.B.select (0L, layer))
        ]

    /// E_z [E(f(z)) - log|det J_f(z)|] for a batch z `[B,D]`: the negative log-likelihood when f maps data to a base
    /// of energy E = -log p0, the density-matching loss but for its constant E[log q0] when f maps the base to exp(-E).
    let energyLoss (energy: Tensor -> Tensor) (chain: PlanarChain) (z: Tensor) : Tensor =
        let image, logDet = (transform chain).Forward z
        (energy image - logDet).mean()

    /// The loss by tensor operators and its gradients by autograd: any device, dimension and precision.
    let composed (energy: Tensor -> Tensor) (chain: PlanarChain) : ValueAndGradient =
        fun z ->
            let loss = energyLoss energy chain z
            let gradients = torch.autograd.grad ([| loss |], [| chain.U; chain.W; chain.B |])
            loss.ToDouble(), Seq.toArray gradients
