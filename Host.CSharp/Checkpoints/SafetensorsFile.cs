using System.Buffers.Binary;
using System.IO.Hashing;
using System.Text;

namespace Research.Host;

/// <summary>
/// Named tensors and string metadata in the safetensors format (Hugging Face): 8 bytes of little-endian header
/// length, a JSON header, the data. `safetensors.torch.load_file` reads these files.
/// Files written here carry a checksum of themselves (XXH3 with 128 bits) as the first metadata value, computed with
/// 32 zeros in its place, so that a flipped bit anywhere, in header or data, is noticed; files of other programs need none.
/// </summary>
[OutsideResults("it keeps what it is given")]
public sealed class SafetensorsFile
{
    private const string ChecksumKey = "xxh128";
    private const int ChecksumLength = 32;
    private static readonly byte[] Prefix = Encoding.ASCII.GetBytes($"{{\"__metadata__\":{{\"{ChecksumKey}\":\"");
    private static readonly string Placeholder = new('0', ChecksumLength);
    private static readonly int ChecksumPosition = 8 + Prefix.Length;

    private readonly Dictionary<string, TensorEntry> tensors;

    private SafetensorsFile(SafetensorsHeader header, IEnumerable<TensorEntry> entries, bool isChecksummed)
    {
        Metadata = header.Metadata;
        Names = [.. header.Tensors.Select(tensor => tensor.Name)];
        tensors = entries.ToDictionary(entry => entry.Name);
        IsChecksummed = isChecksummed;
    }

    /// <summary>The `__metadata__` of the file.</summary>
    public IReadOnlyDictionary<string, string> Metadata { get; }

    /// <summary>Names of the tensors in the order of their data.</summary>
    public IReadOnlyList<string> Names { get; }

    /// <summary>True when the file carried a checksum; it was then right.</summary>
    public bool IsChecksummed { get; }

    /// <summary>The tensor of that name, or null.</summary>
    public TensorEntry? Find(string name) => tensors.GetValueOrDefault(name);

    /// <summary>The tensor of that name.</summary>
    /// <exception cref="KeyNotFoundException">There is none; the message lists the names that are.</exception>
    public TensorEntry this[string name] => Find(name)
        ?? throw new KeyNotFoundException($"no tensor '{name}' in the file; it holds {string.Join(", ", Names)}");

    /// <summary>Reads and checks a file.</summary>
    /// <exception cref="ResearchException">The file is truncated, damaged or of an unsupported type.</exception>
    public static SafetensorsFile Read(InputFile file) => file.Read(stream => Read(stream, file));

    /// <summary>Reads and checks a seekable stream; <paramref name="file"/> names it in errors.</summary>
    public static SafetensorsFile Read(Stream stream, InputFile file)
    {
        try
        {
            return Decode(stream);
        }
        catch (FormatException error)
        {
            throw file.Refuse($"it is not a usable safetensors file ({error.Message})", error);
        }
    }

    /// <summary>As <see cref="Read(Stream, InputFile)"/>, for those who go on without the file.</summary>
    /// <exception cref="FormatException">The message says what is wrong with it.</exception>
    internal static SafetensorsFile Decode(Stream stream)
    {
        try
        {
            return ReadChecked(stream);
        }
        catch (Exception error) when (error is EndOfStreamException or OverflowException)
        {
            throw new FormatException("it ends too early", error);
        }
    }

    /// <summary>Writes tensors whose bytes are at hand.</summary>
    public static void Write(
        Stream stream, IReadOnlyList<TensorEntry> entries, IReadOnlyDictionary<string, string>? metadata = null)
    {
        var data = entries.ToDictionary(entry => entry.Name, entry => entry.Data);
        Write(stream, [.. entries.Select(entry => entry.Spec)],
            (spec, append) => append(data[spec.Name].Span), metadata);
    }

    /// <summary>Receives bytes of the tensor being written.</summary>
    public delegate void Append(ReadOnlySpan<byte> bytes);

