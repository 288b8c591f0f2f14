/// The mathematics of the report as pure functions over tensors.
///
/// Conventions. Shapes stand in brackets: B batch, D data dimension, L latent dimension, K mixture components
/// or importance samples, V values of a categorical; `[..,L]` means any leading dimensions. All information is in
/// nats. Log-densities sum over the last dimension and keep the leading ones. Noise is an argument: no function
/// here draws a random number, holds a parameter or changes its input. float32 and float64 both work.
///
/// A shape that has no meaning (an empty batch, a last dimension that would be stretched, an odd L of a coupling)
/// raises ArgumentException, which names the argument; shapes that do not fit at all raise libtorch's
/// ExternalException, which names both. Values are not looked at, since that would wait for the device: formulas are
/// exact to rounding over the range of the type, NaN in gives NaN out, and what overflows is infinite.
///
/// Examples, which a test runs, follow `>` with their value, to four digits. In them `t` makes a float64 tensor of a list
/// and `tt` of a list of rows; q is N((0,1), diag(1,4)), `mixture` the even one of N(-1,1) and N(1,1), `coupled` the
/// coupling with s = z log 2 and t = 3z; `line` is x = z + noise, `encode` its posterior, `model` both, x = 2, eps = 1,
/// `path` its annealing at x; `half` is (1/2,1/2), `even` has two such rows, `linear` is x -> 3 x_1 + 4 x_2.
///
/// "Paper: eq:..." names the equation of paper/ that a function implements; a test keeps both lists equal.
module Research.Core

open System
open TorchSharp

type Tensor = torch.Tensor

// ---------------------------------------------------------------------------------------------------------------
// Vocabulary
// ---------------------------------------------------------------------------------------------------------------

let private log2Pi = log (2.0 * Math.PI)

/// A number where libtorch wants a scalar: F# would take TorchSharp's conversion to a tensor, which throws.
/// > (t [ 3.0 ]).mul(scalar 2.0) = 6
let scalar (x: float) : Scalar = Scalar.op_Implicit x

