/// Priors: normalised, in agreement with their samplers, and ordered by the aggregated posterior.
module Research.Tests.Laws.Priors

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.Distributions
open Research.Tests.Laws.LinearModels

let private draws = 40_000L

/// The larger of |mass - 1| and the samples' deviation from the density's moments, in standard deviations: one
/// tolerance fits both, since quadrature is far more exact and a density that is not normalised far outside.
let private agreement (prior: Prior) (dim: int64) : float =
    let t, weight = grid dim
    let z = 1.5 * t
    let density = (prior.LogProb z).exp().detach() * weight * 1.5 ** float dim
    let sampled = (prior.Sample (uniform 3 [ draws ]) (gaussian 4 [ draws; dim ])).detach()
    let first (x: Tensor) = x.select (-1L, 0L)
    let last (x: Tensor) = x.select (-1L, dim - 1L)

    let statistics: (Tensor -> Tensor) list = [
        first
        last
        fun x -> first x * last x
        fun x -> first(x).square()
        fun x -> (2.0 * first x).sin() * last x
    ]

    let moment (f: Tensor -> Tensor) = deviation (value ((density * f z).sum())) (f sampled)
    List.max (abs (value (density.sum ()) - 1.0) :: List.map moment statistics)

type private Make = int64 -> Prior

/// The mixture's density at random points in plain floats, by rounding where the tolerance is that of the draws.
let private againstMixture (logits: Tensor) (components: DiagNormal) (prior: Prior) : float =
    let z = 2.0 * gaussian 11 [ 9L; components.Mu.size 1 ]

    let density =
        Plain.mixture (elements logits) (Plain.rows components.Mu) (Plain.rows components.LogVar)

    1e6 * Plain.against (Plain.rows z |> Array.map density) (prior.LogProb z)

/// The law that every prior must pass; its own laws below name it.
let private priorLaw
    (dims: int64 list)
    (make: Make)
    (reference: int64 -> Prior -> float)
    (mutants: (string * Make) list)
    : Law<int64> =
    let error (make: Make) dim =
        let prior = make dim
        max (agreement prior dim) (reference dim prior)

    {
        Id = "prior/any"
        Statement = "The prior's density integrates to 1 and has the moments of its samples."
        Labels = []
        Function = ""
        Instances = [ for dim in dims -> $"in {dim} dimensions", dim ]
        Error = error make
        Tolerance = Tolerance.monteCarlo draws 1.0
        Mutants = mutants |> List.map (fun (name, make) -> name, error make)
    }

let private k = 4L
let private logits () = gaussian 1 [ k ]
let private mu dim : Tensor = 1.5 * gaussian 2 [ k; dim ]
let private logVar dim : Tensor = 0.5 * gaussian 3 [ k; dim ] - 0.5

let private equalWeights (prior: Tensor -> Prior) = prior (torch.zeros_like (logits ()))

let private mog =
    let make dim = Prior.mixtureOfGaussians (logits ()) (mu dim) (logVar dim)

    let perDimension dim =
        let mixture = { Logits = (logits ()); Components = { Mu = mu dim; LogVar = logVar dim } }
        { make dim with LogProb = perDimension mixture }

    let reference dim = againstMixture (logits ()) { Mu = mu dim; LogVar = logVar dim }

    {
        priorLaw [ 1L; 2L ] make reference [
            "log-sum-exp in each dimension", perDimension
            "equal weights in the density",
            (fun dim -> {
                make dim with
                    LogProb =
                        (equalWeights (fun l -> Prior.mixtureOfGaussians l (mu dim) (logVar dim))).LogProb
            })
        ] with
            Id = "prior/mog"
            Labels = [ "eq:mog-prior" ]
            Function = "Prior.mixtureOfGaussians"
    }

/// An encoder from three-dimensional data.
let private encode (dim: int64) (x: Tensor) : DiagNormal = {
    Mu = 1.5 * (x.matmul (gaussian 5 [ 3L; dim ])).tanh()
    LogVar = 0.5 * x.matmul (gaussian 6 [ 3L; dim ]) - 1.0
}

