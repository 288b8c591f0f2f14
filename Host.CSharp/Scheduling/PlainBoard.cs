namespace Research.Host;

/// <summary>
/// Progress as plain lines, for logs and pipes: a line when an item starts and ends, and at most one per item
/// and interval in between.
/// </summary>
public sealed class PlainBoard : IProgressBoard
{
    private readonly TextWriter output;
    private readonly TimeProvider clock;
    private readonly ITimer timer;
    private readonly object gate = new();
    private readonly Dictionary<string, ProgressMeter> running = [];
    private int items, ended;

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

    public void Plan(int items) => this.items = items;

    public IRunProgress Begin(string id)
    {
        var meter = new ProgressMeter(id, Say, clock);
        lock (gate)
        {
            running.Add(id, meter);
            output.WriteLine($"[{ended}/{items}] {id}: started");
        }
        return meter;
    }

    public void Pause(string id)
    {
        lock (gate)
        {
            running.Remove(id);
            output.WriteLine($"[{ended}/{items}] {id}: put aside");
        }
    }

    public void End(WorkOutcome outcome)
    {
        lock (gate)
        {
            running.Remove(outcome.Id);
            ended++;
            output.WriteLine($"[{ended}/{items}] {outcome.Id}: {ProgressFormat.Ending(outcome)}");
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
            foreach (var meter in running.Values)
                if (meter.Read().ToString() is { Length: > 0 } text)
                    output.WriteLine($"[{ended}/{items}] {meter.Id}: {text}");
    }
}
