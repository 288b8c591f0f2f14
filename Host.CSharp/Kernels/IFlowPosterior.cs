namespace Research.Host;

/// <summary>The layers of a flow that follows a diagonal posterior.</summary>
public abstract record FlowLayers;

/// <summary>A flow behind a diagonal posterior whose parameters the encoder's features give for each example.</summary>
internal interface IFlowPosterior
{
    /// <summary>Numbers in the features.</summary>
    int Inputs { get; }

    /// <summary>Elements that <see cref="Backward"/> needs to work with.</summary>
    int Scratch { get; }

    /// <summary>
    /// Replaces z0 by its image, both `[rows,L]`, and returns the sum over examples of what the flow adds to
    /// log q(z) - log p(z): (|z|^2 - |z0|^2)/2 - log|det J|.
    /// </summary>
    double Forward(ReadOnlySpan<float> features, Span<float> latents, int rows);

    /// <summary>
    /// Replaces the gradient with respect to z by that with respect to z0, `[rows,L]`, and hands over those of the
    /// parameters; what the flow adds to the divergence counts <paramref name="klScale"/> times in the loss. Writes the
    /// features' gradient where it is not empty.
    /// </summary>
    void Backward(
        Span<float> gradient, float klScale, ReadOnlySpan<float> features, Span<float> featureGradient, int rows,
        Span<float> scratch, IGradientSink sink);
}
