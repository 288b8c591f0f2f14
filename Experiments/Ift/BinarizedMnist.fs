/// ift1, ift2: a VAE with 100 latents on Larochelle's binarized MNIST, its validation bound over 20 epochs and its
/// log-likelihood by importance sampling. Run it: `./reproduce --only ift1,ift2`.
module Research.Experiments.Ift.BinarizedMnist

open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

let shape: VaeShape = {
    Data = 784
    Latent = 100
    Hidden = [ 300; 300 ]
    Activation = Elu
    Likelihood = BernoulliLogits -5.0
    Variance = LogVariance
}

let private fullEpochs = 20

let private epochs profile = Profile.pick profile 2 fullEpochs fullEpochs

/// How the training falls short of the source's, for captions and claims.
let shortenedBy unit' profile = shortened unit' (epochs profile) fullEpochs

let vae (profile: Profile) : VaeRun = {
    Data = DataSetId.BinarizedMnist
    Binarise = false
    Shape = shape
    Prior = StandardPrior
    Posterior = DiagonalPosterior
    Loss = Loss.elbo
    Samples = 0
    Optimiser = OptimiserSettings.Adam 3e-4
    Batch = 64
    Length = Epochs(epochs profile)
}

/// One training per seed.
let trainings (plan: Plan) : Trained list = VaeTraining.each plan "ift1" (vae plan.Profile)

let private origin (plan: Plan) cut = plan.Origin([ DataSetId.BinarizedMnist ], plan.Seeds.Length, cut)

/// The source's validation -ELBO after epochs 1 to 20; it asks for at most `required` after the last.
let private source =
    Array.concat [
        [| 166.34; 143.85; 129.87; 121.76; 117.33; 114.27; 111.24; 108.97; 107.30; 106.16 |]
        [| 105.19; 104.81; 103.79; 103.10; 102.76; 102.39; 102.09; 101.48; 101.70; 100.94 |]
    ]

let private required = 102.0

/// Minus the ELBO on the validation images after each epoch, one value a seed.
let private byEpoch (results: Results) : float list[] =
    let curves = [ for t in trainings results.Plan -> results.Curve "validation" "nelbo" t.Training ]
    [| for epoch in 0 .. curves.Head.Length - 1 -> [ for curve in curves -> snd curve[epoch] ] |]

let private curve (ours: float list[]) =
    let less epoch = ours[epoch - 1] |> List.map (fun nats -> nats - source[epoch - 1])
    [
        Panel.axes "" (Axis.linear "epoch") (Axis.linear "validation $-$ELBO (nats)") [
            Seeds.line "ours" [ for e in 1 .. ours.Length -> float e, ours[e - 1] ]
            Reference("source", [| for e in 1..fullEpochs -> float e, source[e - 1] |])
            Level("required", required)
        ]
        Panel.axes "" (Axis.linear "epoch") (Axis.linear "ours less the source's (nats)") [
            Seeds.line "ours" [ for e in 1 .. min ours.Length fullEpochs -> float e, less e ]
        ]
        |> Panel.withLegend NoLegend
    ]
    |> Figure.grid
        "ift1.curve"
        "Binarized MNIST: minus the ELBO on the validation images after each epoch, with the source's curve and the value it requires after epoch 20; right, ours less the source's."
        2

/// All epochs, as in the source's Figure 2: the second half beside the first.
let private table (ours: float list[]) =
    let half = fullEpochs / 2
    let columns skipped = [
        Column.right "Epoch" (fun row -> Text(string (row + skipped)))
        Column.right "Source" (fun row -> Source(source[row + skipped - 1], 2))
        Column.right "Ours" (fun row ->
            if row + skipped <= ours.Length then
                Seeds.cell 2 ours[row + skipped - 1]
            else
                Missing $"this profile trains for {ours.Length} epochs")
    ]

    [ 1..half ]
    |> Table.over
        "ift1.table"
        "Binarized MNIST: minus the ELBO on the validation images (nats)."
        (columns 0 @ columns half)

let private ift1 (results: Results) : Section =
    let ours = byEpoch results
    let last, best = Array.last ours, ours |> Array.map Seeds.mean |> Array.min

    {
        Section.empty "ift1" (origin results.Plan (shortenedBy "epochs" results.Plan.Profile)) with
            Figures = [ curve ours ]
            Tables = [ table ours ]
            Values = [
                Seeds.value "ift1.elbo" 2 last
                Value.integer "ift1.epochs" ours.Length
                Value.number "ift1.worst" 2 (List.max last)
            ]
            Claims = [
                let several = if last.Length > 1 then $", the highest of {last.Length} seeds" else ""
                Claim.that "IFT P1.1" "ift1.elbo" $"validation $-$ELBO after epoch 20{several}"
                |> Claim.beside source[fullEpochs - 1]
                |> Claim.judgedBy (AtMost required) [ List.max last ]
                |> Claim.noting "the rule is the source's requirement"
            ]
            Guards = [
                Guard.that "ift1.last" "the mean validation bound after the last epoch is the best of all epochs"
                |> Guard.holds (Seeds.mean last <= best)
                |> Guard.found [ "last", last; "best", [ best ] ]
                Guard.that
                    "ift1.falls"
                    "the mean validation bound after the last epoch is the best of all epochs but for half a nat"
                |> Guard.holds (Seeds.mean last <= best + 0.5)
                |> Guard.found [ "last", last; "best", [ best ] ]
            ]
    }

