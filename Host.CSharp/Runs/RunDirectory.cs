using System.Globalization;
using System.Text.Json;
using System.Text.Json.Serialization;

namespace Research.Host;

/// <summary>
/// The results of one run: `run.json`, `metrics.csv`, `values.json`, `log.txt`, tensors, pictures. While the run
/// is incomplete it may be written and resumed; once complete, every member that would write throws
/// <see cref="InvalidOperationException"/>.
/// </summary>
[OutsideResults("it keeps what it is given")]
public sealed class RunDirectory
{
    private const string RecordFile = "run.json", LogFile = "log.txt", ValuesFile = "values.json",
        CheckpointDirectory = "checkpoints";

    /// <summary>Far more than a run's figures and notes need.</summary>
    private const long LongestValues = 64 << 20, LongestLog = 64 << 20;

    private static readonly JsonSerializerOptions ValuesFormat = new(JsonSerializerDefaults.Strict)
    {
        WriteIndented = true,
        NumberHandling = JsonNumberHandling.AllowNamedFloatingPointLiterals,
    };

    private readonly Lock logLock = new();
    private readonly Action<RunDirectory>? publish;

    private RunDirectory(string path, RunRecord record, Action<RunDirectory>? publish = null)
    {
        Path = path;
        Record = record;
        this.publish = publish;
    }

    /// <summary>Where the files are: a folder of this attempt until the run is published, then its final one.</summary>
    public string Path { get; private set; }

    /// <summary>What `run.json` says now.</summary>
    public RunRecord Record { get; private set; }

    public bool IsComplete => Record.State == RunState.Complete;

    /// <summary>
    /// Opens a run for computing in an existing folder: begins it, or continues what an earlier attempt left there.
    /// </summary>
    /// <param name="path">The attempt's folder.</param>
    /// <param name="key">The run.</param>
    /// <param name="publish">Gives the complete run its final place; see <see cref="MoveTo"/>.</param>
    internal static RunDirectory OpenForComputing(string path, RunKey key, Action<RunDirectory> publish)
    {
        var file = System.IO.Path.Combine(path, RecordFile);
        if (RunRecord.TryRead(Input(path, RecordFile)) is not { } record || !IsOf(record, path, key))
            record = new()
            {
                Name = key.Name,
                Key = key.Digest,
                Fields = key.Fields,
                Functions = new(key.Functions.ToDictionary(), StringComparer.Ordinal),
                State = RunState.Running,
                Started = DateTimeOffset.UtcNow,
                Host = HostInfo.Current,
                Revision = HostInfo.Revision,
                Artefacts = [],
                Seal = "",
            };
        else if (record.State == RunState.Running)
            record = record with { Resumed = record.Resumed + 1, Host = HostInfo.Current };
        record.Write(file);
        return new(path, record, publish);
    }

    /// <summary>Opens a complete run for reading.</summary>
    /// <exception cref="ResearchException">Its record is damaged, or another run's.</exception>
    internal static RunDirectory OpenComplete(string path, RunKey key)
    {
        var file = Input(path, RecordFile);
        var record = RunRecord.Read(file);
        return record.State == RunState.Complete && record.Name == key.Name && record.Key == key.Digest
            ? new(path, record)
            : throw file.Refuse("it is the record of another run");
    }

    /// <summary>Opens a run for reading, or returns null when there is none that can be used.</summary>
    internal static RunDirectory? TryOpen(string path) =>
        RunRecord.TryRead(Input(path, RecordFile)) is { } record ? new(path, record) : null;

    /// <summary>Looks at every file of a complete run.</summary>
    /// <exception cref="ResearchException">One is missing, or is not as the run left it.</exception>
    internal void RequireSound()
    {
        foreach (var name in Record.Artefacts.Keys)
            Sound(name);
    }

    /// <summary>Path of a file of the run, for reading.</summary>
    public string PathOf(string name) => System.IO.Path.Combine(Path, name);

    /// <summary>Path of a file that the caller is about to write; its folder is created.</summary>
    public string PathForWriting(string name)
    {
        RequireIncomplete();
        var folder = Path;
        foreach (var part in name.Split('/')[..^1])
        {
            folder = System.IO.Path.Combine(folder, part);
            Durable.CreateFolder(folder);
        }
        return PathOf(name);
    }

    /// <summary>Writes named tensors to `name.safetensors`.</summary>
    public void SaveTensors(
        string name, IReadOnlyList<TensorEntry> tensors, IReadOnlyDictionary<string, string>? metadata = null) =>
        Durable.Replace(PathForWriting($"{name}.safetensors"),
            stream => SafetensorsFile.Write(stream, tensors, metadata));

    /// <summary>Reads `name.safetensors`.</summary>
    public SafetensorsFile ReadTensors(string name) => SafetensorsFile.Read(Sound($"{name}.safetensors"));

    /// <summary>Writes the run's final figures to `values.json`, to the bit.</summary>
    public void SaveValues(IReadOnlyDictionary<string, double> values) =>
        Durable.ReplaceText(PathForWriting(ValuesFile), JsonSerializer.Serialize(values, ValuesFormat) + "\n");

    /// <summary>The run's final figures; empty when it has none.</summary>
    public IReadOnlyDictionary<string, double> ReadValues() =>
        Has(ValuesFile)
            ? Sound(ValuesFile).ReadJson<Dictionary<string, double>>(LongestValues, ValuesFormat)
            : new Dictionary<string, double>();

