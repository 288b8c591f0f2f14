using TorchSharp;

namespace Research.Host;

/// <summary>
/// Encoder and decoder of a VAE of linear layers, float32 on the CPU, for a loss that is computed elsewhere from what they
/// give: the encoder's outputs h and log p(x|z) of each example. A step calls <see cref="Encode"/>,
/// <see cref="Decode"/>, <see cref="BackwardDecoder"/> and <see cref="BackwardEncoder"/> in this order. An instance owns
/// its memory: one caller at a time.
/// </summary>
public sealed class EncoderDecoderKernel
{
    private readonly MlpKernel encoder, decoder;
    private readonly LikelihoodKind likelihood;
    private readonly int latent, data;
    private readonly AlignedFloats scratch;

    private AlignedFloats x = new(0), z = new(0);
    private int examples, rows;

    /// <param name="encoder">From the data.</param>
    /// <param name="decoder">From z to what the likelihood reads.</param>
    /// <param name="activation">Between the layers of both.</param>
    /// <param name="likelihood">What the decoder's outputs mean.</param>
    /// <exception cref="ArgumentException">The layers do not fit each other.</exception>
    public EncoderDecoderKernel(
        IReadOnlyList<LinearLayer> encoder, IReadOnlyList<LinearLayer> decoder, ActivationKind activation,
        LikelihoodKind likelihood)
    {
        this.encoder = new(encoder, activation, activatesLast: false, "the encoder");
        this.decoder = new(decoder, activation, activatesLast: false, "the decoder");
        (this.likelihood, data, latent) = (likelihood, this.encoder.Inputs, this.decoder.Inputs);
        if (this.decoder.Outputs != data * likelihood.Outputs)
            throw new ArgumentException(
                $"a decoder of {this.decoder.Outputs} outputs does not fit an encoder from {data} numbers");
        scratch = new(Math.Max(this.encoder.Scratch, this.decoder.Scratch));
    }

    /// <summary>The encoder's outputs h of a batch. `[B,D] -> [B,E]`.</summary>
    /// <exception cref="ArgumentException">The batch is empty, or no contiguous float32 on the CPU.</exception>
    public torch.Tensor Encode(torch.Tensor batch)
    {
        (examples, rows) = ((int)batch.shape[0], 0);
        if (examples == 0)
            throw new ArgumentException("a batch must have an example", nameof(batch));
        Keep(ref x, batch, nameof(batch), examples, data);
        encoder.Forward(x.Span, examples);
        return Made(encoder.Output.Span, examples, encoder.Outputs);
    }

    /// <summary>
    /// log p(x|z) of the batch that was encoded last, and its gradient with respect to z: `z: [R,L]`, R a multiple of B whose
    /// rows go through the batch again and again, results `[R]` and `[R,L]`.
    /// </summary>
    /// <exception cref="ArgumentException">z has another form, or a grey level in x is none.</exception>
    public (torch.Tensor LogLikelihood, torch.Tensor Slope) Decode(torch.Tensor latents)
    {
        rows = (int)latents.shape[0];
        if (examples == 0 || rows % examples != 0)
            throw new ArgumentException($"{rows} codes for {examples} examples", nameof(latents));
        Keep(ref z, latents, nameof(latents), rows, latent);
        decoder.Forward(z.Span, rows);
        var values = new float[rows];
        for (var row = 0; row < rows; row++)
            // What is written is the gradient of minus a factor times the logarithm.
            values[row] = (float)likelihood.Apply(
                decoder.Output.Span.Slice(row * decoder.Outputs, decoder.Outputs), x.Span.Slice(row % examples * data, data),
                decoder.OutputGradient.Span.Slice(row * decoder.Outputs, decoder.Outputs), scale: -1);
        var slope = new float[rows * latent];
        decoder.BackwardInput(slope, rows);
        return (Made(values, rows), Made(slope, rows, latent));
    }

    /// <summary>Hands over the decoder's gradients for the loss's gradient with respect to log p(x|z), `[R]`.</summary>
    /// <exception cref="ArgumentException">Nothing was decoded, or so many rows were not.</exception>
    public void BackwardDecoder(torch.Tensor gradient, IGradientSink sink)
    {
        decoder.BackwardParameters(
            z.Span, TensorMemory.Floats(gradient, nameof(gradient), rows), rows, scratch.Span, sink);
        GC.KeepAlive(gradient);
    }

    /// <summary>Hands over the encoder's gradients for the loss's gradient with respect to h, `[B,E]`.</summary>
    /// <exception cref="ArgumentException">The gradient has another form.</exception>
    public void BackwardEncoder(torch.Tensor gradient, IGradientSink sink)
    {
        TensorMemory.Floats(gradient, nameof(gradient), examples, encoder.Outputs).CopyTo(encoder.OutputGradient.Span);
        GC.KeepAlive(gradient);
        encoder.Backward(x.Span, [], examples, scratch.Span, sink);
    }

    // A copy at an aligned place, which the way back finds as it was.
    private static void Keep(ref AlignedFloats memory, torch.Tensor tensor, string name, int rows, int columns)
    {
        var source = TensorMemory.Floats(tensor, name, rows, columns);
        AlignedFloats.Reserve(ref memory, source.Length);
        source.CopyTo(memory.Span);
        GC.KeepAlive(tensor);
    }

    private static torch.Tensor Made(ReadOnlySpan<float> values, params ReadOnlySpan<long> shape)
    {
        var made = torch.empty(shape.ToArray());
        var memory = TensorMemory.Floats(made);
        values[..memory.Length].CopyTo(memory);
        return made;
    }
}
