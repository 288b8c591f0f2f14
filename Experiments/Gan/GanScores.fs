namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// Scores of a GAN over its training, from the weights that it kept.
[<RequireQualifiedAccess>]
module GanScores =
    /// Raised by hand when a change below changes results.
    let private version = 1

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

    let private images
        (generator: Generator)
        (noise: Noise)
        (step: int64)
        (count: int)
        (device: torch.Device)
        =
        seq {
            for i in 0 .. (count + batch - 1) / batch - 1 do
                let size = min batch (count - i * batch)
                let z = GanRun.latents generator noise $"samples.{step}" (int64 i) size device
                generator.Apply Running z
        }

    let private work
        (run: GanRun)
        (judge: JudgeRun)
        (samples: int)
        (training: RunKey)
        judged
        reference
        (context: RunContext)
        =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let device = context.Device
        let network = Judge.load judge (context.Dependency judged) device
        let moments = Judge.readMoments (context.Dependency reference) device
        let trained = context.Dependency training

        let generatorAt (step: int64) =
            if step = 0L then
                // The training's own start, from its seed.
                use random = Noise(training.Seed).For("initialisation", 0L)
                (GanRun.build run.Networks random device).Generator
            else
                GanRun.load run.Networks trained (GanRun.snapshotFile step) device

        let scored = [
            for step in 0L :: GanRun.snapshotSteps run do
                context.Cancellation.ThrowIfCancellationRequested()
                let generator = generatorAt step
                estimateStatistics generator context.Noise step device

                step,
                generator,
                Judge.score network moments (images generator context.Noise step samples device)
        ]

        let _, last, final = List.last scored

        let shown =
            (last.Apply Running (GanRun.latents last context.Noise "shown" 0L kept device)).flatten 1L

        let column (f: int64 -> Scores -> float) =
            torch.tensor [| for step, _, scores in scored -> f step scores |]

        context.SaveTensors(
            "scores",
            [
                NamedTensor("step", column (fun step _ -> float step))
                NamedTensor("fid", column (fun _ s -> s.Frechet))
                NamedTensor("is", column (fun _ s -> s.Inception))
                NamedTensor("samples", shown)
            ]
        )

        context.Run.SaveValues(readOnlyDict [ "fid", final.Frechet; "is", final.Inception ])

    /// Scores of every kept generator, the untrained one first, on so many samples: tensors `step`, `fid`, `is`
    /// `[S]` and `samples` of the last generator in `scores.safetensors`, and values `fid` and `is`.
    let request
        (plan: Plan)
        (run: GanRun)
        (judge: JudgeRun)
        (samples: int)
        (threads: int)
        (training: RunRequest)
        (judged: RunRequest)
        (reference: RunRequest)
        : RunRequest =
        plan.Run(
            training.Key.Name + ".scores",
            [ "samples", string samples; "statistics", $"{batches} batches of {batch}" ],
            training.Key.Seed,
            Some run.Data,
            version,
            work run judge samples training.Key judged.Key reference.Key,
            threads,
            [ training; judged; reference ]
        )
