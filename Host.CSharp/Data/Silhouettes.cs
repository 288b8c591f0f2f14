using System.Numerics;

namespace Research.Host;

/// <summary>The ten Fashion-MNIST classes as filled outlines with a few strokes, in random shades and patterns.</summary>
internal static class Silhouettes
{
    /// <param name="Outline">Closed polygon; of symmetric garments only the right half, from top to bottom.</param>
    /// <param name="Symmetric">Whether the outline is mirrored at x = 0.</param>
    /// <param name="Added">Strokes in the same shade: straps and handles.</param>
    /// <param name="Cut">Strokes left free: openings, seams.</param>
    private sealed record Garment(Vector2[] Outline, bool Symmetric, Vector2[][] Added, Vector2[][] Cut);

    private static readonly Garment[] Garments =
    [
        // T-shirt
        Half([.1f, -.4f, .2f, -.42f, .46f, -.24f, .37f, -.04f, .27f, -.12f, .27f, .44f]),
        // Trousers
        Half([.19f, -.46f, .23f, -.05f, .25f, .48f, .09f, .48f, .02f, -.1f]),
        // Pullover
        Half([.09f, -.4f, .2f, -.42f, .37f, -.26f, .46f, .36f, .36f, .38f, .28f, -.08f, .27f, .42f]),
        // Dress
        Half([.07f, -.46f, .13f, -.46f, .15f, -.3f, .11f, -.08f, .26f, .47f]),
        // Coat: open in front
        Half([.05f, -.45f, .19f, -.42f, .36f, -.28f, .45f, .32f, .35f, .34f, .29f, -.08f, .31f, .47f],
            cut: [[0, -.4f, 0, .5f]]),
        // Sandal: a sole and straps
        Whole([-.47f, .08f, -.3f, .08f, .02f, .2f, .47f, .22f, .47f, .3f, -.1f, .3f, -.2f, .2f, -.36f, .2f, -.38f,
               .3f, -.47f, .3f],
            added: [[-.42f, .08f, -.38f, -.18f, -.2f, -.16f], [-.38f, -.18f, -.1f, .14f],
                    [.1f, .2f, .24f, .0f, .42f, .2f]]),
        // Shirt: collar and buttons
        Half([.04f, -.36f, .14f, -.45f, .34f, -.3f, .43f, .3f, .34f, .32f, .26f, -.06f, .26f, .45f],
            cut: [[0, -.36f, 0, -.2f], [0, -.1f, 0, -.02f], [0, .1f, 0, .16f], [0, .28f, 0, .34f]]),
        // Sneaker
        Whole([-.47f, -.06f, -.3f, -.1f, -.16f, -.06f, .04f, .06f, .3f, .1f, .46f, .16f, .48f, .28f, -.47f, .28f],
            cut: [[-.48f, .2f, .48f, .2f]]),
        // Bag: a body and a handle
        Whole([-.4f, -.06f, .4f, -.06f, .44f, .4f, -.44f, .4f],
            added: [[-.22f, -.06f, -.18f, -.34f, .18f, -.34f, .22f, -.06f]]),
        // Ankle boot
        Whole([-.36f, -.42f, .0f, -.42f, .02f, -.1f, .16f, .08f, .4f, .14f, .46f, .26f, .46f, .36f, -.12f, .36f,
               -.14f, .3f, -.2f, .42f, -.38f, .42f, -.34f, .0f]),
    ];

    /// <summary>Draws one garment, with values 0 to 255 in <paramref name="pixels"/> (row-major).</summary>
    public static void Draw(Canvas canvas, int kind, ref StandInRandom random, Span<byte> pixels)
    {
        var garment = Garments[kind];
        var pose = new Pose(ref random, canvas.Size, 26, freedom: 0.35f, shift: 0.8f);
        float stretch = random.Uniform(0.88f, 1.05f), thin = random.Uniform(1.2f, 2.2f);
        Span<Vector2> outline = stackalloc Vector2[garment.Outline.Length * 2];
        int corners = 0;
        foreach (var p in garment.Outline) outline[corners++] = Place(p, pose, stretch);
        if (garment.Symmetric)
            for (int i = garment.Outline.Length - 1; i >= 0; i--)
                outline[corners++] = Place(garment.Outline[i] * new Vector2(-1, 1), pose, stretch);
        canvas.Fill(outline[..corners]);
        foreach (var stroke in garment.Added) Draw(canvas, stroke, pose, stretch, thin, erase: false);
        foreach (var stroke in garment.Cut) Draw(canvas, stroke, pose, stretch, 0.6f, erase: true);
        Shade(canvas, ref random, pixels);
    }

    private static Vector2 Place(Vector2 p, in Pose pose, float stretch) => pose.Map(p * new Vector2(stretch, 1));

    private static void Draw(Canvas canvas, Vector2[] stroke, in Pose pose, float stretch, float thickness, bool erase)
    {
        for (int i = 1; i < stroke.Length; i++)
            canvas.Segment(Place(stroke[i - 1], pose, stretch), Place(stroke[i], pose, stretch), thickness, erase);
    }

    /// <summary>Cloth: one shade, lighter or darker to one side, sometimes striped across or along.</summary>
    private static void Shade(Canvas canvas, ref StandInRandom random, Span<byte> pixels)
    {
        float shade = random.Uniform(90, 235), slope = random.Uniform(-1.5f, 1.5f);
        int pattern = random.Below(6), period = 2 + random.Below(4);
        float contrast = random.Uniform(0.15f, 0.45f);
        for (int y = 0; y < canvas.Size; y++)
        {
            for (int x = 0; x < canvas.Size; x++)
            {
                float value = shade + slope * (x - canvas.Size / 2) + 6 * random.Bell();
                bool dark = pattern == 0 && y / period % 2 == 0 || pattern == 1 && x / period % 2 == 0;
                if (dark) value *= 1 - contrast;
                int index = y * canvas.Size + x;
                pixels[index] = (byte)Math.Clamp(canvas.Ink[index] * value + 0.5f, 0, 255);
            }
        }
    }

    private static Garment Half(float[] xy, float[][]? cut = null) => new(Points(xy), true, [], Strokes(cut));

    private static Garment Whole(float[] xy, float[][]? added = null, float[][]? cut = null) =>
        new(Points(xy), false, Strokes(added), Strokes(cut));

    private static Vector2[][] Strokes(float[][]? strokes) => [.. (strokes ?? []).Select(Points)];

    private static Vector2[] Points(float[] xy) =>
        [.. Enumerable.Range(0, xy.Length / 2).Select(i => new Vector2(xy[2 * i], xy[2 * i + 1]))];
}
