/// Spectral norm, Fréchet distance and inception score.
module Research.Tests.Laws.Features

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type Matrix = { Seed: int; Rows: int64; Columns: int64 }

let private spectral =
    let error (step: Tensor -> Tensor -> Tensor * Tensor * Tensor) (m: Matrix) =
        let w = gaussian m.Seed [ m.Rows; m.Columns ]

        let rec iterate n u =
            let _, u', _ = step w u
            if n = 0 then u' else iterate (n - 1) u'

        let u = iterate 600 (gaussian (m.Seed + 1) [ m.Rows ])
        let sigma, u', v = step w u
        let largest = (torch.linalg.svdvals w)[0]
        // The gradient of a simple singular value is u v'; u and v themselves are constants.
        let slope = grad (fun w -> (let sigma, _, _ = step w u in sigma)) w
        List.max [ distance sigma largest; distance (slope.detach ()) (u'.outer v) ]

    {
        Id = "spectral/norm"
        Statement = "Power iteration converges to the largest singular value, whose gradient is u v'."
        Labels = [ "eq:spectral-norm" ]
        Function = "spectralNorm"
        Instances = [
            "square", { Seed = 1; Rows = 4L; Columns = 4L }
            "wide", { Seed = 2; Rows = 3L; Columns = 20L }
            "tall", { Seed = 3; Rows = 12L; Columns = 5L }
            "a row", { Seed = 4; Rows = 1L; Columns = 6L }
        ]
        Error = error spectralNorm
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "Frobenius norm",
            error (fun w u -> (let _, u', v = spectralNorm w u in (w.square().sum()).sqrt(), u', v))
            "no normalisation of v",
            error (fun w u ->
                let _, u', v = spectralNorm w u
                u'.dot (w.mv (w.t().mv u')), u', v)
            "gradient through a constant weight",
            error (fun w u ->
                (let _, u', v = spectralNorm w u in u'.dot (w.detach().mv v) + 0.0 * w.sum (), u', v))
        ]
    }

type Pair = { Seed: int; Dim: int64; Rank: int64 }

let private frechet =
    let covariance seed (p: Pair) =
        let a = gaussian seed [ p.Dim; p.Rank ]
        a.matmul (a.t ()) / float p.Rank

    let error (distanceOf: Tensor -> Tensor -> Tensor -> Tensor -> Tensor) (p: Pair) =
        let m1, m2 = gaussian p.Seed [ p.Dim ], gaussian (p.Seed + 1) [ p.Dim ]
        let s1, s2 = covariance (p.Seed + 2) p, covariance (p.Seed + 3) p
        let d = value (distanceOf m1 s1 m2 s2)
        let shift = value ((m1 - m2).square().sum())
        // Rotation by the eigenvectors of another covariance.
        let struct (_, rotation) = torch.linalg.eigh (covariance (p.Seed + 4) { p with Rank = p.Dim })
        let turned (s: Tensor) = rotation.t().matmul(s).matmul rotation
        let rotated = distanceOf (m1.matmul rotation) (turned s1) (m2.matmul rotation) (turned s2)
        // Commuting covariances: the variances' roots differ dimension by dimension.
        let v1, v2 = s1.diagonal (), s2.diagonal ()
        let commuting = value ((v1.sqrt () - v2.sqrt ()).square().sum()) + shift

        List.max [
            abs (value (distanceOf m1 s1 m2 s1) - shift)
            abs (value (distanceOf m1 s1 m1 s1))
            abs (d - value (distanceOf m2 s2 m1 s1))
            abs (d - value rotated)
            abs (value (distanceOf m1 (v1.diag ()) m2 (v2.diag ())) - commuting)
            excess shift d
        ]

    {
        Id = "frechet/equal-covariance"
        Statement =
            "For equal covariances the distance is |m1 - m2|^2; it is symmetric, zero for equals, kept by rotations, "
            + "and exact for commuting covariances."
        Labels = [ "eq:frechet" ]
        Function = "frechetDistance"
        Instances = [
            "three features", { Seed = 1; Dim = 3L; Rank = 5L }
            "one", { Seed = 11; Dim = 1L; Rank = 3L }
            "twenty", { Seed = 21; Dim = 20L; Rank = 60L }
        ]
        Error = error frechetDistance
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "cross term once",
            error (fun m1 s1 m2 s2 ->
                let shift = (m1 - m2).square().sum()
                0.5 * (frechetDistance m1 s1 m2 s2 - shift + s1.trace () + s2.trace ()) + shift)
            "distance for its square", error (fun m1 s1 m2 s2 -> (frechetDistance m1 s1 m2 s2).abs().sqrt())
            "root of the product's elements",
            error (fun m1 s1 m2 s2 ->
                (m1 - m2).square().sum() + s1.trace () + s2.trace ()
                - 2.0 * (s1.abs().sqrt() * s2.abs().sqrt()).trace())
        ]
    }

type Scores = { Logits: float list list; Expected: float option }

let private inception =
    let error (score: Tensor -> Tensor) (s: Scores) =
        let logits = torch.stack [| for row in s.Logits -> vector row |]
        let computed = value (score logits)
        let conditional = torch.nn.functional.softmax (logits, -1L)
        let marginal = conditional.mean ([| 0L |], true)
        // 0 log 0 = 0 by hand.
        let terms = conditional * ((conditional + 1e-300) / (marginal + 1e-300)).log()
        let direct = exp (value ((sumLast terms).mean()))

        let expected =
            s.Expected |> Option.map (fun e -> abs (computed - e)) |> Option.defaultValue 0.0

        List.max [
            abs (computed - direct)
            expected
            excess 1.0 computed
            excess computed (float (logits.size -1))
        ]

    let classes n = [ for i in 0 .. n - 1 -> [ for j in 0 .. n - 1 -> if i = j then 1000.0 else 0.0 ] ]

    {
        Id = "inception/bounds"
        Statement =
            "The score lies between 1 (all alike) and the number of classes (sure, and all equally often)."
        Labels = [ "eq:inception-score" ]
        Function = "inceptionScore"
        Instances = [
            "undecided", { Logits = List.replicate 5 [ 0.0; 0.0; 0.0 ]; Expected = Some 1.0 }
            "sure of one class", { Logits = List.replicate 4 [ 0.0; 900.0 ]; Expected = Some 1.0 }
            "sure of ten", { Logits = classes 10; Expected = Some 10.0 }
            "sure of two of four", { Logits = List.truncate 2 (classes 4); Expected = Some 2.0 }
            "between",
            {
                Logits = [ [ 0.0; 1.0; 2.0 ]; [ 3.0; -1.0; 0.5 ]; [ 0.2; 0.2; -4.0 ] ]
                Expected = None
            }
        ]
        Error = error inceptionScore
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "logarithm of the score", error (fun l -> (inceptionScore l).log())
            "marginal of mean logits",
            error (fun l ->
                let conditional = torch.nn.functional.log_softmax (l, -1L)
                let marginal = torch.nn.functional.log_softmax (l.mean ([| 0L |], true), -1L)
                (sumLast (conditional.exp () * (conditional - marginal))).mean().exp())
            "summed over examples", error (fun l -> (inceptionScore l).pow(Scalar.op_Implicit (l.size 0)))
        ]
    }

[<Tests>]
let tests = testList "features" [ Law.test spectral; Law.test frechet; Law.test inception ]
