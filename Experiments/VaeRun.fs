namespace Research.Experiments

open System
open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// How long a model is trained.
type Length =
    | Steps of int
    | Epochs of int
    /// Until the validation bound has not improved for `patience` epochs; the best model is kept.
    | EarlyStop of maxEpochs: int * patience: int

/// A variational auto-encoder and how it is trained: all that its run's key holds beside seed and data.
type VaeRun = {
    Data: DataSetId
    /// Draw Bernoulli(pixel/levels) anew for every batch; otherwise pixels are taken as they are.
    Binarise: bool
    Shape: VaeShape
    Prior: PriorShape
    Posterior: PosteriorShape
    /// The objective's name stands for it in the key.
    Objective: string * Objective
    /// Noise samples per example that the objective takes: 0 for `[B,L]`, K for `[K,B,L]`.
    Samples: int
    Optimiser: OptimiserSettings
    Batch: int
    Length: Length
    /// Optimiser steps between two evaluations on the validation part; an epoch when None.
    EvaluateEvery: int option
}

/// A model in memory: its parameters and its parts.
type BuiltVae = {
    Parameters: Parameters
    Vae: Vae
    /// The parts for one step; a VampPrior depends on the encoder as it is now.
    Model: unit -> LatentModel
}

[<RequireQualifiedAccess>]
module VaeRun =
    /// Raised by hand when a change below changes results.
    let private version = 1

    let configuration (run: VaeRun) : (string * string) list =
        let one (value: obj) =
            // One line, whatever the printer does with long values.
            String.Join(
                " ",
                (sprintf "%A" value).Split([| ' '; '\n' |], StringSplitOptions.RemoveEmptyEntries)
            )

        [
            "data", string run.Data
            "binarise", string run.Binarise
            "model", one run.Shape
            "prior", one run.Prior
            "posterior", one run.Posterior
            "objective", fst run.Objective
            "samples", string run.Samples
            "optimiser", one run.Optimiser
            "batch", string run.Batch
            "length", one run.Length
            "evaluate every", (run.EvaluateEvery |> Option.map string |> Option.defaultValue "epoch")
        ]

    /// The model at its start. Every parameter comes from the generator.
    let build (run: VaeRun) (generator: torch.Generator) (device: torch.Device) : BuiltVae =
        let parameters = Parameters(generator, device)
        let vae = Vae.create parameters run.Shape
        let encode = Vae.encode vae
        let prior = PriorShape.create parameters encode run.Shape.Data run.Shape.Latent run.Prior
        let posterior = PosteriorShape.create parameters vae run.Posterior

        {
            Parameters = parameters
            Vae = vae
            Model = fun () -> { Encode = posterior; LogLikelihood = Vae.logLikelihood vae; Prior = prior () }
        }

    let private state (built: BuiltVae) = [
        for struct (name, tensor) in Seq.append built.Parameters.All built.Parameters.Buffers ->
            NamedTensor(name, tensor)
    ]

    /// Rows of the images, binarised where the run says so; `stream` names the noise.
    let batch
        (run: VaeRun)
        (levels: int)
        (images: Tensor)
        (rows: int64[])
        (noise: Noise)
        (stream: string)
        (step: int64)
        =
        let x = images.index_select (0L, torch.tensor (rows, device = images.device))

        if run.Binarise then
            let u = noise.Uniform(stream, step, x.shape, device = images.device)
            u.lt(x / float levels).``to`` torch.float32
        else
            x

    /// Means over a set of images of the ELBO's parts with one sample each, in blocks: reconstruction
    /// (-log p(x|z)), KL and their sum, minus the ELBO.
    let evaluate
        (run: VaeRun)
        (levels: int)
        (model: LatentModel)
        (images: Tensor)
        (noise: Noise)
        (stream: string)
        (step: int64)
        =
        let n = images.size 0
        let block = 1000L
        let mutable reconstruction, kl = 0.0, 0.0

        for index, start in Seq.indexed (seq { 0L .. block .. n - 1L }) do
            use _ = torch.NewDisposeScope()
            let rows = [| start .. min n (start + block) - 1L |]
            // Every block of every evaluation has noise of its own.
            let at = step * 100000L + int64 index
            let x = batch run levels images rows noise $"{stream}.binarise" at

            let eps =
                noise.Normal(
                    stream,
                    at,
                    [| rows.LongLength; int64 run.Shape.Latent |],
                    device = images.device
                )

            let terms = Map.ofList (elbo model x eps)
            let share = float rows.Length / float n
            reconstruction <- reconstruction + share * terms["reconstruction"].ToDouble()
            kl <- kl + share * terms["kl"].ToDouble()

        [ "nelbo", reconstruction + kl; "reconstruction", reconstruction; "kl", kl ]

    let private train (plan: Plan) (run: VaeRun) (context: RunContext) =
        let dataset = plan.Data run.Data
        let levels = dataset.Train.Levels
        let train, validation = plan.Train run.Data, plan.Validation run.Data
        let n = dataset.Train.Count
        use generator = context.Noise.For("initialisation", 0L)
        let built = build run generator context.Device
        let parameters = [| for struct (_, tensor) in built.Parameters.All -> tensor |]
        let optimiser = Optimiser.Create(run.Optimiser, built.Parameters.All)
        let perEpoch = (n + run.Batch - 1) / run.Batch

        let step (at: StepContext) : IReadOnlyList<Term> =
            let rows = at.Batch(n, run.Batch)
            let x = batch run levels train rows at.Noise "binarise" at.Step
            let latent = [| rows.LongLength; int64 run.Shape.Latent |]

            let shape =
                if run.Samples = 0 then
                    latent
                else
                    Array.append [| int64 run.Samples |] latent

            let eps = at.Noise.Normal("posterior", at.Step, shape, device = context.Device)
            let terms = snd run.Objective (built.Model()) x eps
            let loss = total terms
            optimiser.Step(torch.autograd.grad ([| loss |], parameters, allow_unused = true))

            [|
                yield Term("loss", loss)
                for name, value in terms do
                    yield Term(name, value)
            |]

        let evaluation (at: EvaluationContext) : IReadOnlyDictionary<string, float> =
            dict (evaluate run levels (built.Model()) validation at.Noise "validation" at.Evaluation)
            |> Dictionary
            :> _

        let kept = state built

        let job =
            TrainingJob(
                State = [|
                    yield! kept
                    for struct (name, tensor) in optimiser.State -> NamedTensor(name, tensor)
                |],
                Counters = [|
                    Counter(
                        "optimiser.step",
                        (fun () -> optimiser.StepCount),
                        (fun s -> optimiser.StepCount <- s)
                    )
                |],
                StepsPerEpoch = int64 perEpoch,
                TotalSteps =
                    (match run.Length with
                     | Steps steps -> Nullable(int64 steps)
                     | Epochs epochs
                     | EarlyStop(epochs, _) -> Nullable(int64 epochs * int64 perEpoch)),
                EarlyStopping =
                    (match run.Length with
                     | EarlyStop(_, patience) ->
                         EarlyStopping(Metric = "nelbo", Patience = int64 patience, Keep = Array.ofList kept)
                     | Steps _
                     | Epochs _ -> null),
                EvaluateEvery = (run.EvaluateEvery |> Option.map int64 |> Option.toNullable),
                Step = step,
                // MNIST has no validation part: nothing to evaluate on during training.
                Evaluate = (if dataset.Validation.Count > 0 then evaluation else null)
            )

        let outcome = context.Train job
        context.SaveTensors("model", kept)

        context.Run.SaveValues(
            Dictionary(
                dict [
                    "steps", float outcome.Steps
                    "epochs", float outcome.Steps / float perEpoch
                    match Option.ofNullable outcome.Best with
                    | Some best -> "best", best
                    | None -> ()
                ]
            )
        )

    /// The training as a run; its results are `model.safetensors`, metrics and the values `steps`, `epochs`, `best`.
    let request (plan: Plan) (name: string) (seed: int64) (run: VaeRun) : RunRequest =
        plan.Run(name, configuration run, seed, Some run.Data, version, train plan run)

    /// The trained model of a finished run, for evaluation.
    let load (run: VaeRun) (trained: RunDirectory) (device: torch.Device) : BuiltVae =
        use generator = new torch.Generator(0UL)
        let built = build run generator device
        let file = trained.ReadTensors "model"

        for named in state built do
            TensorBytes.CopyInto(file[named.Name], named.Tensor)

        built

    /// log p(x) of every image by importance sampling with K samples, in blocks that keep K x block near 20,000
    /// decoded images. `[N]` on the CPU.
    let logEvidence
        (run: VaeRun)
        (model: LatentModel)
        (images: Tensor)
        (samples: int)
        (noise: Noise)
        : float32[] =
        let block = max 1L (20000L / int64 samples)

        [|
            for index, start in Seq.indexed (seq { 0L .. block .. images.size 0 - 1L }) do
                use _ = torch.NewDisposeScope()
                let x = images.narrow (0L, start, min block (images.size 0 - start))
                let shape = [| int64 samples; x.size 0; int64 run.Shape.Latent |]
                let eps = noise.Normal("importance", int64 index, shape, device = images.device)
                yield! (logEvidence model x eps).data<float32>().ToArray()
        |]

    /// E[x|z] for z from the prior: so many images `[count,D]` in the data's units.
    let sampleMeans (built: BuiltVae) (count: int) (noise: Noise) : Tensor =
        use _ = torch.no_grad ()
        let device = built.Parameters.Device
        let u = noise.Uniform("prior.component", 0L, [| int64 count |], device = device)

        let eps =
            noise.Normal("prior", 0L, [| int64 count; int64 built.Vae.Shape.Latent |], device = device)

        Vae.meanImage built.Vae (built.Model().Prior.Sample u eps)
