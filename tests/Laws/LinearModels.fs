/// The linear-Gaussian model as a test bench: its evidence and posterior are exact.
module Research.Tests.Laws.LinearModels

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type Bench = { Seed: int; Data: int64; Latent: int64; Sigma: float }

/// The model, four data points from it, and an encoder that is near the posterior but not on it.
type Scene = { Model: LinearGaussian; X: Tensor; Encoder: DiagNormal }

let benches = [
    "two to one", { Seed = 1; Data = 2L; Latent = 1L; Sigma = 0.7 }
    "four to two", { Seed = 2; Data = 4L; Latent = 2L; Sigma = 0.5 }
    "noisy", { Seed = 3; Data = 3L; Latent = 2L; Sigma = 2.0 }
    "twenty to five", { Seed = 4; Data = 20L; Latent = 5L; Sigma = 1.0 }
]

let scene (b: Bench) : Scene =
    let model = {
        W = gaussian (10 * b.Seed) [ b.Data; b.Latent ]
        Offset = gaussian (10 * b.Seed + 1) [ b.Data ]
        Sigma = b.Sigma
    }

    let z, noise =
        gaussian (10 * b.Seed + 2) [ 4L; b.Latent ], gaussian (10 * b.Seed + 3) [ 4L; b.Data ]

    let x = z.matmul (model.W.t ()) + model.Offset + b.Sigma * noise
    let mean, covariance = LinearGaussian.posterior model x
    let logVar = (covariance.diagonal().log() + 0.1).expand_as mean

    {
        Model = model
        X = x
        Encoder = { Mu = mean + 0.1 * logVar.exp (); LogVar = logVar }
    }

/// KL(N(m1, diag v) || N(m2, S)) of each row, by the textbook's formula. `[B]`.
let klToDense (q: DiagNormal) (mean: Tensor) (covariance: Tensor) : Tensor =
    let precision = torch.linalg.inv covariance
    let struct (_, logDet) = torch.linalg.slogdet covariance
    let trace = sumLast (q.LogVar.exp () * precision.diagonal ())
    let shift = mean - q.Mu
    let quadratic = sumLast (shift.matmul precision * shift)
    0.5 * (trace + quadratic - float (mean.size -1) + logDet - sumLast q.LogVar)

type private Exact = {
    LogEvidence: LinearGaussian -> Tensor -> Tensor
    LogPosterior: LinearGaussian -> Tensor -> Tensor -> Tensor
    Posterior: LinearGaussian -> Tensor -> Tensor * Tensor
    LogLikelihood: LinearGaussian -> Tensor -> Tensor -> Tensor
}

/// The same from the joint normal of x and z, whose covariance has W W' + sigma^2 I, W and I for blocks: the marginal is
/// a block, the conditional follows from the blocks. In plain floats.
type OfJoint(m: LinearGaussian) =
    let w, offset = Plain.rows m.W, elements m.Offset
    let variance = m.Sigma ** 2.0

    let ofX =
        Plain.plus (Plain.times w (Plain.transpose w)) (Plain.scale variance (Plain.identity w.Length))

    let gain = Plain.times (Plain.transpose w) (Plain.inverse ofX)

    member _.Mean(x: float[]) = Plain.apply gain (Plain.minus x offset)

    member _.Covariance =
        Plain.plus (Plain.identity gain.Length) (Plain.scale -1.0 (Plain.times gain w))

    member _.LogEvidence(x: float[]) = Plain.logNormal offset ofX x
    member this.LogPosterior (x: float[]) (z: float[]) = Plain.logNormal (this.Mean x) this.Covariance z

    member _.LogLikelihood (x: float[]) (z: float[]) =
        let mean = Array.map2 (+) (Plain.apply w z) offset
        Plain.diagNormal mean (Array.map (fun _ -> log variance) mean) x

