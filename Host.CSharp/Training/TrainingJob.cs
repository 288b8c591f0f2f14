using TorchSharp;

namespace Research.Host;

/// <summary>A named scalar of a training step: a tensor of one element, or a number already at hand.</summary>
public readonly struct Term
{
    public Term(string name, torch.Tensor value) => (Name, Tensor) = (name, value);

    public Term(string name, double value) => (Name, Number) = (name, value);

    public string Name { get; }

    /// <summary>The value on its device, or null when it is <see cref="Number"/>.</summary>
    internal torch.Tensor? Tensor { get; }

    internal double Number { get; }
}

/// <summary>Where a training stands when a step is taken.</summary>
/// <param name="Step">Steps done before this one.</param>
/// <param name="Epoch">Epochs done before this step.</param>
/// <param name="StepInEpoch">Steps of this epoch done before this one.</param>
/// <param name="Noise">Source of all randomness.</param>
public sealed record StepContext(long Step, long Epoch, long StepInEpoch, Noise Noise)
{
    /// <summary>
    /// Rows of this step's batch: a slice of the epoch's permutation. The last slice is short when
    /// <paramref name="batch"/> does not divide <paramref name="examples"/> and the epoch has room for it.
    /// </summary>
    public long[] Batch(int examples, int batch)
    {
        var start = checked((int)(StepInEpoch * batch));
        return Noise.Permutation(Epoch, examples)[start..Math.Min(start + batch, examples)];
    }

    /// <summary>Steps in which <see cref="Batch"/> gives every example once, the last slice perhaps short.</summary>
    public static long StepsPerEpoch(int examples, int batch) => (examples + batch - 1) / batch;
}

/// <summary>Where a training stands when it is evaluated.</summary>
/// <param name="Step">Steps done.</param>
/// <param name="Evaluation">Number of this evaluation, from 1; the epoch when there is one per epoch.</param>
/// <param name="Noise">Source of all randomness.</param>
public sealed record EvaluationContext(long Step, long Evaluation, Noise Noise);

/// <summary>Ends a training when a metric has stopped improving, and keeps the best weights.</summary>
public sealed record EarlyStopping
{
    /// <summary>Name of the metric among those of <see cref="TrainingJob.Evaluate"/>.</summary>
    public required string Metric { get; init; }

    /// <summary>Evaluations without improvement before the training ends.</summary>
    public required long Patience { get; init; }

    /// <summary>False when larger is better.</summary>
    public bool Minimise { get; init; } = true;

    /// <summary>
    /// Tensors to remember at the best evaluation and to put back at the end; names of the training's state.
    /// </summary>
    public IReadOnlyList<NamedTensor> Keep { get; init; } = [];
}

/// <summary>A whole number outside the tensors that a checkpoint must hold, such as an optimiser's step count.</summary>
public sealed record Counter(string Name, Func<long> Read, Action<long> Write);

/// <summary>
/// A training that can be interrupted anywhere and continued to the same bits, whatever it trains. What one step
/// does may depend on <see cref="State"/>, <see cref="Counters"/> and its <see cref="StepContext"/>, and on
/// nothing else that changes.
/// </summary>
public sealed record TrainingJob
{
    /// <summary>Tells several trainings of one run apart; names the checkpoint and the metrics file.</summary>
    public string Name { get; init; } = TrainingNames.Default;

    /// <summary>Everything that changes: parameters, optimiser state, averages, buffers.</summary>
    public required IReadOnlyList<NamedTensor> State { get; init; }

    public IReadOnlyList<Counter> Counters { get; init; } = [];

    /// <summary>Steps in all, or null when early stopping alone decides.</summary>
    public long? TotalSteps { get; init; }

    public required long StepsPerEpoch { get; init; }

    /// <summary>
    /// Forward, backward and update, in a dispose scope of its own. Returns the scalars to record; the first is
    /// the loss. They need not be read: means over the logging interval go to the metrics.
    /// </summary>
    public required Func<StepContext, IReadOnlyList<Term>> Step { get; init; }

    /// <summary>
    /// Metrics by `split/name` (without a slash the split is `validation`), after every
    /// <see cref="EvaluateEvery"/> steps and after the last.
    /// </summary>
    public Func<EvaluationContext, IReadOnlyDictionary<string, double>>? Evaluate { get; init; }

    /// <summary>Steps between evaluations; an epoch when not given.</summary>
    public long? EvaluateEvery { get; init; }

    public EarlyStopping? EarlyStopping { get; init; }

    /// <summary>Steps between two lines of training metrics; there is also one at each evaluation.</summary>
    public long LogEvery { get; init; } = 100;

    /// <summary>The same training with its only optimiser's tensors and step count in its checkpoints.</summary>
    /// <param name="optimiser">Used by <see cref="Step"/>.</param>
    public TrainingJob WithOptimiser(IOptimiser optimiser) => With(optimiser, "", "optimiser.step");

    /// <summary>The same training with one of its optimisers' tensors and step count in its checkpoints.</summary>
    /// <param name="name">Prefix of its tensors, which tells the optimisers of a training apart.</param>
    /// <param name="optimiser">Used by <see cref="Step"/>.</param>
    public TrainingJob WithOptimiser(string name, IOptimiser optimiser) => With(optimiser, $"{name}.", name);

    private TrainingJob With(IOptimiser optimiser, string prefix, string counter) => this with
    {
        State = [.. State, .. NamedTensor.From(optimiser.State.Select(pair => (prefix + pair.Name, pair.Tensor)))],
        Counters = [.. Counters, new(counter, () => optimiser.StepCount, count => optimiser.StepCount = count)],
    };
}

/// <summary>When a training saves itself.</summary>
[OutsideResults("a run that was resumed has the same bits")]
public sealed record CheckpointPolicy
{
    /// <summary>Wall-clock time between saves.</summary>
    public TimeSpan Interval { get; init; } = TimeSpan.FromSeconds(20);

    /// <summary>Steps between saves, in addition to the interval; for tests.</summary>
    public long? EverySteps { get; init; }

    /// <summary>See <see cref="CheckpointStore.Observer"/>.</summary>
    public Action<SaveStage>? Observer { get; init; }
}

/// <summary>How a training ended.</summary>
/// <param name="Steps">Steps taken in all sessions.</param>
/// <param name="Evaluations">Evaluations in all sessions.</param>
/// <param name="StoppedEarly">True when early stopping ended it.</param>
/// <param name="Best">Best value of the metric of early stopping, or null.</param>
/// <param name="BestStep">Steps done when it was measured.</param>
public sealed record TrainingOutcome(long Steps, long Evaluations, bool StoppedEarly, double? Best, long? BestStep);
