namespace Research.Host;

/// <summary>A data file in memory, decompressed; it is stored plain or gzipped.</summary>
/// <param name="File">Where it was read from; messages begin with its path.</param>
/// <param name="Content">The decompressed bytes.</param>
public sealed record ContentFile(InputFile File, byte[] Content)
{
    /// <summary>
    /// The path of <paramref name="name"/> (without <c>.gz</c>) in <paramref name="directory"/>, gzipped or plain;
    /// null when neither is there. The gzipped one wins because the publishers' digests are of archives.
    /// </summary>
    /// <exception cref="ResearchException">The directory cannot be looked into.</exception>
    public static InputFile? Find(string directory, string name)
    {
        var plain = At(directory, name);
        var gzipped = At(directory, name + ".gz");
        return gzipped.Exists ? gzipped : plain.Exists ? plain : null;
    }

    /// <summary>As <see cref="Find"/>, but a missing file is an error.</summary>
    public static InputFile Require(string directory, string name) =>
        Find(directory, name) ?? throw At(directory, name).Mismatch("this file, plain or with .gz", "none");

    /// <summary>Reads a file, an archive when its name or its first bytes say so.</summary>
    /// <param name="file">The file.</param>
    /// <param name="longest">Bytes that its content can have at most; no more are ever held.</param>
    /// <exception cref="ResearchException">It cannot be read, is a damaged archive or is longer.</exception>
    public static ContentFile Read(InputFile file, long longest)
    {
        var isArchive = file.Path.EndsWith(".gz", StringComparison.Ordinal) || file.Read(StartsAsArchive);
        return new(file, isArchive ? file.Read(stream => Decompress(file, stream, longest)) : file.ReadBytes(longest));
    }

    /// <summary>The error of a content whose length in bytes is not the expected one.</summary>
    internal ResearchException WrongLength(long expected, long found, string what) =>
        File.Mismatch($"{Provenance.Grouped(expected)} bytes {what}",
            $"{Provenance.Grouped(found)} ({(found < expected ? "truncated" : "trailing bytes")})");

    private static bool StartsAsArchive(FileStream stream)
    {
        Span<byte> start = stackalloc byte[2];
        return stream.ReadAtLeast(start, 2, throwOnEndOfStream: false) == 2 && GzipArchive.IsOne(start);
    }

    private static byte[] Decompress(InputFile file, FileStream stream, long longest)
    {
        // What cannot be compressed grows by a thousandth; the rest is for the fields of the header.
        var longestArchive = longest + longest / 1000 + (1 << 20);
        if (stream.Length > longestArchive)
            throw file.Mismatch($"an archive of at most {Provenance.Grouped(longestArchive)} bytes",
                Provenance.Grouped(stream.Length));
        try
        {
            return stream.Length > 0 ? GzipArchive.Read(stream, longest) : throw new FormatException("an empty file");
        }
        catch (FormatException error)
        {
            throw file.Mismatch("one complete gzip archive", error.Message);
        }
    }

    private static InputFile At(string directory, string name) =>
        new(Path.Combine(directory, name),
            "replace it by the published file, or move it away and let `research data fetch` bring that");
}
