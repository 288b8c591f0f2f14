/// The fused planar chain computes what the composed operators compute.
module Research.Tests.PlanarKernelTests

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

type private Case = {
    Layers: int
    Batch: int
    Energy: string
    /// Parameters, float32.
    Chain: PlanarChain
    Points: Tensor
}

let private standardNormal (z: Tensor) = (logStandardNormal z).neg()

/// |x| + |y|, without a gradient on the axes.
let private taxicab = {
    new IPlaneEnergy with
        member _.Evaluate(x, y, value, gradientX, gradientY) =
            for i in 0 .. x.Length - 1 do
                value[i] <- abs x[i] + abs y[i]
                gradientX[i] <- x[i] / abs x[i]
                gradientY[i] <- y[i] / abs y[i]
}

let private energies: Map<string, IPlaneEnergy * (Tensor -> Tensor)> =
    Map.ofList [
        "normal", (PlaneEnergies.StandardNormal, standardNormal)
        "arcs", (PlaneEnergies.Arcs, energyArcs)
        "sine", (PlaneEnergies.Sine, energySine)
        "taxicab", (taxicab, (fun z -> z.abs().sum(-1L)))
    ]

/// Parameters of a scale; `slope` turns every u so that w.u has that value.
let private case (seed: int64) layers batch (scale: float) (offset: float) (slope: float option) energy =
    let noise = Noise seed
    let normal (name: string) (shape: int64[]) : Tensor = noise.Normal(name, 0L, shape)
    let w = scale * normal "w" [| int64 layers; 2L |]
    let u = scale * normal "u" [| int64 layers; 2L |]

    let turned =
        match slope with
        | None -> u
        | Some a -> u + ((a - (u * w).sum(1L, true)) / w.square().sum(1L, true)) * w

    {
        Layers = layers
        Batch = batch
        Energy = energy
        Chain = {
            U = turned
            W = w
            B = scale * normal "b" [| int64 layers |]
            Offset = offset
        }
        Points = 2.0 * normal "points" [| int64 batch; 2L |]
    }

/// Layers that move one coordinate each, from its index, w.u and b, with w a unit vector: where b is 0, a coordinate of
/// 0 stays 0.
let private alongAxes energy (points: Tensor) (layers: (int * float * float) list) =
    let rows (size: float -> float) =
        torch.tensor (
            array2D [
                for axis, slope, _ in layers ->
                    [ for i in 0..1 -> if i = axis then float32 (size slope) else 0f ]
            ]
        )

    {
        Layers = layers.Length
        Batch = int (points.size 0)
        Energy = energy
        Chain = {
            U = rows id
            W = rows (fun _ -> 1.0)
            B = torch.tensor [| for _, _, b in layers -> float32 b |]
            Offset = 0.0
        }
        Points = points
    }

let private fused (case: Case) =
    let chain = case.Chain
    let kernel = PlanarKernel(chain.U, chain.W, chain.B, case.Batch, chain.Offset)
    let sink = GradientTensors [ chain.U; chain.W; chain.B ]
    let loss = kernel.ValueAndGradient(case.Points, fst energies[case.Energy], sink)
    loss, Array.ofSeq sink.Tensors

/// The operators in a precision at the same float32 numbers.
let private operators (dtype: torch.ScalarType) (case: Case) =
    let leaf (t: Tensor) = t.``to``(dtype).detach().clone().requires_grad_ true

    let chain = {
        case.Chain with
            U = leaf case.Chain.U
            W = leaf case.Chain.W
            B = leaf case.Chain.B
    }

    PlanarChain.composed (snd energies[case.Energy]) chain (case.Points.``to`` dtype)

let private largest (t: Tensor) = t.double().abs().max().ToDouble()

/// Largest difference of two tensors, relative to a size.
let private relativeTo size (a: Tensor) (b: Tensor) = largest (a.double () - b.double ()) / max 1e-30 size

