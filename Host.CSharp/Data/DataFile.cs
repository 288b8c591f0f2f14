using System.Security.Cryptography;

namespace Research.Host;

/// <summary>What a publisher's digest was taken of.</summary>
public enum DigestKind
{
    /// <summary>MD5 of the file as published, an archive; another compression of the same content differs.</summary>
    FileMd5,

    /// <summary>SHA-256 of the decompressed content.</summary>
    ContentSha256,

    /// <summary>SHA-256 of the parsed values, one byte each, in file order.</summary>
    ValuesSha256,

    /// <summary>
    /// SHA-256 of the content, recorded beside the file by <see cref="DataCommands"/> when it was taken out of
    /// the published archive.
    /// </summary>
    Recorded,
}

/// <summary>One file of a data set: its name without <c>.gz</c>, where it is published, and how it is checked.</summary>
/// <param name="Name">File name in the folder of the set; stored plain or with <c>.gz</c>.</param>
/// <param name="Addresses">Where to download it, in order of preference; empty when it comes in an archive.</param>
/// <param name="Kind">What <paramref name="Digest"/> was taken of.</param>
/// <param name="Digest">The publisher's digest in lower-case hex; empty for <see cref="DigestKind.Recorded"/>.</param>
/// <param name="Optional">True when the set can be used without this file.</param>
/// <param name="Bytes">About the length of its decompressed content; twice as much is never held.</param>
/// <param name="Parse">Checks the whole file and returns its values; raises <see cref="ResearchException"/>.</param>
public sealed record DataFile(
    string Name, IReadOnlyList<Uri> Addresses, DigestKind Kind, string Digest, bool Optional, long Bytes,
    Func<ContentFile, byte[]> Parse)
{
    /// <summary>Far more than the digests of a set's files.</summary>
    private const long LongestRecord = 1 << 20;

    /// <summary>The list of digests that is written when an archive is unpacked into a folder.</summary>
    internal static InputFile RecordIn(string folder) =>
        new(Path.Combine(folder, "SHA256SUMS"), "move it away: without it the set counts as another copy");

    /// <summary>Reads the file unchecked: somewhat more than it needs, so that its parser can say what is wrong.</summary>
    internal ContentFile ReadContent(InputFile file) => ContentFile.Read(file, 2 * Bytes);

    /// <summary>Reads and checks the file; the content that was read comes with its values.</summary>
    public (ContentFile File, byte[] Values) Read(InputFile file)
    {
        var content = ReadContent(file);
        return (content, Parse(content));
    }

    /// <summary>True when the file, parsed to <paramref name="values"/>, has the publisher's digest.</summary>
    public bool IsPublished(ContentFile file, byte[] values) => Kind switch
    {
        DigestKind.FileMd5 => file.File.Read(stored => Convert.ToHexStringLower(MD5.HashData(stored))) == Digest,
        DigestKind.ContentSha256 => Sha256(file.Content) == Digest,
        DigestKind.ValuesSha256 => Sha256(values) == Digest,
        _ => IsRecorded(file),
    };

    private bool IsRecorded(ContentFile file)
    {
        var record = RecordIn(Path.GetDirectoryName(file.File.Path) ?? ".");
        return record.Exists
            && record.ReadText(LongestRecord).Split('\n').Contains(RecordLine(file.Content, Name));
    }

    /// <summary>A line as <c>sha256sum</c> writes it.</summary>
    internal static string RecordLine(byte[] content, string name) => $"{Sha256(content)}  {name}";

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
