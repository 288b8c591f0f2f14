using System.Globalization;

namespace Research.Host;

/// <summary>
/// Has runs computed by Slurm: an array of tasks for each level of their dependencies, each task a worker on the store.
/// What is complete, running or failed is read from the store alone. Slurm is only asked which tasks it still knows, and
/// a run that is not complete, has no living owner and is in no such task is submitted again: so preempted, timed out,
/// lost and forgotten tasks, a restarted controller and a restarted command are all the same case.
/// </summary>
/// <param name="store">Where results are kept; every node must see it under the same path.</param>
/// <param name="settings">What to ask Slurm for.</param>
/// <param name="worker">The command line of a worker: from a file of tasks and the cores it may use.</param>
/// <param name="board">Shows progress.</param>
public sealed class SlurmExecutor(
    RunStore store, SlurmSettings settings, Func<string, int, IReadOnlyList<string>> worker, IProgressBoard board)
    : IExecutor
{
    private const int MostRefusals = 3, DefaultNotice = 120;

    /// <summary>Time between two looks: short while something happens, longer while nothing does.</summary>
    private static readonly TimeSpan ShortestPoll = TimeSpan.FromSeconds(1), LongestPoll = TimeSpan.FromSeconds(15);

    private readonly SlurmClient slurm = new();
    private readonly Submissions submissions = new(store.Root);
    private int refusals;

    /// <summary>Whether to stay until everything is complete, and to submit again what gets lost.</summary>
    public bool Wait { get; init; }

    /// <summary>The command line of a last task, after all others, when this process does not wait for them.</summary>
    public IReadOnlyList<string>? Afterwards { get; init; }

    public RunSummary Run(IEnumerable<RunRequest> requests, CancellationToken cancellation)
    {
        var distinct = requests.DistinctBy(request => request.Key.Id).ToList();
        var listing = store.List();
        var pending = distinct.Where(request => !listing.IsComplete(request.Key)).ToList();
        var cached = distinct.Count - pending.Count;
        board.Plan(new(pending.Count));
        if (pending.Count == 0)
            return new([], cached);
        store.RequireWritable();
        store.Tidy(listing);
        var progress = new SlurmProgress(store, pending, listing, board);
        Follow(progress, cancellation);
        return new(progress.Outcomes(cancellation.IsCancellationRequested), cached);
    }

    private void Follow(SlurmProgress progress, CancellationToken cancellation)
    {
        var (isAnswered, poll) = (true, ShortestPoll);
        while (true)
        {
            // Slurm first: what ends between the two questions is then seen in the store.
            var queue = slurm.Queue();
            var isChanged = progress.Look();
            if (queue is null && isAnswered)
                board.Say("Slurm does not answer; asking again");
            isAnswered = queue is not null;
            if (queue is not null && Submit(progress, queue) && !Wait && SubmitLast(progress, queue))
                return;
            if (progress.IsOver || cancellation.WaitHandle.WaitOne(poll))
                return;
            poll = isChanged ? ShortestPoll : poll * 1.5 < LongestPoll ? poll * 1.5 : LongestPoll;
        }
    }

    /// <summary>Submits what nobody is about to compute; false when Slurm did not take all of it.</summary>
    private bool Submit(SlurmProgress progress, IReadOnlyList<QueuedTask> queue)
    {
        var jobs = JobsByRun(queue);
        var missing = progress.Missing(jobs.Contains, Wait);
        if (missing.Count == 0)
            return true;
        var submission = Submission.Create(store.Root, progress.KnownLeases);
        var submitted = new Dictionary<string, string>();
        var array = 0;
        foreach (var group in Levels(missing).SelectMany(level => level.GroupBy(request => request.Threads)))
        {
            var tasks = Deal([.. group.Select(request => request.Key.Id)]);
            var needed = group.SelectMany(request => request.Key.Dependencies)
                .SelectMany(key => submitted.TryGetValue(key.Id, out var job) ? [job] : jobs[key.Id]);
            var script = submission.Write(array, tasks, file => worker(file, group.Key));
            string[] options =
            [
                $"--array=0-{tasks.Count - 1}{(settings.Throttle is { } most ? $"%{most}" : "")}",
                .. Options(submission.NameOf(array), submission.LogOf(array, "%a"), group.Key, needed),
            ];
            if (Submit(options, script, $"{group.Count()} runs in {tasks.Count} tasks") is not { } number)
                return false;
            foreach (var request in group)
                submitted[request.Key.Id] = number;
            progress.Submitted(group, submission.LogOf(array, "*"));
            array++;
        }
        return true;
    }

    /// <summary>Submits the last task, which follows all others, unless it waits already.</summary>
    private bool SubmitLast(SlurmProgress progress, IReadOnlyList<QueuedTask> queue)
    {
        if (Afterwards is null || queue.Any(submissions.IsLast))
            return true;
        // Asked again, for the arrays that have just been submitted.
        if (slurm.Queue() is not { } now)
            return false;
        var submission = Submission.Create(store.Root, []);
        var script = submission.WriteScript("last.sh", Afterwards);
        var options = Options(
            submission.LastName, submission.LastLog, progress.Cores, JobsByRun(now).SelectMany(jobs => jobs));
        return Submit([.. options], script, "the report") is not null;
    }

    /// <summary>The jobs of Slurm's queue that are about to compute a run.</summary>
    private ILookup<string, string> JobsByRun(IReadOnlyList<QueuedTask> queue) => queue
        .SelectMany(submissions.RunsOf, (task, id) => (Id: id, task.Job))
        .ToLookup(pair => pair.Id, pair => pair.Job);

    private string? Submit(IReadOnlyList<string> options, string script, string what)
    {
        var (job, refusal) = slurm.Submit(options, script);
        if (job is not null)
        {
            refusals = 0;
            board.Say($"submitted {what} as job {job}");
            return job;
        }
        // When the controller is down, it refuses nothing: ask again. When it answers others, it means it.
        if (slurm.Queue() is not null && ++refusals >= MostRefusals)
            throw new ResearchException($"Slurm refuses {what}: {refusal}");
        return null;
    }

    private IEnumerable<string> Options(string name, string log, int cores, IEnumerable<string> after)
    {
        yield return $"--job-name={name}";
        yield return $"--output={log}";
        yield return "--requeue";
        yield return "--open-mode=append";
        yield return string.Create(CultureInfo.InvariantCulture, $"--cpus-per-task={cores}");
        yield return string.Create(CultureInfo.InvariantCulture, $"--signal=B:USR1@{settings.Notice ?? DefaultNotice}");
        var jobs = after.Distinct().ToList();
        if (jobs.Count > 0)
            yield return $"--dependency=afterany:{string.Join(':', jobs)}";
        if (settings.Partition is { } partition)
            yield return $"--partition={partition}";
        if (settings.Account is { } account)
            yield return $"--account={account}";
        if (settings.Time is { } time)
            yield return $"--time={time}";
        if (settings.Memory is { } memory)
            yield return $"--mem={memory}";
        if (settings.Gpus is { } gpus)
            yield return $"--gpus={gpus}";
        foreach (var option in settings.Options)
            yield return option;
    }

    /// <summary>Runs dealt out to tasks in turn, so that the long ones, which come first, are spread.</summary>
    private List<List<string>> Deal(IReadOnlyList<string> ids)
    {
        var perTask = settings.RunsPerTask ?? 1;
        var tasks = new List<List<string>>();
        for (var count = Math.Min((ids.Count + perTask - 1) / perTask, slurm.MaxArraySize); count > 0; count--)
            tasks.Add([]);
        for (var index = 0; index < ids.Count; index++)
            tasks[index % tasks.Count].Add(ids[index]);
        return tasks;
    }

    /// <summary>
    /// The runs by level: the first needs none of the others, each next one only those before it.
    /// </summary>
    public static IReadOnlyList<IReadOnlyList<RunRequest>> Levels(IReadOnlyList<RunRequest> runs)
    {
        var inside = runs.Select(request => request.Key.Id).ToHashSet();
        var levelOf = new Dictionary<string, int>();
        var left = runs;
        var levels = new List<IReadOnlyList<RunRequest>>();
        while (left.Count > 0)
        {
            var ready = left.ToLookup(request => request.Key.Dependencies.All(
                key => !inside.Contains(key.Id) || levelOf.ContainsKey(key.Id)));
            List<RunRequest> level = [.. ready[true]];
            if (level.Count == 0)
                throw new ArgumentException("runs depend on each other in a circle");
            foreach (var request in level)
                levelOf[request.Key.Id] = levels.Count;
            levels.Add(level);
            left = [.. ready[false]];
        }
        return levels;
    }
}
