/// nora3: the variances of the score and of the reparameterised estimate of d/dtheta E (theta + eps)^2, measured from
/// 100 estimates for each number of samples, beside the exact ones. Run it: `./reproduce --only nora3`.
module Research.Experiments.Nora.GradientVariance

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

let private theta = 10.0
let private repetitions = 100
let private sampleCounts = [ 1; 10; 100; 1000; 10_000; 100_000 ]

let private square (x: Tensor) = x.square ()

/// Estimates of the gradient, each the mean over n samples: `repetitions` of them, in blocks of about a million
/// numbers so that memory does not grow with n.
let private estimates (noise: Noise) (stream: string) estimator (n: int) : float[] =
    let rows = max 1 (min repetitions (1_000_000 / n))

    [|
        for index, start in Seq.indexed (seq { 0..rows .. repetitions - 1 }) do
            use _ = torch.NewDisposeScope()
            let shape = [| int64 (min rows (repetitions - start)); int64 n |]
            let eps = noise.Normal($"{stream}.{n}", int64 index, shape, torch.float64)
            let gradients: Tensor = estimator square (torch.tensor theta) eps
            yield! gradients.detach().mean([| 1L |]).data<float>().ToArray()
    |]

let private variance (values: float[]) =
    let mean = Array.average values
    (values |> Array.sumBy (fun v -> (v - mean) * (v - mean))) / float (values.Length - 1)

let private scoreName n = $"score.{n}"
let private pathwiseName n = $"pathwise.{n}"

let private measure (context: RunContext) =
    let values = Dictionary()

    for n in sampleCounts do
        values[scoreName n] <- variance (estimates context.Noise "score" scoreGradient n)
        values[pathwiseName n] <- variance (estimates context.Noise "pathwise" pathwiseGradient n)

    context.Run.SaveValues values

let private runs (plan: Plan) : RunRequest list = [
    for seed in plan.Seeds ->
        plan.Run(
            $"nora3.seed{seed}",
            [ "theta", inv theta; "repetitions", string repetitions; "N", $"%A{sampleCounts}" ],
            seed,
            None,
            1,
            measure
        )
]

/// E p(eps)^m of a polynomial in standard normal noise, coefficients from the constant up: even moments of the noise
/// are the double factorials, odd ones vanish.
let moment (m: int) (polynomial: float[]) =
    let times (a: float[]) (b: float[]) =
        Array.init (a.Length + b.Length - 1) (fun k ->
            Seq.sum (seq { for i in max 0 (k - b.Length + 1) .. min k (a.Length - 1) -> a[i] * b[k - i] }))

    let moments = Array.create m polynomial |> Array.reduce times

    moments
    |> Array.mapi (fun k c ->
        if k % 2 = 1 then
            0.0
        else
            c * Seq.fold (*) 1.0 (seq { for i in 1..2 .. k - 1 -> float i }))
    |> Array.sum

/// The relative standard error of a sample variance of `repetitions` means of n values with these central moments.
let private relativeError (n: int) (second: float) (fourth: float) =
    let r = float repetitions
    // The excess kurtosis of a mean is that of one value, over n.
    let kurtosis = 3.0 + (fourth / (second * second) - 3.0) / float n
    sqrt ((kurtosis - (r - 3.0) / (r - 1.0)) / r)

/// The score estimate (theta + eps)^2 eps less its mean 2 theta, as a polynomial in eps.
let centredScore (theta: float) = [| -2.0 * theta; theta * theta; 2.0 * theta; 1.0 |]

let private scoreError n = relativeError n (moment 2 (centredScore theta)) (moment 4 (centredScore theta))

/// Of the pathwise estimate, which is normal.
let private pathwiseError n = relativeError n 1.0 3.0

let private exactRatio = scoreVarianceOfSquare theta 1 / pathwiseVarianceOfSquare 1

/// The mean of the logarithms, since ratios of sample variances are skewed to the right.
let private geometricMean (values: float list) = exp (values |> List.averageBy (fun v -> log v))

