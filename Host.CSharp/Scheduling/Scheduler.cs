using System.Diagnostics;

namespace Research.Host;

/// <summary>
/// Runs work items side by side within a budget of cores. Every item has an operating-system thread of its own
/// from start to end, because libtorch's grad mode, thread count and dispose scopes belong to the thread.
/// One failure stops nothing but the items that depend on it.
/// </summary>
/// <param name="jobs">Cores to use at a time, at least 1.</param>
/// <param name="board">Shows progress.</param>
/// <param name="prepareThread">Called on each new thread with the number of threads that its item computes with.</param>
/// <param name="retry">Time after which an item that was not admitted is asked again.</param>
public sealed class Scheduler(
    int jobs, IProgressBoard board, Action<int>? prepareThread = null, TimeSpan? retry = null)
{
    // Deep enough for libtorch's autograd on long graphs.
    private const int StackBytes = 64 << 20;

    private readonly object gate = new();
    private readonly long patience = (long)(retry ?? TimeSpan.FromSeconds(1)).TotalMilliseconds;

    /// <summary>
    /// Runs all items and returns their outcomes in the order given. Items that are ready start in that order,
    /// so long ones belong first; one that needs two cores lets smaller ones pass while only one is free.
    /// </summary>
    /// <exception cref="ArgumentException">Two items share an id, or a dependency is unknown or circular.</exception>
    public IReadOnlyList<WorkOutcome> Run(IReadOnlyList<WorkItem> items, CancellationToken cancellation)
    {
        var budget = Math.Max(1, jobs);
        var graph = new WorkGraph(items, budget);
        var free = budget;
        var running = new Dictionary<int, Thread>();
        // Wakes the loop below, which otherwise sleeps until an item ends.
        using var registration = cancellation.Register(() =>
        {
            lock (gate)
                Monitor.PulseAll(gate);
        });

        while (Next() is { } index)
            // Asked outside the lock: the answer may come from a distant file server.
            switch (Admit(items[index]))
            {
                case Admission.Granted:
                    Start(index);
                    break;
                case Admission.Later:
                    lock (gate)
                        graph.Defer(index, Environment.TickCount64 + patience);
                    break;
                case Admission.Over over:
                    lock (gate)
                        Settle(index, over.Outcome);
                    break;
            }
        return graph.Outcomes;

        // Waits for an item that can start; null once everything has ended.
        int? Next()
        {
            lock (gate)
                while (true)
                {
                    if (cancellation.IsCancellationRequested)
                        graph.CancelAllBut(running.Keys.ToHashSet());
                    var wakeUp = graph.Resume(Environment.TickCount64);
                    if (graph.Take(free) is { } index)
                        return index;
                    if (graph.Settled == items.Count)
                        return null;
                    Monitor.Wait(gate, wakeUp is { } time ? (int)Math.Max(1, time - Environment.TickCount64) : Timeout.Infinite);
                }
        }

        void Start(int index)
        {
            var item = items[index];
            var cores = graph.Cores(index);
            var progress = board.Begin(item.Id);
            var context = new WorkContext(Math.Clamp(item.Threads, 1, budget), progress, cancellation);
            var thread = new Thread(() => RunOnThread(index, context), StackBytes)
            {
                Name = item.Id,
                IsBackground = true,
            };
            lock (gate)
            {
                free -= cores;
                running.Add(index, thread);
            }
            thread.Start();
        }

        void RunOnThread(int index, WorkContext context)
        {
            var outcome = Execute(items[index], context);
            lock (gate)
            {
                free += graph.Cores(index);
                running.Remove(index);
                if (outcome is not null)
                    Settle(index, outcome);
                else
                {
                    board.Pause(items[index].Id);
                    graph.Defer(index, Environment.TickCount64 + patience);
                }
                Monitor.PulseAll(gate);
            }
        }

        void Settle(int index, WorkOutcome outcome) => Show(graph.Settle(index, outcome));

        void Show(IReadOnlyList<WorkOutcome> ended)
        {
            foreach (var outcome in ended)
                board.End(outcome);
        }
    }

    private static Admission Admit(WorkItem item)
    {
        try
        {
            return item.Admit?.Invoke() ?? new Admission.Granted();
        }
        catch (Exception error)
        {
            return new Admission.Over(new(item.Id, WorkStatus.Failed, WorkOutcome.ReasonOf(error), Error: error));
        }
    }

    /// <summary>Runs an item to its end; null when it is to be admitted again later.</summary>
    private WorkOutcome? Execute(WorkItem item, WorkContext context)
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
        catch (WorkDeferredException)
        {
            return null;
        }
        catch (Exception error)
        {
            // A defect of one run must not take the others with it; its trace goes to the run's log.
            return new(item.Id, WorkStatus.Failed, WorkOutcome.ReasonOf(error), watch.Elapsed, error);
        }
    }
}
