/// ift1, ift2: a VAE with 100 latents on Larochelle's binarized MNIST, its validation bound over 20 epochs and its
/// log-likelihood by importance sampling. Run it: `./reproduce --only ift1,ift2`.
module Research.Experiments.Ift.BinarizedMnist

open TorchSharp
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

let epochs profile = Profile.pick profile 2 5 fullEpochs

let vae (profile: Profile) : VaeRun = {
    Data = DataSetId.BinarizedMnist
    Binarise = false
    Shape = shape
    Prior = StandardPrior
    Posterior = DiagonalPosterior
    Objective = "elbo", elbo
    Samples = 0
    Optimiser = OptimiserSettings.Adam 3e-4
    Batch = 64
    Length = Epochs(epochs profile)
    EvaluateEvery = None
}

/// One training per seed.
let trainings (plan: Plan) : RunRequest list = [
    for seed in plan.Seeds -> VaeRun.request plan $"ift1.seed{seed}" seed (vae plan.Profile)
]

/// The source's validation -ELBO after epochs 1 to 20.
let private source = [|
    166.34
    143.85
    129.87
    121.76
    117.33
    114.27
    111.24
    108.97
    107.30
    106.16
    105.19
    104.81
    103.79
    103.10
    102.76
    102.39
    102.09
    101.48
    101.70
    100.94
|]

/// The source asks for at most this after epoch 20.
let private required = 102.0

let private sourceLogP = -95.59

let private byEpoch (results: Results) (request: RunRequest) =
    results.Curve "validation" "nelbo" request |> Array.map snd

let private ift1: Experiment = {
    Row = "ift1"
    Title = "VAE on binarized MNIST"
    Runs = trainings
    Report =
        fun plan results ->
            let full = plan.Profile = Paper
            let runs = trainings plan
            let curves = runs |> List.map (byEpoch results)
            let epochs = curves.Head.Length
            let at epoch = curves |> List.map (fun c -> c[epoch - 1])
            let best = List.min [ for e in 1..epochs -> Seeds.mean (at e) ]

            let origin =
                plan.Origin([ DataSetId.BinarizedMnist ], runs.Length, shortened "epochs" epochs fullEpochs)

            let last = at epochs

            let rows = [
                for e in [ 1; 2; 5; 10; 15; 20 ] do
                    [
                        Text(string e)
                        Source(source[e - 1], 2)
                        (if e <= epochs then
                             Seeds.cell 2 (at e)
                         else
                             Missing $"this profile trains for {epochs} epochs")
                    ]
            ]

            {
                Row = "ift1"
                Origin = origin
                Figures = [
                    Figure.single
                        "ift1.curve"
                        "Binarized MNIST: minus the ELBO on the validation images after each epoch, with the source's curve and the value it requires after epoch 20."
                        (Panel.axes "" (Axis.linear "epoch") (Axis.linear "validation $-$ELBO (nats)") [
                            Seeds.line "ours" [ for e in 1..epochs -> float e, at e ]
                            Reference("source", [| for e in 1..fullEpochs -> float e, source[e - 1] |])
                            Level("required", required)
                        ])
                ]
                Tables = [
                    {
                        Id = "ift1.table"
                        Caption = "Binarized MNIST: minus the ELBO on the validation images (nats)."
                        Columns = [ Table.right "Epoch"; Table.right "Source"; Table.right "Ours" ]
                        Rows = rows
                        Note = ""
                    }
                ]
                Values = [
                    Seeds.value "ift1.elbo" 2 last
                    Value.integer "ift1.epochs" epochs
                    Value.number "ift1.worst" 2 (List.max last)
                ]
                Claims = [
                    Claim.judge
                        origin
                        "ift1.elbo"
                        "IFT P1.1"
                        "validation $-$ELBO after epoch 20, worst seed"
                        (Some source[fullEpochs - 1])
                        (Rule.atMost required)
                        [ List.max last ]
                        "the rule is the source's requirement, applied to the worst seed"
                ]
                Guards = [
                    Guard.check
                        origin
                        "ift1.falls"
                        "the mean validation bound after the last epoch is the best of all epochs but for half a nat"
                        (Seeds.mean last <= best + 0.5)
                        $"last {Seeds.mean last:F2}, best {best:F2}"
                ]
            }
    Sample =
        Some(fun plan results count noise ->
            let run = vae plan.Profile
            let built = VaeRun.load run (results.Of (trainings plan).Head) plan.Device
            VaeRun.sampleMeans built count noise |> Pictures.images (plan.Data run.Data).Train 1.0)
}

