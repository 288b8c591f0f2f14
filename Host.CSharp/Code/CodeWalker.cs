using System.Reflection;
using System.Runtime.CompilerServices;
using System.Text;
using System.Text.RegularExpressions;

namespace Research.Host;

/// <summary>
/// Walks from a delegate through its captured values and through every body of this project that these can reach. Each
/// method and type of the project is named by the order in which the walk meets it, so that its own name does not count.
/// </summary>
internal sealed partial class CodeWalker
{
    private const BindingFlags Declared =
        BindingFlags.DeclaredOnly | BindingFlags.Instance | BindingFlags.Static | BindingFlags.Public | BindingFlags.NonPublic;

    private readonly StringBuilder text = new();
    private readonly Dictionary<MethodBase, int> methods = [];
    private readonly Dictionary<Type, int> types = [];
    private readonly HashSet<Type> instantiated = [];
    private readonly HashSet<FieldInfo> statics = [];
    private readonly Queue<Action> open = new();
    private readonly SortedDictionary<string, string> functions = new(StringComparer.Ordinal);
    private readonly ValueWalker values;

    public CodeWalker() => values = new(this);

    public RunCode Walk(Delegate work)
    {
        text.Append(Value(work, "the run's work"));
        while (open.TryDequeue(out var next))
            next();
        return new(RunCode.Hash(text.ToString()), functions);
    }

    /// <summary>Whether the code belongs to this project or to a script that stands on it.</summary>
    public static bool IsOwn(Type type) => Own.GetOrAdd(type.Assembly, assembly =>
        assembly == typeof(CodeWalker).Assembly
        || assembly.GetReferencedAssemblies().Any(name => name.Name is "Research.Core" or "Research.Host")
        || assembly.GetName().Name == "Research.Core");

    /// <summary>Whether no result depends on the type.</summary>
    public static bool IsOutside(Type type) =>
        type.GetCustomAttribute<OutsideResultsAttribute>() is not null
        || (type.DeclaringType is { } outer && IsOutside(outer));

    /// <summary>A type as the walk names it.</summary>
    public string Name(Type type)
    {
        if (type.IsGenericParameter)
            return $"!{type.GenericParameterPosition}";
        if (type.HasElementType)
            return $"{Name(type.GetElementType()!)}{(type.IsArray ? $"[{type.GetArrayRank()}]" : type.IsByRef ? "&" : "*")}";
        var arguments = type.IsGenericType ? $"<{string.Join(',', type.GetGenericArguments().Select(Name))}>" : "";
        var definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        if (!IsOwn(definition) || IsOutside(definition))
            return definition.FullName + arguments;
        if (!types.TryGetValue(definition, out var number))
        {
            types[definition] = number = types.Count;
            open.Enqueue(() => Shape(definition, number));
        }
        return $"type {number}{arguments}";
    }

    /// <summary>A type of which there are values: whatever of it may be called through a base type is reached.</summary>
    public void Instantiate(Type type)
    {
        var definition = type.IsGenericType ? type.GetGenericTypeDefinition() : type;
        if (!IsOwn(definition) || IsOutside(definition) || !instantiated.Add(definition))
            return;
        var overrides = definition.GetMethods(Declared)
            // Equality and printing that the compiler wrote decide no result.
            .Where(method => method.IsVirtual && method.GetCustomAttribute<CompilerGeneratedAttribute>() is null
                && method.Name is not ("ToString" or "Equals" or "GetHashCode" or "CompareTo"))
            .OrderBy(method => Readable(method.Name), StringComparer.Ordinal)
            .ThenBy(method => method.GetParameters().Length);
        foreach (var method in overrides)
            text.Append(Name(definition)).Append(" overrides ").Append(Name(method)).Append('\n');
    }

    /// <summary>A method as the walk names it.</summary>
    public string Name(MethodBase method)
    {
        var declaring = method.DeclaringType;
        if (declaring is null || !IsOwn(declaring) || IsOutside(declaring))
            return $"{(declaring is null ? "" : Name(declaring))}::{method.Name}({string.Join(',', method.GetParameters().Select(p => Name(p.ParameterType)))})"
                + Arguments(method);
        var definition = Definition(method);
        if (!methods.TryGetValue(definition, out var number))
        {
            methods[definition] = number = methods.Count;
            open.Enqueue(() => Body(definition, number));
        }
        var owner = declaring.IsGenericType ? Name(declaring) : "";
        return $"{owner}method {number}{Arguments(method)}";
    }

