using TorchSharp;

namespace Research.Host;

/// <summary>
/// Gradients of a loss by a backward pass that reports its errors. An error inside `torch.autograd.grad` ends the
/// process, and all runs in it; `torch.autograd.backward` hands it over as an exception.
/// </summary>
public static class Gradients
{
    /// <summary>
    /// The gradients of a sum of terms by each parameter; null where a parameter has no part in it and that is allowed.
    /// </summary>
    /// <param name="terms">Computes the named terms, each one number. Called again only to name the one that failed.</param>
    /// <param name="parameters">Leaves that require a gradient.</param>
    /// <param name="allowUnused">False raises when a parameter has no part in the sum.</param>
    /// <returns>The terms and their sum's gradients, in the order of the parameters.</returns>
    /// <exception cref="ResearchException">
    /// A term has more than one element, does not depend on any parameter, or fails in its backward pass; a parameter
    /// has no part in the sum.
    /// </exception>
    public static (IReadOnlyList<(string Name, torch.Tensor Value)> Terms, torch.Tensor?[] Gradients) Of(
        Func<IReadOnlyList<(string Name, torch.Tensor Value)>> terms,
        IReadOnlyList<(string Name, torch.Tensor Tensor)> parameters,
        bool allowUnused = false)
    {
        var values = terms();
        foreach (var (name, value) in values)
            Check(name, value);
        var leaves = parameters.Select(parameter => parameter.Tensor).ToArray();
        try
        {
            // The gradient of a sum is the sum of the gradients: one pass over all terms, none built for their sum.
            torch.autograd.backward([.. values.Select(term => term.Value)], inputs: leaves);
        }
        catch (Exception error) when (error is not ResearchException)
        {
            Clear(leaves);
            var sentence = values is [var (only, _)] ? Failed(only, error) : Blame(terms(), leaves, error);
            throw new ResearchException(sentence, ResearchException.RunFailed, error);
        }
        var gradients = new torch.Tensor?[leaves.Length];
        for (var i = 0; i < leaves.Length; i++)
        {
            gradients[i] = leaves[i].grad;
            leaves[i].grad = null;
        }
        if (!allowUnused && Array.FindIndex(gradients, gradient => gradient is null) is >= 0 and var unused)
            throw new ResearchException(
                $"the parameter '{parameters[unused].Name}' has no part in the loss "
                + $"({string.Join(" + ", values.Select(term => term.Name))}).");
        return (values, gradients);
    }

    private static void Check(string name, torch.Tensor value)
    {
        if (value.numel() != 1)
            throw new ResearchException(
                $"the term '{name}' has the shape [{string.Join(", ", value.shape)}]; a term of a loss is one number.");
        if (!value.requires_grad)
            throw new ResearchException(
                $"the term '{name}' has no gradient: no differentiable operation connects it with a parameter.");
    }

    // The graph of a failed pass is partly gone: each term is tried on a new one.
    private static string Blame(
        IReadOnlyList<(string Name, torch.Tensor Value)> terms, torch.Tensor[] leaves, Exception error)
    {
        foreach (var (name, value) in terms)
            try
            {
                torch.autograd.backward([value], retain_graph: true, inputs: leaves);
            }
            catch (Exception own)
            {
                return Failed(name, own);
            }
            finally
            {
                Clear(leaves);
            }
        return $"the gradient of the loss failed: {Sentence.Of(error)}";
    }

    private static string Failed(string term, Exception error) =>
        $"the gradient of the term '{term}' failed: {Sentence.Of(error)}";

    private static void Clear(torch.Tensor[] leaves)
    {
        foreach (var leaf in leaves)
            leaf.grad = null;
    }
}
