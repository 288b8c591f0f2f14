using TorchSharp;

namespace Research.Host;

/// <summary>All that a run may use while it computes its results.</summary>
/// <param name="key">Name, configuration and seed.</param>
/// <param name="run">Where results go.</param>
/// <param name="store">Where the results of the runs it depends on are.</param>
/// <param name="device">Where its tensors belong.</param>
/// <param name="work">Threads, progress and cancellation.</param>
public sealed class RunContext(RunKey key, RunDirectory run, RunStore store, torch.Device device, WorkContext work)
{
    public RunKey Key => key;

    public RunDirectory Run => run;

    public torch.Device Device => device;

    /// <summary>All randomness of the run, from its seed.</summary>
    public Noise Noise { get; } = new(key.Seed);

    /// <summary>Cores that the run holds.</summary>
    public int Threads => work.Threads;

    public IRunProgress Progress => work.Progress;

    /// <summary>Set when the user interrupts. Trainings obey; long loops outside a training should ask.</summary>
    public CancellationToken Cancellation => work.Cancellation;

    /// <summary>The results of a run that this one depends on.</summary>
    /// <exception cref="ArgumentException">The key does not name that dependency.</exception>
    public RunDirectory Dependency(RunKey dependency) =>
        key.Dependencies.Any(known => known.Id == dependency.Id)
            ? store.Require(dependency)
            : throw new ArgumentException($"run {key.Id} does not declare that it depends on {dependency.Id}");

    /// <summary>Shows a sentence and keeps it in the run's log.</summary>
    public void Say(string message)
    {
        run.Note(message);
        work.Progress.Say(message);
    }

    /// <summary>Trains; see <see cref="Trainer.Run(TrainingJob, RunContext, CheckpointPolicy)"/>.</summary>
    public TrainingOutcome Train(TrainingJob job, CheckpointPolicy? policy = null) => Trainer.Run(job, this, policy);

    /// <summary>Writes tensors to `name.safetensors` of the run.</summary>
    public void SaveTensors(string name, IEnumerable<NamedTensor> tensors) =>
        run.SaveTensors(name, [.. tensors.Select(TensorBytes.ToEntry)]);
}
