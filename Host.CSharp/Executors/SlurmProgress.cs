namespace Research.Host;

/// <summary>What the store says about the runs that were handed to Slurm.</summary>
internal sealed class SlurmProgress
{
    // Submissions of one run in succession in which it got no further.
    private const int MostTries = 3;

    private readonly RunStore store;
    private readonly IProgressBoard board;
    private readonly LeaseWatch watch;
    private readonly IReadOnlyList<RunRequest> requests;
    private readonly Dictionary<string, RunRequest> open;
    private readonly Dictionary<string, WorkOutcome> outcomes = [];
    private readonly Dictionary<string, int> leases;
    private readonly Dictionary<string, LeaseSighting> sightings = [];
    private readonly Dictionary<string, IRunProgress> begun = [];
    private readonly Dictionary<string, (int Count, long Step, string Log)> tries = [];
    private bool hasLosses;

    /// <param name="store">Where results are kept.</param>
    /// <param name="requests">The runs that are not complete.</param>
    /// <param name="listing">What the store held as the command began.</param>
    /// <param name="board">Shows progress.</param>
    public SlurmProgress(
        RunStore store, IReadOnlyList<RunRequest> requests, StoreListing listing, IProgressBoard board)
    {
        (this.store, this.requests, this.board) = (store, requests, board);
        watch = store.Watch();
        open = requests.ToDictionary(request => request.Key.Id);
        leases = requests.Where(request => listing.IsBegun(request.Key))
            .ToDictionary(request => request.Key.Id, request => store.KnownLease(request.Key));
    }

    /// <summary>The newest leases that were known when the command began, for the workers; without those of number 0.</summary>
    public IEnumerable<KeyValuePair<string, int>> KnownLeases => leases.Where(pair => pair.Value > 0);

    /// <summary>The most cores that a run asks for.</summary>
    public int Cores => requests.Max(request => request.Threads);

    /// <summary>Whether every run has ended.</summary>
    public bool IsOver => open.Count == 0;

    /// <summary>Looks at the store and settles what has ended there; true when something has.</summary>
    public bool Look()
    {
        var listing = store.List();
        var before = open.Count;
        sightings.Clear();
        foreach (var (id, request) in open.ToList())
            if (listing.IsComplete(request.Key))
                Settle(id, WorkStatus.Done, null);
            else if (listing.IsBegun(request.Key))
                Look(id, store.Sight(request.Key));
        SkipLost();
        return open.Count < before;
    }

    /// <summary>The runs to submit now.</summary>
    /// <param name="isQueued">Whether a task that Slurm knows is about to compute a run.</param>
    /// <param name="isPatient">
    /// Whether there is time to see if the owner of a run, known to no task, lives on; else a worker sees to that.
    /// </param>
    public IReadOnlyList<RunRequest> Missing(Func<string, bool> isQueued, bool isPatient)
    {
        var missing = requests.Where(request => open.ContainsKey(request.Key.Id)
            && !isQueued(request.Key.Id) && !IsAtWork(request.Key.Id, isPatient)).ToList();
        foreach (var id in missing.Select(request => request.Key.Id))
            if (tries.TryGetValue(id, out var before) && before.Count >= MostTries && StepOf(id) <= before.Step)
                Settle(id, WorkStatus.Failed, $"its task ended {MostTries} times without a word; see {before.Log}");
        SkipLost();
        return [.. missing.Where(request => open.ContainsKey(request.Key.Id))];
    }

    /// <summary>Remembers that runs were submitted, and where their tasks write.</summary>
    public void Submitted(IEnumerable<RunRequest> runs, string log)
    {
        foreach (var id in runs.Select(request => request.Key.Id))
        {
            var isFurther = !tries.TryGetValue(id, out var before) || StepOf(id) > before.Step;
            tries[id] = (isFurther ? 1 : before.Count + 1, StepOf(id), log);
        }
    }

    /// <summary>An outcome for each run, in the order requested: those that have not ended are left to Slurm.</summary>
    /// <param name="isInterrupted">Whether the user wanted to wait no longer.</param>
    public IReadOnlyList<WorkOutcome> Outcomes(bool isInterrupted)
    {
        var status = isInterrupted ? WorkStatus.Cancelled : WorkStatus.Submitted;
        return [.. requests.Select(request => outcomes.GetValueOrDefault(request.Key.Id)
            ?? new(request.Key.Id, status, "left to Slurm, where it goes on"))];
    }

    private void Look(string id, LeaseSighting seen)
    {
        sightings[id] = seen;
        switch (seen.Record)
        {
            case { State: LeaseState.Failed } failed when seen.Number > leases.GetValueOrDefault(id):
                Settle(id, WorkStatus.Failed, $"{failed.Reason} (in {failed.Owner})");
                break;
            case { State: LeaseState.Held } held:
                if (!begun.TryGetValue(id, out var progress))
                    begun[id] = progress = board.Begin(id);
                if (held.Step > 0)
                    progress.Report(held.Step, held.Total, double.NaN);
                break;
            case { State: LeaseState.Released }:
                if (begun.Remove(id))
                    board.Pause(id);
                break;
        }
    }

    private bool IsAtWork(string id, bool isPatient) =>
        sightings.TryGetValue(id, out var seen)
        && seen is { Number: > 0, Record: null or { State: LeaseState.Held } }
        && !watch.IsAbandoned(id, seen)
        && (isPatient || seen.Record?.Owner.IsAlive() == true);

    private long StepOf(string id) => sightings.TryGetValue(id, out var seen) ? seen.Record?.Step ?? 0 : 0;

    /// <summary>Ends the runs that need one that has ended otherwise than well.</summary>
    private void SkipLost()
    {
        var wasFound = hasLosses;
        while (wasFound)
        {
            wasFound = false;
            foreach (var (id, request) in open.ToList())
                if (request.Key.Dependencies.FirstOrDefault(IsLost) is { } lost)
                {
                    Settle(id, WorkStatus.Skipped, $"skipped because {lost.Id} is not done");
                    wasFound = true;
                }
        }

        bool IsLost(RunKey key) => outcomes.TryGetValue(key.Id, out var outcome) && outcome.Status != WorkStatus.Done;
    }

    private void Settle(string id, WorkStatus status, string? reason)
    {
        open.Remove(id);
        begun.Remove(id);
        outcomes[id] = new(id, status, reason ?? "done");
        hasLosses |= status != WorkStatus.Done;
        board.End(outcomes[id]);
    }
}
