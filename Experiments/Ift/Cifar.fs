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
    Samples: Png.Image[]
    /// How much the samples differ, as a share of what as many training images do.
    Spread: float
}

/// The standard deviation of a pixel over images `[N,D]`, as the root of its mean square.
let private spread (images: torch.Tensor) = images.double().var(0L).mean().sqrt().ToDouble()

let private outcome (results: Results) (runs: Runs) : Outcome =
    let numbers name = results.Numbers "scores" name runs.Scores
    let curve name = results.Curve "train" name runs.Training
    let samples = results.Tensor "scores" "samples" runs.Scores
    let data = results.Plan.Train DataSetId.Cifar10

    {
        Configuration = runs.Configuration
        // The critic's loss is minus the metric.
        Metric = curve "critic" |> Array.map (fun (step, loss) -> step, -loss)
        Frechet = Array.zip (numbers "step") (numbers "fid")
        Inception = Array.zip (numbers "step") (numbers "is")
        Samples = GanRun.pictures results.Plan DataSetId.Cifar10 samples
        Spread = spread samples / spread (data.narrow (0L, 0L, samples.size 0) / 127.5)
    }

/// The metric's mean over the steps since the evaluation before, at every evaluation but those at step 0 and after the
/// first interval, in which the critic begins.
let private metricAtEvaluations (o: Outcome) =
    o.Frechet[1..]
    |> Array.pairwise
    |> Array.map (fun ((before, _), (now, _)) ->
        o.Metric |> Array.filter (fun (step, _) -> step > before && step <= now) |> Array.averageBy snd)

/// For every two evaluations in a row whether the critic's metric and FID move in the same direction.
let private together (o: Outcome) : bool list =
    let signs values = values |> Array.pairwise |> Array.map (fun (a: float, b) -> sign (b - a))
    Array.map2 (=) (signs (metricAtEvaluations o)) (signs (o.Frechet[2..] |> Array.map snd))
    |> List.ofArray

let private last (curve: (float * float)[]) = snd curve[curve.Length - 1]

/// The metric where it is largest, as (step, value), and its mean since the last evaluation but one.
let private peak (o: Outcome) = Array.maxBy snd o.Metric
let private late (o: Outcome) = Array.last (metricAtEvaluations o)

/// The first and the last of the most logged steps in a row at which the metric is above a level; zeros where there is none.
let private plateau (level: float) (o: Outcome) =
    (((0.0, 0.0), None), o.Metric)
    ||> Array.fold (fun ((first, last), since) (step, value) ->
        if value > level then
            let start = since |> Option.defaultValue step
            (if step - start > last - first then (start, step) else (first, last)), Some start
        else
            (first, last), None)
    |> fst

/// A curve on its own scale, from 0 at its least value to 1 at its largest.
let private scaled (curve: (float * float)[]) =
    let values = curve |> Array.map snd
    let low, high = Array.min values, Array.max values
    if high > low then
        curve |> Array.map (fun (step, value) -> step, (value - low) / (high - low))
    else
        curve

/// A row for each configuration: both quantities alone, and contrasted in one plot.
let private figure (outcomes: Outcome list) =
    let final = List.last outcomes
    [
        for o in outcomes do
            let isLast = obj.ReferenceEquals(o, final)
            let metric = o.Configuration.Adversary.Name.ToUpperInvariant()
            let panel quantity legend series =
                let x = Axis.linear (if isLast then "generator step" else "")
                Panel.axes o.Configuration.Id x (Axis.linear quantity) series |> Panel.withLegend legend
            panel metric NoLegend [ Line("metric", o.Metric, None) ]
            panel "FID" NoLegend [ Line("FID", o.Frechet, None) ]
            panel "both, 0 to 1" (if isLast then Below else NoLegend) [
                Line("metric", scaled o.Metric, None)
                Line("FID", scaled o.Frechet, None)
            ]
    ]
    |> Figure.grid
        "ift4.training"
        $"CIFAR-10, a configuration a row: the critic's metric on training batches (left); the FID of the averaged generator in our own features, untrained at step 0 and at {final.Frechet.Length - 1} evaluations (middle); and both in one plot, each from its least value to its largest (right)."
        3

