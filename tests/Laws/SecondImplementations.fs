/// The vocabulary, and the adversarial and diagnostic functions, against plain floats.
module Research.Tests.Laws.SecondImplementations

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type private Vocabulary = {
    Sum: Tensor -> Tensor
    Softplus: Tensor -> Tensor
    LogSigmoid: Tensor -> Tensor
    LogMeanExp: int64 -> Tensor -> Tensor
    Reciprocal: Tensor -> Tensor
}

let private vocabulary =
    let error (v: Vocabulary) (scale: float) =
        let x = scale * gaussian 1 [ 3L; 5L ]
        let rows, columns = Plain.rows x, Array.transpose (Plain.rows x)
        let all = Array.concat rows

        List.max [
            Plain.against (Array.map Array.sum rows) (v.Sum x)
            Plain.against (Array.map Plain.log1pExp all) (v.Softplus x)
            Plain.against (Array.map (fun x -> log (Plain.sigmoid x)) all) (v.LogSigmoid x)
            Plain.against (Array.map Plain.logMeanExp rows) (v.LogMeanExp -1L x)
            Plain.against (Array.map Plain.logMeanExp columns) (v.LogMeanExp 0L x)
            Plain.against
                (rows |> Array.collect (fun w -> w |> Array.map (fun x -> x / Plain.squaredNorm w)))
                (v.Reciprocal x)
        ]

    let core = {
        Sum = sumLast
        Softplus = softplus
        LogSigmoid = logSigmoid
        LogMeanExp = logMeanExp
        Reciprocal = reciprocal
    }

    {
        Id = "vocabulary/plain"
        Statement = "Sums, softplus, log-sigmoid, log-mean-exp and w/|w|^2 are their definitions."
        Labels = []
        Function = "sumLast, softplus, logSigmoid, logMeanExp, reciprocal"
        Instances = [ for scale in [ 0.1; 1.0; 15.0 ] -> $"scale {scale}", scale ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "threshold of 20",
            error {
                core with
                    Softplus = fun x -> torch.nn.functional.softplus (x, 1.0, 20.0) + 1e-9
            }
            "sum over the first", error { core with Sum = fun x -> x.sum 0L }
            "sigmoid of minus x", error { core with LogSigmoid = fun x -> logSigmoid (x.neg ()) }
            "log K left out", error { core with LogMeanExp = fun dim x -> x.logsumexp dim }
            "divided by |w|", error { core with Reciprocal = fun w -> w / w.square().sum(-1L, true).sqrt() }
        ]
    }

type private Game = {
    Jsd: Tensor -> Tensor -> Tensor
    W1: Tensor -> Tensor -> Tensor
    Minimax: Tensor -> Tensor
    NonSaturating: Tensor -> Tensor
    Ratio: Tensor -> Tensor -> Tensor
}

let private games =
    let error (game: Game) (n: int64, m: int64) =
        let p, q = 2.0 * gaussian 1 [ n ] + 0.7, 3.0 * gaussian 2 [ m ] - 0.4
        let ps, qs = elements p, elements q
        let meanLog f xs = Array.averageBy (fun x -> log (f x)) xs
        let real, fake = meanLog Plain.sigmoid ps, meanLog (fun x -> 1.0 - Plain.sigmoid x) qs

        List.max [
            Plain.against [| (real + fake) / 2.0 + log 2.0 |] (game.Jsd p q)
            Plain.against [| Array.average ps - Array.average qs |] (game.W1 p q)
            Plain.against [| fake |] (game.Minimax q)
            Plain.against [| -(meanLog Plain.sigmoid qs) |] (game.NonSaturating q)
            Plain.against [| -real - fake |] (game.Ratio p q)
        ]

    let core = {
        Jsd = jsdMetric
        W1 = wassersteinMetric
        Minimax = minimaxGeneratorLoss
        NonSaturating = nonSaturatingGeneratorLoss
        Ratio = densityRatioLoss
    }

    {
        Id = "gan/plain"
        Statement = "The losses of both players are means of logarithms of probabilities, term by term."
        Labels = []
        Function =
            "jsdMetric, wassersteinMetric, minimaxGeneratorLoss, nonSaturatingGeneratorLoss, densityRatioLoss"
        Instances = [ "seven and four", (7L, 4L); "one and three", (1L, 3L) ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "moved by a constant", error { core with Minimax = fun c -> minimaxGeneratorLoss c + 1e-6 }
            "moved by another",
            error { core with NonSaturating = fun c -> nonSaturatingGeneratorLoss c - 1e-6 }
            "one mean of both", error { core with Jsd = fun p q -> jsdMetric (torch.cat [| p; q |]) q }
            "players exchanged", error { core with Ratio = fun p q -> densityRatioLoss q p }
        ]
    }

