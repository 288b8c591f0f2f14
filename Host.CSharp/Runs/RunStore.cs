using System.Globalization;

namespace Research.Host;

/// <summary>
/// All runs under one results directory, which several processes and machines may share. Complete runs lie in
/// `ROOT/runs/NAME-DIGEST/`; what is not complete lies in `ROOT/work/NAME-DIGEST/`: the leases and, in `attempt-N`, the
/// files of the run as the owner of lease N has them. Publishing is one rename from there to `runs`, so reading needs
/// no lease.
/// </summary>
[OutsideResults("it keeps what it is given")]
public sealed class RunStore
{
    private const string AttemptPrefix = "attempt-";

    private readonly string runs, work;
    private readonly LeaseTimes times;
    private readonly TimeProvider clock;
    private readonly LeaseOwner owner;

    /// <param name="root">The results directory.</param>
    /// <param name="times">How leases are kept; all processes of a store use the same.</param>
    /// <param name="clock">Source of time; tests give their own.</param>
    /// <param name="owner">Who claims runs; this process unless a test says otherwise.</param>
    public RunStore(string root, LeaseTimes? times = null, TimeProvider? clock = null, LeaseOwner? owner = null)
    {
        Root = root;
        runs = Path.Combine(root, "runs");
        work = Path.Combine(root, "work");
        this.times = times ?? new();
        this.clock = clock ?? TimeProvider.System;
        this.owner = owner ?? LeaseOwner.Current;
    }

    /// <summary>The results directory.</summary>
    public string Root { get; }

    internal LeaseTimes Times => times;

    /// <summary>What is there now; nothing when the directory does not exist.</summary>
    /// <exception cref="ResearchException">Something else stands in its place.</exception>
    public StoreListing List() => File.Exists(Root)
        ? throw new ResearchException(
            $"'{Root}' is a file where the results directory belongs: name a folder with --results.",
            ResearchException.BadUsage)
        : new(runs, work);

    /// <summary>A watch for the leases of other processes.</summary>
    public LeaseWatch Watch() => new(times, clock);

    /// <summary>Makes sure that runs can be computed here.</summary>
    /// <exception cref="ResearchException">The directory cannot be created or written; the sentence says why.</exception>
    public void RequireWritable()
    {
        try
        {
            Directory.CreateDirectory(runs);
            Directory.CreateDirectory(work);
            var probe = Path.Combine(work, $".{Guid.NewGuid():N}");
            File.WriteAllText(probe, "");
            File.Delete(probe);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ResearchException(
                $"the results directory '{Root}' cannot be written ({Sentence.Reason(error)}): "
                + "make it writable, or choose another with --results.", ResearchException.RunFailed, error);
        }
    }

    /// <summary>Removes what a process that was killed right after it had published a run left behind.</summary>
    public void Tidy(StoreListing listing)
    {
        foreach (var id in listing.Leftovers)
            new LeaseFolder(Path.Combine(work, id)).Remove();
    }

    /// <summary>Asks for the right to compute a run, and opens it when that is granted.</summary>
    /// <param name="key">The run.</param>
    /// <param name="watch">What this process has seen of other owners.</param>
    /// <param name="knownLease">
    /// Leases up to this number were known when the run was asked for: a failure under one of them is tried again, one
    /// under a later lease is the answer.
    /// </param>
    public Claim TryClaim(RunKey key, LeaseWatch watch, int knownLease = int.MaxValue)
    {
        if (IsComplete(key))
            return new Claim.Complete();
        var folder = LeasesOf(key);
        var newest = folder.Newest();
        if (newest.Record is { State: LeaseState.Failed } failed && newest.Number > knownLease)
            return new Claim.Failed(failed.Owner, failed.Reason ?? "for no stated reason");
        var isFree = newest.Number == 0 || newest.Record is { State: not LeaseState.Held };
        if (!isFree && !watch.IsAbandoned(key.Id, newest))
            return new Claim.Held(newest.Record?.Owner);
        var number = newest.Number + 1;
        var record = new LeaseRecord { Owner = owner, State = LeaseState.Held, Since = clock.GetUtcNow() };
        if (!folder.TryCreate(number, record))
            return new Claim.Held(null);
        // It may have been published between the first question and the lease.
        if (IsComplete(key))
        {
            folder.Remove();
            return new Claim.Complete();
        }
        return Open(key, new Lease(folder, number, record, times, clock));
    }

    /// <summary>
    /// Number of the newest lease of a run of which a failure would be no news: see <see cref="TryClaim"/>. A lease that
    /// is held now may still end in one.
    /// </summary>
    public int KnownLease(RunKey key)
    {
        var newest = Sight(key);
        return newest.Record is { State: LeaseState.Failed } ? newest.Number : Math.Max(0, newest.Number - 1);
    }

    /// <summary>The newest lease of a run that is not complete.</summary>
    public LeaseSighting Sight(RunKey key) => LeasesOf(key).Newest();

