using TorchSharp;

namespace Research.Host;

/// <summary>A tensor under the name that it has in a file; PyTorch's key for parameters.</summary>
public sealed record NamedTensor(string Name, torch.Tensor Tensor)
{
    /// <summary>The pairs that models list their parameters as.</summary>
    public static IReadOnlyList<NamedTensor> From(IEnumerable<(string Name, torch.Tensor Tensor)> pairs) =>
        [.. pairs.Select(pair => new NamedTensor(pair.Name, pair.Tensor))];
}

/// <summary>Moves torch tensors to and from the bytes of safetensors files.</summary>
[OutsideResults("it copies what it is given")]
public static class TensorBytes
{
    /// <summary>The header entry of a tensor.</summary>
    /// <exception cref="NotSupportedException">Its element type is not one of <see cref="ElementType"/>.</exception>
    public static TensorSpec SpecOf(NamedTensor named) =>
        new(named.Name, ToElementType(named.Tensor.dtype), named.Tensor.shape);

    /// <summary>Appends a tensor's elements in row-major order, from any device and layout.</summary>
    public static void Append(torch.Tensor tensor, SafetensorsFile.Append append)
    {
        using var detached = tensor.detach();
        using var onCpu = detached.cpu();
        using var flat = onCpu.contiguous();
        append(flat.bytes);
        GC.KeepAlive(flat);
    }

    /// <summary>A copy of a tensor as bytes.</summary>
    public static TensorEntry ToEntry(NamedTensor named)
    {
        var spec = SpecOf(named);
        var data = new byte[spec.ByteLength];
        Append(named.Tensor, bytes => bytes.CopyTo(data));
        return new(spec, data);
    }

    /// <summary>A new tensor with the entry's contents.</summary>
    public static torch.Tensor ToTensor(TensorEntry entry, torch.Device? device = null)
    {
        var tensor = torch.empty([.. entry.Spec.Shape], ToScalarType(entry.Spec.Type));
        entry.Data.Span.CopyTo(tensor.bytes);
        if (device is null || device.type == DeviceType.CPU)
            return tensor;
        using (tensor)
            return tensor.to(device);
    }

    /// <summary>Overwrites a tensor in place, on its device, without recording a gradient.</summary>
    public static void CopyInto(TensorEntry entry, torch.Tensor target)
    {
        using var recording = torch.no_grad();
        using var source = ToTensor(entry);
        target.copy_(source);
    }

    /// <summary>Says why an entry cannot be copied into a tensor, without a full stop, or null when it can.</summary>
    internal static string? Mismatch(NamedTensor target, TensorEntry? entry)
    {
        if (entry is null)
            return $"it lacks '{target.Name}'";
        var spec = SpecOf(target);
        return spec.Type == entry.Spec.Type && spec.Shape.SequenceEqual(entry.Spec.Shape)
            ? null
            : $"it holds '{target.Name}' as {Describe(entry.Spec)} where {Describe(spec)} is needed";
    }

    private static string Describe(TensorSpec spec) => $"{spec.Type}[{string.Join(",", spec.Shape)}]";

    private static ElementType ToElementType(torch.ScalarType type) => type switch
    {
        torch.ScalarType.Float32 => ElementType.F32,
        torch.ScalarType.Float64 => ElementType.F64,
        torch.ScalarType.Int64 => ElementType.I64,
        torch.ScalarType.Int32 => ElementType.I32,
        torch.ScalarType.Byte => ElementType.U8,
        torch.ScalarType.Bool => ElementType.BOOL,
        _ => throw new NotSupportedException($"tensors of type {type} cannot be saved"),
    };

    private static torch.ScalarType ToScalarType(ElementType type) => type switch
    {
        ElementType.F32 => torch.ScalarType.Float32,
        ElementType.F64 => torch.ScalarType.Float64,
        ElementType.I64 => torch.ScalarType.Int64,
        ElementType.I32 => torch.ScalarType.Int32,
        ElementType.U8 => torch.ScalarType.Byte,
        _ => torch.ScalarType.Bool,
    };
}
