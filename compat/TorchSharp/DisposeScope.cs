namespace TorchSharp;

using Tensor = torch.Tensor;

/// <summary>
/// Frees, when disposed, every tensor made on this OS thread since it was opened, except those moved
/// out or detached. Scopes nest; a training loop opens one a step, since the garbage collector sees
/// only the small managed side of a tensor and would run far too late.
/// </summary>
public sealed class DisposeScope : IDisposable
{
    [ThreadStatic] private static DisposeScope? current;

    private readonly DisposeScope? outer;
    private readonly List<Tensor> tensors = [];

    internal DisposeScope()
    {
        outer = current;
        current = this;
    }

    internal static DisposeScope? Current => current;

    internal void Add(Tensor t)
    {
        t.Scope = this;
        tensors.Add(t);
    }

    /// <summary>Hands the tensors to the enclosing scope, or to nobody if there is none.</summary>
    public T MoveToOuter<T>(T value) where T : IDisposable
    {
        if (value is Tensor t) Move(t);
        return value;
    }

    internal void Move(Tensor t)
    {
        t.Scope = null;
        outer?.Add(t);
    }

    /// <summary>The tensor lives until it is disposed or collected.</summary>
    public T Detach<T>(T value) where T : IDisposable
    {
        if (value is Tensor t) t.Scope = null;
        return value;
    }

    /// <summary>How many live tensors this scope would free now.</summary>
    public int DisposablesCount => tensors.Count(t => t.Scope == this && !t.IsInvalid);

    public void DisposeEverything()
    {
        // A tensor that left the scope still stands in the list; its Scope says so.
        Tensor.DisposeAll(tensors, this);
        tensors.Clear();
    }

    public void Dispose()
    {
        DisposeEverything();
        if (current == this) current = outer;
    }
}

public static partial class torch
{
    public static DisposeScope NewDisposeScope() => new();
}