/// Log-likelihood of the test images under a trained model. K = 200 samples as the source; few images when short.
let private evaluate (plan: Plan) (training: RunRequest) : RunRequest =
    let images = Profile.pick plan.Profile 64 1000 10000
    let samples = Profile.pick plan.Profile 20 200 200

    let run = vae plan.Profile

    let measure (context: RunContext) (built: BuiltVae) =
        let model, x = built.Model(), VaeRun.sampleOf (plan.Test run.Data) images
        let logP = VaeRun.logEvidence run model x samples context.Noise |> Array.map float
        let bound = VaeRun.evaluate run 1 model x context.Noise "test" 0L |> Map.ofList

        [ "logp", Array.average logP; "elbo", -bound["nelbo"]; "images", float logP.Length ]

    let name = training.Key.Name.Replace("ift1", "ift2")
    let configuration = [ "samples", string samples; "images", string images ]
    VaeRun.measurement plan name configuration 1 run training measure

let private ift2: Experiment = {
    Row = "ift2"
    Title = "log p(x) by importance sampling"
    Runs = fun plan -> trainings plan |> List.collect (fun t -> [ t; evaluate plan t ])
    Report =
        fun plan results ->
            let runs = trainings plan |> List.map (evaluate plan)
            let logP = runs |> List.map (results.Value "logp")
            let bounds = runs |> List.map (results.Value "elbo")
            let gaps = List.map2 (-) logP bounds
            let images = int (results.Value "images" runs.Head)
            let samples = Profile.pick plan.Profile 20 200 200
            let epochs = shortened "epochs" (epochs plan.Profile) fullEpochs
            let origin = plan.Origin([ DataSetId.BinarizedMnist ], runs.Length, epochs)

            {
                Row = "ift2"
                Origin = origin
                Figures = []
                Tables = [
                    {
                        Id = "ift2.table"
                        Caption =
                            $"Binarized MNIST, test images ({images}): the importance-sampling estimate of $\\log p(x)$ with $K={samples}$, the ELBO, and the difference (nats)."
                        Columns = [ Table.left ""; Table.right "Source"; Table.right "Ours" ]
                        Rows = [
                            [
                                Text "$\\log p(x)$, importance sampling"
                                Source(sourceLogP, 2)
                                Seeds.cell 2 logP
                            ]
                            [ Text "ELBO"; Missing "the source states no number"; Seeds.cell 2 bounds ]
                            [ Text "difference"; Missing "the source states no number"; Seeds.cell 2 gaps ]
                        ]
                        Note = ""
                    }
                ]
                Values = [ Seeds.value "ift2.logp" 2 logP; Seeds.value "ift2.gap" 2 gaps ]
                Claims = [
                    Claim.judge
                        origin
                        "ift2.logp"
                        "IFT P1.2"
                        "$\\log p(x)$ of the test images, $K=200$"
                        (Some sourceLogP)
                        (Rule.within 1.0 sourceLogP)
                        logP
                        "one nat covers the spread between seeds of a model of this size"
                ]
                Guards = [
                    Guard.check
                        origin
                        "ift2.tighter"
                        "the importance-sampling estimate exceeds the ELBO for every seed"
                        (List.forall (fun g -> g > 0.0) gaps)
                        (gaps |> List.map (fun g -> $"{g:F2}") |> String.concat ", ")
                ]
            }
    Sample = None
}

let experiments = [ ift1; ift2 ]
