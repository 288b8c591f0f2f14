using System.Numerics;

namespace Research.Host;

/// <summary>Elementary functions of SIMD vectors that .NET does not offer in the form needed here.</summary>
internal static class VectorMath
{
    private const float Log2E = 1.44269504f;

    // ln 2 in two parts: the first has few enough bits that its product with a small integer is exact.
    private const float Ln2High = 0.693359375f, Ln2Low = -2.12194440e-4f;

    /// <summary>
    /// tanh x and sech^2 x = 1 - tanh^2 x, both to a few units in the last place of their own size: neither is a
    /// difference of nearly equal numbers, at x near 0 or far from it. NaN stays NaN.
    /// </summary>
    public static void TanhSech2(Vector<float> x, out Vector<float> tanh, out Vector<float> sech2)
    {
        // e^y for y = -2|x| as 2^n e^r with |r| <= ln(2)/2; below -87, 2^n would leave float's normal numbers.
        var y = Vector.Max(Vector.Abs(x) * -2f, new Vector<float>(-87f));
        var n = Vector.Round(y * Log2E);
        var r = Vector.FusedMultiplyAdd(n, new(-Ln2High), y);
        r = Vector.FusedMultiplyAdd(n, new(-Ln2Low), r);
        var scale = Vector.AsVectorSingle(Vector.ShiftLeft(Vector.ConvertToInt32(n) + new Vector<int>(127), 23));
        var rise = ExpMinusOne(r);
        var exp = Vector.FusedMultiplyAdd(scale, rise, scale);
        var expMinusOne = Vector.FusedMultiplyAdd(scale, rise, scale - Vector<float>.One);
        var inverse = Vector<float>.One / (Vector<float>.One + exp);
        tanh = Vector.CopySign(expMinusOne * inverse, x);
        sech2 = 4f * exp * inverse * inverse;
    }

    // Taylor's polynomial of degree 7: its remainder on |r| <= ln(2)/2 is below float's rounding.
    private static Vector<float> ExpMinusOne(Vector<float> r)
    {
        var p = Vector.FusedMultiplyAdd(r, new(1f / 5040), new(1f / 720));
        p = Vector.FusedMultiplyAdd(p, r, new(1f / 120));
        p = Vector.FusedMultiplyAdd(p, r, new(1f / 24));
        p = Vector.FusedMultiplyAdd(p, r, new(1f / 6));
        p = Vector.FusedMultiplyAdd(p, r, new(1f / 2));
        return Vector.FusedMultiplyAdd(p * r, r, r);
    }
}
