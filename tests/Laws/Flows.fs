/// Transforms against the Jacobian that autograd computes.
module Research.Tests.Laws.Flows

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

/// A planar map's parameters; UW is the value that w.u is set to, -1 being the edge of invertibility.
type Planar = { Seed: int; Dim: int64; UW: float }

let private planars = [
    "one dimension", { Seed = 1; Dim = 1L; UW = 0.5 }
    "two dimensions", { Seed = 2; Dim = 2L; UW = 2.0 }
    "eight, past the edge", { Seed = 3; Dim = 8L; UW = -1.5 }
    "sixty-four", { Seed = 4; Dim = 64L; UW = 3.0 }
    "nearly folded", { Seed = 5; Dim = 2L; UW = -8.0 }
    "near the identity", { Seed = 6; Dim = 3L; UW = log (exp 1.0 - 1.0) + 1e-6 }
    "strong", { Seed = 7; Dim = 4L; UW = 60.0 }
]

let private parameters (p: Planar) =
    let w = gaussian (10 * p.Seed) [ p.Dim ]
    let u = gaussian (10 * p.Seed + 1) [ p.Dim ]
    let along = (p.UW - value (u.dot w)) / value (w.dot w)
    u + along * w, w, gaussian (10 * p.Seed + 2) []

/// Logs of determinants are compared where the determinant is at least this far from zero in the instances.
let private logDetError (transform: Transform) (z: Tensor) =
    distance ((snd (transform.Forward z)).detach()) (jacobianLogDet (transform.Forward >> fst) z)

let private planarJacobian =
    let error (planar: Tensor -> Tensor -> Tensor -> Transform) (instance: Planar) =
        let u, w, b = parameters instance
        let z = gaussian 3 [ 5L; instance.Dim ]
        let shared = logDetError (planar u w b) z
        // The same map with a batch of parameters.
        let ofItsOwn (x: Tensor) = x.unsqueeze(0L).expand(Array.append [| 5L |] x.shape)
        let amortised = planar (ofItsOwn u) (ofItsOwn w) (ofItsOwn b)
        let image, logDet = (planar u w b).Forward z
        let image', logDet' = amortised.Forward z
        let plain = Plain.rows z |> Array.map (Plain.planar (elements u) (elements w) (value b))

        List.max [
            shared
            distance image' image
            distance logDet' logDet
            Plain.against (Array.collect fst plain) image
            Plain.against (Array.map snd plain) logDet
        ]

    let withLogDet (logDet: Tensor -> Tensor -> Tensor -> Tensor -> Tensor -> Tensor) u w b =
        let flow = planar u w b

        let forward (z: Tensor) =
            let image, exact = flow.Forward z
            image, logDet u w ((sumLast (z * w) + b).tanh()) exact image

        { flow with Forward = forward }

    {
        Id = "planar/jacobian"
        Statement = "The planar map's log-determinant is that of its Jacobian, shared or amortised."
        Labels = [ "eq:planar"; "eq:planar-logdet" ]
        Function = "planar"
        Instances = planars
        Error = error planar
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "u for u-hat",
            error (withLogDet (fun u w h _ _ -> (1.0 + (1.0 - h.square ()) * sumLast (u * w)).abs().log()))
            "tanh for its derivative",
            error (withLogDet (fun u w h _ _ -> (1.0 + h * sumLast (planarInvertibleU u w * w)).abs().log()))
            "once a dimension", error (withLogDet (fun _ _ _ exact image -> exact * float (image.size -1)))
            "offset with its sign turned", error (fun u w b -> planar u w (b.neg ()))
        ]
    }

let private planarInvertible =
    let error (uHat: Tensor -> Tensor -> Tensor) (instance: Planar) =
        let u, w, _ = parameters instance
        let made = uHat u w
        let a = value (made.dot w)
        // Along w the map is s -> s + a tanh(s): it must rise everywhere, and most slowly around 0.
        let s = torch.linspace (-5.0, 5.0, 2001L, dtype = torch.float64)
        let image = s + a * s.tanh ()
        let rise = image.narrow (0L, 1L, 2000L) - image.narrow (0L, 0L, 2000L)
        let folds = excess 0.0 (value (rise.min ()))
        // Only the part along w is corrected, to softplus(w.u) - 1.
        let across (x: Tensor) = x - (x.dot w / w.dot w) * w

        List.max [
            folds
            distance (across made) (across u)
            abs (a - (Math.Log(1.0 + exp instance.UW) - 1.0))
            Plain.against (Plain.planarU (elements u) (elements w)) made
        ]

    let core = planarInvertibleU

    {
        Id = "planar/invertible"
        Statement = "w.u-hat = softplus(w.u) - 1 > -1, so the map rises along w; nothing changes across w."
        Labels = [ "eq:planar-invertible" ]
        Function = "planarInvertibleU"
        Instances = planars
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "no reparameterisation", error (fun u _ -> u)
            "not divided by |w|^2", error (fun u w -> u + (core u w - u) * w.dot w)
            "old part along w kept", error (fun u w -> core u w + (u.dot w / w.dot w) * w)
        ]
    }

