using System.Buffers.Binary;
using System.IO.Compression;

namespace Research.Host;

/// <summary>A data file in memory: as stored, plain or gzipped, and decompressed.</summary>
/// <param name="Path">Where it was read from; messages begin with it.</param>
/// <param name="Stored">The bytes of the file.</param>
/// <param name="Content">The decompressed bytes; the same array for a plain file.</param>
public sealed record ContentFile(string Path, byte[] Stored, byte[] Content)
{
    /// <summary>
    /// The path of <paramref name="name"/> (without <c>.gz</c>) in <paramref name="directory"/>, gzipped or plain;
    /// null when neither is there. The gzipped one wins because the publishers' digests are of archives.
    /// </summary>
    public static string? Find(string directory, string name)
    {
        string plain = System.IO.Path.Combine(directory, name);
        return File.Exists(plain + ".gz") ? plain + ".gz" : File.Exists(plain) ? plain : null;
    }

    /// <summary>As <see cref="Find"/>, but a missing file is an error.</summary>
    public static string Require(string directory, string name) =>
        Find(directory, name)
        ?? throw new DataException(System.IO.Path.Combine(directory, name),
            "expected this file, plain or with .gz, found none.");

    /// <summary>Reads a file; raises <see cref="DataException"/> when it is missing or a damaged archive.</summary>
    public static ContentFile Read(string path)
    {
        byte[] stored;
        try
        {
            stored = File.ReadAllBytes(path);
        }
        catch (Exception e) when (e is FileNotFoundException or DirectoryNotFoundException)
        {
            throw new DataException(path, "expected this file, found none.", e);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new DataException(path, $"cannot be read: {e.Message}", e);
        }
        bool gzipped = stored is [0x1f, 0x8b, ..] || path.EndsWith(".gz", StringComparison.Ordinal);
        return new ContentFile(path, stored, gzipped ? Inflate(path, stored) : stored);
    }

    private static byte[] Inflate(string path, byte[] stored)
    {
        if (stored.Length < 18 || stored[0] != 0x1f || stored[1] != 0x8b)
            throw DataException.Mismatch(path, "a gzip archive",
                stored.Length == 0 ? "an empty file" : "other content");
        // The last four bytes hold the decompressed length. The reader below may end quietly where an archive is
        // cut and ignores bytes after its end; in both cases this length disagrees with what came out.
        uint length = BinaryPrimitives.ReadUInt32LittleEndian(stored.AsSpan(stored.Length - 4));
        // Deflate expands at most 1032 times; a larger length is garbage, and must not be allocated.
        if (length > 1032L * stored.Length) throw Incomplete(path);
        var content = new byte[length];
        try
        {
            using var archive = new GZipStream(new MemoryStream(stored), CompressionMode.Decompress);
            int read = archive.ReadAtLeast(content, content.Length, throwOnEndOfStream: false);
            if (read < content.Length || archive.ReadByte() >= 0) throw Incomplete(path);
        }
        catch (Exception e) when (e is InvalidDataException or EndOfStreamException)
        {
            throw new DataException(path, "expected one complete gzip archive, found damaged or truncated data.", e);
        }
        return content;
    }

    private static DataException Incomplete(string path) =>
        DataException.Mismatch(path, "one complete gzip archive", "a truncated one or bytes after its end");
}
