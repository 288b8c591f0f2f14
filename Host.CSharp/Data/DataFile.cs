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
/// <param name="Parse">Checks the whole file and returns its values; raises <see cref="DataException"/>.</param>
public sealed record DataFile(
    string Name, IReadOnlyList<Uri> Addresses, DigestKind Kind, string Digest, bool Optional,
    Func<ContentFile, byte[]> Parse)
{
    /// <summary>Name of the list of digests that is written when an archive is unpacked.</summary>
    internal const string RecordName = "SHA256SUMS";

    /// <summary>True when the file, parsed to <paramref name="values"/>, has the publisher's digest.</summary>
    public bool IsPublished(ContentFile file, byte[] values) => Kind switch
    {
        DigestKind.FileMd5 => Convert.ToHexStringLower(MD5.HashData(file.Stored)) == Digest,
        DigestKind.ContentSha256 => Sha256(file.Content) == Digest,
        DigestKind.ValuesSha256 => Sha256(values) == Digest,
        _ => IsRecorded(file),
    };

    private bool IsRecorded(ContentFile file)
    {
        string record = Path.Combine(Path.GetDirectoryName(file.Path) ?? ".", RecordName);
        return File.Exists(record) && File.ReadLines(record).Contains(RecordLine(file.Content, Name));
    }

    /// <summary>A line as <c>sha256sum</c> writes it.</summary>
    internal static string RecordLine(byte[] content, string name) => $"{Sha256(content)}  {name}";

    private static string Sha256(byte[] bytes) => Convert.ToHexStringLower(SHA256.HashData(bytes));
}
