using System.Runtime.CompilerServices;
using System.Runtime.InteropServices;

namespace TorchSharp;

public static partial class torch
{
    /// <summary>A libtorch tensor. Owned by the innermost dispose scope of the thread that made it.</summary>
    public sealed partial class Tensor : IDisposable
    {
        private IntPtr handle;
        internal DisposeScope? Scope;

        internal Tensor(IntPtr handle)
        {
            this.handle = handle;
            DisposeScope.Current?.Add(this);
        }

        ~Tensor() => Free();

        public void Dispose()
        {
            Free();
            GC.SuppressFinalize(this);
        }

        private unsafe void Free()
        {
            var h = Interlocked.Exchange(ref handle, IntPtr.Zero);
            if (h != IntPtr.Zero) Native.ts_free(&h, 1);
        }

        /// <summary>Frees in one native call the tensors of the list that still belong to the scope.</summary>
        internal static unsafe void DisposeAll(List<Tensor> tensors, DisposeScope scope)
        {
            const int chunk = 256;
            var handles = stackalloc IntPtr[chunk];
            var n = 0;
            foreach (var t in tensors)
            {
                if (t.Scope != scope) continue;
                var h = Interlocked.Exchange(ref t.handle, IntPtr.Zero);
                if (h == IntPtr.Zero) continue;
                GC.SuppressFinalize(t);
                handles[n++] = h;
                if (n < chunk) continue;
                Native.ts_free(handles, n);
                n = 0;
            }
            if (n > 0) Native.ts_free(handles, n);
        }

        /// <exception cref="ObjectDisposedException">The tensor was disposed.</exception>
        public IntPtr Handle
        {
            [MethodImpl(MethodImplOptions.AggressiveInlining)]
            get
            {
                ObjectDisposedException.ThrowIf(handle == IntPtr.Zero, this);
                return handle;
            }
        }

        public bool IsInvalid => handle == IntPtr.Zero;

        public Tensor DetachFromDisposeScope() { Scope = null; return this; }

        public Tensor MoveToOuterDisposeScope() { Scope?.Move(this); return this; }

        public long dim() { var n = Native.ts_dim(Handle); GC.KeepAlive(this); return n; }
        public long ndim => dim();
        public long numel() { var n = Native.ts_numel(Handle); GC.KeepAlive(this); return n; }
        public long NumberOfElements => numel();
        public ScalarType dtype { get { var t = (ScalarType)Native.ts_dtype(Handle); GC.KeepAlive(this); return t; } }
        public Device device { get { var d = new Device(Native.ts_device(Handle)); GC.KeepAlive(this); return d; } }
        public DeviceType device_type => device.type;
        public bool is_contiguous() { var c = Native.ts_contiguous(Handle) != 0; GC.KeepAlive(this); return c; }
        public bool is_leaf { get { var l = Native.ts_is_leaf(Handle) != 0; GC.KeepAlive(this); return l; } }

        public unsafe long[] shape
        {
            get
            {
                var sizes = new long[dim()];
                fixed (long* p = sizes) Native.ts_sizes(Handle, p);
                GC.KeepAlive(this);
                return sizes;
            }
        }

        public long size(int dim)
        {
            var sizes = shape;
            return sizes[dim < 0 ? dim + sizes.Length : dim];
        }

        public unsafe long[] stride()
        {
            var strides = new long[dim()];
            fixed (long* p = strides) Native.ts_strides(Handle, p);
            GC.KeepAlive(this);
            return strides;
        }

        public bool requires_grad
        {
            get { var r = Native.ts_requires_grad(Handle) != 0; GC.KeepAlive(this); return r; }
            set { Native.Check(Native.ts_set_requires_grad(Handle, value ? 1 : 0)); GC.KeepAlive(this); }
        }

        public Tensor requires_grad_(bool requires_grad = true) { this.requires_grad = requires_grad; return this; }

        /// <summary>The accumulated gradient, null when there is none.</summary>
        public Tensor? grad
        {
            get
            {
                Native.Check(Native.ts_get_grad(Handle, out var g));
                GC.KeepAlive(this);
                return g == IntPtr.Zero ? null : new Tensor(g);
            }
            set
            {
                Native.Check(Native.ts_set_grad(Handle, value?.Handle ?? IntPtr.Zero));
                GC.KeepAlive(this);
                GC.KeepAlive(value);
            }
        }

