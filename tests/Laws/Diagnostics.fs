/// ELBO surgery, collapse, active units, interpolation and the semi-supervised model.
module Research.Tests.Laws.Diagnostics

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type Encodings = { Seed: int; N: int64; Dim: int64; Spread: float }

let private toEncodings (e: Encodings) : DiagNormal = {
    Mu = e.Spread * gaussian e.Seed [ e.N; e.Dim ]
    LogVar = 0.3 * gaussian (e.Seed + 1) [ e.N; e.Dim ] - 1.0
}

let private encodings = [
    "spread out", { Seed = 1; N = 40L; Dim = 2L; Spread = 1.0 }
    "overlapping", { Seed = 3; N = 200L; Dim = 5L; Spread = 0.1 }
    "one", { Seed = 5; N = 1L; Dim = 3L; Spread = 1.0 }
    // More than one block of the blocked sum.
    "two blocks", { Seed = 7; N = 1010L; Dim = 2L; Spread = 3.0 }
]

type private Cut = DiagNormal -> (Tensor -> Tensor) -> Tensor -> Surgery

let private surgery =
    let error (cut: Cut) (instance: Encodings) =
        let q = toEncodings instance
        let eps = gaussian 9 [ instance.N; instance.Dim ]
        let z = DiagNormal.sample q eps
        let s = cut q logStandardNormal eps
        let own = DiagNormal.logProb q z
        // The aggregated posterior from all pairs, without expanding the square.
        let marginal = logMeanExp -1L (DiagNormal.logProb q (z.unsqueeze -2L))
        let rate = value ((own - logStandardNormal z).mean())

        List.max [
            abs (s.MutualInformation + s.MarginalKl - rate)
            abs (s.MutualInformation - value ((own - marginal).mean()))
            abs (s.Limit - log (float instance.N))
        ]

    /// A point's own posterior left out of the marginal that it is compared with.
    let leaveOneOut (q: DiagNormal) (logPrior: Tensor -> Tensor) (eps: Tensor) =
        let s = elboSurgery q logPrior eps
        let z = DiagNormal.sample q eps
        let others = pairwiseLogProb q z - 1e9 * torch.eye (q.Mu.size 0, dtype = torch.float64)
        let marginal = others.logsumexp -1L - log (float (max 1L (q.Mu.size 0 - 1L)))

        {
            s with
                MutualInformation = value ((DiagNormal.logProb q z - marginal).mean())
                MarginalKl = value ((marginal - logPrior z).mean())
        }

    {
        Id = "surgery/sum"
        Statement = "Index-code information and marginal divergence add up to the rate, against all pairs."
        Labels = [ "eq:surgery" ]
        Function = "elboSurgery"
        Instances = encodings
        Error = error elboSurgery
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "own posterior left out of the marginal", error leaveOneOut
            "log N left out",
            error (fun q logPrior eps ->
                let s = elboSurgery q logPrior eps

                {
                    s with
                        MutualInformation = s.MutualInformation - s.Limit
                        MarginalKl = s.MarginalKl + s.Limit
                })
            "bits", error (fun q p eps -> { elboSurgery q p eps with Limit = Math.Log2(float (q.Mu.size 0)) })
        ]
    }

let private mutualInformation =
    let error (bound: Tensor -> Tensor) (instance: Encodings) =
        let q = toEncodings instance

        let draws = [
            for seed in 1..20 -> elboSurgery q logStandardNormal (gaussian seed [ instance.N; instance.Dim ])
        ]

        let informations = draws |> List.map _.MutualInformation
        let information = List.average informations
        // The gap between bound and information is the marginal's divergence.
        let gap =
            value (bound (klStandard q)) - information - List.average (draws |> List.map _.MarginalKl)

        let rates = draws |> List.map (fun s -> s.MutualInformation + s.MarginalKl)
        let sd = value ((vector rates).std())

        List.max [
            excess 0.0 information
            excess (List.max informations) draws.Head.Limit
            excess information (value (bound (klStandard q)))
            abs gap / max 1e-10 sd
        ]

    {
        Id = "surgery/mutual-information"
        Statement = "0 <= I(n;z) <= log N, and I is at most the mean divergence from the prior."
        Labels = [ "eq:mi-bound" ]
        Function = "mutualInformationBound"
        Instances = encodings
        Error = error mutualInformationBound
        Tolerance = Tolerance.monteCarlo 20L 1.0
        Mutants = [
            "smallest divergence", error (fun kl -> kl.min ())
            "a sum", error (fun kl -> kl.sum ())
            "half", error (fun kl -> 0.5 * mutualInformationBound kl)
        ]
    }

