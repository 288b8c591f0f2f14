/// ift3: the twenty Dirac-GANs (two metrics, five penalties, averaging off and on), their orbits, and their outcomes,
/// periods and rates beside the linear theory's. Run it: `./reproduce --only ift3`.
module Research.Experiments.Ift.DiracGan

open System
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Ift.DiracTheory

/// A game with what was measured from all initialisations; medians over them where it says nothing else.
type private Played = {
    Game: Game
    Spectrum: Spectrum
    Predicted: Outcome
    /// Initialisations by outcome.
    Count: Outcome -> int
    Value: string -> float
}

let private played (plan: Plan) (results: Results) order (game: Game) =
    let value name = results.Value name (DiracRuns.request plan order game)

    {
        Game = game
        Spectrum = spectrum order game
        Predicted = predicted order game
        Count = fun kind -> int (value (outcomeText kind))
        Value = value
    }

let private measuredOutcome (p: Played) =
    [ Converges; Cycles; Diverges ]
    |> List.filter (fun kind -> p.Count kind > 0)
    |> List.map (fun kind -> $"{outcomeText kind} ({p.Count kind})")
    |> String.concat ", "

let private agrees count (p: Played) = p.Count p.Predicted = count

/// Every `stride`-th of the first points, so that TeX draws smooth turns.
let private phase (stride: int) (orbit: (float * float * float)[]) = [|
    for n in 0..stride .. min (orbit.Length - 1) (stride * 395) do
        let theta, psi0, _ = orbit[n]
        theta, psi0
|]

/// How the palette draws the five penalties of a metric in one panel.
let private styles =
    "no penalty solid blue, R1 0.01 dashed vermillion, R1 0.1 dotted green, GP 0.01 dash-dotted purple, GP 0.1 sparsely dashed orange"

let private phaseFigure plan results metric =
    let mine = games |> List.filter (fun g -> g.Metric = metric)
    // About twenty points a turn.
    let stride = int (period Alternating mine.Head / 20.0)
    let orbit game = DiracRuns.orbit results (DiracRuns.request plan Alternating game)

    let radius game =
        let points = orbit game 0

        [|
            for n in 0..5 .. points.Length - 1 ->
                let theta, psi0, _ = points[n]
                float n, sqrt (theta * theta + psi0 * psi0)
        |]

    let panels = [
        for game in mine do
            Panel.axes (penaltyName game.Penalty) (Axis.linear "$\\theta$") (Axis.linear "$\\psi_0$") [
                for i in 0 .. DiracRuns.kept - 1 -> Line($"start {i + 1}", phase stride (orbit game i), None)
            ]
            |> Panel.withLegend NoLegend
        Panel.axes "radius, start 1" (Axis.linear "iteration") (Axis.log "$r$" |> Axis.between 1e-4 10.0) [
            for game in mine -> Line(penaltyName game.Penalty, radius game, None)
        ]
        |> Panel.withLegend NoLegend
    ]

    let key = (metricName metric).ToLowerInvariant()

    Figure.grid
        $"ift3.{key}-phase"
        $"Dirac-GAN with the {metricName metric} metric: the first {stride * 395} iterations in the plane of generator and critic, three initialisations, and the radius $r=\\sqrt{{\\theta^2+\\psi_0^2}}$ over all iterations: {styles}."
        3
        panels

let private timeFigure plan results metric =
    let mine = games |> List.filter (fun g -> g.Metric = metric)
    let orbit game = DiracRuns.orbit results (DiracRuns.request plan Alternating game) 0
    let over (values: float[]) = values |> Array.mapi (fun n v -> float n, v)

    let panels = [
        for game in mine do
            let points = orbit game

            Panel.axes (penaltyName game.Penalty) (Axis.linear "iteration") (Axis.linear "$\\theta$") [
                Line("off", over (points |> Array.map (fun (theta, _, _) -> theta)), None)
                Line("averaged", over (DiracRuns.averagedTheta points), None)
            ]
            |> Panel.withLegend NoLegend
        Panel.axes "the critic's offset" (Axis.linear "iteration") (Axis.linear "$\\psi_1$") [
            for game in mine ->
                Line(penaltyName game.Penalty, over (orbit game |> Array.map (fun (_, _, c) -> c)), None)
        ]
        |> Panel.withLegend NoLegend
    ]

    let key = (metricName metric).ToLowerInvariant()

    Figure.grid
        $"ift3.{key}-time"
        $"Dirac-GAN with the {metricName metric} metric: $\\theta$ over the iterations without averaging (blue) and averaged with weight {inv decay} on the past (dashed), and $\\psi_1$; first initialisation. In the last panel: {styles}."
        3
        panels

