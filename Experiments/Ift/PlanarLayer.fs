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

let private measured = 20000L
let private shown = 500L

let private apply (context: RunContext) =
    use _ = torch.no_grad ()
    use _ = torch.NewDisposeScope()
    let z = context.Noise.Normal("base", 0L, [| measured; 2L |], torch.float64)
    let save (name: string) (t: Tensor) = NamedTensor(name, t.narrow (0L, 0L, shown))
    let values = Dictionary<string, float>()

    let after = [
        for i, (mean, sd) in List.indexed scales do
            let draw (name: string) (shape: int64[]) =
                context.Noise.Normal(name, int64 i, shape, torch.float64) * sd + mean

            let u, w, b = draw "u" [| 2L |], draw "w" [| 2L |], (draw "b" [| 1L |]).squeeze()
            let y, logDet = (planar u w b).Forward z
            let uHat = planarInvertibleU u w
            let norm (t: Tensor) = t.norm().ToDouble()
            let along (t: Tensor) = (t.matmul (w / w.norm ())).std().ToDouble()
            let shift = (y - z).square().sum(1L).sqrt() / uHat.norm ()
            let record name value = values[$"{name}.{i}"] <- value
            record "norm u" (norm uHat)
            record "slope" ((u.dot w).ToDouble())
            record "constrained slope" ((uHat.dot w).ToDouble())
            record "along" (along y / along z)
            // Where tanh is within 1 % of +-1 the layer only translates.
            record "rigid" ((shift.gt (Scalar.op_Implicit 0.99)).double().mean().ToDouble())
            record "logdet" (logDet.mean().ToDouble())
            save $"after.{i}" y
    ]

    context.SaveTensors("points", save "before" z :: after)
    context.Run.SaveValues values

let private request (plan: Plan) : RunRequest =
    plan.Run("ift5", [ "scales", string scales; "measured", string measured ], 1L, None, 1, apply)

let private report (plan: Plan) (results: Results) : Section =
    let run = request plan
    let origin = plan.Origin([], 1, None)
    let value name i = results.Value $"{name}.{i}" run

    let points name =
        let flat = (results.Tensor "points" name run).data<float>().ToArray()
        [| for i in 0..2 .. flat.Length - 2 -> flat[i], flat[i + 1] |]

    let panel title name =
        Panel.axes title (Axis.linear "$z_1$") (Axis.linear "$z_2$") [
            Scatter("after", points name)
            Scatter("before", points "before")
        ]
        |> Panel.withLegend NoLegend

    let label (mean: float, sd: float) = $"mean {inv mean}, deviation {inv sd}"
    let large = [ 1..3 ]

    {
        Row = "ift5"
        Origin = origin
        Figures = [
            Figure.grid
                "ift5.points"
                "Samples of $\\N(0,I)$ (squares) and their images (dots) under one planar layer whose parameters are drawn from normals of the mean and deviation stated. The axes differ: large parameters part the two halves of the cloud by twice $\\norm{\\hat u}$."
                2
                [
                    for i, scale in List.indexed scales do
                        panel (label scale) $"after.{i}"
                ]
        ]
        Tables = [
            {
                Id = "ift5.table"
                Caption =
                    "One planar layer: its parameters, the ratio of the samples' deviations along $w$ after and before, the share of samples that it only translates ($\\abs{\\tanh}>0.99$), and the mean log-determinant."
                Columns = [
                    Table.right "Mean"
                    Table.right "Deviation"
                    Table.right "$w^\\T u$"
                    Table.right "$w^\\T\\hat u$"
                    Table.right "$\\norm{\\hat u}$"
                    Table.right "Along $w$"
                    Table.right "Translated"
                    Table.right "$\\log\\det$"
                ]
                Rows = [
                    for i, scale in List.indexed scales ->
                        [
                            Text(inv (fst scale))
                            Text(inv (snd scale))
                            Scientific(value "slope" i, 2)
                            Scientific(value "constrained slope" i, 2)
                            Scientific(value "norm u" i, 2)
                            Scientific(value "along" i, 2)
                            Number(value "rigid" i, 3)
                            Number(value "logdet" i, 3)
                        ]
                ]
                Note = ""
            }
        ]
        Values = [
            Value.number "ift5.squeeze" 3 (value "along" 0)
            Value.number "ift5.rigid" 1 (100.0 * (large |> List.map (value "rigid") |> List.min))
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "ift5.contraction"
                "with deviation 0.01 the ratio of deviations along w is log 2 within 0.01"
                (abs (value "along" 0 - log 2.0) < 0.01)
                $"""ratio {value "along" 0:F4}"""
            Guard.check
                origin
                "ift5.translation"
                "for each of the three large scales at least nine tenths of the samples are only translated"
                (large |> List.forall (fun i -> value "rigid" i > 0.9))
                (String.concat ", " [ for i in large -> $"""{value "rigid" i:F3}""" ])
        ]
    }

let experiment: Experiment = {
    Row = "ift5"
    Title = "One planar layer"
    Runs = fun plan -> [ request plan ]
    Report = report
    Sample = None
}
