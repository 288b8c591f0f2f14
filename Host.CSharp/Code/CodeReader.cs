using System.Collections.Concurrent;
using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text.RegularExpressions;

namespace Research.Host;

/// <summary>
/// Reads the bodies of this project that a delegate and its captured values can reach. Methods are told apart by what
/// they do; types of the project by their name without its surroundings, since the cases of a union may look alike.
/// </summary>
internal sealed partial class CodeReader
{
    private const BindingFlags Declared =
        BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    private readonly Dictionary<(Module, int), CodeNode> members = [];
    private readonly Dictionary<Type, CodeNode> instances = [];
    private readonly Queue<Action> open = new();

    /// <summary>The work with all that it reaches.</summary>
    public CodeNode Read(Delegate work)
    {
        try
        {
            var root = new CodeNode(RunCode.Captured);
            var text = new CodeText();
            new ValueText(this, text).Write(work, "the run's work");
            text.Fill(root);
            while (open.TryDequeue(out var next))
                next();
            return root;
        }
        catch
        {
            // A piece that was announced and not read must not be taken for an empty one by the next walk.
            open.Clear();
            members.Clear();
            instances.Clear();
            throw;
        }
    }

    /// <summary>Whether the code belongs to this project or to a script that stands on it.</summary>
    public static bool IsOwn(Type type) => Own.GetOrAdd(type.Assembly, assembly =>
        assembly == typeof(CodeReader).Assembly
        || assembly.GetReferencedAssemblies().Any(name => name.Name is "Research.Core" or "Research.Host")
        || assembly.GetName().Name == "Research.Core");

    /// <summary>The type's mark, or that of the type around it.</summary>
    public static OutsideResultsAttribute? MarkOf(Type type) => Marks.GetOrAdd(type, type =>
        type.GetCustomAttribute<OutsideResultsAttribute>() ?? (type.DeclaringType is { } outer ? MarkOf(outer) : null));

    /// <summary>Whether the code of the type is read.</summary>
    public static bool IsRead(Type type) => IsOwn(type) && MarkOf(type) is null or { ValuesOnly: true };

    /// <summary>A type as text.</summary>
    public static string Name(Type type) => Names.GetOrAdd(type, type =>
    {
        if (type.IsGenericParameter)
            return $"!{type.GenericParameterPosition}";
        if (type.HasElementType)
            return $"{Name(type.GetElementType()!)}{(type.IsArray ? $"[{type.GetArrayRank()}]" : type.IsByRef ? "&" : "*")}";
        var arguments = type.IsGenericType ? $"<{string.Join(',', type.GetGenericArguments().Select(Name))}>" : "";
        if (!IsOwn(type))
            return (type.IsGenericType ? type.GetGenericTypeDefinition() : type).FullName + arguments;
        // Closures and what holds the captured variables of C# are numbered through the file.
        return (Generated().IsMatch(type.Name) ? "closure" : type.Name) + arguments;
    });

    /// <summary>The values of a type: whatever of it may be called through a base type is reached.</summary>
    public CodeNode Instance(Type type)
    {
        var definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        if (instances.TryGetValue(definition, out var known))
            return known;
        var node = instances[definition] = new(null);
        if (IsRead(definition))
            open.Enqueue(() => ReadOverrides(definition, node));
        return node;
    }

    /// <summary>Writes a method, by what it does or, outside of this project, by its name.</summary>
    public void Write(MethodBase method, CodeText text)
    {
        if (method.DeclaringType is { } owner && IsRead(owner))
            text.Append(owner.IsGenericType ? Name(owner) : "").Append(Body(Definition(method)));
        else
            text.Append(Signature(method));
        if (method.IsGenericMethod)
            text.Append($"<{string.Join(',', method.GetGenericArguments().Select(Name))}>");
    }

    private static string Signature(MethodBase method) => Signatures.GetOrAdd(method, method =>
        $"{(method.DeclaringType is { } owner ? Name(owner) : "")}::{method.Name}({string.Join(',', method.GetParameters().Select(p => Name(p.ParameterType)))})");

    private static MethodBase Definition(MethodBase method)
    {
        if (method is MethodInfo { IsGenericMethod: true } generic)
            method = generic.GetGenericMethodDefinition();
        return method.DeclaringType is { IsGenericType: true, IsGenericTypeDefinition: false } closed
            ? MethodBase.GetMethodFromHandle(method.MethodHandle, closed.GetGenericTypeDefinition().TypeHandle)!
            : method;
    }

    private CodeNode Body(MethodBase method)
    {
        if (members.TryGetValue((method.Module, method.MetadataToken), out var known))
            return known;
        var node = new CodeNode(Readable(method));
        members[(method.Module, method.MetadataToken)] = node;
        open.Enqueue(() => ReadBody(method, node));
        return node;
    }

    private void ReadOverrides(Type type, CodeNode node)
    {
        var text = new CodeText();
        var overrides = type.GetMethods(Declared)
            // Equality and printing that the compiler wrote decide no result.
            .Where(method => method.IsVirtual && method.GetCustomAttribute<CompilerGeneratedAttribute>() is null
                && method.Name is not ("ToString" or "Equals" or "GetHashCode" or "CompareTo"))
            .OrderBy(method => method.Name, StringComparer.Ordinal)
            .ThenBy(Signature, StringComparer.Ordinal);
        foreach (var method in overrides)
        {
            text.Append(method.Name).Append(" is ");
            Write(method, text);
        }
        // What it inherits may be called too.
        if (type.BaseType is { } parent && IsOwn(parent))
            text.Append(Instance(parent));
        text.Fill(node);
    }

