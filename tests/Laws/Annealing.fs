/// The evidence from both sides: its upper bound and annealed importance sampling.
module Research.Tests.Laws.Annealing

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.LinearModels

// ---------------------------------------------------------------------------------------------------------------
// The upper bound
// ---------------------------------------------------------------------------------------------------------------

/// KL(N(m, S) || N(mu, diag v)) of each row, by the textbook's formula. `[B]`.
let private klOfDense (mean: Tensor) (covariance: Tensor) (q: DiagNormal) : Tensor =
    let struct (_, logDet) = torch.linalg.slogdet covariance
    let spread = covariance.diagonal () + (mean - q.Mu).square()
    0.5 * (sumLast (spread / q.LogVar.exp () + q.LogVar - 1.0) - logDet)

let private upperBound =
    let error (bound: Tensor -> Tensor -> Tensor) (instance: Bench) =
        let scene = scene instance
        let m, x, q = scene.Model, scene.X, scene.Encoder
        let mean, covariance = LinearGaussian.posterior m x
        let logJoint z = LinearGaussian.logLikelihood m x z + logStandardNormal z
        let noise = quadraticNoise instance.Latent
        let ofPosterior = mean + noise.matmul ((torch.linalg.cholesky covariance).t())
        let ofEncoder = q.Mu + noise * (0.5 * q.LogVar).exp()
        let upper = bound (logJoint ofPosterior) (DiagNormal.logProb q ofPosterior)
        let lower = (logJoint ofEncoder - DiagNormal.logProb q ofEncoder).mean [| 0L |]
        let toEncoder = klOfDense mean covariance q
        let joint = OfJoint m

        max
            (distance (upper - lower) (klToDense q mean covariance + toEncoder))
            (Plain.against (Array.map joint.LogEvidence (Plain.rows x)) (upper - toEncoder))

    {
        Id = "evidence/eubo"
        Statement =
            "EUBO - ELBO = KL(q||p(z|x)) + KL(p(z|x)||q), of which the second stands above log p(x); all terms are quadratic in z and integrated exactly."
        Labels = [ "eq:eubo" ]
        Function = "eubo"
        Instances = benches
        Error = error eubo
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the encoder left out", error (fun logJoint _ -> logJoint.mean [| 0L |])
            "log of the mean weight", error (fun logJoint logQ -> logMeanExp 0L (logJoint - logQ))
            "log of the mean inverse weight",
            error (fun logJoint logQ -> (logMeanExp 0L (logQ - logJoint)).neg())
        ]
    }

// ---------------------------------------------------------------------------------------------------------------
// Annealed importance sampling
// ---------------------------------------------------------------------------------------------------------------

/// The path of a bench's encoder, moved and widened so that it is not near the posterior.
let private pathOf (instance: Bench) : AnnealingPath =
    let scene = scene instance

    AnnealingPath.ofModel
        {
            Encode =
                fun _ -> {
                    Base = { Mu = scene.Encoder.Mu + 0.4; LogVar = scene.Encoder.LogVar + 0.8 }
                    Flow = None
                }
            LogLikelihood = LinearGaussian.logLikelihood scene.Model
            Prior = Prior.standard
        }
        scene.X

/// log q0(z) and log p(x,z) of a bench's path in plain numbers, for `z: [K,4,L]` in row-major order.
let private plainEnds (instance: Bench) (z: Tensor) : (float * float)[] =
    let scene = scene instance
    let joint, data = OfJoint scene.Model, Plain.rows scene.X
    let mu = Plain.rows (scene.Encoder.Mu + 0.4)
    let logVar = Plain.rows (scene.Encoder.LogVar + 0.8)

    Plain.rows z
    |> Array.mapi (fun i z ->
        let b = i % data.Length
        Plain.diagNormal mu[b] logVar[b] z, joint.LogLikelihood data[b] z + Plain.standardNormal z)

