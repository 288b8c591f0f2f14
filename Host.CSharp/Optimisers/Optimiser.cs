using System.Numerics;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>Changes parameters in place from their gradients.</summary>
public interface IOptimiser
{
    /// <summary>One step. A null gradient leaves its parameter and state as they are; the bias correction counts
    /// the optimiser's steps, not the parameter's.</summary>
    /// <param name="gradients">One per parameter, in the order given at creation.</param>
    /// <exception cref="ArgumentException">The number or a size of the gradients does not fit.</exception>
    void Step(IList<torch.Tensor?> gradients);

    /// <summary>
    /// Begins a step whose gradients come in pieces: each element moves when its gradient is taken. Together they are one
    /// <see cref="Step"/>; for float32 on the CPU.
    /// </summary>
    IGradientSink Begin();

    /// <summary>State tensors under PyTorch's names with the parameter's key, e.g. `exp_avg.encoder.0.weight`.</summary>
    IReadOnlyList<(string Name, torch.Tensor Tensor)> State { get; }

    /// <summary>Steps taken; part of the state.</summary>
    long StepCount { get; set; }

    double LearningRate { get; set; }
}

/// <summary>
/// The optimisers of PyTorch over flat state. For float32 and float64 on the CPU a step is one fused SIMD pass over
/// the memory of parameters, gradients and state; elsewhere the same formulas go through tensor operators, once over
/// all parameters in one: a GPU takes longer to begin an operator than to compute it on a single parameter.
/// </summary>
public sealed class Optimiser : IOptimiser, IGradientSink
{
    private readonly OptimiserSettings settings;
    private readonly bool fused, takesPieces;
    private readonly torch.Tensor[] parameters;
    private readonly torch.Tensor? wholeFirst, wholeSecond;
    private readonly torch.Tensor[] first, second;
    private readonly (string, torch.Tensor)[] state;

    private Optimiser(OptimiserSettings settings, IReadOnlyList<(string Name, torch.Tensor Parameter)> named, bool fused)
    {
        this.settings = settings;
        this.fused = fused;
        LearningRate = settings.LearningRate;
        parameters = [.. named.Select(p => p.Parameter)];
        takesPieces = fused && parameters.All(p => IsFusible(p) && p.dtype == torch.ScalarType.Float32);
        foreach (var (name, parameter) in named)
            if (!parameter.is_contiguous()) throw new ArgumentException($"parameter '{name}' is not contiguous");
        var (firstName, secondName) = settings switch
        {
            OptimiserSettings.Sgd { Momentum: 0 } => ("", ""),
            OptimiserSettings.Sgd => ("momentum_buffer", ""),
            OptimiserSettings.Adam => ("exp_avg", "exp_avg_sq"),
            OptimiserSettings.Adamax => ("exp_avg", "exp_inf"),
            OptimiserSettings.RmsProp => ("square_avg", ""),
            _ => throw new ArgumentException($"unknown optimiser {settings}", nameof(settings)),
        };
        (wholeFirst, first) = Slices(firstName);
        (wholeSecond, second) = Slices(secondName);
        state =
        [
            .. first.Select((tensor, i) => ($"{firstName}.{named[i].Name}", tensor)),
            .. second.Select((tensor, i) => ($"{secondName}.{named[i].Name}", tensor)),
        ];
    }

    /// <summary>An optimiser over named parameters, whose state starts at zero.</summary>
    /// <param name="settings">Which rule, and its constants.</param>
    /// <param name="parameters">Contiguous leaves of one element type on one device.</param>
    /// <param name="fused">False takes tensor operators on the CPU too.</param>
    public static IOptimiser Create(
        OptimiserSettings settings, IReadOnlyList<(string Name, torch.Tensor Parameter)> parameters, bool fused = true) =>
        new Optimiser(settings, parameters, fused);

    public IReadOnlyList<(string Name, torch.Tensor Tensor)> State => state;
    public long StepCount { get; set; }
    public double LearningRate { get; set; }

    public void Step(IList<torch.Tensor?> gradients)
    {
        if (gradients.Count != parameters.Length)
            throw new ArgumentException($"{gradients.Count} gradients for {parameters.Length} parameters", nameof(gradients));
        StepCount++;
        var present = new List<(int Index, torch.Tensor Gradient)>(parameters.Length);
        for (var i = 0; i < parameters.Length; i++)
        {
            if (gradients[i] is not { IsInvalid: false } gradient) continue;
            if (gradient.numel() != parameters[i].numel())
                throw new ArgumentException(
                    $"gradient {i} has {gradient.numel()} elements, its parameter {parameters[i].numel()}", nameof(gradients));
            if (fused && IsFusible(parameters[i])) InMemory(i, gradient);
            else present.Add((i, gradient));
        }
        if (present.Count == parameters.Length) Together(present);
        else foreach (var (i, gradient) in present) Apart(i, gradient);
    }

    public IGradientSink Begin()
    {
        if (!takesPieces)
            throw new InvalidOperationException("only parameters in float32 on the CPU take their gradients in pieces");
        StepCount++;
        return this;
    }

    void IGradientSink.Take(int parameter, int start, ReadOnlySpan<float> gradient) => InMemory(parameter, start, gradient);

