using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Research.Host;

/// <summary>Whether a run's results may be used.</summary>
public enum RunState
{
    /// <summary>Being computed, or interrupted and to be resumed.</summary>
    Running,

    /// <summary>Finished; never written again.</summary>
    Complete,
}

/// <summary>The contents of `run.json`.</summary>
public sealed record RunRecord
{
    public required string Name { get; init; }

    public required string Key { get; init; }

    /// <summary>The key's fields in order.</summary>
    public required OrderedDictionary<string, string> Fields { get; init; }

    public required RunState State { get; init; }

    public required DateTimeOffset Started { get; init; }

    public DateTimeOffset? Finished { get; init; }

    /// <summary>Computing time in seconds over all sessions that ended in an orderly way.</summary>
    public double Seconds { get; init; }

    /// <summary>How many times the run was continued after an interruption.</summary>
    public int Resumed { get; init; }

    /// <summary>The machine of the last session.</summary>
    public required HostInfo Host { get; init; }

    /// <summary>Revision of the program that started the run; for the reader, not part of the key.</summary>
    public required string Revision { get; init; }

    private static readonly JsonSerializerOptions Format = new()
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>Writes the record so that a reader sees either the old or the new one.</summary>
    public void Write(string path) => Durable.ReplaceText(path, JsonSerializer.Serialize(this, Format) + "\n");

    /// <summary>The record, or null when there is none that can be read: the run then starts again.</summary>
    public static RunRecord? TryRead(string path)
    {
        try
        {
            return File.Exists(path) ? JsonSerializer.Deserialize<RunRecord>(File.ReadAllText(path), Format) : null;
        }
        catch (JsonException)
        {
            return null;
        }
    }
}