/// The numerics at the edge, in float32: the determinant of a nearly folded map keeps its digits.
let private planarSinglePrecision =
    let error (planar: Tensor -> Tensor -> Tensor -> Transform) (instance: Planar) =
        let u, w, b = parameters instance
        let z = 0.01 * gaussian 3 [ 50L; instance.Dim ]
        let exact = snd ((Research.Core.planar u w (0.0 * b)).Forward z)
        let single = snd ((planar (u.float ()) (w.float ()) (0.0 * b.float ())).Forward(z.float ()))
        relativeDistance (single.double ()) exact

    let throughLog1p (u: Tensor) (w: Tensor) (b: Tensor) =
        let flow = planar u w b
        let slope = sumLast (planarInvertibleU u w * w)

        let forward (z: Tensor) =
            let h = (sumLast (z * w) + b).tanh()
            fst (flow.Forward z), ((1.0 - h.square ()) * slope).log1p()

        { flow with Forward = forward }

    {
        Id = "planar/single-precision"
        Statement = "float32 gives the log-determinant to rounding, also where the map nearly folds."
        Labels = []
        Function = "planar"
        Instances = [
            "one dimension", { Seed = 1; Dim = 1L; UW = 0.5 }
            "folded but for rounding", { Seed = 5; Dim = 2L; UW = -15.0 }
        ]
        Error = error planar
        Tolerance = Tolerance.float32Identity
        Mutants = [ "log1p of the slope", error throughLog1p ]
    }

/// Smooth networks of a coupling's half, different for each seed.
let private net (seed: int) (inputs: int64) (outputs: int64) (z: Tensor) =
    let hidden = (z.matmul (gaussian seed [ inputs; 6L ]) + 0.1).tanh()
    0.5 * hidden.matmul (gaussian (seed + 1) [ 6L; outputs ])

let smoothCoupling (seed: int) (dim: int64) : Transform =
    let half = dim / 2L
    coupling (net seed half half) (net (seed + 7) half half)

type Sized = { Seed: int; Dim: int64 }

let private couplingJacobian =
    let error (make: (Tensor -> Tensor) -> (Tensor -> Tensor) -> Transform) (instance: Sized) =
        let half = instance.Dim / 2L
        let flow = make (net instance.Seed half half) (net (instance.Seed + 7) half half)
        let z = gaussian 3 [ 5L; instance.Dim ]
        let image, logDet = flow.Forward z
        let back, backLogDet = flow.Inverse.Value image
        let ofVector net (x: float[]) = elements (net (torch.tensor x))

        let plain =
            let scale, shift = net instance.Seed half half, net (instance.Seed + 7) half half
            Plain.rows z |> Array.map (Plain.coupling (ofVector scale) (ofVector shift))

        List.max [
            logDetError flow z
            distance back z
            distance (backLogDet.neg ()) logDet
            Plain.against (Array.collect fst plain) image
            Plain.against (Array.map snd plain) logDet
        ]

    let altered (change: Tensor -> Tensor) scale shift =
        let flow = coupling scale shift

        {
            flow with
                Forward = fun z -> let image, logDet = flow.Forward z in image, change logDet
        }

    {
        Id = "coupling/jacobian"
        Statement = "The coupling's log-determinant is that of its Jacobian, and its inverse undoes both."
        Labels = [ "eq:coupling" ]
        Function = "coupling"
        Instances = [
            "two", { Seed = 1; Dim = 2L }
            "six", { Seed = 2; Dim = 6L }
            "thirty-two", { Seed = 3; Dim = 32L }
        ]
        Error = error coupling
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "no log-determinant", error (altered torch.zeros_like)
            "determinant for its logarithm", error (altered (fun l -> l.exp ()))
            "scale squared", error (fun scale shift -> coupling (fun z -> 2.0 * scale z) shift)
            "shift subtracted", error (fun scale shift -> coupling scale (fun z -> (shift z).neg()))
            "shift undone after the scale",
            error (fun scale shift ->
                let flow = coupling scale shift

                let inverse (y: Tensor) =
                    let h = y.size -1 / 2L
                    let y1, y2 = y.narrow (-1L, 0L, h), y.narrow (-1L, h, h)
                    let s = scale y1
                    torch.cat ([| y1; y2 * (s.neg ()).exp() - shift y1 |], -1L), (sumLast s).neg()

                { flow with Inverse = Some inverse })
        ]
    }

