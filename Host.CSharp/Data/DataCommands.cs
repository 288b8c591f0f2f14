using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;

namespace Research.Host;

/// <summary>What is known of one file.</summary>
public enum DataFileState
{
    /// <summary>Not there.</summary>
    Missing,

    /// <summary>There, not examined.</summary>
    Present,

    /// <summary>Parses completely and has the publisher's digest.</summary>
    Published,

    /// <summary>Parses completely, with another digest: usable, and the report says so.</summary>
    Differs,

    /// <summary>Cannot be used; the message says why.</summary>
    Damaged,
}

/// <summary>A line of <c>research data list</c> or <c>verify</c>.</summary>
/// <param name="Set">Key of the set.</param>
/// <param name="File">File name in the set's folder, as stored.</param>
/// <param name="Bytes">Size as stored, 0 when missing.</param>
/// <param name="State">What was found.</param>
/// <param name="Message">One sentence for states that need one, or empty.</param>
public sealed record DataRow(string Set, string File, long Bytes, DataFileState State, string Message);

/// <summary>What <c>research data list | fetch | verify</c> do, without printing.</summary>
public static class DataCommands
{
    /// <summary>The files of <paramref name="spec"/> and whether they are in <paramref name="directory"/>.</summary>
    public static IReadOnlyList<DataRow> List(DataSetSpec spec, string directory) =>
        [.. spec.Files.Select(entry => Row(spec, entry, directory, examine: false))];

    /// <summary>As <see cref="List"/>, after reading each file completely and comparing its digest.</summary>
    public static IReadOnlyList<DataRow> Verify(DataSetSpec spec, string directory) =>
        [.. spec.Files.Select(entry => Row(spec, entry, directory, examine: true))];

    /// <summary>
    /// Downloads the files of a set that <paramref name="directory"/> lacks, each verified before it is kept.
    /// Raises <see cref="DownloadException"/>.
    /// </summary>
    public static void Fetch(DataSetSpec spec, string directory, Downloader downloader,
        Action<DownloadProgress>? progress = null, CancellationToken cancel = default)
    {
        string folder = Path.Combine(directory, spec.Key);
        if (spec.Files.All(f => ContentFile.Find(folder, f.Name) is not null)) return;
        if (spec.Archive is { } archive)
        {
            if (spec.Files.Any(f => ContentFile.Find(folder, f.Name) is not null))
                throw new DownloadException(
                    $"{folder} holds other files of {spec.Title}, which a download would mix with published ones.");
            FetchArchive(spec, archive, folder, downloader, progress, cancel);
            return;
        }
        foreach (var entry in spec.Files.Where(f => ContentFile.Find(folder, f.Name) is null))
        {
            string target = Path.Combine(folder, Path.GetFileName(entry.Addresses[0].AbsolutePath));
            downloader.Fetch(entry.Addresses, target, part => RequirePublished(entry, part), progress, cancel);
        }
    }

    private static void RequirePublished(DataFile entry, string path)
    {
        var file = ContentFile.Read(path);
        if (!entry.IsPublished(file, entry.Parse(file)))
            throw DataException.Mismatch(path, $"the digest {entry.Digest}", "another");
    }

    private static void FetchArchive(DataSetSpec spec, DataArchive archive, string folder, Downloader downloader,
        Action<DownloadProgress>? progress, CancellationToken cancel)
    {
        string target = Path.Combine(folder, Path.GetFileName(archive.Address.AbsolutePath));
        if (!File.Exists(target))
            downloader.Fetch([archive.Address], target, RequireDigest, progress, cancel);
        try
        {
            RequireDigest(target);
            Unpack(spec, target, folder);
            File.Delete(target);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException
                                      or DataException)
        {
            throw new DownloadException($"{target} cannot be unpacked: {e.Message}", e);
        }

        void RequireDigest(string path)
        {
            using var stream = File.OpenRead(path);
            if (Convert.ToHexStringLower(SHA256.HashData(stream)) != archive.Sha256)
                throw DataException.Mismatch(path, $"the SHA-256 {archive.Sha256}", "another");
        }
    }

    /// <summary>
    /// Takes the files of the set out of the archive and records their digests. The record comes first: without
    /// it the files would never again be recognised as published.
    /// </summary>
    private static void Unpack(DataSetSpec spec, string archive, string folder)
    {
        var contents = new Dictionary<string, byte[]>();
        using (var stream = new GZipStream(File.OpenRead(archive), CompressionMode.Decompress))
        using (var entries = new TarReader(stream))
        {
            while (entries.GetNextEntry() is { } entry)
            {
                string name = Path.GetFileName(entry.Name);
                if (entry.DataStream is null || spec.Files.All(f => f.Name != name)) continue;
                var content = new byte[entry.Length];
                entry.DataStream.ReadExactly(content);
                contents[name] = content;
            }
        }
        foreach (var file in spec.Files)
            file.Parse(new ContentFile(file.Name, [], contents.GetValueOrDefault(file.Name, [])));
        Durable.ReplaceText(Path.Combine(folder, DataFile.RecordName),
            string.Concat(contents.Select(c => DataFile.RecordLine(c.Value, c.Key) + "\n")));
        foreach (var (name, content) in contents)
            Durable.Replace(Path.Combine(folder, name), stream => stream.Write(content));
    }

    private static DataRow Row(DataSetSpec spec, DataFile entry, string directory, bool examine)
    {
        if (ContentFile.Find(Path.Combine(directory, spec.Key), entry.Name) is not { } path)
            return new(spec.Key, entry.Name, 0, DataFileState.Missing,
                entry.Optional ? "The set can be used without this file." : "");
        var row = new DataRow(spec.Key, Path.GetFileName(path), new FileInfo(path).Length, DataFileState.Present, "");
        if (!examine) return row;
        try
        {
            var file = ContentFile.Read(path);
            return entry.IsPublished(file, entry.Parse(file))
                ? row with { State = DataFileState.Published }
                : row with
                {
                    State = DataFileState.Differs,
                    Message = entry.Kind == DigestKind.Recorded
                        ? "Complete, but not taken out of the published archive here."
                        : "Complete, but its digest is not the publisher's.",
                };
        }
        catch (DataException e)
        {
            return row with { State = DataFileState.Damaged, Message = e.Message };
        }
    }
}
