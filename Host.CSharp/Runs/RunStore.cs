namespace Research.Host;

/// <summary>A field in which a wanted run differs from one that exists; null where a side lacks the field.</summary>
public sealed record KeyChange(string Field, string? Was, string? Now)
{
    public override string ToString() => (Was, Now) switch
    {
        (null, _) => $"{Field} is new: {Now}",
        (_, null) => $"{Field} is gone, it was {Was}",
        _ => $"{Field} was {Was}, is now {Now}",
    };
}

/// <summary>Answer to "why would this run be computed?".</summary>
/// <param name="Wanted">The run in question.</param>
/// <param name="State">Its own state, or null when it does not exist.</param>
/// <param name="Nearest">The existing run of that name with the fewest differences, when it is another one.</param>
/// <param name="Changes">The differences from <paramref name="Nearest"/>.</param>
public sealed record WhyReport(
    RunKey Wanted, RunState? State, RunRecord? Nearest, IReadOnlyList<KeyChange> Changes)
{
    /// <summary>The answer in one sentence.</summary>
    public override string ToString() => (State, Nearest) switch
    {
        (RunState.Complete, _) => $"{Wanted.Id} is complete, so nothing is computed.",
        (RunState.Running, _) => $"{Wanted.Id} was interrupted, so it is resumed.",
        (_, null) => $"{Wanted.Id} is computed because there is no run named {Wanted.Name} yet.",
        _ => $"{Wanted.Id} is computed because, compared with {Nearest.Name}-{Nearest.Key}, "
            + $"{string.Join("; ", Changes)}.",
    };
}

/// <summary>All runs under one results directory: `ROOT/runs/NAME-DIGEST/`.</summary>
public sealed class RunStore
{
    private readonly string runs;

    public RunStore(string root)
    {
        Root = root;
        runs = Path.Combine(root, "runs");
    }

    /// <summary>The results directory.</summary>
    public string Root { get; }

    /// <summary>Opens a run for computing; it exists afterwards. A complete run can only be read.</summary>
    public RunDirectory Open(RunKey key) => RunDirectory.OpenOrCreate(PathOf(key), key);

    /// <summary>The run if it exists, in whatever state.</summary>
    public RunDirectory? Find(RunKey key) => RunDirectory.TryOpen(PathOf(key));

    /// <summary>The run's results.</summary>
    /// <exception cref="ResearchException">The run is not complete.</exception>
    public RunDirectory Require(RunKey key) =>
        Find(key) is { IsComplete: true } run
            ? run
            : throw new ResearchException($"run {key.Id} is not complete, so its results cannot be shown yet.");

    public bool IsComplete(RunKey key) => Find(key) is { IsComplete: true };

    /// <summary>Records of the existing runs of a name, newest first.</summary>
    public IReadOnlyList<RunRecord> History(string name) =>
        !Directory.Exists(runs)
            ? []
            : [.. Directory.EnumerateDirectories(runs, $"{name}-*")
                .Select(path => RunDirectory.TryOpen(path)?.Record)
                .OfType<RunRecord>()
                .Where(record => record.Name == name)
                .OrderByDescending(record => record.Started)];

    /// <summary>Says whether a run would be computed, and what has changed since the nearest existing one.</summary>
    public WhyReport Why(RunKey key)
    {
        if (Find(key) is { } existing)
            return new(key, existing.Record.State, null, []);
        var candidates = History(key.Name).Select(record => (Record: record, Changes: Compare(record, key)));
        return candidates.OrderBy(candidate => candidate.Changes.Count).FirstOrDefault() is { Record: not null } nearest
            ? new(key, null, nearest.Record, nearest.Changes)
            : new(key, null, null, []);
    }

    private static List<KeyChange> Compare(RunRecord record, RunKey key)
    {
        var changes = key.Fields.Keys.Union(record.Fields.Keys)
            .Select(field => new KeyChange(
                field, record.Fields.GetValueOrDefault(field), key.Fields.GetValueOrDefault(field)))
            .Where(change => change.Was != change.Now)
            .ToList();
        // Equal fields in another order also make another key.
        return changes.Count > 0 ? changes : [new("the order of the fields", "different", "as given")];
    }

    private string PathOf(RunKey key) => Path.Combine(runs, key.Id);
}
