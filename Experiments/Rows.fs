namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host

/// Rows of a data set's tensors.
[<RequireQualifiedAccess>]
module Rows =
    /// The rows of these numbers. `[N,D]`, result `[n,D]`.
    let pick (all: Tensor) (rows: int64[]) : Tensor =
        all.index_select (0L, torch.tensor (rows, device = all.device))

    /// At most so many, the same for every model. A file may stand in class order: a prefix is no sample.
    let sample (all: Tensor) (count: int) : Tensor =
        let order = Noise(0L).Permutation(0L, int (all.size 0))
        pick all order[.. min count order.Length - 1]

    /// The classes of a part of a set. int64 `[N]`.
    let labels (part: ImageSet) (device: torch.Device) : Tensor =
        torch.tensor (Array.map int64 part.Labels, device = device)