type private Shape = { Rows: int; Columns: int }

let private oneIteration =
    let error (step: Tensor -> Tensor -> Tensor * Tensor * Tensor) (shape: Shape) =
        let w, u =
            gaussian 1 [ int64 shape.Rows; int64 shape.Columns ], gaussian 2 [ int64 shape.Rows ]

        let sigma, u', v = step w u
        let unit x = (let norm = sqrt (Plain.squaredNorm x) in x |> Array.map (fun x -> x / norm))
        let rows = Plain.rows w
        let plainV = unit (Plain.apply (Plain.transpose rows) (elements u))
        let image = Plain.apply rows plainV

        List.max [
            Plain.against plainV v
            Plain.against (unit image) u'
            Plain.against [| Plain.dot (unit image) image |] sigma
        ]

    {
        Id = "spectral/step"
        Statement = "One power iteration is W'u, then Wv, each of length 1, and sigma their product."
        Labels = []
        Function = "spectralNorm"
        Instances = [ "wide", { Rows = 3; Columns = 5 }; "tall", { Rows = 6; Columns = 2 } ]
        Error = error spectralNorm
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "two iterations", error (fun w u -> (let _, u', _ = spectralNorm w u in spectralNorm w u'))
            "from the direction, not its image",
            error (fun w u ->
                let sigma, _, v = spectralNorm w u
                sigma, u / u.norm (), v)
        ]
    }

/// Pairs of 2x2 covariances that do not commute, one beside the other, turned together by one rotation.
type private Blocks = { Seed: int; Count: int }

let private frechet =
    let error (distanceOf: Tensor -> Tensor -> Tensor -> Tensor -> Tensor) (b: Blocks) =
        let n = int64 (2 * b.Count)

        let covariances seed = [|
            for i in 0 .. b.Count - 1 -> (let a = gaussian (seed + i) [ 2L; 3L ] in a.matmul (a.t ()))
        |]

        let s1, s2 = covariances b.Seed, covariances (b.Seed + 100)

        // For 2x2 matrices tr (S1 S2)^1/2 = sqrt(tr S1 S2 + 2 sqrt(det S1 S2)).
        let cross (a: Tensor) (b: Tensor) =
            let a, b = Plain.rows a, Plain.rows b
            sqrt (Plain.trace (Plain.times a b) + 2.0 * sqrt (Plain.determinant a * Plain.determinant b))

        let m1, m2 = gaussian (b.Seed + 200) [ n ], gaussian (b.Seed + 201) [ n ]
        let traces = Array.sumBy (Plain.rows >> Plain.trace) (Array.append s1 s2)

        let expected =
            Plain.squaredNorm (Plain.minus (elements m1) (elements m2)) + traces
            - 2.0 * Array.sum (Array.map2 cross s1 s2)

        let struct (turn, _) = torch.linalg.qr (gaussian (b.Seed + 202) [ n; n ])
        let turned (blocks: Tensor[]) = turn.matmul(torch.block_diag blocks).matmul(turn.t ())
        let d = distanceOf (turn.mv m1) (turned s1) (turn.mv m2) (turned s2)
        Plain.against [| expected |] d

    let root (a: Tensor) =
        let struct (values, vectors) = torch.linalg.eigh a
        (vectors * values.relu().sqrt()).matmul(vectors.t ())

    {
        Id = "frechet/blocks"
        Statement =
            "For covariances that do not commute the cross term is the trace of the root of their product, known for 2x2 blocks."
        Labels = []
        Function = "frechetDistance"
        Instances = [
            "one block", { Seed = 1; Count = 1 }
            "three blocks", { Seed = 11; Count = 3 }
            "ten blocks", { Seed = 31; Count = 10 }
        ]
        Error = error frechetDistance
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "product of the roots",
            error (fun m1 s1 m2 s2 ->
                (m1 - m2).square().sum() + s1.trace () + s2.trace ()
                - 2.0 * ((root s1).matmul(root s2)).trace())
            "cross term left out",
            error (fun m1 s1 m2 s2 -> (m1 - m2).square().sum() + s1.trace () + s2.trace ())
        ]
    }

