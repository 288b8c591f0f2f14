namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// Scores of a GAN over its training, from the weights that it kept.
[<RequireQualifiedAccess>]
module GanScores =
    /// Batches that the running statistics are estimated on, and images in a batch.
    let private batches, private batch = 20, 100
    /// Images of the last generator that are kept for the report.
    let kept = 60
    /// Averaged weights never saw their own batch statistics: estimates them anew, as the plain mean over batches.
    let estimateStatistics (generator: Generator) (noise: Noise) (step: int64) (device: torch.Device) =
        for k in 1..batches do
            use _ = torch.NewDisposeScope()
            let z = GanRun.latents generator noise $"statistics.{step}" (int64 k) batch device
            // The share 1/k of the k-th batch makes the running value the mean of all so far.
            generator.Apply (OfBatch(1.0 / float k)) z |> ignore
    let private images (generator: Generator) (noise: Noise) (step: int64) (count: int) (device: torch.Device) =
        seq {
            for i in 0 .. (count + batch - 1) / batch - 1 do
                let size = min batch (count - i * batch)
                let z = GanRun.latents generator noise $"samples.{step}" (int64 i) size device
                generator.Apply Running z
        }
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
    type Setting = { Judge: JudgeRun; Judged: RunRequest; Reference: RunRequest; Samples: int; Threads: int }
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
                    estimateStatistics generator noise step device
                    let scores = Judge.score network moments (images generator noise step setting.Samples device)
                    step, generator, scores
            ]
            let _, last, final = List.last scored
            let latents = GanRun.latents last noise "shown" 0L kept device
            let column name (f: int64 * Generator * Scores -> float) =
                NamedTensor(name, torch.tensor [| for score in scored -> f score |])
            context.SaveTensors(
                "scores",
                [
                    column "step" (fun (step, _, _) -> float step)
                    column "fid" (fun (_, _, scores) -> scores.Frechet)
                    column "is" (fun (_, _, scores) -> scores.Inception)
                    NamedTensor("samples", (last.Apply Running latents).flatten 1L)
                ]
            )
            [ "fid", final.Frechet; "is", final.Inception ]
        plan.Measure(
            training.Key.Name + ".scores",
            [ "samples", string setting.Samples; "statistics", $"{batches} batches of {batch}" ],
            training.Key.Seed,
            Some run.Data,
            measure,
            [ training; setting.Judged; setting.Reference ],
            setting.Threads
        )
