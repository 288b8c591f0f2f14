/// Priors with their parameters against second implementations.
module Research.Tests.Laws.PriorNetworks

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State
open Research.Tests.Laws.ReferenceMaps

/// An encoder of three-dimensional data without parameters of its own.
let private encode (x: Tensor) : DiagNormal = {
    Mu = x.matmul (normals 1 [ 3; latent ])
    LogVar = 0.5 * x.matmul (normals 2 [ 3; latent ])
}

let private mixture (logits: Tensor) (mu: Tensor) (logVar: Tensor) (z: Tensor) : Tensor =
    let weights = (logits.exp () / logits.exp().sum()).log()
    (weights + logNormal mu logVar (z.unsqueeze -2L)).exp().sum(-1L).log()

let private leaky (x: Tensor) : Tensor = x.clamp_min 0.0 + 0.01 * x.clamp_max 0.0

let private net s key (x: Tensor) =
    layer s $"{key}.4" (leaky (layer s $"{key}.2" (leaky (layer s $"{key}.0" x))))

/// Couplings on halves, the order of the latents reversed between them.
let private realNvp couplings (s: Map<string, Tensor>) (z: Tensor) : Tensor * Tensor =
    let half = int64 latent / 2L

    let couple (z: Tensor, logDet: Tensor) i =
        let z = if i = 0 then z else z.flip -1L
        let first, second = z.narrow (-1L, 0L, half), z.narrow (-1L, half, half)
        let scale, shift = (net s $"prior.s.{i}" first).tanh(), net s $"prior.t.{i}" first
        torch.cat ([| first; scale.exp () * second + shift |], -1L), logDet + scale.sum -1L

    List.fold couple (z, torch.zeros ([| z.size 0 |])) [ 0 .. couplings - 1 ]

/// Three couplings of splines of five bins, the order of the latents reversed between them.
let private priorSplines (s: Map<string, Tensor>) (z: Tensor) : Tensor * Tensor =
    let turn i (z: Tensor) = if i = 0 then z else z.flip -1L
    splineCouplings 5L (fun i -> net s $"prior.spline.{i}") turn 3 z

/// All pairs of side points from -1 to 1, the first coordinate the slower.
let private codes (side: int) =
    let axis = [ for i in 0 .. side - 1 -> -1.0 + 2.0 * float i / float (side - 1) ]

    (torch.tensor (
        array2D [
            for x in axis do
                for y in axis -> [ x; y ]
        ]
    ))
        .float()

let private priorCases: (string * PriorShape * Entry list * (Map<string, Tensor> -> Tensor -> Tensor)) list = [
    "standard", StandardPrior, [], (fun _ z -> logNormal (torch.zeros_like z) (torch.zeros_like z) z)
    "mixture",
    MixturePrior 3,
    [
        yield! one "prior.logits" [ 3 ] (Everywhere 0.0)
        yield! one "prior.mu" [ 3; latent ] (Normally(0.0, 1.0))
        yield! one "prior.logvar" [ 3; latent ] (Normally(0.0, 1.0))
    ],
    (fun s -> mixture (s["prior.logits"]) (s["prior.mu"]) (s["prior.logvar"]))
    "vamp",
    VampPrior(5, -0.5, 2.0),
    [
        yield! one "prior.logits" [ 5 ] (Everywhere 0.0)
        yield! one "prior.pseudo_inputs" [ 5; 3 ] (Interval(-0.5, 2.0))
    ],
    (fun s ->
        let q = encode (s["prior.pseudo_inputs"])
        mixture (s["prior.logits"]) q.Mu q.LogVar)
    "flow",
    FlowPrior(3, 6),
    [
        for i in 0..2 do
            yield! mlp $"prior.s.{i}" [ 2; 6; 6; 2 ] @ mlp $"prior.t.{i}" [ 2; 6; 6; 2 ]
    ],
    (fun s z ->
        let image, logDet = realNvp 3 s z
        logNormal (torch.zeros_like image) (torch.zeros_like image) image + logDet)
    "splines",
    SplinePrior(3, 6, 5),
    [
        for i in 0..2 do
            yield! linear $"prior.spline.{i}.0" 2 6 @ linear $"prior.spline.{i}.2" 6 6
            yield! zeroLinear $"prior.spline.{i}.4" 6 (2 * 14)
    ],
    (fun s z ->
        let image, logDet = priorSplines s z
        logNormal (torch.zeros_like image) (torch.zeros_like image) image + logDet)
    "topographic",
    TopographicPrior(3, 6),
    [
        buffer "prior.codes" [ 9; 2 ] Given
        yield! one "prior.logits" [ 9 ] (Everywhere 0.0)
        yield! mlp "prior.net" [ 2; 6; 6; 2 * latent ]
    ],
    (fun s ->
        let h = net s "prior.net" (codes 3)
        let l = int64 latent
        mixture (s["prior.logits"]) (h.narrow (-1L, 0L, l)) (h.narrow (-1L, l, l)))
]

[<Tests>]
let tests =
    testList "prior networks" [
        for name, shape, entries, reference in priorCases do
            testCase $"networks/prior/{name}"
            <| within (fun () ->
                let build p = PriorShape.create p encode 3 latent shape
                startsAs build entries
                let prior, p, s = make 3 build
                stir 20 p

                agree "log p(z)" p [ normals 4 [ 6; latent ] ] (fun i -> (prior ()).LogProb i.Head) (fun i ->
                    reference s i.Head)

                if name = "topographic" then
                    close "codes" (s["prior.codes"]) (codes 3)
                elif name = "standard" then
                    Expect.isSome (prior ()).KlFrom "in closed form")

        for name, shape, toBase in
            [ "flow", FlowPrior(3, 6), realNvp 3; "splines", SplinePrior(3, 6, 5), priorSplines ] do
            testCase $"networks/prior/{name}, samples"
            <| within (fun () ->
                let prior, p, s = make 3 (fun p -> PriorShape.create p encode 3 latent shape)
                stir 20 p
                let eps = normals 4 [ 6; latent ]
                close "the noise of a sample" (fst (toBase s ((prior ()).Sample eps eps))) eps)

        testCase "networks/prior/six latents"
        <| within (fun () ->
            let build shape p = PriorShape.create p encode 3 6 shape

            startsAs (build (FlowPrior(1, 5))) [
                yield! mlp "prior.s.0" [ 3; 5; 5; 3 ]
                yield! mlp "prior.t.0" [ 3; 5; 5; 3 ]
            ]

            startsAs (build (SplinePrior(1, 5, 4))) [
                yield! linear "prior.spline.0.0" 3 5 @ linear "prior.spline.0.2" 5 5
                yield! zeroLinear "prior.spline.0.4" 5 (3 * 11)
            ])

        testCase "networks/prior/odd latents"
        <| within (fun () ->
            Expect.throwsT<System.ArgumentException>
                (fun () -> make 3 (fun p -> PriorShape.create p encode 3 5 (FlowPrior(2, 4))) |> ignore)
                "five latents have no halves"

            Expect.throwsT<System.ArgumentException>
                (fun () -> make 3 (fun p -> PriorShape.create p encode 3 5 (SplinePrior(2, 4, 3))) |> ignore)
                "nor for splines")
    ]
