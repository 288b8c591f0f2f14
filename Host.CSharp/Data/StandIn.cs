using System.Numerics;

namespace Research.Host;

/// <summary>
/// Procedural data for machines without the real sets: labelled drawings in the shapes and value ranges of the
/// published sets. Deterministic: image i of a part depends on set, part and i alone. Every ten consecutive
/// images hold each class once, in random order.
/// </summary>
public static class StandIn
{
    private delegate void Drawing(Canvas canvas, int label, ref StandInRandom random, Span<byte> pixels);

    private sealed record Kind(int Canvas, int Channels, int Side, int Levels, bool Labelled, Drawing Draw);

    /// <summary>
    /// The stand-in for a set, with the published number of images in each part or at most
    /// <paramref name="limit"/>.
    /// </summary>
    public static Dataset Load(DataSetId id, int? limit = null)
    {
        var spec = DataCatalog.Of(id);
        ImageSet Part(int part, int size) => Images(id, part, Math.Min(size, limit ?? size));
        var train = Part(0, spec.Sizes.Train);
        var validation = Part(1, spec.Sizes.Validation);
        var test = Part(2, spec.Sizes.Test);
        return new Dataset(train, validation, test, new Provenance(
            spec.Title, "stand-in", IsStandIn: true, Provenance.DigestOf(train, validation, test),
            MatchesPublished: false, Note: ""));
    }

    /// <summary>The first <paramref name="count"/> images of a part (0 train, 1 validation, 2 test).</summary>
    public static ImageSet Images(DataSetId id, int part, int count)
    {
        var kind = Of(id);
        ulong seed = 16 * ((ulong)id + 1) + (ulong)part;
        int dimension = kind.Channels * kind.Side * kind.Side;
        var pixels = new byte[count * dimension];
        var labels = new byte[count];
        Parallel.For(0, (count + 9) / 10, () => new Canvas(kind.Canvas), (block, _, canvas) =>
        {
            Span<byte> classes = stackalloc byte[10];
            Shuffle(seed, block, classes);
            for (int i = 10 * block; i < Math.Min(count, 10 * block + 10); i++)
            {
                labels[i] = classes[i % 10];
                var random = new StandInRandom(seed, 2 * (ulong)i);
                canvas.Clear();
                kind.Draw(canvas, labels[i], ref random, pixels.AsSpan(i * dimension, dimension));
            }
            return canvas;
        }, _ => { });
        return new ImageSet(kind.Channels, kind.Side, kind.Side, kind.Levels, pixels, kind.Labelled ? labels : null);
    }

    private static void Shuffle(ulong seed, int block, Span<byte> classes)
    {
        var random = new StandInRandom(seed, 2 * (ulong)block + 1);
        for (int i = 0; i < classes.Length; i++)
        {
            int j = random.Below(i + 1);
            classes[i] = classes[j];
            classes[j] = (byte)i;
        }
    }

    private static Kind Of(DataSetId id) => id switch
    {
        DataSetId.Digits => new(32, 1, 8, 16, true, DrawCounts),
        DataSetId.Mnist => new(28, 1, 28, 255, true, DrawGrey),
        DataSetId.FashionMnist => new(28, 1, 28, 255, true, Silhouettes.Draw),
        // As in the published set, whose rows carry no classes.
        DataSetId.BinarizedMnist => new(28, 1, 28, 1, false, DrawBinary),
        _ => new(32, 3, 32, 255, true, DrawColour),
    };

    /// <summary>As UCI made its digits: a 32x32 bitmap, of which each 4x4 block is counted.</summary>
    private static void DrawCounts(Canvas canvas, int label, ref StandInRandom random, Span<byte> pixels)
    {
        var pose = new Pose(ref random, canvas.Size, 31, freedom: 0.7f, shift: 0.7f);
        StrokeDigits.Draw(canvas, label, ref random, pose, random.Uniform(3.2f, 5.6f));
        for (int y = 0; y < 32; y++)
            for (int x = 0; x < 32; x++)
                if (canvas.Ink[y * 32 + x] > random.Uniform(0.3f, 0.7f)) pixels[y / 4 * 8 + x / 4]++;
    }

    private static void DrawGrey(Canvas canvas, int label, ref StandInRandom random, Span<byte> pixels)
    {
        var pose = new Pose(ref random, canvas.Size, 21, freedom: 1, shift: 1.2f);
        StrokeDigits.Draw(canvas, label, ref random, pose, random.Uniform(1.5f, 3.4f));
        for (int i = 0; i < pixels.Length; i++)
        {
            float ink = canvas.Ink[i];
            // Noise on the stroke alone: the paper of the published digits is exactly white.
            if (ink > 0) pixels[i] = (byte)Math.Clamp(255 * ink - 20 * random.Uniform() + 4, 0, 255);
        }
    }

    /// <summary>One Bernoulli draw per pixel with the grey value as its mean, as the published set was made.</summary>
    private static void DrawBinary(Canvas canvas, int label, ref StandInRandom random, Span<byte> pixels)
    {
        DrawGrey(canvas, label, ref random, pixels);
        for (int i = 0; i < pixels.Length; i++) pixels[i] = (byte)(255 * random.Uniform() < pixels[i] ? 1 : 0);
    }

    /// <summary>A digit in one colour on a background that runs from one colour to another.</summary>
    private static void DrawColour(Canvas canvas, int label, ref StandInRandom random, Span<byte> pixels)
    {
        var pose = new Pose(ref random, canvas.Size, 25, freedom: 1, shift: 2);
        StrokeDigits.Draw(canvas, label, ref random, pose, random.Uniform(2.6f, 4.8f));
        Vector3 above = Colour(ref random), below = Colour(ref random), pen = Colour(ref random);
        // Light on dark or dark on light: the brightness of the pen is moved away from the background's.
        float paper = (above + below).Length() / 2;
        pen = Vector3.Lerp(pen, paper > 190 ? Vector3.Zero : new Vector3(240), 0.65f);
        int plane = canvas.Size * canvas.Size;
        for (int y = 0; y < canvas.Size; y++)
        {
            var background = Vector3.Lerp(above, below, y / (canvas.Size - 1f));
            for (int i = y * canvas.Size; i < (y + 1) * canvas.Size; i++)
            {
                // No colour is above 240, so noise below 16 needs no clamp.
                var colour = Vector3.Lerp(background, pen, canvas.Ink[i]);
                ulong noise = random.Next();
                pixels[i] = (byte)(colour.X + (noise & 15));
                pixels[plane + i] = (byte)(colour.Y + (noise >> 4 & 15));
                pixels[2 * plane + i] = (byte)(colour.Z + (noise >> 8 & 15));
            }
        }
    }

    private static Vector3 Colour(ref StandInRandom random) =>
        new(random.Uniform(10, 230), random.Uniform(10, 230), random.Uniform(10, 230));
}
