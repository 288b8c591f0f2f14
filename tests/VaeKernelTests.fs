/// The fused step of a VAE computes what Core's operators and autograd compute in float64.
module Research.Tests.VaeKernelTests

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Tests.VaeKernelCases

/// One of each kind of everything.
let private kinds = [
    for activation in [ Elu; Relu; LeakyRelu 0.01; Tanh; Softplus ] do
        $"{activation}", case 1L { plain with Activation = activation } 0 1.0 6 1.0
    for likelihood in [ BernoulliLogits 0.0; GreyLevels 17; Gaussian 0.5 ] do
        $"{likelihood}", case 2L { plain with Likelihood = likelihood } 0 0.7 6 1.0
    "softplus variance", case 3L { plain with Variance = SoftplusVariance } 0 1.0 6 1.0
    "classes behind the data", case 4L plain 3 1.0 6 1.0
    "no divergence", case 5L plain 0 0.0 6 1.0
    "planar maps", case 6L plain 0 0.7 11 1.0 |> withMaps 3
    "autoregressive steps", case 7L plain 0 0.7 11 1.0 |> withSteps 4 8
]

/// The same parameters under another description of the model.
let private described (change: VaeShape -> VaeShape) (case: Case) : Case =
    let vae: Vae = case.Vae
    { case with Vae = { vae with Shape = change vae.Shape } }

/// The fused step with an error planted in its gradients; the others as they are.
let private spoilt (index: int) (change: Tensor -> Tensor) (case: Case) : Outcome =
    let right = fused case

    {
        right with
            Gradients = right.Gradients |> List.mapi (fun i g -> if i = index then change g else g)
    }

// Weights of `plain`: encoder 0, 2, 4; decoder 6, 8, 10; the square ones can be transposed.
let private law: Law<Case> = {
    Id = "vae-kernel/autograd"
    Statement = "the fused step's terms and gradients are those of Core's operators in float64"
    Labels = []
    Function = "VaeKernel"
    Instances = kinds
    Error = fun case -> distance (fused case) (operators torch.float64 case)
    Tolerance = Tolerance.float32Identity
    Mutants = [
        let mutant name outcome = name, fun case -> distance (outcome case) (operators torch.float64 case)

        mutant "wrong sign of the decoder's last bias" (spoilt 11 (fun g -> g.neg ()))

        mutant "a batch's sum in place of its mean" (fun case ->
            spoilt 0 (fun g -> g * float (case.X.size 0)) case)

        mutant "transposed weight" (spoilt 2 (fun g -> g.t ()))
        mutant "no divergence" (fun case -> fused { case with Beta = 0.0 })
        mutant "the divergence without its weight" (fun case -> fused { case with Beta = 1.0 })

        mutant "the other variance" (fun case ->
            let other =
                if case.Shape.Variance = LogVariance then
                    SoftplusVariance
                else
                    LogVariance

            fused (described (fun shape -> { shape with Variance = other }) case))

        mutant "maps without their share of the divergence" (fun case -> {
            fused case with
                Kl = (fused { case with Posterior = DiagonalPosterior }).Kl
        })

        mutant "no slope between the layers" (fun case ->
            fused (described (fun shape -> { shape with Activation = LeakyRelu 1.0 }) case))
    ]
}

/// Where float32 itself cannot give 1e-5, the operators' error in float32 is the measure, up to a factor of three.
let private asGoodAsFloat32 name (case: Case) =
    let exact = operators torch.float64 case
    let admitted = max 1e-5 (3.0 * distance (operators torch.float32 case) exact)
    let error = distance (fused case) exact
    Expect.isTrue (error <= admitted) $"{name}: relative error {error}, admitted {admitted}"

let private within name (case: Case) =
    let error = distance (fused case) (operators torch.float64 case)

    Expect.isTrue
        (error <= 1e-5)
        $"{name}, {case.Shape}, batch {case.X.size 0}, beta {case.Beta}: relative error {error}"

/// The decoder's last bias set to alternate between two logits.
let private withLogits (low: float32) (high: float32) (case: Case) =
    let struct (_, bias) = Seq.last case.Parameters.All
    let values = Array.init (int (bias.size 0)) (fun i -> if i % 2 = 0 then low else high)
    use _ = torch.no_grad ()
    bias.copy_ (torch.tensor values) |> ignore
    case

