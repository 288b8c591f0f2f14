/// ift4: five GANs on CIFAR-10 that differ in metric and in what tames the critic, scored in the feature space of a
/// classifier trained on the same images. Run it: `./reproduce --only ift4`; at full size: `--profile paper --device cuda`.
module Research.Experiments.Ift.Cifar

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Ift.CifarProtocol

/// Everything that the report says about one configuration.
type private Outcome = {
    Configuration: Configuration
    /// (step, value): the critic's metric, means between evaluations, and both scores from step 0 on.
    Metric: (float * float)[]
    Frechet: (float * float)[]
    Inception: (float * float)[]
    /// Of the losses as recorded.
    Finite: bool
    Samples: Png.Image[]
}

let private pictures (plan: Plan) (images: Tensor) =
    Pictures.images (plan.Data DataSetId.Cifar10).Train 1.0 ((images + 1.0) / 2.0)

let private outcome (plan: Plan) (results: Results) (runs: Runs) : Outcome =
    let tensor name = results.Tensor "scores" name runs.Scores
    let numbers name = (tensor name).data<float>().ToArray()
    let curve name = results.Curve "train" name runs.Training
    let steps = numbers "step"

    {
        Configuration = runs.Configuration
        // The critic's loss is minus the metric.
        Metric = curve "critic" |> Array.map (fun (step, loss) -> step, -loss)
        Frechet = Array.zip steps (numbers "fid")
        Inception = Array.zip steps (numbers "is")
        Finite = Seq.append (curve "critic") (curve "generator") |> Seq.forall (snd >> Double.IsFinite)
        Samples = pictures plan (tensor "samples")
    }

/// Spearman's rank correlation; NaN for fewer than three points.
let rankCorrelation (xs: float[]) (ys: float[]) : float =
    if xs.Length < 3 then
        nan
    else
        let ranks (values: float[]) =
            values
            |> Array.map (fun v ->
                float (
                    values
                    |> Array.sumBy (fun w ->
                        if w < v then 2
                        elif w = v then 1
                        else 0)
                ))

        let centred values = let mean = Array.average values in values |> Array.map (fun v -> v - mean)
        let a, b = centred (ranks xs), centred (ranks ys)
        let dot u v = Array.fold2 (fun sum x y -> sum + x * y) 0.0 u v
        dot a b / sqrt (dot a a * dot b b)

/// The metric's mean over the steps since the evaluation before, at every evaluation but the one at step 0.
let private metricAtEvaluations (o: Outcome) =
    o.Frechet
    |> Array.pairwise
    |> Array.map (fun ((before, _), (now, _)) ->
        o.Metric
        |> Array.filter (fun (step, _) -> step > before && step <= now)
        |> Array.averageBy snd)

let private follows (o: Outcome) = rankCorrelation (metricAtEvaluations o) (o.Frechet[1..] |> Array.map snd)

let private last (curve: (float * float)[]) = snd curve[curve.Length - 1]

let private figure (o: Outcome) =
    let c = o.Configuration

    let metric =
        if c.Adversary.Name = "jsd" then
            "JSD metric"
        else
            "W1 metric"

    Figure.grid
        $"ift4.{c.Id}"
        $"CIFAR-10, {c.Id} (critic: {penalty c}). Left: the critic's metric on training batches. Right: the FID of the averaged generator, untrained at step 0."
        2
        [
            Panel.axes "" (Axis.linear "generator step") (Axis.linear metric) [ Line("", o.Metric, None) ]
            |> Panel.withLegend NoLegend
            Panel.axes "" (Axis.linear "generator step") (Axis.linear "FID, own features") [
                Line("", o.Frechet, None)
            ]
            |> Panel.withLegend NoLegend
        ]

let private claims (origin: Origin) (o: Outcome) =
    let c = o.Configuration

    let claim id what reference value = {
        Claim.judge
            origin
            $"ift4.{c.Id}.{id}"
            "IFT P2.7"
            what
            (Some reference)
            (Rule.atMost reference)
            [ value ]
            "" with
            Rule = "Inception's features at full scale only"
            Verdict = NotComparable
    }

    [
        claim "is" $"inception score of {c.Id}" c.SourceInception (last o.Inception)
        claim "fid" $"FID of {c.Id}" c.SourceFrechet (last o.Frechet)
    ]

