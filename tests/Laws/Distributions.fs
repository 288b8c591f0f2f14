/// Densities against quadrature, enumeration and their own samplers.
module Research.Tests.Laws.Distributions

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

let private log2Pi = log (2.0 * Math.PI)

type Normal = { Dim: int64; Mu: float; LogVar: float }

let private normals = [
    "standard, one dimension", { Dim = 1L; Mu = 0.0; LogVar = 0.0 }
    "narrow", { Dim = 1L; Mu = 3.0; LogVar = -8.0 }
    "wide", { Dim = 1L; Mu = -40.0; LogVar = 6.0 }
    "two dimensions", { Dim = 2L; Mu = 1.0; LogVar = -1.0 }
]

/// The dimensions differ from each other, so that mixing them up shows.
let private toDiagNormal (n: Normal) : DiagNormal =
    let tilt = torch.arange (Scalar.op_Implicit n.Dim, torch.float64)

    { Mu = n.Mu + tilt; LogVar = n.LogVar + 0.5 * tilt }

let private normalDensity =
    let error (logProb: DiagNormal -> Tensor -> Tensor) (instance: Normal) =
        let p = toDiagNormal instance
        let sd = (0.5 * p.LogVar).exp()
        let mass = integral instance.Dim p.Mu sd (logProb p)
        let t, weight = grid instance.Dim
        let logP = logProb p (p.Mu + sd * t)
        let entropy = -value((logP.exp () * logP).sum() * sd.prod 0L) * weight
        max (abs (mass - 1.0)) (abs (entropy - value (DiagNormal.entropy p)))

    {
        Id = "normal/density"
        Statement = "The diagonal normal's density integrates to 1 and has its entropy."
        Labels = [ "eq:normal-logdensity" ]
        Function = "DiagNormal.logProb"
        Instances = normals
        Error = error DiagNormal.logProb
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "log 2 pi left out", error (fun p z -> DiagNormal.logProb p z + 0.5 * log2Pi * float (z.size -1))
            "log 2 pi once a vector",
            error (fun p z -> DiagNormal.logProb p z + 0.5 * log2Pi * float (z.size -1 - 1L))
            "exp(logVar) as standard deviation",
            error (fun p z -> DiagNormal.logProb { p with LogVar = 2.0 * p.LogVar } z)
        ]
    }

let private normalSampler =
    let error (sample: DiagNormal -> Tensor -> Tensor) (instance: Normal) =
        let p = toDiagNormal instance
        let eps = gaussian 1 [ 20L; instance.Dim ]
        // The change of variables: the density at the sample times the map's slope is the noise's density.
        let logSlope = sumLast ((diff (sample p) eps).abs().log())

        let density =
            distance (DiagNormal.logProb p (sample p eps) + logSlope) (logStandardNormal eps)

        max density (distance (sample p (torch.zeros_like p.Mu)) p.Mu)

    {
        Id = "normal/sampler"
        Statement = "mu + exp(logVar/2) eps has the normal's density."
        Labels = [ "eq:reparam" ]
        Function = "DiagNormal.sample"
        Instances = normals
        Error = error DiagNormal.sample
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "exp(logVar) as standard deviation", error (fun p eps -> p.Mu + p.LogVar.exp () * eps)
            "precision for variance", error (fun p eps -> p.Mu + (-0.5 * p.LogVar).exp() * eps)
        ]
    }

/// All vectors of D values in 0 .. V-1. `[V^D, D]`, int64.
let private allVectors (d: int) (v: int) =
    let rec go d =
        if d = 0 then
            [ [] ]
        else
            [
                for head in 0 .. v - 1 do
                    for tail in go (d - 1) -> int64 head :: tail
            ]

    let rows = go d |> List.map List.toArray |> List.toArray
    torch.tensor (Array.concat rows, ReadOnlySpan [| int64 rows.Length; int64 d |])

let private bernoulliNormalised =
    let error (logProb: Bernoulli -> Tensor -> Tensor) (logits: float list) =
        let p: Bernoulli = { Logits = vector logits }
        let x = (allVectors logits.Length 2).double()
        let probability = (logProb p x).exp()
        let mean = (probability.unsqueeze 1L * x).sum 0L
        max (abs (value (probability.sum ()) - 1.0)) (distance mean (Bernoulli.mean p))

    let naive (p: Bernoulli) (x: Tensor) =
        let mean = p.Logits.sigmoid ()
        sumLast (x * mean.log () + (1.0 - x) * (1.0 - mean).log())

    {
        Id = "bernoulli/normalised"
        Statement =
            "Bernoulli probabilities of all vectors sum to 1, and their mean is sigmoid of the logits."
        Labels = [ "eq:bernoulli-logits" ]
        Function = "Bernoulli.logProb"
        Instances = [
            "one", [ 0.3 ]
            "six", [ -2.0; -0.5; 0.0; 0.1; 1.0; 4.0 ]
            "certain", [ -800.0; 50.0; 0.0; 800.0 ]
        ]
        Error = error Bernoulli.logProb
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "through probabilities, without a clamp", error naive
            "softplus of minus the logit",
            error (fun p x -> sumLast (x * p.Logits - softplus (p.Logits.neg ())))
            "mean over dimensions", error (fun p x -> Bernoulli.logProb p x / float (x.size -1))
        ]
    }

