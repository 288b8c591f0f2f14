/// Generators and critics against second implementations, layer by layer under the keys of their state.
module Research.Tests.Laws.GanNetworks

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State
open Research.Tests.Laws.ConvolutionalNetworks

let private leaky (slope: float) (x: Tensor) : Tensor = x.clamp_min 0.0 + slope * x.clamp_max 0.0

let private square (n: int64) = [| n; n |]

let private convolved (s: Map<string, Tensor>) key stride padding (x: Tensor) : Tensor =
    torch.nn.functional.conv2d (x, s[$"{key}.weight"], s[$"{key}.bias"], square stride, square padding)

let private raised (s: Map<string, Tensor>) key stride padding (x: Tensor) : Tensor =
    torch.nn.functional.conv_transpose2d (
        x,
        s[$"{key}.weight"],
        s[$"{key}.bias"],
        square stride,
        square padding
    )

/// By the batch's statistics, or the running ones.
let private norm (ofBatch: bool) (s: Map<string, Tensor>) key (x: Tensor) : Tensor =
    if ofBatch then
        let dims = [|
            for d in 0L .. x.ndim - 1L do
                if d <> 1L then
                    d
        |]

        normalised s key (x.mean dims) (x.var (dims, false)) x
    else
        normalised s key (s[$"{key}.running_mean"]) (s[$"{key}.running_var"]) x

/// [B, 4C, H, W] -> [B, C, 2H, 2W]: channel 4c + 2i + j gives row parity i and column parity j.
let private shuffled (x: Tensor) : Tensor =
    let b, c, h, w = x.size 0, x.size 1 / 4L, x.size 2, x.size 3

    (x.reshape [| b; c; 2L; 2L; h; w |]).permute(0L, 1L, 4L, 2L, 5L, 3L).reshape [| b; c; 2L * h; 2L * w |]

/// Running statistics that are not where they start.
let private moveStatistics (parameters: Parameters) =
    use _ = torch.no_grad ()

    for i, struct (name, tensor) in Seq.indexed parameters.Buffers do
        if name.EndsWith "running_mean" then
            tensor.copy_ (0.3 * normals (50 + i) (List.ofArray tensor.shape)) |> ignore
        elif name.EndsWith "running_var" then
            tensor.copy_ ((0.3 * normals (50 + i) (List.ofArray tensor.shape)).exp()) |> ignore

/// A generator in both of its modes. The batch's statistics also move the running ones, so those come first.
let private generates
    (make: Parameters -> Generator)
    (z: Tensor)
    (reference: bool -> Map<string, Tensor> -> Tensor -> Tensor)
    =
    let generator, p, s = State.make 3 make
    stir 20 p
    moveStatistics p
    agree "sampling" p [ z ] (fun i -> generator.Apply Running i.Head) (fun i -> reference false s i.Head)

    agree "training" p [ z ] (fun i -> generator.Apply (OfBatch 0.1) i.Head) (fun i ->
        reference true s i.Head)

// ---- 28x28 grey images ----

let private fashionGenerator ofBatch s (z: Tensor) =
    let norm key x = (norm ofBatch s key x).clamp_min 0.0
    let planes = layer s "g.0" z |> norm "g.1" |> layer s "g.3" |> norm "g.4"

    planes.reshape [| -1L; 64L; 7L; 7L |]
    |> shuffled
    |> convolved s "g.8" 1L 1L
    |> norm "g.9"
    |> shuffled
    |> convolved s "g.12" 1L 1L

let private fashionCritic s (x: Tensor) =
    let features =
        x |> convolved s "c.0" 2L 1L |> leaky 0.1 |> convolved s "c.2" 2L 1L |> leaky 0.1

    let hidden = layer s "c.5" (features.reshape [| x.size 0; -1L |]) |> leaky 0.1
    (layer s "c.7" hidden).reshape [| x.size 0 |]

let private fashion =
    testList "fashion" [
        testCase "networks/fashion/start"
        <| within (fun () ->
            startsAs (fun p -> FashionGan.generator p "g") [
                yield! linear "g.0" 64 512
                yield! batchNorm "g.1" 512
                yield! linear "g.3" 512 3136
                yield! batchNorm "g.4" 3136
                yield! conv "g.8" 16 32 3
                yield! batchNorm "g.9" 32
                yield! conv "g.12" 8 1 3
            ]

            startsAs (fun p -> FashionGan.discriminator p "c") [
                yield! conv "c.0" 1 32 4
                yield! conv "c.2" 32 64 4
                yield! linear "c.5" 3136 512
                yield! linear "c.7" 512 1
            ])

        testCase "networks/fashion/generator"
        <| within (fun () ->
            generates (fun p -> FashionGan.generator p "g") (normals 5 [ 6; 64 ]) fashionGenerator)

        testCase "networks/fashion/discriminator"
        <| within (fun () ->
            let critic, p, s = State.make 3 (fun p -> FashionGan.discriminator p "c")

            agree "critic" p [ normals 5 [ 3; 1; 28; 28 ] ] (fun i -> critic.Ready () i.Head) (fun i ->
                fashionCritic s i.Head))
    ]

// ---- 32x32 colour images ----

let private latent, private width = 5, 2

