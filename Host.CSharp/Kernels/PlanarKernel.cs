using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>
/// Value and gradient of a chain of k planar layers on the plane, z -> z + uHat tanh(w.z + b), in one SIMD pass
/// forwards and one backwards over a batch of a fixed size, float32. The loss is the mean over the batch of
/// E(z_k) - log|det dz_k/dz_0| for an energy E. The backward pass is the paper's st:planar-backward. An instance
/// owns its buffers: one caller at a time.
/// </summary>
public sealed class PlanarKernel
{
    // A product of determinants stays between these, well within float32, before its logarithm is taken.
    private const double Range = 1e26;

    private readonly torch.Tensor u, w, b;
    private readonly int layers, batch, width;
    private readonly double offset;

    // Structure of arrays, padded to whole vectors. z[l] and the activations of layer l are kept for the way back.
    private readonly AlignedFloats zx, zy, tanh, sech2;
    private readonly AlignedFloats det, logDet, energy, gradientX, gradientY, weight;
    private readonly Layer[] scalars;
    private readonly float[] gradientU, gradientW, gradientB;

    /// <param name="u">`[k,2]` with k of at least 1, contiguous float32 on the CPU, as the other tensors.</param>
    /// <param name="w">`[k,2]`, no row zero.</param>
    /// <param name="b">`[k]`.</param>
    /// <param name="batch">Examples in a batch, at least 1.</param>
    /// <param name="offset">Added to w.u inside m, so that w.uHat = softplus(w.u + offset) - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A count is not positive.</exception>
    /// <exception cref="ArgumentException">A tensor has another shape, type, layout or device.</exception>
    public PlanarKernel(torch.Tensor u, torch.Tensor w, torch.Tensor b, int batch, double offset = 0)
    {
        layers = (int)b.numel();
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(layers);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        TensorMemory.Floats(u, nameof(u), layers, 2);
        TensorMemory.Floats(w, nameof(w), layers, 2);
        TensorMemory.Floats(b, nameof(b), layers);
        (this.u, this.w, this.b, this.batch, this.offset) = (u, w, b, batch, offset);
        width = (batch + Vector<float>.Count - 1) / Vector<float>.Count * Vector<float>.Count;
        (zx, zy) = (new((layers + 1) * width), new((layers + 1) * width));
        (tanh, sech2) = (new(layers * width), new(layers * width));
        (det, logDet, energy, gradientX, gradientY) = (new(width), new(width), new(width), new(width), new(width));
        // What pads the last vector counts for nothing.
        weight = new(width);
        weight.Span.Clear();
        weight.Span[..batch].Fill(1f / batch);
        scalars = new Layer[layers];
        (gradientU, gradientW, gradientB) = (new float[2 * layers], new float[2 * layers], new float[layers]);
    }

    /// <summary>The loss of a batch; its gradients go to the sink: those of u, w and b as parameters 0, 1 and 2.</summary>
    /// <param name="points">The batch z_0, `[B,2]`.</param>
    /// <param name="energyOf">E.</param>
    /// <param name="sink">Takes the gradients.</param>
    /// <exception cref="ArgumentException">The points have another shape, type, layout or device.</exception>
    public double ValueAndGradient(torch.Tensor points, IPlaneEnergy energyOf, IGradientSink sink)
    {
        ReadOnlySpan<float> memory = TensorMemory.Floats(points, nameof(points), batch, 2);
        for (var i = 0; i < batch; i++)
            (zx.Span[i], zy.Span[i]) = (memory[2 * i], memory[2 * i + 1]);
        GC.KeepAlive(points);
        return Step(energyOf, sink);
    }

    /// <summary>The same for a batch of some rows of all points.</summary>
    /// <param name="points">All points, x before y.</param>
    /// <param name="rows">The batch's rows.</param>
    /// <param name="energyOf">E.</param>
    /// <param name="sink">Takes the gradients.</param>
    /// <exception cref="ArgumentException">The batch has another size.</exception>
    public double ValueAndGradient(
        ReadOnlySpan<float> points, ReadOnlySpan<long> rows, IPlaneEnergy energyOf, IGradientSink sink)
    {
        if (rows.Length != batch)
            throw new ArgumentException($"{rows.Length} rows for a batch of {batch}", nameof(rows));
        Span<float> x = zx.Span[..batch], y = zy.Span[..batch];
        for (var i = 0; i < rows.Length; i++)
        {
            var at = 2 * (int)rows[i];
            (x[i], y[i]) = (points[at], points[at + 1]);
        }
        return Step(energyOf, sink);
    }