let private geometric =
    let error (density: AnnealingPath -> float -> Tensor -> Tensor) (t: float) =
        let instance = snd benches[1]
        let z = gaussian 8 [ 3L; 4L; instance.Latent ]
        let expected = plainEnds instance z |> Array.map (fun (q, p) -> q + t * (p - q))
        Plain.against expected (density (pathOf instance) t z)

    {
        Id = "ais/path"
        Statement = "The path is geometric, from the encoder's posterior to the joint density."
        Labels = [ "eq:annealing" ]
        Function = "AnnealingPath.logDensity, AnnealingPath.ofModel"
        Instances = [ "base", 0.0; "between", 0.3; "joint", 1.0 ]
        Error = error AnnealingPath.logDensity
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "from the other end", error (fun path t z -> AnnealingPath.logDensity path (1.0 - t) z)
            "a mixture",
            error (fun path t z ->
                ((1.0 - t) * (DiagNormal.logProb path.Base z).exp() + t * (path.LogJoint z).exp()).log())
            "the base throughout",
            error (fun path t z -> DiagNormal.logProb path.Base z + t * path.LogJoint z)
        ]
    }

type Weights = AnnealingPath -> float[] -> (int -> (Tensor -> Tensor) -> Tensor -> Tensor) -> Tensor -> Tensor

/// Annealing with what a step adds, and where: of the state before a transition and behind it.
let private climbing (gain: AnnealingPath -> float -> float -> Tensor -> Tensor -> Tensor) : Weights =
    fun path ladder transition z ->
        use _ = torch.no_grad ()

        let next (logWeight: Tensor, before: Tensor) i =
            let z = transition i (AnnealingPath.logDensity path ladder[i]) before
            logWeight + gain path ladder[i] ladder[i + 1] before z, z

        fst (Seq.fold next (gain path ladder[0] ladder[1] z z, z) (seq { 1 .. ladder.Length - 2 }))

let private ratio (path: AnnealingPath) (z: Tensor) = path.LogJoint z - DiagNormal.logProb path.Base z

let private importance =
    let error (weights: Weights) (ladder: float[], instance: Bench) =
        let z = gaussian 9 [ 3L; 4L; instance.Latent ]
        let rise = Array.last ladder - ladder[0]
        let expected = plainEnds instance z |> Array.map (fun (q, p) -> rise * (p - q))
        Plain.against expected (weights (pathOf instance) ladder (fun _ _ z -> z) z)

    {
        Id = "ais/importance"
        Statement =
            "With one step, and with any number where the chains stay, the weight is the importance weight or its inverse."
        Labels = []
        Function = "annealedLogWeights"
        Instances = [
            for way, ladder in
                [
                    "one step", [| 0.0; 1.0 |]
                    "one step down", [| 1.0; 0.0 |]
                    "three", [| 0.0; 0.2; 0.7; 1.0 |]
                ] do
                for name, bench in benches -> $"{way}, {name}", (ladder, bench)
        ]
        Error = error annealedLogWeights
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the joint density alone", error (climbing (fun path t t' _ z -> (t' - t) * path.LogJoint z))
            "of equal steps",
            error (fun path ladder move z ->
                let equal = [| for i in 0 .. ladder.Length - 1 -> float i / float (ladder.Length - 1) |]
                annealedLogWeights path equal move z)
            "the inverse", error (climbing (fun path t t' _ z -> (t - t') * ratio path z))
        ]
    }

/// Noise for `hamiltonianMoves`: another draw at each rung. `shape: [..,B,L]`.
let noise (seed: int) (shape: int64 list) (rung: int) =
    gaussian (seed + 2 * rung) shape, uniform (seed + 2 * rung + 1) (List.take (shape.Length - 1) shape)

/// A ladder of so many even steps.
let private ladder (steps: int) = [| for i in 0..steps -> float i / float steps |]

/// One way along a ladder.
type private Way =
    | Up
    | Down

