/// Sylvester maps and rational-quadratic splines against plain floats and differences, which share nothing with Core.
module Research.Tests.Laws.ExpressiveFlows

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

/// log|det J| of a map of `[L]` at a point, from central differences and elimination.
let private differenceLogDet (map: Tensor -> Tensor) (z: Tensor) : float =
    let step = 1e-5
    let l = int (z.size 0)

    let column (i: int) =
        let shift = torch.zeros_like z
        shift[int64 i].fill_(Research.Core.scalar step) |> ignore
        elements ((map (z + shift) - map (z - shift)) / (2.0 * step))

    log (abs (Plain.determinant (Plain.transpose (Array.init l column))))

let private differenceError (flow: Transform) (z: Tensor) =
    let expected =
        Plain.rows z
        |> Array.map (fun row -> differenceLogDet (flow.Forward >> fst) (torch.tensor row))

    Plain.against expected (snd (flow.Forward z))

/// Exact errors count as much as those of differences, whose tolerance is wider.
let private exactly (error: float) = 1e4 * error

// ---------------------------------------------------------------------------------------------------------------
// Sylvester maps
// ---------------------------------------------------------------------------------------------------------------

type private Reflections = { Seed: int; Count: int64; Dim: int64 }

let private orthogonal =
    let error (householder: Tensor -> Tensor) (instance: Reflections) =
        let v = gaussian instance.Seed [ 2L; instance.Count; instance.Dim ]
        let q = householder v

        let plain = [| for i in 0L .. 1L -> Plain.reflections (Plain.rows v[i]) |]

        let products = [| for rows in plain -> Plain.times (Plain.transpose rows) rows |]
        let identities = products |> Array.map (fun p -> Array.concat p)

        List.max [
            Plain.against (plain |> Array.collect Array.concat) q
            Plain.against (Array.concat identities) (q.transpose(-1L, -2L).matmul q)
        ]

    {
        Id = "sylvester/householder"
        Statement =
            "The product of reflections is the textbook's, one matrix after the other, and orthogonal."
        Labels = []
        Function = "householder"
        Instances = [
            "one in two dimensions", { Seed = 1; Count = 1L; Dim = 2L }
            "four in three", { Seed = 2; Count = 4L; Dim = 3L }
            "eight in sixteen", { Seed = 3; Count = 8L; Dim = 16L }
        ]
        Error = error householder
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "in reverse", error (fun v -> householder (v.flip -2L))
            "a projection, not a reflection",
            error (fun v -> 0.5 * (householder v + torch.eye (v.size -1, dtype = v.dtype)))
            "the first vector only", error (fun v -> householder (v.narrow (-2L, 0L, 1L)))
        ]
    }

type private Sylvester = { Seed: int; Dim: int64; Columns: int64; Scale: float }

let private sylvesterParts (s: Sylvester) (batch: int64 list) =
    let shape = batch @ [ s.Columns; s.Columns ]
    let q = (householder (gaussian s.Seed (batch @ [ 3L; s.Dim ]))).narrow(-1L, 0L, s.Columns)

    q,
    s.Scale * gaussian (s.Seed + 1) shape,
    s.Scale * gaussian (s.Seed + 2) shape,
    gaussian (s.Seed + 3) (batch @ [ s.Columns ])

/// A matrix as the map reads it.
let private triangle (matrix: float[][]) =
    matrix
    |> Array.mapi (fun i ->
        Array.mapi (fun j x ->
            if i = j then tanh x
            elif i < j then x
            else 0.0))

