namespace Research.Models

open TorchSharp
open Research.Core

/// Splines whose knots and slopes a network gives.
[<RequireQualifiedAccess>]
module Spline =
    /// Half the interval outside of which a spline is the identity: beyond nearly all draws of N(0,1).
    let bound = 4.0

    /// How many numbers the splines of so many coordinates take.
    let outputs (bins: int) (coordinates: int) : int = coordinates * (3 * bins - 1)

    /// The splines of a network's output `[..,C(3K-1)]`, each coordinate's widths, heights and slopes in turn; zeros give
    /// the identity.
    let ofOutput (bins: int) (output: Tensor) : Transform =
        let numbers, k = 3L * int64 bins - 1L, int64 bins
        let shape = output.shape

        let each =
            output.view (Array.append shape[.. shape.Length - 2] [| Array.last shape / numbers; numbers |])

        rationalQuadratic
            bound
            (each.narrow (-1L, 0L, k))
            (each.narrow (-1L, k, k))
            (each.narrow (-1L, 2L * k, k - 1L))
