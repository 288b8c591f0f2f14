namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// Scores of a GAN over its training, from the weights that it kept.
[<RequireQualifiedAccess>]
module GanScores =
    /// Images in a batch.
    let private batch = 100

    /// Batches that the running statistics are estimated on: four images for each that is scored, 2000 at most.
    let private batches (samples: int) = max 1 (min 20 (4 * samples / batch))
    /// Images of the last generator that are kept for the report.
    let kept = 60
    /// Averaged weights never saw their own batch statistics: estimates them anew, as the plain mean over batches, for a
    /// generator of which so many samples are scored.
    let estimateStatistics (generator: Generator) (noise: Noise) (step: int64) (samples: int) (device: torch.Device) =
        for k in 1 .. batches samples do
            use _ = torch.NewDisposeScope()
            let z = GanRun.latents generator noise $"statistics.{step}" (int64 k) batch device
            // The share 1/k of the k-th batch makes the running value the mean of all so far.
            generator.Apply (OfBatch(1.0 / float k)) z |> ignore
    let private images (generator: Generator) noise (step: int64) (count: int) device : Blocks =
        fun each ->
            blockwise (int64 batch) (int64 count) (fun block _ size ->
                let z = GanRun.latents generator noise $"samples.{step}" block (int size) device
                each (generator.Apply Running z))
    /// The generator after so many steps.
    let private generatorAt (run: GanRun) (training: RunKey) (context: RunContext) (step: int64) : Generator =
        if step = 0L then
            // The training's own start, from its seed.
            use random = Noise(training.Seed).For("initialisation", 0L)
            (GanRun.build run.Networks random context.Device).Generator
        else
            let file = GanRun.snapshotFile step
            GanRun.load run.Networks (context.Dependency training) file context.Device
    /// What scores need beside a training: the classifier, the run that trained it, the run of what samples are compared
    /// with, and the number of samples.
    type Setting = { Judge: JudgeRun; Judged: RunRequest; Reference: RunRequest; Samples: int }
    let setting (plan: Plan) (judge: JudgeRun) (samples: int) : Setting =
        let judged = Judge.training plan judge
        let reference = Judge.reference plan judge samples judged
        { Judge = judge; Judged = judged; Reference = reference; Samples = samples }
    /// Scores of every kept generator, the untrained one first: tensors `step`, `fid`, `is` `[S]` and `samples` of the
    /// last generator in `scores.safetensors`, and values `fid` and `is`.
    let request (plan: Plan) (setting: Setting) (run: GanRun) (training: RunRequest) : RunRequest =
        let measure (context: RunContext) =
            let device, noise = context.Device, context.Noise
            let network = Judge.load setting.Judge (context.Dependency setting.Judged.Key) device
            let moments = Judge.readMoments (context.Dependency setting.Reference.Key) device
            let scored = [
                for step in 0L :: GanRun.snapshotSteps run do
                    context.Cancellation.ThrowIfCancellationRequested()
                    let generator = generatorAt run training.Key context step
                    estimateStatistics generator noise step setting.Samples device
                    let scores = Judge.score network moments (images generator noise step setting.Samples device)
                    step, generator, scores
            ]
            let _, last, final = List.last scored
            let latents = GanRun.latents last noise "shown" 0L kept device
            let column f = torch.tensor [| for step, _, scores in scored -> (f step scores: float) |]
            context.Keep(
                "scores",
                [
                    "step", column (fun step _ -> float step)
                    "fid", column (fun _ scores -> scores.Frechet)
                    "is", column (fun _ scores -> scores.Inception)
                    "samples", (last.Apply Running latents).flatten 1L
                ]
            )
            [ "fid", final.Frechet; "is", final.Inception ]
        let configuration = [
            "samples", string setting.Samples
            "statistics", $"{batches setting.Samples} batches of {batch}"
        ]
        let key, needed = training.Key, [ training; setting.Judged; setting.Reference ]
        plan.Measure(key.Name + ".scores", configuration, key.Seed, Some run.Data, measure, needed)
