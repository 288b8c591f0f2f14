using System.Diagnostics;
using TorchSharp;

namespace Research.Host;

/// <summary>A run to have: its key, the cores it uses, and how to compute it.</summary>
/// <param name="Key">Identity; its dependencies must be complete or requested too.</param>
/// <param name="Threads">Cores: 1, or 2 for convolutions.</param>
/// <param name="Work">Computes the results into <see cref="RunContext.Run"/>.</param>
[OutsideResults("the run that it stands for is in the key as a dependency")]
public sealed record RunRequest(RunKey Key, int Threads, Action<RunContext> Work)
{
    /// <summary>It measures time: nothing else of the command runs beside it.</summary>
    public bool IsAlone { get; init; }
}

/// <summary>Gets the requested runs computed, here or elsewhere.</summary>
public interface IExecutor
{
    /// <summary>Works until all requests are complete, failed, skipped or cancelled.</summary>
    /// <exception cref="ArgumentException">A dependency is neither complete nor requested.</exception>
    RunSummary Run(IEnumerable<RunRequest> requests, CancellationToken cancellation);
}

/// <summary>
/// The local executor: computes the requested runs that are not complete, side by side. Runs that other processes on
/// the same store compute meanwhile are theirs; it waits for them, and takes over those whose owners are gone.
/// </summary>
/// <param name="store">Where results are kept.</param>
/// <param name="device">Where tensors belong.</param>
/// <param name="jobs">Cores to use at a time.</param>
/// <param name="board">Shows progress.</param>
public sealed class Runner(RunStore store, torch.Device device, int jobs, IProgressBoard board) : IExecutor
{
    /// <summary>
    /// Above so many complete runs a command takes them as they are, lest it read for minutes; whoever reads their
    /// results looks at them all the same.
    /// </summary>
    private const int MostChecked = 1000;

    private readonly LeaseWatch watch = store.Watch();

    /// <summary>
    /// The newest lease of a run that was known when it was asked for: see <see cref="RunStore.TryClaim"/>. When not
    /// given, what the store says as the command begins.
    /// </summary>
    public Func<RunKey, int>? KnownLease { get; init; }

    /// <summary>
    /// Whether no other process works for this command: runs that measure time wait for it. When not given, none does.
    /// </summary>
    public Func<bool>? IsQuiet { get; init; }

    public RunSummary Run(IEnumerable<RunRequest> requests, CancellationToken cancellation)
    {
        // Experiments share runs: the same key is the same run, whoever asks.
        var distinct = requests.DistinctBy(request => request.Key.Id).ToList();
        var listing = store.List();
        var damaged = FindDamaged([.. distinct.Select(request => request.Key).Where(listing.IsComplete)]);
        var pending = distinct.Where(request => !IsCached(request.Key)).ToList();
        if (pending.Count == 0)
            return new([], distinct.Count);
        store.RequireWritable();
        store.Tidy(listing);
        // At least one thread count per process is set natively, which must not race with the first tensors.
        torch.set_num_threads(1);
        var scheduler = new Scheduler(jobs, board, torch.set_num_threads, store.Times.Poll);
        var expected = pending.Select(request => store.Expected(request.Key, listing)).ToList();
        // The longest first, so that no core is left with a long one at the end; of those that nothing is known of, it
        // may be any.
        var items = pending.Select((request, i) => ToItem(request, listing, damaged) with
        {
            Priority = expected[i]?.TotalSeconds ?? double.PositiveInfinity,
        }).ToList();
        board.Plan(new(jobs, items.Zip(expected)));
        return new(scheduler.Run(items, cancellation), distinct.Count - pending.Count);

        bool IsCached(RunKey key) => listing.IsComplete(key) && !damaged.ContainsKey(key.Id);
    }

    /// <summary>Complete runs whose files are not as the runs left them, each with a sentence about it.</summary>
    private Dictionary<string, string> FindDamaged(IReadOnlyList<RunKey> complete) =>
        complete.Count > MostChecked
            ? []
            : complete.Select(key => (key.Id, Fault: store.FaultOf(key))).Where(pair => pair.Fault is not null)
                .ToDictionary(pair => pair.Id, pair => pair.Fault!);

    private WorkItem ToItem(RunRequest request, StoreListing listing, Dictionary<string, string> damaged)
    {
        var key = request.Key;
        if (damaged.TryGetValue(key.Id, out var fault))
            return new(key.Id, [], request.Threads, _ => { })
            {
                Admit = () => new Admission.Over(new(key.Id, WorkStatus.Failed, fault)),
            };
        var known = KnownLease?.Invoke(key) ?? (listing.IsBegun(key) ? store.KnownLease(key) : 0);
        Claim.Taken? taken = null;
        return new(
            key.Id,
            [.. key.Dependencies.Where(needed => !listing.IsComplete(needed) || damaged.ContainsKey(needed.Id))
                .Select(needed => needed.Id).Distinct()],
            request.Threads,
            work => Compute(request, taken!, work))
        {
            IsAlone = request.IsAlone,
            Admit = () => request.IsAlone && IsQuiet?.Invoke() == false
                ? new Admission.Later()
                : Admit(store.TryClaim(key, watch, known)),
        };

        Admission Admit(Claim claim)
        {
            taken = claim as Claim.Taken;
            return claim switch
            {
                Claim.Taken => new Admission.Granted(),
                Claim.Held => new Admission.Later(),
                Claim.Failed failed => new Admission.Over(
                    new(key.Id, WorkStatus.Failed, $"{failed.Reason} (in {failed.By})")),
                _ => new Admission.Over(new(key.Id, WorkStatus.Done, "done by another process")),
            };
        }
    }

    private void Compute(RunRequest request, Claim.Taken taken, WorkContext work)
    {
        var watch = Stopwatch.StartNew();
        var (run, lease) = taken;
        using var ending = lease;
        using var stop = CancellationTokenSource.CreateLinkedTokenSource(work.Cancellation, lease.Lost);
        var context = work with { Progress = new LeasedProgress(work.Progress, lease), Cancellation = stop.Token };
        try
        {
            // Whatever the run leaves behind is freed with it, also when it fails.
            using (torch.NewDisposeScope())
                request.Work(new(request.Key, run, store, device, context));
            run.Complete(watch.Elapsed);
        }
        catch when (!lease.IsMine())
        {
            // Whatever it was, the run is another process's now.
            work.Progress.Say("taken over by another process");
            throw new WorkDeferredException();
        }
        catch (Exception error)
        {
            TryRecord(run, watch.Elapsed, error);
            if (error is OperationCanceledException)
                lease.Release(LeaseState.Released, "interrupted");
            else
                lease.Release(LeaseState.Failed, WorkOutcome.ReasonOf(error));
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
        catch (Exception fault) when (fault is ResearchException or IOException or UnauthorizedAccessException)
        {
            // The disk is full or gone. What ended the run is the error to show, and it needs no record to be shown.
        }
    }

    /// <summary>Progress that others see too, in the lease.</summary>
    private sealed class LeasedProgress(IRunProgress inner, Lease lease) : IRunProgress
    {
        public void Report(long step, long? total, double loss)
        {
            lease.Report(step, total);
            inner.Report(step, total, loss);
        }

        public void Say(string message) => inner.Say(message);
    }
}
