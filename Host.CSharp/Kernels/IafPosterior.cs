using System.Numerics;

namespace Research.Host;

/// <summary>The networks of one autoregressive step: masked layers from z and to (m, s), and a context's layer.</summary>
/// <param name="Input">From the latents to the hidden units.</param>
/// <param name="Context">From the encoder's features to the hidden units.</param>
/// <param name="Output">From the hidden units to m, then s.</param>
public sealed record MadeLayers(LinearLayer Input, LinearLayer Context, LinearLayer Output);

/// <summary>Inverse autoregressive steps behind a diagonal posterior.</summary>
/// <param name="Steps">The steps' networks; every second step sees the latents in reversed order.</param>
/// <param name="OpenGate">Added to s.</param>
public sealed record IafLayers(IReadOnlyList<MadeLayers> Steps, double OpenGate) : FlowLayers;

/// <summary>
/// The steps z -> (g z + (1 - g) m)/sigmoid(openGate), g = sigmoid(s + openGate), (m, s) from a masked network with one
/// hidden layer of exponential linear units that reads z and the encoder's features.
/// </summary>
internal sealed class IafPosterior : IFlowPosterior
{
    private readonly Step[] steps;
    private readonly int latent;

    private AlignedFloats start = new(0), end = new(0);

    /// <exception cref="ArgumentException">The layers are not of the steps' form.</exception>
    public IafPosterior(IafLayers layers, int latent)
    {
        this.latent = latent;
        steps = [.. layers.Steps.Select((made, i) => new Step(made, latent, layers.OpenGate, isReversed: i % 2 == 1))];
        if (steps.Length == 0 || steps.Any(step => step.Features != steps[0].Features))
            throw new ArgumentException("autoregressive steps read the same features, and there is one at least");
    }

    public int Inputs => steps[0].Features;

    public int Scratch => steps.Max(step => step.Scratch);

    public double Forward(ReadOnlySpan<float> features, Span<float> latents, int rows)
    {
        var count = rows * latent;
        AlignedFloats.Reserve(ref start, count);
        AlignedFloats.Reserve(ref end, count);
        latents[..count].CopyTo(start.Span);
        var logDet = 0.0;
        foreach (var step in steps)
            logDet += step.Forward(features, latents, rows);
        latents[..count].CopyTo(end.Span);
        return 0.5 * (SumOfSquares(end, count) - SumOfSquares(start, count)) - logDet;
    }

    public void Backward(
        Span<float> gradient, float klScale, ReadOnlySpan<float> features, Span<float> featureGradient, int rows,
        Span<float> scratch, IGradientSink sink)
    {
        ReadOnlySpan<float> first = start.Span, last = end.Span;
        for (var i = 0; i < rows * latent; i++)
            gradient[i] += klScale * last[i];
        for (var i = steps.Length - 1; i >= 0; i--)
            steps[i].Backward(
                gradient, klScale, features, featureGradient, add: i < steps.Length - 1, rows, scratch, sink);
        for (var i = 0; i < rows * latent; i++)
            gradient[i] -= klScale * first[i];
    }

    private static double SumOfSquares(AlignedFloats z, int count)
    {
        var total = 0.0;
        foreach (var value in z.Span[..count])
            total += (double)value * value;
        return total;
    }

    /// <summary>One step and what its way back needs.</summary>
    private sealed class Step
    {
        private static readonly ActivationKind elu = new ActivationKind.Elu();

        private readonly LinearKernel input, context, output;
        private readonly int latent;
        private readonly float openGate, factor;
        private readonly bool isReversed;

        // Of [rows,latent]: z as the network sees it, its gradient, g. Of [rows,2 latent]: (m, s), their gradient. Of
        // [rows,hidden]: the hidden units, their slopes, their gradient, and what the context adds to them.
        private AlignedFloats z = new(0), dz = new(0), gates = new(0), outputs = new(0), error = new(0);
        private AlignedFloats hidden = new(0), slopes = new(0), dHidden = new(0), given = new(0);

        public Step(MadeLayers layers, int latent, double openGate, bool isReversed)
        {
            (this.latent, this.isReversed) = (latent, isReversed);
            (this.openGate, factor) = ((float)openGate, (float)(1 + Math.Exp(-openGate)));
            input = new(layers.Input, "the masked layer of z");
            context = new(layers.Context, "the layer of the context");
            output = new(layers.Output, "the masked layer of m and s");
            if (input.Inputs != latent || output.Outputs != 2 * latent || context.Outputs != input.Outputs
                || output.Inputs != input.Outputs)
                throw new ArgumentException(
                    $"layers {input.Inputs}-{input.Outputs}-{output.Outputs} are no autoregressive step of {latent} latents");
        }

        public int Features => context.Inputs;

        public int Scratch => Math.Max(input.Scratch, Math.Max(context.Scratch, output.Scratch));

