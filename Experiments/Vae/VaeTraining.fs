namespace Research.Experiments

open Research.Core
open Research.Host
open Research.Models
open Research.Report

/// Trainings of VAEs as runs, and what is measured on the trained models.
[<RequireQualifiedAccess>]
module VaeTraining =
    /// The metric that ends an early-stopped training: the objective's own value, which for `elbo` is `nelbo`.
    let private watched (run: VaeRun) =
        match run.Loss with
        | WeightedElbo 1.0 -> "nelbo"
        | _ -> "loss"
    let private validate (run: VaeRun) (model: LatentModel) images (at: EvaluationContext) =
        let nelbo = Evaluation.nelbo run.Shape.Latent model images at.Noise "validation" at.Evaluation
        match run.Length, watched run with
        | EarlyStop _, "loss" ->
            let shape = VaeRun.noiseShape run run.Samples
            let terms =
                Evaluation.terms (Loss.objective run.Loss) shape model images at.Noise "validation" at.Evaluation
            nelbo @ [ "loss", List.sumBy snd terms ]
        | _ -> nelbo
    /// Images of a part of the run's data, as the run takes them.
    let private images (plan: Plan) (run: VaeRun) raw : VaeImages = {
        Raw = raw
        Levels = (plan.Data run.Data).Train.Levels
        Binarise = run.Binarise
    }
    /// The training of a built model on these images `[N,D]`.
    let training (plan: Plan) (run: VaeRun) (built: BuiltVae) (descent: Descent) (train: Tensor, validation: Tensor) =
        let train, validation = images plan run train, images plan run validation
        let perEpoch = StepContext.StepsPerEpoch(int (train.Raw.size 0), run.Batch)
        let step = VaeStep.take run train (VaeStep.choose run built descent)
        {
            Training.create [ descent ] perEpoch run.Length step with
                Watched = watched run
                Evaluate =
                    // MNIST has no validation part: nothing to evaluate on during training.
                    if validation.Raw.size 0 > 0L then
                        Some(fun at -> validate run (built.Model()) validation at)
                    else
                        None
        }
    /// The images that a plain model is trained and validated on.
    let data (plan: Plan) (run: VaeRun) = plan.Train run.Data, plan.Validation run.Data
    /// The training of a model of one's own as a run: `extra` is what it adds to the key, `prepare` makes the training from
    /// parameters that are still to be drawn. The results are `model.safetensors`, metrics, and the values `steps`,
    /// `epochs` and, where it was stopped early, `best`.
    let requestOf
        (plan: Plan)
        (name: string)
        (seed: int64)
        (run: VaeRun)
        (extra: (string * string) list)
        (dependencies: RunRequest list)
        (prepare: RunContext -> Parameters -> Training)
        : Trained =
        let work (context: RunContext) =
            let training = Training.fromStart context (prepare context)
            let outcome = Training.run context training
            context.Save [
                "steps", float outcome.Steps
                "epochs", float outcome.Steps / float training.StepsPerEpoch
                match Option.ofNullable outcome.Best with
                | Some best -> "best", best
                | None -> ()
            ]
        let path = VaeStep.path plan.Device run
        let configuration = VaeRun.configuration run @ [ "step", StepPath.describe path ] @ extra
        {
            Run = run
            Training = plan.Run(name, configuration, seed, Some run.Data, work, dependencies = dependencies)
        }
    /// The training of the plain model on the plain images, all of it learned at a constant rate from the seed's start.
    let request (plan: Plan) (name: string) (seed: int64) (run: VaeRun) : Trained =
        requestOf plan name seed run [] [] (fun _ parameters ->
            training plan run (VaeRun.build run parameters) (Descent(parameters, run.Optimiser)) (data plan run))
    /// One training for each of some seeds, `name.seed1` and so on.
    let ofSeeds (plan: Plan) (seeds: int64 list) (name: string) (run: VaeRun) : Trained list = [
        for seed in seeds -> request plan $"{name}.seed{seed}" seed run
    ]

    /// One training a seed of the set's.
    let each (plan: Plan) (name: string) (run: VaeRun) : Trained list = ofSeeds plan (plan.SeedsOn run.Data) name run
    /// Steps from the start of a run's model, each on the batch and the noise of its number: to be timed. All by operators,
    /// whatever its training takes: what is compared is what the models cost, not which of them has a kernel. (On one batch
    /// with one noise a VampPrior's step took twice the time after some fifty steps; why was not isolated.)
    let stepper (run: VaeRun) (context: RunContext) (batch: int64 -> Tensor * Tensor) : unit -> unit =
        let built = Training.fromStart context (VaeRun.build run)
        let descent = Descent(built.Parameters, run.Optimiser)
        let lower = VaeStep.composed (Loss.objective run.Loss) built.Model descent
        let mutable step = -1L
        fun () ->
            step <- step + 1L
            batch step ||> lower |> ignore
    /// The trained plain model of a finished run, for evaluation.
    let load (trained: Trained) (finished: RunDirectory) device : BuiltVae =
        ModelFile.restore (VaeRun.build trained.Run) finished device
    /// What is measured on a trained plain model, as a run of its own: `measure` returns the values, and may save tensors.
    let measure
        (plan: Plan)
        (name: string)
        (configuration: (string * string) list)
        (trained: Trained)
        (measure: RunContext -> BuiltVae -> (string * float) list)
        : RunRequest =
        let training, set = trained.Training, Some trained.Run.Data
        let measured (context: RunContext) =
            measure context (load trained (context.Dependency training.Key) context.Device)
        plan.Measure(name, configuration, trained.Seed, set, measured, [ training ])
    /// Trainings, each with its measurement: for an experiment's list of runs.
    let withEach (measure: Trained -> RunRequest) (trained: Trained list) : RunRequest list =
        trained |> List.collect (fun t -> [ t.Training; measure t ])
    /// The mean images of draws from the prior of a trained model, for `research sample`.
    let sampler (trained: Plan -> Trained) (results: Results) (count: int) (noise: Noise) : Png.Image[] =
        let trained = trained results.Plan
        let built = load trained (results.Of trained.Training) results.Plan.Device
        Evaluation.sampleMeans built count noise |> Pictures.ofVae results.Plan trained.Run
