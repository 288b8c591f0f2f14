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
    /// Until the objective on the validation images (minus the bound for `elbo`, otherwise the loss that is trained)
    /// has not improved for `patience` epochs; the best model is kept.
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

/// What a run trains and on what, where that is not the plain model on the plain images: a conditional model, say,
/// has labels beside the pixels.
type VaeSetup = {
    Build: torch.Generator -> torch.Device -> BuiltVae
    Train: unit -> Tensor
    Validation: unit -> Tensor
    /// The parameters, by name, that are learned.
    Learns: string -> bool
    /// The share of the learning rate when so much of all steps, in [0,1), is over.
    Rate: float -> float
    /// A training whose result the parameters of the same names start from.
    StartFrom: RunRequest option
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

    /// The shape of the objective's noise for so many examples.
    let private noiseShape (run: VaeRun) samples (examples: int64) = [|
        if samples > 0 then
            int64 samples
        examples
        int64 run.Shape.Latent
    |]

    /// Means over a set of images of an objective's terms, in blocks.
    let private means
        run
        levels
        samples
        (objective: Objective)
        model
        (images: Tensor)
        (noise: Noise)
        stream
        step
        =
        let n = images.size 0
        let block = 1000L

        [
            for index, start in Seq.indexed (seq { 0L .. block .. n - 1L }) do
                use _ = torch.NewDisposeScope()
                let rows = [| start .. min n (start + block) - 1L |]
                // Every block of every evaluation has noise of its own.
                let at = step * 100000L + int64 index
                let x = batch run levels images rows noise $"{stream}.binarise" at

                let eps =
                    noise.Normal(stream, at, noiseShape run samples rows.LongLength, device = images.device)

                let share = float rows.Length / float n

                for name, value in objective model x eps do
                    name, share * value.ToDouble()
        ]
        |> List.groupBy fst
        |> List.map (fun (name, parts) -> name, List.sumBy snd parts)

    /// Means over a set of images of the ELBO's parts with one sample each: reconstruction (-log p(x|z)), KL and
    /// their sum, minus the ELBO.
    let evaluate (run: VaeRun) levels (model: LatentModel) (images: Tensor) (noise: Noise) stream step =
        let parts = means run levels 0 elbo model images noise stream step
        ("nelbo", List.sumBy snd parts) :: parts

    /// The metric that ends an early-stopped training: the objective's own value, which for `elbo` is `nelbo`.
    let private watched (run: VaeRun) = if fst run.Objective = "elbo" then "nelbo" else "loss"

    let private validate run levels model images noise step = [
        yield! evaluate run levels model images noise "validation" step
        match run.Length, watched run with
        | EarlyStop _, "loss" ->
            let terms =
                means run levels run.Samples (snd run.Objective) model images noise "validation" step

            "loss", List.sumBy snd terms
        | _ -> ()
    ]

    let private train (plan: Plan) (run: VaeRun) (setup: VaeSetup) (context: RunContext) =
        let dataset = plan.Data run.Data
        let levels = dataset.Train.Levels
        let train, validation = setup.Train(), setup.Validation()
        let n = dataset.Train.Count
        use generator = context.Noise.For("initialisation", 0L)
        let built = setup.Build generator context.Device

        setup.StartFrom
        |> Option.iter (fun start -> ModelFile.loadShared (context.Dependency start.Key) built.Parameters)

        let descent = Descent(built.Parameters, run.Optimiser, setup.Learns)
        let perEpoch = StepContext.StepsPerEpoch(n, run.Batch)

        let totalSteps =
            match run.Length with
            | Steps steps -> int64 steps
            | Epochs epochs
            | EarlyStop(epochs, _) -> int64 epochs * perEpoch

        let step (at: StepContext) =
            let rows = at.Batch(n, run.Batch)
            let x = batch run levels train rows at.Noise "binarise" at.Step
            let shape = noiseShape run run.Samples rows.LongLength
            let eps = at.Noise.Normal("posterior", at.Step, shape, device = context.Device)
            descent.Rate(setup.Rate(float at.Step / float totalSteps))
            // Not every objective uses all parameters that a model may have.
            descent.LowerTerms((fun () -> snd run.Objective (built.Model()) x eps), allowUnused = true)

        let evaluation (at: EvaluationContext) : IReadOnlyDictionary<string, float> =
            readOnlyDict (validate run levels (built.Model()) validation at.Noise at.Evaluation)

        let state = ModelFile.tensors built.Parameters

        let job =
            TrainingJob(
                State = state,
                StepsPerEpoch = perEpoch,
                TotalSteps = Nullable totalSteps,
                EarlyStopping =
                    (match run.Length with
                     | EarlyStop(_, patience) ->
                         EarlyStopping(Metric = watched run, Patience = int64 patience, Keep = state)
                     | Steps _
                     | Epochs _ -> null),
                EvaluateEvery = (run.EvaluateEvery |> Option.map int64 |> Option.toNullable),
                Step = step,
                // MNIST has no validation part: nothing to evaluate on during training.
                Evaluate = (if dataset.Validation.Count > 0 then evaluation else null)
            )
                .WithOptimiser(descent.Optimiser)

        let outcome = context.Train job
        ModelFile.save context built.Parameters

        context.Run.SaveValues(
            readOnlyDict [
                "steps", float outcome.Steps
                "epochs", float outcome.Steps / float perEpoch
                match Option.ofNullable outcome.Best with
                | Some best -> "best", best
                | None -> ()
            ]
        )

    /// The training of a model of one's own as a run; `extra` is what it adds to the key. Its results are
    /// `model.safetensors`, metrics and the values `steps`, `epochs`, `best`.
    let requestOf (plan: Plan) name seed (run: VaeRun) (extra: (string * string) list) (setup: VaeSetup) =
        plan.Run(
            name,
            configuration run @ extra,
            seed,
            Some run.Data,
            version,
            train plan run setup,
            dependencies = Option.toList setup.StartFrom
        )

    /// The plain model on the plain images, all of it learned at a constant rate from the generator's numbers.
    let plainSetup (plan: Plan) (run: VaeRun) : VaeSetup = {
        Build = build run
        Train = fun () -> plan.Train run.Data
        Validation = fun () -> plan.Validation run.Data
        Learns = fun _ -> true
        Rate = fun _ -> 1.0
        StartFrom = None
    }

    /// The training of the plain model on the plain images as a run.
    let request (plan: Plan) (name: string) (seed: int64) (run: VaeRun) : RunRequest =
        requestOf plan name seed run [] (plainSetup plan run)

    /// A model with the parameters of a finished run, for evaluation.
    let restore
        (build: torch.Generator -> torch.Device -> BuiltVae)
        (trained: RunDirectory)
        (device: torch.Device)
        =
        use generator = new torch.Generator(0UL)
        let built = build generator device
        ModelFile.load trained built.Parameters
        built

    /// The trained plain model of a finished run.
    let load (run: VaeRun) (trained: RunDirectory) (device: torch.Device) : BuiltVae =
        restore (build run) trained device

    /// What is measured on the trained plain model of a run, as a run of its own: `measure` may save tensors and returns
    /// the values.
    let measurement
        (plan: Plan)
        (name: string)
        (configuration: (string * string) list)
        (version: int)
        (run: VaeRun)
        (training: RunRequest)
        (measure: RunContext -> BuiltVae -> (string * float) list)
        : RunRequest =
        let work (context: RunContext) =
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()
            let built = load run (context.Dependency training.Key) context.Device
            context.Run.SaveValues(readOnlyDict (measure context built))

        plan.Run(
            name,
            configuration,
            training.Key.Seed,
            Some run.Data,
            version,
            work,
            dependencies = [ training ]
        )

    /// At most so many of a set's images, the same for every model. A file may stand in class order: a prefix is no
    /// sample.
    let sampleOf (images: Tensor) (count: int) : Tensor =
        let order = Noise(0L).Permutation(0L, int (images.size 0))
        let rows = order[.. min count order.Length - 1]
        images.index_select (0L, torch.tensor (rows, device = images.device))

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
