/// What hw5.4 and hw5.5 show of learned priors on the UCI digits: quantities of each prior, tables, sweeps, latent spaces,
/// samples, pseudo-inputs, cost.
module Research.Experiments.Hw.DigitsPriorFigures

open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits
open Research.Experiments.Hw.DigitsPriors

let measured (results: Results) metric latent choice =
    trainings results.Plan latent choice |> Metric.each results metric

let mean results metric latent choice = Seeds.mean (measured results metric latent choice)

/// A quantity less that under the standard prior, seed by seed, over the seeds that both have.
let differenceOf metric results latent choice =
    let ours, standard = measured results metric latent choice, measured results metric latent standard
    List.map2 (-) ours (List.truncate ours.Length standard)

/// The test -ELBO's.
let difference results latent choice = differenceOf bound results latent choice

/// A family's values by the number of components, of the seeds that all numbers have, and of those that some have beside.
let private bySweep (results: Results) metric latent make : (int * (float list * float list)) list =
    let measured = [ for k in sweep results.Plan.Profile -> k, measured results metric latent (make k) ]
    let common = measured |> List.map (snd >> List.length) |> List.min
    [ for k, values in measured -> k, List.splitAt common values ]

/// The mean over the seeds that all numbers of components have, which alone compare them.
let ofSweep (results: Results) metric latent make : (int * float) list = [
    for k, (common, _) in bySweep results metric latent make -> k, Seeds.mean common
]

/// How far the test -ELBOs of the seeds of one prior are apart at most: a difference between priors of that size says
/// nothing.
let seedsApart (results: Results) latent =
    choices results.Plan.Profile
    |> List.map (fun choice ->
        let bounds = measured results bound latent choice
        List.max bounds - List.min bounds)
    |> List.max

/// A step's time with this prior over that with the standard one.
let relativeCost (results: Results) choice =
    let time choice = results.Value choice.Id (cost results.Plan)
    time choice / time standard

/// Which numbers of components are worse than the best of their family by more than the seeds of one prior are apart.
let effects (results: Results) latent : string =
    let apart = seedsApart results latent

    let found = [
        for title, make in [ "mixture", mixtureOf; "VampPrior", vampOf ] do
            let bounds = ofSweep results bound latent make
            let best, least = List.minBy snd bounds

            for k, nats in bounds do
                if nats - least > apart then
                    $"the {title} with $K={k}$ by ${nats - least:F2}$ against $K={best}$"
    ]

    let commonly =
        if (trainings results.Plan 2 (mixtureOf 1)).Length < (trainings results.Plan 2 (mixtureOf usual)).Length then
            ", on the first seed, which all $K$ have"
        else
            ""

    let found = if found.IsEmpty then "none" else String.concat ", " found
    $"{found}{commonly}"

let table (results: Results) latent =
    let measured = Column.metric results (trainings results.Plan latent)
    let difference = difference results latent

    choices results.Plan.Profile
    |> Table.over
        $"hw5.4.table{latent}"
        $"Digits, $L={latent}$: test images under each prior (nats per image; likelihood by importance sampling with $K={importanceSamples results.Plan.Profile}$), the epoch of the model kept, one a seed, the training $-$ELBO of that epoch, the difference of the test $-$ELBO to the standard prior seed by seed, and the divergence of the aggregated posterior of the training images from the prior. A row with an error is a mean over seeds, one without comes from one seed."
        [
            Column.text "Prior" _.Family
            Column.right "K" (fun choice -> Text choice.Components)
            measured { reconstruction with Title = "Recon." }
            measured kl
            Column.right "Epoch" (fun choice ->
                [ for trained in trainings results.Plan latent choice -> string (keptEpoch results trained) ]
                |> String.concat ", "
                |> Text)
            measured { trainingBound with Title = "Training" }
            measured { bound with Title = "Test $-$ELBO" }
            Column.right "Difference" (fun choice ->
                if choice = standard then Number(0.0, 2) else Seeds.cell 2 (difference choice))
            measured surprise
            measured marginal
        ]
    |> Table.withNote (
        $"Worse test $-$ELBO than with the best $K$ of the family by more than two seeds of one prior are apart: {effects results latent}."
        + (if latent = Digits.latent then
               " " + patienceNote results "The row ``standard''"
           else
               "")
    )