let private table (results: Results) (reference: RunRequest) (outcomes: Outcome list) : Table =
    let correlation o =
        let value = follows o

        if Double.IsNaN value then
            Missing "too few evaluations"
        else
            Number(value, 2)

    {
        Id = "ift4.table"
        Caption =
            "CIFAR-10: scores of the averaged generator after the last step in the features of a classifier trained here, beside the source's, which are in Inception's features and at full size; and Spearman's correlation between the critic's metric and FID over the evaluations."
        Columns = [
            Table.left "Configuration"
            Table.left "Critic"
            Table.right "Source IS"
            Table.right "IS"
            Table.right "Source FID"
            Table.right "FID"
            Table.right "Correlation"
        ]
        Rows = [
            for o in outcomes do
                [
                    Text o.Configuration.Id
                    Text(penalty o.Configuration)
                    Source(o.Configuration.SourceInception, 2)
                    Number(last o.Inception, 2)
                    Source(o.Configuration.SourceFrechet, 1)
                    Number(last o.Frechet, 2)
                    correlation o
                ]
            [
                Text "training images"
                Text ""
                Text ""
                Number(results.Value "is" reference, 2)
                Text ""
                Number(results.Value "fid" reference, 2)
                Text ""
            ]
        ]
        Note = ""
    }

let private sample (plan: Plan) (results: Results) (count: int) (noise: Noise) =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    let scale, runs = scale plan, (runs plan).Gans
    let best = runs |> List.minBy (fun r -> results.Value "fid" r.Scores)
    let networks = (gan scale best.Configuration).Networks
    let file = GanRun.snapshotFile (int64 scale.Steps)
    let generator = GanRun.load networks (results.Of best.Training) file plan.Device
    GanScores.estimateStatistics generator noise 0L plan.Device
    let z = GanRun.latents generator noise "sample" 0L count plan.Device
    (generator.Apply Running z).flatten 1L |> pictures plan

let private ift4: Experiment = {
    Row = "ift4"
    Title = "Five CIFAR-10 GANs"
    Runs =
        fun plan ->
            let all = runs plan

            [ all.Judged; all.Reference ]
            @ (all.Gans |> List.collect (fun r -> [ r.Training; r.Scores ]))
    Report =
        fun plan results ->
            let all, scale = runs plan, scale plan
            let outcomes = all.Gans |> List.map (outcome plan results)
            let origin = plan.Origin([ DataSetId.Cifar10 ], 1, Some(differences plan))
            let best = outcomes |> List.minBy (fun o -> last o.Frechet)
            let columns = 12
            let data = (plan.Train DataSetId.Cifar10).narrow(0L, 0L, int64 columns) / 255.0

            let rows = [|
                yield! Pictures.images (plan.Data DataSetId.Cifar10).Train 1.0 data
                for o in outcomes do
                    yield! o.Samples[.. columns - 1]
            |]

            let captions = "data" :: [ for o in outcomes -> o.Configuration.Id ]
            let worst = outcomes |> List.maxBy (fun o -> last o.Frechet)

            let untamed, wasserstein =
                outcomes.Head, outcomes |> List.filter (fun o -> o.Configuration.Adversary.Name = "w1")

            let correlation id value =
                if Double.IsNaN value then
                    Value.text id "(too few evaluations)"
                else
                    Value.number id 2 value

            let improves o = last o.Frechet < snd o.Frechet[0]

            {
                Row = "ift4"
                Origin = origin
                Figures = [
                    Figure.single
                        "ift4.samples"
                        "CIFAR-10: training images, and samples of each configuration's averaged generator after the last step, the same latents in every row."
                        (Panel.images "" columns rows |> Panel.withCaptions captions [])
                    yield! outcomes |> List.map figure
                ]
                Tables = [ table results all.Reference outcomes ]
                Values = [
                    Value.integer "ift4.width" scale.Width
                    Value.integer "ift4.steps" scale.Steps
                    Value.integer "ift4.batch" scale.Batch
                    Value.integer "ift4.rate" (int scale.Rate)
                    Value.number "ift4.ema" 3 scale.Ema
                    Value.integer "ift4.judged" scale.Samples
                    Value.number "ift4.accuracy" 1 (100.0 * results.Value "accuracy" all.Reference)
                    Value.text "ift4.best" best.Configuration.Id
                    Value.number "ift4.bestfid" 2 (last best.Frechet)
                    Value.text "ift4.worst" worst.Configuration.Id
                    Value.number "ift4.worstfid" 2 (last worst.Frechet)
                    correlation "ift4.w1follows" (wasserstein |> List.map follows |> List.min)
                    correlation "ift4.untamedfollows" (follows untamed)
                ]
                Claims = outcomes |> List.collect (claims origin)
                Guards = [
                    Guard.check
                        origin
                        "ift4.stable"
                        "every recorded loss of the five trainings is finite"
                        (outcomes |> List.forall _.Finite)
                        $"{scale.Steps} steps each"
                    Guard.check
                        origin
                        "ift4.improves"
                        "every configuration ends with a lower FID than its untrained generator"
                        (outcomes |> List.forall improves)
                        (outcomes
                         |> List.map (fun o ->
                             $"{o.Configuration.Id}: {snd o.Frechet[0]:F1} to {last o.Frechet:F1}")
                         |> String.concat ", ")
                ]
            }
    Sample = Some sample
}

let experiments = [ ift4 ]