    /// <summary>Opens the metrics of a training; each training of a run has its own file.</summary>
    public MetricsLog OpenMetrics(string training = TrainingNames.Default) =>
        new(PathForWriting(TrainingNames.MetricsFile(training)));

    /// <summary>Rows of a training's metrics in the order written; empty when there are none.</summary>
    public IReadOnlyList<MetricRow> ReadMetrics(string training = TrainingNames.Default)
    {
        var name = TrainingNames.MetricsFile(training);
        return Has(name) ? MetricsLog.Read(Sound(name)) : [];
    }

    /// <summary>The checkpoints of a training of this run.</summary>
    public CheckpointStore Checkpoints(
        string training = TrainingNames.Default, Action<SaveStage>? observer = null)
    {
        RequireIncomplete();
        return new(PathOf(CheckpointDirectory), training) { Observer = observer };
    }

    /// <summary>Adds a dated line to `log.txt`.</summary>
    public void Note(string message)
    {
        var line = string.Create(CultureInfo.InvariantCulture, $"{DateTimeOffset.UtcNow:u} {message}\n");
        lock (logLock)
        {
            try
            {
                File.AppendAllText(PathOf(LogFile), line);
            }
            catch (IOException error) when (Durable.IsDiskFull(error))
            {
                throw Durable.DiskFull(PathOf(LogFile), error);
            }
        }
    }

    /// <summary>Lines of `log.txt`, oldest first.</summary>
    public IReadOnlyList<string> ReadNotes() =>
        Has(LogFile) ? Sound(LogFile).ReadText(LongestLog).TrimEnd('\n').Split('\n') : [];

    /// <summary>
    /// Marks the run complete, drops its checkpoints, which nobody needs any more, and publishes it: from now on
    /// everybody sees all of it.
    /// </summary>
    public void Complete(TimeSpan session)
    {
        RequireIncomplete();
        Update(Record with
        {
            State = RunState.Complete,
            Artefacts = FindArtefacts(),
            Finished = DateTimeOffset.UtcNow,
            Seconds = Record.Seconds + session.TotalSeconds,
        });
        Publish();
    }

    /// <summary>What <see cref="Complete"/> does last; also for a run whose owner was killed just before it.</summary>
    internal void Publish()
    {
        if (Directory.Exists(PathOf(CheckpointDirectory)))
            Directory.Delete(PathOf(CheckpointDirectory), recursive: true);
        publish?.Invoke(this);
    }

    /// <summary>Moves the whole run by one rename, unless it is there already: equal keys have equal results.</summary>
    internal void MoveTo(string path)
    {
        try
        {
            Directory.Move(Path, path);
        }
        catch (IOException) when (Directory.Exists(path) && Directory.Exists(Path))
        {
            Directory.Delete(Path, recursive: true);
        }
        Path = path;
    }

    /// <summary>Records the time of a session that ended before the run was complete.</summary>
    internal void Interrupt(TimeSpan session) =>
        Update(Record with { Seconds = Record.Seconds + session.TotalSeconds });

    private void Update(RunRecord record)
    {
        record.Write(PathOf(RecordFile));
        Record = record;
    }

    /// <summary>Whether a record that an earlier attempt left can be gone on with.</summary>
    private static bool IsOf(RunRecord record, string path, RunKey key)
    {
        if (record.Name != key.Name || record.Key != key.Digest)
            return false;
        if (record.State == RunState.Running)
            return true;
        try
        {
            new RunDirectory(path, record).RequireSound();
            return true;
        }
        catch (ResearchException)
        {
            return false;
        }
    }

    private static InputFile Input(string path, string name) =>
        new(System.IO.Path.Combine(path, name),
            $"remove the folder '{path}' and run the same command again, which computes the run again");

    private bool Has(string name) => IsComplete ? Record.Artefacts.ContainsKey(name) : Input(Path, name).Exists;

    /// <summary>A file for reading. A complete run's is the one that it was completed with.</summary>
    private InputFile Sound(string name)
    {
        var file = Input(Path, name);
        if (!IsComplete)
            return file;
        if (!Record.Artefacts.TryGetValue(name, out var expected))
            throw file.Refuse("the run was completed without it");
        if (file.Read(stream => stream.Length != expected.Bytes || Artefact.Of(stream) != expected))
            throw file.Refuse("it was changed after the run was completed");
        return file;
    }

    private SortedDictionary<string, Artefact> FindArtefacts()
    {
        var artefacts = new SortedDictionary<string, Artefact>(StringComparer.Ordinal);
        foreach (var path in Directory.EnumerateFiles(Path, "*", SearchOption.AllDirectories))
        {
            var name = System.IO.Path.GetRelativePath(Path, path).Replace('\\', '/');
            if (name.EndsWith(Durable.TemporarySuffix, StringComparison.Ordinal))
                File.Delete(path);
            else if (name != RecordFile && !name.StartsWith(CheckpointDirectory + "/", StringComparison.Ordinal))
                artefacts.Add(name, Input(Path, name).Read(Artefact.Of));
        }
        return artefacts;
    }

    private void RequireIncomplete()
    {
        if (IsComplete)
            throw new InvalidOperationException($"the run in '{Path}' is complete and is never written again");
    }
}
