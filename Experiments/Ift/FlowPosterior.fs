/// ift9: flow posteriors, planar and inverse autoregressive, against the diagonal one: trained with the decoder on
/// binarized MNIST and on the digits, there also Sylvester maps and couplings of splines, and for one decoder of binarized
/// MNIST that is held, so that log p(x) is the same for all three. Bound, likelihood, gap and the time of a step. Run it:
/// `./reproduce --only ift9`.
module Research.Experiments.Ift.FlowPosterior

open TorchSharp
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

/// A posterior that is compared: its key, its name in the report, its shape.
type private Compared = { Key: string; Label: string; Shape: PosteriorShape }

let private diagonal = { Key = "diagonal"; Label = "diagonal"; Shape = DiagonalPosterior }
let private planar = { Key = "planar"; Label = "planar, 8 maps"; Shape = PlanarPosterior 8 }
let private iaf = { Key = "iaf"; Label = "IAF, 2 steps"; Shape = IafPosterior(2, 300) }

let private sylvester = { Key = "sylvester"; Label = "Sylvester, 4 maps"; Shape = SylvesterPosterior(4, 8, 8) }

let private spline = { Key = "spline"; Label = "splines, 2 couplings"; Shape = SplinePosterior(2, 128, 8) }

let private posteriors = [ diagonal; planar; iaf ]

/// How the posteriors of a comparison come about.
type private Setting =
    /// On binarized MNIST with ift1's decoder held: encoder and flow start from ift1's encoder.
    | HeldDecoder
    /// With their decoder on binarized MNIST, as ift1.
    | Together
    /// With their decoder on the digits.
    | Digits

let private settings = [ HeldDecoder; Together; Digits ]

/// The digits alone are small enough for the posteriors that have no fused step.
let private comparedOn setting = if setting = Digits then posteriors @ [ sylvester; spline ] else posteriors

/// For keys, and for the report.
let private names setting =
    match setting with
    | HeldDecoder -> "held", "MNIST, decoder held"
    | Together -> "mnist", "MNIST, trained together"
    | Digits -> "digits", "digits, trained together"

let private heldEpochs profile = Profile.pick profile 1 2 10

/// Flows trained with their decoder take longer than all else here, so quick gives them a fifth of ift1's epochs, and a
/// diagonal posterior of as many to stand beside.
let private fullEpochs = 20

let private togetherEpochs profile = Profile.pick profile 2 4 fullEpochs

let private vae setting (profile: Profile) : VaeRun =
    let mnist = BinarizedMnist.vae profile

    match setting with
    | HeldDecoder -> { mnist with Length = Epochs(heldEpochs profile) }
    | Together -> { mnist with Length = Epochs(togetherEpochs profile) }
    // At the homework's size, each posterior stopped by its own validation bound, as the homework stops.
    | Digits -> {
        mnist with
            Data = DataSetId.Digits
            Shape = {
                Data = 64
                Latent = 16
                Hidden = [ 256; 256 ]
                Activation = LeakyRelu 0.01
                Likelihood = GreyLevels 17
                Variance = LogVariance
            }
            Optimiser = OptimiserSettings.Adamax 1e-3
            Length = EarlyStop(Profile.pick profile 2 30 1000, 20)
      }

/// Flows trained with their decoder on binarized MNIST take longer than all else here: they have one seed.
let private seeds (plan: Plan) setting =
    match setting with
    | Together -> [ plan.Seeds.Head ]
    | HeldDecoder
    | Digits -> plan.Seeds

/// ift1's own run.
let private ift1 (plan: Plan) (seed: int64) =
    VaeTraining.request plan $"ift1.seed{seed}" seed (BinarizedMnist.vae plan.Profile)

