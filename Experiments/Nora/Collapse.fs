/// nora4: how much of the latent space has collapsed, for several beta on the digits: the proportion of collapsed
/// dimensions against the threshold, and the bound on mutual information. Run it: `./reproduce --only nora4`.
module Research.Experiments.Nora.Collapse

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Hw

/// A dimension may exceed the threshold on this share of the images and still count as collapsed.
let private delta = 0.01

/// The threshold of the table, in nats.
let private threshold = 0.01

/// Thresholds of the figure.
let private thresholds = [| for i in 0..80 -> 10.0 ** (-5.0 + float i / 10.0) |]

/// Values `rate`, the bound on the information; `information` and `limit` = log N; `active`, the units whose mean moves;
/// and tensor `kl` `[N,L]`, the divergence of each dimension on each training image.
let private request (plan: Plan) (trained: Trained) : RunRequest =
    VaeTraining.measure plan $"nora4.of.{trained.Name}" [] trained (fun context built ->
        let model = built.Model()
        let q = (model.Encode(plan.Train Digits.set)).Base
        let perDimension = klStandardPerDimension q
        let parts = Evaluation.surgery model q context.Noise
        context.Keep("divergence", [ "kl", perDimension ])
        [
            "rate", (mutualInformationBound (sumLast perDimension)).ToDouble()
            "information", parts.MutualInformation
            "limit", parts.Limit
            "active", float (activeUnits 0.01 q.Mu)
        ])

/// The models of hw5.2, smallest beta first.
let private models (plan: Plan) : (float * Trained list) list = [
    for beta in DigitsBeta.betas plan.Profile -> beta, DigitsBeta.trainings plan beta
]

/// The palette tells seven curves apart: profile paper has a weight more.
let private notDrawn = 0.25

let private runs (plan: Plan) = models plan |> List.collect (snd >> VaeTraining.withEach (request plan))

let private measured (plan: Plan) = [ for beta, trained in models plan -> beta, List.map (request plan) trained ]

let private information = Metric.value "Information" "nats" 3 "information"
let private rate = Metric.value "Rate" "nats" 3 "rate"
let private limit = Metric.value "$\\log N$" "nats" 3 "limit"
let private active = Metric.value "Active units" "" 1 "active"

let private proportion epsilon =
    Metric.create "Collapsed" "" 3 (fun results run ->
        use kl = results.Tensor "divergence" "kl" run
        collapsedProportion epsilon delta kl)

let private collapsed = { Metric.times 100.0 (proportion threshold) with Title = "Collapsed (%)"; Decimals = 0 }

/// The least threshold at which half of the dimensions have collapsed, one a seed.
let private halfway (results: Results) (runs: RunRequest list) : float list = [
    for run in runs ->
        use kl = results.Tensor "divergence" "kl" run
        let reached epsilon = collapsedProportion epsilon delta kl >= 0.5
        // Bisection of the exponent, to a thousandth.
        let rec between low high =
            if high - low < 1e-3 then
                10.0 ** high
            else
                let middle = 0.5 * (low + high)
                if reached (10.0 ** middle) then between low middle else between middle high
        between -12.0 6.0
]

let private figure (results: Results) =
    let y = Axis.linear "proportion of dimensions" |> Axis.between -0.02 1.02
    let left =
        if List.contains notDrawn (DigitsBeta.betas results.Plan.Profile) then
            $" but {inv notDrawn}"
        else
            ""
    Panel.axes "" (Axis.log "threshold $\\varepsilon$ (nats)") y [
        for beta, runs in measured results.Plan do
            if beta <> notDrawn then
                let points = [| for e in thresholds -> e, Metric.mean results (proportion e) runs |]
                Line($"$\\beta={inv beta}$", points, None)
    ]
    |> Panel.withLegend Below
    |> Figure.single
        "nora4.collapse"
        $"Digits, $L={Digits.latent}$: the proportion of latent dimensions collapsed at $(\\varepsilon, 0.01)$, those whose divergence from the prior is under $\\varepsilon$ on at least 99 of 100 training images, against $\\varepsilon$, for the models of each $\\beta${left}{meanOver (results.Plan.SeedsOn Digits.set)}."

let private table (results: Results) =
    measured results.Plan
    |> Table.over
        "nora4.table"
        $"Digits, training images: the information of code and image, its two bounds (nats), the share of collapsed dimensions at $\\varepsilon=\\delta=0.01$, the $\\varepsilon$ at which half of them have collapsed, and the number of active units of {Digits.latent}."
        [
            Column.text "$\\beta$" (fst >> inv)
            Column.metric results snd information
            Column.metric results snd rate
            Column.number limit.Title 3 (fun (_, runs) -> limit.Read results runs.Head)
            Column.metric results snd collapsed
            Column.text "$\\varepsilon$ at one half, by seed" (fun (_, runs) ->
                String.concat ", " [ for half in halfway results runs -> $"${Markup.readable 2 half}$" ])
            Column.metric results snd active
        ]

let private report (results: Results) : Section =
    let models = measured results.Plan
    let of' metric beta = models |> List.find (fst >> (=) beta) |> snd |> Metric.each results metric
    let collapsedAt = [ for _, runs in models -> Metric.mean results (proportion threshold) runs ]
    // How far the information is under the smaller of its two bounds, for each model.
    let least =
        Metric.create "slack" "nats" 3 (fun results run ->
            min (rate.Read results run) (limit.Read results run) - information.Read results run)
    let slack = models |> List.collect (snd >> Metric.each results least)
    let halves = [ for beta, runs in models -> beta, Seeds.mean (halfway results runs) ]
    let half beta = halves |> List.find (fst >> (=) beta) |> snd

    {
        Section.empty "nora4" (Digits.origin results.Plan) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                Value.number "nora4.plain" 0 (Seeds.mean (of' collapsed 1.0))
                Value.scientific "nora4.half0" 2 (half 0.0)
                Value.scientific "nora4.half1" 2 (half 1.0)
                Value.scientific "nora4.half10" 2 (half 10.0)
                Seeds.value "nora4.rate" 2 (of' rate 1.0)
                Seeds.value "nora4.information" 2 (of' information 1.0)
            ]
            Guards = [
                Guard.that
                    "nora4.bound"
                    "the information is at most 0.05 nats above the smaller of rate and log N, for every beta and seed"
                |> Guard.every (fun s -> s >= -0.05) "slack" slack
                Guard.that
                    "nora4.saturates"
                    "at beta = 0 the rate exceeds 100 nats and the information is at least 95 % of log N, for every seed"
                |> Guard.holds (
                    of' rate 0.0 |> List.forall (fun r -> r > 100.0)
                    && List.forall2 (fun i limit -> i >= 0.95 * limit) (of' information 0.0) (of' limit 0.0)
                )
                |> Guard.found [ "rate", of' rate 0.0; "information", of' information 0.0 ]
                Guard.that
                    "nora4.order"
                    "the share of collapsed dimensions never falls from one beta to the next larger one"
                |> Guard.ordered (<=) "shares" collapsedAt
                Guard.that
                    "nora4.earlier"
                    "the threshold at which half has collapsed does not grow from one beta to the next larger one"
                |> Guard.ordered (>=) "thresholds" (List.map snd halves)
                Guard.that "nora4.all" "at beta = 10 every dimension has collapsed, for every seed"
                |> Guard.every (fun p -> p = 1.0) "shares" (of' (proportion threshold) 10.0)
            ]
    }

let experiment = Experiment.row "nora4" runs report