        public void backward(Tensor? gradient = null, bool retain_graph = false, bool create_graph = false)
        {
            Native.Check(Native.ts_backward(Handle, gradient?.Handle ?? IntPtr.Zero, retain_graph || create_graph ? 1 : 0, create_graph ? 1 : 0));
            GC.KeepAlive(this);
            GC.KeepAlive(gradient);
        }

        /// <summary>The memory of a contiguous CPU tensor, in row-major order; valid while the tensor lives.</summary>
        /// <exception cref="InvalidOperationException">The tensor is on another device or not contiguous.</exception>
        public unsafe Span<byte> bytes
        {
            get
            {
                if (device_type != DeviceType.CPU) throw new InvalidOperationException("Reading data from non-CPU memory is not supported. Move or copy the tensor to the cpu before reading.");
                if (!is_contiguous()) throw new InvalidOperationException("bytes needs a contiguous tensor");
                Native.Check(Native.ts_data(Handle, out var p));
                return new Span<byte>((void*)p, checked((int)(numel() * ElementSize)));
            }
            set
            {
                if (value.Length != numel() * ElementSize) throw new ArgumentException("The span's length differs from the tensor's size in bytes");
                value.CopyTo(bytes);
            }
        }

        public long ElementSize => dtype switch
        {
            ScalarType.Byte or ScalarType.Int8 or ScalarType.Bool => 1,
            ScalarType.Int16 or ScalarType.Float16 or ScalarType.BFloat16 => 2,
            ScalarType.Int32 or ScalarType.Float32 => 4,
            ScalarType.ComplexFloat64 => 16,
            _ => 8,
        };

        /// <summary>A copy of the elements in row-major order.</summary>
        /// <exception cref="ArgumentException">T is not the tensor's element type.</exception>
        public Utils.TensorAccessor<T> data<T>() where T : unmanaged => new(this);

        public T item<T>() where T : unmanaged
        {
            if (numel() != 1) throw new ArgumentException("item() needs a tensor of one element");
            return data<T>()[0];
        }

        public double ToDouble() => to(ScalarType.Float64).item<double>();
        public float ToSingle() => to(ScalarType.Float32).item<float>();
        public long ToInt64() => to(ScalarType.Int64).item<long>();
        public int ToInt32() => to(ScalarType.Int32).item<int>();
        public bool ToBoolean() => to(ScalarType.Bool).item<bool>();

        internal static ScalarType TypeOf<T>() where T : unmanaged =>
            typeof(T) == typeof(float) ? ScalarType.Float32
            : typeof(T) == typeof(double) ? ScalarType.Float64
            : typeof(T) == typeof(long) ? ScalarType.Int64
            : typeof(T) == typeof(int) ? ScalarType.Int32
            : typeof(T) == typeof(short) ? ScalarType.Int16
            : typeof(T) == typeof(byte) ? ScalarType.Byte
            : typeof(T) == typeof(sbyte) ? ScalarType.Int8
            : typeof(T) == typeof(bool) ? ScalarType.Bool
            : throw new NotSupportedException($"{typeof(T).Name} is no element type");

        public override string ToString() => $"[{string.Join("x", shape)}], type = {dtype}, device = {device}";
    }
}

public static class Utils
{
    /// <summary>Reads a tensor's elements in row-major order, from any device and layout.</summary>
    public sealed class TensorAccessor<T> where T : unmanaged
    {
        private readonly T[] elements;

        internal TensorAccessor(torch.Tensor tensor)
        {
            if (tensor.dtype != torch.Tensor.TypeOf<T>())
                throw new ArgumentException($"The tensor holds {tensor.dtype}, not {torch.Tensor.TypeOf<T>()}");
            using var detached = tensor.detach();
            using var cpu = detached.cpu();
            using var flat = cpu.contiguous();
            elements = MemoryMarshal.Cast<byte, T>(flat.bytes).ToArray();
            GC.KeepAlive(flat);
        }

        public long Count => elements.Length;
        public T this[long index] => elements[index];
        public T[] ToArray() => elements;
    }
}
