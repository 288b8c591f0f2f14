using System.Numerics;

namespace Research.Host;

/// <summary>A square of coverage values in [0, 1] on which the stand-in draws with smooth edges.</summary>
internal sealed class Canvas(int size)
{
    private const int SubRows = 4;

    private readonly float[] crossings = new float[64];

    public int Size => size;

    /// <summary>Coverage per pixel, row-major.</summary>
    public float[] Ink { get; } = new float[size * size];

    public void Clear() => Array.Clear(Ink);

    /// <summary>
    /// Draws the segment a-b (pixels) with round ends and the given thickness. With <paramref name="erase"/> it
    /// takes ink away instead.
    /// </summary>
    public void Segment(Vector2 a, Vector2 b, float thickness, bool erase = false)
    {
        float reach = thickness / 2 + 0.5f;
        int left = Math.Max(0, (int)(MathF.Min(a.X, b.X) - reach));
        int right = Math.Min(size - 1, (int)(MathF.Max(a.X, b.X) + reach));
        int top = Math.Max(0, (int)(MathF.Min(a.Y, b.Y) - reach));
        int bottom = Math.Min(size - 1, (int)(MathF.Max(a.Y, b.Y) + reach));
        float dx = b.X - a.X, dy = b.Y - a.Y, length = dx * dx + dy * dy;
        float scale = length > 0 ? 1 / length : 0;
        for (int y = top; y <= bottom; y++)
        {
            for (int x = left; x <= right; x++)
            {
                float px = x + 0.5f - a.X, py = y + 0.5f - a.Y;
                float t = Math.Clamp((px * dx + py * dy) * scale, 0, 1);
                float ex = px - t * dx, ey = py - t * dy;
                float cover = Math.Clamp(reach - MathF.Sqrt(ex * ex + ey * ey), 0, 1);
                ref float ink = ref Ink[y * size + x];
                ink = erase ? MathF.Min(ink, 1 - cover) : MathF.Max(ink, cover);
            }
        }
    }

    /// <summary>Draws consecutive segments through <paramref name="points"/>.</summary>
    public void Polyline(ReadOnlySpan<Vector2> points, float thickness, bool erase = false)
    {
        for (int i = 1; i < points.Length; i++) Segment(points[i - 1], points[i], thickness, erase);
    }

    /// <summary>
    /// Fills a closed polygon (even-odd): four scan lines per pixel row, exact coverage along each line.
    /// </summary>
    public void Fill(ReadOnlySpan<Vector2> outline)
    {
        for (int line = 0; line < size * SubRows; line++)
        {
            float y = (line + 0.5f) / SubRows;
            int count = 0;
            for (int i = 0; i < outline.Length; i++)
            {
                var (a, b) = (outline[i], outline[(i + 1) % outline.Length]);
                if (a.Y <= y == b.Y <= y) continue;
                crossings[count++] = a.X + (y - a.Y) / (b.Y - a.Y) * (b.X - a.X);
            }
            Array.Sort(crossings, 0, count);
            for (int i = 0; i + 1 < count; i += 2)
                Span(line / SubRows, Math.Clamp(crossings[i], 0, size), Math.Clamp(crossings[i + 1], 0, size));
        }
    }

    private void Span(int row, float from, float to)
    {
        for (int x = (int)from; x < size && x < to; x++)
        {
            float cover = MathF.Min(to, x + 1) - MathF.Max(from, x);
            ref float ink = ref Ink[row * size + x];
            ink = MathF.Min(1, ink + cover / SubRows);
        }
    }
}

/// <summary>
/// A random placement: glyph coordinates (x and y about -0.5 to 0.5, y down) are bent a little, then turned,
/// slanted, scaled and shifted to pixels.
/// </summary>
internal readonly struct Pose
{
    private readonly Matrix3x2 place;
    private readonly Vector2 bendX, bendY;

    /// <param name="random">Source of the placement.</param>
    /// <param name="size">Side of the canvas in pixels.</param>
    /// <param name="height">Mean height of the glyph in pixels.</param>
    /// <param name="freedom">Strength of turn, slant and bend; 1 is handwriting, 0 none.</param>
    /// <param name="shift">Largest shift in pixels.</param>
    public Pose(ref StandInRandom random, int size, float height, float freedom, float shift)
    {
        float tall = height * (1 + 0.06f * random.Bell());
        float wide = height * (1 + 0.10f * random.Bell());
        // Half-angle formulas instead of sine and cosine, whose last bit depends on the platform.
        float t = 0.07f * freedom * random.Bell(), norm = 1 / (1 + t * t);
        float cos = (1 - t * t) * norm, sin = 2 * t * norm;
        float slant = 0.14f * freedom * random.Bell();
        float centreX = size / 2f + random.Uniform(-shift, shift), centreY = size / 2f + random.Uniform(-shift, shift);
        place = new Matrix3x2(wide * cos, wide * sin,
            tall * (-slant * cos - sin), tall * (cos - slant * sin), centreX, centreY);
        bendX = new Vector2(random.Bell(), random.Bell()) * (0.16f * freedom);
        bendY = new Vector2(random.Bell(), random.Bell()) * (0.16f * freedom);
    }

    /// <summary>The pixel position of a glyph point. Smooth, so strokes that meet still meet.</summary>
    public Vector2 Map(Vector2 p)
    {
        float xx = p.X * p.X, yy = p.Y * p.Y, xy = p.X * p.Y;
        var bent = new Vector2(p.X + bendX.X * yy + bendX.Y * xy, p.Y + bendY.X * xx + bendY.Y * xy);
        return new Vector2(
            bent.X * place.M11 + bent.Y * place.M21 + place.M31, bent.X * place.M12 + bent.Y * place.M22 + place.M32);
    }
}
