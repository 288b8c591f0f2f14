using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>The parameters of y = x W' + b.</summary>
/// <param name="Weight">`[outputs,inputs]`, contiguous float32 on the CPU.</param>
/// <param name="Bias">`[outputs]`, likewise.</param>
/// <param name="Index">
/// Index of the weight among the parameters whose gradients are wanted, the bias being the next; null for a layer that is
/// held.
/// </param>
public sealed record LinearLayer(torch.Tensor Weight, torch.Tensor Bias, int? Index)
{
    /// <summary>Numbers of outputs and inputs.</summary>
    /// <exception cref="ArgumentException">The parameters are not of this form.</exception>
    internal (int Outputs, int Inputs) Check(string name)
    {
        if (Weight.dim() != 2)
            throw new ArgumentException($"the weight of {name} is no matrix", nameof(name));
        var (outputs, inputs) = ((int)Weight.shape[0], (int)Weight.shape[1]);
        TensorMemory.Floats(Weight, $"the weight of {name}", outputs, inputs);
        TensorMemory.Floats(Bias, $"the bias of {name}", outputs);
        return (outputs, inputs);
    }
}

/// <summary>One linear layer forwards and backwards.</summary>
internal sealed class LinearKernel
{
    // Elements of a piece of the weight's gradient: what takes it finds it, and the piece's parameters, in the second
    // cache. Whole gradients would travel to memory and back.
    private const int PieceElements = 64 * 784;

    private readonly LinearLayer layer;
    private readonly int piece;

    /// <param name="layer">The parameters.</param>
    /// <param name="name">What messages call the layer.</param>
    /// <exception cref="ArgumentException">The parameters are not of the layer's form.</exception>
    public LinearKernel(LinearLayer layer, string name)
    {
        (this.layer, Name) = (layer, name);
        (Outputs, Inputs) = layer.Check(name);
        piece = PieceOf(Inputs, Outputs);
    }

    /// <summary>What messages call the layer.</summary>
    public string Name { get; }

    public int Inputs { get; }

    public int Outputs { get; }

    /// <summary>Elements that <see cref="BackwardParameters"/> needs to work with.</summary>
    public int Scratch => Math.Max(piece * Inputs, Outputs);

    /// <summary>Outputs whose weights make a piece.</summary>
    internal static int PieceOf(int inputs, int outputs) =>
        Math.Min(outputs, Math.Max(16, PieceElements / inputs / 16 * 16));

    /// <summary>y = x W' + b. `[rows,inputs] -> [rows,outputs]`.</summary>
    public void Forward(ReadOnlySpan<float> x, Span<float> y, int rows)
    {
        ReadOnlySpan<float> bias = TensorMemory.Floats(layer.Bias);
        // The product is added to it.
        for (var row = 0; row < rows; row++)
            bias.CopyTo(y.Slice(row * Outputs, Outputs));
        Gemm.AddForward(x, TensorMemory.Floats(layer.Weight), y, rows, Inputs, Outputs);
    }

    /// <summary>dx = dy W, or that added to dx. Before <see cref="BackwardParameters"/>, after which W may have moved on.</summary>
    public void BackwardInput(ReadOnlySpan<float> dy, Span<float> dx, int rows, bool add) =>
        Gemm.BackwardInput(dy, TensorMemory.Floats(layer.Weight), dx, rows, Inputs, Outputs, add);

    /// <summary>Hands over the gradients dW = dy' x, in pieces, and db, the sum of dy's rows.</summary>
    public void BackwardParameters(
        ReadOnlySpan<float> dy, ReadOnlySpan<float> x, int rows, Span<float> scratch, IGradientSink sink)
    {
        if (layer.Index is not { } index)
            return;
        for (var first = 0; first < Outputs; first += piece)
        {
            var count = Math.Min(piece, Outputs - first);
            Gemm.BackwardWeight(dy[first..], x, scratch, rows, Inputs, Outputs, count);
            sink.Take(index, first * Inputs, scratch[..(count * Inputs)]);
        }
        var sum = scratch[..Outputs];
        sum.Clear();
        for (var row = 0; row < rows; row++)
            Add(dy.Slice(row * Outputs, Outputs), sum);
        sink.Take(index + 1, 0, sum);
    }

    private static void Add(ReadOnlySpan<float> row, Span<float> sum)
    {
        var r = MemoryMarshal.Cast<float, Vector<float>>(row);
        var s = MemoryMarshal.Cast<float, Vector<float>>(sum)[..r.Length];
        for (var i = 0; i < r.Length; i++)
            s[i] += r[i];
        for (var i = r.Length * Vector<float>.Count; i < row.Length; i++)
            sum[i] += row[i];
    }
}
