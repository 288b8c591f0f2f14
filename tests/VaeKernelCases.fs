/// Models for the fused step of a VAE, what it makes of them, and what Core's operators and autograd do in any precision.
module Research.Tests.VaeKernelCases

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments

/// A model, a batch and noise, float32; `Classes` numbers behind the data of each row are no data.
type Case = {
    Shape: VaeShape
    Classes: int
    Beta: float
    Parameters: Parameters
    Vae: Vae
    Posterior: PosteriorShape
    X: Tensor
    Eps: Tensor
}

/// The loss's two terms and the gradients of all parameters.
type Outcome = { Reconstruction: float; Kl: float; Gradients: Tensor list }

let learned (case: Case) = [ for struct (_, tensor) in case.Parameters.All -> tensor ]

let draw (random: Random) (options: 'a list) = options[random.Next options.Length]

/// Data that the likelihood means: 0 and 1, grey levels, any numbers.
let data (likelihood: Likelihood) (noise: Noise) (shape: int64[]) : Tensor =
    match likelihood with
    | BernoulliLogits _ -> (noise.Uniform("x", 0L, shape)).round()
    | GreyLevels levels -> (noise.Uniform("x", 0L, shape) * float levels).floor()
    | Gaussian _ -> noise.Normal("x", 0L, shape)

/// A model of a shape from a seed, its parameters `scale` times what a training starts from.
let case seed (shape: VaeShape) classes beta batch (scale: float) : Case =
    let noise = Noise seed
    // Not disposed of here: a flow behind the posterior draws from it later.
    let generator = noise.For("initialisation", 0L)
    let parameters = Parameters(generator, torch.CPU)
    let vae = (ConditionalVae.create parameters shape classes).Networks

    do
        use _ = torch.no_grad ()

        for struct (_, tensor) in parameters.All do
            tensor.mul_ (Scalar.op_Implicit scale: Scalar) |> ignore

    let rows = int64 batch
    let pixels = data shape.Likelihood noise [| rows; int64 shape.Data |]

    {
        Shape = shape
        Classes = classes
        Beta = beta
        Parameters = parameters
        Vae = vae
        Posterior = DiagonalPosterior
        X = torch.cat ([| pixels; noise.Uniform("class", 0L, [| rows; int64 classes |]) |], 1L)
        Eps = noise.Normal("eps", 0L, [| rows; int64 shape.Latent |])
    }

/// The same with so many planar maps behind the posterior, u no longer zero.
let withMaps maps (case: Case) : Case =
    let posterior = PlanarPosterior maps
    PosteriorShape.create case.Parameters case.Vae posterior |> ignore
    use _ = torch.no_grad ()

    for struct (name, tensor) in case.Parameters.All do
        if name.StartsWith "posterior.planar.u" then
            tensor.copy_ (0.3 * (Noise 9L).Normal(name, 0L, tensor.shape)) |> ignore

    { case with Posterior = posterior }

/// The same with so many autoregressive steps, whose gates and means are no longer those of the identity.
let withSteps steps width (case: Case) : Case =
    let posterior = IafPosterior(steps, width)
    PosteriorShape.create case.Parameters case.Vae posterior |> ignore
    use _ = torch.no_grad ()

    for struct (name, tensor) in case.Parameters.All do
        if name.StartsWith "posterior.iaf" && name.Contains "output" then
            tensor.copy_ ((Noise 9L).Normal(name, 0L, tensor.shape)) |> ignore

    { case with Posterior = posterior }

/// A case of random sizes and kind.
let randomCase (seed: int64) : Case =
    let random = Random(int seed)
    let width () = random.Next(1, 40)

    let likelihood =
        draw random [ BernoulliLogits 0.0; BernoulliLogits -5.0; GreyLevels 17; GreyLevels 2; Gaussian 0.3 ]

    let shape = {
        Data = width ()
        Latent = random.Next(1, 12)
        Hidden = List.init (random.Next 4) (fun _ -> width ())
        Activation = draw random [ Elu; Relu; LeakyRelu 0.01; Tanh; Softplus ]
        Likelihood = likelihood
        Variance = draw random [ LogVariance; SoftplusVariance ]
    }

    case
        seed
        shape
        (draw random [ 0; 0; 3 ])
        (draw random [ 0.0; 0.1; 1.0; 10.0 ])
        (random.Next(1, 80))
        (draw random [ 0.1; 1.0; 2.0 ])

let fused (case: Case) : Outcome =
    let sink = GradientTensors(learned case)

    let kernel =
        FusedVae.kernel case.Parameters case.Parameters.All case.Vae case.Posterior case.Beta

    let terms = kernel.ValueAndGradient(case.X, case.Eps, sink)

    {
        Reconstruction = terms.Reconstruction
        Kl = terms.Kl
        Gradients = List.ofSeq sink.Tensors
    }

/// A diagonal posterior and Core's planar maps behind it, from weights and biases of the layers of u, w and b.
let planarPosterior (vae: Vae) maps (heads: Tensor list) (x: Tensor) : Posterior =
    let body = {
        vae.Encoder with
            Layers = vae.Encoder.Layers |> List.take (vae.Encoder.Layers.Length - 1)
    }

    let h = Activation.apply body.Activation (Mlp.apply body x)

    let outputs =
        heads
        |> List.chunkBySize 2
        |> List.map (fun p -> torch.nn.functional.linear (h, p[0], p[1]))

    let latent = int64 vae.Shape.Latent

    let map i =
        let part (all: Tensor) = all.narrow (1L, i * latent, latent)
        let u, w = part outputs[0], part outputs[1]
        planar (PlanarChain.shift PlanarChain.centred u w) w (outputs[2].select(1L, i))

    {
        Base = Vae.encode vae x
        Flow = Some(Transform.compose [ for i in 0L .. int64 maps - 1L -> map i ])
    }

/// A diagonal posterior and Core's autoregressive steps behind it, from weights and biases of each step's layers.
let iafPosterior (vae: Vae) (layers: Tensor list) width (x: Tensor) : Posterior =
    let body = {
        vae.Encoder with
            Layers = vae.Encoder.Layers |> List.take (vae.Encoder.Layers.Length - 1)
    }

    let h = Activation.apply body.Activation (Mlp.apply body x)
    let latent = vae.Shape.Latent
    let order = Array.init latent (fun i -> int64 (i + 1))
    let hidden = Array.init width (fun i -> int64 (i % latent))
    let mask strict from into = (madeMask strict from into).``to`` x.dtype
    let gate = 1.5

    let step i (p: Tensor list) =
        let linear weight bias (z: Tensor) = torch.nn.functional.linear (z, weight, bias)

        let net (z: Tensor) =
            let input = linear (p[0] * mask false order hidden) p[1] z
            let units = torch.nn.functional.elu (input + linear p[2] p[3] h, 1.0)
            let out = linear (p[4] * mask true hidden (Array.append order order)) p[5] units
            out.narrow (1L, 0L, latent), out.narrow (1L, latent, latent) + gate

        let forward (z: Tensor) =
            let seen = if i % 2 = 1 then z.flip -1L else z
            let moved, logDet = (inverseAutoregressive net).Forward seen
            let moved = moved * (1.0 + exp -gate)
            (if i % 2 = 1 then moved.flip -1L else moved), logDet + float latent * log (1.0 + exp -gate)

        { Forward = forward; Inverse = None }

    {
        Base = Vae.encode vae x
        Flow = Some(Transform.compose (layers |> List.chunkBySize 6 |> List.mapi step))
    }

/// Core's beta-ELBO in a precision at the same numbers.
let operators (dtype: torch.ScalarType) (case: Case) : Outcome =
    let leaves = ResizeArray<Tensor>()

    let leaf (t: Tensor) =
        let leaf = t.detach().``to``(dtype).clone().requires_grad_ true
        leaves.Add leaf
        leaf

    let linear (layer: Linear) = { Weight = leaf layer.Weight; Bias = leaf layer.Bias }
    let copy (mlp: Mlp) = { mlp with Layers = mlp.Layers |> List.map linear }

    let vae = {
        case.Vae with
            Encoder = copy case.Vae.Encoder
            Decoder = copy case.Vae.Decoder
    }

    let plain = ConditionalVae.model { Networks = vae; Classes = case.Classes; Prior = None }

    let others = [ for struct (_, t) in Seq.skip leaves.Count case.Parameters.All -> leaf t ]

    let model =
        match case.Posterior with
        | DiagonalPosterior -> plain
        | PlanarPosterior maps -> { plain with Encode = planarPosterior vae maps others }
        | IafPosterior(_, width) -> { plain with Encode = iafPosterior vae others width }
        | SylvesterPosterior _
        | SplinePosterior _ -> invalidArg (nameof case) "the kernel does not know this posterior"

    let terms = betaElbo case.Beta model (case.X.``to`` dtype) (case.Eps.``to`` dtype)
    let gradients = torch.autograd.grad ([| total terms |], leaves)
    // Without weight the divergence is no term.
    let value name =
        terms
        |> List.tryFind (fst >> (=) name)
        |> Option.map (fun (_, term) -> term.ToDouble())
        |> Option.defaultValue 0.0

    {
        Reconstruction = value "reconstruction"
        Kl = value "kl"
        Gradients = List.ofSeq gradients
    }

/// The largest difference of two tensors relative to the largest entry of the second.
let relative (a: Tensor) (b: Tensor) =
    let difference = (a.double () - b.double ()).abs().max().ToDouble()
    difference / max 1e-30 (b.double().abs().max().ToDouble())

/// The largest relative error of a term or a gradient.
let distance (a: Outcome) (b: Outcome) =
    let term x y = abs (x - y) / max 1.0 (abs y)

    List.max [
        term a.Reconstruction b.Reconstruction
        term a.Kl b.Kl
        yield! List.map2 relative a.Gradients b.Gradients
    ]

let plain: VaeShape = {
    Data = 7
    Latent = 3
    Hidden = [ 5; 5 ]
    Activation = Elu
    Likelihood = BernoulliLogits -5.0
    Variance = LogVariance
}
