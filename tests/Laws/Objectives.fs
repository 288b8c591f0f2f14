/// Objectives. One line in `objectives` buys a new one every law of this file.
module Research.Tests.Laws.Objectives

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.LinearModels

/// What the laws need to know of an objective.
type Instance = {
    Objective: Objective
    /// The noise that it takes for a batch of B examples with L latents.
    Noise: int64 -> int64 -> int64 list
    /// Whether its mean is an upper bound of the mean of -log p(x).
    Bounds: bool
    /// Whether the parameters of a learned prior have a gradient.
    UsesPrior: bool
}

let private rbf = mmdUnbiased (kernelRbf 2.0)
let private one b l = [ b; l ]
let private samples k b l = [ k; b; l ]

let private single objective = { Objective = objective; Noise = one; Bounds = true; UsesPrior = true }

/// Every objective of Core, at the parameters that matter.
let objectives: (string * Instance) list = [
    "elbo", single elbo
    "beta 0", { single (betaElbo 0.0) with Bounds = false; UsesPrior = false }
    "beta 0.1", { single (betaElbo 0.1) with Bounds = false }
    "beta 10", single (betaElbo 10.0)
    "elbo, five samples", { single elbo with Noise = samples 5L }
    "importance-weighted, one", { single importanceWeighted with Noise = samples 1L }
    "importance-weighted, twenty", { single importanceWeighted with Noise = samples 20L }
    "infovae at the ELBO", { single (infoVae 0.0 1.0 rbf) with Noise = samples 2L }
    "mmd-vae",
    {
        single (infoVae 1.0 10.0 rbf) with
            Noise = samples 2L
            Bounds = false
            UsesPrior = false
    }
]

/// A linear-Gaussian model with the parameters of decoder, encoder and prior in the open.
type private Parts = {
    Model: LatentModel
    X: Tensor
    Parameters: (string * Tensor) list
    PriorParameters: (string * Tensor) list
}

let private learned (x: Tensor) = x.detach().clone().requires_grad_ true

let private parts (bench: Bench) =
    let scene = scene bench

    let w, mu, logVar =
        learned scene.Model.W, learned scene.Encoder.Mu, learned scene.Encoder.LogVar

    let priorMu = learned (torch.zeros ([| 1L; bench.Latent |], torch.float64))
    let decoder = { scene.Model with W = w }
    let one = torch.zeros ([| 1L |], torch.float64)

    {
        Model = {
            Encode = fun _ -> { Base = { Mu = mu; LogVar = logVar }; Flow = None }
            LogLikelihood = LinearGaussian.logLikelihood decoder
            Prior = Prior.mixtureOfGaussians one priorMu (torch.zeros_like priorMu)
        }
        X = scene.X
        Parameters = [ "decoder", w; "posterior mean", mu; "posterior log-variance", logVar ]
        PriorParameters = [ "prior mean", priorMu ]
    }

let private bench = { Seed = 2; Data = 4L; Latent = 2L; Sigma = 0.5 }

let private termsSum =
    let error (total: Terms -> Tensor) (instance: Instance) =
        let parts = parts bench

        let terms =
            instance.Objective parts.Model parts.X (gaussian 3 (instance.Noise 4L bench.Latent))

        let loss = total terms
        let sum = terms |> List.sumBy (fun (_, term) -> value term)
        let named = terms |> List.distinctBy fst |> List.length = terms.Length
        let scalars = loss :: List.map snd terms |> List.forall (fun t -> t.ndim = 0L)
        loss.backward ()

        /// A parameter that the loss depends on has a finite gradient, and not nothing but zeros.
        let learns (parameter: Tensor) =
            match parameter.grad with
            | null -> false
            | g -> elements g |> Array.forall System.Double.IsFinite && value (g.abs().max()) > 0.0

        let reached =
            parts.Parameters @ (if instance.UsesPrior then parts.PriorParameters else [])
            |> List.forall (snd >> learns)

        if named && scalars && reached then
            abs (value loss - sum)
        else
            infinity

    {
        Id = "objective/terms-sum"
        Statement = "The named terms add up to the loss, and the loss's gradient reaches every parameter."
        Labels = []
        Function = "total"
        Instances = objectives
        Error = error total
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the first term only", error (List.head >> snd)
            "the mean of the terms", error (fun terms -> total terms / (2.0 * float terms.Length))
            "cut off from the parameters", error (fun terms -> (total terms).detach().requires_grad_ true)
        ]
    }