/// For each gradient relative to its largest entry, or to a hundredth of the largest of all: that of a single b may nearly
/// cancel.
let private errors gradients expected =
    let floor = 0.01 * (expected |> Array.map largest |> Array.max)
    Array.map2 (fun a b -> relativeTo (max floor (largest b)) a b) gradients expected

/// The loss and all gradients within 1e-5 of autograd in float64. Where the gradients are ill conditioned,
/// `conditioned` is false, and they are within 1e-4 or three times the error of the operators in float32.
let private agree conditioned (case: Case) =
    use _ = torch.NewDisposeScope()
    let loss, gradients = fused case
    let expected, expectedGradients = operators torch.float64 case

    let admitted =
        if conditioned then
            1e-5
        else
            max 1e-4 (3.0 * Array.max (errors (snd (operators torch.float32 case)) expectedGradients))

    Expect.isTrue
        (abs (loss - expected) <= admitted * max 1.0 (abs expected))
        $"loss {loss}, by operators {expected}"

    for name, error in Array.zip [| "u"; "w"; "b" |] (errors gradients expectedGradients) do
        Expect.isTrue
            (error <= admitted)
            $"gradient of {name} for k={case.Layers}, B={case.Batch}, {case.Energy}: relative error {error}, admitted {admitted}"

