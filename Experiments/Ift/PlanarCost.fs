/// ift6: what the log-determinant of planar layers costs by the matrix determinant lemma and by a dense determinant,
/// against the dimension and against the number of layers. Run it: `./reproduce --only ift6`.
module Research.Experiments.Ift.PlanarCost

open System
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

/// By a dense determinant of Jacobians `[..,D,D]`.
let private dense (jacobians: Tensor) : Tensor =
    let struct (_, logDet) = torch.linalg.slogdet jacobians
    logDet

/// Seconds, `closed.D` and `dense.D` of one layer in D dimensions, `closed.depth.K` and `dense.depth.K` of a chain of K, and
/// the largest `difference` of the two log-determinants.
let private measure (profile: Profile) (context: RunContext) =
    let budget = Profile.pick profile 0.005 0.05 0.2
    let points (dimension: int64) = context.Noise.Normal("points", dimension, [| batch; dimension |], torch.float64)
    let time f =
        Timing.fewest budget (fun () ->
            use _ = torch.NewDisposeScope()
            f () |> ignore)
    let mutable difference = 0.0

    [
        for dimension in closedDimensions do
            use _ = torch.NewDisposeScope()
            let layer, z = layer context.Noise 0L dimension, points dimension
            $"closed.{dimension}", time (fun () -> layer.Map.Forward z)
            if List.contains dimension denseDimensions then
                let j = layer.Jacobian z
                $"dense.{dimension}", time (fun () -> dense j)
                difference <- max difference ((snd (layer.Map.Forward z) - dense j).abs().max().ToDouble())
        for depth in depths do
            use _ = torch.NewDisposeScope()
            let layers = [ for i in 1..depth -> layer context.Noise (int64 i) chainDimension ]
            let chain, z = Transform.compose (layers |> List.map _.Map), points chainDimension
            $"closed.depth.{depth}", time (fun () -> chain.Forward z)
            // The Jacobians' values do not change the cost of their determinants.
            let j = torch.stack ([| for l in layers -> l.Jacobian z |], 0L)
            $"dense.depth.{depth}", time (fun () -> dense j)
        "difference", difference
    ]

let private run (plan: Plan) : RunRequest =
    let configuration = [
        "batch", string batch
        "dimensions", $"{closedDimensions.Length} {denseDimensions.Length}"
        "depths", String.Join(" ", depths)
    ]
    plan.Measure($"ift6.{Profile.name plan.Profile}", configuration, 1L, None, measure plan.Profile)
    |> RunRequest.alone

let private largestDense, private largestClosed = List.last denseDimensions, List.last closedDimensions

let private value (results: Results) name = results.Value name (run results.Plan)
let private micro results name = 1e6 * value results name

let private figure (results: Results) =
    let micro = micro results
    let panel label lines = Panel.axes "" (Axis.log label) (Axis.log "microseconds") lines |> Panel.withLegend NorthWest
    let line name xs key = Line(name, [| for x in xs -> float x, micro (key x) |], None)
    /// The order of growth through a point that is `factor` times the last one measured.
    let order factor power from name (last: int64) =
        let at (d: int64) = factor * micro $"{name}.{last}" * Math.Pow(float d / float last, power)
        Reference("", [| for d in [ from; last ] -> float d, at d |])

    [
        panel "dimension $D$" [
            line "lemma" closedDimensions (fun d -> $"closed.{d}")
            line "dense" denseDimensions (fun d -> $"dense.{d}")
            order 0.5 1.0 1024L "closed" largestClosed
            order 2.0 3.0 64L "dense" largestDense
        ]
        panel "layers $k$" [
            line "lemma" (List.map int64 depths) (fun k -> $"closed.depth.{k}")
            line "dense" (List.map int64 depths) (fun k -> $"dense.depth.{k}")
        ]
    ]
    |> Figure.grid
        "ift6.cost"
        $"Time of the log-determinants of planar layers for {batch} points, one thread, float64: by the determinant lemma with all of the layer's forward map, and as a dense determinant of a Jacobian that is given. Left: one layer against the dimension, with the orders $D$ and $D^3$. Right: $k$ layers at $D={chainDimension}$."
        2

let private report (results: Results) : Section =
    let value = value results
    // Over the last factor of sixteen in D: the slope of the line of least squares in logarithms.
    let exponent name (d: int64) =
        let points = [ for k in 0..4 -> log (float (d >>> k)), log (value $"{name}.{d >>> k}") ]
        let x, y = List.averageBy fst points, List.averageBy snd points
        (points |> List.sumBy (fun (a, b) -> (a - x) * (b - y)))
        / (points |> List.sumBy (fun (a, _) -> (a - x) ** 2.0))
    let ratio = value $"dense.{largestDense}" / value $"closed.{largestDense}"
    let denseSlope, closedSlope = exponent "dense" largestDense, exponent "closed" largestClosed
    let difference = value "difference"
    let growth name = value $"{name}.depth.{List.last depths}" / value $"{name}.depth.{depths.Head}"

    {
        Section.empty "ift6" (results.Plan.Origin([], 0, None)) with
            Figures = [ figure results ]
            Values = [
                Value.number "ift6.ratio" 0 ratio
                Value.integer "ift6.dimension" (int largestDense)
                Value.number "ift6.dense-slope" 1 denseSlope
                Value.number "ift6.closed-slope" 1 closedSlope
                Value.scientific "ift6.difference" 1 difference
                Value.integer "ift6.depth" (List.last depths)
                for name in [ "closed"; "dense" ] do
                    Value.number $"ift6.{name}-depth" 0 (growth name)
            ]
            Guards = [
                Guard.that "ift6.equal" "the largest difference of the two log-determinants is below 1e-9"
                |> Guard.every (fun difference -> difference < 1e-9) "difference" [ difference ]
                Guard.that
                    "ift6.linear"
                    "from one layer to the most, either time grows at most one and a half times as much as the number of layers"
                |> Guard.all (fun growth -> growth <= 1.5 * float (List.last depths)) [
                    for name in [ "closed"; "dense" ] -> name, [ growth name ]
                ]
                Guard.that
                    "ift6.orders"
                    "over the last factor of sixteen in D the dense time grows with an exponent above 2, the lemma's with one below 1.5"
                |> Guard.holds (denseSlope > 2.0 && closedSlope < 1.5)
                |> Guard.found [ "exponents", [ denseSlope; closedSlope ] ]
                Guard.that "ift6.faster" "the lemma is at least 50 times faster at the largest dense D"
                |> Guard.every (fun ratio -> ratio > 50.0) "ratio" [ ratio ]
            ]
    }

let experiment = Experiment.row "ift6" (fun plan -> [ run plan ]) report
