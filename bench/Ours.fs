/// Training steps as the experiments take them.
module Research.Bench.Ours

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments

/// Batches one after the other of a random order of these rows, the order the same every time.
let private batches (noise: Noise) (data: Tensor) (batch: int) =
    let n = int (data.size 0)
    let mutable start = 0

    fun () ->
        start <- if start + 2 * batch > n then 0 else start + batch
        data.index_select (0L, torch.tensor ((noise.Permutation(0L, n))[start .. start + batch - 1]))

let private images (row: VaeRow) (noise: Noise) : Tensor =
    let data = int64 row.Shape.Data

    match row.Shape.Likelihood with
    | GreyLevels levels -> (noise.Uniform("images", 0L, [| 1078L; data |]) * float levels).floor()
    | BernoulliLogits _
    | Gaussian _ ->
        noise.Uniform("images", 0L, [| 50000L; data |]).lt(torch.tensor 0.13f).``to`` torch.float32

/// A model of its own on data of its own, to be called on one thread.
let vae (row: VaeRow) (seed: int64) : unit -> unit =
    let noise = Noise seed
    use generator = noise.For("initialisation", 0L)
    let parameters = Parameters(generator, torch.CPU)
    let vae = Vae.create parameters row.Shape
    let encode = PosteriorShape.create parameters vae row.Posterior
    let model = { Vae.model vae Prior.standard with Encode = encode }
    let next = batches noise ((images row noise).DetachFromDisposeScope()) row.Batch

    let descend: Tensor -> Tensor -> unit =
        match FusedVae.path DeviceType.CPU (Some 1.0) 0 StandardPrior row.Posterior with
        | Fused _ ->
            let kernel = FusedVae.kernel parameters parameters.All vae row.Posterior 1.0
            let optimiser = Optimiser.Create(row.Optimiser, parameters.All)
            fun x eps -> kernel.ValueAndGradient(x, eps, optimiser.Begin()) |> ignore
        | Operators _ ->
            let descent = Descent(parameters, row.Optimiser)
            fun x eps -> descent.LowerTerms(fun () -> elbo model x eps) |> ignore

    let mutable step = 0L

    fun () ->
        use _ = torch.NewDisposeScope()
        let x = next ()

        let x =
            if row.Binarise then
                (noise.Uniform("binarise", step, x.shape)).lt(x).``to`` torch.float32
            else
                x

        descend x (noise.Normal("posterior", step, [| int64 row.Batch; int64 row.Shape.Latent |]))
        step <- step + 1L

/// ift7 with 32 layers on batches of 128.
let planar () : unit -> unit =
    let layers, batch = 32, 128
    let noise = Noise 1L
    use generator = noise.For("initialisation", 0L)
    let parameters = Parameters(generator, torch.CPU)
    let chain = PlanarChain.create parameters "flow" PlanarChain.centred layers 2
    let optimiser = Optimiser.Create(OptimiserSettings.RmsProp 5e-4, parameters.All)
    let kernel = PlanarKernel(layers, batch, chain.Offset)

    let gradients =
        [| chain.U; chain.W; chain.B |]
        |> Array.map (fun p -> (torch.zeros_like p).DetachFromDisposeScope())

    let z1 = noise.Uniform("first", 0L, [| 12800L |]) * 10.0 - 5.0
    let z2 = (z1 * (Math.PI / 2.0)).sin() + 0.4 * noise.Normal("second", 0L, [| 12800L |])
    let next = batches noise (torch.stack([| z1; z2 |], 1L).DetachFromDisposeScope()) batch

    fun () ->
        use _ = torch.NewDisposeScope()

        kernel.ValueAndGradient(chain.U, chain.W, chain.B, next (), PlaneEnergies.StandardNormal, gradients)
        |> ignore

        optimiser.Step gradients

/// cs2.2: a step of each player on batches of 64.
let gan () : unit -> unit =
    let noise = Noise 1L
    use generator = noise.For("initialisation", 0L)
    let built = GanRun.build FashionNetworks generator torch.CPU
    let settings = OptimiserSettings.Adam(1e-3, 0.5, 0.999)

    let player, critic =
        Descent(built.GeneratorParameters, settings), Descent(built.CriticParameters, settings)

    let images = 2.0 * noise.Uniform("images", 0L, [| 6400L; 784L |]) - 1.0
    let next = batches noise (images.DetachFromDisposeScope()) 64
    let latents stream step = GanRun.latents built.Generator noise stream step 64 torch.CPU
    let mutable step = 0L

    fun () ->
        use _ = torch.NewDisposeScope()
        let x = next().view(-1L, 1L, 28L, 28L)

        let fake =
            use _ = torch.no_grad ()
            built.Generator.Apply (OfBatch 0.1) (latents "critic" step)

        let values = built.Critic.Ready()
        critic.Lower(densityRatioLoss (values x) (values fake))
        let made = built.Generator.Apply (OfBatch 0.1) (latents "generator" step)
        player.Lower(nonSaturatingGeneratorLoss (values made))
        step <- step + 1L

/// A hundred sums of a thousand numbers.
let add () : unit -> unit =
    let a, b =
        torch.rand(1000L).DetachFromDisposeScope(), torch.rand(1000L).DetachFromDisposeScope()

    fun () ->
        use _ = torch.no_grad ()

        for _ in 1..100 do
            (a + b).Dispose()
