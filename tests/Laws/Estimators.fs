/// Other gradients and estimates of the bounds.
module Research.Tests.Laws.Estimators

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.LinearModels

let private learned (x: Tensor) = x.detach().clone().requires_grad_ true

/// A linear-Gaussian model whose decoder and posterior are in the open.
type private Parts = { Model: LatentModel; X: Tensor; W: Tensor; Mu: Tensor; LogVar: Tensor }

let private partsAt (m: LinearGaussian) (x: Tensor) (q: DiagNormal) : Parts =
    let w, mu, logVar = learned m.W, learned q.Mu, learned q.LogVar

    {
        Model = {
            Encode = fun _ -> { Base = { Mu = mu; LogVar = logVar }; Flow = None }
            LogLikelihood = LinearGaussian.logLikelihood { m with W = w }
            Prior = Prior.standard
        }
        X = x
        W = w
        Mu = mu
        LogVar = logVar
    }

/// The gradients by decoder, mean and log-variance.
let private gradients (objective: Objective) (parts: Parts) (eps: Tensor) =
    (total (objective parts.Model parts.X eps)).backward()
    nonNull parts.W.grad, nonNull parts.Mu.grad, nonNull parts.LogVar.grad

let private largest (x: Tensor) = value (x.abs().max())

/// One latent, or columns of W at right angles: the posterior is a diagonal normal, and can be stated as one.
let private diagonalModels = [
    "one latent", (snd benches[0] |> scene |> fun s -> s.Model, s.X)
    "two at right angles",
    ({
        W = torch.diag (vector [ 1.5; -0.7 ])
        Offset = gaussian 3 [ 2L ]
        Sigma = 0.6
     },
     gaussian 4 [ 5L; 2L ])
]

let private landing =
    let error (stl: Objective) (dreg: Objective) (m: LinearGaussian, x: Tensor) =
        let mean, covariance = LinearGaussian.posterior m x
        let q = { Mu = mean; LogVar = covariance.diagonal().log().expand_as mean }
        let l = mean.size -1

        let encoder objective (eps: Tensor) =
            let _, mu, logVar = gradients objective (partsAt m x q) eps
            max (largest mu) (largest logVar)

        max (encoder stl (gaussian 5 [ x.size 0; l ])) (encoder dreg (gaussian 6 [ 4L; x.size 0; l ]))

    {
        Id = "estimators/landing"
        Statement = "Where the posterior is exact, the gradients by its parameters are 0 for every draw."
        Labels = []
        Function = "stickTheLanding, doublyReparameterised"
        Instances = diagonalModels
        Error = error stickTheLanding doublyReparameterised
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "with the score", error elbo doublyReparameterised
            "with the weights' score", error stickTheLanding importanceWeighted
        ]
    }

/// The gradients of minus the ELBO of a linear-Gaussian model in closed form, as it is derived on paper: the mean over
/// examples of [|x - b - W mu|^2 + sum_j s_j |W_j|^2]/(2 sigma^2) + KL, s the variances.
let private elboGradients (m: LinearGaussian) (x: Tensor) (q: DiagNormal) =
    let n, variance = float (x.size 0), m.Sigma * m.Sigma
    let residual = x - m.Offset - q.Mu.matmul (m.W.t ())
    let s = q.LogVar.exp ()
    let ofW = (residual.t().matmul(q.Mu).neg() + m.W * s.sum 0L) / (variance * n)
    let ofMu = (q.Mu - residual.matmul m.W / variance) / n
    let ofLogVar = 0.5 * (s * (m.W.square().sum 0L / variance + 1.0) - 1.0) / n
    ofW, ofMu, ofLogVar

let private pathMean =
    let error (objective: Objective) (bench: Bench) =
        let scene = scene bench
        // The score is linear in eps for the mean and quadratic for the variance: this noise gives both the mean 0.
        let eps = quadraticNoise bench.Latent
        let w, mu, logVar = gradients objective (partsAt scene.Model scene.X scene.Encoder) eps
        let w', mu', logVar' = elboGradients scene.Model scene.X scene.Encoder
        List.max [ relativeDistance w w'; relativeDistance mu mu'; relativeDistance logVar logVar' ]

    let path (logQ: DiagNormal -> Tensor -> Tensor) (prior: float) : Objective =
        fun model x eps ->
            let q = (model.Encode x).Base
            let z = DiagNormal.sample q eps

            [ "bound", (logQ q z - model.LogLikelihood x z - prior * model.Prior.LogProb z).mean() ]

    {
        Id = "estimators/path-mean"
        Statement = "Without the score the ELBO's gradient has the same mean."
        Labels = []
        Function = "stickTheLanding"
        Instances = benches
        Error = error stickTheLanding
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "no entropy", error (path (fun _ z -> (logStandardNormal z).detach()) 1.0)
            "no prior",
            error (
                path
                    (fun q z -> DiagNormal.logProb { Mu = q.Mu.detach (); LogVar = q.LogVar.detach () } z)
                    0.0
            )
            "the score alone", error (path (fun q z -> DiagNormal.logProb q (z.detach ())) 1.0)
        ]
    }

