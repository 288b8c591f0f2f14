namespace Research.Host;

/// <summary>
/// Random numbers of the stand-in (SplitMix64). Uses only operations that IEEE 754 defines exactly, so that the
/// same images come out on every machine. One stream per image: image i is the same whatever the size of the set.
/// </summary>
internal struct StandInRandom(ulong seed, ulong stream)
{
    private ulong state = Mix(seed) ^ Mix(stream + 0x9e3779b97f4a7c15);

    private static ulong Mix(ulong z)
    {
        z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
        z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
        return z ^ (z >> 31);
    }

    public ulong Next() => Mix(state += 0x9e3779b97f4a7c15);

    /// <summary>Uniform on [0, 1).</summary>
    public float Uniform() => (Next() >> 40) * (1f / (1 << 24));

    public float Uniform(float low, float high) => low + (high - low) * Uniform();

    /// <summary>Uniform on 0 .. count-1 (bias below 2^-32 for the counts used).</summary>
    public int Below(int count) => (int)(((Next() >> 32) * (ulong)count) >> 32);

    /// <summary>Roughly normal, mean 0 and variance 1, within +-3.5: a sum of uniforms needs no logarithm.</summary>
    public float Bell() => (Uniform() + Uniform() + Uniform() + Uniform() - 2f) * 1.7320508f;

    /// <summary><paramref name="take"/> of <c>0 .. count-1</c>, ascending, the same on every call.</summary>
    public static int[] Sample(int count, int take)
    {
        var random = new StandInRandom(seed: 1, stream: (ulong)count);
        var chosen = new int[take];
        for (int i = 0, n = 0; n < take; i++)
            if (random.Below(count - i) < take - n) chosen[n++] = i;
        return chosen;
    }
}