[<Tests>]
let tests =
    testList "planar kernel" [
        testCase "equals autograd over random parameters" (fun () ->
            for seed in 1L .. 20L do
                for energy in [ "normal"; "arcs"; "sine" ] do
                    for layers, batch in [ 1, 128; 3, 13; 8, 5 ] do
                        for offset in [ 0.0; PlanarChain.centred ] do
                            agree true (case seed layers batch 0.5 offset None energy))

        testCase "equals autograd at the start of training and for a deep chain" (fun () ->
            for energy in [ "normal"; "arcs"; "sine" ] do
                agree true (case 3L 32 128 0.01 0.0 None energy)
                agree true (case 3L 32 128 0.01 PlanarChain.centred None energy))

        testCase "equals autograd at the boundary of invertibility" (fun () ->
            // w.u-hat = softplus(a) - 1 comes within 5e-5, 2e-9 of the boundary -1.
            for slope in [ -2.0; -10.0; -20.0 ] do
                for seed in 1L .. 5L do
                    agree false (case seed 2 64 1.0 0.0 (Some slope) "normal"))

        testCase "equals autograd where products of determinants leave float's range" (fun () ->
            // Forty layers at the boundary: the product of their determinants comes down to 1e-80.
            for seed in 1L .. 5L do
                agree false (case seed 40 24 0.3 0.0 (Some -5.0) "sine"))

        testCase "equals autograd whichever way products of determinants leave float's range" (fun () ->
            use _ = torch.NewDisposeScope()
            let normal: Tensor = Noise(6L).Normal("points", 0L, [| 8L; 2L |])
            let onAxis = normal * torch.tensor [| 1.0f; 0.0f |]

            // At y = 0 the determinant of a layer along y is its softplus; that of a layer along x is 1, so large is b.
            for layers in
                [
                    // 2^-44 and 2^44, with which sums in doubles are exact.
                    List.replicate 4 (1, -44.0 * log 2.0, 0.0)
                    List.replicate 4 (1, 2.0 ** 44.0, 0.0)
                    // 1 + e^-55 is 1 in doubles.
                    List.replicate 4 (1, -55.0, 0.0)
                    List.replicate 170 (0, 1.1178, 50.0) @ List.replicate 40 (1, -5.0, 0.0)
                    List.replicate 120 (0, -5.0, 500.0) @ List.replicate 40 (1, 10.0, 0.0)
                ] do
                agree true (alongAxes "normal" onAxis layers)

            // Where softplus is far less, the determinant is tanh^2.
            let layers = [ 0, -80.0, 0.0; 1, -80.0, 0.0 ]
            agree false (alongAxes "normal" (1e-12 * torch.ones_like normal) layers))

        testCase "equals autograd whatever is left of the last vector" (fun () ->
            for batch in [ 1; 7; 8; 9; 15; 16; 17 ] do
                agree true (case 6L 3 batch 0.5 0.0 None "arcs"))

        testCase "what pads the last vector meets no singularity" (fun () ->
            for batch in [ 1; 5 ] do
                use _ = torch.NewDisposeScope()
                let points: Tensor = Noise(6L).Normal("points", 0L, [| int64 batch; 2L |])
                agree true (alongAxes "taxicab" points [ 0, 0.5, 0.0; 1, 0.5, 0.0 ]))

        testCase "rows of all points are a batch" (fun () ->
            use _ = torch.NewDisposeScope()
            let case = case 4L 5 7 0.5 0.0 None "normal"
            let chain = case.Chain
            let rows = [| 6L; 2L; 2L; 0L; 5L; 1L; 3L |]
            let picked = { case with Points = case.Points.index_select (0L, torch.tensor rows) }
            let loss, gradients = fused picked
            let kernel = PlanarKernel(chain.U, chain.W, chain.B, 7, 0.0)
            let sink = GradientTensors [ chain.U; chain.W; chain.B ]
            let points = case.Points.data<float32>().ToArray()

            let again =
                kernel.ValueAndGradient(ReadOnlySpan points, ReadOnlySpan rows, fst energies["normal"], sink)

            Expect.equal again loss "the loss"
            let once = GradientTensors [ chain.U; chain.W; chain.B ]
            let third = kernel.ValueAndGradient(picked.Points, fst energies["normal"], once)
            Expect.equal third loss "nothing is left over from the batch before"

            for a, b in Seq.zip sink.Tensors gradients do
                Expect.equal (a.data<float32>().ToArray()) (b.data<float32>().ToArray()) "a gradient"

            Expect.throwsT<ArgumentException>
                (fun () ->
                    kernel.ValueAndGradient(
                        ReadOnlySpan points,
                        ReadOnlySpan rows[1..],
                        fst energies["normal"],
                        sink
                    )
                    |> ignore)
                "six rows for a batch of seven")

        testCase "equals autograd with large weights, where tanh saturates" (fun () ->
            for seed in 1L .. 5L do
                agree false (case seed 1 64 5.0 0.0 None "normal"))

        testCase "the energies are those of Core" (fun () ->
            use _ = torch.NewDisposeScope()
            let points: Tensor = Noise(7L).Normal("points", 0L, [| 500L; 2L |]) * 2.5
            let column i = (points.select (1L, int64 i)).contiguous().data<float32>().ToArray()

            for KeyValue(name, (ours, theirs)) in energies do
                let expected = theirs (points.double ())
                let gradient = grad (fun z -> (theirs z).sum()) (points.double ())
                let x, y = column 0, column 1
                let value, gx, gy = Array.zeroCreate 500, Array.zeroCreate 500, Array.zeroCreate 500
                ours.Evaluate(ReadOnlySpan x, ReadOnlySpan y, Span value, Span gx, Span gy)
                let close (a: float32[]) b = relativeTo (largest b) (torch.tensor a) b

                for part, error in
                    [
                        "value", close value expected
                        "x", close gx (gradient.select (1L, 0L))
                        "y", close gy (gradient.select (1L, 1L))
                    ] do
                    Expect.isTrue (error < 2e-6) $"{name}, {part}: {error}")

        testCase "small centred parameters are near the identity" (fun () ->
            use _ = torch.NewDisposeScope()
            let small = case 5L 32 64 1e-3 PlanarChain.centred None "normal"
            let image, logDet = (PlanarChain.transform small.Chain).Forward small.Points
            Expect.isTrue ((image - small.Points).abs().max().ToDouble() < 1e-2) "the map"
            Expect.isTrue (logDet.abs().max().ToDouble() < 1e-2) "the log-determinant")

        testCase "refuses tensors of another shape" (fun () ->
            let wrong = { case 1L 4 8 0.5 0.0 None "normal" with Batch = 16 }

            Expect.throwsT<ArgumentException>
                (fun () -> fused wrong |> ignore)
                "the batch has 8 points, not 16")
    ]
