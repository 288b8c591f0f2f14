/// ift5: one planar layer applied to standard normal samples, with the parameters of the source's six pictures, before
/// and after.
/// Run it: `./reproduce --only ift5`.
module Research.Experiments.Ift.PlanarLayer

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

/// A layer of the source's figures 40 to 43: mean and standard deviation of the normals that u and w are drawn from,
/// and b. The source does not print its default b; that of its program is 0.
type private Setting = { Figure: string; Mean: float; Deviation: float; B: float }

let private settings = [
    { Figure = "40"; Mean = 0.0; Deviation = 0.01; B = 0.0 }
    { Figure = "41a"; Mean = 10.0; Deviation = 100.0; B = 0.0 }
    { Figure = "41b"; Mean = 10.0; Deviation = 100.0; B = 10.0 }
    { Figure = "42a"; Mean = 50.0; Deviation = 100.0; B = 0.0 }
    { Figure = "42b"; Mean = 50.0; Deviation = 100.0; B = 100.0 }
    { Figure = "43"; Mean = 500.0; Deviation = 1000.0; B = 0.0 }
]

let private measured, private shown = 20000L, 500L

/// The samples, as `before` and `after.FIGURE`, and numbers of each layer, `NAME.FIGURE`. The two layers of figure 41
/// share u and w, as do those of 42.
let private apply (context: RunContext) =
    let z = context.Noise.Normal("base", 0L, [| measured; 2L |], torch.float64)
    let first (samples: Tensor) = samples.narrow (0L, 0L, shown)
    let measure (setting: Setting) =
        let draw name =
            context.Noise.Normal($"{name}.{setting.Figure[..1]}", 0L, [| 2L |], torch.float64)
            * setting.Deviation
            + setting.Mean
        let u, w, b = draw "u", draw "w", torch.tensor (setting.B, torch.float64)
        let y, logDet = (planar u w b).Forward z
        let uHat = planarInvertibleU u w
        let along (t: Tensor) = (t.matmul (w / w.norm ())).std().ToDouble()
        let shift = (y - z).square().sum(1L).sqrt() / uHat.norm ()
        ($"after.{setting.Figure}", first y),
        [
            $"norm u.{setting.Figure}", uHat.norm().ToDouble()
            $"slope.{setting.Figure}", (u.dot w).ToDouble()
            $"constrained slope.{setting.Figure}", (uHat.dot w).ToDouble()
            $"along.{setting.Figure}", along y / along z
            // Where tanh is within 1 % of +-1 the layer only translates.
            $"rigid.{setting.Figure}", (shift.gt (scalar 0.99)).double().mean().ToDouble()
            // The cut w.z + b = 0 is so far from the origin.
            $"cut.{setting.Figure}", setting.B / w.norm().ToDouble()
            $"logdet.{setting.Figure}", logDet.mean().ToDouble()
        ]
    let points, values = settings |> List.map measure |> List.unzip
    context.Keep("points", ("before", first z) :: points)
    List.concat values

let private run (plan: Plan) : RunRequest =
    let configuration = [
        for s in settings do
            $"figure {s.Figure}", $"u, w from N({inv s.Mean}, {inv s.Deviation}^2), b = {inv s.B}"
        "measured", string measured
    ]
    plan.Measure("ift5", configuration, 1L, None, apply)

let private value (results: Results) name (setting: Setting) =
    results.Value $"{name}.{setting.Figure}" (run results.Plan)

/// Samples before and after a layer, on both sides of its cut: all move along one direction, those of a side the same way.
let private sides (before: (float * float)[]) (after: (float * float)[]) =
    let moves = Array.map2 (fun (x, y) (x', y') -> x' - x, y' - y) before after
    let along (u, v) = (let a, b = moves |> Array.maxBy (fun (a, b) -> a * a + b * b) in a * u + b * v)
    let one, other = Array.zip3 before after moves |> Array.partition (fun (_, _, move) -> along move >= 0.0)
    let pick f = [ Scatter("one side", Array.map f one); Scatter("other side", Array.map f other) ]
    pick (fun (point, _, _) -> point), pick (fun (_, point, _) -> point)

let private figure (results: Results) =
    let points name = results.Points "points" name (run results.Plan)
    [
        for s in settings do
            let before, after = sides (points "before") (points $"after.{s.Figure}")
            Panel.around (Series.reach before) $"({s.Figure}) before" "" "" before
            Panel.around (Series.reach after) "after" "" "" after
    ]
    |> Figure.grid
        "ift5.points"
        "Samples of $\\N(0,I)$ before and after one planar layer, by the source's figures; the table has their parameters. A colour and mark for each side of the cut, the line $w^\\T z+b=0$. A unit is as long on both axes; after the layer of large parameters the halves lie $2\\norm{\\hat u}$ apart, so that each of them looks small."
        4

let private table (results: Results) =
    let value name = value results name

    settings
    |> Table.over
        "ift5.table"
        "One planar layer: its parameters, the distance of the cut $w^\\T z+b=0$ from the origin, the ratio of the samples' deviations along $w$ after and before, the share of samples that it only translates ($\\abs{\\tanh}>0.99$), and the mean log-determinant."
        [
            Column.text "Figure" _.Figure
            Column.right "Mean" (fun s -> Text(inv s.Mean))
            Column.right "Deviation" (fun s -> Text(inv s.Deviation))
            Column.right "$b$" (fun s -> Text(inv s.B))
            Column.scientific "$w^\\T u$" 2 (value "slope")
            Column.scientific "$w^\\T\\hat u$" 2 (value "constrained slope")
            Column.scientific "$\\norm{\\hat u}$" 2 (value "norm u")
            Column.number "Cut" 2 (value "cut")
            Column.scientific "Along $w$" 2 (value "along")
            Column.number "Translated" 3 (value "rigid")
            Column.number "$\\log\\det$" 3 (value "logdet")
        ]

let private report (results: Results) : Section =
    let squeeze = value results "along" settings.Head
    let rigid = settings.Tail |> List.map (value results "rigid")

    {
        Section.empty "ift5" (results.Plan.Origin([], 1, None)) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [
                Value.integer "ift5.samples" (int measured)
                Value.number "ift5.squeeze" 3 squeeze
                Value.number "ift5.rigid" 1 (100.0 * List.min rigid)
            ]
            Guards = [
                Guard.that "ift5.contraction" "with deviation 0.01 the ratio of deviations along w is log 2 within 0.01"
                |> Guard.every (fun ratio -> abs (ratio - log 2.0) < 0.01) "ratio" [ squeeze ]
                Guard.that
                    "ift5.translation"
                    "in each of figures 41 to 43 at least nine tenths of the samples are only translated"
                |> Guard.every (fun share -> share > 0.9) "shares" rigid
            ]
    }

let experiment = Experiment.row "ift5" (fun plan -> [ run plan ]) report
