using System.Numerics;

namespace Research.Host;

/// <summary>
/// A linear layer whose outputs have an example in each column, `[outputs,stride]`: what comes after works on several
/// examples at a time in the lanes of a vector. The columns behind the last example are padding, whose content is
/// arbitrary.
/// </summary>
internal sealed class ColumnsKernel
{
    private readonly LinearLayer layer;
    private readonly int piece;

    /// <param name="layer">The parameters.</param>
    /// <param name="name">What messages call the layer.</param>
    /// <exception cref="ArgumentException">The parameters are not of the layer's form.</exception>
    public ColumnsKernel(LinearLayer layer, string name)
    {
        this.layer = layer;
        (Outputs, Inputs) = layer.Check(name);
        piece = LinearKernel.PieceOf(Inputs, Outputs);
    }

    public int Inputs { get; }

    public int Outputs { get; }

    /// <summary>Elements that <see cref="BackwardParameters"/> needs to work with.</summary>
    public int Scratch => Math.Max(piece * Inputs, Outputs);

    /// <summary>Columns of so many examples, whole vectors of them.</summary>
    public static int Stride(int rows) => (rows + Vector<float>.Count - 1) / Vector<float>.Count * Vector<float>.Count;

    /// <summary>y' = W x' + b. `x: [rows,inputs]`, `y: [outputs,stride]`.</summary>
    public void Forward(ReadOnlySpan<float> x, Span<float> y, int rows)
    {
        var stride = Stride(rows);
        ReadOnlySpan<float> bias = TensorMemory.Floats(layer.Bias);
        for (var output = 0; output < Outputs; output++)
            y.Slice(output * stride, stride).Fill(bias[output]);
        Gemm.AddForwardColumns(x, TensorMemory.Floats(layer.Weight), y, rows, Inputs, Outputs, stride);
    }

    /// <summary>dx = dy W, or that added to dx. Before <see cref="BackwardParameters"/>, after which W may have moved on.</summary>
    public void BackwardInput(ReadOnlySpan<float> dy, Span<float> dx, int rows, bool add) =>
        Gemm.BackwardInputColumns(
            dy, TensorMemory.Floats(layer.Weight), dx, rows, Inputs, Outputs, Stride(rows), add);

    /// <summary>Hands over the gradients of weight and bias.</summary>
    public void BackwardParameters(
        ReadOnlySpan<float> dy, ReadOnlySpan<float> x, int rows, Span<float> scratch, IGradientSink sink)
    {
        if (layer.Index is not { } index)
            return;
        var stride = Stride(rows);
        for (var first = 0; first < Outputs; first += piece)
        {
            var count = Math.Min(piece, Outputs - first);
            Gemm.BackwardWeightColumns(dy[(first * stride)..], x, scratch, rows, Inputs, count, stride);
            sink.Take(index, first * Inputs, scratch[..(count * Inputs)]);
        }
        for (var output = 0; output < Outputs; output++)
        {
            var sum = 0f;
            foreach (var value in dy.Slice(output * stride, rows))
                sum += value;
            scratch[output] = sum;
        }
        sink.Take(index + 1, 0, scratch[..Outputs]);
    }
}
