/// hw5.4 and hw5.5: learned priors on the UCI digits: tables, sweeps, latent spaces, samples, pseudo-inputs, cost.
/// Run them: `./reproduce --only hw5.4,hw5.5`.
module Research.Experiments.Hw.DigitsPriorReport

open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits
open Research.Experiments.Hw.DigitsPriors

/// MoG with one component and the standard prior differ by optimisation alone: expected within this (stated before).
let private close = 1.0

let private measured (results: Results) metric latent choice =
    trainings results.Plan latent choice |> Metric.each results metric

let private mean results metric latent choice = Seeds.mean (measured results metric latent choice)

/// Test -ELBO less that of the standard prior, seed by seed, over the seeds that both have.
let private difference results latent choice =
    let ours, standard = measured results bound latent choice, measured results bound latent standard
    List.map2 (-) ours (List.truncate ours.Length standard)

/// The test -ELBO over the seeds that all numbers of components have, so that none is better by its seeds alone.
let private comparable (results: Results) latent choice =
    measured results bound latent choice |> List.truncate results.Plan.Seeds.Length

/// A step's time with this prior over that with the standard one.
let private relativeCost (results: Results) choice =
    let time choice = results.Value choice.Id (cost results.Plan)
    time choice / time standard

let private table (results: Results) latent =
    let measured = Column.metric results (trainings results.Plan latent)
    let difference = difference results latent

    choices results.Plan.Profile
    |> Table.over
        $"hw5.4.table{latent}"
        $"Digits, $L={latent}$: test images under each prior (nats per image; likelihood by importance sampling with $K={importanceSamples results.Plan.Profile}$), the difference of $-$ELBO to the standard prior seed by seed, and the divergence of the aggregated posterior of the training images from the prior."
        [
            Column.text "Prior" _.Family
            Column.right "K" (fun choice -> Text choice.Components)
            measured reconstruction
            measured kl
            measured bound
            Column.right "Difference" (fun choice ->
                if choice = standard then Text "0" else Seeds.cell 2 (difference choice))
            measured surprise
            measured marginal
        ]

let private sweepFigure (results: Results) =
    let sweep = sweep results.Plan.Profile
    let panel latent =
        let curve name make = name, [ for k in sweep -> float k, comparable results latent (make k) ]
        let curves = [ curve "mixture" mixtureOf; curve "VampPrior" vampOf ]
        let standard = Seeds.mean (comparable results latent standard)
        // The dotted line of the standard prior must be in view.
        let all = standard :: (curves |> List.collect (snd >> List.map (snd >> Seeds.mean)))
        let y = Axis.linear "test $-$ELBO (nats)" |> Axis.between (List.min all - 0.5) (List.max all + 0.5)
        Panel.axes $"$L={latent}$" (Axis.log "components $K$") y [
            for name, points in curves do
                Seeds.line name points
            Level("standard", standard)
        ]
    dimensions
    |> List.map panel
    |> Figure.grid
        "hw5.4.sweep"
        "Digits: test $-$ELBO against the number of components or pseudo-inputs, with one standard error where there are several seeds; dotted, the standard prior."
        dimensions.Length

/// The priors' densities, then the aggregated posteriors', four to a row, and samples under each prior; `maps` and `draws` end
/// the captions.
let private pictures row maps draws (results: Results) (chosen: Choice list) =
    let panel name title choice =
        let run = map results.Plan (trainings results.Plan 2 choice).Head
        let half, values = results.Value "half" run, results.Numbers "map" name run
        let map = Pictures.map -half half (int (sqrt (float values.Length))) values
        Panel.axes $"{choice.Family}: {title}" (Axis.linear "") (Axis.linear "") [ Density map ]
        |> Panel.withLegend NoLegend
    let first, second = if chosen.Length = 4 then "above", "below" else "left", "right"
    [
        List.map (panel "prior" "$p(z)$") chosen @ List.map (panel "aggregated" "$q(z)$") chosen
        |> Figure.grid
            $"{row}.latent"
            $"Digits, $L=2$: density over $(z_1,z_2)$ of the prior ({first}) and of the aggregated posterior of the training images ({second}){maps}"
            4
        [
            for latent in dimensions do
                for choice in chosen ->
                    let first = (trainings results.Plan latent choice).Head
                    $"{choice.Family}, {latent}", picturesOf results "samples" 16 first
        ]
        |> Pictures.rows $"{row}.samples" $"Digits: the decoder's mean at draws from {draws}"
    ]

let private pseudoInputs (results: Results) =
    let pictures kind latent = picturesOf results kind usual (trainings results.Plan latent (vampOf usual)).Head
    [
        for latent in dimensions do
            $"inputs, $L={latent}$", pictures "pseudo-inputs" latent
            "decoded", pictures "pseudo-inputs decoded" latent
    ]
    |> Pictures.rows
        "hw5.4.pseudo"
        "Digits: the learned pseudo-inputs of a VampPrior, cut to the range of the pixels, and under each the decoder's mean at the mean of its encoding (first seed)."

let private costFigure (results: Results) =
    let time choice = results.Value choice.Id (cost results.Plan)
    let spread choice = results.Value $"{choice.Id}.spread" (cost results.Plan)
    let curve name make =
        let points = [| for k in timedComponents -> float k, time (make k) |]
        Line(name, points, Some [| for k in timedComponents -> spread (make k) |])
    Panel.axes "" (Axis.log "components $K$") (Axis.linear "milliseconds a step") [
        curve "mixture" mixtureOf
        curve "VampPrior" vampOf
        Level("standard", time standard)
    ]
    |> Panel.withLegend NorthWest
    |> Figure.single
        "hw5.4.cost"
        "Digits: median time of a training step by tensor operators on a batch of $64$, $L=16$, in rounds through all priors, against the number of components; the band is half the distance between the quartiles of the rounds."

