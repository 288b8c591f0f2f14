using System.Numerics;

namespace Research.Host;

/// <summary>The digits 0-9 as pen strokes, drawn with a random pose, shape and thickness.</summary>
internal static class StrokeDigits
{
    private const int StepsPerSpan = 4;

    /// <summary>A pen stroke: straight between the points, or a smooth curve through them, perhaps closed.</summary>
    private sealed record Stroke(bool Smooth, bool Closed, Vector2[] Points);

    /// <summary>For each digit its ways of being written.</summary>
    private static readonly Stroke[][][] Glyphs =
    [
        [[Loop(.5f, .05f, .73f, .17f, .8f, .5f, .73f, .83f, .5f, .95f, .27f, .83f, .2f, .5f, .27f, .17f)],
         [Loop(.5f, .05f, .68f, .2f, .72f, .5f, .66f, .82f, .5f, .95f, .34f, .8f, .28f, .5f, .34f, .18f)]],
        [[Line(.5f, .05f, .5f, .95f)],
         [Line(.34f, .24f, .52f, .05f, .52f, .95f)]],
        [[Curve(.24f, .26f, .34f, .1f, .52f, .05f, .7f, .13f, .74f, .3f, .64f, .52f, .44f, .72f, .22f, .93f),
          Line(.22f, .93f, .8f, .92f)],
         [Curve(.24f, .22f, .42f, .05f, .66f, .12f, .7f, .34f, .54f, .64f, .32f, .88f, .24f, .8f, .38f, .76f,
             .58f, .88f, .82f, .86f)]],
        [[Curve(.25f, .14f, .45f, .05f, .67f, .12f, .7f, .3f, .58f, .44f, .4f, .48f),
          Curve(.4f, .48f, .63f, .52f, .76f, .68f, .69f, .86f, .46f, .95f, .22f, .86f)],
         [Line(.26f, .07f, .7f, .07f, .46f, .42f),
          Curve(.46f, .42f, .68f, .5f, .75f, .69f, .67f, .87f, .46f, .95f, .24f, .86f)]],
        [[Line(.58f, .05f, .2f, .64f, .84f, .64f), Line(.64f, .36f, .62f, .95f)],
         [Curve(.28f, .08f, .24f, .3f, .27f, .48f, .46f, .53f, .7f, .5f), Line(.72f, .06f, .68f, .95f)]],
        [[Line(.74f, .07f, .34f, .07f, .29f, .45f),
          Curve(.29f, .45f, .5f, .38f, .71f, .47f, .76f, .67f, .64f, .88f, .42f, .95f, .22f, .86f)]],
        [[Curve(.66f, .06f, .42f, .22f, .27f, .48f, .25f, .73f, .38f, .93f, .6f, .93f, .74f, .75f, .66f, .57f,
             .46f, .53f, .28f, .67f)],
         [Curve(.46f, .05f, .33f, .35f, .27f, .62f, .33f, .87f, .52f, .95f, .7f, .85f, .69f, .67f, .52f, .59f,
             .3f, .7f)]],
        [[Line(.2f, .08f, .78f, .08f), Curve(.78f, .08f, .6f, .38f, .47f, .68f, .41f, .95f)],
         [Line(.2f, .08f, .78f, .08f), Curve(.78f, .08f, .6f, .38f, .47f, .68f, .41f, .95f),
          Line(.34f, .52f, .72f, .5f)]],
        [[Loop(.68f, .2f, .5f, .05f, .32f, .18f, .38f, .36f, .6f, .54f, .73f, .74f, .64f, .91f, .48f, .95f,
             .31f, .87f, .27f, .7f, .42f, .52f, .62f, .36f)]],
        [[Loop(.7f, .28f, .58f, .08f, .4f, .08f, .27f, .26f, .35f, .46f, .54f, .48f),
          Curve(.7f, .28f, .71f, .52f, .66f, .76f, .6f, .95f)],
         [Loop(.7f, .28f, .58f, .08f, .4f, .08f, .27f, .26f, .35f, .46f, .54f, .48f),
          Curve(.7f, .28f, .72f, .58f, .68f, .84f, .5f, .95f, .3f, .88f)]],
    ];

    /// <summary>Draws <paramref name="digit"/> on the canvas.</summary>
    public static void Draw(Canvas canvas, int digit, ref StandInRandom random, in Pose pose, float thickness)
    {
        var variants = Glyphs[digit];
        // Independent wobble of the points of a curve, except its ends, where it may meet another stroke.
        const float wobble = 0.018f;
        Span<Vector2> points = stackalloc Vector2[16];
        foreach (var stroke in variants[random.Below(variants.Length)])
        {
            var mapped = points[..stroke.Points.Length];
            for (int i = 0; i < mapped.Length; i++)
            {
                bool inner = stroke.Smooth && i > 0 && i < mapped.Length - 1;
                var moved = stroke.Points[i];
                if (inner) moved += new Vector2(random.Bell(), random.Bell()) * wobble;
                mapped[i] = pose.Map(moved);
            }
            if (stroke.Smooth) DrawCurve(canvas, mapped, stroke.Closed, thickness);
            else canvas.Polyline(mapped, thickness);
        }
    }

    /// <summary>A Catmull-Rom curve through the points.</summary>
    internal static void DrawCurve(Canvas canvas, ReadOnlySpan<Vector2> points, bool closed, float thickness)
    {
        int count = points.Length, spans = closed ? count : count - 1;
        for (int i = 0; i < spans; i++)
        {
            var p1 = points[i];
            var p2 = points[(i + 1) % count];
            var p0 = i > 0 ? points[i - 1] : closed ? points[count - 1] : p1;
            var p3 = i + 2 < count || closed ? points[(i + 2) % count] : p2;
            var from = p1;
            for (int step = 1; step <= StepsPerSpan; step++)
            {
                float t = step / (float)StepsPerSpan, tt = t * t, ttt = tt * t;
                var to = 0.5f * (2 * p1 + (p2 - p0) * t + (2 * p0 - 5 * p1 + 4 * p2 - p3) * tt
                                 + (3 * p1 - p0 - 3 * p2 + p3) * ttt);
                canvas.Segment(from, to, thickness);
                from = to;
            }
        }
    }

    private static Stroke Line(params float[] xy) => new(false, false, Points(xy));

    private static Stroke Curve(params float[] xy) => new(true, false, Points(xy));

    private static Stroke Loop(params float[] xy) => new(true, true, Points(xy));

    /// <summary>Pairs of coordinates in the unit square, moved to the origin.</summary>
    private static Vector2[] Points(float[] xy) =>
        [.. Enumerable.Range(0, xy.Length / 2).Select(i => new Vector2(xy[2 * i] - 0.5f, xy[2 * i + 1] - 0.5f))];
}
