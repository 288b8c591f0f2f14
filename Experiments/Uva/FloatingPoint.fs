/// uva1.5: the source's two KL(q||N(0,1)), one large and one small, and a third of ours, in float32 and float64, by the
/// textbook formula and by the stable one, beside the exact value and what the source prints.
/// Run it: `./reproduce --only uva1.5`.
module Research.Experiments.Uva.FloatingPoint

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

/// q = N(mean, exp logVar).
type Example = {
    Name: string
    What: string
    Parameters: string
    Mean: float
    LogVar: float
    /// What the source prints: mantissa, letter by letter, and power of ten.
    Printed: (string * int) option
}

/// log(1 + x) with all the digits of x (Kahan).
let private log1p x =
    let u = 1.0 + x
    x * log u / (u - 1.0)

/// The source's pairs are of deviation and mean, (1 + m, m).
let private ofSource name parameters mean printed = {
    Name = name
    What = $"the source's {name} one"
    Parameters = parameters
    Mean = mean
    LogVar = 2.0 * log1p mean
    Printed = Some printed
}

let private small = ofSource "small" "$\\sigma=1+10^{-5}$, $\\mu=10^{-5}$" 1e-5 ("1.49", -10)

let private big = ofSource "big" "$\\sigma=1+10^5$, $\\mu=10^5$" 1e5 ("1.0", 10)

/// Sums of few powers of two, so that float32 holds both parameters exactly: all of the error is the formula's.
let private between = {
    Name = "between"
    What = "one of ours"
    Parameters = "$\\mu=\\log\\sigma^2=2^{-13}$"
    Mean = 2.0 ** -13.0
    LogVar = 2.0 ** -13.0
    Printed = None
}

let private examples = [ big; small; between ]

/// The number in a double to 28 digits; its conversion to decimal keeps 15. Raises OverflowException from 7e28 on.
let private decimalOf (x: float) : decimal =
    if x = 0.0 then
        0.0m
    else
        let exponent = Math.ILogB x - 52
        let mantissa = decimal (int64 (Math.ScaleB(x, -exponent)))
        let factor = decimal (bigint.Pow(2I, abs exponent))
        if exponent < 0 then mantissa / factor else mantissa * factor

/// (mean^2 + exp logVar - 1 - logVar)/2 in decimal arithmetic of 28 digits: exp x - 1 - x is the sum of x^k/k! from
/// k = 2 on, whose terms are all of one sign for x >= 0, so that nothing cancels.
/// Raises ArgumentException for a negative log-variance, OverflowException where the result exceeds 7e28.
let exactKl (mean: float) (logVar: float) : decimal =
    if logVar < 0.0 then
        invalidArg (nameof logVar) "the series would cancel"
    let x = decimalOf logVar
    let rec sum (k: decimal) (term: decimal) (total: decimal) =
        let next = term * x / k
        if total + next = total then total else sum (k + 1.0m) next (total + next)
    let remainder = if x = 0.0m then 0.0m else sum 3.0m (x * x / 2.0m) (x * x / 2.0m)
    let mean = decimalOf mean
    (mean * mean + remainder) / 2.0m

/// log(1/sigma) + (sigma^2 + mu^2)/2 - 1/2, as textbooks print it.
let private textbook (q: DiagNormal) : Tensor =
    let variance = q.LogVar.exp ()
    sumLast (-0.5 * q.LogVar + (variance + q.Mu.square ()) / 2.0 - 0.5)

let private formulas = [ "textbook", textbook; "stable", klStandard ]
let private precisions = [ "float32", torch.float32; "float64", torch.float64 ]

let private name example formula precision = $"{example.Name}.{formula}.{precision}"

let private run (plan: Plan) : RunRequest =
    let measure _ = [
        for example in examples do
            for precision, dtype in precisions do
                let number (x: float) = torch.tensor ([| x |], dtype)
                let q = { Mu = number example.Mean; LogVar = number example.LogVar }
                for formula, kl in formulas do
                    name example formula precision, (kl q).double().ToDouble()
    ]
    let configuration = [ for e in examples -> e.Name, $"{inv e.Mean} {inv e.LogVar}" ]
    plan.Measure("uva1.5", configuration, 0L, None, measure)

let private exact example = float (exactKl example.Mean example.LogVar)

let private computed (results: Results) example formula precision =
    results.Value (name example formula precision) (run results.Plan)

