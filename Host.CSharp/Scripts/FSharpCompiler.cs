using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text.RegularExpressions;

namespace Research.Host;

/// <summary>What the F# compiler says about a place in a file.</summary>
public sealed record CompilerMessage(string File, int Line, int Column, bool IsError, string Code, string Text)
{
    public override string ToString() => $"{Path.GetFileName(File)}({Line},{Column}): {Text}";
}

/// <summary>
/// Compiles F# sources to a library with the compiler of the SDK on this machine, which a user of this project has: the
/// compiler as a package would be twenty megabytes more, and slow at its first call.
/// </summary>
[OutsideResults("what it makes is digested itself")]
public static partial class FSharpCompiler
{
    /// <summary>Compiles scripts or sources, in order, against this program's libraries.</summary>
    /// <param name="sources">Files ending in .fs or .fsx.</param>
    /// <param name="library">The library to write; its name is the assembly's.</param>
    /// <param name="references">Libraries by path, beside the framework.</param>
    /// <returns>Errors and warnings; the library exists when none is an error.</returns>
    /// <exception cref="ResearchException">There is no SDK.</exception>
    public static IReadOnlyList<CompilerMessage> Compile(
        IEnumerable<string> sources, string library, IEnumerable<string> references)
    {
        var arguments = Path.ChangeExtension(library, ".rsp");
        File.WriteAllLines(arguments,
        [
            "--target:library", "--nologo", "--optimize+", "--crossoptimize-", "--deterministic+", "--debug-", "--noframework",
            "--targetprofile:netcore", "--flaterrors", "--fullpaths",
            // A number silently becomes a tensor by a conversion that throws when it runs.
            "--warnon:3395",
            // A line is an argument, blanks and all.
            $"-o:{library}",
            .. Framework().Concat(references).Select(path => $"-r:{path}"),
            .. sources,
        ]);
        var start = new ProcessStartInfo(Path.Combine(DotnetRoot, OperatingSystem.IsWindows() ? "dotnet.exe" : "dotnet"))
        {
            RedirectStandardOutput = true,
            RedirectStandardError = true,
        };
        start.ArgumentList.Add(Compiler());
        start.ArgumentList.Add($"@{arguments}");
        using var process = Process.Start(start)!;
        var output = process.StandardOutput.ReadToEndAsync();
        var errors = process.StandardError.ReadToEnd();
        process.WaitForExit();
        var messages = Parse(output.Result + errors);
        return process.ExitCode == 0 || messages.Any(message => message.IsError)
            ? messages
            : throw new ResearchException($"the F# compiler failed: {errors.Trim()}");
    }

    private static List<CompilerMessage> Parse(string output) =>
    [
        .. from Match line in MessageLine().Matches(output)
           select new CompilerMessage(
               line.Groups["file"].Value, int.Parse(line.Groups["line"].ValueSpan), int.Parse(line.Groups["column"].ValueSpan),
               line.Groups["kind"].Value == "error", line.Groups["code"].Value, line.Groups["text"].Value.Trim())
    ];

    [GeneratedRegex(@"^(?<file>.+?)\((?<line>\d+),(?<column>\d+)\): (?<kind>error|warning) (?<code>\w+): (?<text>.*)$", RegexOptions.Multiline)]
    private static partial Regex MessageLine();

    // The framework that runs this program: shared/Microsoft.NETCore.App/VERSION/ under the root.
    private static string DotnetRoot => Path.GetFullPath(Path.Combine(RuntimeEnvironment.GetRuntimeDirectory(), "..", "..", ".."));

    private static IEnumerable<string> Framework() =>
        Directory.EnumerateFiles(RuntimeEnvironment.GetRuntimeDirectory(), "*.dll")
            .Where(path => Path.GetFileName(path) is var name
                && (name.StartsWith("System.", StringComparison.Ordinal) || name is "mscorlib.dll" or "netstandard.dll")
                && !name.Contains(".Private.", StringComparison.Ordinal) | name == "System.Private.CoreLib.dll");

    private static string Compiler()
    {
        var sdks = Path.Combine(DotnetRoot, "sdk");
        var compilers =
            from sdk in Directory.Exists(sdks) ? Directory.GetDirectories(sdks) : []
            let compiler = Path.Combine(sdk, "FSharp", "fsc.dll")
            where File.Exists(compiler) && Version.TryParse(Path.GetFileName(sdk).Split('-')[0], out _)
            orderby Version.Parse(Path.GetFileName(sdk).Split('-')[0]) descending
            select compiler;
        return compilers.FirstOrDefault()
            ?? throw new ResearchException(
                $"there is no F# compiler in {sdks}: install the .NET SDK, of which only the runtime is here.");
    }
}
