using System.Text.Unicode;
using System.Text.Json;

namespace Research.Host;

/// <summary>
/// The JSON header of a safetensors file: `__metadata__` first, then each tensor's dtype, shape and
/// data_offsets relative to the end of the header. Parsing checks everything that the format promises:
/// known types, sizes that follow from shapes, offsets that tile the data exactly once.
/// </summary>
internal sealed class SafetensorsHeader
{
    private const string MetadataKey = "__metadata__";

    /// <summary>The format's own limit, so that a corrupt length cannot ask for the whole memory.</summary>
    public const long MaximumLength = 100_000_000;

    /// <summary>More extents than any tensor has.</summary>
    private const int LongestList = 64;

    public required IReadOnlyDictionary<string, string> Metadata { get; init; }

    /// <summary>Tensors in the order of their data.</summary>
    public required IReadOnlyList<TensorSpec> Tensors { get; init; }

    /// <summary>Bytes of data that follow the header.</summary>
    public long DataLength => Tensors.Aggregate(0L, (sum, tensor) => checked(sum + tensor.ByteLength));

    /// <summary>
    /// The header as bytes, padded with spaces to a multiple of 8 so that data start aligned. Metadata keep
    /// their order: the checksum relies on being the first value of the file.
    /// </summary>
    public static byte[] Encode(
        IEnumerable<KeyValuePair<string, string>> metadata, IReadOnlyList<TensorSpec> tensors)
    {
        using var buffer = new MemoryStream();
        using (var json = new Utf8JsonWriter(buffer))
        {
            json.WriteStartObject();
            json.WriteStartObject(MetadataKey);
            foreach (var (key, value) in metadata)
                json.WriteString(key, value);
            json.WriteEndObject();
            var offset = 0L;
            foreach (var tensor in tensors)
            {
                json.WriteStartObject(tensor.Name);
                json.WriteString("dtype", tensor.Type.ToString());
                WriteNumbers(json, "shape", tensor.Shape);
                WriteNumbers(json, "data_offsets", [offset, offset += tensor.ByteLength]);
                json.WriteEndObject();
            }
            json.WriteEndObject();
        }
        while (buffer.Length % 8 != 0)
            buffer.WriteByte((byte)' ');
        return buffer.ToArray();
    }

    /// <exception cref="FormatException">The message says what is wrong with the header.</exception>
    public static SafetensorsHeader Decode(ReadOnlySpan<byte> utf8)
    {
        try
        {
            return DecodeStrictly(utf8);
        }
        // The second for halves of characters, which JSON can spell and text cannot hold.
        catch (Exception error) when (error is JsonException or InvalidOperationException)
        {
            throw new FormatException("the header is not valid JSON, or says something twice", error);
        }
    }

    private static SafetensorsHeader DecodeStrictly(ReadOnlySpan<byte> utf8)
    {
        using var document = ParseJson(utf8);
        var metadata = new Dictionary<string, string>();
        var tensors = new List<(TensorSpec Spec, long Begin, long End)>();
        if (document.RootElement.ValueKind != JsonValueKind.Object)
            throw new FormatException("the header is not a JSON object");
        foreach (var property in document.RootElement.EnumerateObject())
        {
            if (property.Name == MetadataKey)
                ReadMetadata(property.Value, metadata);
            else
                tensors.Add(ReadTensor(property.Name, property.Value));
        }
        var ordered = tensors.OrderBy(tensor => tensor.Begin).ThenBy(tensor => tensor.End).ToList();
        var expected = 0L;
        foreach (var (spec, begin, end) in ordered)
        {
            if (begin != expected)
                throw new FormatException($"the data of '{spec.Name}' start at {begin} instead of {expected}");
            expected = end;
        }
        return new() { Metadata = metadata, Tensors = [.. ordered.Select(tensor => tensor.Spec)] };
    }

    private static JsonDocument ParseJson(ReadOnlySpan<byte> utf8)
    {
        // First, because JSON parsing is lazy about bytes inside strings.
        if (!Utf8.IsValid(utf8))
            throw new FormatException("the header is not valid JSON");
        return JsonDocument.Parse(utf8.ToArray(), new() { AllowDuplicateProperties = false });
    }

    private static void ReadMetadata(JsonElement value, Dictionary<string, string> metadata)
    {
        if (value.ValueKind != JsonValueKind.Object)
            throw new FormatException($"{MetadataKey} is not an object");
        foreach (var property in value.EnumerateObject())
        {
            if (property.Value.ValueKind != JsonValueKind.String)
                throw new FormatException($"the value of '{property.Name}' in {MetadataKey} is not a string");
            metadata.Add(property.Name, property.Value.GetString()!);
        }
    }

    private static (TensorSpec, long, long) ReadTensor(string name, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Object
            || !value.TryGetProperty("dtype", out var dtype) || dtype.ValueKind != JsonValueKind.String
            || !value.TryGetProperty("shape", out var shape)
            || !value.TryGetProperty("data_offsets", out var offsets))
            throw new FormatException($"tensor '{name}' lacks dtype, shape or data_offsets");
        var typeName = dtype.GetString()!;
        // Enum.TryParse also accepts numbers and lists, so the name must round-trip.
        if (!Enum.TryParse<ElementType>(typeName, out var type) || type.ToString() != typeName)
            throw new FormatException($"tensor '{name}' has the unsupported type '{typeName}'");
        var spec = new TensorSpec(name, type, ReadNumbers(name, "shape", shape));
        var range = ReadNumbers(name, "data_offsets", offsets);
        if (range.Length != 2)
            throw new FormatException($"data_offsets of '{name}' are not two numbers");
        try
        {
            if (range[1] - range[0] != spec.ByteLength)
                throw new FormatException(
                    $"tensor '{name}' has {range[1] - range[0]} bytes where its shape needs {spec.ByteLength}");
        }
        catch (OverflowException error)
        {
            throw new FormatException($"the shape of '{name}' is too large", error);
        }
        return (spec, range[0], range[1]);
    }

    private static long[] ReadNumbers(string name, string key, JsonElement value)
    {
        if (value.ValueKind != JsonValueKind.Array || value.GetArrayLength() > LongestList)
            throw new FormatException($"{key} of '{name}' is not a list of at most {LongestList} numbers");
        return [.. value.EnumerateArray().Select(item =>
            item.ValueKind == JsonValueKind.Number && item.TryGetInt64(out var number) && number >= 0
                ? number
                : throw new FormatException($"{key} of '{name}' holds something other than whole numbers from 0 up"))];
    }

    private static void WriteNumbers(Utf8JsonWriter json, string key, IReadOnlyList<long> numbers)
    {
        json.WriteStartArray(key);
        foreach (var number in numbers)
            json.WriteNumberValue(number);
        json.WriteEndArray();
    }
}
