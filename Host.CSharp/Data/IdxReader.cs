using System.Buffers.Binary;

namespace Research.Host;

/// <summary>
/// Reads the IDX files of MNIST and Fashion-MNIST: big-endian magic (0x0803 images, 0x0801 labels), the sizes of
/// the dimensions, then one byte per value. Every departure raises <see cref="DataException"/>.
/// </summary>
public static class IdxReader
{
    private const int ImageMagic = 0x0803, LabelMagic = 0x0801;

    /// <summary>
    /// The pixels <c>[count, height, width]</c> of an image file. Errors: damaged archive, wrong magic, another
    /// count or size than asked for, a body that is too short or too long.
    /// </summary>
    public static byte[] ReadImages(ContentFile file, int count, int height = 28, int width = 28)
    {
        var (path, _, content) = file;
        CheckHeader(path, content, ImageMagic, 16, "an IDX image file");
        int images = Field(content, 1), rows = Field(content, 2), columns = Field(content, 3);
        if (images != count || rows != height || columns != width)
            throw DataException.Mismatch(path, $"{Provenance.Grouped(count)} images of {height}x{width}",
                $"{Provenance.Grouped(images)} of {rows}x{columns}");
        return Body(path, content, 16, (long)count * height * width);
    }

    /// <summary>
    /// The labels <c>[count]</c> of a label file. Errors as for images, and a label outside
    /// <c>0 .. classes-1</c>.
    /// </summary>
    public static byte[] ReadLabels(ContentFile file, int count, int classes = 10)
    {
        var (path, _, content) = file;
        CheckHeader(path, content, LabelMagic, 8, "an IDX label file");
        int labels = Field(content, 1);
        if (labels != count)
            throw DataException.Mismatch(path, $"{Provenance.Grouped(count)} labels", Provenance.Grouped(labels));
        byte[] body = Body(path, content, 8, count);
        int wrong = body.AsSpan().IndexOfAnyExceptInRange((byte)0, (byte)(classes - 1));
        if (wrong >= 0)
            throw DataException.Mismatch(path, $"labels 0 to {classes - 1}",
                $"{body[wrong]} at position {Provenance.Grouped(wrong)}");
        return body;
    }

    private static int Field(byte[] content, int index) =>
        BinaryPrimitives.ReadInt32BigEndian(content.AsSpan(4 * index));

    private static void CheckHeader(string path, byte[] content, int magic, int headerBytes, string what)
    {
        if (content.Length >= 4 && Field(content, 0) is var found && found != magic)
            throw DataException.Mismatch(path, $"{what} (magic 0x{magic:x8})", $"magic 0x{found:x8}");
        if (content.Length < headerBytes)
            throw DataException.Mismatch(path, $"{what} with a header of {headerBytes} bytes",
                $"{content.Length} bytes");
    }

    private static byte[] Body(string path, byte[] content, int headerBytes, long expected)
    {
        long found = content.Length - headerBytes;
        if (found != expected)
            throw DataException.WrongLength(path, expected, found, "after the header");
        return content.AsSpan(headerBytes).ToArray();
    }
}
