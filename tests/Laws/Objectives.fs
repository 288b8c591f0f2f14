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

/// Mean over examples of the KL from N(0,I), in plain floats.
let private plainRate (q: DiagNormal) =
    Array.averageBy id (Array.map2 Plain.klToStandard (Plain.rows q.Mu) (Plain.rows q.LogVar))

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
    "infovae at the ELBO", { single (infoVae 0.0 1.0 rbf) with Noise = samples 3L }
    "sticking the landing", single stickTheLanding
    "sticking the landing, three samples", { single stickTheLanding with Noise = samples 3L }
    "doubly reparameterised", { single doublyReparameterised with Noise = samples 4L }
    "mmd-vae", { single (infoVae 1.0 10.0 rbf) with Noise = samples 3L; Bounds = false }
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
        let reconstruction = -(Array.average (elements logLikelihood))
        let rate = plainRate scene.Encoder
        let loss beta = value (total (objective beta model scene.X eps))
        List.max [ for beta in betas -> abs (loss beta - (reconstruction + beta * rate)) ]

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
        let eps = gaussian 7 [ 3L; 4L; bench.Latent ]
        let z = DiagNormal.sample scene.Encoder eps[0]
        let reconstruction = -(Array.average (elements (model.LogLikelihood scene.X z)))
        let rate = plainRate scene.Encoder
        let discrepancy = value (rbf z eps[1])
        let loss alpha lambda = value (total (infoVae alpha lambda rbf model scene.X eps))

        // A prior of two components, of which u = Phi(eps) takes the second from its weight on: at eps = 0 and weights
        // of 0.6 and 0.4 the first, at eps = 1 the second. The divergence only looks at the prior's samples.
        let components = {
            Mu = gaussian 8 [ 2L; bench.Latent ]
            LogVar = gaussian 9 [ 2L; bench.Latent ]
        }

        let prior =
            Prior.mixtureOfGaussians (vector [ log 0.6; log 0.4 ]) components.Mu components.LogVar

        let chosen = vector [ 0.0; 1.0; 0.2; -3.0 ]
        let noise = torch.stack [| eps[0]; eps[1]; chosen.unsqueeze(1L).expand_as eps[1] |]
        let seen (_: Tensor) (y: Tensor) = (y * eps[2]).sum()
        let ofMixture = infoVae 1.0 10.0 seen { model with Prior = prior } scene.X noise
        let mu, logVar, e = Plain.rows components.Mu, Plain.rows components.LogVar, Plain.rows eps[1]

        let samples =
            [| 0; 1; 0; 0 |]
            |> Array.mapi (fun i k -> Array.map3 (fun m l e -> m + sqrt (exp l) * e) mu[k] logVar[k] e[i])

        let direct = Array.sum (Array.map2 Plain.dot samples (Plain.rows eps[2]))

        List.max [
            abs (value (total ofMixture) - (reconstruction + 10.0 * direct)) / (1.0 + abs direct)
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
            "N(0,I) for the model's prior",
            error (fun alpha lambda divergence model x eps ->
                infoVae alpha lambda (fun z _ -> divergence z eps[1]) model x eps)
        ]
    }

type private Sampled = {
    Sample: Posterior -> Tensor -> Tensor * Tensor
    Elbo: Objective
    Bound: Objective
    Evidence: LatentModel -> Tensor -> Tensor -> Tensor
}

