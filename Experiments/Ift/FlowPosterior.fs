/// ift9: flow posteriors, planar and inverse autoregressive, against the diagonal one: trained with the decoder on
/// binarized MNIST and on the digits, and for one decoder of binarized MNIST that is held, so that log p(x) is the same
/// for all three. Bound, likelihood, gap and the time of a step. Run it: `./reproduce --only ift9`.
module Research.Experiments.Ift.FlowPosterior

open System.Collections.Generic
open System.Diagnostics
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

let private posteriors = [
    "diagonal", DiagonalPosterior
    "planar", PlanarPosterior 8
    "iaf", IafPosterior(2, 300)
]

let private label name =
    match name with
    | "planar" -> "planar, 8 maps"
    | "iaf" -> "IAF, 2 steps"
    | _ -> "diagonal"

/// The digits at the homework's size, each posterior stopped by its own validation bound, as the homework stops.
let private digits (profile: Profile) : VaeRun = {
    BinarizedMnist.vae profile with
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
        Length = EarlyStop(Profile.pick profile 2 40 1000, 20)
}

/// How the three posteriors of a comparison come about.
type private Setting =
    /// On binarized MNIST with ift1's decoder held: encoder and flow start from ift1's encoder.
    | HeldDecoder
    /// With their decoder on binarized MNIST, as ift1.
    | Together
    /// With their decoder on the digits.
    | Digits

let private heldEpochs profile = Profile.pick profile 1 2 10

let private vae setting (profile: Profile) =
    match setting with
    | HeldDecoder
    | Together -> BinarizedMnist.vae profile
    | Digits -> digits profile

/// Flows trained with their decoder on binarized MNIST take longer than all else here: they have one seed.
let private seeds (plan: Plan) setting =
    match setting with
    | Together -> [ plan.Seeds.Head ]
    | HeldDecoder
    | Digits -> plan.Seeds

/// What changes results and the posteriors' names do not say.
let private flow posterior =
    let start = "begins as the identity; closed-form divergence of the base"

    match posterior with
    | DiagonalPosterior -> []
    | PlanarPosterior _ -> [ "flow", start ]
    | IafPosterior _ -> [ "flow", $"{start}; every output sees the context" ]

/// With the decoder; the diagonal one on binarized MNIST is ift1's own run.
let private together (plan: Plan) setting (name, posterior) (seed: int64) : VaeRun * RunRequest =
    let run = { vae setting plan.Profile with Posterior = posterior }

    let id =
        match setting, posterior with
        | Digits, _ -> $"ift9.digits.{name}.seed{seed}"
        | _, DiagonalPosterior -> $"ift1.seed{seed}"
        | _ -> $"ift9.mnist.{name}.seed{seed}"

    run, VaeRun.requestOf plan id seed run (flow posterior) (VaeRun.plainSetup plan run)

/// Encoder and flow for ift1's decoder. The learning rate falls from a third of ift1's to zero, or what is compared
/// would be the noise of Adam's steps, of which a flow's many outputs have more.
let private held (plan: Plan) (name, posterior) (seed: int64) : VaeRun * RunRequest =
    let run = {
        vae HeldDecoder plan.Profile with
            Posterior = posterior
            Length = Epochs(heldEpochs plan.Profile)
    }

    let extra = flow posterior @ [ "decoder", "held"; "rate", "falls linearly from 1/3 to 0" ]

    run,
    VaeRun.requestOf plan $"ift9.held.{name}.seed{seed}" seed run extra {
        VaeRun.plainSetup plan run with
            Learns = fun parameter -> not (parameter.StartsWith "decoder.")
            Rate = fun progress -> (1.0 - progress) / 3.0
            StartFrom = Some(snd (together plan Together posteriors.Head seed))
    }

let private training plan setting posterior seed =
    match setting with
    | HeldDecoder -> held plan posterior seed
    | Together
    | Digits -> together plan setting posterior seed

let private settingName setting =
    match setting with
    | HeldDecoder -> "held"
    | Together -> "mnist"
    | Digits -> "digits"

let private samples profile = Profile.pick profile 20 200 200

