/// hw5.1: a VAE on the UCI digits with a standard prior: learning curve, samples, reconstructions, summary.
/// Run it: `./reproduce --only hw5.1`.
module Research.Experiments.Hw.DigitsVae

open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits

/// Best validation -ELBO in the figure of the notebook behind the homework.
let private source = 100.54

/// One nat covers the spread between seeds.
let private required = source + 1.0

/// -log p of an image under the uniform distribution over 17 levels.
let private uniform = 64.0 * log 17.0

/// The mean training loss over each epoch.
let private trainingByEpoch (plan: Plan) (results: Results) (trained: Trained) = [|
    let stepsPerEpoch =
        float (StepContext.StepsPerEpoch((plan.Data set).Train.Count, trained.Run.Batch))

    for step, value in results.Curve "train" "loss" trained.Training do
        let epoch = step / stepsPerEpoch
        // Training metrics are also logged between epochs.
        if epoch = floor epoch then
            epoch, value
|]

let private validationByEpoch results trained =
    byEpoch results "nelbo" trained |> Array.mapi (fun i v -> float (i + 1), v)

/// The epoch whose validation bound is the best.
let private bestEpoch results trained = validationByEpoch results trained |> Array.minBy snd |> fst

let private curve (plan: Plan) (results: Results) trained =
    let training = trainingByEpoch plan results trained
    let validation = validationByEpoch results trained
    // The first epochs fall from 180 nats and would flatten the rest.
    let high = min 130.0 (snd training[0])

    let low = min source (Seq.append training validation |> Seq.map snd |> Seq.min) - 3.0

    Figure.single
        "hw5.1.curve"
        "Digits: minus the ELBO on the training images (mean over each epoch) and on the validation images (first seed), with the best validation value of the source."
        (Panel.axes "" (Axis.linear "epoch") (Axis.linear "$-$ELBO (nats)" |> Axis.between low high) [
            Line("training", training |> Array.filter (fun (_, v) -> v <= high), None)
            Line("validation", validation |> Array.filter (fun (_, v) -> v <= high), None)
            Level("source, best validation", source)
        ])

let private reconstructions (plan: Plan) (results: Results) trained =
    let columns = 16
    let images = picturesOf plan results "images" columns trained
    let back = picturesOf plan results "reconstructions" columns trained

    Figure.single
        "hw5.1.reconstructions"
        "Digits: the first test images, and the decoder's mean at the mean of each one's encoding (first seed)."
        (Panel.images "" images.Length (Array.append images back)
         |> Panel.withCaptions [ "test image"; "reconstruction" ] [])

let private summary (plan: Plan) (results: Results) (runs: Trained list) best =
    let measured name sign = cell 2 (values plan results name runs |> List.map (fun v -> sign * v))

    let none = Missing "the source states only the validation bound"

    {
        Id = "hw5.1.table"
        Caption =
            $"Digits, $L={latent}$: the best validation bound, and the test images under that model; the likelihood by importance sampling with $K={importanceSamples plan.Profile}$ (nats per image)."
        Columns = [ Table.left ""; Table.right "Source"; Table.right "Ours" ]
        Rows = [
            [ Text "best validation $-$ELBO"; Source(source, 2); cell 2 best ]
            [ Text "test $-$ELBO"; none; measured "bound" 1.0 ]
            [ Text "reconstruction, $-\\E_q\\log p(x|z)$"; none; measured "reconstruction" 1.0 ]
            [ Text "divergence from the prior"; none; measured "kl" 1.0 ]
            [ Text "$-\\log p(x)$, importance sampling"; none; measured "logp" -1.0 ]
            [ Text $"active units of {latent}"; none; cell 1 (values plan results "active" runs) ]
        ]
        Note = ""
    }

let private report (plan: Plan) (results: Results) : Section =
    let runs = plainTrainings plan
    // Quick follows the protocol here.
    let shortened = if plan.Profile = Smoke then shortenedBy Smoke else None
    let origin = plan.Origin([ set ], runs.Length, shortened)
    let best = runs |> List.map (best results)
    let of' name = values plan results name runs
    let bounds, logP = of' "bound", of' "logp"

    {
        Row = "hw5.1"
        Origin = origin
        Figures = [
            curve plan results runs.Head
            Pictures.grid
                "hw5.1.samples"
                "Digits: the decoder's mean at $100$ draws from the prior (first seed)."
                20
                (picturesOf plan results "samples" 100 runs.Head)
            reconstructions plan results runs.Head
        ]
        Tables = [ summary plan results runs best ]
        Values = [
            Seeds.value "hw5.1.elbo" 2 best
            Seeds.value "hw5.1.epoch" 0 (runs |> List.map (bestEpoch results))
            Seeds.value "hw5.1.test" 2 bounds
            Seeds.value "hw5.1.rec" 2 (of' "reconstruction")
            Seeds.value "hw5.1.kl" 2 (of' "kl")
            Seeds.value "hw5.1.logp" 2 logP
        ]
        Claims = [
            Claim.judge
                origin
                "hw5.1.elbo"
                "HW Q5"
                "digits, best validation $-$ELBO, $L=16$"
                (Some source)
                (Rule.atMost required)
                best
                "the source's value is read off its figure; one nat covers the spread between seeds"
        ]
        Guards = [
            Guard.check
                origin
                "hw5.1.order"
                "the importance-sampling estimate exceeds the ELBO for every seed"
                (List.forall2 (fun bound logP -> logP > -bound) bounds logP)
                (List.map2 (fun bound logP -> $"{-bound:F2} and {logP:F2}") bounds logP
                 |> String.concat "; ")
            Guard.check
                origin
                "hw5.1.uniform"
                "the test bound is at most three quarters of 64 log 17"
                (List.max bounds <= 0.75 * uniform)
                $"worst bound {List.max bounds:F2}, uniform {uniform:F2}"
        ]
    }

let experiment: Experiment = {
    Row = "hw5.1"
    Title = "A VAE on digits"
    Runs = fun plan -> withMeasurements plan (plainTrainings plan)
    Report = report
    Sample =
        Some(fun plan results count noise ->
            let trained = (plainTrainings plan).Head
            let built = VaeRun.load trained.Run (results.Of trained.Training) plan.Device
            VaeRun.sampleMeans built count noise |> Pictures.images (plan.Data set).Train top)
}
