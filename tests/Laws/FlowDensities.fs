/// Densities made by flows, and the two-dimensional energies that flows are fitted to.
module Research.Tests.Laws.FlowDensities

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.Flows

/// y = exp(s) z + t elementwise, with constants: a flow whose density is a known normal.
let private affine (s: Tensor) (t: Tensor) : Transform =
    let logDet (z: Tensor) = s.sum () + torch.zeros_like (z.select (-1L, 0L))

    {
        Forward = fun z -> s.exp () * z + t, logDet z
        Inverse = Some(fun y -> (y - t) * (s.neg ()).exp(), (logDet y).neg())
    }

let private nll =
    let error (logProb: (Tensor -> Tensor) -> Transform -> Tensor -> Tensor) (dim: int64, toBase: Transform) =
        let mass = integral dim (scalar 0.0) (scalar 2.0) (logProb logStandardNormal toBase)
        // Under y = exp(s) z + t a normal y gives a normal z.
        let s, t = [| 0.3; -0.8 |], [| 0.5; -1.0 |]
        let x = gaussian 1 [ 6L; 2L ]
        let mu, logVar = Array.map2 (fun s t -> -t * exp -s) s t, s |> Array.map (fun s -> -2.0 * s)
        let plain = Plain.rows x |> Array.map (Plain.diagNormal mu logVar)
        let ofAffine = logProb logStandardNormal (affine (torch.tensor s) (torch.tensor t)) x
        // The plain values agree to rounding, where the tolerance is that of the quadrature.
        max (abs (mass - 1.0)) (1e3 * Plain.against plain ofAffine)

    let withLogDet (factor: int64 -> float) (baseLogProb: Tensor -> Tensor) (toBase: Transform) (x: Tensor) =
        let z, logDet = toBase.Forward x
        baseLogProb z + factor (x.size -1) * logDet

    {
        Id = "flow/nll"
        Statement = "The density of a flow integrates to 1."
        Labels = [ "eq:flow-nll" ]
        Function = "flowLogProb"
        Instances = [
            "planar in one dimension", (1L, planar (vector [ 1.3 ]) (vector [ 0.8 ]) (scalar 0.4))
            "affine in two", (2L, affine (vector [ 0.3; 0.5 ]) (vector [ 0.5; -1.0 ]))
            "two couplings",
            (2L, Transform.compose [ smoothCoupling 1 2L; Transform.flip; smoothCoupling 9 2L ])
        ]
        Error = error flowLogProb
        Tolerance = Tolerance.quadrature
        Mutants = [
            "log-determinant subtracted", error (withLogDet (fun _ -> -1.0))
            "log-determinant left out", error (withLogDet (fun _ -> 0.0))
            "once a dimension", error (withLogDet float)
        ]
    }

/// A flow, an energy, the log of its normaliser, and whether the flow's density is the energy's own.
type private Fit = { Flow: Transform; Energy: Tensor -> Tensor; LogZ: float; Exact: bool }

let private draws = 20_000L

