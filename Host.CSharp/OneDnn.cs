using TorchSharp;
using static TorchSharp.torch.nn.functional;

namespace Research.Host;

/// <summary>
/// oneDNN, by which libtorch convolves in float32 on x86 processors. The one in libtorch 2.10 (3.7.1) gives wrong numbers on
/// some of them: on a virtual Zen 5 that tells nothing of its caches, with numbers of channels that fill no block of 8 or
/// 16. What a processor says of itself does not tell for sure, so the numbers themselves are looked at.
/// </summary>
public static class OneDnn
{
    /// <summary>Of images, with a weight and a bias, by strides and paddings.</summary>
    public delegate torch.Tensor Convolution(
        torch.Tensor images, torch.Tensor weight, torch.Tensor bias, long[] strides, long[] paddings);

    private readonly record struct Shape(long Inputs, long Outputs, long Size, long Kernel, long Stride, long Padding)
    {
        public long Convolved => (Size + 2 * Padding - Kernel) / Stride + 1;
    }

    // 3, 12 and 20 channels fill no block. From images to single pixels, to as many pixels, and to half as many each way.
    private static readonly Shape[] Shapes =
        [new(12, 16, 4, 4, 1, 0), new(12, 12, 8, 3, 1, 1), new(3, 20, 8, 4, 2, 1), new(20, 3, 8, 4, 2, 1)];

    /// <summary>Whether libtorch takes it; false since <see cref="KeepIfSound"/> has found it wrong.</summary>
    public static bool IsUsed { get; private set; } = true;

    /// <summary>Looks at its convolutions, and has libtorch take its own from now on where they are wrong.</summary>
    /// <exception cref="ResearchException">They are wrong, and libtorch cannot be told so.</exception>
    public static void KeepIfSound()
    {
        // NNPACK, which libtorch asks about wherever it cannot take oneDNN, warns of every processor that it does not know.
        TorchContext.TrySet("setUserEnabledNNPACK", false);
        if (IsSound((x, w, b, s, p) => conv2d(x, w, b, s, p), (x, w, b, s, p) => conv_transpose2d(x, w, b, s, p)))
            return;
        if (!TorchContext.TrySet("setUserEnabledMkldnn", false))
            throw new ResearchException(
                "The convolutions of this libtorch are wrong on this processor: "
                + "set the environment variable ONEDNN_MAX_CPU_ISA to AVX, and try again.");
        IsUsed = false;
    }

    /// <summary>
    /// Whether values and gradients in float32 are those in float64, which oneDNN has no part in.
    /// </summary>
    /// <param name="direct">The convolution.</param>
    /// <param name="transposed">The transposed convolution, whose weight names the inputs first.</param>
    public static bool IsSound(Convolution direct, Convolution transposed)
    {
        using var scope = torch.NewDisposeScope();
        using var random = new torch.Generator(1);
        torch.Tensor Uniform(params long[] size) => torch.rand(size, generator: random) - 0.5;
        return Shapes.All(shape =>
        {
            torch.Tensor Images(long size) => Uniform(4, shape.Inputs, size, size);
            torch.Tensor Weight(long first, long second) => Uniform(first, second, shape.Kernel, shape.Kernel);
            var bias = Uniform(shape.Outputs);
            return AreEqual(direct, shape, Images(shape.Size), Weight(shape.Outputs, shape.Inputs), bias)
                && AreEqual(transposed, shape, Images(shape.Convolved), Weight(shape.Inputs, shape.Outputs), bias);
        });
    }

    private static bool AreEqual(Convolution convolution, Shape shape, params torch.Tensor[] arguments)
    {
        var single = ValueAndGradients(convolution, shape, arguments, torch.float32);
        var exact = ValueAndGradients(convolution, shape, arguments, torch.float64);
        return single.Zip(exact).All(pair => pair.First.to(torch.float64).allclose(pair.Second, 1e-3, 1e-3));
    }

    private static torch.Tensor[] ValueAndGradients(
        Convolution convolution, Shape shape, torch.Tensor[] arguments, torch.ScalarType type)
    {
        torch.Tensor[] leaves = [.. arguments.Select(argument => argument.to(type, copy: true).requires_grad_())];
        var (stride, padding) = (shape.Stride, shape.Padding);
        var value = convolution(leaves[0], leaves[1], leaves[2], [stride, stride], [padding, padding]);
        // Not the sum alone, to which every element would count the same.
        (value * value).sum().backward();
        return [value, .. leaves.Select(leaf => leaf.grad!)];
    }
}
