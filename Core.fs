/// The mathematics of the report as pure functions over tensors.
///
/// Conventions. Shapes stand in brackets: B batch, D data dimension, L latent dimension, K mixture components
/// or importance samples, V values of a categorical; `[..,L]` means any leading dimensions. All information is in
/// nats. Log-densities sum over the last dimension and keep the leading ones. Noise is an argument: no function
/// here draws a random number, holds a parameter or changes its input. float32 and float64 both work.
/// A mismatch of shapes raises libtorch's ExternalException, which names both shapes.
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

/// Sum over the last dimension. `[..,D] -> [..]`.
let sumLast (x: Tensor) : Tensor = x.sum (-1L)

/// log(1 + exp x), elementwise. Exact to rounding in float64: libtorch's default threshold of 20 is off by 2e-9.
let softplus (x: Tensor) : Tensor = torch.nn.functional.softplus (x, 1.0, 40.0)

/// log sigmoid(x) = -softplus(-x), elementwise.
let logSigmoid (x: Tensor) : Tensor = (softplus (x.neg ())).neg()

/// log (1/K) sum_k exp x_k along one dimension of length K.
let logMeanExp (dim: int64) (x: Tensor) : Tensor = x.logsumexp dim - log (float (x.size (int dim)))

// ---------------------------------------------------------------------------------------------------------------
// Differentiation, in DiffSharp's vocabulary
// ---------------------------------------------------------------------------------------------------------------

let private differentiable (x: Tensor) =
    if x.requires_grad then
        x
    else
        x.detach().requires_grad_ true

/// The gradient of a scalar function at x, itself differentiable. `f: [N] -> []`, result `[N]`.
let grad (f: Tensor -> Tensor) (x: Tensor) : Tensor =
    let x = differentiable x
    torch.autograd.grad([| f x |], [| x |], retain_graph = true, create_graph = true)[0]

/// The derivative of an elementwise function at every element of x. `f: [..] -> [..]`, result `[..]`.
let diff (f: Tensor -> Tensor) (x: Tensor) : Tensor = grad (fun x -> (f x).sum()) x

/// The Jacobian of a vector function, J[i,j] = d f_i / d x_j. `f: [N] -> [M]`, result `[M,N]`.
let jacobian (f: Tensor -> Tensor) (x: Tensor) : Tensor =
    let x = differentiable x
    let y = f x
    let row (i: int64) =
        if y.requires_grad then
            let g =
                torch.autograd
                    .grad([| y[i] |], [| x |], retain_graph = true, create_graph = true, allow_unused = true)[0]

            if g.IsInvalid then torch.zeros_like x else g
        else
            torch.zeros_like x

    torch.stack (Array.init (int (y.size 0)) (int64 >> row))

/// The Hessian of a scalar function. `f: [N] -> []`, result `[N,N]`.
let hessian (f: Tensor -> Tensor) (x: Tensor) : Tensor = jacobian (grad f) x

// ---------------------------------------------------------------------------------------------------------------
// Distributions
// ---------------------------------------------------------------------------------------------------------------

/// A normal distribution with diagonal covariance, N(mu, diag exp logVar). Both fields `[..,L]`.
type DiagNormal = { Mu: Tensor; LogVar: Tensor }

[<RequireQualifiedAccess>]
module DiagNormal =
    /// log N(z; mu, diag exp logVar) = -1/2 sum_i [log 2 pi + logVar_i + (z_i - mu_i)^2 exp(-logVar_i)].
    /// `z: [..,L] -> [..]`. Paper: eq:normal-logdensity.
    let logProb (p: DiagNormal) (z: Tensor) : Tensor =
        let standardised = (z - p.Mu).square() * (p.LogVar.neg ()).exp()
        -0.5 * sumLast (standardised + p.LogVar + log2Pi)

    /// z = mu + exp(logVar/2) eps with eps ~ N(0, I): the reparameterised sample.
    /// `eps: [..,L] -> [..,L]`. Source: Kingma and Welling (2014), section 2.4. Paper: eq:reparam.
    let sample (p: DiagNormal) (eps: Tensor) : Tensor = p.Mu + (0.5 * p.LogVar).exp() * eps

    /// H = 1/2 sum_i [1 + log 2 pi + logVar_i]. `[..]`.
    let entropy (p: DiagNormal) : Tensor = 0.5 * sumLast (p.LogVar + (1.0 + log2Pi))

    /// N(0, I) of the shape, type and device of the example. `like: [..,L]`.
    let standardLike (like: Tensor) : DiagNormal = {
        Mu = torch.zeros_like like
        LogVar = torch.zeros_like like
    }

/// log N(z; 0, I). `[..,L] -> [..]`.
let logStandardNormal (z: Tensor) : Tensor = -0.5 * sumLast (z.square () + log2Pi)

/// Independent Bernoulli variables given by their logits, `[..,D]`.
type Bernoulli = { Logits: Tensor }

[<RequireQualifiedAccess>]
module Bernoulli =
    /// sum_i [x_i l_i - softplus(l_i)] for logits l; x in {0,1}, or in [0,1] as a cross-entropy.
    /// `x: [..,D] -> [..]`. Paper: eq:bernoulli-logits.
    let logProb (p: Bernoulli) (x: Tensor) : Tensor = sumLast (x * p.Logits - softplus p.Logits)

    /// sigmoid(l), the mean. `[..,D]`.
    let mean (p: Bernoulli) : Tensor = p.Logits.sigmoid ()

    /// 1 where u < sigmoid(l), u ~ U[0,1). `u: [..,D] -> [..,D]`.
    let sample (p: Bernoulli) (u: Tensor) : Tensor = u.lt(p.Logits.sigmoid ()).``to`` u.dtype

/// Independent categorical variables of V values each, given by unnormalised logits `[..,D,V]`.
type Categorical = { Logits: Tensor }

