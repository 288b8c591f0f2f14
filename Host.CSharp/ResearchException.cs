namespace Research.Host;

/// <summary>
/// An error that the user can act on. Its message is one clear sentence and is all that is printed:
/// no type name and no stack trace. Every other exception is a defect of the program.
/// </summary>
[OutsideResults("a run that fails has no result")]
public class ResearchException : Exception
{
    /// <summary>Exit code of a run that failed, or of results that could not be used.</summary>
    public const int RunFailed = 1;

    /// <summary>Exit code of a command line that could not be understood or obeyed.</summary>
    public const int BadUsage = 2;

    /// <summary>The process's exit code when this error ends it.</summary>
    public int ExitCode { get; }

    public ResearchException(string sentence, int exitCode = RunFailed, Exception? inner = null)
        : base(sentence, inner) => ExitCode = exitCode;
}

/// <summary>One sentence out of an exception that is not ours.</summary>
[OutsideResults("a run that fails has no result")]
public static class Sentence
{
    /// <summary>Why the system refused a file, without the path, which the caller says.</summary>
    public static string Reason(Exception error)
    {
        if (error is UnauthorizedAccessException)
            return "permission denied";
        var path = error.Message.LastIndexOf(" : '", StringComparison.Ordinal);
        return (path < 0 ? error.Message : error.Message[..path]).TrimEnd('.');
    }

    /// <summary>The message's first line: libtorch's is followed by a native stack.</summary>
    public static string Of(Exception error)
    {
        var line = error.Message.AsSpan().Trim();
        var end = line.IndexOfAny('\r', '\n');
        return (end < 0 ? line : line[..end].TrimEnd()).ToString();
    }
}