    /// <summary>
    /// Writes tensors one after the other without holding all of them:
    /// <paramref name="emit"/> is called once per tensor and appends exactly its bytes.
    /// </summary>
    /// <param name="stream">Seekable, at position 0.</param>
    /// <param name="specs">Names must differ.</param>
    /// <param name="emit">Called in order of decreasing element size, which keeps every tensor aligned.</param>
    /// <param name="metadata">Free strings; the name `xxh128` is taken.</param>
    public static void Write(
        Stream stream, IReadOnlyList<TensorSpec> specs, Action<TensorSpec, Append> emit,
        IReadOnlyDictionary<string, string>? metadata = null)
    {
        var ordered = specs.OrderByDescending(spec => spec.Type.Size()).ToList();
        if (ordered.DistinctBy(spec => spec.Name).Count() != ordered.Count)
            throw new ArgumentException("two tensors have the same name", nameof(specs));
        var header = SafetensorsHeader.Encode(
            [new(ChecksumKey, Placeholder), .. metadata ?? new Dictionary<string, string>()], ordered);
        var length = new byte[8];
        BinaryPrimitives.WriteInt64LittleEndian(length, header.Length);

        var hash = new XxHash128();
        Put(length);
        Put(header);
        foreach (var spec in ordered)
        {
            var written = 0L;
            emit(spec, bytes =>
            {
                written += bytes.Length;
                Put(bytes);
            });
            if (written != spec.ByteLength)
                throw new ArgumentException(
                    $"tensor '{spec.Name}' gave {written} bytes where its shape needs {spec.ByteLength}", nameof(emit));
        }
        stream.Position = ChecksumPosition;
        stream.Write(Encoding.ASCII.GetBytes(Convert.ToHexStringLower(hash.GetCurrentHash())));
        stream.Position = stream.Length;

        void Put(ReadOnlySpan<byte> bytes)
        {
            hash.Append(bytes);
            stream.Write(bytes);
        }
    }

    private static SafetensorsFile ReadChecked(Stream stream)
    {
        var length = new byte[8];
        stream.ReadExactly(length);
        var headerLength = BinaryPrimitives.ReadInt64LittleEndian(length);
        if (headerLength is < 2 or > SafetensorsHeader.MaximumLength)
            throw new FormatException($"its header claims a length of {headerLength} bytes");
        if (stream.Length < 8 + headerLength)
            throw new EndOfStreamException();
        var headerBytes = new byte[headerLength];
        stream.ReadExactly(headerBytes);
        var header = SafetensorsHeader.Decode(headerBytes);
        var expected = checked(8 + headerLength + header.DataLength);
        if (stream.Length != expected)
            throw new FormatException($"it has {stream.Length} bytes where its header promises {expected}");

        var hash = new XxHash128();
        var checksum = TakeChecksum(headerBytes);
        if (checksum is null && header.Metadata.ContainsKey(ChecksumKey))
            throw new FormatException("its checksum is not where it belongs");
        hash.Append(length);
        hash.Append(headerBytes);
        var entries = new List<TensorEntry>(header.Tensors.Count);
        foreach (var spec in header.Tensors)
        {
            if (spec.ByteLength > Array.MaxLength)
                throw new FormatException($"tensor '{spec.Name}' is larger than {Array.MaxLength} bytes");
            var data = new byte[spec.ByteLength];
            stream.ReadExactly(data);
            hash.Append(data);
            entries.Add(new(spec, data));
        }
        if (checksum is not null && checksum != Convert.ToHexStringLower(hash.GetCurrentHash()))
            throw new FormatException("its checksum is wrong, so some of its bytes have changed");
        return new(header, entries, checksum is not null);
    }

    /// <summary>Returns the recorded checksum and puts zeros in its place, or null when there is none.</summary>
    private static string? TakeChecksum(Span<byte> header)
    {
        if (!header.StartsWith(Prefix) || header.Length < Prefix.Length + ChecksumLength)
            return null;
        var place = header.Slice(Prefix.Length, ChecksumLength);
        var checksum = Encoding.ASCII.GetString(place);
        place.Fill((byte)'0');
        return checksum;
    }
}
