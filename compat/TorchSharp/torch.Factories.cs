using System.Runtime.InteropServices;

namespace TorchSharp;

public static partial class torch
{
    private static Tensor Finish(Tensor t, bool requires_grad)
    {
        if (requires_grad) t.requires_grad = true;
        return t;
    }

    public static Tensor zeros(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.zeros.Call(size, dtype, Arg.Default, device), requires_grad);

    public static Tensor ones(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.ones.Call(size, dtype, Arg.Default, device), requires_grad);

    public static Tensor empty(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.empty_memory_format.Call(size, dtype, Arg.Default, device), requires_grad);

    public static Tensor full(long[] size, Scalar value, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.full.Call(size, value, dtype, Arg.Default, device), requires_grad);

    public static Tensor eye(long rows, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.eye.Call(rows, dtype, Arg.Default, device), requires_grad);

    public static Tensor arange(Scalar start, Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.arange_start.Call(start, stop, dtype, Arg.Default, device), requires_grad);

    public static Tensor arange(Scalar stop, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.arange.Call(stop, dtype, Arg.Default, device), requires_grad);

    public static Tensor linspace(double start, double end, long steps, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        Finish(Operators.linspace.Call(start, end, steps, dtype, Arg.Default, device), requires_grad);

    public static Tensor randn(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null) =>
        Finish(Operators.randn_generator.Call(size, generator, dtype, Arg.Default, device), requires_grad);

    public static Tensor rand(long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null) =>
        Finish(Operators.rand_generator.Call(size, generator, dtype, Arg.Default, device), requires_grad);

    public static Tensor randint(long low, long high, long[] size, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null) =>
        Finish(Operators.randint_low_generator.Call(low, high, size, generator, dtype ?? ScalarType.Int64, Arg.Default, device), requires_grad);

    public static Tensor randperm(long n, ScalarType? dtype = null, Device? device = null, bool requires_grad = false, Generator? generator = null) =>
        Finish(Operators.randperm_generator.Call(n, generator, dtype ?? ScalarType.Int64, Arg.Default, device), requires_grad);

    private static unsafe Tensor FromMemory<T>(ReadOnlySpan<T> data, long[] dimensions, ScalarType? dtype, Device? device, bool requires_grad)
        where T : unmanaged
    {
        var count = 1L;
        foreach (var d in dimensions) count *= d;
        if (count != data.Length)
            throw new ArgumentException($"{data.Length} elements do not fill the shape [{string.Join(", ", dimensions)}]");
        IntPtr handle;
        fixed (T* p = data)
        fixed (long* sizes = dimensions)
            Native.Check(Native.ts_from_buffer(p, sizes, dimensions.Length, (int)Tensor.TypeOf<T>(), out handle));
        var made = new Tensor(handle);
        var type = dtype ?? made.dtype;
        if (type != made.dtype || (device is not null && device.type != DeviceType.CPU))
        {
            using var source = made;
            made = source.to(type, device ?? CPU);
        }
        return Finish(made, requires_grad);
    }

    public static Tensor tensor(float[] dataArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<float>(dataArray, [dataArray.Length], dtype, device, requires_grad);
    public static Tensor tensor(float[] dataArray, long[] dimensions, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<float>(dataArray, dimensions, dtype, device, requires_grad);
    public static Tensor tensor(double[] dataArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<double>(dataArray, [dataArray.Length], dtype, device, requires_grad);
    public static Tensor tensor(double[] dataArray, long[] dimensions, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<double>(dataArray, dimensions, dtype, device, requires_grad);
    public static Tensor tensor(long[] dataArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<long>(dataArray, [dataArray.Length], dtype, device, requires_grad);
    public static Tensor tensor(long[] dataArray, long[] dimensions, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<long>(dataArray, dimensions, dtype, device, requires_grad);
    public static Tensor tensor(int[] dataArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<int>(dataArray, [dataArray.Length], dtype, device, requires_grad);
    public static Tensor tensor(byte[] dataArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<byte>(dataArray, [dataArray.Length], dtype, device, requires_grad);
    public static Tensor tensor(byte[] dataArray, long[] dimensions, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<byte>(dataArray, dimensions, dtype, device, requires_grad);
    public static Tensor tensor(bool[] dataArray, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<bool>(dataArray, [dataArray.Length], dtype, device, requires_grad);

    public static Tensor tensor(float scalar, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<float>([scalar], [], dtype, device, requires_grad);
    public static Tensor tensor(double scalar, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<double>([scalar], [], dtype, device, requires_grad);
    public static Tensor tensor(long scalar, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<long>([scalar], [], dtype, device, requires_grad);
    public static Tensor tensor(int scalar, ScalarType? dtype = null, Device? device = null, bool requires_grad = false) =>
        FromMemory<int>([scalar], [], dtype, device, requires_grad);
}
