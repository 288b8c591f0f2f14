namespace Research.Host;

/// <summary>An energy on the plane and its gradient, for the fused planar chain.</summary>
public interface IPlaneEnergy
{
    /// <summary>Values (nats) and gradients at points (x, y); all spans have one length.</summary>
    void Evaluate(
        ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> value, Span<float> gradientX, Span<float> gradientY);
}

/// <summary>The energies of the planar-flow experiments, as Core defines them by tensor operators.</summary>
public static class PlaneEnergies
{
    /// <summary>-log N(z; 0, I): the loss of a chain from data to base is its negative log-likelihood.</summary>
    public static IPlaneEnergy StandardNormal { get; } = new NormalEnergy();

    /// <summary>1/2 ((|z| - 2)/0.4)^2 - log(exp(-1/2 ((x - 2)/0.6)^2) + exp(-1/2 ((x + 2)/0.6)^2)).</summary>
    public static IPlaneEnergy Arcs { get; } = new ArcsEnergy();

    /// <summary>1/2 ((y - sin(pi x/2))/0.4)^2.</summary>
    public static IPlaneEnergy Sine { get; } = new SineEnergy();

    private sealed class NormalEnergy : IPlaneEnergy
    {
        private static readonly float log2Pi = (float)Math.Log(2 * Math.PI);

        public void Evaluate(
            ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> value, Span<float> gradientX, Span<float> gradientY)
        {
            x.CopyTo(gradientX);
            y.CopyTo(gradientY);
            for (var i = 0; i < x.Length; i++)
                value[i] = 0.5f * (x[i] * x[i] + y[i] * y[i]) + log2Pi;
        }
    }

    private sealed class ArcsEnergy : IPlaneEnergy
    {
        private const float Centre = 2, Width = 0.6f, RingWidth = 0.4f;

        public void Evaluate(
            ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> value, Span<float> gradientX, Span<float> gradientY)
        {
            for (var i = 0; i < x.Length; i++)
            {
                var radius = MathF.Sqrt(x[i] * x[i] + y[i] * y[i]);
                var ring = (radius - 2) / RingWidth;
                // The two bumps differ by the exponent 4 |x|/0.36 only: the nearer one dominates, the other corrects it.
                var near = (MathF.Abs(x[i]) - Centre) / Width;
                var ratio = MathF.Exp(-2 * Centre * MathF.Abs(x[i]) / (Width * Width));
                value[i] = 0.5f * (ring * ring + near * near) - MathF.Log(1 + ratio);
                // The slope at the ring's centre does not exist; 0 is in its subdifferential.
                var outwards = radius > 0 ? ring / (RingWidth * radius) : 0;
                var tanh = MathF.CopySign((1 - ratio) / (1 + ratio), x[i]);
                gradientX[i] = outwards * x[i] + (x[i] - Centre * tanh) / (Width * Width);
                gradientY[i] = outwards * y[i];
            }
        }
    }

    private sealed class SineEnergy : IPlaneEnergy
    {
        private const float Width = 0.4f, Frequency = MathF.PI / 2;

        public void Evaluate(
            ReadOnlySpan<float> x, ReadOnlySpan<float> y, Span<float> value, Span<float> gradientX, Span<float> gradientY)
        {
            for (var i = 0; i < x.Length; i++)
            {
                var (sin, cos) = MathF.SinCos(Frequency * x[i]);
                var deviation = (y[i] - sin) / Width;
                value[i] = 0.5f * deviation * deviation;
                gradientY[i] = deviation / Width;
                gradientX[i] = -gradientY[i] * Frequency * cos;
            }
        }
    }
}
