/// Convolutions, batch normalisation and the classifiers made of them against second implementations, tensor by tensor of
/// their state.
module Research.Tests.Laws.ConvolutionalNetworks

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State

let private classifierEntries =
    [ 3, 2; 2, 4; 4, 8 ]
    |> List.indexed
    |> List.collect (fun (i, (inputs, outputs)) ->
        conv $"blocks.{i}.0" inputs outputs 3 @ batchNorm $"blocks.{i}.1" outputs)

/// Batch normalisation from given statistics.
let normalised (s: Map<string, Tensor>) key (mean: Tensor) (variance: Tensor) (x: Tensor) : Tensor =
    let shaped (t: Tensor) = t.reshape (Array.append [| 1L; -1L |] (Array.create (int x.ndim - 2) 1L))
    let standard = (x - shaped mean) / (shaped variance + 1e-5).sqrt()
    shaped s[$"{key}.weight"] * standard + shaped s[$"{key}.bias"]

let private convolutions =
    testList "convolutions" [
        testCase "networks/conv/start"
        <| within (fun () ->
            startsAs (fun p -> Conv.create p "c" 3 5 4 2 1) (conv "c" 3 5 4)
            startsAs (fun p -> Conv.createTransposed p "c" 3 5 4 2 1) (transposed "c" 3 5 4)

            startsAs (fun p -> SpectralConv.create p "c" 3 5 4 2 1) [
                yield! conv "c" 3 5 4
                buffer "c.weight_u" [ 5 ] Direction
            ]

            startsAs (fun p -> BatchNorm.create p "n" 4) (batchNorm "n" 4))

        testCase "networks/conv/sums"
        <| within (fun () ->
            // One output element is the sum over a window of the padded input.
            let layer, _, s = make 2 (fun p -> Conv.create p "c" 2 3 3 2 1)
            let x = normals 3 [ 2; 2; 5; 5 ]
            let y = Conv.apply layer x
            Expect.equal y.shape [| 2L; 3L; 3L; 3L |] "shape"
            let padded = torch.nn.functional.pad (x, [| 1L; 1L; 1L; 1L |])

            for o, i, j in [ 0L, 0L, 0L; 2L, 1L, 2L; 1L, 2L, 1L ] do
                let window = padded.narrow(2L, 2L * i, 3L).narrow(3L, 2L * j, 3L)
                let expected = (window * s["c.weight"][o]).sum([| 1L; 2L; 3L |]) + s["c.bias"][o]
                close "element" (y.select(1L, o).select(1L, i).select(1L, j)) expected)

        testCase "networks/conv/adjoint"
        <| within (fun () ->
            // Without biases <conv x, y> = <x, transposed y> for the same weight.
            let up, _, s = make 2 (fun p -> Conv.createTransposed p "c" 3 2 4 2 1)
            let x, y = normals 3 [ 2; 2; 6; 6 ], normals 4 [ 2; 3; 3; 3 ]
            let down = { up with Bias = torch.zeros 3L }
            let back = Conv.applyTransposed { up with Bias = torch.zeros 2L } y
            let inner (a: Tensor) (b: Tensor) = (a * b).sum()
            close "adjoint" (inner (Conv.apply down x) y) (inner x back)
            let bias = s["c.bias"].reshape [| 1L; 2L; 1L; 1L |]
            close "bias" (Conv.applyTransposed up y) (back + bias))

        testCase "networks/spectral/one iteration"
        <| within (fun () ->
            let made, p, s = make 2 (fun p -> SpectralConv.create p "c" 2 3 3 1 1)
            let u = s["c.weight_u"].clone()
            let matrix = s["c.weight"].detach().flatten 1L
            let unit (x: Tensor) = x / x.square().sum().sqrt()
            let v = unit (matrix.t().mv u)
            let next = unit (matrix.mv v)
            let x = normals 3 [ 2; 2; 4; 4 ]

            agree
                "normalised"
                p
                [ x ]
                (fun i ->
                    made.Direction.copy_ u |> ignore
                    Conv.apply (SpectralConv.normalise made) i.Head)
                (fun i ->
                    let sigma = (next.unsqueeze 0L).matmul(s["c.weight"].flatten 1L).matmul(v)
                    let weight = s["c.weight"] / sigma
                    torch.nn.functional.conv2d (i.Head, weight, s["c.bias"], [| 1L; 1L |], [| 1L; 1L |]))

            close "direction" made.Direction next)

        testCase "networks/spectral/a weight of zeros stays as it is"
        <| within (fun () ->
            let made, p, s = make 2 (fun p -> SpectralConv.create p "c" 2 3 3 1 1)
            let empty = s["c.weight"].detach().zero_()
            let x = normals 3 [ 2; 2; 4; 4 ]

            agree "zeros" p [ x ] (fun i -> Conv.apply (SpectralConv.normalise made) i.Head) (fun i ->
                torch.nn.functional.conv2d (i.Head, s["c.weight"], s["c.bias"], [| 1L; 1L |], [| 1L; 1L |]))

            Expect.equal (elements empty |> Array.sumBy abs) 0.0 "still zeros")

        testCase "networks/batch-norm/both statistics"
        <| within (fun () ->
            let norm, p, s = make 2 (fun p -> BatchNorm.create p "n" 3)
            stir 10 p
            use _ = torch.no_grad ()
            s["n.running_mean"].copy_(normals 4 [ 3 ]) |> ignore
            s["n.running_var"].copy_((normals 5 [ 3 ]).exp()) |> ignore
            use _ = torch.enable_grad ()
            let x = 2.0 * normals 3 [ 4; 3; 2; 2 ] + 1.0
            let mean, variance = s["n.running_mean"].clone(), s["n.running_var"].clone()
            let dims = [| 0L; 2L; 3L |]

            agree "running" p [ x ] (fun i -> BatchNorm.apply norm Running i.Head) (fun i ->
                normalised s "n" mean variance i.Head)

            agree "of the batch" p [ x ] (fun i -> BatchNorm.apply norm (OfBatch 0.25) i.Head) (fun i ->
                normalised s "n" (i.Head.mean dims) (i.Head.var (dims, false)) i.Head)

            close "running mean" (s["n.running_mean"]) (0.75 * mean + 0.25 * x.mean dims)
            // PyTorch moves the running variance towards the unbiased one.
            close "running variance" (s["n.running_var"]) (0.75 * variance + 0.25 * x.var (dims, true)))

        testCase "networks/classifier/start"
        <| within (fun () ->
            startsAs (fun p -> Classifier.create p 2 10) (classifierEntries @ linear "output" 8 10))

        testCase "networks/classifier/layers"
        <| within (fun () ->
            let classifier, p, s = make 2 (fun p -> Classifier.create p 2 10)
            stir 10 p
            use _ = torch.no_grad ()

            for i, channels in List.indexed [ 2; 4; 8 ] do
                s[$"blocks.{i}.1.running_mean"].copy_(0.3 * normals (4 + i) [ channels ]) |> ignore
                s[$"blocks.{i}.1.running_var"].copy_((normals (7 + i) [ channels ]).exp()) |> ignore

            use _ = torch.enable_grad ()
            let x = normals 3 [ 2; 3; 32; 32 ]

            let reference statistics (x: Tensor) =
                let block (h: Tensor) i =
                    let key = $"blocks.{i}"
                    let ones = [| 1L; 1L |]

                    let sums =
                        torch.nn.functional.conv2d (h, s[$"{key}.0.weight"], s[$"{key}.0.bias"], ones, ones)

                    let mean, variance = statistics key sums
                    let active = (normalised s $"{key}.1" mean variance sums).clamp_min 0.0
                    // The largest of each 2x2 square.
                    let squares = active.unfold(2L, 2L, 2L).unfold(3L, 2L, 2L)
                    squares.amax ([| -1L; -2L |])

                let features = (List.fold block x [ 0; 1; 2 ]).flatten(2L).mean [| -1L |]
                torch.cat ([| features; layer s "output" features |], -1L)

            let running key _ = s[$"{key}.1.running_mean"], s[$"{key}.1.running_var"]
            let ofBatch _ (h: Tensor) = (let dims = [| 0L; 2L; 3L |] in h.mean dims, h.var (dims, false))
            let joined (f: Tensor, l: Tensor) = torch.cat ([| f; l |], -1L)
            let network = Classifier.network "judge" classifier
            Expect.equal (network.Name, network.Features) ("judge", 8) "name and features"
            agree "judge" p [ x ] (List.head >> network.Extract >> joined) (List.head >> reference running)

            agree
                "training"
                p
                [ x ]
                (List.head >> Classifier.apply classifier (OfBatch 0.1) >> joined)
                (List.head >> reference ofBatch))
    ]

[<Tests>]
let tests = testList "convolutional networks" [ convolutions ]