/// Of one seed. The diagonal posterior trained with the decoder on binarized MNIST is ift1's own run where the epochs are
/// as many. For a held decoder the learning rate falls from a third of ift1's to zero, or what is compared would be the
/// noise of Adam's steps, of which a flow's many outputs have more.
let private train (plan: Plan) setting (posterior: Compared) (seed: int64) : Trained =
    let run = { vae setting plan.Profile with Posterior = posterior.Shape }
    // What changes results and the posteriors' names do not say.
    let start = "begins as the identity; closed-form divergence of the base"
    let flow =
        match posterior.Shape with
        | DiagonalPosterior -> []
        | PlanarPosterior _ -> [ "flow", start ]
        | IafPosterior _ -> [ "flow", $"{start}; every output sees the context" ]
        | SylvesterPosterior _
        | SplinePosterior _ -> [ "flow", start ]
    let training parameters learns =
        let built = VaeRun.build run parameters
        VaeTraining.training plan run built (Descent(parameters, run.Optimiser, learns)) (VaeTraining.data plan run)
    let name = $"ift9.{fst (names setting)}.{posterior.Key}.seed{seed}"

    match setting, posterior.Shape with
    | Together, DiagonalPosterior when run.Length = (BinarizedMnist.vae plan.Profile).Length -> ift1 plan seed
    | Together, _
    | Digits, _ ->
        VaeTraining.requestOf plan name seed run flow [] (fun _ parameters -> training parameters (fun _ -> true))
    | HeldDecoder, _ ->
        let start = (ift1 plan seed).Training
        let extra = flow @ [ "decoder", "held"; "rate", "falls linearly from 1/3 to 0" ]
        VaeTraining.requestOf plan name seed run extra [ start ] (fun context parameters ->
            let training = training parameters (fun name -> not (name.StartsWith "decoder."))
            ModelFile.loadShared "model" (context.Dependency start.Key) parameters
            { training with Schedule = fun progress -> (1.0 - progress) / 3.0 })

let private samples profile = Profile.pick profile 20 200 200

let private images profile = Profile.pick profile 64 500 10000

let private evaluation (plan: Plan) setting (posterior: Compared) seed : RunRequest =
    let trained = train plan setting posterior seed
    let samples, images = samples plan.Profile, images plan.Profile
    let name = $"ift9.test.{fst (names setting)}.{posterior.Key}.seed{seed}"
    let configuration = [ "samples", string samples; "images", string images ]
    VaeTraining.measure plan name configuration trained (fun context built ->
        let test = Rows.sample (plan.Test trained.Run.Data) images
        let evidence = Evaluation.evidence built test samples context.Noise
        // Differences of posteriors are taken image by image.
        context.Keep("images", [ for name, values in evidence -> name, torch.tensor values ])
        Evaluation.summary evidence)

/// Median milliseconds of one training step of each posterior on binarized MNIST's shapes.
let private timing (plan: Plan) : RunRequest =
    let rounds, steps = Profile.pick plan.Profile (2, 2) (7, 10) (15, 40)
    let work (context: RunContext) =
        let x = context.Noise.Uniform("timing", 0L, [| 64L; 784L |], device = context.Device).round()
        let batch (step: int64) = x, context.Noise.Normal("timing", step + 1L, [| 64L; 100L |], device = context.Device)
        let stepper posterior =
            let run = { BinarizedMnist.vae plan.Profile with Posterior = posterior.Shape }
            posterior.Key, VaeTraining.stepper run context batch
        context.Save(Timing.medians rounds steps (List.map stepper posteriors))
    plan.Run("ift9.time", [ "rounds", string rounds; "steps", string steps ], 1L, None, work)
    |> RunRequest.alone

let private runs (plan: Plan) : RunRequest list = [
    // The decoder that is held.
    for seed in seeds plan HeldDecoder do
        (ift1 plan seed).Training
    for setting in settings do
        for posterior in comparedOn setting do
            for seed in seeds plan setting do
                (train plan setting posterior seed).Training
                evaluation plan setting posterior seed
    timing plan
]

let private elbo = Metric.value "ELBO" "nats" 2 "elbo"
let private logP = Metric.value "$\\log p(x)$" "nats" 2 "logp"
let private gap = Metric.value "Gap" "nats" 2 "gap"

let private measured (plan: Plan) setting posterior = seeds plan setting |> List.map (evaluation plan setting posterior)

