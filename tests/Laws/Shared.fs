/// What the laws share: reproducible tensors, quadrature, and ways to measure a deviation.
module Research.Tests.Laws.Shared

open System
open TorchSharp
open Research.Core

/// Standard normal numbers that depend on the seed and the shape only. float64.
let gaussian (seed: int) (shape: int64 list) : Tensor =
    use generator = new torch.Generator(uint64 seed)
    torch.randn (List.toArray shape, dtype = torch.float64, generator = generator)

/// Uniform numbers on [0,1). float64.
let uniform (seed: int) (shape: int64 list) : Tensor =
    use generator = new torch.Generator(uint64 seed)
    torch.rand (List.toArray shape, dtype = torch.float64, generator = generator)

/// A float64 vector.
let vector (xs: float list) : Tensor = torch.tensor (List.toArray xs)

/// A float64 scalar.
let scalar (x: float) : Tensor = torch.tensor x

let value (x: Tensor) : float = x.ToDouble()

/// The elements in row-major order.
let elements (x: Tensor) : float[] = x.detach().double().data<float>().ToArray()

/// The largest absolute difference of two tensors; shapes that differ are an infinite distance.
let distance (a: Tensor) (b: Tensor) : float =
    if a.shape <> b.shape then
        infinity
    else
        value ((a - b).abs().max())

/// The same relative to 1 + |b|, for numbers of any size.
let relativeDistance (a: Tensor) (b: Tensor) : float =
    if a.shape <> b.shape then
        infinity
    else
        value (((a - b).abs() / (b.abs () + 1.0)).max())

/// By how much a should be at most b and is not.
let excess (a: float) (b: float) : float = max 0.0 (a - b)

/// |mean - expected| in units of the draws' standard deviation: `Tolerance.monteCarlo n 1.0` bounds it. The floor
/// keeps draws without variance, which must then hit the value to rounding, from dividing by zero.
let deviation (expected: float) (draws: Tensor) : float =
    let sd = value (draws.std ())
    abs (value (draws.mean ()) - expected) / max sd (1e-10 * (1.0 + abs expected))

/// n equal steps over [-9, 9] as points and their common weight: beyond nine standard deviations a normal has no
/// mass in float64, and for smooth integrands that vanish at both ends the rule converges faster than any power.
let private axis (n: int64) = torch.linspace (-9.0, 9.0, n, dtype = torch.float64), 18.0 / float (n - 1L)

/// Points `[N,L]` and weight of a product grid over [-9,9]^L, for L = 1 (2001 points) or 2 (361 a side).
let grid (l: int64) : Tensor * float =
    match l with
    | 1L ->
        let points, weight = axis 2001L
        points.unsqueeze 1L, weight
    | 2L ->
        let points, weight = axis 361L
        let sides = torch.meshgrid [| points; points |]
        torch.stack (sides |> Array.map _.flatten(), -1L), weight * weight
    | _ -> invalidArg (nameof l) "a grid has one or two dimensions"

/// The integral of exp logDensity over the grid stretched to centre + scale t. `logDensity: [N,L] -> [N]`.
let integral (l: int64) (centre: Tensor) (scale: Tensor) (logDensity: Tensor -> Tensor) : float =
    let t, weight = grid l
    let stretch = value (scale.expand([| l |]).prod 0L)
    value ((logDensity (centre + scale * t)).exp().sum()) * weight * stretch

/// E g(eps) for one-dimensional standard normal noise, by quadrature: g sees all nodes at once. `[N] -> [N]`.
let normalExpectation (g: Tensor -> Tensor) : float =
    let t, weight = grid 1L
    let t = t.squeeze 1L
    let density = (-0.5 * t.square ()).exp() / sqrt (2.0 * Math.PI)
    value ((density * g t).sum()) * weight

/// Noise `[2L,1,L]` whose plain mean integrates every quadratic of N(0,I) exactly: the points +-sqrt(L) e_i.
let quadraticNoise (l: int64) : Tensor =
    let half = torch.eye (l, dtype = torch.float64) * sqrt (float l)
    torch.cat([| half; half.neg () |], 0L).unsqueeze 1L

/// Central differences of a scalar function, one element at a time. `f: [N] -> []`, result `[N]`.
let finiteGradient (f: Tensor -> Tensor) (x: Tensor) : Tensor =
    let step = 1e-5
    let n = x.size 0

    let slope (i: int64) =
        let direction = torch.zeros_like x
        direction[i].fill_(Scalar.op_Implicit step) |> ignore
        (f (x + direction) - f (x - direction)).detach() / (2.0 * step)

    torch.stack ([| for i in 0L .. n - 1L -> slope i |])

/// log|det J| of a map at each row of z, from autograd's Jacobian. `z: [B,L] -> [B]`.
let jacobianLogDet (f: Tensor -> Tensor) (z: Tensor) : Tensor =
    let at (row: Tensor) =
        let struct (_, logDet) = torch.linalg.slogdet (jacobian f row)
        logDet.detach ()

    torch.stack (z.unbind 0L |> Array.map at)
