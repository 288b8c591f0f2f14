using System.Runtime.InteropServices;

namespace Research.Host;

/// <summary>
/// Files that are either wholly old or wholly new, whenever the process or the machine stops:
/// write a temporary neighbour, flush it to the disk, rename it into place, flush the directory.
/// What cannot be written becomes one sentence, and leaves neither a temporary file nor a damaged one.
/// </summary>
[OutsideResults("it writes what it is given")]
public static class Durable
{
    /// <summary>How the names of files end that a kill may have left half written.</summary>
    internal const string TemporarySuffix = ".tmp";

    private const uint AllMayEnter = 0b111_111_111;
    private const int NoSuchFile = 2, FileExists = 17, NoSpace = 28, QuotaExceeded = 122,
        WindowsFileExists = unchecked((int)0x80070050), WindowsDiskFull = unchecked((int)0x80070070);

    /// <summary>
    /// Replaces <paramref name="path"/> by what <paramref name="write"/> puts into the stream. Of two processes that
    /// replace it at once, the later one wins whole.
    /// </summary>
    /// <exception cref="ResearchException">It cannot be written; the old file is untouched.</exception>
    /// <exception cref="DirectoryNotFoundException">Its folder is gone, as a run's is that was taken over.</exception>
    public static void Replace(string path, Action<FileStream> write)
    {
        var temporary = $"{path}.{Path.GetRandomFileName()}{TemporarySuffix}";
        try
        {
            WriteFlushed(temporary, path, write);
            File.Move(temporary, path, overwrite: true);
        }
        catch (Exception error) when
            (error is (IOException or UnauthorizedAccessException) and not DirectoryNotFoundException)
        {
            TryDelete(temporary);
            throw new ResearchException(
                $"'{path}' cannot be written ({Sentence.Reason(error)}): make its folder writable, or choose another.",
                ResearchException.RunFailed, error);
        }
        FlushDirectory(Path.GetDirectoryName(Path.GetFullPath(path))!);
    }

    /// <summary>
    /// Creates a folder unless it exists, but not what it lies in: <see cref="Directory.CreateDirectory(string)"/> would
    /// give a process whose run was taken over the old folder back.
    /// </summary>
    /// <exception cref="DirectoryNotFoundException">The folder around it does not exist.</exception>
    internal static void CreateFolder(string path)
    {
        if (Directory.Exists(path))
            return;
        if (OperatingSystem.IsWindows())
        {
            if (!Directory.Exists(Path.GetDirectoryName(Path.GetFullPath(path))))
                throw new DirectoryNotFoundException($"the folder of '{path}' does not exist");
            Directory.CreateDirectory(path);
        }
        else if (mkdir(path, AllMayEnter) != 0 && Marshal.GetLastPInvokeError() is not FileExists and var error)
        {
            var sentence = $"'{path}' cannot be created: {Marshal.GetPInvokeErrorMessage(error)}";
            throw error == NoSuchFile ? new DirectoryNotFoundException(sentence) : new IOException(sentence, error);
        }
    }

    /// <summary>Replaces a text file (UTF-8, no byte-order mark).</summary>
    public static void ReplaceText(string path, string text) =>
        Replace(path, stream => stream.Write(System.Text.Encoding.UTF8.GetBytes(text)));

    /// <summary>
    /// Creates or overwrites a temporary file and returns once its bytes are on the disk. When anything fails the
    /// file is removed before the error leaves; the error names <paramref name="target"/>, which the user knows.
    /// </summary>
    internal static void WriteFlushed(string temporary, string target, Action<FileStream> write)
    {
        try
        {
            using var stream = new FileStream(temporary, FileMode.Create, FileAccess.ReadWrite, FileShare.Read, 1 << 16);
            write(stream);
            stream.Flush(flushToDisk: true);
        }
        catch (Exception error)
        {
            TryDelete(temporary);
            if (error is IOException io && IsDiskFull(io))
                throw DiskFull(target, io);
            throw;
        }
    }

    /// <summary>True when the operating system refused a write for want of space or quota.</summary>
    internal static bool IsDiskFull(IOException error) =>
        error.HResult is NoSpace or QuotaExceeded or WindowsDiskFull;

    /// <summary>True when the operating system refused to create what exists.</summary>
    internal static bool IsThere(IOException error) => error.HResult is FileExists or WindowsFileExists;

    /// <summary>The sentence for a full disk. Callers make sure that nothing that was complete is lost.</summary>
    internal static ResearchException DiskFull(string path, IOException inner) =>
        new($"no space left on the disk to write '{path}'; "
            + "everything saved before is intact, so free some space and run the same command again to continue.",
            ResearchException.RunFailed, inner);

    /// <summary>Makes renames in a directory survive a power cut. A no-op where directories cannot be opened.</summary>
    internal static void FlushDirectory(string directory)
    {
        if (OperatingSystem.IsWindows())
            return;
        // FileStream refuses directories, so this asks the C library itself.
        var descriptor = open(directory, 0);
        if (descriptor < 0)
            return;
        _ = fsync(descriptor);
        _ = close(descriptor);
    }

    private static void TryDelete(string path)
    {
        try
        {
            File.Delete(path);
        }
        catch (Exception error) when (error is IOException or UnauthorizedAccessException)
        {
            // The error that brought us here says more than a failure to tidy up after it.
        }
    }

    [DllImport("libc", CharSet = CharSet.Ansi)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);

    [DllImport("libc", SetLastError = true)]
    private static extern int mkdir([MarshalAs(UnmanagedType.LPUTF8Str)] string path, uint mode);

    [DllImport("libc")]
    private static extern int fsync(int descriptor);

    [DllImport("libc")]
    private static extern int close(int descriptor);
}
