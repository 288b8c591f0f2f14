/// nora4: how much of the latent space has collapsed, for several beta on the digits: the proportion of collapsed
/// dimensions against the threshold, and the bound on mutual information. Run it: `./reproduce --only nora4`.
module Research.Experiments.Nora.Collapse

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Hw

/// A dimension may exceed the threshold on this share of the images and still count as collapsed.
let private delta = 0.01

/// The threshold of the table, in nats.
let private threshold = 0.01

/// Thresholds of the figure.
let private thresholds = [| for i in 0..80 -> 10.0 ** (-5.0 + float i / 10.0) |]

/// Values `rate`, the bound on the information; `information` and `limit` = log N; `active`, the units whose mean moves;
/// and tensor `kl` `[N,L]`, the divergence of each dimension on each training image.
let private request (plan: Plan) (trained: Digits.Trained) : RunRequest =
    let measure (context: RunContext) (built: BuiltVae) =
        let model = built.Model()
        let q = (model.Encode(plan.Train Digits.set)).Base
        let perDimension = klStandardPerDimension q
        let eps = context.Noise.Normal("surgery", 0L, q.Mu.shape, device = context.Device)
        let parts = elboSurgery q model.Prior.LogProb eps

        context.SaveTensors("divergence", [ NamedTensor("kl", perDimension) ])

        [
            "rate", (mutualInformationBound (sumLast perDimension)).ToDouble()
            "information", parts.MutualInformation
            "limit", parts.Limit
            "active", float (activeUnits 0.01 q.Mu)
        ]

    let name = trained.Training.Key.Name.Replace("hw5.", "nora4.of.hw5.")
    VaeRun.measurement plan name [] 1 trained.Run trained.Training measure

/// The models of hw5.2, smallest beta first; one weight less, since the palette tells seven curves apart.
let private models (plan: Plan) : (float * Digits.Trained list) list = [
    for beta in List.except [ 0.25 ] (DigitsBeta.betas plan.Profile) -> beta, DigitsBeta.trainings plan beta
]

let private report (plan: Plan) (results: Results) : Section =
    let models = [ for beta, trained in models plan -> beta, List.map (request plan) trained ]
    let origin = Digits.origin plan plan.Seeds.Length

    let proportions (runs: RunRequest list) (epsilon: float) = [
        for run in runs ->
            use kl = results.Tensor "divergence" "kl" run
            collapsedProportion epsilon delta kl
    ]

    let each name runs = runs |> List.map (results.Value name)
    let at threshold = [ for _, runs in models -> Seeds.mean (proportions runs threshold) ]
    let ordered = List.pairwise (at threshold) |> List.forall (fun (a, b) -> a <= b)

    // How far the information is under the smaller of its two bounds, for each model.
    let slack = [
        for _, runs in models do
            yield!
                List.map3
                    (fun information rate limit -> min rate limit - information)
                    (each "information" runs)
                    (each "rate" runs)
                    (each "limit" runs)
    ]

    let of' beta = models |> List.find (fun (b, _) -> b = beta) |> snd
    let strongest = of' 10.0
    let numbers decimals values = values |> List.map (Markup.fixedPoint decimals) |> String.concat ", "
    let percent values = values |> List.map (fun v -> 100.0 * v)

    {
        Row = "nora4"
        Origin = origin
        Figures = [
            Figure.single
                "nora4.collapse"
                $"Digits, $L={Digits.latent}$: the proportion of latent dimensions collapsed at $(\\varepsilon, 0.01)$, those whose divergence from the prior is under $\\varepsilon$ on at least 99 of 100 training images, against $\\varepsilon$, for the models of each $\\beta$."
                (Panel.axes
                    ""
                    (Axis.log "threshold $\\varepsilon$ (nats)")
                    (Axis.linear "proportion of dimensions" |> Axis.between -0.02 1.02)
                    [
                        for beta, runs in models ->
                            Line(
                                $"$\\beta={inv beta}$",
                                [| for e in thresholds -> e, Seeds.mean (proportions runs e) |],
                                None
                            )
                    ]
                 |> Panel.withLegend Below)
        ]
        Tables = [
            {
                Id = "nora4.table"
                Caption =
                    $"Digits, training images: the information of code and image, its two bounds (nats), the share of collapsed dimensions at $\\varepsilon=\\delta=0.01$, and the number of active units of {Digits.latent}."
                Columns = [
                    Table.left "$\\beta$"
                    Table.right "Information"
                    Table.right "Rate"
                    Table.right "$\\log N$"
                    Table.right "Collapsed (%)"
                    Table.right "Active units"
                ]
                Rows = [
                    for beta, runs in models ->
                        [
                            Text(inv beta)
                            Digits.cell 3 (each "information" runs)
                            Digits.cell 3 (each "rate" runs)
                            Number(results.Value "limit" runs.Head, 3)
                            Digits.cell 0 (percent (proportions runs threshold))
                            Digits.cell 1 (each "active" runs)
                        ]
                ]
                Note = ""
            }
        ]
        Values = [
            Value.number "nora4.plain" 0 (Seeds.mean (percent (proportions (of' 1.0) threshold)))
            Seeds.value "nora4.rate" 2 (each "rate" (of' 1.0))
            Seeds.value "nora4.information" 2 (each "information" (of' 1.0))
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "nora4.bound"
                "the information is at most 0.05 nats above the smaller of rate and log N, for every beta and seed"
                (slack |> List.forall (fun s -> s >= -0.05))
                (numbers 3 slack)
            Guard.check
                origin
                "nora4.saturates"
                "at beta = 0 the rate exceeds 100 nats and the information is at least 95 % of log N, for every seed"
                (each "rate" (of' 0.0) |> List.forall (fun r -> r > 100.0)
                 && List.forall2
                     (fun i limit -> i >= 0.95 * limit)
                     (each "information" (of' 0.0))
                     (each "limit" (of' 0.0)))
                (numbers 2 (each "rate" (of' 0.0) @ each "information" (of' 0.0)))
            Guard.check
                origin
                "nora4.order"
                "the share of collapsed dimensions never falls from one beta to the next larger one"
                ordered
                (numbers 3 (at threshold))
            Guard.check
                origin
                "nora4.all"
                "at beta = 10 every dimension has collapsed, for every seed"
                (proportions strongest threshold |> List.forall (fun p -> p = 1.0))
                (numbers 3 (proportions strongest threshold))
        ]
    }

let private experiment: Experiment = {
    Row = "nora4"
    Title = "Mutual information and collapse"
    Runs =
        fun plan -> [
            for _, trained in models plan do
                for t in trained do
                    t.Training
                    request plan t
        ]
    Report = report
    Sample = None
}

let experiments = [ experiment ]
