/// Training steps as TorchSharp's own examples write them: modules, torch.optim, loss.backward(), a dispose scope.
module Research.Bench.Idiomatic

open System
open TorchSharp
open Research.Core
open Research.Models
open Research.Experiments

type private Layer = torch.nn.Module<Tensor, Tensor>

let private linear (inputs: int) (outputs: int) : Layer = torch.nn.Linear(int64 inputs, int64 outputs)

let private between activation : Layer =
    match activation with
    | LeakyRelu slope -> torch.nn.LeakyReLU slope
    | _ -> torch.nn.ELU()

/// `last` follows the last layer too.
let private mlp activation last (widths: int list) : Layer =
    torch.nn.Sequential [|
        for i, (inputs, outputs) in List.indexed (List.pairwise widths) do
            linear inputs outputs

            if last || i < widths.Length - 2 then
                between activation
    |]

/// Forward, backward and the optimiser's step.
let private descend (optimiser: torch.optim.Optimizer) (loss: Tensor) =
    optimiser.zero_grad ()
    loss.backward ()
    optimiser.step () |> ignore
    loss.item<float32>() |> ignore

let private crossEntropy likelihood (output: Tensor) (x: Tensor) : Tensor =
    match likelihood with
    | GreyLevels levels ->
        torch.nn.functional
            .cross_entropy(
                output.view(x.size 0, x.size 1, int64 levels).transpose(1L, 2L),
                x.``to`` torch.int64,
                reduction = torch.nn.Reduction.None
            )
            .sum(1L)
    | BernoulliLogits shift ->
        torch.nn.functional
            .binary_cross_entropy_with_logits(output + shift, x, reduction = torch.nn.Reduction.None)
            .sum(1L)
    | Gaussian _ -> invalidArg (nameof likelihood) "no row has normal pixels"

/// k planar maps whose parameters layers give for each example: z and the log-determinant.
let private planar maps (u: Layer, w: Layer, b: Layer) (h: Tensor) (z: Tensor) =
    let us, ws, bs = u.call(h).chunk(maps, 1L), w.call(h).chunk(maps, 1L), (b.call h).unbind 1

    let map (z: Tensor, logDet: Tensor) i =
        let u, w = us[i], ws[i]
        let a = (u * w).sum 1L
        let stretch = torch.nn.functional.softplus (a + log (Math.E - 1.0))
        let uHat = u + ((stretch - 1.0 - a) / (w * w).sum(1L)).unsqueeze 1L * w
        let t = ((z * w).sum 1L + bs[i]).tanh()
        z + t.unsqueeze 1L * uHat, logDet + (t * t + (1.0 - t * t) * stretch).log()

    Seq.fold map (z, torch.zeros (z.size 0)) (seq { 0 .. int maps - 1 })

let vae (row: VaeRun) : unit -> unit =
    let shape, batch = row.Shape, int64 row.Batch
    let features = List.last shape.Hidden
    let body = mlp shape.Activation true (shape.Data :: shape.Hidden)
    let head = linear features (2 * shape.Latent)
    let outputs = shape.Data * Likelihood.outputs shape.Likelihood
    let decoder = mlp shape.Activation false (shape.Latent :: List.rev shape.Hidden @ [ outputs ])

    let flow =
        match row.Posterior with
        | PlanarPosterior maps ->
            let layers =
                linear features (maps * shape.Latent),
                linear features (maps * shape.Latent),
                linear features maps

            Some(int64 maps, layers)
        | _ -> None

    let modules: Layer list =
        [ body; head; decoder ]
        @ (match flow with
           | Some(_, (u, w, b)) -> [ u; w; b ]
           | None -> [])

    let parameters = modules |> Seq.collect (fun m -> m.parameters ())

    let optimiser: torch.optim.Optimizer =
        match shape.Likelihood with
        | GreyLevels _ -> torch.optim.Adamax(parameters, 1e-3)
        | _ -> torch.optim.Adam(parameters, 3e-4)

    let n = if shape.Data = 64 then 1078L else 50000L

    let images =
        match shape.Likelihood with
        | GreyLevels levels -> (torch.rand (n, int64 shape.Data) * float levels).floor()
        | _ -> (torch.rand (n, int64 shape.Data)).lt(torch.tensor 0.13f).``to`` torch.float32

    let images, order =
        images.DetachFromDisposeScope(), torch.randperm(n).DetachFromDisposeScope()

    let mutable i = 0L

    fun () ->
        use _ = torch.NewDisposeScope()
        let x = images.index_select (0L, order.narrow (0L, i * batch % (n - batch), batch))

        let x =
            if row.Binarise then
                (torch.rand_like x).lt(x).``to`` torch.float32
            else
                x

        let h = body.call x
        let parts = (head.call h).chunk(2L, 1L)

        let logVar =
            match shape.Variance with
            | LogVariance -> parts[1]
            | SoftplusVariance -> (torch.nn.functional.softplus parts[1] + 1e-8).log()

        let z0 = parts[0] + (0.5 * logVar).exp() * torch.randn_like parts[0]
        let kl = 0.5 * (parts[0].square() + logVar.exp () - logVar - 1.0).sum(1L)

        let z, kl =
            match flow with
            | None -> z0, kl
            | Some(maps, layers) ->
                let z, logDet = planar maps layers h z0
                z, kl - logDet + 0.5 * (z.square().sum(1L) - z0.square().sum(1L))

        descend optimiser ((crossEntropy shape.Likelihood (decoder.call z) x).mean() + kl.mean ())
        i <- i + 1L

