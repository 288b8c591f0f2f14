using System.Globalization;
using System.Security.Cryptography;

namespace Research.Host;

/// <summary>
/// Where the data of a run came from. Goes into run keys (through <see cref="Digest"/>), captions and claims.
/// </summary>
/// <param name="Set">Title of the data set, such as <c>MNIST</c>.</param>
/// <param name="Source">The directory that was read, or <c>stand-in</c>.</param>
/// <param name="IsStandIn">True when the images were drawn by <see cref="StandIn"/> instead of read.</param>
/// <param name="Digest">SHA-256 (hex) over shape, pixels and labels of train, validation and test as loaded.</param>
/// <param name="MatchesPublished">True when every file has the publisher's digest.</param>
/// <param name="Note">What differs from the published set; empty only when nothing does.</param>
public sealed record Provenance(
    string Set, string Source, bool IsStandIn, string Digest, bool MatchesPublished, string Note)
{
    /// <summary>One line for captions; never names a directory, so reports compare across machines.</summary>
    public string Describe()
    {
        string data = IsStandIn ? $"procedural stand-in for {Set}, not the published data"
            : MatchesPublished ? $"{Set}, published data"
            : Set;
        return Note.Length == 0 ? data : $"{data} ({Note})";
    }

    internal static string DigestOf(params ReadOnlySpan<ImageSet> parts)
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        Span<byte> shape = stackalloc byte[20];
        foreach (var part in parts)
        {
            int[] header = [part.Count, part.Channels, part.Height, part.Width, part.Levels];
            for (int i = 0; i < header.Length; i++)
                System.Buffers.Binary.BinaryPrimitives.WriteInt32LittleEndian(shape[(4 * i)..], header[i]);
            hash.AppendData(shape);
            hash.AppendData(part.Pixels);
            hash.AppendData(part.Labels);
        }
        return Convert.ToHexStringLower(hash.GetHashAndReset());
    }

    /// <summary>An integer with thousands separators, as messages and captions print counts.</summary>
    internal static string Grouped(long value) => value.ToString("N0", CultureInfo.InvariantCulture);
}
