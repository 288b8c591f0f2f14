using System.Buffers.Binary;

namespace Research.Host;

/// <summary>
/// Reads the IDX files of MNIST and Fashion-MNIST: big-endian magic (0x0803 images, 0x0801 labels), the sizes of
/// the dimensions, then one byte per value. Every departure raises <see cref="ResearchException"/>.
/// </summary>
public static class IdxReader
{
    private const int ImageMagic = 0x0803, LabelMagic = 0x0801, ImageHeader = 16, LabelHeader = 8;

    /// <summary>Bytes of a file of so many images.</summary>
    public static long ImageBytes(int count, int height = 28, int width = 28) =>
        ImageHeader + (long)count * height * width;

    /// <summary>Bytes of a file of so many labels.</summary>
    public static long LabelBytes(int count) => LabelHeader + (long)count;

    /// <summary>
    /// The pixels <c>[count, height, width]</c> of an image file. Errors: damaged archive, wrong magic, another
    /// count or size than asked for, a body that is too short or too long.
    /// </summary>
    public static byte[] ReadImages(ContentFile file, int count, int height = 28, int width = 28)
    {
        byte[] content = file.Content;
        CheckHeader(file, ImageMagic, ImageHeader, "an IDX image file");
        int images = Field(content, 1), rows = Field(content, 2), columns = Field(content, 3);
        if (images != count || rows != height || columns != width)
            throw file.File.Mismatch($"{Provenance.Grouped(count)} images of {height}x{width}",
                $"{Provenance.Grouped(images)} of {rows}x{columns}");
        return Body(file, ImageHeader, (long)count * height * width);
    }

    /// <summary>
    /// The labels <c>[count]</c> of a label file. Errors as for images, and a label outside
    /// <c>0 .. classes-1</c>.
    /// </summary>
    public static byte[] ReadLabels(ContentFile file, int count, int classes = 10)
    {
        CheckHeader(file, LabelMagic, LabelHeader, "an IDX label file");
        int labels = Field(file.Content, 1);
        if (labels != count)
            throw file.File.Mismatch($"{Provenance.Grouped(count)} labels", Provenance.Grouped(labels));
        byte[] body = Body(file, LabelHeader, count);
        int wrong = body.AsSpan().IndexOfAnyExceptInRange((byte)0, (byte)(classes - 1));
        if (wrong >= 0)
            throw file.File.Mismatch($"labels 0 to {classes - 1}",
                $"{body[wrong]} at position {Provenance.Grouped(wrong)}");
        return body;
    }

    private static int Field(byte[] content, int index) =>
        BinaryPrimitives.ReadInt32BigEndian(content.AsSpan(4 * index));

    private static void CheckHeader(ContentFile file, int magic, int headerBytes, string what)
    {
        byte[] content = file.Content;
        if (content.Length >= 4 && Field(content, 0) is var found && found != magic)
            throw file.File.Mismatch($"{what} (magic 0x{magic:x8})", $"magic 0x{found:x8}");
        if (content.Length < headerBytes)
            throw file.File.Mismatch($"{what} with a header of {headerBytes} bytes", $"{content.Length} bytes");
    }

    private static byte[] Body(ContentFile file, int headerBytes, long expected)
    {
        long found = file.Content.Length - headerBytes;
        if (found != expected)
            throw file.WrongLength(expected, found, "after the header");
        return file.Content.AsSpan(headerBytes).ToArray();
    }
}
