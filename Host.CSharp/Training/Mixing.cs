using System.Text;

namespace Research.Host;

/// <summary>Integer hashes that turn (seed, stream, step) into seeds.</summary>
internal static class Mixing
{
    private const ulong Golden = 0x9E3779B97F4A7C15;

    /// <summary>
    /// SplitMix64's output function (Fast splittable pseudorandom number generators, Steele et al., 2014):
    /// a bijection of 64 bits in which every input bit reaches every output bit.
    /// </summary>
    public static ulong Mix64(ulong x)
    {
        x += Golden;
        x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9;
        x = (x ^ (x >> 27)) * 0x94D049BB133111EB;
        return x ^ (x >> 31);
    }

    /// <summary>MurmurHash3's finaliser: the same for 32 bits.</summary>
    public static uint Mix32(uint x)
    {
        x = (x ^ (x >> 16)) * 0x85EBCA6B;
        x = (x ^ (x >> 13)) * 0xC2B2AE35;
        return x ^ (x >> 16);
    }

    /// <summary>A seed and a name, hashed: FNV-1a over UTF-8, then mixed with the seed.</summary>
    public static ulong Hash(long seed, string name)
    {
        var hash = 0xCBF29CE484222325UL;
        foreach (var b in Encoding.UTF8.GetBytes(name))
            hash = (hash ^ b) * 0x100000001B3;
        return Mix64(hash ^ Mix64((ulong)seed));
    }
}
