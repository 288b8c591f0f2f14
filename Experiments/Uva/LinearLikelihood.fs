/// The first half of uva1.4: the error of two estimates of log p(x) on a linear-Gaussian model, where log p(x) is exact.
module Research.Experiments.Uva.LinearLikelihood

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

let dataDimension = 128L
let sigma = 0.7

let latents profile = Profile.pick profile [ 1; 4 ] [ 1; 2; 4; 8; 16; 32 ] [ 1; 2; 4; 8; 16; 32 ]

let sampleCounts profile = Profile.pick profile [ 1; 10; 100 ] [ 1; 10; 100; 1000; 10_000 ] [ 1; 10; 100; 1000; 10_000 ]

/// Data points, each estimated once.
let points profile = Profile.pick profile 5 24 200

/// Columns of W near unit length, so that every latent carries about 1/2 log(1 + 1/sigma^2) nats.
let private model (noise: Noise) (latent: int) : LinearGaussian = {
    W =
        noise.Normal($"weights.{latent}", 0L, [| dataDimension; int64 latent |], torch.float64)
        / sqrt (float dataDimension)
    Offset = torch.zeros ([| dataDimension |], torch.float64)
    Sigma = sigma
}

/// KL(p(z|x)||N(0,I)) of a normal with a dense covariance, `[1,L]` and `[L,L]`, result in nats.
let private klPosterior (mean: Tensor) (covariance: Tensor) =
    let factor = torch.linalg.cholesky covariance
    let halfLogDet = (factor.diagonal().log()).sum()
    let trace = covariance.trace () - float (covariance.size 0)
    (0.5 * (mean.square().sum() + trace) - halfLogDet).ToDouble()

/// How far the importance weights are from an infinite variance: the smallest eigenvalue of 2 M - Q, M the precision of
/// the posterior and Q that of the proposal, which must be positive for the integral of p^2/q to exist.
let private margin (covariance: Tensor) =
    let proposal = covariance.diagonal().reciprocal().diag()
    let struct (values, _) = torch.linalg.eigh (2.0 * torch.linalg.inv covariance - proposal)
    (values.min ()).ToDouble()

/// The errors of both estimates at one data point drawn from the model, and the divergence of its posterior.
/// The proposal is the diagonal normal with the posterior's mean and variances: what a perfectly trained encoder of a VAE
/// can know. Estimates with fewer samples use the first ones of the same draws.
let private errorsAt (m: LinearGaussian) (counts: int list) (draw: string -> int64 list -> Tensor) =
    use _ = torch.NewDisposeScope()
    let latent, most = m.W.size 1, int64 (List.max counts)
    let code = draw "code" [ 1L; latent ]
    let x = code.matmul (m.W.t ()) + sigma * draw "data" [ 1L; dataDimension ]
    let exact = (LinearGaussian.logEvidence m x).ToDouble()
    let mean, covariance = LinearGaussian.posterior m x
    let logLikelihood = LinearGaussian.logLikelihood m x (draw "prior" [ most; 1L; latent ])
    let q = { Mu = mean; LogVar = covariance.diagonal().log().unsqueeze 0L }
    let z = DiagNormal.sample q (draw "proposal" [ most; 1L; latent ])
    let logJoint = LinearGaussian.logLikelihood m x z + logStandardNormal z
    let logQ = DiagNormal.logProb q z

    [
        for k in counts do
            let first (t: Tensor) = t.narrow (0L, 0L, int64 k)
            let naive = logLikelihoodPrior (first logLikelihood)
            let importance = logLikelihoodImportance (first logJoint) (first logQ)
            $"prior.{latent}.{k}", naive.ToDouble() - exact
            $"importance.{latent}.{k}", importance.ToDouble() - exact
    ],
    klPosterior mean covariance

/// Values `prior.L.K` and `importance.L.K`, root mean square errors of log p(x) in nats over data drawn from the model, with
/// their standard errors `.error`, those of the mean squares over twice the root;
/// `kl.L`, the mean divergence of the posterior from the prior; `margin.L`.
let private measure (profile: Profile) (context: RunContext) = [
    let noise = context.Noise

    for latent in latents profile do
        use _ = torch.NewDisposeScope()
        let m = model noise latent
        let errors, divergences =
            [
                for point in 0 .. points profile - 1 do
                    context.Cancellation.ThrowIfCancellationRequested()
                    errorsAt m (sampleCounts profile) (fun stream shape ->
                        noise.Normal($"{stream}.{latent}", int64 point, List.toArray shape, torch.float64))
            ]
            |> List.unzip
        for name, errors in errors |> List.concat |> List.groupBy fst do
            let squares = errors |> List.map (fun (_, e) -> e * e)
            let rms = sqrt (List.average squares)
            name, rms
            let _, se = Seeds.meanSe squares
            $"{name}.error", (if rms > 0.0 then se / (2.0 * rms) else 0.0)
        let nowhere = torch.zeros ([| 1L; dataDimension |], torch.float64)
        $"kl.{latent}", List.average divergences
        $"margin.{latent}", margin (snd (LinearGaussian.posterior m nowhere))
]

let request (plan: Plan) (seed: int64) : RunRequest =
    let configuration = [
        "latents", $"%A{latents plan.Profile}"
        "samples", $"%A{sampleCounts plan.Profile}"
        "points", string (points plan.Profile)
        "sigma", inv sigma
        "data dimension", string dataDimension
    ]
    plan.Measure($"uva1.4.linear.seed{seed}", configuration, seed, None, measure plan.Profile)
