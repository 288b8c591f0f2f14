/// Other gradients and estimates of the bounds, and numeric inverses of flows.
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

let private doubly =
    let draws = 20000L

    let error (objective: Objective) (k: int64) =
        let scene = scene (snd benches[0])
        // Each draw as an example of its own: one pass gives the gradients of all of them.
        let repeated (row: Tensor) = row.expand([| draws; row.size -1 |]).contiguous()

        let parts () =
            partsAt scene.Model (repeated scene.X[0]) {
                Mu = repeated (scene.Encoder.Mu[0] + 0.3)
                LogVar = repeated (scene.Encoder.LogVar[0] + 0.5)
            }

        let eps = gaussian 7 [ k; draws; 1L ]
        let w, mu, logVar = gradients objective (parts ()) eps
        let w', mu', logVar' = gradients importanceWeighted (parts ()) eps
        let of' (objective: Objective) = value (total (objective (parts ()).Model (repeated scene.X[0]) eps))
        let inUnits (difference: Tensor) = deviation 0.0 difference

        List.max [
            // The decoder's gradient and the value are the bound's own.
            1e8 * relativeDistance w w'
            1e8 * abs (of' objective - of' importanceWeighted)
            inUnits (mu - mu')
            inUnits (logVar - logVar')
        ]

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
            "The doubly reparameterised gradient has the bound's own as its mean; value and decoder's gradient are the bound's."
        Labels = []
        Function = "doublyReparameterised"
        Instances = [ "two samples", 2L; "five samples", 5L ]
        Error = error doublyReparameterised
        Tolerance = Tolerance.monteCarlo draws 1.0
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

type private Invertible = { Map: Transform; Z: Tensor }

let private inverses =
    let error (change: (Tensor -> Tensor * Tensor) -> Tensor -> Tensor * Tensor) (instance: Invertible) =
        let y, logDet = instance.Map.Forward instance.Z
        let z, back = change instance.Map.Inverse.Value y
        let again = fst (instance.Map.Forward z)

        List.max [
            relativeDistance z instance.Z
            relativeDistance again y
            relativeDistance back (logDet.neg ())
        ]

    let autoregressive (seed: int) (l: int64) : Tensor -> Tensor * Tensor =
        // Strictly lower triangular: output i sees the inputs before it.
        let below (seed: int) = (gaussian seed [ l; l ]).tril -1L
        let a, b = below seed, below (seed + 1)
        fun z -> (z.matmul (a.t ())).sin(), z.matmul (b.t ()) + 0.3

    {
        Id = "flow/numeric-inverse"
        Statement = "The numeric inverse undoes the map, and its log-determinant is the negative one."
        Labels = []
        Function = "invertiblePlanar, invertibleAutoregressive"
        Instances = [
            "planar",
            {
                Map = invertiblePlanar (gaussian 1 [ 3L ]) (gaussian 2 [ 3L ]) (scalar 0.4)
                Z = gaussian 3 [ 6L; 3L ]
            }
            "planar, one for each example",
            {
                Map =
                    invertiblePlanar
                        (3.0 * gaussian 4 [ 6L; 2L ])
                        (2.0 * gaussian 5 [ 6L; 2L ])
                        (gaussian 6 [ 6L ])
                Z = 2.0 * gaussian 7 [ 4L; 6L; 2L ]
            }
            "planar, nearly folded",
            {
                Map = invertiblePlanar (vector [ -6.0; 0.0 ]) (vector [ 1.0; 0.0 ]) (scalar 0.0)
                Z = gaussian 8 [ 9L; 2L ]
            }
            "planar, a shift",
            {
                Map = invertiblePlanar (vector [ 1.0; 2.0 ]) (vector [ 0.0; 0.0 ]) (scalar 0.7)
                Z = gaussian 8 [ 9L; 2L ]
            }
            "autoregressive",
            {
                Map = invertibleAutoregressive (autoregressive 9 4L)
                Z = gaussian 10 [ 5L; 4L ]
            }
            "composed",
            {
                Map =
                    Transform.compose [
                        invertibleAutoregressive (autoregressive 11 2L)
                        Transform.flip
                        invertiblePlanar (gaussian 12 [ 2L ]) (gaussian 13 [ 2L ]) (scalar -0.2)
                    ]
                Z = gaussian 14 [ 5L; 2L ]
            }
        ]
        Error = error id
        Tolerance = Tolerance.limit 1e-9
        Mutants = [
            "the map again", error (fun inverse y -> (let z, logDet = inverse y in 2.0 * z - y, logDet))
            "the same log-determinant",
            error (fun inverse y -> (let z, logDet = inverse y in z, logDet.neg ()))
            "no log-determinant", error (fun inverse y -> (let z, logDet = inverse y in z, 0.0 * logDet))
        ]
    }

let private inverseGradients =
    let u, w, b, y = gaussian 1 [ 2L ], gaussian 2 [ 2L ], scalar 0.3, gaussian 3 [ 2L ]

    let exact (u: Tensor) (w: Tensor) (b: Tensor) (y: Tensor) = (invertiblePlanar u w b).Inverse.Value y

    let error (inverse: Tensor -> Tensor -> Tensor -> Tensor -> Tensor * Tensor) (which: int) =
        let through inverse (x: Tensor) =
            let at i (held: Tensor) = if which = i then x.reshape held.shape else held
            let (z: Tensor), (logDet: Tensor) = inverse (at 0 u) (at 1 w) (at 2 b) (at 3 y)
            (z * vector [ 1.0; -2.0 ]).sum() + logDet

        let start = (List.item which [ u; w; b; y ]).reshape -1L
        relativeDistance (grad (through inverse) start) (finiteGradient (through exact) start)

    let ofHeldRoot (u: Tensor) (w: Tensor) (b: Tensor) (y: Tensor) =
        let z = fst (exact u w b y)
        let h = (sumLast (z * w) + b).tanh().detach()
        let z = y - h * planarInvertibleU u w
        z, (snd ((planar u w b).Forward z)).neg()

    {
        Id = "flow/inverse-gradient"
        Statement = "The gradient of the planar map's inverse is that of the implicit function."
        Labels = []
        Function = "invertiblePlanar"
        Instances = [ "by u", 0; "by w", 1; "by b", 2; "by y", 3 ]
        Error = error exact
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "the root held", error ofHeldRoot
            "the map's own",
            error (fun u w b y -> (let z, logDet = exact u w b y in 2.0 * z.detach () - y, logDet))
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
        Law.test inverses
        Law.test inverseGradients
    ]