let private unbiased =
    let draws = 20_000L

    let error (weights: Weights) (move: _ -> _ -> _ -> _) (way: Way, bench: string) =
        let instance = benches |> List.find (fun (name, _) -> name = bench) |> snd
        let scene, path = scene instance, pathOf instance
        let l = instance.Latent
        let shape = [ draws; 4L; l ]
        let rungs = [| 0.0; 0.1; 0.3; 0.6; 1.0 |]
        let sizes = torch.full ([| 3L; 4L |], Research.Core.scalar 0.9, torch.float64)
        let exact = vector [ for x in Plain.rows scene.X -> (OfJoint scene.Model).LogEvidence x ]

        let moves: int -> (Tensor -> Tensor) -> Tensor -> Tensor =
            move (hamiltonianMoves path sizes 2 (noise 100 shape)) path

        let draw =
            match way with
            | Up ->
                let z = DiagNormal.sample path.Base (gaussian 10 shape)
                (weights path rungs moves z - exact).exp()
            | Down ->
                let mean, covariance = LinearGaussian.posterior scene.Model scene.X
                let z = mean + (gaussian 11 shape).matmul((torch.linalg.cholesky covariance).t())
                (weights path (Array.rev rungs) moves z + exact).exp()

        // Each example's own mean; the largest of four deviations.
        draw.unbind 1L |> Array.map (deviation 1.0) |> Array.max

    let asTheyAre moves _ = moves

    {
        Id = "ais/unbiased"
        Statement = "Weights up the ladder have the mean p(x), weights down it from the posterior 1/p(x)."
        Labels = [ "eq:ais" ]
        Function = "annealedLogWeights, hamiltonianMoves"
        Instances = [
            for name in [ "two to one"; "four to two"; "noisy" ] do
                $"up, {name}", (Up, name)
                $"down, {name}", (Down, name)
        ]
        Error = error annealedLogWeights asTheyAre
        Tolerance = Tolerance.monteCarlo draws 1.0
        Mutants = [
            "weighted before the transition",
            error (climbing (fun path t t' before _ -> (t' - t) * ratio path before)) asTheyAre
            "always accepted",
            error annealedLogWeights (fun _ path i f z ->
                let step = 0.9 * (0.5 * path.Base.LogVar).exp()
                fst (leapfrog f step 2 z (fst (noise 100 [ draws; 4L; z.size -1 ] i))))
            "towards the posterior at every rung",
            error annealedLogWeights (fun moves path i _ z -> moves i path.LogJoint z)
        ]
    }

let private moves =
    let error
        (move:
            AnnealingPath
                -> Tensor
                -> int
                -> (int -> Tensor * Tensor)
                -> int
                -> (Tensor -> Tensor)
                -> Tensor
                -> Tensor)
        (rung: int)
        =
        let instance = snd benches[1]
        let path = pathOf instance
        let shape = [ 3L; 4L; instance.Latent ]
        let sizes = 0.2 + 0.5 * uniform 12 [ 3L; 4L ]
        let z, f = gaussian 13 shape, path.LogJoint
        let momentum, u = noise 14 shape rung
        let deviations = (0.5 * path.Base.LogVar).exp()
        let step = torch.stack [| for b in 0L .. 3L -> sizes[int64 (rung - 1), b] * deviations[b] |]
        distance (move path sizes 2 (noise 14 shape) rung f z) (fst (hamiltonianStep f step 2 momentum u z))

    {
        Id = "ais/moves"
        Statement = "At each rung chains move by that rung's sizes, in the base's standard deviations."
        Labels = []
        Function = "hamiltonianMoves"
        Instances = [ "first", 1; "second", 2; "third", 3 ]
        Error = error hamiltonianMoves
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the sizes of the first rung",
            error (fun path sizes n noise rung ->
                hamiltonianMoves path (sizes.narrow(0L, 0L, 1L).expand_as sizes) n noise rung)
            "in units of the latents",
            error (fun path sizes n noise rung ->
                hamiltonianMoves { path with Base = DiagNormal.standardLike path.Base.Mu } sizes n noise rung)
            "the noise of the first rung",
            error (fun path sizes n noise rung -> hamiltonianMoves path sizes n (fun _ -> noise 1) rung)
        ]
    }

