using System.Collections;
using System.Collections.Concurrent;
using System.Globalization;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;
using TorchSharp;

namespace Research.Host;

/// <summary>Writes captured and static values, structurally; functions among them lead to their code.</summary>
internal sealed class ValueText(CodeReader code, CodeText text)
{
    private readonly Dictionary<object, int> seen = new(ReferenceEqualityComparer.Instance);

    /// <summary>Writes a value.</summary>
    /// <param name="value">What was captured.</param>
    /// <param name="where">Whose value it is, for the message.</param>
    /// <exception cref="NotSupportedException">Its content cannot be told.</exception>
    public void Write(object? value, string where)
    {
        if (Simple(value) is { } simple)
            text.Append(simple);
        else if (!value!.GetType().IsValueType && seen.TryGetValue(value, out var number))
            text.Append($"value {number}");
        else
        {
            seen[value] = seen.Count;
            WriteContent(value, where);
        }
    }

    private static string? Simple(object? value) => value switch
    {
        null => "null",
        string text => $"\"{text}\"",
        double or float => ((IFormattable)value).ToString("R", CultureInfo.InvariantCulture),
        Enum => $"{CodeReader.Name(value.GetType())} {Convert.ToInt64(value, CultureInfo.InvariantCulture)}",
        Type type => CodeReader.Name(type),
        IConvertible simple => simple.ToString(CultureInfo.InvariantCulture),
        // The kind of device is a part of the engine, which a key holds.
        torch.Device => "device",
        // What is interrupted and resumed has the same bits.
        CancellationToken or CancellationTokenSource => "cancellation",
        _ => CodeReader.MarkOf(value.GetType()) is null ? null : "outside",
    };

    private void WriteContent(object value, string where)
    {
        var type = value.GetType();
        switch (value)
        {
            case torch.Tensor tensor:
                using (var flat = tensor.detach().cpu().contiguous())
                    text.Append($"tensor {tensor.dtype} [{string.Join(',', tensor.shape)}] {RunCode.Hash(Convert.ToHexString(flat.bytes))}");
                return;
            case Delegate function:
                code.Write(function.Method, text);
                text.Append(" on ");
                Write(function.Target, where);
                return;
            case Array or ITuple:
            case not null when IsSequence(type):
                text.Append("[");
                foreach (var element in Elements(value))
                {
                    Write(element, where);
                    text.Append(", ");
                }
                text.Append("]");
                return;
        }
        if (!CodeReader.IsOwn(type) && !IsPair(type) && type.Namespace?.StartsWith("Microsoft.FSharp", StringComparison.Ordinal) != true)
            throw new NotSupportedException(
                $"the key of a run cannot hold the {type.Name} in {where}: capture what is read from it instead, or "
                + "mark the type that holds it as outside the results.");
        text.Append(CodeReader.Name(type)).Append(code.Instance(type)).Append("{");
        foreach (var field in InstanceFields(type))
        {
            Write(field.GetValue(value), $"{field.Name} of {where}");
            text.Append("; ");
        }
        text.Append("}");
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
    public static FieldInfo[] InstanceFields(Type type) => Fields.GetOrAdd(type, type =>
    {
        const BindingFlags own =
            BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Public | BindingFlags.NonPublic;
        FieldInfo[] declared = [.. type.GetFields(own).OrderBy(field => field.MetadataToken)];
        return type.BaseType is { } parent && parent != typeof(object) ? [.. InstanceFields(parent), .. declared] : declared;
    });

    /// <summary>The constants of an array literal, as they lie in the library.</summary>
    public static string Bytes(FieldInfo field)
    {
        var bytes = new byte[Marshal.SizeOf(field.FieldType)];
        RuntimeHelpers.InitializeArray(bytes, field.FieldHandle);
        return RunCode.Hash(Convert.ToHexString(bytes));
    }

    private static readonly ConcurrentDictionary<Type, FieldInfo[]> Fields = new();
}