[<RequireQualifiedAccess>]
module Categorical =
    /// sum_i [l_{i,x_i} - logsumexp_v l_{i,v}]. `x: int64 [..,D] -> [..]`, its leading dimensions broadcast with
    /// the logits'. Paper: eq:categorical-logits.
    let logProb (p: Categorical) (x: Tensor) : Tensor =
        // Gathering itself does not broadcast; these are views.
        let views = torch.broadcast_tensors (p.Logits, x.unsqueeze -1L)
        let chosen = views[0].gather(-1L, views[1].narrow(-1L, 0L, 1L)).squeeze -1L
        sumLast (chosen - p.Logits.logsumexp -1L)

    /// The expected value sum_v v softmax(l)_v of each variable. `[..,D]`.
    let mean (p: Categorical) : Tensor =
        let values = torch.arange (p.Logits.size -1, p.Logits.dtype, p.Logits.device)
        sumLast (torch.nn.functional.softmax (p.Logits, -1L) * values)

    /// The inverse of the distribution function at u ~ U[0,1). `u: [..,D] -> int64 [..,D]`.
    let sample (p: Categorical) (u: Tensor) : Tensor =
        let upper = torch.nn.functional.softmax(p.Logits, -1L).cumsum -1L
        // The last upper edge may round to just under one; the clamp keeps the index a value.
        let index = sumLast (upper.le(u.unsqueeze -1L).``to`` torch.int64)
        index.clamp (max = Scalar.op_Implicit (p.Logits.size -1 - 1L))

/// A mixture of K diagonal normals: log-weights `[K]` (normalised here), components `[K,L]`.
type Mixture = { Logits: Tensor; Components: DiagNormal }

[<RequireQualifiedAccess>]
module Mixture =
    /// log sum_k pi_k N(z; mu_k, diag exp logVar_k): one log-sum-exp over joint components. (Taken dimension by
    /// dimension, as widely copied code does, it is the density of a product of mixtures.)
    /// `z: [..,L] -> [..]`. Paper: eq:mixture.
    let logProb (m: Mixture) (z: Tensor) : Tensor =
        let logWeights = torch.nn.functional.log_softmax (m.Logits, 0L)
        (logWeights + DiagNormal.logProb m.Components (z.unsqueeze -2L)).logsumexp -1L

    /// Chooses a component by inverse distribution function from u and adds that component's noise.
    /// `u: [B] ~ U[0,1)`, `eps: [B,L] ~ N(0,I)`, result `[B,L]`.
    let sample (m: Mixture) (u: Tensor) (eps: Tensor) : Tensor =
        let logits = m.Logits.unsqueeze(0L).unsqueeze 0L
        let k = (Categorical.sample { Logits = logits } (u.unsqueeze -1L)).flatten()

        DiagNormal.sample
            {
                Mu = m.Components.Mu.index_select (0L, k)
                LogVar = m.Components.LogVar.index_select (0L, k)
            }
            eps

/// log N(z_n; mu_m, diag exp logVar_m) for all pairs, expanded into two matrix products so that memory stays
/// N x M; cancellation makes it unfit for float32, so it is computed in float64 and returned so.
/// `q: [M,L]`, `z: [N,L]`, result float64 `[N,M]`.
let pairwiseLogProb (q: DiagNormal) (z: Tensor) : Tensor =
    let mu, logVar, z = q.Mu.double (), q.LogVar.double (), z.double ()
    let precision = (logVar.neg ()).exp()
    let perComponent = sumLast (mu.square () * precision + logVar + log2Pi)
    let quadratic = z.square().matmul(precision.t ())
    let cross = z.matmul ((mu * precision).t())
    -0.5 * (quadratic - 2.0 * cross + perComponent)

// ---------------------------------------------------------------------------------------------------------------
// Divergences
// ---------------------------------------------------------------------------------------------------------------

/// KL(q||p) of two diagonal normals, 1/2 sum_i [expm1(d_i) - d_i + (mu_q - mu_p)_i^2 exp(-logVar_p,i)] with
/// d = logVar_q - logVar_p. `[..,L]` twice, result `[..]`. Paper: eq:kl-diag.
let klDiagNormal (q: DiagNormal) (p: DiagNormal) : Tensor =
    let d = q.LogVar - p.LogVar
    let meanShift = (q.Mu - p.Mu).square() * (p.LogVar.neg ()).exp()
    0.5 * sumLast (d.expm1 () - d + meanShift)

/// KL(q||N(0,I)) of each dimension, 1/2 [mu^2 + expm1(logVar) - logVar]: `exp(logVar) - 1` would lose the digits
/// of a posterior near the prior. `[..,L] -> [..,L]`.
let klStandardPerDimension (q: DiagNormal) : Tensor = 0.5 * (q.Mu.square () + q.LogVar.expm1 () - q.LogVar)

/// KL(q||N(0,I)) = 1/2 sum_i [mu_i^2 + expm1(logVar_i) - logVar_i]. `[..,L] -> [..]`.
/// Source: Kingma and Welling (2014), appendix B. Paper: eq:kl-standard.
let klStandard (q: DiagNormal) : Tensor = sumLast (klStandardPerDimension q)

/// The Monte-Carlo estimate of KL(q||p): the mean over K samples of q of log q(z) - log p(z).
/// Both arguments `[K,..]`, result `[..]`. Paper: eq:kl-mc.
let klMonteCarlo (logQ: Tensor) (logP: Tensor) : Tensor = (logQ - logP).mean [| 0L |]

// ---------------------------------------------------------------------------------------------------------------
// Bounds on the evidence, as functions of log-densities
// ---------------------------------------------------------------------------------------------------------------

/// E_q [log p(x,z) - log q(z|x)], first form of the ELBO, over K samples of q. `[K,B]` twice, result `[B]`.
/// Paper: eq:elbo-joint.
let elboJoint (logJoint: Tensor) (logQ: Tensor) : Tensor = (logJoint - logQ).mean [| 0L |]

/// E_q log p(x|z) - KL(q(z|x)||p(z)), second form. `[K,B]` and `[B]`, result `[B]`. Paper: eq:elbo-kl.
let elboKl (logLikelihood: Tensor) (kl: Tensor) : Tensor = logLikelihood.mean [| 0L |] - kl

