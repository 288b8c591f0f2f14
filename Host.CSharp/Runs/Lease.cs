namespace Research.Host;

/// <summary>
/// The right of this process to compute a run. Its heart beats until it is released or lost: taken over by another
/// process, or unable to write for so long that another may take it over.
/// </summary>
public sealed class Lease : IDisposable
{
    private readonly LeaseFolder folder;
    private readonly LeaseTimes times;
    private readonly TimeProvider clock;
    private readonly Lock gate = new();
    private readonly CancellationTokenSource lost = new();
    private readonly ITimer heart;
    private LeaseRecord record;
    private long lastBeat;
    private bool isOver;

    internal Lease(LeaseFolder folder, int number, LeaseRecord record, LeaseTimes times, TimeProvider clock)
    {
        (this.folder, Number, this.record, this.times, this.clock) = (folder, number, record, times, clock);
        lastBeat = clock.GetTimestamp();
        heart = clock.CreateTimer(_ => Beat(), null, times.Beat, times.Beat);
    }

    /// <summary>How many leases the run has had, this one included.</summary>
    public int Number { get; }

    /// <summary>Set when the run is no longer this process's to compute.</summary>
    public CancellationToken Lost => lost.Token;

    /// <summary>Looks whether the lease is still this process's.</summary>
    public bool IsMine() => !lost.IsCancellationRequested && folder.IsNewest(Number);

    /// <summary>Tells how far the run is; others learn it with the next heartbeat.</summary>
    public void Report(long step, long? total)
    {
        lock (gate)
            record = record with { Step = step, Total = total };
    }

    /// <summary>Gives the run up: others may continue it at once, or learn why it failed.</summary>
    public void Release(LeaseState state, string reason)
    {
        lock (gate)
        {
            if (isOver)
                return;
            isOver = true;
            try
            {
                if (IsMine())
                    folder.Write(Number, record with { State = state, Reason = reason });
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // The others find out by its silence.
            }
        }
        heart.Dispose();
    }

    /// <summary>Ends the lease of a run that is published and removes all that is left of the work on it.</summary>
    internal void End()
    {
        lock (gate)
            isOver = true;
        heart.Dispose();
        folder.Remove();
    }

    public void Dispose() => Release(LeaseState.Released, "given up");

    private void Beat()
    {
        lock (gate)
        {
            if (isOver)
                return;
            try
            {
                isOver = !folder.IsNewest(Number);
                if (!isOver)
                {
                    record = record with { Beat = record.Beat + 1 };
                    folder.Write(Number, record);
                    lastBeat = clock.GetTimestamp();
                }
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                // Well before others may think that this process is dead, lest two compute the run.
                isOver = clock.GetElapsedTime(lastBeat) > times.TakeOver * (2.0 / 3);
            }
            if (isOver)
                lost.Cancel();
        }
    }
}
