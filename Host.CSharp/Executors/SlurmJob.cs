namespace Research.Host;

/// <summary>The task of Slurm that this process is.</summary>
/// <param name="Job">Number of the job, or of the array that the task belongs to.</param>
/// <param name="Task">Index in the array; null outside of one.</param>
public sealed record SlurmJob(string Job, string? Task)
{
    /// <summary>From the environment that Slurm gives its tasks; null when this process is none.</summary>
    public static SlurmJob? Current { get; } = Read();

    /// <summary>As `scontrol` wants it: `ARRAY_TASK`, since the task's own number means something else to it.</summary>
    public override string ToString() => Task is null ? Job : $"{Job}_{Task}";

    private static SlurmJob? Read() =>
        Environment.GetEnvironmentVariable("SLURM_ARRAY_JOB_ID") is { Length: > 0 } array
            ? new(array, Environment.GetEnvironmentVariable("SLURM_ARRAY_TASK_ID"))
            : Environment.GetEnvironmentVariable("SLURM_JOB_ID") is { Length: > 0 } job ? new(job, null) : null;
}