let private evenly (n: int64) = (torch.arange (Scalar.op_Implicit n, torch.float64) + 0.5) / float n

let private bernoulliSampler =
    let error (sample: Bernoulli -> Tensor -> Tensor) (logits: float list) =
        let p: Bernoulli = { Logits = vector logits }
        let u = (evenly 1000L).unsqueeze 1L
        distance ((sample p u).mean [| 0L |]) (Bernoulli.mean p)

    {
        Id = "bernoulli/sampler"
        Statement = "Evenly spread u give ones in the proportion of the mean."
        Labels = []
        Function = "Bernoulli.sample"
        Instances = [ "three", [ -1.0; 0.2; 3.0 ]; "certain", [ -800.0; 800.0 ] ]
        Error = error Bernoulli.sample
        Tolerance = Tolerance.limit 1e-3
        Mutants = [ "u above the mean", error (fun p u -> 1.0 - Bernoulli.sample p u) ]
    }

type Table = { Seed: int; Variables: int; Values: int; Scale: float }

let private tables = [
    "a coin", { Seed = 1; Variables = 1; Values = 2; Scale = 1.0 }
    "three of five values", { Seed = 2; Variables = 3; Values = 5; Scale = 1.0 }
    "seventeen grey levels", { Seed = 3; Variables = 2; Values = 17; Scale = 3.0 }
    "logits in the hundreds", { Seed = 4; Variables = 2; Values = 4; Scale = 300.0 }
]

let private toCategorical (t: Table) : Categorical = {
    Logits = t.Scale * gaussian t.Seed [ int64 t.Variables; int64 t.Values ]
}

let private categoricalNormalised =
    let error (logProb: Categorical -> Tensor -> Tensor) (instance: Table) =
        let p = toCategorical instance
        let x = allVectors instance.Variables instance.Values
        let probability = (logProb p x).exp()
        let mean = (probability.unsqueeze 1L * x.double ()).sum 0L
        max (abs (value (probability.sum ()) - 1.0)) (distance mean (Categorical.mean p))

    let overVariables (p: Categorical) (x: Tensor) =
        let chosen = Categorical.logProb p x + sumLast (p.Logits.logsumexp -1L)
        chosen - (p.Logits.logsumexp 0L).mean() * float (p.Logits.size 0)

    {
        Id = "categorical/normalised"
        Statement = "Categorical probabilities of all vectors sum to 1, and their mean is the mean."
        Labels = [ "eq:categorical-logits" ]
        Function = "Categorical.logProb"
        Instances = tables
        Error = error Categorical.logProb
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "unnormalised logits",
            error (fun p x -> Categorical.logProb p x + sumLast (p.Logits.logsumexp -1L))
            "normalised over variables", error overVariables
        ]
    }

let private categoricalSampler =
    let error (sample: Categorical -> Tensor -> Tensor) (instance: Table) =
        let p = toCategorical instance
        let n = 2000L
        let u = (evenly n).unsqueeze(1L).expand([| n; int64 instance.Variables |])
        let drawn = torch.nn.functional.one_hot (sample p u, int64 instance.Values)
        distance (drawn.double().mean [| 0L |]) (torch.nn.functional.softmax (p.Logits, -1L))

    {
        Id = "categorical/sampler"
        Statement = "Evenly spread u give every value in the proportion of its probability."
        Labels = []
        Function = "Categorical.sample"
        Instances = tables
        Error = error Categorical.sample
        Tolerance = Tolerance.limit 1e-3
        Mutants = [
            "the next value",
            error (fun p u -> (Categorical.sample p u + 1L).remainder(Scalar.op_Implicit (p.Logits.size -1)))
        ]
    }

type MixtureShape = { Seed: int; K: int64; Dim: int64 }

let private mixtures = [
    "one component", { Seed = 1; K = 1L; Dim = 1L }
    "four in one dimension", { Seed = 2; K = 4L; Dim = 1L }
    "three in two dimensions", { Seed = 3; K = 3L; Dim = 2L }
]

let private toMixture (m: MixtureShape) : Mixture = {
    Logits = gaussian m.Seed [ m.K ]
    Components = {
        Mu = 2.0 * gaussian (m.Seed + 10) [ m.K; m.Dim ]
        LogVar = 0.5 * gaussian (m.Seed + 20) [ m.K; m.Dim ]
    }
}

