using System.ComponentModel;
using System.Diagnostics;
using System.Globalization;

namespace Research.Host;

/// <summary>A task of ours that Slurm knows.</summary>
/// <param name="Job">Number of its array as Slurm counts now; a restarted controller may have given it before.</param>
/// <param name="Index">Index in the array; null outside of one.</param>
/// <param name="Name">The name that it was submitted under, which is never given twice.</param>
internal sealed record QueuedTask(string Job, int? Index, string Name);

/// <summary>
/// Slurm's commands. None of their answers is believed about results; a controller that does not answer is asked
/// again.
/// </summary>
internal sealed class SlurmClient
{
    private const int DefaultMaxArraySize = 1001;
    private static readonly TimeSpan Patience = TimeSpan.FromSeconds(60);

    /// <summary>Largest index of an array plus one, as the cluster allows it.</summary>
    public int MaxArraySize => maxArraySize ??= ReadMaxArraySize();

    private int? maxArraySize;

    /// <summary>The user's tasks that wait or run; null when the controller does not answer.</summary>
    public IReadOnlyList<QueuedTask>? Queue() =>
        Ask("squeue", ["--me", "--noheader", "--array", "--format=%F|%K|%j"]) is { Code: 0 } answer
            ? [.. answer.Output.Split('\n').Select(line => line.Split('|', 3)).Where(parts => parts.Length == 3).Select(ToTask)]
            : null;

    /// <summary>Submits a script. Returns the job's number, or null and the sentence that sbatch refused it with.</summary>
    public (string? Job, string? Refusal) Submit(IReadOnlyList<string> options, string script)
    {
        var (code, output, error) = Ask("sbatch", ["--parsable", .. options, script]);
        return code == 0
            ? (output.Split(';')[0].Trim(), null)
            : (null, error.Split('\n', StringSplitOptions.RemoveEmptyEntries).LastOrDefault() ?? $"sbatch ended with {code}");
    }

    /// <summary>Queues a task up again; false when Slurm refuses or does not answer.</summary>
    public bool Requeue(SlurmJob job) => Ask("scontrol", ["requeue", job.ToString()]).Code == 0;

    private int ReadMaxArraySize()
    {
        var line = Ask("scontrol", ["show", "config"]).Output.Split('\n')
            .FirstOrDefault(line => line.StartsWith("MaxArraySize", StringComparison.Ordinal));
        return int.TryParse(line?.Split('=')[^1], CultureInfo.InvariantCulture, out var size) && size > 0
            ? size
            : DefaultMaxArraySize;
    }

    private static QueuedTask ToTask(string[] parts) => new(
        parts[0], int.TryParse(parts[1], NumberStyles.None, CultureInfo.InvariantCulture, out var index) ? index : null,
        parts[2]);

    private static (int Code, string Output, string Error) Ask(string program, IEnumerable<string> arguments)
    {
        var info = new ProcessStartInfo(program, arguments)
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        try
        {
            using var process = Process.Start(info)!;
            var output = process.StandardOutput.ReadToEndAsync();
            var error = process.StandardError.ReadToEndAsync();
            if (!process.WaitForExit(Patience))
            {
                process.Kill();
                process.WaitForExit();
                return (-1, "", $"{program} did not answer");
            }
            return (process.ExitCode, output.Result, error.Result);
        }
        catch (Win32Exception missing)
        {
            throw new ResearchException(
                $"Slurm's command '{program}' cannot be started here: use --executor local, or a machine of the cluster.",
                ResearchException.BadUsage, missing);
        }
    }
}
