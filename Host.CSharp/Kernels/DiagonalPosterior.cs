using System.Numerics;
using System.Runtime.CompilerServices;

namespace Research.Host;

/// <summary>How the second half of an encoder's output becomes a variance.</summary>
public enum VarianceKind
{
    /// <summary>It is the log-variance.</summary>
    Log,

    /// <summary>The variance is its softplus plus 1e-8.</summary>
    Softplus,
}

/// <summary>
/// q(z|x) = N(mu, diag sigma^2), both linear in features of x: the reparameterised sample z = mu + sigma eps and the
/// closed-form KL(q||N(0,I)).
/// </summary>
internal sealed class DiagonalPosterior
{
    private readonly LinearKernel head;
    private readonly VarianceKind variance;
    private readonly int latent;

    // Of [rows,2 latent]: the head's output and the gradient with respect to it. Of [rows,latent] each, without gaps: means,
    // second halves (s), noise, and the slopes of z and of the divergence with respect to s.
    private AlignedFloats output = new(0), error = new(0);
    private AlignedFloats mu = new(0), second = new(0), noise = new(0), sampleSlope = new(0), klSlope = new(0);

    /// <param name="layer">Gives means, then what becomes the variances.</param>
    /// <param name="variance">How the second half becomes variances.</param>
    /// <exception cref="ArgumentException">The layer's outputs are not of even number.</exception>
    public DiagonalPosterior(LinearLayer layer, VarianceKind variance)
    {
        head = new(layer, "the encoder's last layer");
        if (head.Outputs % 2 != 0)
            throw new ArgumentException($"an encoder's {head.Outputs} outputs are no means and as many variances");
        (this.variance, latent) = (variance, head.Outputs / 2);
    }

    public int Latent => latent;

    /// <summary>Numbers in the features.</summary>
    public int Inputs => head.Inputs;

    /// <summary>Elements that <see cref="Backward"/> needs to work with.</summary>
    public int Scratch => head.Scratch;

    /// <summary>Writes z `[rows,latent]` and returns the sum of the divergences.</summary>
    public double Forward(ReadOnlySpan<float> features, ReadOnlySpan<float> eps, AlignedFloats z, int rows)
    {
        var count = rows * latent;
        Reserve(count);
        head.Forward(features, output.Span, rows);
        for (var row = 0; row < rows; row++)
        {
            var from = output.Span.Slice(2 * row * latent, 2 * latent);
            from[..latent].CopyTo(mu.Span[(row * latent)..]);
            from[latent..].CopyTo(second.Span[(row * latent)..]);
        }
        eps[..count].CopyTo(noise.Span);
        return variance == VarianceKind.Log
            ? Sample(z, count, new LogVariance())
            : Sample(z, count, new SoftplusVariance());
    }

    /// <summary>
    /// From the gradient with respect to z, and the divergence's factor in the loss, to the head's parameters and, where
    /// it is not empty, the features' gradient, to which it is added if <paramref name="add"/>.
    /// </summary>
    public void Backward(
        ReadOnlySpan<float> dz, float klScale, ReadOnlySpan<float> features, Span<float> featureGradient, bool add,
        int rows, Span<float> scratch, IGradientSink sink)
    {
        ReadOnlySpan<float> m = mu.Span, toSample = sampleSlope.Span, toKl = klSlope.Span;
        for (var row = 0; row < rows; row++)
        {
            var to = error.Span.Slice(2 * row * latent, 2 * latent);
            for (var j = 0; j < latent; j++)
            {
                var at = row * latent + j;
                to[j] = dz[at] + klScale * m[at];
                to[latent + j] = dz[at] * toSample[at] + (klScale == 0 ? 0 : klScale * toKl[at]);
            }
        }
        if (!featureGradient.IsEmpty)
            head.BackwardInput(error.Span, featureGradient, rows, add);
        head.BackwardParameters(error.Span, features, rows, scratch, sink);
    }

    private void Reserve(int count)
    {
        AlignedFloats.Reserve(ref output, 2 * count);
        AlignedFloats.Reserve(ref error, 2 * count);
        AlignedFloats.Reserve(ref mu, count);
        AlignedFloats.Reserve(ref second, count);
        AlignedFloats.Reserve(ref noise, count);
        AlignedFloats.Reserve(ref sampleSlope, count);
        AlignedFloats.Reserve(ref klSlope, count);
    }

    private double Sample<TVariance>(AlignedFloats z, int count, TVariance variance) where TVariance : struct, IVariance
    {
        Span<Vector<float>> m = mu.Vectors(count), s = second.Vectors(count), e = noise.Vectors(count);
        Span<Vector<float>> o = z.Vectors(count), toSample = sampleSlope.Vectors(count), toKl = klSlope.Vectors(count);
        var total = 0.0;
        for (var i = 0; i < m.Length; i++)
        {
            variance.Of(s[i], out var sigma, out var sigmaSlope, out var excess, out toKl[i]);
            o[i] = Vector.FusedMultiplyAdd(sigma, e[i], m[i]);
            toSample[i] = sigmaSlope * e[i];
            var divergence = Vector.FusedMultiplyAdd(m[i], m[i], excess);
            total += Vector.Sum(VectorMath.Head(divergence, count - i * Vector<float>.Count));
        }
        return 0.5 * total;
    }

    private interface IVariance
    {
        /// <summary>
        /// sigma and its slope with respect to s; sigma^2 - 1 - log sigma^2, the variance's share of twice the divergence,
        /// and half the slope of that.
        /// </summary>
        void Of(
            Vector<float> s, out Vector<float> sigma, out Vector<float> sigmaSlope, out Vector<float> excess,
            out Vector<float> halfExcessSlope);
    }

    private readonly struct LogVariance : IVariance
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Of(
            Vector<float> s, out Vector<float> sigma, out Vector<float> sigmaSlope, out Vector<float> excess,
            out Vector<float> halfExcessSlope)
        {
            sigma = VectorMath.Exp(0.5f * s);
            sigmaSlope = 0.5f * sigma;
            var aboveOne = VectorMath.ExpMinusOne(s);
            excess = aboveOne - s;
            halfExcessSlope = 0.5f * aboveOne;
        }
    }

    private readonly struct SoftplusVariance : IVariance
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public void Of(
            Vector<float> s, out Vector<float> sigma, out Vector<float> sigmaSlope, out Vector<float> excess,
            out Vector<float> halfExcessSlope)
        {
            VectorMath.Softplus(s, out var softplus, out var sigmoid, out _);
            var variance = softplus + new Vector<float>(1e-8f);
            var aboveOne = variance - Vector<float>.One;
            sigma = Vector.SquareRoot(variance);
            sigmaSlope = 0.5f * sigmoid / sigma;
            excess = aboveOne - Vector.Log(variance);
            halfExcessSlope = 0.5f * sigmoid * aboveOne / variance;
        }
    }
}
