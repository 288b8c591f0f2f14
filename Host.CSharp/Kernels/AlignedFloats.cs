using System.Numerics;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>
/// Working memory that starts at a cache line and ends at one. BLAS gives the same bits in every process only for
/// memory of the same alignment, and SIMD passes need not treat the last elements apart: what lies behind the last is
/// theirs to scribble on.
/// </summary>
internal sealed class AlignedFloats
{
    private const int Line = 64 / sizeof(float);

    private readonly float[] storage;
    private readonly int start;

    /// <summary>Zeros, at least so many.</summary>
    public AlignedFloats(int count)
    {
        Length = (count + Line - 1) / Line * Line;
        storage = GC.AllocateArray<float>(Length + Line, pinned: true);
        var address = Marshal.UnsafeAddrOfPinnedArrayElement(storage, 0);
        start = (int)(-(long)address & 63) / sizeof(float);
    }

    /// <summary>Elements, the padding among them.</summary>
    public int Length { get; }

    public Span<float> Span => storage.AsSpan(start, Length);

    /// <summary>The vectors that hold the first <paramref name="count"/> elements.</summary>
    public Span<Vector<float>> Vectors(int count) =>
        MemoryMarshal.Cast<float, Vector<float>>(Span)[..((count + Vector<float>.Count - 1) / Vector<float>.Count)];

    /// <summary>The memory itself where it is large enough, else new memory in its place, of which nothing is kept.</summary>
    public static void Reserve(ref AlignedFloats memory, int count)
    {
        if (memory.Length < count)
            memory = new(count);
    }
}
