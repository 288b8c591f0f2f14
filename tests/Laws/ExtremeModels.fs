/// Extreme inputs of the networks: what has no meaning is refused by name, what has a value gets it.
module Research.Tests.Laws.ExtremeModels

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared

let private parameters () = Parameters(new torch.Generator(1UL), torch.device "cpu")

let private refuses (argument: string) (compute: unit -> 'a) =
    try
        compute () |> ignore
        failtest $"'{argument}' should be refused"
    with :? ArgumentException as e when e.ParamName = argument ->
        ()

let private finite (x: Tensor) = x.isfinite().all().ToBoolean()

let private m2 () = M2.create (parameters ()) { Data = 4; Classes = 3; Latent = 2; Hidden = 5 }

/// A batch of n examples for M2: pixels, labels, and noise for the labelled and the unlabelled part.
let private batch (n: int64) =
    let normal (shape: int64[]) = torch.zeros (shape, torch.float32)
    let x, y = torch.ones ([| n; 4L |], torch.float32), torch.zeros ([| n |], torch.int64)
    (x, y, normal [| n; 2L |]), (x, normal [| 3L; n; 2L |], torch.full ([| n; 3L |], Scalar.op_Implicit 0.5))

let private settings = { LabelledShare = 0.5; Weight = 0.1; KlWeight = 1.0; Floor = 0.0 }

let private chain (w: float) requires =
    let row (x: float) = (torch.tensor [| x; -2.0 * x |]).reshape([| 1L; 2L |])
    let leaf (x: Tensor) = x.requires_grad_ requires

    {
        U = leaf (row 0.7)
        W = leaf (row w)
        B = leaf (torch.tensor [| 0.3 |])
        Offset = PlanarChain.centred
    }

let private energy (z: Tensor) = (logStandardNormal z).neg()

let private shape: VaeShape = {
    Data = 3
    Latent = 2
    Hidden = [ 4 ]
    Activation = Elu
    Likelihood = Gaussian 1.0
    Variance = LogVariance
}

let private scoped name (body: unit -> unit) =
    testCase name (fun () ->
        use _ = torch.NewDisposeScope()
        body ())

[<Tests>]
let tests =
    testList "extreme models" [
        scoped "a part of M2's loss without examples has no weight, or is refused" (fun () ->
            let m = m2 ()
            let some, none = batch 2L, batch 0L
            let all = { settings with LabelledShare = 1.0 }
            let loss labelled unlabelled settings = M2.loss m settings (fst labelled) (snd unlabelled)

            Expect.equal
                (loss some none all |> List.map fst)
                [ "labelled"; "classifier" ]
                "every label given"

            Expect.isTrue (finite (total (loss some none all))) "its value"
            let never = { settings with LabelledShare = 0.0; Weight = 0.0 }
            Expect.equal (loss none some never |> List.map fst) [ "unlabelled" ] "no label given"
            Expect.isTrue (finite (total (loss none some never))) "its value"
            refuses "x" (fun () -> loss some none settings)
            refuses "x" (fun () -> loss none some settings)
            refuses "x" (fun () -> loss none some { settings with LabelledShare = 0.0 }))

        scoped "M2's divergence without weight counts nothing, even where it overflows" (fun () ->
            let m = m2 ()
            let bias = m.EncoderOutput.Bias.detach().clone()
            bias.narrow(0L, 2L, 2L).fill_(Scalar.op_Implicit 150.0) |> ignore
            let wide = { m with EncoderOutput = { m.EncoderOutput with Bias = bias } }
            let (x, y, eps), _ = batch 2L
            Expect.isTrue (finite (M2.labelled wide 0.0 x y eps)) "weight 0"
            Expect.isFalse (finite (M2.labelled wide 1.0 x y eps)) "weight 1")

        scoped "classes are thinned below 1/C only" (fun () ->
            let logQ = torch.nn.functional.log_softmax (gaussian 1 [ 2L; 4L ], -1L)

            for floor in [ -0.1; 0.25; 1.0; nan ] do
                refuses "floor" (fun () -> M2.thin floor (uniform 2 [ 2L; 4L ]) logQ))

        scoped "a label that is no class is no vector of zeros" (fun () ->
            for label in [ 3L; -1L ] do
                Expect.throws
                    (fun () -> ConditionalVae.oneHot 3 (torch.tensor [| label |]) |> ignore)
                    $"label {label}"

            Expect.equal
                (elements (ConditionalVae.oneHot 3 (torch.tensor [| 2L; 0L |])))
                [| 0.0; 0.0; 1.0; 1.0; 0.0; 0.0 |]
                "labels")

        scoped "a planar layer with w = 0 is a shift, with finite gradients" (fun () ->
            let z = gaussian 3 [ 5L; 2L ]
            let still = chain 0.0 true
            let image, logDet = (PlanarChain.transform still).Forward z
            let shifted = z + still.U * still.B.tanh ()
            Expect.isLessThan (distance (image.detach ()) (shifted.detach ())) 1e-12 "the image"
            Expect.isLessThan (distance (logDet.detach ()) (0.0 * z.sum -1L)) 1e-12 "the log-determinant"
            let value, gradients = PlanarChain.composed energy still z
            Expect.isTrue (Double.IsFinite value && Array.forall finite gradients) "loss and gradients")

        scoped "a chain without layers or gradients is refused" (fun () ->
            let z = gaussian 3 [ 5L; 2L ]
            refuses "chain" (fun () -> PlanarChain.composed energy (chain 1.0 false) z)
            let leaf (shape: int64[]) = torch.zeros(shape, torch.float64).requires_grad_ true

            let none = {
                chain 1.0 true with
                    U = leaf [| 0L; 2L |]
                    W = leaf [| 0L; 2L |]
                    B = leaf [| 0L |]
            }

            refuses "chain" (fun () -> PlanarChain.composed energy none z))

        scoped "a convolution of zeros stays one, and learns again" (fun () ->
            let layer = SpectralConv.create (parameters ()) "conv" 2 3 3 1 1
            let direction = layer.Direction.clone ()

            let zeros = {
                layer with
                    Conv = { layer.Conv with Weight = torch.zeros_like layer.Conv.Weight }
            }

            Expect.isTrue (finite (SpectralConv.normalise zeros).Weight) "zeros"
            Expect.equal (value ((layer.Direction - direction).abs().max())) 0.0 "the direction"

            for _ in 1..300 do
                SpectralConv.normalise layer |> ignore

            let weight = (SpectralConv.normalise layer).Weight.detach().double().flatten 1L

            Expect.isLessThan
                (abs (value ((torch.linalg.svdvals weight).max()) - 1.0))
                1e-5
                "the norm afterwards")

        scoped "layers without inputs, networks without layers, and no noise are refused" (fun () ->
            refuses "inputs" (fun () -> Linear.create (parameters ()) "layer" 0 3)
            refuses "widths" (fun () -> Mlp.create (parameters ()) "net" Elu [ 3 ])
            refuses "width" (fun () -> Made.create (parameters ()) "made" 2 3 0)

            for sigma in [ 0.0; -1.0; nan; infinity ] do
                let vae = Vae.create (parameters ()) { shape with Likelihood = Gaussian sigma }
                refuses "sigma" (fun () -> Vae.logLikelihood vae (torch.ones (2L, 3L)) (torch.ones (2L, 2L)))

                refuses "sigma" (fun () ->
                    Likelihood.sample (Gaussian sigma) (torch.ones 3L) (torch.ones 3L)))
    ]
