using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>Environment variables as native libraries see them.</summary>
public static class NativeEnvironment
{
    /// <summary>
    /// Pins BLAS to one thread per caller, unless the user has set the variables. Call before anything touches
    /// libtorch: OpenBLAS reads them once, while it is loaded. Runs go side by side, so a BLAS that also starts
    /// a thread per core would only make them wait for each other.
    /// </summary>
    public static void PinBlasThreads()
    {
        foreach (var name in new[] { "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS" })
            if (Environment.GetEnvironmentVariable(name) is null)
                Set(name, "1");
    }

    /// <summary>
    /// Sets a variable for managed and native code. <see cref="Environment.SetEnvironmentVariable(string, string)"/>
    /// alone changes a copy that `getenv` never reads.
    /// </summary>
    public static void Set(string name, string value)
    {
        Environment.SetEnvironmentVariable(name, value);
        if (!OperatingSystem.IsWindows())
            _ = setenv(name, value, 1);
    }

    [DllImport("libc")]
    private static extern int setenv(
        [MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value,
        int overwrite);
}