/// log p(x) - KL(q(z|x)||p(z|x)), third form: the gap of the bound is the posterior's divergence.
/// `[B]` twice, result `[B]`. Paper: eq:elbo-gap.
let elboGap (logEvidence: Tensor) (klToPosterior: Tensor) : Tensor = logEvidence - klToPosterior

/// The importance-weighted bound log (1/K) sum_k w_k, log w = log p(x,z) - log q(z|x). `[K,B] -> [B]`.
/// Source: Burda, Grosse and Salakhutdinov (2016), eq. 8. Paper: eq:iwae.
let importanceWeightedBound (logWeights: Tensor) : Tensor = logMeanExp 0L logWeights

/// The importance-sampling estimate of log p(x): the importance-weighted bound read as an estimator, consistent in
/// K and biased downwards by about Var(w)/(2 K p(x)^2).
/// `logJoint, logQ: [K,B]`, samples from q; result `[B]`. Paper: eq:is-loglik.
let logLikelihoodImportance (logJoint: Tensor) (logQ: Tensor) : Tensor =
    importanceWeightedBound (logJoint - logQ)

/// The naive estimate of log p(x), log (1/K) sum_k p(x|z_k) with z_k ~ p(z). `[K,B] -> [B]`. Paper: eq:mc-loglik.
let logLikelihoodPrior (logLikelihood: Tensor) : Tensor = logMeanExp 0L logLikelihood

/// The joint-space form of the ELBO on finite x and z, three ways: -KL(q(x,z)||p(x,z)) with q(x,z) = p_D(x) q(z|x);
/// -KL(p_D(x)||p(x)) - E_{p_D} KL(q(z|x)||p(z|x)); -KL(q(z)||p(z)) - E_{q(z)} KL(q(x|z)||p(x|z)).
/// `pData: [X]`, `posterior: [X,Z]` with rows summing to 1, `joint: [X,Z]` summing to 1, all positive; three `[]`.
/// Source: Zhao, Song and Ermon (2019), eq. 3-5. Paper: eq:joint-space.
let jointSpaceForms (pData: Tensor) (posterior: Tensor) (joint: Tensor) : Tensor * Tensor * Tensor =
    let kl (q: Tensor) (p: Tensor) (dims: int64[]) = (q * (q.log () - p.log ())).sum dims
    let qJoint = pData.unsqueeze 1L * posterior
    let pX, pZ = joint.sum (1L, true), joint.sum (0L, true)
    let qZ = qJoint.sum (0L, true)
    let inJoint = kl qJoint joint [| 0L; 1L |]

    let overData =
        kl pData (pX.squeeze 1L) [| 0L |] + (pData * kl posterior (joint / pX) [| 1L |]).sum()

    let overLatent =
        kl (qZ.squeeze 0L) (pZ.squeeze 0L) [| 0L |]
        + (qZ.squeeze 0L * kl (qJoint / qZ) (joint / pZ) [| 0L |]).sum()

    inJoint.neg (), overData.neg (), overLatent.neg ()

// ---------------------------------------------------------------------------------------------------------------
// Gradient estimators of d/dtheta E f(x), x ~ N(theta, 1)
// ---------------------------------------------------------------------------------------------------------------

/// The score (REINFORCE) estimates f(x) (x - theta) at x = theta + eps. `theta: []`, `eps: [..]`, result `[..]`.
/// Source: Williams (1992). Paper: eq:score-gradient.
let scoreGradient (f: Tensor -> Tensor) (theta: Tensor) (eps: Tensor) : Tensor = f (theta + eps) * eps

/// The pathwise (reparameterised) estimates f'(theta + eps). `theta: []`, `eps: [..]`, result `[..]`.
/// Source: Kingma and Welling (2014). Paper: eq:pathwise-gradient.
let pathwiseGradient (f: Tensor -> Tensor) (theta: Tensor) (eps: Tensor) : Tensor = diff f (theta + eps)

/// The exact variance (theta^4 + 14 theta^2 + 15)/N of the mean of N score estimates for f(x) = x^2.
/// Paper: eq:score-variance.
let scoreVarianceOfSquare (theta: float) (n: int) : float =
    (theta ** 4.0 + 14.0 * theta ** 2.0 + 15.0) / float n

/// The exact variance 4/N of the mean of N pathwise estimates for f(x) = x^2. Paper: eq:pathwise-variance.
let pathwiseVarianceOfSquare (n: int) : float = 4.0 / float n

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
    let identity: Transform =
        let same (z: Tensor) = z, torch.zeros_like (z.select (-1L, 0L))

        { Forward = same; Inverse = Some same }

    /// Reverses the order of the last dimension; its log-determinant is 0.
    let flip: Transform =
        let reverse (z: Tensor) = z.flip -1L, torch.zeros_like (z.select (-1L, 0L))

        { Forward = reverse; Inverse = Some reverse }

    /// The transform read backwards. Raises ArgumentException where there is no closed-form inverse.
    let invert (t: Transform) : Transform =
        match t.Inverse with
        | Some inverse -> { Forward = inverse; Inverse = Some t.Forward }
        | None -> invalidArg (nameof t) "this transform has no closed-form inverse"

    /// First f, then g: log-determinants add. Paper: eq:flow-composition.
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
    let compose (transforms: Transform list) : Transform =
        transforms |> List.fold (fun f g -> andThen g f) identity

/// u + (m(w.u) - w.u) w/|w|^2 with m(a) = softplus(a) - 1, so that w.u-hat > -1 and the planar map is invertible.
/// `u, w: [..,L]`. Source: Rezende and Mohamed (2015), appendix A.1. Paper: eq:planar-invertible.
let planarInvertibleU (u: Tensor) (w: Tensor) : Tensor =
    let a = sumLast (u * w)
    u + ((softplus a - 1.0 - a) / sumLast (w.square ())).unsqueeze -1L * w

