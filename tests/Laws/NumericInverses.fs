/// Numeric inverses of flows and their gradients.
module Research.Tests.Laws.NumericInverses

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.LinearModels

/// A map, points, and what it does to the point of a number in plain floats.
type private Invertible = { Map: Transform; Z: Tensor; Plain: int -> float[] -> float[] * float }

/// A network whose output i sees the inputs before it, and the step that it makes.
let private autoregressive (seed: int) (l: int64) =
    let below (seed: int) = (gaussian seed [ l; l ]).tril -1L
    let a, b = below seed, below (seed + 1)
    let net (z: Tensor) = (z.matmul (a.t ())).sin(), z.matmul (b.t ()) + 0.3

    let plain (z: float[]) =
        let m = Plain.apply (Plain.rows a) z |> Array.map sin
        let s = Plain.apply (Plain.rows b) z |> Array.map ((+) 0.3)
        Plain.gated m s z

    net, plain

let private planarOf (u: Tensor) (w: Tensor) (b: Tensor) (z: Tensor) = {
    Map = invertiblePlanar u w b
    Z = z
    Plain =
        fun i ->
            let i = if u.ndim = 1L then 0 else i % int (u.size 0)
            let us, ws, bs = Plain.rows u, Plain.rows w, elements b
            Plain.planar us[i] ws[i] bs[i]
}

let private inverses =
    let error (change: (Tensor -> Tensor * Tensor) -> Tensor -> Tensor * Tensor) (instance: Invertible) =
        let images = Plain.rows instance.Z |> Array.mapi instance.Plain
        let y = (torch.tensor (Array.collect fst images)).view_as instance.Z
        let z, back = change instance.Map.Inverse.Value y

        max
            (Plain.against (elements instance.Z) z)
            (Plain.against (images |> Array.map (fun (_, logDet) -> -logDet)) back)

    {
        Id = "flow/numeric-inverse"
        Statement = "The numeric inverse undoes the map, and its log-determinant is the negative one."
        Labels = []
        Function = "invertiblePlanar, invertibleAutoregressive"
        Instances = [
            "planar", planarOf (gaussian 1 [ 3L ]) (gaussian 2 [ 3L ]) (scalar 0.4) (gaussian 3 [ 6L; 3L ])
            "planar, one for each example",
            planarOf
                (3.0 * gaussian 4 [ 6L; 2L ])
                (2.0 * gaussian 5 [ 6L; 2L ])
                (gaussian 6 [ 6L ])
                (2.0 * gaussian 7 [ 4L; 6L; 2L ])
            "planar, nearly folded",
            planarOf (vector [ -6.0; 0.0 ]) (vector [ 1.0; 0.0 ]) (scalar 0.0) (gaussian 8 [ 9L; 2L ])
            "planar, a shift",
            {
                planarOf (vector [ 1.0; 2.0 ]) (vector [ 0.0; 0.0 ]) (scalar 0.7) (gaussian 8 [ 9L; 2L ]) with
                    Plain = fun _ z -> [| z[0] + tanh 0.7; z[1] + 2.0 * tanh 0.7 |], 0.0
            }
            "autoregressive",
            (let net, plain = autoregressive 9 4L in

             {
                 Map = invertibleAutoregressive net
                 Z = gaussian 10 [ 5L; 4L ]
                 Plain = fun _ -> plain
             })
            "composed",
            (let net, plain = autoregressive 11 2L
             let u, w = gaussian 12 [ 2L ], gaussian 13 [ 2L ]

             {
                 Map =
                     Transform.compose [
                         invertibleAutoregressive net
                         Transform.flip
                         invertiblePlanar u w (scalar -0.2)
                     ]
                 Z = gaussian 14 [ 5L; 2L ]
                 Plain =
                     fun _ z ->
                         let middle, first = plain z
                         let image, second = Plain.planar (elements u) (elements w) -0.2 (Array.rev middle)
                         image, first + second
             })
        ]
        Error = error id
        Tolerance = Tolerance.limit 1e-9
        Mutants = [
            "the map again", error (fun inverse y -> (let z, logDet = inverse y in 2.0 * z - y, logDet))
            "the same log-determinant",
            error (fun inverse y -> (let z, logDet = inverse y in z, logDet.neg ()))
            "no log-determinant", error (fun inverse y -> (let z, logDet = inverse y in z, 0.0 * logDet))
        ]
    }

let private inverseGradients =
    let u, w, b, y = gaussian 1 [ 2L ], gaussian 2 [ 2L ], scalar 0.3, gaussian 3 [ 2L ]

    let exact (u: Tensor) (w: Tensor) (b: Tensor) (y: Tensor) = (invertiblePlanar u w b).Inverse.Value y

    let parts = [ u; w; b; y ]

    let error (inverse: Tensor -> Tensor -> Tensor -> Tensor -> Tensor * Tensor) (which: int) =
        let through (x: Tensor) =
            let at i (held: Tensor) = if which = i then x.reshape held.shape else held
            let (z: Tensor), (logDet: Tensor) = inverse (at 0 u) (at 1 w) (at 2 b) (at 3 y)
            (z * vector [ 1.0; -2.0 ]).sum() + logDet

        // Differences of the inverse in plain floats.
        let plain (x: float[]) =
            let at i = if which = i then x else elements (List.item i parts)
            let z, logDet = Plain.planarInverse (at 0) (at 1) (Array.head (at 2)) (at 3)
            z[0] - 2.0 * z[1] + logDet

        let start = (List.item which parts).reshape -1L
        let step = 1e-5

        let slopes =
            elements start
            |> Array.mapi (fun i _ ->
                let moved (by: float) = elements start |> Array.mapi (fun j x -> if i = j then x + by else x)
                (plain (moved step) - plain (moved -step)) / (2.0 * step))

        Plain.against slopes (grad through start)

    let ofHeldRoot (u: Tensor) (w: Tensor) (b: Tensor) (y: Tensor) =
        let z = fst (exact u w b y)
        let h = (sumLast (z * w) + b).tanh().detach()
        let z = y - h * planarInvertibleU u w
        z, (snd ((planar u w b).Forward z)).neg()

    {
        Id = "flow/inverse-gradient"
        Statement = "The gradient of the planar map's inverse is that of the implicit function."
        Labels = []
        Function = "invertiblePlanar"
        Instances = [ "by u", 0; "by w", 1; "by b", 2; "by y", 3 ]
        Error = error exact
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "the root held", error ofHeldRoot
            "the map's own",
            error (fun u w b y -> (let z, logDet = exact u w b y in 2.0 * z.detach () - y, logDet))
        ]
    }

[<Tests>]
let tests = testList "numeric inverses" [ Law.test inverses; Law.test inverseGradients ]
