namespace Research.Experiments

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report

/// Which pair of networks plays.
type GanNetworks =
    /// cs2.2: 28x28 grey images, 64 latents.
    | FashionNetworks
    /// ift4: 32x32 colour images, 100 latents, width h, spectral normalisation of the critic or not.
    | ResidualNetworks of width: int * spectral: bool

/// What both players lower. The critic sees its values on data and on samples, the generator on samples.
type Adversary = { Name: string; CriticLoss: Tensor -> Tensor -> Tensor; GeneratorLoss: Tensor -> Tensor }

[<RequireQualifiedAccess>]
module Adversary =
    /// Discriminator: both cross-entropies. Generator: -E log D(G(z)).
    let nonSaturating = {
        Name = "non-saturating"
        CriticLoss = densityRatioLoss
        GeneratorLoss = nonSaturatingGeneratorLoss
    }
    /// Both play for the JSD metric; only half its second expectation depends on the generator.
    let jsd = {
        Name = "jsd"
        CriticLoss = fun onData onModel -> (jsdMetric onData onModel).neg()
        GeneratorLoss = fun onModel -> 0.5 * minimaxGeneratorLoss onModel
    }
    /// Both play for the Wasserstein metric.
    let w1 = {
        Name = "w1"
        CriticLoss = fun onData onModel -> (wassersteinMetric onData onModel).neg()
        GeneratorLoss = fun onModel -> (onModel.mean ()).neg()
    }

/// What a training keeps of its generator on the way, and after how many steps each.
type Snapshots =
    /// The images of 100 fixed latents under the running batch statistics.
    | Pictures of every: int
    /// The generator's weights, averaged where there is an average.
    | Weights of every: int

/// A generative adversarial network and how it is trained: all that its run's key holds beside seed and data.
type GanRun = {
    Data: DataSetId
    Networks: GanNetworks
    Adversary: Adversary
    /// Coefficient of the R1 penalty on the critic; 0 for none.
    R1: float
    GeneratorOptimiser: OptimiserSettings
    CriticOptimiser: OptimiserSettings
    /// Critic steps before each generator step.
    CriticSteps: int
    /// Decay of the generator's moving average; 0 keeps the last weights.
    Ema: float
    Batch: int
    /// Generator steps.
    Steps: int
    Snapshots: Snapshots
    /// Steps that a recorded loss is the mean of.
    LogEvery: int
}

/// Both players and the generator's moving average in memory.
type BuiltGan = {
    Generator: Generator
    GeneratorParameters: Parameters
    Critic: Critic
    CriticParameters: Parameters
    /// The averaged generator's weights, under the generator's names.
    Averaged: Parameters
}