/// The planar map f(z) = z + u-hat h with h = tanh(w.z + b), and log|1 + (1 - h^2) w.u-hat|, which the matrix
/// determinant lemma gives in O(L). `u, w: [L]` and `b: []` for one map, or `[B,L]` and `[B]` for a map of its own
/// for each example, as an amortised posterior needs; z `[..,B,L]`.
/// Source: Rezende and Mohamed (2015), eq. 10-12. Paper: eq:planar, eq:planar-logdet.
let planar (u: Tensor) (w: Tensor) (b: Tensor) : Transform =
    let uHat = planarInvertibleU u w
    let stretch = softplus (sumLast (u * w))

    let forward (z: Tensor) =
        let h = (sumLast (z * w) + b).tanh()
        // The determinant with w.u-hat = stretch - 1 inserted: both terms are positive, so nothing cancels where the
        // map nearly folds.
        let determinant = h.square () + (1.0 - h.square ()) * stretch
        z + h.unsqueeze -1L * uHat, determinant.log ()

    { Forward = forward; Inverse = None }

/// The affine coupling y1 = z1, y2 = exp(s(z1)) z2 + t(z1) on the two halves of an even L, log-determinant
/// sum_i s_i(z1). `scale, shift: [..,L/2] -> [..,L/2]`.
/// Source: Dinh, Sohl-Dickstein and Bengio (2017), eq. 7-8. Paper: eq:coupling.
let coupling (scale: Tensor -> Tensor) (shift: Tensor -> Tensor) : Transform =
    let halves (z: Tensor) =
        let h = z.size -1 / 2L
        z.narrow (-1L, 0L, h), z.narrow (-1L, h, h)

    let forward z =
        let z1, z2 = halves z
        let s = scale z1
        torch.cat ([| z1; s.exp () * z2 + shift z1 |], -1L), sumLast s

    let inverse y =
        let y1, y2 = halves y
        let s = scale y1
        torch.cat ([| y1; (y2 - shift y1) * (s.neg ()).exp() |], -1L), (sumLast s).neg()

    { Forward = forward; Inverse = Some inverse }

/// The mask of a MADE layer: entry (o,i) is 1 where degree(o) >= degree(i), strictly greater for the output layer,
/// so that output i of the network depends on inputs before i only. `[out,in]`.
/// Source: Germain et al. (2015), eq. 8-9. Paper: eq:made.
let madeMask (strict: bool) (inputDegrees: int64[]) (outputDegrees: int64[]) : Tensor =
    let rows = torch.tensor(outputDegrees).unsqueeze 1L
    let columns = torch.tensor(inputDegrees).unsqueeze 0L
    let mask = if strict then rows.gt columns else rows.ge columns
    mask.``to`` torch.float32

/// The inverse autoregressive step z_i <- g_i z_i + (1 - g_i) m_i with (m, s) = net(z), g = sigmoid(s); the Jacobian
/// is triangular, so its log-determinant is sum_i log g_i. `net: [..,L] -> [..,L] * [..,L]`, autoregressive.
/// Source: Kingma et al. (2016), eq. 10-14. Paper: eq:iaf.
let inverseAutoregressive (net: Tensor -> Tensor * Tensor) : Transform =
    let forward (z: Tensor) =
        let m, s = net z
        let g = s.sigmoid ()
        g * z + (1.0 - g) * m, sumLast (logSigmoid s)

    { Forward = forward; Inverse = None }

/// log p(x) = log p0(f(x)) + log|det J_f(x)| for a flow f from data to base; the negative is the NLL.
/// `[..,D] -> [..]`. Paper: eq:flow-nll.
let flowLogProb (baseLogProb: Tensor -> Tensor) (toBase: Transform) (x: Tensor) : Tensor =
    let z, logDet = toBase.Forward x
    baseLogProb z + logDet

/// E [log q0(z0) - log|det J_f(z0)| + U(f(z0))], the KL from the flow's density to exp(-U)/Z, minus log Z.
/// Bounded below by -log Z. `z0: [B,D]` from q0, result `[]`. Source: Rezende and Mohamed (2015), eq. 15-16.
/// Paper: eq:flow-density.
let flowDensityLoss
    (baseLogProb: Tensor -> Tensor)
    (flow: Transform)
    (energy: Tensor -> Tensor)
    (z0: Tensor)
    =
    let z, logDet = flow.Forward z0
    (baseLogProb z0 - logDet + energy z).mean()

/// U(z) = 1/2 ((|z| - 2)/0.4)^2 - log(exp(-1/2 ((z1 - 2)/0.6)^2) + exp(-1/2 ((z1 + 2)/0.6)^2)): two arcs.
/// `[..,2] -> [..]`. Source: Rezende and Mohamed (2015), table 1. Paper: eq:energy-arcs.
let energyArcs (z: Tensor) : Tensor =
    let z1 = z.select (-1L, 0L)
    let radius = z.norm -1
    let bump (centre: float) = -0.5 * ((z1 - centre) / 0.6).square()
    0.5 * ((radius - 2.0) / 0.4).square() - torch.logaddexp (bump 2.0, bump -2.0)

