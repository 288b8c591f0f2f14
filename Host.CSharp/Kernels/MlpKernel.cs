using System.Numerics;

namespace Research.Host;

/// <summary>Linear layers with an activation after each, or after each but the last; keeps what its way back needs.</summary>
internal sealed class MlpKernel
{
    private readonly LinearKernel[] layers;
    private readonly ActivationKind activation;
    private readonly int activated;
    private readonly AlignedFloats[] outputs, slopes, errors;

    /// <param name="layers">At least one.</param>
    /// <param name="activation">The function between them.</param>
    /// <param name="activatesLast">Whether it also follows the last layer.</param>
    /// <param name="name">What messages call the network.</param>
    /// <exception cref="ArgumentException">A layer does not fit the one before it.</exception>
    public MlpKernel(IReadOnlyList<LinearLayer> layers, ActivationKind activation, bool activatesLast, string name)
    {
        this.layers = [.. layers.Select((layer, i) => new LinearKernel(layer, $"{name}'s layer {i + 1}"))];
        for (var i = 1; i < layers.Count; i++)
            if (this.layers[i].Inputs != this.layers[i - 1].Outputs)
                throw new ArgumentException(
                    $"{this.layers[i].Name} reads {this.layers[i].Inputs} numbers, the layer before it gives "
                    + $"{this.layers[i - 1].Outputs}", nameof(layers));
        this.activation = activation;
        activated = activatesLast ? layers.Count : layers.Count - 1;
        (outputs, slopes, errors) = (Empty(), Empty(), Empty());
    }

    public int Inputs => layers[0].Inputs;

    public int Outputs => layers[^1].Outputs;

    /// <summary>Elements that <see cref="Backward"/> needs to work with.</summary>
    public int Scratch => layers.Max(layer => layer.Scratch);

    /// <summary>`[rows,outputs]` after <see cref="Forward"/>.</summary>
    public AlignedFloats Output => outputs[^1];

    /// <summary>The gradient with respect to <see cref="Output"/>, to be written before <see cref="Backward"/>.</summary>
    public AlignedFloats OutputGradient => errors[^1];

    public void Forward(ReadOnlySpan<float> x, int rows)
    {
        for (var i = 0; i < layers.Length; i++)
        {
            var count = rows * layers[i].Outputs;
            AlignedFloats.Reserve(ref outputs[i], count);
            AlignedFloats.Reserve(ref errors[i], count);
            layers[i].Forward(i == 0 ? x : outputs[i - 1].Span, outputs[i].Span, rows);
            if (i >= activated)
                continue;
            AlignedFloats.Reserve(ref slopes[i], count);
            activation.Apply(outputs[i].Vectors(count), slopes[i].Vectors(count));
        }
    }

    /// <summary>
    /// From <see cref="OutputGradient"/> to the input's gradient `[rows,inputs]`, not yet to the parameters': for a loss in
    /// which the weight of each row is known later.
    /// </summary>
    public void BackwardInput(Span<float> inputGradient, int rows)
    {
        for (var i = layers.Length - 1; i >= 0; i--)
            BackwardInput(i, inputGradient, rows);
    }

    /// <summary>
    /// After <see cref="BackwardInput(Span{float}, int)"/>, the parameters' gradients with each row counted by its weight.
    /// </summary>
    public void BackwardParameters(
        ReadOnlySpan<float> x, ReadOnlySpan<float> weights, int rows, Span<float> scratch, IGradientSink sink)
    {
        for (var i = layers.Length - 1; i >= 0; i--)
        {
            var width = layers[i].Outputs;
            for (var row = 0; row < rows; row++)
                VectorMath.Scale(errors[i].Span.Slice(row * width, width), weights[row]);
            layers[i].BackwardParameters(errors[i].Span, i > 0 ? outputs[i - 1].Span : x, rows, scratch, sink);
        }
    }

    /// <summary>
    /// From <see cref="OutputGradient"/> to the parameters' gradients and, where <paramref name="inputGradient"/> is not
    /// empty, to the input's. <paramref name="x"/> is what <see cref="Forward"/> was given.
    /// </summary>
    public void Backward(
        ReadOnlySpan<float> x, Span<float> inputGradient, int rows, Span<float> scratch, IGradientSink sink)
    {
        for (var i = layers.Length - 1; i >= 0; i--)
        {
            BackwardInput(i, inputGradient, rows);
            layers[i].BackwardParameters(errors[i].Span, i > 0 ? outputs[i - 1].Span : x, rows, scratch, sink);
        }
    }

    private void BackwardInput(int i, Span<float> inputGradient, int rows)
    {
        if (i < activated)
            Multiply(errors[i].Vectors(rows * layers[i].Outputs), slopes[i].Vectors(rows * layers[i].Outputs));
        var below = i > 0 ? errors[i - 1].Span : inputGradient;
        if (!below.IsEmpty)
            layers[i].BackwardInput(errors[i].Span, below, rows, add: false);
    }

    private static void Multiply(
        Span<Vector<float>> values, ReadOnlySpan<Vector<float>> factors)
    {
        factors = factors[..values.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] *= factors[i];
    }

    private AlignedFloats[] Empty() => [.. layers.Select(_ => new AlignedFloats(0))];
}