let private densityBound =
    let logNormaliser energy = log (integral 2L (scalar 0.0) (scalar 1.0) (fun z -> (energy z: Tensor).neg()))

    let error loss (fit: Fit) =
        let z0 = gaussian 12 [ draws; 2L ]
        // One loss a draw, so that their spread is known.
        let z, logDet = fit.Flow.Forward z0
        let sd = value ((logStandardNormal z0 - logDet + fit.Energy z).std())
        let free: float = value (loss logStandardNormal fit.Flow fit.Energy z0)

        // Term by term in plain floats.
        let direct =
            let energies, logDets = elements (fit.Energy z), elements logDet
            let bases = Plain.rows z0 |> Array.map Plain.standardNormal
            Array.averageBy id (Array.map3 (fun b l e -> b - l + e) bases logDets energies)

        // By rounding, where the tolerance is that of the draws.
        let exactly = 1e6 * abs (free - direct)

        if fit.Exact then
            max exactly (abs (free + fit.LogZ))
        else
            max exactly ((excess -fit.LogZ free) / sd)

    let normal (s: Tensor) (t: Tensor) (z: Tensor) =
        3.0 + 0.5 * sumLast (((z - t) * (s.neg ()).exp()).square())

    let s, t = vector [ 0.4; -0.3 ], vector [ 1.0; -1.0 ]

    let withTerms
        (signBase: float)
        (signLogDet: float)
        (logBase: Tensor -> Tensor)
        (flow: Transform)
        (energy: Tensor -> Tensor)
        (z0: Tensor)
        =
        let z, logDet = flow.Forward z0
        (signBase * logBase z0 + signLogDet * logDet + energy z).mean()

    {
        Id = "flow/density-bound"
        Statement = "The free energy is at least -log Z, and equals it when the flow's density is exp(-U)/Z."
        Labels = [ "eq:flow-density" ]
        Function = "flowDensityLoss"
        Instances = [
            "exact fit",
            {
                Flow = affine s t
                Energy = normal s t
                LogZ = log (2.0 * Math.PI) + 0.1 - 3.0
                Exact = true
            }
            "arcs, no flow",
            {
                Flow = Transform.identity
                Energy = energyArcs
                LogZ = logNormaliser energyArcs
                Exact = false
            }
            "arcs, planar",
            {
                Flow = planar (vector [ 2.0; 0.5 ]) (vector [ 1.0; 0.0 ]) (scalar 0.0)
                Energy = energyArcs
                LogZ = logNormaliser energyArcs
                Exact = false
            }
        ]
        Error = error flowDensityLoss
        Tolerance = Tolerance.monteCarlo draws 1.0
        Mutants = [
            "log-determinant added", error (withTerms 1.0 1.0)
            "entropy of the base left out", error (withTerms 0.0 -1.0)
            "sign of the base", error (withTerms -1.0 -1.0)
        ]
    }

/// Points near the modes and far from them.
let private points = [
    "origin", [ 0.0; 0.1 ]
    "right mode", [ 2.0; 0.0 ]
    "left mode", [ -1.9; 0.3 ]
    "top", [ 0.0; 2.0 ]
    "a quarter wave", [ 1.0; 1.0 ]
    "corner", [ -4.0; 4.0 ]
]

let private energyError (direct: float -> float -> float) (energy: Tensor -> Tensor) (point: float list) =
    let computed = value (energy (vector point))
    let exact = direct point[0] point[1]
    abs (computed - exact) / (1.0 + abs exact)

let private arcs =
    let direct x y =
        let bump centre = exp (-0.5 * ((x - centre) / 0.6) ** 2.0)
        0.5 * ((sqrt (x * x + y * y) - 2.0) / 0.4) ** 2.0 - log (bump 2.0 + bump -2.0)

    let error (energy: Tensor -> Tensor) point =
        // Far out the bumps underflow; their logarithm must not.
        let far = value (energy (vector [ 60.0; 0.0 ]))
        let expected = 0.5 * (58.0 / 0.4) ** 2.0 + 0.5 * (58.0 / 0.6) ** 2.0
        max (energyError direct energy point) (abs (far - expected) / expected)

    let throughExponentials (z: Tensor) =
        let z1 = z.select (-1L, 0L)
        let radius = sumLast(z.square ()).sqrt()
        let bump (centre: float) = (-0.5 * ((z1 - centre) / 0.6).square()).exp()
        0.5 * ((radius - 2.0) / 0.4).square() - (bump 2.0 + bump -2.0).log()

    {
        Id = "energy/arcs"
        Statement = "The energy of the two arcs is the table's formula, and finite far out."
        Labels = [ "eq:energy-arcs" ]
        Function = "energyArcs"
        Instances = points
        Error = error energyArcs
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "logarithm of underflowing bumps", error throughExponentials
            "axes swapped", error (fun z -> energyArcs (z.flip -1L))
            "one arc",
            error (fun z -> energyArcs z + torch.nn.functional.softplus (-4.0 * z.select (-1L, 0L) / 0.72))
        ]
    }

let private sine =
    let direct x y = 0.5 * ((y - sin (2.0 * Math.PI * x / 4.0)) / 0.4) ** 2.0

    {
        Id = "energy/sine"
        Statement = "The energy of the sine wave is the table's formula: one period in four."
        Labels = [ "eq:energy-sine" ]
        Function = "energySine"
        Instances = points
        Error = energyError direct energySine
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "period of two",
            energyError direct (fun z -> energySine (torch.stack ([| 2.0 * z[0]; z[1] |], -1L)))
            "axes swapped", energyError direct (fun z -> energySine (z.flip -1L))
        ]
    }

[<Tests>]
let tests =
    testList "flow densities" [ Law.test nll; Law.test densityBound; Law.test arcs; Law.test sine ]