/// U(z) = 1/2 ((z2 - sin(pi z1/2))/0.4)^2: a sine wave, not normalisable on the whole plane. `[..,2] -> [..]`.
/// Source: Rezende and Mohamed (2015), table 1. Paper: eq:energy-sine.
let energySine (z: Tensor) : Tensor =
    let wave = (z.select (-1L, 0L) * (Math.PI / 2.0)).sin()
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
    let standard: Prior = {
        LogProb = logStandardNormal
        Sample = fun _ eps -> eps
        KlFrom = Some klStandard
    }

    let private ofMixture (mixture: Mixture) : Prior = {
        LogProb = Mixture.logProb mixture
        Sample = Mixture.sample mixture
        KlFrom = None
    }

    /// sum_k pi_k N(mu_k, diag exp logVar_k) with free parameters. `logits: [K]`, `mu, logVar: [K,L]`.
    /// Paper: eq:mog-prior.
    let mixtureOfGaussians (logits: Tensor) (mu: Tensor) (logVar: Tensor) : Prior =
        ofMixture { Logits = logits; Components = { Mu = mu; LogVar = logVar } }

    /// sum_k pi_k q(z|u_k): the encoder's posterior at K learned pseudo-inputs. `logits: [K]`, `pseudoInputs: [K,D]`.
    /// Source: Tomczak and Welling (2018), eq. 9. Paper: eq:vamp-prior.
    let vamp (encode: Tensor -> DiagNormal) (logits: Tensor) (pseudoInputs: Tensor) : Prior =
        ofMixture { Logits = logits; Components = encode pseudoInputs }

    /// sum_k pi_k N(mu(u_k), diag exp logVar(u_k)) with centres mapped by a network from fixed codes u_k.
    /// `network: [K,C] -> DiagNormal [K,L]`, `logits: [K]`, `codes: [K,C]`.
    /// Source: Bishop, Svensen and Williams (1998). Paper: eq:gtm-prior.
    let topographic (network: Tensor -> DiagNormal) (logits: Tensor) (codes: Tensor) : Prior =
        ofMixture { Logits = logits; Components = network codes }

    /// The density of f^-1(eps), eps ~ N(0,I): log N(f(z); 0, I) + log|det J_f(z)|, the determinant counted once and
    /// not once a dimension. Raises ArgumentException where f has no closed-form inverse. Paper: eq:flow-prior.
    let flow (toBase: Transform) : Prior =
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
let elboThreeTerms (logLikelihood: Tensor) (entropy: Tensor) (logPrior: Tensor) : Tensor * Tensor * Tensor =
    logLikelihood.mean (), entropy.mean (), logPrior.mean ()

/// log (1/N) sum_n q(z|x_n): the aggregated posterior, which is the optimal prior. `encodings: [N,L]`, `z: [M,L]`,
/// result float64 `[M]`. Source: Hoffman and Johnson (2016). Paper: eq:optimal-prior.
let logAggregatedPosterior (encodings: DiagNormal) (z: Tensor) : Tensor =
    logMeanExp -1L (pairwiseLogProb encodings z)

// ---------------------------------------------------------------------------------------------------------------
// Objectives: a model's parts, a batch and noise -> named terms whose sum is the loss
// ---------------------------------------------------------------------------------------------------------------

/// The posterior of a batch: a diagonal normal `[B,L]`, followed by a flow where there is one.
type Posterior = { Base: DiagNormal; Flow: Transform option }

[<RequireQualifiedAccess>]
module Posterior =
    /// z ~ q(z|x) from eps ~ N(0,I), and log q(z|x) = log q0(z0) - log|det J|. `eps: [..,B,L]`, result `[..,B,L]`
    /// and `[..,B]`.
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
let total (terms: Terms) : Tensor = terms |> List.map snd |> List.reduce (+)

/// log p(x|z), KL(q(z|x)||p(z)) and z. The divergence is in closed form where there is one, else log q - log p at
/// the sample; behind a flow, the base's closed form and the sampled change of log q - log p along the flow, which has
/// the same mean and, near the identity, no variance.
/// `eps: [..,B,L]`, results `[..,B]` (the closed-form KL `[B]`) and `[..,B,L]`.
let private partsOfElbo (model: LatentModel) (x: Tensor) (eps: Tensor) =
    let q = model.Encode x
    let z, logQ = Posterior.sample q eps

    let kl =
        match q.Flow, model.Prior.KlFrom with
        | None, Some klFrom -> klFrom q.Base
        | Some _, Some klFrom ->
            let z0, logQ0 = Posterior.sample { q with Flow = None } eps
            klFrom q.Base + (logQ - model.Prior.LogProb z) - (logQ0 - model.Prior.LogProb z0)
        | _, None -> logQ - model.Prior.LogProb z

    model.LogLikelihood x z, kl, z

/// reconstruction + beta KL: minus the ELBO at beta = 1, the autoencoder's loss at beta = 0.
/// Source: Higgins et al. (2017), eq. 4. Paper: eq:beta-elbo.
let betaElbo (beta: float) : Objective =
    fun model x eps ->
        let logLikelihood, kl, _ = partsOfElbo model x eps
        [ "reconstruction", (logLikelihood.mean ()).neg(); "kl", beta * kl.mean () ]

/// Minus the ELBO: -E_q log p(x|z) + KL(q(z|x)||p(z)). Source: Kingma and Welling (2014), eq. 3. Paper: eq:elbo-kl.
let elbo: Objective = betaElbo 1.0

/// The flow posterior's free energy E_q0 [log q0(z0) - sum log|det J| - log p(x,z)], minus the ELBO: a special case
/// of `elbo` by construction, spelled out for one flow. `[B]` results averaged to `[]`.
/// Source: Rezende and Mohamed (2015), eq. 15. Paper: eq:flow-elbo.
let flowFreeEnergy (logQ0: Tensor) (logDet: Tensor) (logJoint: Tensor) : Tensor =
    (logQ0 - logDet - logJoint).mean()

/// Minus the importance-weighted bound with K samples. `eps: [K,B,L]`. Source: Burda et al. (2016). Paper: eq:iwae.
let importanceWeighted: Objective =
    fun model x eps ->
        let z, logQ = Posterior.sample (model.Encode x) eps
        let logWeights = model.LogLikelihood x z + model.Prior.LogProb z - logQ
        [ "bound", (importanceWeightedBound logWeights).mean().neg() ]

/// log p(x) by importance sampling with the model's own posterior. `eps: [K,B,L]`, result `[B]`.
/// Paper: eq:is-loglik.
let logEvidence (model: LatentModel) (x: Tensor) (eps: Tensor) : Tensor =
    let z, logQ = Posterior.sample (model.Encode x) eps
    logLikelihoodImportance (model.LogLikelihood x z + model.Prior.LogProb z) logQ

// ---------------------------------------------------------------------------------------------------------------
// InfoVAE
// ---------------------------------------------------------------------------------------------------------------

/// A positive-definite kernel on the squared distance, elementwise.
type Kernel = Tensor -> Tensor