/// Three standard errors of the logarithm of that mean ratio, from the exact moments: fixed by theory, not by a run.
let private tolerance =
    let variances =
        sampleCounts |> List.sumBy (fun n -> scoreError n ** 2.0 + pathwiseError n ** 2.0)

    3.0 * sqrt variances / float sampleCounts.Length

let private experiment: Experiment = {
    Row = "nora3"
    Title = "Variance of two gradient estimators"
    Runs = runs
    Report =
        fun plan results ->
            let runs = runs plan
            let origin = plan.Origin([], runs.Length, None)
            let each name n = runs |> List.map (results.Value(name n))
            let mean name n = List.average (each name n)

            let ratios = [
                for run in runs ->
                    geometricMean [
                        for n in sampleCounts ->
                            results.Value (scoreName n) run / results.Value (pathwiseName n) run
                    ]
            ]

            // How many standard errors each measured variance is from the exact one.
            let deviations = [
                for n in sampleCounts do
                    for v in each scoreName n do
                        (v / scoreVarianceOfSquare theta n - 1.0) / scoreError n

                    for v in each pathwiseName n do
                        (v / pathwiseVarianceOfSquare n - 1.0) / pathwiseError n
            ]

            let furthest = deviations |> List.map abs |> List.max
            let points f = [| for n in sampleCounts -> float n, f n |]

            let measured label name error =
                ErrorBars(
                    label,
                    points (mean name),
                    [| for n in sampleCounts -> mean name n * error n / sqrt (float runs.Length) |]
                )

            {
                Row = "nora3"
                Origin = origin
                Figures = [
                    Figure.single
                        "nora3.variance"
                        "Variance of the score and of the reparameterised estimate of the gradient of $\\E[(\\theta+\\varepsilon)^2]$ at $\\theta=10$ against the number $N$ of samples in each estimate: measured from 100 estimates, with the standard error that theory predicts, and exact (dashed)."
                        (Panel.axes
                            ""
                            (Axis.log "number of samples $N$")
                            (Axis.log "variance of the estimate")
                            [
                                measured "score" scoreName scoreError
                                measured "reparameterised" pathwiseName pathwiseError
                                Reference("exact", points (scoreVarianceOfSquare theta))
                                Reference("", points pathwiseVarianceOfSquare)
                            ])
                ]
                Tables = [
                    {
                        Id = "nora3.table"
                        Caption =
                            "Variances of the two gradient estimates at $\\theta=10$, from 100 estimates of $N$ samples each, and the exact ones."
                        Columns = [
                            Table.right "$N$"
                            Table.right "Score"
                            Table.right "exact"
                            Table.right "Reparameterised"
                            Table.right "exact"
                            Table.right "Ratio"
                        ]
                        Rows = [
                            for n in sampleCounts ->
                                [
                                    Number(float n, 0)
                                    Scientific(mean scoreName n, 3)
                                    Scientific(scoreVarianceOfSquare theta n, 3)
                                    Scientific(mean pathwiseName n, 3)
                                    Scientific(pathwiseVarianceOfSquare n, 3)
                                    Number(mean scoreName n / mean pathwiseName n, 0)
                                ]
                        ]
                        Note = ""
                    }
                ]
                Values = [
                    Value.number "nora3.exact" 2 exactRatio
                    Seeds.value "nora3.ratio" 0 ratios
                    Value.number "nora3.furthest" 1 furthest
                ]
                Claims = [
                    Claim.judge
                        origin
                        "nora3.ratio"
                        "NORA"
                        "variance of the score gradient over that of the reparameterised one, geometric mean over $N$"
                        (Some exactRatio)
                        (Rule.between (exactRatio * exp -tolerance) (exactRatio * exp tolerance))
                        ratios
                        "the reference of nora3 is the ratio of the exact variances, the rule three of its standard errors by theory"
                ]
                Guards = [
                    Guard.check
                        origin
                        "nora3.agree"
                        "no measured variance is more than four standard errors from the exact one"
                        (furthest <= 4.0)
                        $"furthest {furthest:F1}"
                ]
            }
    Sample = None
}

let experiments = [ experiment ]
