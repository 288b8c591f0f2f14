/// hw5.4 and hw5.5: learned priors on the UCI digits: tables, sweeps, latent spaces, samples, pseudo-inputs, cost.
/// Run them: `./reproduce --only hw5.4,hw5.5`.
module Research.Experiments.Hw.DigitsPriorReport

open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits
open Research.Experiments.Hw.DigitsPriors

/// MoG with one component and the standard prior differ by optimisation alone: expected within this (stated before).
let private close = 1.0

let private columns = 16

/// Test -ELBO less that of the standard prior, seed by seed.
let private difference (plan: Plan) (results: Results) latent choice =
    let bound choice = trainings plan latent choice |> values plan results "bound"
    List.map2 (-) (bound choice) (bound Standard)

let private table (plan: Plan) (results: Results) latent = {
    Id = $"hw5.4.table{latent}"
    Caption =
        $"Digits, $L={latent}$: test images under each prior (nats per image; likelihood by importance sampling with $K={importanceSamples plan.Profile}$), the difference of $-$ELBO to the standard prior seed by seed, and the divergence of the aggregated posterior of the training images from the prior."
    Columns = [
        Table.left "Prior"
        Table.right "K"
        Table.right "Reconstruction"
        Table.right "KL"
        Table.right "$-$ELBO"
        Table.right "Difference"
        Table.right "$-\\log p(x)$"
        Table.right "$\\mathrm{KL}(q(z)\\|p)$"
    ]
    Rows = [
        for choice in choices plan.Profile latent do
            let measured name = trainings plan latent choice |> values plan results name

            let family, components = Choice.title choice

            [
                Text family
                Text components
                cell 2 (measured "reconstruction")
                cell 2 (measured "kl")
                cell 2 (measured "bound")
                (if choice = Standard then
                     Text "0"
                 else
                     cell 2 (difference plan results latent choice))
                cell 2 (measured "logp" |> List.map (~-))
                cell 2 (measured "marginal")
            ]
    ]
    Note = ""
}

let private sweepFigure (plan: Plan) (results: Results) =
    let panel latent =
        let bounds choice = trainings plan latent choice |> values plan results "bound"

        let curve name make =
            Seeds.line name [ for k in sweep plan.Profile latent -> float k, bounds (make k) ]

        let standard = Seeds.mean (bounds Standard)

        let all =
            standard
            :: [
                for k in sweep plan.Profile latent do
                    for make in [ MixtureOf; VampOf ] -> Seeds.mean (bounds (make k))
            ]

        // The dotted line of the standard prior must be in view.
        let y =
            Axis.linear "test $-$ELBO (nats)"
            |> Axis.between (List.min all - 0.5) (List.max all + 0.5)

        Panel.axes $"$L={latent}$" (Axis.log "components $K$") y [
            curve "mixture" MixtureOf
            curve "VampPrior" VampOf
            Level("standard", standard)
        ]

    // One point is no sweep.
    let swept = dimensions |> List.filter (fun latent -> (sweep plan.Profile latent).Length > 1)

    Figure.grid
        "hw5.4.sweep"
        "Digits: test $-$ELBO against the number of components or pseudo-inputs, with one standard error where there are several seeds; dotted, the standard prior."
        swept.Length
        (swept |> List.map panel)

let private density (results: Results) request name =
    use map = results.Tensor "map" name request
    let values = map.flatten().double().data<float>().ToArray()
    let n = int (map.size 0)
    let half = results.Value "half" request

    {
        Values = Array2D.init n n (fun row column -> values[row * n + column])
        X = -half, half
        Y = -half, half
    }

/// Above the priors' densities, below the aggregated posteriors'.
let private latentSpace id caption (plan: Plan) (results: Results) (chosen: Choice list) =
    let panel name (title: Choice -> string) choice =
        let request = map plan (trainings plan 2 choice).Head

        Panel.axes (title choice) (Axis.linear "") (Axis.linear "") [ Density(density results request name) ]
        |> Panel.withLegend NoLegend

    let family choice = fst (Choice.title choice)

    Figure.grid
        id
        caption
        chosen.Length
        ((chosen |> List.map (panel "prior" (fun c -> $"{family c}: $p(z)$")))
         @ (chosen |> List.map (panel "aggregated" (fun c -> $"{family c}: $q(z)$"))))

