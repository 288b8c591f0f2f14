using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>
/// What Slurm tells a task, as a token that asks its runs to save and stop: TERM (preempted or cancelled) and USR1 (the
/// time limit is near). Nothing ends the process before it has saved but Slurm's KILL.
/// </summary>
public sealed class WorkerSignals : IDisposable
{
    private const int Usr1 = 10;

    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration[] registrations;

    /// <param name="say">Tells the task's log what happens.</param>
    public WorkerSignals(Action<string> say)
    {
        // The script has it ignored until here, lest a warning that comes before this ends the task, and .NET handles no
        // signal that it finds ignored.
        _ = signal(Usr1, 0);
        registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, context => Stop(context, "asked to stop: saving")),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, context => Stop(context, "asked to stop: saving")),
            PosixSignalRegistration.Create((PosixSignal)Usr1, context =>
            {
                IsOutOfTime = true;
                Stop(context, "the time limit is near: saving");
            }),
        ];

        void Stop(PosixSignalContext context, string sentence)
        {
            context.Cancel = true;
            if (source.IsCancellationRequested)
                return;
            say(sentence);
            source.Cancel();
        }
    }

    public CancellationToken Token => source.Token;

    /// <summary>True when the time limit was near.</summary>
    public bool IsOutOfTime { get; private set; }

    public void Dispose()
    {
        foreach (var registration in registrations)
            registration.Dispose();
        source.Dispose();
    }

    [DllImport("libc")]
    private static extern nint signal(int number, nint handler);
}