/// Columns of divergences, so many small ones in each of a hundred examples.
type Collapse = { Small: int list; Delta: float; Expected: float }

let private collapse =
    let error (measure: float -> float -> Tensor -> float) (c: Collapse) =
        let column small = vector [ for i in 0..99 -> if i < small then 0.001 else 2.0 ]
        let kl = torch.stack ([| for small in c.Small -> column small |], 1L)
        abs (measure 0.01 c.Delta kl - c.Expected)

    {
        Id = "collapse/measure"
        Statement =
            "A dimension is collapsed when its divergence is small on a share 1 - delta of the examples or more."
        Labels = [ "eq:collapse" ]
        Function = "collapsedProportion"
        Instances = [
            "none", { Small = [ 0; 0 ]; Delta = 0.01; Expected = 0.0 }
            "all", { Small = [ 100; 100; 100 ]; Delta = 0.01; Expected = 1.0 }
            "exactly the share", { Small = [ 99; 100; 50; 0 ]; Delta = 0.01; Expected = 0.5 }
            "one example short", { Small = [ 98; 100; 50; 0 ]; Delta = 0.01; Expected = 0.25 }
            "a share that is no whole number", { Small = [ 92; 93; 94 ]; Delta = 0.075; Expected = 2.0 / 3.0 }
            "delta 0", { Small = [ 99; 100 ]; Delta = 0.0; Expected = 0.5 }
        ]
        Error = error collapsedProportion
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "of the mean divergence",
            error (fun eps _ kl -> (kl.mean [| 0L |]).lt(Scalar.op_Implicit eps).double().mean().ToDouble())
            "share delta for 1 - delta", error (fun eps delta kl -> collapsedProportion eps (1.0 - delta) kl)
            "half an example of slack", error (fun eps delta kl -> collapsedProportion eps (delta + 0.005) kl)
        ]
    }

type Units = { Scales: float list; Offset: float; Expected: int }

let private activeUnits =
    let error (count: float -> Tensor -> int) (u: Units) =
        // Two points at +-1 have the variance 2 with divisor N - 1, four have 4/3.
        let pattern = vector [ 1.0; -1.0; 1.0; -1.0 ]
        let mu = torch.stack ([| for scale in u.Scales -> scale * pattern + u.Offset |], 1L)
        abs (float (count 0.01 mu - u.Expected))

    {
        Id = "active-units/count"
        Statement = "A unit is active when its posterior mean varies over the data by more than 0.01."
        Labels = [ "eq:active-units" ]
        Function = "activeUnits"
        Instances = [
            "none", { Scales = [ 0.0; 0.05 ]; Offset = 3.0; Expected = 0 }
            "two of four", { Scales = [ 1.0; 0.2; 0.08; 0.0 ]; Offset = -1.0; Expected = 2 }
            // 4/3 0.09^2 = 0.0108, but 0.09^2 = 0.0081: the divisor is N - 1.
            "the divisor counts", { Scales = [ 0.09 ]; Offset = 0.0; Expected = 1 }
        ]
        Error = error Research.Core.activeUnits
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "standard deviation",
            error (fun threshold mu -> Research.Core.activeUnits (threshold * threshold) mu)
            "second moment",
            error (fun threshold mu ->
                (mu.square().mean [| 0L |]).gt(Scalar.op_Implicit threshold).sum().ToInt32())
            "divisor N",
            error (fun threshold mu ->
                (mu.var ([| 0L |], false)).gt(Scalar.op_Implicit threshold).sum().ToInt32())
        ]
    }

type Path = { Seed: int; Dim: int64; Steps: int }

