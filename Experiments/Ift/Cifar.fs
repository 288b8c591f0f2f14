/// ift4: five GANs on CIFAR-10 that differ in metric and in what tames the critic, scored in the feature space of a
/// classifier trained on the same images. Run it: `./reproduce --only ift4`; at full size: `--profile paper --device cuda`.
module Research.Experiments.Ift.Cifar

open System
open TorchSharp
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

let private outcome (results: Results) (runs: Runs) : Outcome =
    let numbers name = results.Numbers "scores" name runs.Scores
    let curve name = results.Curve "train" name runs.Training
    let samples = results.Tensor "scores" "samples" runs.Scores

    {
        Configuration = runs.Configuration
        // The critic's loss is minus the metric.
        Metric = curve "critic" |> Array.map (fun (step, loss) -> step, -loss)
        Frechet = Array.zip (numbers "step") (numbers "fid")
        Inception = Array.zip (numbers "step") (numbers "is")
        Finite = Seq.append (curve "critic") (curve "generator") |> Seq.forall (snd >> Double.IsFinite)
        Samples = GanRun.pictures results.Plan DataSetId.Cifar10 samples
    }

/// The metric's mean over the steps since the evaluation before, at every evaluation but the one at step 0.
let private metricAtEvaluations (o: Outcome) =
    o.Frechet
    |> Array.pairwise
    |> Array.map (fun ((before, _), (now, _)) ->
        o.Metric |> Array.filter (fun (step, _) -> step > before && step <= now) |> Array.averageBy snd)

/// How well the critic's metric follows FID.
let private follows (o: Outcome) = Statistics.rankCorrelation (metricAtEvaluations o) (o.Frechet[1..] |> Array.map snd)

let private last (curve: (float * float)[]) = snd curve[curve.Length - 1]

/// A curve on its own scale, from 0 at its least value to 1 at its largest.
let private scaled (curve: (float * float)[]) =
    let values = curve |> Array.map snd
    let low, high = Array.min values, Array.max values
    if high > low then
        curve |> Array.map (fun (step, value) -> step, (value - low) / (high - low))
    else
        curve

/// Both quantities alone, and contrasted in one plot.
let private figure (o: Outcome) =
    let c = o.Configuration
    let metric = c.Adversary.Name.ToUpperInvariant()
    let panel label legend series =
        Panel.axes "" (Axis.linear "generator step") (Axis.linear label) series |> Panel.withLegend legend
    [
        panel metric NoLegend [ Line(metric, o.Metric, None) ]
        panel "FID, own features" NoLegend [ Line("FID", o.Frechet, None) ]
        panel "both, from 0 to 1" Below [ Line(metric, scaled o.Metric, None); Line("FID", scaled o.Frechet, None) ]
    ]
    |> Figure.grid
        $"ift4.{c.Id}"
        $"CIFAR-10, {c.Id} (critic: {penalty c}): the critic's metric on training batches; the FID of the averaged generator, untrained at step 0 and at {o.Frechet.Length - 1} evaluations; and both in one plot, each from its least value to its largest."
        3

let private samples (results: Results) (outcomes: Outcome list) =
    let columns = 12
    let data = (results.Plan.Train DataSetId.Cifar10).narrow(0L, 0L, int64 columns) / 255.0
    ("data", Pictures.images results.Plan DataSetId.Cifar10 1.0 data)
    :: [ for o in outcomes -> o.Configuration.Id, o.Samples[.. columns - 1] ]
    |> Pictures.rows
        "ift4.samples"
        "CIFAR-10: training images, and samples of each configuration's averaged generator after the last step, the same latents in every row."

/// A row: the configuration, or none for the training images themselves.
let private table (results: Results) (reference: RunRequest) (outcomes: Outcome list) : Table =
    let words header of' other = Column.text header (Option.map of' >> Option.defaultValue other)
    let column header of' other = Column.right header (Option.map of' >> Option.defaultValue other)
    let ofData name = Number(results.Value name reference, 2)
    let cell value = if Double.IsNaN value then Missing "too few evaluations" else Number(value, 2)

    List.map Some outcomes @ [ None ]
    |> Table.over
        "ift4.table"
        "CIFAR-10: scores of the averaged generator after the last step in the features of a classifier trained here, beside the source's, which are in Inception's features and at full size; and Spearman's correlation between the critic's metric and FID over the evaluations, whose number is $n$."
        [
            words "Configuration" (fun o -> o.Configuration.Id) "training images"
            words "Critic" (fun o -> penalty o.Configuration) ""
            column "Source IS" (fun o -> Source(o.Configuration.SourceInception, 2)) (Text "")
            column "IS" (fun o -> Number(last o.Inception, 2)) (ofData "is")
            column "Source FID" (fun o -> Source(o.Configuration.SourceFrechet, 1)) (Text "")
            column "FID" (fun o -> Number(last o.Frechet, 2)) (ofData "fid")
            column "Correlation" (follows >> cell) (Text "")
            column "$n$" (fun o -> Text(string (o.Frechet.Length - 1))) (Text "")
        ]

