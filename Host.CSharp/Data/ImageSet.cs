namespace Research.Host;

/// <summary>
/// Images of one shape as bytes, with or without class labels.
/// Pixels are row-major <c>[Count, Channels, Height, Width]</c>, each in <c>0..Levels</c>.
/// </summary>
[OutsideResults("the digest of the data is in the key", ValuesOnly = true)]
public sealed class ImageSet
{
    public ImageSet(int channels, int height, int width, int levels, byte[] pixels, byte[]? labels = null)
    {
        if (channels < 1 || height < 1 || width < 1)
            throw new ArgumentOutOfRangeException(nameof(channels), "an image has at least one pixel");
        if (levels is < 1 or > 255)
            throw new ArgumentOutOfRangeException(nameof(levels), levels, "the largest pixel value is 1 to 255");
        if (pixels.Length % (channels * height * width) != 0)
            throw new ArgumentException("pixels must hold whole images", nameof(pixels));
        (Channels, Height, Width, Levels, Pixels) = (channels, height, width, levels, pixels);
        Labels = labels ?? [];
        if (HasLabels && Labels.Length != Count)
            throw new ArgumentException($"{Labels.Length} labels for {Count} images", nameof(labels));
    }

    public int Channels { get; }
    public int Height { get; }
    public int Width { get; }

    /// <summary>Largest value a pixel can take: 16 (digits), 255 (grey and colour) or 1 (binary).</summary>
    public int Levels { get; }

    /// <summary>All images one after the other.</summary>
    public byte[] Pixels { get; }

    /// <summary>One class per image, or empty when the set has no labels.</summary>
    public byte[] Labels { get; }

    /// <summary>Values per image, D = C H W.</summary>
    public int Dimension => Channels * Height * Width;

    public int Count => Pixels.Length / Dimension;
    public bool HasLabels => Labels.Length > 0;

    /// <summary>The values of image <paramref name="index"/>.</summary>
    public ReadOnlySpan<byte> Image(int index) => Pixels.AsSpan(index * Dimension, Dimension);

    /// <summary>The images <paramref name="start"/> to <c>start + count - 1</c>, copied.</summary>
    public ImageSet Slice(int start, int count) =>
        With(Pixels.AsSpan(start * Dimension, count * Dimension).ToArray(),
             HasLabels ? Labels.AsSpan(start, count).ToArray() : null);

    /// <summary>The images at <paramref name="indices"/> in that order, copied; an index may repeat.</summary>
    public ImageSet Select(ReadOnlySpan<int> indices)
    {
        var pixels = new byte[indices.Length * Dimension];
        var labels = HasLabels ? new byte[indices.Length] : null;
        for (int i = 0; i < indices.Length; i++)
        {
            Image(indices[i]).CopyTo(pixels.AsSpan(i * Dimension));
            if (labels is not null) labels[i] = Labels[indices[i]];
        }
        return With(pixels, labels);
    }

    /// <summary>Number of images of each class <c>0 .. classes-1</c>; all zero without labels.</summary>
    public int[] ClassCounts(int classes = 10)
    {
        var counts = new int[classes];
        foreach (byte label in Labels) counts[label]++;
        return counts;
    }

    private ImageSet With(byte[] pixels, byte[]? labels) => new(Channels, Height, Width, Levels, pixels, labels);
}

/// <summary>The three parts of a data set and where they came from. A part that the set lacks is empty.</summary>
[OutsideResults("the digest of the data is in the key", ValuesOnly = true)]
public sealed record Dataset(ImageSet Train, ImageSet Validation, ImageSet Test, Provenance Provenance)
{
    /// <summary>
    /// Moves the last <paramref name="count"/> training images to the validation part, for sets that are
    /// published without one. Raises <see cref="ArgumentException"/> when there is a validation part already
    /// or nothing would remain for training.
    /// </summary>
    public Dataset HoldOut(int count)
    {
        if (Validation.Count > 0) throw new ArgumentException($"{Provenance.Set} has a validation part already");
        if (count < 1 || count >= Train.Count)
            throw new ArgumentException($"cannot hold out {count} of {Train.Count} training images");
        int kept = Train.Count - count;
        return this with { Train = Train.Slice(0, kept), Validation = Train.Slice(kept, count) };
    }
}

/// <summary>The data sets that the experiments use.</summary>
public enum DataSetId
{
    Digits,
    Mnist,
    FashionMnist,
    BinarizedMnist,
    Cifar10,
}
