using System.Globalization;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>
/// Sums of the terms since the last log. On the CPU a term is read at once, which costs nothing; on a GPU terms
/// wait on the device and are read together, so that no step waits for the device. Both add the same numbers in
/// the same order, so a save in between leaves no trace in the sums.
/// </summary>
internal sealed class TermSums : IDisposable
{
    private readonly OrderedDictionary<string, TermSum> sums = [];
    private readonly List<(long Step, bool IsLoss, string Name, torch.Tensor Value)> waiting = [];

    private (long Step, bool IsLoss, string Name, double Value)? fault;

    /// <summary>The loss of the last step that was read.</summary>
    public double LastLoss { get; private set; } = double.NaN;

    /// <summary>Adds the terms of a step; the first is the loss.</summary>
    /// <exception cref="ResearchException">A term is NaN or infinite.</exception>
    public void Add(long step, IReadOnlyList<Term> terms)
    {
        for (var i = 0; i < terms.Count; i++)
        {
            var term = terms[i];
            if (term.Tensor is not { } tensor)
                Take(step, i == 0, term.Name, term.Number);
            else if (tensor.device_type == DeviceType.CPU)
                Take(step, i == 0, term.Name, Read(tensor));
            else
                waiting.Add((step, i == 0, term.Name, tensor.detach().DetachFromDisposeScope()));
        }
        Require();
    }

    /// <summary>Reads what waits on the device.</summary>
    /// <exception cref="ResearchException">A term is NaN or infinite.</exception>
    public void Settle()
    {
        if (waiting.Count == 0)
            return;
        double[] values;
        using (torch.NewDisposeScope())
        {
            // One transfer for all: each would otherwise wait for the device on its own.
            var flat = waiting.Select(item => item.Value.reshape([1L]).to(torch.ScalarType.Float64)).ToList();
            values = torch.cat(flat).cpu().data<double>().ToArray();
        }
        foreach (var (item, value) in waiting.Zip(values))
        {
            item.Value.Dispose();
            if (item.IsLoss)
                Require();
            Take(item.Step, item.IsLoss, item.Name, value);
        }
        Require();
        waiting.Clear();
    }

    /// <summary>Means by name, in order of first appearance; the sums start again from zero.</summary>
    public IReadOnlyList<(string Name, double Mean)> Drain()
    {
        Settle();
        (string, double)[] means = [.. sums.Select(pair => (pair.Key, pair.Value.Sum / pair.Value.Count))];
        sums.Clear();
        return means;
    }

    /// <summary>The sums as checkpoint metadata.</summary>
    public void Save(IDictionary<string, string> metadata)
    {
        Settle();
        var index = 0;
        foreach (var (name, sum) in sums)
            metadata[$"sum.{index++}"] = string.Create(CultureInfo.InvariantCulture, $"{sum.Count} {sum.Sum:R} {name}");
    }

    /// <summary>Restores what <see cref="Save"/> wrote.</summary>
    /// <exception cref="FormatException">The metadata are not what it wrote.</exception>
    public void Restore(IReadOnlyDictionary<string, string> metadata)
    {
        sums.Clear();
        for (var index = 0; metadata.TryGetValue($"sum.{index}", out var text); index++)
        {
            var parts = text.Split(' ', 3);
            if (parts.Length != 3)
                throw new FormatException($"its sum {index} is malformed");
            sums[parts[2]] = new(
                double.Parse(parts[1], CultureInfo.InvariantCulture), long.Parse(parts[0], CultureInfo.InvariantCulture));
        }
    }

    public void Dispose() => waiting.ForEach(item => item.Value.Dispose());

    // The loss is not finite where a term is not: that term tells more.
    private void Require()
    {
        if (fault is var (step, _, name, value))
            throw new ResearchException(
                $"the term '{name}' became {(double.IsNaN(value) ? "NaN" : "infinite")} in step {step}, "
                + "so the training was stopped.");
    }

    private void Take(long step, bool isLoss, string name, double value)
    {
        if (!double.IsFinite(value) && fault is not (_, false, _, _))
            fault = (step, isLoss, name, value);
        var (sum, count) = sums.TryGetValue(name, out var known) ? known : default;
        sums[name] = new(sum + value, count + 1);
        if (isLoss)
            LastLoss = value;
    }

    private static double Read(torch.Tensor tensor)
    {
        using var detached = tensor.detach();
        if (detached.numel() != 1)
            throw new ArgumentException("a term of a training step must have one element");
        var bytes = detached.bytes;
        var value = detached.dtype switch
        {
            torch.ScalarType.Float32 => MemoryMarshal.Read<float>(bytes),
            torch.ScalarType.Float64 => MemoryMarshal.Read<double>(bytes),
            torch.ScalarType.Int64 => MemoryMarshal.Read<long>(bytes),
            _ => detached.ToDouble(),
        };
        GC.KeepAlive(detached);
        return value;
    }

    private readonly record struct TermSum(double Sum, long Count);
}
