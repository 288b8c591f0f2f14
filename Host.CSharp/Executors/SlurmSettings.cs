using System.Text.Json;

namespace Research.Host;

/// <summary>
/// What a run asks of Slurm: defaults from `slurm.json`, over which the command line's options go. What is not given is
/// left to the cluster.
/// </summary>
public sealed record SlurmSettings
{
    private const long LongestFile = 1 << 20;

    public string? Partition { get; init; }

    public string? Account { get; init; }

    /// <summary>Time limit of a task as Slurm writes it: minutes, `hours:minutes:seconds` or `days-hours`.</summary>
    public string? Time { get; init; }

    /// <summary>Memory of a task, for instance `4G`.</summary>
    public string? Memory { get; init; }

    /// <summary>GPUs of a task: a number, or a kind and a number, for instance `a100:1`.</summary>
    public string? Gpus { get; init; }

    /// <summary>Tasks of an array that may run at a time.</summary>
    public int? Throttle { get; init; }

    /// <summary>Runs that a task computes; 1 when not given.</summary>
    public int? RunsPerTask { get; init; }

    /// <summary>Seconds before the time limit at which a task saves its runs and queues up again; 120 when not given.</summary>
    public int? Notice { get; init; }

    /// <summary>Further options for `sbatch`, as they are: for instance `--qos=long`.</summary>
    public IReadOnlyList<string> Options { get; init; } = [];

    /// <summary>Reads a file of settings; the defaults when there is none.</summary>
    /// <exception cref="ResearchException">The file cannot be read, or says what it may not.</exception>
    public static SlurmSettings Read(string path)
    {
        var file = new InputFile(path, "correct it, or remove it to have the cluster's defaults");
        if (!file.Exists)
            return new();
        var text = file.ReadText(LongestFile);
        try
        {
            using var document = JsonDocument.Parse(text);
            var settings = new SlurmSettings();
            if (document.RootElement.ValueKind != JsonValueKind.Object)
                throw new FormatException("it must be a JSON object");
            foreach (var property in document.RootElement.EnumerateObject())
                settings = settings.With(property.Name, property.Value);
            return settings;
        }
        // The last for halves of characters, which JSON can spell and text cannot hold.
        catch (Exception error) when (error is JsonException or FormatException or InvalidOperationException)
        {
            throw file.Refuse(Sentence.Of(error).TrimEnd('.'), error);
        }
    }

    /// <summary>These settings, with those of <paramref name="defaults"/> where these say nothing.</summary>
    public SlurmSettings Over(SlurmSettings defaults) => new()
    {
        Partition = Partition ?? defaults.Partition,
        Account = Account ?? defaults.Account,
        Time = Time ?? defaults.Time,
        Memory = Memory ?? defaults.Memory,
        Gpus = Gpus ?? defaults.Gpus,
        Throttle = Throttle ?? defaults.Throttle,
        RunsPerTask = RunsPerTask ?? defaults.RunsPerTask,
        Notice = Notice ?? defaults.Notice,
        Options = [.. defaults.Options, .. Options],
    };

    private SlurmSettings With(string key, JsonElement value) => key switch
    {
        "partition" => this with { Partition = Text(key, value) },
        "account" => this with { Account = Text(key, value) },
        "time" => this with { Time = Text(key, value) },
        "memory" => this with { Memory = Text(key, value) },
        "gpus" => this with { Gpus = Text(key, value) },
        "throttle" => this with { Throttle = Whole(key, value) },
        "runsPerTask" => this with { RunsPerTask = Whole(key, value) },
        "notice" => this with { Notice = Whole(key, value) },
        "options" => this with { Options = Texts(key, value) },
        _ => throw new FormatException(
            $"it says '{key}', where it may say partition, account, time, memory, gpus, throttle, runsPerTask, notice, options"),
    };

    private static string Text(string key, JsonElement value) => value.ValueKind switch
    {
        JsonValueKind.String => value.GetString()!,
        // Minutes and numbers of GPUs need no quotes.
        JsonValueKind.Number => value.GetRawText(),
        _ => throw new FormatException($"'{key}' must be a text"),
    };

    private static IReadOnlyList<string> Texts(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.Array
            ? [.. value.EnumerateArray().Select(item => Text(key, item))]
            : throw new FormatException($"'{key}' must be a list of texts");

    private static int Whole(string key, JsonElement value) =>
        value.ValueKind == JsonValueKind.Number && value.TryGetInt32(out var number) && number >= 1
            ? number
            : throw new FormatException($"'{key}' must be a whole number of at least 1");
}