/// How far the bound is below log p(x), a value a seed. A held decoder has one log p(x) for all posteriors, and of its
/// estimates, lower bounds in the mean, the largest is the nearest.
let private gaps (results: Results) setting posterior : float list =
    let of' metric posterior = Metric.each results metric (measured results.Plan setting posterior)
    match setting with
    | HeldDecoder ->
        let nearest = posteriors |> List.map (of' logP) |> List.transpose |> List.map List.max
        List.map2 (-) nearest (of' elbo posterior)
    | Together
    | Digits -> of' gap posterior

/// What a posterior adds to the diagonal one's bound for the held decoder, of every image and seed.
let private gains (results: Results) posterior : float[] list =
    let bounds posterior = measured results.Plan HeldDecoder posterior |> List.map (results.Numbers "images" "elbo")
    List.map2 (Array.map2 (-)) (bounds posterior) (bounds diagonal)

let private milliseconds (results: Results) posterior = results.Value posterior.Key (timing results.Plan)

let private figure (results: Results) =
    let plan = results.Plan
    let curve setting posterior =
        let perEpoch = float ((plan.Data DataSetId.BinarizedMnist).Train.Count + 63) / 64.0 |> floor
        let nelbo seed = results.Curve "validation" "nelbo" (train plan setting posterior seed).Training
        let mean = seeds plan setting |> List.map nelbo |> Seeds.curve
        Line(posterior.Label, mean |> Array.map (fun (step, nelbo) -> step / perEpoch, nelbo), None)
    let panel title setting =
        List.map (curve setting) posteriors
        |> Panel.axes title (Axis.linear "epoch") (Axis.linear "validation $-$ELBO (nats)")

    [ panel "decoder held" HeldDecoder |> Panel.withLegend NoLegend; panel "trained together" Together ]
    |> Figure.grid
        "ift9.curve"
        $"Binarized MNIST: minus the ELBO on the validation images with three posteriors. Left: for one decoder, which is held, and encoders that start from its own{meanOver plan.Seeds}; colours and marks as on the right. Right: trained together with the decoder from random parameters{firstOf plan.Seeds}."
        2

let private table (results: Results) =
    let evaluationsOf = measured results.Plan
    let measured = Column.metric results (fun (setting, posterior) -> evaluationsOf setting posterior)

    [
        for setting in settings do
            for posterior in comparedOn setting -> setting, posterior
    ]
    |> Table.over
        "ift9.table"
        $"Diagonal and flow posteriors on {images results.Plan.Profile} test images of binarized MNIST, with the decoder of IFT P1.1 held or trained together with a decoder{firstOf results.Plan.Seeds}, and of the digits, these also with Sylvester maps and couplings of splines: ELBO, the importance-sampling estimate of $\\log p(x)$ with $K={samples results.Plan.Profile}$, the gap between both (nats; for the held decoder, whose $\\log p(x)$ is one and the same, from the largest of its estimates, since each is a lower bound in the mean) and its standard error over the images, and the median time of a training step by tensor operators on binarized MNIST."
        [
            Column.text "Data" (fst >> names >> snd)
            Column.text "Posterior" (fun (_, posterior) -> posterior.Label)
            measured elbo
            measured logP
            Column.right gap.Title (fun (setting, posterior) ->
                Seeds.cell gap.Decimals (gaps results setting posterior))
            Column.right "Error" (fun (setting, posterior) ->
                evaluationsOf setting posterior
                |> List.map (results.Value "gap.error")
                |> Seeds.mean
                |> fun error -> Number(error, 2))
            Column.right "Step (ms)" (function
                | Together, posterior -> Number(milliseconds results posterior, 1)
                | _ -> Missing "timed in the second block only")
        ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let data = settings |> List.map (fun setting -> (vae setting plan.Profile).Data) |> List.distinct
    let capped =
        match (vae Digits plan.Profile).Length with
        | EarlyStop(epochs, _) when epochs < 1000 -> [ $"{epochs} epochs at most on the digits" ]
        | _ -> []
    let cuts =
        Option.toList (shortened "epochs of joint training" (togetherEpochs plan.Profile) fullEpochs)
        @ Option.toList (shortened "with the decoder held" (heldEpochs plan.Profile) (heldEpochs Paper))
        @ capped
    let cut = if cuts.IsEmpty then None else Some(String.concat ", " cuts)
    let origin = plan.Origin(data, plan.Seeds.Length, cut)
    let of' metric setting posterior = Metric.each results metric (measured plan setting posterior)
    /// What a posterior's bound has more than the diagonal one's where each is trained with a decoder of its own.
    let ahead posterior = Seeds.mean (of' elbo Together posterior) - Seeds.mean (of' elbo Together diagonal)
    let gained posterior = gains results posterior |> List.map Array.average
    let digits posterior = Seeds.mean (gaps results Digits posterior)
    /// By how many standard errors over the images, which are the same for all, a posterior's gap is narrower than the
    /// diagonal one's, for each seed.
    let narrower posterior =
        let gaps posterior = measured plan Digits posterior |> List.map (results.Numbers "images" "gap")
        List.map2 (Array.map2 (-)) (gaps diagonal) (gaps posterior)
        |> List.map (fun differences -> Array.average differences / Statistics.standardError differences)
    let narrowest = comparedOn Digits |> List.minBy digits
    let cost posterior = milliseconds results posterior / milliseconds results diagonal
    let found metric setting = [ for posterior in posteriors -> posterior.Key, of' metric setting posterior ]

    {
        Section.empty "ift9" origin with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                for posterior in posteriors do
                    Seeds.value $"ift9.{posterior.Key}.together" 2 (of' elbo Together posterior)
                    Seeds.value $"ift9.{posterior.Key}.togethergap" 2 (gaps results Together posterior)
                for posterior in [ planar; iaf ] do
                    Value.number $"ift9.{posterior.Key}.ahead" 2 (ahead posterior)
                    Seeds.value $"ift9.{posterior.Key}.gained" 2 (gained posterior)
                    let overImages = gains results posterior |> List.averageBy Statistics.standardError
                    Value.number $"ift9.{posterior.Key}.error" 3 overImages
                Seeds.value "ift9.diagonal.elbo" 2 (of' elbo HeldDecoder diagonal)
                Seeds.value "ift9.diagonal.gap" 2 (gaps results HeldDecoder diagonal)
                for posterior in posteriors do
                    Seeds.value $"ift9.{posterior.Key}.digits" 2 (of' elbo Digits posterior)
                Seeds.value "ift9.digits.diagonal" 2 (gaps results Digits diagonal)
                Seeds.value "ift9.digits.least" 2 (gaps results Digits narrowest)
                Value.text "ift9.digits.narrowest" narrowest.Label
                Value.integer "ift9.epochs" (heldEpochs plan.Profile)
                Value.integer "ift9.togetherepochs" (togetherEpochs plan.Profile)
                Value.number "ift9.planar.cost" 2 (cost planar)
                Value.number "ift9.iaf.cost" 2 (cost iaf)
            ]
            Guards = [
                Guard.that
                    "ift9.together"
                    "trained together, no flow's test ELBO is more than 0.05 nats above the diagonal posterior's"
                |> Guard.holds ([ planar; iaf ] |> List.forall (fun flow -> ahead flow <= 0.05))
                |> Guard.found (found elbo Together)
                Guard.that
                    "ift9.planar"
                    "with the decoder held, the planar flow's test ELBO is more than 0.05 nats above the diagonal one's for every seed"
                |> Guard.every (fun nats -> nats > 0.05) "gained" (gained planar)
                Guard.that "ift9.iaf" "the same of the IAF"
                |> Guard.every (fun nats -> nats > 0.05) "gained" (gained iaf)
                Guard.that
                    "ift9.digits"
                    "on the digits every flow posterior has a smaller gap than the diagonal one, by two standard errors over the images, for every seed"
                |> Guard.all (fun errors -> errors >= 2.0) [
                    for p in comparedOn Digits do
                        if p <> diagonal then
                            p.Key, narrower p
                ]
            ]
    }

let experiment = Experiment.row "ift9" runs report
