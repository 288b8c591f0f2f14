using System.Globalization;

namespace Research.Host;

/// <summary>The scalars of a training that a checkpoint keeps in its metadata, to the bit.</summary>
[OutsideResults("a run that was resumed has the same bits")]
internal sealed record TrainingPosition
{
    public long Step { get; init; }

    public long Evaluations { get; init; }

    /// <summary>Best value of the metric of early stopping so far, or null before the first evaluation.</summary>
    public double? Best { get; init; }

    public long BestStep { get; init; }

    /// <summary>Evaluations since the best one.</summary>
    public long SinceBest { get; init; }

    public bool StoppedEarly { get; init; }

    public bool IsFinished { get; init; }

    public void Save(IDictionary<string, string> metadata)
    {
        metadata["step"] = Text(Step);
        metadata["evaluations"] = Text(Evaluations);
        if (Best is { } best)
            metadata["best"] = best.ToString("R", CultureInfo.InvariantCulture);
        metadata["best.step"] = Text(BestStep);
        metadata["best.since"] = Text(SinceBest);
        metadata["stopped.early"] = Text(StoppedEarly ? 1 : 0);
        metadata["finished"] = Text(IsFinished ? 1 : 0);
    }

    /// <exception cref="FormatException">A value is missing or is no number.</exception>
    public static TrainingPosition Restore(IReadOnlyDictionary<string, string> metadata) => new()
    {
        Step = Whole(metadata, "step"),
        Evaluations = Whole(metadata, "evaluations"),
        Best = metadata.TryGetValue("best", out var best) ? double.Parse(best, CultureInfo.InvariantCulture) : null,
        BestStep = Whole(metadata, "best.step"),
        SinceBest = Whole(metadata, "best.since"),
        StoppedEarly = Whole(metadata, "stopped.early") == 1,
        IsFinished = Whole(metadata, "finished") == 1,
    };

    /// <summary>A whole number of the metadata.</summary>
    /// <exception cref="FormatException">It is missing or malformed.</exception>
    public static long Whole(IReadOnlyDictionary<string, string> metadata, string key) =>
        metadata.TryGetValue(key, out var text)
        && long.TryParse(text, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number)
            ? number
            : throw new FormatException($"its '{key}' is missing or malformed");

    /// <summary>A whole number as <see cref="Whole"/> reads it.</summary>
    public static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);
}
