using System.Numerics;
using System.Runtime.CompilerServices;

namespace Research.Host;

/// <summary>A function between the layers of a network, together with its derivative.</summary>
public abstract record ActivationKind
{
    private ActivationKind() { }

    /// <summary>x where positive, else e^x - 1.</summary>
    public sealed record Elu : ActivationKind
    {
        internal override void Apply(Span<Vector<float>> values, Span<Vector<float>> slopes) =>
            Run(values, slopes, new EluFunction());
    }

    /// <summary>max(x, 0); the slope at 0 is 0.</summary>
    public sealed record Relu : ActivationKind
    {
        internal override void Apply(Span<Vector<float>> values, Span<Vector<float>> slopes) =>
            Run(values, slopes, new ReluFunction());
    }

    /// <summary>x where positive, else Slope x.</summary>
    public sealed record LeakyRelu(double Slope) : ActivationKind
    {
        internal override void Apply(Span<Vector<float>> values, Span<Vector<float>> slopes) =>
            Run(values, slopes, new LeakyReluFunction(new((float)Slope)));
    }

    public sealed record Tanh : ActivationKind
    {
        internal override void Apply(Span<Vector<float>> values, Span<Vector<float>> slopes) =>
            Run(values, slopes, new TanhFunction());
    }

    /// <summary>log(1 + e^x).</summary>
    public sealed record Softplus : ActivationKind
    {
        internal override void Apply(Span<Vector<float>> values, Span<Vector<float>> slopes) =>
            Run(values, slopes, new SoftplusFunction());
    }

    /// <summary>
    /// Replaces x by f(x) and writes f'(x). The derivative is kept and not computed from f(x) on the way back: where f
    /// saturates, its value has forgotten it.
    /// </summary>
    internal abstract void Apply(Span<Vector<float>> values, Span<Vector<float>> slopes);

    private static void Run<TFunction>(Span<Vector<float>> values, Span<Vector<float>> slopes, TFunction function)
        where TFunction : struct, IFunction
    {
        slopes = slopes[..values.Length];
        for (var i = 0; i < values.Length; i++)
            values[i] = function.Of(values[i], out slopes[i]);
    }

    private interface IFunction
    {
        Vector<float> Of(Vector<float> x, out Vector<float> slope);
    }

    private readonly struct EluFunction : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<float> Of(Vector<float> x, out Vector<float> slope)
        {
            VectorMath.ExpOfNegative(x, out var exp, out var expMinusOne);
            var isPositive = Vector.GreaterThan(x, Vector<float>.Zero);
            slope = Vector.ConditionalSelect(isPositive, Vector<float>.One, exp);
            return Vector.ConditionalSelect(isPositive, x, expMinusOne);
        }
    }

    private readonly struct ReluFunction : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<float> Of(Vector<float> x, out Vector<float> slope)
        {
            slope = Vector.ConditionalSelect(
                Vector.GreaterThan(x, Vector<float>.Zero), Vector<float>.One, Vector<float>.Zero);
            // Not a selection, which would turn NaN into 0.
            return Vector.Max(x, Vector<float>.Zero);
        }
    }

    private readonly struct LeakyReluFunction(Vector<float> negative) : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<float> Of(Vector<float> x, out Vector<float> slope)
        {
            slope = Vector.ConditionalSelect(Vector.GreaterThan(x, Vector<float>.Zero), Vector<float>.One, negative);
            return x * slope;
        }
    }

    private readonly struct TanhFunction : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<float> Of(Vector<float> x, out Vector<float> slope)
        {
            VectorMath.TanhSech2(x, out var tanh, out slope);
            return tanh;
        }
    }

    private readonly struct SoftplusFunction : IFunction
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<float> Of(Vector<float> x, out Vector<float> slope)
        {
            VectorMath.Softplus(x, out var softplus, out slope, out _);
            return softplus;
        }
    }
}