let private claims (o: Outcome) =
    let claim id what reference value =
        Claim.that "IFT P2.7" $"ift4.{o.Configuration.Id}.{id}" $"{what} of {o.Configuration.Id}"
        |> Claim.beside reference
        |> Claim.judgedBy (NotJudged "Inception's features at full scale only") [ value ]
    [
        claim "is" "inception score" o.Configuration.SourceInception (last o.Inception)
        claim "fid" "FID" o.Configuration.SourceFrechet (last o.Frechet)
    ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let scale, (setting, runs) = scale plan, runs plan
    let outcomes = runs |> List.map (outcome results)
    let best = outcomes |> List.minBy (fun o -> last o.Frechet)
    let worst = outcomes |> List.maxBy (fun o -> last o.Frechet)
    let ids ofConfiguration =
        outcomes |> List.sortBy ofConfiguration |> List.map _.Configuration.Id |> String.concat ", "
    let ours = outcomes |> List.map (fun o -> last o.Frechet)
    let theirs = outcomes |> List.map _.Configuration.SourceFrechet
    let wasserstein = outcomes |> List.filter (fun o -> o.Configuration.Adversary.Name = "w1")
    let correlation id value =
        if Double.IsNaN value then
            Value.text id "undefined (too few evaluations)"
        else
            Value.number id 2 value

    {
        Section.empty "ift4" (plan.Origin([ DataSetId.Cifar10 ], 1, Some(differences plan))) with
            Figures = samples results outcomes :: List.map figure outcomes
            Tables = [ table results setting.Reference outcomes ]
            Values = [
                Value.integer "ift4.width" scale.Width
                Value.integer "ift4.steps" scale.Steps
                Value.integer "ift4.batch" scale.Batch
                Value.integer "ift4.rate" (int scale.Rate)
                Value.number "ift4.ema" 3 scale.Ema
                Value.integer "ift4.judged" scale.Samples
                Value.number "ift4.accuracy" 1 (100.0 * results.Value "accuracy" setting.Reference)
                Value.integer "ift4.evaluations" (outcomes.Head.Frechet.Length - 1)
                Value.text "ift4.order" (ids (fun o -> last o.Frechet))
                Value.text "ift4.sourceorder" (ids _.Configuration.SourceFrechet)
                Value.number "ift4.agreement" 2 (Statistics.rankCorrelation (List.toArray ours) (List.toArray theirs))
                Value.text "ift4.best" best.Configuration.Id
                Value.number "ift4.bestfid" 2 (last best.Frechet)
                Value.text "ift4.worst" worst.Configuration.Id
                Value.number "ift4.worstfid" 2 (last worst.Frechet)
                correlation "ift4.w1follows" (wasserstein |> List.map follows |> List.min)
                correlation "ift4.untamedfollows" (follows outcomes.Head)
            ]
            Claims = List.collect claims outcomes
            Guards = [
                Guard.that "ift4.stable" "every recorded loss of the five trainings is finite"
                |> Guard.holds (outcomes |> List.forall _.Finite)
                |> Guard.found [ "steps", [ float scale.Steps ] ]
                Guard.that "ift4.improves" "every configuration ends with a lower FID than its untrained generator"
                |> Guard.holds (outcomes |> List.forall (fun o -> last o.Frechet < snd o.Frechet[0]))
                |> Guard.found [ for o in outcomes -> o.Configuration.Id, [ snd o.Frechet[0]; last o.Frechet ] ]
            ]
    }

let private allRuns (plan: Plan) =
    let setting, runs = runs plan
    [ setting.Judged; setting.Reference ] @ List.collect (fun r -> [ r.Training; r.Scores ]) runs

/// Of the configuration with the least FID.
let private sample (results: Results) count noise =
    use _ = torch.NewDisposeScope()
    use _ = torch.no_grad ()
    let plan = results.Plan
    let best = snd (runs plan) |> List.minBy (fun r -> results.Value "fid" r.Scores)
    let run = gan (scale plan) best.Configuration
    let file = GanRun.snapshotFile (int64 run.Steps)
    let generator = GanRun.load run.Networks (results.Of best.Training) file plan.Device
    GanScores.estimateStatistics generator noise 0L (scale plan).Samples plan.Device
    GanRun.sample plan DataSetId.Cifar10 count noise generator

let experiment = Experiment.sampled "ift4" allRuns report sample