/// Relative to the exact value.
let private error results example formula precision =
    abs (computed results example formula precision / exact example - 1.0)

let private table (results: Results) =
    let precisions = List.map fst precisions
    /// What an example is stands in its first row.
    let inFirst of' (example, precision) = if precision = precisions.Head then of' example else Text ""
    let printed example =
        match example.Printed with
        | Some(mantissa, power) -> Text $"${mantissa}\\cdot10^{{{power}}}$"
        | None -> Text ""

    List.allPairs examples precisions
    |> Table.over
        "uva1.5.table"
        "$\\mathrm{KL}(q\\|p)$ of a normal $q$ and $p$ the standard normal, in nats: what the source prints, the exact value (a series in decimal arithmetic of 28 digits), and two formulas in two precisions with their relative errors."
        [
            Column.text "$q$" (fun (example, precision) ->
                if precision = precisions.Head then example.What else example.Parameters)
            Column.right "Printed" (inFirst printed)
            Column.right "Exact" (inFirst (fun example -> Scientific(exact example, 5)))
            Column.text "" snd
            for formula, _ in formulas do
                Column.right formula (fun (example, precision) ->
                    Scientific(computed results example formula precision, 5))
                Column.right "error" (fun (example, precision) ->
                    Scientific(error results example formula precision, 1))
        ]

/// In units that leave digits before the point. Ours must round to the digits that the source prints.
let private claim (results: Results) example unit' note (mantissa: string, power: int) =
    let value = computed results example "stable" "float64" / 10.0 ** float power
    Claim.that
        "UVA 1.5"
        $"uva1.5.{example.Name}"
        $"KL of {example.Parameters} from $\\N(0,1)$, in $10^{{{power}}}$ nats"
    |> Claim.beside (float mantissa)
    |> Claim.judgedBy (Within(unit' / 2.0, float mantissa)) [ value ]
    |> Claim.noting note

let private report (results: Results) : Section =
    let error = error results
    let worst formula precision = examples |> List.map (fun e -> error e formula precision) |> List.max
    let lost, kept = error small "textbook" "float32", worst "stable" "float32"
    /// Of the digits of float64; in float32 the textbook formula has none left to lose.
    let digitsLost formula example = log10 (error example formula "float64" / 2.0 ** -53.0)

    {
        Section.empty "uva1.5" (results.Plan.Origin([], 0, None)) with
            Tables = [ table results ]
            Values = [
                Value.scientific "uva1.5.small" 4 (exact small)
                Value.scientific "uva1.5.big" 4 (exact big)
                Value.scientific "uva1.5.lost" 1 lost
                Value.scientific "uva1.5.lost64" 1 (error small "textbook" "float64")
                Value.scientific "uva1.5.kept" 1 kept
                Value.scientific "uva1.5.kept64" 1 (worst "stable" "float64")
                for example in [ small; between ] do
                    for formula, _ in formulas do
                        Value.number $"uva1.5.{example.Name}.{formula}.digits" 1 (digitsLost formula example)
            ]
            Claims = [
                let rule = "the rule asks for a value that rounds to the digits printed"
                claim results big 0.1 rule big.Printed.Value
                claim
                    results
                    small
                    0.01
                    $"{rule}; until the exact value was looked at it allowed one unit of the last digit. The source cuts off where it should round, see the errata"
                    small.Printed.Value
            ]
            Guards = [
                Guard.that
                    "uva1.5.cancels"
                    "the textbook formula in float32 is wrong by at least half of the source's small divergence"
                |> Guard.every (fun error -> error >= 0.5) "relative error" [ lost ]
                Guard.that
                    "uva1.5.stable"
                    "in float64 the stable formula loses at most half of the digits that the textbook formula loses, in both smaller examples"
                |> Guard.pairs
                    (fun stable textbook -> stable <= 0.5 * textbook)
                    ("stable", List.map (digitsLost "stable") [ small; between ])
                    ("textbook", List.map (digitsLost "textbook") [ small; between ])
                Guard.that "uva1.5.harmless" "the large divergence keeps six digits in float32 by either formula"
                |> Guard.every (fun e -> e <= 1e-6) "relative errors" [ for f, _ in formulas -> error big f "float32" ]
            ]
    }

let experiment = Experiment.row "uva1.5" (fun plan -> [ run plan ]) report