let private vamp =
    let pseudoInputs () = gaussian 7 [ k; 3L ]
    let make dim = Prior.vamp (encode dim) (logits ()) (pseudoInputs ())
    // The encoder's posteriors at the pseudo-inputs, which this test asks for itself.
    let reference dim = againstMixture (logits ()) (encode dim (pseudoInputs ()))

    {
        priorLaw [ 1L; 2L ] make reference [
            "pseudo-inputs halved",
            (fun dim -> Prior.vamp (fun u -> encode dim (0.5 * u)) (logits ()) (pseudoInputs ()))
            "unit variance in the density",
            (fun dim ->
                let means = { DiagNormal.standardLike (mu dim) with Mu = (encode dim (pseudoInputs ())).Mu }

                {
                    make dim with
                        LogProb = (Prior.vamp (fun _ -> means) (logits ()) (pseudoInputs ())).LogProb
                })
            "weights not normalised",
            (fun dim ->
                let shift = value ((logits ()).logsumexp 0L)
                { make dim with LogProb = fun z -> (make dim).LogProb z + shift })
        ] with
            Id = "prior/vamp"
            Labels = [ "eq:vamp-prior" ]
            Function = "Prior.vamp"
    }

let private gtm =
    // Codes on a line, centres on the curve that the network makes of them.
    let codes () = torch.linspace(-1.0, 1.0, k, dtype = torch.float64).unsqueeze 1L

    let network dim (u: Tensor) : DiagNormal = {
        Mu = 2.0 * (u.matmul (gaussian 8 [ 1L; dim ])).sin()
        LogVar = u.matmul (gaussian 9 [ 1L; dim ]) - 1.0
    }

    let make dim = Prior.topographic (network dim) (logits ()) (codes ())
    let reference dim = againstMixture (logits ()) (network dim (codes ()))

    {
        priorLaw [ 1L; 2L ] make reference [
            "codes squared",
            (fun dim -> Prior.topographic (fun u -> network dim (u.square ())) (logits ()) (codes ()))
            "codes reversed in the density",
            (fun dim -> {
                make dim with
                    LogProb = (Prior.topographic (network dim) (logits ()) ((codes ()).flip 0L)).LogProb
            })
            "equal weights in the density",
            (fun dim -> {
                make dim with
                    LogProb = (equalWeights (fun l -> Prior.topographic (network dim) l (codes ()))).LogProb
            })
        ] with
            Id = "prior/gtm"
            Labels = [ "eq:gtm-prior" ]
            Function = "Prior.topographic"
    }

let private flow =
    let transform () =
        Transform.compose [ Flows.smoothCoupling 1 2L; Transform.flip; Flows.smoothCoupling 30 2L ]

    let make (_: int64) = Prior.flow (transform ())

    // The density by the change of variables with autograd's Jacobian, and the sampler as the map's inverse.
    let reference (_: int64) (prior: Prior) =
        let z = gaussian 12 [ 5L; 2L ]
        let forward = (transform ()).Forward >> fst
        let ofBase = Plain.rows (forward z) |> Array.map Plain.standardNormal
        let plain = Array.map2 (+) ofBase (elements (jacobianLogDet forward z))
        let sampled = prior.Sample (uniform 1 [ 5L ]) z
        1e6 * max (Plain.against plain (prior.LogProb z)) (distance (forward sampled) z)

    let withLogDet (factor: float) dim =
        let logProb (z: Tensor) =
            let image, logDet = (transform ()).Forward z
            logStandardNormal image + factor * logDet

        { make dim with LogProb = logProb }

    {
        priorLaw [ 2L ] make reference [
            "log-determinant once a dimension", withLogDet 2.0
            "log-determinant subtracted", withLogDet -1.0
            "sampled forwards",
            (fun dim -> { make dim with Sample = fun _ eps -> fst ((transform ()).Forward eps) })
        ] with
            Id = "prior/flow"
            Labels = [ "eq:flow-prior" ]
            Function = "Prior.flow"
    }

let private standard =
    let error (prior: Prior) (dim: int64) =
        let z = 2.0 * gaussian 1 [ 7L; dim ]
        let q = { Mu = gaussian 2 [ 7L; dim ]; LogVar = gaussian 3 [ 7L; dim ] }
        let kl = Array.map2 Plain.klToStandard (Plain.rows q.Mu) (Plain.rows q.LogVar)

        List.max [
            Plain.against (Plain.rows z |> Array.map Plain.standardNormal) (prior.LogProb z)
            Plain.against kl (prior.KlFrom.Value q)
            distance (prior.Sample (uniform 4 [ 7L ]) z) z
        ]

    {
        Id = "prior/standard"
        Statement = "N(0,I) has its density, its noise for samples and its divergence in closed form."
        Labels = []
        Function = "Prior.standard"
        Instances = [ "one dimension", 1L; "five", 5L ]
        Error = error Prior.standard
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "reverse divergence",
            error {
                Prior.standard with
                    KlFrom = Some(fun q -> klDiagNormal (DiagNormal.standardLike q.Mu) q)
            }
            "samples moved by u", error { Prior.standard with Sample = fun u eps -> eps + u.unsqueeze -1L }
        ]
    }

