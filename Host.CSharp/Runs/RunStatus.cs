using System.Globalization;

namespace Research.Host;

/// <summary>Where a run stands.</summary>
public enum RunPhase
{
    /// <summary>Nobody has begun it.</summary>
    Waiting,

    /// <summary>Its owner's heart beats.</summary>
    Running,

    /// <summary>Its owner may be dead: it has not been heard, and that takes longer to be sure of.</summary>
    Silent,

    /// <summary>Begun, and nobody's: whoever comes next continues it.</summary>
    Interrupted,

    Failed,

    Complete,
}

/// <summary>Where a run stands, seen from any machine that sees the store.</summary>
/// <param name="Key">The run.</param>
/// <param name="Phase">In one word.</param>
/// <param name="Lease">What its last owner said; null when nobody has begun it or it is complete.</param>
public sealed record RunStatus(RunKey Key, RunPhase Phase, LeaseRecord? Lease)
{
    /// <summary>
    /// The status of runs. Whether an owner on another machine lives shows only in its heartbeats, so when there is
    /// one, this takes a second look after a while.
    /// </summary>
    public static IReadOnlyList<RunStatus> Of(RunStore store, IReadOnlyList<RunKey> keys)
    {
        var listing = store.List();
        var first = keys.Select(key => listing.IsBegun(key) ? store.Sight(key) : LeaseSighting.None).ToList();
        var doubtful = first.Any(seen => seen.Record is { State: LeaseState.Held } held && held.Owner.IsAlive() is null);
        if (doubtful)
            Thread.Sleep(store.Times.Beat * 1.5);
        return [.. keys.Zip(first, (key, seen) => new RunStatus(key, Judge(key, seen), seen.Record))];

        RunPhase Judge(RunKey key, LeaseSighting seen) => (seen.Number, seen.Record) switch
        {
            _ when listing.IsComplete(key) => RunPhase.Complete,
            (0, _) => listing.IsBegun(key) ? RunPhase.Interrupted : RunPhase.Waiting,
            (_, { State: LeaseState.Released }) => RunPhase.Interrupted,
            (_, { State: LeaseState.Failed }) => RunPhase.Failed,
            (_, { } held) when held.Owner.IsAlive() is { } isAlive => isAlive ? RunPhase.Running : RunPhase.Interrupted,
            _ => store.Sight(key) == seen ? RunPhase.Silent : RunPhase.Running,
        };
    }

    /// <summary>One line: the run, its phase, and who, since when, how far, why.</summary>
    public override string ToString()
    {
        var step = Lease is { Step: > 0 } at ? $", step {at.Step}{(at.Total is { } total ? $"/{total}" : "")}" : "";
        var since = Lease is { } taken
            ? taken.Since.ToUniversalTime().ToString("yyyy-MM-dd HH:mm:ss'Z'", CultureInfo.InvariantCulture)
            : "";
        return Key.Id + Phase switch
        {
            RunPhase.Running => $": running in {Lease?.Owner.ToString() ?? "a process that has just begun"} since {since}{step}",
            RunPhase.Silent => $": not heard from {Lease?.Owner}, which took it at {since}{step}",
            RunPhase.Interrupted => $": interrupted{step}",
            RunPhase.Failed => $": failed in {Lease?.Owner}: {Lease?.Reason}",
            _ => $": {Phase.ToString().ToLowerInvariant()}",
        };
    }
}
