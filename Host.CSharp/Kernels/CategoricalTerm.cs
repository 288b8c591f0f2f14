using System.Numerics;

namespace Research.Host;

/// <summary>log softmax(l)_x of many categorical variables, several of them at a time in the lanes of a vector.</summary>
internal static class CategoricalTerm
{
    /// <summary>
    /// Sum of l_x - log sum_v e^(l_v) over all elements of x; writes scale (softmax(l) - [v = x]), the gradient of
    /// minus scale times it.
    /// </summary>
    /// <param name="logits">`[n,levels]`.</param>
    /// <param name="x">Whole numbers from 0 to levels - 1, `[n]`.</param>
    /// <param name="slopes">Written, `[n,levels]`.</param>
    /// <param name="levels">Values of a variable.</param>
    /// <param name="scale">A factor of the gradient.</param>
    /// <exception cref="ArgumentException">An element of x is no such number.</exception>
    public static double Sum(ReadOnlySpan<float> logits, ReadOnlySpan<float> x, Span<float> slopes, int levels, float scale)
    {
        var lanes = Vector<float>.Count;
        // One vector a level: what is a row of a few numbers in memory becomes a lane.
        var block = new Vector<float>[levels];
        Span<int> chosen = stackalloc int[lanes];
        var total = 0.0;
        for (var first = 0; first < x.Length; first += lanes)
        {
            var count = Math.Min(lanes, x.Length - first);
            chosen.Clear();
            for (var i = 0; i < count; i++)
                chosen[i] = Level(x[first + i], levels);
            Turn(logits.Slice(first * levels, count * levels), block, levels);
            total += Vector.Sum(VectorMath.Head(LogProbability(block, new(chosen), new(scale)), count));
            TurnBack(block, slopes.Slice(first * levels, count * levels), levels);
        }
        return total;
    }

    private static int Level(float value, int levels) =>
        value >= 0 && value < levels
            ? (int)value
            : throw new ArgumentException($"a grey level is {value}, not one of 0 to {levels - 1}", nameof(value));

    // Replaces the logits by their slopes.
    private static Vector<float> LogProbability(Span<Vector<float>> block, Vector<int> chosen, Vector<float> scale)
    {
        var largest = block[0];
        foreach (var logit in block)
            largest = Vector.Max(largest, logit);
        Vector<float> atChosen = default, weightOfChosen = default, others = default;
        for (var v = 0; v < block.Length; v++)
        {
            var logit = block[v] - largest;
            VectorMath.ExpOfNegative(logit, out var weight, out _);
            var isChosen = Vector.Equals(chosen, new Vector<int>(v)).As<int, float>();
            atChosen = Vector.ConditionalSelect(isChosen, logit, atChosen);
            weightOfChosen = Vector.ConditionalSelect(isChosen, weight, weightOfChosen);
            others += Vector.AndNot(weight, isChosen);
            block[v] = weight;
        }
        var sum = others + weightOfChosen;
        var unit = scale / sum;
        for (var v = 0; v < block.Length; v++)
        {
            var isChosen = Vector.Equals(chosen, new Vector<int>(v)).As<int, float>();
            // softmax - 1 of the chosen level is minus what the others have, which is no difference of near numbers.
            block[v] = unit * Vector.ConditionalSelect(isChosen, -others, block[v]);
        }
        return atChosen - Vector.Log(sum);
    }

    private static void Turn(ReadOnlySpan<float> rows, Span<Vector<float>> block, int levels)
    {
        var lanes = System.Runtime.InteropServices.MemoryMarshal.Cast<Vector<float>, float>(block);
        for (int i = 0, at = 0; at < rows.Length; i++)
            for (var v = 0; v < levels; v++)
                lanes[v * Vector<float>.Count + i] = rows[at++];
    }

    private static void TurnBack(ReadOnlySpan<Vector<float>> block, Span<float> rows, int levels)
    {
        var lanes = System.Runtime.InteropServices.MemoryMarshal.Cast<Vector<float>, float>(block);
        for (int i = 0, at = 0; at < rows.Length; i++)
            for (var v = 0; v < levels; v++)
                rows[at++] = lanes[v * Vector<float>.Count + i];
    }
}