let private exact =
    let error (formula: Exact) (instance: Bench) =
        let scene = scene instance
        let m, x = scene.Model, scene.X
        let z = gaussian 5 [ 3L; 4L; instance.Latent ]
        let logJoint = LinearGaussian.logLikelihood m x z + logStandardNormal z
        let bayes = distance (formula.LogEvidence m x + formula.LogPosterior m x z) logJoint

        let marginal =
            if instance.Latent > 2L then
                0.0
            else
                let logJointOf (z: Tensor) = LinearGaussian.logLikelihood m x[0] z + logStandardNormal z
                let evidence = integral instance.Latent (scalar 0.0) (scalar 1.0) logJointOf
                abs (log evidence - value ((formula.LogEvidence m x)[0]))

        let joint, data, codes = OfJoint m, Plain.rows x, Plain.rows z
        let ofEach f = codes |> Array.mapi (fun i z -> f data[i % 4] z)
        let mean, covariance = formula.Posterior m x

        List.max [
            bayes
            marginal
            Plain.against (Array.map joint.LogEvidence data) (formula.LogEvidence m x)
            Plain.against (ofEach joint.LogPosterior) (formula.LogPosterior m x z)
            Plain.against (ofEach joint.LogLikelihood) (formula.LogLikelihood m x z)
            Plain.against (Array.collect joint.Mean data) mean
            Plain.against (Array.concat joint.Covariance) covariance
        ]

    let core = {
        LogEvidence = LinearGaussian.logEvidence
        LogPosterior = LinearGaussian.logPosterior
        Posterior = LinearGaussian.posterior
        LogLikelihood = LinearGaussian.logLikelihood
    }

    let withoutNoise (m: LinearGaussian) (x: Tensor) =
        LinearGaussian.logEvidence { m with Sigma = m.Sigma / 2.0 } x

    let scaledPosterior (m: LinearGaussian) (x: Tensor) (z: Tensor) =
        let mean, covariance = LinearGaussian.posterior m x
        LinearGaussian.logPosterior m x (mean + (z - mean) * m.Sigma) + 0.0 * covariance.sum ()

    {
        Id = "linear-gaussian/exact"
        Statement =
            "The evidence is the integral over z, evidence times posterior is the joint density, and all are those of the joint normal of x and z."
        Labels = [ "eq:linear-gaussian" ]
        Function = "LinearGaussian"
        Instances = benches @ [ "more latents than data", { Seed = 5; Data = 2L; Latent = 3L; Sigma = 0.6 } ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "half the noise", error { core with LogEvidence = withoutNoise }
            "posterior without sigma squared", error { core with LogPosterior = scaledPosterior }
            "precision for covariance",
            error {
                core with
                    Posterior =
                        fun m x -> (let mean, s = LinearGaussian.posterior m x in mean, torch.linalg.inv s)
            }
            "sigma for its square",
            error {
                core with
                    LogLikelihood =
                        fun m x z -> LinearGaussian.logLikelihood { m with Sigma = sqrt m.Sigma } x z
            }
            "offset left out",
            error {
                core with
                    LogEvidence = fun m x -> LinearGaussian.logEvidence { m with Offset = 0.0 * m.Offset } x
            }
        ]
    }

type private Forms = {
    Joint: Tensor -> Tensor -> Tensor
    Kl: Tensor -> Tensor -> Tensor
    Gap: Tensor -> Tensor -> Tensor
}

let private threeForms =
    let error (forms: Forms) (instance: Bench) =
        let scene = scene instance
        let z = DiagNormal.sample scene.Encoder (quadraticNoise instance.Latent)
        let logLikelihood = LinearGaussian.logLikelihood scene.Model scene.X z
        let logQ = DiagNormal.logProb scene.Encoder z
        let mean, covariance = LinearGaussian.posterior scene.Model scene.X
        let gap = klToDense scene.Encoder mean covariance
        let first = forms.Joint (logLikelihood + logStandardNormal z) logQ
        let second = forms.Kl logLikelihood (klStandard scene.Encoder)
        let third = forms.Gap (LinearGaussian.logEvidence scene.Model scene.X) gap
        max (distance first third) (distance second third)

    let core = { Joint = elboJoint; Kl = elboKl; Gap = elboGap }

    {
        Id = "elbo/three-forms"
        Statement = "The ELBO's three forms agree; all terms are quadratic in z and integrated exactly."
        Labels = [ "eq:elbo-joint"; "eq:elbo-kl"; "eq:elbo-gap" ]
        Function = "elboJoint, elboKl, elboGap"
        Instances = benches
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "entropy left out", error { core with Joint = fun logJoint _ -> logJoint.mean [| 0L |] }
            "KL added", error { core with Kl = fun logLikelihood kl -> elboKl logLikelihood (kl.neg ()) }
            "gap left out", error { core with Gap = fun logEvidence _ -> logEvidence }
            "a sum over samples", error { core with Kl = fun l kl -> l.sum [| 0L |] - kl }
        ]
    }

