using TorchSharp;

namespace Research.Host;

/// <summary>
/// All randomness of a run as a function of (seed, stream, step). There is no random state: nothing needs saving,
/// the order of calls does not matter, and runs side by side do not disturb each other. Noise is made on the CPU
/// and then moved, so that a GPU sees the same numbers.
/// </summary>
/// <param name="seed">The run's seed.</param>
public sealed class Noise(long seed)
{
    // The order of the last epoch asked for: every step of the epoch wants it again.
    private Shuffle? last;

    public long Seed => seed;

    /// <summary>
    /// A CPU generator for one stream at one step. libtorch's Mersenne Twister looks at the lower 32 bits of its
    /// seed only, so those are a bijection of the step: within a stream no two of 2^32 steps share their noise.
    /// </summary>
    /// <param name="stream">What the noise is for, for instance `encoder`.</param>
    /// <param name="step">Training step, or any index.</param>
    public torch.Generator For(string stream, long step)
    {
        var hash = Mixing.Hash(seed, stream);
        var beyond = Mixing.Mix64(hash ^ (ulong)(step >> 32));
        var low = Mixing.Mix32(Mixing.Mix32((uint)step ^ (uint)beyond) + (uint)(beyond >> 32));
        var high = Mixing.Mix64(beyond ^ (ulong)step) & 0xFFFFFFFF00000000;
        return new torch.Generator(high | low);
    }

    /// <summary>Standard normal noise of a shape.</summary>
    public torch.Tensor Normal(
        string stream, long step, long[] shape, torch.ScalarType dtype = torch.ScalarType.Float32,
        torch.Device? device = null)
    {
        using var generator = For(stream, step);
        return Devices.Move(torch.randn(shape, dtype, generator: generator), device);
    }

    /// <summary>Noise uniform on [0, 1).</summary>
    public torch.Tensor Uniform(
        string stream, long step, long[] shape, torch.ScalarType dtype = torch.ScalarType.Float32,
        torch.Device? device = null)
    {
        using var generator = For(stream, step);
        return Devices.Move(torch.rand(shape, dtype, generator: generator), device);
    }

    /// <summary>A uniformly random order of 0..n-1 for an epoch; the caller must not change it.</summary>
    public long[] Permutation(long epoch, int n)
    {
        var shuffle = last;
        if (shuffle is null || shuffle.Epoch != epoch || shuffle.Order.Length != n)
            last = shuffle = new(epoch, Draw(epoch, n));
        return shuffle.Order;
    }

    // Fisher-Yates from the end, with Lemire's multiplication and rejection so that every order is equally likely.
    private long[] Draw(long epoch, int n)
    {
        var order = new long[n];
        for (var i = 0; i < n; i++)
            order[i] = i;
        var state = Mixing.Mix64(Mixing.Hash(seed, "epoch") ^ (ulong)epoch);
        for (var i = n - 1; i > 0; i--)
        {
            var j = Below((uint)i + 1, ref state);
            (order[i], order[j]) = (order[j], order[i]);
        }
        return order;
    }

    private static uint Below(uint bound, ref ulong state)
    {
        var threshold = (uint)(-(int)bound) % bound;
        while (true)
        {
            var product = (Mixing.Mix64(state++) >> 32) * bound;
            if ((uint)product >= threshold)
                return (uint)(product >> 32);
        }
    }

    private sealed record Shuffle(long Epoch, long[] Order);
}
