/// Statements that the paper derives and that no function of Core is, each against a computation that the derivation does
/// not use.
module Research.Tests.Laws.Derivations

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.LinearModels

let private entropyForm =
    let error (form: Tensor -> Tensor -> Tensor -> Tensor) (instance: Bench) =
        let scene = scene instance
        let z = DiagNormal.sample scene.Encoder (quadraticNoise instance.Latent)
        let logLikelihood = LinearGaussian.logLikelihood scene.Model scene.X z
        let computed = form logLikelihood (logStandardNormal z) (DiagNormal.entropy scene.Encoder)
        // The evidence less the divergence from the exact posterior.
        let mean, covariance = LinearGaussian.posterior scene.Model scene.X
        let gap = klToDense scene.Encoder mean covariance
        distance computed (LinearGaussian.logEvidence scene.Model scene.X - gap)

    let form (logLikelihood: Tensor) (logPrior: Tensor) (entropy: Tensor) =
        (logLikelihood + logPrior).mean [| 0L |] + entropy

    {
        Id = "elbo/entropy-form"
        Statement = "The expected log-joint plus the encoder's entropy is the evidence less the gap."
        Labels = [ "st:elbo-entropy" ]
        Function = "DiagNormal.entropy"
        Instances = benches
        Error = error form
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "entropy left out", error (fun l p h -> form l p (0.0 * h))
            "entropy subtracted", error (fun l p h -> form l p (h.neg ()))
            "prior left out", error (fun l p h -> form l (0.0 * p) h)
        ]
    }

/// h with its derivative.
type private Smooth = { H: float -> float; Slope: float -> float; OfTensor: Tensor -> Tensor; L: int }

let private generalPlanar =
    let smooth = [
        "sine", { H = sin; Slope = cos; OfTensor = _.sin(); L = 3 }
        "exponential", { H = exp; Slope = exp; OfTensor = _.exp(); L = 2 }
        "square",
        {
            H = (fun a -> a * a)
            Slope = (fun a -> 2.0 * a)
            OfTensor = _.square()
            L = 5
        }
        "one dimension", { H = tanh; Slope = (fun a -> 1.0 / cosh a ** 2.0); OfTensor = _.tanh(); L = 1 }
    ]

    let error (formula: float[] -> float[] -> float -> float) (s: Smooth) =
        let l = int64 s.L
        let u, w, z, b = gaussian 1 [ l ], gaussian 2 [ l ], gaussian 3 [ l ], 0.4
        let layer (z: Tensor) = z + u * s.OfTensor(z.dot w + b)
        let determinant = Plain.determinant (Plain.rows (jacobian layer z))
        let a = Plain.dot (elements w) (elements z) + b
        abs (formula (elements u) (elements w) (s.Slope a) - determinant)

    {
        Id = "planar/general"
        Statement = "det(I + u psi') = 1 + u'psi with psi = h'(w'z + b) w, for any smooth h."
        Labels = [ "st:planar-general" ]
        Function = "jacobian"
        Instances = smooth
        Error = error (fun u w slope -> 1.0 + slope * Plain.dot u w)
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the slope left out", error (fun u w _ -> 1.0 + Plain.dot u w)
            "the one left out", error (fun u w slope -> slope * Plain.dot u w)
            "as if triangular",
            error (fun u w slope -> Array.fold2 (fun p u w -> p * (1.0 + slope * u * w)) 1.0 u w)
        ]
    }

let private diagonalGap =
    let error (gapOf: float[][] -> float) (instance: Bench) =
        let { Model = m; X = x } = scene instance
        let w = Plain.rows m.W

        let precision =
            Plain.plus
                (Plain.identity w[0].Length)
                (Plain.scale (m.Sigma ** -2.0) (Plain.times (Plain.transpose w) w))

        let mean, covariance = LinearGaussian.posterior m x

        let gapAt (shift: float) (stretch: float) =
            let variances = precision |> Array.mapi (fun i row -> stretch / row[i])
            let logVar = (vector (List.ofArray variances)).log().expand_as mean
            (klToDense { Mu = mean + shift; LogVar = logVar } mean covariance)[0] |> value

        let least = gapAt 0.0 1.0

        List.max [
            abs (least - gapOf precision)
            // Every other mean and variance that is tried is worse.
            for shift, stretch in [ 0.01, 1.0; -0.01, 1.0; 0.0, 1.01; 0.0, 0.99 ] do
                excess least (gapAt shift stretch)
            excess 0.0 least
        ]

    let logDiagonal (m: float[][]) = m |> Array.mapi (fun i row -> log row[i]) |> Array.sum

    {
        Id = "linear-gaussian/diagonal-gap"
        Statement =
            "The best diagonal normal has the posterior's mean and the variances 1/M_ii; its gap is (sum log M_ii - log|M|)/2."
        Labels = [ "st:diagonal-gap" ]
        Function = "LinearGaussian.posterior"
        Instances = benches
        Error = error (fun m -> 0.5 * (logDiagonal m - log (Plain.determinant m)))
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "twice the gap", error (fun m -> logDiagonal m - log (Plain.determinant m))
            "of the covariance's diagonal",
            error (fun m -> 0.5 * (logDiagonal (Plain.inverse m) + log (Plain.determinant m)))
        ]
    }

