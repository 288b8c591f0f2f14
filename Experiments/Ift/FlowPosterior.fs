/// ift9: flow posteriors, planar and inverse autoregressive, against the diagonal one on binarized MNIST and on the
/// digits: bound, likelihood, gap and the time of a step. Run it: `./reproduce --only ift9`.
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

/// The digits at the homework's size, trained alike for every posterior: a fixed length, since early stopping would
/// give each one another.
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

let private sets = [ "mnist", BinarizedMnist.vae; "digits", digits ]

/// The training of a data set, a posterior and a seed. The diagonal one on binarized MNIST is ift1's own run.
let private training
    (plan: Plan)
    (set, vae: Profile -> VaeRun)
    (name, posterior)
    (seed: int64)
    : VaeRun * RunRequest =
    let run = { vae plan.Profile with Posterior = posterior }

    let id =
        if set = "mnist" && name = "diagonal" then
            $"ift1.seed{seed}"
        else
            $"ift9.{set}.{name}.seed{seed}"

    run, VaeRun.request plan id seed run

let private samples profile = Profile.pick profile 20 200 200

let private evaluation (plan: Plan) set (name, posterior) seed : RunRequest =
    let run, training = training plan set (name, posterior) seed
    let samples = samples plan.Profile
    let images = Profile.pick plan.Profile 64 1000 10000

    let work (context: RunContext) =
        use _ = torch.no_grad ()
        let model = (VaeRun.load run (context.Dependency training.Key) context.Device).Model()
        let test = plan.Test run.Data
        // The test file of binarized MNIST stands in class order: a prefix is no sample.
        let order = Noise(0L).Permutation(0L, int (test.size 0))
        let rows = order[.. min images order.Length - 1]
        let x = test.index_select (0L, torch.tensor (rows, device = context.Device))
        let levels = (plan.Data run.Data).Test.Levels

        let logP = VaeRun.logEvidence run model x samples context.Noise |> Array.averageBy float

        let bound = VaeRun.evaluate run levels model x context.Noise "test" 0L |> Map.ofList

        context.Run.SaveValues(
            Dictionary(
                dict [
                    "logp", logP
                    "elbo", -bound["nelbo"]
                    "kl", bound["kl"]
                    "gap", logP + bound["nelbo"]
                ]
            )
        )

    plan.Run(
        $"ift9.test.{fst set}.{name}.seed{seed}",
        [ "samples", string samples; "images", string images ],
        seed,
        Some run.Data,
        1,
        work,
        dependencies = [ training ]
    )

/// Milliseconds of one training step of each posterior on binarized MNIST's shapes, rounds interleaved so that a
/// machine whose speed drifts slows all alike.
let private timing (plan: Plan) : RunRequest =
    let rounds, steps = Profile.pick plan.Profile (2, 2) (7, 10) (15, 40)

    let work (context: RunContext) =
        let stepper (name, posterior) =
            let run = { BinarizedMnist.vae plan.Profile with Posterior = posterior }

            use generator = context.Noise.For("initialisation", 0L)
            let built = VaeRun.build run generator context.Device
            let parameters = [| for struct (_, p) in built.Parameters.All -> p |]
            let optimiser = Optimiser.Create(run.Optimiser, built.Parameters.All)
            let x = context.Noise.Uniform("timing", 0L, [| 64L; 784L |], device = context.Device).round()

            name,
            fun () ->
                use _ = torch.NewDisposeScope()
                let eps = context.Noise.Normal("timing", 1L, [| 64L; 100L |], device = context.Device)
                let loss = total (elbo (built.Model()) x eps)
                optimiser.Step(torch.autograd.grad ([| loss |], parameters, allow_unused = true))
                loss.ToDouble() |> ignore

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
            Dictionary(
                dict [
                    for name, times in List.groupBy fst measured do
                        // The first round warms up.
                        name, median (times |> List.map snd |> List.tail)
                ]
            )
        )

    plan.Run("ift9.time", [ "rounds", string rounds; "steps", string steps ], 1L, None, 1, work)

