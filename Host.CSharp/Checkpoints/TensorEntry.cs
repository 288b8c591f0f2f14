namespace Research.Host;

/// <summary>Element types of the safetensors format that this project writes, by the format's names.</summary>
public enum ElementType
{
    F64,
    I64,
    F32,
    I32,
    U8,
    BOOL,
}

/// <summary>What a safetensors header says about one tensor.</summary>
/// <param name="Name">The key; PyTorch's parameter name where there is one.</param>
/// <param name="Type">Element type.</param>
/// <param name="Shape">Extents, row-major; empty for a scalar.</param>
public sealed record TensorSpec(string Name, ElementType Type, IReadOnlyList<long> Shape)
{
    /// <summary>Number of elements.</summary>
    /// <exception cref="OverflowException">The shape does not fit 63 bits.</exception>
    public long Count => Shape.Aggregate(1L, (product, extent) => checked(product * extent));

    /// <summary>Number of bytes of the data.</summary>
    /// <exception cref="OverflowException">The size does not fit 63 bits.</exception>
    public long ByteLength => checked(Count * Type.Size());
}

/// <summary>A named tensor as bytes: little-endian, row-major, contiguous.</summary>
public sealed record TensorEntry(TensorSpec Spec, ReadOnlyMemory<byte> Data)
{
    public string Name => Spec.Name;
}

/// <summary>Sizes of element types.</summary>
public static class ElementTypes
{
    /// <summary>Bytes per element.</summary>
    public static int Size(this ElementType type) => type switch
    {
        ElementType.F64 or ElementType.I64 => 8,
        ElementType.F32 or ElementType.I32 => 4,
        _ => 1,
    };
}

/// <summary>A file that is not what the safetensors format allows; the message names file and fault.</summary>
public sealed class SafetensorsException(string file, string fault, Exception? inner = null)
    : ResearchException($"'{file}' is not a usable safetensors file: {fault}.", RunFailed, inner);
