/// uva1.4: log p(x) by sampling from the prior and by importance sampling: the error against the number of samples and
/// the dimension of z where log p(x) is exact, and both estimates on a trained VAE. Run it: `./reproduce --only uva1.4`.
module Research.Experiments.Uva.Likelihood

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Hw
open Research.Experiments.Ift

/// Test images of a trained VAE, and the sample counts of its two estimates.
let private images profile = Profile.pick profile 8 40 100

let private priorCounts profile =
    Profile.pick profile [ 1; 10; 100 ] [ 1; 10; 100; 1000; 10_000 ] [ 1; 10; 100; 1000; 10_000; 100_000 ]

let private importanceCounts profile =
    Profile.pick profile [ 1; 10 ] [ 1; 10; 100; 1000; 10_000 ] [ 1; 10; 100; 1000; 10_000 ]

/// Values `prior.K` and `importance.K`: the means over test images of both estimates of log p(x), and `kl`, the mean
/// divergence of the encoder from the prior. The file `images` has what the prior's best estimate of each image is short of
/// the other's.
let private onVae (plan: Plan) (name: string) (trained: Trained) : RunRequest =
    let priors, importances, images =
        priorCounts plan.Profile, importanceCounts plan.Profile, images plan.Profile
    let configuration = [
        "prior samples", $"%A{priors}"
        "importance samples", $"%A{importances}"
        "images", string images
    ]
    let estimates name (counts: int list) (logWeights: Tensor) = [
        for k in counts -> $"{name}.{k}", (logMeanExp 0L (logWeights.narrow (0L, 0L, int64 k))).mean().ToDouble()
    ]

    VaeTraining.measure plan $"uva1.4.{name}.seed{trained.Seed}" configuration trained (fun context built ->
        let model, latent, noise = built.Model(), trained.Run.Shape.Latent, context.Noise
        let x = Rows.sample (plan.Test trained.Run.Data) images
        let weights = Weights.underPosterior model x latent (List.max importances) noise
        let ofPrior = Weights.underPrior model x latent (List.max priors) noise
        context.Keep("images", [ "short", logMeanExp 0L weights - logMeanExp 0L ofPrior ])
        estimates "prior" priors ofPrior
        @ estimates "importance" importances weights
        @ [ "kl", (klStandard (model.Encode x).Base).mean().ToDouble() ])

let private linear (plan: Plan) = plan.Seeds |> List.map (LinearLikelihood.request plan)

/// As many seeds as the other set has.
let private digitsTrainings (plan: Plan) = Digits.plainTrainings plan |> List.truncate plan.Seeds.Length

let private digits (plan: Plan) = digitsTrainings plan |> List.map (onVae plan "digits")
let private mnist (plan: Plan) = BinarizedMnist.trainings plan |> List.map (onVae plan "mnist")

let private runs (plan: Plan) =
    linear plan
    @ VaeTraining.withEach (onVae plan "digits") (digitsTrainings plan)
    @ VaeTraining.withEach (onVae plan "mnist") (BinarizedMnist.trainings plan)

let private estimators = [ "prior", "from the prior"; "importance", "importance sampling" ]

/// The dimension at which the error is drawn against the number of samples, and the number of samples at which it is
/// drawn against the dimension.
let private shown profile = Profile.pick profile (4, 10) (16, 1000) (16, 1000)

let private each (results: Results) runs name = runs results.Plan |> List.map (results.Value name)
let private mean results runs name = Seeds.mean (each results runs name)