let private runs (plan: Plan) : RunRequest list = [
    for set in sets do
        for posterior in posteriors do
            for seed in plan.Seeds do
                snd (training plan set posterior seed)
                evaluation plan set posterior seed
    timing plan
]

let private report (plan: Plan) (results: Results) : Section =
    let epochs = BinarizedMnist.epochs plan.Profile
    let cut = shortened "epochs" epochs 20

    let origin =
        plan.Origin([ for _, vae in sets -> (vae plan.Profile).Data ], plan.Seeds.Length, cut)

    let values set posterior (name: string) =
        plan.Seeds
        |> List.map (fun seed -> results.Value name (evaluation plan set posterior seed))

    let mean set posterior name = fst (Claim.meanSe (values set posterior name))

    let cell set posterior name =
        Claim.meanSe (values set posterior name) |> fun (mean, se) -> MeanSe(mean, se, 2)

    let milliseconds name = results.Value name (timing plan)
    let mnist = sets.Head
    let diagonal = posteriors.Head

    let curve (name, posterior) =
        let perEpoch = float ((plan.Data DataSetId.BinarizedMnist).Train.Count + 63) / 64.0 |> floor

        let all =
            plan.Seeds
            |> List.map (fun seed ->
                results.Curve "validation" "nelbo" (snd (training plan mnist (name, posterior) seed)))

        Line(
            label name,
            [|
                for i in 0 .. all.Head.Length - 1 ->
                    fst all.Head[i] / perEpoch, all |> List.averageBy (fun c -> snd c[i])
            |],
            None
        )

    let smaller posterior = List.forall2 (<) (values mnist posterior "gap") (values mnist diagonal "gap")

    let gaps posterior = values mnist posterior "gap" |> List.map (fun g -> $"{g:F2}") |> String.concat ", "

    {
        Row = "ift9"
        Origin = origin
        Figures = [
            Figure.single
                "ift9.curve"
                "Binarized MNIST: minus the ELBO on the validation images with three posteriors (mean over seeds)."
                (Panel.axes
                    ""
                    (Axis.linear "epoch")
                    (Axis.linear "validation $-$ELBO (nats)")
                    (posteriors |> List.map curve))
        ]
        Tables = [
            {
                Id = "ift9.table"
                Caption =
                    $"Diagonal and flow posteriors on test images: ELBO, the importance-sampling estimate of $\\log p(x)$ with $K={samples plan.Profile}$, their difference (nats), and the median time of a training step on binarized MNIST."
                Columns = [
                    Table.left "Data"
                    Table.left "Posterior"
                    Table.right "ELBO"
                    Table.right "$\\log p(x)$"
                    Table.right "Gap"
                    Table.right "Step (ms)"
                ]
                Rows = [
                    for set in sets do
                        for name, posterior in posteriors do
                            [
                                Text(if fst set = "mnist" then "binarized MNIST" else "digits")
                                Text(label name)
                                cell set (name, posterior) "elbo"
                                cell set (name, posterior) "logp"
                                cell set (name, posterior) "gap"
                                (if fst set = "mnist" then
                                     Number(milliseconds name, 1)
                                 else
                                     Missing "the same networks at another size")
                            ]
                ]
                Note = ""
            }
        ]
        Values = [
            for name, posterior in posteriors do
                Value.meanSe $"ift9.{name}.gap" 2 <|| Claim.meanSe (values mnist (name, posterior) "gap")
            Value.number "ift9.planar.cost" 2 (milliseconds "planar" / milliseconds "diagonal")
            Value.number "ift9.iaf.cost" 2 (milliseconds "iaf" / milliseconds "diagonal")
        ]
        Claims = []
        Guards = [
            Guard.checkFull
                origin
                "ift9.smaller"
                "on binarized MNIST the gap of the IAF posterior and of the planar posterior is smaller than the diagonal one's for every seed"
                (smaller posteriors[1] && smaller posteriors[2])
                $"diagonal {gaps diagonal}; planar {gaps posteriors[1]}; IAF {gaps posteriors[2]}"
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
