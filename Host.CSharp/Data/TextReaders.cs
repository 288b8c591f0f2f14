namespace Research.Host;

/// <summary>
/// Reads Larochelle's binarized MNIST: text, one image a line, 784 zeros and ones separated by blanks.
/// </summary>
public static class AmatReader
{
    /// <summary>Bytes of a file of so many lines as published: one blank after each value, and the line's end.</summary>
    public static long Bytes(int count, int columns = 784) => count * (2L * columns + 1);

    /// <summary>
    /// The pixels <c>[count, columns]</c>, each 0 or 1. Raises <see cref="ResearchException"/> with the line number
    /// for a wrong number of columns or another value, and for a wrong number of lines.
    /// </summary>
    public static byte[] Read(ContentFile file, int count, int columns = 784)
    {
        var (source, text) = file;
        var pixels = new byte[(long)count * columns];
        int line = 0;
        for (var rest = text.AsSpan(); !rest.IsEmpty; line++)
        {
            var row = TextLine.Next(ref rest);
            if (TextLine.IsBlank(row) && TextLine.IsBlank(rest)) break;
            if (line == count)
                throw source.Mismatch($"{Provenance.Grouped(count)} lines", "more");
            var target = pixels.AsSpan(line * columns, columns);
            if (!TryReadRegular(row, target)) ReadFree(source, line + 1, row, target);
        }
        if (line < count)
            throw source.Mismatch($"{Provenance.Grouped(count)} lines", $"{Provenance.Grouped(line)} (truncated)");
        return pixels;
    }

    /// <summary>
    /// The layout of all known copies, one blank after each digit but perhaps the last: no branch per pixel, so
    /// that 80 MB of text take a few hundredths of a second.
    /// </summary>
    private static bool TryReadRegular(ReadOnlySpan<byte> row, Span<byte> pixels)
    {
        row = row.TrimEnd(" \r"u8);
        if (row.Length != 2 * pixels.Length - 1) return false;
        int wrong = row[^1] ^ '0';
        pixels[^1] = (byte)(row[^1] & 1);
        for (int i = 0; i < pixels.Length - 1; i++)
        {
            wrong |= (row[2 * i] ^ '0') | ((row[2 * i + 1] ^ ' ') << 1);
            pixels[i] = (byte)(row[2 * i] & 1);
        }
        return wrong <= 1;
    }

    private static void ReadFree(InputFile source, int line, ReadOnlySpan<byte> row, Span<byte> pixels)
    {
        int found = 0;
        for (int i = 0; i < row.Length; i++)
        {
            if (row[i] is (byte)' ' or (byte)'\t' or (byte)'\r') continue;
            bool alone = i + 1 == row.Length || row[i + 1] is (byte)' ' or (byte)'\t' or (byte)'\r';
            if (row[i] is not ((byte)'0' or (byte)'1') || !alone)
                throw source.Mismatch($"only 0 and 1 on line {Provenance.Grouped(line)}",
                    $"'{TextLine.Quote(row[i..])}'");
            if (found < pixels.Length) pixels[found] = (byte)(row[i] & 1);
            found++;
        }
        if (found != pixels.Length)
            throw source.Mismatch($"{pixels.Length} values on line {Provenance.Grouped(line)}", $"{found}");
    }
}

/// <summary>
/// Reads the UCI digits (optdigits): one image a line, 64 integers 0 to 16 and the class, separated by commas.
/// </summary>
public static class DigitsReader
{
    /// <summary>Bytes of a file of so many lines when every value has two digits.</summary>
    public static long Bytes(int count = 1797) => count * (3L * 65);

    /// <summary>
    /// The rows <c>[count, 65]</c> as bytes, pixels then class. Raises <see cref="ResearchException"/> with the line
    /// number for a wrong number of columns, a pixel outside 0..16 or a class outside 0..9, and for a wrong
    /// number of lines.
    /// </summary>
    public static byte[] ReadRows(ContentFile file, int count = 1797)
    {
        const int columns = 65;
        var (source, text) = file;
        var rows = new byte[count * columns];
        int line = 0;
        for (var rest = text.AsSpan(); !rest.IsEmpty; line++)
        {
            var row = TextLine.Next(ref rest).TrimEnd(" \r"u8);
            if (row.IsEmpty && TextLine.IsBlank(rest)) break;
            if (line == count)
                throw source.Mismatch($"{Provenance.Grouped(count)} lines", "more");
            ReadRow(source, line + 1, row, rows.AsSpan(line * columns, columns));
        }
        if (line < count)
            throw source.Mismatch($"{Provenance.Grouped(count)} lines", $"{Provenance.Grouped(line)} (truncated)");
        return rows;
    }

    /// <summary>The 8x8 images with 17 grey values, and their classes, of rows as read.</summary>
    public static ImageSet ToImages(byte[] rows)
    {
        int count = rows.Length / 65;
        var pixels = new byte[count * 64];
        var labels = new byte[count];
        for (int i = 0; i < count; i++)
        {
            rows.AsSpan(i * 65, 64).CopyTo(pixels.AsSpan(i * 64));
            labels[i] = rows[i * 65 + 64];
        }
        return new ImageSet(1, 8, 8, 16, pixels, labels);
    }

    private static void ReadRow(InputFile source, int line, ReadOnlySpan<byte> row, Span<byte> values)
    {
        int found = row.Count((byte)',') + 1;
        if (found != values.Length)
            throw source.Mismatch($"{values.Length} columns on line {Provenance.Grouped(line)}", $"{found}");
        int column = 0;
        foreach (var range in row.Split((byte)','))
        {
            var cell = row[range].Trim((byte)' ');
            int largest = column < 64 ? 16 : 9;
            if (!int.TryParse(cell, out int value) || value < 0 || value > largest)
                throw source.Mismatch(
                    $"{(column < 64 ? "a pixel" : "a class label")} 0 to {largest} on line " +
                    $"{Provenance.Grouped(line)}, column {column + 1}", $"'{TextLine.Quote(cell)}'");
            values[column++] = (byte)value;
        }
    }
}

/// <summary>Lines of ASCII text in memory.</summary>
internal static class TextLine
{
    /// <summary>The next line without its line feed; <paramref name="rest"/> moves behind it.</summary>
    public static ReadOnlySpan<byte> Next(ref Span<byte> rest)
    {
        int end = rest.IndexOf((byte)'\n');
        ReadOnlySpan<byte> line = end < 0 ? rest : rest[..end];
        rest = end < 0 ? [] : rest[(end + 1)..];
        return line;
    }

    public static bool IsBlank(ReadOnlySpan<byte> text) => text.IndexOfAnyExcept(" \t\r\n"u8) < 0;

    /// <summary>The first characters of a cell for a message; unprintable bytes become '?'.</summary>
    public static string Quote(ReadOnlySpan<byte> cell)
    {
        var shown = cell[..Math.Min(cell.Length, 12)];
        return string.Create(shown.Length, shown, static (target, source) =>
        {
            for (int i = 0; i < source.Length; i++) target[i] = source[i] is >= 32 and < 127 ? (char)source[i] : '?';
        });
    }
}