type Masks = { Hidden: bool; Output: bool }

/// A MADE with one hidden layer of three units a degree: degrees 1..D in, 1..D-1 hidden, 1..D out.
let private made (mask: bool -> int64[] -> int64[] -> Tensor) (seed: int) (dim: int64) (z: Tensor) =
    let inputs = [| 1L .. dim |]
    let hidden = Array.init (3 * int dim) (fun i -> 1L + int64 i % max 1L (dim - 1L))
    let weights seed (m: Tensor) = m.double () * gaussian seed (List.ofArray m.shape)
    let first = weights seed (mask false inputs hidden)
    let second = weights (seed + 1) (mask true hidden inputs)
    (z.matmul (first.t ()) + 0.1).tanh().matmul(second.t ()) + 0.2

let private madeStrict =
    let error (mask: bool -> int64[] -> int64[] -> Tensor) (instance: Sized) =
        let j = jacobian (made mask instance.Seed instance.Dim) (gaussian 3 [ instance.Dim ])
        let forbidden = value (j.triu().abs().max())
        let below = j.abs () + torch.ones_like(j).triu()
        // Degrees in no order and unequal numbers of them, entry by entry.
        let inputs, outputs = [| 2L; 0L; 3L; 1L; 2L |], [| 1L; 3L; 0L; 2L |]

        let plain strict = [|
            for o in outputs do
                for i in inputs -> if o > i || (o = i && not strict) then 1.0 else 0.0
        |]

        List.max [
            forbidden
            // Every output before which an input stands must see it.
            (if value (below.min ()) = 0.0 then 1.0 else 0.0)
            Plain.against (plain true) (mask true inputs outputs)
            Plain.against (plain false) (mask false inputs outputs)
        ]

    {
        Id = "made/strict"
        Statement = "Output i of the masked network depends on every input before i and on no other."
        Labels = [ "eq:made" ]
        Function = "madeMask"
        Instances = [
            "two", { Seed = 1; Dim = 2L }
            "five", { Seed = 2; Dim = 5L }
            "sixteen", { Seed = 3; Dim = 16L }
        ]
        Error = error madeMask
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "output not strict", error (fun _ inputs outputs -> madeMask false inputs outputs)
            "hidden layer strict too", error (fun _ inputs outputs -> madeMask true inputs outputs)
            "no mask", error (fun strict inputs outputs -> torch.ones_like (madeMask strict inputs outputs))
        ]
    }

let private iafJacobian =
    let autoregressive (instance: Sized) (z: Tensor) =
        made madeMask instance.Seed instance.Dim z, made madeMask (instance.Seed + 5) instance.Dim z + 1.0

    let error (make: (Tensor -> Tensor * Tensor) -> Transform) (instance: Sized) =
        let z = gaussian 3 [ 5L; instance.Dim ]
        let flow = make (autoregressive instance)
        let image, logDet = flow.Forward z
        let m, s = autoregressive instance z
        let plain = Array.map3 Plain.gated (Plain.rows m) (Plain.rows s) (Plain.rows z)

        List.max [
            logDetError flow z
            Plain.against (Array.collect fst plain) image
            Plain.against (Array.map snd plain) logDet
        ]

    let withLogDet logDet (network: Tensor -> Tensor * Tensor) =
        let flow = inverseAutoregressive network
        { flow with Forward = fun z -> fst (flow.Forward z), logDet (snd (network z)) }

    {
        Id = "iaf/jacobian"
        Statement = "The inverse autoregressive step's log-determinant is that of its Jacobian."
        Labels = [ "eq:iaf" ]
        Function = "inverseAutoregressive"
        Instances = [ "two", { Seed = 1; Dim = 2L }; "eight", { Seed = 2; Dim = 8L } ]
        Error = error inverseAutoregressive
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "sum of s, without the sigmoid", error (withLogDet sumLast)
            "of 1 - g", error (withLogDet (fun s -> sumLast (logSigmoid (s.neg ()))))
            "m not gated",
            error (fun network ->
                let flow = inverseAutoregressive network

                let forward (z: Tensor) =
                    let m, s = network z
                    s.sigmoid () * z + m, snd (flow.Forward z)

                { flow with Forward = forward })
            "a network that looks ahead",
            error (fun network ->
                inverseAutoregressive (fun z ->
                    let m, s = network z
                    m.flip -1L, s.flip -1L))
        ]
    }

type private Simple = {
    Identity: Transform
    Flip: Transform
    Invert: Transform -> Transform
    AndThen: Transform -> Transform -> Transform
}

