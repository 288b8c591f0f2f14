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

/// A trained VAE of another row.
type private Subject = { Name: string; Run: VaeRun; Training: RunRequest }

let private digits (plan: Plan) = [
    for trained in Digits.plainTrainings plan ->
        { Name = "digits"; Run = trained.Run; Training = trained.Training }
]

let private mnist (plan: Plan) = [
    for training in BinarizedMnist.trainings plan ->
        { Name = "mnist"; Run = BinarizedMnist.vae plan.Profile; Training = training }
]

/// Test images of a trained VAE, and the sample counts of its two estimates.
let private images profile = Profile.pick profile 8 40 100

let private priorCounts profile =
    Profile.pick profile [ 1; 10; 100 ] [ 1; 10; 100; 1000; 10_000 ] [ 1; 10; 100; 1000; 10_000; 100_000 ]

let private importanceCounts profile = Profile.pick profile [ 1; 10 ] [ 1; 10; 100; 500 ] [ 1; 10; 100; 1000 ]

/// Values `prior.K` and `importance.K`: the means over test images of both estimates of log p(x), and `kl`, the mean
/// divergence of the encoder from the prior.
let private onVae (plan: Plan) (subject: Subject) : RunRequest =
    let profile = plan.Profile

    let measure (context: RunContext) (built: BuiltVae) =
        let model, latent = built.Model(), subject.Run.Shape.Latent
        let x = VaeRun.sampleOf (plan.Test subject.Run.Data) (images profile)

        let estimates name (counts: int list) (logWeights: Tensor) = [
            for k in counts do
                let estimate = logMeanExp 0L (logWeights.narrow (0L, 0L, int64 k))
                $"{name}.{k}", estimate.mean().ToDouble()
        ]

        let priors, importances = priorCounts profile, importanceCounts profile
        let underPrior = Weights.underPrior model x latent (List.max priors) context.Noise

        let underPosterior =
            Weights.underPosterior model x latent (List.max importances) context.Noise

        [
            yield! estimates "prior" priors underPrior
            yield! estimates "importance" importances underPosterior
            "kl", (klStandard (model.Encode x).Base).mean().ToDouble()
        ]

    let configuration = [
        "prior samples", $"%A{priorCounts profile}"
        "importance samples", $"%A{importanceCounts profile}"
        "images", string (images profile)
    ]

    let name = $"uva1.4.{subject.Name}.seed{subject.Training.Key.Seed}"
    VaeRun.measurement plan name configuration 1 subject.Run subject.Training measure

let private linear (plan: Plan) = plan.Seeds |> List.map (LinearLikelihood.request plan)

let private runs (plan: Plan) = [
    yield! linear plan
    for subject in digits plan @ mnist plan do
        subject.Training
        onVae plan subject
]

let private estimators = [ "prior", "from the prior"; "importance", "importance sampling" ]

/// The dimension at which the error is drawn against the number of samples, and the number of samples at which it is
/// drawn against the dimension.
let private shown profile = Profile.pick profile (4, 10) (16, 1000) (16, 1000)

let private figure (profile: Profile) linear digits mnist =
    let latents, counts = LinearLikelihood.latents profile, LinearLikelihood.sampleCounts profile

    let latent, samples = shown profile
    let samplesAxis = Axis.log "number of samples $K$"
    let errorAxis = Axis.log "error (nats)"
    let panel title x y lines = Panel.axes title x y lines |> Panel.withLegend NoLegend

    let onVae title (mean: string -> float) =
        panel title samplesAxis (Axis.linear "estimate (nats)") [
            for (name, label), counts in List.zip estimators [ priorCounts profile; importanceCounts profile ] ->
                Line(label, [| for k in counts -> float k, mean $"{name}.{k}" |], None)
        ]

    let errors (points: string -> (float * float)[]) = [
        for name, label in estimators -> Line(label, points name, None)
    ]

    Figure.grid
        "uva1.4.error"
        $"Two estimates of $\\log p(x)$. Above, the root mean square error on a linear-Gaussian model, where it is exact: against the number $K$ of samples at $L={latent}$, and against the dimension $L$ of $z$ at $K={samples}$. Below, the estimates themselves on two trained VAEs, means over test images."
        2
        [
            panel
                $"linear-Gaussian, $L={latent}$"
                samplesAxis
                errorAxis
                (errors (fun name -> [| for k in counts -> float k, linear $"{name}.{latent}.{k}" |]))
            panel
                $"linear-Gaussian, $K={samples}$"
                (Axis.linear "dimension $L$ of $z$")
                errorAxis
                (errors (fun name -> [|
                    // At L = 1 the proposal is the posterior and the error is rounding.
                    for l in List.filter (fun l -> l > 1) latents -> float l, linear $"{name}.{l}.{samples}"
                |]))
            onVae $"VAE on digits, $L={Digits.latent}$" digits |> Panel.withLegend SouthEast
            onVae $"VAE on binarized MNIST, $L={BinarizedMnist.shape.Latent}$" mnist
        ]

