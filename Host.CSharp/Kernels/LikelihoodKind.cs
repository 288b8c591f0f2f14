using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>What a decoder's outputs mean: log p(x|output), summed over a batch, and its gradient.</summary>
public abstract record LikelihoodKind
{
    private LikelihoodKind() { }

    /// <summary>Bernoulli variables whose logits are the outputs plus <paramref name="Shift"/>: x l - softplus(l).</summary>
    public sealed record Bernoulli(double Shift) : LikelihoodKind
    {
        internal override int Outputs => 1;

        internal override double Apply(ReadOnlySpan<float> outputs, ReadOnlySpan<float> x, Span<float> slopes, float scale) =>
            Sum(outputs, x, slopes, new BernoulliTerm(new((float)Shift), new(scale)));
    }

    /// <summary>
    /// A categorical variable for each element, <paramref name="Levels"/> logits one behind the other; x holds whole
    /// numbers from 0 to Levels - 1.
    /// </summary>
    public sealed record Categorical(int Levels) : LikelihoodKind
    {
        internal override int Outputs => Levels;

        internal override double Apply(ReadOnlySpan<float> outputs, ReadOnlySpan<float> x, Span<float> slopes, float scale) =>
            CategoricalTerm.Sum(outputs, x, slopes, Levels, scale);
    }

    /// <summary>Normal variables with the outputs as means and one standard deviation.</summary>
    public sealed record Normal(double Sigma) : LikelihoodKind
    {
        internal override int Outputs => 1;

        internal override double Apply(ReadOnlySpan<float> outputs, ReadOnlySpan<float> x, Span<float> slopes, float scale)
        {
            var squares = Sum(outputs, x, slopes, new NormalTerm(new((float)(scale / (Sigma * Sigma)))));
            return -0.5 * (squares / (Sigma * Sigma) + x.Length * (Math.Log(2 * Math.PI) + 2 * Math.Log(Sigma)));
        }
    }

    /// <summary>Decoder outputs for each element of x.</summary>
    internal abstract int Outputs { get; }

    /// <summary>
    /// Sum of log p(x|output) over all elements of x; writes the gradient of minus <paramref name="scale"/> times it with
    /// respect to the outputs.
    /// </summary>
    internal abstract double Apply(ReadOnlySpan<float> outputs, ReadOnlySpan<float> x, Span<float> slopes, float scale);

    private interface ITerm
    {
        /// <summary>The summand of each element, and the gradient that is written.</summary>
        Vector<float> Of(Vector<float> output, Vector<float> x, out Vector<float> slope);
    }

    // Float partial sums of so many vectors at most keep the total's rounding far below that of its terms.
    private const int Chunk = 64;

    private static double Sum<TTerm>(
        ReadOnlySpan<float> outputs, ReadOnlySpan<float> x, Span<float> slopes, TTerm term)
        where TTerm : struct, ITerm
    {
        var targets = MemoryMarshal.Cast<float, Vector<float>>(x);
        var o = MemoryMarshal.Cast<float, Vector<float>>(outputs)[..targets.Length];
        var s = MemoryMarshal.Cast<float, Vector<float>>(slopes)[..targets.Length];
        var total = 0.0;
        for (var i = 0; i < targets.Length;)
        {
            var sum = Vector<float>.Zero;
            for (var end = Math.Min(targets.Length, i + Chunk); i < end; i++)
                sum += term.Of(o[i], targets[i], out s[i]);
            total += Vector.Sum(sum);
        }
        var whole = targets.Length * Vector<float>.Count;
        if (whole == x.Length)
            return total;
        // The last elements fill no vector: they go through a padded one, so that they meet the same arithmetic.
        var last = term.Of(Padded(outputs[whole..x.Length]), Padded(x[whole..]), out var slope);
        for (var i = whole; i < x.Length; i++)
            slopes[i] = slope[i - whole];
        return total + Vector.Sum(VectorMath.Head(last, x.Length - whole));
    }

    private static Vector<float> Padded(ReadOnlySpan<float> elements)
    {
        Span<float> padded = stackalloc float[Vector<float>.Count];
        padded.Clear();
        elements.CopyTo(padded);
        return new(padded);
    }

    private readonly struct BernoulliTerm(Vector<float> shift, Vector<float> scale) : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<float> Of(Vector<float> output, Vector<float> x, out Vector<float> slope)
        {
            var logit = output + shift;
            VectorMath.Softplus(logit, out var softplus, out var sigmoid, out var complement);
            // sigmoid - x as two terms of one sign each, neither of which vanishes by rounding where x is 0 or 1.
            slope = scale * ((Vector<float>.One - x) * sigmoid - x * complement);
            return x * logit - softplus;
        }
    }

    private readonly struct NormalTerm(Vector<float> scale) : ITerm
    {
        [MethodImpl(MethodImplOptions.AggressiveInlining)]
        public Vector<float> Of(Vector<float> output, Vector<float> x, out Vector<float> slope)
        {
            var deviation = output - x;
            slope = scale * deviation;
            return deviation * deviation;
        }
    }
}