/// For each family and dimension: which number of components is best, and how far the best is below the worst.
let private tuning (results: Results) : Value list = [
    for name, make in [ "mog", mixtureOf; "vamp", vampOf ] do
        for latent in dimensions do
            let bounds = [ for k in sweep results.Plan.Profile -> k, Seeds.mean (comparable results latent (make k)) ]
            let best, least = List.minBy snd bounds
            Value.integer $"hw5.4.{name}.best{latent}" best
            Value.number $"hw5.4.{name}.range{latent}" 2 ((bounds |> List.map snd |> List.max) - least)
]

let private report4 (results: Results) : Section =
    let mixtures = [ standard; mixtureOf usual; vampOf usual; topographic ]
    let fitted = [ vampOf usual; realNvp ]
    let learned = choices results.Plan.Profile |> List.except [ standard ]
    let marginal latent choice = mean results marginal latent choice
    let bound latent choice = mean results bound latent choice
    let gain latent = bound latent standard - (learned |> List.map (bound latent) |> List.min)

    {
        Section.empty "hw5.4" (origin results.Plan) with
            Figures = [
                sweepFigure results
                yield!
                    pictures
                        "hw5.4"
                        "; each map has its own scale (first seed, 16 components)."
                        "each prior, with 2 and with 16 latents (first seed, 16 components)."
                        results
                        mixtures
                pseudoInputs results
                costFigure results
            ]
            Tables = [ yield! dimensions |> List.map (table results); DigitsTraps.table results ]
            Values = [
                Seeds.value "hw5.4.single2" 2 (difference results 2 (vampOf 1))
                Seeds.value "hw5.4.vamp2" 2 (difference results 2 (vampOf usual))
                Seeds.value "hw5.4.mog2" 2 (difference results 2 (mixtureOf usual))
                Seeds.value "hw5.4.vamp16" 2 (difference results 16 (vampOf usual))
                Seeds.value "hw5.4.mog16" 2 (difference results 16 (mixtureOf usual))
                Value.number "hw5.4.constant16" 1 (DigitsTraps.constant 16)
                Seeds.value "hw5.4.standard2" 2 (measured results Digits.bound 2 standard)
                Seeds.value "hw5.4.standard16" 2 (measured results Digits.bound 16 standard)
                Value.number "hw5.4.marginal2" 2 (marginal 2 standard)
                Value.number "hw5.4.marginal16" 2 (marginal 16 standard)
                Value.number "hw5.4.cost.mog" 2 (relativeCost results (mixtureOf 256))
                Value.number "hw5.4.cost.vamp" 2 (relativeCost results (vampOf 256))
                yield! tuning results
            ]
            Claims = [
                for latent in dimensions ->
                    Claim.that
                        "HW Q5"
                        $"hw5.4.mog1.l{latent}"
                        $"digits, $L={latent}$: test $-$ELBO, one-component mixture less standard prior"
                    |> Claim.expecting 0.0
                    |> Claim.judgedBy (Within(close, 0.0)) (difference results latent (mixtureOf 1))
                    |> Claim.noting "in theory equal but for optimisation"
            ]
            Guards = [
                Guard.that
                    "hw5.4.surcharge"
                    "in both dimensions the best prior gains at most what the standard one pays, KL(q(z)||p), and half a nat"
                |> Guard.holds (dimensions |> List.forall (fun latent -> gain latent <= marginal latent standard + 0.5))
                |> Guard.found [ "gains", List.map gain dimensions ]
                Guard.that
                    "hw5.4.fits"
                    "in both dimensions VampPrior (16) and flow prior are nearer to the aggregated posterior than the standard one"
                |> Guard.holds (
                    List.allPairs dimensions fitted
                    |> List.forall (fun (latent, choice) -> marginal latent choice < marginal latent standard)
                )
                |> Guard.found [
                    for choice in standard :: fitted -> choice.Family, [ for l in dimensions -> marginal l choice ]
                ]
            ]
    }

let private report5 (results: Results) : Section =
    let marginal choice = [ for latent in dimensions -> mean results marginal latent choice ]

    {
        Section.empty "hw5.5" (origin results.Plan) with
            Figures =
                pictures
                    "hw5.5"
                    ", for the standard and for the flow prior; each map has its own scale (first seed)."
                    "the flow prior and from the standard one, with 2 and with 16 latents (first seed)."
                    results
                    [ standard; realNvp ]
            Values = [
                Seeds.value "hw5.5.flow2" 2 (difference results 2 realNvp)
                Seeds.value "hw5.5.flow16" 2 (difference results 16 realNvp)
                Value.number "hw5.5.marginal2" 2 (mean results Digits.marginal 2 realNvp)
                Value.number "hw5.5.marginal16" 2 (mean results Digits.marginal 16 realNvp)
                Value.number "hw5.5.cost" 2 (relativeCost results realNvp)
            ]
            Guards = [
                Guard.that
                    "hw5.5.fits"
                    "in both dimensions the flow prior is nearer to the aggregated posterior than the standard one"
                |> Guard.pairs (<) ("flow", marginal realNvp) ("standard", marginal standard)
            ]
    }

let private sampler choice = VaeTraining.sampler (fun plan -> (trainings plan Digits.latent choice).Head)

let experiments: Experiment list = [
    let runs4 plan = runs plan @ List.collect (DigitsTraps.runs plan) dimensions
    Experiment.sampled "hw5.4" runs4 report4 (sampler (vampOf usual))
    Experiment.sampled "hw5.5" runs report5 (sampler realNvp)
]
