using System.Runtime.InteropServices;

namespace TorchSharp;

public enum DeviceType { CPU = 0, CUDA = 1 }

/// <summary>A number that an operator takes beside tensors; numbers convert to it implicitly.</summary>
public sealed class Scalar : IDisposable
{
    private readonly bool integral;
    private readonly long integer;
    private readonly double real;

    private Scalar(long value) { integral = true; integer = value; }
    private Scalar(double value) { real = value; }

    public static implicit operator Scalar(int value) => new((long)value);
    public static implicit operator Scalar(long value) => new(value);
    public static implicit operator Scalar(float value) => new((double)value);
    public static implicit operator Scalar(double value) => new(value);

    // Without the cast the conditional would turn the integer into a double, and an index tensor into floats.
    internal Arg ToArg() => integral ? (Arg)integer : (Arg)real;

    /// <summary>Nothing to free here; the published class holds a native object.</summary>
    public void Dispose() { }
}

public static partial class torch
{
    /// <summary>Element types, numbered as libtorch numbers them.</summary>
    public enum ScalarType : sbyte
    {
        Byte = 0, Int8 = 1, Int16 = 2, Int32 = 3, Int64 = 4, Float16 = 5, Float32 = 6, Float64 = 7,
        ComplexFloat32 = 9, ComplexFloat64 = 10, Bool = 11, BFloat16 = 15,
    }

    public static readonly ScalarType uint8 = ScalarType.Byte;
    public static readonly ScalarType int8 = ScalarType.Int8;
    public static readonly ScalarType int16 = ScalarType.Int16;
    public static readonly ScalarType int32 = ScalarType.Int32;
    public static readonly ScalarType int64 = ScalarType.Int64;
    public static readonly ScalarType @long = ScalarType.Int64;
    public static readonly ScalarType float32 = ScalarType.Float32;
    public static readonly ScalarType float64 = ScalarType.Float64;
    public static readonly ScalarType @bool = ScalarType.Bool;

    /// <summary>The version of the libtorch in use.</summary>
    public static string __version__ => Marshal.PtrToStringUTF8(Native.ts_version())!;

    public sealed class Device : IEquatable<Device>
    {
        public DeviceType type { get; }
        public int index { get; }

        internal Device(DeviceType type, int index) { this.type = type; this.index = index; }
        internal Device(long packed) : this((DeviceType)(packed >> 32), (int)packed) { }
        internal long Packed => ((long)type << 32) | (uint)index;

        public bool Equals(Device? other) => other is not null && other.Packed == Packed;
        public override bool Equals(object? obj) => Equals(obj as Device);
        public override int GetHashCode() => Packed.GetHashCode();
        public override string ToString() =>
            type.ToString().ToLowerInvariant() + (index < 0 ? "" : $":{index}");
    }

    public static readonly Device CPU = new(DeviceType.CPU, -1);
    public static readonly Device CUDA = new(DeviceType.CUDA, 0);

    /// <summary>The device that "cpu", "cuda" or "cuda:N" names.</summary>
    /// <exception cref="ArgumentException">The text names no device.</exception>
    public static Device device(string description)
    {
        var parts = description.Split(':');
        var index = -1;
        if (parts.Length > 2 || (parts.Length == 2 && !int.TryParse(parts[1], out index)))
            throw new ArgumentException($"'{description}' is no device: cpu, cuda or cuda:N");
        return parts[0].ToLowerInvariant() switch
        {
            "cpu" => new Device(DeviceType.CPU, index),
            "cuda" => new Device(DeviceType.CUDA, Math.Max(index, 0)),
            _ => throw new ArgumentException($"'{description}' is no device: cpu, cuda or cuda:N"),
        };
    }

    /// <summary>A source of random numbers with its own state.</summary>
    public sealed class Generator : IDisposable
    {
        private IntPtr handle;

        public Generator(ulong seed = 0, Device? device = null)
        {
            Native.Check(Native.ts_generator((device ?? CPU).Packed, out handle));
            manual_seed((long)seed);
        }

        internal Generator(IntPtr handle) { this.handle = handle; }

        internal IntPtr Handle
        {
            get
            {
                ObjectDisposedException.ThrowIf(handle == IntPtr.Zero, this);
                return handle;
            }
        }

        public Generator manual_seed(long seed)
        {
            Native.Check(Native.ts_generator_seed(Handle, (ulong)seed));
            return this;
        }

        ~Generator() => Free();

        public void Dispose()
        {
            Free();
            GC.SuppressFinalize(this);
        }

        private void Free()
        {
            var h = Interlocked.Exchange(ref handle, IntPtr.Zero);
            if (h != IntPtr.Zero) Native.ts_generator_free(h);
        }
    }

    /// <summary>Seeds the default generator and returns it.</summary>
    public static Generator manual_seed(long seed)
    {
        Native.Check(Native.ts_default_generator(out var handle));
        return new Generator(handle).manual_seed(seed);
    }

    public static int get_num_threads() => Native.ts_num_threads();
    public static void set_num_threads(int num) => Native.Check(Native.ts_set_num_threads(num));

    public static class cuda
    {
        public static bool is_available() => Native.ts_cuda_available() != 0 && device_count() > 0;
        public static int device_count() => Native.ts_cuda_device_count();
    }

    /// <summary>Operations are not recorded until the result is disposed. Belongs to the OS thread.</summary>
    public static IDisposable no_grad() => new GradMode(false);

    /// <summary>Operations are recorded until the result is disposed. Belongs to the OS thread.</summary>
    public static IDisposable enable_grad() => new GradMode(true);

    public static bool is_grad_enabled() => Native.ts_grad_enabled() != 0;

    private sealed class GradMode : IDisposable
    {
        private readonly bool previous = is_grad_enabled();
        public GradMode(bool enabled) => Native.ts_set_grad_enabled(enabled ? 1 : 0);
        public void Dispose() => Native.ts_set_grad_enabled(previous ? 1 : 0);
    }
}
