using System.Reflection;
using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>The machine, as far as it matters for timings. It names no person and no network.</summary>
/// <param name="System">Operating system.</param>
/// <param name="Processor">Processor model where the system tells, else its architecture.</param>
/// <param name="Cores">Logical processors available to the process.</param>
/// <param name="Runtime">.NET version.</param>
public sealed record HostInfo(string System, string Processor, int Cores, string Runtime)
{
    /// <summary>This machine.</summary>
    public static HostInfo Current { get; } = new(
        RuntimeInformation.OSDescription, ReadProcessor(), Environment.ProcessorCount,
        RuntimeInformation.FrameworkDescription);

    /// <summary>Source revision that the SDK stamped into this assembly, or `unknown`.</summary>
    public static string Revision { get; } =
        typeof(HostInfo).Assembly.GetCustomAttribute<AssemblyInformationalVersionAttribute>()?.InformationalVersion
            .Split('+') is [_, var revision] ? revision : "unknown";

    private static string ReadProcessor()
    {
        const string cpuInfo = "/proc/cpuinfo";
        var model = File.Exists(cpuInfo)
            ? File.ReadLines(cpuInfo).FirstOrDefault(line => line.StartsWith("model name", StringComparison.Ordinal))
            : null;
        return model?.Split(':', 2)[1].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
    }
}