    private void ReadBody(MethodBase method, CodeNode node)
    {
        var text = new CodeText();
        // What is called through its slot, or lies in another library, is told apart by its name.
        if (method.IsVirtual || method.GetMethodBody() is null)
            text.Append(method.Name).Append(" ");
        foreach (var parameter in method.GetParameters())
            text.Append(Name(parameter.ParameterType)).Append(" ");
        if (method.GetMethodBody() is { } body)
        {
            foreach (var local in body.LocalVariables)
                text.Append(Name(local.LocalType)).Append(" ");
            foreach (var clause in body.ExceptionHandlingClauses)
                text.Append(clause.Flags.ToString()).Append(" ");
        }
        foreach (var (operation, operand) in WithoutPlaces(Instructions.Of(method)))
        {
            text.Append("\n").Append(operation).Append(" ");
            WriteOperand(operation, operand, text);
        }
        text.Fill(node);
    }

    private void WriteOperand(string operation, object? operand, CodeText text)
    {
        switch (operand)
        {
            case MethodBase method:
                Write(method, text);
                if (operation == "newobj" && IsRead(method.DeclaringType!))
                    text.Append(Instance(method.DeclaringType!));
                break;
            case FieldInfo { IsStatic: true } field when IsRead(field.DeclaringType!) && !IsCache(field):
                text.Append(Static(field));
                break;
            case FieldInfo field:
                text.Append($"{Name(field.DeclaringType!)}.{Number(field)} {Name(field.FieldType)}");
                break;
            case Type type:
                text.Append(Name(type));
                break;
            default:
                text.Append(operand as string ?? "");
                break;
        }
    }

    // C# keeps a delegate that captures nothing in a static field from its first use on, that of a named method in the
    // nested type <>O.
    private static bool IsCache(FieldInfo field) =>
        field.Name.StartsWith("<>", StringComparison.Ordinal) || field.DeclaringType?.Name == "<>O";

    private static string Number(FieldInfo field) =>
        field.DeclaringType is { } owner && IsOwn(owner) && !field.IsStatic
            ? Array.FindIndex(ValueText.InstanceFields(owner), other => other.MetadataToken == field.MetadataToken).ToString()
            : IsCache(field) ? "cache" : field.Name;

    // A value of a module: what it holds counts, not how it was computed.
    private CodeNode Static(FieldInfo field)
    {
        if (members.TryGetValue((field.Module, field.MetadataToken), out var known))
            return known;
        var name = Readable(field);
        var node = members[(field.Module, field.MetadataToken)] = new(name);
        open.Enqueue(() =>
        {
            var text = new CodeText().Append(Name(field.FieldType)).Append(" ");
            if (field.Attributes.HasFlag(FieldAttributes.HasFieldRVA))
                text.Append(ValueText.Bytes(field));
            // The one value of a generic function, which cannot be read without its type arguments and holds nothing.
            else if (field.DeclaringType!.ContainsGenericParameters)
                text.Append(Instance(field.FieldType));
            else
                new ValueText(this, text).Write(field.GetValue(null), name ?? field.Name);
            text.Fill(node);
        });
        return node;
    }

    // An incomplete match carries its file, line and column.
    private static IEnumerable<Instruction> WithoutPlaces(IReadOnlyList<Instruction> instructions)
    {
        var places = new HashSet<int>();
        for (var i = 3; i < instructions.Count; i++)
            if (instructions[i].Operand is ConstructorInfo { DeclaringType.Name: "MatchFailureException" })
                places.UnionWith([i - 3, i - 2, i - 1]);
        return instructions.Select((instruction, i) => places.Contains(i) ? new("place", null) : instruction);
    }

    // By the names of the sources: what the compilers make of a function goes by that function's name.
    private static string? Readable(MemberInfo member)
    {
        // Of a type that the compiler made for its own use there is nothing to say.
        if (member.DeclaringType is { DeclaringType: null } type && type.Name.StartsWith('<') && !type.Name.StartsWith("<Startup"))
            return null;
        var name = $"{member.DeclaringType?.FullName}.{member.Name}";
        name = StartupCode().Replace(name, "");
        name = FSharpClosure().Replace(name, "");
        name = CSharpClosure().Replace(name, ".$1");
        name = Decoration().Replace(name.Replace('+', '.'), "");
        return name.StartsWith("Research.", StringComparison.Ordinal) ? name["Research.".Length..] : name;
    }

    [GeneratedRegex(@"^<StartupCode\$[^>]*>\.\$")]
    private static partial Regex StartupCode();

    [GeneratedRegex("@[0-9].*$")]
    private static partial Regex FSharpClosure();

    [GeneratedRegex(@"(?:\+<>[^.]*)?\.<([^>]+)>[bg]__.*$")]
    private static partial Regex CSharpClosure();

    [GeneratedRegex(@"`[0-9]+|Module(?=\.)|(?<=\.)[gs]et_|\.\.c?ctor$|(?<=\.)<(?=\w+>k__)|>k__BackingField$")]
    private static partial Regex Decoration();

    [GeneratedRegex("^<>c|@")]
    private static partial Regex Generated();

    private static readonly ConcurrentDictionary<Assembly, bool> Own = new();
    private static readonly ConcurrentDictionary<Type, OutsideResultsAttribute?> Marks = new();
    private static readonly ConcurrentDictionary<Type, string> Names = new();
    private static readonly ConcurrentDictionary<MethodBase, string> Signatures = new();
}
