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
    /// <param name="input">Its end counts as such a signal: the other end of it is a process that this one belongs to.</param>
    public Interruption(Action<string> say, Stream? input = null)
    {
        registrations =
        [
            PosixSignalRegistration.Create(PosixSignal.SIGINT, Handle),
            PosixSignalRegistration.Create(PosixSignal.SIGTERM, Handle),
        ];

        if (input is not null)
            new Thread(AwaitEnd) { IsBackground = true }.Start();

        void AwaitEnd()
        {
            while (input.ReadByte() >= 0)
                continue;
            try
            {
                source.Cancel();
            }
            catch (ObjectDisposedException)
            {
                // All is done already.
            }
        }

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