let private gated (s: Map<string, Tensor>) key (block: Tensor -> Tensor) (x: Tensor) : Tensor =
    let share = 1.0 / (1.0 + (s[$"{key}.alpha"].neg()).exp())
    (1.0 - share) * x + share * block x

let private residualGenerator ofBatch s (z: Tensor) =
    let norm key x = (norm ofBatch s key x).clamp_min 0.0

    let stage first stride padding (x: Tensor) =
        let up, upNorm, block = $"g.{first}", $"g.{first + 1}", $"g.{first + 3}"

        x
        |> raised s up stride padding
        |> norm upNorm
        |> gated s block (fun x ->
            x
            |> convolved s $"{block}.block.0" 1L 1L
            |> norm $"{block}.block.1"
            |> convolved s $"{block}.block.3" 1L 0L
            |> norm $"{block}.block.4")

    let images =
        z.reshape [| z.size 0; -1L; 1L; 1L |]
        |> stage 0 1L 0L
        |> stage 4 2L 1L
        |> stage 8 2L 1L
        |> raised s "g.12" 2L 1L

    images.tanh ()

let private stageEntries first inputs outputs = [
    let at i = $"g.{first + i}"
    yield! transposed (at 0) inputs outputs 4
    yield! batchNorm (at 1) outputs
    yield! one $"{at 3}.alpha" [] (Everywhere -3.0)
    yield! conv $"{at 3}.block.0" outputs outputs 3
    yield! batchNorm $"{at 3}.block.1" outputs
    yield! conv $"{at 3}.block.3" outputs outputs 1
    yield! batchNorm $"{at 3}.block.4" outputs
]

let private criticEntries spectral = [
    let conv key inputs outputs kernel = [
        yield! conv key inputs outputs kernel

        if spectral then
            buffer $"{key}.weight_u" [ outputs ] Direction
    ]

    for first, inputs, outputs in [ 0, 3, width; 3, width, 2 * width; 6, 2 * width, 4 * width ] do
        yield! conv $"c.{first}" inputs outputs 4
        yield! one $"c.{first + 2}.alpha" [] (Everywhere -3.0)
        yield! conv $"c.{first + 2}.block.0" outputs outputs 3
        yield! conv $"c.{first + 2}.block.2" outputs outputs 1

    yield! conv "c.9" (4 * width) 1 4
]

/// The largest singular value that one power iteration from the direction estimates.
let private estimate (weight: Tensor) (u: Tensor) : Tensor =
    let unit (x: Tensor) = x / x.square().sum().sqrt()
    let matrix = weight.flatten 1L
    let v = unit (matrix.detach().t().mv u)
    let next = unit (matrix.detach().mv v)
    (next * matrix.mv v).sum()

let private residualCritic (directions: Map<string, Tensor>) (s: Map<string, Tensor>) (x: Tensor) =
    let convolved key stride padding x =
        match Map.tryFind $"{key}.weight_u" directions with
        | None -> convolved s key stride padding x
        | Some u ->
            let weight = s[$"{key}.weight"] / estimate (s[$"{key}.weight"]) u
            torch.nn.functional.conv2d (x, weight, s[$"{key}.bias"], square stride, square padding)

    let stage first x =
        let block = $"c.{first + 2}"

        x
        |> convolved $"c.{first}" 2L 1L
        |> leaky 0.2
        |> gated s block (fun x ->
            x
            |> convolved $"{block}.block.0" 1L 1L
            |> leaky 0.2
            |> convolved $"{block}.block.2" 1L 0L
            |> leaky 0.2)

    (x |> stage 0 |> stage 3 |> stage 6 |> convolved "c.9" 1L 0L).reshape [| x.size 0 |]

let private residual =
    testList "residual" [
        testCase "networks/residual/start"
        <| within (fun () ->
            startsAs (fun p -> ResidualGan.generator p "g" latent width) [
                yield! stageEntries 0 latent (4 * width)
                yield! stageEntries 4 (4 * width) (2 * width)
                yield! stageEntries 8 (2 * width) width
                yield! transposed "g.12" width 3 4
            ]

            for spectral in [ false; true ] do
                startsAs (fun p -> ResidualGan.critic p "c" width spectral) (criticEntries spectral))

        testCase "networks/residual/generator"
        <| within (fun () ->
            let make p = ResidualGan.generator p "g" latent width
            Expect.equal (State.make 3 make |> fun (g, _, _) -> g.Latent) latent "latents"
            generates make (normals 5 [ 6; latent ]) residualGenerator)

        for name, spectral in [ "plain", false; "spectral", true ] do
            testCase $"networks/residual/critic, {name}"
            <| within (fun () ->
                let critic, p, s = State.make 3 (fun p -> ResidualGan.critic p "c" width spectral)
                stir 20 p

                let directions =
                    s |> Map.filter (fun key _ -> key.EndsWith "weight_u") |> Map.map (fun _ u -> u.clone ())

                let fromThere (i: Tensor list) =
                    for KeyValue(key, u) in directions do
                        s[key].copy_ u |> ignore

                    critic.Ready () i.Head

                agree "critic" p [ normals 5 [ 3; 3; 32; 32 ] ] fromThere (fun i ->
                    residualCritic directions s i.Head))
    ]

[<Tests>]
let tests = testList "adversarial networks" [ fashion; residual ]