/// x = w z + b + sigma noise and a posterior of one latent, in plain floats.
let private w1, b1, sigma1, x1, mu1, logVar1 = 1.3, 0.2, 0.7, 0.9, 0.4, -0.3

let private latentAt mu logVar (eps: float) = mu + exp (0.5 * logVar) * eps

let private logWeight (w: float) (mu: float) (logVar: float) (eps: float) =
    let z = latentAt mu logVar eps

    Plain.diagNormal [| w * z + b1 |] [| 2.0 * log sigma1 |] [| x1 |]
    + Plain.standardNormal [| z |]
    - Plain.diagNormal [| mu |] [| logVar |] [| z |]

/// Nodes of a normal's quadrature and their weights.
let private nodes = [| for i in 0..360 -> float (i - 180) / 20.0 |]

let private nodeWeights =
    nodes |> Array.map (fun e -> exp (Plain.standardNormal [| e |]) / 20.0)

/// E log mean_k w_k over K = 1 or 2 draws, by quadrature in plain floats.
let private expectedBound (k: int64) (mu: float) (logVar: float) : float =
    let logW = nodes |> Array.map (logWeight w1 mu logVar)

    if k = 1L then
        Array.fold2 (fun sum p l -> sum + p * l) 0.0 nodeWeights logW
    else
        let ofRow (p: float) (l: float) =
            p
            * Array.fold2 (fun sum p' l' -> sum + p' * log ((exp l + exp l') / 2.0)) 0.0 nodeWeights logW

        Array.fold2 (fun sum p l -> sum + ofRow p l) 0.0 nodeWeights logW

let private doubly =
    let model = {
        W = torch.tensor [| w1 |] |> _.view(1L, 1L)
        Offset = vector [ b1 ]
        Sigma = sigma1
    }

    /// As many examples alike.
    let parts (n: int64) =
        let all (value: float) = torch.full ([| n; 1L |], Research.Core.scalar value, dtype = torch.float64)
        partsAt model (all x1) { Mu = all mu1; LogVar = all logVar1 }

    /// Each pair of nodes as an example of its own; the mean of their gradients is taken with the nodes' weights.
    let meanError (objective: Objective) (k: int64) =
        let e, p = torch.tensor nodes, torch.tensor nodeWeights

        let eps, weights =
            if k = 1L then
                e.view (1L, -1L, 1L), p
            else
                let n = int64 nodes.Length
                let pair (x: Tensor) = [| x.repeat_interleave n; x.repeat [| n |] |]
                let weights = pair p
                (torch.stack (pair e)).unsqueeze -1L, weights[0] * weights[1]

        let n = eps.size 1
        let _, mu, logVar = gradients objective (parts n) eps
        let mean (gradient: Tensor) = float n * value ((weights * gradient.squeeze -1L).sum())
        let step = 1e-5

        let slope (f: float -> float) (at: float) = (f (at + step) - f (at - step)) / (2.0 * step)

        max
            (abs (mean mu + slope (fun mu -> expectedBound k mu logVar1) mu1))
            (abs (mean logVar + slope (fun logVar -> expectedBound k mu1 logVar) logVar1))

    /// Value and decoder's gradient at given noise, draw by draw in plain floats.
    let drawnError (objective: Objective) (k: int64) =
        let eps = gaussian 7 [ k; 3L; 1L ]
        let drawn = [| for b in 0L .. 2L -> elements (eps.select (1L, b)) |]

        let ofExample (draws: float[]) =
            let logW = draws |> Array.map (logWeight w1 mu1 logVar1)

            let slope (eps: float) =
                let z = latentAt mu1 logVar1 eps
                (x1 - b1 - w1 * z) * z / sigma1 ** 2.0

            Plain.logMeanExp logW, Plain.dot (Plain.softmax logW) (Array.map slope draws)

        let exact = drawn |> Array.map ofExample
        let parts = parts 3L
        let loss = (total (objective parts.Model parts.X eps)).detach()
        let w, _, _ = gradients objective parts eps

        max
            (Plain.against [| -(Array.averageBy fst exact) |] loss)
            (Plain.against [| -(Array.averageBy snd exact) |] w)

    let error (objective: Objective) (k: int64) =
        if k <= 2L then
            max (meanError objective k) (drawnError objective k)
        else
            drawnError objective k

    /// log w's path gradient weighted by the normalised weight to this power.
    let weighted (power: float) : Objective =
        fun model x eps ->
            let q = (model.Encode x).Base
            let z = DiagNormal.sample q eps
            let held = { Mu = q.Mu.detach (); LogVar = q.LogVar.detach () }
            let logW = model.LogLikelihood x z + logStandardNormal z - DiagNormal.logProb held z
            let share = (torch.nn.functional.softmax (logW, 0L)).detach()
            let surrogate = (share.pow (Research.Core.scalar power) * logW).sum 0L

            [
                "bound",
                (importanceWeightedBound (logW.detach ()) + surrogate - surrogate.detach ()).mean().neg()
            ]

    {
        Id = "estimators/doubly"
        Statement =
            "The doubly reparameterised gradient has the expected bound's slope as its mean; value and decoder's gradient are the bound's, draw by draw."
        Labels = []
        Function = "doublyReparameterised"
        Instances = [ "one sample", 1L; "two samples", 2L; "five samples", 5L ]
        Error = error doublyReparameterised
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "the weights themselves", error (weighted 1.0)
            "squared weights for the decoder too", error (weighted 2.0)
        ]
    }