/// The integral of f over [a,b] by Simpson's rule.
let private simpson (a: float) (b: float) (f: float -> float) : float =
    let n = 4000
    let h = (b - a) / float n

    let weight i =
        if i = 0 || i = n then 1.0
        elif i % 2 = 1 then 4.0
        else 2.0

    h / 3.0 * Seq.sum (seq { for i in 0..n -> weight i * f (a + float i * h) })

/// A column of the paper's table: the noise, and the bound and the error of inference as they are printed.
type private Column = { Noise: float; Bound: float; Error: float }

let private fitOverInference =
    let logNormal (mu: float) (sd: float) (x: float) =
        -0.5 * ((x - mu) / sd) ** 2.0 - log sd - 0.5 * log (2.0 * Math.PI)

    /// Both for x = 1, by quadrature on each side of the decoder's jump.
    let exact (tau: float) (r: float) =
        let s = 1.0 / sqrt (1.0 + r * r)
        let c = r * s

        let sides f =
            simpson (min -9.0 (c - 12.0 * s)) 0.0 (f -1.0)
            + simpson 0.0 (max 9.0 (c + 12.0 * s)) (f 1.0)

        let logJoint sign z = logNormal sign tau 1.0 + logNormal 0.0 1.0 z

        let evidence =
            // What is far below the right side's density is left to underflow.
            log (sides (fun sign z -> exp (logJoint sign z - logNormal 0.0 tau 0.0)))
            + logNormal 0.0 tau 0.0

        let bound = sides (fun sign z -> exp (logNormal c s z) * (logJoint sign z - logNormal c s z))

        bound, evidence - bound

    /// The normal distribution function at -r.
    let tail (r: float) = value (torch.special.ndtr (scalar -r))

    let formula (tau: float) (r: float) =
        let rate, wrong = 0.5 * log (1.0 + r * r), 2.0 / (tau * tau) * tail r

        -log tau - 0.5 * log (2.0 * Math.PI) - wrong - rate,
        rate + wrong - log 2.0 + log (1.0 + exp (-2.0 / (tau * tau)))

    /// The r at which the bound is largest, by a search that narrows.
    let best (tau: float) =
        let rec narrow low high n =
            let a, b = low + (high - low) / 3.0, high - (high - low) / 3.0

            if n = 0 then
                low
            elif fst (formula tau a) < fst (formula tau b) then
                narrow a high (n - 1)
            else
                narrow low b (n - 1)

        narrow 0.0 20.0 80

    let error (formula: float -> float -> float * float) (column: Column) =
        let r = best column.Noise
        let bound, gap = formula column.Noise r
        let other, otherGap = formula column.Noise 1.3
        let exactBound, exactGap = exact column.Noise r
        let exactOther, exactOtherGap = exact column.Noise 1.3

        List.max [
            abs (bound - exactBound) / (1.0 + abs exactBound)
            abs (gap - exactGap)
            abs (other - exactOther) / (1.0 + abs exactOther)
            abs (otherGap - exactOtherGap) / (1.0 + abs exactOtherGap)
            excess (abs (bound - column.Bound)) 0.005
            excess (abs (gap - column.Error)) 0.005
        ]

    {
        Id = "collapse/fit-over-inference"
        Statement =
            "With the decoder N(sign z, tau^2) the bound rises without limit as tau falls, and the error of inference with it."
        Labels = []
        Function = "the example of hw4.1"
        Instances = [
            for noise, bound, error in
                [
                    1.0, -1.58, 0.10
                    0.3, -0.84, 0.43
                    0.1, 0.05, 0.64
                    0.01, 2.09, 0.90
                    0.0001, 6.41, 1.19
                ] -> $"noise {noise}", { Noise = noise; Bound = bound; Error = error }
        ]
        Error = error formula
        Tolerance = Tolerance.quadrature
        Mutants = [
            "a wrong sign for free",
            error (fun tau r -> (let b, e = formula tau r in b + 2.0 / (tau * tau) * tail r, e))
            "log 2 left out", error (fun tau r -> (let b, e = formula tau r in b, e + log 2.0))
            "the rate twice",
            error (fun tau r -> (let b, e = formula tau r in b - 0.5 * log (1.0 + r * r), e))
        ]
    }

[<Tests>]
let tests =
    testList "derivations" [
        Law.test entropyForm
        Law.test generalPlanar
        Law.test diagonalGap
        Law.test fitOverInference
    ]