let private interpolation =
    let error (interpolate: int -> Tensor -> Tensor -> Tensor) (p: Path) =
        let a, b = gaussian p.Seed [ p.Dim ], gaussian (p.Seed + 1) [ p.Dim ]
        let path = interpolate p.Steps a b

        if path.shape <> [| int64 p.Steps + 2L; p.Dim |] then
            infinity
        else
            let last = int64 p.Steps + 1L
            let strides = path.narrow (0L, 1L, last) - path.narrow (0L, 0L, last)

            List.max [
                distance path[0] a
                distance path[last] b
                distance strides (((b - a) / float last).expand_as strides)
            ]

    {
        Id = "interpolation/ends"
        Statement = "S + 2 equally spaced points, the ends among them."
        Labels = [ "eq:interpolation" ]
        Function = "interpolate"
        Instances = [
            "the ends alone", { Seed = 1; Dim = 3L; Steps = 0 }
            "eight between", { Seed = 2; Dim = 20L; Steps = 8 }
        ]
        Error = error interpolate
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "ends left out", error (fun steps a b -> (interpolate steps a b).narrow(0L, 1L, int64 steps))
            "backwards", error (fun steps a b -> interpolate steps b a)
            "one point more", error (fun steps a b -> interpolate (steps + 1) a b)
        ]
    }

type private Tables = { Seed: int; Labels: int; Codes: int; Exact: bool }

type private M2 = {
    Labelled: Tensor -> Tensor -> Tensor -> Tensor
    Unlabelled: Tensor -> Tensor -> Tensor
}

let private m2 =
    let table seed (shape: int64 list) dim = torch.nn.functional.softmax (gaussian seed shape, dim)

    /// One x; labels y and codes z finite, so that every expectation is a sum.
    let error (m2: M2) (t: Tables) =
        let y, z = int64 t.Labels, int64 t.Codes
        let pY, pZ = table t.Seed [ y ] 0L, table (t.Seed + 1) [ z ] 0L
        let likelihood = (gaussian (t.Seed + 2) [ y; z ]).sigmoid()
        let joint = pY.unsqueeze 1L * pZ * likelihood
        let evidence = joint.sum ()

        let qZ =
            if t.Exact then
                joint / joint.sum (1L, true)
            else
                table (t.Seed + 3) [ y; z ] 1L

        let qY =
            if t.Exact then
                joint.sum 1L / evidence
            else
                table (t.Seed + 4) [ y ] 0L

        let logLikelihood = sumLast (qZ * likelihood.log ())
        let kl = sumLast (qZ * (qZ.log () - pZ.log ()))
        let labelled = m2.Labelled logLikelihood (pY.log ()) kl
        let unlabelled = m2.Unlabelled (qY.log().unsqueeze 0L) (labelled.unsqueeze 0L)

        let q, qz, j = elements qY, elements qZ, elements joint
        let cell y z = qz[y * t.Codes + z], j[y * t.Codes + z]

        let all = [
            for y in 0 .. t.Labels - 1 do
                for z in 0 .. t.Codes - 1 -> y, z
        ]

        let directLabelled y =
            Seq.sum (seq { for z in 0 .. t.Codes - 1 -> (let q, p = cell y z in q * (log q - log p)) })

        let directUnlabelled =
            all
            |> List.sumBy (fun (y, z) -> (let qz, p = cell y z in q[y] * qz * (log qz + log q[y] - log p)))

        let bound =
            if t.Exact then
                value unlabelled + log (value evidence)
            else
                excess -(log (value evidence)) (value unlabelled)

        let ofLabel y = abs (value (labelled[int64 y]) - directLabelled y)
        let ofBoth = abs (value (unlabelled[0]) - directUnlabelled)
        List.max (abs bound :: ofBoth :: List.init t.Labels ofLabel)

    let core = { Labelled = m2Labelled; Unlabelled = m2Unlabelled }

    {
        Id = "m2/enumeration"
        Statement =
            "Both losses equal their sums over all labels and codes, and -log p(x) at the exact posterior."
        Labels = [ "eq:m2-labelled"; "eq:m2-unlabelled" ]
        Function = "m2Labelled, m2Unlabelled"
        Instances = [
            "three labels, four codes", { Seed = 1; Labels = 3; Codes = 4; Exact = false }
            "exact posterior", { Seed = 11; Labels = 5; Codes = 3; Exact = true }
            "one label", { Seed = 21; Labels = 1; Codes = 6; Exact = false }
        ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "entropy of the label with the wrong sign",
            error { core with Unlabelled = fun logQ l -> sumLast (logQ.exp () * (l - logQ)) }
            "prior of the label left out", error { core with Labelled = fun l _ kl -> kl - l }
            "divergence subtracted", error { core with Labelled = fun l p kl -> m2Labelled l p (kl.neg ()) }
        ]
    }

[<Tests>]
let tests =
    testList "diagnostics" [
        Law.test surgery
        Law.test mutualInformation
        Law.test collapse
        Law.test activeUnits
        Law.test interpolation
        Law.test m2
    ]
