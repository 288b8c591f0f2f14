namespace Research.Host;

/// <summary>
/// Progress as plain lines, for logs and pipes: in every interval one for each item that runs and one for the whole, and
/// one for each end. An item that takes no time gets none.
/// </summary>
public sealed class PlainBoard : IProgressBoard
{
    private readonly TextWriter output;
    private readonly TimeProvider clock;
    private readonly ITimer timer;
    private readonly object gate = new();
    private readonly Dictionary<string, ProgressMeter> running = [];
    private Forecast forecast = new(0);
    private int ended;

    private static readonly TimeSpan NoTime = TimeSpan.FromSeconds(1);

    /// <param name="output">Usually standard output.</param>
    /// <param name="interval">Time between two lines of a run; 10 seconds when not given.</param>
    /// <param name="clock">Source of time; tests give their own.</param>
    public PlainBoard(TextWriter output, TimeSpan? interval = null, TimeProvider? clock = null)
    {
        this.output = output;
        this.clock = clock ?? TimeProvider.System;
        var period = interval ?? TimeSpan.FromSeconds(10);
        timer = this.clock.CreateTimer(_ => ShowRunning(), null, period, period);
    }

    public void Plan(Forecast forecast) => this.forecast = forecast;

    public IRunProgress Begin(string id)
    {
        var meter = new ProgressMeter(id, Say, clock);
        lock (gate)
            running.Add(id, meter);
        return meter;
    }

    public void Pause(string id)
    {
        lock (gate)
        {
            running.Remove(id);
            WriteLine(id, "put aside");
        }
    }

    public void End(WorkOutcome outcome)
    {
        lock (gate)
        {
            running.Remove(outcome.Id);
            forecast.End(outcome.Id);
            ended++;
            if (outcome.Status != WorkStatus.Done || outcome.Elapsed >= NoTime || outcome.Reason is not null)
                WriteLine(outcome.Id, ProgressFormat.Ending(outcome));
        }
    }

    public void Say(string message)
    {
        lock (gate)
            output.WriteLine(message);
    }

    public void Dispose() => timer.Dispose();

    private void ShowRunning()
    {
        lock (gate)
        {
            foreach (var meter in running.Values.Where(meter => meter.Elapsed >= NoTime))
                WriteLine(meter.Id, meter.Read().ToString() is { Length: > 0 } text
                    ? text
                    : $"running for {ProgressFormat.Time(meter.Elapsed)}");
            if (forecast.Items > 0)
                WriteLine("all runs", forecast.Left(running.Values) is { Length: > 0 } left ? left : "running");
        }
    }

    private void WriteLine(string id, string text) => output.WriteLine($"[{ended}/{forecast.Items}] {id}: {text}");
}
