namespace Research.Host;

/// <summary>Instants of <see cref="CheckpointStore.Save"/> between which the process may die.</summary>
public enum SaveStage
{
    /// <summary>Part of the new checkpoint is in the temporary file.</summary>
    Writing,

    /// <summary>The temporary file is complete and on the disk.</summary>
    Flushed,

    /// <summary>The last checkpoint has become the previous one; there is no current one.</summary>
    Retired,

    /// <summary>The new checkpoint is current.</summary>
    Renamed,
}

/// <summary>What <see cref="CheckpointStore.Load"/> found.</summary>
/// <param name="File">The newest usable checkpoint, or null: start from scratch.</param>
/// <param name="Messages">One sentence for every checkpoint that could not be used; for the run's log.</param>
[OutsideResults("a run that was resumed has the same bits")]
public sealed record LoadedCheckpoint(SafetensorsFile? File, IReadOnlyList<string> Messages);

/// <summary>
/// The newest checkpoint and the one before it, in one directory. A save writes a temporary file, flushes it,
/// renames the current checkpoint to previous and the temporary to current. At every instant at least one
/// complete checkpoint exists under one of the two names, and loading considers both, so a process may be
/// killed anywhere. Not for use by two threads at once.
/// </summary>
[OutsideResults("a run that was resumed has the same bits")]
public sealed class CheckpointStore
{
    private readonly string directory, current, previous, temporary;

    /// <param name="directory">Created when missing; what it lies in must exist.</param>
    /// <param name="name">File name without extension.</param>
    public CheckpointStore(string directory, string name)
    {
        this.directory = directory;
        current = Path.Combine(directory, $"{name}.safetensors");
        previous = Path.Combine(directory, $"{name}.previous.safetensors");
        temporary = Path.Combine(directory, $"{name}.tmp");
    }

    /// <summary>
    /// Called at each stage of a save. It exists for the test that kills the process inside a save, which makes
    /// the windows between the stages wide enough to be hit.
    /// </summary>
    public Action<SaveStage>? Observer { get; init; }

    /// <summary>Saves; returns once the checkpoint is on the disk.</summary>
    /// <param name="specs">Tensors to save.</param>
    /// <param name="emit">Appends the bytes of one tensor.</param>
    /// <param name="metadata">Scalars beside the tensors.</param>
    /// <exception cref="ResearchException">
    /// No space left on the disk. The checkpoints that existed are intact and the temporary file is gone.
    /// </exception>
    public void Save(
        IReadOnlyList<TensorSpec> specs, Action<TensorSpec, SafetensorsFile.Append> emit,
        IReadOnlyDictionary<string, string> metadata)
    {
        Durable.CreateFolder(directory);
        var isFirst = true;
        Durable.WriteFlushed(temporary, current, stream => SafetensorsFile.Write(stream, specs, (spec, append) =>
        {
            emit(spec, append);
            if (!isFirst)
                return;
            isFirst = false;
            Observer?.Invoke(SaveStage.Writing);
        }, metadata));
        Observer?.Invoke(SaveStage.Flushed);
        if (File.Exists(current))
            File.Move(current, previous, overwrite: true);
        Observer?.Invoke(SaveStage.Retired);
        File.Move(temporary, current, overwrite: true);
        Durable.FlushDirectory(directory);
        Observer?.Invoke(SaveStage.Renamed);
    }

    /// <summary>
    /// Finds the newest checkpoint that is complete, has a right checksum and is not rejected. One that cannot be
    /// used is set aside as `*.damaged`, so that the next save does not retire it over a sound previous one.
    /// </summary>
    /// <exception cref="ResearchException">A checkpoint is there and cannot be read.</exception>
    /// <param name="reject">Says in a sentence without a full stop why a sound file cannot be used, or null.</param>
    public LoadedCheckpoint Load(Func<SafetensorsFile, string?>? reject = null)
    {
        var messages = new List<string>();
        var hasAny = false;
        foreach (var (path, what) in new[] { (current, "checkpoint"), (previous, "previous checkpoint") })
        {
            var file = new InputFile(path, "make it readable, or remove it to go on without it");
            if (!file.Exists)
                continue;
            hasAny = true;
            // One that cannot be read may be sound, so that raises: it is not lost as a damaged one is.
            var (checkpoint, fault) = file.Read(stream => Examine(stream, reject));
            if (fault is null)
            {
                if (path == previous)
                    messages.Add("continuing from the previous checkpoint");
                return new(checkpoint, messages);
            }
            messages.Add($"the {what} '{path}' cannot be used: {fault}");
            File.Move(path, path + ".damaged", overwrite: true);
        }
        if (hasAny)
            messages.Add("no usable checkpoint is left, so this run starts from scratch");
        return new(null, messages);
    }

    private static (SafetensorsFile? File, string? Fault) Examine(
        Stream stream, Func<SafetensorsFile, string?>? reject)
    {
        try
        {
            var file = SafetensorsFile.Decode(stream);
            return (file, file.IsChecksummed ? reject?.Invoke(file) : "it has lost its checksum");
        }
        catch (FormatException error)
        {
            return (null, error.Message);
        }
    }
}
