/// ift3: the twenty Dirac-GANs (two metrics, five penalties, averaging off and on), their orbits, and their outcomes,
/// periods and rates beside the linear theory's. Run it: `./reproduce --only ift3`.
module Research.Experiments.Ift.DiracGan

open System
open Research.Core
open Research.Report
open Research.Experiments
open Research.Experiments.Ift.DiracTheory

/// A game with what was measured from all initialisations; medians over them where a name says nothing else.
type private Played = {
    Game: Game
    Order: UpdateOrder
    Value: string -> float
} with

    member this.Spectrum = spectrum this.Order this.Game
    member this.Predicted = predicted this.Order this.Game
    /// Initialisations by outcome.
    member this.Count kind = int (this.Value(outcomeText kind))

let private played (results: Results) order : Played list = [
    for game in games -> { Game = game; Order = order; Value = DiracRuns.value results order game }
]

let private measuredOutcome (p: Played) =
    [ Converges; Cycles; Diverges ]
    |> List.filter (fun kind -> p.Count kind > 0)
    |> List.map (fun kind -> $"{outcomeText kind} ({p.Count kind})")
    |> String.concat ", "

/// Every `stride`-th point, so that TeX draws smooth turns.
let private every (stride: int) (path: (float * float)[]) = [| for n in 0..stride .. path.Length - 1 -> path[n] |]

/// Iterations of a turn, in whole ones.
let private turnOf metric = int (ceil (period Alternating { Metric = metric; Penalty = NoPenalty }))

let private distance (theta: float, psi0: float) = sqrt (theta * theta + psi0 * psi0)

/// So many turns of a path are all drawn.
let private few = 25

/// A path up to where it is a speck at the solution.
let private untilSpeck (path: (float * float)[]) =
    let least = 0.01 * (path |> Array.map distance |> Array.max)
    path[.. Array.findIndexBack (fun at -> distance at >= least) path]

/// The first turns of such a path, connected.
let private onItsWay metric name path : Series =
    let turn = turnOf metric
    Trail(name, untilSpeck path |> Array.truncate (few * turn) |> every (turn / 60))

/// Such a path: all of its turns if they are few, else about ten of them, evenly, thin so that they do not fill the plane.
let private turnsOf metric name (path: (float * float)[]) : Series list =
    let turn = turnOf metric
    let turns = untilSpeck path |> Array.chunkBySize turn
    [
        for i in 0 .. (if turns.Length <= few then 1 else turns.Length / 10) .. turns.Length - 1 ->
            // Up to the next one's first point, which closes it.
            let next = turns |> Array.tryItem (i + 1) |> Option.map (Array.truncate 1) |> Option.defaultValue [||]
            Trail(name, every (turn / 60) (Array.append turns[i] next))
    ]

/// How far the comparison with simultaneous updates is drawn.
let private farthest = 20.0

/// What becomes of a path: its last 500 iterations.
let private ending (stride: int) (path: (float * float)[]) = every stride path[path.Length - 500 ..]

let private ofMetric metric = games |> List.filter (fun g -> g.Metric = metric)

/// Whether a curve is more than a speck: what a game leaves that has converged is less.
let private isSeen (farthest: float) series =
    match series with
    | Scatter _ -> true
    | _ ->
        let shown = Series.shown series
        let extent coordinate =
            let values = Array.map coordinate shown
            Array.max values - Array.min values
        max (extent fst) (extent snd) > farthest / 50.0

/// The plane of generator and critic around the solution, a unit as long on both axes.
let private plane title horizontal series : Panel =
    let reach = Series.reach series
    List.filter (isSeen reach) series |> Panel.around reach title horizontal "$\\psi_0$"

/// About thirty points a turn.
let private strideOf metric = turnOf metric / 30

let private start i = $"start {i + 1}"

/// One meaning of a colour in all figures of the games.
let private names =
    [ for i in 0 .. DiracRuns.kept - 1 -> start i ] @ [ "averaged, on its way"; "averaged, at the end" ]

let private planes metric kind columns caption panels : Figure =
    Figure.grid
        $"ift3.{(metricName metric).ToLowerInvariant()}-{kind}"
        $"Dirac-GAN with the {metricName metric} metric: {caption}"
        columns
        panels
    |> Figure.naming names

