using System.Globalization;

namespace Research.Host;

/// <summary>Where a run tells how far it is.</summary>
[OutsideResults("it shows what it is given")]
public interface IRunProgress
{
    /// <summary>Reports a finished step; cheap enough for every step.</summary>
    /// <param name="step">Steps done so far, including those of earlier sessions.</param>
    /// <param name="total">Steps in all, or null when early stopping decides.</param>
    /// <param name="loss">The last known loss.</param>
    void Report(long step, long? total, double loss);

    /// <summary>Shows a sentence to the user.</summary>
    void Say(string message);
}

/// <summary>Shows the progress of all runs of a command. Members may be called from any thread.</summary>
public interface IProgressBoard : IDisposable
{
    /// <summary>Announces what there is to run.</summary>
    void Plan(Forecast forecast);

    /// <summary>An item starts; its progress goes to what is returned.</summary>
    IRunProgress Begin(string id);

    /// <summary>An item that had started waits again.</summary>
    void Pause(string id);

    /// <summary>An item has ended, or will never start.</summary>
    void End(WorkOutcome outcome);

    /// <summary>Shows a sentence that belongs to no run.</summary>
    void Say(string message);
}

/// <summary>Progress of one run at an instant.</summary>
public readonly record struct ProgressReading(long Step, long? Total, double StepsPerSecond, double Loss)
{
    /// <summary>Time left at the present rate, when the total and a rate are known.</summary>
    public TimeSpan? Remaining => Total is { } total && StepsPerSecond > 0
        ? TimeSpan.FromSeconds(Math.Min((total - Step) / StepsPerSecond, 1e7))
        : null;

    /// <summary>For instance `step 2000/15640, 412 steps/s, 0:33 left, loss 131.2`; empty before the first step.</summary>
    public override string ToString()
    {
        if (Step == 0)
            return "";
        var total = Total is { } known ? $"/{known}" : "";
        var left = Remaining is { } time ? $", {ProgressFormat.Time(time)} left" : "";
        // A run elsewhere tells its steps alone.
        var loss = double.IsNaN(Loss) ? "" : $", loss {ProgressFormat.Number(Loss)}";
        return string.Create(CultureInfo.InvariantCulture,
            $"step {Step}{total}, {ProgressFormat.Number(StepsPerSecond)} steps/s{left}{loss}");
    }
}

/// <summary>Collects a run's reports and turns them into rates.</summary>
/// <param name="id">The run.</param>
/// <param name="say">Receives the sentences that the run says.</param>
/// <param name="clock">Source of time.</param>
public sealed class ProgressMeter(string id, Action<string> say, TimeProvider clock) : IRunProgress
{
    private readonly Lock gate = new();
    private readonly long started = clock.GetTimestamp();
    private long firstTime, lastTime, firstStep = -1, step;
    private long? total;
    private double loss = double.NaN;

    public string Id => id;

    /// <summary>Time since the run began in this session.</summary>
    public TimeSpan Elapsed => clock.GetElapsedTime(started);

    public void Report(long step, long? total, double loss)
    {
        lock (gate)
        {
            lastTime = clock.GetTimestamp();
            // The first report is the origin of the rate, so that a resumed run is not credited with old steps.
            if (firstStep < 0)
                (firstStep, firstTime) = (step, lastTime);
            (this.step, this.total, this.loss) = (step, total, loss);
        }
    }

    public void Say(string message) => say($"{id}: {message}");

    /// <summary>The state now.</summary>
    public ProgressReading Read()
    {
        lock (gate)
        {
            var seconds = clock.GetElapsedTime(firstTime, lastTime).TotalSeconds;
            return new(step, total, seconds > 0 ? (step - firstStep) / seconds : 0, loss);
        }
    }
}

/// <summary>Short forms for people.</summary>
public static class ProgressFormat
{
    /// <summary>Minutes and seconds, with hours when there are any.</summary>
    public static string Time(TimeSpan time) =>
        time.TotalHours >= 1
            ? string.Create(CultureInfo.InvariantCulture, $"{(int)time.TotalHours}:{time.Minutes:00}:{time.Seconds:00}")
            : string.Create(CultureInfo.InvariantCulture, $"{time.Minutes}:{time.Seconds:00}");

    /// <summary>Four significant digits.</summary>
    public static string Number(double value) =>
        Math.Abs(value) >= 1000 && Math.Abs(value) < 1e7
            ? value.ToString("F0", CultureInfo.InvariantCulture)
            : value.ToString("G4", CultureInfo.InvariantCulture);

    /// <summary>The line that says how an item ended, without its id.</summary>
    public static string Ending(WorkOutcome outcome) => outcome.Status switch
    {
        WorkStatus.Done => outcome.Reason ?? $"done in {Time(outcome.Elapsed)}",
        WorkStatus.Failed => $"failed: {outcome.Reason}",
        _ => outcome.Reason ?? outcome.Status.ToString(),
    };
}
