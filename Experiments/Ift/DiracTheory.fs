/// What the linear theory of the paper (sec:dirac) says about each game of the Dirac-GAN at rate 0.1.
module Research.Experiments.Ift.DiracTheory

open System
open Research.Core

let eta = 0.1
let decay = 0.998

type Outcome =
    | Converges
    | Cycles
    | Diverges

/// The outcome of a run from its largest radii sqrt(theta^2 + psi0^2) in its first and last 500 iterations.
let outcome (first: float) (last: float) : Outcome =
    if last < 0.05 * first then Converges
    elif last > 10.0 * max 1.0 first then Diverges
    else Cycles

let outcomeText outcome =
    match outcome with
    | Converges -> "converges"
    | Cycles -> "cycles"
    | Diverges -> "diverges"

type Game = { Metric: DiracMetric; Penalty: DiracPenalty }

let metrics = [ Jsd; W1 ]
let penalties = [ NoPenalty; R1 0.01; R1 0.1; Gp 0.01; Gp 0.1 ]

let games: Game list = [
    for metric in metrics do
        for penalty in penalties do
            { Metric = metric; Penalty = penalty }
]

let metricName metric =
    match metric with
    | Jsd -> "JSD"
    | W1 -> "W1"

let penaltyName penalty =
    match penalty with
    | NoPenalty -> "none"
    | R1 c -> $"R1 {Research.Experiments.Text.inv c}"
    | Gp c -> $"GP {Research.Experiments.Text.inv c}"

let name (game: Game) = $"{metricName game.Metric}, {penaltyName game.Penalty}"

/// The slope of the metric at the equilibrium: d^2 M / d theta d psi0 up to sign.
let slope metric =
    match metric with
    | Jsd -> 0.25
    | W1 -> 1.0

let coefficient penalty =
    match penalty with
    | NoPenalty -> 0.0
    | R1 c
    | Gp c -> c

/// The eigenvalues of the linear part are modulus * exp(+- i angle) an iteration. For GP: about the centres
/// (psi0, theta) = (0, +-2c/slope) that each side turns around.
type Spectrum = { Modulus: float; Angle: float }

let spectrum (order: UpdateOrder) (game: Game) : Spectrum =
    let kappa = eta * slope game.Metric
    let a = 1.0 - 2.0 * eta * coefficient game.Penalty
    let determinant, trace =
        match order with
        | Alternating -> a, 1.0 + a - kappa * kappa
        | Simultaneous -> a + kappa * kappa, 1.0 + a
    let modulus = sqrt determinant
    { Modulus = modulus; Angle = acos (trace / (2.0 * modulus)) }

/// Iterations of one turn.
let period order game = 2.0 * Math.PI / (spectrum order game).Angle

/// Amplitude of theta on GP's limit cycle under alternating updates, st:gp-amplitude in its discrete form.
let cycleAmplitude (game: Game) : float option =
    match game.Penalty with
    | Gp c ->
        let a = 1.0 - 2.0 * eta * c
        let halfTurn = Math.Pow(a, Math.PI / (2.0 * (spectrum Alternating game).Angle))
        Some(2.0 * c / slope game.Metric * (1.0 + halfTurn) / (1.0 - halfTurn))
    | NoPenalty
    | R1 _ -> None

/// What averaging leaves of a cycle's amplitude, |H(exp(i angle))| with H of st:ema.
let averagingGain (game: Game) : float =
    let lambda = Numerics.Complex.FromPolarCoordinates(1.0, (spectrum Alternating game).Angle)
    Numerics.Complex.Abs(Numerics.Complex(1.0 - decay, 0.0) / (1.0 - decay / lambda))

/// Over 4500 iterations, from the first window to the last. Radii of GP: beyond the cycle the penalty damps, unless
/// the simultaneous update feeds more.
let predicted (order: UpdateOrder) (game: Game) : Outcome =
    let growth = Math.Pow((spectrum order game).Modulus, 4500.0)
    match game.Penalty with
    | Gp _ when growth <= 1.0 -> Cycles
    | _ when abs (growth - 1.0) < 1e-9 -> Cycles
    | _ -> outcome 1.0 growth

/// The source's figure of a game, without averaging or with it.
let sourceFigure (game: Game) (averaged: bool) : int =
    3 + List.findIndex ((=) game) games + (if averaged then games.Length else 0)