let private evaluation (plan: Plan) setting (name, posterior) seed : RunRequest =
    let run, training = training plan setting (name, posterior) seed
    let samples = samples plan.Profile
    let images = Profile.pick plan.Profile 64 1000 10000

    let measure (context: RunContext) (built: BuiltVae) =
        let model, test = built.Model(), VaeRun.sampleOf (plan.Test run.Data) images
        let levels = (plan.Data run.Data).Test.Levels
        let logP = VaeRun.logEvidence run model test samples context.Noise |> Array.averageBy float
        let bound = VaeRun.evaluate run levels model test context.Noise "test" 0L |> Map.ofList

        [ "logp", logP; "elbo", -bound["nelbo"]; "kl", bound["kl"]; "gap", logP + bound["nelbo"] ]

    VaeRun.measurement
        plan
        $"ift9.test.{settingName setting}.{name}.seed{seed}"
        [ "samples", string samples; "images", string images ]
        1
        run
        training
        measure

/// Milliseconds of one training step of each posterior on binarized MNIST's shapes, rounds interleaved so that a
/// machine whose speed drifts slows all alike.
let private timing (plan: Plan) : RunRequest =
    let rounds, steps = Profile.pick plan.Profile (2, 2) (7, 10) (15, 40)

    let work (context: RunContext) =
        let stepper (name, posterior) =
            let run = { BinarizedMnist.vae plan.Profile with Posterior = posterior }

            use generator = context.Noise.For("initialisation", 0L)
            let built = VaeRun.build run generator context.Device
            let descent = Descent(built.Parameters, run.Optimiser)
            let x = context.Noise.Uniform("timing", 0L, [| 64L; 784L |], device = context.Device).round()

            name,
            fun () ->
                use _ = torch.NewDisposeScope()
                let eps = context.Noise.Normal("timing", 1L, [| 64L; 100L |], device = context.Device)
                descent.LowerTerms((fun () -> elbo (built.Model()) x eps), allowUnused = true) |> ignore

        let steppers = posteriors |> List.map stepper

        let measured = [
            for _ in 0..rounds do
                for name, step in steppers do
                    let watch = Stopwatch.StartNew()

                    for _ in 1..steps do
                        step ()

                    name, watch.Elapsed.TotalMilliseconds / float steps
        ]

        let median (values: float list) = (List.sort values)[values.Length / 2]

        context.Run.SaveValues(
            readOnlyDict [
                for name, times in List.groupBy fst measured do
                    // The first round warms up.
                    name, median (times |> List.map snd |> List.tail)
            ]
        )

    plan.Run("ift9.time", [ "rounds", string rounds; "steps", string steps ], 1L, None, 1, work)

let private settings = [ HeldDecoder; Together; Digits ]

let private runs (plan: Plan) : RunRequest list = [
    for setting in settings do
        for posterior in posteriors do
            for seed in seeds plan setting do
                snd (training plan setting posterior seed)
                evaluation plan setting posterior seed
    timing plan
]

