using System.Diagnostics;
using TorchSharp;

namespace Research.Host;

/// <summary>A run to have: its key, the cores it uses, and how to compute it.</summary>
/// <param name="Key">Identity; its dependencies must be complete or requested too.</param>
/// <param name="Threads">Cores: 1, or 2 for convolutions.</param>
/// <param name="Work">Computes the results into <see cref="RunContext.Run"/>.</param>
public sealed record RunRequest(RunKey Key, int Threads, Action<RunContext> Work);

/// <summary>What became of the requested runs.</summary>
/// <param name="Outcomes">One for each run that was not complete before, in the order requested.</param>
/// <param name="Cached">Runs that were complete before and were not touched.</param>
public sealed record RunSummary(IReadOnlyList<WorkOutcome> Outcomes, int Cached)
{
    private const int Interrupted = 130;

    /// <summary>0 when all are done, 1 when one failed, 130 (as shells count it) when the user interrupted.</summary>
    public int ExitCode =>
        Outcomes.Any(outcome => outcome.Status == WorkStatus.Cancelled) ? Interrupted
        : Outcomes.All(outcome => outcome.Status == WorkStatus.Done) ? 0
        : ResearchException.RunFailed;

    /// <summary>The closing lines: how many of each kind, then each run that is not done and why.</summary>
    public IReadOnlyList<string> Lines()
    {
        var counts = Outcomes.CountBy(outcome => outcome.Status)
            .Select(pair => $"{pair.Value} {pair.Key.ToString().ToLowerInvariant()}");
        return
        [
            string.Join(", ", [.. counts, $"{Cached} cached"]),
            .. Outcomes.Where(outcome => outcome.Status != WorkStatus.Done)
                .Select(outcome => $"  {outcome.Id}: {outcome.Reason}"),
        ];
    }
}

/// <summary>Computes the requested runs that are not complete, side by side, and marks them complete.</summary>
/// <param name="store">Where results are kept; the caller holds its <see cref="ResultsLock"/>.</param>
/// <param name="device">Where tensors belong.</param>
/// <param name="jobs">Cores to use at a time.</param>
/// <param name="board">Shows progress.</param>
public sealed class Runner(RunStore store, torch.Device device, int jobs, IProgressBoard board)
{
    /// <summary>Runs until all requests are complete, failed, skipped or cancelled.</summary>
    /// <exception cref="ArgumentException">A dependency is neither complete nor requested.</exception>
    public RunSummary Run(IEnumerable<RunRequest> requests, CancellationToken cancellation)
    {
        // Experiments share runs: the same key is the same run, whoever asks.
        var distinct = requests.DistinctBy(request => request.Key.Id).ToList();
        var pending = distinct.Where(request => !store.IsComplete(request.Key)).ToList();
        board.Plan(pending.Count);
        // At least one thread count per process is set natively, which must not race with the first tensors.
        torch.set_num_threads(1);
        var scheduler = new Scheduler(jobs, board, torch.set_num_threads);
        return new(scheduler.Run([.. pending.Select(ToItem)], cancellation), distinct.Count - pending.Count);
    }

    private WorkItem ToItem(RunRequest request) => new(
        request.Key.Id,
        [.. request.Key.Dependencies.Where(key => !store.IsComplete(key)).Select(key => key.Id)],
        request.Threads,
        work => Compute(request, work));

    private void Compute(RunRequest request, WorkContext work)
    {
        var watch = Stopwatch.StartNew();
        var run = store.Open(request.Key);
        try
        {
            // Whatever the run leaves behind is freed with it, also when it fails.
            using (torch.NewDisposeScope())
                request.Work(new(request.Key, run, store, device, work));
            run.Complete(watch.Elapsed);
        }
        catch (Exception error)
        {
            TryRecord(run, watch.Elapsed, error);
            throw;
        }
    }

    private static void TryRecord(RunDirectory run, TimeSpan elapsed, Exception error)
    {
        try
        {
            run.Interrupt(elapsed);
            var isDefect = error is not (ResearchException or OperationCanceledException);
            run.Note(isDefect ? error.ToString() : error.Message);
        }
        catch (ResearchException)
        {
            // The disk is full. What ended the run is the error to show, and it needs no record to be shown.
        }
    }
}
