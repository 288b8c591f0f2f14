/// Training steps as the experiments take them.
module Research.Bench.Ours

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments

/// Where a training over so many examples stands in each of its steps.
let private positions (noise: Noise) (perEpoch: int64) =
    let mutable step = -1L

    fun () ->
        step <- step + 1L
        StepContext(step, step / perEpoch, step % perEpoch, noise)

let private images (row: VaeRun) (noise: Noise) : VaeImages =
    let uniform (n: int64) : Tensor = noise.Uniform("images", 0L, [| n; int64 row.Shape.Data |])

    let raw, levels =
        match row.Shape.Likelihood with
        | GreyLevels levels -> (uniform 1078L * float levels).floor(), levels - 1
        | BernoulliLogits _
        | Gaussian _ -> (uniform 50000L).lt(torch.tensor 0.13f).``to`` torch.float32, 1

    { Raw = raw.DetachFromDisposeScope(); Levels = levels; Binarise = row.Binarise }

/// A model of its own on data of its own, to be called on one thread.
let vae (row: VaeRun) (seed: int64) : unit -> unit =
    let noise = Noise seed
    use generator = noise.For("initialisation", 0L)
    let built = VaeRun.build row (Parameters(generator, torch.CPU))
    let lower = VaeStep.choose row built (Descent(built.Parameters, row.Optimiser))
    let images = images row noise
    let next = positions noise (images.Raw.size 0 / int64 row.Batch)

    fun () ->
        use _ = torch.NewDisposeScope()
        VaeStep.take row images lower (next ()) |> ignore

/// ift7 with 32 layers on batches of 128.
let planar () : unit -> unit =
    let layers, batch = 32, 128
    let noise = Noise 1L
    use generator = noise.For("initialisation", 0L)
    let parameters = Parameters(generator, torch.CPU)
    let chain = PlanarChain.create parameters "flow" PlanarChain.centred layers 2
    let optimiser = Optimiser.Create(OptimiserSettings.RmsProp 5e-4, parameters.All)
    let kernel = PlanarKernel(chain.U, chain.W, chain.B, batch, chain.Offset)
    let n = 12800
    let z1 = noise.Uniform("first", 0L, [| int64 n |]) * 10.0 - 5.0
    let z2 = (z1 * (Math.PI / 2.0)).sin() + 0.4 * noise.Normal("second", 0L, [| int64 n |])
    let points = torch.stack([| z1; z2 |], 1L).data<float32>().ToArray()
    let mutable start = 0

    fun () ->
        use _ = torch.NewDisposeScope()
        start <- if start + 2 * batch > n then 0 else start + batch
        let rows = ReadOnlySpan(noise.Permutation(0L, n), start, batch)

        kernel.ValueAndGradient(ReadOnlySpan points, rows, PlaneEnergies.StandardNormal, optimiser.Begin())
        |> ignore

/// A step of both players.
let gan (run: GanRun) () : unit -> unit =
    let noise = Noise 1L
    use generator = noise.For("initialisation", 0L)
    let built = GanRun.build run.Networks generator torch.CPU

    let player, critic =
        Descent(built.GeneratorParameters, run.GeneratorOptimiser),
        Descent(built.CriticParameters, run.CriticOptimiser)

    let n = 6400L

    let pixels =
        match run.Networks with
        | FashionNetworks -> 28L * 28L
        | ResidualNetworks _ -> 3L * 32L * 32L

    let images = (255.0 * noise.Uniform("images", 0L, [| n; pixels |])).DetachFromDisposeScope()
    let step = GanRun.step run 255 images built player critic
    let next = positions noise (n / int64 (run.Batch * run.CriticSteps))

    fun () ->
        use _ = torch.NewDisposeScope()
        step (next ()) |> ignore

/// nora6: a step of a stage, on a few images of the stand-in.
let m2 (stage: Nora.FewLabelsRuns.Stage) () : unit -> unit =
    let data = DataOptions(null, false, ForceStandIn = true, Warn = ignore)
    let step = Nora.FewLabelsRuns.stepper (Plan(Smoke, torch.CPU, data)) stage
    let next = positions (Noise 1L) 1L

    fun () ->
        use _ = torch.NewDisposeScope()
        step (next ()) |> ignore

/// A hundred sums of a thousand numbers.
let add () : unit -> unit =
    let a, b =
        torch.rand(1000L).DetachFromDisposeScope(), torch.rand(1000L).DetachFromDisposeScope()

    fun () ->
        use _ = torch.no_grad ()

        for _ in 1..100 do
            (a + b).Dispose()