    /// <summary>A captured or static value as text.</summary>
    public string Value(object? value, string where) => values.Describe(value, where);

    private string Arguments(MethodBase method) =>
        method.IsGenericMethod ? $"<{string.Join(',', method.GetGenericArguments().Select(Name))}>" : "";

    private static MethodBase Definition(MethodBase method)
    {
        if (method is MethodInfo { IsGenericMethod: true } generic)
            method = generic.GetGenericMethodDefinition();
        return method.DeclaringType is { IsGenericType: true, IsGenericTypeDefinition: false } closed
            ? MethodBase.GetMethodFromHandle(method.MethodHandle, closed.GetGenericTypeDefinition().TypeHandle)!
            : method;
    }

    // Numbers the fields rather than naming them.
    private void Shape(Type type, int number)
    {
        text.Append($"type {number}: ").Append(type.BaseType is { } parent ? Name(parent) : "");
        if (type.IsEnum)
            text.Append(string.Join(',', type.GetEnumValuesAsUnderlyingType().Cast<object>()));
        else
            foreach (var field in ValueWalker.InstanceFields(type))
                text.Append(' ').Append(Name(field.FieldType));
        text.Append('\n');
    }

    private void Body(MethodBase method, int number)
    {
        var body = new StringBuilder();
        foreach (var parameter in method.GetParameters())
            body.Append(Name(parameter.ParameterType)).Append(' ');
        if (method.GetMethodBody() is { } compiled)
        {
            foreach (var local in compiled.LocalVariables)
                body.Append(Name(local.LocalType)).Append(' ');
            foreach (var clause in compiled.ExceptionHandlingClauses)
                body.Append(clause.Flags).Append(' ');
        }
        body.Append('\n');
        var own = new StringBuilder(body.ToString());
        foreach (var (operation, operand) in WithoutPlaces(Instructions.Of(method)))
        {
            body.Append(operation).Append(' ').Append(Operand(operation, operand, method)).Append('\n');
            own.Append(operation).Append(' ').Append(operand as string ?? "").Append('\n');
        }
        text.Append($"method {number}:\n").Append(body);
        Remember(method, own.ToString());
    }

    // By name for people; several closures of one function share it and are taken together.
    private void Remember(MethodBase method, string body)
    {
        var name = Readable($"{method.DeclaringType?.FullName}.{method.Name}");
        var digest = RunCode.Hash(body);
        functions[name] = functions.TryGetValue(name, out var known) ? RunCode.Hash(known + digest) : digest;
    }

    private string Operand(string operation, object? operand, MethodBase within)
    {
        switch (operand)
        {
            case MethodBase method:
                if (operation == "newobj")
                    Instantiate(method.DeclaringType!);
                return Name(method);
            case FieldInfo { IsStatic: true } field when field.DeclaringType is { } owner && IsOwn(owner) && !IsOutside(owner):
                return Static(field, within);
            case FieldInfo field:
                return $"{Name(field.DeclaringType!)}.{Number(field)}";
            case Type type:
                return Name(type);
            default:
                return operand as string ?? "";
        }
    }

    private static string Number(FieldInfo field) =>
        field.DeclaringType is { } owner && IsOwn(owner) && !IsOutside(owner)
            ? Array.FindIndex(ValueWalker.InstanceFields(owner), other => other.MetadataToken == field.MetadataToken).ToString()
            : field.Name;

    // A value of a module: what it holds counts, not how it was computed.
    private string Static(FieldInfo field, MethodBase within)
    {
        var name = $"static {Name(field.FieldType)}";
        if (!statics.Add(field))
            return name;
        if (field.Attributes.HasFlag(FieldAttributes.HasFieldRVA))
            return $"{name} {ValueWalker.Bytes(field)}";
        // The one value of a generic function, which cannot be read without its type arguments and holds nothing.
        if (field.DeclaringType!.ContainsGenericParameters)
        {
            Instantiate(field.FieldType);
            return name;
        }
        return $"{name} {Value(field.GetValue(null), $"{Readable(field.Name)}, read by {Readable(within.Name)}")}";
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

    // Closures are called after the function around them and the line: train@171-3.
    private static string Readable(string name) => ClosureSuffix().Replace(name, "");

    [GeneratedRegex(@"@[0-9]+(-[0-9]+)?|\.Invoke$|`[0-9]+")]
    private static partial Regex ClosureSuffix();

    private static readonly System.Collections.Concurrent.ConcurrentDictionary<Assembly, bool> Own = new();
}
