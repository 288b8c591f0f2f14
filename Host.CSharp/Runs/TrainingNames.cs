namespace Research.Host;

/// <summary>File names of a run's trainings: the usual single one, or several told apart by name.</summary>
public static class TrainingNames
{
    /// <summary>Name of a run's only training.</summary>
    public const string Default = "training";

    internal static string MetricsFile(string training) =>
        training == Default ? "metrics.csv" : $"metrics-{training}.csv";
}
