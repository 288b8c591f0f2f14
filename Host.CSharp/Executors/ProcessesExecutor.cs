using System.Diagnostics;
using TorchSharp;

namespace Research.Host;

/// <summary>
/// This process and others of the same program share the runs of a command: for a GPU, which small trainings do not fill,
/// and of which libtorch serves all backward passes of a process from one thread. Runs that measure time wait until the
/// others have ended.
/// </summary>
/// <param name="store">Where results are kept.</param>
/// <param name="device">Where tensors belong.</param>
/// <param name="jobs">Cores to use at a time in this process.</param>
/// <param name="board">Shows progress.</param>
/// <param name="others">How many processes beside this one, as long as there are runs for all.</param>
/// <param name="command">
/// Starts one of them, on the runs that <see cref="Shared"/> leaves. It has to save and stop when its standard input ends,
/// which it does with this process, however this ends.
/// </param>
public sealed class ProcessesExecutor(
    RunStore store, torch.Device device, int jobs, IProgressBoard board, int others, IReadOnlyList<string> command)
    : IExecutor
{
    /// <summary>The runs that other processes may compute: not those that measure time, nor what needs one of these.</summary>
    public static IReadOnlyList<RunRequest> Shared(IEnumerable<RunRequest> requests)
    {
        var all = requests.ToList();
        var alone = all.Where(request => request.IsAlone).Select(request => request.Key.Id).ToHashSet();
        bool NeedsAlone(RunKey key) => alone.Contains(key.Id) || key.Dependencies.Any(NeedsAlone);
        return [.. all.Where(request => !NeedsAlone(request.Key))];
    }

    public RunSummary Run(IEnumerable<RunRequest> requests, CancellationToken cancellation)
    {
        var all = requests.ToList();
        var listing = store.List();
        var open = Shared(all).Select(request => request.Key).Where(key => !listing.IsComplete(key)).DistinctBy(key => key.Id);
        var processes = new List<Process>();
        try
        {
            for (var count = Math.Min(others, open.Count() - 1); processes.Count < count;)
                processes.Add(Start());
            // They save while this process does.
            using var stopping = cancellation.Register(() => Stop(processes));
            var runner = new Runner(store, device, jobs, board)
            {
                IsQuiet = () => processes.TrueForAll(process => process.HasExited),
            };
            return runner.Run(all, cancellation);
        }
        finally
        {
            Stop(processes);
            foreach (var process in processes)
            {
                process.WaitForExit();
                process.Dispose();
            }
        }
    }

    private Process Start()
    {
        var process = new Process
        {
            StartInfo = new(command[0], command.Skip(1))
            {
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true,
            },
        };
        // What becomes of its runs is in their leases, and of what it warns this process warns too. Else it says why it could
        // not even begin.
        process.OutputDataReceived += (_, _) => { };
        process.ErrorDataReceived += (_, line) =>
        {
            if (line.Data is { Length: > 0 } text && !text.StartsWith("warning: ", StringComparison.Ordinal))
                board.Say($"a process beside this one: {text}");
        };
        process.Start();
        process.BeginOutputReadLine();
        process.BeginErrorReadLine();
        return process;
    }

    private static void Stop(IReadOnlyList<Process> processes)
    {
        foreach (var process in processes)
            process.StandardInput.Close();
    }
}