let private sylvesterJacobian =
    let plainImage (q: Tensor) (r: Tensor) (r': Tensor) (b: Tensor) (z: float[]) =
        Plain.sylvester (Plain.rows q) (triangle (Plain.rows r)) (triangle (Plain.rows r')) (elements b) z

    let error (make: Tensor -> Tensor -> Tensor -> Tensor -> Transform) (instance: Sylvester) =
        let q, r, r', b = sylvesterParts instance []
        let z = gaussian 30 [ 5L; instance.Dim ]
        let flow = make q r r' b
        // A map of its own for each example, at two samples of each.
        let qs, rs, rs', bs = sylvesterParts instance [ 5L ]
        let samples = torch.stack [| z; 0.5 * z |]
        let images, logDets = (make qs rs rs' bs).Forward samples

        let each f = [|
            for s in 0L .. 1L do
                for i in 0L .. 4L -> f (samples[s][i]) i
        |]

        let own = each (fun z i -> plainImage qs[i] rs[i] rs'[i] bs[i] (elements z)) |> Array.concat

        let ownLogDets =
            each (fun z i ->
                let plain (z: Tensor) = torch.tensor (plainImage qs[i] rs[i] rs'[i] bs[i] (elements z))
                differenceLogDet plain z)

        List.max [
            exactly (
                Plain.against (Plain.rows z |> Array.collect (plainImage q r r' b)) (fst (flow.Forward z))
            )
            exactly (Plain.against own images)
            differenceError flow z
            Plain.against ownLogDets logDets
        ]

    let withLogDet (change: Tensor -> Tensor -> Tensor) q r r' b =
        let flow = sylvester q r r' b

        let forward (z: Tensor) =
            let image, exact = flow.Forward z
            image, change exact (((z.unsqueeze(-2L).matmul q).squeeze -2L).tanh())

        { flow with Forward = forward }

    {
        Id = "sylvester/jacobian"
        Statement =
            "The Sylvester map is z + Q R tanh(R' Q'z + b), and its log-determinant that of its Jacobian, shared or amortised."
        Labels = []
        Function = "sylvester"
        Instances = [
            "one column", { Seed = 1; Dim = 2L; Columns = 1L; Scale = 1.0 }
            "as many as dimensions", { Seed = 5; Dim = 3L; Columns = 3L; Scale = 1.0 }
            "four of six", { Seed = 9; Dim = 6L; Columns = 4L; Scale = 1.5 }
            "the identity", { Seed = 13; Dim = 3L; Columns = 2L; Scale = 0.0 }
        ]
        Error = error sylvester
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "the triangles exchanged", error (fun q r r' b -> sylvester q r' r b)
            "one of them transposed", error (fun q r r' b -> sylvester q (r.transpose (-1L, -2L)) r' b)
            "columns not of length 1", error (fun q r r' b -> sylvester (1.1 * q) r r' b)
            "once a column", error (withLogDet (fun exact h -> exact * float (h.size -1)))
            "no offset", error (fun q r r' b -> sylvester q r r' (0.0 * b))
            "no log-determinant", error (withLogDet (fun exact _ -> 0.0 * exact))
        ]
    }

let private sylvesterRises =
    let error (make: Tensor -> Tensor -> Tensor -> Tensor -> Transform) (a: float, a': float) =
        let matrix (x: float) = torch.tensor [| x |] |> _.view(1L, 1L)
        let flow = make (matrix 1.0) (matrix a) (matrix a') (vector [ 0.0 ])
        // In one dimension the map must rise; where it folds, it does so around 0.
        let z = torch.linspace (-3.0, 3.0, 2001L, dtype = torch.float64)
        let image = (fst (flow.Forward(z.unsqueeze 1L))).squeeze 1L
        let rise = image.narrow (0L, 1L, 2000L) - image.narrow (0L, 0L, 2000L)
        // The determinant at 0 in plain floats.
        let at0 = log (1.0 + tanh a * tanh a')
        max (excess 0.0 (value (rise.min ()))) (Plain.against [| at0 |] (snd (flow.Forward(matrix 0.0))))

    let unconstrained (q: Tensor) (r: Tensor) (r': Tensor) (b: Tensor) : Transform = {
        Forward =
            fun z ->
                let h = (z * r'[0] + b).tanh()
                z + h * r[0], (1.0 + (1.0 - h.square ()) * r[0] * r'[0]).abs().log().sum -1L
        Inverse = None
    }

    {
        Id = "sylvester/invertible"
        Statement = "Whatever the diagonals are, R_ii R'_ii > -1 and the map rises."
        Labels = []
        Function = "sylvester"
        Instances = [ "no fold", (0.5, 0.8); "nearly folded", (4.0, -5.0); "steep", (3.0, 3.0) ]
        Error = error sylvester
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "no constraint", error unconstrained
            "the second diagonal turned", error (fun q r r' b -> sylvester q r (r'.neg ()) b)
        ]
    }

// ---------------------------------------------------------------------------------------------------------------
// Splines
// ---------------------------------------------------------------------------------------------------------------

type private Spline = { Seed: int; Bins: int64; Dim: int64; Bound: float; Scale: float }

let private splines = [
    "one bin", { Seed = 1; Bins = 1L; Dim = 1L; Bound = 2.0; Scale = 1.0 }
    "two bins", { Seed = 2; Bins = 2L; Dim = 2L; Bound = 3.0; Scale = 1.0 }
    "eight", { Seed = 3; Bins = 8L; Dim = 3L; Bound = 4.0; Scale = 1.0 }
    "uneven", { Seed = 4; Bins = 5L; Dim = 2L; Bound = 1.0; Scale = 3.0 }
    "the identity", { Seed = 5; Bins = 4L; Dim = 2L; Bound = 2.0; Scale = 0.0 }
]

type private MakeSpline = float -> Tensor -> Tensor -> Tensor -> Transform

let private splineParts (s: Spline) =
    let part (seed: int) (n: int64) = s.Scale * gaussian (10 * s.Seed + seed) [ s.Dim; n ]
    part 0 s.Bins, part 1 s.Bins, part 2 (s.Bins - 1L)

/// The spline of one coordinate in plain floats, with its knots.
let private plainSpline (s: Spline) (i: int64) =
    let widths, heights, slopes = splineParts s

    let x, y =
        Plain.splineKnots s.Bound (elements widths[i]), Plain.splineKnots s.Bound (elements heights[i])

    let d = Plain.splineSlopes (if s.Bins = 1L then [||] else elements slopes[i])
    x, y, d

let private ofInstance (make: MakeSpline) (s: Spline) =
    let widths, heights, slopes = splineParts s
    make s.Bound widths heights slopes

/// From far left of the interval to far right of it, and its edges. `[N,D]`.
let private everywhere (s: Spline) : Tensor =
    let z = torch.linspace (-1.3 * s.Bound, 1.3 * s.Bound, 53L, dtype = torch.float64)
    let z = torch.cat [| z; vector [ -s.Bound; s.Bound ] |]
    z.unsqueeze(1L).expand(-1L, s.Dim).contiguous()

let private splineValues =
    let error (make: MakeSpline) (s: Spline) =
        let flow = ofInstance make s
        let z = everywhere s
        let image, logDet = flow.Forward z
        let back, backLogDet = flow.Inverse.Value image

        let plain (row: float[]) =
            row
            |> Array.mapi (fun i z ->
                let x, y, d = plainSpline s (int64 i)
                Plain.spline x y d z)

        let rise = image.narrow (0L, 1L, 52L) - image.narrow (0L, 0L, 52L)

        List.max [
            Plain.against (Plain.rows z |> Array.collect plain) image
            distance back z
            distance backLogDet (logDet.neg ())
            (if value (rise.min ()) > 0.0 then 0.0 else 1.0)
            (if s.Scale = 0.0 then
                 max (distance image z) (value (logDet.abs().max()))
             else
                 0.0)
        ]

    {
        Id = "spline/values"
        Statement =
            "The spline is the rational quadratic of its knots, rises, is the identity outside and for zeros, and its inverse in closed form undoes it."
        Labels = []
        Function = "rationalQuadratic"
        Instances = splines
        Error = error rationalQuadratic
        Tolerance = Tolerance.limit 1e-9
        Mutants = [
            "widths for heights", error (fun bound w h d -> rationalQuadratic bound h w d)
            "slopes in reverse", error (fun bound w h d -> rationalQuadratic bound w h (d.flip -1L))
            "half the interval", error (fun bound w h d -> rationalQuadratic (0.5 * bound) w h d)
            "forward for backward",
            error (fun bound w h d ->
                let flow = rationalQuadratic bound w h d
                { flow with Inverse = Some flow.Forward })
            "the log-determinant not turned",
            error (fun bound w h d ->
                let flow = rationalQuadratic bound w h d

                let inverse y =
                    let z, logDet = flow.Inverse.Value y
                    z, logDet.neg ()

                { flow with Inverse = Some inverse })
        ]
    }

/// A textbook spline in tensors, for slopes at the left and at the right of each bin.
let private fromSlopes (left: Tensor -> Tensor) (right: Tensor -> Tensor) : MakeSpline =
    fun bound w h d ->
        let exact = rationalQuadratic bound w h d

        let coordinate (i: int64) (z: Tensor) =
            let x, y = Plain.splineKnots bound (elements w[i]), Plain.splineKnots bound (elements h[i])

            let slopes =
                vector (List.ofArray (Plain.splineSlopes (if w.size -1 = 1L then [||] else elements d[i])))

            let bins = w.size -1
            let l, r = left (slopes.narrow (0L, 0L, bins)), right (slopes.narrow (0L, 1L, bins))

            let k = [|
                for z in elements z ->
                    max 0 (min (x.Length - 2) ((Array.filter (fun knot -> knot <= z) x).Length - 1))
            |]

            let at (values: float[]) (shift: int) = torch.tensor [| for k in k -> values[k + shift] |]
            let x0, y0, width, height = at x 0, at y 0, at x 1 - at x 0, at y 1 - at y 0
            let d0, d1 = at (elements l) 0, at (elements r) 0
            let s, t = height / width, (z - x0) / width

            let image =
                y0 + height * (s * t * t + d0 * t * (1.0 - t)) / (s + (d0 + d1 - 2.0 * s) * t * (1.0 - t))

            torch.where (z.abs().ge(Research.Core.scalar bound), z, image)

        let forward (z: Tensor) =
            let columns = z.unbind -1L |> Array.mapi (fun i z -> coordinate (int64 i) z)
            (torch.stack (columns, -1L)).view_as z, snd (exact.Forward z)

        { exact with Forward = forward }

let private splineSlopes =
    let error (make: MakeSpline) (s: Spline) =
        let flow = ofInstance make s

        let atKnots = [
            for i in 0L .. s.Dim - 1L do
                let x, _, d = plainSpline s i
                let step = 1e-7 * s.Bound

                let image (z: float) =
                    let all = torch.full ([| s.Dim |], Research.Core.scalar z, dtype = torch.float64)
                    value ((fst (flow.Forward all))[i])

                for knot, slope in Array.zip x d do
                    for sign in [ -1.0; 1.0 ] do
                        let difference step = (image (knot + sign * step) - image knot) / (sign * step)
                        // Richardson's: a slope that changes fast behind its knot counts in the second order alone.
                        let limit = 2.0 * difference (0.5 * step) - difference step
                        abs (limit - slope) / (1.0 + slope)
        ]

        // Between the knots, which an irregular grid misses.
        let z = s.Bound * (1.2 * uniform (s.Seed + 70) [ 9L; s.Dim ] - 0.6)
        max (List.max atKnots) (differenceError flow z)

    let changed change : MakeSpline =
        fun bound w h d ->
            let flow = rationalQuadratic bound w h d

            {
                flow with
                    Forward = fun z -> (let image, logDet = flow.Forward z in image, change logDet)
            }

    {
        Id = "spline/slopes"
        Statement =
            "At every knot the slope from both sides is the knot's own, at the edges 1; the log-determinant is that of the Jacobian."
        Labels = []
        Function = "rationalQuadratic"
        Instances = splines
        Error = error rationalQuadratic
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "the right slope for the left", error (fromSlopes (fun l -> l.roll -1L) id)
            "straight between knots", error (fromSlopes torch.ones_like torch.ones_like)
            "the mean over dimensions", error (changed (fun logDet -> 0.5 * logDet))
            "its sign turned", error (changed _.neg())
        ]
    }

/// Smooth networks that choose a spline or a map from the first half of a vector.
let private chosen (seed: int) (half: int64) (bins: int64) (make: MakeSpline) (z1: Tensor) : Transform =
    let output (seed: int) (n: int64) =
        let weights = gaussian seed [ half; half * n ]
        (z1.matmul weights).sin().view(Array.append z1.shape[.. z1.shape.Length - 2] [| half; n |])

    make 3.0 (output seed bins) (output (seed + 1) bins) (output (seed + 2) (bins - 1L))

let private coupled =
    let error (couple: (Tensor -> Transform) -> Transform) (dim: int64) =
        let half = dim / 2L
        let flow = couple (chosen 1 half 4L rationalQuadratic)
        let z = gaussian 9 [ 2L; 3L; dim ]
        let image, logDet = flow.Forward z
        let back, backLogDet = flow.Inverse.Value image
        let flat = z.view (-1L, dim)
        let first (x: Tensor) = x.narrow (-1L, 0L, half)

        let second (row: Tensor) =
            fst ((chosen 1 half 4L rationalQuadratic (first row)).Forward(row.narrow (-1L, half, half)))

        let expected = [| for row in flat.unbind 0L -> torch.cat [| first row; second row |] |]

        let affine =
            couple (fun z1 -> (coupling (fun z -> z1.sum () + 0.0 * z) (fun z -> z * z1.mean ())))

        List.max [
            exactly (distance image ((torch.stack expected).view_as z))
            exactly (distance back z)
            exactly (distance backLogDet (logDet.neg ()))
            differenceError flow flat
            (if dim % 4L = 0L then
                 differenceError affine (flat.narrow (0L, 0L, 1L))
             else
                 0.0)
        ]

    let swapped (f: Tensor -> Transform) =
        let flow = conditionalCoupling f

        {
            Forward = fun z -> flow.Forward(z.flip -1L)
            Inverse =
                flow.Inverse
                |> Option.map (fun inverse y -> (let z, logDet = inverse y in z.flip -1L, logDet))
        }

    {
        Id = "coupling/conditional"
        Statement =
            "The first half stays and chooses the second's map, whose log-determinant is the whole one's; the inverse undoes both."
        Labels = []
        Function = "conditionalCoupling"
        Instances = [ "two dimensions", 2L; "four", 4L ]
        Error = error conditionalCoupling
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "the halves exchanged", error swapped
            "chosen by nothing", error (fun f -> conditionalCoupling (fun z1 -> f (0.0 * z1)))
            "a map of zeros backwards",
            error (fun f -> {
                conditionalCoupling f with
                    Inverse = Some(fun y -> (conditionalCoupling (fun z1 -> f (0.0 * z1))).Inverse.Value y)
            })
        ]
    }

let private density =
    let error (logProb: (Tensor -> Tensor) -> Transform -> Tensor -> Tensor) (dim: int64, flow: Transform) =
        abs (integral dim (vector [ 0.0 ]) (vector [ 1.0 ]) (logProb logStandardNormal flow) - 1.0)

    let withLogDet (factor: float) (baseLogProb: Tensor -> Tensor) (flow: Transform) (z: Tensor) =
        let image, logDet = flow.Forward z
        baseLogProb image + factor * logDet

    {
        Id = "flow/expressive-density"
        Statement = "The densities of a Sylvester map and of splines integrate to 1."
        Labels = []
        Function = "sylvester, rationalQuadratic, conditionalCoupling"
        Instances = [
            "Sylvester in one dimension",
            (1L,
             (let q, r, r', b = sylvesterParts { Seed = 3; Dim = 1L; Columns = 1L; Scale = 1.0 } [] in
              sylvester q r r' b))
            "Sylvester in two",
            (2L,
             (let q, r, r', b = sylvesterParts { Seed = 7; Dim = 2L; Columns = 2L; Scale = 1.0 } [] in
              sylvester q r r' b))
            "a spline",
            (1L, ofInstance rationalQuadratic { Seed = 8; Bins = 4L; Dim = 1L; Bound = 3.0; Scale = 0.5 })
            "a coupling of splines",
            (2L,
             Transform.compose [
                 conditionalCoupling (chosen 4 1L 4L rationalQuadratic)
                 Transform.flip
                 conditionalCoupling (chosen 8 1L 4L rationalQuadratic)
             ])
        ]
        Error = error flowLogProb
        // The slope of a spline's slope jumps at its knots, where the rule is of second order.
        Tolerance = Tolerance.limit 1e-3
        Mutants = [
            "log-determinant subtracted", error (withLogDet -1.0)
            "log-determinant left out", error (withLogDet 0.0)
        ]
    }

[<Tests>]
let tests =
    testList "expressive flows" [
        Law.test orthogonal
        Law.test sylvesterJacobian
        Law.test sylvesterRises
        Law.test splineValues
        Law.test splineSlopes
        Law.test coupled
        Law.test density
    ]
