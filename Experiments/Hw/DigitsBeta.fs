/// hw5.2: the weight of the divergence on the UCI digits: reconstruction, KL, bound, likelihood, samples per beta.
/// Run it: `./reproduce --only hw5.2`.
module Research.Experiments.Hw.DigitsBeta

open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits

/// The weights that the homework asks for.
let private asked = [ 0.0; 0.5; 1.0; 10.0 ]

/// Weights between them, which make the rate-distortion points a curve.
let private between profile = Profile.pick profile [] [] [ 0.1; 0.25; 2.0; 5.0 ]

/// The collapsed divergence is under this, and the unregularised one in the hundreds (stated before the runs).
let private collapsed, hundreds = 0.05, (100.0, 1000.0)

/// All weights, smallest first.
let betas (profile: Profile) : float list = List.sort (asked @ between profile)

/// One model per seed; beta = 1 is the model of hw5.1.
let trainings (plan: Plan) (beta: float) : Trained list =
    if beta = 1.0 then
        plainTrainings plan
    else
        VaeTraining.each plan $"hw5.2.beta{inv beta}" (vae plan.Profile latent StandardPrior (WeightedElbo beta))

/// -log p(x) of some test images by annealing as well, under the first seed's models of beta = 1/2 and of beta = 1, which is
/// that of hw5.1.
let private annealed (plan: Plan) : RunRequest list = [
    let half = (trainings plan 0.5).Head
    Certificate.request plan "hw5.2.half" (importanceSamples plan.Profile) (fun _ -> plan.Test set) half
    DigitsVae.certify plan (trainings plan 1.0).Head
]

let private runs (plan: Plan) =
    (betas plan.Profile |> List.collect (trainings plan >> withMeasurements plan)) @ annealed plan

/// Every weight and its models.
let private models (results: Results) : (float * Trained list) list = [
    for beta in betas results.Plan.Profile -> beta, trainings results.Plan beta
]

let private main results = models results |> List.filter (fun (beta, _) -> List.contains beta asked)
let private label (beta: float, _) = $"$\\beta={inv beta}$"

/// Where a training was stopped, by its own loss, and where its bound was best: the epochs, from 1.
let private stop (results: Results) (trained: Trained) =
    let bound, watched = byEpoch results "nelbo" trained, watchedByEpoch results trained
    let indexOfLeast values = values |> Array.indexed |> Array.minBy snd |> fst
    {| Watched = watched; Bound = bound; Kept = indexOfLeast watched; Best = indexOfLeast bound |}

let private stopping title unit' decimals value =
    Metric.create title unit' decimals (fun results trained -> value (stop results trained))

let private keptEpoch = stopping "Epoch kept" "" 0 (fun s -> float (s.Kept + 1))
let private keptLoss = stopping "Loss there" "nats" 2 (fun s -> s.Watched[s.Kept])
let private keptBound = stopping "$-$ELBO there" "nats" 2 (fun s -> s.Bound[s.Kept])
let private bestBound = stopping "Best $-$ELBO" "nats" 2 (fun s -> s.Bound[s.Best])
let private bestEpoch = stopping "at epoch" "" 0 (fun s -> float (s.Best + 1))

let private tables (results: Results) =
    let measured = Column.metric results snd
    let over id caption columns =
        Table.over id caption (Column.text "$\\beta$" (fst >> inv) :: columns) (models results)

    [
        [
            measured reconstruction
            Column.right kl.Title (fun (beta, trained) ->
                // A collapsed divergence is all behind the point.
                Metric.cell results (Metric.shownWith (if beta >= 10.0 then 4 else 2) kl) trained)
            measured bound
            measured surprise
            Column.right active.Title (fun (_, trained) -> Seeds.counted (Metric.each results active trained))
        ]
        |> over
            "hw5.2.table"
            $"Digits, $L={latent}$: test images under the model of each $\\beta$; likelihood by importance sampling with $K={importanceSamples results.Plan.Profile}$; a unit is active when its posterior mean varies by more than one hundredth (nats per image)."
        |> Table.withNote (
            [ "Reconstruction is $-\\E_q\\log p(x|z)$"; patienceNote results "The row $\\beta=1$" ]
            |> List.filter ((<>) "")
            |> String.concat ". "
        )
        [ keptEpoch; keptLoss; keptBound; bestBound; bestEpoch ]
        |> List.map measured
        |> over
            "hw5.2.stopping"
            "Digits: the epoch that each training keeps, chosen by its own loss on the validation images, the validation $-$ELBO of the model kept, and the best one that the training passed."
    ]