    private double Step(IPlaneEnergy energyOf, IGradientSink sink)
    {
        // Pads repeat the last example, so that they meet no singularity of their own.
        zx.Span[batch..width].Fill(zx.Span[batch - 1]);
        zy.Span[batch..width].Fill(zy.Span[batch - 1]);
        Prepare(TensorMemory.Floats(u), TensorMemory.Floats(w), TensorMemory.Floats(b));
        Forward();
        energyOf.Evaluate(Last(zx), Last(zy), energy.Span, gradientX.Span, gradientY.Span);
        var loss = 0.0;
        for (var i = 0; i < batch; i++)
            loss += energy.Span[i] - (double)logDet.Span[i];
        Backward();
        sink.Take(0, 0, gradientU);
        sink.Take(1, 0, gradientW);
        sink.Take(2, 0, gradientB);
        return loss / batch;
    }

    private Span<float> Last(AlignedFloats z) => z.Span.Slice(layers * width, width);

    /// <summary>What of a layer does not depend on the example; in double, because kappa is large for a small w.</summary>
    private readonly record struct Layer(
        double Ux, double Uy, double Wx, double Wy, double B, double Softplus, double Sigmoid, double Kappa, double Norm2)
    {
        public static Layer Of(double ux, double uy, double wx, double wy, double b, double offset)
        {
            var a = ux * wx + uy * wy;
            var argument = a + offset;
            var norm2 = wx * wx + wy * wy;
            var exp = Math.Exp(-Math.Abs(argument));
            var softplus = VectorMath.Softplus(argument);
            var sigmoid = (argument < 0 ? exp : 1) / (1 + exp);
            return new(ux, uy, wx, wy, b, softplus, sigmoid, (softplus - 1 - a) / norm2, norm2);
        }

        public float HatX => (float)(Ux + Kappa * Wx);

        public float HatY => (float)(Uy + Kappa * Wy);
    }

    private void Prepare(ReadOnlySpan<float> u, ReadOnlySpan<float> w, ReadOnlySpan<float> b)
    {
        for (var l = 0; l < layers; l++)
            scalars[l] = Layer.Of(u[2 * l], u[2 * l + 1], w[2 * l], w[2 * l + 1], b[l], offset);
    }

    private void Forward()
    {
        det.Span.Fill(1);
        logDet.Span.Clear();
        double least = 1, most = 1;
        for (var l = 0; l < layers; l++)
        {
            // A layer's determinant lies between 1 and its softplus.
            var (low, high) = (Math.Min(scalars[l].Softplus, 1), Math.Max(scalars[l].Softplus, 1));
            (least, most) = (least * low, most * high);
            if (least < 1 / Range || most > Range)
            {
                TakeLogarithms();
                (least, most) = (low, high);
            }
            Forward(scalars[l], l * width);
        }
        TakeLogarithms();
    }

    // Adds the logarithm of the product so far to the log-determinant, and starts the next one.
    private void TakeLogarithms()
    {
        var products = Vectors(det, 0);
        var sums = Vectors(logDet, 0)[..products.Length];
        for (var i = 0; i < products.Length; i++)
        {
            sums[i] += Vector.Log(products[i]);
            products[i] = Vector<float>.One;
        }
    }

    private void Forward(in Layer layer, int at)
    {
        var x = Vectors(zx, at);
        var y = Vectors(zy, at)[..x.Length];
        var nextX = Vectors(zx, at + width)[..x.Length];
        var nextY = Vectors(zy, at + width)[..x.Length];
        var ts = Vectors(tanh, at)[..x.Length];
        var ss = Vectors(sech2, at)[..x.Length];
        var products = Vectors(det, 0)[..x.Length];
        var (wx, wy, b) = (new Vector<float>((float)layer.Wx), new Vector<float>((float)layer.Wy), new Vector<float>((float)layer.B));
        var (hatX, hatY) = (new Vector<float>(layer.HatX), new Vector<float>(layer.HatY));
        var softplus = new Vector<float>((float)layer.Softplus);
        for (var i = 0; i < x.Length; i++)
        {
            var alpha = Vector.FusedMultiplyAdd(wx, x[i], Vector.FusedMultiplyAdd(wy, y[i], b));
            VectorMath.TanhSech2(alpha, out var t, out var s);
            (ts[i], ss[i]) = (t, s);
            nextX[i] = Vector.FusedMultiplyAdd(hatX, t, x[i]);
            nextY[i] = Vector.FusedMultiplyAdd(hatY, t, y[i]);
            // 1 + m(a) s written as a sum of positive terms.
            products[i] *= Vector.FusedMultiplyAdd(t, t, softplus * s);
        }
    }

