/// hw5.2: the weight of the divergence on the UCI digits: reconstruction, KL, bound, likelihood, samples per beta.
/// Run it: `./reproduce --only hw5.2`.
module Research.Experiments.Hw.DigitsBeta

open Research.Core
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
        let objective = $"elbo with beta {inv beta}", betaElbo beta

        [
            for seed in plan.Seeds ->
                train plan $"hw5.2.beta{inv beta}" seed (vae plan.Profile latent StandardPrior objective)
        ]

/// Where a training was stopped, what the bound was there, and the best bound that it passed.
type private Stop = { Epoch: float; Loss: float; Bound: float; BestBound: float; BestEpoch: float }

let private stop results beta (trained: Trained) =
    let bound = byEpoch results "nelbo" trained
    let loss = if beta = 1.0 then bound else byEpoch results "loss" trained
    // A training of a fixed length (profile smoke) has no early stopping and no loss of its own.
    let watched = if loss.Length = 0 then bound else loss
    let indexOfLeast values = values |> Array.indexed |> Array.minBy snd |> fst
    let kept, best = indexOfLeast watched, indexOfLeast bound

    {
        Epoch = float (kept + 1)
        Loss = watched[kept]
        Bound = bound[kept]
        BestBound = bound[best]
        BestEpoch = float (best + 1)
    }

let private label beta = $"$\\beta={inv beta}$"

let private table (plan: Plan) (results: Results) (models: (float * Trained list) list) = {
    Id = "hw5.2.table"
    Caption =
        $"Digits, $L={latent}$: test images under the model of each $\\beta$; likelihood by importance sampling with $K={importanceSamples plan.Profile}$; a unit is active when its posterior mean varies by more than one hundredth (nats per image)."
    Columns = [
        Table.left "$\\beta$"
        Table.right "Reconstruction"
        Table.right "KL"
        Table.right "$-$ELBO"
        Table.right "$-\\log p(x)$"
        Table.right "Active units"
    ]
    Rows = [
        for beta, trained in models do
            let measured name = values plan results name trained

            [
                Text(inv beta)
                cell 2 (measured "reconstruction")
                cell (if beta >= 10.0 then 4 else 2) (measured "kl")
                cell 2 (measured "bound")
                cell 2 (measured "logp" |> List.map (~-))
                cell 1 (measured "active")
            ]
    ]
    Note = "reconstruction is $-\\E_q\\log p(x|z)$"
}

let private stopping results (models: (float * Trained list) list) = {
    Id = "hw5.2.stopping"
    Caption =
        "Digits: the epoch that each training keeps, chosen by its own loss on the validation images, the validation $-$ELBO of the model kept, and the best one that the training passed."
    Columns = [
        Table.left "$\\beta$"
        Table.right "Epoch kept"
        Table.right "Loss there"
        Table.right "$-$ELBO there"
        Table.right "Best $-$ELBO"
        Table.right "at epoch"
    ]
    Rows = [
        for beta, trained in models do
            let stops = trained |> List.map (stop results beta)
            let of' f decimals = stops |> List.map f |> cell decimals

            [
                Text(inv beta)
                of' _.Epoch 0
                of' _.Loss 2
                of' _.Bound 2
                of' _.BestBound 2
                of' _.BestEpoch 0
            ]
    ]
    Note = ""
}

let private rateDistortion (plan: Plan) (results: Results) (models: (float * Trained list) list) =
    let meanSe name trained = Claim.meanSe (values plan results name trained)

    let mean name trained = fst (meanSe name trained)

    // A collapsed model has next to no rate, and the axis is logarithmic.
    let leastRate = 1e-3

    let points name chosen =
        let at =
            chosen
            |> List.map (fun (_, trained) ->
                let distortion, error = meanSe "reconstruction" trained

                (max leastRate (mean "kl" trained), distortion),
                (if System.Double.IsNaN error then 0.0 else error))

        ErrorBars(name, at |> List.map fst |> Array.ofList, at |> List.map snd |> Array.ofList)

    let bound = models |> List.find (fun (beta, _) -> beta = 1.0) |> snd |> mean "bound"
    let rates = [| for i in 0..160 -> 10.0 ** (-3.0 + float i / 32.0) |]
    let worst = models |> List.map (snd >> mean "reconstruction") |> List.max

    let main, extra = models |> List.partition (fun (beta, _) -> List.contains beta asked)

    Figure.single
        "hw5.2.rd"
        "Digits: distortion against rate on the test images. The dashed curve joins the points whose sum, minus the ELBO, is that of the model with $\\beta=1$; a rate under $10^{-3}$ is drawn there."
        (Panel.axes
            ""
            (Axis.log "rate: KL (nats)")
            (Axis.linear "distortion: reconstruction (nats)" |> Axis.between 50.0 (worst + 8.0))
            [
                for model in main do
                    points (label (fst model)) [ model ]
                if not extra.IsEmpty then
                    points "other $\\beta$" extra
                Reference(
                    "equal bound",
                    [|
                        for r in rates do
                            if bound - r > 50.0 then
                                r, bound - r
                    |]
                )
            ]
         |> Panel.withLegend SouthWest)

