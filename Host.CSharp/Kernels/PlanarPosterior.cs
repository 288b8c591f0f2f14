using System.Numerics;

namespace Research.Host;

/// <summary>Layers that give u, w and b of k planar maps for each example from the encoder's features.</summary>
/// <param name="U">k L outputs, those of the first map first.</param>
/// <param name="W">k L outputs.</param>
/// <param name="B">k outputs.</param>
/// <param name="Offset">Added to w.u, so that w.uHat = softplus(w.u + offset) - 1.</param>
public sealed record PlanarLayers(LinearLayer U, LinearLayer W, LinearLayer B, double Offset) : FlowLayers;

/// <summary>
/// The maps z -> z + uHat tanh(w.z + b) behind a diagonal posterior, each example with parameters of its own; the backward
/// pass is the paper's st:planar-backward. Examples are the lanes of vectors.
/// </summary>
internal sealed class PlanarPosterior : IFlowPosterior
{
    private readonly ColumnsKernel u, w, b;
    private readonly double offset;
    private readonly int maps, latent;

    // [k L,stride] for u and w and [k,stride] for b, with their gradients; [(k + 1) L,stride] for z before each map and after
    // the last; [L,stride] for the gradient on its way back.
    private AlignedFloats us = new(0), ws = new(0), bs = new(0), du = new(0), dw = new(0), db = new(0);
    private AlignedFloats z = new(0), dz = new(0);
    private Map[] kept = [];
    private int groups;

    /// <exception cref="ArgumentException">The layers are not of the maps' form.</exception>
    public PlanarPosterior(PlanarLayers layers, int latent)
    {
        (u, w, b) = (new(layers.U, "the layer of u"), new(layers.W, "the layer of w"), new(layers.B, "the layer of b"));
        (maps, this.latent, offset) = (b.Outputs, latent, layers.Offset);
        if (u.Outputs != maps * latent || w.Outputs != maps * latent || u.Inputs != b.Inputs || w.Inputs != b.Inputs)
            throw new ArgumentException(
                $"layers of {u.Outputs}, {w.Outputs} and {b.Outputs} outputs are no planar maps of {latent} latents");
    }

    public int Inputs => b.Inputs;

    public int Scratch => Math.Max(u.Scratch, Math.Max(w.Scratch, b.Scratch));

    /// <summary>What of a map and a vector of examples does not depend on the dimension.</summary>
    private struct Map
    {
        public Vector<float> Norm2, Kappa, Stretch, Sigmoid, Complement, Tanh, Sech2, Determinant;
    }

    public double Forward(ReadOnlySpan<float> features, Span<float> latents, int rows)
    {
        Reserve(rows);
        u.Forward(features, us.Span, rows);
        w.Forward(features, ws.Span, rows);
        b.Forward(features, bs.Span, rows);
        var total = 0.0;
        for (var group = 0; group < groups; group++)
        {
            var (first, count) = Examples(group, rows);
            Turn(latents, z.Span, first, count);
            total += Vector.Sum(VectorMath.Head(Forward(group), count));
            TurnBack(z.Span[(maps * latent * groups * Vector<float>.Count)..], latents, first, count);
        }
        return total;
    }

    public void Backward(
        Span<float> gradient, float klScale, ReadOnlySpan<float> features, Span<float> featureGradient, int rows,
        Span<float> scratch, IGradientSink sink)
    {
        for (var group = 0; group < groups; group++)
        {
            var (first, count) = Examples(group, rows);
            Turn(gradient, dz.Span, first, count);
            Backward(group, new Vector<float>(klScale));
            TurnBack(dz.Span, gradient, first, count);
        }
        Backward(u, du, false, features, featureGradient, rows, scratch, sink);
        Backward(w, dw, true, features, featureGradient, rows, scratch, sink);
        Backward(b, db, true, features, featureGradient, rows, scratch, sink);
    }

    private static void Backward(
        ColumnsKernel head, AlignedFloats gradient, bool add, ReadOnlySpan<float> features, Span<float> featureGradient,
        int rows, Span<float> scratch, IGradientSink sink)
    {
        if (!featureGradient.IsEmpty)
            head.BackwardInput(gradient.Span, featureGradient, rows, add);
        head.BackwardParameters(gradient.Span, features, rows, scratch, sink);
    }

    private void Reserve(int rows)
    {
        var stride = ColumnsKernel.Stride(rows);
        groups = stride / Vector<float>.Count;
        AlignedFloats.Reserve(ref us, maps * latent * stride);
        AlignedFloats.Reserve(ref ws, maps * latent * stride);
        AlignedFloats.Reserve(ref bs, maps * stride);
        AlignedFloats.Reserve(ref du, maps * latent * stride);
        AlignedFloats.Reserve(ref dw, maps * latent * stride);
        AlignedFloats.Reserve(ref db, maps * stride);
        AlignedFloats.Reserve(ref z, (maps + 1) * latent * stride);
        AlignedFloats.Reserve(ref dz, latent * stride);
        if (kept.Length < maps * groups)
            kept = new Map[maps * groups];
    }

    private static (int First, int Count) Examples(int group, int rows)
    {
        var first = group * Vector<float>.Count;
        return (first, Math.Min(Vector<float>.Count, rows - first));
    }

