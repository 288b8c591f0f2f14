namespace Research.Host;

/// <summary>
/// Data that cannot be used. The message is one sentence that names the file, what was expected and what was
/// found.
/// </summary>
public sealed class DataException : ResearchException
{
    public DataException(string path, string problem, Exception? inner = null)
        : base($"{path}: {problem}", RunFailed, inner) => Path = path;

    /// <summary>The file or directory that is at fault.</summary>
    public string Path { get; }

    internal static DataException Mismatch(string path, string expected, string found) =>
        new(path, $"expected {expected}, found {found}.");

    /// <summary>A length in bytes that is not the expected one.</summary>
    internal static DataException WrongLength(string path, long expected, long found, string what) =>
        Mismatch(path, $"{Provenance.Grouped(expected)} bytes {what}",
            $"{Provenance.Grouped(found)} ({(found < expected ? "truncated" : "trailing bytes")})");
}
