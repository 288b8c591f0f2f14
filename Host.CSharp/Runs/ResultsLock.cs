namespace Research.Host;

/// <summary>
/// Exclusive use of a results directory by one process. The system holds the lock (flock on Unix), so it ends
/// with the process however that ends: a lock file left behind by a dead process blocks nobody.
/// </summary>
public sealed class ResultsLock : IDisposable
{
    private readonly FileStream held;

    private ResultsLock(FileStream held) => this.held = held;

    /// <summary>Takes the lock of the directory, which is created when missing.</summary>
    /// <exception cref="ResearchException">
    /// Another process holds it (the message gives its number), or the directory cannot be written.
    /// </exception>
    public static ResultsLock Take(string root)
    {
        try
        {
            Directory.CreateDirectory(root);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            throw new ResearchException(
                $"the results directory '{root}' cannot be created: {error.Message}", ResearchException.RunFailed, error);
        }
        // The owner's number is a file of its own, since the locked one cannot be opened by others.
        var owner = Path.Combine(root, ".lock-owner");
        try
        {
            var stream = new FileStream(
                Path.Combine(root, ".lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
            File.WriteAllText(owner, Environment.ProcessId.ToString());
            return new(stream);
        }
        catch (IOException error) when (!Durable.IsDiskFull(error))
        {
            var process = File.Exists(owner) ? $"process {File.ReadAllText(owner)}" : "another process";
            throw new ResearchException(
                $"results are in use by {process}: wait for it to end, or choose another results directory.",
                ResearchException.RunFailed, error);
        }
        catch (UnauthorizedAccessException error)
        {
            throw new ResearchException(
                $"the results directory '{root}' cannot be written by this user.", ResearchException.RunFailed, error);
        }
    }

    public void Dispose() => held.Dispose();
}