/// log w = log p(x,z) - log q(z|x), its draws, and the exact log-evidence. `[K,B]`, `[B]`.
let private weights (k: int64) (instance: Bench) =
    let scene = scene instance
    let z = DiagNormal.sample scene.Encoder (gaussian 8 [ k; 4L; instance.Latent ])
    let logJoint = LinearGaussian.logLikelihood scene.Model scene.X z + logStandardNormal z
    logJoint, DiagNormal.logProb scene.Encoder z, LinearGaussian.logEvidence scene.Model scene.X

/// |log p - exact| in units of the standard deviation of one weight relative to p.
let private estimateDeviation (logWeights: Tensor) (logEvidence: Tensor) (estimate: Tensor) =
    let relative = (logWeights - logEvidence).exp().std [| 0L |]
    value (((estimate - logEvidence).abs() / relative).max())

let private samples = 60_000L

let private ordering =
    let error (bound: Tensor -> Tensor) (instance: Bench) =
        let logJoint, logQ, logEvidence = weights samples instance
        let logWeights = logJoint - logQ

        // The mean over blocks of K samples of the bound of K. Blocks nest, so the order holds sample by sample.
        let blocked (k: int64) =
            let blocks = logWeights.view([| -1L; k; 4L |]).transpose(0L, 1L)
            (bound (blocks.reshape [| k; -1L |])).view([| -1L; 4L |]).mean [| 0L |]

        let bounds = [ 1L; 5L; 50L; 500L; samples ] |> List.map blocked
        let elbo = elboJoint logJoint logQ

        let disorder =
            bounds |> List.pairwise |> List.map (fun (low, high) -> value ((low - high).max()))

        let sd = value ((logWeights - logEvidence).exp().std([| 0L |]).min())
        let above = bounds |> List.map (fun b -> value ((b - logEvidence).max()) / sd)
        let reaches = estimateDeviation logWeights logEvidence (List.last bounds)
        let few = logWeights.narrow (0L, 0L, 7L)
        let plain = Plain.rows few |> Array.transpose |> Array.map Plain.logMeanExp
        // By rounding, where the tolerance is that of the draws.
        let exactly = 1e6 * Plain.against plain (bound few)
        List.max (exactly :: distance bounds[0] elbo :: reaches :: 0.0 :: disorder @ above)

    {
        Id = "bound/ordering"
        Statement = "ELBO = IWAE_1 <= IWAE_5 <= IWAE_50 <= IWAE_500 <= log p(x), which the bound reaches."
        Labels = [ "eq:iwae" ]
        Function = "importanceWeightedBound"
        Instances = benches
        Error = error importanceWeightedBound
        Tolerance = Tolerance.monteCarlo samples 1.0
        Mutants = [
            "log K left out", error (fun w -> w.logsumexp 0L)
            "mean of logarithms", error (fun w -> w.mean [| 0L |])
            "largest weight", error (fun w -> w.amax [| 0L |])
        ]
    }

let private importance =
    let error (estimate: Tensor -> Tensor -> Tensor) (instance: Bench) =
        let logJoint, logQ, logEvidence = weights samples instance
        let few (x: Tensor) = x.narrow (0L, 0L, 6L)
        let joint, q = Plain.rows (few logJoint), Plain.rows (few logQ)
        let plain = Array.map2 Plain.minus joint q |> Array.transpose |> Array.map Plain.logMeanExp

        max
            (estimateDeviation (logJoint - logQ) logEvidence (estimate logJoint logQ))
            (1e6 * Plain.against plain (estimate (few logJoint) (few logQ)))

    {
        Id = "bound/is-consistent"
        Statement = "Importance sampling from q estimates log p(x)."
        Labels = [ "eq:is-loglik" ]
        Function = "logLikelihoodImportance"
        Instances = benches
        Error = error logLikelihoodImportance
        Tolerance = Tolerance.monteCarlo samples 1.0
        Mutants = [
            "proposal left out", error (fun logJoint _ -> logMeanExp 0L logJoint)
            "log K left out", error (fun logJoint logQ -> (logJoint - logQ).logsumexp 0L)
            "mean of logarithms", error elboJoint
        ]
    }

