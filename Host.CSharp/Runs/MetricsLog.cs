using System.Globalization;
using System.Text;

namespace Research.Host;

/// <summary>One line of `metrics.csv`.</summary>
/// <param name="Step">Training steps done.</param>
/// <param name="Split">`train`, `validation`, `test` or what the experiment measures on.</param>
/// <param name="Name">The quantity.</param>
/// <param name="Value">In nats per example unless the experiment says otherwise.</param>
public sealed record MetricRow(long Step, string Split, string Name, double Value);

/// <summary>
/// A file of metrics in long form (`step,split,name,value`) that only grows, except that resuming cuts it back
/// to the length that the checkpoint recorded. Values are written so that they read back to the same bits.
/// No wall-clock time goes in: two runs of one key have equal files.
/// </summary>
[OutsideResults("it keeps what it is given")]
public sealed class MetricsLog : IDisposable
{
    private const string Header = "step,split,name,value\n";

    /// <summary>More than the longest training writes, and less than a string can hold.</summary>
    private const long LongestFile = 500_000_000;

    private readonly string path;
    private readonly FileStream stream;
    private readonly StringBuilder pending = new();

    /// <summary>Opens the file at its end, with the header line when it is new.</summary>
    public MetricsLog(string path)
    {
        this.path = path;
        stream = new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.Read);
        stream.Position = stream.Length;
        if (stream.Length == 0)
            pending.Append(Header);
    }

    /// <summary>Bytes that are in the file.</summary>
    public long Length => stream.Length;

    public void Add(long step, string split, string name, double value)
    {
        if (IsUnsafe(split) || IsUnsafe(name))
            throw new ArgumentException($"a metric's split and name hold no comma, quote or line end: {split}, {name}");
        pending.Append(CultureInfo.InvariantCulture, $"{step},{split},{name},{value:R}\n");
    }

    /// <summary>Hands what was added to the system, and to the disk when asked.</summary>
    /// <exception cref="ResearchException">No space left on the disk.</exception>
    public void Flush(bool toDisk = false)
    {
        var start = stream.Position;
        try
        {
            stream.Write(Encoding.UTF8.GetBytes(pending.ToString()));
            stream.Flush(toDisk);
            pending.Clear();
        }
        catch (IOException error) when (Durable.IsDiskFull(error))
        {
            // A part of a line may be in the file; without it the file ends in a whole line again.
            stream.SetLength(start);
            throw Durable.DiskFull(path, error);
        }
    }

    /// <summary>Drops every line after the first <paramref name="length"/> bytes; 0 leaves the header.</summary>
    public void Truncate(long length)
    {
        pending.Clear();
        stream.SetLength(length);
        stream.Position = length;
        if (length == 0)
            pending.Append(Header);
        Flush();
    }

    public void Dispose()
    {
        try
        {
            Flush();
        }
        finally
        {
            stream.Dispose();
        }
    }

    /// <summary>Reads the rows of a file. A last line without its end, left by a kill, is not a row.</summary>
    public static IReadOnlyList<MetricRow> Read(InputFile file)
    {
        var lines = file.ReadText(LongestFile).Split('\n')[..^1];
        return [.. lines.Skip(1).Select((line, index) => Parse(line)
            ?? throw file.Refuse($"line {index + 2} is not `step,split,name,value`"))];
    }

    private static MetricRow? Parse(string line) =>
        line.Split(',') is [var step, var split, var name, var value]
        && long.TryParse(step, NumberStyles.Integer, CultureInfo.InvariantCulture, out var number)
        && double.TryParse(value, NumberStyles.Float, CultureInfo.InvariantCulture, out var real)
            ? new(number, split, name, real)
            : null;

    private static bool IsUnsafe(string text) => text.AsSpan().IndexOfAny(",\"\r\n") >= 0;
}
