namespace Research.Host;

/// <summary>A field in which a wanted run differs from one that exists; null where a side lacks the field.</summary>
public sealed record KeyChange(string Field, string? Was, string? Now)
{
    private const int MostNamed = 8;

    /// <summary>The functions that make the difference, when the field is `code`.</summary>
    public IReadOnlyList<string> Functions { get; init; } = [];

    public override string ToString() => (Was, Now) switch
    {
        _ when Functions.Count > MostNamed =>
            $"{Field} has changed: {string.Join(", ", Functions.Take(MostNamed))} and {Functions.Count - MostNamed} more",
        _ when Functions.Count > 0 => $"{Field} has changed: {string.Join(", ", Functions)}",
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
    /// <summary>The answer when the run failed or its files are damaged.</summary>
    public string? Fault { get; init; }

    /// <summary>The answer in one sentence.</summary>
    public override string ToString() => Fault ?? (State, Nearest) switch
    {
        (RunState.Complete, _) => $"{Wanted.Id} is complete, so nothing is computed.",
        (RunState.Running, _) => $"{Wanted.Id} is begun and not finished, so it is continued.",
        (_, null) => $"{Wanted.Id} is computed because there is no run named {Wanted.Name} yet.",
        _ => $"{Wanted.Id} is computed because, compared with {Nearest.Name}-{Nearest.Key}, "
            + $"{string.Join("; ", Changes)}.",
    };

    internal static IReadOnlyList<KeyChange> Compare(RunRecord record, RunKey key)
    {
        var changes = key.Fields.Keys.Union(record.Fields.Keys)
            .Select(field => new KeyChange(
                field, record.Fields.GetValueOrDefault(field), key.Fields.GetValueOrDefault(field)))
            .Where(change => change.Was != change.Now)
            .Select(change => change.Field == RunKey.CodeField ? change with { Functions = Changed(record, key) } : change)
            .ToList();
        // Equal fields in another order also make another key.
        return changes.Count > 0 ? changes : [new("the order of the fields", "different", "as given")];
    }

    // A function that only one side has is new, gone, or has another name.
    private static List<string> Changed(RunRecord record, RunKey key) =>
    [
        .. from name in key.Functions.Keys.Union(record.Functions.Keys).Order(StringComparer.Ordinal)
           let was = record.Functions.GetValueOrDefault(name)
           let now = key.Functions.GetValueOrDefault(name)
           where was != now
           select (was, now) switch
           {
               (null, _) => $"{name} (new)",
               (_, null) => $"{name} (gone)",
               _ => name,
           }
    ];
}