    /// <summary>The run if it exists, in whatever state, for reading.</summary>
    public RunDirectory? Find(RunKey key) => Find(key.Id);

    /// <summary>The run's results.</summary>
    /// <exception cref="ResearchException">The run is not complete, or its record is damaged.</exception>
    public RunDirectory Require(RunKey key) =>
        IsComplete(key)
            ? RunDirectory.OpenComplete(Path.Combine(runs, key.Id), key)
            : throw new ResearchException($"run {key.Id} is not complete, so its results cannot be shown yet.");

    /// <summary>
    /// What is wrong with the files of a complete run, in a sentence that says how to go on; null when they are as the
    /// run left them. Reads all of them.
    /// </summary>
    public string? FaultOf(RunKey key)
    {
        try
        {
            Require(key).RequireSound();
            return null;
        }
        catch (ResearchException error)
        {
            return error.Message;
        }
    }

    public bool IsComplete(RunKey key) => Directory.Exists(Path.Combine(runs, key.Id));

    /// <summary>Says whether a run would be computed, and what has changed since the nearest existing one.</summary>
    /// <param name="key">The run.</param>
    /// <param name="listing">What the store holds; listed now when not given.</param>
    public WhyReport Why(RunKey key, StoreListing? listing = null)
    {
        listing ??= List();
        if (listing.IsComplete(key))
            return new(key, RunState.Complete, null, []) { Fault = FaultOf(key) };
        if (listing.IsBegun(key))
            return new(key, RunState.Running, null, [])
            {
                Fault = Sight(key).Record is { State: LeaseState.Failed } lease
                    ? $"{key.Id} failed ({lease.Reason?.TrimEnd('.')}), so it is tried again."
                    : null,
            };
        return Nearest(key, listing.Named(key.Name)).FirstOrDefault() is { Record: not null } nearest
            ? new(key, null, nearest.Record, nearest.Changes)
            : new(key, null, null, []);
    }

    // An estimate is not worth reading more records than this.
    private const int MostCompared = 16;

    /// <summary>What the nearest finished run of that name took, or null when there is none.</summary>
    public TimeSpan? Expected(RunKey key, StoreListing listing) =>
        Nearest(key, listing.Named(key.Name).Take(MostCompared)).Select(candidate => candidate.Record).FirstOrDefault(record => record.State == RunState.Complete)
            is { } known
            ? TimeSpan.FromSeconds(known.Seconds)
            : null;

    // The runs among these of the key's name, those with the fewest differences first and of those the latest.
    private IEnumerable<(RunRecord Record, IReadOnlyList<KeyChange> Changes)> Nearest(RunKey key, IEnumerable<string> ids) =>
        ids.Select(id => Find(id)?.Record)
            .OfType<RunRecord>()
            .Where(record => record.Name == key.Name)
            .OrderByDescending(record => record.Started)
            .Select(record => (Record: record, Changes: WhyReport.Compare(record, key)))
            .OrderBy(candidate => candidate.Changes.Count);

    /// <summary>The run of that id, complete or not, or null.</summary>
    public RunDirectory? Find(string id) =>
        RunDirectory.TryOpen(Path.Combine(runs, id))
        ?? (NewestAttempt(Path.Combine(work, id)) is { } attempt ? RunDirectory.TryOpen(attempt) : null);

    private LeaseFolder LeasesOf(RunKey key) => new(Path.Combine(work, key.Id));

    /// <summary>
    /// Opens a run under a new lease. What earlier attempts left is renamed to this lease's number: from then on an
    /// earlier owner that still lives finds no folder to write to and nothing to publish.
    /// </summary>
    private Claim Open(RunKey key, Lease lease)
    {
        try
        {
            var folder = Path.Combine(work, key.Id);
            var attempt = Path.Combine(folder, string.Create(CultureInfo.InvariantCulture, $"{AttemptPrefix}{lease.Number}"));
            if (NewestAttempt(folder) is not { } earlier)
                Durable.CreateFolder(attempt);
            else if (earlier != attempt)
                Directory.Move(earlier, attempt);
            var run = RunDirectory.OpenForComputing(attempt, key, Publish);
            if (!run.IsComplete)
                return new Claim.Taken(run, lease);
            run.Publish();
            return new Claim.Complete();
        }
        catch
        {
            lease.Dispose();
            throw;
        }

        void Publish(RunDirectory run)
        {
            var target = Path.Combine(runs, key.Id);
            Directory.CreateDirectory(runs);
            run.MoveTo(target);
            Durable.FlushDirectory(runs);
            lease.End();
        }
    }

    private static string? NewestAttempt(string folder) =>
        Directory.Exists(folder)
            ? Directory.EnumerateDirectories(folder, $"{AttemptPrefix}*")
                .MaxBy(path => int.TryParse(
                    Path.GetFileName(path)[AttemptPrefix.Length..], NumberStyles.None, CultureInfo.InvariantCulture,
                    out var number) ? number : 0)
            : null;
}