/// The number of the source's figure before the penalty.
let private title game averaged = $"({sourceFigure game averaged}) {penaltyName game.Penalty}"

let private phaseFigure results metric : Figure =
    let stride = strideOf metric
    let idle = { Metric = metric; Penalty = NoPenalty }

    [
        for game in ofMetric metric do
            plane (title game false) "$\\theta$" [
                yield! turnsOf metric (start 0) (DiracRuns.orbit results Alternating game 0)
                for i in 0 .. DiracRuns.kept - 1 do
                    Line(start i, ending stride (DiracRuns.orbit results Alternating game i), None)
            ]
        plane "none, simultaneous" "$\\theta$" [
            DiracRuns.orbit results Simultaneous idle 0
            |> Array.takeWhile (fun at -> distance at < farthest)
            |> fun path -> Trail(start 0, every stride path)
        ]
    ]
    |> planes
        metric
        "phase"
        3
        $"one orbit until it is within a hundredth of its largest radius or {DiracRuns.iterations} iterations are over (thin; of more than {few} turns about ten, evenly), and the last 500 iterations from three initialisations (thick, a colour and a dash each), without averaging. Where a game converges they shrink to the origin, and what is smaller than a point is not drawn; on a common cycle they cover each other. The last panel shows, for comparison, the whole orbit, up to a radius of {inv farthest}, when both players move on the old state."

let private averageFigure results metric : Figure =
    let stride = strideOf metric
    let averaged orbit = Array.zip (DiracRuns.averagedTheta orbit) (Array.map snd orbit)

    [
        for game in ofMetric metric do
            let played = DiracRuns.orbit results Alternating game 0
            plane (title game true) "$\\theta$, $\\bar\\theta$" [
                Trail(start 0, ending stride played)
                onItsWay metric "averaged, on its way" (averaged played)
                Line("averaged, at the end", ending stride (averaged played), None)
                Scatter("", [| Array.last (averaged played) |])
            ]
    ]
    |> planes
        metric
        "average"
        4
        $"the averaged $\\bar\\theta$, weight {inv decay} on the past, in the place of $\\theta$, from the first initialisation: on its way (its first {few} turns, or up to where it is a speck), the last 500 iterations (thick, of another colour) with a point for the last of them, and the game itself over these (thin, blue). What is smaller than a point is not drawn."

/// What becomes of all games over the whole of the training: their radius above, the averaged generator below.
let private timeFigure results : Figure =
    let radius _ = Array.map distance

    /// The largest of the turn that ends here: the average passes through zero twice in each.
    let envelope game orbit =
        let turn = turnOf game.Metric
        let values = DiracRuns.averagedTheta orbit |> Array.map abs
        values |> Array.mapi (fun n _ -> Array.max values[max 0 (n - turn) .. n])

    let panel metric legend title label (quantity: Game -> (float * float)[] -> float[]) =
        Panel.axes title (Axis.linear "iteration") (Axis.log label |> Axis.between 1e-9 10.0) [
            for game in ofMetric metric do
                let values = quantity game (DiracRuns.orbit results Alternating game 0)
                Line(penaltyName game.Penalty, values |> Array.mapi (fun n v -> float n, v), None)
        ]
        |> Panel.withLegend legend

    Figure.grid
        "ift3.time"
        "The twenty Dirac-GANs over all iterations, first initialisation: above the radius $r=\\sqrt{\\theta^2+\\psi_0^2}$ of the game, below the largest $\\abs{\\bar\\theta}$ of the averaged generator during the last turn."
        2
        [
            panel Jsd Below "JSD" "$r$" radius
            panel W1 Below "W1" "$r$" radius
            panel Jsd NoLegend "JSD, averaged" "largest average" envelope
            panel W1 NoLegend "W1, averaged" "largest average" envelope
        ]