        /// <summary>Replaces z by its image and returns the sum of the log-determinants.</summary>
        public double Forward(ReadOnlySpan<float> features, Span<float> latents, int rows)
        {
            Reserve(rows);
            Copy(latents, z.Span, rows);
            input.Forward(z.Span, hidden.Span, rows);
            context.Forward(features, given.Span, rows);
            var units = hidden.Vectors(rows * input.Outputs);
            var added = given.Vectors(rows * input.Outputs);
            for (var i = 0; i < units.Length; i++)
                units[i] += added[i];
            elu.Apply(units, slopes.Vectors(rows * input.Outputs));
            output.Forward(hidden.Span, outputs.Span, rows);
            return rows * latent * Math.Log(factor) + Move(latents, rows);
        }

        // Replaces (m, s) by (z - m, 1 - g) on the way and keeps g, which is what the way back needs.
        private double Move(Span<float> latents, int rows)
        {
            var logDet = 0.0;
            for (var row = 0; row < rows; row++)
            {
                var at = outputs.Span.Slice(2 * row * latent, 2 * latent);
                var from = z.Span.Slice(row * latent, latent);
                var open = gates.Span.Slice(row * latent, latent);
                var to = latents.Slice(row * latent, latent);
                for (var j = 0; j < latent; j++)
                {
                    var s = at[latent + j] + openGate;
                    var decay = MathF.Exp(-MathF.Abs(s));
                    var larger = 1 / (1 + decay);
                    var (gate, rest) = s >= 0 ? (larger, decay * larger) : (decay * larger, larger);
                    // log sigmoid(s) = min(s, 0) - log(1 + e^-|s|).
                    logDet += MathF.Min(s, 0) - float.LogP1(decay);
                    to[isReversed ? latent - 1 - j : j] = factor * (gate * from[j] + rest * at[j]);
                    (at[j], at[latent + j], open[j]) = (from[j] - at[j], rest, gate);
                }
            }
            return logDet;
        }

        /// <summary>Replaces the gradient with respect to the image by that with respect to z.</summary>
        public void Backward(
            Span<float> gradient, float klScale, ReadOnlySpan<float> features, Span<float> featureGradient, bool add,
            int rows, Span<float> scratch, IGradientSink sink)
        {
            Copy(gradient, dz.Span, rows);
            for (var row = 0; row < rows; row++)
            {
                var at = outputs.Span.Slice(2 * row * latent, 2 * latent);
                var to = error.Span.Slice(2 * row * latent, 2 * latent);
                var d = dz.Span.Slice(row * latent, latent);
                var open = gates.Span.Slice(row * latent, latent);
                for (var j = 0; j < latent; j++)
                {
                    var (difference, rest, gate, scaled) = (at[j], at[latent + j], open[j], factor * d[j]);
                    to[j] = scaled * rest;
                    // The loss holds minus the log-determinant, whose slope is 1 - g.
                    to[latent + j] = rest * (scaled * gate * difference - klScale);
                    d[j] = scaled * gate;
                }
            }
            var count = rows * input.Outputs;
            output.BackwardInput(error.Span, dHidden.Span, rows, add: false);
            output.BackwardParameters(error.Span, hidden.Span, rows, scratch, sink);
            var toHidden = dHidden.Vectors(count);
            var slope = slopes.Vectors(count);
            for (var i = 0; i < toHidden.Length; i++)
                toHidden[i] *= slope[i];
            input.BackwardInput(dHidden.Span, dz.Span, rows, add: true);
            input.BackwardParameters(dHidden.Span, z.Span, rows, scratch, sink);
            if (!featureGradient.IsEmpty)
                context.BackwardInput(dHidden.Span, featureGradient, rows, add);
            context.BackwardParameters(dHidden.Span, features, rows, scratch, sink);
            Copy(dz.Span, gradient, rows);
        }

        // Rows as the network sees them, or back: reversed in every second step.
        private void Copy(ReadOnlySpan<float> from, Span<float> to, int rows)
        {
            from[..(rows * latent)].CopyTo(to);
            for (var row = 0; row < rows && isReversed; row++)
                to.Slice(row * latent, latent).Reverse();
        }

        private void Reserve(int rows)
        {
            AlignedFloats.Reserve(ref z, rows * latent);
            AlignedFloats.Reserve(ref dz, rows * latent);
            AlignedFloats.Reserve(ref gates, rows * latent);
            AlignedFloats.Reserve(ref outputs, 2 * rows * latent);
            AlignedFloats.Reserve(ref error, 2 * rows * latent);
            AlignedFloats.Reserve(ref hidden, rows * input.Outputs);
            AlignedFloats.Reserve(ref slopes, rows * input.Outputs);
            AlignedFloats.Reserve(ref dHidden, rows * input.Outputs);
            AlignedFloats.Reserve(ref given, rows * input.Outputs);
        }
    }
}
