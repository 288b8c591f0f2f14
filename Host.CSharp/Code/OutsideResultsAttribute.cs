namespace Research.Host;

/// <summary>
/// On a type that decides no result of a run, such as progress or files: <see cref="RunCode"/> stops there, so that a
/// change of it retrains nothing.
/// </summary>
/// <param name="because">Why no result depends on it.</param>
[AttributeUsage(AttributeTargets.Class | AttributeTargets.Struct | AttributeTargets.Interface)]
public sealed class OutsideResultsAttribute(string because) : Attribute
{
    public string Because => because;

    /// <summary>Only what its values hold decides nothing; its code counts.</summary>
    public bool ValuesOnly { get; init; }
}
