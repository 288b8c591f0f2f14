/// nora3: the variances of the score and of the reparameterised estimate of d/dtheta E (theta + eps)^2, measured from
/// 100 estimates for each number of samples, beside the exact ones. Run it: `./reproduce --only nora3`.
module Research.Experiments.Nora.GradientVariance

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

let private theta = 10.0
let private repetitions = 100
let private sampleCounts = [ 1; 10; 100; 1000; 10_000; 100_000 ]

let private square (x: Tensor) = x.square ()

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

/// One of the two estimators: the exact variance of means of n values, and the relative standard error of what is
/// measured of it.
type private Estimator = { Title: string; Key: string; Exact: int -> float; Error: int -> float }

let private score = {
    Title = "Score"
    Key = "score"
    Exact = scoreVarianceOfSquare theta
    Error = fun n -> relativeError n (moment 2 (centredScore theta)) (moment 4 (centredScore theta))
}

let private pathwise = {
    Title = "Reparameterised"
    Key = "pathwise"
    Exact = pathwiseVarianceOfSquare
    // Its estimates are normal.
    Error = fun n -> relativeError n 1.0 3.0
}

let private estimators = [ score; pathwise ]

/// Estimates of the gradient, each the mean over n samples: `repetitions` of them, in blocks of about a million
/// numbers so that memory does not grow with n.
let private estimates (noise: Noise) (n: int) (key, gradient: (Tensor -> Tensor) -> Tensor -> Tensor -> Tensor) =
    blockwise (int64 (max 1 (1_000_000 / n))) (int64 repetitions) (fun block _ rows ->
        let eps = noise.Normal($"{key}.{n}", block, [| rows; int64 n |], torch.float64)
        (gradient square (torch.tensor theta) eps).detach().mean([| 1L |]).data<float>().ToArray())
    |> Array.concat

let private runs (plan: Plan) : RunRequest list = [
    let configuration = [ "theta", inv theta; "repetitions", string repetitions; "N", $"%A{sampleCounts}" ]
    let work (context: RunContext) =
        context.Save [
            for n in sampleCounts do
                for key, gradient in [ "score", scoreGradient; "pathwise", pathwiseGradient ] ->
                    $"{key}.{n}", Statistics.variance (estimates context.Noise n (key, gradient))
        ]
    for seed in plan.Seeds -> plan.Run($"nora3.seed{seed}", configuration, seed, None, work)
]

/// The mean of the logarithms, since ratios of sample variances are skewed to the right.
let private geometricMean (values: float list) = exp (values |> List.averageBy (fun v -> log v))

/// The standard error of the logarithm of that mean ratio, from the exact moments: fixed by theory, not by a run.
let private logError =
    let variances = sampleCounts |> List.sumBy (fun n -> score.Error n ** 2.0 + pathwise.Error n ** 2.0)
    sqrt variances / float sampleCounts.Length


let private value (results: Results) estimator (n: int) run = results.Value $"{estimator.Key}.{n}" run
let private each (results: Results) estimator n = runs results.Plan |> List.map (value results estimator n)

let private mean results estimator n = List.average (each results estimator n)

let private figure (results: Results) =
    let points f = [| for n in sampleCounts -> float n, f n |]
    let seeds = sqrt (float results.Plan.Seeds.Length)
    let line e = Line(e.Title.ToLowerInvariant(), points (mean results e), None)
    // Side by side, so that no error hides the other.
    let relative (aside: float) e =
        let errors = [| for n in sampleCounts -> e.Error n / seeds |]
        let ratios = [| for n in sampleCounts -> aside * float n, mean results e n / e.Exact n |]
        ErrorBars(e.Title.ToLowerInvariant(), ratios, errors)
    let n = Axis.log "number of samples $N$"

    [
        Panel.axes "" n (Axis.log "variance of the estimate") [
            yield! List.map line estimators
            Reference("exact", points score.Exact)
            Reference("", points pathwise.Exact)
        ]
        |> Panel.withLegend Below
        Panel.axes "" n (Axis.linear "variance / exact") [
            yield! List.map2 relative [ 0.85; 1.0 / 0.85 ] estimators
            Level("", 1.0)
        ]
        |> Panel.withLegend NoLegend
    ]
    |> Figure.grid
        "nora3.variance"
        $"Variance of the score and of the reparameterised estimate of the gradient of $\\E[(\\theta+\\varepsilon)^2]$ at $\\theta=10$ against the number $N$ of samples in each estimate: measured from {repetitions} estimates{meanOver results.Plan.Seeds} beside the exact one (dashed) on the left, and divided by it on the right, with the standard errors that theory predicts."
        2

let private table (results: Results) =
    let mean = mean results

    sampleCounts
    |> Table.over
        "nora3.table"
        $"Variances of the two gradient estimates at $\\theta=10$, from {repetitions} estimates of $N$ samples each{meanOver results.Plan.Seeds}, and the exact ones."
        [
            Column.number "$N$" 0 float
            for e in estimators do
                Column.scientific e.Title 3 (mean e)
                Column.scientific "exact" 3 e.Exact
            Column.number "Ratio" 0 (fun n -> mean score n / mean pathwise n)
        ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let exact = score.Exact 1 / pathwise.Exact 1
    let ratios = [
        for run in runs plan ->
            let ratio n = value results score n run / value results pathwise n run
            geometricMean (List.map ratio sampleCounts)
    ]
    // How many standard errors each measured variance is from the exact one.
    let deviations = [
        for n in sampleCounts do
            for e in estimators do
                for v in each results e n do
                    (v / e.Exact n - 1.0) / e.Error n
    ]
    let furthest = deviations |> List.map abs |> List.max
    let relative = logError / sqrt (float plan.Seeds.Length)
    let error, tolerance = exact * relative, 3.0 * relative

    {
        Section.empty "nora3" (plan.Origin([], plan.Seeds.Length, None)) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                Value.number "nora3.exact" 2 exact
                Seeds.value "nora3.ratio" 0 ratios
                Value.number "nora3.error" 0 error
                Value.number "nora3.away" 1 (abs (Seeds.mean ratios - exact) / error)
                Value.integer "nora3.counts" sampleCounts.Length
                Value.number "nora3.furthest" 1 furthest
                Value.integer "nora3.compared" deviations.Length
                Value.number "nora3.expected" 1 (Statistics.largestOfNormals deviations.Length)
            ]
            Claims = [
                Claim.that
                    "NORA"
                    "nora3.ratio"
                    "variance of the score gradient over that of the reparameterised one, geometric mean over $N$"
                |> Claim.expecting exact
                |> Claim.judgedBy (Between(exact * exp -tolerance, exact * exp tolerance)) ratios
                |> Claim.noting
                    "the reference is the ratio of the exact variances, the rule three standard errors of the measured one by theory"
            ]
            Guards = [
                Guard.that "nora3.agree" "no measured variance is more than four standard errors from the exact one"
                |> Guard.every (fun d -> abs d <= 4.0) "deviations" deviations
            ]
    }

let experiment = Experiment.row "nora3" runs report
