namespace Research.Experiments

open TorchSharp
open Research.Core

/// Statistics of plain numbers.
[<RequireQualifiedAccess>]
module Statistics =
    /// With Bessel's correction.
    let variance (values: float[]) : float =
        let mean = Array.average values
        (values |> Array.sumBy (fun v -> (v - mean) * (v - mean))) / float (values.Length - 1)

    /// The mean of the largest absolute value of n standard normal numbers: the integral of 1 - P(|z| <= x)^n.
    let largestOfNormals (n: int) : float =
        use _ = torch.NewDisposeScope()
        let x = torch.linspace (0.0, 10.0, 10_001L, dtype = torch.float64)
        torch.trapezoid(1.0 - (x / sqrt 2.0).erf().pow(scalar (float n)), x).ToDouble()

    /// Of the mean.
    let standardError (values: float[]) : float = sqrt (variance values / float values.Length)

    /// The mean of the two in the middle where their number is even.
    let median (values: float[]) : float =
        let sorted = Array.sort values
        let n = sorted.Length
        0.5 * (sorted[(n - 1) / 2] + sorted[n / 2])

    /// Spearman's rank correlation; NaN for fewer than three points.
    let rankCorrelation (xs: float[]) (ys: float[]) : float =
        if xs.Length < 3 then
            nan
        else
            let ranks (values: float[]) = [|
                for v in values ->
                    let below = values |> Array.filter (fun w -> w < v)
                    let equal = values |> Array.filter (fun w -> w = v)
                    float (2 * below.Length + equal.Length)
            |]

            let centred values =
                let mean = Array.average values
                values |> Array.map (fun v -> v - mean)

            let a, b = centred (ranks xs), centred (ranks ys)
            let dot u v = Array.fold2 (fun sum x y -> sum + x * y) 0.0 u v
            dot a b / sqrt (dot a a * dot b b)
