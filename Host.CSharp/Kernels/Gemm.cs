using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>
/// Products of row-major matrices into memory at hand, by the BLAS that libtorch carries: the operators of libtorch
/// call the same one, but allocate their results. It obeys libtorch's number of threads.
/// </summary>
internal static unsafe partial class Gemm
{
    private const string Library = "torch_cpu", Entry = "sgemm_";

    /// <summary>Whether this system's libtorch lets others call its BLAS.</summary>
    public static bool IsAvailable { get; } =
        NativeLibrary.TryLoad(Library, typeof(Gemm).Assembly, null, out var library)
        && NativeLibrary.TryGetExport(library, Entry, out _);

    /// <summary>Y = Y + X W'. `x: [rows,inputs]`, `w: [outputs,inputs]`, `y: [rows,outputs]`.</summary>
    public static void AddForward(
        ReadOnlySpan<float> x, ReadOnlySpan<float> w, Span<float> y, int rows, int inputs, int outputs) =>
        // BLAS counts by columns, so that it is given each matrix's transpose and asked for the product's.
        Call('T', 'N', outputs, rows, inputs, w[..(outputs * inputs)], inputs, x[..(rows * inputs)], inputs, 1,
            y[..(rows * outputs)], outputs);

    /// <summary>dX = dY W, or dX + dY W.</summary>
    public static void BackwardInput(
        ReadOnlySpan<float> dy, ReadOnlySpan<float> w, Span<float> dx, int rows, int inputs, int outputs, bool add) =>
        Call('N', 'N', inputs, rows, outputs, w[..(outputs * inputs)], inputs, dy[..(rows * outputs)], outputs,
            add ? 1 : 0, dx[..(rows * inputs)], inputs);

    /// <summary>
    /// dW = dY' X for the weights of so many neighbouring outputs: `dy: [rows,outputs]` from the first of them on,
    /// `x: [rows,inputs]`, `dw: [block,inputs]`.
    /// </summary>
    public static void BackwardWeight(
        ReadOnlySpan<float> dy, ReadOnlySpan<float> x, Span<float> dw, int rows, int inputs, int outputs, int block) =>
        Call('N', 'T', inputs, block, rows, x[..(rows * inputs)], inputs, dy[..((rows - 1) * outputs + block)], outputs,
            0, dw[..(block * inputs)], inputs);

    /// <summary>
    /// Y' = Y' + W X' with an example in each column: `y: [outputs,rows]`, its rows `stride` numbers apart.
    /// </summary>
    public static void AddForwardColumns(
        ReadOnlySpan<float> x, ReadOnlySpan<float> w, Span<float> y, int rows, int inputs, int outputs, int stride) =>
        Call('T', 'N', rows, outputs, inputs, x[..(rows * inputs)], inputs, w[..(outputs * inputs)], inputs, 1,
            y[..(outputs * stride)], stride);

    /// <summary>dX = dY W, or that added to dX, from gradients with an example in each column.</summary>
    public static void BackwardInputColumns(
        ReadOnlySpan<float> dy, ReadOnlySpan<float> w, Span<float> dx, int rows, int inputs, int outputs, int stride,
        bool add) =>
        Call('N', 'T', inputs, rows, outputs, w[..(outputs * inputs)], inputs, dy[..(outputs * stride)], stride,
            add ? 1 : 0, dx[..(rows * inputs)], inputs);

    /// <summary>dW = dY' X for so many neighbouring outputs, from gradients with an example in each column.</summary>
    public static void BackwardWeightColumns(
        ReadOnlySpan<float> dy, ReadOnlySpan<float> x, Span<float> dw, int rows, int inputs, int block, int stride) =>
        Call('N', 'N', inputs, block, rows, x[..(rows * inputs)], inputs, dy[..(block * stride)], stride, 0,
            dw[..(block * inputs)], inputs);

    private static void Call(
        char transposeA, char transposeB, int m, int n, int k, ReadOnlySpan<float> a, int lda, ReadOnlySpan<float> b,
        int ldb, float beta, Span<float> c, int ldc)
    {
        byte byteA = (byte)transposeA, byteB = (byte)transposeB;
        var alpha = 1f;
        fixed (float* atA = a, atB = b, atC = c)
            Sgemm(&byteA, &byteB, &m, &n, &k, &alpha, atA, &lda, atB, &ldb, &beta, atC, &ldc);
    }

    [LibraryImport(Library, EntryPoint = Entry)]
    private static partial void Sgemm(
        byte* transposeA, byte* transposeB, int* m, int* n, int* k, float* alpha, float* a, int* lda, float* b, int* ldb,
        float* beta, float* c, int* ldc);
}
