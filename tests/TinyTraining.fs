/// A training small enough to be killed many times: a linear VAE with early stopping, optimiser state and noise,
/// and the hidden child process that runs it.
module Research.Tests.TinyTraining

open System
open System.Collections.Generic
open System.IO
open System.Threading
open TorchSharp
open Research.Host

type private Tensor = torch.Tensor

let private examples, private pixels, private latent = 60, 12, 3
let private batch = 8

/// Steps of one epoch; the last batch is short.
let stepsPerEpoch = int64 ((examples + batch - 1) / batch)

/// The training and all its tensors for a run; `pause` is called in every step.
let job (noise: Noise) (totalSteps: int64) (pause: unit -> unit) =
    let weight name (rows: int) (columns: int) =
        let made = noise.Normal(name, 0L, [| int64 rows; int64 columns |])
        NamedTensor(name, (made * 0.3).detach().requires_grad_())

    let data = noise.Normal("data", 0L, [| int64 examples; int64 pixels |]).detach()

    let encoder, decoder =
        weight "encoder.weight" pixels (2 * latent), weight "decoder.weight" latent pixels

    let parameters = [ encoder; decoder ]

    let optimiser =
        Optimiser.Create(OptimiserSettings.Adam 0.01, [| for p in parameters -> struct (p.Name, p.Tensor) |])

    /// Negative ELBO up to constants, and its KL term, in nats per example.
    let terms (x: Tensor) (epsilon: Tensor) =
        let code = x.matmul encoder.Tensor
        let mu, logVar = code.narrow (1, 0, latent), code.narrow (1, latent, latent)
        let z = mu + (logVar * 0.5).exp() * epsilon
        let rows = float x.shape[0]
        let reconstruction = (x - z.matmul decoder.Tensor).square().sum() * (0.5 / rows)
        let kl = (mu.square () + logVar.exp () - logVar - 1.0).sum() * (0.5 / rows)
        reconstruction + kl, kl

    let shape (rows: int) = [| int64 rows; int64 latent |]

    let step (at: StepContext) : IReadOnlyList<Term> =
        pause ()
        let rows = at.Batch(examples, batch)
        let x = data.index_select (0, torch.tensor rows)
        let loss, kl = terms x (at.Noise.Normal("encoder", at.Step, shape rows.Length))
        let gradients = torch.autograd.grad ([| loss |], [| for p in parameters -> p.Tensor |])
        optimiser.Step [| for gradient in gradients -> gradient |]
        [| Term("loss", loss); Term("kl", kl) |]

    let evaluate (at: EvaluationContext) =
        let loss, _ = terms data (at.Noise.Normal("validation", at.Evaluation, shape examples))
        readOnlyDict [ "validation/loss", loss.ToDouble() ]

    TrainingJob(
        State = List.toArray parameters,
        TotalSteps = totalSteps,
        StepsPerEpoch = stepsPerEpoch,
        Step = step,
        Evaluate = evaluate,
        LogEvery = 3L,
        EarlyStopping =
            EarlyStopping(Metric = "validation/loss", Patience = 1000L, Keep = [| encoder; decoder |])
    )
        .WithOptimiser("adam", optimiser)

/// A key that differs by seed alone.
let key (seed: int64) = RunKey("tiny", [ KeyValuePair("rate", "0.01") ], seed, "none", "test", noCode)

/// Trains and keeps everything that must come out equal: weights, optimiser state, counters.
let work (totalSteps: int64) (policy: CheckpointPolicy) (pause: unit -> unit) (context: RunContext) =
    let training = job context.Noise totalSteps pause
    let outcome = context.Train(training, policy)
    context.SaveTensors("final", training.State)

    context.Run.SaveValues(
        readOnlyDict [
            "best", outcome.Best.Value
            "best step", float outcome.BestStep.Value
            "adam steps", float (training.Counters[0].Read.Invoke())
        ]
    )

/// Steps of the training that the child process runs.
let childSteps = 300L

/// What the child prints when its first step, and when its first save begins.
let stepping, saving = "stepping", "saving"

/// The hidden mode `tiny-training ROOT SEED PAUSE` of the test program: trains in ROOT, saving every five steps,
/// and waits PAUSE milliseconds in each step and at each stage of a save, so that a kill can land anywhere.
let tryRunChild (argv: string array) =
    match argv with
    | [| "tiny-training"; root; seed; pause |] ->
        let announced = HashSet<string>()

        /// Announces the first time, then waits.
        let reach (instant: string) =
            if announced.Add instant then
                Console.Out.WriteLine instant
                Console.Out.Flush()

            if int pause > 0 then
                Thread.Sleep(int pause)

        let policy = CheckpointPolicy(EverySteps = 5L, Observer = fun _ -> reach saving)
        use board = new PlainBoard(TextWriter.Null)
        let runner = Runner(RunStore root, torch.device "cpu", 1, board)
        let work = work childSteps policy (fun () -> reach stepping)
        let summary = runner.Run([ RunRequest(key (int64 seed), 1, work) ], CancellationToken.None)
        summary.Lines() |> Seq.iter Console.Error.WriteLine
        Some summary.ExitCode
    | _ -> None