let private outcomes (all: Played list) count : Table =
    List.allPairs [ false; true ] all
    |> List.map (fun (averaged, p) -> p, averaged)
    |> Table.over
        "ift3.outcomes"
        $"The twenty Dirac-GANs under alternating updates, by the source's figures: the theory's word, and what {count} initialisations did (their number in brackets), by the criterion stated with the theory; the largest $\\abs{{\\theta}}$ or averaged $\\abs{{\\bar\\theta}}$ of the last 500 iterations, median."
        [
            Column.right "Figure" (fun (p, averaged) -> Text(string (sourceFigure p.Game averaged)))
            Column.text "Metric" (fun (p, _) -> metricName p.Game.Metric)
            Column.text "Penalty" (fun (p, _) -> penaltyName p.Game.Penalty)
            Column.text "EMA" (fun (_, averaged) -> if averaged then inv decay else "off")
            Column.text "Predicted" (fun (p, _) -> outcomeText p.Predicted)
            Column.text "Measured" (fun (p, _) -> measuredOutcome p)
            Column.scientific "Last $\\abs{\\theta}$" 2 (fun (p, averaged) ->
                p.Value(if averaged then "ripple" else "amplitude"))
        ]
    |> Table.withNote "Averaging does not enter the game, so a game's outcome stands in both of its rows."

let private turns (p: Played) = 2.0 * Math.PI / p.Spectrum.Angle

let private rates (all: Played list) : Table =
    /// The theory's and the measured number of the games that have one.
    let pair header decimals defined theory name =
        let reason =
            "with GP the map has no linear part at the solution, without it no amplitude of its own, and what converges has none to average"
        let column header (value: Played -> float) =
            let cell p = Number(value p, decimals)
            Column.right header (fun p -> if defined p then cell p else Missing reason)
        [ column header theory; column "measured" (fun p -> p.Value name) ]
    let cycles p = (cycleAmplitude p.Game).IsSome

    all
    |> Table.over
        "ift3.rates"
        "Alternating updates, predicted and measured (medians): modulus of the eigenvalues an iteration, period in iterations, amplitude of the limit cycle in $\\theta$, and what averaging leaves of it."
        [
            Column.text "Game" (fun p -> name p.Game)
            yield! pair "$\\abs\\lambda$" 5 (cycles >> not) _.Spectrum.Modulus "rate"
            yield! pair "Period" 1 (fun _ -> true) turns "period"
            yield! pair "Amplitude" 3 cycles (fun p -> (cycleAmplitude p.Game).Value) "amplitude"
            yield! pair "$\\abs H$" 3 (fun p -> p.Predicted <> Converges) (fun p -> averagingGain p.Game) "gain"
        ]

let private simultaneous (all: Played list) : Table =
    all
    |> Table.over
        "ift3.simultaneous"
        "The same games under simultaneous updates: modulus of the eigenvalues, predicted and measured outcome, and the largest radius of the last 500 iterations, median."
        [
            Column.text "Game" (fun p -> name p.Game)
            Column.right "$\\abs\\lambda$" (fun p ->
                if (cycleAmplitude p.Game).IsSome then
                    Missing "with GP the map has no linear part at the solution"
                else
                    Number(p.Spectrum.Modulus, 5))
            Column.text "Predicted" (fun p -> outcomeText p.Predicted)
            Column.text "Measured" measuredOutcome
            Column.scientific "Last $r$" 2 (fun p -> p.Value "last")
        ]

/// Relative difference of a measured value from the theory's.
let private off measured theory = abs (measured / theory - 1.0)

/// The largest amplitude of a limit cycle over the smallest, of all initialisations.
let private spread (p: Played) = p.Value "amplitude.most" / p.Value "amplitude.least"

let private hasCycle (p: Played) = (cycleAmplitude p.Game).IsSome

