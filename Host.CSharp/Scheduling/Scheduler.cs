using System.Diagnostics;

namespace Research.Host;

/// <summary>
/// Runs work items side by side within a budget of cores. Every item has an operating-system thread of its own
/// from start to end, because libtorch's grad mode, thread count and dispose scopes belong to the thread.
/// One failure stops nothing but the items that depend on it.
/// </summary>
/// <param name="jobs">Cores to use at a time, at least 1.</param>
/// <param name="board">Shows progress.</param>
/// <param name="prepareThread">Called on each new thread with the cores that its item holds.</param>
public sealed class Scheduler(int jobs, IProgressBoard board, Action<int>? prepareThread = null)
{
    // Deep enough for libtorch's autograd on long graphs.
    private const int StackBytes = 64 << 20;

    private readonly object gate = new();

    /// <summary>
    /// Runs all items and returns their outcomes in the order given. Items that are ready start in that order,
    /// so long ones belong first; one that needs two cores lets smaller ones pass while only one is free.
    /// </summary>
    /// <exception cref="ArgumentException">Two items share an id, or a dependency is unknown or circular.</exception>
    public IReadOnlyList<WorkOutcome> Run(IReadOnlyList<WorkItem> items, CancellationToken cancellation)
    {
        Validate(items);
        var budget = Math.Max(1, jobs);
        var free = budget;
        var waiting = new List<WorkItem>(items);
        var outcomes = new Dictionary<string, WorkOutcome>();
        var threads = new List<Thread>();
        // Wakes the loop below, which otherwise sleeps until an item ends.
        using var registration = cancellation.Register(() =>
        {
            lock (gate)
                Monitor.PulseAll(gate);
        });

        lock (gate)
        {
            while (outcomes.Count < items.Count)
            {
                while (TakeNext() is { } item)
                    Start(item);
                if (outcomes.Count < items.Count)
                    Monitor.Wait(gate);
            }
        }
        threads.ForEach(thread => thread.Join());
        return [.. items.Select(item => outcomes[item.Id])];

        // Settles what cannot run any more and returns the first item that can run now.
        WorkItem? TakeNext()
        {
            while (waiting.FirstOrDefault(item => Verdict(item) is not null) is { } lost)
            {
                waiting.Remove(lost);
                Settle(Verdict(lost)!);
            }
            return waiting.FirstOrDefault(item => item.DependsOn.All(outcomes.ContainsKey) && Cores(item) <= free);
        }

        // The outcome of an item that can never start, else null.
        WorkOutcome? Verdict(WorkItem item) =>
            cancellation.IsCancellationRequested
                ? new(item.Id, WorkStatus.Cancelled, "interrupted before it started")
                : item.DependsOn.FirstOrDefault(IsLost) is { } lost
                    ? new(item.Id, WorkStatus.Skipped, $"skipped because {lost} is not done")
                    : null;

        bool IsLost(string id) => outcomes.TryGetValue(id, out var outcome) && outcome.Status != WorkStatus.Done;

        int Cores(WorkItem item) => Math.Clamp(item.Threads, 1, budget);

        void Settle(WorkOutcome outcome)
        {
            outcomes.Add(outcome.Id, outcome);
            board.End(outcome);
        }

        void Start(WorkItem item)
        {
            var cores = Cores(item);
            waiting.Remove(item);
            free -= cores;
            var progress = board.Begin(item.Id);
            var thread = new Thread(() =>
            {
                var outcome = Execute(item, new(cores, progress, cancellation));
                lock (gate)
                {
                    free += cores;
                    Settle(outcome);
                    Monitor.PulseAll(gate);
                }
            }, StackBytes)
            {
                Name = item.Id,
                IsBackground = true,
            };
            threads.Add(thread);
            thread.Start();
        }
    }

    private WorkOutcome Execute(WorkItem item, WorkContext context)
    {
        var watch = Stopwatch.StartNew();
        try
        {
            prepareThread?.Invoke(context.Threads);
            item.Work(context);
            return new(item.Id, WorkStatus.Done, Elapsed: watch.Elapsed);
        }
        catch (OperationCanceledException) when (context.Cancellation.IsCancellationRequested)
        {
            return new(item.Id, WorkStatus.Cancelled, "interrupted; it resumes where it stopped", watch.Elapsed);
        }
        catch (ResearchException error)
        {
            return new(item.Id, WorkStatus.Failed, error.Message, watch.Elapsed, error);
        }
        catch (Exception error)
        {
            // A defect of one run must not take the others with it; its trace goes to the run's log.
            return new(item.Id, WorkStatus.Failed, $"{error.GetType().Name}: {Sentence.Of(error)}", watch.Elapsed, error);
        }
    }

    private static void Validate(IReadOnlyList<WorkItem> items)
    {
        var byId = new Dictionary<string, WorkItem>();
        foreach (var item in items)
            if (!byId.TryAdd(item.Id, item))
                throw new ArgumentException($"two work items are called '{item.Id}'", nameof(items));
        var settled = new HashSet<string>();
        var open = new HashSet<string>();
        foreach (var item in items)
            Visit(item);

        void Visit(WorkItem item)
        {
            if (settled.Contains(item.Id))
                return;
            if (!open.Add(item.Id))
                throw new ArgumentException($"work item '{item.Id}' depends on itself", nameof(items));
            foreach (var id in item.DependsOn)
                Visit(byId.TryGetValue(id, out var needed)
                    ? needed
                    : throw new ArgumentException($"'{item.Id}' depends on '{id}', which is not given", nameof(items)));
            settled.Add(item.Id);
        }
    }
}
