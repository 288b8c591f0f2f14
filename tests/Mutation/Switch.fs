namespace Research.Mutation

open System.Collections.Generic
open System.Linq
open TorchSharp

/// What the planted code asks at every place where a wrong version waits.
[<AbstractClass; Sealed>]
type Switch =
    [<DefaultValue>]
    static val mutable private active: int

    [<DefaultValue>]
    static val mutable private hits: byte[]

    /// Makes room for so many mutants, none of them active. Call before any planted code runs.
    static member Prepare(count: int) =
        Switch.hits <- Array.zeroCreate count
        Switch.active <- -1

    /// The number of the mutant that runs; -1 for none.
    static member Activate(mutant: int) = Switch.active <- mutant

    /// Which of the wrong versions of a place runs, 0 for the first; outside their range, the right one. Also notes
    /// that the place was reached, under the number of its first mutant.
    static member Select(first: int) : int =
        Switch.hits[first] <- 1uy
        Switch.active - first

    /// The places reached since the last call, by their first mutants' numbers.
    static member Reached() : int[] =
        let reached =
            Switch.hits |> Seq.indexed |> Seq.filter (snd >> (<) 0uy) |> Seq.map fst |> Array.ofSeq

        Array.fill Switch.hits 0 Switch.hits.Length 0uy
        reached

/// Wrong versions that no method of the same signature stands for.
[<AbstractClass; Sealed>]
type Wrong =
    /// The tensor as a constant. It stays in the graph, with the derivative 0: where all of a graph was lost,
    /// torch.autograd.grad would end the process.
    static member Constant(x: torch.Tensor) : torch.Tensor =
        if x.requires_grad then x.detach () + 0.0 * x else x

    static member Sum(x: torch.Tensor) : torch.Tensor = x.sum ()

    static member SumOver(x: torch.Tensor, dims: int64[], keep: bool, _: System.Nullable<torch.ScalarType>) =
        x.sum (dims, keep)

    static member Mean(x: torch.Tensor, _: System.Nullable<torch.ScalarType>) : torch.Tensor = x.mean ()

    static member MeanOver(x: torch.Tensor, dim: int64, keep: bool, _: System.Nullable<torch.ScalarType>) =
        x.mean ([| dim |], keep)

    static member MeanOver(x: torch.Tensor, dims: int64[], keep: bool, _: System.Nullable<torch.ScalarType>) =
        x.mean (dims, keep)

    static member MaxOver(x: torch.Tensor, dim: int64, keep: bool) : torch.Tensor = x.amax ([| dim |], keep)

    static member Total(x: torch.Tensor) : torch.Tensor = x.sum ()

    static member Softplus(x: torch.Tensor) : torch.Tensor = x.relu ()
    static member Softmax(x: torch.Tensor, dim: int64) : torch.Tensor = torch.nn.functional.softmax (x, dim)

    static member LogSoftmax(x: torch.Tensor, dim: int64, _: System.Nullable<torch.ScalarType>) =
        torch.nn.functional.log_softmax (x, dim)

    static member Log1p(x: float) : float = System.Double.LogP1 x
    static member Expm1(x: float) : float = System.Double.ExpM1 x
    static member Log1p(x: float32) : float32 = System.Single.LogP1 x
    static member Expm1(x: float32) : float32 = System.Single.ExpM1 x

    static member Reversed(xs: torch.Tensor[]) : torch.Tensor[] = Array.rev xs
    static member Reversed(xs: IEnumerable<torch.Tensor>) : IEnumerable<torch.Tensor> = xs.Reverse()

    static member Reversed(xs: IList<torch.Tensor>) : IList<torch.Tensor> =
        List<torch.Tensor>(xs.Reverse()) :> IList<torch.Tensor>
