namespace Research.Experiments

open System
open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// A model's tensors in its training's checkpoints and in the file `model.safetensors` of the finished run.
[<RequireQualifiedAccess>]
module ModelFile =
    /// The learned tensors, then the buffers.
    let tensors (parameters: Parameters) : IReadOnlyList<NamedTensor> =
        NamedTensor.From(Seq.append parameters.All parameters.Buffers)

    let save (context: RunContext) (parameters: Parameters) : unit =
        context.SaveTensors("model", tensors parameters)

    /// Overwrites the parameters with those of a file of a finished run. Raises KeyNotFoundException for a tensor that
    /// the file lacks.
    let load (trained: RunDirectory) (parameters: Parameters) : unit =
        let file = trained.ReadTensors "model"

        for named in tensors parameters do
            TensorBytes.CopyInto(file[named.Name], named.Tensor)

    /// The same for the tensors that the file has; the others stay as they are.
    let loadShared (file: string) (trained: RunDirectory) (parameters: Parameters) : unit =
        let saved = trained.ReadTensors file

        for named in tensors parameters do
            match saved.Find named.Name with
            | null -> ()
            | entry -> TensorBytes.CopyInto(entry, named.Tensor)

    /// A model as a finished run left it; `build` makes its parameters and what stands on them.
    let restore (build: Parameters -> 'model) (trained: RunDirectory) (device: torch.Device) : 'model =
        use generator = new torch.Generator(0UL)
        let parameters = Parameters(generator, device)
        let model = build parameters
        load trained parameters
        model

[<AutoOpen>]
module private Logged =
    /// What a step logs: the sum of an objective's terms, then the terms.
    let logged (values: IReadOnlyList<struct (string * Tensor)>) : IReadOnlyList<Term> =
        use _ = torch.no_grad ()

        [|
            Term("loss", total [ for struct (name, value) in values -> name, value ])
            for struct (name, value) in values do
                Term(name, value)
        |]

/// Gradient steps of one optimiser over the learned tensors of a model, or over those whose names `learns` accepts.
/// `name` tells the optimisers of a training apart in its checkpoints. Raises ArgumentException where nothing learns.
type Descent(parameters: Parameters, settings: OptimiserSettings, ?learns: string -> bool, ?name: string) =
    let learned =
        match learns with
        | None -> parameters.All
        | Some learns -> [|
            for struct (name, _) as entry in parameters.All do
                if learns name then
                    entry
          |]

    do
        if learned.Count = 0 then
            invalidArg (nameof parameters) "nothing learns: a model is built before its descent"

    let optimiser = Optimiser.Create(settings, learned)

    member _.Parameters = parameters

    /// The tensors that it moves; gradients come by their place here.
    member _.Learned = learned

    /// Begins a step whose gradients come in pieces, of float32 tensors on the CPU.
    member _.Begin() : IGradientSink = optimiser.Begin()

    /// Sets the learning rate to a share of the settings' own.
    member _.Rate(share: float) : unit = optimiser.LearningRate <- share * settings.LearningRate

    /// One step along gradients of the learned tensors; one without a gradient stays as it is.
    member _.Step(gradients: IList<Tensor | null>) : unit = optimiser.Step gradients

    /// One step on the sum of an objective's terms. Raises ResearchException, which names the term or the tensor, when
    /// a term is no number or has no gradient, or when a learned tensor has no part in the sum, unless `allowUnused`:
    /// such a tensor stays as it is. Returns what is logged: the sum as `loss`, then the terms. `terms` is called again
    /// only to find the term that failed.
    member this.LowerTerms(terms: unit -> Terms, ?allowUnused: bool) : IReadOnlyList<Term> =
        let named () : IReadOnlyList<struct (string * Tensor)> = [|
            for name, value in terms () -> struct (name, value)
        |]

        let struct (values, gradients) = Gradients.Of(named, learned, defaultArg allowUnused false)
        this.Step gradients
        logged values

    /// The same where kernels have computed a part of the terms: `ends`, asked for after the terms, are leaves that stand for
    /// what they gave, and `back` carries the gradients of these on to the learned tensors. Of float32 tensors on the CPU.
    member _.LowerBetween
        (
            terms: unit -> Terms,
            ends: unit -> struct (string * Tensor)[],
            back: Tensor[] -> IGradientSink -> unit
        ) : IReadOnlyList<Term> =
        let named () : IReadOnlyList<struct (string * Tensor)> = [|
            for name, value in terms () -> struct (name, value)
        |]

        let made = ref (Some(named ()))
        // The host calls a second time only to find the term that failed.
        let once () =
            match made.Value with
            | Some terms ->
                made.Value <- None
                terms
            | None -> named ()

        let struct (values, gradients) =
            Gradients.Of(once, Array.append (Seq.toArray learned) (ends ()), true)

        let ofEnds = [|
            for gradient in gradients[learned.Count ..] do
                match gradient with
                | null -> invalidArg (nameof terms) "the loss does not depend on what the kernels computed"
                | gradient -> gradient.contiguous ()
        |]

        let sink = AddedGradients(optimiser.Begin(), gradients[.. learned.Count - 1])
        back ofEnds sink
        sink.Finish()
        logged values

    /// One step on a scalar.
    member this.Lower(loss: Tensor) : unit = this.LowerTerms(fun () -> [ "loss", loss ]) |> ignore

    /// The training with this optimiser's state in its checkpoints.
    member _.Join(job: TrainingJob) : TrainingJob =
        match name with
        | None -> job.WithOptimiser optimiser
        | Some name -> job.WithOptimiser(name, optimiser)

/// How long a model is trained.
type Length =
    | Steps of int
    | Epochs of int
    /// Until the watched metric has not improved for `patience` epochs; the best model is kept.
    | EarlyStop of maxEpochs: int * patience: int

/// A training: what it changes, what a step does, and for how long.
type Training = {
    /// Their parameters and optimisers are what the checkpoints hold.
    Descents: Descent list
    /// What else changes, such as a moving average.
    Others: IReadOnlyList<NamedTensor>
    StepsPerEpoch: int64
    Length: Length
    /// Returns what is logged, the loss first.
    Step: StepContext -> IReadOnlyList<Term>
    /// The share of the learning rate when so much of all steps, in [0,1), is over.
    Schedule: float -> float
    /// Metrics by `split/name`; without a slash the split is `validation`.
    Evaluate: (EvaluationContext -> (string * float) list) option
    /// Steps between two evaluations; an epoch when None.
    EvaluateEvery: int option
    /// The metric that ends an early-stopped training.
    Watched: string
    /// Steps between two lines of training metrics.
    LogEvery: int
}

module Training =
    /// A training at a constant rate without evaluations.
    let create descents stepsPerEpoch length step : Training = {
        Descents = descents
        Others = []
        StepsPerEpoch = stepsPerEpoch
        Length = length
        Step = step
        Schedule = fun _ -> 1.0
        Evaluate = None
        EvaluateEvery = None
        Watched = "loss"
        LogEvery = 100
    }

    let private totalSteps (training: Training) =
        match training.Length with
        | Steps steps -> int64 steps
        | Epochs epochs
        | EarlyStop(epochs, _) -> int64 epochs * training.StepsPerEpoch

    /// The training as the host runs it.
    let job (training: Training) : TrainingJob =
        let total = totalSteps training
        let descents = List.toArray training.Descents

        let tensors = [|
            for descent in descents do
                yield! ModelFile.tensors descent.Parameters
        |]

        let step (at: StepContext) =
            for descent in descents do
                descent.Rate(training.Schedule(float at.Step / float total))

            training.Step at

        let evaluate (evaluate: EvaluationContext -> (string * float) list) =
            Func<EvaluationContext, IReadOnlyDictionary<string, float>>(evaluate >> readOnlyDict)

        let job =
            TrainingJob(
                State = Array.append tensors (Seq.toArray training.Others),
                StepsPerEpoch = training.StepsPerEpoch,
                TotalSteps = Nullable total,
                EarlyStopping =
                    (match training.Length with
                     | EarlyStop(_, patience) ->
                         EarlyStopping(Metric = training.Watched, Patience = int64 patience, Keep = tensors)
                     | Steps _
                     | Epochs _ -> null),
                EvaluateEvery = (training.EvaluateEvery |> Option.map int64 |> Option.toNullable),
                LogEvery = int64 training.LogEvery,
                Step = step,
                Evaluate = (training.Evaluate |> Option.map evaluate |> Option.toObj)
            )

        Array.fold (fun (job: TrainingJob) (descent: Descent) -> descent.Join job) job descents

    /// What `prepare` makes of parameters that the run's seed draws.
    let fromStart (context: RunContext) (prepare: Parameters -> 'training) : 'training =
        use generator = context.Noise.For("initialisation", 0L)
        prepare (Parameters(generator, context.Device))

    /// A classifier's training on images `[N,D]` and their classes `[N]`: batches lower the loss of both.
    let supervised (descent: Descent) (x: Tensor, y: Tensor) batch length loss : Training =
        let n = int (x.size 0)

        create [ descent ] (StepContext.StepsPerEpoch(n, batch)) length (fun at ->
            let rows = at.Batch(n, batch)
            let loss = loss (Rows.pick x rows) (Rows.pick y rows)
            descent.Lower loss
            [| Term("loss", loss) |])

    /// Trains, and keeps the first descent's model as `model.safetensors`.
    let run (context: RunContext) (training: Training) : TrainingOutcome =
        let outcome = context.Train(job training)
        ModelFile.save context training.Descents.Head.Parameters
        outcome
