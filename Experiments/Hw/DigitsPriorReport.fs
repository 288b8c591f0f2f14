/// hw5.4 and hw5.5: learned priors on the UCI digits: what the text says of them, and what it stands on.
/// Run them: `./reproduce --only hw5.4,hw5.5`.
module Research.Experiments.Hw.DigitsPriorReport

open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits
open Research.Experiments.Hw.DigitsPriors
open Research.Experiments.Hw.DigitsPriorFigures

/// MoG with one component and the standard prior differ by optimisation alone: expected within this (stated before).
let private close = 1.0

/// For each family and dimension: which number of components is best, and how far the best is below the worst.
let private tuning (results: Results) : Value list = [
    for name, make in [ "mog", mixtureOf; "vamp", vampOf ] do
        for latent in dimensions do
            let bounds = ofSweep results bound latent make
            let best, least = List.minBy snd bounds
            Value.integer $"hw5.4.{name}.best{latent}" best
            Value.number $"hw5.4.{name}.range{latent}" 2 ((bounds |> List.map snd |> List.max) - least)
]

/// A prior in words, e.g. `VampPrior of 16`.
let private named choice =
    if choice.Components = "" then
        choice.Family
    else
        $"{choice.Family} of {choice.Components}"

let private report4 (results: Results) : Section =
    let mixtures = [ standard; mixtureOf usual; vampOf usual; topographic ]
    let fitted = [ vampOf usual; realNvp ]
    let learned = choices results.Plan.Profile |> List.except [ standard ]
    let marginal latent choice = mean results marginal latent choice
    let bound latent choice = mean results bound latent choice
    /// By the differences of the tables, over the seeds that a prior and the standard one both have.
    let best latent = learned |> List.minBy (difference results latent >> Seeds.mean)
    let gain latent = -(Seeds.mean (difference results latent (best latent)))
    let most = List.last (sweep results.Plan.Profile)
    /// What the largest number of components changes against the smallest.
    let change metric latent make =
        let values = ofSweep results metric latent make
        snd (List.last values) - snd values.Head
    /// How far a prior's numbers moved with 16 latents, one a seed.
    let far choice name = trainings results.Plan 16 choice |> List.map (moved results.Plan >> results.Value name)
    let families = [ "mog", mixtureOf; "vamp", vampOf ]
    let trainingOf latent make = ofSweep results trainingBound latent make |> List.map snd
    /// How far the prior is from its own codes, by the number of components.
    let fits latent make = ofSweep results Digits.marginal latent make |> List.map snd
    let boundsOf make = ofSweep results Digits.bound 16 make |> List.map snd

    {
        Section.empty "hw5.4" (origin results.Plan) with
            Figures = [
                sweepFigure results
                yield!
                    pictures
                        "hw5.4"
                        $", {usual} components"
                        $"each prior, with 2 and with 16 latents; {usual} components{ofFirst results.Plan}."
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
                Value.integer "hw5.4.most" most
                for latent in dimensions do
                    Seeds.value $"hw5.4.best{latent}" 2 (difference results latent (best latent))
                    Value.number $"hw5.4.apart{latent}" 2 (seedsApart results latent)
                    Value.text $"hw5.4.effects{latent}" (effects results latent)
                Value.text "hw5.4.best16.prior" (named (best 16))
                Seeds.value "hw5.4.moved.means" 2 (far (mixtureOf usual) "prior.mu")
                Seeds.value "hw5.4.moved.mogweights" 2 (far (mixtureOf usual) "prior.logits")
                Seeds.value "hw5.4.moved.inputs" 2 (far (vampOf usual) "prior.pseudo_inputs")
                Seeds.value "hw5.4.moved.vampweights" 2 (far (vampOf usual) "prior.logits")
                for name, make in families do
                    Value.number $"hw5.4.{name}.trained16" 2 (change trainingBound 16 make)
                    Value.number $"hw5.4.{name}.tested16" 2 (change Digits.bound 16 make)
                    for latent in dimensions do
                        Value.number $"hw5.4.{name}.apart.one{latent}" 2 (fits latent make).Head
                        Value.number $"hw5.4.{name}.apart.most{latent}" 2 (List.last (fits latent make))
                    Value.number $"hw5.4.cost.{name}1" 2 (relativeCost results (make 1))
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
                    "hw5.4.nogain"
                    "in both dimensions the best learned prior gains less than the seeds of one prior are apart, or nothing"
                |> Guard.holds (
                    dimensions |> List.forall (fun latent -> gain latent < max 1e-3 (seedsApart results latent))
                )
                |> Guard.found [ "gains", List.map gain dimensions; "apart", List.map (seedsApart results) dimensions ]
                Guard.that
                    "hw5.4.unmoved"
                    "from start to the model kept the mixture's means move by less than a quarter of their standard deviation at the start, and pseudo-inputs by less than one of 17 levels, in the mean and for every seed"
                |> Guard.holds (
                    List.forall (fun far -> far < 0.25) (far (mixtureOf usual) "prior.mu")
                    && List.forall (fun far -> far < 1.0) (far (vampOf usual) "prior.pseudo_inputs")
                )
                |> Guard.found [
                    "means", far (mixtureOf usual) "prior.mu"
                    "pseudo-inputs", far (vampOf usual) "prior.pseudo_inputs"
                ]
                Guard.that
                    "hw5.4.blind"
                    "with 2 latents the seeds of one prior are further apart than the standard prior's surcharge"
                |> Guard.holds (seedsApart results 2 > marginal 2 standard)
                |> Guard.found [ "apart", [ seedsApart results 2 ]; "surcharge", [ marginal 2 standard ] ]
                Guard.that
                    "hw5.4.falls"
                    "the mean training -ELBO does not rise with K, for either family in either dimension"
                |> Guard.holds (
                    List.allPairs dimensions families
                    |> List.forall (fun (latent, (_, make)) ->
                        trainingOf latent make |> List.pairwise |> List.forall (fun (few, many) -> many <= few))
                )
                |> Guard.found [
                    for latent, (name, make) in List.allPairs dimensions families ->
                        $"{name}, L={latent}", trainingOf latent make
                ]
                Guard.that
                    "hw5.4.unfitted"
                    "with 16 latents the mixture with the most components is worse than with one on training and on test images"
                |> Guard.holds (change trainingBound 16 mixtureOf > 0.0 && change Digits.bound 16 mixtureOf > 0.0)
                |> Guard.found [ "training", trainingOf 16 mixtureOf ]
                Guard.that
                    "hw5.4.nearer"
                    "with 16 latents the VampPrior's divergence from its aggregated posterior falls from each K to the next"
                |> Guard.ordered (>) "VampPrior" (fits 16 vampOf)
                Guard.that
                    "hw5.4.farther"
                    "with 16 latents the mixture's divergence from its aggregated posterior rises from each K to the next"
                |> Guard.ordered (<) "mixture" (fits 16 mixtureOf)
                Guard.that
                    "hw5.4.nearer2"
                    "with 2 latents both families' divergence from their aggregated posteriors falls from each K to the next"
                |> Guard.holds (
                    families
                    |> List.forall (fun (_, make) -> fits 2 make |> List.pairwise |> List.forall (fun (a, b) -> a > b))
                )
                |> Guard.found [ for name, make in families -> name, fits 2 make ]
                Guard.that "hw5.4.dearer" "with 16 latents the mixture's mean test -ELBO rises from each K to the next"
                |> Guard.ordered (<) "mixture" (boundsOf mixtureOf)
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

/// By what the flow of splines changes the test -ELBO, in words.
let private splined (results: Results) =
    if List.contains splines (choices results.Plan.Profile) then
        let nats latent = Cell.markup (Seeds.meanSe (difference results latent splines) ||> Seeds.resolved 2)
        $"{nats 2} nats with 2 latents and by {nats 16} with 16"
    else
        "an amount that this profile does not measure"

let private report5 (results: Results) : Section =
    let marginal choice = [ for latent in dimensions -> mean results marginal latent choice ]

    {
        Section.empty "hw5.5" (origin results.Plan) with
            Figures =
                pictures
                    "hw5.5"
                    ", for the standard and for the flow prior"
                    $"the flow prior and from the standard one, with 2 and with 16 latents{ofFirst results.Plan}."
                    results
                    [ standard; realNvp ]
            Values = [
                Seeds.value "hw5.5.flow2" 2 (difference results 2 realNvp)
                Seeds.value "hw5.5.flow16" 2 (difference results 16 realNvp)
                Value.number "hw5.5.marginal2" 2 (mean results Digits.marginal 2 realNvp)
                Value.number "hw5.5.marginal16" 2 (mean results Digits.marginal 16 realNvp)
                Value.number "hw5.5.cost" 2 (relativeCost results realNvp)
                for latent in dimensions do
                    Seeds.value $"hw5.5.trained{latent}" 2 (differenceOf trainingBound results latent realNvp)
                Value.text "hw5.5.spline" (splined results)
                for name, choice in [ "flow", realNvp; "standard", standard ] do
                    [ for trained in trainings results.Plan 2 choice -> string (Digits.keptEpoch results trained) ]
                    |> String.concat " and "
                    |> Value.text $"hw5.5.{name}.epochs"
            ]
            Guards = [
                Guard.that
                    "hw5.5.helps"
                    "in both dimensions the flow's mean test -ELBO is lower by more than the seeds of one prior are apart"
                |> Guard.holds (
                    dimensions
                    |> List.forall (fun latent ->
                        Seeds.mean (difference results latent realNvp) < -(seedsApart results latent))
                )
                |> Guard.found [ for latent in dimensions -> $"L={latent}", difference results latent realNvp ]
                Guard.that
                    "hw5.5.fits"
                    "in both dimensions the flow prior is nearer to the aggregated posterior than the standard one"
                |> Guard.pairs (<) ("flow", marginal realNvp) ("standard", marginal standard)
                Guard.that "hw5.5.splined" "a flow of splines was trained as a prior as well"
                |> Guard.holds (List.contains splines (choices results.Plan.Profile))
                for latent in dimensions do
                    Guard.that
                        $"hw5.5.unfitted{latent}"
                        $"with {latent} latents the flow's model is worse in the mean on training and on test images"
                    |> Guard.all (fun worse -> worse > 0.0) [
                        "training", [ Seeds.mean (differenceOf trainingBound results latent realNvp) ]
                        "test", [ Seeds.mean (difference results latent realNvp) ]
                    ]
            ]
    }

let private sampler choice = VaeTraining.sampler (fun plan -> (trainings plan Digits.latent choice).Head)

let experiments: Experiment list = [
    let runs4 plan = runs plan @ List.collect (DigitsTraps.runs plan) dimensions
    Experiment.sampled "hw5.4" runs4 report4 (sampler (vampOf usual))
    Experiment.sampled "hw5.5" runs report5 (sampler realNvp)
]
