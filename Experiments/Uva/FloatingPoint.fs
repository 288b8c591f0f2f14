/// uva1.5: a very small and a very large KL(q||N(0,1)) in float32 and float64, by the textbook formula and by the
/// stable one, beside the exact value. Run it: `./reproduce --only uva1.5`.
module Research.Experiments.Uva.FloatingPoint

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

/// q = N(mean, exp logVar). Both numbers are sums of few powers of two, so that float32 holds them exactly and all
/// columns of the table speak of the same q.
type Example = { Name: string; What: string; Parameters: string; Mean: float; LogVar: float }

let private examples = [
    {
        Name = "small"
        What = "close to the prior"
        Parameters = "$\\mu=\\log\\sigma^2=2^{-13}$"
        Mean = 2.0 ** -13.0
        LogVar = 2.0 ** -13.0
    }
    {
        Name = "big"
        What = "far and wide"
        Parameters = "$\\mu=2^{10}$, $\\log\\sigma^2=16$"
        Mean = 1024.0
        LogVar = 16.0
    }
]

/// (mean^2 + exp logVar - 1 - logVar)/2 in decimal arithmetic of 28 digits: exp x - 1 - x is the sum of x^k/k! from
/// k = 2 on, whose terms are all of one sign for x >= 0, so that nothing cancels.
/// Raises ArgumentException for a negative log-variance, OverflowException where the result exceeds 7e28.
let exactKl (mean: float) (logVar: float) : decimal =
    if logVar < 0.0 then
        invalidArg (nameof logVar) "the series would cancel"

    let x = decimal logVar

    let rec sum (k: decimal) (term: decimal) (total: decimal) =
        let next = term * x / k

        if total + next = total then
            total
        else
            sum (k + 1.0m) next (total + next)

    let remainder =
        if x = 0.0m then
            0.0m
        else
            sum 3.0m (x * x / 2.0m) (x * x / 2.0m)

    (decimal mean * decimal mean + remainder) / 2.0m

/// log(1/sigma) + (sigma^2 + mu^2)/2 - 1/2, as textbooks print it.
let private textbook (q: DiagNormal) : Tensor =
    let variance = q.LogVar.exp ()
    sumLast (-0.5 * q.LogVar + (variance + q.Mu.square ()) / 2.0 - 0.5)

let private formulas = [ "textbook", textbook; "stable", klStandard ]
let private precisions = [ "float32", torch.float32; "float64", torch.float64 ]

let private name example formula precision = $"{example.Name}.{formula}.{precision}"

let private evaluate (context: RunContext) =
    use _ = torch.NewDisposeScope()
    let values = Dictionary()

    for example in examples do
        for precision, dtype in precisions do
            let scalar (x: float) = torch.tensor ([| x |], dtype)

            let q = { Mu = scalar example.Mean; LogVar = scalar example.LogVar }

            for formula, kl in formulas do
                values[name example formula precision] <- (kl q).double().ToDouble()

    context.Run.SaveValues values

let private run (plan: Plan) : RunRequest =
    plan.Run("uva1.5", [ for e in examples -> e.Name, $"{inv e.Mean} {inv e.LogVar}" ], 0L, None, 1, evaluate)

let private experiment: Experiment = {
    Row = "uva1.5"
    Title = "Two divergences in floating point"
    Runs = fun plan -> [ run plan ]
    Report =
        fun plan results ->
            let origin = plan.Origin([], 0, None)
            let exact example = float (exactKl example.Mean example.LogVar)

            let computed example formula precision = results.Value (name example formula precision) (run plan)

            let error example formula precision =
                abs (computed example formula precision / exact example - 1.0)

            let small, big = examples[0], examples[1]

            let worst formula precision =
                examples |> List.map (fun e -> error e formula precision) |> List.max

            let evidence errors =
                let list = errors |> List.map (sprintf "%.2g") |> String.concat ", "
                $"relative errors {list}"

            /// In units that leave digits before the point.
            let claim example unit' unitText =
                let reference = exact example / unit'

                Claim.judge
                    origin
                    $"uva1.5.{example.Name}"
                    "UVA 1.5"
                    $"KL of a normal {example.What} ({example.Parameters}), stable formula in float32, in {unitText} nats"
                    None
                    (Rule.within (reference * 1e-3) reference)
                    [ computed example "stable" "float32" / unit' ]
                    "the rules of uva1.5 allow one thousandth of the exact value"

            {
                Row = "uva1.5"
                Origin = origin
                Figures = []
                Tables = [
                    {
                        Id = "uva1.5.table"
                        Caption =
                            "$\\mathrm{KL}(q\\|p)$ of a normal $q$ and $p$ the standard normal, in nats, by two formulas in two precisions, with relative errors against the exact value (a series in decimal arithmetic of 28 digits)."
                        Columns = [
                            Table.left "$q$"
                            Table.left "Formula"
                            Table.right "float32"
                            Table.right "error"
                            Table.right "float64"
                            Table.right "error"
                            Table.right "Exact"
                        ]
                        Rows = [
                            for example in examples do
                                for formula, _ in formulas ->
                                    let first = formula = fst formulas.Head

                                    [
                                        Text(if first then example.What else example.Parameters)
                                        Text formula
                                        for precision, _ in precisions do
                                            Scientific(computed example formula precision, 5)
                                            Scientific(error example formula precision, 1)
                                        (if first then Scientific(exact example, 5) else Text "")
                                    ]
                        ]
                        Note = ""
                    }
                ]
                Values = [
                    Value.scientific "uva1.5.small" 4 (exact small)
                    Value.scientific "uva1.5.big" 4 (exact big)
                    Value.scientific "uva1.5.lost" 1 (error small "textbook" "float32")
                    Value.scientific "uva1.5.lost64" 1 (error small "textbook" "float64")
                    Value.scientific "uva1.5.kept" 1 (worst "stable" "float32")
                    Value.scientific "uva1.5.kept64" 1 (worst "stable" "float64")
                ]
                Claims = [ claim small 1e-9 "$10^{-9}$"; claim big 1e6 "$10^6$" ]
                Guards = [
                    Guard.check
                        origin
                        "uva1.5.cancels"
                        "the textbook formula in float32 is wrong by at least half of the small divergence"
                        (error small "textbook" "float32" >= 0.5)
                        (evidence [ error small "textbook" "float32" ])
                    Guard.check
                        origin
                        "uva1.5.stable"
                        "the stable formula errs by at most 1e-3 in float32 and 1e-11 in float64"
                        (worst "stable" "float32" <= 1e-3 && worst "stable" "float64" <= 1e-11)
                        (evidence [ worst "stable" "float32"; worst "stable" "float64" ])
                    Guard.check
                        origin
                        "uva1.5.harmless"
                        "the large divergence keeps six digits in float32 by either formula"
                        (formulas |> List.forall (fun (f, _) -> error big f "float32" <= 1e-6))
                        (evidence [ for f, _ in formulas -> error big f "float32" ])
                ]
            }
    Sample = None
}

let experiments = [ experiment ]
