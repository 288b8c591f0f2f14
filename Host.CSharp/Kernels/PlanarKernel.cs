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
    private readonly int layers, batch, width;
    private readonly double offset;

    // Structure of arrays, padded to whole vectors. z[l] and the activations of layer l are kept for the way back.
    private readonly float[] zx, zy, tanh, sech2;
    private readonly float[] logDet, energy, gradientX, gradientY, weight;
    private readonly Layer[] scalars;

    /// <param name="layers">k, at least 1.</param>
    /// <param name="batch">Examples in a batch, at least 1.</param>
    /// <param name="offset">Added to w.u inside m, so that w.uHat = softplus(w.u + offset) - 1.</param>
    /// <exception cref="ArgumentOutOfRangeException">A count is not positive.</exception>
    public PlanarKernel(int layers, int batch, double offset = 0)
    {
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(layers);
        ArgumentOutOfRangeException.ThrowIfNegativeOrZero(batch);
        (this.layers, this.batch, this.offset) = (layers, batch, offset);
        width = (batch + Vector<float>.Count - 1) / Vector<float>.Count * Vector<float>.Count;
        (zx, zy) = (new float[(layers + 1) * width], new float[(layers + 1) * width]);
        (tanh, sech2) = (new float[layers * width], new float[layers * width]);
        (logDet, energy) = (new float[width], new float[width]);
        (gradientX, gradientY) = (new float[width], new float[width]);
        // What pads the last vector counts for nothing.
        weight = new float[width];
        weight.AsSpan(0, batch).Fill(1f / batch);
        scalars = new Layer[layers];
    }

    /// <summary>The loss; writes its gradients.</summary>
    /// <param name="u">`[k,2]`, contiguous float32 on the CPU, as the other tensors.</param>
    /// <param name="w">`[k,2]`, no row zero.</param>
    /// <param name="b">`[k]`.</param>
    /// <param name="points">The batch z_0, `[B,2]`.</param>
    /// <param name="energyOf">E.</param>
    /// <param name="gradients">Written: gradients with respect to u, w and b.</param>
    /// <exception cref="ArgumentException">A tensor has another shape, type, layout or device.</exception>
    public double ValueAndGradient(
        torch.Tensor u, torch.Tensor w, torch.Tensor b, torch.Tensor points, IPlaneEnergy energyOf,
        IReadOnlyList<torch.Tensor> gradients)
    {
        if (gradients.Count != 3)
            throw new ArgumentException($"{gradients.Count} gradients for the three parameters", nameof(gradients));
        long[] vectors = [layers, 2];
        Prepare(TensorMemory.Floats(u, "u", vectors), TensorMemory.Floats(w, "w", vectors), TensorMemory.Floats(b, "b", layers));
        Forward(TensorMemory.Floats(points, "points", batch, 2));
        energyOf.Evaluate(Last(zx), Last(zy), energy, gradientX, gradientY);
        var loss = 0.0;
        for (var i = 0; i < batch; i++)
            loss += energy[i] - (double)logDet[i];
        Backward(TensorMemory.Floats(gradients[0], "gradient of u", vectors), TensorMemory.Floats(gradients[1], "gradient of w", vectors),
            TensorMemory.Floats(gradients[2], "gradient of b", layers));
        return loss / batch;
    }

    private Span<float> Last(float[] z) => z.AsSpan(layers * width);

    /// <summary>What of a layer does not depend on the example; in double, because kappa is large for a small w.</summary>
    private readonly record struct Layer(
        double Ux, double Uy, double Wx, double Wy, double B, double Softplus, double Sigmoid, double Kappa, double Norm2)
    {
        public static Layer Of(double ux, double uy, double wx, double wy, double b, double offset)
        {
            var a = ux * wx + uy * wy;
            var argument = a + offset;
            var norm2 = wx * wx + wy * wy;
            var softplus = Math.Max(argument, 0) + double.LogP1(Math.Exp(-Math.Abs(argument)));
            var sigmoid = 1 / (1 + Math.Exp(-argument));
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

    private void Forward(ReadOnlySpan<float> points)
    {
        for (var i = 0; i < width; i++)
        {
            // Pads repeat the last example, so that they meet no singularity of their own.
            var source = Math.Min(i, batch - 1);
            (zx[i], zy[i]) = (points[2 * source], points[2 * source + 1]);
        }
        logDet.AsSpan().Clear();
        for (var l = 0; l < layers; l++)
            Forward(scalars[l], l * width);
    }

    private void Forward(in Layer layer, int at)
    {
        var x = Vectors(zx, at);
        var y = Vectors(zy, at);
        var nextX = Vectors(zx, at + width)[..x.Length];
        var nextY = Vectors(zy, at + width)[..x.Length];
        var ts = Vectors(tanh, at)[..x.Length];
        var ss = Vectors(sech2, at)[..x.Length];
        var sums = Vectors(logDet, 0)[..x.Length];
        y = y[..x.Length];
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
            sums[i] += Vector.Log(Vector.FusedMultiplyAdd(t, t, softplus * s));
        }
    }

    private void Backward(Span<float> gradientU, Span<float> gradientW, Span<float> gradientB)
    {
        for (var i = 0; i < width; i++)
        {
            gradientX[i] *= weight[i];
            gradientY[i] *= weight[i];
        }
        for (var l = layers - 1; l >= 0; l--)
            Backward(scalars[l], l * width, gradientU.Slice(2 * l, 2), gradientW.Slice(2 * l, 2), out gradientB[l]);
    }

    private void Backward(in Layer layer, int at, Span<float> gradientU, Span<float> gradientW, out float gradientB)
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
        gradientU[0] = (float)(barX + barSlope * layer.Wx);
        gradientU[1] = (float)(barY + barSlope * layer.Wy);
        var shrink = 2 * layer.Kappa * barKappa / layer.Norm2;
        gradientW[0] = (float)(Vector.Sum(sumAlphaX) + layer.Kappa * barX - shrink * layer.Wx + barSlope * layer.Ux);
        gradientW[1] = (float)(Vector.Sum(sumAlphaY) + layer.Kappa * barY - shrink * layer.Wy + barSlope * layer.Uy);
        gradientB = Vector.Sum(sumAlpha);
    }

    private Span<Vector<float>> Vectors(float[] elements, int at) =>
        MemoryMarshal.Cast<float, Vector<float>>(elements.AsSpan(at, width));
}