    // The maps of one vector of examples.
    private Vector<float> Forward(int group)
    {
        Span<Vector<float>> all = Whole(z), allU = Whole(us), allW = Whole(ws), allB = Whole(bs);
        var step = groups;
        Vector<float> logDet = default, gain = default;
        for (var map = 0; map < maps; map++)
        {
            var at = (map * latent * step) + group;
            Vector<float> a = default, norm2 = default, along = default;
            for (int j = 0, i = at; j < latent; j++, i += step)
            {
                a = Vector.FusedMultiplyAdd(allU[i], allW[i], a);
                norm2 = Vector.FusedMultiplyAdd(allW[i], allW[i], norm2);
                along = Vector.FusedMultiplyAdd(allW[i], all[i], along);
            }
            ref var m = ref kept[(map * step) + group];
            VectorMath.Softplus(a + new Vector<float>((float)offset), out m.Stretch, out m.Sigmoid, out m.Complement);
            VectorMath.TanhSech2(along + allB[(map * step) + group], out m.Tanh, out m.Sech2);
            // Of w = 0 the map is a shift by u tanh b, which any norm gives: what it divides is 0.
            m.Norm2 = Vector.ConditionalSelect(Vector.Equals(norm2, default), Vector<float>.One, norm2);
            m.Kappa = Excess(a) / m.Norm2;
            // 1 + (w.uHat) sech^2 written as a sum of positive terms.
            m.Determinant = Vector.FusedMultiplyAdd(m.Tanh, m.Tanh, m.Sech2 * m.Stretch);
            logDet += Vector.Log(m.Determinant);
            for (int j = 0, i = at, next = at + (latent * step); j < latent; j++, i += step, next += step)
                all[next] = Vector.FusedMultiplyAdd(m.Tanh, Vector.FusedMultiplyAdd(m.Kappa, allW[i], allU[i]), all[i]);
        }
        for (int j = 0, i = group, last = (maps * latent * step) + group; j < latent; j++, i += step, last += step)
            gain += (all[last] * all[last]) - (all[i] * all[i]);
        return (0.5f * gain) - logDet;
    }

    // softplus(a + offset) - 1 - a, in double: what remains is divided by |w|^2, which may be small.
    private Vector<float> Excess(Vector<float> a)
    {
        Span<float> excess = stackalloc float[Vector<float>.Count];
        for (var i = 0; i < excess.Length; i++)
        {
            excess[i] = (float)(VectorMath.Softplus(a[i] + offset) - 1 - a[i]);
        }
        return new(excess);
    }

    private void Backward(int group, Vector<float> klScale)
    {
        Span<Vector<float>> all = Whole(z), g = Whole(dz), allU = Whole(us), allW = Whole(ws);
        Span<Vector<float>> toU = Whole(du), toW = Whole(dw), toB = Whole(db);
        var step = groups;
        for (int j = 0, i = group, last = (maps * latent * step) + group; j < latent; j++, i += step, last += step)
            g[i] = Vector.FusedMultiplyAdd(klScale, all[last], g[i]);
        for (var map = maps - 1; map >= 0; map--)
        {
            var at = (map * latent * step) + group;
            Vector<float> alongU = default, alongW = default;
            for (int j = 0, i = at, k = group; j < latent; j++, i += step, k += step)
            {
                alongU = Vector.FusedMultiplyAdd(allU[i], g[k], alongU);
                alongW = Vector.FusedMultiplyAdd(allW[i], g[k], alongW);
            }
            ref readonly var m = ref kept[(map * step) + group];
            // The loss holds minus the log-determinant.
            var lambda = -klScale / m.Determinant;
            var alongHat = Vector.FusedMultiplyAdd(m.Kappa, alongW, alongU);
            var alpha = m.Sech2 * (alongHat + (2f * lambda * m.Tanh * (Vector<float>.One - m.Stretch)));
            var kappaSlope = m.Tanh * alongW / m.Norm2;
            var slope = (lambda * m.Sech2 * m.Sigmoid) - (kappaSlope * m.Complement);
            var shrink = -2f * kappaSlope * m.Kappa;
            var kappaTanh = m.Kappa * m.Tanh;
            toB[(map * step) + group] = alpha;
            for (int j = 0, i = at, k = group; j < latent; j++, i += step, k += step)
            {
                Vector<float> uj = allU[i], wj = allW[i], gj = g[k];
                toU[i] = Vector.FusedMultiplyAdd(m.Tanh, gj, slope * wj);
                toW[i] = (alpha * all[i]) + (kappaTanh * gj) + (shrink * wj) + (slope * uj);
                g[k] = Vector.FusedMultiplyAdd(alpha, wj, gj);
            }
        }
        for (int j = 0, i = group; j < latent; j++, i += step)
            g[i] -= klScale * all[i];
    }

    private static Span<Vector<float>> Whole(AlignedFloats memory) => memory.Vectors(memory.Length);

    // From examples in rows to examples in columns, and back.
    private void Turn(ReadOnlySpan<float> rows, Span<float> columns, int first, int count)
    {
        var stride = groups * Vector<float>.Count;
        for (var example = first; example < first + count; example++)
            for (var j = 0; j < latent; j++)
                columns[(j * stride) + example] = rows[(example * latent) + j];
    }

    private void TurnBack(ReadOnlySpan<float> columns, Span<float> rows, int first, int count)
    {
        var stride = groups * Vector<float>.Count;
        for (var example = first; example < first + count; example++)
            for (var j = 0; j < latent; j++)
                rows[(example * latent) + j] = columns[(j * stride) + example];
    }
}