let private table (profile: Profile) (each: string -> float list) =
    let counts = LinearLikelihood.sampleCounts profile
    let few, many = counts[counts.Length - 3], List.last counts
    let cell decimals name = Seeds.cell decimals (each name)

    {
        Id = "uva1.4.table"
        Caption =
            "Linear-Gaussian model: the divergence of the posterior from the prior, and the root mean square errors of two estimates of $\\log p(x)$ with $K$ samples (nats)."
        Columns = [
            Table.right "$L$"
            Table.right "Divergence"
            Table.right $"Prior, $K={few}$"
            Table.right $"$K={many}$"
            Table.right $"Importance, $K={few}$"
            Table.right $"$K={many}$"
        ]
        Rows = [
            for latent in LinearLikelihood.latents profile ->
                [
                    Number(float latent, 0)
                    cell 1 $"kl.{latent}"
                    yield!
                        List.allPairs (List.map fst estimators) [ few; many ]
                        |> List.map (fun (name, k) -> cell 4 $"{name}.{latent}.{k}")
                ]
        ]
        Note = "With one dimension the proposal is the posterior itself, and a single sample is exact."
    }

let private report (plan: Plan) (results: Results) : Section =
    let profile = plan.Profile
    let linear = linear plan
    let digits, mnist = digits plan |> List.map (onVae plan), mnist plan |> List.map (onVae plan)

    let origin =
        plan.Origin(
            [ Digits.set; DataSetId.BinarizedMnist ],
            plan.Seeds.Length,
            shortened
                "epochs on binarized MNIST"
                (BinarizedMnist.epochs profile)
                (BinarizedMnist.epochs Paper)
        )

    let each runs name = runs |> List.map (results.Value name)
    let mean runs name = Seeds.mean (each runs name)
    let _, samples = shown profile
    let latents, counts = LinearLikelihood.latents profile, LinearLikelihood.sampleCounts profile
    let easy, largest, most = latents[1], List.last latents, List.last counts
    let naive = mean linear $"prior.{largest}.{samples}"
    let importance = mean linear $"importance.{largest}.{samples}"
    // A hundredfold number of samples should divide the error by ten.
    let gain name = mean linear $"{name}.{easy}.{most / 100}" / mean linear $"{name}.{easy}.{most}"
    let gains = estimators |> List.map (fst >> gain)
    let margins = latents |> List.map (fun l -> mean linear $"margin.{l}")
    let bestPrior = $"prior.{List.last (priorCounts profile)}"
    let bestImportance = $"importance.{List.last (importanceCounts profile)}"

    let shortfalls runs =
        runs |> List.map (fun r -> results.Value bestImportance r - results.Value bestPrior r)

    let evidence decimals values = values |> List.map (Markup.fixedPoint decimals) |> String.concat ", "

    {
        Row = "uva1.4"
        Origin = origin
        Figures = [ figure profile (mean linear) (mean digits) (mean mnist) ]
        Tables = [ table profile (each linear) ]
        Values = [
            Value.integer "uva1.4.largest" largest
            Value.integer "uva1.4.samples" samples
            Seeds.value "uva1.4.naive" 1 (each linear $"prior.{largest}.{samples}")
            Seeds.value "uva1.4.importance" 3 (each linear $"importance.{largest}.{samples}")
            Value.integer "uva1.4.most" (List.last (priorCounts profile))
            Seeds.value "uva1.4.digits.kl" 1 (each digits "kl")
            Seeds.value "uva1.4.mnist.kl" 1 (each mnist "kl")
            Seeds.value "uva1.4.mnist.short" 1 (shortfalls mnist)
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "uva1.4.rate"
                "in two dimensions a hundredfold number of samples divides both errors by a number between 5 and 20"
                (gains |> List.forall (fun g -> g >= 5.0 && g <= 20.0))
                (evidence 1 gains)
            Guard.check
                origin
                "uva1.4.dimension"
                "in the largest dimension the error from the prior is at least ten times that of importance sampling"
                (naive >= 10.0 * importance)
                (evidence 3 [ naive; importance ])
            Guard.check
                origin
                "uva1.4.finite"
                "the integral of p^2/q exists for every dimension"
                (margins |> List.forall (fun m -> m > 0.0))
                (evidence 2 margins)
            Guard.check
                origin
                "uva1.4.catchesup"
                "on digits the two estimates end within a nat of each other, for every seed"
                (shortfalls digits |> List.forall (fun s -> abs s <= 1.0))
                (evidence 2 (shortfalls digits))
            Guard.check
                origin
                "uva1.4.short"
                "on binarized MNIST the estimate from the prior ends at least ten nats below importance sampling, for every seed"
                (shortfalls mnist |> List.forall (fun s -> s >= 10.0))
                (evidence 2 (shortfalls mnist))
        ]
    }

let private experiment: Experiment = {
    Row = "uva1.4"
    Title = "Monte-Carlo against importance sampling"
    Runs = runs
    Report = report
    Sample = None
}

let experiments = [ experiment ]
