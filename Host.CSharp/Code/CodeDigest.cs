namespace Research.Host;

/// <summary>
/// Digests of pieces of code with all that they reach. A piece's digest stands on those of what it refers to; pieces that
/// refer to each other in a circle are taken together (Tarjan's strongly connected components).
/// </summary>
internal sealed class CodeDigest
{
    private readonly Dictionary<CodeNode, int> lowest = [];
    private readonly Stack<CodeNode> path = new();
    private readonly HashSet<CodeNode> onPath = [];

    /// <summary>The digest of a piece; it and all that it reaches have one afterwards.</summary>
    public static string Of(CodeNode node)
    {
        if (node.Digest is null)
            new CodeDigest().Visit(node);
        return node.Digest!;
    }

    private void Visit(CodeNode node)
    {
        var number = lowest.Count;
        lowest[node] = number;
        path.Push(node);
        onPath.Add(node);
        foreach (var next in node.References)
        {
            if (next.Digest is not null)
                continue;
            if (!lowest.ContainsKey(next))
                Visit(next);
            if (onPath.Contains(next))
                lowest[node] = Math.Min(lowest[node], lowest[next]);
        }
        if (lowest[node] == number)
            Settle(Pop(node));
    }

    private List<CodeNode> Pop(CodeNode root)
    {
        var circle = new List<CodeNode>();
        do
        {
            circle.Add(path.Pop());
            onPath.Remove(circle[^1]);
        }
        while (circle[^1] != root);
        return circle;
    }

    // Each round tells pieces of a circle apart by what they reach one step further on, wherever the walk entered it.
    private static void Settle(List<CodeNode> circle)
    {
        var digests = circle.ToDictionary(node => node, _ => "");
        var isCircle = circle.Count > 1 || circle[0].References.Contains(circle[0]);
        for (var round = 0; round <= (isCircle ? circle.Count : 0); round++)
            digests = circle.ToDictionary(node => node, node => RunCode.Hash(
                string.Join('\n', [node.Text, .. node.References.Select(next => next.Digest ?? digests[next])])));
        foreach (var (node, digest) in digests)
            node.Digest = digest;
    }
}
