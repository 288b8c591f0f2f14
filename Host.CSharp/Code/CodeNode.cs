namespace Research.Host;

/// <summary>A piece of code or data that results may depend on, as text with a gap for every other piece it refers to.</summary>
/// <param name="name">What people call a function or a value of a module; null for what has no name of its own.</param>
internal sealed class CodeNode(string? name)
{
    private string? ownDigest;

    public string? Name => name;

    /// <summary>Its own text, in which names of what it refers to do not occur.</summary>
    public string Text { get; set; } = "";

    /// <summary>What stands in the gaps, in order.</summary>
    public IReadOnlyList<CodeNode> References { get; set; } = [];

    /// <summary>Digest of its own text and all that it reaches; null until <see cref="CodeDigest"/> has found it.</summary>
    public string? Digest { get; set; }

    /// <summary>Digest of its own text alone.</summary>
    public string OwnDigest => ownDigest ??= RunCode.Hash(Text);
}
