using System.Text;

namespace Research.Host;

/// <summary>A piece's text while it is written.</summary>
internal sealed class CodeText
{
    private readonly StringBuilder text = new();
    private readonly List<CodeNode> references = [];

    public CodeText Append(string part)
    {
        text.Append(part);
        return this;
    }

    /// <summary>Leaves a gap for another piece.</summary>
    public CodeText Append(CodeNode reference)
    {
        text.Append('#');
        references.Add(reference);
        return this;
    }

    public void Fill(CodeNode node)
    {
        node.Text = text.ToString();
        node.References = references;
    }
}
