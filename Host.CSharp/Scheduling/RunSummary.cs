namespace Research.Host;

/// <summary>What became of the requested runs.</summary>
/// <param name="Outcomes">One for each run that was not complete before, in the order requested.</param>
/// <param name="Cached">Runs that were complete before and were not touched.</param>
public sealed record RunSummary(IReadOnlyList<WorkOutcome> Outcomes, int Cached)
{
    private const int Interrupted = 130, MostReasons = 50;

    /// <summary>Whether the results of all requested runs can be used.</summary>
    public bool IsComplete => Outcomes.All(outcome => outcome.Status == WorkStatus.Done);

    /// <summary>Whether an interruption ended or kept back any.</summary>
    public bool IsInterrupted =>
        Outcomes.Any(outcome => outcome.Status is WorkStatus.Cancelled or WorkStatus.Waiting);

    /// <summary>
    /// 0 when all are done or submitted, 1 when one failed, 130 (as shells count it) when the user interrupted.
    /// </summary>
    public int ExitCode =>
        IsInterrupted ? Interrupted
        : Outcomes.All(outcome => outcome.Status is WorkStatus.Done or WorkStatus.Submitted) ? 0
        : ResearchException.RunFailed;

    /// <summary>The closing lines: how many of each kind, then the runs that ended otherwise and why, failures first.</summary>
    public IReadOnlyList<string> Lines()
    {
        var counts = Outcomes.CountBy(outcome => outcome.Status)
            .Select(pair => $"{pair.Value} {pair.Key.ToString().ToLowerInvariant()}");
        // What waits for the next command has nothing to tell.
        var others = Outcomes
            .Where(outcome => outcome.Status is not (WorkStatus.Done or WorkStatus.Submitted or WorkStatus.Waiting))
            .OrderBy(outcome => outcome.Status != WorkStatus.Failed).ToList();
        var more = others.Count - MostReasons;
        return
        [
            string.Join(", ", [.. counts, $"{Cached} cached"]),
            .. others.Take(MostReasons).Select(outcome => $"  {outcome.Id}: {outcome.Reason}"),
            .. more > 0 ? [$"  and {more} more"] : Array.Empty<string>(),
        ];
    }
}
