using System.Buffers.Binary;
using System.IO.Compression;
using System.IO.Hashing;

namespace Research.Host;

/// <summary>
/// Reads gzip archives (RFC 1952) as strictly as `gzip -t`: one or more members with any header fields, each with
/// a right checksum and length, then perhaps zeros. The library's own reader ends quietly where an archive is cut
/// and passes over what follows it.
/// </summary>
internal sealed class GzipArchive
{
    private const byte HeaderChecksum = 0x02, ExtraField = 0x04, Name = 0x08, Comment = 0x10, Reserved = 0xe0;

    private readonly Stream archive;
    private readonly MemoryStream content;
    private readonly long longest;

    private GzipArchive(Stream archive, long longest)
    {
        this.archive = archive;
        this.longest = longest;
        // Deflate expands at most 1032 times, so a small archive needs no large buffer.
        content = new((int)Math.Min(longest, 1032 * Math.Min(longest, archive.Length)));
    }

    /// <summary>True when the bytes begin as an archive does.</summary>
    public static bool IsOne(ReadOnlySpan<byte> start) => start is [0x1f, 0x8b, ..];

    /// <summary>The decompressed content of a seekable stream.</summary>
    /// <param name="archive">At the start of the first member.</param>
    /// <param name="longest">Bytes that the content can have at most; no more are ever held.</param>
    /// <exception cref="FormatException">The message says what was found instead of an archive.</exception>
    public static byte[] Read(Stream archive, long longest)
    {
        var reader = new GzipArchive(archive, longest);
        do
            reader.ReadMember();
        while (reader.HasNextMember());
        return reader.content.ToArray();
    }

    private void ReadMember()
    {
        SkipHeader();
        var start = (int)content.Length;
        var steps = new Steps(archive);
        Inflate(steps);
        var member = content.GetBuffer().AsSpan(start, (int)content.Length - start);
        Span<byte> trailer = stackalloc byte[8];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, Crc32.HashToUInt32(member));
        BinaryPrimitives.WriteInt32LittleEndian(trailer[4..], member.Length);
        // The member ended inside the last step, and the library does not tell where: right behind its end stands
        // this trailer.
        var last = new byte[steps.Last - 1 + trailer.Length];
        archive.Position -= steps.Last - 1;
        var read = archive.ReadAtLeast(last, last.Length, throwOnEndOfStream: false);
        var end = last.AsSpan(0, read).IndexOf(trailer);
        if (end < 0)
            throw new FormatException("damaged or truncated data");
        archive.Position += end + trailer.Length - read;
    }

    private void Inflate(Steps steps)
    {
        var buffer = new byte[1 << 16];
        try
        {
            using var deflate = new DeflateStream(steps, CompressionMode.Decompress);
            while (deflate.Read(buffer) is > 0 and var read)
            {
                if (content.Length + read > longest)
                    throw new FormatException($"more than {Provenance.Grouped(longest)} bytes in it");
                content.Write(buffer, 0, read);
            }
        }
        catch (InvalidDataException error)
        {
            throw new FormatException("damaged or truncated data", error);
        }
    }

    private void SkipHeader()
    {
        var checksum = new Crc32();
        byte Next()
        {
            if (archive.ReadByte() is >= 0 and var value)
            {
                checksum.Append([(byte)value]);
                return (byte)value;
            }
            throw new FormatException("a truncated header");
        }
        if ((Next(), Next(), Next()) != (0x1f, 0x8b, 8))
            throw new FormatException("other content");
        var flags = Next();
        if ((flags & Reserved) != 0)
            throw new FormatException("flags that the format does not know");
        for (var skipped = 0; skipped < 6; skipped++)
            Next();
        if ((flags & ExtraField) != 0)
            for (var left = Next() | Next() << 8; left > 0; left--)
                Next();
        foreach (var field in new[] { Name, Comment })
            while ((flags & field) != 0 && Next() != 0)
                continue;
        var expected = (ushort)checksum.GetCurrentHashAsUInt32();
        if ((flags & HeaderChecksum) != 0 && (Next() | Next() << 8) != expected)
            throw new FormatException("a damaged header");
    }

    private bool HasNextMember()
    {
        var first = archive.ReadByte();
        if (first > 0)
        {
            archive.Position--;
            return first == 0x1f ? true : throw new FormatException("bytes after its end");
        }
        // Zeros, with which tapes fill their last block.
        while (first == 0)
            first = archive.ReadByte();
        return first < 0 ? false : throw new FormatException("bytes after its end");
    }

    /// <summary>
    /// The archive in known steps: single bytes at first, because a short member repeats its trailer's bytes too
    /// easily, then blocks.
    /// </summary>
    private sealed class Steps(Stream archive) : Stream
    {
        private int single = 64;

        /// <summary>Bytes of the last step.</summary>
        public int Last { get; private set; } = 1;

        public override int Read(Span<byte> buffer)
        {
            var read = archive.Read(single-- > 0 ? buffer[..1] : buffer);
            if (read > 0)
                Last = read;
            return read;
        }

        public override int Read(byte[] buffer, int offset, int count) => Read(buffer.AsSpan(offset, count));

        public override bool CanRead => true;
        public override bool CanSeek => false;
        public override bool CanWrite => false;
        public override long Length => throw new NotSupportedException();

        public override long Position
        {
            get => throw new NotSupportedException();
            set => throw new NotSupportedException();
        }

        public override void Flush() { }
        public override long Seek(long offset, SeekOrigin origin) => throw new NotSupportedException();
        public override void SetLength(long value) => throw new NotSupportedException();
        public override void Write(byte[] buffer, int offset, int count) => throw new NotSupportedException();
    }
}
