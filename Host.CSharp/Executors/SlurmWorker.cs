using System.Globalization;
using TorchSharp;

namespace Research.Host;

/// <summary>
/// One task of an array: computes its runs, and what they need should that be missing, as any other process on the
/// store would. When its time is nearly up it saves and queues up again.
/// </summary>
/// <param name="store">Where results are kept.</param>
/// <param name="device">Where tensors belong.</param>
/// <param name="jobs">Cores to use at a time.</param>
/// <param name="board">Shows progress in the task's log.</param>
public sealed class SlurmWorker(RunStore store, torch.Device device, int jobs, IProgressBoard board)
{
    /// <summary>Far more than the runs of a task need.</summary>
    private const long LongestPosition = 16 << 20;

    /// <summary>Works on a task; returns the process's exit code.</summary>
    /// <param name="plan">All runs of the command that was submitted.</param>
    /// <param name="tasks">The file with the array's tasks.</param>
    /// <param name="index">Which of them.</param>
    /// <exception cref="ResearchException">
    /// The file of tasks cannot be used, or a run of the task is not in the plan.
    /// </exception>
    public int Run(IEnumerable<RunRequest> plan, string tasks, int index)
    {
        using var signals = new WorkerSignals(board.Say);
        var leases = Submission.ReadLeases(tasks);
        var requests = WithDependencies(Submission.ReadTask(tasks, index), plan, tasks);
        var runner = new Runner(store, device, jobs, board)
        {
            KnownLease = key => leases.GetValueOrDefault(key.Id),
        };
        var summary = runner.Run(requests, signals.Token);
        foreach (var line in summary.Lines())
            board.Say(line);
        if (signals.IsOutOfTime && summary.IsInterrupted)
            QueueUpAgain(requests, $"{tasks}.{index}.limit");
        return summary.ExitCode;
    }

    private static List<RunRequest> WithDependencies(
        IReadOnlyList<string> ids, IEnumerable<RunRequest> plan, string tasks)
    {
        var byId = plan.DistinctBy(request => request.Key.Id).ToDictionary(request => request.Key.Id);
        var needed = new Dictionary<string, RunRequest>();
        var open = new Stack<string>(ids);
        while (open.TryPop(out var id))
        {
            if (needed.ContainsKey(id))
                continue;
            needed[id] = byId.GetValueOrDefault(id) ?? throw new ResearchException(
                $"the run {id} of '{tasks}' is not what this node would compute: "
                + "its program, data or device are others than where the command was given.");
            foreach (var key in needed[id].Key.Dependencies)
                open.Push(key.Id);
        }
        return [.. needed.Values];
    }

    /// <summary>
    /// Queues the task up again, unless its runs have got nowhere since it last ran out of time: then they fail, lest
    /// it goes round for ever.
    /// </summary>
    private void QueueUpAgain(IReadOnlyList<RunRequest> requests, string memory)
    {
        var listing = store.List();
        var begun = requests.Where(request => listing.IsBegun(request.Key)).Select(request => request.Key).ToList();
        var position = string.Concat(begun.Select(key => string.Create(
            CultureInfo.InvariantCulture, $"{key.Id} {store.Sight(key).Record?.Step ?? 0}\n")));
        var before = new InputFile(memory, "remove it");
        if (before.Exists && before.ReadText(LongestPosition) == position)
        {
            foreach (var key in begun)
                if (store.TryClaim(key, store.Watch()) is Claim.Taken taken)
                    taken.Lease.Release(LeaseState.Failed,
                        "it got no further between two time limits: give it a longer one (--time), or its step is too long.");
            return;
        }
        Durable.ReplaceText(memory, position);
        if (SlurmJob.Current is not { } job || !new SlurmClient().Requeue(job))
            board.Say("Slurm does not queue this task again; the command that submitted it will.");
    }
}
