using System.Formats.Tar;
using System.IO.Compression;
using System.Security.Cryptography;

namespace Research.Host;

/// <summary>What is known of one file.</summary>
public enum DataFileState
{
    /// <summary>Not there.</summary>
    Missing,

    /// <summary>Not there, and the set can be used without it.</summary>
    Optional,

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
    /// Downloads the files of a set that <paramref name="directory"/> lacks, each verified before it is kept. What
    /// an interrupted call left is continued. Raises <see cref="DownloadException"/>.
    /// </summary>
    public static void Fetch(DataSetSpec spec, string directory, Downloader downloader,
        Action<DownloadProgress>? progress = null, CancellationToken cancel = default)
    {
        string folder = Path.Combine(directory, spec.Key);
        if (IsComplete(spec, directory)) return;
        if (spec.Archive is { } archive)
        {
            FetchArchive(spec, archive, folder, downloader, progress, cancel);
            return;
        }
        foreach (var entry in spec.Files.Where(f => ContentFile.Find(folder, f.Name) is null))
        {
            string target = Path.Combine(folder, Path.GetFileName(entry.Addresses[0].AbsolutePath));
            downloader.Fetch(entry.Addresses, target, part => RequirePublished(entry, part), progress, cancel);
        }
    }

    /// <summary>
    /// True when nothing is left to fetch: every file is there, or every file without which the set cannot be used
    /// and no archive that waits to be unpacked.
    /// </summary>
    /// <exception cref="ResearchException">The folder cannot be looked into.</exception>
    internal static bool IsComplete(DataSetSpec spec, string directory, bool withOptional = true)
    {
        string folder = Path.Combine(directory, spec.Key);
        return spec.Files.All(f => (f.Optional && !withOptional) || ContentFile.Find(folder, f.Name) is not null)
            && (spec.Archive is null || !Archive(spec.Archive, folder).Exists);
    }

    private static InputFile Archive(DataArchive archive, string folder) =>
        new(Path.Combine(folder, Path.GetFileName(archive.Address.AbsolutePath)),
            "move it away and run the same command again");

    private static void RequirePublished(DataFile entry, InputFile part)
    {
        var (file, values) = entry.Read(part);
        if (!entry.IsPublished(file, values))
            throw part.Mismatch($"the digest {entry.Digest}", "another");
    }

    private static void FetchArchive(DataSetSpec spec, DataArchive archive, string folder, Downloader downloader,
        Action<DownloadProgress>? progress, CancellationToken cancel)
    {
        var target = Archive(archive, folder);
        if (!target.Exists)
        {
            RequireNoOthers(spec, folder, unpacked: null);
            downloader.Fetch([archive.Address], target.Path, RequireDigest, progress, cancel);
        }
        RequireDigest(target);
        try
        {
            Unpack(spec, target, folder);
            File.Delete(target.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or InvalidDataException)
        {
            throw new DownloadException($"{target.Path} cannot be unpacked: {e.Message}", e);
        }

        void RequireDigest(InputFile file)
        {
            if (file.Read(stream => Convert.ToHexStringLower(SHA256.HashData(stream))) != archive.Sha256)
                throw file.Mismatch($"the SHA-256 {archive.Sha256}", "another");
        }
    }

    /// <summary>Refuses to mix published files with others; those that were unpacked before are published.</summary>
    private static void RequireNoOthers(
        DataSetSpec spec, string folder, IReadOnlyDictionary<string, byte[]>? unpacked)
    {
        foreach (var entry in spec.Files)
        {
            if (ContentFile.Find(folder, entry.Name) is not { } file) continue;
            if (unpacked is null || !unpacked.TryGetValue(entry.Name, out byte[]? published)
                || !entry.ReadContent(file).Content.AsSpan().SequenceEqual(published))
                throw new DownloadException(
                    $"{file.Path} is another file of {spec.Title}, which a download would mix with published ones: "
                    + "move it away and run the same command again.");
        }
    }

    /// <summary>
    /// Takes the files of the set out of the archive and records their digests. The record comes first: without
    /// it the files would never again be recognised as published.
    /// </summary>
    private static void Unpack(DataSetSpec spec, InputFile archive, string folder)
    {
        var contents = new Dictionary<string, byte[]>();
        using (var stream = new GZipStream(archive.Open(), CompressionMode.Decompress))
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
            file.Parse(new ContentFile(
                archive with { Path = $"{archive.Path}/{file.Name}" }, contents.GetValueOrDefault(file.Name, [])));
        RequireNoOthers(spec, folder, contents);
        Durable.ReplaceText(DataFile.RecordIn(folder).Path,
            string.Concat(contents.Select(c => DataFile.RecordLine(c.Value, c.Key) + "\n")));
        foreach (var (name, content) in contents)
            Durable.Replace(Path.Combine(folder, name), stream => stream.Write(content));
    }

    private static DataRow Row(DataSetSpec spec, DataFile entry, string directory, bool examine)
    {
        var row = new DataRow(spec.Key, entry.Name, 0, DataFileState.Missing, "");
        try
        {
            if (ContentFile.Find(Path.Combine(directory, spec.Key), entry.Name) is not { } stored)
                return entry.Optional
                    ? row with { State = DataFileState.Optional, Message = "The set can be used without this file." }
                    : row;
            row = row with
            {
                File = Path.GetFileName(stored.Path),
                Bytes = stored.Read(stream => stream.Length),
                State = DataFileState.Present,
            };
            if (!examine) return row;
            var (file, values) = entry.Read(stored);
            return entry.IsPublished(file, values)
                ? row with { State = DataFileState.Published }
                : row with
                {
                    State = DataFileState.Differs,
                    Message = entry.Kind == DigestKind.Recorded
                        ? "Complete, but not taken out of the published archive here."
                        : "Complete, but its digest is not the publisher's.",
                };
        }
        catch (ResearchException e)
        {
            return row with { State = DataFileState.Damaged, Message = e.Message };
        }
    }
}
