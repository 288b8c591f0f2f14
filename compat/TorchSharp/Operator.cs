using System.Runtime.CompilerServices;
using System.Text;

namespace TorchSharp;

using Tensor = torch.Tensor;

/// <summary>An argument of an operator call: any of the kinds that libtorch's schemas know.</summary>
internal readonly struct Arg
{
    internal readonly Tag Tag;
    internal readonly object? Object;
    internal readonly long Bits;

    private Arg(Tag tag, object? o, long bits) { Tag = tag; Object = o; Bits = bits; }

    /// <summary>The default that the operator's schema declares.</summary>
    internal static readonly Arg Default = default;

    public static implicit operator Arg(Tensor? t) => t is null ? new(Tag.None, null, 0) : new(Tag.Tensor, t, 0);
    public static implicit operator Arg(long i) => new(Tag.Int, null, i);
    public static implicit operator Arg(int i) => new(Tag.Int, null, i);
    public static implicit operator Arg(long? i) => i is { } v ? v : new Arg(Tag.None, null, 0);
    public static implicit operator Arg(double d) => new(Tag.Double, null, BitConverter.DoubleToInt64Bits(d));
    public static implicit operator Arg(bool b) => new(Tag.Bool, null, b ? 1 : 0);
    public static implicit operator Arg(Scalar s) => s.ToArg();
    public static implicit operator Arg(torch.ScalarType t) => new(Tag.Int, null, (long)t);
    public static implicit operator Arg(torch.ScalarType? t) => t is { } v ? v : new Arg(Tag.None, null, 0);
    public static implicit operator Arg(torch.Device? d) => d is null ? new(Tag.None, null, 0) : new(Tag.Device, null, d.Packed);
    public static implicit operator Arg(torch.Generator? g) => g is null ? new(Tag.None, null, 0) : new(Tag.Generator, g, 0);
    public static implicit operator Arg(long[]? xs) => xs is null ? new(Tag.None, null, 0) : new(Tag.Ints, xs, 0);
    public static implicit operator Arg(Tensor[] xs) => new(Tag.Tensors, xs, 0);
    public static implicit operator Arg(string s) => new(Tag.String, s, 0);
    internal static Arg Optional(Tensor?[] xs) => new(Tag.OptionalTensors, xs, 0);
}

/// <summary>
/// A libtorch operator, found once by its schema name and called boxed. Arguments are positional in
/// the schema's order; those left out take the schema's defaults.
/// </summary>
internal sealed unsafe class Operator(string name, string overload = "")
{
    private const int MaxResults = 16;
    private IntPtr handle;
    private int arity;

    internal string Name => overload.Length == 0 ? name : $"{name}.{overload}";

    /// <summary>Looks the operator up; throws when this libtorch does not have it.</summary>
    internal void Resolve()
    {
        // Two threads may both look it up; they find the same operator, and a handle is never freed.
        Native.Check(Native.ts_find("aten::" + name, overload, out var found, out arity));
        handle = found;
    }

    /// <summary>Calls an operator that returns one tensor.</summary>
    internal Tensor Call(params ReadOnlySpan<Arg> args)
    {
        NativeValue result;
        var n = Invoke(args, &result, 1);
        if (n != 1 || result.Tag != Tag.Tensor) throw new InvalidOperationException($"{Name} does not return one tensor");
        return new Tensor(result.Pointer);
    }

    /// <summary>Calls an operator that writes into <paramref name="self"/> and returns it.</summary>
    internal Tensor CallInPlace(Tensor self, params ReadOnlySpan<Arg> args)
    {
        NativeValue result;
        Invoke(args, &result, 1);
        Native.ts_free(&result.Pointer, 1);
        return self;
    }

    /// <summary>Calls an operator that returns several tensors, or a list of them.</summary>
    internal Tensor[] CallMany(params ReadOnlySpan<Arg> args)
    {
        var results = stackalloc NativeValue[MaxResults];
        var n = Invoke(args, results, MaxResults);
        var tensors = new Tensor[n];
        for (var i = 0; i < n; i++) tensors[i] = new Tensor(results[i].Pointer);
        return tensors;
    }

    /// <summary>Calls an operator that returns a truth value.</summary>
    internal bool CallBool(params ReadOnlySpan<Arg> args)
    {
        NativeValue result;
        Invoke(args, &result, 1);
        return result.Integer != 0;
    }

    private int Invoke(ReadOnlySpan<Arg> args, NativeValue* results, int capacity)
    {
        if (handle == IntPtr.Zero) Resolve();
        if (args.Length > arity) throw new InvalidOperationException($"{Name} takes {arity} arguments in this libtorch, not {args.Length}");

        var bytes = 0;
        foreach (ref readonly var a in args) bytes += ListBytes(a);
        var values = stackalloc NativeValue[args.Length];
        var lists = stackalloc byte[bytes];
        for (var i = 0; i < args.Length; i++)
        {
            ref readonly var a = ref args[i];
            ref var v = ref values[i];
            v = new NativeValue { Tag = a.Tag, Integer = a.Bits };
            switch (a.Tag)
            {
                case Tag.Tensor: v.Pointer = Unsafe.As<Tensor>(a.Object!).Handle; break;
                case Tag.Generator: v.Pointer = Unsafe.As<torch.Generator>(a.Object!).Handle; break;
                case Tag.Ints:
                    var ints = Unsafe.As<long[]>(a.Object!);
                    ints.CopyTo(new Span<long>(lists, ints.Length));
                    v.Pointer = (IntPtr)lists; v.Count = ints.Length;
                    break;
                case Tag.Tensors or Tag.OptionalTensors:
                    var tensors = Unsafe.As<Tensor?[]>(a.Object!);
                    for (var k = 0; k < tensors.Length; k++) ((IntPtr*)lists)[k] = tensors[k]?.Handle ?? IntPtr.Zero;
                    v.Pointer = (IntPtr)lists; v.Count = tensors.Length;
                    break;
                case Tag.String:
                    v.Count = Encoding.UTF8.GetBytes(Unsafe.As<string>(a.Object!), new Span<byte>(lists, ListBytes(a)));
                    v.Pointer = (IntPtr)lists;
                    break;
            }
            lists += ListBytes(a);
        }
        int returned;
        Native.Check(Native.ts_call(handle, values, args.Length, results, capacity, &returned));
        // The natives used the handles only: without this the collector may free a tensor mid-call.
        foreach (ref readonly var a in args) GC.KeepAlive(a.Object);
        return returned;
    }

    private static int ListBytes(in Arg a) => a.Tag switch
    {
        Tag.Ints => Unsafe.As<long[]>(a.Object!).Length * sizeof(long),
        Tag.Tensors or Tag.OptionalTensors => Unsafe.As<Tensor?[]>(a.Object!).Length * sizeof(IntPtr),
        Tag.String => (Encoding.UTF8.GetMaxByteCount(Unsafe.As<string>(a.Object!).Length) + 7) & ~7,
        _ => 0,
    };
}
