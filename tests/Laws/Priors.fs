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

/// The law that every prior must pass; its own laws below name it.
let private priorLaw (dims: int64 list) (make: Make) (mutants: (string * Make) list) : Law<int64> =
    let error (make: Make) dim = agreement (make dim) dim

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

    {
        priorLaw [ 1L; 2L ] make [
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

    {
        priorLaw [ 1L; 2L ] make [
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

    {
        priorLaw [ 1L; 2L ] make [
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

    let withLogDet (factor: float) dim =
        let logProb (z: Tensor) =
            let image, logDet = (transform ()).Forward z
            logStandardNormal image + factor * logDet

        { make dim with LogProb = logProb }

    {
        priorLaw [ 2L ] make [
            "log-determinant once a dimension", withLogDet 2.0
            "log-determinant subtracted", withLogDet -1.0
            "sampled forwards",
            (fun dim -> { make dim with Sample = fun _ eps -> fst ((transform ()).Forward eps) })
        ] with
            Id = "prior/flow"
            Labels = [ "eq:flow-prior" ]
            Function = "Prior.flow"
    }

let private threeTerm =
    let error (terms: Tensor -> Tensor -> Tensor -> Tensor * Tensor * Tensor) (instance: Bench) =
        let scene = scene instance
        let z = DiagNormal.sample scene.Encoder (quadraticNoise instance.Latent)
        let logLikelihood = LinearGaussian.logLikelihood scene.Model scene.X z
        let a, b, c = terms logLikelihood (DiagNormal.entropy scene.Encoder) (logStandardNormal z)
        distance (a + b + c) ((elboKl logLikelihood (klStandard scene.Encoder)).mean())

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
        let exact = logMeanExp -1L (DiagNormal.logProb q (z.unsqueeze -2L))
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

        List.max (distance aggregated exact :: beaten)

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
        // pairwiseLogProb expands the square, and far points of the grid cancel.
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
        Law.test threeTerm
        Law.test optimal
        Law.test mog
        Law.test vamp
        Law.test gtm
        Law.test flow
    ]
