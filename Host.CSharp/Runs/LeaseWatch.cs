namespace Research.Host;

/// <summary>
/// Tells from outside whether the owners of leases are gone. Two machines' clocks are never compared: what counts is
/// how long, on this process's own monotonic clock, a lease has been seen without a change.
/// </summary>
/// <param name="times">How long a lease may be silent.</param>
/// <param name="clock">Source of monotonic time.</param>
public sealed class LeaseWatch(LeaseTimes times, TimeProvider clock)
{
    private readonly Dictionary<string, (LeaseSighting Last, long Seen, TimeSpan Silence)> watched = [];

    /// <summary>Looks at a run's newest lease; true when its owner is dead or has been silent for too long.</summary>
    public bool IsAbandoned(string run, LeaseSighting sighting) =>
        sighting.Record?.Owner.IsAlive() == false || Silence(run, sighting) >= times.TakeOver;

    /// <summary>
    /// How long the lease has not changed. Between two looks at most one heartbeat's time counts: when the observer
    /// itself slept, or the file server stood still for all, the owner must have its chance to be heard again.
    /// </summary>
    private TimeSpan Silence(string run, LeaseSighting sighting)
    {
        var now = clock.GetTimestamp();
        var silence = TimeSpan.Zero;
        if (watched.TryGetValue(run, out var before)
            && before.Last.Number == sighting.Number && before.Last.Text == sighting.Text)
        {
            var passed = clock.GetElapsedTime(before.Seen, now);
            silence = before.Silence + (passed < times.Beat ? passed : times.Beat);
        }
        watched[run] = (sighting, now, silence);
        return silence;
    }
}
