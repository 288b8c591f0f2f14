/// One training step of ift7 with 32 layers, as `PlanarFit` takes it: batch, fused value and gradient, RMSprop.
module Research.Bench.PlanarStep

open System
open TorchSharp
open Research.Host
open Research.Models

let private layers, batch, samples = 32, 128, 12800

/// A step function with a model and data of its own.
let create (seed: int64) : unit -> unit =
    let noise = Noise seed
    use generator = noise.For("initialisation", 0L)
    let parameters = Parameters(generator, torch.CPU)
    let chain = PlanarChain.create parameters "flow" PlanarChain.centred layers 2
    let optimiser = Optimiser.Create(OptimiserSettings.RmsProp 5e-4, parameters.All)
    let kernel = PlanarKernel(layers, batch, chain.Offset)

    let gradients =
        [| chain.U; chain.W; chain.B |]
        |> Array.map (fun p -> (torch.zeros_like p).DetachFromDisposeScope())

    let z1 = noise.Uniform("first", 0L, [| int64 samples |]) * 10.0 - 5.0

    let z2 = (z1 * (Math.PI / 2.0)).sin() + 0.4 * noise.Normal("second", 0L, [| int64 samples |])

    let data = torch.stack([| z1; z2 |], 1L).DetachFromDisposeScope()
    let mutable step = 0L

    fun () ->
        use _ = torch.NewDisposeScope()
        let start = int (step * int64 batch % int64 samples)

        let rows =
            noise.Permutation(step / int64 (samples / batch), samples)[start .. start + batch - 1]

        let z = data.index_select (0L, torch.tensor rows)

        kernel.ValueAndGradient(chain.U, chain.W, chain.B, z, PlaneEnergies.StandardNormal, gradients)
        |> ignore

        optimiser.Step gradients
        step <- step + 1L