let private optimisers = [
    "adam", OptimiserSettings.Adam 1e-3 :> OptimiserSettings
    "adamax", OptimiserSettings.Adamax(1e-3, WeightDecay = 0.01)
    "rmsprop", OptimiserSettings.RmsProp 5e-4
    "sgd", OptimiserSettings.Sgd(0.01, Momentum = 0.9)
]

let private scoped name body =
    testCase $"vae-kernel/{name}" (fun () ->
        use _ = torch.NewDisposeScope()
        body ())

/// Forty random models with a flow behind their posterior.
let private flows (withFlow: Random -> Case -> Case) =
    for seed in 1L .. 40L do
        use _ = torch.NewDisposeScope()
        let random = Random(int seed)

        let shape = {
            plain with
                Latent = random.Next(1, 20)
                Hidden = [ random.Next(1, 20); random.Next(2, 20) ]
                Activation = draw random [ Elu; LeakyRelu 0.01 ]
                Variance = draw random [ LogVariance; SoftplusVariance ]
        }

        case seed shape (draw random [ 0; 2 ]) (draw random [ 0.0; 1.0; 4.0 ]) (random.Next(1, 40)) 1.0
        |> withFlow random
        |> asGoodAsFloat32 $"seed {seed}"

[<Tests>]
let tests =
    testList "vae kernel" [
        scoped "autograd" (fun () -> Law.check law |> ignore)

        scoped "random" (fun () ->
            for seed in 1L .. 150L do
                use _ = torch.NewDisposeScope()
                within $"seed {seed}" (randomCase seed))

        scoped "sizes" (fun () ->
            for likelihood in [ BernoulliLogits -5.0; GreyLevels 17; Gaussian 0.3 ] do
                let shape = { plain with Likelihood = likelihood }
                within "one example" (case 1L shape 0 1.0 1 1.0)

                within
                    "widths of one"
                    (case 2L { shape with Data = 1; Latent = 1; Hidden = [ 1; 1 ] } 0 1.0 1 1.0)

                within "no hidden layer" (case 3L { shape with Hidden = [] } 0 1.0 9 1.0)
                within "no hidden layer, classes" (case 4L { shape with Hidden = [] } 2 1.0 9 1.0)

                within
                    "wider than a piece"
                    (case 5L { shape with Data = 900; Hidden = [ 70; 300 ] } 0 1.0 33 1.0))

        scoped "magnitudes" (fun () ->
            for activation in [ Elu; Relu; LeakyRelu 0.01; Tanh; Softplus ] do
                for variance in [ LogVariance; SoftplusVariance ] do
                    let shape = { plain with Activation = activation; Variance = variance }
                    within "tiny" (case 1L shape 0 1.0 8 1e-4)
                    asGoodAsFloat32 $"{activation}, {variance}, large" (case 2L shape 0 1.0 8 8.0))

        scoped "saturated" (fun () ->
            for likelihood in [ BernoulliLogits 0.0; GreyLevels 17 ] do
                let shape = { plain with Likelihood = likelihood }
                // A logit of 10,000 has no digits behind its third decimal.
                asGoodAsFloat32 "logits of 10,000" (withLogits -1e4f 1e4f (case 1L shape 0 1.0 8 1.0))
                within "logits of 30" (withLogits -30f 30f (case 2L shape 0 1.0 8 1.0))
                within "logits of -12" (withLogits -12f -12f (case 3L shape 0 1.0 8 1.0)))

        scoped "planar" (fun () -> flows (fun random -> withMaps (random.Next(1, 5))))

        scoped "planar, wider than a piece and longer than a line" (fun () ->
            for batch in [ 3; 70 ] do
                case 8L { plain with Latent = 90; Hidden = [ 300 ] } 0 1.0 batch 1.0
                |> withMaps 2
                |> asGoodAsFloat32 $"batch {batch}")

        scoped "an odd number of outputs" (fun () ->
            let case = case 8L { plain with Hidden = [ 5; 4 ] } 0 1.0 9 1.0
            let last = List.last case.Vae.Encoder.Layers
            let odd (t: Tensor) = t.narrow(0L, 0L, t.size 0 - 1L).contiguous()

            let layers =
                case.Vae.Encoder.Layers
                |> List.map (fun l ->
                    if l = last then
                        { Weight = odd l.Weight; Bias = odd l.Bias }
                    else
                        l)

            let vae = { case.Vae with Encoder = { case.Vae.Encoder with Layers = layers } }

            Expect.throwsC (fun () -> fused { case with Vae = vae } |> ignore) (fun e ->
                Expect.stringContains e.Message "outputs are no means and as many variances" "its sentence"))

        scoped "planar maps that shift" (fun () ->
            let shifting = case 8L plain 0 1.0 9 1.0 |> withMaps 2

            for struct (name, tensor) in shifting.Parameters.All do
                if name.StartsWith "posterior.planar.w" then
                    use _ = torch.no_grad ()
                    tensor.zero_ () |> ignore

            let outcome, expected = fused shifting, operators torch.float64 shifting
            Expect.floatClose Accuracy.medium outcome.Kl expected.Kl "w = 0 is a shift"

            // No derivative exists there: u-hat depends on the direction that w comes from.
            for gradient in outcome.Gradients do
                Expect.isTrue (gradient.isfinite().all().ToBoolean()) "finite")

        scoped "autoregressive" (fun () ->
            flows (fun random -> withSteps (random.Next(1, 4)) (random.Next(1, 40))))

        scoped "autoregressive, wider than a piece" (fun () ->
            // The last layer's 40 outputs, masked from row to row, come in three pieces.
            case 9L { plain with Latent = 20 } 0 1.0 3 1.0
            |> withSteps 1 2000
            |> asGoodAsFloat32 "2000 hidden units")

        for flow, withFlow in [ "planar", withMaps 2; "autoregressive", withSteps 2 8 ] do
            scoped $"batches, {flow}" (fun () ->
                // A short last batch after a full one, and the full one again: nothing is left over from the other.
                let full = case 1L plain 0 1.0 50 1.0 |> withFlow
                let kernel = FusedVae.kernel full.Parameters full.Parameters.All full.Vae full.Posterior 1.0

                let gradients (rows: int64) =
                    let sink = GradientTensors(learned full)

                    kernel.ValueAndGradient(
                        full.X.narrow (0L, 0L, rows),
                        full.Eps.narrow (0L, 0L, rows),
                        sink
                    )
                    |> ignore

                    [ for t in sink.Tensors -> t.data<float32>().ToArray() ]

                let first = gradients 50L
                let short = gradients 13L
                Expect.equal (gradients 50L) first "the same bits"

                let alone = {
                    full with
                        X = full.X.narrow (0L, 0L, 13L)
                        Eps = full.Eps.narrow (0L, 0L, 13L)
                }

                Expect.equal
                    [ for t in (fused alone).Gradients -> t.data<float32>().ToArray() ]
                    short
                    "as a kernel of its own")

        scoped "held" (fun () ->
            let case = case 1L plain 0 1.0 8 1.0

            let kept = [|
                for struct (name, _) as p in case.Parameters.All do
                    if name.StartsWith "encoder." then
                        p
            |]

            let sink = GradientTensors(seq { for struct (_, tensor) in kept -> tensor })

            (FusedVae.kernel case.Parameters kept case.Vae case.Posterior 1.0)
                .ValueAndGradient(case.X, case.Eps, sink)
            |> ignore

            let whole = fused case

            for ours, theirs in Seq.zip sink.Tensors whole.Gradients do
                Expect.equal
                    (ours.data<float32>().ToArray())
                    (theirs.data<float32>().ToArray())
                    "the encoder's, as ever")

        for name, settings in optimisers do
            scoped $"pieces/{name}" (fun () ->
                let shape = { plain with Data = 900; Hidden = [ 70; 300 ] }

                let train inPieces =
                    let case = case 1L shape 0 1.0 9 1.0
                    let optimiser = Optimiser.Create(settings, case.Parameters.All)

                    let kernel =
                        FusedVae.kernel case.Parameters case.Parameters.All case.Vae case.Posterior 1.0

                    for _ in 1..5 do
                        if inPieces then
                            kernel.ValueAndGradient(case.X, case.Eps, optimiser.Begin()) |> ignore
                        else
                            let sink = GradientTensors(learned case)
                            kernel.ValueAndGradient(case.X, case.Eps, sink) |> ignore
                            optimiser.Step(Seq.toArray sink.Tensors)

                    [ for t in learned case -> t.data<float32>().ToArray() ]

                Expect.equal
                    (train true)
                    (train false)
                    "the same bits whether gradients come whole or in pieces")

        scoped "poisoned" (fun () ->
            let case = case 1L plain 0 1.0 8 1.0

            for place, spoil in [ "x", case.X; "eps", case.Eps; "weight", (learned case).Head ] do
                let copy = spoil.detach().clone()
                use _ = torch.no_grad ()

                for bad in [ nanf; infinityf; -infinityf ] do
                    spoil[0, 0] <- torch.tensor bad
                    let loss = (fused case).Reconstruction + (fused case).Kl

                    Expect.isFalse
                        (Double.IsFinite loss)
                        $"{bad} in {place} shows in the loss, which is {loss}"

                    spoil.copy_ copy |> ignore)

        scoped "misfit" (fun () ->
            let right = case 1L plain 0 1.0 8 1.0

            let kernel =
                FusedVae.kernel right.Parameters right.Parameters.All right.Vae right.Posterior 1.0

            let sink = GradientTensors(learned right)

            let refuses (x: Tensor) (eps: Tensor) why =
                Expect.throwsT<ArgumentException>
                    (fun () -> kernel.ValueAndGradient(x, eps, sink) |> ignore)
                    why

            refuses (right.X.double ()) right.Eps "float64 data"
            refuses (right.X.narrow (1L, 0L, 6L)) right.Eps "too few pixels"
            refuses right.X (right.Eps.narrow (0L, 0L, 7L)) "noise for another batch"
            refuses (right.X.narrow (0L, 0L, 0L)) (right.Eps.narrow (0L, 0L, 0L)) "an empty batch"

            let grey = case 2L { plain with Likelihood = GreyLevels 4 } 0 1.0 8 1.0
            grey.X[3, 2] <- torch.tensor 4.0f

            Expect.throwsT<ArgumentException>
                (fun () -> fused grey |> ignore)
                "a grey level of 4 among four from 0"

            let torn = {
                right.Vae with
                    Decoder = { right.Vae.Decoder with Layers = right.Vae.Decoder.Layers.Tail }
            }

            Expect.throwsT<ArgumentException>
                (fun () ->
                    FusedVae.kernel right.Parameters right.Parameters.All torn right.Posterior 1.0 |> ignore)
                "a decoder without its first layer"

            for wrong in [ 1; 2 ] do
                let narrow (l: Linear) = { l with Weight = l.Weight.narrow(1L, 0L, 4L).contiguous() }

                let layers =
                    right.Vae.Decoder.Layers |> List.mapi (fun i l -> if i = wrong then narrow l else l)

                let vae = { right.Vae with Decoder = { right.Vae.Decoder with Layers = layers } }

                Expect.throwsC (fun () -> fused { right with Vae = vae } |> ignore) (fun e ->
                    Expect.stringStarts
                        e.Message
                        $"the decoder's layer {wrong + 1} reads 4 numbers, the layer before it gives 5"
                        "which layer does not fit"))

        testCase "vae-kernel/path" (fun () ->
            let path beta samples prior posterior =
                FusedVae.path DeviceType.CPU beta false samples prior posterior

            Expect.equal (path (Some 4.0) 0 StandardPrior DiagonalPosterior) (Fused 4.0) "a weighted ELBO"

            for name, other in
                [
                    "objective", path None 0 StandardPrior DiagonalPosterior
                    "prior and flow", path (Some 1.0) 0 (MixturePrior 4) (PlanarPosterior 2)
                    "device", FusedVae.path DeviceType.CUDA (Some 1.0) true 0 StandardPrior DiagonalPosterior
                ] do
                Expect.stringStarts (StepPath.describe other) "operators: " name

            for name, other in
                [
                    "objective", FusedVae.path DeviceType.CPU None true 0 StandardPrior DiagonalPosterior
                    "samples", path (Some 1.0) 5 StandardPrior DiagonalPosterior
                    "prior", path (Some 1.0) 0 (MixturePrior 4) DiagonalPosterior
                ] do
                Expect.stringStarts (StepPath.describe other) "encoder and decoder fused" name)
    ]
