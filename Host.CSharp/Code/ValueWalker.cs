using System.Collections;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using System.Text;
using TorchSharp;

namespace Research.Host;

/// <summary>Captured and static values as text, structurally; functions among them lead the walk to their code.</summary>
internal sealed class ValueWalker(CodeWalker code)
{
    private readonly Dictionary<object, int> seen = new(ReferenceEqualityComparer.Instance);

    /// <summary>The value as text.</summary>
    /// <param name="value">What was captured.</param>
    /// <param name="where">Whose value it is, for the message.</param>
    /// <exception cref="NotSupportedException">Its content cannot be told.</exception>
    public string Describe(object? value, string where)
    {
        switch (value)
        {
            case null:
                return "null";
            case string text:
                return $"\"{text}\"";
            case double or float:
                return ((IFormattable)value).ToString("R", CultureInfo.InvariantCulture);
            case Enum:
                return $"{code.Name(value.GetType())} {Convert.ToInt64(value, CultureInfo.InvariantCulture)}";
            case Type type:
                return code.Name(type);
            case IConvertible simple:
                return simple.ToString(CultureInfo.InvariantCulture);
        }
        if (CodeWalker.IsOutside(value.GetType()))
            return "outside";
        if (!value.GetType().IsValueType)
        {
            if (seen.TryGetValue(value, out var number))
                return $"value {number}";
            seen[value] = seen.Count;
        }
        return Content(value, where);
    }

    private string Content(object value, string where)
    {
        var type = value.GetType();
        switch (value)
        {
            case torch.Tensor tensor:
                using (var flat = tensor.detach().cpu().contiguous())
                    return $"tensor {tensor.dtype} [{string.Join(',', tensor.shape)}] {RunCode.Hash(Convert.ToHexString(flat.bytes))}";
            case Delegate function:
                return $"{code.Name(function.Method)} on {Describe(function.Target, where)}";
            case Array or ITuple:
            case not null when IsSequence(type):
                return $"[{string.Join(", ", Elements(value).Select(element => Describe(element, where)))}]";
        }
        if (!CodeWalker.IsOwn(type) && !IsPair(type) && type.Namespace?.StartsWith("Microsoft.FSharp", StringComparison.Ordinal) != true)
            throw new NotSupportedException(
                $"the key of a run cannot hold the {type.Name} in {where}: capture what is read from it instead, or "
                + "mark the type that holds it as outside the results.");
        code.Instantiate(type);
        var text = new StringBuilder(code.Name(type)).Append('{');
        foreach (var field in InstanceFields(type))
            text.Append(Describe(field.GetValue(value), $"{field.Name} of {where}")).Append("; ");
        return text.Append('}').ToString();
    }

    private static IEnumerable<object?> Elements(object value)
    {
        if (value is not ITuple tuple)
            return ((IEnumerable)value).Cast<object?>();
        return Enumerable.Range(0, tuple.Length).Select(i => tuple[i]);
    }

    // F#'s lists, maps and sets, and the framework's lists: their order is part of their value.
    private static bool IsSequence(Type type) =>
        type.IsGenericType
        && type.GetGenericTypeDefinition().FullName is
            "Microsoft.FSharp.Collections.FSharpList`1" or "Microsoft.FSharp.Collections.FSharpMap`2"
            or "Microsoft.FSharp.Collections.FSharpSet`1" or "System.Collections.Generic.List`1";

    private static bool IsPair(Type type) =>
        type.IsGenericType && type.GetGenericTypeDefinition() == typeof(KeyValuePair<,>);

    /// <summary>The fields of a type's values, its base types' first.</summary>
    public static FieldInfo[] InstanceFields(Type type)
    {
        const BindingFlags own =
            BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        return type.BaseType is { } parent && parent != typeof(object)
            ? [.. InstanceFields(parent), .. type.GetFields(own)]
            : type.GetFields(own);
    }

    /// <summary>The constants of an array literal, as they lie in the library.</summary>
    public static string Bytes(FieldInfo field)
    {
        var bytes = new byte[Marshal.SizeOf(field.FieldType)];
        RuntimeHelpers.InitializeArray(bytes, field.FieldHandle);
        return RunCode.Hash(Convert.ToHexString(bytes));
    }
}
