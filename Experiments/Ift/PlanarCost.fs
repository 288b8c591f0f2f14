/// ift6: what the log-determinant of planar layers costs by the matrix determinant lemma and by a dense determinant,
/// against the dimension and against the number of layers. Run it: `./reproduce --only ift6`.
module Research.Experiments.Ift.PlanarCost

open System
open System.Collections.Generic
open System.Diagnostics
open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

let private batch = 16L
let private closedDimensions = [ for power in 1..14 -> 1L <<< power ]
let private denseDimensions = [ for power in 1..9 -> 1L <<< power ]
let private depths = [ 1; 2; 4; 8; 16; 32; 64 ]

/// The dimension at which the depth is varied.
let private chainDimension = 64L

/// Fewest seconds of a call. Interference only ever adds time, so the least is the most repeatable figure.
let private fewest (budget: float) (call: unit -> unit) =
    let clock = Stopwatch.StartNew()
    let mutable least, calls = Double.PositiveInfinity, 0

    while calls < 9 || (clock.Elapsed.TotalSeconds < budget && calls < 2000) do
        let start = Stopwatch.GetTimestamp()
        call ()
        least <- min least (Stopwatch.GetElapsedTime start).TotalSeconds
        calls <- calls + 1

    least

type private Layer = { Map: Transform; Jacobian: Tensor -> Tensor }

/// A layer with w.u of order one, and its Jacobian I + u-hat psi(z)' written out, `[B,D,D]`.
let private layer (noise: Noise) (index: int64) (dimension: int64) : Layer =
    let draw (name: string) =
        noise.Normal($"{name}.{dimension}", index, [| dimension |], torch.float64)
        / Math.Pow(float dimension, 0.5)

    let u, w, b = draw "u", draw "w", torch.zeros ([||], torch.float64)

    let jacobian (z: Tensor) =
        let psi = (1.0 - (z.matmul w).tanh().square()).unsqueeze -1L * w
        let outer = (planarInvertibleU u w).view(1L, -1L, 1L) * psi.unsqueeze 1L
        torch.eye (dimension, dtype = torch.float64) + outer

    { Map = planar u w b; Jacobian = jacobian }

let private measure (plan: Plan) (context: RunContext) =
    use _ = torch.no_grad ()
    let budget = Profile.pick plan.Profile 0.005 0.05 0.2
    let values = Dictionary<string, float>()
    let mutable difference = 0.0

    let points (dimension: int64) =
        context.Noise.Normal("points", dimension, [| batch; dimension |], torch.float64)

    let time f =
        fewest budget (fun () ->
            use _ = torch.NewDisposeScope()
            f () |> ignore)

    let dense (j: Tensor) =
        let struct (_, logDet) = torch.linalg.slogdet j
        logDet

    for dimension in closedDimensions do
        use _ = torch.NewDisposeScope()
        let layer, z = layer context.Noise 0L dimension, points dimension
        values[$"closed.{dimension}"] <- time (fun () -> layer.Map.Forward z)

        if List.contains dimension denseDimensions then
            let j = layer.Jacobian z
            values[$"dense.{dimension}"] <- time (fun () -> dense j)
            let error = (snd (layer.Map.Forward z) - dense j).abs().max().ToDouble()
            difference <- max difference error

    for depth in depths do
        use _ = torch.NewDisposeScope()
        let layers = [ for i in 1..depth -> layer context.Noise (int64 i) chainDimension ]
        let chain, z = Transform.compose (layers |> List.map _.Map), points chainDimension
        values[$"closed.depth.{depth}"] <- time (fun () -> chain.Forward z)
        // The Jacobians' values do not change the cost of their determinants.
        let j = torch.stack ([| for l in layers -> l.Jacobian z |], 0L)
        values[$"dense.depth.{depth}"] <- time (fun () -> dense j)

    values["difference"] <- difference
    context.Run.SaveValues values

let private request (plan: Plan) : RunRequest =
    let configuration = [
        "batch", string batch
        "dimensions", $"{closedDimensions.Length} {denseDimensions.Length}"
        "depths", String.Join(" ", depths)
    ]

    plan.Run($"ift6.{Profile.name plan.Profile}", configuration, 1L, None, 1, measure plan)

let private report (plan: Plan) (results: Results) : Section =
    let run = request plan
    let origin = plan.Origin([], 0, None)
    let value name = results.Value name run
    let closed (d: int64) = value $"closed.{d}"
    let dense (d: int64) = value $"dense.{d}"
    let micro seconds = 1e6 * seconds
    let largestDense, largestClosed = List.last denseDimensions, List.last closedDimensions
    let exponent time (d: int64) = Math.Log(time d / time (d / 4L)) / Math.Log 4.0
    let ratio = dense largestDense / closed largestDense
    let denseSlope, closedSlope = exponent dense largestDense, exponent closed largestClosed

    {
        Row = "ift6"
        Origin = origin
        Figures = [
            Figure.grid
                "ift6.cost"
                $"Time of the log-determinants of planar layers for {batch} points, one thread, float64: by the determinant lemma with all of the layer's forward map, and as a dense determinant of a Jacobian that is given. Left: one layer against the dimension, with the orders $D$ and $D^3$. Right: $k$ layers at $D={chainDimension}$."
                2
                [
                    Panel.axes "" (Axis.log "dimension $D$") (Axis.log "microseconds") [
                        Line("lemma", [| for d in closedDimensions -> float d, micro (closed d) |], None)
                        Line("dense", [| for d in denseDimensions -> float d, micro (dense d) |], None)
                        Reference(
                            "",
                            [|
                                for d in [ 1024L; largestClosed ] ->
                                    float d,
                                    0.5 * micro (closed largestClosed) * float d / float largestClosed
                            |]
                        )
                        Reference(
                            "",
                            [|
                                for d in [ 64L; largestDense ] ->
                                    float d,
                                    2.0
                                    * micro (dense largestDense)
                                    * Math.Pow(float d / float largestDense, 3.0)
                            |]
                        )
                    ]
                    |> Panel.withLegend NorthWest
                    Panel.axes "" (Axis.log "layers $k$") (Axis.log "microseconds") [
                        Line(
                            "lemma",
                            [| for k in depths -> float k, micro (value $"closed.depth.{k}") |],
                            None
                        )
                        Line(
                            "dense",
                            [| for k in depths -> float k, micro (value $"dense.depth.{k}") |],
                            None
                        )
                    ]
                    |> Panel.withLegend NorthWest
                ]
        ]
        Tables = []
        Values = [
            Value.number "ift6.ratio" 0 ratio
            Value.integer "ift6.dimension" (int largestDense)
            Value.number "ift6.dense-slope" 1 denseSlope
            Value.number "ift6.closed-slope" 1 closedSlope
            Value.scientific "ift6.difference" 1 (value "difference")
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "ift6.equal"
                "the largest difference of the two log-determinants is below 1e-9"
                (value "difference" < 1e-9)
                $"""{value "difference":E1}"""
            Guard.check
                origin
                "ift6.orders"
                "over the last factor of four in D the dense time grows with an exponent above 2, the lemma's with one below 1.5, and the lemma is at least 50 times faster at the largest dense D"
                (denseSlope > 2.0 && closedSlope < 1.5 && ratio > 50.0)
                $"exponents {denseSlope:F2} and {closedSlope:F2}, ratio {ratio:F0}"
        ]
    }

let experiment: Experiment = {
    Row = "ift6"
    Title = "The cost of the log-determinant"
    Runs = fun plan -> [ request plan ]
    Report = report
    Sample = None
}