[<RequireQualifiedAccess>]
module GanRun =
    let private generatorOf networks parameters =
        match networks with
        | FashionNetworks -> FashionGan.generator parameters "generator"
        | ResidualNetworks(width, _) -> ResidualGan.generator parameters "generator" 100 width
    let configuration (run: GanRun) : (string * string) list =
        let networks =
            match run.Networks with
            | FashionNetworks -> "Fashion-MNIST convolutions"
            | ResidualNetworks(width, spectral) -> $"residual, width {width}, spectral {spectral}"
        let snapshots =
            match run.Snapshots with
            | Pictures every -> $"pictures every {every}"
            | Weights every -> $"weights every {every}"
        [
            "data", string run.Data
            "networks", networks
            "adversary", run.Adversary.Name
            "r1", inv run.R1
            "generator optimiser", string run.GeneratorOptimiser
            "critic optimiser", string run.CriticOptimiser
            "critic steps", string run.CriticSteps
            "ema", inv run.Ema
            "batch", string run.Batch
            "steps", string run.Steps
            "snapshots", snapshots
            "log every", string run.LogEvery
        ]
    /// Changes every tensor of the average by that of the generator.
    let private average (change: Tensor -> Tensor -> Tensor) (built: BuiltGan) =
        use _ = torch.no_grad ()
        for struct (_, target), struct (_, source) in Seq.zip built.Averaged.All built.GeneratorParameters.All do
            change target source |> ignore
    /// Both networks at their start, and the average equal to the generator.
    let build (networks: GanNetworks) (random: torch.Generator) (device: torch.Device) : BuiltGan =
        let parameters () = Parameters(random, device)
        let generator, critic, averaged = parameters (), parameters (), parameters ()
        let built = {
            Generator = generatorOf networks generator
            GeneratorParameters = generator
            Critic =
                (match networks with
                 | FashionNetworks -> FashionGan.discriminator critic "critic"
                 | ResidualNetworks(width, spectral) -> ResidualGan.critic critic "critic" width spectral)
            CriticParameters = critic
            Averaged = averaged
        }
        generatorOf networks averaged |> ignore
        average (fun target source -> target.copy_ source) built
        built
    /// Noise for one batch of latents; `stream` names it.
    let latents (generator: Generator) (noise: Noise) stream step (count: int) (device: torch.Device) : Tensor =
        noise.Normal(stream, step, [| int64 count; int64 generator.Latent |], device = device)
    /// Images of raw values 0 .. levels as `[B,C,H,W]` in [-1,1].
    let scaled (networks: GanNetworks) (levels: int) (rows: Tensor) : Tensor =
        let x = rows * (2.0 / float levels) - 1.0
        match networks with
        | FashionNetworks -> x.view (-1L, 1L, 28L, 28L)
        | ResidualNetworks _ -> x.view (-1L, 3L, 32L, 32L)
    /// Images `[N,D]` in [-1,1] as pictures; a linear generator may leave the range a little, and is cut there.
    let pictures (plan: Plan) (set: DataSetId) (images: Tensor) : Png.Image[] =
        Pictures.images plan set 1.0 ((images + 1.0) / 2.0)
    /// Name of the file that holds what was kept after so many steps.
    let snapshotFile (step: int64) = $"snapshot-{step}"
    /// Steps between two snapshots.
    let private interval (run: GanRun) =
        match run.Snapshots with
        | Pictures every
        | Weights every -> every
    /// Steps after which something is kept, in order; the last step is one of them.
    let snapshotSteps (run: GanRun) : int64 list =
        let every = interval run
        [ for step in every..every .. run.Steps - 1 -> int64 step ] @ [ int64 run.Steps ]
    // PyTorch's share of the new batch in the running statistics.
    let private ofBatch = OfBatch 0.1
    /// One critic update; returns its loss and the penalty before the coefficient.
    let private criticStep (run: GanRun) (built: BuiltGan) (descent: Descent) (x: Tensor) (z: Tensor) =
        let fake =
            use _ = torch.no_grad ()
            built.Generator.Apply ofBatch z
        let critic = built.Critic.Ready()
        let onData, onModel, penalty =
            if run.R1 > 0.0 then
                // The penalty's forward pass gives the values on data as well.
                let seen = ref None

                let watched (input: Tensor) =
                    let values = critic input
                    seen.Value <- Some values
                    values

                let penalty = r1Penalty watched x
                seen.Value.Value, critic fake, penalty
            else
                // No critic normalises over its batch: one pass over both, where a call costs as much as its work.
                let values = critic (torch.cat ([| x; fake |], 0L))
                let size = x.size 0
                values.narrow (0L, 0L, size), values.narrow (0L, size, size), torch.zeros ([||], device = x.device)

        let loss = run.Adversary.CriticLoss onData onModel
        descent.Lower(if run.R1 > 0.0 then loss + run.R1 * penalty else loss)
        loss, penalty
    let private generatorStep (run: GanRun) (built: BuiltGan) (descent: Descent) (z: Tensor) =
        let loss = z |> built.Generator.Apply ofBatch |> built.Critic.Ready() |> run.Adversary.GeneratorLoss
        descent.Lower loss
        loss
    let private keepSnapshot (run: GanRun) (built: BuiltGan) (context: RunContext) (step: int64) =
        let kept =
            match run.Snapshots with
            | Weights _ when run.Ema > 0.0 -> NamedTensor.From built.Averaged.All
            | Weights _ -> NamedTensor.From built.GeneratorParameters.All
            | Pictures _ ->
                let z = latents built.Generator context.Noise "fixed" 0L 100 context.Device
                [ NamedTensor("images", (built.Generator.Apply Running z).flatten 1L) ]
        // A training that was killed after this and resumed before it writes the same bits again.
        context.SaveTensors(snapshotFile step, kept)
    /// One step of both players on a batch for each critic step. `rows` are the batches' row numbers, one after the other.
    let step
        (run: GanRun)
        levels
        (images: Tensor)
        (built: BuiltGan)
        (generator: Descent)
        (critic: Descent)
        : StepContext -> IReadOnlyList<Term> =
        let n, perStep = int (images.size 0), run.Batch * run.CriticSteps
        let share = torch.tensor (1.0 - run.Ema, torch.float32, images.device)
        fun at ->
            let rows = at.Batch(n, perStep)
            let noise stream = latents built.Generator at.Noise stream at.Step run.Batch images.device
            let critics = [
                for i in 0 .. run.CriticSteps - 1 do
                    let x = Rows.pick images rows[i * run.Batch .. (i + 1) * run.Batch - 1]
                    criticStep run built critic (scaled run.Networks levels x) (noise $"critic.{i}")
            ]
            let generatorLoss = generatorStep run built generator (noise "generator")
            if run.Ema > 0.0 then
                average (fun target source -> target.lerp_ (source, share)) built
            let criticLoss, penalty = List.last critics
            [|
                Term("critic", criticLoss)
                Term("generator", generatorLoss)
                if run.R1 > 0.0 then
                    Term("r1", penalty)
            |]
    /// The training over these images `[N,D]`, raw values 0 .. levels. Its state is both players, both optimisers,
    /// the moving average, and the buffers of batch and spectral normalisation.
    let training (run: GanRun) (levels: int) (images: Tensor) (context: RunContext) : Training =
        let perStep = run.Batch * run.CriticSteps
        if images.size 0 < int64 perStep then
            invalidArg (nameof images) $"{images.size 0} images are fewer than a step's {perStep}"
        use random = context.Noise.For("initialisation", 0L)
        let built = build run.Networks random context.Device
        let generator = Descent(built.GeneratorParameters, run.GeneratorOptimiser, name = "generator.optimiser")
        let critic = Descent(built.CriticParameters, run.CriticOptimiser, name = "critic.optimiser")
        // A batch that the epoch has no room for is dropped.
        let perEpoch = images.size 0 / int64 perStep
        let step = step run levels images built generator critic
        let keep (at: EvaluationContext) =
            keepSnapshot run built context at.Step
            []
        {
            Training.create [ generator; critic ] perEpoch (Steps run.Steps) step with
                Others = [|
                    if run.Ema > 0.0 then
                        for named in NamedTensor.From built.Averaged.All do
                            NamedTensor("averaged." + named.Name, named.Tensor)
                |]
                EvaluateEvery = Some(interval run)
                Evaluate = Some keep
                LogEvery = run.LogEvery
        }
    /// The training as a run: snapshots, losses as metrics, and the last generator in `model.safetensors`.
    let request (plan: Plan) (name: string) (seed: int64) (run: GanRun) : RunRequest =
        let work (context: RunContext) =
            let levels = (plan.Data run.Data).Train.Levels
            let outcome = Training.run context (training run levels (plan.Train run.Data) context)
            context.Save [ "steps", float outcome.Steps ]
        plan.Run(name, configuration run, seed, Some run.Data, work)
    /// The generator with the tensors of a file of a finished run; those that the file lacks keep their start.
    let load (networks: GanNetworks) (run: RunDirectory) (file: string) (device: torch.Device) : Generator =
        use random = new torch.Generator(0UL)
        let parameters = Parameters(random, device)
        let generator = generatorOf networks parameters
        ModelFile.loadShared file run parameters
        generator
    /// So many images of a trained generator with its running batch statistics, for `research sample`.
    let sample (plan: Plan) (set: DataSetId) (count: int) (noise: Noise) (generator: Generator) : Png.Image[] =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        (latents generator noise "sample" 0L count plan.Device |> generator.Apply Running).flatten 1L
        |> pictures plan set
