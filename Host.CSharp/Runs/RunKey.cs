using System.Globalization;
using System.Security.Cryptography;
using System.Text.Json;

namespace Research.Host;

/// <summary>
/// Everything that decides a run's results. Two runs with equal keys have equal results, so the second is
/// not computed. What is not in the key (a comment, a plot's colour) retrains nothing.
/// </summary>
[OutsideResults("a dependency's key is part of the key")]
public sealed class RunKey
{
    internal const string CodeField = "code";

    private readonly RunCode code;

    /// <param name="name">Experiment and run, for instance `hw5.2.beta10`: letters, digits and `. _ -`.</param>
    /// <param name="configuration">Hyperparameters by name, in an order that the experiment keeps.</param>
    /// <param name="seed">Seed of all noise and permutations of the run.</param>
    /// <param name="data">Digest of the data, or `none`.</param>
    /// <param name="engine">Library, version and kind of device, for instance `libtorch 1.13.0 cpu`.</param>
    /// <param name="code">The code that computes the results.</param>
    /// <param name="dependencies">Keys of the runs whose results this one reads.</param>
    public RunKey(
        string name, IEnumerable<KeyValuePair<string, string>> configuration, long seed, string data, string engine,
        RunCode code, IEnumerable<RunKey>? dependencies = null)
    {
        if (name.Length == 0 || !name.All(c => char.IsAsciiLetterOrDigit(c) || c is '.' or '_' or '-'))
            throw new ArgumentException($"'{name}' is not a run name: use letters, digits and . _ -", nameof(name));
        Name = name;
        Seed = seed;
        Dependencies = [.. dependencies ?? []];
        Fields = [];
        foreach (var (field, value) in configuration)
            Fields.Add($"configuration.{field}", value);
        Fields.Add("seed", seed.ToString(CultureInfo.InvariantCulture));
        Fields.Add("data", data);
        Fields.Add("engine", engine);
        Fields.Add(CodeField, code.Digest);
        this.code = code;
        foreach (var group in Dependencies.GroupBy(key => key.Name))
            Fields.Add($"dependency {group.Key}", string.Join(' ', group.Select(key => key.Digest)));
        Digest = Hash(name, Fields);
    }

    public string Name { get; }

    public long Seed { get; }

    public IReadOnlyList<RunKey> Dependencies { get; }

    /// <summary>The digests of the functions behind the field `code`, by name.</summary>
    public IReadOnlyDictionary<string, string> Functions => code.Functions;

    /// <summary>All that is hashed beside the name, in order: what `why` compares.</summary>
    internal OrderedDictionary<string, string> Fields { get; }

    /// <summary>A hyperparameter, or null where the configuration has none of that name.</summary>
    public string? Configuration(string name) => Fields.GetValueOrDefault($"configuration.{name}");

    /// <summary>16 hexadecimal digits of SHA-256 over the name and the fields.</summary>
    public string Digest { get; }

    /// <summary>Name of the run's directory: `name-digest`.</summary>
    public string Id => $"{Name}-{Digest}";

    public override string ToString() => Id;

    private static string Hash(string name, IEnumerable<KeyValuePair<string, string>> fields)
    {
        // JSON as the hashed form, because its quoting keeps ("a", "b,c") and ("a,b", "c") apart.
        string[][] lines = [["name", name], .. fields.Select(field => new[] { field.Key, field.Value })];
        return Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(lines)))[..16];
    }
}
