namespace Research.Host;

/// <summary>Says what goes on while something that reports nothing takes long: at once, and every ten seconds again.</summary>
public sealed class Heartbeat : IDisposable
{
    private static readonly TimeSpan Period = TimeSpan.FromSeconds(10);

    private readonly ITimer timer;

    /// <param name="output">Usually standard output.</param>
    /// <param name="what">For instance `compiling the paper`.</param>
    /// <param name="clock">Source of time; tests give their own.</param>
    public Heartbeat(TextWriter output, string what, TimeProvider? clock = null)
    {
        clock ??= TimeProvider.System;
        var started = clock.GetTimestamp();
        output.WriteLine(what);
        timer = clock.CreateTimer(
            _ => output.WriteLine($"{what}, {ProgressFormat.Time(clock.GetElapsedTime(started))}"), null, Period, Period);
    }

    public void Dispose() => timer.Dispose();
}
