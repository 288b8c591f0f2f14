/// The fused ends of a VAE give autograd's gradients for whatever loss stands between them.
module Research.Tests.EncoderDecoderTests

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments

/// A model, a batch, noise `[K,B,L]` and any weights: of log p(x|z) `[K,B]`, of the encoder's outputs `[B,2L]`.
type private Case = {
    Parameters: Parameters
    Vae: Vae
    X: Tensor
    Eps: Tensor
    OfFit: Tensor
    OfOutput: Tensor
}

let private case (seed: int64) : Case =
    let random, noise = Random(int seed), Noise seed
    let draw (options: 'a list) = options[random.Next options.Length]
    let width () = random.Next(1, 40)
    let likelihood = draw [ BernoulliLogits -1.0; GreyLevels 17; Gaussian 0.3 ]

    let shape = {
        Data = width ()
        Latent = random.Next(1, 12)
        Hidden = List.init (random.Next 4) (fun _ -> width ())
        Activation = draw [ Elu; Relu; LeakyRelu 0.01; Tanh; Softplus ]
        Likelihood = likelihood
        Variance = draw [ LogVariance; SoftplusVariance ]
    }

    use generator = noise.For("initialisation", 0L)
    let parameters = Parameters(generator, torch.CPU)
    let vae = Vae.create parameters shape
    let batch, samples = int64 (width ()), int64 (random.Next(1, 4))
    let pixels = noise.Uniform("x", 0L, [| batch; int64 shape.Data |])
    let normal name size : Tensor = noise.Normal(name, 0L, size)

    {
        Parameters = parameters
        Vae = vae
        X =
            match likelihood with
            | GreyLevels levels -> (pixels * float levels).floor()
            | BernoulliLogits _ -> pixels.round ()
            | Gaussian _ -> pixels
        Eps = normal "eps" [| samples; batch; int64 shape.Latent |]
        OfFit = normal "fit" [| samples; batch |]
        OfOutput = normal "output" [| batch; 2L * int64 shape.Latent |]
    }

/// sum_kb c_kb log p(x_b|z_kb) + sum_bj d_bj sin h_bj from the encoder's outputs and the log-likelihoods.
let private loss (case: Case) (output: Tensor) (logLikelihood: Tensor) : Tensor =
    (case.OfFit.``to`` output.dtype * logLikelihood).sum()
    + (case.OfOutput.``to`` output.dtype * output.sin ()).sum()

/// The loss and the gradients of all parameters, by Core and autograd in float64.
let private expected (case: Case) : float * Tensor list =
    let leaves = ResizeArray<Tensor>()

    let leaf (t: Tensor) =
        leaves.Add(t.detach().double().requires_grad_ true)
        leaves[leaves.Count - 1]

    let copy (mlp: Mlp) = {
        mlp with
            Layers = mlp.Layers |> List.map (fun l -> { Weight = leaf l.Weight; Bias = leaf l.Bias })
    }

    let vae = {
        case.Vae with
            Encoder = copy case.Vae.Encoder
            Decoder = copy case.Vae.Decoder
    }

    let x = case.X.double ()
    let output = Mlp.apply vae.Encoder x
    let z = DiagNormal.sample (Vae.posterior vae output) (case.Eps.double ())
    let value = loss case output (Vae.logLikelihood vae x z)
    value.ToDouble(), List.ofSeq (torch.autograd.grad ([| value |], leaves))

/// The same by the kernel. `weigh` changes what it is told about the rows, `slopes` what it says about z.
let private fused (weigh: Tensor -> Tensor) (slopes: Tensor -> Tensor) (case: Case) : float * Tensor list =
    let kernel = FusedVae.ends case.Parameters.All case.Vae
    let output = (kernel.Encode case.X).requires_grad_ true
    let z = DiagNormal.sample (Vae.posterior case.Vae output) case.Eps
    let struct (values, slope) = kernel.Decode(z.detach().view(-1L, z.size -1))
    let fit = values.requires_grad_ true

    let logLikelihood =
        fit.view case.OfFit.shape + ((z - z.detach ()) * (slopes slope).view z.shape).sum(-1L)

    let value = loss case output logLikelihood
    let gradients = Seq.toArray (torch.autograd.grad ([| value |], [| output; fit |]))
    let sink = GradientTensors(seq { for struct (_, t) in case.Parameters.All -> t })
    kernel.BackwardDecoder((weigh gradients[1]).contiguous(), sink)
    kernel.BackwardEncoder(gradients[0].contiguous(), sink)
    value.ToDouble(), List.ofSeq sink.Tensors

let private distance (value, gradients) (exact, exactGradients) =
    let relative (a: Tensor) (b: Tensor) =
        let difference = (a.double () - b).abs().max().ToDouble()
        difference / max 1e-30 (b.abs().max().ToDouble())

    List.max (abs (value - exact) / max 1.0 (abs exact) :: List.map2 relative gradients exactGradients)

let private law: Law<Case> = {
    Id = "vae-ends/autograd"
    Statement = "what the fused encoder and decoder carry back is autograd's gradient in float64"
    Labels = []
    Function = "EncoderDecoderKernel"
    Instances = [ for seed in 1L .. 40L -> $"seed {seed}", case seed ]
    Error = fun case -> distance (fused id id case) (expected case)
    Tolerance = Tolerance.float32Identity
    Mutants = [
        let mutant name weigh slopes = name, (fun case -> distance (fused weigh slopes case) (expected case))

        mutant "every row weighs alike" (fun w -> torch.ones_like w) id
        mutant "the rows' weights in another order" (fun w -> w.flip 0L) id
        mutant "no way from log p(x|z) back to z" id torch.zeros_like
        mutant "the slope of minus log p(x|z)" id (fun s -> s.neg ())
    ]
}

let private scoped name body =
    testCase $"vae-ends/{name}" (fun () ->
        use _ = torch.NewDisposeScope()
        body ())

[<Tests>]
let tests =
    testList "vae ends" [
        scoped "autograd" (fun () -> Law.check law |> ignore)

        scoped "added" (fun () ->
            let first, second = torch.tensor [| 4.0f |], torch.tensor [| 1.0f; 2.0f; 3.0f |]
            let last = torch.tensor [| 7.0f; 8.0f |]
            let target = GradientTensors [ first; second; torch.zeros 2L; last ]
            let added = AddedGradients(target, ([| first; second; null; last |]: (Tensor | null)[]))
            added.Take(1, 0, ReadOnlySpan [| 10.0f; 20.0f |])
            added.Take(1, 2, ReadOnlySpan [| 30.0f |])
            added.Take(2, 0, ReadOnlySpan [| 5.0f; 6.0f |])
            added.Finish()

            Expect.equal
                [ for t in target.Tensors -> t.data<float32>().ToArray() ]
                [ [| 4.0f |]; [| 11.0f; 22.0f; 33.0f |]; [| 5.0f; 6.0f |]; [| 7.0f; 8.0f |] ]
                "sums where both came, else the one that came")

        scoped "misfit" (fun () ->
            let case = case 3L
            let kernel = FusedVae.ends case.Parameters.All case.Vae
            let refuses why (act: unit -> unit) = Expect.throwsT<ArgumentException> act why
            let latent = int64 case.Vae.Shape.Latent

            refuses "no batch yet" (fun () -> kernel.Decode(torch.zeros (4L, latent)) |> ignore)
            kernel.Encode case.X |> ignore
            refuses "too few pixels" (fun () -> kernel.Encode(case.X.narrow (1L, 0L, 0L)) |> ignore)
            refuses "an empty batch" (fun () -> kernel.Encode(case.X.narrow (0L, 0L, 0L)) |> ignore)
            kernel.Encode case.X |> ignore
            let rows = case.X.size 0

            refuses "codes of another size" (fun () ->
                kernel.Decode(torch.zeros (rows, latent + 1L)) |> ignore)

            refuses "a code too many" (fun () -> kernel.Decode(torch.zeros (rows + 1L, latent)) |> ignore)
            let sink = GradientTensors(seq { for struct (_, t) in case.Parameters.All -> t })
            kernel.Decode(torch.zeros (rows, latent)) |> ignore

            refuses "weights of other rows" (fun () -> kernel.BackwardDecoder(torch.zeros (rows + 1L), sink))

            refuses "a gradient of other outputs" (fun () ->
                kernel.BackwardEncoder(torch.zeros (rows, latent), sink)))
    ]
