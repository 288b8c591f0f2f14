using System.Diagnostics;
using System.Reflection;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>libtorch, loaded before TorchSharp asks for it.</summary>
public static class TorchLibrary
{
    /// <summary>
    /// Loads libtorch and TorchSharp's binding of it from the folder of TorchSharp, else (a build with -p:Torch=system) from
    /// the system's library path. Call first. TorchSharp itself, when it finds no library that loads, copies all of
    /// libtorch, half a gigabyte, to a new folder and prints a page of attempts; so it must not come to that.
    ///
    /// BLAS gets one thread per caller, unless the user has set MKL_NUM_THREADS: runs go side by side, so a BLAS that
    /// also starts a thread per core would only make them wait for each other. MKL reads the variable while it is loaded.
    /// oneDNN is kept only where its convolutions are right.
    /// </summary>
    /// <exception cref="ResearchException">
    /// A library is missing or does not load, or convolves wrongly and cannot be kept from it, or TorchSharp is not the copy
    /// that build/Research.Core.targets makes, whose operators keep their arguments alive; the sentence says what to do.
    /// </exception>
    public static void Load()
    {
        if (typeof(torch).Assembly.GetCustomAttribute<DebuggableAttribute>() is not { IsJITOptimizerDisabled: true })
            throw new ResearchException(
                $"{typeof(torch).Assembly.Location} may free an operator's argument while the operator runs: "
                + "use the TorchSharp.dll that the build of this project puts beside its programs.");
        if (Environment.GetEnvironmentVariable("MKL_NUM_THREADS") is null)
            Set("MKL_NUM_THREADS", "1");
        KeepFreedMemory();
        // A CUDA build is found by TorchSharp itself, when a GPU is asked for.
        foreach (var name in new[] { "torch_cpu", "LibTorchSharp" })
            Load(name);
        OneDnn.KeepIfSound();
    }

    // glibc gives freed blocks of a tensor's size back to the kernel at once, and the next operator's result is memory that
    // the kernel must clear again. Blocks up to the largest threshold that glibc takes are therefore kept for the next
    // operator.
    private static void KeepFreedMemory()
    {
        if (!OperatingSystem.IsLinux())
            return;
        const int trimThreshold = -1, topPad = -2, mmapThreshold = -3;
        try
        {
            _ = mallopt(trimThreshold, 1 << 30);
            _ = mallopt(topPad, 64 << 20);
            _ = mallopt(mmapThreshold, 32 << 20);
        }
        catch (EntryPointNotFoundException)
        {
            // Another C library, which has its own way.
        }
    }

    private static void Load(string name)
    {
        var file = FileName(name);
        var path = Path.Combine(Folder, file);
        if (!File.Exists(path))
        {
            if (NativeLibrary.TryLoad(file, out _))
                return;
            // A link into the package cache dangles when the cache was emptied.
            throw new ResearchException(
                $"{file} is neither in {Folder} nor on the library path: "
                + "build again, which restores the package that holds it.");
        }
        try
        {
            NativeLibrary.Load(path);
        }
        catch (Exception error) when (error is DllNotFoundException or BadImageFormatException)
        {
            throw new ResearchException(
                $"{file} does not load ({Reason(error, path)}): "
                + "libtorch needs x86-64 with Debian 12, Ubuntu 22.04 or newer, Windows, or macOS on Apple silicon.",
                ResearchException.RunFailed, error);
        }
    }

    // Where TorchSharp lies: the program's folder, also when the program is F# Interactive, whose own folder is another.
    private static string Folder =>
        Path.GetDirectoryName(typeof(torch).Assembly.Location) is { Length: > 0 } folder ? folder : AppContext.BaseDirectory;

    private static string FileName(string name) =>
        OperatingSystem.IsWindows() ? $"{name}.dll"
        : OperatingSystem.IsMacOS() ? $"lib{name}.dylib"
        : $"lib{name}.so";

    // The loader's own line, without the path that the sentence has named.
    private static string Reason(Exception error, string path)
    {
        var lines = error.Message.Split('\n', StringSplitOptions.TrimEntries | StringSplitOptions.RemoveEmptyEntries);
        var line = lines.FirstOrDefault(line => line.StartsWith(path, StringComparison.Ordinal)) ?? lines[0];
        return line.Replace($"{path}: ", "", StringComparison.Ordinal).TrimEnd('.');
    }

    // Environment.SetEnvironmentVariable alone changes a copy that native code never reads.
    private static void Set(string name, string value)
    {
        Environment.SetEnvironmentVariable(name, value);
        if (!OperatingSystem.IsWindows())
            _ = setenv(name, value, 1);
    }

    [DllImport("libc")]
    private static extern int mallopt(int parameter, int value);

    [DllImport("libc")]
    private static extern int setenv(
        [MarshalAs(UnmanagedType.LPUTF8Str)] string name, [MarshalAs(UnmanagedType.LPUTF8Str)] string value,
        int overwrite);
}
