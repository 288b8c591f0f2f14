/// What the notebook of learned priors, and code after it, gets wrong, and by how much on the trained models of hw5.4. The wrong
/// forms are spelled with the right ones: a product over dimensions, a doubled log-variance, a repeated determinant.
module Research.Experiments.Hw.DigitsTraps

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits
open Research.Experiments.Hw.DigitsPriors

/// Draws from a prior behind each mean.
let private draws = 10000L

let private find (built: BuiltVae) key =
    built.Parameters.All
    |> Seq.pick (fun struct (name, tensor) -> if name = key then Some tensor else None)

/// The mixture taken dimension by dimension, `[..,L] -> [..]`: a product of one-dimensional mixtures.
let private perDimension (mixture: Mixture) (z: Tensor) =
    let slice (x: Tensor) d = x.narrow (-1L, d, 1L)
    let { Mu = mu; LogVar = logVar } = mixture.Components
    [|
        for d in 0L .. z.size -1 - 1L ->
            Mixture.logProb { mixture with Components = { Mu = slice mu d; LogVar = slice logVar d } } (slice z d)
    |]
    |> Array.reduce (+)

let private mean (x: Tensor) = x.mean().ToDouble()

/// The divergence on the test images by the joint and by the per-dimension mixture, and -log p at draws of a sampler
/// that takes exp(logVar/2), or exp(logVar), for the standard deviation.
let private mixtureErrors (built: BuiltVae) (test: Tensor) (noise: Noise) =
    let mu, logVar = find built "prior.mu", find built "prior.logvar"
    let withVariance logVar = { Logits = find built "prior.logits"; Components = { Mu = mu; LogVar = logVar } }
    let mixture, latent, device = withVariance logVar, int64 built.Vae.Shape.Latent, test.device
    let z, logQ =
        noise.Normal("traps", 0L, [| test.size 0; latent |], device = device)
        |> Posterior.sample (built.Model().Encode test)
    let u = noise.Uniform("traps.component", 0L, [| draws |], device = device)
    let eps = noise.Normal("traps.draws", 0L, [| draws; latent |], device = device)
    let surprise sampler = mean (Mixture.logProb mixture (Mixture.sample sampler u eps)) * -1.0

    [
        "kl.right", mean (logQ - Mixture.logProb mixture z)
        "kl.wrong", mean (logQ - perDimension mixture z)
        "draws.right", surprise mixture
        "draws.wrong", surprise (withVariance (2.0 * logVar))
    ]

/// The mean of log p at draws of the flow, with the determinant once and once for each dimension.
let private flowErrors (built: BuiltVae) (noise: Noise) =
    let prior, latent, device = built.Model().Prior, built.Vae.Shape.Latent, built.Parameters.Device
    let eps = noise.Normal("traps.flow", 0L, [| draws; int64 latent |], device = device)
    let logP = prior.LogProb(prior.Sample (torch.zeros ([| draws |], device = device)) eps)
    let logDet = mean logP - mean (logStandardNormal eps)
    [ "flow.right", mean logP; "flow.wrong", mean logP + float (latent - 1) * logDet ]

let private measurement (plan: Plan) (latent: int) (mixture: Trained) (flow: Trained) : RunRequest =
    let measure (context: RunContext) =
        let load (trained: Trained) = VaeTraining.load trained (context.Dependency trained.Training.Key) context.Device
        mixtureErrors (load mixture) (plan.Test set) context.Noise @ flowErrors (load flow) context.Noise
    let seed, both = mixture.Seed, [ mixture.Training; flow.Training ]
    plan.Measure($"hw5.4.traps.l{latent}.seed{seed}", [ "draws", string draws ], seed, Some set, measure, both)

/// One measurement per seed.
let runs (plan: Plan) (latent: int) : RunRequest list =
    List.map2 (measurement plan latent) (trainings plan latent (mixtureOf usual)) (trainings plan latent realNvp)

let table (results: Results) : Table =
    let column latent form header =
        Column.right header (fun (_, name) ->
            runs results.Plan latent |> List.map (results.Value $"{name}.{form}") |> Seeds.cell 2)

    [
        "KL on the test images; log-sum-exp in each dimension", "kl"
        "$-\\log p$ at the mixture's draws; variance for standard deviation", "draws"
        "$\\log p$ at the flow's draws; determinant in each dimension", "flow"
    ]
    |> Table.over
        "hw5.4.traps"
        "Digits: what three errors of the notebook of priors report for the trained models with 16 components and for the flow (nats). The fourth, the constant of all dimensions in each of them, adds $\\frac{L(L-1)}{2}\\log 2\\pi$."
        [
            Column.wrapped 0.28 "Quantity, and the error" fst
            for latent in dimensions do
                column latent "right" $"right ($L={latent}$)"
                column latent "wrong" "wrong"
        ]

/// The fourth error: what L - 1 superfluous constants log(2 pi)/2 in each of L dimensions add up to.
let constant (latent: int) = float (latent * (latent - 1)) / 2.0 * log (2.0 * Math.PI)
