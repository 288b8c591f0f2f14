using System.Numerics;
using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>One pass over parameter, gradient and state memory that applies a rule to every element.</summary>
internal static class FusedPass
{
    /// <summary>Applies the rule. All spans have one length, except that unused state spans may be empty.</summary>
    public static void Run<T, TRule>(Span<T> parameter, ReadOnlySpan<T> gradient, Span<T> first, Span<T> second, TRule rule)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TRule : struct, IUpdateRule<T>
    {
        var p = MemoryMarshal.Cast<T, Vector<T>>(parameter);
        var g = MemoryMarshal.Cast<T, Vector<T>>(gradient)[..p.Length];
        var whole = p.Length * Vector<T>.Count;
        // A rule without that state gets a scratch vector instead, fresh each time: an infinite gradient in one
        // element must not reach the next through it.
        if (first.IsEmpty)
        {
            for (var i = 0; i < p.Length; i++)
            {
                Vector<T> none = default;
                rule.Apply(ref p[i], g[i], ref none, ref none);
            }
        }
        else if (second.IsEmpty)
        {
            var a = MemoryMarshal.Cast<T, Vector<T>>(first)[..p.Length];
            for (var i = 0; i < p.Length; i++)
            {
                Vector<T> none = default;
                rule.Apply(ref p[i], g[i], ref a[i], ref none);
            }
        }
        else
        {
            var a = MemoryMarshal.Cast<T, Vector<T>>(first)[..p.Length];
            var b = MemoryMarshal.Cast<T, Vector<T>>(second)[..p.Length];
            for (var i = 0; i < p.Length; i++) rule.Apply(ref p[i], g[i], ref a[i], ref b[i]);
        }
        if (whole < parameter.Length)
            Tail(parameter[whole..], gradient[whole..], Rest(first, whole), Rest(second, whole), rule);
    }

    // The last elements fill no vector: they go through a padded one, so that they meet the same arithmetic.
    private static void Tail<T, TRule>(Span<T> parameter, ReadOnlySpan<T> gradient, Span<T> first, Span<T> second, TRule rule)
        where T : unmanaged, IFloatingPointIeee754<T>
        where TRule : struct, IUpdateRule<T>
    {
        var (p, a, b) = (Padded<T>(parameter), Padded<T>(first), Padded<T>(second));
        rule.Apply(ref p, Padded(gradient), ref a, ref b);
        Unpad(p, parameter);
        Unpad(a, first);
        Unpad(b, second);
    }

    private static Span<T> Rest<T>(Span<T> state, int start) => state.IsEmpty ? state : state[start..];

    private static Vector<T> Padded<T>(ReadOnlySpan<T> elements) where T : unmanaged
    {
        Span<T> full = stackalloc T[Vector<T>.Count];
        full.Clear();
        elements.CopyTo(full);
        return new Vector<T>(full);
    }

    private static void Unpad<T>(Vector<T> vector, Span<T> elements) where T : unmanaged
    {
        for (var i = 0; i < elements.Length; i++) elements[i] = vector[i];
    }
}