/// The copied formula that this project's source warns of: log-sum-exp in each dimension by itself.
let perDimension (m: Mixture) (z: Tensor) : Tensor =
    let logWeights = torch.nn.functional.log_softmax(m.Logits, 0L).unsqueeze -1L
    let q = m.Components
    let z = z.unsqueeze -2L
    let each = -0.5 * ((z - q.Mu).square() * (q.LogVar.neg ()).exp() + q.LogVar + log2Pi)
    sumLast ((logWeights + each).logsumexp -2L)

let private mixtureNormalised =
    // The definition term by term in plain floats.
    let direct (m: Mixture) (z: float[]) =
        let weights = elements (m.Logits.exp ())
        let mu, logVar = elements m.Components.Mu, elements m.Components.LogVar
        let l = z.Length

        let weighted k =
            Array.init l (fun d ->
                let i = k * l + d
                exp (-0.5 * (z[d] - mu[i]) ** 2.0 / exp logVar[i]) / sqrt (2.0 * Math.PI * exp logVar[i]))
            |> Array.fold (*) 1.0

        log ((weights |> Array.mapi (fun k w -> w * weighted k) |> Array.sum) / Array.sum weights)

    let error (logProb: Mixture -> Tensor -> Tensor) (instance: MixtureShape) =
        let m = toMixture instance
        let centre, scale = torch.zeros_like m.Components.Mu[0], scalar 1.5
        let z = gaussian 99 [ 7L; instance.Dim ]
        let expected = z.unbind 0L |> Array.map (elements >> direct m) |> torch.tensor
        let mass = integral instance.Dim centre scale (logProb m)
        max (abs (mass - 1.0)) (distance (logProb m z) expected)

    {
        Id = "mixture/normalised"
        Statement = "A mixture's density integrates to 1 and is the weighted sum of its components'."
        Labels = [ "eq:mixture" ]
        Function = "Mixture.logProb"
        Instances = mixtures
        Error = error Mixture.logProb
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "log-sum-exp in each dimension", error perDimension
            "weights not normalised",
            error (fun m z -> (m.Logits + DiagNormal.logProb m.Components (z.unsqueeze -2L)).logsumexp -1L)
            "mean of logarithms",
            error (fun m z ->
                let weights = torch.nn.functional.softmax (m.Logits, 0L)
                sumLast (weights * DiagNormal.logProb m.Components (z.unsqueeze -2L)))
        ]
    }

let private mixtureSampler =
    let n = 40_000L

    let error (sample: Mixture -> Tensor -> Tensor -> Tensor) (instance: MixtureShape) =
        let m = toMixture instance
        let z = sample m (uniform 5 [ n ]) (gaussian 6 [ n; instance.Dim ])
        let weights = torch.nn.functional.softmax(m.Logits, 0L).unsqueeze 1L
        let mu, variance = m.Components.Mu, m.Components.LogVar.exp ()
        let first (x: Tensor) = x.select (-1L, 0L)
        let last (x: Tensor) = x.select (-1L, instance.Dim - 1L)
        let cross = first mu * last mu + (if instance.Dim = 1L then first variance else scalar 0.0)

        List.max [
            deviation (value ((first weights * first mu).sum())) (first z)
            deviation (value ((first weights * cross).sum())) (first z * last z)
            deviation (value ((first weights * first (mu.square () + variance)).sum())) (first(z).square())
        ]

    let perDimensionSample (m: Mixture) (u: Tensor) (eps: Tensor) =
        let other = u.flip 0L
        let a, b = Mixture.sample m u eps, Mixture.sample m other eps
        torch.cat ([| a.narrow (-1L, 0L, 1L); b.narrow (-1L, 1L, a.size -1 - 1L) |], -1L)

    {
        Id = "mixture/sampler"
        Statement = "Samples of a mixture have its mean and second moments."
        Labels = []
        Function = "Mixture.sample"
        Instances = mixtures
        Error = error Mixture.sample
        Tolerance = Tolerance.monteCarlo n 1.0
        Mutants = [
            "a component for each dimension", error perDimensionSample
            "exp(logVar) as standard deviation",
            error (fun m u eps ->
                let doubled = { m.Components with LogVar = 2.0 * m.Components.LogVar }
                Mixture.sample { m with Components = doubled } u eps)
        ]
    }

[<Tests>]
let tests =
    testList "distributions" [
        Law.test normalDensity
        Law.test normalSampler
        Law.test bernoulliNormalised
        Law.test bernoulliSampler
        Law.test categoricalNormalised
        Law.test categoricalSampler
        Law.test mixtureNormalised
        Law.test mixtureSampler
    ]
