using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>Settings of libtorch that TorchSharp has no name for.</summary>
internal static unsafe class TorchContext
{
    /// <summary>
    /// Calls a method of `at::Context` that takes one truth value; false where libtorch's names are mangled otherwise, that is
    /// on Windows.
    /// </summary>
    /// <param name="method">For example `setDeterministicCuDNN`.</param>
    /// <param name="value">What it is called with.</param>
    public static bool TrySet(string method, bool value)
    {
        if (!NativeLibrary.TryLoad("torch_cpu", typeof(TorchContext).Assembly, null, out var library)
            || !NativeLibrary.TryGetExport(library, "_ZN2at13globalContextEv", out var context)
            || !NativeLibrary.TryGetExport(library, $"_ZN2at7Context{method.Length}{method}Eb", out var set))
            return false;
        ((delegate* unmanaged<nint, byte, void>)set)(((delegate* unmanaged<nint>)context)(), value ? (byte)1 : (byte)0);
        return true;
    }
}