/// exp(-d^2/(2 h)). h > 0 is a squared length.
let kernelRbf (h: float) : Kernel = fun d2 -> (d2 / (-2.0 * h)).exp()

/// c/(c + d^2), the inverse multiquadric: heavier tails, so distant codes still feel a pull. c > 0.
let kernelImq (c: float) : Kernel = fun d2 -> c / (d2 + c)

/// The unbiased (U-statistic) estimate of MMD^2: mean_{i<>j} k(x_i,x_j) + mean_{i<>j} k(y_i,y_j) - 2 mean k(x_i,y_j).
/// May be negative. `x: [N,L]`, `y: [M,L]`, N, M >= 2, result `[]`. Source: Gretton et al. (2012), eq. 3.
/// Paper: eq:mmd.
let mmdUnbiased (kernel: Kernel) (x: Tensor) (y: Tensor) : Tensor =
    let squaredDistance (a: Tensor) (b: Tensor) =
        let cross = a.matmul (b.t ())
        let norms (t: Tensor) = sumLast (t.square ())
        // Rounding may leave a tiny negative distance between equal points.
        (norms(a).unsqueeze 1L + (norms b).unsqueeze 0L - 2.0 * cross).relu()

    let within (a: Tensor) =
        let n = float (a.size 0)
        let all = kernel (squaredDistance a a)
        (all.sum () - all.diagonal().sum()) / (n * (n - 1.0))

    within x + within y - 2.0 * (kernel (squaredDistance x y)).mean()

/// InfoVAE's objective on finite x and z, two ways: -lambda KL(q(z)||p(z)) - E_{q(z)} KL(q(x|z)||p(x|z))
/// + alpha I_q(x;z), and E log p(x|z) - (1-alpha) E KL(q(z|x)||p(z)) - (alpha+lambda-1) KL(q(z)||p(z)) + H(p_D).
/// `pData: [X]`, `posterior: [X,Z]`, `likelihood: [X,Z]` with columns p(x|z) summing to 1, `prior: [Z]`; two `[]`.
/// Source: Zhao, Song and Ermon (2019), eq. 6 and 7. Paper: eq:infovae.
let infoVaeForms
    (alpha: float)
    (lambda: float)
    (pData: Tensor)
    (posterior: Tensor)
    (likelihood: Tensor)
    (prior: Tensor)
    =
    let qJoint = pData.unsqueeze 1L * posterior
    let qZ = qJoint.sum 0L
    let marginalKl = (qZ * (qZ.log () - prior.log ())).sum()
    let mutualInformation = (qJoint * (posterior.log () - qZ.log ())).sum()
    let qXGivenZ = qJoint / qZ
    let likelihoodKl = (qJoint * (qXGivenZ.log () - likelihood.log ())).sum()
    let direct = alpha * mutualInformation - lambda * marginalKl - likelihoodKl
    let expectedLogLikelihood = (qJoint * likelihood.log ()).sum()
    let posteriorKl = (qJoint * (posterior.log () - prior.log ())).sum()
    let entropy = ((pData * pData.log ()).sum()).neg()

    let rewritten =
        expectedLogLikelihood - (1.0 - alpha) * posteriorKl - (alpha + lambda - 1.0) * marginalKl
        + entropy

    direct, rewritten

/// reconstruction + (1-alpha) KL(q(z|x)||p(z)) + (alpha+lambda-1) D(q(z)||p(z)): minus the ELBO at alpha = 0,
/// lambda = 1, the MMD-VAE at alpha = 1. The divergence compares samples of q(z) and of p(z) = N(0,I), `[B,L]` each;
/// eps `[2,B,L]` holds the posterior's noise, then the prior's samples.
/// Source: Zhao, Song and Ermon (2019), eq. 7. Paper: eq:infovae-loss.
let infoVae (alpha: float) (lambda: float) (divergence: Tensor -> Tensor -> Tensor) : Objective =
    fun model x eps ->
        let logLikelihood, kl, z = partsOfElbo model x eps[0]

        [
            "reconstruction", (logLikelihood.mean ()).neg()
            "kl", (1.0 - alpha) * kl.mean ()
            "divergence", (alpha + lambda - 1.0) * divergence z eps[1]
        ]

/// The loss -E_q log sigmoid(T(z)) - E_p log(1 - sigmoid(T(z))) of a discriminator with logits T, whose optimum is
/// T = log q(z)/p(z). `[N]` and `[M]`, result `[]`. Source: Goodfellow et al. (2014). Paper: eq:density-ratio.
let densityRatioLoss (logitsQ: Tensor) (logitsP: Tensor) : Tensor =
    (softplus (logitsQ.neg ())).mean() + (softplus logitsP).mean()

// ---------------------------------------------------------------------------------------------------------------
// Adversarial objectives
// ---------------------------------------------------------------------------------------------------------------

/// (E_p log sigmoid(C) + E_q log sigmoid(-C) + log 4)/2, which the optimal critic log p/q makes JSD(p||q).
/// The critic maximises it, the generator minimises it. `[N]` and `[M]` critic values, result `[]`.
/// Source: Goodfellow et al. (2014), theorem 1. Paper: eq:jsd-metric.
let jsdMetric (criticOnData: Tensor) (criticOnModel: Tensor) : Tensor =
    ((logSigmoid criticOnData).mean() + (logSigmoid (criticOnModel.neg ())).mean() + log 4.0)
    / 2.0

/// E_p C - E_q C, which a 1-Lipschitz critic bounds by the Wasserstein-1 distance. `[N]` and `[M]`, result `[]`.
/// Source: Arjovsky, Chintala and Bottou (2017), eq. 2. Paper: eq:w1-metric.
let wassersteinMetric (criticOnData: Tensor) (criticOnModel: Tensor) : Tensor =
    criticOnData.mean () - criticOnModel.mean ()

/// E log(1 - D(G(z))) = E log sigmoid(-C), the generator's minimax loss: its gradient -sigmoid(C) dies where the
/// discriminator is sure. `[N] -> []`. Source: Goodfellow et al. (2014), eq. 1. Paper: eq:minimax.
let minimaxGeneratorLoss (criticOnModel: Tensor) : Tensor = (logSigmoid (criticOnModel.neg ())).mean()