let private sourceLogP = -95.59

let private samples profile = Profile.pick profile 20 200 200

let private fullImages = 10_000

let private images profile = Profile.pick profile 64 1000 fullImages

/// Log-likelihood of the test images under a trained model. K = 200 samples as the source; few images when short.
let private evaluate (plan: Plan) (trained: Trained) : RunRequest =
    let images, samples = images plan.Profile, samples plan.Profile
    let name = trained.Name.Replace("ift1", "ift2")
    let configuration = [ "samples", string samples; "images", string images ]
    VaeTraining.measure plan name configuration trained (fun context built ->
        let x = Rows.sample (plan.Test trained.Run.Data) images
        let measured = Evaluation.evidence built x samples context.Noise |> Evaluation.summary
        ("images", float (x.size 0)) :: measured)

let private certify (plan: Plan) =
    Certificate.request plan "ift2" (samples plan.Profile) (fun trained -> plan.Test trained.Run.Data)

let private ift2 (results: Results) : Section =
    let plan = results.Plan
    let runs = trainings plan |> List.map (evaluate plan)
    let certificates = trainings plan |> List.map (certify plan)
    let of' name = runs |> List.map (results.Value name)
    let overImages name = Number(List.average (of' $"{name}.error"), 2)
    let missed = Certificate.missed results certificates
    let logP, gaps = of' "logp", of' "gap"
    let none = Missing "the source states no number"
    let table =
        [
            "$\\log p(x)$, importance sampling", "logp", Source(sourceLogP, 2), Seeds.cell 2 logP
            "ELBO", "elbo", none, Seeds.cell 2 (of' "elbo")
            "difference", "gap", none, Seeds.cell 2 gaps
        ]
        |> Table.over
            "ift2.table"
            $"""Binarized MNIST, test images ({int (of' "images").Head}): the importance-sampling estimate of $\log p(x)$ with $K={samples plan.Profile}$, the ELBO, and the difference (nats), with the standard errors over images."""
            [
                Column.text "" (fun (title, _, _, _) -> title)
                Column.right "Source" (fun (_, _, source, _) -> source)
                Column.right "Ours" (fun (_, _, _, ours) -> ours)
                Column.right "Error over images" (fun (_, name, _, _) -> overImages name)
            ]

    {
        Section.empty "ift2" (origin plan (shortened "test images" (images plan.Profile) fullImages)) with
            Tables = [ table; Certificate.table results "ift2" "Binarized MNIST" (samples plan.Profile) certificates ]
            Values = [
                Seeds.value "ift2.logp" 2 logP
                Value.integer "ift2.images" (int (of' "images").Head)
                Seeds.value "ift2.gap" 2 gaps
                { Id = "ift2.error"; Cell = overImages "logp" }
                Seeds.value "ift2.missed" 2 missed
                Value.integer "ift2.few" (Certificate.images plan)
                let ofCertificates name = certificates |> List.map (results.Value name)
                Value.number "ift2.missed.error" 2 (List.average (ofCertificates "test.missed.error"))
                Seeds.value "ift2.missed.simulated" 2 (Certificate.missedOnGenerated results certificates)
                Certificate.reported results "ift2" certificates
            ]
            Claims = [
                Claim.that "IFT P1.2" "ift2.logp" "$\\log p(x)$ of the test images, $K=200$"
                |> Claim.beside sourceLogP
                |> Claim.judgedBy (Within(1.0, sourceLogP)) logP
                Certificate.claim results "IFT P1.2" "ift2" "binarized MNIST" certificates
            ]
            Guards = [
                Guard.that "ift2.all" "all test images are measured"
                |> Guard.holds (images plan.Profile >= fullImages)
                Guard.that "ift2.tighter" "the importance-sampling estimate exceeds the ELBO for every seed"
                |> Guard.every (fun g -> g > 0.0) "gaps" gaps
                Guard.that "ift2.low" "annealing lies above importance sampling on test images for every seed"
                |> Guard.every (fun nats -> nats > 0.0) "annealing less importance sampling" missed
                Guard.that "ift2.near" "the estimate is within two standard errors over images of the source's value"
                |> Guard.pairs
                    (fun estimate error -> abs (estimate - sourceLogP) <= 2.0 * error)
                    ("estimate", logP)
                    ("error", of' "logp.error")
                Certificate.guard results "ift2" certificates
            ]
    }

let experiments = [
    VaeTraining.sampler (trainings >> List.head)
    |> Experiment.sampled "ift1" (fun plan -> [ for t in trainings plan -> t.Training ]) ift1
    Experiment.row
        "ift2"
        (fun plan -> trainings plan |> List.collect (fun t -> [ t.Training; evaluate plan t; certify plan t ]))
        ift2
]