/// What an objective estimates by samples where the prior has no closed form or the posterior a flow, from the densities
/// of every sample in plain floats.
let private sampled =
    let error (s: Sampled) (bench: Bench, k: int64, flow: Transform option) =
        let standard, scene = standardModel bench

        let components = {
            Mu = gaussian 8 [ 3L; bench.Latent ]
            LogVar = gaussian 9 [ 3L; bench.Latent ]
        }

        let logits = vector [ 0.2; -0.5; 1.0 ]
        let posterior: Posterior = { Base = scene.Encoder; Flow = flow }

        let model = {
            standard with
                Encode = fun _ -> posterior
                Prior = Prior.mixtureOfGaussians logits components.Mu components.LogVar
        }

        let eps = gaussian 6 [ k; 4L; bench.Latent ]
        let mu, logVar = Plain.rows scene.Encoder.Mu, Plain.rows scene.Encoder.LogVar
        let e = Plain.rows eps

        let z0 =
            e
            |> Array.mapi (fun i e ->
                Array.map3 (fun m l e -> m + sqrt (exp l) * e) mu[i % 4] logVar[i % 4] e)

        let ofBase = z0 |> Array.mapi (fun i z -> Plain.diagNormal mu[i % 4] logVar[i % 4] z)
        let start = (torch.tensor (Array.concat z0)).view [| k; 4L; bench.Latent |]

        // The flow's image and determinant have laws of their own.
        let image, logDet =
            match flow with
            | None -> start, torch.zeros ([| k; 4L |], torch.float64)
            | Some flow -> flow.Forward start

        let logQ = Array.map2 (-) ofBase (elements logDet)

        let density =
            Plain.mixture (elements logits) (Plain.rows components.Mu) (Plain.rows components.LogVar)

        let logPrior = Plain.rows image |> Array.map density
        let logLikelihood = elements (model.LogLikelihood scene.X image)
        let logWeights = Array.map3 (fun l p q -> l + p - q) logLikelihood logPrior logQ
        let ofExample i = [| for k in 0 .. int k - 1 -> logWeights[4 * k + i] |]
        let bounds = Array.init 4 (ofExample >> Plain.logMeanExp)
        let z, logQz = s.Sample posterior eps
        let terms = Map.ofList (s.Elbo model scene.X eps)

        List.max [
            relativeDistance z image
            Plain.against logQ logQz
            Plain.against [| -(Array.average logLikelihood) |] terms["reconstruction"]
            Plain.against [| Array.average (Array.map2 (-) logQ logPrior) |] terms["kl"]
            Plain.against [| -(Array.average bounds) |] (total (s.Bound model scene.X eps))
            Plain.against bounds (s.Evidence model scene.X eps)
        ]

    let core = {
        Sample = Posterior.sample
        Elbo = elbo
        Bound = importanceWeighted
        Evidence = logEvidence
    }

    {
        Id = "objective/sampled"
        Statement =
            "Without a closed form the divergence is the mean of log q - log p, and the importance-weighted bound the logarithm of the mean weight."
        Labels = []
        Function = "Posterior.sample, elbo, importanceWeighted, logEvidence"
        Instances = [
            "no flow, five samples", (snd benches[1], 5L, None)
            "planar, one sample",
            (snd benches[1], 1L, Some(planar (gaussian 1 [ 2L ]) (gaussian 2 [ 2L ]) (scalar 0.3)))
            "coupling, three samples", (snd benches[2], 3L, Some(Flows.smoothCoupling 5 2L))
        ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "log-determinant added",
            error {
                core with
                    Sample =
                        fun q eps ->
                            let z, logQ = Posterior.sample q eps
                            let ofBase = snd (Posterior.sample { q with Flow = None } eps)
                            z, 2.0 * ofBase - logQ
            }
            "mean of the logarithms",
            error { core with Bound = fun model x eps -> [ "bound", total (elbo model x eps) ] }
            "prior left out",
            error {
                core with
                    Evidence =
                        fun model x eps ->
                            let z, logQ = Posterior.sample (model.Encode x) eps
                            logLikelihoodImportance (model.LogLikelihood x z) logQ
            }
            "divergence turned round",
            error {
                core with
                    Elbo =
                        fun model x eps -> [
                            for name, term in elbo model x eps ->
                                name, (if name = "kl" then term.neg () else term)
                        ]
            }
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
        let control = plainRate scene.Encoder - Array.average (elements sampled)
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
        Law.test sampled
        Law.test flowElbo
    ]