let private inception =
    let error (score: Tensor -> Tensor) (n: int64, classes: int64) =
        let logits = 2.0 * gaussian 1 [ n; classes ]
        let conditional = Plain.rows logits |> Array.map Plain.softmax
        let marginal = Array.transpose conditional |> Array.map Array.average
        let mean = conditional |> Array.averageBy (fun p -> Plain.klTable p marginal)
        Plain.against [| exp mean |] (score logits)

    {
        Id = "inception/plain"
        Statement = "The score is the exponential of the mean divergence of a class table from their mean."
        Labels = []
        Function = "inceptionScore"
        Instances = [ "nine of four", (9L, 4L); "two of three", (2L, 3L) ]
        Error = error inceptionScore
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "divergence turned round",
            error (fun logits ->
                let p = torch.nn.functional.softmax (logits, -1L)
                let q = p.mean ([| 0L |], true)
                (sumLast (q * (q.log () - p.log ()))).mean().exp())
            "uniform for the marginal",
            error (fun logits ->
                let p = torch.nn.functional.softmax (logits, -1L)
                (sumLast (p * p.log ()) + log (float (logits.size -1))).mean().exp())
        ]
    }

type private Encodings = { Seed: int; N: int64; Dim: int64 }

let private surgery =
    let error (cut: DiagNormal -> (Tensor -> Tensor) -> Tensor -> Surgery) (e: Encodings) =
        let q = {
            Mu = gaussian e.Seed [ e.N; e.Dim ]
            LogVar = 0.5 * gaussian (e.Seed + 1) [ e.N; e.Dim ] - 1.0
        }

        let eps = gaussian (e.Seed + 2) [ e.N; e.Dim ]
        let mu, logVar = Plain.rows q.Mu, Plain.rows q.LogVar

        let z =
            Array.map3
                (fun m l e -> Array.map3 (fun m l e -> m + sqrt (exp l) * e) m l e)
                mu
                logVar
                (Plain.rows eps)

        let own = Array.map3 Plain.diagNormal mu logVar z

        let aggregated =
            z
            |> Array.map (fun z ->
                Plain.logMeanExp (Array.map2 (fun m l -> Plain.diagNormal m l z) mu logVar))

        let prior =
            z
            |> Array.map (Plain.diagNormal (Array.create (int e.Dim) 0.3) (Array.create (int e.Dim) 0.2))

        let another: DiagNormal = {
            Mu = torch.full_like (q.Mu[0], 0.3)
            LogVar = torch.full_like (q.Mu[0], 0.2)
        }

        let s = cut q (DiagNormal.logProb another) eps

        List.max [
            abs (s.MutualInformation - Array.averageBy id (Array.map2 (-) own aggregated))
            abs (s.MarginalKl - Array.averageBy id (Array.map2 (-) aggregated prior))
            abs (s.Limit - log (float e.N))
        ]

    {
        Id = "surgery/plain"
        Statement = "Both terms are means of differences of log-densities, over all pairs of encodings."
        Labels = []
        Function = "elboSurgery"
        Instances = [
            "seven", { Seed = 1; N = 7L; Dim = 2L }
            // More than one block of the blocked sum, the last one not full.
            "three blocks", { Seed = 11; N = 250L; Dim = 3L }
        ]
        Error = error elboSurgery
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "marginal of N(0,I)", error (fun q _ eps -> elboSurgery q logStandardNormal eps)
            "noise turned round", error (fun q p eps -> elboSurgery q p (eps.neg ()))
        ]
    }

let private summaries =
    let error (bound: Tensor -> Tensor, path: int -> Tensor -> Tensor -> Tensor) (n: int) =
        let kl = (gaussian 1 [ int64 n ]).square()
        let a, b = gaussian 2 [ 3L ], gaussian 3 [ 3L ]

        let plain = [|
            for i in 0 .. n + 1 do
                let t = float i / float (n + 1)
                yield! Array.map2 (fun a b -> a + t * (b - a)) (elements a) (elements b)
        |]

        max (Plain.against [| Array.average (elements kl) |] (bound kl)) (Plain.against plain (path n a b))

    {
        Id = "diagnostics/plain"
        Statement = "The bound on the information is the mean divergence; the path is a + t (b - a)."
        Labels = []
        Function = "mutualInformationBound, interpolate"
        Instances = [ "four", 4; "one", 1 ]
        Error = error (mutualInformationBound, interpolate)
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "largest", error ((fun kl -> 1.1 * kl.max ()), interpolate)
            "on the sphere",
            error (mutualInformationBound, (fun n a b -> (let p = interpolate n a b in p / p.norm ())))
        ]
    }

[<Tests>]
let tests =
    testList "second implementations" [
        Law.test vocabulary
        Law.test games
        Law.test oneIteration
        Law.test frechet
        Law.test inception
        Law.test surgery
        Law.test summaries
    ]
