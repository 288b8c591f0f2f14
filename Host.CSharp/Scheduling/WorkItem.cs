namespace Research.Host;

/// <summary>A unit of work for the <see cref="Scheduler"/>.</summary>
/// <param name="Id">Unique name.</param>
/// <param name="DependsOn">Ids of the items that must be done before this one starts.</param>
/// <param name="Threads">Cores it uses: 1, or 2 for convolutions.</param>
/// <param name="Work">Runs from start to end on one thread of its own.</param>
public sealed record WorkItem(string Id, IReadOnlyList<string> DependsOn, int Threads, Action<WorkContext> Work)
{
    /// <summary>It measures time: nothing runs beside it, though it computes with its own threads only.</summary>
    public bool IsAlone { get; init; }

    /// <summary>Cores of a budget that it holds while it runs.</summary>
    internal int Cores(int budget) => IsAlone ? budget : Math.Clamp(Threads, 1, budget);

    /// <summary>Of the items that can start, the one with the largest starts first; else the order given counts.</summary>
    public double Priority { get; init; }

    /// <summary>Asked right before the item would start; it may start when this is not given.</summary>
    public Func<Admission>? Admit { get; init; }
}

/// <summary>Whether an item may start.</summary>
public abstract record Admission
{
    private Admission()
    {
    }

    /// <summary>It starts now.</summary>
    public sealed record Granted : Admission;

    /// <summary>Ask again later; others may start meanwhile.</summary>
    public sealed record Later : Admission;

    /// <summary>It need not start: this is how it ended elsewhere.</summary>
    public sealed record Over(WorkOutcome Outcome) : Admission;
}

/// <summary>Thrown by an item that cannot go on now and is to be admitted again later.</summary>
public sealed class WorkDeferredException : Exception;

/// <summary>What the scheduler hands to a running item.</summary>
/// <param name="Threads">Threads that the item computes with; fewer than it asked for when the budget is smaller.</param>
/// <param name="Progress">Where it reports.</param>
/// <param name="Cancellation">Set when the user interrupts: save and throw.</param>
[OutsideResults("threads, progress and cancellation decide no result")]
public sealed record WorkContext(int Threads, IRunProgress Progress, CancellationToken Cancellation);

/// <summary>How an item ended.</summary>
public enum WorkStatus
{
    Done,
    Failed,

    /// <summary>Not started, because an item that it depends on is not done.</summary>
    Skipped,

    /// <summary>Interrupted.</summary>
    Cancelled,

    /// <summary>Not started because of an interruption.</summary>
    Waiting,

    /// <summary>Handed to others, who may not have begun.</summary>
    Submitted,
}

/// <summary>The end of an item.</summary>
/// <param name="Id">The item.</param>
/// <param name="Status">How it ended.</param>
/// <param name="Reason">One sentence unless done.</param>
/// <param name="Elapsed">Time it ran.</param>
/// <param name="Error">The exception of a failed item.</param>
public sealed record WorkOutcome(
    string Id, WorkStatus Status, string? Reason = null, TimeSpan Elapsed = default, Exception? Error = null)
{
    /// <summary>The sentence for an error that ended an item.</summary>
    public static string ReasonOf(Exception error) =>
        error is ResearchException ? error.Message : $"{error.GetType().Name}: {Sentence.Of(error)}";
}