/// -E log D(G(z)) = -E log sigmoid(C), the non-saturating loss: its gradient -sigmoid(-C) is largest where the
/// discriminator is sure. `[N] -> []`. Source: Goodfellow et al. (2014), section 3. Paper: eq:nonsaturating.
let nonSaturatingGeneratorLoss (criticOnModel: Tensor) : Tensor = ((logSigmoid criticOnModel).mean()).neg()

let private inputGradient (critic: Tensor -> Tensor) (x: Tensor) = (diff critic x).flatten 1L

/// R1 = E_p |grad_x C(x)|^2, summed over all input elements; differentiable in the critic's parameters.
/// `critic: [N,..] -> [N]`, `x: [N,..]`, result `[]`. Source: Mescheder, Geiger and Nowozin (2018), eq. 9.
/// Paper: eq:r1.
let r1Penalty (critic: Tensor -> Tensor) (x: Tensor) : Tensor =
    (sumLast ((inputGradient critic x).square())).mean()

/// GP = E (|grad_x C(x)| - 1)^2 at x = eps x_p + (1 - eps) x_q, eps ~ U[0,1) one per example.
/// `[N,..]` twice and eps `[N]`, result `[]`. Source: Gulrajani et al. (2017), eq. 3. Paper: eq:gp.
let gradientPenalty (critic: Tensor -> Tensor) (data: Tensor) (model: Tensor) (eps: Tensor) : Tensor =
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

/// One gradient step of the Dirac-GAN: target at 0, generator theta, critic C(x) = psi0 x + psi1, rate eta for both.
/// States `[..,3]` = (theta, psi0, psi1) to the next states. At psi0 = 0 the gradient penalty has no derivative and
/// takes libtorch's subgradient 0. Source: Mescheder, Geiger and Nowozin (2018), section 2. Paper: eq:dirac-map.
let diracStep
    (metric: DiracMetric)
    (penalty: DiracPenalty)
    (order: UpdateOrder)
    (eta: float)
    (state: Tensor)
    : Tensor =
    let theta, psi0, psi1 = state.select (-1L, 0L), state.select (-1L, 1L), state.select (-1L, 2L)

    // d metric / d psi0, d psi1: the critic's ascent direction.
    let ascent0, ascent1 =
        match metric with
        | Jsd ->
            let fake = (psi0 * theta + psi1).sigmoid()
            -0.5 * fake * theta, 0.5 * ((psi1.neg ()).sigmoid() - fake)
        | W1 -> theta.neg (), torch.zeros_like theta

    let penaltySlope =
        match penalty with
        | NoPenalty -> torch.zeros_like theta
        | R1 c -> 2.0 * c * psi0
        | Gp c -> 2.0 * c * (psi0.abs () - 1.0) * psi0.sign ()

    let psi0' = psi0 + eta * (ascent0 - penaltySlope)
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
/// gradient. `w: [O,I]`, `u: [O]`, returns sigma `[]`, u' and v. Source: Miyato et al. (2018), algorithm 1.
/// Paper: eq:spectral-norm.
let spectralNorm (w: Tensor) (u: Tensor) : Tensor * Tensor * Tensor =
    let unit (x: Tensor) = x / (x.norm () + 1e-12)
    let fixedW = w.detach ()
    let v = unit (fixedW.t().mv u)
    let u' = unit (fixedW.mv v)
    u'.dot (w.mv v), u', v

let private symmetricSqrt (a: Tensor) =
    let struct (values, vectors) = torch.linalg.eigh a
    // A covariance has no negative eigenvalue but for rounding.
    (vectors * (values.relu ()).sqrt()).matmul(vectors.t ())

/// |m1 - m2|^2 + tr(S1 + S2 - 2 (S1^1/2 S2 S1^1/2)^1/2): the squared Wasserstein-2 distance of two normals, FID on
/// features. Means `[F]`, covariances `[F,F]` positive semi-definite, result `[]`; use float64.
/// Source: Dowson and Landau (1982), eq. 4; Heusel et al. (2017), eq. 6. Paper: eq:frechet.
let frechetDistance (mean1: Tensor) (cov1: Tensor) (mean2: Tensor) (cov2: Tensor) : Tensor =
    let root = symmetricSqrt cov1
    let cross = symmetricSqrt (root.matmul(cov2).matmul root)
    (mean1 - mean2).square().sum() + cov1.trace () + cov2.trace () - 2.0 * cross.trace ()

/// exp E_x KL(p(y|x)||p(y)), between 1 and the number of classes. `logits: [N,Y]`, result `[]`.
/// Source: Salimans et al. (2016), section 4. Paper: eq:inception-score.
let inceptionScore (logits: Tensor) : Tensor =
    let logConditional = torch.nn.functional.log_softmax (logits, -1L)
    let logMarginal = (logMeanExp 0L logConditional).unsqueeze 0L
    (sumLast (logConditional.exp () * (logConditional - logMarginal))).mean().exp()

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
/// `encodings: [N,L]`, `eps: [N,L]`. Source: Hoffman and Johnson (2016), eq. 7. Paper: eq:surgery.
let elboSurgery (encodings: DiagNormal) (logPrior: Tensor -> Tensor) (eps: Tensor) : Surgery =
    use _ = torch.no_grad ()
    let n = eps.size 0
    let z = DiagNormal.sample encodings eps
    let own = (DiagNormal.logProb encodings z).double()
    let block = 1000L

    let aggregated =
        [|
            for start in 0L .. block .. n - 1L do
                use scope = torch.NewDisposeScope()
                let rows = z.narrow (0L, start, min block (n - start))
                (logAggregatedPosterior encodings rows).MoveToOuterDisposeScope()
        |]
        |> fun blocks -> torch.cat blocks

    {
        MutualInformation = ((own - aggregated).mean()).ToDouble()
        MarginalKl = ((aggregated - (logPrior z).double()).mean()).ToDouble()
        Limit = log (float n)
    }

