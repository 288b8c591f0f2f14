using System.Security.Cryptography;
using System.Text;

namespace Research.Host;

/// <summary>
/// The code that a run's results depend on: the compiled bodies that its work reaches, with the values that it captured.
/// Names of functions do not count, nor does where they stand: moving, renaming, commenting and formatting change no
/// digest, a constant in a reached function does. (F# orders the variables of a pattern by their names: a renaming that
/// changes that order counts.) What a run reaches is what it might call: all cases of a match that it
/// contains, but only those functions among many that it was given as values.
/// </summary>
[OutsideResults("it tells what decides results")]
public sealed class RunCode
{
    /// <summary>The name among <see cref="Functions"/> of the values that the work itself has captured.</summary>
    public const string Captured = "captured values";

    // What was read once stays: the runs of a plan share most of their code.
    private static readonly CodeReader Reader = new();

    private readonly Lazy<IReadOnlyDictionary<string, string>> functions;

    /// <summary>Code that is known by its digests.</summary>
    public RunCode(string digest, IReadOnlyDictionary<string, string> functions)
        : this(digest, new Lazy<IReadOnlyDictionary<string, string>>(functions))
    {
    }

    private RunCode(string digest, Lazy<IReadOnlyDictionary<string, string>> functions)
    {
        Digest = digest;
        this.functions = functions;
    }

    /// <summary>16 hexadecimal digits of SHA-256 over the reached bodies and values.</summary>
    public string Digest { get; }

    /// <summary>
    /// The digest of each reached body, or value of a module, by its name: what tells which of them changed since. Found
    /// when it is asked for: a plan of many runs wants most of them for their digest alone.
    /// </summary>
    public IReadOnlyDictionary<string, string> Functions => functions.Value;

    /// <summary>The code that a run's work reaches.</summary>
    /// <exception cref="NotSupportedException">
    /// The work has captured, or reads from a static field, a value whose content cannot be told, such as a lazy value
    /// or a dictionary; the message names it.
    /// </exception>
    public static RunCode Of(Delegate work)
    {
        lock (Reader)
        {
            var root = Reader.Read(work);
            return new(CodeDigest.Of(root), new Lazy<IReadOnlyDictionary<string, string>>(() => Named(root)));
        }
    }

    internal static string Hash(string text) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];

    // Several closures of one function share its name and are taken together.
    private static SortedDictionary<string, string> Named(CodeNode root)
    {
        var reached = new HashSet<CodeNode> { root };
        var open = new Queue<CodeNode>(reached);
        while (open.TryDequeue(out var node))
            foreach (var next in node.References)
                if (reached.Add(next))
                    open.Enqueue(next);
        var named =
            from node in reached
            where node.Name is not null
            group node.OwnDigest by node.Name;
        return new(
            named.ToDictionary(
                group => group.Key,
                group => group.Skip(1).Any() ? Hash(string.Join(' ', group.Order(StringComparer.Ordinal))) : group.First()),
            StringComparer.Ordinal);
    }
}