let private naive =
    let error (estimate: Tensor -> Tensor) (instance: Bench) =
        let scene = scene instance
        let z = gaussian 9 [ samples; 1L; instance.Latent ]
        let logLikelihood = LinearGaussian.logLikelihood scene.Model scene.X z
        let logEvidence = LinearGaussian.logEvidence scene.Model scene.X
        let few = logLikelihood.narrow (0L, 0L, 6L)
        let plain = Plain.rows few |> Array.transpose |> Array.map Plain.logMeanExp

        max
            (estimateDeviation logLikelihood logEvidence (estimate logLikelihood))
            (1e6 * Plain.against plain (estimate few))

    {
        Id = "bound/mc-consistent"
        Statement = "Averaging p(x|z) over the prior estimates log p(x)."
        Labels = [ "eq:mc-loglik" ]
        Function = "logLikelihoodPrior"
        // With five latents almost every draw of the prior misses the posterior: the case against this estimator.
        Instances = benches |> List.filter (fun (_, b) -> b.Latent <= 2L)
        Error = error logLikelihoodPrior
        Tolerance = Tolerance.monteCarlo samples 1.0
        Mutants = [
            "log K left out", error (fun l -> l.logsumexp 0L)
            "mean of logarithms", error (fun l -> l.mean [| 0L |])
        ]
    }

type private Finite = { Seed: int; X: int; Z: int }

/// Positive numbers that sum to one along a dimension.
let private table (seed: int) (shape: int64 list) (dim: int64) =
    torch.nn.functional.softmax (gaussian seed shape, dim)

let private jointSpace =
    let error forms (instance: Finite) =
        let x, z = int64 instance.X, int64 instance.Z
        let pData = table instance.Seed [ x ] 0L
        let posterior = table (instance.Seed + 1) [ x; z ] 1L
        let joint = (table (instance.Seed + 2) [ x * z ] 0L).view [| x; z |]
        let d, q, p = elements pData, elements posterior, elements joint

        let direct =
            Seq.sum (
                seq {
                    for i in 0 .. q.Length - 1 do
                        let both = d[i / instance.Z] * q[i]
                        both * (Math.Log p[i] - Math.Log both)
                }
            )

        let a, b, c: Tensor * Tensor * Tensor = forms pData posterior joint
        [ a; b; c ] |> List.map (fun form -> abs (value form - direct)) |> List.max

    {
        Id = "elbo/joint-space"
        Statement = "All three readings are -KL(q(x,z)||p(x,z)), on random finite tables."
        Labels = [ "eq:joint-space" ]
        Function = "jointSpaceForms"
        Instances = [
            "two by two", { Seed = 1; X = 2; Z = 2 }
            "three by five", { Seed = 4; X = 3; Z = 5 }
            "one code", { Seed = 7; X = 6; Z = 1 }
        ]
        Error = error jointSpaceForms
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the divergence itself",
            error (fun d q p ->
                let a, b, c = jointSpaceForms d q p
                a.neg (), b.neg (), c.neg ())
            "prior for the posterior in the second",
            error (fun d q p ->
                let a, _, c = jointSpaceForms d q p
                let pX, pZ = p.sum 1L, p.sum (0L, true)
                let overData = (d * (d.log () - pX.log ())).sum()
                let toPrior = (d.unsqueeze 1L * q * (q.log () - pZ.log ())).sum()
                a, (overData + toPrior).neg(), c)
            "data unweighted",
            error (fun d q p ->
                jointSpaceForms (torch.full_like (d, Scalar.op_Implicit (1.0 / float (d.size 0)))) q p)
        ]
    }

[<Tests>]
let tests =
    testList "bounds" [
        Law.test exact
        Law.test threeForms
        Law.test ordering
        Law.test importance
        Law.test naive
        Law.test jointSpace
    ]
