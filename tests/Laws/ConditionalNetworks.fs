/// Conditional autoencoders with a learned prior of each class against a second implementation, in values and gradients.
module Research.Tests.Laws.ConditionalNetworks

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State

let private shape: VaeShape = {
    Data = 6
    Latent = 2
    Hidden = [ 5; 4 ]
    Activation = Tanh
    Likelihood = Gaussian 0.4
    Variance = LogVariance
}

let private perceptron (s: Map<string, Tensor>) key (x: Tensor) : Tensor =
    let layer i (x: Tensor) = x.matmul (s[$"{key}.{i}.weight"].t()) + s[$"{key}.{i}.bias"]
    layer 4 ((layer 2 ((layer 0 x).tanh())).tanh())

/// The class's row of a table, `y: [..,C]` a one-hot vector, or any numbers for the gradient's sake.
let private rowOf (s: Map<string, Tensor>) key (y: Tensor) : Tensor =
    (y.unsqueeze -1L * s[$"prior.{key}"]).sum -2L

let private classesOf (rows: Tensor) : Tensor = rows.narrow (-1L, 6L, 3L)

/// Mean and log-variance of the code in units of its class's prior: ((mu - m)/sd, log(variance/prior variance)).
let private encoded s (rows: Tensor) : Tensor =
    let h, y = perceptron s "encoder" rows, classesOf rows
    let sd = (rowOf s "logvar" y).exp().sqrt()

    torch.cat (
        [|
            (h.narrow (-1L, 0L, 2L) - rowOf s "mu" y) / sd
            h.narrow (-1L, 2L, 2L) - 2.0 * sd.log ()
        |],
        -1L
    )

/// The decoder of (m + sd z, y).
let private decoded s (y: Tensor) (z: Tensor) : Tensor =
    let code = rowOf s "mu" y + (rowOf s "logvar" y).exp().sqrt() * z

    perceptron
        s
        "decoder"
        (torch.cat ([| code; y.expand (Array.append code.shape[.. int code.ndim - 2] [| 3L |]) |], -1L))

let private labels () = torch.tensor [| 2L; 0L; 1L; 2L |]

let private hot () =
    torch.tensor (
        array2D [ [ 0.0f; 0.0f; 1.0f ]; [ 1.0f; 0.0f; 0.0f ]; [ 0.0f; 1.0f; 0.0f ]; [ 0.0f; 0.0f; 1.0f ] ]
    )

let private model () =
    let vae, p, s = make 2 (fun p -> ConditionalVae.createWithPrior p shape 3)
    stir 20 p
    vae, p, s

[<Tests>]
let tests =
    testList "conditional networks" [
        testCase "networks/class prior/start"
        <| within (fun () ->
            startsAs (fun p -> ConditionalVae.createWithPrior p shape 7) [
                yield! mlp "encoder" [ 13; 5; 4; 4 ] @ mlp "decoder" [ 9; 4; 5; 6 ]
                yield! one "prior.mu" [ 7; 2 ] (Normally(0.0, 1.0))
                yield! one "prior.logvar" [ 7; 2 ] (Everywhere 0.0)
            ])

        testCase "networks/class prior/rows"
        <| within (fun () ->
            let _, p, _ = model ()

            agree
                "[x | one-hot y]"
                p
                [ normals 3 [ 4; 6 ] ]
                (fun i -> ConditionalVae.withLabels 3 i.Head (labels ()))
                (fun i -> torch.cat ([| i.Head; hot () |], -1L)))

        testCase "networks/class prior/model"
        <| within (fun () ->
            let vae, p, s = model ()
            let parts = ConditionalVae.model vae
            let rows = torch.cat ([| normals 3 [ 4; 6 ]; hot () |], -1L)

            agree
                "q(z|x,y)"
                p
                [ rows ]
                (fun i ->
                    let q = (parts.Encode i.Head).Base
                    torch.cat ([| q.Mu; q.LogVar |], -1L))
                (List.head >> encoded s)

            agree
                "log p(x|y,z)"
                p
                [ rows; normals 5 [ 2; 4; 2 ] ]
                (fun i -> parts.LogLikelihood (i[0]) (i[1]))
                (fun i ->
                    let error = (i[0].narrow(-1L, 0L, 6L) - decoded s (classesOf (i[0])) (i[1])) / 0.4
                    (-0.5 * error * error - log (0.4 * sqrt (2.0 * System.Math.PI))).sum -1L))

        testCase "networks/class prior/images"
        <| within (fun () ->
            let vae, p, s = model ()
            let z, noise = normals 5 [ 4; 2 ], normals 6 [ 4; 6 ]

            agree "E[x|y,z]" p [ z ] (List.head >> ConditionalVae.meanImage vae (labels ())) (fun i ->
                decoded s (hot ()) i.Head)

            agree
                "x of noise"
                p
                [ z; noise ]
                (fun i -> ConditionalVae.sample vae (labels ()) (i[0]) (i[1]))
                (fun i -> decoded s (hot ()) (i[0]) + 0.4 * i[1]))
    ]
