using System.Runtime.InteropServices;
using System.Text;
using System.Text.Json;
using Microsoft.Win32.SafeHandles;

namespace Research.Host;

/// <summary>
/// A file that the program reads. All reading begins here: whatever stands at the path (nothing, a folder, a pipe,
/// a device, something unreadable, too long, no text or no JSON), the answer is the content or a
/// <see cref="ResearchException"/> whose sentence names the file and says how to go on. Opening waits for nobody
/// and takes no lock, and no more is read than the content can need.
/// </summary>
/// <param name="Path">Where it is.</param>
/// <param name="Remedy">How to go on when it cannot be used: the end of a sentence, without full stop.</param>
[OutsideResults("it reads what is there")]
public sealed record InputFile(string Path, string Remedy)
{
    /// <summary>Whether anything is there. What cannot be looked at is not missing, and raises.</summary>
    public bool Exists => Attributes is not null;

    /// <summary>The error of this file: its path, what is wrong, how to go on.</summary>
    /// <param name="fault">What is wrong, without full stop.</param>
    /// <param name="inner">What told.</param>
    public ResearchException Refuse(string fault, Exception? inner = null) =>
        new($"{Path}: {fault}; {Remedy}.", ResearchException.RunFailed, inner);

    /// <summary>As <see cref="Refuse"/>, for content that is not what it must be.</summary>
    public ResearchException Mismatch(string expected, string found) =>
        Refuse($"expected {expected}, found {found}");

    /// <summary>Opens a regular file at its start; it can seek, and its length is known.</summary>
    public FileStream Open()
    {
        if (Attributes is not { } attributes)
            throw Refuse("there is no such file");
        if (attributes.HasFlag(FileAttributes.Directory))
            throw Refuse("it is a folder where a file belongs");
        var stream = new FileStream(OpenHandle(), FileAccess.Read, 1 << 16);
        try
        {
            // Devices claim to be empty, pipes cannot tell.
            if (stream.CanSeek && (stream.Length > 0 || stream.ReadByte() < 0))
            {
                stream.Position = 0;
                return stream;
            }
        }
        catch (IOException error)
        {
            stream.Dispose();
            throw Unreadable(error);
        }
        stream.Dispose();
        throw Refuse("it is a pipe or a device where a file belongs");
    }

    /// <summary>What <paramref name="read"/> makes of the opened file; its errors of reading become sentences.</summary>
    public T Read<T>(Func<FileStream, T> read)
    {
        using var stream = Open();
        try
        {
            return read(stream);
        }
        catch (IOException error)
        {
            throw Unreadable(error);
        }
    }

    /// <summary>The whole content.</summary>
    /// <param name="longest">Bytes that it can have at most.</param>
    public byte[] ReadBytes(long longest) => Read(stream =>
    {
        if (stream.Length > longest)
            throw Mismatch($"at most {Provenance.Grouped(longest)} bytes", Provenance.Grouped(stream.Length));
        var content = new byte[stream.Length];
        stream.ReadExactly(content);
        return content;
    });

    /// <summary>The whole content as text: UTF-8, with or without a byte-order mark.</summary>
    public string ReadText(long longest)
    {
        var bytes = ReadBytes(longest).AsSpan();
        try
        {
            return new UTF8Encoding(false, throwOnInvalidBytes: true)
                .GetString(bytes.StartsWith(Encoding.UTF8.Preamble) ? bytes[Encoding.UTF8.Preamble.Length..] : bytes);
        }
        catch (DecoderFallbackException error)
        {
            throw Refuse("it is no UTF-8 text", error);
        }
    }

    /// <summary>The content as JSON of a type.</summary>
    /// <param name="longest">Bytes that it can have at most.</param>
    /// <param name="format">
    /// Made from <see cref="JsonSerializerDefaults.Strict"/>: members that are null or missing where the type forbids
    /// it, or occur twice, are faults.
    /// </param>
    public T ReadJson<T>(long longest, JsonSerializerOptions format)
    {
        var text = ReadText(longest);
        try
        {
            return JsonSerializer.Deserialize<T>(text, format) ?? throw Refuse("it holds nothing");
        }
        // The second for halves of characters, which JSON can spell and text cannot hold.
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw Refuse($"its JSON is damaged or of another version{Place(error)}", error);
        }
    }

    private FileAttributes? Attributes
    {
        get
        {
            try
            {
                return File.GetAttributes(Path);
            }
            catch (Exception error) when (error is FileNotFoundException or DirectoryNotFoundException)
            {
                return null;
            }
            catch (Exception error) when (error is IOException or UnauthorizedAccessException)
            {
                throw Unreadable(error);
            }
        }
    }

    private static string Place(Exception error) =>
        error is JsonException { LineNumber: { } line } ? $" (line {line + 1})" : "";

    private ResearchException Unreadable(Exception error) =>
        Refuse($"it cannot be read ({Sentence.Reason(error)})", error);

    /// <summary>
    /// Opens without waiting: <see cref="FileStream"/> would wait for ever for somebody to write to a pipe, and
    /// takes a lock that not every network file system has.
    /// </summary>
    private SafeFileHandle OpenHandle()
    {
        if (OperatingSystem.IsWindows())
            return File.OpenHandle(Path, FileMode.Open, FileAccess.Read, FileShare.ReadWrite | FileShare.Delete);
        const int linux = 0x800 | 0x80000, others = 0x4 | 0x1000000; // O_NONBLOCK | O_CLOEXEC
        var descriptor = open(Path, OperatingSystem.IsLinux() ? linux : others);
        return descriptor >= 0
            ? new SafeFileHandle(descriptor, ownsHandle: true)
            : throw Refuse($"it cannot be read ({Marshal.GetPInvokeErrorMessage(Marshal.GetLastPInvokeError())})");
    }

    [DllImport("libc", SetLastError = true)]
    private static extern int open([MarshalAs(UnmanagedType.LPUTF8Str)] string path, int flags);
}