let private threeTerm =
    let error (terms: Tensor -> Tensor -> Tensor -> Tensor * Tensor * Tensor) (instance: Bench) =
        let scene = scene instance
        let z = DiagNormal.sample scene.Encoder (quadraticNoise instance.Latent)
        let logLikelihood = LinearGaussian.logLikelihood scene.Model scene.X z
        let entropy, logPrior = DiagNormal.entropy scene.Encoder, logStandardNormal z
        let a, b, c = terms logLikelihood entropy logPrior
        let mean x = [| Array.average (elements x) |]
        let mu, logVar = Plain.rows scene.Encoder.Mu, Plain.rows scene.Encoder.LogVar
        let kl = Array.averageBy id (Array.map2 Plain.klToStandard mu logVar)

        List.max [
            Plain.against [| (mean logLikelihood)[0] - kl |] (a + b + c)
            Plain.against (mean logLikelihood) a
            Plain.against (mean entropy) b
            Plain.against (mean logPrior) c
        ]

    {
        Id = "prior/three-term"
        Statement = "Reconstruction, entropy and minus the cross-entropy add up to the ELBO."
        Labels = [ "eq:elbo-three" ]
        Function = "elboThreeTerms"
        Instances = benches
        Error = error elboThreeTerms
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "entropy subtracted", error (fun l h p -> elboThreeTerms l (h.neg ()) p)
            "cross-entropy added", error (fun l h p -> elboThreeTerms l h (p.neg ()))
            "entropy left out", error (fun l h p -> elboThreeTerms l (torch.zeros_like h) p)
            "terms in another order", error (fun l h p -> (let a, b, c = elboThreeTerms l h p in a, c, b))
        ]
    }

type Encodings = { Seed: int; N: int64; Dim: int64 }

let private toEncodings (e: Encodings) : DiagNormal = {
    Mu = 1.5 * gaussian e.Seed [ e.N; e.Dim ]
    LogVar = 0.4 * gaussian (e.Seed + 1) [ e.N; e.Dim ] - 1.0
}

let private optimal =
    let error (logAggregated: DiagNormal -> Tensor -> Tensor) (instance: Encodings) =
        let q = toEncodings instance
        let t, weight = grid instance.Dim
        let z = 1.2 * t
        let area = weight * 1.2 ** float instance.Dim
        let mu, logVar = Plain.rows q.Mu, Plain.rows q.LogVar
        let ofEach (z: float[]) = Array.map2 (fun m l -> Plain.diagNormal m l z) mu logVar
        let points = Plain.rows z
        // All pairs at some of the points, and their mean at all.
        let few = z.narrow (0L, z.size 0 / 2L, 30L)
        let pairs = Plain.against (Plain.rows few |> Array.collect ofEach) (pairwiseLogProb q few)
        let exact = torch.tensor (points |> Array.map (ofEach >> Plain.logMeanExp))
        let density = exact.exp ()
        let crossEntropy (logPrior: Tensor) = -value((density * logPrior).sum()) * area
        let aggregated = logAggregated q z

        let rivals = [
            logStandardNormal z
            Mixture.logProb { Logits = gaussian 5 [ instance.N ]; Components = q } z
            logAggregatedPosterior { q with LogVar = q.LogVar + 0.1 } z
            logAggregatedPosterior { q with Mu = q.Mu + 0.05 } z
        ]

        let beaten =
            rivals |> List.map (fun rival -> excess (crossEntropy aggregated) (crossEntropy rival))

        List.max (pairs :: relativeDistance aggregated exact :: beaten)

    {
        Id = "prior/optimal"
        Statement =
            "The aggregated posterior is the mean of the posteriors, and no other prior has less cross-entropy."
        Labels = [ "eq:optimal-prior" ]
        Function = "logAggregatedPosterior"
        Instances = [
            "three in one dimension", { Seed = 1; N = 3L; Dim = 1L }
            "ten in two dimensions", { Seed = 2; N = 10L; Dim = 2L }
            "one", { Seed = 3; N = 1L; Dim = 1L }
        ]
        Error = error logAggregatedPosterior
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "a sum for the mean", error (fun q z -> (pairwiseLogProb q z).logsumexp -1L)
            "geometric mean", error (fun q z -> (pairwiseLogProb q z).mean [| -1L |])
            "the prior that the encodings' means suggest",
            error (fun q z -> logAggregatedPosterior { q with LogVar = torch.zeros_like q.LogVar } z)
        ]
    }

[<Tests>]
let tests =
    testList "priors" [
        Law.test standard
        Law.test threeTerm
        Law.test optimal
        Law.test mog
        Law.test vamp
        Law.test gtm
        Law.test flow
    ]
