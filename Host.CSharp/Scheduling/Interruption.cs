using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>
/// Ctrl-C and termination as a token: the first signal asks every run to save and stop, the second ends the
/// process at once.
/// </summary>
public sealed class Interruption : IDisposable
{
    private readonly CancellationTokenSource source = new();
    private readonly PosixSignalRegistration[] registrations;

    /// <param name="say">Tells the user what happens.</param>
    public Interruption(Action<string> say)
    {
        registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];

        void Handle(PosixSignalContext signal)
        {
            if (source.IsCancellationRequested)
                return;
            signal.Cancel = true;
            say("saving; interrupt again to stop at once");
            source.Cancel();
        }
    }

    public CancellationToken Token => source.Token;

    public void Dispose()
    {
        foreach (var registration in registrations)
            registration.Dispose();
        source.Dispose();
    }
}