let private simple =
    let shift c : Transform = {
        Forward = fun z -> z + c, c * c * z.sum -1L
        Inverse = Some(fun y -> y - c, 7.0 * c * y.sum -1L)
    }

    let error (simple: Simple) (shape: int64 list) =
        let z = gaussian 1 shape
        let zero = z.sum -1L * 0.0
        let reversed = Plain.rows z |> Array.collect Array.rev

        let keeps (t: Transform) (image: float[]) =
            [ t.Forward; t.Inverse.Value ]
            |> List.map (fun map ->
                let y, logDet = map z
                max (Plain.against image y) (distance logDet zero))
            |> List.max

        // The functions change places, their log-determinants with them.
        let inverted = simple.Invert(shift 2.0)
        let back, backLogDet = inverted.Forward z
        let ahead, aheadLogDet = inverted.Inverse.Value z
        let both = simple.AndThen (shift 5.0) (shift 2.0)
        let image, logDet = both.Forward z
        let undone, undoneLogDet = both.Inverse.Value z
        let sum = z.sum -1L
        let l = float (z.size -1)

        List.max [
            keeps simple.Identity (elements z)
            keeps simple.Flip reversed
            distance back (z - 2.0)
            distance backLogDet (14.0 * sum)
            distance ahead (z + 2.0)
            distance aheadLogDet (4.0 * sum)
            distance image (z + 7.0)
            distance logDet (4.0 * sum + 25.0 * (sum + 2.0 * l))
            distance undone (z - 7.0)
            distance undoneLogDet (35.0 * sum + 14.0 * (sum - 5.0 * l))
        ]

    let core = {
        Identity = Transform.identity
        Flip = Transform.flip
        Invert = Transform.invert
        AndThen = Transform.andThen
    }

    {
        Id = "flow/simple"
        Statement =
            "The identity keeps, the flip reverses, inverting exchanges the two maps, and of two maps the second takes the first one's image."
        Labels = []
        Function = "Transform.identity, Transform.flip, Transform.invert, Transform.andThen"
        Instances = [ "a vector", [ 5L ]; "a batch of samples", [ 2L; 3L; 4L ] ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "flip over the batch", error { core with Flip = Transform.identity }
            "inverse of the inverse", error { core with Invert = Transform.invert >> Transform.invert }
            "in reverse", error { core with AndThen = fun g f -> Transform.andThen f g }
        ]
    }

let private stacks: (string * Transform list) list = [
    "two couplings with a flip", [ smoothCoupling 1 4L; Transform.flip; smoothCoupling 20 4L ]
    "planar after planar",
    [
        for seed in 1..6 -> planar (gaussian seed [ 4L ]) (gaussian (seed + 50) [ 4L ]) (scalar 0.3)
    ]
    "one", [ smoothCoupling 3 4L ]
    "none", []
]

let private composition =
    let error (compose: Transform list -> Transform) (stack: Transform list) =
        let flow = compose stack
        let z = gaussian 3 [ 5L; 4L ]
        let image, logDet = flow.Forward z
        let byHand = stack |> List.fold (fun z f -> fst (f.Forward z)) z
        let ahead = [ distance image byHand; logDetError flow z ]

        match flow.Inverse with
        | Some inverse ->
            let back, backLogDet = inverse image
            List.max (distance back z :: distance (backLogDet.neg ()) logDet :: ahead)
        | None -> List.max ahead

    let allAtStart (stack: Transform list) =
        let flow = Transform.compose stack

        let forward z =
            let logDets = stack |> List.map (fun f -> snd (f.Forward z))
            fst (flow.Forward z), List.fold (+) (torch.zeros_like (z.select (-1L, 0L))) logDets

        { flow with Forward = forward }

    let lastOnly (stack: Transform list) =
        let flow = Transform.compose stack
        let before = Transform.compose (List.truncate (stack.Length - 1) stack)

        let forward z =
            let image, logDet = flow.Forward z
            image, logDet - snd (before.Forward z)

        { flow with Forward = forward }

    {
        Id = "flow/composition"
        Statement =
            "Composed maps apply in order, log-determinants add along the path, inverses run backwards."
        Labels = [ "eq:flow-composition" ]
        Function = "Transform.compose"
        Instances = stacks
        Error = error Transform.compose
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "every log-determinant at the start", error allAtStart
            "the last log-determinant only", error lastOnly
            "in reverse", error (List.rev >> Transform.compose)
        ]
    }

[<Tests>]
let tests =
    testList "flows" [
        Law.test planarJacobian
        Law.test planarInvertible
        Law.test planarSinglePrecision
        Law.test couplingJacobian
        Law.test madeStrict
        Law.test iafJacobian
        Law.test simple
        Law.test composition
    ]