/// f(block, first, rows) over n rows, at most `size` at a time, so that memory is that of one block: its tensors are
/// freed before the next, but for those that f moves to the outer dispose scope. Blocks count from 0.
/// > blockwise 3L 7L (fun _ first rows -> first + rows) = 3; 6; 7
let blockwise (size: int64) (n: int64) (f: int64 -> int64 -> int64 -> 'a) : 'a[] =
    Array.init (int ((n + size - 1L) / size)) (fun block ->
        use _ = torch.NewDisposeScope()
        let first = int64 block * size
        f (int64 block) first (min size (n - first)))

/// Raises ArgumentException, which names the argument, unless the condition holds.
let inline private need (condition: bool) (name: string) ([<InlineIfLambda>] reason: unit -> string) : unit =
    if not condition then
        invalidArg name (reason ())

/// The last dimension of x has n elements: a stretched one would count one coordinate several times.
let private needLast (name: string) (n: int64) (x: Tensor) : unit =
    need (x.size -1 = n) name (fun () -> $"its last dimension has {x.size -1} elements, not {n}")

/// x has the shape of `like`: in a stretched one some elements would count several times.
let private needShape (name: string) (like: Tensor) (x: Tensor) : unit =
    need (x.shape = like.shape) name (fun () -> $"its shape is %A{x.shape}, not %A{like.shape}")

/// The mean of all elements, of which there must be one.
let private meanOf (name: string) (x: Tensor) : Tensor =
    need (x.numel () > 0L) name (fun () -> "it is empty, and a mean needs an element")
    x.mean ()

/// The mean over K >= 1 samples, the first dimension.
let private meanOfSamples (name: string) (x: Tensor) : Tensor =
    need (x.size 0 > 0L) name (fun () -> "it holds no sample, and a mean needs one")
    x.mean [| 0L |]

/// Sum over the last dimension. `[..,D] -> [..]`.
/// > sumLast (tt [ [ 1.0; 2.0 ]; [ 3.0; 4.0 ] ]) = 3; 7
let sumLast (x: Tensor) : Tensor = x.sum (-1L)

/// log(1 + exp x), elementwise. Exact to rounding in float64: libtorch's default threshold of 20 is off by 2e-9.
/// > softplus (t [ 0.0; 100.0 ]) = 0.6931; 100
let softplus (x: Tensor) : Tensor = torch.nn.functional.softplus (x, 1.0, 40.0)

/// log sigmoid(x) = -softplus(-x), elementwise.
/// > logSigmoid (t [ 0.0; -100.0 ]) = -0.6931; -100
let logSigmoid (x: Tensor) : Tensor = (softplus (x.neg ())).neg()

let private logMeanOf (name: string) (dim: int64) (x: Tensor) : Tensor =
    let k = x.size (int dim)
    need (k > 0L) name (fun () -> $"dimension {dim} is empty, and a mean needs an element")
    x.logsumexp dim - log (float k)

/// log (1/K) sum_k exp x_k along one dimension of length K >= 1.
/// > logMeanExp 0L (t [ 0.0; log 3.0 ]) = 0.6931
let logMeanExp (dim: int64) (x: Tensor) : Tensor = logMeanOf (nameof x) dim x

/// w/|w|^2 over the last dimension: the vector along w whose inner product with w is 1; 0 for w = 0. `[..,L] -> [..,L]`.
/// > reciprocal (t [ 3.0; 4.0 ]) = 0.12; 0.16
let reciprocal (w: Tensor) : Tensor =
    // Any scale gives the same vector; with the largest element for it no square over- or underflows.
    let largest = (w.detach().abs()).amax([| -1L |], true)
    let scale = largest.masked_fill (largest.logical_not (), 1)
    let scaled = w / scale
    scaled / (scale * scaled.square().sum(-1L, true).clamp_min 1)

// ---------------------------------------------------------------------------------------------------------------
// Differentiation, in DiffSharp's vocabulary
// ---------------------------------------------------------------------------------------------------------------

/// x as a variable and f x, recorded even where the caller records nothing.
let private trace (f: Tensor -> Tensor) (x: Tensor) : Tensor * Tensor =
    need (x.is_floating_point ()) (nameof x) (fun () -> $"there is no derivative in a {x.dtype} tensor")

    if torch.is_inference_mode_enabled () then
        invalidOp "under torch.inference_mode there are no derivatives"

    let x =
        if x.requires_grad then
            x
        else
            x.detach().requires_grad_ true

    let y = f x

    need (y.is_floating_point ()) (nameof f) (fun () ->
        $"its result is a {y.dtype} tensor, which has no derivative")

    x, y

/// dy/dx of a scalar y, zero where y does not depend on x. An error inside torch.autograd.grad ends the process: the
/// callers exclude what would be one.
let private derivative (x: Tensor) (y: Tensor) : Tensor =
    if y.requires_grad then
        let g =
            torch.autograd.grad(
                [| y |],
                [| x |],
                retain_graph = true,
                create_graph = true,
                allow_unused = true
            )[0]

        if g.IsInvalid then torch.zeros_like x else g
    else
        torch.zeros_like x

/// The gradient of a scalar function at x, itself differentiable; zero where f does not depend on x.
/// `f: [..] -> []`, result of x's shape `[..]`. Raises ArgumentException where f's result is no scalar or either is
/// not of a floating-point type.
/// > grad (fun x -> x.square().sum()) (t [ 1.0; 2.0 ]) = 2; 4
let grad (f: Tensor -> Tensor) (x: Tensor) : Tensor =
    use _ = torch.enable_grad ()
    let x, y = trace f x

    need (y.numel () = 1L) (nameof f) (fun () -> $"its result has the shape %A{y.shape} and is no scalar")

    derivative x y

/// The derivative of an elementwise function at every element of x. `f: [..] -> [..]`, result `[..]`. Raises
/// ArgumentException where f changes the shape.
/// > diff (fun x -> x.square()) (t [ 3.0; 4.0 ]) = 6; 8
let diff (f: Tensor -> Tensor) (x: Tensor) : Tensor =
    let summed (x: Tensor) =
        let y = f x
        needShape (nameof f) x y
        if y.is_floating_point () then y.sum () else y

    grad summed x

/// The Jacobian of a vector function, J[i,j] = d f_i / d x_j. `f: [N] -> [M]`, result `[M,N]`. Raises
/// ArgumentException where x or f's result is no vector.
/// > jacobian (fun x -> x.cumsum 0L) (t [ 1.0; 2.0 ]) = 1; 0; 1; 1
let jacobian (f: Tensor -> Tensor) (x: Tensor) : Tensor =
    use _ = torch.enable_grad ()
    let x, y = trace f x

    for name, vector in [ nameof x, x; nameof f, y ] do
        need (vector.ndim = 1L) name (fun () -> $"its shape is %A{vector.shape} and not that of a vector")

    if y.size 0 = 0L then
        torch.zeros ([| 0L; x.size 0 |], x.dtype, x.device)
    else
        torch.stack (y.unbind 0L |> Array.map (derivative x))

/// The Hessian of a scalar function. `f: [N] -> []`, result `[N,N]`.
/// > hessian (fun x -> x.prod()) (t [ 2.0; 3.0 ]) = 0; 1; 1; 0
let hessian (f: Tensor -> Tensor) (x: Tensor) : Tensor = jacobian (grad f) x

// ---------------------------------------------------------------------------------------------------------------
// Distributions
// ---------------------------------------------------------------------------------------------------------------

/// A normal distribution with diagonal covariance, N(mu, diag exp logVar). Both fields `[..,L]`. Densities and
/// divergences are exact while the standard deviation exp(logVar/2) is a number of the type: |logVar| < 174 in float32,
/// 1416 in float64.
type DiagNormal = { Mu: Tensor; LogVar: Tensor }

[<RequireQualifiedAccess>]
module DiagNormal =
    /// log N(z; mu, diag exp logVar) = -1/2 sum_i [log 2 pi + logVar_i + (z_i - mu_i)^2 exp(-logVar_i)].
    /// `z: [..,L] -> [..]`. Paper: eq:normal-logdensity.
    /// > DiagNormal.logProb q (t [ 0.0; 1.0 ]) = -2.531
    let logProb (p: DiagNormal) (z: Tensor) : Tensor =
        needLast (nameof z) (p.Mu.size -1) z
        // Squared after the scaling, the deviation stays in range as long as the standard deviation does.
        let standardised = (z - p.Mu) * (-0.5 * p.LogVar).exp()
        -0.5 * sumLast (standardised.square () + p.LogVar + log2Pi)

    /// z = mu + exp(logVar/2) eps with eps ~ N(0, I): the reparameterised sample.
    /// `eps: [..,L] -> [..,L]`. Source: Kingma and Welling (2014), section 2.4. Paper: eq:reparam.
    /// > DiagNormal.sample q (t [ 1.0; 1.0 ]) = 1; 3
    let sample (p: DiagNormal) (eps: Tensor) : Tensor =
        needLast (nameof eps) (p.Mu.size -1) eps
        p.Mu + (0.5 * p.LogVar).exp() * eps

    /// H = 1/2 sum_i [1 + log 2 pi + logVar_i]. `[..]`.
    /// > DiagNormal.entropy q = 3.531
    let entropy (p: DiagNormal) : Tensor =
        needLast (nameof p) (p.Mu.size -1) p.LogVar
        0.5 * sumLast (p.LogVar + (1.0 + log2Pi))

    /// N(0, I) of the shape, type and device of the example. `like: [..,L]`.
    /// > (DiagNormal.standardLike (t [ 5.0 ])).Mu = 0
    let standardLike (like: Tensor) : DiagNormal = {
        Mu = torch.zeros_like like
        LogVar = torch.zeros_like like
    }

/// log N(z; 0, I). `[..,L] -> [..]`.
/// > logStandardNormal (t [ 0.0; 1.0 ]) = -2.338
let logStandardNormal (z: Tensor) : Tensor = -0.5 * sumLast (z.square () + log2Pi)

/// Independent Bernoulli variables given by their logits, `[..,D]`.
type Bernoulli = { Logits: Tensor }

[<RequireQualifiedAccess>]
module Bernoulli =
    /// sum_i [x_i l_i - softplus(l_i)] for finite logits l; x in {0,1}, or in [0,1] as a cross-entropy. (NaN at an
    /// infinite logit: to find the certain outcome among the others would cost as much as all else here.)
    /// `x: [..,D] -> [..]`. Paper: eq:bernoulli-logits.
    /// > Bernoulli.logProb { Logits = t [ 0.0; log 3.0 ] } (t [ 1.0; 1.0 ]) = -0.9808
    let logProb (p: Bernoulli) (x: Tensor) : Tensor =
        needLast (nameof x) (p.Logits.size -1) x
        sumLast (x * p.Logits - softplus p.Logits)

    /// sigmoid(l), the mean. `[..,D]`.
    /// > Bernoulli.mean { Logits = t [ log 3.0 ] } = 0.75
    let mean (p: Bernoulli) : Tensor = p.Logits.sigmoid ()

    /// 1 where u < sigmoid(l), else 0, u ~ U[0,1). `u: [..,D] -> [..,D]`.
    /// > Bernoulli.sample { Logits = t [ log 3.0; log 3.0 ] } (t [ 0.7; 0.8 ]) = 1; 0
    let sample (p: Bernoulli) (u: Tensor) : Tensor =
        needLast (nameof u) (p.Logits.size -1) u
        // Rounded up, the difference is 1 or 0, and NaN where there is no probability.
        (p.Logits.detach().sigmoid() - u).ceil().abs().``to`` u.dtype

/// Independent categorical variables of V values each, given by unnormalised logits `[..,D,V]`.
type Categorical = { Logits: Tensor }

[<RequireQualifiedAccess>]
module Categorical =
    /// sum_i [l_{i,x_i} - logsumexp_v l_{i,v}]. `x: int64 [..,D] -> [..]`, its leading dimensions broadcast with
    /// the logits'. Paper: eq:categorical-logits.
    /// > Categorical.logProb { Logits = tt [ [ 0.0; log 3.0 ] ] } (torch.tensor [| 1L |]) = -0.2877
    let logProb (p: Categorical) (x: Tensor) : Tensor =
        needLast (nameof x) (p.Logits.size -2) x
        // Gathering itself does not broadcast; these are views.
        let views = torch.broadcast_tensors (p.Logits, x.unsqueeze -1L)
        let chosen = views[0].gather(-1L, views[1].narrow(-1L, 0L, 1L)).squeeze -1L
        sumLast (chosen - p.Logits.logsumexp -1L)

    /// The expected value sum_v v softmax(l)_v of each variable. `[..,D]`.
    /// > Categorical.mean { Logits = tt [ [ 0.0; log 3.0 ] ] } = 0.75
    let mean (p: Categorical) : Tensor =
        let values = torch.arange (p.Logits.size -1, p.Logits.dtype, p.Logits.device)
        sumLast (torch.nn.functional.softmax (p.Logits, -1L) * values)

    /// The inverse of the distribution function at u ~ U[0,1). `u: [..,D] -> int64 [..,D]`. Where a logit is NaN the
    /// result is V, which is no value.
    /// > Categorical.sample { Logits = tt [ [ 0.0; log 3.0 ] ] } (t [ 0.3 ]) = 1
    let sample (p: Categorical) (u: Tensor) : Tensor =
        needLast (nameof u) (p.Logits.size -2) u
        let v = p.Logits.size -1
        let sums = torch.nn.functional.softmax(p.Logits, -1L).cumsum -1L
        // The last sum may round to just under one: the last upper edge has to be above every u.
        let upper = sums / sums.narrow (-1L, v - 1L, 1L)
        v - sumLast (upper.gt(u.unsqueeze -1L).``to`` torch.int64)

/// A mixture of K diagonal normals: log-weights `[K]` (normalised here), components `[K,L]`.
type Mixture = { Logits: Tensor; Components: DiagNormal }

[<RequireQualifiedAccess>]
module Mixture =
    let internal needWeights (name: string) (m: Mixture) =
        need (m.Logits.shape = [| m.Components.Mu.size -2 |] && m.Logits.size 0 > 0L) name (fun () ->
            $"%A{m.Logits.shape} log-weights for {m.Components.Mu.size -2} components")

    /// log sum_k pi_k N(z; mu_k, diag exp logVar_k): one log-sum-exp over joint components. (Taken dimension by
    /// dimension, as widely copied code does, it is the density of a product of mixtures.)
    /// `z: [..,L] -> [..]`. Paper: eq:mixture.
    /// > Mixture.logProb mixture (t [ 0.0 ]) = -1.419
    let logProb (m: Mixture) (z: Tensor) : Tensor =
        needWeights (nameof m) m
        let logWeights = torch.nn.functional.log_softmax (m.Logits, 0L)
        (logWeights + DiagNormal.logProb m.Components (z.unsqueeze -2L)).logsumexp -1L

    /// Chooses a component by inverse distribution function from u and adds that component's noise.
    /// `u: [B] ~ U[0,1)`, `eps: [B,L] ~ N(0,I)`, result `[B,L]`.
    /// > Mixture.sample mixture (t [ 0.2; 0.8 ]) (tt [ [ 0.5 ]; [ 0.5 ] ]) = -0.5; 1.5
    let sample (m: Mixture) (u: Tensor) (eps: Tensor) : Tensor =
        needWeights (nameof m) m

        need (u.shape = eps.shape[.. eps.shape.Length - 2]) (nameof u) (fun () ->
            $"%A{u.shape} choices of a component for noise of the shape %A{eps.shape}")

        let logits = m.Logits.unsqueeze(0L).unsqueeze 0L
        let k = (Categorical.sample { Logits = logits } (u.unsqueeze -1L)).flatten()

        DiagNormal.sample
            {
                Mu = m.Components.Mu.index_select (0L, k)
                LogVar = m.Components.LogVar.index_select (0L, k)
            }
            eps

/// log N(z_n; mu_m, diag exp logVar_m) for all pairs, one dimension at a time so that memory stays N x M (the square
/// expanded into two matrix products would cancel for narrow components). `q: [M,L]`, `z: [N,L]`, computed in and
/// returned as float64 `[N,M]`.
/// > pairwiseLogProb mixture.Components (tt [ [ 0.0 ] ]) = -1.419; -1.419
let pairwiseLogProb (q: DiagNormal) (z: Tensor) : Tensor =
    needLast (nameof z) (q.Mu.size -1) z
    let mu, logVar, z = q.Mu.double (), q.LogVar.double (), z.double ()
    let scale = (-0.5 * logVar).exp()
    let sum = torch.zeros ([| z.size 0; mu.size 0 |], torch.float64, z.device)

    for i in 0L .. z.size -1 - 1L do
        use _ = torch.NewDisposeScope()
        let standardised = (z.narrow (1L, i, 1L) - mu.select (1L, i)) * scale.select (1L, i)
        sum.add_ (standardised.square ()) |> ignore

    -0.5 * (sum + sumLast (logVar + log2Pi))

// ---------------------------------------------------------------------------------------------------------------
// Divergences
// ---------------------------------------------------------------------------------------------------------------

/// KL(q||p) of two diagonal normals, 1/2 sum_i [expm1(d_i) - d_i + (mu_q - mu_p)_i^2 exp(-logVar_p,i)] with
/// d = logVar_q - logVar_p. `[..,L]` twice, result `[..]`. Paper: eq:kl-diag.
/// > klDiagNormal q (DiagNormal.standardLike q.Mu) = 1.307
let klDiagNormal (q: DiagNormal) (p: DiagNormal) : Tensor =
    needLast (nameof p) (q.Mu.size -1) p.Mu
    let d = q.LogVar - p.LogVar
    let meanShift = (q.Mu - p.Mu) * (-0.5 * p.LogVar).exp()
    0.5 * sumLast (d.expm1 () - d + meanShift.square ())

/// KL(q||N(0,I)) of each dimension, 1/2 [mu^2 + expm1(logVar) - logVar]: `exp(logVar) - 1` would lose the digits
/// of a posterior near the prior. `[..,L] -> [..,L]`.
/// > klStandardPerDimension q = 0; 1.307
let klStandardPerDimension (q: DiagNormal) : Tensor = 0.5 * (q.Mu.square () + q.LogVar.expm1 () - q.LogVar)

/// KL(q||N(0,I)) = 1/2 sum_i [mu_i^2 + expm1(logVar_i) - logVar_i]. `[..,L] -> [..]`.
/// Source: Kingma and Welling (2014), appendix B. Paper: eq:kl-standard.
/// > klStandard q = 1.307
let klStandard (q: DiagNormal) : Tensor = sumLast (klStandardPerDimension q)

/// The Monte-Carlo estimate of KL(q||p): the mean over K samples of q of log q(z) - log p(z).
/// Both arguments `[K,..]`, result `[..]`. Paper: eq:kl-mc.
/// > klMonteCarlo (t [ -1.0; -2.0 ]) (t [ -2.0; -4.0 ]) = 1.5
let klMonteCarlo (logQ: Tensor) (logP: Tensor) : Tensor =
    needShape (nameof logP) logQ logP
    meanOfSamples (nameof logQ) (logQ - logP)

// ---------------------------------------------------------------------------------------------------------------
// Bounds on the evidence, as functions of log-densities
// ---------------------------------------------------------------------------------------------------------------

/// E_q [log p(x,z) - log q(z|x)], first form of the ELBO, over K samples of q. `[K,B]` twice, result `[B]`.
/// Paper: eq:elbo-joint.
/// > elboJoint (tt [ [ -3.0 ]; [ -5.0 ] ]) (tt [ [ -1.0 ]; [ -2.0 ] ]) = -2.5
let elboJoint (logJoint: Tensor) (logQ: Tensor) : Tensor =
    needShape (nameof logQ) logJoint logQ
    meanOfSamples (nameof logJoint) (logJoint - logQ)

/// E_q log p(x|z) - KL(q(z|x)||p(z)), the third form of the source. `[K,B]` and `[B]`, result `[B]`. Paper: eq:elbo-kl.
/// > elboKl (tt [ [ -3.0 ]; [ -5.0 ] ]) (t [ 1.0 ]) = -5
let elboKl (logLikelihood: Tensor) (kl: Tensor) : Tensor =
    let reconstruction = meanOfSamples (nameof logLikelihood) logLikelihood
    needShape (nameof kl) reconstruction kl
    reconstruction - kl

/// log p(x) - KL(q(z|x)||p(z|x)), a fourth form: the gap of the bound is the posterior's divergence.
/// `[B]` twice, result `[B]`. Paper: eq:elbo-gap.
/// > elboGap (t [ -3.0 ]) (t [ 0.5 ]) = -3.5
let elboGap (logEvidence: Tensor) (klToPosterior: Tensor) : Tensor =
    needShape (nameof klToPosterior) logEvidence klToPosterior
    logEvidence - klToPosterior

/// The importance-weighted bound log (1/K) sum_k w_k, log w = log p(x,z) - log q(z|x). `[K,B] -> [B]`.
/// Source: Burda, Grosse and Salakhutdinov (2016), eq. 8. Paper: eq:iwae.
/// > importanceWeightedBound (tt [ [ 0.0 ]; [ log 3.0 ] ]) = 0.6931
let importanceWeightedBound (logWeights: Tensor) : Tensor = logMeanOf (nameof logWeights) 0L logWeights

/// The importance-sampling estimate of log p(x): the importance-weighted bound read as an estimator, consistent in
/// K and biased downwards by about Var(w)/(2 K p(x)^2).
/// `logJoint, logQ: [K,B]`, samples from q; result `[B]`. Paper: eq:is-loglik.
/// > logLikelihoodImportance (tt [ [ -1.0 ]; [ log 3.0 ] ]) (tt [ [ -1.0 ]; [ 0.0 ] ]) = 0.6931
let logLikelihoodImportance (logJoint: Tensor) (logQ: Tensor) : Tensor =
    needShape (nameof logQ) logJoint logQ
    logMeanOf (nameof logJoint) 0L (logJoint - logQ)

/// The naive estimate of log p(x), log (1/K) sum_k p(x|z_k) with z_k ~ p(z). `[K,B] -> [B]`. Paper: eq:mc-loglik.
/// > logLikelihoodPrior (tt [ [ 0.0 ]; [ log 3.0 ] ]) = 0.6931
let logLikelihoodPrior (logLikelihood: Tensor) : Tensor = logMeanOf (nameof logLikelihood) 0L logLikelihood

/// The joint-space form of the ELBO on finite x and z, three ways: -KL(q(x,z)||p(x,z)) with q(x,z) = p_D(x) q(z|x);
/// -KL(p_D(x)||p(x)) - E_{p_D} KL(q(z|x)||p(z|x)); -KL(q(z)||p(z)) - E_{q(z)} KL(q(x|z)||p(x|z)).
/// `pData: [X]`, `posterior: [X,Z]` with rows summing to 1, `joint: [X,Z]` summing to 1; 0 log 0 = 0; three `[]`.
/// Source: Zhao, Song and Ermon (2019), eq. 3-5. Paper: eq:joint-space.
/// > jointSpaceForms half even (tt [ [ 0.4; 0.1 ]; [ 0.1; 0.4 ] ]) = -0.2231; -0.2231; -0.2231
let jointSpaceForms (pData: Tensor) (posterior: Tensor) (joint: Tensor) : Tensor * Tensor * Tensor =
    needShape (nameof joint) posterior joint
    needShape (nameof pData) (posterior.sum 1L) pData
    // sum w (log q - log p), where a weight of 0 counts nothing.
    let expected (w: Tensor) (q: Tensor) (p: Tensor) = (w.xlogy q - w.xlogy p).sum()
    let over (a: Tensor) (b: Tensor) = a / b.masked_fill (b.logical_not (), 1)
    let qJoint = pData.unsqueeze 1L * posterior
    let pX, pZ, qZ = joint.sum 1L, joint.sum 0L, qJoint.sum 0L
    let inJoint = expected qJoint qJoint joint

    let overData =
        expected pData pData pX + expected qJoint posterior (over joint (pX.unsqueeze 1L))

    let overLatent = expected qZ qZ pZ + expected qJoint (over qJoint qZ) (over joint pZ)
    inJoint.neg (), overData.neg (), overLatent.neg ()

// ---------------------------------------------------------------------------------------------------------------
// Gradient estimators, of d/dtheta E f(x) for x ~ N(theta, 1)
// ---------------------------------------------------------------------------------------------------------------

/// The score (REINFORCE) estimates f(x) (x - theta) at x = theta + eps. `theta: []`, `eps: [..]`, result `[..]`.
/// Source: Williams (1992). Paper: eq:score-gradient.
/// > scoreGradient (fun x -> x.square()) (torch.tensor 1.0) (t [ 2.0; -1.0 ]) = 18; -0
let scoreGradient (f: Tensor -> Tensor) (theta: Tensor) (eps: Tensor) : Tensor =
    let values = f (theta + eps)
    needShape (nameof f) eps values
    values * eps

/// The pathwise (reparameterised) estimates f'(theta + eps). `theta: []`, `eps: [..]`, result `[..]`.
/// Source: Kingma and Welling (2014). Paper: eq:pathwise-gradient.
/// > pathwiseGradient (fun x -> x.square()) (torch.tensor 1.0) (t [ 2.0; -1.0 ]) = 6; 0
let pathwiseGradient (f: Tensor -> Tensor) (theta: Tensor) (eps: Tensor) : Tensor = diff f (theta + eps)

let private needEstimates (n: int) =
    need (n >= 1) (nameof n) (fun () -> $"a mean of {n} estimates has no variance")

/// The exact variance (theta^4 + 14 theta^2 + 15)/N of the mean of N score estimates for f(x) = x^2.
/// Paper: eq:score-variance.
/// > scoreVarianceOfSquare 1.0 10 = 3
let scoreVarianceOfSquare (theta: float) (n: int) : float =
    needEstimates n
    (theta ** 4.0 + 14.0 * theta ** 2.0 + 15.0) / float n

/// The exact variance 4/N of the mean of N pathwise estimates for f(x) = x^2. Paper: eq:pathwise-variance.
/// > pathwiseVarianceOfSquare 10 = 0.4
let pathwiseVarianceOfSquare (n: int) : float =
    needEstimates n
    4.0 / float n

// ---------------------------------------------------------------------------------------------------------------
// Transforms (normalising flows)
// ---------------------------------------------------------------------------------------------------------------

/// An invertible map and the log-determinant of its Jacobian. Both functions take `[..,L]` and return the image
/// `[..,L]` and log|det J| `[..]`; Inverse, where there is a closed form, returns that of the inverse map.
type Transform = {
    Forward: Tensor -> Tensor * Tensor
    Inverse: (Tensor -> Tensor * Tensor) option
}

[<RequireQualifiedAccess>]
module Transform =
    /// z -> z with log-determinant 0.
    /// > Transform.identity.Forward(t [ 1.0; 2.0 ]) = 1; 2; 0
    let identity: Transform =
        let same (z: Tensor) = z, torch.zeros_like (z.select (-1L, 0L))

        { Forward = same; Inverse = Some same }

    /// Reverses the order of the last dimension; its log-determinant is 0.
    /// > Transform.flip.Forward(t [ 1.0; 2.0 ]) = 2; 1; 0
    let flip: Transform =
        let reverse (z: Tensor) = z.flip -1L, torch.zeros_like (z.select (-1L, 0L))

        { Forward = reverse; Inverse = Some reverse }

    /// The transform read backwards. Raises ArgumentException where there is no closed-form inverse.
    /// > (Transform.invert coupled).Forward(t [ 1.0; 7.0 ]) = 1; 2; -0.6931
    let invert (t: Transform) : Transform =
        match t.Inverse with
        | Some inverse -> { Forward = inverse; Inverse = Some t.Forward }
        | None -> invalidArg (nameof t) "this transform has no closed-form inverse"

    /// First f, then g: log-determinants add. Paper: eq:flow-composition.
    /// > (Transform.andThen Transform.flip coupled).Forward(t [ 1.0; 2.0 ]) = 7; 1; 0.6931
    let andThen (g: Transform) (f: Transform) : Transform =
        let chain first second z =
            let middle, logDetFirst: Tensor * Tensor = first z
            let last, logDetSecond: Tensor * Tensor = second middle
            last, logDetFirst + logDetSecond

        {
            Forward = chain f.Forward g.Forward
            Inverse = Option.map2 chain g.Inverse f.Inverse
        }

    /// The transforms one after the other, the first one applied first.
    /// > (Transform.compose [ coupled; Transform.flip ]).Forward(t [ 1.0; 2.0 ]) = 7; 1; 0.6931
    let compose (transforms: Transform list) : Transform =
        transforms |> List.fold (fun f g -> andThen g f) identity

/// w.u, and the value at which softplus is 1 for w = 0, where the planar map is a shift.
let private planarSlope (u: Tensor) (w: Tensor) : Tensor =
    let isShift = (w.detach().abs()).amax([| -1L |]).logical_not()
    sumLast(u * w).masked_fill(isShift, scalar (log (Math.E - 1.0)))

/// tanh x and 1/cosh x = sqrt(1 - tanh^2 x), which keeps its digits where tanh rounds to 1.
let private tanhAndRootSlope (x: Tensor) : Tensor * Tensor =
    let decay = (x.abs().neg()).exp()
    x.tanh (), 2.0 * decay / (1.0 + decay.square ())

/// u + (m(w.u) - w.u) w/|w|^2 with m(a) = softplus(a) - 1, so that w.u-hat > -1 and the planar map is invertible; u for
/// w = 0. `u, w: [..,L]`. Source: Rezende and Mohamed (2015), appendix A.1. Paper: eq:planar-invertible.
/// > planarInvertibleU (t [ -3.0; 0.0 ]) (t [ 1.0; 0.0 ]) = -0.9514; 0
let planarInvertibleU (u: Tensor) (w: Tensor) : Tensor =
    needLast (nameof w) (u.size -1) w
    // softplus(a) - a = softplus(-a), which does not cancel.
    u + (softplus (sumLast(u * w).neg()) - 1.0).unsqueeze -1L * reciprocal w

/// The planar map f(z) = z + u-hat h with h = tanh(w.z + b), and log|1 + (1 - h^2) w.u-hat|, which the matrix
/// determinant lemma gives in O(L). `u, w: [L]` and `b: []` for one map, or `[B,L]` and `[B]` for a map of its own
/// for each example, as an amortised posterior needs; z `[..,B,L]`. Exact while exp(w.u/2) is in the type's range.
/// Source: Rezende and Mohamed (2015), eq. 10-12. Paper: eq:planar, eq:planar-logdet.
/// > (planar (t [ 1.0; 0.0 ]) (t [ 1.0; 0.0 ]) (torch.tensor 0.5)).Forward(t [ 0.5; 2.0 ]) = 0.7386; 2; 0.1236
let planar (u: Tensor) (w: Tensor) (b: Tensor) : Transform =
    let uHat = planarInvertibleU u w
    // The root of w.u-hat + 1 = softplus(a), which below a = -37 is exp(a) to rounding.
    let a = planarSlope u w
    let low = a.clamp_min -37
    let rootStretch = softplus(low).sqrt() * (0.5 * (a - low)).exp()

    let forward (z: Tensor) =
        needLast (nameof z) (w.size -1) z
        let h, rootSlope = tanhAndRootSlope (sumLast (z * w) + b)
        // The determinant is h^2 + (1 - h^2) softplus(a): both terms are positive, so nothing cancels where the map
        // nearly folds, and their roots are in range where they are not.
        z + h.unsqueeze -1L * uHat, 2.0 * h.hypot(rootSlope * rootStretch).log()

    { Forward = forward; Inverse = None }

/// The product of the reflections I - 2 v v'/|v|^2, the first vector's on the left, those of v = 0 left out: an orthogonal
/// matrix. `v: [..,N,L] -> [..,L,L]`. Source: Tomczak and Welling (2016), eq. 8.
/// > householder (tt [ [ 1.0; 1.0 ] ]) = 0; -1; -1; 0
let householder (v: Tensor) : Tensor =
    need (v.ndim >= 2L) (nameof v) (fun () -> $"its shape is %A{v.shape}, and not [..,N,L] for N vectors")

    let start =
        torch
            .eye(v.size -1, dtype = v.dtype, device = v.device)
            .expand_as(v.narrow(-2L, 0L, 0L).sum(-2L).diag_embed())

    // Q - 2 (Q v) v'/|v|^2.
    let reflect (q: Tensor) (v: Tensor) =
        q - 2.0 * sumLast(q * v.unsqueeze -2L).unsqueeze(-1L) * (reciprocal v).unsqueeze -2L

    v.unbind -2 |> Array.fold reflect start

/// log(1 + tanh a tanh b) = log cosh(a + b) - log cosh a - log cosh b, which keeps its digits where the product nears -1.
let private logOfStretch (a: Tensor) (b: Tensor) : Tensor =
    // Even in (a,b): with a + b >= 0 only what is small is subtracted.
    let sign = 1.0 - 2.0 * (a + b).lt(scalar 0.0).``to`` a.dtype
    let part (x: Tensor) = softplus (-2.0 * sign * x)
    part (a + b) - part a - part b + log 2.0

/// The Sylvester map f(z) = z + Q R h, h = tanh(R' Q^T z + b), with Q of M orthonormal columns and R, R' upper triangular;
/// their diagonals are the tanh of the given ones, so that R_ii R'_ii > -1 and the map is invertible. By Sylvester's
/// identity its log-determinant is sum_i log(1 + (1 - h_i^2) R_ii R'_ii): what M planar maps one after the other are, in
/// one. Below the diagonals nothing is read. `q: [L,M]`, `r, r': [M,M]` and `b: [M]` for one map, or with a leading `B` for
/// one of each example; z `[..,B,L]`. Source: van den Berg et al. (2018), eq. 9-14.
/// > (sylvester (tt [ [ 1.0 ]; [ 0.0 ] ]) (tt [ [ 1.0 ] ]) (tt [ [ 1.0 ] ]) (t [ 0.0 ])).Forward(t [ 0.5; 2.0 ]) = 0.7768; 2; 0.4077
let sylvester (q: Tensor) (r: Tensor) (r': Tensor) (b: Tensor) : Transform =
    let m = q.size -1

    for name, square in [ nameof r, r; nameof r', r' ] do
        need (square.ndim >= 2L && square.size -1 = m && square.size -2 = m) name (fun () ->
            $"its shape is %A{square.shape}, and Q has {m} columns")

    needLast (nameof b) m b
    let diagonal (x: Tensor) = x.diagonal (0L, -2L, -1L)
    let triangle (x: Tensor) = x.triu 1L + torch.diag_embed ((diagonal x).tanh())
    // Products by hand: an error of libtorch's own ends the process.
    let times (a: Tensor) (x: Tensor) = sumLast (a * x.unsqueeze -2L)
    let upper, upper', transposed = triangle r, triangle r', q.transpose (-1L, -2L)
    let rootStretch = (0.5 * logOfStretch (diagonal r) (diagonal r')).exp()

    let forward (z: Tensor) =
        needLast (nameof z) (q.size -2) z
        let h, rootSlope = tanhAndRootSlope (times upper' (times transposed z) + b)
        // A factor of the determinant is h^2 + (1 - h^2) (1 + R_ii R'_ii), as of the planar map.
        z + times q (times upper h), 2.0 * sumLast (h.hypot(rootSlope * rootStretch).log())

    { Forward = forward; Inverse = None }

/// The two halves of an even last dimension.
let private halves (z: Tensor) : Tensor * Tensor =
    let h = z.size -1 / 2L

    need (2L * h = z.size -1) (nameof z) (fun () ->
        $"a coupling splits the last dimension in two halves, which {z.size -1} has not")

    z.narrow (-1L, 0L, h), z.narrow (-1L, h, h)

/// The affine coupling y1 = z1, y2 = exp(s(z1)) z2 + t(z1) on the two halves of an even L, log-determinant
/// sum_i s_i(z1). `scale, shift: [..,L/2] -> [..,L/2]`. Raises ArgumentException for an odd L.
/// Source: Dinh, Sohl-Dickstein and Bengio (2017), eq. 7-8. Paper: eq:coupling.
/// > (coupling (fun z -> z * log 2.0) (fun z -> 3.0 * z)).Forward(t [ 1.0; 2.0 ]) = 1; 7; 0.6931
let coupling (scale: Tensor -> Tensor) (shift: Tensor -> Tensor) : Transform =
    let nets (z1: Tensor) =
        let s, t = scale z1, shift z1
        needShape (nameof scale) z1 s
        needShape (nameof shift) z1 t
        s, t

    let forward z =
        let z1, z2 = halves z
        let s, t = nets z1
        torch.cat ([| z1; s.exp () * z2 + t |], -1L), sumLast s

    let inverse y =
        let y1, y2 = halves y
        let s, t = nets y1
        torch.cat ([| y1; (y2 - t) * (s.neg ()).exp() |], -1L), (sumLast s).neg()

    { Forward = forward; Inverse = Some inverse }

/// The coupling y1 = z1, y2 = f(z2) on the two halves of an even L, f a map of the second half that the first one chooses.
/// Raises ArgumentException for an odd L, and backwards for an f without a closed-form inverse.
/// Source: Dinh, Krueger and Bengio (2015), section 3.1.
/// > (conditionalCoupling (fun z1 -> coupled)).Forward(t [ 5.0; 6.0; 1.0; 2.0 ]) = 5; 6; 1; 7; 0.6931
let conditionalCoupling (f: Tensor -> Transform) : Transform =
    let apply (map: Transform -> Tensor -> Tensor * Tensor) z =
        let z1, z2 = halves z
        let y2, logDet = map (f z1) z2
        torch.cat ([| z1; y2 |], -1L), logDet

    {
        Forward = apply _.Forward
        Inverse = Some(apply (fun f -> (Transform.invert f).Forward))
    }

/// The least share of a bin and the least slope at a knot, lest one vanish.
let private leastOfSpline = 1e-3

/// The monotone rational-quadratic spline on [-bound, bound], the identity outside, elementwise. With slopes d at the knots,
/// a bin's s = height/width and x = (z - knot)/width it is knot' + height (s x^2 + d_k x(1-x))/(s + (d_k + d_k+1 - 2s) x(1-x));
/// its slope is s^2 (d_k+1 x^2 + 2s x(1-x) + d_k (1-x)^2) over the denominator's square. Bins are shares
/// softmax(widths), softmax(heights), none below 0.001, of the interval; inner slopes 0.001 + 0.999 softplus(slopes + log(e - 1)):
/// zeros give the identity. `widths, heights: [..,L,K]`, `slopes: [..,L,K-1]`, z `[..,L]`; raises ArgumentException for a
/// bound that is not positive and for 1000 bins. Source: Durkan et al. (2019), eq. 4-8.
/// > (rationalQuadratic 2.0 (tt [ [ 0.0; 0.0 ] ]) (tt [ [ 0.0; log 3.0 ] ]) (tt [ [ 0.0 ] ])).Forward(t [ 1.0 ]) = 0.501; 0.5869
let rationalQuadratic (bound: float) (widths: Tensor) (heights: Tensor) (slopes: Tensor) : Transform =
    let least = leastOfSpline
    need (widths.ndim >= 2L) (nameof widths) (fun () -> $"its shape is %A{widths.shape}, and not [..,L,K]")
    let bins = widths.size -1

    need (bins >= 1L && float bins * least < 1.0) (nameof widths) (fun () ->
        $"{bins} bins of at least {least} of the interval each")

    need (bound > 0.0 && Double.IsFinite bound) (nameof bound) (fun () ->
        $"half the length of an interval is positive, and not {bound}")

    needShape (nameof heights) widths heights
    needLast (nameof slopes) (bins - 1L) slopes
    let inner (x: Tensor) = x.narrow (-1L, 1L, bins - 1L)
    let between (first: Tensor) (x: Tensor) (last: Tensor) = torch.cat ([| first; x; last |], -1L)
    let all (value: float) = torch.full_like (widths.narrow (-1L, 0L, 1L), scalar value)

    let knots (x: Tensor) =
        let shares = least + (1.0 - least * float bins) * torch.nn.functional.softmax (x, -1L)
        // The edges are exact.
        let ends = (2.0 * bound * shares.cumsum -1L - bound).narrow(-1L, 0L, bins - 1L)
        between (all -bound) ends (all bound)

    let x, y = knots widths, knots heights

    let d =
        between (all 1.0) (least + (1.0 - least) * softplus (slopes + log (Math.E - 1.0))) (all 1.0)

    /// Of the bins whose knots surround v: position, height, width, s and the slopes at both ends.
    let surrounding (knots: Tensor) (v: Tensor) =
        let index = (v.unsqueeze(-1L).ge(inner knots).``to`` torch.int64).sum(-1L, true)

        let pick (first: int64) (all: Tensor) =
            let views = torch.broadcast_tensors (all.narrow (-1L, first, bins), index)
            views[0].gather(-1L, views[1].narrow(-1L, 0L, 1L)).squeeze -1L

        let x0, y0 = pick 0L x, pick 0L y
        let width, height = pick 1L x - x0, pick 1L y - y0
        x0, y0, width, height, height / width, pick 0L d, pick 1L d

    // All that is added is positive.
    let denominator (s: Tensor) (d0: Tensor) (d1: Tensor) (mixed: Tensor) =
        s * (1.0 - 2.0 * mixed) + (d0 + d1) * mixed

    let logSlope (s: Tensor) (d0: Tensor) (d1: Tensor) (at: Tensor) =
        let mixed = at * (1.0 - at)
        let numerator = d1 * at.square () + 2.0 * s * mixed + d0 * (1.0 - at).square()
        2.0 * s.log () + numerator.log () - 2.0 * (denominator s d0 d1 mixed).log()

    /// The image and its log-slope within, the point itself outside.
    let within (inside: Tensor -> Tensor * Tensor) (v: Tensor) =
        needLast "z" (widths.size -2) v
        let isOutside = v.abs().ge(scalar bound)
        let image, logSlope = inside (v.clamp (scalar -bound, scalar bound))
        torch.where (isOutside, v, image), sumLast (logSlope.masked_fill (isOutside, 0))

    let forward (z: Tensor) =
        let x0, y0, width, height, s, d0, d1 = surrounding x z
        let at = (z - x0) / width
        let mixed = at * (1.0 - at)
        y0 + height * (s * at.square () + d0 * mixed) / denominator s d0 d1 mixed, logSlope s d0 d1 at

    let inverse (z: Tensor) =
        let x0, y0, width, height, s, d0, d1 = surrounding y z
        let share = (z - y0) / height
        // The positive root of the quadratic, every sum in a form that does not cancel: the discriminant is p^2 + q.
        let p = d0 * (1.0 - share) - d1 * share
        let q = 4.0 * s.square () * share * (1.0 - share)
        let outer = p.abs () + (p.square () + q).sqrt()
        let root = torch.where (p.ge (scalar 0.0), outer, q / outer)
        let at = 2.0 * s * share / (root + 2.0 * s * share)
        x0 + width * at, (logSlope s d0 d1 at).neg()

    { Forward = within forward; Inverse = Some(within inverse) }

/// The mask of a MADE layer: entry (o,i) is 1 where degree(o) >= degree(i), strictly greater for the output layer,
/// so that output i of the network depends on inputs before i only. `[out,in]`.
/// Source: Germain et al. (2015), eq. 8-9. Paper: eq:made.
/// > madeMask true [| 0L; 1L |] [| 0L; 1L |] = 0; 0; 1; 0
let madeMask (strict: bool) (inputDegrees: int64[]) (outputDegrees: int64[]) : Tensor =
    let rows = torch.tensor(outputDegrees).unsqueeze 1L
    let columns = torch.tensor(inputDegrees).unsqueeze 0L
    let mask = if strict then rows.gt columns else rows.ge columns
    mask.``to`` torch.float32

/// The inverse autoregressive step z_i <- g_i z_i + (1 - g_i) m_i with (m, s) = net(z), g = sigmoid(s); the Jacobian
/// is triangular, so its log-determinant is sum_i log g_i. `net: [..,L] -> [..,L] * [..,L]`, autoregressive.
/// Source: Kingma et al. (2016), eq. 10-14. Paper: eq:iaf.
/// > (inverseAutoregressive (fun z -> z * 0.0 + 3.0, z * 0.0)).Forward(t [ 1.0; 5.0 ]) = 2; 4; -1.386
let inverseAutoregressive (net: Tensor -> Tensor * Tensor) : Transform =
    let forward (z: Tensor) =
        let m, s = net z
        needShape (nameof net) z m
        needShape (nameof net) z s
        // sigmoid(-s) = 1 - g keeps its digits where g rounds to 1.
        s.sigmoid () * z + (s.neg ()).sigmoid() * m, sumLast (logSigmoid s)

    { Forward = forward; Inverse = None }

/// log p(x) = log p0(f(x)) + log|det J_f(x)| for a flow f from data to base; the negative is the NLL.
/// `[..,D] -> [..]`. Paper: eq:flow-nll.
/// > flowLogProb logStandardNormal coupled (t [ 1.0; 2.0 ]) = -26.14
let flowLogProb (baseLogProb: Tensor -> Tensor) (toBase: Transform) (x: Tensor) : Tensor =
    let z, logDet = toBase.Forward x
    let logProb = baseLogProb z
    needShape (nameof baseLogProb) logDet logProb
    logProb + logDet

/// E [log q0(z0) - log|det J_f(z0)| + U(f(z0))], the KL from the flow's density to exp(-U)/Z, minus log Z.
/// Bounded below by -log Z. `z0: [B,D]` from q0, result `[]`. Source: Rezende and Mohamed (2015), section 6.1.
/// Paper: eq:flow-density.
/// > flowDensityLoss logStandardNormal coupled energyArcs (tt [ [ 2.0; 0.0 ] ]) = 53.22
let flowDensityLoss
    (baseLogProb: Tensor -> Tensor)
    (flow: Transform)
    (energy: Tensor -> Tensor)
    (z0: Tensor)
    =
    let z, logDet = flow.Forward z0
    let logProb, energy = baseLogProb z0, energy z
    needShape (nameof baseLogProb) logDet logProb
    needShape (nameof energy) logDet energy
    meanOf (nameof z0) (logProb - logDet + energy)

/// U(z) = 1/2 ((|z| - 2)/0.4)^2 - log(exp(-1/2 ((z1 - 2)/0.6)^2) + exp(-1/2 ((z1 + 2)/0.6)^2)): two arcs.
/// `[..,2] -> [..]`. Source: Rezende and Mohamed (2015), table 1. Paper: eq:energy-arcs.
/// > energyArcs (t [ 0.0; 2.0 ]) = 4.862
let energyArcs (z: Tensor) : Tensor =
    needLast (nameof z) 2L z
    let z1 = z.select (-1L, 0L)
    let radius = z.norm -1
    let bump (centre: float) = -0.5 * ((z1 - centre) / 0.6).square()
    0.5 * ((radius - 2.0) / 0.4).square() - torch.logaddexp (bump 2.0, bump -2.0)

/// U(z) = 1/2 ((z2 - sin(pi z1/2))/0.4)^2: a sine wave, not normalisable on the whole plane. `[..,2] -> [..]`.
/// Source: Rezende and Mohamed (2015), table 1. Paper: eq:energy-sine.
/// > energySine (t [ 1.0; 1.4 ]) = 0.5
let energySine (z: Tensor) : Tensor =
    needLast (nameof z) 2L z
    // One period is exact, where the sine of a large product would be noise.
    let wave = (z.select(-1L, 0L).remainder(scalar 4.0) * (Math.PI / 2.0)).sin()
    0.5 * ((z.select (-1L, 1L) - wave) / 0.4).square()

// ---------------------------------------------------------------------------------------------------------------
// Priors
// ---------------------------------------------------------------------------------------------------------------

/// A density over latents `[..,L]` that can be evaluated and sampled, with KL(q||p) in closed form where there is
/// one. Sample takes u `[B] ~ U[0,1)` (which component) and eps `[B,L] ~ N(0,I)`.
type Prior = {
    LogProb: Tensor -> Tensor
    Sample: Tensor -> Tensor -> Tensor
    KlFrom: (DiagNormal -> Tensor) option
}

[<RequireQualifiedAccess>]
module Prior =
    /// N(0, I).
    /// > Prior.standard.LogProb(t [ 0.0; 0.0 ]) = -1.838
    let standard: Prior = {
        LogProb = logStandardNormal
        Sample = fun _ eps -> eps
        KlFrom = Some klStandard
    }

    let private ofMixture (logits: Tensor) (components: DiagNormal) : Prior =
        let mixture = { Logits = logits; Components = components }
        Mixture.needWeights (nameof logits) mixture

        {
            LogProb = Mixture.logProb mixture
            Sample = Mixture.sample mixture
            KlFrom = None
        }

    /// sum_k pi_k N(mu_k, diag exp logVar_k) with free parameters. `logits: [K]`, `mu, logVar: [K,L]`.
    /// Paper: eq:mog-prior.
    /// > (Prior.mixtureOfGaussians half (tt [ [ -1.0 ]; [ 1.0 ] ]) (torch.zeros (2L, 1L))).LogProb(t [ 0.0 ]) = -1.419
    let mixtureOfGaussians (logits: Tensor) (mu: Tensor) (logVar: Tensor) : Prior =
        ofMixture logits { Mu = mu; LogVar = logVar }

    /// sum_k pi_k q(z|u_k): the encoder's posterior at K learned pseudo-inputs. `logits: [K]`, `pseudoInputs: [K,D]`.
    /// Source: Tomczak and Welling (2018), eq. 9. Paper: eq:vamp-prior.
    /// > (Prior.vamp encode half (tt [ [ -2.0 ]; [ 2.0 ] ])).LogProb(t [ 0.0 ]) = -1.572
    let vamp (encode: Tensor -> DiagNormal) (logits: Tensor) (pseudoInputs: Tensor) : Prior =
        ofMixture logits (encode pseudoInputs)

    /// sum_k pi_k N(mu(u_k), diag exp logVar(u_k)) with centres mapped by a network from fixed codes u_k.
    /// `network: [K,C] -> DiagNormal [K,L]`, `logits: [K]`, `codes: [K,C]`.
    /// Source: Bishop, Svensen and Williams (1998). Paper: eq:gtm-prior.
    /// > (Prior.topographic encode half (tt [ [ -2.0 ]; [ 2.0 ] ])).LogProb(t [ 0.0 ]) = -1.572
    let topographic (network: Tensor -> DiagNormal) (logits: Tensor) (codes: Tensor) : Prior =
        ofMixture logits (network codes)

    /// The density of f^-1(eps), eps ~ N(0,I): log N(f(z); 0, I) + log|det J_f(z)|, the determinant counted once and
    /// not once a dimension. Raises ArgumentException where f has no closed-form inverse. Paper: eq:flow-prior.
    /// > (Prior.flow coupled).LogProb(t [ 1.0; 2.0 ]) = -26.14
    let flow (toBase: Transform) : Prior =
        need toBase.Inverse.IsSome (nameof toBase) (fun () -> "a prior's flow needs a closed-form inverse")
        let ofBase = Transform.invert toBase

        {
            LogProb = flowLogProb logStandardNormal toBase
            Sample = fun _ eps -> fst (ofBase.Forward eps)
            KlFrom = None
        }

/// E log p(x|z) + E H[q(z|x)] - CE(q(z)||p(z)): the ELBO in three terms, of which only the cross-entropy of the
/// aggregated posterior knows the prior. Returns the terms `[]` of a batch; their sum is the ELBO.
/// `logLikelihood: [K,B]`, `entropy: [B]`, `logPrior: [K,B]` at samples of q(z|x).
/// Source: Makhzani et al. (2016), eq. 2; Tomczak and Welling (2018), eq. 5. Paper: eq:elbo-three.
/// > elboThreeTerms (tt [ [ -3.0 ]; [ -5.0 ] ]) (t [ 1.5 ]) (tt [ [ -2.0 ]; [ -3.0 ] ]) = -4; 1.5; -2.5
let elboThreeTerms (logLikelihood: Tensor) (entropy: Tensor) (logPrior: Tensor) : Tensor * Tensor * Tensor =
    meanOf (nameof logLikelihood) logLikelihood,
    meanOf (nameof entropy) entropy,
    meanOf (nameof logPrior) logPrior

/// log (1/N) sum_n q(z|x_n): the aggregated posterior, which is the optimal prior. `encodings: [N,L]`, `z: [M,L]`,
/// result float64 `[M]`. Source: Hoffman and Johnson (2016). Paper: eq:optimal-prior.
/// > logAggregatedPosterior mixture.Components (tt [ [ 0.0 ] ]) = -1.419
let logAggregatedPosterior (encodings: DiagNormal) (z: Tensor) : Tensor =
    logMeanOf (nameof encodings) -1L (pairwiseLogProb encodings z)

// ---------------------------------------------------------------------------------------------------------------
// Objectives: a model's parts, a batch and noise -> named terms whose sum is the loss
// ---------------------------------------------------------------------------------------------------------------

/// The posterior of a batch: a diagonal normal `[B,L]`, followed by a flow where there is one.
type Posterior = { Base: DiagNormal; Flow: Transform option }

[<RequireQualifiedAccess>]
module Posterior =
    /// z ~ q(z|x) from eps ~ N(0,I), and log q(z|x) = log q0(z0) - log|det J|. `eps: [..,B,L]`, result `[..,B,L]`
    /// and `[..,B]`.
    /// > Posterior.sample { Base = q; Flow = None } (t [ 1.0; 1.0 ]) = 1; 3; -3.531
    let sample (q: Posterior) (eps: Tensor) : Tensor * Tensor =
        let z0 = DiagNormal.sample q.Base eps
        let logQ0 = DiagNormal.logProb q.Base z0

        match q.Flow with
        | None -> z0, logQ0
        | Some flow ->
            let z, logDet = flow.Forward z0
            z, logQ0 - logDet

/// What an objective sees of a latent-variable model. LogLikelihood takes x `[B,..]` and z `[..,B,L]` to `[..,B]`.
type LatentModel = {
    Encode: Tensor -> Posterior
    LogLikelihood: Tensor -> Tensor -> Tensor
    Prior: Prior
}

/// Named scalars `[]` in nats per example, whose sum is minimised.
type Terms = (string * Tensor) list

/// From the model's parts, a batch x `[B,..]` and noise eps `[B,L]` or `[K,B,L]` to the loss's terms.
type Objective = LatentModel -> Tensor -> Tensor -> Terms

/// The loss: the sum of its terms. `[]`.
/// > total [ "reconstruction", torch.tensor 3.0; "kl", torch.tensor 0.5 ] = 3.5
let total (terms: Terms) : Tensor =
    need (not terms.IsEmpty) (nameof terms) (fun () -> "there is no term")

    terms |> List.map snd |> List.reduce (+)

/// KL(q(z|x)||p(z)) at samples z of eps: in closed form where there is one, else log q - log p at the sample; behind a
/// flow, the base's closed form and the sampled change of log q - log p along the flow, which has the same mean and,
/// near the identity, no variance. `logPrior` = log p(z), computed where it is needed.
/// `eps: [..,B,L]`, `logQ, logPrior: [..,B]`, result `[..,B]` (the closed form `[B]`).
/// > klFromPrior Prior.standard { Base = q; Flow = None } (t [ 1.0; 1.0 ]) (t [ nan ]) (lazy (t [ nan ])) = 1.307
let klFromPrior (prior: Prior) (q: Posterior) (eps: Tensor) (logQ: Tensor) (logPrior: Lazy<Tensor>) : Tensor =
    match q.Flow, prior.KlFrom with
    | None, Some klFrom -> klFrom q.Base
    | Some _, Some klFrom ->
        let z0, logQ0 = Posterior.sample { q with Flow = None } eps
        klFrom q.Base + (logQ - logPrior.Value) - (logQ0 - prior.LogProb z0)
    | _, None -> logQ - logPrior.Value

/// log p(x|z), KL(q(z|x)||p(z)) and z. `eps: [..,B,L]`, results `[..,B]` (the closed-form KL `[B]`) and `[..,B,L]`.
let private partsOfElbo (model: LatentModel) (x: Tensor) (eps: Tensor) =
    let q = model.Encode x
    let z, logQ = Posterior.sample q eps
    let kl = klFromPrior model.Prior q eps logQ (lazy model.Prior.LogProb z)
    model.LogLikelihood x z, kl, z

/// reconstruction + beta KL: minus the ELBO at beta = 1, the autoencoder's loss without the KL at beta = 0.
/// Source: Higgins et al. (2017), eq. 4. Paper: eq:beta-elbo.
/// > betaElbo 2.0 model x eps = reconstruction 0.9618; kl 1.193
let betaElbo (beta: float) : Objective =
    fun model x eps ->
        let logLikelihood, kl, _ = partsOfElbo model x eps

        [
            "reconstruction", (meanOf (nameof x) logLikelihood).neg()
            // What has no weight is no term: 0 times a divergence that overflows would be NaN.
            if beta <> 0.0 then
                "kl", beta * kl.mean ()
        ]

/// Minus the ELBO: -E_q log p(x|z) + KL(q(z|x)||p(z)). Source: Kingma and Welling (2014), eq. 3. Paper: eq:elbo-kl.
/// > elbo model x eps = reconstruction 0.9618; kl 0.5966
let elbo: Objective = betaElbo 1.0

/// The flow posterior's free energy E_q0 [log q0(z0) - sum log|det J| - log p(x,z)], minus the ELBO: a special case
/// of `elbo` by construction, spelled out for one flow. `[B]` results averaged to `[]`.
/// Source: Rezende and Mohamed (2015), eq. 15. Paper: eq:flow-elbo.
/// > flowFreeEnergy (t [ -1.0 ]) (t [ 0.5 ]) (t [ -4.0 ]) = 2.5
let flowFreeEnergy (logQ0: Tensor) (logDet: Tensor) (logJoint: Tensor) : Tensor =
    needShape (nameof logDet) logQ0 logDet
    needShape (nameof logJoint) logQ0 logJoint
    meanOf (nameof logQ0) (logQ0 - logDet - logJoint)

/// log p(x,z) and log q(z|x) at K samples of the posterior. `eps: [K,B,L]`, results `[K,B]`.
let private jointAndPosterior (model: LatentModel) (x: Tensor) (eps: Tensor) : Tensor * Tensor =
    let q = model.Encode x

    need (eps.ndim = q.Base.Mu.ndim + 1L && eps.size 0 > 0L) (nameof eps) (fun () ->
        $"its shape is %A{eps.shape}, and not [K,B,L] for K samples of each example")

    let z, logQ = Posterior.sample q eps
    model.LogLikelihood x z + model.Prior.LogProb z, logQ

/// Minus the importance-weighted bound with K samples. `eps: [K,B,L]`. Source: Burda et al. (2016). Paper: eq:iwae.
/// > importanceWeighted model x (eps.unsqueeze 0L) = bound 2.266
let importanceWeighted: Objective =
    fun model x eps ->
        let logJoint, logQ = jointAndPosterior model x eps
        [ "bound", (meanOf (nameof x) (logLikelihoodImportance logJoint logQ)).neg() ]

/// log p(x) by importance sampling with the model's own posterior. `eps: [K,B,L]`, result `[B]`.
/// Paper: eq:is-loglik.
/// > logEvidence model x (eps.unsqueeze 0L) = -2.266
let logEvidence (model: LatentModel) (x: Tensor) (eps: Tensor) : Tensor =
    let logJoint, logQ = jointAndPosterior model x eps
    logLikelihoodImportance logJoint logQ

// ---------------------------------------------------------------------------------------------------------------
// Other gradients and estimates of the same bounds, and flows with a numeric inverse
// ---------------------------------------------------------------------------------------------------------------

/// The same values, of which no gradient is taken.
let private held (q: DiagNormal) : DiagNormal = { Mu = q.Mu.detach (); LogVar = q.LogVar.detach () }

let private needNoFlow (q: Posterior) : unit =
    need q.Flow.IsNone "model" (fun () ->
        "its posterior has a flow, and the estimator takes a diagonal normal")

/// Minus the ELBO by samples, -[log p(x,z) - log q(z|x)], whose gradient takes the path z = mu + sigma eps and not the score
/// of q, which has mean 0: without variance where q is the posterior. `eps: [..,B,L]`; raises ArgumentException for a
/// posterior with a flow. Source: Roeder, Wu and Duvenaud (2017), eq. 8.
/// > stickTheLanding model x eps = bound 2.266
let stickTheLanding: Objective =
    fun model x eps ->
        let q = model.Encode x
        needNoFlow q
        let z = DiagNormal.sample q.Base eps
        let logJoint = model.LogLikelihood x z + model.Prior.LogProb z
        [ "bound", meanOf (nameof x) (DiagNormal.logProb (held q.Base) z - logJoint) ]

/// Minus the importance-weighted bound; the encoder's gradient sums the path's gradients of log w_k weighted by the
/// squares of the normalised weights, which has the mean of the bound's own and a signal that does not fade as K grows.
/// `eps: [K,B,L]`; raises ArgumentException for a posterior with a flow. Decodes twice.
/// Source: Tucker et al. (2019), eq. 8.
/// > doublyReparameterised model x (eps.unsqueeze 0L) = bound 2.266
let doublyReparameterised: Objective =
    fun model x eps ->
        let q = model.Encode x
        needNoFlow q

        need (eps.ndim = q.Base.Mu.ndim + 1L && eps.size 0 > 0L) (nameof eps) (fun () ->
            $"its shape is %A{eps.shape}, and not [K,B,L] for K samples of each example")

        let z = DiagNormal.sample q.Base eps
        let fixedZ, fixedQ = z.detach (), held q.Base

        let logWeights z = model.LogLikelihood x z + model.Prior.LogProb z - DiagNormal.logProb fixedQ z

        let logW = use _ = torch.no_grad () in logWeights fixedZ
        let share = torch.nn.functional.softmax (logW, 0L)
        // The sample itself, with this share of its gradient: the second factor of the square.
        let weighted = (share * logWeights (fixedZ + share.unsqueeze -1L * (z - fixedZ))).sum 0L
        let bound = importanceWeightedBound logW + (weighted - weighted.detach ())
        [ "bound", (meanOf (nameof x) bound).neg() ]

/// K log mean_k w_k - (K-1) mean_j log mean_{k<>j} w_k: the importance-weighted estimate of log p(x) with its bias of
/// order 1/K taken off by the jackknife. K >= 2, and no longer a bound. `logWeights: [K,B] -> [B]`.
/// Source: Nowozin (2018), section 4.
/// > jackknifeEvidence (tt [ [ 0.0 ]; [ log 3.0 ] ]) = 0.837
let jackknifeEvidence (logWeights: Tensor) : Tensor =
    let k = logWeights.size 0
    need (k >= 2L) (nameof logWeights) (fun () -> $"{k} weights leave none when one is left out")
    // The sum of all weights but one: of those before it and of those behind it, since a difference would cancel.
    let none = torch.full_like (logWeights.narrow (0L, 0L, 1L), Scalar.op_Implicit -infinity)

    let before (w: Tensor) = torch.cat ([| none; w.narrow(0L, 0L, k - 1L).logcumsumexp 0L |], 0L)

    let others = torch.logaddexp (before logWeights, (before (logWeights.flip 0L)).flip 0L)
    let leftOut = (others - log (float (k - 1L))).mean [| 0L |]
    float k * logMeanOf (nameof logWeights) 0L logWeights - float (k - 1L) * leftOut

/// reconstruction + sum_i max(lambda, KL_i), KL_i the batch's mean of KL(q(z_i|x)||N(0,1)): the first lambda nats of a
/// latent cost nothing, so that it has no reason to collapse. For the prior N(0,I); raises ArgumentException for a
/// posterior with a flow, a prior without closed form, a negative lambda. Source: Kingma et al. (2016), eq. 15.
/// > freeBits 3.0 model x eps = reconstruction 0.9618; kl 3
let freeBits (lambda: float) : Objective =
    need (lambda >= 0.0) (nameof lambda) (fun () ->
        $"a number of nats is not negative, and lambda is {lambda}")

    fun model x eps ->
        let q = model.Encode x
        needNoFlow q

        need model.Prior.KlFrom.IsSome (nameof model) (fun () ->
            "its prior has no divergence in closed form, and each latent's is needed")

        let logLikelihood = model.LogLikelihood x (DiagNormal.sample q.Base eps)
        let perLatent = (klStandardPerDimension q.Base).flatten(0L, -2L).mean [| 0L |]

        [
            "reconstruction", (meanOf (nameof x) logLikelihood).neg()
            "kl", (perLatent.clamp_min (Scalar.op_Implicit lambda)).sum()
        ]

/// The planar map with an inverse, which has no closed form: a = w.z + b solves a + (w.u-hat) tanh a = w.y + b, whose left
/// side grows with a; by bisection to rounding. Its gradient, of first order only, is the implicit function's.
/// Arguments as of `planar`.
/// > fst ((invertiblePlanar (t [ 1.0 ]) (t [ 0.0 ]) (torch.tensor 0.0)).Inverse.Value (t [ 3.0 ])) = 3
let invertiblePlanar (u: Tensor) (w: Tensor) (b: Tensor) : Transform =
    let map = planar u w b
    let uHat = planarInvertibleU u w
    let slope = sumLast (w * uHat)
    // Sixty halvings of an interval as long as the slope leave less than rounding.
    let halvings = 60

    let root (target: Tensor) =
        use _ = torch.no_grad ()
        let reach = slope.abs ()
        let mutable low, high = target - reach, target + reach

        for _ in 1..halvings do
            let middle = 0.5 * (low + high)
            let isBelow = (middle + slope * middle.tanh ()).lt target
            low <- torch.where (isBelow, middle, low)
            high <- torch.where (isBelow, high, middle)

        0.5 * (low + high)

    let inverse (y: Tensor) =
        needLast (nameof y) (w.size -1) y
        let target = sumLast (y * w) + b
        let a = root target
        let h = a.tanh ()
        let residual = a + slope * h - target
        let steepness = 1.0 + slope.detach () * (1.0 - h.square ())
        let a = a - (residual - residual.detach ()) / steepness
        let z = y - a.tanh().unsqueeze -1L * uHat
        z, (snd (map.Forward z)).neg()

    { map with Inverse = Some inverse }

/// The inverse autoregressive step with an inverse: z_i = y_i + exp(-s_i) (y_i - m_i), one coordinate after the other, since
/// m_i and s_i depend on those before: L evaluations of the network, which has a finite value everywhere.
/// Arguments as of `inverseAutoregressive`.
/// > fst ((invertibleAutoregressive (fun z -> 0.0 * z, 0.0 * z)).Inverse.Value (t [ 3.0 ])) = 6
let invertibleAutoregressive (net: Tensor -> Tensor * Tensor) : Transform =
    let map = inverseAutoregressive net

    let inverse (y: Tensor) =
        let mutable z = torch.zeros_like y

        // Each pass makes one coordinate more the final one.
        for _ in 1L .. y.size -1 do
            let m, s = net z
            needShape (nameof net) y m
            needShape (nameof net) y s
            z <- y + (s.neg ()).exp() * (y - m)

        z, (snd (map.Forward z)).neg()

    { map with Inverse = Some inverse }

// ---------------------------------------------------------------------------------------------------------------
// The evidence from both sides: an upper bound, and annealed importance sampling
// ---------------------------------------------------------------------------------------------------------------

/// E_p(z|x) [log p(x,z) - log q(z|x)] over K samples of the exact posterior, which data drawn from the model bring along:
/// log p(x) + KL(p(z|x)||q(z|x)), as far above log p(x) as the other divergence says. `[K,B]` twice, result `[B]`.
/// Source: Ji and Shen (2019). Paper: eq:eubo.
/// > eubo (tt [ [ -3.0 ]; [ -5.0 ] ]) (tt [ [ -1.0 ]; [ -2.0 ] ]) = -2.5
let eubo (logJoint: Tensor) (logQ: Tensor) : Tensor =
    needShape (nameof logQ) logJoint logQ
    meanOfSamples (nameof logJoint) (logJoint - logQ)

/// Unnormalised densities of z for a batch x, f_t(z) = q0(z)^(1-t) p(x,z)^t: from a normal that is easily sampled (t = 0)
/// to the posterior (t = 1), whose integral is p(x). Base `[B,L]`; LogJoint takes z `[..,B,L]` to `[..,B]`.
type AnnealingPath = { Base: DiagNormal; LogJoint: Tensor -> Tensor }

[<RequireQualifiedAccess>]
module AnnealingPath =
    /// From the encoder's posterior. `x: [B,..]`; raises ArgumentException for a posterior with a flow.
    /// > (AnnealingPath.ofModel model x).LogJoint (tt [ [ 1.0 ] ]) = -2.838
    let ofModel (model: LatentModel) (x: Tensor) : AnnealingPath =
        let q = model.Encode x
        needNoFlow q

        {
            Base = held q.Base
            LogJoint = fun z -> model.LogLikelihood x z + model.Prior.LogProb z
        }

    /// log f_t(z) = (1-t) log q0(z) + t log p(x,z). `[..,B,L] -> [..,B]`.
    /// Source: Neal (2001), section 2. Paper: eq:annealing.
    /// > AnnealingPath.logDensity path 0.5 (tt [ [ 1.0 ] ]) = -1.705
    let logDensity (path: AnnealingPath) (t: float) (z: Tensor) : Tensor =
        // What has no weight is no term, and need not be computed.
        match t with
        | 0.0 -> DiagNormal.logProb path.Base z
        | 1.0 -> path.LogJoint z
        | _ -> (1.0 - t) * DiagNormal.logProb path.Base z + t * path.LogJoint z

/// The values of log f at the rows of z and their gradients, as constants. A failing `backward` raises, where one inside
/// `torch.autograd.grad` would end the process; of a model's parameters it takes no gradient.
/// `logDensity: [..,L] -> [..]`, results `[..]` and `[..,L]`.
let private valueAndGradient (logDensity: Tensor -> Tensor) (z: Tensor) : Tensor * Tensor =
    use _ = torch.NewDisposeScope()
    use _ = torch.enable_grad ()
    let z, value = trace logDensity (z.detach ())

    need (value.shape = z.shape[.. z.shape.Length - 2]) (nameof logDensity) (fun () ->
        $"its result has the shape %A{value.shape} and is not one number for each row of %A{z.shape}")

    if value.requires_grad then
        torch.autograd.backward ([| value.sum () |], inputs = [| z |])

    let gradient =
        match z.grad with
        | null -> torch.zeros_like z
        | gradient -> gradient

    value.detach().MoveToOuterDisposeScope(), gradient.MoveToOuterDisposeScope()

/// Leapfrog steps from z with a momentum p, each p += h/2 g(z), z += h p, p += h/2 g(z) for the gradient g of log f.
/// Returns log f at the start, the last z and p, and log f there; the gradient between two steps serves both.
let private trajectory logDensity (step: Tensor) (leapfrogs: int) (z: Tensor) (momentum: Tensor) =
    use _ = torch.NewDisposeScope()
    let start, slope = valueAndGradient logDensity z

    let next (z: Tensor, p: Tensor, slope: Tensor, _) =
        use _ = torch.NewDisposeScope()
        let halfway = p + 0.5 * step * slope
        let z = z + step * halfway
        let value, slope = valueAndGradient logDensity z
        let p = halfway + 0.5 * step * slope

        z.MoveToOuterDisposeScope(),
        p.MoveToOuterDisposeScope(),
        slope.MoveToOuterDisposeScope(),
        value.MoveToOuterDisposeScope()

    let z, p, _, finish =
        Seq.fold (fun state _ -> next state) (z, momentum, slope, start) (seq { 1..leapfrogs })

    start.MoveToOuterDisposeScope(),
    z.MoveToOuterDisposeScope(),
    p.MoveToOuterDisposeScope(),
    finish.MoveToOuterDisposeScope()

let private needLeapfrogs (leapfrogs: int) =
    need (leapfrogs >= 1) (nameof leapfrogs) (fun () -> $"{leapfrogs} steps lead nowhere")

/// Hamilton's equations for the potential -log f by leapfrog steps: p += h/2 g(z), z += h p, p += h/2 g(z) with the
/// gradient g of log f. It keeps volume, and with the momentum negated it leads back. `logDensity: [..,L] -> [..]`; `step`
/// h, a number or one for each coordinate, broadcasts to z `[..,L]`. Returns z and p; carries no gradient.
/// Source: Neal (2011), eq. 5.18-5.20.
/// > leapfrog logStandardNormal (t [ 0.1 ]) 1 (t [ 1.0 ]) (t [ 0.0 ]) = 0.995; -0.09975
let leapfrog
    (logDensity: Tensor -> Tensor)
    (step: Tensor)
    (leapfrogs: int)
    (z: Tensor)
    (momentum: Tensor)
    : Tensor * Tensor =
    use _ = torch.no_grad ()
    needLeapfrogs leapfrogs
    needShape (nameof momentum) z momentum
    let _, z, p, _ = trajectory logDensity step leapfrogs z momentum
    z, p

/// A transition that leaves the density f invariant: `leapfrog` from z with a momentum p ~ N(0,I), accepted where
/// u < exp(log f(z') - |p'|^2/2 - log f(z) + |p|^2/2). Returns the next z and the probability of acceptance, which is 0
/// where the path leaves the numbers' range. `z, momentum: [..,L]`, `u: [..] ~ U[0,1)`, results `[..,L]` and `[..]`.
/// Source: Neal (2011), section 5.3.2.
/// > snd (hamiltonianStep logStandardNormal (t [ 1.0 ]) 1 (t [ 2.0 ]) (torch.tensor 0.0) (t [ 0.0 ])) = 0.6065
let hamiltonianStep
    (logDensity: Tensor -> Tensor)
    (step: Tensor)
    (leapfrogs: int)
    (momentum: Tensor)
    (u: Tensor)
    (z: Tensor)
    : Tensor * Tensor =
    use _ = torch.no_grad ()
    needLeapfrogs leapfrogs
    needShape (nameof momentum) z momentum
    needShape (nameof u) (z.select (-1L, 0L)) u
    let before, z', p', after = trajectory logDensity step leapfrogs z momentum
    let kinetic (p: Tensor) = 0.5 * sumLast (p.square ())
    let gain = after - kinetic p' - before + kinetic momentum
    let acceptance = gain.clamp_max(0).exp().masked_fill(gain.isnan (), 0)
    torch.where ((u.lt acceptance).unsqueeze -1L, z', z), acceptance

/// log w = sum_i (t_(i+1) - t_i) [log p(x,z_i) - log q0(z_i)] of chains from z_0, where `transition i`, given log f_(t_i),
/// moves z_(i-1) to z_i and leaves f_(t_i) invariant, i = 1 .. T-1. Up a ladder from 0 to 1 and from z_0 ~ q0 it has
/// E w = p(x); down from 1 to 0 and from z_0 ~ p(z|x), E w = 1/p(x). With one step it is the importance weight. Carries no
/// gradient. `z: [..,B,L]`, result `[..,B]`. Source: Neal (2001), section 2.
/// Paper: eq:ais.
/// > annealedLogWeights path [| 0.0; 1.0 |] (fun _ _ z -> z) (tt [ [ 1.0 ] ]) = -2.266
let annealedLogWeights
    (path: AnnealingPath)
    (ladder: float[])
    (transition: int -> (Tensor -> Tensor) -> Tensor -> Tensor)
    (z: Tensor)
    : Tensor =
    need (ladder.Length >= 2) (nameof ladder) (fun () -> $"{ladder.Length} rungs make no step")
    use _ = torch.no_grad ()

    let gained (i: int) (z: Tensor) =
        (ladder[i + 1] - ladder[i]) * (path.LogJoint z - DiagNormal.logProb path.Base z)

    let climb (logWeight: Tensor, z: Tensor) (i: int) =
        use _ = torch.NewDisposeScope()
        // A handle of its own: a transition may return what it was given.
        let z = (transition i (AnnealingPath.logDensity path ladder[i]) z).detach()
        (logWeight + gained i z).MoveToOuterDisposeScope(), z.MoveToOuterDisposeScope()

    fst (Seq.fold climb (gained 0 z, z) (seq { 1 .. ladder.Length - 2 }))

/// So many of the base's standard deviations at each coordinate. `sizes: [B]`, result `[B,L]`.
let private inDeviations (path: AnnealingPath) (sizes: Tensor) : Tensor =
    sizes.unsqueeze -1L * (0.5 * path.Base.LogVar).exp()

/// Transitions for `annealedLogWeights`: a `hamiltonianStep` whose leapfrog steps are `sizes[i-1]` of the base's standard
/// deviations long. `sizes: [T-1,B]`; `noise i` is the momentum `[..,B,L]` and the u `[..,B]` at rung i.
/// > hamiltonianMoves path (tt [ [ 1.0 ] ]) 1 (fun _ -> tt [ [ 1.0 ] ], t [ 0.0 ]) 1 logStandardNormal (tt [ [ 0.0 ] ]) = 0.7071
let hamiltonianMoves
    (path: AnnealingPath)
    (sizes: Tensor)
    (leapfrogs: int)
    (noise: int -> Tensor * Tensor)
    : int -> (Tensor -> Tensor) -> Tensor -> Tensor =
    fun rung logDensity z ->
        let momentum, u = noise rung
        fst (hamiltonianStep logDensity (inDeviations path sizes[int64 (rung - 1)]) leapfrogs momentum u z)

/// Step sizes for `hamiltonianMoves` from K chains up the ladder that serve nothing else: half a standard deviation at
/// rung 1; from there to each next rung times exp((a - 0.65)/2), a the mean acceptance of the chains of an example. They
/// depend on x and on this noise alone, so that chains with other noise keep the means of their weights.
/// `z: [K,B,L]` from the base, result `[T-1,B]`; raises ArgumentException for a ladder without a rung between its ends.
/// > adaptedSizes path [| 0.0; 0.5; 1.0 |] 1 (fun _ -> eps.unsqueeze 0L, tt [ [ 0.0 ] ]) (eps.unsqueeze 0L) = 0.5
let adaptedSizes
    (path: AnnealingPath)
    (ladder: float[])
    (leapfrogs: int)
    (noise: int -> Tensor * Tensor)
    (z: Tensor)
    : Tensor =
    need (ladder.Length >= 3) (nameof ladder) (fun () -> "it has no rung between its ends")
    use _ = torch.no_grad ()

    let climb (z: Tensor, sizes: Tensor) (rung: int) =
        use _ = torch.NewDisposeScope()
        let momentum, u = noise rung

        let z, acceptance =
            hamiltonianStep
                (AnnealingPath.logDensity path ladder[rung])
                (inDeviations path sizes)
                leapfrogs
                momentum
                u
                z

        let next = sizes * (0.5 * (acceptance.mean [| 0L |] - 0.65)).exp()
        sizes, (z.MoveToOuterDisposeScope(), next.MoveToOuterDisposeScope())

    let first = torch.full_like (path.Base.Mu.select (-1L, 0L), scalar 0.5)
    let sizes, _ = Array.mapFold climb (z, first) [| 1 .. ladder.Length - 2 |]
    torch.stack sizes

/// log (1/K) sum_k w_k <= log p(x) <= -log (1/K) sum_k w'_k, both on average, for weights of `annealedLogWeights` of K chains
/// up the ladder and K down it, the latter from an exact sample of the posterior, which may be the same for all of them.
/// Such a sample is the z of data (z,x) that were drawn from the model: the upper side is for these. `[K,B]` twice, results
/// `[B]`. Source: Grosse, Ghahramani and Adams (2015); Wu et al. (2017). Paper: eq:bdmc.
/// > evidenceBounds (tt [ [ 0.0 ]; [ log 3.0 ] ]) (tt [ [ 0.0 ]; [ log 0.5 ] ]) = 0.6931; 0.2877
let evidenceBounds (up: Tensor) (down: Tensor) : Tensor * Tensor =
    logMeanOf (nameof up) 0L up, (logMeanOf (nameof down) 0L down).neg()

// ---------------------------------------------------------------------------------------------------------------
// InfoVAE
// ---------------------------------------------------------------------------------------------------------------

/// A positive-definite kernel on the squared distance, elementwise.
type Kernel = Tensor -> Tensor

let private needScale (name: string) (scale: float) =
    need (scale > 0.0 && Double.IsFinite scale) name (fun () ->
        $"a kernel's squared length is positive, and not {scale}")

/// exp(-d^2/(2 h)). h > 0 is a squared length.
/// > kernelRbf 2.0 (t [ 0.0; 4.0 ]) = 1; 0.3679
let kernelRbf (h: float) : Kernel =
    needScale (nameof h) h
    fun d2 -> (-0.5 * (d2 / h)).exp()

/// c/(c + d^2), the inverse multiquadric: heavier tails, so distant codes still feel a pull. c > 0.
/// > kernelImq 2.0 (t [ 0.0; 4.0 ]) = 1; 0.3333
let kernelImq (c: float) : Kernel =
    needScale (nameof c) c
    fun d2 -> 1.0 / (1.0 + d2 / c)

/// The unbiased (U-statistic) estimate of MMD^2: mean_{i<>j} k(x_i,x_j) + mean_{i<>j} k(y_i,y_j) - 2 mean k(x_i,y_j).
/// May be negative. `x: [N,L]`, `y: [M,L]`, N, M >= 2, result `[]`. Source: Gretton et al. (2012), eq. 3.
/// Paper: eq:mmd.
/// > mmdUnbiased (kernelImq 1.0) (tt [ [ 0.0 ]; [ 1.0 ] ]) (tt [ [ 3.0 ]; [ 4.0 ] ]) = 0.7706
let mmdUnbiased (kernel: Kernel) (x: Tensor) (y: Tensor) : Tensor =
    for name, sample in [ nameof x, x; nameof y, y ] do
        need (sample.size 0 >= 2L) name (fun () ->
            "the discrepancy of fewer than two points has no unbiased estimate")

    // The expanded square cancels: in float64, about a point in the middle, by less than any kernel can see.
    let centre = y.detach().mean([| 0L |], true)
    let a, b = (x - centre).double(), (y - centre).double()

    let squaredDistance (a: Tensor) (b: Tensor) =
        let norms (t: Tensor) = sumLast (t.square ())
        // Rounding may leave a tiny negative distance between equal points.
        (norms(a).unsqueeze 1L + (norms b).unsqueeze 0L - 2.0 * a.matmul (b.t ())).relu()

    let within (a: Tensor) =
        let n = float (a.size 0)
        let all = kernel (squaredDistance a a)
        (all.sum () - all.diagonal().sum()) / (n * (n - 1.0))

    (within a + within b - 2.0 * (kernel (squaredDistance a b)).mean()).``to`` x.dtype

/// weight * term, and 0 at weight 0 even where the term overflows.
let private weighed (weight: float) (term: Tensor) : Tensor =
    if weight = 0.0 then
        torch.zeros_like (term.detach ())
    else
        weight * term

/// InfoVAE's objective on finite x and z, two ways: -lambda KL(q(z)||p(z)) - E_{q(z)} KL(q(x|z)||p(x|z))
/// + alpha I_q(x;z), and E log p(x|z) - (1-alpha) E KL(q(z|x)||p(z)) - (alpha+lambda-1) KL(q(z)||p(z)) + H(p_D).
/// `pData: [X]`, `posterior: [X,Z]`, `likelihood: [X,Z]` with columns p(x|z) summing to 1, `prior: [Z]`; two `[]`.
/// Source: Zhao, Song and Ermon (2019), eq. 6 and 7. Paper: eq:infovae.
/// > infoVaeForms 0.5 2.0 half (tt [ [ 0.8; 0.2 ]; [ 0.4; 0.6 ] ]) even half = -0.08342; -0.08342
let infoVaeForms
    (alpha: float)
    (lambda: float)
    (pData: Tensor)
    (posterior: Tensor)
    (likelihood: Tensor)
    (prior: Tensor)
    =
    needShape (nameof likelihood) posterior likelihood
    needShape (nameof pData) (posterior.sum 1L) pData
    needShape (nameof prior) (posterior.sum 0L) prior
    // sum w (log q - log p), where a weight of 0 counts nothing.
    let expected (w: Tensor) (q: Tensor) (p: Tensor) = (w.xlogy q - w.xlogy p).sum()
    let qJoint = pData.unsqueeze 1L * posterior
    let qZ = qJoint.sum 0L
    let marginalKl = expected qZ qZ prior
    let mutualInformation = expected qJoint posterior qZ
    let likelihoodKl = expected qJoint (qJoint / qZ.masked_fill (qZ.logical_not (), 1)) likelihood
    let direct = alpha * mutualInformation - weighed lambda marginalKl - likelihoodKl
    let expectedLogLikelihood = (qJoint.xlogy likelihood).sum()
    let posteriorKl = expected qJoint posterior prior
    let entropy = (pData.xlogy pData).sum().neg()

    let rewritten =
        expectedLogLikelihood
        - weighed (1.0 - alpha) posteriorKl
        - weighed (alpha + lambda - 1.0) marginalKl
        + entropy

    direct, rewritten

/// reconstruction + (1-alpha) KL(q(z|x)||p(z)) + (alpha+lambda-1) D(q(z)||p(z)): minus the ELBO at alpha = 0,
/// lambda = 1, the MMD-VAE at alpha = 1. The divergence compares samples of q(z) and of the model's prior, `[B,L]`
/// each; eps `[3,B,L]` holds the posterior's noise, the prior's, and numbers of which the first of each example chooses
/// the prior's component.
/// Source: Zhao, Song and Ermon (2019), eq. 7. Paper: eq:infovae-loss.
/// > infoVae 1.0 2.0 (fun z p -> (z - p).square().mean()) model x (eps.expand (3L, 1L, 1L)) = reconstruction 0.9618; divergence 1
let infoVae (alpha: float) (lambda: float) (divergence: Tensor -> Tensor -> Tensor) : Objective =
    fun model x eps ->
        need (eps.ndim = 3L && eps.size 0 = 3L) (nameof eps) (fun () ->
            $"its shape is %A{eps.shape}, and not [3,B,L]")

        let logLikelihood, kl, z = partsOfElbo model x eps[0]
        // The distribution function of a normal number is uniform; in float32 it may round to 1.
        let u = torch.special.ndtr (eps[2].select(-1L, 0L).double())
        let prior = model.Prior.Sample u eps[1]

        [
            "reconstruction", (meanOf (nameof x) logLikelihood).neg()
            if alpha <> 1.0 then
                "kl", (1.0 - alpha) * kl.mean ()
            if alpha + lambda <> 1.0 then
                "divergence", (alpha + lambda - 1.0) * divergence z prior
        ]

/// The loss -E_q log sigmoid(T(z)) - E_p log(1 - sigmoid(T(z))) of a discriminator with logits T, whose optimum is
/// T = log q(z)/p(z). `[N]` and `[M]`, result `[]`. Source: Goodfellow et al. (2014). Paper: eq:density-ratio.
/// > densityRatioLoss (t [ 0.0 ]) (t [ 0.0 ]) = 1.386
let densityRatioLoss (logitsQ: Tensor) (logitsP: Tensor) : Tensor =
    meanOf (nameof logitsQ) (softplus (logitsQ.neg ()))
    + meanOf (nameof logitsP) (softplus logitsP)

// ---------------------------------------------------------------------------------------------------------------
// Adversarial objectives
// ---------------------------------------------------------------------------------------------------------------

/// (E_p log sigmoid(C) + E_q log sigmoid(-C) + log 4)/2, which the optimal critic log p/q makes JSD(p||q).
/// The critic maximises it, the generator minimises it. `[N]` and `[M]` critic values, result `[]`.
/// Source: Goodfellow et al. (2014), theorem 1. Paper: eq:jsd-metric.
/// > jsdMetric (t [ 100.0 ]) (t [ -100.0 ]) = 0.6931
let jsdMetric (criticOnData: Tensor) (criticOnModel: Tensor) : Tensor =
    let real = meanOf (nameof criticOnData) (logSigmoid criticOnData)
    let fake = meanOf (nameof criticOnModel) (logSigmoid (criticOnModel.neg ()))
    (real + fake + log 4.0) / 2.0

/// E_p C - E_q C, which a 1-Lipschitz critic bounds by the Wasserstein-1 distance. `[N]` and `[M]`, result `[]`.
/// Source: Arjovsky, Chintala and Bottou (2017), eq. 2. Paper: eq:w1-metric.
/// > wassersteinMetric (t [ 3.0; 5.0 ]) (t [ 1.0 ]) = 3
let wassersteinMetric (criticOnData: Tensor) (criticOnModel: Tensor) : Tensor =
    meanOf (nameof criticOnData) criticOnData - meanOf (nameof criticOnModel) criticOnModel

/// E log(1 - D(G(z))) = E log sigmoid(-C), the generator's minimax loss: its gradient -sigmoid(C) dies where the
/// discriminator is sure. `[N] -> []`. Source: Goodfellow et al. (2014), eq. 1. Paper: eq:minimax.
/// > minimaxGeneratorLoss (t [ -100.0; 0.0 ]) = -0.3466
let minimaxGeneratorLoss (criticOnModel: Tensor) : Tensor =
    meanOf (nameof criticOnModel) (logSigmoid (criticOnModel.neg ()))

/// -E log D(G(z)) = -E log sigmoid(C), the non-saturating loss: its gradient -sigmoid(-C) is largest where the
/// discriminator is sure. `[N] -> []`. Source: Goodfellow et al. (2014), section 3. Paper: eq:nonsaturating.
/// > nonSaturatingGeneratorLoss (t [ -100.0; 0.0 ]) = 50.35
let nonSaturatingGeneratorLoss (criticOnModel: Tensor) : Tensor =
    (meanOf (nameof criticOnModel) (logSigmoid criticOnModel)).neg()

/// The slope of the critic at each example. `critic: [N,..] -> [N]`, `x: [N,..]`, result `[N,D]`.
let private inputGradient (critic: Tensor -> Tensor) (x: Tensor) : Tensor =
    let summed (x: Tensor) =
        let values = critic x

        need (values.numel () = x.size 0) (nameof critic) (fun () ->
            $"%A{values.shape} values for {x.size 0} examples")

        values.sum ()

    need (x.size 0 > 0L) (nameof x) (fun () -> "the mean over no example is undefined")

    (grad summed x).reshape [| x.size 0; -1L |]

/// R1 = E_p |grad_x C(x)|^2, summed over all input elements; differentiable in the critic's parameters.
/// `critic: [N,..] -> [N]`, `x: [N,..]`, result `[]`. Source: Mescheder, Geiger and Nowozin (2018), eq. 9.
/// Paper: eq:r1.
/// > r1Penalty linear (tt [ [ 1.0; 1.0 ] ]) = 25
let r1Penalty (critic: Tensor -> Tensor) (x: Tensor) : Tensor =
    (sumLast ((inputGradient critic x).square())).mean()

/// GP = E (|grad_x C(x)| - 1)^2 at x = eps x_p + (1 - eps) x_q, eps ~ U[0,1) one per example.
/// `[N,..]` twice and eps `[N]`, result `[]`. Source: Gulrajani et al. (2017), eq. 3. Paper: eq:gp.
/// > gradientPenalty linear (tt [ [ 1.0; 1.0 ] ]) (tt [ [ 0.0; 0.0 ] ]) (t [ 0.5 ]) = 16
let gradientPenalty (critic: Tensor -> Tensor) (data: Tensor) (model: Tensor) (eps: Tensor) : Tensor =
    needShape (nameof model) data model

    need (eps.shape = [| data.size 0 |]) (nameof eps) (fun () ->
        $"its shape is %A{eps.shape}, and not one number for each of {data.size 0} examples")

    let weight = eps.view (Array.append [| -1L |] (Array.create (int data.ndim - 1) 1L))
    let between = weight * data + (1.0 - weight) * model
    // libtorch's norm has the subgradient 0 where the critic is flat; the root of a sum of squares would give NaN.
    ((inputGradient critic between).norm -1 - 1.0).square().mean()

/// Which distance a Dirac-GAN plays for, and with what penalty on the critic (with its coefficient).
type DiracMetric =
    | Jsd
    | W1

type DiracPenalty =
    | NoPenalty
    | R1 of float
    | Gp of float

/// Which player moves on which state: the generator after the critic and against the new one, or both at once.
type UpdateOrder =
    | Alternating
    | Simultaneous

/// d/d psi0 of the penalty on a Dirac-GAN's critic, which is c psi0^2 (R1) or c (|psi0| - 1)^2 (GP): the latter has no
/// derivative at 0 and takes libtorch's subgradient 0 there. `[..] -> [..]`.
/// Sources: Mescheder, Geiger and Nowozin (2018), eq. 9; Gulrajani et al. (2017), eq. 3. Paper: eq:dirac-map.
/// > diracPenaltySlope (R1 0.5) (t [ 2.0; -3.0 ]) = 2; -3
let diracPenaltySlope (penalty: DiracPenalty) (psi0: Tensor) : Tensor =
    match penalty with
    | NoPenalty -> torch.zeros_like psi0
    | R1 c -> 2.0 * c * psi0
    | Gp c -> 2.0 * c * (psi0.abs () - 1.0) * psi0.sign ()

/// One gradient step of the Dirac-GAN: target at 0, generator theta, critic C(x) = psi0 x + psi1, rate eta for both.
/// States `[..,3]` = (theta, psi0, psi1) to the next states; the penalty's slope maps psi0 `[..]` to numbers of its shape.
/// Source: Mescheder, Geiger and Nowozin (2018), section 2. Paper: eq:dirac-map.
/// > diracStep W1 (diracPenaltySlope (R1 0.5)) Alternating 0.1 (t [ 1.0; 2.0; 0.0 ]) = 1.17; 1.7; 0
let diracStep
    (metric: DiracMetric)
    (penaltySlope: Tensor -> Tensor)
    (order: UpdateOrder)
    (eta: float)
    (state: Tensor)
    : Tensor =
    needLast (nameof state) 3L state
    let theta, psi0, psi1 = state.select (-1L, 0L), state.select (-1L, 1L), state.select (-1L, 2L)

    // d metric / d psi0, d psi1: the critic's ascent direction.
    let ascent0, ascent1 =
        match metric with
        | Jsd ->
            let fake = (psi0 * theta + psi1).sigmoid()
            -0.5 * fake * theta, 0.5 * ((psi1.neg ()).sigmoid() - fake)
        | W1 -> theta.neg (), torch.zeros_like theta

    let psi0' = psi0 + eta * (ascent0 - penaltySlope psi0)
    let psi1' = psi1 + eta * ascent1

    let against0, against1 =
        match order with
        | Alternating -> psi0', psi1'
        | Simultaneous -> psi0, psi1

    // d metric / d theta, which the generator descends.
    let slope =
        match metric with
        | Jsd -> -0.5 * (against0 * theta + against1).sigmoid() * against0
        | W1 -> against0.neg ()

    torch.stack ([| theta - eta * slope; psi0'; psi1' |], -1L)

/// One power iteration for the largest singular value: v = W'u/|W'u|, u' = Wv/|Wv|, sigma = u'.Wv; u and v carry no
/// gradient. Of W = 0, sigma is 0 and u' is u. `w: [O,I]`, `u: [O]`, returns sigma `[]`, u' and v.
/// Source: Miyato et al. (2018), algorithm 1. Paper: eq:spectral-norm.
/// > spectralNorm (tt [ [ 3.0; 0.0 ]; [ 0.0; 1.0 ] ]) (t [ 1.0; 0.0 ]) = 3; 1; 0; 1; 0
let spectralNorm (w: Tensor) (u: Tensor) : Tensor * Tensor * Tensor =
    /// x/|x|, or the other vector for x = 0. In float64 no square of a float32 underflows.
    let unitOr (other: Tensor) (x: Tensor) =
        let norm = x.double().norm()
        let isZero = norm.logical_not ()
        torch.where (isZero, other, x / norm.masked_fill (isZero, 1))

    let fixedW = w.detach ()
    let v = let x = fixedW.t().mv u in unitOr x x
    let u' = unitOr u (fixedW.mv v)
    u'.dot (w.mv v), u', v

/// A with A A' the covariance. Eigenvalues within rounding of 0 are 0, since their roots would not be small.
/// Raises where the matrix is no covariance.
let private covarianceFactor (name: string) (features: int64) (covariance: Tensor) : Tensor =
    let refuse reason = invalidArg name $"it is no covariance: {reason}"

    if covariance.shape <> [| features; features |] then
        refuse $"its shape is %A{covariance.shape} for {features} features"

    let largest = covariance.abs().max().ToDouble()

    if not (Double.IsFinite largest) then
        refuse "an element is not finite"

    if (covariance - covariance.t ()).abs().max().ToDouble() > 1e-5 * largest then
        refuse "it is not symmetric"

    let struct (values, vectors) = torch.linalg.eigh covariance

    if values.min().ToDouble() < -1e-5 * largest then
        refuse $"an eigenvalue is {values.min().ToDouble()}"

    let rounding = float features * (torch.finfo torch.float64).eps * values.max().ToDouble()
    vectors * (values.masked_fill (values.le (scalar rounding), 0)).sqrt()

/// |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2): the squared Wasserstein-2 distance of two normals, FID on
/// features. The root's trace is the sum of the singular values of A1'A2 for S = A A', which needs no root of a product
/// and is exact for singular covariances. Means `[F]`, covariances `[F,F]`; computed in and returned as float64 `[]`.
/// Raises ArgumentException for a matrix that is not symmetric and positive semi-definite.
/// Source: Dowson and Landau (1982), eq. 4; Heusel et al. (2017), eq. 6. Paper: eq:frechet.
/// > frechetDistance (t [ 1.0 ]) (tt [ [ 4.0 ] ]) (t [ 3.0 ]) (tt [ [ 9.0 ] ]) = 5
let frechetDistance (mean1: Tensor) (cov1: Tensor) (mean2: Tensor) (cov2: Tensor) : Tensor =
    needShape (nameof mean2) mean1 mean2
    let shift, s1, s2 = (mean1.double () - mean2.double ()), cov1.double (), cov2.double ()
    let features = mean1.size 0

    let a1, a2 =
        covarianceFactor (nameof cov1) features s1, covarianceFactor (nameof cov2) features s2

    let cross = (torch.linalg.svdvals (a1.t().matmul a2)).sum()
    shift.square().sum() + s1.trace () + s2.trace () - 2.0 * cross

/// exp E_x KL(p(y|x)||p(y)), between 1 and the number of classes. `logits: [N,Y]`, result `[]`.
/// Source: Salimans et al. (2016), section 4. Paper: eq:inception-score.
/// > inceptionScore (tt [ [ 100.0; 0.0 ]; [ 0.0; 100.0 ] ]) = 2
let inceptionScore (logits: Tensor) : Tensor =
    let conditional = torch.nn.functional.softmax (logits, -1L)
    let marginal = (meanOfSamples (nameof logits) conditional).unsqueeze 0L
    // A class of probability 0 counts nothing.
    (sumLast (conditional.xlogy conditional - conditional.xlogy marginal)).mean().exp()

// ---------------------------------------------------------------------------------------------------------------
// Diagnostics
// ---------------------------------------------------------------------------------------------------------------

/// The rate E KL(q(z|x)||p(z)) cut in two, over N encodings with one sample each.
type Surgery = {
    MutualInformation: float
    MarginalKl: float
    /// log N, the most that the index-code mutual information can be.
    Limit: float
}

/// I(n;z) = E [log q(z|n) - log q(z)] and KL(q(z)||p(z)) = E [log q(z) - log p(z)], q(z) the mean over all N
/// encodings; they add up to E [log q(z|n) - log p(z)], the KL term of the ELBO. Quadratic in N, done in blocks.
/// `encodings: [N,L]`, `eps: [N,L]`. Source: Hoffman and Johnson (2016). Paper: eq:surgery.
/// > (elboSurgery mixture.Components logStandardNormal (tt [ [ 0.0 ]; [ 0.0 ] ])).MutualInformation = 0.5662
let elboSurgery (encodings: DiagNormal) (logPrior: Tensor -> Tensor) (eps: Tensor) : Surgery =
    use _ = torch.no_grad ()
    needShape (nameof eps) encodings.Mu eps
    let n = eps.size 0
    need (n > 0L) (nameof encodings) (fun () -> "there is none, and a mean needs one")
    let z = DiagNormal.sample encodings eps

    // In float64 both densities are exact at the rounded sample, and their difference is at most log N.
    let exact = { Mu = encodings.Mu.double (); LogVar = encodings.LogVar.double () }
    let own = DiagNormal.logProb exact (z.double ())

    let aggregated =
        blockwise 100L n (fun _ first rows ->
            (logAggregatedPosterior exact (z.narrow (0L, first, rows))).MoveToOuterDisposeScope())
        |> torch.cat

    {
        MutualInformation = ((own - aggregated).mean()).ToDouble()
        MarginalKl = ((aggregated - (logPrior z).double()).mean()).ToDouble()
        Limit = log (float n)
    }

/// I_q(x;z) <= E KL(q(z|x)||p(z)) for any p(z), since the difference is KL(q(z)||p(z)) >= 0: the bound from the
/// KL of each example. `[N] -> []`. Source: Hoffman and Johnson (2016). Paper: eq:mi-bound.
/// > mutualInformationBound (t [ 1.0; 3.0 ]) = 2
let mutualInformationBound (klPerExample: Tensor) : Tensor = meanOf (nameof klPerExample) klPerExample

/// The proportion of latent dimensions collapsed at (eps, delta): KL_i(x) < eps for at least a share 1 - delta of
/// the examples. `klPerDimension: [N,L]`. Source: Lucas et al. (2019), definition 1. Paper: eq:collapse.
/// > collapsedProportion 0.1 0.5 (tt [ [ 0.0; 1.0 ]; [ 1.0; 1.0 ] ]) = 0.5
let collapsedProportion (eps: float) (delta: float) (klPerDimension: Tensor) : float =
    need (not (Double.IsNaN eps)) (nameof eps) (fun () -> "the threshold is NaN")

    need (0.0 <= delta && delta <= 1.0) (nameof delta) (fun () ->
        $"a share is between 0 and 1, and not {delta}")

    need
        (klPerDimension.numel () > 0L && not (klPerDimension.isnan().any().ToBoolean()))
        (nameof klPerDimension)
        (fun () -> "it is empty or holds NaN")

    let share = (klPerDimension.lt (scalar eps)).double().mean [| 0L |]
    // Shares are ratios of integers: the slack absorbs the rounding of 1 - delta, and is less than any example.
    let needed = 1.0 - delta - 1e-9
    (share.ge(scalar needed).double().mean()).ToDouble()

/// The number of latent dimensions whose posterior mean varies over the data by more than a threshold (0.01 in the
/// source). `mu: [N,L]`. Source: Burda, Grosse and Salakhutdinov (2016), section 5. Paper: eq:active-units.
/// > activeUnits 0.01 (tt [ [ 1.0; 5.0 ]; [ -1.0; 5.0 ] ]) = 1
let activeUnits (threshold: float) (mu: Tensor) : int =
    need (not (Double.IsNaN threshold)) (nameof threshold) (fun () -> "the threshold is NaN")

    need (mu.size 0 >= 2L && mu.isfinite().all().ToBoolean()) (nameof mu) (fun () ->
        "the variance needs two examples or more, all of them finite")

    let variance = mu.var ([| 0L |], true)
    (variance.gt(scalar threshold).sum()).ToInt32()

/// steps + 2 points on the segment from a to b, both ends included. `[L]` twice, result `[steps+2,L]`.
/// Paper: eq:interpolation.
/// > interpolate 1 (t [ 0.0; 2.0 ]) (t [ 1.0; 4.0 ]) = 0; 2; 0.5; 3; 1; 4
let interpolate (steps: int) (a: Tensor) (b: Tensor) : Tensor =
    need (steps >= 0) (nameof steps) (fun () -> $"there are no {steps} points between two")

    need (a.ndim = 1L && a.is_floating_point ()) (nameof a) (fun () ->
        $"it is a {a.dtype} tensor of the shape %A{a.shape}, and no vector of real numbers")

    needShape (nameof b) a b
    let t = (torch.linspace (0.0, 1.0, int64 (steps + 2), a.dtype, a.device)).unsqueeze 1L
    (1.0 - t) * a + t * b

// ---------------------------------------------------------------------------------------------------------------
// Semi-supervised model M2
// ---------------------------------------------------------------------------------------------------------------

/// L(x,y) = -[E log p(x|y,z) + log p(y) - KL(q(z|x,y)||p(z))], the loss where the label is known. All `[..]`.
/// Source: Kingma et al. (2014), eq. 6. Paper: eq:m2-labelled.
/// > m2Labelled (t [ -3.0 ]) (t [ log 0.1 ]) (t [ 0.5 ]) = 5.803
let m2Labelled (logLikelihood: Tensor) (logPriorLabel: Tensor) (kl: Tensor) : Tensor =
    needShape (nameof logPriorLabel) logLikelihood logPriorLabel
    needShape (nameof kl) logLikelihood kl
    kl - logLikelihood - logPriorLabel

/// U(x) = sum_y q(y|x) [L(x,y) + log q(y|x)], the label summed out exactly. `logLabel: [B,Y]` = log q(y|x),
/// `labelled: [B,Y]` = L(x,y), result `[B]`. Source: Kingma et al. (2014), eq. 7. Paper: eq:m2-unlabelled.
/// > m2Unlabelled (tt [ [ log 0.25; log 0.75 ] ]) (tt [ [ 4.0; 8.0 ] ]) = 6.438
let m2Unlabelled (logLabel: Tensor) (labelled: Tensor) : Tensor =
    needShape (nameof labelled) logLabel labelled
    let q = logLabel.exp ()
    // A label of probability 0 counts nothing, whatever it would cost.
    sumLast (q * (labelled + logLabel).masked_fill(q.logical_not (), 0))

// ---------------------------------------------------------------------------------------------------------------
// The linear-Gaussian model, whose evidence and posterior are exact
// ---------------------------------------------------------------------------------------------------------------

/// x = W z + b + sigma eps, z ~ N(0,I): probabilistic principal components. `W: [D,L]`, `Offset: [D]`; use float64.
type LinearGaussian = { W: Tensor; Offset: Tensor; Sigma: float }

[<RequireQualifiedAccess>]
module LinearGaussian =
    let private needSigma (m: LinearGaussian) =
        need (m.Sigma > 0.0 && Double.IsFinite m.Sigma) (nameof m) (fun () ->
            $"a standard deviation is positive, and Sigma is {m.Sigma}")

    /// W = U diag(s) V' with min(D,L) columns, and the roots of s^2 + sigma^2: products of W with itself would lose what
    /// is small beside its largest singular value.
    let private spectrum (m: LinearGaussian) =
        needSigma m
        let struct (u, s, vt) = torch.linalg.svd (m.W, false)
        u, s, vt, s.hypot (torch.full_like (s, scalar m.Sigma))

    /// The posterior N(M^-1 W'(x - b), sigma^2 M^-1), M = W'W + sigma^2 I: means `[B,L]` and covariance `[L,L]`.
    /// Source: Bishop (2006), eq. 12.42. Paper: eq:linear-gaussian.
    /// > LinearGaussian.posterior line (tt [ [ 2.0 ] ]) = 1; 0.5
    let posterior (m: LinearGaussian) (x: Tensor) : Tensor * Tensor =
        needLast (nameof x) (m.W.size 0) x
        let u, s, vt, root = spectrum m
        let mean = ((x - m.Offset).matmul u * (s / root / root)).matmul vt
        let covariance = (vt.t () * (m.Sigma / root).square()).matmul vt
        let l = m.W.size 1
        // Where W is blind, with L > D, the posterior is the prior.
        let blind = torch.eye (l, dtype = vt.dtype, device = vt.device) - vt.t().matmul vt
        mean, (if l > m.W.size 0 then covariance + blind else covariance)

    /// log p(x) = log N(x; b, W W' + sigma^2 I). `[B,D] -> [B]`. Paper: eq:linear-gaussian.
    /// > LinearGaussian.logEvidence line (tt [ [ 2.0 ] ]) = -2.266
    let logEvidence (m: LinearGaussian) (x: Tensor) : Tensor =
        let mean, _ = posterior m x
        let _, s, _, root = spectrum m
        // x'(W W' + sigma^2 I)^-1 x is the least |x - W z|^2/sigma^2 + |z|^2, at the posterior's mean.
        let residual = (x - m.Offset - mean.matmul (m.W.t ())) / m.Sigma
        let d = m.W.size 0
        let logDet = 2.0 * ((root.log ()).sum() + float (d - s.size 0) * log m.Sigma)

        -0.5
        * (sumLast (residual.square ()) + sumLast (mean.square ()) + logDet + float d * log2Pi)

    /// log p(z|x) at z. `x: [B,D]`, `z: [..,B,L]`, result `[..,B]`.
    /// > LinearGaussian.logPosterior line (tt [ [ 2.0 ] ]) (tt [ [ 1.0 ] ]) = -0.5724
    let logPosterior (m: LinearGaussian) (x: Tensor) (z: Tensor) : Tensor =
        needLast (nameof z) (m.W.size 1) z
        let mean, _ = posterior m x
        let _, _, _, root = spectrum m
        let off = z - mean
        let quadratic = sumLast ((off.matmul (m.W.t ()) / m.Sigma).square()) + sumLast (off.square ())
        let logDet = 2.0 * (root.log () - log m.Sigma).sum()
        -0.5 * (quadratic - logDet + float (m.W.size 1) * log2Pi)

    /// log p(x|z) = log N(x; W z + b, sigma^2 I). `x: [B,D]`, `z: [..,B,L]`, result `[..,B]`.
    /// > LinearGaussian.logLikelihood line (tt [ [ 2.0 ] ]) (tt [ [ 1.0 ] ]) = -1.419
    let logLikelihood (m: LinearGaussian) (x: Tensor) (z: Tensor) : Tensor =
        needSigma m
        needLast (nameof x) (m.W.size 0) x
        let mean = z.matmul (m.W.t ()) + m.Offset

        DiagNormal.logProb { Mu = mean; LogVar = torch.full_like (mean, scalar (2.0 * log m.Sigma)) } x
