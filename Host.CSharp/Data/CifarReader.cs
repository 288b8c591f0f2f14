namespace Research.Host;

/// <summary>
/// Reads the binary CIFAR-10 batches: records of one label byte and 3 x 1024 bytes (red, green, blue planes).
/// </summary>
public static class CifarReader
{
    private const int PixelBytes = 3 * 32 * 32, RecordBytes = 1 + PixelBytes;

    /// <summary>Bytes of so many records.</summary>
    public static long Bytes(int count) => (long)count * RecordBytes;

    /// <summary>
    /// The checked records <c>[count, 3073]</c> of one batch. Raises <see cref="ResearchException"/> for another size
    /// than <paramref name="count"/> records, or a label above 9.
    /// </summary>
    public static byte[] ReadRecords(ContentFile file, int count = 10_000)
    {
        byte[] content = file.Content;
        long expected = Bytes(count);
        if (content.Length != expected)
            throw file.WrongLength(expected, content.Length, $"({Provenance.Grouped(count)} records of {RecordBytes})");
        for (int i = 0; i < count; i++)
        {
            byte label = content[i * RecordBytes];
            if (label > 9)
                throw file.File.Mismatch("labels 0 to 9", $"{label} in record {Provenance.Grouped(i)}");
        }
        return content;
    }

    /// <summary>The images <c>[N, 3, 32, 32]</c> and labels of the records of one or more batches, in order.</summary>
    public static ImageSet ToImages(params byte[][] batches)
    {
        int count = 0;
        foreach (byte[] records in batches) count += records.Length / RecordBytes;
        var pixels = new byte[count * PixelBytes];
        var labels = new byte[count];
        int i = 0;
        foreach (byte[] records in batches)
        {
            for (int start = 0; start < records.Length; start += RecordBytes, i++)
            {
                labels[i] = records[start];
                records.AsSpan(start + 1, PixelBytes).CopyTo(pixels.AsSpan(i * PixelBytes));
            }
        }
        return new ImageSet(3, 32, 32, 255, pixels, labels);
    }
}