let private figure (results: Results) =
    let profile = results.Plan.Profile
    let latents, counts = LinearLikelihood.latents profile, LinearLikelihood.sampleCounts profile
    let latent, samples = shown profile
    let linear = mean results linear
    let samplesAxis, errorAxis = Axis.log "number of samples $K$", Axis.log "error (nats)"
    // Below importance sampling with the most samples, which both approach: the estimates themselves all lie along the top.
    let best runs = mean results runs $"importance.{List.last (importanceCounts profile)}"
    let onVae title runs =
        let best = best runs
        Panel.axes title samplesAxis (Axis.log "below the best (nats)") [
            for (name, label), counts in List.zip estimators [ priorCounts profile; importanceCounts profile ] ->
                let below = [| for k in counts -> float k, best - mean results runs $"{name}.{k}" |]
                Line(label, below |> Array.filter (fun (_, nats) -> nats > 0.0), None)
        ]
        |> Panel.withLegend NoLegend
    let above =
        [
            for runs in [ digits; mnist ] do
                for name, counts in [ "prior", priorCounts profile; "importance", importanceCounts profile ] do
                    for k in counts -> mean results runs $"{name}.{k}" - best runs
        ]
        |> List.max
    let errors (points: string -> (float * float)[]) = [
        for name, label in estimators -> Line(label, points name, None)
    ]

    [
        errors (fun name -> [| for k in counts -> float k, linear $"{name}.{latent}.{k}" |])
        |> Panel.axes $"linear-Gaussian, $L={latent}$" samplesAxis errorAxis
        |> Panel.withLegend Below
        errors (fun name -> [|
            // At L = 1 the proposal is the posterior and the error is rounding.
            for l in List.filter (fun l -> l > 1) latents -> float l, linear $"{name}.{l}.{samples}"
        |])
        |> Panel.axes $"linear-Gaussian, $K={samples}$" (Axis.linear "dimension $L$ of $z$") errorAxis
        |> Panel.withLegend Below
        onVae $"VAE on digits, $L={Digits.latent}$" digits
        onVae $"VAE on binarized MNIST, $L={BinarizedMnist.shape.Latent}$" mnist
    ]
    |> Figure.grid
        "uva1.4.error"
        $"Two estimates of $\\log p(x)$. Above, the root mean square error over {LinearLikelihood.points profile} draws of $x$ from a linear-Gaussian model, where $\\log p(x)$ is exact: against the number $K$ of samples at $L={latent}$, and against the dimension $L$ of $z$ from $2$ on at $K={samples}$ (at $L=1$ the proposal is the posterior). Below, on the VAEs of HW 5.1 and IFT P1.1, by how much the mean of either estimate over {images profile} test images lies below that of importance sampling with $K={List.last (importanceCounts profile)}$. An estimate that lies above that one, by ${Markup.fixedPoint 2 above}$ nats at most, is not drawn; colours and marks as above."
        2

let private table (results: Results) =
    let counts = LinearLikelihood.sampleCounts results.Plan.Profile
    let several = counts[counts.Length - 2 ..]
    let runs = (linear results.Plan).Length
    let column header decimals (name: int -> string) =
        Column.right header (fun latent -> Seeds.cell decimals (each results linear (name latent)))

    LinearLikelihood.latents results.Plan.Profile
    |> Table.over
        "uva1.4.table"
        $"Linear-Gaussian model: the divergence of the posterior from the prior, and the root mean square errors of two estimates of $\\log p(x)$ with $K$ samples, over {LinearLikelihood.points results.Plan.Profile} draws of $x$ for each seed, with standard errors over these (nats; that of the divergence is over seeds)."
        [
            Column.number "$L$" 0 float
            column "Divergence" 1 (fun latent -> $"kl.{latent}")
            for name, title in [ "prior", "Prior"; "importance", "Importance" ] do
                for k in several do
                    let header = if k = several.Head then $"{title}, $K={k}$" else $"$K={k}$"
                    Column.right header (fun latent ->
                        // The seeds' draws of x are all different.
                        let error = mean results linear $"{name}.{latent}.{k}.error" / sqrt (float runs)
                        MeanSe(mean results linear $"{name}.{latent}.{k}", error, 4))
        ]
    |> Table.withNote "With one dimension the proposal is the posterior itself, and a single sample is exact."

