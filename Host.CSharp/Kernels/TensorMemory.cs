using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>A tensor's memory, for the passes that are written out by hand.</summary>
internal static class TensorMemory
{
    /// <summary>The elements in row-major order; the tensor must outlive their use.</summary>
    /// <exception cref="ArgumentException">The tensor is not contiguous float32 on the CPU of that shape.</exception>
    public static Span<float> Floats(torch.Tensor tensor, string name, params ReadOnlySpan<long> shape)
    {
        if (tensor.dtype != torch.ScalarType.Float32 || tensor.device_type != DeviceType.CPU
            || !shape.SequenceEqual(tensor.shape) || !tensor.is_contiguous())
            throw new ArgumentException(
                $"{name} must be contiguous float32 [{string.Join(",", shape.ToArray())}] on the CPU, "
                + $"not {tensor.dtype} [{string.Join(",", tensor.shape)}]", name);
        return Floats(tensor);
    }

    /// <summary>The same for a tensor that has passed the check before.</summary>
    public static Span<float> Floats(torch.Tensor tensor) => MemoryMarshal.Cast<byte, float>(tensor.bytes);
}