/// I_q(x;z) <= E KL(q(z|x)||p(z)) for any p(z), since the difference is KL(q(z)||p(z)) >= 0: the bound from the
/// KL of each example. `[N] -> []`. Source: Hoffman and Johnson (2016), section 2. Paper: eq:mi-bound.
let mutualInformationBound (klPerExample: Tensor) : Tensor = klPerExample.mean ()

/// The proportion of latent dimensions collapsed at (eps, delta): KL_i(x) < eps for at least a share 1 - delta of
/// the examples. `klPerDimension: [N,L]`. Source: Lucas et al. (2019), definition 1. Paper: eq:collapse.
let collapsedProportion (eps: float) (delta: float) (klPerDimension: Tensor) : float =
    let share = (klPerDimension.lt (Scalar.op_Implicit eps)).double().mean [| 0L |]
    // Shares are ratios of integers: the slack absorbs the rounding of 1 - delta, and is less than any example.
    let needed = 1.0 - delta - 1e-9
    (share.ge(Scalar.op_Implicit needed).double().mean()).ToDouble()

/// The number of latent dimensions whose posterior mean varies over the data by more than a threshold (0.01 in the
/// source). `mu: [N,L]`. Source: Burda, Grosse and Salakhutdinov (2016), section 5.1. Paper: eq:active-units.
let activeUnits (threshold: float) (mu: Tensor) : int =
    let variance = mu.var ([| 0L |], true)
    (variance.gt(Scalar.op_Implicit threshold).sum()).ToInt32()

/// steps + 2 points on the segment from a to b, both ends included. `[L]` twice, result `[steps+2,L]`.
/// Paper: eq:interpolation.
let interpolate (steps: int) (a: Tensor) (b: Tensor) : Tensor =
    let t = (torch.linspace (0.0, 1.0, int64 (steps + 2), a.dtype, a.device)).unsqueeze 1L
    (1.0 - t) * a + t * b

// ---------------------------------------------------------------------------------------------------------------
// Semi-supervised model M2
// ---------------------------------------------------------------------------------------------------------------

/// L(x,y) = -[E log p(x|y,z) + log p(y) - KL(q(z|x,y)||p(z))], the loss where the label is known. All `[..]`.
/// Source: Kingma et al. (2014), eq. 6. Paper: eq:m2-labelled.
let m2Labelled (logLikelihood: Tensor) (logPriorLabel: Tensor) (kl: Tensor) : Tensor =
    kl - logLikelihood - logPriorLabel

/// U(x) = sum_y q(y|x) [L(x,y) + log q(y|x)], the label summed out exactly. `logLabel: [B,Y]` = log q(y|x),
/// `labelled: [B,Y]` = L(x,y), result `[B]`. Source: Kingma et al. (2014), eq. 7. Paper: eq:m2-unlabelled.
let m2Unlabelled (logLabel: Tensor) (labelled: Tensor) : Tensor =
    sumLast (logLabel.exp () * (labelled + logLabel))

// ---------------------------------------------------------------------------------------------------------------
// The linear-Gaussian model, whose evidence and posterior are exact
// ---------------------------------------------------------------------------------------------------------------

/// x = W z + b + sigma eps, z ~ N(0,I): probabilistic principal components. `W: [D,L]`, `Offset: [D]`; use float64.
type LinearGaussian = { W: Tensor; Offset: Tensor; Sigma: float }

[<RequireQualifiedAccess>]
module LinearGaussian =
    /// log N(x; mean, covariance) with a dense covariance. `x, mean: [B,N]` or `[N]`, `covariance: [N,N]`.
    let private logNormal (mean: Tensor) (covariance: Tensor) (x: Tensor) =
        let factor = torch.linalg.cholesky covariance
        let centred = (x - mean).unsqueeze -1L
        let whitened = (torch.linalg.solve (factor, centred)).squeeze -1L
        let logDet = 2.0 * (factor.diagonal().log()).sum()
        -0.5 * (sumLast (whitened.square ()) + logDet + log2Pi * float (x.size -1))

    /// log p(x) = log N(x; b, W W' + sigma^2 I). `[B,D] -> [B]`. Paper: eq:linear-gaussian.
    let logEvidence (m: LinearGaussian) (x: Tensor) : Tensor =
        let noise = torch.eye (m.W.size 0, dtype = m.W.dtype, device = m.W.device) * (m.Sigma * m.Sigma)
        logNormal m.Offset (m.W.matmul (m.W.t ()) + noise) x

    /// The posterior N(M^-1 W'(x - b), sigma^2 M^-1), M = W'W + sigma^2 I: means `[B,L]` and covariance `[L,L]`.
    /// Source: Bishop (2006), eq. 12.42. Paper: eq:linear-gaussian.
    let posterior (m: LinearGaussian) (x: Tensor) : Tensor * Tensor =
        let precision =
            m.W.t().matmul m.W + torch.eye (m.W.size 1, dtype = m.W.dtype, device = m.W.device) * (m.Sigma * m.Sigma)

        let inverse = torch.linalg.inv precision
        (x - m.Offset).matmul(m.W).matmul inverse, inverse * (m.Sigma * m.Sigma)

    /// log p(z|x) at z. `x: [B,D]`, `z: [..,B,L]`, result `[..,B]`.
    let logPosterior (m: LinearGaussian) (x: Tensor) (z: Tensor) : Tensor =
        let mean, covariance = posterior m x
        logNormal mean covariance z

    /// log p(x|z) = log N(x; W z + b, sigma^2 I). `x: [B,D]`, `z: [..,B,L]`, result `[..,B]`.
    let logLikelihood (m: LinearGaussian) (x: Tensor) (z: Tensor) : Tensor =
        let mean = z.matmul (m.W.t ()) + m.Offset

        DiagNormal.logProb
            {
                Mu = mean
                LogVar = torch.full_like (mean, Scalar.op_Implicit (2.0 * log m.Sigma))
            }
            x
