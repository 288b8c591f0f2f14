using TorchSharp;

namespace Research.Host;

/// <summary>What a VAE of linear layers is, beside its parameters.</summary>
/// <param name="Activation">Between the layers of encoder and decoder.</param>
/// <param name="Likelihood">What the decoder's outputs mean.</param>
/// <param name="Variance">What the second half of the encoder's outputs means.</param>
/// <param name="Beta">Weight of the divergence from the prior N(0,I).</param>
public sealed record VaeForm(ActivationKind Activation, LikelihoodKind Likelihood, VarianceKind Variance, double Beta);

/// <summary>The terms of a VAE's loss, means over a batch in nats; their sum is the loss.</summary>
/// <param name="Reconstruction">-log p(x|z).</param>
/// <param name="Kl">beta KL(q(z|x)||N(0,I)).</param>
public readonly record struct VaeTerms(double Reconstruction, double Kl)
{
    public double Loss => Reconstruction + Kl;
}

/// <summary>
/// Value and gradient of -E_q log p(x|z) + beta KL(q(z|x)||N(0,I)) with one sample z = mu + sigma eps a row, for an encoder
/// and a decoder of linear layers, float32 on the CPU: the chain rule written out, matrix products into memory at hand and
/// SIMD passes between them. A flow may follow the sample; what it adds to the divergence is then taken at it. Where
/// the decoder reads more than z, the last columns of each row of x (a class, say) stand behind z and are no data. An
/// instance owns its memory: one caller at a time.
/// </summary>
public sealed class VaeKernel
{
    private readonly VaeForm form;
    private readonly MlpKernel? body;
    private readonly DiagonalPosterior posterior;
    private readonly IFlowPosterior? flow;
    private readonly MlpKernel decoder;
    private readonly int inputs, data, conditions;
    private readonly AlignedFloats scratch;

    private AlignedFloats z = new(0), zGradient = new(0), target = new(0), code = new(0), codeGradient = new(0);

    /// <param name="encoder">Its last layer gives means, then variances.</param>
    /// <param name="decoder">Its first layer reads z and what of x stands behind the data.</param>
    /// <param name="form">What the layers' outputs mean.</param>
    /// <param name="layers">A flow behind the diagonal posterior, from the features of the encoder's last layer.</param>
    /// <exception cref="ArgumentException">The layers do not fit each other.</exception>
    public VaeKernel(
        IReadOnlyList<LinearLayer> encoder, IReadOnlyList<LinearLayer> decoder, VaeForm form, FlowLayers? layers = null)
    {
        this.form = form;
        var last = encoder.Count - 1;
        if (last > 0)
            body = new([.. encoder.Take(last)], form.Activation, activatesLast: true, "the encoder");
        posterior = new(encoder[last], form.Variance);
        flow = layers switch
        {
            PlanarLayers maps => new PlanarPosterior(maps, posterior.Latent),
            IafLayers steps => new IafPosterior(steps, posterior.Latent),
            _ => null,
        };
        this.decoder = new(decoder, form.Activation, activatesLast: false, "the decoder");
        inputs = body?.Inputs ?? posterior.Inputs;
        conditions = this.decoder.Inputs - posterior.Latent;
        data = inputs - conditions;
        if (conditions < 0 || data < 1 || this.decoder.Outputs != data * form.Likelihood.Outputs
            || (body is not null && body.Outputs != posterior.Inputs)
            || (flow is not null && flow.Inputs != posterior.Inputs))
            throw new ArgumentException(
                $"an encoder from {inputs} numbers to {posterior.Latent} latents does not fit a decoder from "
                + $"{this.decoder.Inputs} to {this.decoder.Outputs}");
        int[] needs = [body?.Scratch ?? 0, posterior.Scratch, flow?.Scratch ?? 0, this.decoder.Scratch];
        scratch = new(needs.Max());
    }

    /// <summary>Why this machine cannot run the kernel, in a few words, or null when it can.</summary>
    public static string? Obstacle => Gemm.IsAvailable ? null : "this system's libtorch keeps its BLAS to itself";