let private rateDistortion (results: Results) =
    let main, extra = models results |> List.partition (fun (beta, _) -> List.contains beta asked)
    let mean metric (_, trained) = Metric.mean results metric trained
    // A collapsed model has next to no rate, and the axis is logarithmic.
    let point model = max 1e-3 (mean kl model), Metric.each results reconstruction (snd model)
    let equal = main |> List.find (fst >> (=) 1.0) |> mean bound
    let distortions = main @ extra |> List.map (mean reconstruction)
    let lowest = List.min distortions - 8.0
    // Room for the name beside the point of the largest rate.
    let x = Axis.log "rate: KL (nats)" |> Axis.between 1e-3 1e4
    let y = Axis.linear "distortion: reconstruction (nats)" |> Axis.between lowest (List.max distortions + 8.0)
    let rates = [| for i in 0..160 -> 10.0 ** (-3.0 + float i / 32.0) |]

    Panel.axes "" x y [
        for model in main do
            Seeds.points (label model) [ point model ]
        if not extra.IsEmpty then
            Seeds.points "other $\\beta$" (List.map point extra)
        let reachable = rates |> Array.filter (fun rate -> equal - rate > lowest)
        Reference("equal bound", reachable |> Array.map (fun rate -> rate, equal - rate))
    ]
    |> Panel.withLegend SouthWest
    |> Figure.single
        "hw5.2.rd"
        "Digits: distortion against rate on the test images. The dashed curve joins the points whose sum, minus the ELBO, is that of the model with $\\beta=1$; a rate under $10^{-3}$ is drawn there."

let private figures (results: Results) =
    let main = main results
    let first kind (_, trained: Trained list) = picturesOf results kind 16 trained.Head
    let rows kind = [ for model in main -> label model, first kind model ]

    [
        rateDistortion results
        rows "samples"
        |> Pictures.rows
            "hw5.2.samples"
            $"Digits: the decoder's mean at draws from the prior, one row per $\\beta$, the same draws in each{ofFirst results.Plan}."
        ("test image", first "images" main.Head) :: rows "reconstructions"
        |> Pictures.rows
            "hw5.2.reconstructions"
            $"Digits: test images, and the decoder's mean at the mean of their encodings, one row per $\\beta${ofFirst results.Plan}."
    ]

