/// hw5.1: a VAE on the UCI digits with a standard prior: learning curve, samples, reconstructions, summary.
/// Run it: `./reproduce --only hw5.1`.
module Research.Experiments.Hw.DigitsVae

open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits

/// Best validation -ELBO in the figure of the notebook behind the homework.
let private source = 100.54

/// One nat covers the spread between seeds.
let private required = source + 1.0

/// -log p of an image under the uniform distribution over 17 levels.
let private uniform = 64.0 * log 17.0

let private validationByEpoch results trained =
    byEpoch results "nelbo" trained |> Array.mapi (fun i v -> float (i + 1), v)

/// The epoch whose validation bound is the best.
let private bestEpoch =
    Metric.create "Best epoch" "" 0 (fun results trained -> validationByEpoch results trained |> Array.minBy snd |> fst)

let private curve (results: Results) trained =
    let training, validation = trainingByEpoch results trained, validationByEpoch results trained
    // The first epochs fall from 180 nats and would flatten the rest.
    let high = min 130.0 (snd training[0])
    let low = min source (Seq.append training validation |> Seq.map snd |> Seq.min) - 3.0
    let line name points = Line(name, Array.filter (fun (_, v) -> v <= high) points, None)

    Panel.axes "" (Axis.linear "epoch") (Axis.linear "$-$ELBO (nats)" |> Axis.between low high) [
        line "training" training
        line "validation" validation
        Level("book's figure, best validation", source)
    ]
    |> Figure.single
        "hw5.1.curve"
        $"Digits: minus the ELBO on the training images (mean over each epoch) and on the validation images{ofFirst results.Plan}, with the best validation value that the book's figure states."

let private figures results trained = [
    curve results trained
    Pictures.grid
        "hw5.1.samples"
        $"Digits: the decoder's mean at $100$ draws from the prior{ofFirst results.Plan}."
        20
        (picturesOf results "samples" 100 trained)
    Pictures.rows
        "hw5.1.reconstructions"
        $"Digits: the first test images, and the decoder's mean at the mean of each one's encoding{ofFirst results.Plan}."
        [
            "test image", picturesOf results "images" 16 trained
            "reconstruction", picturesOf results "reconstructions" 16 trained
        ]
]

let private table (results: Results) (models: Trained list) =
    let none = Missing "the book states only the validation bound"
    let row title source metric = title, source, Metric.cell results metric models

    [
        row "best validation $-$ELBO" (Source(source, 2)) best
        row "test $-$ELBO" none bound
        row "reconstruction, $-\\E_q\\log p(x|z)$" none reconstruction
        row "divergence from the prior" none kl
        row "$-\\log p(x)$, importance sampling" none surprise
        $"active units of {latent}", none, Seeds.counted (Metric.each results active models)
    ]
    |> Table.beside
        "Book's figure"
        "hw5.1.table"
        $"Digits, $L={latent}$: the best validation bound, and the test images under that model; $-\\log p(x)$ by importance sampling, an estimate from above, with $K={importanceSamples results.Plan.Profile}$ (nats per image)."

/// log p(x) under a model from both sides.
let certify (plan: Plan) =
    Certificate.request plan "hw5.1" (importanceSamples plan.Profile) (fun trained -> plan.Test trained.Run.Data)

let private report (results: Results) : Section =
    let plan = results.Plan
    let models = plainTrainings plan
    let certificates = models |> List.map (certify plan)
    let of' metric = Metric.each results metric models
    // Quick follows the protocol here.
    let shortened = if plan.Profile = Smoke then shortenedBy Smoke else None

    {
        Section.empty "hw5.1" (plan.Origin([ set ], models.Length, shortened)) with
            Figures = figures results models.Head
            Tables = [
                table results models
                Certificate.table results "hw5.1" "Digits" (importanceSamples plan.Profile) certificates
            ]
            Values = [
                Seeds.value "hw5.1.elbo" 2 (of' best)
                Seeds.value "hw5.1.epoch" 0 (of' bestEpoch)
                Seeds.value "hw5.1.test" 2 (of' bound)
                Seeds.value "hw5.1.rec" 2 (of' reconstruction)
                Seeds.value "hw5.1.kl" 2 (of' kl)
                Seeds.value "hw5.1.logp" 2 (of' surprise |> List.map (~-))
                Certificate.reported results "hw5.1" certificates
                Seeds.value "hw5.1.missed" 2 (Certificate.missed results certificates)
                Value.integer "hw5.1.samples" (importanceSamples plan.Profile)
            ]
            Claims = [
                Claim.that "Tomczak (HW Q5)" "hw5.1.elbo" "digits, best validation $-$ELBO, $L=16$"
                |> Claim.besideCited source
                |> Claim.judgedBy (AtMost required) (of' best)
                |> Claim.noting "the book's value is read off its figure; one nat covers the spread between seeds"
                Certificate.claim results "HW Q5" "hw5.1" "digits" certificates
            ]
            Guards = [
                Guard.that "hw5.1.order" "the importance-sampling estimate exceeds the ELBO for every seed"
                |> Guard.pairs (>) (Metric.found results bound models) (Metric.found results surprise models)
                Guard.that "hw5.1.uniform" "the test bound is at most three quarters of 64 log 17"
                |> Guard.holds (List.max (of' bound) <= 0.75 * uniform)
                |> Guard.found [ "bounds", of' bound; "uniform", [ uniform ] ]
                Certificate.guard results "hw5.1" certificates
            ]
    }

let private runs plan = withMeasurements plan (plainTrainings plan) @ List.map (certify plan) (plainTrainings plan)
let experiment = Experiment.sampled "hw5.1" runs report (VaeTraining.sampler (plainTrainings >> List.head))