let private draws = 400

let private bound =
    let error (change: Objective -> Objective) (instance: Instance) =
        let scene = scene bench

        let model = {
            Encode = fun _ -> { Base = scene.Encoder; Flow = None }
            LogLikelihood = LinearGaussian.logLikelihood scene.Model
            Prior = Prior.standard
        }

        let noise = instance.Noise 4L bench.Latent

        let losses =
            vector [
                for draw in 1..draws ->
                    value (total (change instance.Objective model scene.X (gaussian draw noise)))
            ]

        let negativeEvidence = -value((LinearGaussian.logEvidence scene.Model scene.X).mean())
        excess negativeEvidence (value (losses.mean ())) / max 1e-10 (value (losses.std ()))

    /// The objective with its loss moved by a function of the model.
    let plus (extra: LatentModel -> Tensor -> Tensor) (objective: Objective) : Objective =
        fun model x eps -> ("planted", extra model x) :: objective model x eps

    let rate (model: LatentModel) x = (klStandard (model.Encode x).Base).mean()

    {
        Id = "objective/bound"
        Statement = "The mean loss of a bound is at least -log p(x)."
        Labels = []
        Function = "elbo, betaElbo, importanceWeighted, infoVae"
        Instances = objectives |> List.filter (fun (_, instance) -> instance.Bounds)
        Error = error id
        Tolerance = Tolerance.monteCarlo (int64 draws) 1.0
        Mutants = [
            "divergence subtracted", error (plus (fun model x -> -2.0 * rate model x))
            "divergence left out", error (plus (fun model x -> -1.0 * rate model x))
            "constant of the likelihood left out",
            error (
                plus (fun _ x -> -0.5 * log (2.0 * System.Math.PI) * torch.ones_like(x).sum -1L |> _.mean())
            )
        ]
    }

let private standardModel (bench: Bench) =
    let scene = scene bench

    {
        Encode = fun _ -> { Base = scene.Encoder; Flow = None }
        LogLikelihood = LinearGaussian.logLikelihood scene.Model
        Prior = Prior.standard
    },
    scene

let private betaLimits =
    let betas = [ 0.0; 0.5; 1.0; 4.0 ]

    let error (objective: float -> Objective) (bench: Bench) =
        let model, scene = standardModel bench
        let eps = quadraticNoise bench.Latent
        let z = DiagNormal.sample scene.Encoder eps
        let logLikelihood = model.LogLikelihood scene.X z
        let reconstruction = -value(logLikelihood.mean ())
        let rate = value ((klStandard scene.Encoder).mean())
        let loss beta = value (total (objective beta model scene.X eps))
        let line = betas |> List.map (fun beta -> abs (loss beta - (reconstruction + beta * rate)))
        let atOne = value ((elboKl logLikelihood (klStandard scene.Encoder)).mean())
        List.max (abs (loss 1.0 + atOne) :: line)

    {
        Id = "beta/limits"
        Statement = "The loss is reconstruction + beta KL: minus the ELBO at 1, the autoencoder's at 0."
        Labels = [ "eq:beta-elbo" ]
        Function = "betaElbo"
        Instances = benches
        Error = error betaElbo
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "beta on the reconstruction",
            error (fun beta model x eps -> [
                for name, term in elbo model x eps -> name, (if name = "kl" then term else beta * term)
            ])
            "beta squared", error (fun beta -> betaElbo (beta * beta))
            "beta left out", error (fun _ -> elbo)
        ]
    }

type private Info = float -> float -> (Tensor -> Tensor -> Tensor) -> Objective

