/// ift5: one planar layer applied to standard normal samples, for four scales of its parameters, before and after.
/// Run it: `./reproduce --only ift5`.
module Research.Experiments.Ift.PlanarLayer

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments

/// Mean and standard deviation of the normals that u, w and b are drawn from.
let private scales = [ 0.0, 0.01; 10.0, 100.0; 50.0, 100.0; 500.0, 1000.0 ]

let private measured, private shown = 20000L, 500L

/// The samples, as `before` and `after.INDEX` of the scale, and figures of each layer, `NAME.INDEX`.
let private apply (context: RunContext) =
    let z = context.Noise.Normal("base", 0L, [| measured; 2L |], torch.float64)
    let points, values = List<NamedTensor>(), List<string * float>()
    let save name (samples: Tensor) = points.Add(NamedTensor(name, samples.narrow (0L, 0L, shown)))
    save "before" z

    for i, (mean, sd) in List.indexed scales do
        let draw (name: string) (shape: int64[]) = context.Noise.Normal(name, int64 i, shape, torch.float64) * sd + mean
        let u, w, b = draw "u" [| 2L |], draw "w" [| 2L |], (draw "b" [| 1L |]).squeeze()
        let y, logDet = (planar u w b).Forward z
        let uHat = planarInvertibleU u w
        let along (t: Tensor) = (t.matmul (w / w.norm ())).std().ToDouble()
        let shift = (y - z).square().sum(1L).sqrt() / uHat.norm ()
        let record name value = values.Add($"{name}.{i}", value)
        record "norm u" (uHat.norm().ToDouble())
        record "slope" ((u.dot w).ToDouble())
        record "constrained slope" ((uHat.dot w).ToDouble())
        record "along" (along y / along z)
        // Where tanh is within 1 % of +-1 the layer only translates.
        record "rigid" ((shift.gt (scalar 0.99)).double().mean().ToDouble())
        record "logdet" (logDet.mean().ToDouble())
        save $"after.{i}" y

    context.SaveTensors("points", points)
    List.ofSeq values

let private run (plan: Plan) : RunRequest =
    let configuration = [ "scales", string scales; "measured", string measured ]
    plan.Measure("ift5", configuration, 1L, None, apply)

let private value (results: Results) name i = results.Value $"{name}.{i}" (run results.Plan)

let private figure (results: Results) =
    let points name =
        results.Numbers "points" name (run results.Plan)
        |> Array.chunkBySize 2
        |> Array.map (fun z -> z[0], z[1])

    [
        for i, (mean, sd) in List.indexed scales ->
            let title = $"mean {inv mean}, deviation {inv sd}"
            Panel.axes title (Axis.linear "$z_1$") (Axis.linear "$z_2$") [
                Scatter("after", points $"after.{i}")
                Scatter("before", points "before")
            ]
            |> Panel.withLegend NoLegend
    ]
    |> Figure.grid
        "ift5.points"
        "Samples of $\\N(0,I)$ (squares) and their images (dots) under one planar layer whose parameters are drawn from normals of the mean and deviation stated. The axes differ: large parameters part the two halves of the cloud by twice $\\norm{\\hat u}$."
        2

let private table (results: Results) =
    let value name (i, _) = value results name i

    List.indexed scales
    |> Table.over
        "ift5.table"
        "One planar layer: its parameters, the ratio of the samples' deviations along $w$ after and before, the share of samples that it only translates ($\\abs{\\tanh}>0.99$), and the mean log-determinant."
        [
            Column.right "Mean" (fun (_, (mean, _)) -> Text(inv mean))
            Column.right "Deviation" (fun (_, (_, sd)) -> Text(inv sd))
            Column.scientific "$w^\\T u$" 2 (value "slope")
            Column.scientific "$w^\\T\\hat u$" 2 (value "constrained slope")
            Column.scientific "$\\norm{\\hat u}$" 2 (value "norm u")
            Column.scientific "Along $w$" 2 (value "along")
            Column.number "Translated" 3 (value "rigid")
            Column.number "$\\log\\det$" 3 (value "logdet")
        ]

let private report (results: Results) : Section =
    let squeeze = value results "along" 0
    let rigid = [ 1..3 ] |> List.map (value results "rigid")

    {
        Section.empty "ift5" (results.Plan.Origin([], 1, None)) with
            Figures = [ figure results ]
            Tables = [ table results ]
            Values = [ Value.number "ift5.squeeze" 3 squeeze; Value.number "ift5.rigid" 1 (100.0 * List.min rigid) ]
            Guards = [
                Guard.that "ift5.contraction" "with deviation 0.01 the ratio of deviations along w is log 2 within 0.01"
                |> Guard.holds (abs (squeeze - log 2.0) < 0.01)
                |> Guard.found [ "ratio", [ squeeze ] ]
                Guard.that
                    "ift5.translation"
                    "for each of the three large scales at least nine tenths of the samples are only translated"
                |> Guard.every (fun share -> share > 0.9) "shares" rigid
            ]
    }

let experiment = Experiment.row "ift5" (fun plan -> [ run plan ]) report