let private outcomes (all: Played list) count : Table = {
    Id = "ift3.outcomes"
    Caption =
        $"The twenty Dirac-GANs under alternating updates: the source's word, the theory's, and what {count} initialisations did (their number in brackets), by the criterion stated with the theory; the largest $\\abs{{\\theta}}$ or averaged $\\abs{{\\bar\\theta}}$ of the last 500 iterations, median."
    Columns = [
        Table.left "Metric"
        Table.left "Penalty"
        Table.left "EMA"
        Table.left "Source"
        Table.left "Predicted"
        Table.left "Measured"
        Table.right "Last $\\abs{\\theta}$"
    ]
    Rows = [
        for p in all do
            for ema in [ false; true ] do
                [
                    Text(metricName p.Game.Metric)
                    Text(penaltyName p.Game.Penalty)
                    Text(if ema then inv decay else "off")
                    Text(sourceWording p.Game)
                    Text(outcomeText p.Predicted)
                    Text(measuredOutcome p)
                    Scientific(p.Value(if ema then "ripple" else "amplitude"), 2)
                ]
    ]
    Note = "Averaging does not enter the game, so a game's outcome stands in both of its rows."
}

let private rates (all: Played list) : Table = {
    Id = "ift3.rates"
    Caption =
        "Alternating updates, predicted and measured (medians): modulus of the eigenvalues an iteration, period in iterations, amplitude of the limit cycle in $\\theta$, and what averaging leaves of it."
    Columns = [
        Table.left "Game"
        Table.right "$\\abs\\lambda$"
        Table.right "measured"
        Table.right "Period"
        Table.right "measured"
        Table.right "Amplitude"
        Table.right "measured"
        Table.right "$\\abs H$"
        Table.right "measured"
    ]
    Rows = [
        for p in all do
            let converging = p.Predicted = Converges

            [
                Text(name p.Game)
                match cycleAmplitude p.Game with
                | None ->
                    Number(p.Spectrum.Modulus, 5)
                    Number(p.Value "rate", 5)
                | Some _ ->
                    Missing "not defined for this game"
                    Missing "not defined for this game"
                Number(2.0 * Math.PI / p.Spectrum.Angle, 1)
                Number(p.Value "period", 1)
                match cycleAmplitude p.Game with
                | Some amplitude ->
                    Number(amplitude, 3)
                    Number(p.Value "amplitude", 3)
                | None ->
                    Missing "not defined for this game"
                    Missing "not defined for this game"
                if converging then
                    Missing "not defined for this game"
                    Missing "not defined for this game"
                else
                    Number(averagingGain p.Game, 3)
                    Number(p.Value "gain", 3)
            ]
    ]
    Note = ""
}

let private simultaneous (all: Played list) : Table = {
    Id = "ift3.simultaneous"
    Caption =
        "The same games under simultaneous updates: modulus of the eigenvalues, predicted and measured outcome, and the largest radius of the last 500 iterations, median."
    Columns = [
        Table.left "Game"
        Table.right "$\\abs\\lambda$"
        Table.left "Predicted"
        Table.left "Measured"
        Table.right "Last $r$"
    ]
    Rows = [
        for p in all ->
            [
                Text(name p.Game)
                Number(p.Spectrum.Modulus, 5)
                Text(outcomeText p.Predicted)
                Text(measuredOutcome p)
                Scientific(p.Value "last", 2)
            ]
    ]
    Note = ""
}

/// Relative difference of a measured value from the theory's.
let private off measured theory = abs (measured / theory - 1.0)

