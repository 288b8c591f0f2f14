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
        // A batch of normals, each with its own parameters, at several points each.
        let q = {
            Mu = p.Mu + gaussian 2 [ 4L; instance.Dim ]
            LogVar = p.LogVar + gaussian 3 [ 4L; instance.Dim ]
        }

        let z = q.Mu + q.LogVar.exp().sqrt() * gaussian 4 [ 3L; 4L; instance.Dim ]
        let mu, logVar = Plain.rows q.Mu, Plain.rows q.LogVar

        let plain = Plain.rows z |> Array.mapi (fun i z -> Plain.diagNormal mu[i % 4] logVar[i % 4] z)

        List.max [
            abs (mass - 1.0)
            abs (entropy - value (DiagNormal.entropy p))
            Plain.against plain (logProb q z)
            Plain.against (Array.map Plain.normalEntropy logVar) (DiagNormal.entropy q)
        ]

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

        let mu, sd = elements p.Mu, elements p.LogVar |> Array.map (exp >> sqrt)
        let plain = Plain.rows eps |> Array.collect (Array.map3 (fun m s e -> m + s * e) mu sd)
        max density (Plain.against plain (sample p eps))

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
            "noise with its sign turned", error (fun p eps -> DiagNormal.sample p (eps.neg ()))
        ]
    }

type private Standard = { LogProb: Tensor -> Tensor; Like: Tensor -> DiagNormal }