let private report (results: Results) : Section =
    let of' beta metric = Metric.each results metric (trainings results.Plan beta)
    let means metric = [ for _, trained in main results -> Metric.mean results metric trained ]
    let lost = keptBound |> Metric.minus "lost" bestBound
    let annealed = annealed results.Plan
    /// What annealing finds -log p(x) of beta = 1/2 to exceed that of beta = 1 by, of every image.
    let halfAbove =
        let above = annealed |> List.map (results.Numbers "images" "test.lower")
        Array.map2 (-) above[1] above[0]
    /// What a metric of beta = 1/2 exceeds that of beta = 1 by, seed by seed.
    let ofHalf metric = List.map2 (-) (of' 0.5 metric) (of' 1.0 metric)
    let kept = [ for beta, trained in models results -> beta, Metric.mean results keptBound trained ]
    let ordered compare (values: float list) = List.pairwise values |> List.forall (fun (a, b) -> compare a b)

    {
        Section.empty "hw5.2" (origin results.Plan) with
            Figures = figures results
            Tables = tables results
            Values = [
                Seeds.value "hw5.2.beta0.kl" 0 (of' 0.0 kl)
                Seeds.value "hw5.2.beta0.rec" 1 (of' 0.0 reconstruction)
                Seeds.value "hw5.2.half.rec" 1 (of' 0.5 reconstruction)
                Seeds.value "hw5.2.beta0.lost" 0 (of' 0.0 lost)
                Seeds.value "hw5.2.beta0.epoch" 0 (of' 0.0 keptEpoch)
                Seeds.value "hw5.2.beta0.bestepoch" 0 (of' 0.0 bestEpoch)
                Value.scientific "hw5.2.beta10.kl" 2 (Seeds.mean (of' 10.0 kl))
                Seeds.value "hw5.2.beta10.rec" 1 (of' 10.0 reconstruction)
                Seeds.value "hw5.2.half.gain" 2 (ofHalf bound)
                Seeds.value "hw5.2.half.saved" 1 (ofHalf reconstruction |> List.map (~-))
                Seeds.value "hw5.2.half.paid" 1 (ofHalf kl)
                Seeds.value "hw5.2.half.surprise" 2 (of' 0.5 surprise)
                Seeds.value "hw5.2.one.surprise" 2 (of' 1.0 surprise)
                for name, run in List.zip [ "half"; "one" ] annealed do
                    Value.number $"hw5.2.{name}.annealed" 2 -(results.Value "test.lower" run)
                    Value.number $"hw5.2.{name}.sampled" 2 -(results.Value "test.is" run)
                    let between = results.Value "simulated.upper" run - results.Value "simulated.lower" run
                    Value.number $"hw5.2.{name}.gap" 2 between
                Value.text "hw5.2.validation" (inv (fst (List.minBy snd kept)))
                Value.integer "hw5.2.annealed.images" (Certificate.images results.Plan)
                Value.number "hw5.2.annealed.difference" 2 (Array.average halfAbove)
                Value.number "hw5.2.annealed.error" 2 (Statistics.standardError halfAbove)
            ]
            Claims = [
                Claim.that "HW Q5" "hw5.2.beta10.kl" "digits, $\\beta=10$, divergence on the test images"
                |> Claim.judgedBy (AtMost collapsed) (of' 10.0 kl)
                |> Claim.noting "expected by theory: the posterior collapses"
                Claim.that "HW Q5" "hw5.2.beta10.active" "digits, $\\beta=10$, active units"
                |> Claim.judgedBy (AtMost 0.0) (of' 10.0 active)
                |> Claim.noting "expected by theory: the posterior collapses"
                Claim.that "HW Q5" "hw5.2.beta0.kl" "digits, $\\beta=0$, divergence on the test images"
                |> Claim.judgedBy (Between hundreds) (of' 0.0 kl)
                |> Claim.noting "expected by theory: hundreds of nats"
            ]
            Guards = [
                Guard.that
                    "hw5.2.order"
                    "from one beta to the next the mean KL falls and, from a half on, the mean reconstruction rises"
                |> Guard.holds (ordered (>) (means kl) && ordered (<) (means reconstruction).Tail)
                |> Guard.found [ "KL", means kl; "reconstruction", means reconstruction ]
                Guard.that "hw5.2.best" "the mean test bound is best at beta = 1"
                |> Guard.holds (Seeds.mean (of' 1.0 bound) = List.min (means bound))
                |> Guard.found [ "bounds", means bound ]
                Guard.that
                    "hw5.2.validation"
                    "among all weights the mean validation bound of the model kept is best at beta = 1"
                |> Guard.holds (fst (List.minBy snd kept) = 1.0)
                |> Guard.found [ for beta, nats in kept -> $"beta {inv beta}", [ nats ] ]
                Guard.that "hw5.2.likelihood" "the mean likelihood of test images, too, is best at beta = 1"
                |> Guard.holds (Seeds.mean (of' 1.0 surprise) = List.min (means surprise))
                |> Guard.found [ "-log p", means surprise ]
                Guard.that
                    "hw5.2.reversed"
                    "importance sampling has beta = 1 ahead of 1/2 in the mean, and annealing 1/2 by more than two standard errors over images"
                |> Guard.holds (
                    Seeds.mean (of' 1.0 surprise) < Seeds.mean (of' 0.5 surprise)
                    && Array.average halfAbove < -2.0 * Statistics.standardError halfAbove
                )
                |> Guard.found [ "importance sampling", ofHalf surprise; "annealing", [ Array.average halfAbove ] ]
                Guard.that
                    "hw5.2.half"
                    "for every seed beta = 1/2 reconstructs better than beta = 1 and pays more than that"
                |> Guard.pairs
                    (fun saved paid -> saved < 0.0 && paid > -saved)
                    ("reconstruction", ofHalf reconstruction)
                    ("KL", ofHalf kl)
                Guard.that "hw5.2.collapse" "at beta = 10 no unit is active and the KL is under 0.05 for every seed"
                |> Guard.holds (List.max (of' 10.0 active) = 0.0 && List.max (of' 10.0 kl) < collapsed)
                |> Guard.found [ "KL", of' 10.0 kl; "active", of' 10.0 active ]
            ]
    }

let experiment = Experiment.row "hw5.2" runs report
