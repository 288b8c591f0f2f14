/// The maps and densities of latents, written a second time for the laws of the networks that have parameters for them.
module Research.Tests.Laws.ReferenceMaps

open TorchSharp
open Research.Core

/// Dimensions of the latents in these laws.
let latent = 4

/// log N(z; mu, diag exp logVar).
let logNormal (mu: Tensor) (logVar: Tensor) (z: Tensor) : Tensor =
    -0.5 * ((z - mu).square() / logVar.exp () + logVar + log (2.0 * System.Math.PI)).sum -1L

/// The spline of Durkan et al. with knots and slopes from numbers `[..,C,3K-1]`, one bin after the other, the identity outside
/// of [-4,4]; images and the sum of the logarithms of its slopes.
let splined (bins: int64) (numbers: Tensor) (z: Tensor) : Tensor * Tensor =
    let part first n = numbers.narrow (-1L, first, n)
    let one = torch.ones_like (part 0L 1L)

    let knots (x: Tensor) =
        let shares = 0.001 + (1.0 - 0.001 * float bins) * x.exp () / x.exp().sum(-1L, true)
        torch.cat ([| -4.0 * one; -4.0 + 8.0 * shares.cumsum -1L |], -1L)

    let x, y = knots (part 0L bins), knots (part bins bins)

    let inner =
        0.001 + 0.999 * (1.0 + (System.Math.E - 1.0) * (part (2L * bins) (bins - 1L)).exp()).log()

    let d = torch.cat ([| one; inner; one |], -1L)

    let bin (image: Tensor, logSlope: Tensor) (k: int64) =
        let at (all: Tensor) (k: int64) = all.select (-1L, k)
        let width, height = at x (k + 1L) - at x k, at y (k + 1L) - at y k
        let isInside = z.ge(at x k).logical_and(z.lt (at x (k + 1L)))
        // Elsewhere the formula may have no value.
        let t = ((z - at x k) / width).clamp(Scalar.op_Implicit 0.0, Scalar.op_Implicit 1.0)
        let s, d0, d1 = height / width, at d k, at d (k + 1L)
        let below = s + (d1 + d0 - 2.0 * s) * t * (1.0 - t)

        let slope =
            s * s * (d1 * t * t + 2.0 * s * t * (1.0 - t) + d0 * (1.0 - t) * (1.0 - t))
            / (below * below)

        torch.where (isInside, at y k + height * (s * t * t + d0 * t * (1.0 - t)) / below, image),
        torch.where (isInside, slope.log (), logSlope)

    let image, logSlope = [ 0L .. bins - 1L ] |> List.fold bin (z, torch.zeros_like z)
    image, logSlope.sum -1L

/// Couplings of splines on halves, their numbers from a network of the first; `z: [B,L]`.
let splineCouplings
    bins
    (numbers: int -> Tensor -> Tensor)
    (turn: int -> Tensor -> Tensor)
    couplings
    (z: Tensor)
    =
    let half = int64 latent / 2L

    let couple (z: Tensor, logDet: Tensor) i =
        let z = turn i z
        let first, second = z.narrow (-1L, 0L, half), z.narrow (-1L, half, half)
        let image, own = splined bins ((numbers i first).view(-1L, half, 3L * bins - 1L)) second
        torch.cat ([| first; image |], -1L), logDet + own

    List.fold couple (z, torch.zeros ([| z.size 0 |])) [ 0 .. couplings - 1 ]

let private log1pExp (x: Tensor) = (1.0 + x.exp ()).log()

/// One planar layer whose w.u-hat is softplus(w.u + offset) - 1. `u, w: [..,L]`, `b: [..]`.
let planarLayer (offset: float) (u: Tensor) (w: Tensor) (b: Tensor) (z: Tensor) : Tensor * Tensor =
    let a = (u * w).sum -1L
    let target = log1pExp (a + offset) - 1.0
    let uHat = u + ((target - a) / w.square().sum -1L).unsqueeze -1L * w
    let h = ((z * w).sum -1L + b).tanh()
    z + uHat * h.unsqueeze -1L, (1.0 + (1.0 - h.square ()) * (uHat * w).sum -1L).abs().log()
