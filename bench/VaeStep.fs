/// One training step of ift1, exactly as `VaeRun` takes it: batch, noise, forward, backward, fused Adam.
module Research.Bench.VaeStep

open TorchSharp
open Research.Core
open Research.Host
open Research.Models

let private shape: VaeShape = {
    Data = 784
    Latent = 100
    Hidden = [ 300; 300 ]
    Activation = Elu
    Likelihood = BernoulliLogits -5.0
    Variance = LogVariance
}

/// A step function with a model and data of its own, to be called on one thread.
let create (seed: int64) : unit -> unit =
    let noise = Noise seed
    use generator = noise.For("initialisation", 0L)
    let parameters = Parameters(generator, torch.CPU)
    let vae = Vae.create parameters shape
    let model = Vae.model vae Prior.standard
    let tensors = [| for struct (_, tensor) in parameters.All -> tensor |]
    let optimiser = Optimiser.Create(OptimiserSettings.Adam 3e-4, parameters.All)
    let n = 50000
    let dark = torch.full ([| int64 n; 784L |], Scalar.op_Implicit 0.13)
    let data = dark.bernoulli().DetachFromDisposeScope()
    let mutable step = 0L

    fun () ->
        use _ = torch.NewDisposeScope()
        let start = int (step * 64L % 49984L)
        let rows = noise.Permutation(0L, n)[start .. start + 63]
        let x = data.index_select (0L, torch.tensor rows)
        let eps = noise.Normal("posterior", step, [| 64L; 100L |])
        let loss = total (elbo model x eps)
        optimiser.Step(torch.autograd.grad ([| loss |], tensors))
        loss.ToDouble() |> ignore
        step <- step + 1L