let private standardNormal =
    let error (standard: Standard) (shape: int64 list) =
        let z = 3.0 * gaussian 1 shape - 0.5
        let like = standard.Like z
        let plain = Plain.rows z |> Array.map Plain.standardNormal

        List.max [
            Plain.against plain (standard.LogProb z)
            Plain.against plain (DiagNormal.logProb like z)
            distance like.Mu (0.0 * z)
        ]

    let core = { LogProb = logStandardNormal; Like = DiagNormal.standardLike }

    {
        Id = "normal/standard"
        Statement = "N(0,I) has the product of the one-dimensional densities."
        Labels = []
        Function = "logStandardNormal, DiagNormal.standardLike"
        Instances = [ "a vector", [ 7L ]; "a batch of samples", [ 3L; 4L; 2L ] ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "without the constant", error { core with LogProb = fun z -> -0.5 * sumLast (z.square ()) }
            "unit log-variance",
            error {
                core with
                    Like = fun z -> { Mu = torch.zeros_like z; LogVar = torch.ones_like z }
            }
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
        // Two batches of logits at soft outcomes, as a cross-entropy.
        let several = torch.stack [| 0.01 * p.Logits + 0.3; -0.01 * p.Logits |]
        let soft = uniform 3 [ 5L; 2L; int64 logits.Length ]
        let l = Plain.rows several

        let plain = Plain.rows soft |> Array.mapi (fun i x -> Plain.bernoulli l[i % 2] x)

        List.max [
            abs (value (probability.sum ()) - 1.0)
            distance mean (Bernoulli.mean p)
            Plain.against (Array.map Plain.sigmoid (List.toArray logits)) (Bernoulli.mean p)
            Plain.against plain (logProb { Logits = several } soft)
        ]

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
        let u = (evenly 1000L).unsqueeze(1L).expand([| 1000L; int64 logits.Length |])
        let below l u = if u < Plain.sigmoid l then 1.0 else 0.0
        let plain = Plain.rows u |> Array.collect (Array.map2 below (List.toArray logits))
        Plain.against plain (sample p u)

    {
        Id = "bernoulli/sampler"
        Statement = "A sample is 1 exactly where u is below the mean."
        Labels = []
        Function = "Bernoulli.sample"
        Instances = [ "three", [ -1.0; 0.2; 3.0 ]; "certain", [ -800.0; 800.0 ] ]
        Error = error Bernoulli.sample
        Tolerance = Tolerance.float64Identity
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
        let shares = Plain.rows p.Logits |> Array.map Plain.softmax

        let average =
            Array.fold2 (fun sum v share -> sum + v * share) 0.0 [|
                for v in 0 .. instance.Values - 1 -> float v
            |]

        let plain =
            Plain.rows x
            |> Array.map (fun x ->
                Array.fold2 (fun sum (share: float[]) v -> sum + log share[int v]) 0.0 shares x)

        List.max [
            abs (value (probability.sum ()) - 1.0)
            distance mean (Categorical.mean p)
            Plain.against (Array.map average shares) (Categorical.mean p)
            Plain.against plain (logProb p x)
            // The same outcomes for a batch of logits.
            Plain.against
                (Array.append plain plain)
                (logProb { Logits = (torch.stack [| p.Logits; p.Logits + 1.0 |]).unsqueeze 1L } x)
        ]

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
        let shares = Plain.rows p.Logits |> Array.map Plain.softmax

        // The first value whose probability, with those of the values before it, is above u.
        let inverse (shares: float[]) (u: float) =
            shares
            |> Array.scan (+) 0.0
            |> Array.tail
            |> Array.findIndex (fun upper -> upper > u)
            |> float

        let plain = Plain.rows u |> Array.collect (Array.map2 inverse shares)
        Plain.against plain (sample p u)

    {
        Id = "categorical/sampler"
        Statement = "A sample is the inverse of the distribution function at u."
        Labels = []
        Function = "Categorical.sample"
        Instances = tables
        Error = error Categorical.sample
        Tolerance = Tolerance.float64Identity
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
    let error (logProb: Mixture -> Tensor -> Tensor) (instance: MixtureShape) =
        let m = toMixture instance
        let centre, scale = torch.zeros_like m.Components.Mu[0], scalar 1.5
        let z = gaussian 99 [ 7L; instance.Dim ]

        let logits, mu, logVar =
            elements m.Logits, Plain.rows m.Components.Mu, Plain.rows m.Components.LogVar

        let plain = Plain.rows z |> Array.map (Plain.mixture logits mu logVar)
        let mass = integral instance.Dim centre scale (logProb m)
        max (abs (mass - 1.0)) (Plain.against plain (logProb m z))

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
    let n = 500L

    let error (sample: Mixture -> Tensor -> Tensor -> Tensor) (instance: MixtureShape) =
        let m = toMixture instance
        let u, eps = uniform 5 [ n ], gaussian 6 [ n; instance.Dim ]
        let upper = elements m.Logits |> Plain.softmax |> Array.scan (+) 0.0 |> Array.tail
        let mu, logVar = Plain.rows m.Components.Mu, Plain.rows m.Components.LogVar

        let draw u =
            let k = upper |> Array.findIndex (fun edge -> edge > u)
            Array.map3 (fun m l e -> m + sqrt (exp l) * e) mu[k] logVar[k]

        let plain = Array.map2 draw (elements u) (Plain.rows eps) |> Array.concat
        Plain.against plain (sample m u eps)

    let perDimensionSample (m: Mixture) (u: Tensor) (eps: Tensor) =
        let other = u.flip 0L
        let a, b = Mixture.sample m u eps, Mixture.sample m other eps
        torch.cat ([| a.narrow (-1L, 0L, 1L); b.narrow (-1L, 1L, a.size -1 - 1L) |], -1L)

    {
        Id = "mixture/sampler"
        Statement = "A sample is the noise scaled and moved by the component that u chooses."
        Labels = []
        Function = "Mixture.sample"
        Instances = mixtures
        Error = error Mixture.sample
        Tolerance = Tolerance.float64Identity
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
        Law.test standardNormal
        Law.test bernoulliNormalised
        Law.test bernoulliSampler
        Law.test categoricalNormalised
        Law.test categoricalSampler
        Law.test mixtureNormalised
        Law.test mixtureSampler
    ]
