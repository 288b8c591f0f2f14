using System.Globalization;

namespace Research.Host;

/// <summary>The newest lease of a run as it was seen.</summary>
/// <param name="Number">From 1; 0 when nobody has claimed the run yet.</param>
/// <param name="Text">The file as it was read.</param>
/// <param name="Record">What the text says; null when it says nothing yet.</param>
public sealed record LeaseSighting(int Number, string Text, LeaseRecord? Record)
{
    internal static LeaseSighting None { get; } = new(0, "", null);
}

/// <summary>
/// The leases of one run: files `lease-1.json`, `lease-2.json`, .. in its folder under `work`, of which the newest
/// counts. Taking over lease N means to create lease N + 1 exclusively, which one process alone achieves, and no
/// lease is removed before the run is published: nobody can take or give away what is not theirs. All of it holds
/// on a network file system; nothing asks for a lock of the file system.
/// </summary>
internal sealed class LeaseFolder(string path)
{
    private const string Prefix = "lease-", Suffix = ".json";
    private const int LongestLease = 1 << 16;

    /// <summary>The newest lease.</summary>
    public LeaseSighting Newest()
    {
        var number = NewestNumber();
        if (number == 0)
            return LeaseSighting.None;
        try
        {
            var text = ReadText(PathOf(number));
            return new(number, text, LeaseRecord.Parse(text));
        }
        catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
        {
            // Published since, and the folder with it.
            return LeaseSighting.None;
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // It is there and cannot be read now: whoever waits sees no change.
            return new(number, "", null);
        }
    }

    /// <summary>Number of the newest lease, 0 when there is none.</summary>
    public int NewestNumber()
    {
        try
        {
            // Leases are only ever added, so whichever existed before is seen.
            return Directory.EnumerateFiles(path, $"{Prefix}*{Suffix}")
                .Select(file => Path.GetFileNameWithoutExtension(file)[Prefix.Length..])
                .Select(text => int.TryParse(text, NumberStyles.None, CultureInfo.InvariantCulture, out var n) ? n : 0)
                .DefaultIfEmpty().Max();
        }
        catch (DirectoryNotFoundException)
        {
            return 0;
        }
    }

    /// <summary>Whether a lease exists and no newer one does.</summary>
    public bool IsNewest(int number) => File.Exists(PathOf(number)) && NewestNumber() <= number;

    /// <summary>
    /// Creates a lease; false when another process was faster. All of it may vanish at any moment, when that one
    /// publishes the run: only what the system said of a call counts, not what is there a moment later.
    /// </summary>
    public bool TryCreate(int number, LeaseRecord record)
    {
        FileStream stream;
        try
        {
            if (number == 1)
            {
                Directory.CreateDirectory(Path.GetDirectoryName(path)!);
                Durable.CreateFolder(path);
            }
            stream = new(PathOf(number), FileMode.CreateNew, FileAccess.Write, FileShare.ReadWrite | FileShare.Delete);
        }
        catch (DirectoryNotFoundException)
        {
            return false;
        }
        catch (IOException error) when (Durable.IsThere(error))
        {
            return false;
        }
        try
        {
            using (stream)
                stream.Write(System.Text.Encoding.UTF8.GetBytes(record.ToJson()));
            return true;
        }
        catch (IOException error) when (Durable.IsDiskFull(error))
        {
            throw Durable.DiskFull(PathOf(number), error);
        }
    }

    /// <summary>Writes a lease of one's own again. It is not flushed: a heartbeat that a power cut loses is no loss.</summary>
    public void Write(int number, LeaseRecord record)
    {
        var temporary = PathOf(number) + ".tmp";
        File.WriteAllText(temporary, record.ToJson());
        File.Move(temporary, PathOf(number), overwrite: true);
    }

    /// <summary>Removes the folder of a run that has been published.</summary>
    public void Remove()
    {
        try
        {
            Directory.Delete(path, recursive: true);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // A late claim of another process lies in it; it sees that the run is complete and tidies up itself.
        }
    }

    private static string ReadText(string path)
    {
        // What is no regular file has no length, and is not opened: a pipe would wait for ever.
        var bytes = new byte[Math.Min(new FileInfo(path).Length, LongestLease)];
        if (bytes.Length == 0)
            return "";
        using var stream = new FileStream(path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        var length = stream.ReadAtLeast(bytes, bytes.Length, throwOnEndOfStream: false);
        return System.Text.Encoding.UTF8.GetString(bytes, 0, length);
    }

    private string PathOf(int number) =>
        Path.Combine(path, string.Create(CultureInfo.InvariantCulture, $"{Prefix}{number}{Suffix}"));
}
