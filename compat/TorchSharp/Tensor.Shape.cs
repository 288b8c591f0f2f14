namespace TorchSharp;

public static partial class torch
{
    public sealed partial class Tensor
    {
        public Tensor alias() => Operators.alias.Call(this);
        public Tensor clone() => Operators.clone.Call(this);
        public Tensor detach() => Operators.detach.Call(this);
        public Tensor contiguous() => Operators.contiguous.Call(this);
        public Tensor view(params long[] shape) => Operators.view.Call(this, shape);
        public Tensor reshape(params long[] shape) => Operators.reshape.Call(this, shape);
        public Tensor flatten(long start_dim = 0, long end_dim = -1) => Operators.flatten_using_ints.Call(this, start_dim, end_dim);
        public Tensor unsqueeze(long dim) => Operators.unsqueeze.Call(this, dim);
        public Tensor squeeze() => Operators.squeeze.Call(this);
        public Tensor squeeze(long dim) => Operators.squeeze_dim.Call(this, dim);
        public Tensor transpose(long dim0, long dim1) => Operators.transpose_int.Call(this, dim0, dim1);
        public Tensor permute(params long[] permutation) => Operators.permute.Call(this, permutation);
        public Tensor expand(params long[] sizes) => Operators.expand.Call(this, sizes);
        public Tensor expand_as(Tensor other) => Operators.expand_as.Call(this, other);
        public Tensor repeat(params long[] sizes) => Operators.repeat.Call(this, sizes);
        public Tensor repeat_interleave(long repeats, long? dim = null) => Operators.repeat_interleave_self_int.Call(this, repeats, dim);
        public Tensor flip(params long[] dims) => Operators.flip.Call(this, dims);
        public Tensor narrow(long dim, long start, long length) => Operators.narrow.Call(this, dim, start, length);
        public Tensor slice(long dim, long start, long finish, long step) => Operators.slice_Tensor.Call(this, dim, start, finish, step);
        public Tensor select(long dim, long index) => Operators.select_int.Call(this, dim, index);
        public Tensor index_select(long dim, Tensor index) => Operators.index_select.Call(this, dim, index);
        public Tensor gather(long dim, Tensor index) => Operators.gather.Call(this, dim, index);
        public Tensor take_along_dim(Tensor indices, long dim) => Operators.take_along_dim.Call(this, indices, dim);
        public Tensor scatter(long dim, Tensor index, Tensor src) => Operators.scatter_src.Call(this, dim, index, src);
        public Tensor masked_select(Tensor mask) => Operators.masked_select.Call(this, mask);
        public Tensor masked_fill(Tensor mask, Scalar value) => Operators.masked_fill_Scalar.Call(this, mask, value);
        public Tensor nonzero() => Operators.nonzero.Call(this);
        public Tensor bincount() => Operators.bincount.Call(this);
        public Tensor[] chunk(long chunks, long dim = 0) => Operators.chunk.CallMany(this, chunks, dim);
        public Tensor[] split(long split_size, long dim = 0) => Operators.split_Tensor.CallMany(this, split_size, dim);
        public Tensor[] unbind(long dim = 0) => Operators.unbind_int.CallMany(this, dim);
        public Tensor this[long i] => select(0, i);
        public Tensor to(ScalarType type) => type == dtype ? alias() : Operators.to_dtype.Call(this, type);
        public Tensor to(Device device) => Operators.to_device.Call(this, device, dtype);
        public Tensor to(ScalarType type, Device device) => Operators.to_device.Call(this, device, type);
        public Tensor cpu() => to(CPU);
        public Tensor cuda() => to(CUDA);
        public Tensor @float() => to(ScalarType.Float32);
        public Tensor @double() => to(ScalarType.Float64);
        public Tensor @long() => to(ScalarType.Int64);
        public Tensor type_as(Tensor tensor) => to(tensor.dtype, tensor.device);
        public Tensor zeros_like() => Operators.zeros_like.Call(this);
        public Tensor ones_like() => Operators.ones_like.Call(this);
        public Tensor empty_like() => Operators.empty_like.Call(this);
        public Tensor rand_like() => Operators.rand_like.Call(this);
        public Tensor randn_like() => Operators.randn_like.Call(this);
    }
}