let private infoLimits =
    let error (infoVae: Info) (bench: Bench) =
        let model, scene = standardModel bench
        let eps = gaussian 7 [ 2L; 4L; bench.Latent ]
        let z = DiagNormal.sample scene.Encoder eps[0]
        let reconstruction = -value((model.LogLikelihood scene.X z).mean())
        let rate = value ((klStandard scene.Encoder).mean())
        let discrepancy = value (rbf z eps[1])
        let loss alpha lambda = value (total (infoVae alpha lambda rbf model scene.X eps))

        List.max [
            abs (loss 0.0 1.0 - value (total (elbo model scene.X eps[0])))
            abs (loss 1.0 10.0 - (reconstruction + 10.0 * discrepancy))
            abs (loss -3.0 4.0 - value (total (betaElbo 4.0 model scene.X eps[0])))
            abs (loss 0.5 2.0 - (reconstruction + 0.5 * rate + 1.5 * discrepancy))
        ]

    {
        Id = "infovae/limits"
        Statement =
            "alpha = 0, lambda = 1 is the ELBO, alpha = 1 the MMD-VAE, alpha + lambda = 1 the beta-VAE."
        Labels = [ "eq:infovae-loss" ]
        Function = "infoVae"
        Instances = benches
        Error = error infoVae
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "lambda alone before the discrepancy",
            error (fun alpha lambda -> infoVae alpha (lambda + 1.0 - alpha))
            "alpha before the divergence",
            error (fun alpha lambda divergence model x eps -> [
                for name, term in infoVae alpha lambda divergence model x eps ->
                    name,
                    (if name = "kl" then
                         alpha / (1.0 - alpha + 1e-300) * term
                     else
                         term)
            ])
            "prior's samples twice",
            error (fun alpha lambda divergence -> infoVae alpha lambda (fun _ y -> divergence y y))
        ]
    }

type private FlowModel = { Bench: Bench; Flow: Transform }

let private flowElbo =
    let error (freeEnergy: Tensor -> Tensor -> Tensor -> Tensor) (instance: FlowModel) =
        let model, scene = standardModel instance.Bench
        let eps = gaussian 5 [ 4L; instance.Bench.Latent ]
        let z0 = DiagNormal.sample scene.Encoder eps
        let z, logDet = instance.Flow.Forward z0
        let logJoint = model.LogLikelihood scene.X z + logStandardNormal z
        let computed = value (freeEnergy (DiagNormal.logProb scene.Encoder z0) logDet logJoint)
        let posterior: Posterior = { Base = scene.Encoder; Flow = Some instance.Flow }
        let ofObjective = value (total (elbo { model with Encode = fun _ -> posterior } scene.X eps))

        // Independently: log q(z) with the determinant of autograd's Jacobian.
        let jacobianLogDet = jacobianLogDet (instance.Flow.Forward >> fst) z0
        let direct = value ((DiagNormal.logProb scene.Encoder z0 - jacobianLogDet - logJoint).mean())

        // The objective has the base's divergence in closed form where the free energy samples it.
        let sampled = DiagNormal.logProb scene.Encoder z0 - logStandardNormal z0
        let control = value ((klStandard scene.Encoder - sampled).mean())
        max (abs (computed - direct)) (abs (ofObjective - control - direct))

    {
        Id = "flow/elbo"
        Statement =
            "A flow posterior's free energy is minus the ELBO with log q(z) = log q0(z0) - log|det J|, up to the error of the base's sampled divergence."
        Labels = [ "eq:flow-elbo" ]
        Function = "flowFreeEnergy"
        Instances = [
            "planar",
            {
                Bench = bench
                Flow =
                    Transform.compose [
                        for seed in 1..4 ->
                            planar (gaussian seed [ 2L ]) (gaussian (seed + 9) [ 2L ]) (scalar 0.2)
                    ]
            }
            "couplings", { Bench = bench; Flow = Flows.smoothCoupling 5 2L }
            "no flow", { Bench = benches[3] |> snd; Flow = Transform.identity }
        ]
        Error = error flowFreeEnergy
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "log-determinant added", error (fun logQ0 logDet logJoint -> (logQ0 + logDet - logJoint).mean())
            "log-determinant left out", error (fun logQ0 _ logJoint -> (logQ0 - logJoint).mean())
            "a sum over the batch", error (fun logQ0 logDet logJoint -> (logQ0 - logDet - logJoint).sum())
        ]
    }

[<Tests>]
let tests =
    testList "objectives" [
        Law.test termsSum
        Law.test bound
        Law.test betaLimits
        Law.test infoLimits
        Law.test flowElbo
    ]
