namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host

/// Rows of a data set's tensors.
[<RequireQualifiedAccess>]
module Rows =
    /// The rows of these numbers. `[N,D]`, result `[n,D]`.
    let pick (all: Tensor) (rows: int64[]) : Tensor =
        all.index_select (0L, Devices.Move(torch.tensor rows, all.device))

    /// At most so many, the same for every model. A file may stand in class order: a prefix is no sample.
    let sample (all: Tensor) (count: int) : Tensor =
        let order = Noise(0L).Permutation(0L, int (all.size 0))
        pick all order[.. min count order.Length - 1]

    /// The nearest of `all` to each of these rows: how far it is, and its number. `[M,D]` and `[N,D]`, results `[N]` and
    /// int64 `[N]`.
    let nearest (all: Tensor) (rows: Tensor) : Tensor * Tensor =
        let struct (distance, index) = torch.min (torch.cdist (rows, all), 1L)
        distance, index

    /// The classes of a part of a set. int64 `[N]`.
    let labels (part: ImageSet) (device: torch.Device) : Tensor =
        torch.tensor (Array.map int64 part.Labels, device = device)
