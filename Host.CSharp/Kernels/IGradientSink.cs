using TorchSharp;

namespace Research.Host;

/// <summary>Takes the gradients of a model's parameters piece by piece, while each piece is in the processor's cache.</summary>
public interface IGradientSink
{
    /// <summary>The gradient of some neighbouring elements, which no other call of the same step gives again.</summary>
    /// <param name="parameter">Index of the parameter.</param>
    /// <param name="start">Index of the first element in row-major order.</param>
    /// <param name="gradient">The elements' gradients; the memory is the caller's.</param>
    void Take(int parameter, int start, ReadOnlySpan<float> gradient);
}

/// <summary>Keeps the gradients in tensors of the parameters' shapes.</summary>
public sealed class GradientTensors : IGradientSink
{
    /// <param name="parameters">float32 on the CPU, in the order of their indices.</param>
    public GradientTensors(IEnumerable<torch.Tensor> parameters)
    {
        using var recording = torch.no_grad();
        Tensors = [.. parameters.Select(parameter => torch.zeros(parameter.shape).DetachFromDisposeScope())];
    }

    public IReadOnlyList<torch.Tensor> Tensors { get; }

    public void Take(int parameter, int start, ReadOnlySpan<float> gradient) =>
        gradient.CopyTo(TensorMemory.Floats(Tensors[parameter])[start..]);
}