    /// <summary>
    /// The loss's terms. The gradients go to <paramref name="sink"/>, which may change a parameter as soon as it has its
    /// gradient.
    /// </summary>
    /// <param name="x">A batch `[B,D]`, D the encoder's inputs; contiguous float32 on the CPU.</param>
    /// <param name="eps">Standard normal noise `[B,L]`.</param>
    /// <param name="sink">Takes the gradients.</param>
    /// <exception cref="ArgumentException">A tensor, or a grey level in x, is not of the form.</exception>
    public VaeTerms ValueAndGradient(torch.Tensor x, torch.Tensor eps, IGradientSink sink)
    {
        var rows = (int)x.shape[0];
        ReadOnlySpan<float> batch = TensorMemory.Floats(x, "x", rows, inputs);
        ReadOnlySpan<float> noise = TensorMemory.Floats(eps, "eps", rows, posterior.Latent);
        if (rows == 0)
            throw new ArgumentException("a batch must have an example", nameof(x));
        var scale = 1f / rows;
        Reserve(rows);

        body?.Forward(batch, rows);
        var features = body is null ? batch : body.Output.Span;
        var divergence = posterior.Forward(features, noise, z, rows) + (flow?.Forward(features, z.Span, rows) ?? 0);
        var given = Condition(batch, rows);
        decoder.Forward(given, rows);
        var fit = form.Likelihood.Apply(
            decoder.Output.Span, Target(batch, rows), decoder.OutputGradient.Span, scale);

        decoder.Backward(given, conditions == 0 ? zGradient.Span : codeGradient.Span, rows, scratch.Span, sink);
        BackwardPosterior(features, rows, sink);
        body?.Backward(batch, [], rows, scratch.Span, sink);
        // Their memory was in use until here.
        GC.KeepAlive((x, eps));
        // What has no weight is no term: 0 times a divergence that overflows would be NaN.
        return new(-fit / rows, form.Beta == 0 ? 0 : form.Beta * divergence / rows);
    }

    private void BackwardPosterior(ReadOnlySpan<float> features, int rows, IGradientSink sink)
    {
        var klScale = (float)(form.Beta / rows);
        var below = body is null ? [] : body.OutputGradient.Span;
        var gradient = LatentGradient(rows);
        flow?.Backward(gradient, klScale, features, below, rows, scratch.Span, sink);
        posterior.Backward(gradient, klScale, features, below, flow is not null, rows, scratch.Span, sink);
    }

    private void Reserve(int rows)
    {
        AlignedFloats.Reserve(ref z, rows * posterior.Latent);
        AlignedFloats.Reserve(ref zGradient, rows * posterior.Latent);
        if (conditions == 0)
            return;
        AlignedFloats.Reserve(ref target, rows * data);
        AlignedFloats.Reserve(ref code, rows * decoder.Inputs);
        AlignedFloats.Reserve(ref codeGradient, rows * decoder.Inputs);
    }

    // What the decoder reads: z, and behind it what of x is no data.
    private ReadOnlySpan<float> Condition(ReadOnlySpan<float> x, int rows)
    {
        if (conditions == 0)
            return z.Span;
        for (var row = 0; row < rows; row++)
        {
            var to = code.Span.Slice(row * decoder.Inputs, decoder.Inputs);
            z.Span.Slice(row * posterior.Latent, posterior.Latent).CopyTo(to);
            x.Slice(row * inputs + data, conditions).CopyTo(to[posterior.Latent..]);
        }
        return code.Span;
    }

    private ReadOnlySpan<float> Target(ReadOnlySpan<float> x, int rows)
    {
        if (conditions == 0)
            return x;
        for (var row = 0; row < rows; row++)
            x.Slice(row * inputs, data).CopyTo(target.Span[(row * data)..]);
        return target.Span[..(rows * data)];
    }

    private Span<float> LatentGradient(int rows)
    {
        for (var row = 0; row < rows && conditions > 0; row++)
            codeGradient.Span.Slice(row * decoder.Inputs, posterior.Latent)
                .CopyTo(zGradient.Span[(row * posterior.Latent)..]);
        return zGradient.Span;
    }
}