let private samples id caption (plan: Plan) (results: Results) (chosen: Choice list) =
    let rows = [
        for latent in dimensions do
            for choice in chosen do
                $"{fst (Choice.title choice)}, {latent}", (trainings plan latent choice).Head
    ]

    Figure.single
        id
        caption
        (Panel.images
            ""
            columns
            (rows |> List.map (snd >> picturesOf plan results "samples" columns) |> Array.concat)
         |> Panel.withCaptions (rows |> List.map fst) [])

let private pseudoInputs (plan: Plan) (results: Results) =
    let rows = [
        for latent in dimensions do
            let trained = (trainings plan latent (VampOf usual)).Head
            $"inputs, $L={latent}$", picturesOf plan results "pseudo-inputs" usual trained
            "decoded", picturesOf plan results "pseudo-inputs decoded" usual trained
    ]

    Figure.single
        "hw5.4.pseudo"
        "Digits: the learned pseudo-inputs of a VampPrior, cut to the range of the pixels, and under each the decoder's mean at the mean of its encoding (first seed)."
        (Panel.images "" usual (rows |> List.map snd |> Array.concat)
         |> Panel.withCaptions (rows |> List.map fst) [])

let private costFigure (plan: Plan) (results: Results) =
    let of' choice = results.Value (Choice.id choice) (cost plan)

    let curve make = [|
        for choice in timed do
            match make choice with
            | Some k -> float k, of' choice
            | None -> ()
    |]

    Figure.single
        "hw5.4.cost"
        "Digits: least time of a training step on a batch of $64$, $L=16$, in rounds through all priors, against the number of components."
        (Panel.axes "" (Axis.log "components $K$") (Axis.linear "milliseconds a step") [
            Line(
                "mixture",
                curve (function
                    | MixtureOf k -> Some k
                    | _ -> None),
                None
            )
            Line(
                "VampPrior",
                curve (function
                    | VampOf k -> Some k
                    | _ -> None),
                None
            )
            Level("standard", of' Standard)
         ]
         |> Panel.withLegend NorthWest)

let private meanOf (plan: Plan) (results: Results) latent name choice =
    trainings plan latent choice |> values plan results name |> Seeds.mean

let private numbers (values: float list) = values |> List.map (fun v -> $"{v:F2}") |> String.concat ", "

let private report4 (plan: Plan) (results: Results) : Section =
    let origin = origin plan plan.Seeds.Length
    let learned latent = choices plan.Profile latent |> List.filter (fun c -> c <> Standard)
    let marginal latent choice = meanOf plan results latent "marginal" choice
    let bound latent choice = meanOf plan results latent "bound" choice
    let gain latent = bound latent Standard - (learned latent |> List.map (bound latent) |> List.min)
    let fitted = [ VampOf usual; RealNvp ]
    let relative choice = results.Value (Choice.id choice) (cost plan) / results.Value "standard" (cost plan)

    {
        Row = "hw5.4"
        Origin = origin
        Figures = [
            sweepFigure plan results
            latentSpace
                "hw5.4.latent"
                "Digits, $L=2$: density over $(z_1,z_2)$ of the prior (above) and of the aggregated posterior of the training images (below); each map has its own scale (first seed, 16 components)."
                plan
                results
                [ Standard; MixtureOf usual; VampOf usual; Topographic ]
            samples
                "hw5.4.samples"
                "Digits: the decoder's mean at draws from each prior, with 2 and with 16 latents (first seed, 16 components)."
                plan
                results
                [ Standard; MixtureOf usual; VampOf usual; Topographic ]
            pseudoInputs plan results
            costFigure plan results
        ]
        Tables = [ yield! dimensions |> List.map (table plan results); DigitsTraps.table plan results ]
        Values = [
            Seeds.value "hw5.4.single2" 2 (difference plan results 2 (VampOf 1))
            Seeds.value "hw5.4.vamp2" 2 (difference plan results 2 (VampOf usual))
            Seeds.value "hw5.4.mog2" 2 (difference plan results 2 (MixtureOf usual))
            Seeds.value "hw5.4.vamp16" 2 (difference plan results 16 (VampOf usual))
            Seeds.value "hw5.4.mog16" 2 (difference plan results 16 (MixtureOf usual))
            Value.number "hw5.4.constant16" 1 (DigitsTraps.constant 16)
            Seeds.value "hw5.4.standard2" 2 (trainings plan 2 Standard |> values plan results "bound")
            Seeds.value "hw5.4.standard16" 2 (trainings plan 16 Standard |> values plan results "bound")
            Value.number "hw5.4.marginal2" 2 (marginal 2 Standard)
            Value.number "hw5.4.marginal16" 2 (marginal 16 Standard)
            Value.number "hw5.4.cost.mog" 2 (relative (MixtureOf 256))
            Value.number "hw5.4.cost.vamp" 2 (relative (VampOf 256))
        ]
        Claims = [
            for latent in dimensions |> List.filter (sweep plan.Profile >> List.contains 1) do
                Claim.judge
                    origin
                    $"hw5.4.mog1.l{latent}"
                    "HW Q5"
                    $"digits, $L={latent}$: test $-$ELBO, one-component mixture less standard prior"
                    (Some 0.0)
                    (Rule.within close 0.0)
                    (difference plan results latent (MixtureOf 1))
                    "in theory equal but for optimisation"
        ]
        Guards = [
            Guard.check
                origin
                "hw5.4.surcharge"
                "in both dimensions the best prior gains at most what the standard one pays, KL(q(z)||p), and half a nat"
                (dimensions |> List.forall (fun latent -> gain latent <= marginal latent Standard + 0.5))
                (dimensions |> List.map gain |> numbers)
            Guard.check
                origin
                "hw5.4.fits"
                "in both dimensions VampPrior (16) and flow prior are nearer to the aggregated posterior than the standard one"
                (dimensions
                 |> List.forall (fun latent ->
                     fitted |> List.forall (fun c -> marginal latent c < marginal latent Standard)))
                (dimensions
                 |> List.map (fun latent -> Standard :: fitted |> List.map (marginal latent) |> numbers)
                 |> String.concat "; ")
        ]
    }

let private report5 (plan: Plan) (results: Results) : Section =
    let origin = origin plan plan.Seeds.Length
    let marginal latent choice = meanOf plan results latent "marginal" choice

    {
        Row = "hw5.5"
        Origin = origin
        Figures = [
            latentSpace
                "hw5.5.latent"
                "Digits, $L=2$: density over $(z_1,z_2)$ of the prior (above) and of the aggregated posterior of the training images (below), for the standard and for the flow prior (first seed)."
                plan
                results
                [ Standard; RealNvp ]
            samples
                "hw5.5.samples"
                "Digits: the decoder's mean at draws from the flow prior and from the standard one, with 2 and with 16 latents (first seed)."
                plan
                results
                [ Standard; RealNvp ]
        ]
        Tables = []
        Values = [
            Seeds.value "hw5.5.flow2" 2 (difference plan results 2 RealNvp)
            Seeds.value "hw5.5.flow16" 2 (difference plan results 16 RealNvp)
            Value.number "hw5.5.marginal2" 2 (marginal 2 RealNvp)
            Value.number "hw5.5.marginal16" 2 (marginal 16 RealNvp)
            Value.number
                "hw5.5.cost"
                2
                (results.Value (Choice.id RealNvp) (cost plan) / results.Value "standard" (cost plan))
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "hw5.5.fits"
                "in both dimensions the flow prior is nearer to the aggregated posterior than the standard one"
                (dimensions
                 |> List.forall (fun latent -> marginal latent RealNvp < marginal latent Standard))
                (dimensions |> List.map (fun latent -> marginal latent RealNvp) |> numbers)
        ]
    }

let experiments: Experiment list = [
    {
        Row = "hw5.4"
        Title = "Learned priors: mixture and VampPrior"
        Runs = fun plan -> runs plan @ List.collect (DigitsTraps.runs plan) dimensions
        Report = report4
        Sample =
            Some(fun plan results count noise ->
                let trained = (trainings plan Digits.latent (VampOf usual)).Head
                let built = VaeRun.load trained.Run (results.Of trained.Training) plan.Device
                VaeRun.sampleMeans built count noise |> Pictures.images (plan.Data set).Train top)
    }
    {
        Row = "hw5.5"
        Title = "A flow as the prior"
        Runs = runs
        Report = report5
        Sample =
            Some(fun plan results count noise ->
                let trained = (trainings plan Digits.latent RealNvp).Head
                let built = VaeRun.load trained.Run (results.Of trained.Training) plan.Device
                VaeRun.sampleMeans built count noise |> Pictures.images (plan.Data set).Train top)
    }
]
