/// InfoVAE's identity, the maximum mean discrepancy and the density-ratio loss, on finite tables.
module Research.Tests.Laws.InfoVae

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type private Finite = { Seed: int; X: int; Z: int; Alpha: float; Lambda: float }

let private table (seed: int) (shape: int64 list) (dim: int64) =
    torch.nn.functional.softmax (gaussian seed shape, dim)

type private Forms = float -> float -> Tensor -> Tensor -> Tensor -> Tensor -> Tensor * Tensor

let private identity =
    let error (forms: Forms) (i: Finite) =
        let x, z = int64 i.X, int64 i.Z
        let pData, posterior = table i.Seed [ x ] 0L, table (i.Seed + 1) [ x; z ] 1L
        let likelihood, prior = table (i.Seed + 2) [ x; z ] 0L, table (i.Seed + 3) [ z ] 0L
        let d, q, l, p = elements pData, elements posterior, elements likelihood, elements prior

        let qZ =
            Array.init i.Z (fun z -> Seq.sum (seq { for x in 0 .. i.X - 1 -> d[x] * q[x * i.Z + z] }))

        // The first form, term by term in plain floats.
        let direct =
            Seq.sum (
                seq {
                    for x in 0 .. i.X - 1 do
                        for z in 0 .. i.Z - 1 do
                            let c = x * i.Z + z
                            let both = d[x] * q[c]
                            let information = Math.Log(q[c] / qZ[z])
                            let marginal = Math.Log(qZ[z] / p[z])
                            let reverse = Math.Log(both / qZ[z] / l[c])
                            both * (i.Alpha * information - i.Lambda * marginal - reverse)
                }
            )

        let a, b = forms i.Alpha i.Lambda pData posterior likelihood prior
        max (abs (value a - direct)) (abs (value b - direct))

    {
        Id = "infovae/identity"
        Statement = "Both forms of InfoVAE's objective are equal; the second needs H(p_D)."
        Labels = [ "eq:infovae" ]
        Function = "infoVaeForms"
        Instances = [
            for seed, x, z in [ 1, 2, 2; 11, 5, 3; 21, 4, 7 ] do
                for alpha, lambda in [ 0.0, 1.0; 1.0, 10.0; -0.5, 3.0 ] ->
                    $"{x} by {z}, alpha {alpha}, lambda {lambda}",
                    { Seed = seed; X = x; Z = z; Alpha = alpha; Lambda = lambda }
        ]
        Error = error infoVaeForms
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "entropy of the data left out",
            error (fun alpha lambda d q l p ->
                let a, b = infoVaeForms alpha lambda d q l p
                a, b + (d * d.log ()).sum())
            "alpha + lambda for alpha + lambda - 1",
            error (fun alpha lambda d q l p ->
                let a, _ = infoVaeForms alpha lambda d q l p
                let _, b = infoVaeForms alpha (lambda + 1.0) d q l p
                a, b)
            "information penalised",
            error (fun alpha lambda d q l p ->
                let a, b = infoVaeForms alpha lambda d q l p
                let a', _ = infoVaeForms -alpha lambda d q l p
                a' + 0.0 * a, b)
        ]
    }

type private KernelInstance = { Kernel: float -> Kernel; Plain: float -> float -> float }

let private ofRbf = { Kernel = kernelRbf; Plain = fun h d2 -> 1.0 / exp (d2 / (2.0 * h)) }
let private ofImq = { Kernel = kernelImq; Plain = fun c d2 -> 1.0 / (1.0 + d2 / c) }

let private kernels =
    let squares = [| 0.0; 0.3; 1.0; 2.0; 7.5; 100.0 |]

    let error (change: Kernel -> Kernel) (kernel: KernelInstance, scale: float) =
        let plain = squares |> Array.map (kernel.Plain scale)
        Plain.against plain ((change (kernel.Kernel scale)) (torch.tensor squares))

    {
        Id = "kernel/values"
        Statement =
            "The Gaussian kernel is 1/e at d^2 = 2h, the inverse multiquadric one half at d^2 = c, both 1 at 0."
        Labels = []
        Function = "kernelRbf, kernelImq"
        Instances = [
            for name, kernel in [ "RBF", ofRbf; "IMQ", ofImq ] do
                for scale in [ 0.5; 1.0; 3.0 ] -> $"{name}, scale {scale}", (kernel, scale)
        ]
        Error = error id
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "twice as wide", error (fun kernel d2 -> kernel (0.5 * d2))
            "of the distance, not its square", error (fun kernel d2 -> kernel (d2.sqrt ()))
            "squared", error (fun kernel d2 -> (kernel d2).square())
        ]
    }

type private Discrepancy = {
    Kernel: Kernel
    /// The kernel again, in plain floats.
    Plain: float -> float
    N: int
    M: int
    Seed: int
}

