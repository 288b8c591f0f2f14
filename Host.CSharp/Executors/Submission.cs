using System.Globalization;

namespace Research.Host;

/// <summary>
/// What was handed to Slurm at one time, in `ROOT/slurm/NONCE/`: for each array its tasks (`0.txt`, a line of run ids for
/// each), its script (`0.sh`) and its tasks' output (`0-3.log`). Written before Slurm hears of it, so that a name in
/// Slurm's queue always leads back to runs, whoever asks and whatever was killed in between.
/// </summary>
internal sealed class Submission
{
    /// <summary>How the names of all arrays begin, and how that of the last task ends.</summary>
    internal const string NamePrefix = "research-", Last = "last";

    private const string LeasesFile = "leases.txt";

    /// <summary>More than a hundred thousand runs need.</summary>
    private const long LongestFile = 64 << 20;

    private readonly string folder, nonce;

    private Submission(string folder, string nonce) => (this.folder, this.nonce) = (folder, nonce);

    /// <summary>Begins a submission.</summary>
    /// <param name="root">The results directory.</param>
    /// <param name="leases">The newest lease of each run that had one, by id.</param>
    public static Submission Create(string root, IEnumerable<KeyValuePair<string, int>> leases)
    {
        var nonce = Guid.NewGuid().ToString("N")[..12];
        var folder = Path.Combine(Path.GetFullPath(root), "slurm", nonce);
        Directory.CreateDirectory(folder);
        var lines = leases.Select(pair => string.Create(CultureInfo.InvariantCulture, $"{pair.Key} {pair.Value}\n"));
        Durable.ReplaceText(Path.Combine(folder, LeasesFile), string.Concat(lines));
        return new(folder, nonce);
    }

    /// <summary>Where the output of an array's task goes; Slurm puts the task in the place of `%a`.</summary>
    public string LogOf(int array, string task) =>
        Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{array}-{task}.log"));

    /// <summary>The name of an array in Slurm.</summary>
    public string NameOf(int array) => string.Create(CultureInfo.InvariantCulture, $"{NamePrefix}{nonce}-{array}");

    /// <summary>The name of the task that follows all arrays.</summary>
    public string LastName => $"{NamePrefix}{nonce}-{Last}";

    /// <summary>Where its output goes.</summary>
    public string LastLog => Path.Combine(folder, $"{Last}.log");

    /// <summary>Writes an array's tasks and the script that starts a worker for one of them; returns the script.</summary>
    /// <param name="array">Number of the array.</param>
    /// <param name="tasks">Run ids of each task.</param>
    /// <param name="worker">The command line that works on the file of tasks it is given.</param>
    public string Write(
        int array, IReadOnlyList<IReadOnlyList<string>> tasks, Func<string, IReadOnlyList<string>> worker)
    {
        var file = TasksFile(folder, array);
        Durable.ReplaceText(file, string.Concat(tasks.Select(ids => string.Join(' ', ids) + "\n")));
        return WriteScript(string.Create(CultureInfo.InvariantCulture, $"{array}.sh"), worker(file));
    }

    /// <summary>Writes a script that runs a command; returns its path.</summary>
    public string WriteScript(string name, IReadOnlyList<string> command)
    {
        var path = Path.Combine(folder, name);
        var words = command.Select(word => $"'{word.Replace("'", "'\\''")}'");
        // A warning that comes before the program listens must not end it: see WorkerSignals.
        Durable.ReplaceText(path, $"#!/bin/sh\ntrap '' USR1\nexec {string.Join(' ', words)}\n");
        return path;
    }

    /// <summary>The run ids of each task of an array.</summary>
    /// <exception cref="ResearchException">The file cannot be read.</exception>
    public static string[][] ReadTasks(string file) =>
        [.. Lines(file).Select(line => line.Split(' ', StringSplitOptions.RemoveEmptyEntries))];

    /// <summary>The run ids of a task.</summary>
    /// <exception cref="ResearchException">The file cannot be read, or has no such task.</exception>
    public static IReadOnlyList<string> ReadTask(string file, int index) =>
        ReadTasks(file) is { } tasks && index >= 0 && index < tasks.Length
            ? tasks[index]
            : throw Input(file).Refuse(string.Create(CultureInfo.InvariantCulture, $"it has no task {index}"));

    /// <summary>The leases that were known when a file of tasks was written, by run id; 0 is not listed.</summary>
    /// <exception cref="ResearchException">Their file cannot be read, or holds something else.</exception>
    public static IReadOnlyDictionary<string, int> ReadLeases(string file)
    {
        var path = Path.Combine(Path.GetDirectoryName(file)!, LeasesFile);
        var leases = new Dictionary<string, int>();
        foreach (var line in Lines(path))
            if (line.Split(' ') is [var id, var text]
                && int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var number))
                leases[id] = number;
            else
                throw Input(path).Refuse("it holds something else than runs and their leases");
        return leases;
    }

    internal static string TasksFile(string folder, int array) =>
        Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{array}.txt"));

    private static string[] Lines(string path) =>
        Input(path).ReadText(LongestFile).Split('\n', StringSplitOptions.RemoveEmptyEntries);

    private static InputFile Input(string path) =>
        new(path, $"cancel the tasks, remove the folder '{Path.GetDirectoryName(path)}' and give the command again");
}