let private report (results: Results) : Section =
    let plan = results.Plan
    let profile, sets = plan.Profile, [ Digits.set; DataSetId.BinarizedMnist ]
    let cut = BinarizedMnist.shortenedBy "epochs on binarized MNIST" profile
    let latents, counts = LinearLikelihood.latents profile, LinearLikelihood.sampleCounts profile
    let easy, largest, most, samples = latents[1], List.last latents, List.last counts, snd (shown profile)
    let error = each results linear
    let naive, importance = error $"prior.{largest}.{samples}", error $"importance.{largest}.{samples}"
    // A hundredfold number of samples should divide the error by ten.
    let gain name = mean results linear $"{name}.{easy}.{most / 100}" / mean results linear $"{name}.{easy}.{most}"
    let gains = estimators |> List.map (fst >> gain)
    /// A root mean square with its standard error over the draws of x, which are different for every seed.
    let ofDraws id decimals name : Value = {
        Id = id
        Cell =
            MeanSe(
                mean results linear name,
                mean results linear $"{name}.error" / sqrt (float (linear plan).Length),
                decimals
            )
    }
    let margins = latents |> List.map (fun l -> mean results linear $"margin.{l}")
    let mostPrior = List.last (priorCounts profile)
    let mostImportance = List.last (importanceCounts profile)
    let shortfalls runs =
        List.map2 (-) (each results runs $"importance.{mostImportance}") (each results runs $"prior.{mostPrior}")

    {
        Section.empty "uva1.4" (plan.Origin(sets, plan.Seeds.Length, cut)) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                Value.integer "uva1.4.largest" largest
                Value.integer "uva1.4.dimension" (int LinearLikelihood.dataDimension)
                Value.number "uva1.4.sigma" 1 LinearLikelihood.sigma
                Value.integer "uva1.4.samples" samples
                Value.integer "uva1.4.points" (LinearLikelihood.points profile)
                for (name, _), gain in List.zip estimators gains do
                    Value.number $"uva1.4.gain.{name}" 1 gain
                ofDraws "uva1.4.naive" 1 $"prior.{largest}.{samples}"
                ofDraws "uva1.4.importance" 3 $"importance.{largest}.{samples}"
                Value.integer "uva1.4.few" (most / 100)
                // The one before the largest, with the most samples.
                let hard = latents[latents.Length - 2]
                Value.integer "uva1.4.hard" hard
                Value.number "uva1.4.hard.kl" 1 (mean results linear $"kl.{hard}")
                Value.scientific "uva1.4.hard.needed" 1 (exp (mean results linear $"kl.{hard}"))
                Value.integer "uva1.4.hard.draws" most
                Value.number "uva1.4.hard.error" 2 (mean results linear $"prior.{hard}.{most}")
                Value.integer "uva1.4.most" mostPrior
                Value.integer "uva1.4.images" (images profile)
                Seeds.value "uva1.4.digits.prior" 2 (each results digits $"prior.{mostPrior}")
                Seeds.value "uva1.4.digits.importance" 2 (each results digits $"importance.{mostImportance}")
                Value.integer "uva1.4.mostimportance" mostImportance
                Seeds.value "uva1.4.mnist.prior" 2 (each results mnist $"prior.{mostPrior}")
                Seeds.value "uva1.4.mnist.importance" 2 (each results mnist $"importance.{mostImportance}")
                Seeds.value "uva1.4.digits.kl" 1 (each results digits "kl")
                Seeds.value "uva1.4.mnist.kl" 1 (each results mnist "kl")
                Value.scientific "uva1.4.digits.needed" 1 (exp (mean results digits "kl"))
                Value.scientific "uva1.4.mnist.needed" 1 (exp (mean results mnist "kl"))
                Seeds.value "uva1.4.mnist.short" 2 (shortfalls mnist)
                // The estimate's last two numbers of samples are a factor of ten apart.
                let lastRise =
                    List.map2
                        (-)
                        (each results mnist $"prior.{mostPrior}")
                        (each results mnist $"prior.{mostPrior / 10}")
                Seeds.value "uva1.4.mnist.rise" 0 lastRise
                let overImages =
                    mnist plan |> List.averageBy (results.Numbers "images" "short" >> Statistics.standardError)
                Value.number "uva1.4.mnist.error" 2 overImages
            ]
            Guards = [
                Guard.that
                    "uva1.4.rate"
                    "in two dimensions a hundredfold number of samples divides both errors by a number between 5 and 20"
                |> Guard.every (fun g -> g >= 5.0 && g <= 20.0) "divided by" gains
                Guard.that
                    "uva1.4.dimension"
                    "in the largest dimension the error from the prior is at least ten times that of importance sampling"
                |> Guard.holds (Seeds.mean naive >= 10.0 * Seeds.mean importance)
                |> Guard.found [ "prior", naive; "importance", importance ]
                Guard.that "uva1.4.finite" "the integral of p^2/q exists for every dimension"
                |> Guard.every (fun m -> m > 0.0) "margins" margins
                Guard.that
                    "uva1.4.catchesup"
                    "on digits the two estimates end within a nat of each other, for every seed"
                |> Guard.every (fun s -> abs s <= 1.0) "shortfalls" (shortfalls digits)
                Guard.that
                    "uva1.4.short"
                    "on binarized MNIST the estimate from the prior ends at least ten nats below importance sampling, for every seed"
                |> Guard.every (fun s -> s >= 10.0) "shortfalls" (shortfalls mnist)
            ]
    }

let experiment = Experiment.row "uva1.4" runs report
