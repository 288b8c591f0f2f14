using System.Security.Cryptography;
using System.Text;
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

    /// <summary>The digests of the functions behind the field `code`, by name: what tells which of them changed since.</summary>
    public required SortedDictionary<string, string> Functions { get; init; }

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

    /// <summary>
    /// Every other file of a complete run, by name, as the run left it; none before. Reading compares, so that no
    /// changed number gets into a table.
    /// </summary>
    public required SortedDictionary<string, Artefact> Artefacts { get; init; }

    /// <summary>SHA-256 of this record with this field empty.</summary>
    public required string Seal { get; init; }

    /// <summary>Far more than any record needs.</summary>
    private const long LongestRecord = 64 << 20;

    private static readonly JsonSerializerOptions Format = new(JsonSerializerDefaults.Strict)
    {
        WriteIndented = true,
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase) },
    };

    /// <summary>Writes the record so that a reader sees either the old or the new one.</summary>
    public void Write(string path) => Durable.ReplaceText(path, (this with { Seal = ComputeSeal() }).ToJson() + "\n");

    /// <exception cref="ResearchException">It is missing, damaged, changed or of another version.</exception>
    public static RunRecord Read(InputFile file)
    {
        var record = file.ReadJson<RunRecord>(LongestRecord, Format);
        return record.Seal == record.ComputeSeal() ? record : throw file.Refuse("it was changed after the run wrote it");
    }

    /// <summary>The record, or null when there is none that can be used.</summary>
    public static RunRecord? TryRead(InputFile file)
    {
        try
        {
            return Read(file);
        }
        catch (ResearchException)
        {
            return null;
        }
    }

    private string ToJson() => JsonSerializer.Serialize(this, Format);

    private string ComputeSeal() =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes((this with { Seal = "" }).ToJson())));
}

/// <summary>A file of a complete run.</summary>
/// <param name="Bytes">Its length.</param>
/// <param name="Sha256">Its digest in lower-case hex.</param>
public sealed record Artefact(long Bytes, string Sha256)
{
    /// <summary>What a stream holds; it is at its start again afterwards.</summary>
    internal static Artefact Of(Stream stream)
    {
        var artefact = new Artefact(stream.Length, Convert.ToHexStringLower(SHA256.HashData(stream)));
        stream.Position = 0;
        return artefact;
    }
}
