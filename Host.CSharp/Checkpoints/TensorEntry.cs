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
[OutsideResults("it describes what it is given")]
public sealed record TensorSpec(string Name, ElementType Type, IReadOnlyList<long> Shape)
{
    /// <summary>Number of elements.</summary>
    /// <exception cref="OverflowException">The shape does not fit 63 bits, be one of its extents 0 or not.</exception>
    public long Count
    {
        get
        {
            var product = Shape.Aggregate(1L, (product, extent) => checked(product * Math.Max(extent, 1)));
            return Shape.Contains(0) ? 0 : product;
        }
    }

    /// <summary>Number of bytes of the data.</summary>
    /// <exception cref="OverflowException">The size does not fit 63 bits.</exception>
    public long ByteLength => checked(Count * Type.Size());
}

/// <summary>A named tensor as bytes: little-endian, row-major, contiguous.</summary>
[OutsideResults("it holds what it is given")]
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
