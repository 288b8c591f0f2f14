/// The matrix products of a step alone, into memory at hand: what no implementation on this BLAS can go below.
module Research.Bench.Floor

open TorchSharp
open Research.Core

let private numbers rows columns : Tensor =
    (torch.randn [| int64 rows; int64 columns |] * 0.1).DetachFromDisposeScope()

let private transposed (x: Tensor) : Tensor = x.t().DetachFromDisposeScope()

/// Forward products, those to the inputs of all layers but the first, and those to the weights.
let products (batch: int) (layers: (int * int) list) : unit -> unit =
    let made = [|
        for inputs, outputs in layers do
            let x, y, w = numbers batch inputs, numbers batch outputs, numbers outputs inputs
            x, y, w, transposed y, transposed w, numbers batch inputs, numbers outputs inputs
    |]

    fun () ->
        use _ = torch.no_grad ()

        for x, y, _, _, wt, _, _ in made do
            y.addmm_ (x, wt, 0.0f, 1.0f) |> ignore

        for i in made.Length - 1 .. -1 .. 0 do
            let x, y, w, yt, _, dx, dw = made[i]

            if i > 0 then
                dx.addmm_ (y, w, 0.0f, 1.0f) |> ignore

            dw.addmm_ (yt, x, 0.0f, 1.0f) |> ignore