let private jackknife =
    let error (estimate: Tensor -> Tensor) (logWeights: Tensor) =
        let columns = Plain.rows (logWeights.t ())

        let plain (column: float[]) =
            let k = column.Length

            let leftOut =
                Array.init k (fun j -> Plain.logMeanExp (Array.removeAt j column)) |> Array.average

            float k * Plain.logMeanExp column - float (k - 1) * leftOut

        Plain.against (Array.map plain columns) (estimate logWeights)

    let of' (leading: int64 -> float) (k: Tensor) =
        let n = k.size 0

        leading n * importanceWeightedBound k
        - (leading n - 1.0) * importanceWeightedBound (k.narrow (0L, 0L, n - 1L))

    {
        Id = "estimators/jackknife"
        Statement =
            "K times the estimate of all weights, less K-1 times the mean of those that leave one out."
        Labels = []
        Function = "jackknifeEvidence"
        Instances = [
            "two", gaussian 1 [ 2L; 3L ]
            "seven", 3.0 * gaussian 2 [ 7L; 4L ]
            "one weight above all", vector [ 50.0; 0.0; -1.0; 2.0 ] |> _.unsqueeze(1L)
        ]
        Error = error jackknifeEvidence
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "one sample left out, and no other", error (of' float)
            "no correction", error importanceWeightedBound
            "of K + 1", error (fun w -> 2.0 * jackknifeEvidence w - importanceWeightedBound w)
        ]
    }

let private bits =
    let error (freeBits: float -> Objective) (lambda: float) =
        let scene = scene (snd benches[3])
        let parts = partsAt scene.Model scene.X scene.Encoder
        let eps = gaussian 8 [ 4L; 5L ]
        let z = DiagNormal.sample scene.Encoder eps
        let mu, logVar = Plain.rows scene.Encoder.Mu, Plain.rows scene.Encoder.LogVar
        let rate (m: float) (s: float) = Plain.klToStandard [| m |] [| s |]
        let perExample = Array.map2 (Array.map2 rate) mu logVar
        let perLatent = Array.transpose perExample |> Array.map Array.average

        let reconstruction =
            -(Array.average (elements (LinearGaussian.logLikelihood scene.Model scene.X z)))

        let loss = total (freeBits lambda parts.Model parts.X eps)
        Plain.against [| reconstruction + Array.sumBy (max lambda) perLatent |] loss

    let changed (change: float -> Tensor -> Tensor) (lambda: float) : Objective =
        fun model x eps -> [
            for name, term in elbo model x eps ->
                name,
                (if name = "kl" then
                     change lambda (klStandardPerDimension (model.Encode x).Base)
                 else
                     term)
        ]

    let atLeast (lambda: float) (x: Tensor) = x.clamp_min (Research.Core.scalar lambda)

    {
        Id = "estimators/free-bits"
        Statement = "A latent's divergence counts at least lambda, in the mean over the batch."
        Labels = []
        Function = "freeBits"
        Instances = [ "none", 0.0; "some", 0.3; "most", 2.0 ]
        Error = error freeBits
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "each example by itself", error (changed (fun lambda kl -> (atLeast lambda kl).sum(-1L).mean()))
            "all latents together", error (changed (fun lambda kl -> atLeast lambda (kl.sum(-1L).mean())))
            "none free", error (changed (fun _ kl -> kl.sum(-1L).mean()))
        ]
    }

[<Tests>]
let tests =
    testList "estimators" [
        Law.test landing
        Law.test pathMean
        Law.test doubly
        Law.test jackknife
        Law.test bits
    ]
