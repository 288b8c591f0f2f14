/// The Dirac-GAN's games played from many initialisations, and what is measured on their orbits.
module Research.Experiments.Ift.DiracRuns

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Experiments
open Research.Experiments.Ift.DiracTheory

let iterations = 5000
let private window = 500
let initialisations (plan: Plan) = Profile.pick plan.Profile 8 64 256

/// Initialisations whose orbits are kept for the figures.
let kept = 3

/// Where rates and periods are measured: after the transient, and for R1 0.1 before float64's smallest numbers.
let private first, private last = 2000, 4500

/// The games with a metric side by side in one computation, each from the initialisations `[N,3]`. Of the game of each
/// penalty, by its place in the list, the orbits: theta, psi0, psi1 of initialisation i after n iterations at [n][3 i ..].
let private play metric (penalties: DiracPenalty list) order (start: Tensor) : int -> float[][] =
    use _ = torch.no_grad ()
    // psi0 `[games,N]`.
    let slopes (psi0: Tensor) =
        torch.stack (penalties |> List.mapi (fun i penalty -> diracPenaltySlope penalty (psi0.select (0L, int64 i))))
    let orbits = Array.zeroCreate (iterations + 1)
    let mutable state = start.unsqueeze(0L).repeat(int64 penalties.Length, 1L, 1L)
    orbits[0] <- state.data<float>().ToArray()
    for n in 1..iterations do
        use _ = torch.NewDisposeScope()
        use previous = state
        state <- (diracStep metric slopes order eta previous).MoveToOuterDisposeScope()
        orbits[n] <- state.data<float>().ToArray()
    let length = int (start.numel ())
    fun game -> orbits |> Array.map (fun states -> states[game * length .. (game + 1) * length - 1])

/// theta and its average with weight `decay` on the past, which starts at theta.
let private averaged (theta: float[]) =
    theta
    |> Array.tail
    |> Array.scan (fun average now -> decay * average + (1.0 - decay) * now) theta[0]

/// What is measured on the orbit of one initialisation.
let private measureOne (game: Game) order (theta: float[]) (psi0: float[]) =
    let largest (from: int) (values: float[]) = values[from .. from + window] |> Array.map abs |> Array.max
    let turn = int (ceil (period order game))
    let radius = Array.map2 (fun (a: float) b -> sqrt (a * a + b * b)) theta psi0
    let first', last' = largest 0 radius, largest (iterations - window) radius
    // Angle turned between two consecutive states, summed: no unwrapping of whole turns is needed.
    let between n =
        let cross = psi0[n] * theta[n + 1] - theta[n] * psi0[n + 1]
        let dot = psi0[n] * psi0[n + 1] + theta[n] * theta[n + 1]
        atan2 cross dot
    let angle = Seq.sumBy between (seq { first .. last - 1 })
    let highest from = radius[from .. from + turn] |> Array.max
    // A whole number of turns apart, so that the ellipse's shape cancels.
    let turns = floor (float (last - turn - first) / period order game)
    let later = first + int (round (turns * period order game))
    let ellipse n = psi0[n] * psi0[n] + theta[n] * theta[n] - eta * slope game.Metric * psi0[n] * theta[n]

    {|
        Outcome = outcome first' last'
        Ratio = last' / first'
        Last = last'
        Period = 2.0 * Math.PI * float (last - first) / abs angle
        Rate = Math.Pow(highest later / highest first, 1.0 / float (later - first))
        Amplitude = largest (iterations - window) theta
        Ripple = largest (iterations - window) (averaged theta)
        Drift = Seq.init iterations (fun n -> abs (ellipse (n + 1) / ellipse 0 - 1.0)) |> Seq.max
    |}

let private measure (game: Game) order (orbit: float[][]) : (string * float) list =
    let component' index = orbit |> Array.map (fun state -> state[index])
    let each = [|
        for i in 0 .. orbit[0].Length / 3 - 1 -> measureOne game order (component' (3 * i)) (component' (3 * i + 1))
    |]
    let share kind = each |> Array.filter (fun e -> e.Outcome = kind) |> Array.length |> float
    let medianOf f = each |> Array.map f |> Statistics.median

    [
        "converges", share Converges
        "cycles", share Cycles
        "diverges", share Diverges
        "ratio", medianOf _.Ratio
        "last", medianOf _.Last
        "period", medianOf _.Period
        "rate", medianOf _.Rate
        "amplitude", medianOf _.Amplitude
        "amplitude.least", each |> Array.map _.Amplitude |> Array.min
        "amplitude.most", each |> Array.map _.Amplitude |> Array.max
        "ripple", medianOf _.Ripple
        "gain", medianOf (fun e -> e.Ripple / e.Amplitude)
        "drift", each |> Array.map _.Drift |> Array.max
    ]

/// The first orbits, `[iterations + 1, kept, 3]`.
let private keep (orbit: float[][]) : Tensor =
    let count = min kept (orbit[0].Length / 3)
    let states = orbit |> Array.collect (fun state -> state[.. 3 * count - 1])
    torch.tensor(states).view(int64 (iterations + 1), int64 count, 3L)

/// How the values of a run tell its games apart.
let private valueName penalty (name: string) = $"{penaltyName penalty}.{name}"

let private orderName order =
    match order with
    | Alternating -> "alternating"
    | Simultaneous -> "simultaneous"

/// All games with a metric from every initialisation, which they share.
let request (plan: Plan) (order: UpdateOrder) (metric: DiracMetric) : RunRequest =
    let count = initialisations plan
    let play (context: RunContext) =
        let start = context.Noise.Normal("start", 0L, [| int64 count; 3L |], torch.float64) * 0.7
        let orbits = play metric penalties order start
        context.Keep("orbits", [ for i, penalty in List.indexed penalties -> penaltyName penalty, keep (orbits i) ])
        [
            for i, penalty in List.indexed penalties do
                for name, value in measure { Metric = metric; Penalty = penalty } order (orbits i) do
                    valueName penalty name, value
        ]
    let configuration = [
        "metric", metricName metric
        "penalties", penalties |> List.map penaltyName |> String.concat ", "
        "order", orderName order
        "rate", inv eta
        "average", inv decay
        "iterations", string iterations
        "initialisations", string count
    ]
    plan.Measure($"ift3.{orderName order}.{(metricName metric).ToLowerInvariant()}", configuration, 1L, None, play)

/// A measured quantity of one game.
let value (results: Results) order (game: Game) (name: string) : float =
    results.Value (valueName game.Penalty name) (request results.Plan order game.Metric)

/// (theta, psi0) of one kept initialisation of a game, by iteration.
let orbit (results: Results) order (game: Game) (index: int) : (float * float)[] =
    use all = results.Tensor "orbits" (penaltyName game.Penalty) (request results.Plan order game.Metric)
    all.select(1L, int64 index).contiguous().data<float>().ToArray()
    |> Array.chunkBySize 3
    |> Array.map (fun state -> state[0], state[1])

/// theta as averaged, by iteration.
let averagedTheta (orbit: (float * float)[]) : float[] = orbit |> Array.map fst |> averaged
