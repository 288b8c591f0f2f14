/// Kullback-Leibler divergences of diagonal normals.
module Research.Tests.Laws.Divergences

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type Pair = { Seed: int; Dim: int64; Spread: float }

let private pairs = [
    "one dimension", { Seed = 1; Dim = 1L; Spread = 1.0 }
    "two dimensions", { Seed = 2; Dim = 2L; Spread = 1.0 }
    "close together", { Seed = 3; Dim = 2L; Spread = 0.01 }
]

let private toPair (p: Pair) : DiagNormal * DiagNormal =
    let normal seed = {
        Mu = p.Spread * gaussian seed [ p.Dim ]
        LogVar = 0.7 * p.Spread * gaussian (seed + 1) [ p.Dim ]
    }

    normal (10 * p.Seed), normal (10 * p.Seed + 5)

let private plainKl (q: DiagNormal) (p: DiagNormal) : float[] = [|
    Plain.klNormal (elements q.Mu) (elements q.LogVar) (elements p.Mu) (elements p.LogVar)
|]

let private closedForm =
    let error (kl: DiagNormal -> DiagNormal -> Tensor) (instance: Pair) =
        let q, p = toPair instance
        let t, weight = grid instance.Dim
        let sd = (0.5 * q.LogVar).exp()
        let z = q.Mu + sd * t
        let logQ, logP = DiagNormal.logProb q z, DiagNormal.logProb p z
        let quadrature = value ((logQ.exp () * (logQ - logP)).sum() * sd.prod 0L) * weight
        max (abs (value (kl q p) - quadrature)) (Plain.against (plainKl q p) (kl q p))

    {
        Id = "kl/closed-form"
        Statement = "The closed form is the integral of q (log q - log p)."
        Labels = [ "eq:kl-diag" ]
        Function = "klDiagNormal"
        Instances = pairs
        Error = error klDiagNormal
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "arguments swapped", error (fun q p -> klDiagNormal p q)
            "variance of q in the mean's term",
            error (fun q p ->
                let shift = (q.Mu - p.Mu).square()
                let wrong = shift * ((q.LogVar.neg ()).exp() - (p.LogVar.neg ()).exp())
                klDiagNormal q p + 0.5 * sumLast wrong)
            "without the half", error (fun q p -> 2.0 * klDiagNormal q p)
        ]
    }

type NearPrior = { LogVar: float; Dtype: torch.ScalarType }

let private stable =
    /// exp(x) - 1 - x by its series, which does not cancel.
    let remainder (x: float) =
        Seq.initInfinite (fun k -> k + 2)
        |> Seq.take 40
        |> Seq.scan (fun (term, _) k -> term * x / float k, 0.0) (x, 0.0)
        |> Seq.sumBy fst
        |> fun sum -> sum - x

    let error (kl: DiagNormal -> Tensor) (instance: NearPrior) =
        let logVar = torch.tensor([| instance.LogVar |]).``to`` instance.Dtype
        let exact = 0.5 * remainder (logVar.ToDouble())
        let computed = value (kl { Mu = torch.zeros_like logVar; LogVar = logVar })
        let unit = if instance.Dtype = torch.float32 then 2.0 ** 29 else 1.0
        // Against the size of the terms that cancel, in units of float64's rounding.
        abs (computed - exact) / abs instance.LogVar / unit

    let naive (q: DiagNormal) = 0.5 * sumLast (q.Mu.square () + q.LogVar.exp () - 1.0 - q.LogVar)

    {
        Id = "kl/stable"
        Statement = "A posterior near the prior keeps its digits, in float32 and float64."
        Labels = [ "eq:kl-standard" ]
        Function = "klStandard"
        Instances = [
            for dtype in [ torch.float32; torch.float64 ] do
                for logVar in [ -1e-9; 1e-7; -1e-5; 1e-3; -0.1; 1.0; -2.0 ] ->
                    $"log-variance {logVar} in {dtype}", { LogVar = logVar; Dtype = dtype }
        ]
        Error = error klStandard
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "exp(logVar) - 1", error naive
            "a mean for the sum", error (fun q -> 0.5 * klStandard q)
        ]
    }

type private ToStandard = { Total: DiagNormal -> Tensor; Each: DiagNormal -> Tensor }

let private standardIsSpecial =
    let error (kl: ToStandard) (instance: Pair) =
        let q, p = toPair instance

        let both = {
            Mu = torch.stack [| q.Mu; p.Mu |]
            LogVar = torch.stack [| q.LogVar; p.LogVar |]
        }

        let mu, logVar = Plain.rows both.Mu, Plain.rows both.LogVar

        let each =
            Array.map2 (Array.map2 (fun m l -> Plain.klToStandard [| m |] [| l |])) mu logVar
            |> Array.concat

        max
            (Plain.against (Array.map2 Plain.klToStandard mu logVar) (kl.Total both))
            (Plain.against each (kl.Each both))

    let core = { Total = klStandard; Each = klStandardPerDimension }

    {
        Id = "kl/standard"
        Statement = "Against N(0,I) the closed form is the textbook's, for each dimension and in all."
        Labels = []
        Function = "klStandard, klStandardPerDimension"
        Instances = pairs
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "without the mean",
            error { core with Total = fun q -> klStandard { q with Mu = torch.zeros_like q.Mu } }
            "reverse divergence",
            error { core with Total = fun q -> klDiagNormal (DiagNormal.standardLike q.Mu) q }
            "each without the half", error { core with Each = fun q -> 2.0 * klStandardPerDimension q }
        ]
    }

let private monteCarlo =
    let n = 50_000L

    let error (estimate: Tensor -> Tensor -> Tensor) (instance: Pair) =
        let q, p = toPair instance
        let z = DiagNormal.sample q (gaussian 77 [ n; instance.Dim ])
        let logQ, logP = DiagNormal.logProb q z, DiagNormal.logProb p z
        let sd = value ((logQ - logP).std())
        let estimates = estimate logQ logP
        // The estimate of a batch is that of each example.
        let few = logQ.narrow(0L, 0L, 12L).view(4L, 3L), logP.narrow(0L, 0L, 12L).view(4L, 3L)
        let a, b = Plain.rows (fst few), Plain.rows (snd few)

        let plain =
            Array.init 3 (fun j -> Array.averageBy id (Array.init 4 (fun k -> a[k][j] - b[k][j])))

        max
            (abs (value estimates - (plainKl q p)[0]) / sd)
            // By rounding, where the tolerance is that of the draws.
            (1e6 * Plain.against plain (estimate (fst few) (snd few)))

    {
        Id = "kl/monte-carlo"
        Statement = "The mean of log q - log p over samples of q estimates the divergence without bias."
        Labels = [ "eq:kl-mc" ]
        Function = "klMonteCarlo"
        Instances = pairs
        Error = error klMonteCarlo
        Tolerance = Tolerance.monteCarlo n 1.0
        Mutants = [
            "p over q", error (fun logQ logP -> klMonteCarlo logP logQ)
            "absolute value", error (fun logQ logP -> (logQ - logP).abs().mean [| 0L |])
            "a sum for the mean", error (fun logQ logP -> (logQ - logP).sum [| 0L |])
        ]
    }

[<Tests>]
let tests =
    testList "divergences" [
        Law.test closedForm
        Law.test stable
        Law.test standardIsSpecial
        Law.test monteCarlo
    ]