let private guards count (all: Played list) (sideBySide: Played list) =
    let linear = all |> List.filter (fun p -> p.Game.Metric = W1 && (cycleAmplitude p.Game).IsNone)
    let r1 = all |> List.filter (fun p -> p.Predicted = Converges)
    let jsd = all |> List.filter (fun p -> p.Game.Metric = Jsd)
    let penalised = List.filter hasCycle all
    let idle = all |> List.find (fun p -> p.Game = { Metric = W1; Penalty = NoPenalty })
    let rate (p: Played) = off (p.Value "rate") p.Spectrum.Modulus
    let turn (p: Played) = off (p.Value "period") (turns p)
    let amplitude (p: Played) = off (p.Value "amplitude") (cycleAmplitude p.Game).Value
    let gain = off (idle.Value "gain") (averagingGain idle.Game)
    let weak = sideBySide |> List.filter (fun p -> p.Game.Metric = W1 && coefficient p.Game.Penalty <= 0.01)
    let each f (games: Played list) = [ for p in games -> name p.Game, [ f p ] ]

    [
        Guard.that "ift3.agree" "every initialisation of every alternating game ends as predicted"
        |> Guard.all ((=) (float count)) (all |> each (fun p -> float (p.Count p.Predicted)))
        Guard.that "ift3.rates" "measured decay rates with R1 agree with the predicted modulus within 0.01 %"
        |> Guard.all (fun off -> off < 1e-4) (each rate r1)
        Guard.that "ift3.periods" "the median periods of W1 without penalty and with R1 agree with theory within 1 %"
        |> Guard.all (fun off -> off < 0.01) (each turn linear)
        Guard.that "ift3.jsd-periods" "the median periods of JSD are within 10 % of the linear theory's"
        |> Guard.all (fun off -> off < 0.1) (each turn jsd)
        Guard.that "ift3.ellipse" "W1 without penalty keeps its quadratic form within 1e-9 in every orbit"
        |> Guard.every (fun drift -> drift < 1e-9) "drift" [ idle.Value "drift" ]
        Guard.that
            "ift3.cycle"
            "the amplitude of GP's limit cycle is within 10 % of theory and differs by at most 10 % between initialisations"
        |> Guard.holds (penalised |> List.forall (fun p -> amplitude p < 0.1 && spread p < 1.1))
        |> Guard.found (each amplitude penalised @ each spread penalised)
        Guard.that
            "ift3.average"
            "for W1 without penalty averaging leaves the predicted fraction of the amplitude within 10 %"
        |> Guard.every (fun off -> off < 0.1) "off by" [ gain ]
        Guard.that
            "ift3.simultaneous"
            "under simultaneous updates W1 diverges from every initialisation without penalty, with R1 0.01 and with GP 0.01"
        |> Guard.all ((=) (float count)) (weak |> each (fun p -> float (p.Count Diverges)))
    ]

let private report (results: Results) : Section =
    let count = DiracRuns.initialisations results.Plan
    let all, sideBySide = played results Alternating, played results Simultaneous
    let value metric penalty name =
        (all |> List.find (fun p -> p.Game = { Metric = metric; Penalty = penalty })).Value name

    {
        Section.empty "ift3" (results.Plan.Origin([], 1, None)) with
            Figures = [
                for metric in metrics do
                    phaseFigure results metric
                    averageFigure results metric
                timeFigure results
            ]
            Tables = [ outcomes all count; rates all; simultaneous sideBySide ]
            Values = [
                Value.integer "ift3.initialisations" count
                Value.number "ift3.slow" 5 (value Jsd (R1 0.01) "rate")
                Value.number "ift3.fast" 5 (value Jsd (R1 0.1) "rate")
                Value.number "ift3.cycle-low" 2 (value W1 (Gp 0.01) "amplitude")
                Value.number "ift3.cycle-high" 2 (value Jsd (Gp 0.1) "amplitude")
                Value.number "ift3.gain" 3 (value W1 NoPenalty "gain")
                Value.scientific "ift3.drift" 1 (value W1 NoPenalty "drift")
                let widest = all |> List.filter hasCycle |> List.map spread |> List.max
                Value.scientific "ift3.cycle-spread" 1 (widest - 1.0)
                let slower (p: Played) = 100.0 * (p.Value "period" / turns p - 1.0)
                Value.number
                    "ift3.jsd-slower"
                    1
                    (all |> List.filter (fun p -> p.Game.Metric = Jsd) |> List.map slower |> List.max)
            ]
            Guards = guards count all sideBySide
    }

let private runs (plan: Plan) = [
    for order in [ Alternating; Simultaneous ] do
        for metric in metrics -> DiracRuns.request plan order metric
]

let experiment = Experiment.row "ift3" runs report
