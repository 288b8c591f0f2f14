using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>
/// Elementary functions of SIMD vectors that .NET does not offer in the form needed here, to a few units in the last
/// place. NaN stays NaN.
/// </summary>
internal static class VectorMath
{
    private const float Log2E = 1.44269504f;

    // ln 2 in two parts: the first has few enough bits that its product with a small integer is exact.
    private const float Ln2High = 0.693359375f, Ln2Low = -2.12194440e-4f;

    /// <summary>e^x; 0 below -87, infinite where float ends.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Exp(Vector<float> x)
    {
        var rise = RiseOfAny(x, out var half);
        return 2f * Vector.FusedMultiplyAdd(half, rise, half);
    }

    /// <summary>e^x - 1 without cancellation near 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> ExpMinusOne(Vector<float> x)
    {
        var rise = RiseOfAny(x, out var half);
        return 2f * Vector.FusedMultiplyAdd(half, rise, half - new Vector<float>(0.5f));
    }

    /// <summary>e^x, which is 0 below -88, and e^x - 1 without cancellation near 0, of x of at most 0.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void ExpOfNegative(Vector<float> x, out Vector<float> exp, out Vector<float> expMinusOne)
    {
        var rise = Rise(Vector.MaxNative(new(-88f), x), out var n);
        var power = PowerOfTwo(n, 127);
        exp = Vector.FusedMultiplyAdd(power, rise, power);
        expMinusOne = Vector.FusedMultiplyAdd(power, rise, power - Vector<float>.One);
    }

    /// <summary>log(1 + e) for e in [0,1], as 2 artanh s with s = e/(2 + e) of at most 1/3.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> LogOnePlus(Vector<float> e)
    {
        var s = e / (e + new Vector<float>(2f));
        var t = s * s;
        var t2 = t * t;
        var p = Vector.FusedMultiplyAdd(t, new(2f / 13), new(2f / 11));
        p = Vector.FusedMultiplyAdd(p, t2, Vector.FusedMultiplyAdd(t, new(2f / 9), new(2f / 7)));
        p = Vector.FusedMultiplyAdd(p, t2, Vector.FusedMultiplyAdd(t, new(2f / 5), new(2f / 3)));
        p = Vector.FusedMultiplyAdd(p, t, new(2f));
        return p * s;
    }

    /// <summary>
    /// softplus(x) = log(1 + e^x), sigmoid(x) and sigmoid(-x), the smaller of which is no difference from 1.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void Softplus(
        Vector<float> x, out Vector<float> softplus, out Vector<float> sigmoid, out Vector<float> complement)
    {
        ExpOfNegative(-Vector.Abs(x), out var e, out _);
        var large = Vector<float>.One / (Vector<float>.One + e);
        var small = e * large;
        softplus = Vector.MaxNative(Vector<float>.Zero, x) + LogOnePlus(e);
        var isNegative = Vector.LessThan(x, Vector<float>.Zero);
        sigmoid = Vector.ConditionalSelect(isNegative, small, large);
        complement = Vector.ConditionalSelect(isNegative, large, small);
    }

    /// <summary>softplus(x) = log(1 + e^x), to its own size where it is small.</summary>
    public static double Softplus(double x)
    {
        // .NET's LogP1(e) is log(1 + e): below 1e-16 it would be 0, and the loss of a product of determinants infinite.
        var e = Math.Exp(-Math.Abs(x));
        return Math.Max(x, 0) + (e < 1e-8 ? e : Math.Log(1 + e));
    }

    /// <summary>
    /// tanh x and sech^2 x = 1 - tanh^2 x, both to a few units in the last place of their own size: neither is a
    /// difference of nearly equal numbers, at x near 0 or far from it.
    /// </summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static void TanhSech2(Vector<float> x, out Vector<float> tanh, out Vector<float> sech2)
    {
        ExpOfNegative(Vector.Abs(x) * -2f, out var exp, out var expMinusOne);
        var inverse = Vector<float>.One / (Vector<float>.One + exp);
        tanh = Vector.CopySign(expMinusOne * inverse, x);
        sech2 = 4f * exp * inverse * inverse;
    }

    /// <summary>The first so many lanes of a vector, zero in the others.</summary>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public static Vector<float> Head(Vector<float> vector, int lanes) =>
        Vector.ConditionalSelect(
            Vector.LessThan(Vector<int>.Indices, new Vector<int>(lanes)).As<int, float>(), vector, Vector<float>.Zero);

    // For a result 2 half (1 + rise): 2^(n-1), unlike 2^n, fits float's normal numbers up to the largest e^x, and is 0 where
    // e^x leaves them at the other end.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> RiseOfAny(Vector<float> x, out Vector<float> half)
    {
        var rise = Rise(Vector.MinNative(new(89f), Vector.MaxNative(new(-87.3f), x)), out var n);
        half = PowerOfTwo(n, 126);
        return rise;
    }

    // x = n ln 2 + r with |r| <= ln(2)/2: e^r - 1.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> Rise(Vector<float> x, out Vector<float> n)
    {
        n = Vector.Round(x * Log2E);
        var r = Vector.FusedMultiplyAdd(n, new(-Ln2High), x);
        r = Vector.FusedMultiplyAdd(n, new(-Ln2Low), r);
        // Taylor's polynomial of degree 7: its remainder is below float's rounding. By pairs, since a chain of products
        // waits for each of them.
        var r2 = r * r;
        var p = Vector.FusedMultiplyAdd(r, new(1f / 5040), new(1f / 720));
        p = Vector.FusedMultiplyAdd(p, r2, Vector.FusedMultiplyAdd(r, new(1f / 120), new(1f / 24)));
        p = Vector.FusedMultiplyAdd(p, r2, Vector.FusedMultiplyAdd(r, new(1f / 6), new(1f / 2)));
        return Vector.FusedMultiplyAdd(p, r2, r);
    }

    // 2^(n + bias - 127); n + bias of 0 gives 0.
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    private static Vector<float> PowerOfTwo(Vector<float> n, int bias) =>
        Vector.AsVectorSingle(Vector.ShiftLeft(Vector.ConvertToInt32Native(n) + new Vector<int>(bias), 23));

    /// <summary>The sums of the elements of two spans, into a third.</summary>
    public static void Add(ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> sum)
    {
        for (var i = 0; i < a.Length; i++)
            sum[i] = a[i] + b[i];
    }

    /// <summary>Multiplies all elements by a factor.</summary>
    public static void Scale(Span<float> elements, float factor)
    {
        var vectors = MemoryMarshal.Cast<float, Vector<float>>(elements);
        for (var i = 0; i < vectors.Length; i++)
            vectors[i] *= factor;
        for (var i = vectors.Length * Vector<float>.Count; i < elements.Length; i++)
            elements[i] *= factor;
    }

    /// <summary>The products of the elements of two spans, into a third, which may be one of them.</summary>
    public static void Multiply(ReadOnlySpan<float> a, ReadOnlySpan<float> b, Span<float> product)
    {
        var x = MemoryMarshal.Cast<float, Vector<float>>(a);
        var y = MemoryMarshal.Cast<float, Vector<float>>(b)[..x.Length];
        var z = MemoryMarshal.Cast<float, Vector<float>>(product)[..x.Length];
        for (var i = 0; i < x.Length; i++)
            z[i] = x[i] * y[i];
        for (var i = x.Length * Vector<float>.Count; i < a.Length; i++)
            product[i] = a[i] * b[i];
    }
}
