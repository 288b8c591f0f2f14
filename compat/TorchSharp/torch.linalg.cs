namespace TorchSharp;

public static partial class torch
{
    public static class linalg
    {
        public static Tensor cholesky(Tensor input) => Operators.linalg_cholesky.Call(input);
        public static Tensor det(Tensor input) => Operators.linalg_det.Call(input);
        public static Tensor inv(Tensor input) => Operators.linalg_inv.Call(input);
        public static Tensor solve(Tensor input, Tensor other) => Operators.linalg_solve.Call(input, other);
        public static Tensor eigvalsh(Tensor input, char UPLO = 'L') => Operators.linalg_eigvalsh.Call(input, UPLO.ToString());
        public static Tensor svdvals(Tensor input) => Operators.linalg_svdvals.Call(input);

        public static (Tensor, Tensor) eigh(Tensor input, char UPLO = 'L') =>
            Operators.linalg_eigh.CallMany(input, UPLO.ToString()) switch { var r => (r[0], r[1]) };

        public static (Tensor, Tensor) slogdet(Tensor input) =>
            Operators.linalg_slogdet.CallMany(input) switch { var r => (r[0], r[1]) };
    }

    public static class autograd
    {
        /// <summary>The gradients of the outputs' sum with respect to the inputs; null where unused and allowed.</summary>
        public static unsafe IList<Tensor> grad(IList<Tensor> outputs, IList<Tensor> inputs, IList<Tensor>? grad_outputs = null,
            bool retain_graph = false, bool create_graph = false, bool allow_unused = false)
        {
            var outs = outputs.Select(t => t.Handle).ToArray();
            var ins = inputs.Select(t => t.Handle).ToArray();
            var gos = grad_outputs?.Select(t => t.Handle).ToArray() ?? [];
            var grads = new IntPtr[ins.Length];
            fixed (IntPtr* po = outs, pi = ins, pg = gos, pr = grads)
                Native.Check(Native.ts_grad(po, outs.Length, pi, ins.Length, pg, gos.Length,
                    retain_graph || create_graph ? 1 : 0, create_graph ? 1 : 0, allow_unused ? 1 : 0, pr));
            GC.KeepAlive(outputs);
            GC.KeepAlive(inputs);
            GC.KeepAlive(grad_outputs);
            return Array.ConvertAll(grads, h => h == IntPtr.Zero ? null! : new Tensor(h));
        }
    }
}
