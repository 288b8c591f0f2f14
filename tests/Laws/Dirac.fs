/// The Dirac GAN: the map against autograd's gradients, and its linearisation in closed form.
module Research.Tests.Laws.Dirac

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type private Game = { Metric: DiracMetric; Penalty: DiracPenalty; Order: UpdateOrder; Eta: float }

type private Step = DiracMetric -> DiracPenalty -> UpdateOrder -> float -> Tensor -> Tensor

let private step metric penalty order eta state = diracStep metric (diracPenaltySlope penalty) order eta state

let private games = [
    for metric in [ Jsd; W1 ] do
        for penalty in [ NoPenalty; DiracPenalty.R1 0.01; DiracPenalty.R1 1.0; DiracPenalty.Gp 0.3 ] do
            for order in [ Alternating; Simultaneous ] do
                for eta in [ 0.1; 0.5 ] do
                    $"%A{metric}, %A{penalty}, %A{order}, eta {eta}",
                    { Metric = metric; Penalty = penalty; Order = order; Eta = eta }
]

let private gradientStep =
    /// The same step through Core's metrics and penalties on point masses, differentiated by autograd.
    let reference (g: Game) (state: Tensor) =
        let metric =
            match g.Metric with
            | Jsd -> jsdMetric
            | W1 -> wassersteinMetric

        let critic (psi: Tensor) (x: Tensor) = (psi[0] * x + psi[1]).squeeze -1L
        let data = torch.zeros ([| 1L; 1L |], torch.float64)
        let at (theta: Tensor) = theta.view [| 1L; 1L |]

        let objective (theta: Tensor) (psi: Tensor) =
            let value = metric (critic psi data) (critic psi (at theta))

            match g.Penalty with
            | NoPenalty -> value
            | DiracPenalty.R1 c -> value - c * r1Penalty (critic psi) data
            | DiracPenalty.Gp c -> value - c * gradientPenalty (critic psi) data (at theta) (vector [ 0.5 ])

        let theta, psi = state[0], state.narrow (0L, 1L, 2L)
        let psi' = (psi + g.Eta * grad (objective theta) psi).detach()

        let against =
            match g.Order with
            | Alternating -> psi'
            | Simultaneous -> psi

        let slope = grad (fun theta -> metric (critic against data) (critic against (at theta))) theta
        torch.cat [| (theta - g.Eta * slope).view [| 1L |]; psi' |]

    let error (step: Step) (g: Game) =
        List.max [
            for seed in 1..4 do
                let state = gaussian seed [ 3L ]
                distance (step g.Metric g.Penalty g.Order g.Eta state) ((reference g state).detach())
        ]

    {
        Id = "dirac/gradient-step"
        Statement =
            "The map is gradient ascent of the critic and descent of the generator on Core's own losses."
        Labels = []
        Function = "diracStep"
        Instances = games
        Error = error step
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "orders swapped",
            error (fun m p order eta s ->
                step
                    m
                    p
                    (match order with
                     | Alternating -> Simultaneous
                     | Simultaneous -> Alternating)
                    eta
                    s)
            "penalty's coefficient halved",
            error (fun m p o eta s ->
                let halved =
                    match p with
                    | NoPenalty -> NoPenalty
                    | DiracPenalty.R1 c -> DiracPenalty.R1(0.5 * c)
                    | DiracPenalty.Gp c -> DiracPenalty.Gp(0.5 * c)

                step m halved o eta s)
            "generator ascends",
            error (fun m p o eta s ->
                let next = step m p o eta s
                torch.stack [| 2.0 * s[0] - next[0]; next[1]; next[2] |])
        ]
    }

/// The Jacobian at the equilibrium in the order (theta, psi0, psi1), by the paper's proposition.
let private closedForm (g: Game) =
    let slope =
        match g.Metric with
        | Jsd -> 0.25
        | W1 -> 1.0

    let kappa = g.Eta * slope

    let offset =
        match g.Metric with
        | Jsd -> 1.0 - g.Eta / 4.0
        | W1 -> 1.0

    let a =
        match g.Penalty with
        | DiracPenalty.R1 c -> 1.0 - 2.0 * g.Eta * c
        | NoPenalty
        | DiracPenalty.Gp _ -> 1.0

    let theta =
        match g.Order with
        | Alternating -> [ 1.0 - kappa * kappa; a * kappa; 0.0 ]
        | Simultaneous -> [ 1.0; kappa; 0.0 ]

    let matrix = [ theta; [ -kappa; a; 0.0 ]; [ 0.0; 0.0; offset ] ]
    (torch.stack [| for row in matrix -> vector row |]), kappa, a

/// The moduli of a real 2 x 2 matrix's eigenvalues, from trace and determinant.
let private moduli (j: Tensor) =
    let at (i: int64) (k: int64) = value ((j[i])[k])
    let half = (at 0L 0L + at 1L 1L) / 2.0
    let determinant = at 0L 0L * at 1L 1L - at 0L 1L * at 1L 0L
    let discriminant = half * half - determinant

    if discriminant < 0.0 then
        [ sqrt determinant; sqrt determinant ]
    else
        [ abs (half + sqrt discriminant); abs (half - sqrt discriminant) ]

let private linearisation =
    let error (step: Step) (g: Game) =
        let equilibrium = torch.zeros ([| 3L |], torch.float64)
        let fixedPoint = step g.Metric g.Penalty g.Order g.Eta equilibrium
        let j = jacobian (step g.Metric g.Penalty g.Order g.Eta) equilibrium
        let exact, kappa, a = closedForm g

        // Complex eigenvalues: their modulus is the root of the determinant, a or a + kappa^2.
        let determinant =
            match g.Order with
            | Alternating -> a
            | Simultaneous -> a + kappa * kappa

        let trace =
            match g.Order with
            | Alternating -> 1.0 + a - kappa * kappa
            | Simultaneous -> 1.0 + a

        let turns = trace * trace < 4.0 * determinant
        let predicted = [ for m in moduli j -> if turns then abs (m - sqrt determinant) else 0.0 ]
        List.max (distance (j.detach ()) exact :: value (fixedPoint.abs().max()) :: predicted)

    {
        Id = "dirac/linearisation"
        Statement =
            "At the equilibrium the map's Jacobian and its eigenvalues' moduli are those of the proposition."
        Labels = [ "eq:dirac-map"; "st:dirac-jacobian"; "st:dirac-eigenvalues" ]
        Function = "diracStep"
        Instances = games
        Error = error step
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "always simultaneous", error (fun m p _ eta s -> step m p Simultaneous eta s)
            "metric not halved",
            error (fun m p o eta s ->
                // For JSD, twice the game's gradients: the map of eta = 2 eta with half the penalty.
                match m, p with
                | Jsd, DiracPenalty.R1 c -> step m (DiracPenalty.R1(c / 2.0)) o (2.0 * eta) s
                | Jsd, _ -> step m p o (2.0 * eta) s
                | W1, _ -> step m p o eta s)
            "penalty c for 2 c",
            error (fun m p o eta s ->
                step
                    m
                    (match p with
                     | DiracPenalty.R1 c -> DiracPenalty.R1(c / 2.0)
                     | other -> other)
                    o
                    eta
                    s)
        ]
    }

[<Tests>]
let tests = testList "dirac" [ Law.test gradientStep; Law.test linearisation ]
