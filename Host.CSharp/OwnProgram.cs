using System.Reflection;

namespace Research.Host;

/// <summary>How to start the running program once more.</summary>
public static class OwnProgram
{
    /// <summary>The program, and what it must be told first when it is `dotnet` itself that runs it.</summary>
    public static IReadOnlyList<string> CommandLine { get; } =
        Path.GetFileNameWithoutExtension(Environment.ProcessPath!) == "dotnet"
            ? [Environment.ProcessPath!, Assembly.GetEntryAssembly()!.Location]
            : [Environment.ProcessPath!];
}
