using System.Diagnostics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>
/// Carries out a <see cref="TrainingJob"/>: steps, logs, evaluations, early stopping, checkpoints. Killed at any
/// instant and started again, it ends with the same bits in weights, optimiser state and metrics as without the
/// kill, on the same machine, build and thread count.
/// </summary>
public sealed class Trainer : IDisposable
{
    private const string MetricsLength = "metrics.bytes", CounterPrefix = "counter.", BestPrefix = "best/";

    private readonly TrainingJob job;
    private readonly RunContext context;
    private readonly CheckpointPolicy policy;
    private readonly CheckpointStore checkpoints;
    private readonly MetricsLog metrics;
    private readonly TermSums sums = new();
    private readonly IReadOnlyList<NamedTensor> best;
    private readonly IReadOnlyList<NamedTensor> saved;
    private readonly Stopwatch sinceSave = Stopwatch.StartNew();
    private TrainingPosition position = new();

    private Trainer(TrainingJob job, RunContext context, CheckpointPolicy policy)
    {
        if (job.TotalSteps is null && (job.EarlyStopping is null || job.Evaluate is null))
            throw new ArgumentException("a training without a number of steps needs early stopping and Evaluate");
        this.job = job;
        this.context = context;
        this.policy = policy;
        checkpoints = context.Run.Checkpoints(job.Name, policy.Observer);
        metrics = context.Run.OpenMetrics(job.Name);
        best = [.. (job.EarlyStopping?.Keep ?? []).Select(CloneAsBest)];
        saved = [.. job.State, .. best];
    }

    /// <summary>Trains to the end, from the last checkpoint when there is one.</summary>
    /// <exception cref="OperationCanceledException">Interrupted by the user; the state is saved.</exception>
    /// <exception cref="ResearchException">A term became NaN or infinite, or the disk is full.</exception>
    public static TrainingOutcome Run(TrainingJob job, RunContext context, CheckpointPolicy? policy = null)
    {
        using var trainer = new Trainer(job, context, policy ?? new());
        return trainer.Run();
    }

    public void Dispose()
    {
        metrics.Dispose();
        sums.Dispose();
        foreach (var copy in best)
            copy.Tensor.Dispose();
    }

    private TrainingOutcome Run()
    {
        Restore();
        while (!position.IsFinished)
        {
            if (context.Cancellation.IsCancellationRequested)
            {
                Save();
                context.Cancellation.ThrowIfCancellationRequested();
            }
            Advance();
            if (position.IsFinished || sinceSave.Elapsed >= policy.Interval || position.Step % policy.EverySteps == 0)
                Save();
        }
        CopyAll(best, job.EarlyStopping?.Keep ?? []);
        return new(position.Step, position.Evaluations, position.StoppedEarly, position.Best,
            position.Best is null ? null : position.BestStep);
    }

    /// <summary>One step with all that follows from it; afterwards the training may be saved.</summary>
    private void Advance()
    {
        var step = position.Step;
        using (torch.NewDisposeScope())
            sums.Add(step + 1, Take(new(step, step / job.StepsPerEpoch, step % job.StepsPerEpoch, context.Noise)));
        step++;
        var isLast = step == job.TotalSteps;
        var isEvaluated = isLast || step % (job.EvaluateEvery ?? job.StepsPerEpoch) == 0;
        position = position with { Step = step, IsFinished = isLast };
        if (isEvaluated || step % job.LogEvery == 0)
            foreach (var (name, mean) in sums.Drain())
                metrics.Add(step, "train", name, mean);
        if (isEvaluated)
            Evaluate();
        // A cap that early stopping hardly ever reaches tells nothing about the time left.
        context.Progress.Report(step, job.EarlyStopping is null ? job.TotalSteps : null, sums.LastLoss);
    }

    private IReadOnlyList<Term> Take(StepContext at)
    {
        try
        {
            return job.Step(at);
        }
        catch (Exception error) when (error is ResearchException or ExternalException)
        {
            var sentence = Sentence.Of(error).TrimEnd('.');
            throw new ResearchException($"step {at.Step + 1} failed: {sentence}.", ResearchException.RunFailed, error);
        }
    }