let private guards origin count (all: Played list) (sideBySide: Played list) =
    let list f (games: Played list) =
        games |> List.map (fun p -> $"{name p.Game}: {f p}") |> String.concat "; "

    let linear =
        all |> List.filter (fun p -> p.Game.Metric = W1 && (cycleAmplitude p.Game).IsNone)

    let r1 = all |> List.filter (fun p -> p.Predicted = Converges)
    let jsd = all |> List.filter (fun p -> p.Game.Metric = Jsd)
    let penalised = all |> List.filter (fun p -> (cycleAmplitude p.Game).IsSome)
    let idle = all |> List.find (fun p -> p.Game = { Metric = W1; Penalty = NoPenalty })
    let turn (p: Played) = off (p.Value "period") (2.0 * Math.PI / p.Spectrum.Angle)
    let amplitude (p: Played) = off (p.Value "amplitude") (cycleAmplitude p.Game).Value
    let spread (p: Played) = p.Value "amplitude.most" / p.Value "amplitude.least"
    let check id text holds evidence = Guard.check origin id text holds evidence

    [
        check
            "ift3.agree"
            "every initialisation of every alternating game ends as predicted"
            (all |> List.forall (agrees count))
            (list measuredOutcome all)
        check
            "ift3.rates"
            "measured decay rates with R1 agree with the predicted modulus within 0.01 %"
            (r1 |> List.forall (fun p -> off (p.Value "rate") p.Spectrum.Modulus < 1e-4))
            (list (fun p -> $"""{p.Value "rate":F6} for {p.Spectrum.Modulus:F6}""") r1)
        check
            "ift3.periods"
            "the median periods of W1 without penalty and with R1 agree with theory within 1 %"
            (linear |> List.forall (fun p -> turn p < 0.01))
            (list (fun p -> $"{turn p:E1}") linear)
        check
            "ift3.jsd-periods"
            "the median periods of JSD are within 10 % of the linear theory's"
            (jsd |> List.forall (fun p -> turn p < 0.1))
            (list (fun p -> $"{turn p:E1}") jsd)
        check
            "ift3.ellipse"
            "W1 without penalty keeps its quadratic form within 1e-9 in every orbit"
            (idle.Value "drift" < 1e-9)
            $"""{idle.Value "drift":E1}"""
        check
            "ift3.cycle"
            "the amplitude of GP's limit cycle is within 10 % of theory and differs by at most 10 % between initialisations"
            (penalised |> List.forall (fun p -> amplitude p < 0.1 && spread p < 1.1))
            (list (fun p -> $"off {amplitude p:F3}, spread {spread p:F3}") penalised)
        check
            "ift3.average"
            "for W1 without penalty averaging leaves the predicted fraction of the amplitude within 10 %"
            (off (idle.Value "gain") (averagingGain idle.Game) < 0.1)
            $"""{idle.Value "gain":F4} for {averagingGain idle.Game:F4}"""
        check
            "ift3.simultaneous"
            "under simultaneous updates W1 diverges from every initialisation without penalty, with R1 0.01 and with GP 0.01"
            (sideBySide
             |> List.filter (fun p -> p.Game.Metric = W1 && coefficient p.Game.Penalty <= 0.01)
             |> List.forall (fun p -> p.Count Diverges = count))
            (list measuredOutcome sideBySide)
    ]

let private report (plan: Plan) (results: Results) : Section =
    let count = DiracRuns.initialisations plan
    let origin = plan.Origin([], 1, None)
    let all = games |> List.map (played plan results Alternating)
    let sideBySide = games |> List.map (played plan results Simultaneous)
    let find metric penalty = all |> List.find (fun p -> p.Game = { Metric = metric; Penalty = penalty })

    {
        Row = "ift3"
        Origin = origin
        Figures = [
            for metric in [ Jsd; W1 ] do
                phaseFigure plan results metric
                timeFigure plan results metric
        ]
        Tables = [ outcomes all count; rates all; simultaneous sideBySide ]
        Values = [
            Value.integer "ift3.initialisations" count
            Value.number "ift3.slow" 5 ((find Jsd (R1 0.01)).Value "rate")
            Value.number "ift3.fast" 5 ((find Jsd (R1 0.1)).Value "rate")
            Value.number "ift3.cycle-low" 2 ((find W1 (Gp 0.01)).Value "amplitude")
            Value.number "ift3.cycle-high" 2 ((find Jsd (Gp 0.1)).Value "amplitude")
            Value.number "ift3.gain" 3 ((find W1 NoPenalty).Value "gain")
        ]
        Claims = []
        Guards = guards origin count all sideBySide
    }

let experiment: Experiment = {
    Row = "ift3"
    Title = "Twenty Dirac-GAN configurations"
    Runs =
        fun plan -> [
            for order in [ Alternating; Simultaneous ] do
                for game in games -> DiracRuns.request plan order game
        ]
    Report = report
    Sample = None
}
