using System.Security.Cryptography;
using System.Text;

namespace Research.Host;

/// <summary>
/// The code that a run's results depend on: the compiled bodies that its work reaches, with the values that it captured.
/// Names do not count: moving, renaming, commenting and formatting change no digest, a constant in a reached function
/// does. What a run reaches is what it might call: all cases of a match that it contains, but only those functions among
/// many that it was given as values.
/// </summary>
/// <param name="Digest">16 hexadecimal digits of SHA-256 over the reached bodies and values.</param>
/// <param name="Functions">
/// The digest of each reached body by the function's name: what tells which functions changed since.
/// </param>
public sealed record RunCode(string Digest, IReadOnlyDictionary<string, string> Functions)
{
    /// <summary>The code that a run's work reaches.</summary>
    /// <exception cref="NotSupportedException">
    /// The work has captured, or reads from a static field, a value whose content cannot be told, such as a lazy value
    /// or a dictionary; the message names it.
    /// </exception>
    public static RunCode Of(Delegate work) => new CodeWalker().Walk(work);

    internal static string Hash(string text) =>
        Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(text)))[..16];
}
