using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp;

/// <summary>One argument or result of a boxed operator call, as native/shim.cpp lays it out.</summary>
[StructLayout(LayoutKind.Explicit, Size = 16)]
internal struct NativeValue
{
    [FieldOffset(0)] public Tag Tag;
    [FieldOffset(4)] public int Count;
    [FieldOffset(8)] public long Integer;
    [FieldOffset(8)] public double Real;
    [FieldOffset(8)] public IntPtr Pointer;
}

internal enum Tag
{
    Default = 0, None = 1, Tensor = 2, Int = 3, Double = 4, Bool = 5, Ints = 6, Doubles = 7,
    Tensors = 8, String = 9, Device = 10, Generator = 11, OptionalTensors = 12,
}

internal static unsafe partial class Native
{
    private const string Library = "research_torch";

    static Native()
    {
        NativeLibrary.SetDllImportResolver(typeof(Native).Assembly, (name, assembly, path) =>
        {
            if (name != Library) return IntPtr.Zero;
            var file = Path.Combine(AppContext.BaseDirectory, "libresearch_torch.so");
            try
            {
                return NativeLibrary.Load(file);
            }
            catch (Exception e) when (e is DllNotFoundException or BadImageFormatException)
            {
                throw new DllNotFoundException(
                    "libtorch could not be loaded: install it (Debian, Ubuntu: apt-get install libtorch-dev "
                    + "libopenblas0-pthread), or name a libtorch >= 1.13 in LIBTORCH and build again. "
                    + $"[{e.Message.ReplaceLineEndings(" ").Trim()}]");
            }
        });
    }

    /// <summary>Turns a failed call into the exception type that TorchSharp throws.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    internal static void Check(int status)
    {
        if (status != 0) Fail();
    }

    private static void Fail() => throw new ExternalException(Marshal.PtrToStringUTF8(ts_last_error()));

    [LibraryImport(Library)] private static partial IntPtr ts_last_error();
    [LibraryImport(Library)] internal static partial IntPtr ts_version();
    [LibraryImport(Library, StringMarshalling = StringMarshalling.Utf8)]
    internal static partial int ts_find(string name, string overload, out IntPtr op, out int arity);
    [LibraryImport(Library)]
    internal static partial int ts_call(IntPtr op, NativeValue* args, int count, NativeValue* outs, int capacity, int* returned);
    [LibraryImport(Library)] internal static partial void ts_free(IntPtr* handles, int count);
    [LibraryImport(Library)] internal static partial int ts_from_buffer(void* data, long* sizes, int rank, int dtype, out IntPtr tensor);
    [LibraryImport(Library)] internal static partial long ts_dim(IntPtr tensor);
    [LibraryImport(Library)] internal static partial long ts_numel(IntPtr tensor);
    [LibraryImport(Library)] internal static partial void ts_sizes(IntPtr tensor, long* sizes);
    [LibraryImport(Library)] internal static partial void ts_strides(IntPtr tensor, long* strides);
    [LibraryImport(Library)] internal static partial int ts_dtype(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int ts_contiguous(IntPtr tensor);
    [LibraryImport(Library)] internal static partial long ts_device(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int ts_data(IntPtr tensor, out IntPtr data);
    [LibraryImport(Library)] internal static partial int ts_requires_grad(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int ts_set_requires_grad(IntPtr tensor, int on);
    [LibraryImport(Library)] internal static partial int ts_is_leaf(IntPtr tensor);
    [LibraryImport(Library)] internal static partial int ts_get_grad(IntPtr tensor, out IntPtr grad);
    [LibraryImport(Library)] internal static partial int ts_set_grad(IntPtr tensor, IntPtr grad);
    [LibraryImport(Library)] internal static partial int ts_backward(IntPtr tensor, IntPtr gradient, int retain, int create);
    [LibraryImport(Library)]
    internal static partial int ts_grad(IntPtr* outputs, int nOutputs, IntPtr* inputs, int nInputs,
        IntPtr* gradOutputs, int nGradOutputs, int retain, int create, int allowUnused, IntPtr* grads);
    [LibraryImport(Library)]
    internal static partial int ts_managed_function(IntPtr* inputs, int nInputs, IntPtr* outputs, int nOutputs,
        delegate* unmanaged<long, IntPtr*, int, IntPtr*, int, int> callback, delegate* unmanaged<long, void> released, long context);
    [LibraryImport(Library)] internal static partial int ts_grad_enabled();
    [LibraryImport(Library)] internal static partial void ts_set_grad_enabled(int on);
    [LibraryImport(Library)] internal static partial int ts_generator(long device, out IntPtr generator);
    [LibraryImport(Library)] internal static partial int ts_default_generator(out IntPtr generator);
    [LibraryImport(Library)] internal static partial int ts_generator_seed(IntPtr generator, ulong seed);
    [LibraryImport(Library)] internal static partial void ts_generator_free(IntPtr generator);
    [LibraryImport(Library)] internal static partial int ts_num_threads();
    [LibraryImport(Library)] internal static partial int ts_set_num_threads(int n);
    [LibraryImport(Library)] internal static partial int ts_cuda_available();
    [LibraryImport(Library)] internal static partial int ts_cuda_device_count();
}
