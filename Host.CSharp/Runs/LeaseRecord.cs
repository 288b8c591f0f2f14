using System.Text.Encodings.Web;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Research.Host;

/// <summary>What the owner of a lease says about it.</summary>
public enum LeaseState
{
    /// <summary>The owner computes the run, or has died.</summary>
    Held,

    /// <summary>The owner stopped before the run was complete: whoever comes next continues at once.</summary>
    Released,

    /// <summary>The run failed.</summary>
    Failed,
}

/// <summary>The contents of a `lease-N.json`, which its owner writes again with every heartbeat.</summary>
public sealed record LeaseRecord
{
    public required LeaseOwner Owner { get; init; }

    public required LeaseState State { get; init; }

    /// <summary>When the owner took it, by the owner's clock: for people, compared with nothing.</summary>
    public required DateTimeOffset Since { get; init; }

    /// <summary>Heartbeats so far.</summary>
    public long Beat { get; init; }

    /// <summary>Training steps done when the heart last beat.</summary>
    public long Step { get; init; }

    /// <summary>Training steps in all, when that is known.</summary>
    public long? Total { get; init; }

    /// <summary>Why the run failed or was released.</summary>
    public string? Reason { get; init; }

    private static readonly JsonSerializerOptions Format = new()
    {
        PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
        Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping,
        RespectNullableAnnotations = true,
        Converters = { new JsonStringEnumConverter(JsonNamingPolicy.CamelCase, allowIntegerValues: false) },
    };

    public string ToJson() => JsonSerializer.Serialize(this, Format) + "\n";

    /// <summary>The record that a text holds; null when it holds none, as a file just created does.</summary>
    public static LeaseRecord? Parse(string text)
    {
        try
        {
            return JsonSerializer.Deserialize<LeaseRecord>(text, Format);
        }
        catch (JsonException)
        {
            return null;
        }
    }
}

/// <summary>How fast hearts beat, and how long one may be silent.</summary>
public sealed record LeaseTimes
{
    /// <summary>Time between two heartbeats.</summary>
    public TimeSpan Beat { get; init; } = TimeSpan.FromSeconds(5);

    /// <summary>Silence after which a lease is taken over.</summary>
    public TimeSpan TakeOver { get; init; } = TimeSpan.FromSeconds(60);

    /// <summary>Time between two looks at a run that another process computes.</summary>
    public TimeSpan Poll { get; init; } = TimeSpan.FromSeconds(1);
}
