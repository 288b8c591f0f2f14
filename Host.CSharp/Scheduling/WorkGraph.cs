namespace Research.Host;

/// <summary>
/// Which items wait, which may start, and how those that are over ended. Every operation costs time that grows with
/// the logarithm of the number of items at most, so that a hundred thousand are no burden. Not for two threads at
/// once.
/// </summary>
internal sealed class WorkGraph
{
    private readonly IReadOnlyList<WorkItem> items;
    private readonly int budget;
    private readonly int[] missing, byRank, rank;
    private readonly List<int>[] dependents;
    private readonly WorkOutcome?[] outcomes;
    // By cores, the ranks of the items that can start.
    private readonly SortedDictionary<int, SortedSet<int>> ready = [];
    private readonly PriorityQueue<int, long> deferred = new();

    /// <param name="items">In the order in which they should start, as far as their priorities do not decide.</param>
    /// <param name="budget">Cores: what asks for more is given all.</param>
    /// <exception cref="ArgumentException">Two items share an id, or a dependency is unknown or circular.</exception>
    public WorkGraph(IReadOnlyList<WorkItem> items, int budget)
    {
        this.items = items;
        this.budget = budget;
        missing = new int[items.Count];
        dependents = [.. items.Select(_ => new List<int>())];
        outcomes = new WorkOutcome?[items.Count];
        Connect();
        byRank = Ranked(InOrderOfDependence());
        rank = Places(byRank);
        for (var index = 0; index < items.Count; index++)
            MakeReadyIfComplete(index);
    }

    /// <summary>Items whose end is known.</summary>
    public int Settled { get; private set; }

    /// <summary>The ends of all items in the order given, once all are settled.</summary>
    public IReadOnlyList<WorkOutcome> Outcomes => outcomes!;

    /// <summary>Cores that an item holds while it runs.</summary>
    public int Cores(int index) => items[index].Cores(budget);

    /// <summary>Takes the first item that can start within the free cores; null when there is none.</summary>
    public int? Take(int free)
    {
        var fitting = ready.Where(group => group.Key <= free && group.Value.Count > 0).Select(group => group.Value);
        if (fitting.MinBy(indices => indices.Min) is not { } first)
            return null;
        var place = first.Min;
        first.Remove(place);
        return byRank[place];
    }

    /// <summary>Puts an item that was taken aside until a time.</summary>
    public void Defer(int index, long until) => deferred.Enqueue(index, until);

    /// <summary>Makes items ready again whose time has come; returns the next such time, if any.</summary>
    public long? Resume(long now)
    {
        while (deferred.TryPeek(out var index, out var until))
        {
            if (until > now)
                return until;
            deferred.Dequeue();
            MakeReadyIfComplete(index);
        }
        return null;
    }

    /// <summary>
    /// Records the end of an item, and of those that depend on it when it is not done. Returns all that ended.
    /// </summary>
    public IReadOnlyList<WorkOutcome> Settle(int index, WorkOutcome outcome)
    {
        var ended = new List<WorkOutcome>();
        var open = new Queue<(int Index, WorkOutcome Outcome)>([(index, outcome)]);
        while (open.TryDequeue(out var next))
        {
            // A second failure may reach what the first has ended.
            if (outcomes[next.Index] is not null)
                continue;
            outcomes[next.Index] = next.Outcome;
            Settled++;
            ended.Add(next.Outcome);
            foreach (var dependent in dependents[next.Index])
                if (next.Outcome.Status != WorkStatus.Done)
                    open.Enqueue((dependent, new(
                        items[dependent].Id, WorkStatus.Skipped, $"skipped because {next.Outcome.Id} is not done")));
                else if (--missing[dependent] == 0)
                    MakeReadyIfComplete(dependent);
        }
        return ended;
    }

    /// <summary>Ends all that has not started, after an interruption.</summary>
    public void CancelAllBut(IReadOnlySet<int> running)
    {
        ready.Clear();
        deferred.Clear();
        for (var index = 0; index < items.Count; index++)
            if (outcomes[index] is null && !running.Contains(index))
            {
                outcomes[index] = new(items[index].Id, WorkStatus.Waiting, "interrupted before it started");
                Settled++;
            }
    }

    private void Connect()
    {
        var byId = new Dictionary<string, int>();
        for (var index = 0; index < items.Count; index++)
            if (!byId.TryAdd(items[index].Id, index))
                throw new ArgumentException($"two work items are called '{items[index].Id}'");
        for (var index = 0; index < items.Count; index++)
            foreach (var id in items[index].DependsOn)
            {
                if (!byId.TryGetValue(id, out var needed))
                    throw new ArgumentException($"'{items[index].Id}' depends on '{id}', which is not given");
                dependents[needed].Add(index);
                missing[index]++;
            }
    }

    private List<int> InOrderOfDependence()
    {
        var left = (int[])missing.Clone();
        var open = new Stack<int>(Enumerable.Range(0, items.Count).Where(index => left[index] == 0));
        var reached = new List<int>(items.Count);
        while (open.TryPop(out var index))
        {
            reached.Add(index);
            foreach (var dependent in dependents[index])
                if (--left[dependent] == 0)
                    open.Push(dependent);
        }
        return reached.Count == items.Count
            ? reached
            : throw new ArgumentException(
                $"'{items[Array.FindIndex(left, n => n > 0)].Id}' depends on items that depend on each other in a circle");
    }

    // The largest priority first, then the order given; what others wait for starts as early as the earliest of them.
    private int[] Ranked(List<int> byDependence)
    {
        var indices = Enumerable.Range(0, items.Count);
        var own = Places([.. indices.OrderByDescending(index => items[index].Priority)]);
        var earliest = (int[])own.Clone();
        for (var i = byDependence.Count - 1; i >= 0; i--)
            foreach (var dependent in dependents[byDependence[i]])
                earliest[byDependence[i]] = Math.Min(earliest[byDependence[i]], earliest[dependent]);
        return [.. indices.OrderBy(index => earliest[index]).ThenBy(index => own[index])];
    }

    private static int[] Places(int[] order)
    {
        var places = new int[order.Length];
        for (var place = 0; place < order.Length; place++)
            places[order[place]] = place;
        return places;
    }

    private void MakeReadyIfComplete(int index)
    {
        if (missing[index] > 0 || outcomes[index] is not null)
            return;
        if (!ready.TryGetValue(Cores(index), out var group))
            ready.Add(Cores(index), group = []);
        group.Add(rank[index]);
    }
}
