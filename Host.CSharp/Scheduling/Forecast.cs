namespace Research.Host;

/// <summary>
/// What is left of a command: from what the nearest earlier run of each item took, and for a running one from its own
/// rate. Not for two threads at once.
/// </summary>
public sealed class Forecast
{
    private readonly int cores;
    private readonly Dictionary<string, Share> open;
    private double coreSeconds;
    private int unknown;

    /// <param name="cores">Cores at work at a time.</param>
    /// <param name="items">All items, with the time that each should take; null where no earlier run tells.</param>
    public Forecast(int cores, IEnumerable<(WorkItem Item, TimeSpan? Expected)> items)
    {
        this.cores = cores;
        open = items.ToDictionary(
            pair => pair.Item.Id, pair => new Share(pair.Item.Cores(cores), pair.Expected));
        coreSeconds = open.Values.Sum(share => share.CoreSeconds ?? 0);
        unknown = open.Values.Count(share => share.Expected is null);
        Items = open.Count;
    }

    /// <summary>A command of so many items of which nothing is known.</summary>
    public Forecast(int items) : this(1, []) => Items = items;

    /// <summary>Items in all.</summary>
    public int Items { get; }

    /// <summary>An item is over.</summary>
    public void End(string id)
    {
        if (!open.Remove(id, out var share))
            return;
        coreSeconds -= share.CoreSeconds ?? 0;
        unknown -= share.Expected is null ? 1 : 0;
    }

    /// <summary>
    /// `about 4:10 left`; `at least 4:10 left` where of some items nothing is known; empty where of none is.
    /// </summary>
    /// <param name="running">The items that run now.</param>
    public string Left(IEnumerable<ProgressMeter> running)
    {
        var (seconds, longest, hidden) = (coreSeconds, 0.0, unknown);
        foreach (var meter in running)
        {
            if (!open.TryGetValue(meter.Id, out var share) || Remaining(meter, share) is not { } rest)
                continue;
            seconds += share.Cores * rest - (share.CoreSeconds ?? 0);
            longest = Math.Max(longest, rest);
            hidden -= share.Expected is null ? 1 : 0;
        }
        // No earlier than the longest of those that run, however many cores there are.
        var left = Math.Max(longest, seconds / cores);
        return left <= 0 ? "" : $"{(hidden > 0 ? "at least" : "about")} {ProgressFormat.Time(TimeSpan.FromSeconds(left))} left";
    }

    private static double? Remaining(ProgressMeter meter, Share share) =>
        meter.Read().Remaining is { } own ? own.TotalSeconds
        : share.Expected is { } expected ? Math.Max(0, (expected - meter.Elapsed).TotalSeconds)
        : null;

    private readonly record struct Share(int Cores, TimeSpan? Expected)
    {
        public double? CoreSeconds => Expected is { } time ? Cores * time.TotalSeconds : null;
    }
}