let private pictures (plan: Plan) (results: Results) (models: (float * Trained list) list) =
    let columns = 16
    let first kind (_, trained: Trained list) = picturesOf plan results kind columns trained.Head
    let labels = models |> List.map (fst >> label)

    [
        Figure.single
            "hw5.2.samples"
            "Digits: the decoder's mean at draws from the prior, one row per $\\beta$, the same draws in each (first seed)."
            (Panel.images "" columns (models |> List.map (first "samples") |> Array.concat)
             |> Panel.withCaptions labels [])
        Figure.single
            "hw5.2.reconstructions"
            "Digits: test images, and the decoder's mean at the mean of their encodings, one row per $\\beta$ (first seed)."
            (Panel.images
                ""
                columns
                (Array.append
                    (first "images" models.Head)
                    (models |> List.map (first "reconstructions") |> Array.concat))
             |> Panel.withCaptions ("test image" :: labels) [])
    ]

let private report (plan: Plan) (results: Results) : Section =
    let models = betas plan.Profile |> List.map (fun b -> b, trainings plan b)

    let main = models |> List.filter (fun (beta, _) -> List.contains beta asked)
    let of' beta name = main |> List.find (fun (b, _) -> b = beta) |> snd |> values plan results name
    let means name = main |> List.map (fun (beta, _) -> Seeds.mean (of' beta name))
    let origin = origin plan plan.Seeds.Length
    let stops beta = trainings plan beta |> List.map (stop results beta)
    let list (numbers: float list) = numbers |> List.map (fun v -> $"{v:F2}") |> String.concat ", "

    {
        Row = "hw5.2"
        Origin = origin
        Figures = rateDistortion plan results models :: pictures plan results main
        Tables = [ table plan results models; stopping results models ]
        Values = [
            Seeds.value "hw5.2.beta0.kl" 0 (of' 0.0 "kl")
            Seeds.value "hw5.2.beta0.rec" 1 (of' 0.0 "reconstruction")
            Seeds.value "hw5.2.half.rec" 1 (of' 0.5 "reconstruction")
            Seeds.value "hw5.2.beta0.lost" 0 (stops 0.0 |> List.map (fun s -> s.Bound - s.BestBound))
            Seeds.value "hw5.2.beta0.epoch" 0 (stops 0.0 |> List.map _.Epoch)
            Seeds.value "hw5.2.beta0.bestepoch" 0 (stops 0.0 |> List.map _.BestEpoch)
            Value.scientific "hw5.2.beta10.kl" 2 (Seeds.mean (of' 10.0 "kl"))
            Seeds.value "hw5.2.beta10.rec" 1 (of' 10.0 "reconstruction")
            Seeds.value "hw5.2.half.gain" 2 (List.map2 (-) (of' 0.5 "bound") (of' 1.0 "bound"))
        ]
        Claims = [
            Claim.judge
                origin
                "hw5.2.beta10.kl"
                "HW Q5"
                "digits, $\\beta=10$, divergence on the test images"
                None
                (Rule.atMost collapsed)
                (of' 10.0 "kl")
                "expected by theory: the posterior collapses"
            Claim.judge
                origin
                "hw5.2.beta10.active"
                "HW Q5"
                "digits, $\\beta=10$, active units"
                None
                (Rule.atMost 0.0)
                (of' 10.0 "active")
                "expected by theory: the posterior collapses"
            Claim.judge
                origin
                "hw5.2.beta0.kl"
                "HW Q5"
                "digits, $\\beta=0$, divergence on the test images"
                None
                (Rule.between <|| hundreds)
                (of' 0.0 "kl")
                "expected by theory: hundreds of nats"
        ]
        Guards = [
            Guard.check
                origin
                "hw5.2.order"
                "from one beta to the next the mean KL falls and, from a half on, the mean reconstruction rises"
                (List.pairwise (means "kl") |> List.forall (fun (a, b) -> a > b)
                 && List.pairwise (means "reconstruction").Tail |> List.forall (fun (a, b) -> a < b))
                ("KL " + list (means "kl") + "; reconstruction " + list (means "reconstruction"))
            Guard.check
                origin
                "hw5.2.best"
                "the mean test bound is best at beta = 1"
                (Seeds.mean (of' 1.0 "bound") = List.min (means "bound"))
                (list (means "bound"))
            Guard.check
                origin
                "hw5.2.collapse"
                "at beta = 10 no unit is active and the KL is under 0.05 for every seed"
                (List.max (of' 10.0 "active") = 0.0 && List.max (of' 10.0 "kl") < collapsed)
                (list (of' 10.0 "kl"))
        ]
    }

let experiment: Experiment = {
    Row = "hw5.2"
    Title = "The weight of the divergence"
    Runs = fun plan -> betas plan.Profile |> List.collect (trainings plan >> withMeasurements plan)
    Report = report
    Sample = None
}
