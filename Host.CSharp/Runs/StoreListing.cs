namespace Research.Host;

/// <summary>
/// Which runs a store held when it was listed: two reads of a folder, however many runs there are. A run is complete
/// once its folder is among the published ones.
/// </summary>
public sealed class StoreListing
{
    // A hyphen and sixteen digits.
    private const int EndingLength = 17;

    private readonly HashSet<string> complete, begun;
    private readonly Lazy<ILookup<string, string>> byName;

    internal StoreListing(string runs, string work)
    {
        // First the work: a run that is published in between is seen in one place at least.
        begun = Names(work);
        complete = Names(runs);
        byName = new(() => complete.Concat(begun).Distinct()
            .Where(id => id.Length > EndingLength)
            .ToLookup(id => id[..^EndingLength]));
    }

    /// <summary>Whether the run's results may be used.</summary>
    public bool IsComplete(RunKey key) => complete.Contains(key.Id);

    /// <summary>Whether somebody has begun the run and it is not complete.</summary>
    public bool IsBegun(RunKey key) => begun.Contains(key.Id) && !IsComplete(key);

    /// <summary>Runs that are begun or complete.</summary>
    public int Count => complete.Count + begun.Count(id => !complete.Contains(id));

    /// <summary>Ids of complete runs that still have a folder for work on them.</summary>
    internal IEnumerable<string> Leftovers => begun.Where(complete.Contains);

    /// <summary>Ids of the runs of a name.</summary>
    internal IEnumerable<string> Named(string name) => byName.Value[name];

    private static HashSet<string> Names(string folder) =>
        Directory.Exists(folder)
            ? [.. Directory.EnumerateFileSystemEntries(folder).Select(path => Path.GetFileName(path)!)]
            : [];
}