/// ift7 with 32 layers on batches of 128, the layers' parameters stacked.
let planarFlow () : unit -> unit =
    let layers, batch, n = 32L, 128L, 12800L
    let parameter (values: Tensor) = new Modules.Parameter(values)

    let u, w =
        parameter (0.01 * torch.randn (layers, 2L)), parameter (0.01 * torch.randn (layers, 2L))

    let b = parameter (torch.zeros layers)
    let optimiser = torch.optim.RMSProp([| u; w; b |], 5e-4)
    let z1 = 10.0 * torch.rand n - 5.0

    let data =
        torch.stack([| z1; (Math.PI / 2.0 * z1).sin() + 0.4 * torch.randn n |], 1L).DetachFromDisposeScope()

    let order = torch.randperm(n).DetachFromDisposeScope()
    let mutable i = 0L

    fun () ->
        use _ = torch.NewDisposeScope()
        let x = data.index_select (0L, order.narrow (0L, i * batch % n, batch))
        let a = (u * w).sum 1L
        let stretch = torch.nn.functional.softplus (a + log (Math.E - 1.0))
        let uHat = u + ((stretch - 1.0 - a) / (w * w).sum(1L)).unsqueeze 1L * w

        let layer (z: Tensor, logDet: Tensor) (k: int64) =
            let t = (z.matmul w[k] + b[k]).tanh()
            z + t.unsqueeze 1L * uHat[k], logDet + (t * t + (1.0 - t * t) * stretch[k]).log()

        let z, logDet = Seq.fold layer (x, torch.zeros batch) (seq { 0L .. layers - 1L })
        descend optimiser ((0.5 * z.square().sum(1L) + log (2.0 * Math.PI) - logDet).mean())
        i <- i + 1L

/// cs2.2: a step of each player on batches of 64.
let gan () : unit -> unit =
    let generator: Layer =
        torch.nn.Sequential [|
            linear 64 512
            torch.nn.BatchNorm1d 512L
            torch.nn.ReLU()
            linear 512 3136
            torch.nn.BatchNorm1d 3136L
            torch.nn.ReLU()
            torch.nn.Unflatten(1L, [| 64L; 7L; 7L |])
            torch.nn.PixelShuffle 2L
            torch.nn.Conv2d(16L, 32L, 3L, padding = 1L)
            torch.nn.BatchNorm2d 32L
            torch.nn.ReLU()
            torch.nn.PixelShuffle 2L
            torch.nn.Conv2d(8L, 1L, 3L, padding = 1L)
        |]

    let critic: Layer =
        torch.nn.Sequential [|
            torch.nn.Conv2d(1L, 32L, 4L, 2L, 1L) :> Layer
            torch.nn.LeakyReLU 0.1
            torch.nn.Conv2d(32L, 64L, 4L, 2L, 1L)
            torch.nn.LeakyReLU 0.1
            torch.nn.Flatten()
            linear 3136 512
            torch.nn.LeakyReLU 0.1
            linear 512 1
            torch.nn.Flatten 0L
        |]

    let player (net: Layer) = torch.optim.Adam(net.parameters (), 1e-3, 0.5, 0.999)
    let generates, judges = player generator, player critic
    let images = (2.0 * torch.rand (6400L, 1L, 28L, 28L) - 1.0).DetachFromDisposeScope()
    let softplus (x: Tensor) = (torch.nn.functional.softplus x).mean()
    let mutable i = 0L

    fun () ->
        use _ = torch.NewDisposeScope()
        let x = images.narrow (0L, i * 64L % 6400L, 64L)

        let fake =
            use _ = torch.no_grad ()
            generator.call (torch.randn (64L, 64L))

        descend judges (softplus ((critic.call x).neg()) + softplus (critic.call fake))
        descend generates (softplus ((critic.call (generator.call (torch.randn (64L, 64L)))).neg()))
        i <- i + 1L
