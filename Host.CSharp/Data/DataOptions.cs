using System.Collections.Concurrent;

namespace Research.Host;

/// <summary>Where data may come from.</summary>
/// <param name="Directory">The data directory asked for (<c>--data</c> or RESEARCH_DATA), or null.</param>
/// <param name="AllowDownload">Whether a missing set may be downloaded to <c>./data</c>.</param>
/// <param name="ForceStandIn">Use the procedural stand-in whatever is there.</param>
[OutsideResults("the digest of the data is in the key")]
public sealed record DataOptions(string? Directory, bool AllowDownload, bool ForceStandIn = false)
{
    /// <summary>Where data is looked for when no directory is named, and where downloads go.</summary>
    public string Default { get; init; } = "data";

    private static readonly ConcurrentDictionary<string, bool> Said = new();

    /// <summary>
    /// Receives one sentence when the data is not what was asked for. By default it goes to standard error, once
    /// per process: many runs load the same set.
    /// </summary>
    public Action<string> Warn { get; init; } = message =>
    {
        if (Said.TryAdd(message, true)) Console.Error.WriteLine($"warning: {message}");
    };

    /// <summary>Fetches missing sets; tests put one for a local server here.</summary>
    public Downloader Downloader { get; init; } = Downloader.Impatient;

    /// <summary><paramref name="directory"/>, else the environment variable RESEARCH_DATA, else null.</summary>
    public static string? Explicit(string? directory) =>
        !string.IsNullOrEmpty(directory) ? directory
        : Environment.GetEnvironmentVariable("RESEARCH_DATA") is { Length: > 0 } named ? named
        : null;
}
