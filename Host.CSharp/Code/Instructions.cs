using System.Buffers.Binary;
using System.Globalization;
using System.Reflection;
using System.Reflection.Emit;

namespace Research.Host;

/// <summary>One instruction of a compiled body: its name and its operand.</summary>
/// <param name="Name">Name of the operation; a branch's short form counts as its long one.</param>
/// <param name="Operand">
/// A member or a type, or text: a constant, the number of a local or of the instruction that a branch leads to.
/// </param>
internal readonly record struct Instruction(string Name, object? Operand);

/// <summary>Reads the compiled body of a method.</summary>
internal static class Instructions
{
    private static readonly Dictionary<ushort, OpCode> OpCodesByValue = typeof(OpCodes)
        .GetFields(BindingFlags.Public | BindingFlags.Static)
        .Select(field => (OpCode)field.GetValue(null)!)
        .ToDictionary(code => (ushort)code.Value);

    /// <summary>The instructions in order, without `nop`; empty for a method without a body.</summary>
    public static IReadOnlyList<Instruction> Of(MethodBase method)
    {
        if (method.GetMethodBody()?.GetILAsByteArray() is not { } bytes)
            return [];
        var read = new List<(int Offset, OpCode Code, object? Operand)>();
        for (var at = 0; at < bytes.Length;)
        {
            var offset = at;
            var value = bytes[at] == 0xFE ? (ushort)(0xFE00 | bytes[at + 1]) : bytes[at];
            var code = OpCodesByValue[value];
            at += code.Size;
            read.Add((offset, code, Operand(method, code, bytes, ref at)));
        }
        return Relabel(read);
    }

    // Branches by the number of the instruction that they lead to: offsets change with the length of what lies between.
    private static List<Instruction> Relabel(List<(int Offset, OpCode Code, object? Operand)> read)
    {
        var numbers = new Dictionary<int, int>();
        var number = 0;
        foreach (var (offset, code, _) in read)
        {
            numbers[offset] = number;
            if (code != OpCodes.Nop)
                number++;
        }
        string Label(int offset) => numbers.TryGetValue(offset, out var n) ? Text(n) : Text(number);
        return
        [
            .. from item in read
               where item.Code != OpCodes.Nop
               select new Instruction(
                   LongForm(item.Code),
                   item.Operand switch
                   {
                       Target one => Label(one.Offset),
                       Target[] many => string.Join(' ', many.Select(target => Label(target.Offset))),
                       var other => other,
                   })
        ];
    }

    private static string LongForm(OpCode code) =>
        code.OperandType == OperandType.ShortInlineBrTarget ? code.Name![..^2] : code.Name!;

    private static object? Operand(MethodBase method, OpCode code, byte[] bytes, ref int at)
    {
        var span = bytes.AsSpan(at);
        switch (code.OperandType)
        {
            case OperandType.InlineNone:
                return null;
            case OperandType.ShortInlineBrTarget:
                at += 1;
                return new Target(at + (sbyte)span[0]);
            case OperandType.InlineBrTarget:
                at += 4;
                return new Target(at + BinaryPrimitives.ReadInt32LittleEndian(span));
            case OperandType.InlineSwitch:
                var count = BinaryPrimitives.ReadInt32LittleEndian(span);
                at += 4 + 4 * count;
                var targets = new Target[count];
                for (var i = 0; i < count; i++)
                    targets[i] = new(at + BinaryPrimitives.ReadInt32LittleEndian(span[(4 + 4 * i)..]));
                return targets;
            case OperandType.ShortInlineI or OperandType.ShortInlineVar:
                at += 1;
                return Text(code == OpCodes.Ldc_I4_S ? (sbyte)span[0] : span[0]);
            case OperandType.InlineVar:
                at += 2;
                return Text(BinaryPrimitives.ReadUInt16LittleEndian(span));
            case OperandType.InlineI:
                at += 4;
                return Text(BinaryPrimitives.ReadInt32LittleEndian(span));
            case OperandType.InlineI8:
                at += 8;
                return Text(BinaryPrimitives.ReadInt64LittleEndian(span));
            case OperandType.ShortInlineR:
                at += 4;
                return BinaryPrimitives.ReadSingleLittleEndian(span).ToString("R", CultureInfo.InvariantCulture);
            case OperandType.InlineR:
                at += 8;
                return BinaryPrimitives.ReadDoubleLittleEndian(span).ToString("R", CultureInfo.InvariantCulture);
            default:
                at += 4;
                return Resolve(method, code, BinaryPrimitives.ReadInt32LittleEndian(span));
        }
    }

    private static object? Resolve(MethodBase method, OpCode code, int token)
    {
        var module = method.Module;
        if (code.OperandType == OperandType.InlineString)
            return $"\"{module.ResolveString(token)}\"";
        if (code.OperandType == OperandType.InlineSig)
            return Convert.ToHexString(module.ResolveSignature(token));
        var ofType = method.DeclaringType?.IsGenericType == true ? method.DeclaringType.GetGenericArguments() : null;
        var ofMethod = method.IsGenericMethod ? method.GetGenericArguments() : null;
        return module.ResolveMember(token, ofType, ofMethod);
    }

    private static string Text(long number) => number.ToString(CultureInfo.InvariantCulture);

    private readonly record struct Target(int Offset);
}