    private void Backward()
    {
        VectorMath.Multiply(gradientX.Span, weight.Span, gradientX.Span);
        VectorMath.Multiply(gradientY.Span, weight.Span, gradientY.Span);
        for (var l = layers - 1; l >= 0; l--)
            Backward(scalars[l], l * width, gradientU.AsSpan(2 * l, 2), gradientW.AsSpan(2 * l, 2), out gradientB[l]);
    }

    private void Backward(in Layer layer, int at, Span<float> barU, Span<float> barW, out float barB)
    {
        var gx = Vectors(gradientX, 0);
        var gy = Vectors(gradientY, 0)[..gx.Length];
        var x = Vectors(zx, at)[..gx.Length];
        var y = Vectors(zy, at)[..gx.Length];
        var ts = Vectors(tanh, at)[..gx.Length];
        var ss = Vectors(sech2, at)[..gx.Length];
        var weights = Vectors(weight, 0)[..gx.Length];
        var (wx, wy) = (new Vector<float>((float)layer.Wx), new Vector<float>((float)layer.Wy));
        var (hatX, hatY) = (new Vector<float>(layer.HatX), new Vector<float>(layer.HatY));
        var softplus = new Vector<float>((float)layer.Softplus);
        var twiceC = new Vector<float>((float)(2 * (layer.Softplus - 1)));
        Vector<float> sumHatX = default, sumHatY = default, sumAlpha = default, sumAlphaX = default, sumAlphaY = default, sumDet = default;
        for (var i = 0; i < gx.Length; i++)
        {
            var (t, s) = (ts[i], ss[i]);
            // The loss holds minus the log-determinant.
            var lambda = -weights[i] / Vector.FusedMultiplyAdd(t, t, softplus * s);
            var along = Vector.FusedMultiplyAdd(hatX, gx[i], hatY * gy[i]);
            var alpha = s * (along - twiceC * lambda * t);
            sumHatX = Vector.FusedMultiplyAdd(t, gx[i], sumHatX);
            sumHatY = Vector.FusedMultiplyAdd(t, gy[i], sumHatY);
            sumAlpha += alpha;
            sumAlphaX = Vector.FusedMultiplyAdd(alpha, x[i], sumAlphaX);
            sumAlphaY = Vector.FusedMultiplyAdd(alpha, y[i], sumAlphaY);
            sumDet = Vector.FusedMultiplyAdd(lambda, s, sumDet);
            gx[i] = Vector.FusedMultiplyAdd(alpha, wx, gx[i]);
            gy[i] = Vector.FusedMultiplyAdd(alpha, wy, gy[i]);
        }
        double barX = Vector.Sum(sumHatX), barY = Vector.Sum(sumHatY);
        var barKappa = barX * layer.Wx + barY * layer.Wy;
        var barSlope = Vector.Sum(sumDet) * layer.Sigmoid + barKappa * (layer.Sigmoid - 1) / layer.Norm2;
        barU[0] = (float)(barX + barSlope * layer.Wx);
        barU[1] = (float)(barY + barSlope * layer.Wy);
        var shrink = 2 * layer.Kappa * barKappa / layer.Norm2;
        barW[0] = (float)(Vector.Sum(sumAlphaX) + layer.Kappa * barX - shrink * layer.Wx + barSlope * layer.Ux);
        barW[1] = (float)(Vector.Sum(sumAlphaY) + layer.Kappa * barY - shrink * layer.Wy + barSlope * layer.Uy);
        barB = Vector.Sum(sumAlpha);
    }

    private Span<Vector<float>> Vectors(AlignedFloats elements, int at) =>
        MemoryMarshal.Cast<float, Vector<float>>(elements.Span.Slice(at, width));
}
