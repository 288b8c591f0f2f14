using System.Globalization;
using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>The process behind a lease.</summary>
/// <param name="Host">Name of its machine, for people.</param>
/// <param name="Process">Its number there.</param>
/// <param name="Started">Clock ticks from the machine's start to the process's, which tells two processes of one number apart.</param>
/// <param name="Machine">
/// One start of one system and one table of processes; null where the system does not tell (all but Linux).
/// </param>
/// <param name="Job">Its job in Slurm, as `scontrol` takes it, or null.</param>
public sealed record LeaseOwner(string Host, int Process, long Started, string? Machine, string? Job)
{
    private const int NoSuchProcess = 3;

    /// <summary>This process.</summary>
    public static LeaseOwner Current { get; } = new(
        Environment.MachineName, Environment.ProcessId, Find(Environment.ProcessId)?.Started ?? 0, ReadMachine(),
        SlurmJob.Current?.ToString());

    /// <summary>
    /// Whether the process still runs: null when that cannot be known from here, because it belongs to another
    /// machine or container.
    /// </summary>
    public bool? IsAlive()
    {
        if (Machine is null || Machine != Current.Machine || Process <= 0)
            return null;
        if (Find(Process) is { } found)
            return found.IsRunning && found.Started == Started;
        // A hidden process is there all the same: only the system's own word counts as its death.
        return kill(Process, 0) != 0 && Marshal.GetLastPInvokeError() == NoSuchProcess ? false : null;
    }

    public override string ToString() => $"process {Process} on {Host}{(Job is null ? "" : $" (job {Job})")}";

    // A container shares the start of the system with its host, but not the numbers of its processes.
    private static string? ReadMachine()
    {
        const string boot = "/proc/sys/kernel/random/boot_id", numbers = "/proc/self/ns/pid";
        try
        {
            return File.Exists(boot) && new FileInfo(numbers).LinkTarget is { } table
                ? $"{File.ReadAllText(boot).Trim()} {table}"
                : null;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    /// <summary>State and start of a process from its line in /proc; null when there is none to be read.</summary>
    private static (bool IsRunning, long Started)? Find(int process)
    {
        try
        {
            var line = File.ReadAllText(string.Create(CultureInfo.InvariantCulture, $"/proc/{process}/stat"));
            // The program's name stands in parentheses and may hold anything; the state follows it.
            var fields = line[(line.LastIndexOf(')') + 2)..].Split(' ');
            var isRunning = fields[0] is not ("Z" or "X");
            return (isRunning, long.Parse(fields[19], CultureInfo.InvariantCulture));
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int kill(int process, int signal);
}