let private report (plan: Plan) (results: Results) : Section =
    let epochs = BinarizedMnist.epochs plan.Profile
    let cut = shortened "epochs" epochs 20

    let origin =
        plan.Origin(
            [ for setting in settings -> (vae setting plan.Profile).Data ] |> List.distinct,
            plan.Seeds.Length,
            cut
        )

    let values setting posterior (name: string) =
        seeds plan setting
        |> List.map (fun seed -> results.Value name (evaluation plan setting posterior seed))

    let cell setting posterior name =
        Claim.meanSe (values setting posterior name) |> fun (mean, se) -> MeanSe(mean, se, 2)

    let milliseconds name = results.Value name (timing plan)
    let diagonal = posteriors.Head

    let curve setting (name, posterior) =
        let perEpoch = float ((plan.Data DataSetId.BinarizedMnist).Train.Count + 63) / 64.0 |> floor

        let all =
            seeds plan setting
            |> List.map (fun seed ->
                results.Curve "validation" "nelbo" (snd (training plan setting (name, posterior) seed)))

        Line(
            label name,
            [|
                for i in 0 .. all.Head.Length - 1 ->
                    fst all.Head[i] / perEpoch, all |> List.averageBy (fun c -> snd c[i])
            |],
            None
        )

    let elbo posterior = Seeds.mean (values Together posterior "elbo")
    let gaps posterior = values HeldDecoder posterior "gap"
    let smaller posterior = List.forall2 (<) (gaps posterior) (gaps diagonal)
    let written posterior = gaps posterior |> List.map (fun g -> $"{g:F2}") |> String.concat ", "

    let describe setting =
        match setting with
        | HeldDecoder -> "MNIST, decoder held"
        | Together -> "MNIST, trained together"
        | Digits -> "digits, trained together"

    let validation = Axis.linear "validation $-$ELBO (nats)"

    {
        Row = "ift9"
        Origin = origin
        Figures = [
            {
                Id = "ift9.curve"
                Columns = 2
                Caption =
                    "Binarized MNIST: minus the ELBO on the validation images with three posteriors. Left: for one decoder, which is held, and encoders that start from its own (mean over seeds). Right: trained together with the decoder from random parameters (first seed)."
                Panels = [
                    Panel.axes
                        "decoder held"
                        (Axis.linear "epoch")
                        validation
                        (posteriors |> List.map (curve HeldDecoder))
                    Panel.axes
                        "trained together"
                        (Axis.linear "epoch")
                        validation
                        (posteriors |> List.map (curve Together))
                ]
            }
        ]
        Tables = [
            {
                Id = "ift9.table"
                Caption =
                    $"Diagonal and flow posteriors on test images of binarized MNIST, with ift1's decoder held or trained together with it (first seed), and of the digits: ELBO, the importance-sampling estimate of $\\log p(x)$ with $K={samples plan.Profile}$, their difference (nats), and the median time of a training step on binarized MNIST."
                Columns = [
                    Table.left "Data"
                    Table.left "Posterior"
                    Table.right "ELBO"
                    Table.right "$\\log p(x)$"
                    Table.right "Gap"
                    Table.right "Step (ms)"
                ]
                Rows = [
                    for setting in settings do
                        for name, posterior in posteriors do
                            [
                                Text(describe setting)
                                Text(label name)
                                cell setting (name, posterior) "elbo"
                                cell setting (name, posterior) "logp"
                                cell setting (name, posterior) "gap"
                                (if setting = Together then
                                     Number(milliseconds name, 1)
                                 else
                                     Missing "timed in the second block only")
                            ]
                ]
                Note = ""
            }
        ]
        Values = [
            for name, posterior in posteriors do
                Value.meanSe $"ift9.{name}.gap" 2 <|| Claim.meanSe (gaps (name, posterior))

                Value.meanSe $"ift9.{name}.together" 2
                <|| Claim.meanSe (values Together (name, posterior) "elbo")
            Value.integer "ift9.epochs" (heldEpochs plan.Profile)
            Value.number "ift9.planar.cost" 2 (milliseconds "planar" / milliseconds "diagonal")
            Value.number "ift9.iaf.cost" 2 (milliseconds "iaf" / milliseconds "diagonal")
        ]
        Claims = []
        Guards = [
            Guard.checkFull
                origin
                "ift9.together"
                "trained together, the planar flow's test ELBO is below the diagonal posterior's and the IAF's within a nat of it"
                (elbo posteriors[1] < elbo diagonal && abs (elbo posteriors[2] - elbo diagonal) < 1.0)
                $"diagonal {elbo diagonal:F2}; planar {elbo posteriors[1]:F2}; IAF {elbo posteriors[2]:F2}"
            Guard.checkFull
                origin
                "ift9.smaller"
                "with the decoder held, the gap of the IAF posterior and of the planar posterior is smaller than the diagonal one's for every seed"
                (smaller posteriors[1] && smaller posteriors[2])
                $"diagonal {written diagonal}; planar {written posteriors[1]}; IAF {written posteriors[2]}"
        ]
    }

let experiments: Experiment list = [
    {
        Row = "ift9"
        Title = "VAE with a flow posterior"
        Runs = runs
        Report = report
        Sample = None
    }
]