let private mmd =
    /// All index vectors of a length over the three support points.
    let rec choices n =
        if n = 0 then
            [ [] ]
        else
            [
                for head in 0..2 do
                    for tail in choices (n - 1) -> head :: tail
            ]

    let error (estimate: Kernel -> Tensor -> Tensor -> Tensor) (i: Discrepancy) =
        let support = gaussian i.Seed [ 3L; 2L ]
        let q, p = elements (table (i.Seed + 1) [ 3L ] 0L), elements (table (i.Seed + 2) [ 3L ] 0L)

        let pick (indices: int list) =
            support.index_select (0L, torch.tensor [| for k in indices -> int64 k |])

        // The mean over every pair of samples that can occur, weighted by its probability.
        let mean =
            Seq.sum (
                seq {
                    for xs in choices i.N do
                        for ys in choices i.M do
                            use _ = torch.NewDisposeScope()

                            let probability =
                                List.fold (fun w k -> w * q[k]) 1.0 xs
                                * List.fold (fun w k -> w * p[k]) 1.0 ys

                            probability * value (estimate i.Kernel (pick xs) (pick ys))
                }
            )

        let points = Plain.rows support

        let exact =
            Seq.sum (
                seq {
                    for a in 0..2 do
                        for b in 0..2 do
                            let d2 = Plain.squaredNorm (Plain.minus points[a] points[b])
                            (q[a] - p[a]) * (q[b] - p[b]) * i.Plain d2
                }
            )

        abs (mean - exact)

    let biased (kernel: Kernel) (x: Tensor) (y: Tensor) =
        let mean (a: Tensor) (b: Tensor) =
            (kernel ((a.unsqueeze 1L - b.unsqueeze 0L).square().sum -1L)).mean()

        mean x x + mean y y - 2.0 * mean x y

    {
        Id = "mmd/unbiased"
        Statement = "Averaged over all samples that can occur, the estimate is the squared discrepancy."
        Labels = [ "eq:mmd" ]
        Function = "mmdUnbiased"
        Instances = [
            for name, kernel, scale, n, m, seed in
                [
                    "RBF, two and two", ofRbf, 1.0, 2, 2, 1
                    "RBF, three and two", ofRbf, 0.3, 3, 2, 11
                    "IMQ, two and three", ofImq, 2.0, 2, 3, 21
                ] ->
                name,
                {
                    Kernel = kernel.Kernel scale
                    Plain = kernel.Plain scale
                    N = n
                    M = m
                    Seed = seed
                }
        ]
        Error = error mmdUnbiased
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "diagonal kept", error biased
            "cross term once",
            error (fun kernel x y ->
                let cross = (kernel ((x.unsqueeze 1L - y.unsqueeze 0L).square().sum -1L)).mean()
                mmdUnbiased kernel x y + cross)
            "arguments' terms mixed", error (fun kernel x _ -> mmdUnbiased kernel x x)
        ]
    }

/// Whole numbers of draws at each point of a finite support: samples that have their distribution exactly.
type Counts = { P: int list; Q: int list }

let counted = [
    "a coin", { P = [ 3; 1 ]; Q = [ 1; 3 ] }
    "equal", { P = [ 2; 2; 4 ]; Q = [ 1; 1; 2 ] }
    "five points", { P = [ 10; 1; 4; 4; 1 ]; Q = [ 2; 2; 2; 2; 2 ] }
    "far apart", { P = [ 99; 1 ]; Q = [ 1; 99 ] }
]

/// The probability of each support point.
let shares (counts: int list) =
    let n = float (List.sum counts)
    vector [ for c in counts -> float c / n ]

let private indices (counts: int list) =
    counts |> List.mapi (fun i c -> Array.create c (int64 i)) |> Array.concat |> torch.tensor

/// log p/q at each point of the support.
let logRatio (c: Counts) = (shares c.P).log() - (shares c.Q).log()

let jensenShannon (c: Counts) =
    let p, q = shares c.P, shares c.Q
    let m = 0.5 * (p + q)
    0.5 * value ((p * (p / m).log()).sum() + (q * (q / m).log()).sum())

/// A critic given by its value at each support point, evaluated on the samples of p and of q.
let evaluate (c: Counts) (loss: Tensor -> Tensor -> Tensor) (critic: Tensor) =
    loss (critic.index_select (0L, indices c.P)) (critic.index_select (0L, indices c.Q))

let private densityRatio =
    let error (loss: Tensor -> Tensor -> Tensor) (c: Counts) =
        let critic = logRatio c
        let slope = grad (evaluate c loss) critic
        let atOptimum = value (evaluate c loss critic)
        max (value (slope.abs().max())) (abs (atOptimum - (log 4.0 - 2.0 * jensenShannon c)))

    {
        Id = "density-ratio/optimal"
        Statement = "The loss is stationary at the logarithm of the density ratio, where it is log 4 - 2 JSD."
        Labels = [ "eq:density-ratio" ]
        Function = "densityRatioLoss"
        Instances = counted
        Error = error densityRatioLoss
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "arguments swapped", error (fun q p -> densityRatioLoss p q)
            "a sum for the mean", error (fun q p -> softplus(q.neg ()).sum() + (softplus p).mean())
            "squares", error (fun q p -> (1.0 - q.sigmoid ()).square().mean() + p.sigmoid().square().mean())
        ]
    }

[<Tests>]
let tests =
    testList "infovae" [ Law.test identity; Law.test kernels; Law.test mmd; Law.test densityRatio ]
