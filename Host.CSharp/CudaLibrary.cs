using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>What CUDA and libtorch offer and TorchSharp has no name for.</summary>
internal static unsafe partial class CudaLibrary
{
    /// <summary>
    /// Makes cuDNN choose algorithms that return the same bits every time, so that a training that was killed resumes to
    /// the same bits on a GPU too: its fastest gradients of convolutions add in the order in which threads arrive.
    /// cuBLAS keeps its bits while one stream uses it, which is so here. Does nothing on Windows.
    /// </summary>
    public static void KeepBits() => TorchContext.TrySet("setDeterministicCuDNN", true);

    /// <summary>The name of a card, counted as CUDA counts them; null where the driver does not tell.</summary>
    public static string? CardName(int index)
    {
        if (!NativeLibrary.TryLoad(OperatingSystem.IsWindows() ? "nvcuda.dll" : "libcuda.so.1", out var driver)
            || !NativeLibrary.TryGetExport(driver, "cuInit", out var init)
            || !NativeLibrary.TryGetExport(driver, "cuDeviceGet", out var get)
            || !NativeLibrary.TryGetExport(driver, "cuDeviceGetName", out var getName))
            return null;
        const int Room = 256;
        var name = stackalloc byte[Room];
        int device;
        return ((delegate* unmanaged<uint, int>)init)(0) == 0
            && ((delegate* unmanaged<int*, int, int>)get)(&device, index) == 0
            && ((delegate* unmanaged<byte*, int, int, int>)getName)(name, Room, device) == 0
            ? Marshal.PtrToStringUTF8((nint)name)
            : null;
    }
}