let private adapted =
    let error
        (adapt: AnnealingPath -> float[] -> int -> (int -> Tensor * Tensor) -> Tensor -> Tensor)
        (instance: Bench)
        =
        let path, scene = pathOf instance, scene instance
        let shape = [ 100L; 4L; instance.Latent ]
        let rungs = ladder 60
        let z = DiagNormal.sample path.Base (gaussian 15 shape)
        let sizes = adapt path rungs 2 (noise 16 shape) z
        let deviations = (0.5 * path.Base.LogVar).exp()

        let accepted (size: Tensor) (f: Tensor -> Tensor) z (momentum, u) =
            let _, acceptance = hamiltonianStep f (size.unsqueeze -1L * deviations) 2 momentum u z
            acceptance.mean [| 0L |]

        // The second size follows from what the first rung accepted; at the last one nearly the goal is met.
        let first = accepted sizes[0L] (AnnealingPath.logDensity path rungs[1]) z (noise 16 shape 1)
        let mean, covariance = LinearGaussian.posterior scene.Model scene.X
        let exact = mean + (gaussian 17 shape).matmul((torch.linalg.cholesky covariance).t())
        let last = accepted sizes[-1L] path.LogJoint exact (noise 18 shape 0)

        List.max [
            1e8 * distance sizes[0L] (torch.full_like (sizes[0L], Research.Core.scalar 0.5))
            1e8 * distance sizes[1L] (0.5 * ((first - 0.65) / 2.0).exp())
            value ((last - 0.65).abs().max())
        ]

    {
        Id = "ais/adapted"
        Statement =
            "Sizes begin at half a standard deviation, follow the acceptance, and end where it is about 0.65."
        Labels = []
        Function = "adaptedSizes"
        Instances = benches
        Error = error adaptedSizes
        Tolerance = Tolerance.limit 0.2
        Mutants = [
            "never adapted",
            error (fun path rungs n noise z ->
                torch.full_like (adaptedSizes path rungs n noise z, Research.Core.scalar 0.5))
            "the other way", error (fun path rungs n noise z -> 0.25 / adaptedSizes path rungs n noise z)
        ]
    }

/// The encoder is no part of what a chain is moved by.
let private baseIsHeld =
    testCase "the base is a constant"
    <| fun () ->
        let mu = (gaussian 1 [ 3L; 2L ]).requires_grad_ true
        let logVar = (gaussian 2 [ 3L; 2L ]).requires_grad_ true

        let path =
            AnnealingPath.ofModel
                {
                    Encode = fun _ -> { Base = { Mu = mu; LogVar = logVar }; Flow = None }
                    LogLikelihood = fun _ z -> sumLast z
                    Prior = Prior.standard
                }
                (gaussian 3 [ 3L; 2L ])

        Expect.isFalse (path.Base.Mu.requires_grad || path.Base.LogVar.requires_grad) "a gradient"

// ---------------------------------------------------------------------------------------------------------------
// Both sides
// ---------------------------------------------------------------------------------------------------------------

/// Data of a linear model with the latents that made them, and how they are annealed: from the prior, or from a normal
/// near the posterior.
type private Simulation = { Seed: int; Examples: int64; Chains: int64; Steps: int; FromPrior: bool }

