namespace TorchSharp;

public static partial class torch
{
    public sealed partial class Tensor
    {
        public Tensor sum(ScalarType? type = null) => Operators.sum.Call(this, type);
        public Tensor sum(long[] dim, bool keepdim = false, ScalarType? type = null) => Operators.sum_dim_IntList.Call(this, dim, keepdim, type);
        public Tensor sum(long dim, bool keepdim = false, ScalarType? type = null) => sum([dim], keepdim, type);
        public Tensor mean(ScalarType? type = null) => Operators.mean.Call(this, type);
        public Tensor mean(long[] dim, bool keepdim = false, ScalarType? type = null) => Operators.mean_dim.Call(this, dim, keepdim, type);
        public Tensor prod(long dim, bool keepdim = false, ScalarType? type = null) => Operators.prod_dim_int.Call(this, dim, keepdim, type);
        public Tensor std(bool unbiased = true) => Operators.std.Call(this, unbiased);
        public Tensor std(long[] dimensions, bool unbiased = true, bool keepdim = false) => Operators.std_dim.Call(this, dimensions, unbiased, keepdim);
        public Tensor var(bool unbiased = true) => Operators.var.Call(this, unbiased);
        public Tensor var(long[] dimensions, bool unbiased = true, bool keepdim = false) => Operators.var_dim.Call(this, dimensions, unbiased, keepdim);
        public Tensor logsumexp(long dim, bool keepdim = false) => Operators.logsumexp.Call(this, new[] { dim }, keepdim);
        public Tensor cumsum(long dim) => Operators.cumsum.Call(this, dim);
        public Tensor logcumsumexp(long dim) => Operators.logcumsumexp.Call(this, dim);
        public Tensor amax(long[] dims, bool keepdim = false) => Operators.amax.Call(this, dims, keepdim);
        public Tensor amin(long[] dims, bool keepdim = false) => Operators.amin.Call(this, dims, keepdim);
        public Tensor max() => Operators.max.Call(this);
        public (Tensor values, Tensor indexes) max(long dim, bool keepdim = false) => Operators.max_dim.CallMany(this, dim, keepdim) switch { var r => (r[0], r[1]) };
        public Tensor min() => Operators.min.Call(this);
        public (Tensor values, Tensor indexes) min(long dim, bool keepdim = false) => Operators.min_dim.CallMany(this, dim, keepdim) switch { var r => (r[0], r[1]) };
        public Tensor argmax() => Operators.argmax.Call(this);
        public Tensor argmax(long dim, bool keepdim = false) => Operators.argmax.Call(this, dim, keepdim);
        public Tensor all() => Operators.all.Call(this);
        public Tensor any() => Operators.any.Call(this);
        public Tensor norm(float p = 2.0f) => Operators.norm_Scalar.Call(this, (double)p);
        public Tensor norm(int dim, bool keepdim = false, float p = 2.0f) => Operators.norm_ScalarOpt_dim.Call(this, (double)p, new[] { (long)dim }, keepdim);
        public (Tensor Values, Tensor Indices) sort(long dim = -1, bool descending = false) => Operators.sort.CallMany(this, dim, descending) switch { var r => (r[0], r[1]) };
        public Tensor argsort(long dim = -1, bool descending = false) => Operators.argsort.Call(this, dim, descending);
        public (Tensor values, Tensor indexes) topk(int k, int dim = -1, bool largest = true, bool sorted = true) => Operators.topk.CallMany(this, k, dim, largest, sorted) switch { var r => (r[0], r[1]) };
    }
}
