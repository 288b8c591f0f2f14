using System.Globalization;

namespace Research.Host;

/// <summary>
/// What the submissions of a store say about the tasks in Slurm's queue. Their files never change, so each is read
/// once, however often Slurm is asked and however many tasks it names.
/// </summary>
/// <param name="root">The results directory.</param>
internal sealed class Submissions(string root)
{
    private readonly Dictionary<string, string[][]> read = [];

    /// <summary>The runs of a task that Slurm names; none when the name leads to no submission of this store.</summary>
    public IReadOnlyList<string> RunsOf(QueuedTask task) =>
        FolderOf(task, out var ending) is { } folder
        && int.TryParse(ending, NumberStyles.None, CultureInfo.InvariantCulture, out var array)
        && task.Index is { } index
        && Read(Submission.TasksFile(folder, array)) is { } tasks
        && index < tasks.Length
            ? tasks[index]
            : [];

    /// <summary>Whether a task that Slurm names is the last one of a submission of this store.</summary>
    public bool IsLast(QueuedTask task) =>
        FolderOf(task, out var ending) is { } folder && ending == Submission.Last && Directory.Exists(folder);

    private string[][] Read(string file)
    {
        if (read.TryGetValue(file, out var tasks))
            return tasks;
        // Another store's tasks have the same kind of name.
        return File.Exists(file) ? read[file] = Submission.ReadTasks(file) : [];
    }

    private string? FolderOf(QueuedTask task, out string ending)
    {
        ending = "";
        if (!task.Name.StartsWith(Submission.NamePrefix, StringComparison.Ordinal)
            || task.Name[Submission.NamePrefix.Length..].Split('-') is not [var nonce, var last]
            || !nonce.All(char.IsAsciiHexDigit))
            return null;
        ending = last;
        return Path.Combine(root, "slurm", nonce);
    }
}