/// Weights up and down, and the exact evidence. `[K,B]` twice, `[B]`.
let private simulated (s: Simulation) =
    let d, l, sigma = 8L, 3L, 0.8

    let m = {
        W = gaussian s.Seed [ d; l ]
        Offset = gaussian (s.Seed + 1) [ d ]
        Sigma = sigma
    }

    let z = gaussian (s.Seed + 2) [ s.Examples; l ]
    let x = z.matmul (m.W.t ()) + m.Offset + sigma * gaussian (s.Seed + 3) [ s.Examples; d ]

    let path = {
        Base =
            (if s.FromPrior then
                 DiagNormal.standardLike z
             else
                 let mean, covariance = LinearGaussian.posterior m x
                 let logVar = (covariance.diagonal().log() + 0.4).expand_as mean
                 { Mu = mean + 0.1; LogVar = logVar })
        LogJoint = fun z -> LinearGaussian.logLikelihood m x z + logStandardNormal z
    }

    let shape = [ s.Chains; s.Examples; l ]
    let rungs, leapfrogs = ladder s.Steps, 3
    let start stream = DiagNormal.sample path.Base (gaussian (s.Seed + stream) shape)
    let sizes = adaptedSizes path rungs leapfrogs (noise (s.Seed + 1_000) shape) (start 4)

    let anneal rungs sizes seed z =
        annealedLogWeights path rungs (hamiltonianMoves path sizes leapfrogs (noise seed shape)) z

    let up = anneal rungs sizes (s.Seed + 10_000) (start 5)

    let down =
        anneal (Array.rev rungs) (sizes.flip 0L) (s.Seed + 20_000) (z.expand (List.toArray shape))

    up, down, vector [ for x in Plain.rows x -> (OfJoint m).LogEvidence x ]

let private encloses =
    let error (bounds: Tensor -> Tensor -> Tensor * Tensor) (s: Simulation) =
        let up, down, exact = simulated s
        let lower, upper = bounds up down
        let mean (x: Tensor) = value (x.mean ())
        max (excess (mean lower) (mean exact)) (excess (mean exact) (mean upper))

    {
        Id = "ais/encloses"
        Statement =
            "Over simulated data the mean of log p(x) lies between both sides, for every seed, where the ladder is so short that they are far apart."
        Labels = [ "eq:bdmc" ]
        Function = "evidenceBounds"
        Instances = [
            for seed in 1..8 ->
                $"seed {seed}",
                {
                    Seed = 100_000 * seed
                    Examples = 100L
                    Chains = 4L
                    Steps = 6
                    FromPrior = true
                }
        ]
        Error = error evidenceBounds
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the sides exchanged",
            error (fun up down -> (let lower, upper = evidenceBounds up down in upper, lower))
            "the lower one twice",
            error (fun up down -> (let lower, _ = evidenceBounds up down in lower, lower))
            "the way down for both", error (fun _ down -> evidenceBounds down down)
        ]
    }

let private closes =
    let error (bounds: Tensor -> Tensor -> Tensor * Tensor) (s: Simulation) =
        let up, down, exact = simulated s
        let lower, upper = bounds up down
        max (distance lower exact) (distance upper exact)

    {
        Id = "ais/closes"
        Statement = "With a long ladder both sides are at log p(x) for every example."
        Labels = []
        Function = "evidenceBounds"
        Instances = [
            for seed in 11..13 ->
                $"seed {seed}",
                {
                    Seed = 100_000 * seed
                    Examples = 20L
                    Chains = 16L
                    Steps = 60
                    FromPrior = false
                }
        ]
        Error = error evidenceBounds
        Tolerance = Tolerance.limit 0.5
        Mutants = [
            "log K left out", error (fun up down -> up.logsumexp 0L, (down.logsumexp 0L).neg())
            "one step's weight", error (fun up down -> evidenceBounds (up * 0.5) (down * 0.5))
        ]
    }

[<Tests>]
let tests =
    testList "annealing" [
        Law.test upperBound
        Law.test geometric
        Law.test importance
        Law.test unbiased
        Law.test moves
        Law.test adapted
        baseIsHeld
        Law.test encloses
        Law.test closes
    ]
