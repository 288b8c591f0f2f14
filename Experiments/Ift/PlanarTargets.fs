/// The two densities exp(-U)/Z on the plane that planar flows are fitted to, with exact samplers and entropies.
module Research.Experiments.Ift.PlanarTargets

open System
open TorchSharp
open Research.Core
open Research.Host

type Target = {
    Name: string
    /// U by operators of Core and, for the fused chain, in C#.
    Energy: Tensor -> Tensor
    Fused: IPlaneEnergy
    /// So many exact draws `[n,2]`, float32 on the CPU, from a stream of noise.
    Sample: Noise -> string -> int -> Tensor
    /// Of the density that is sampled, nats.
    Entropy: float
    /// -log Z, the infimum of the density-matching loss; None when there is none.
    Bound: float option
}

/// log Z and entropy of exp(-U)/Z by the midpoint rule on [-6,6]^2, outside of which nothing of arcs is left.
let private quadrature (energy: Tensor -> Tensor) =
    use _ = torch.NewDisposeScope()
    let n, half = 1200, 6.0
    let cell = 2.0 * half / float n
    let axis = torch.linspace (-half + cell / 2.0, half - cell / 2.0, int64 n, torch.float64)
    let x, y = axis.repeat [| int64 n |], axis.repeat_interleave (int64 n)
    let u = energy (torch.stack ([| x; y |], 1L))
    let weights = (u.neg ()).exp() * (cell * cell)
    let z = weights.sum().ToDouble()
    log z, log z + (weights * u).sum().ToDouble() / z

let private pairs (points: (float * float) seq) : Tensor =
    let flat = points |> Seq.collect (fun (x, y) -> [ float32 x; float32 y ]) |> Seq.toArray
    torch.tensor(flat).view(-1L, 2L)

/// Rejection. In polar coordinates the density is r exp(-((r-2)/0.4)^2/2) times the two bumps in z1 = r cos(angle).
/// Proposed: r ~ N(2, 0.5^2), a uniform angle. The ratio r exp(-1.125 (r-2)^2) is largest where r^2 - 2r = 1/2.25,
/// the bumps add up to at most 1 + exp(-2 (2/0.6)^2).
let private sampleArcs (noise: Noise) (stream: string) (count: int) : Tensor =
    use scope = torch.NewDisposeScope()
    let ratio r = r * exp (-1.125 * (r - 2.0) * (r - 2.0))
    let largestRatio = ratio (1.0 + sqrt (1.0 + 1.0 / 2.25))
    let bump x = exp (-0.5 * x * x / 0.36)
    let bumps x = bump (x - 2.0) + bump (x + 2.0)
    let largestBumps = 1.0 + exp (-2.0 * 4.0 / 0.36)
    let block = 4096
    let draw (part: int64) = [|
        let shape = [| int64 block |]
        let uniform name = noise.Uniform($"{stream}.{name}", part, shape, torch.float64).data<float>().ToArray()
        let radius = noise.Normal($"{stream}.radius", part, shape, torch.float64).data<float>().ToArray()
        let angle, accept = uniform "angle", uniform "accept"
        for i in 0 .. block - 1 do
            let r = 2.0 + 0.5 * radius[i]
            let x, y = r * cos (2.0 * Math.PI * angle[i]), r * sin (2.0 * Math.PI * angle[i])
            if r > 0.0 && accept[i] * largestRatio * largestBumps < ratio r * bumps x then
                x, y
    |]
    let points = Seq.initInfinite int64 |> Seq.collect draw |> Seq.take count
    (pairs points).MoveToOuterDisposeScope()

/// z1 uniform on [-5,5], z2 normal about the curve: exp(-U) is not normalisable on the whole plane.
let private sampleSine (noise: Noise) (stream: string) (count: int) : Tensor =
    use scope = torch.NewDisposeScope()
    let shape = [| int64 count |]
    let z1 = noise.Uniform($"{stream}.first", 0L, shape) * 10.0 - 5.0
    let z2 = (z1 * (Math.PI / 2.0)).sin() + 0.4 * noise.Normal($"{stream}.second", 0L, shape)
    torch.stack([| z1; z2 |], 1L).MoveToOuterDisposeScope()

let arcs: Lazy<Target> =
    lazy
        let logZ, entropy = quadrature energyArcs
        {
            Name = "arcs"
            Energy = energyArcs
            Fused = PlaneEnergies.Arcs
            Sample = sampleArcs
            Entropy = entropy
            Bound = Some -logZ
        }

let sine: Lazy<Target> =
    lazy
        {
            Name = "sine"
            Energy = energySine
            Fused = PlaneEnergies.Sine
            Sample = sampleSine
            Entropy = log 10.0 + 0.5 * log (2.0 * Math.PI * Math.E * 0.16)
            Bound = None
        }

/// The density that is sampled, `[n,2] -> [n]`.
let density (target: Target) (z: Tensor) : Tensor =
    match target.Bound with
    | Some bound -> (bound - target.Energy z).exp()
    | None -> (target.Energy(z).neg()).exp() / (10.0 * 0.4 * sqrt (2.0 * Math.PI))