    private void Evaluate()
    {
        if (job.Evaluate is null)
            return;
        position = position with { Evaluations = position.Evaluations + 1 };
        IReadOnlyDictionary<string, double> values;
        using (torch.NewDisposeScope())
        using (torch.no_grad())
            values = job.Evaluate(new(position.Step, position.Evaluations, context.Noise));
        foreach (var (name, value) in values)
        {
            var parts = name.Split('/', 2);
            var (split, metric) = parts is [var s, var m] ? (s, m) : ("validation", name);
            metrics.Add(position.Step, split, metric, value);
        }
        metrics.Flush();
        if (job.EarlyStopping is { } stopping)
            Judge(stopping, values);
    }

    private void Judge(EarlyStopping stopping, IReadOnlyDictionary<string, double> values)
    {
        if (!values.TryGetValue(stopping.Metric, out var value))
            throw new ArgumentException($"early stopping watches '{stopping.Metric}', which Evaluate does not return");
        if (!double.IsFinite(value))
            throw new ResearchException(
                $"the metric '{stopping.Metric}' became {value} after step {position.Step}, so the training was stopped.");
        var isBetter = position.Best is not { } known || (stopping.Minimise ? value < known : value > known);
        if (isBetter)
        {
            CopyAll(stopping.Keep, best);
            position = position with { Best = value, BestStep = position.Step, SinceBest = 0 };
            return;
        }
        var since = position.SinceBest + 1;
        var isOver = since >= stopping.Patience;
        position = position with
        {
            SinceBest = since,
            StoppedEarly = isOver,
            IsFinished = position.IsFinished || isOver,
        };
    }

    private void Save()
    {
        var metadata = new Dictionary<string, string>();
        position.Save(metadata);
        sums.Save(metadata);
        foreach (var counter in job.Counters)
            metadata[CounterPrefix + counter.Name] = TrainingPosition.Text(counter.Read());
        // On the disk before the checkpoint that counts on it.
        metrics.Flush(toDisk: true);
        metadata[MetricsLength] = TrainingPosition.Text(metrics.Length);
        var tensors = saved.ToDictionary(named => named.Name, named => named.Tensor);
        checkpoints.Save([.. saved.Select(TensorBytes.SpecOf)],
            (spec, append) => TensorBytes.Append(tensors[spec.Name], append), metadata);
        sinceSave.Restart();
    }

    private void Restore()
    {
        var (file, messages) = checkpoints.Load(Reject);
        foreach (var message in messages)
            context.Say(message);
        if (file is null)
        {
            metrics.Truncate(0);
            return;
        }
        foreach (var named in saved)
            TensorBytes.CopyInto(file[named.Name], named.Tensor);
        foreach (var counter in job.Counters)
            counter.Write(TrainingPosition.Whole(file.Metadata, CounterPrefix + counter.Name));
        position = TrainingPosition.Restore(file.Metadata);
        sums.Restore(file.Metadata);
        metrics.Truncate(TrainingPosition.Whole(file.Metadata, MetricsLength));
        if (!position.IsFinished)
            context.Say($"resuming after step {position.Step}");
    }

    /// <summary>Why a sound checkpoint does not fit this training, or null. Nothing is changed.</summary>
    private string? Reject(SafetensorsFile file)
    {
        try
        {
            TrainingPosition.Restore(file.Metadata);
            sums.Restore(file.Metadata);
            foreach (var counter in job.Counters)
                TrainingPosition.Whole(file.Metadata, CounterPrefix + counter.Name);
            if (TrainingPosition.Whole(file.Metadata, MetricsLength) > metrics.Length)
                return "the metrics file is shorter than when it was saved";
        }
        catch (Exception error) when (error is FormatException or OverflowException)
        {
            return error.Message;
        }
        return saved.Count != file.Names.Count
            ? $"it holds {file.Names.Count} tensors where {saved.Count} are needed"
            : saved.Select(named => TensorBytes.Mismatch(named, file.Find(named.Name))).FirstOrDefault(m => m is not null);
    }

    private static NamedTensor CloneAsBest(NamedTensor live)
    {
        using var recording = torch.no_grad();
        using var source = live.Tensor.detach();
        return new(BestPrefix + live.Name, source.clone().DetachFromDisposeScope());
    }

    private static void CopyAll(IReadOnlyList<NamedTensor> from, IReadOnlyList<NamedTensor> to)
    {
        using var recording = torch.no_grad();
        foreach (var (source, target) in from.Zip(to))
            target.Tensor.copy_(source.Tensor);
    }
}
