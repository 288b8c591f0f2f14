namespace TorchSharp;

public static partial class torch
{
    public sealed partial class Tensor
    {
        public Tensor matmul(Tensor target) => Operators.matmul.Call(this, target);
        public Tensor mm(Tensor target) => Operators.mm.Call(this, target);
        public Tensor bmm(Tensor batch2) => Operators.bmm.Call(this, batch2);
        public Tensor mv(Tensor vec) => Operators.mv.Call(this, vec);
        public Tensor dot(Tensor tensor) => Operators.dot.Call(this, tensor);
        public Tensor outer(Tensor vec2) => Operators.outer.Call(this, vec2);
        public Tensor t() => Operators.t.Call(this);
        public Tensor trace() => Operators.trace.Call(this);
        public Tensor diag(long diagonal = 0) => Operators.diag.Call(this, diagonal);
        public Tensor diagonal(long offset = 0, long dim1 = 0, long dim2 = 1) => Operators.diagonal.Call(this, offset, dim1, dim2);
        public Tensor tril(long diagonal = 0) => Operators.tril.Call(this, diagonal);
        public Tensor triu(long diagonal = 0) => Operators.triu.Call(this, diagonal);
    }
}