let sweepFigure (results: Results) =
    let sweep = sweep results.Plan.Profile
    let panel latent =
        let families = [
            for name, make in [ "mixture", mixtureOf; "VampPrior", vampOf ] -> name, bySweep results bound latent make
        ]
        let curves = [ for name, values in families -> name, [ for k, (common, _) in values -> float k, common ] ]
        let others = [|
            for _, values in families do
                for k, (_, others) in values do
                    for nats in others -> float k, nats
        |]
        let standard = mean results bound latent standard
        // The dotted line of the standard prior must be in view.
        let all =
            standard
            :: [
                for _, values in families do
                    for _, (common, others) in values do
                        yield! common @ others
            ]
        let y = Axis.linear "test $-$ELBO (nats)" |> Axis.between (List.min all - 0.5) (List.max all + 0.5)
        Panel.axes $"$L={latent}$" (Axis.log "components $K$") y [
            for name, points in curves do
                Seeds.line name points
            if others.Length > 0 then
                Scatter("second seed", others)
            Level("standard", standard)
        ]
        |> Panel.withLegend Below
    let seeds k = (trainings results.Plan 2 (mixtureOf k)).Length
    let several = sweep |> List.filter (fun k -> seeds k > 1)
    let errors =
        if several = sweep then
            "with one standard error"
        elif several.IsEmpty then
            "one seed at each"
        else
            let named = several |> List.map string |> String.concat ", "
            $"the first seed, which all have, and the second one where there is one, at $K={named}$"
    dimensions
    |> List.map panel
    |> Figure.grid
        "hw5.4.sweep"
        $"Digits: test $-$ELBO against the number of components or pseudo-inputs, {errors}; dotted, the standard prior."
        dimensions.Length

/// The priors' densities, then the aggregated posteriors', four to a row, and samples under each prior; `maps` and `draws` say
/// in the captions what is shown.
let pictures row maps draws (results: Results) (chosen: Choice list) =
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
            $"Digits, $L=2$: density over $(z_1,z_2)$ of the prior ({first}) and of the aggregated posterior of the training images ({second}){maps}. Each prior has the square that holds its codes, since a learned one does not fix their scale, and each map its own colours{ofFirst results.Plan}."
            4
        [
            for latent in dimensions do
                for choice in chosen ->
                    let first = (trainings results.Plan latent choice).Head
                    $"{choice.Family}, {latent}", picturesOf results "samples" 16 first
        ]
        |> Pictures.rows $"{row}.samples" $"Digits: the decoder's mean at draws from {draws}"
    ]

let pseudoInputs (results: Results) =
    let pictures kind latent = picturesOf results kind usual (trainings results.Plan latent (vampOf usual)).Head
    [
        for latent in dimensions do
            $"inputs, $L={latent}$", pictures "pseudo-inputs" latent
            "decoded", pictures "pseudo-inputs decoded" latent
    ]
    |> Pictures.rows
        "hw5.4.pseudo"
        $"Digits: pseudo-inputs of a VampPrior after training, cut to the range of the pixels, and under each the decoder's mean at the mean of its encoding{ofFirst results.Plan}."

let costFigure (results: Results) =
    let time choice = results.Value choice.Id (cost results.Plan)
    let spread choice = results.Value $"{choice.Id}.spread" (cost results.Plan)
    // Side by side, so that no error hides another.
    let points name aside make =
        ErrorBars(
            name,
            [| for k in timedComponents -> aside * float k, time (make k) |],
            [| for k in timedComponents -> spread (make k) |]
        )
    let low, high = 0.8 * float timedComponents.Head, 1.25 * float (List.last timedComponents)
    Panel.axes "" (Axis.log "components $K$" |> Axis.between low high) (Axis.linear "milliseconds a step") [
        points "mixture" 0.95 mixtureOf
        points "VampPrior" (1.0 / 0.95) vampOf
        Line("standard", [| low, time standard; high, time standard |], Some(Array.create 2 (spread standard)))
    ]
    |> Panel.withLegend Below
    |> Figure.single
        "hw5.4.cost"
        "Digits: median time of a training step by tensor operators on a batch of $64$, $L=16$, in rounds through all priors, against the number of components; the bars, and the band of the standard prior, are half the distance between the quartiles of the rounds."
