using TorchSharp;

namespace Research.Host;

/// <summary>
/// Adds gradients that came whole to those that come in pieces, and hands over the sums; <see cref="Finish"/> hands over the
/// whole ones to which nothing came.
/// </summary>
/// <param name="sink">Takes the sums.</param>
/// <param name="whole">By the parameters' indices; null for none. float32 on the CPU.</param>
public sealed class AddedGradients(IGradientSink sink, IReadOnlyList<torch.Tensor?> whole) : IGradientSink
{
    private readonly bool[] isTaken = new bool[whole.Count];
    private float[] sum = [];

    public void Take(int parameter, int start, ReadOnlySpan<float> gradient)
    {
        isTaken[parameter] = true;
        if (whole[parameter] is not { } other)
        {
            sink.Take(parameter, start, gradient);
            return;
        }
        if (sum.Length < gradient.Length)
            sum = new float[gradient.Length];
        using var rows = other.contiguous();
        VectorMath.Add(gradient, TensorMemory.Floats(rows).Slice(start, gradient.Length), sum);
        sink.Take(parameter, start, sum.AsSpan(0, gradient.Length));
    }

    /// <summary>To be called once, after the last piece.</summary>
    public void Finish()
    {
        for (var i = 0; i < whole.Count; i++)
            if (!isTaken[i] && whole[i] is { } gradient)
            {
                using var rows = gradient.contiguous();
                sink.Take(i, 0, TensorMemory.Floats(rows));
            }
    }
}