    private static bool IsFusible(torch.Tensor parameter) =>
        parameter.device_type == DeviceType.CPU && parameter.dtype is (torch.ScalarType.Float32 or torch.ScalarType.Float64);

    // One flat tensor, and the pieces of the parameters' shapes that it is cut into; none when the rule has no such state.
    private (torch.Tensor? Whole, torch.Tensor[] Pieces) Slices(string name)
    {
        if (name.Length == 0 || parameters.Length == 0) return (null, []);
        var total = parameters.Sum(p => p.numel());
        var flat = torch.zeros([total], parameters[0].dtype, parameters[0].device).DetachFromDisposeScope();
        return (flat, [.. Cut(flat).Select(piece => piece.DetachFromDisposeScope())]);
    }

    // Views of a flat tensor in the parameters' shapes.
    private IEnumerable<torch.Tensor> Cut(torch.Tensor flat)
    {
        var start = 0L;
        foreach (var p in parameters)
        {
            using var piece = flat.narrow(0, start, p.numel());
            start += p.numel();
            yield return piece.view(p.shape);
        }
    }

    private void InMemory(int i, torch.Tensor gradient)
    {
        // A gradient may come transposed from a matrix product; most are contiguous, and this is then no copy.
        using var rows = gradient.contiguous();
        if (parameters[i].dtype == torch.ScalarType.Float64) InMemory<double>(i, 0, Elements<double>(rows));
        else InMemory<float>(i, 0, Elements<float>(rows));
    }

    private static Span<T> Elements<T>(torch.Tensor tensor) where T : unmanaged => MemoryMarshal.Cast<byte, T>(tensor.bytes);

    private void InMemory<T>(int i, int start, ReadOnlySpan<T> g) where T : unmanaged, IFloatingPointIeee754<T>
    {
        var p = Elements<T>(parameters[i]).Slice(start, g.Length);
        var a = first.Length == 0 ? default : Elements<T>(first[i]).Slice(start, g.Length);
        var b = second.Length == 0 ? default : Elements<T>(second[i]).Slice(start, g.Length);
        switch (settings)
        {
            case OptimiserSettings.Sgd s:
                FusedPass.Run(p, g, a, b, new SgdRule<T>(LearningRate, s.Momentum, s.WeightDecay));
                break;
            case OptimiserSettings.Adam s:
                FusedPass.Run(p, g, a, b, new AdamRule<T>(s, LearningRate, StepCount));
                break;
            case OptimiserSettings.Adamax s:
                FusedPass.Run(p, g, a, b, new AdamaxRule<T>(s, LearningRate, StepCount));
                break;
            case OptimiserSettings.RmsProp s:
                FusedPass.Run(p, g, a, b, new RmsPropRule<T>(s, LearningRate));
                break;
        }
    }

    private void Together(IReadOnlyList<(int Index, torch.Tensor Gradient)> present)
    {
        using var recording = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        var p = torch.cat([.. parameters.Select(parameter => parameter.view(-1))]);
        ThroughOperators(p, torch.cat([.. present.Select(one => one.Gradient.reshape(-1))]), wholeFirst, wholeSecond);
        foreach (var (parameter, moved) in parameters.Zip(Cut(p)))
            parameter.copy_(moved);
    }

    private void Apart(int i, torch.Tensor gradient)
    {
        using var recording = torch.no_grad();
        using var scope = torch.NewDisposeScope();
        ThroughOperators(parameters[i], gradient, first.ElementAtOrDefault(i), second.ElementAtOrDefault(i));
    }

    // Moves p in place, and with it the state that the rule has.
    private void ThroughOperators(torch.Tensor p, torch.Tensor gradient, torch.Tensor? first, torch.Tensor? second)
    {
        var g = settings.WeightDecay == 0 ? gradient : gradient + p * settings.WeightDecay;
        switch (settings)
        {
            case OptimiserSettings.Sgd { Momentum: 0 }:
                p.add_(g, -LearningRate);
                break;
            case OptimiserSettings.Sgd s:
                first!.mul_(s.Momentum).add_(g);
                p.add_(first!, -LearningRate);
                break;
            case OptimiserSettings.Adam s:
                first!.mul_(s.Beta1).add_(g, 1 - s.Beta1);
                second!.mul_(s.Beta2).addcmul_(g, g, 1 - s.Beta2);
                var scale = Math.Sqrt(1 - Math.Pow(s.Beta2, StepCount));
                p.addcdiv_(first!, second!.sqrt() / scale + s.Epsilon, -LearningRate / (1 - Math.Pow(s.Beta1, StepCount)));
                break;
            case OptimiserSettings.Adamax s:
                first!.mul_(s.Beta1).add_(g, 1 - s.Beta1);
                second!.copy_((second! * s.Beta2).maximum(g.abs() + s.Epsilon));
                p.addcdiv_(first!, second!, -LearningRate / (1 - Math.Pow(s.Beta1, StepCount)));
                break;
            case OptimiserSettings.RmsProp s:
                first!.mul_(s.Alpha).addcmul_(g, g, 1 - s.Alpha);
                p.addcdiv_(g, first!.sqrt() + s.Epsilon, -LearningRate);
                break;
        }
    }
}