let private samples (results: Results) (outcomes: Outcome list) =
    let columns, rows = 16, 3
    let data = (results.Plan.Train DataSetId.Cifar10).narrow(0L, 0L, int64 (columns * rows)) / 255.0
    let rowsOf title images =
        Array.chunkBySize columns images
        |> Array.truncate rows
        |> Array.mapi (fun i row -> (if i = 0 then title else ""), row)
        |> List.ofArray
    [
        yield! rowsOf "data" (Pictures.images results.Plan DataSetId.Cifar10 1.0 data)
        for o in outcomes do
            yield! rowsOf o.Configuration.Id o.Samples
    ]
    |> Pictures.rows
        "ift4.samples"
        "CIFAR-10: training images, and samples of each configuration's averaged generator after the last step, the same latents for each."

/// A row: the configuration, or none for the training images themselves.
let private table (results: Results) (judged: int) (reference: RunRequest) (outcomes: Outcome list) : Table =
    let words header of' other = Column.text header (Option.map of' >> Option.defaultValue other)
    let column header of' other = Column.right header (Option.map of' >> Option.defaultValue other)
    let ofData name = Number(results.Value name reference, 2)

    List.map Some outcomes @ [ None ]
    |> Table.over
        "ift4.table"
        $"CIFAR-10: scores of {judged} images of the averaged generator after the last step, and of as many training images, in the features of a classifier trained here, beside the source's, which are in Inception's features and at full size; how much samples differ from each other (deviation of a pixel, 1 for training images); and the critic's metric, its largest value (and step) and its mean between the last two evaluations."
        [
            words "Configuration" (fun o -> o.Configuration.Id) "training images"
            words "Critic" (fun o -> penalty o.Configuration) ""
            column "Source IS" (fun o -> Source(o.Configuration.SourceInception, 2)) (Text "")
            column "IS here" (fun o -> Number(last o.Inception, 2)) (ofData "is")
            column "Source FID" (fun o -> Source(o.Configuration.SourceFrechet, 1)) (Text "")
            column "FID here" (fun o -> Number(last o.Frechet, 2)) (ofData "fid")
            column "Spread" (fun o -> Number(o.Spread, 2)) (Number(1.0, 2))
            column "Metric, largest" (fun o -> Text $"{snd (peak o):F2} ({fst (peak o):F0})") (Text "")
            column "at the end" (fun o -> Number(late o, 2)) (Text "")
        ]

let private claims (o: Outcome) =
    let claim id what reference value =
        Claim.that "IFT P2.7" $"ift4.{o.Configuration.Id}.{id}" $"{o.Configuration.Id}: {what}"
        |> Claim.beside reference
        |> Claim.judgedBy (NotJudged "Inception's features at full scale only") [ value ]
    [
        claim "is" "IS" o.Configuration.SourceInception (last o.Inception)
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
    /// By IS; neighbours that are less than 0.05 apart are alike.
    let inception =
        let sorted = outcomes |> List.sortByDescending (fun o -> last o.Inception)
        List.pairwise sorted
        |> List.map (fun (a, b) ->
            (if last a.Inception - last b.Inception < 0.05 then " = " else ", ") + b.Configuration.Id)
        |> String.concat ""
        |> (+) sorted.Head.Configuration.Id
    let ours = outcomes |> List.map (fun o -> last o.Frechet)
    let theirs = outcomes |> List.map _.Configuration.SourceFrechet
    let tamed = outcomes |> List.filter (fun o -> penalty o.Configuration <> "none")
    let countOf (agreeing: bool list) = $"{agreeing |> List.filter id |> List.length} of {agreeing.Length}"
    /// With a tamed critic: only such a pair of configurations is alike but for the metric.
    let ofMetric (name: string) =
        tamed
        |> List.filter (fun o -> o.Configuration.Id.StartsWith name)
        |> List.collect together
        |> countOf
    let agreeing kind = outcomes |> List.filter (fun o -> penalty o.Configuration = kind) |> List.collect together
    let free = outcomes |> List.find (fun o -> penalty o.Configuration = "none")
    let median = free.Metric |> Array.map snd |> Statistics.median
    let saturatedFrom, saturatedTo = plateau (0.95 * log 2.0) free
    let dip = Array.minBy snd free.Metric
    /// The metric's mean over the first interval of all, in which the critic begins.
    let begun (o: Outcome) = o.Metric |> Array.filter (fun (step, _) -> step <= fst o.Frechet[1]) |> Array.averageBy snd
    let tamedJsd = tamed |> List.filter (fun o -> o.Configuration.Id.StartsWith "jsd")
    let isSaturated = median > 0.9 * log 2.0
    let hasPlateau = saturatedTo - saturatedFrom >= float scale.Steps / 10.0
    let scores = outcomes |> List.map (fun o -> last o.Inception)
    let lowest = Array.minBy snd free.Frechet

    {
        Section.empty "ift4" (plan.Origin([ DataSetId.Cifar10 ], 1, Some(differences plan))) with
            Figures = [ samples results outcomes; figure outcomes ]
            Tables = [ table results scale.Samples setting.Reference outcomes ]
            Values = [
                Value.integer "ift4.width" scale.Width
                Value.integer "ift4.steps" scale.Steps
                Value.integer "ift4.batch" scale.Batch
                Value.integer "ift4.rate" (int scale.Rate)
                Value.number "ift4.ema" 3 scale.Ema
                Value.integer "ift4.judged" scale.Samples
                Value.integer "ift4.features" (4 * scale.Judge.Width)
                Value.number "ift4.accuracy" 1 (100.0 * results.Value "accuracy" setting.Reference)
                Value.number "ift4.datais" 2 (results.Value "is" setting.Reference)
                Value.number "ift4.datafid" 2 (results.Value "fid" setting.Reference)
                Value.text "ift4.order" (ids (fun o -> last o.Frechet))
                Value.text "ift4.sourceorder" (ids _.Configuration.SourceFrechet)
                Value.text "ift4.isorder" inception
                Value.number "ift4.isleast" 2 (List.min scores)
                Value.number "ift4.ismost" 2 (List.max scores)
                Value.number "ift4.agreement" 2 (Statistics.rankCorrelation (List.toArray ours) (List.toArray theirs))
                Value.text "ift4.best" best.Configuration.Id
                Value.number "ift4.bestfid" 2 (last best.Frechet)
                Value.text "ift4.worst" worst.Configuration.Id
                Value.number "ift4.worstfid" 2 (last worst.Frechet)
                Value.number "ift4.untrained" 2 (snd free.Frechet[0])
                Value.number "ift4.median" 2 median
                Value.integer "ift4.plateau.from" (int saturatedFrom)
                Value.integer "ift4.plateau.to" (int saturatedTo)
                Value.number "ift4.dip" 2 (snd dip)
                Value.integer "ift4.dip.step" (int (fst dip))
                Value.text
                    "ift4.means"
                    (metricAtEvaluations free |> Array.map (Markup.fixedPoint 2) |> String.concat ", ")
                Value.text
                    "ift4.fids"
                    (free.Frechet[2..] |> Array.map (snd >> Markup.fixedPoint 1) |> String.concat ", ")
                for o in tamed do
                    Value.number $"ift4.begin.{o.Configuration.Id}" 1 (snd o.Frechet[0])
                for o in tamedJsd do
                    let first, last = plateau (0.95 * log 2.0) o
                    Value.integer $"ift4.ceiling.{o.Configuration.Id}" (int (last - first))
                    Value.number $"ift4.begun.{o.Configuration.Id}" 2 (begun o)
                    Value.number $"ift4.late.{o.Configuration.Id}" 2 (late o)
                Value.number "ift4.freefid" 2 (last free.Frechet)
                Value.number "ift4.freeleast" 2 (snd lowest)
                Value.integer "ift4.freeleaststep" (int (fst lowest))
                for o in tamed do
                    Value.number $"ift4.fid.{o.Configuration.Id}" 2 (last o.Frechet)
                Value.number "ift4.freespread" 0 (100.0 * free.Spread)
                Value.number "ift4.tamedspread" 0 (100.0 * (tamed |> List.map _.Spread |> List.min))
                for o in outcomes do
                    Value.text $"ift4.together.{o.Configuration.Id}" (countOf (together o))
                for metric in [ "jsd"; "w1" ] do
                    Value.text $"ift4.together.{metric}" (ofMetric metric)
            ]
            Claims = List.collect claims outcomes
            Guards = [
                Guard.that "ift4.improves" "every configuration ends with a lower FID than its untrained generator"
                |> Guard.holds (outcomes |> List.forall (fun o -> last o.Frechet < snd o.Frechet[0]))
                |> Guard.found [ for o in outcomes -> o.Configuration.Id, [ snd o.Frechet[0]; last o.Frechet ] ]
                let dataFid = results.Value "fid" setting.Reference
                Guard.that "ift4.blobs" "the lowest FID is more than ten times that of training images"
                |> Guard.pairs
                    (fun best data -> best > 10.0 * data)
                    ("best", [ last best.Frechet ])
                    ("data", [ dataFid ])
                Guard.that
                    "ift4.inception"
                    "IS puts the configuration of the lowest FID ahead of the one that nothing tames, by at least 0.05"
                |> Guard.holds (last best.Inception >= last free.Inception + 0.05)
                |> Guard.found [ for o in outcomes -> o.Configuration.Id, [ last o.Frechet; last o.Inception ] ]
                Guard.that
                    "ift4.saturated"
                    "with nothing to tame the critic the median of JSD over the training is above 0.9 log 2"
                |> Guard.holds isSaturated
                |> Guard.found [ "median", [ median ] ]
                Guard.that
                    "ift4.plateau"
                    "with nothing to tame the critic JSD stays above 0.95 log 2 for at least a tenth of the steps"
                |> Guard.holds hasPlateau
                |> Guard.found [ "steps", [ saturatedFrom; saturatedTo ] ]
                Guard.that "ift4.briefly" "it does so, and yet its median over the training is not above 0.9 log 2"
                |> Guard.holds (hasPlateau && not isSaturated)
                |> Guard.found [ "steps", [ saturatedFrom; saturatedTo ]; "median", [ median ] ]
                Guard.that "ift4.negative" "with nothing to tame the critic JSD is negative somewhere"
                |> Guard.holds (snd dip < 0.0)
                |> Guard.found [ "least", [ snd dip ] ]
                Guard.that
                    "ift4.rise"
                    "every tamed metric is largest in the first half of the steps and ends below two thirds of that"
                |> Guard.holds (
                    tamed
                    |> List.forall (fun o ->
                        fst (peak o) <= float scale.Steps / 2.0 && late o < 2.0 / 3.0 * snd (peak o))
                )
                |> Guard.found [ for o in tamed -> o.Configuration.Id, [ fst (peak o); snd (peak o); late o ] ]
                Guard.that
                    "ift4.r1follows"
                    "with R1 either metric moves as FID does between every two evaluations in a row"
                |> Guard.holds (agreeing "R1" |> List.forall id)
                |> Guard.found [ "agree", [ for same in agreeing "R1" -> if same then 1.0 else 0.0 ] ]
                Guard.that
                    "ift4.collapsed"
                    "with nothing to tame the critic samples differ less than half as much as training images, and less than those of every tamed critic"
                |> Guard.holds (free.Spread < 0.5 && tamed |> List.forall (fun o -> free.Spread < o.Spread))
                |> Guard.found [ for o in outcomes -> o.Configuration.Id, [ o.Spread ] ]
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
