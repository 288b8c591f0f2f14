/// What the layers of the kernels refuse, how they are cut, and what guards the memory that they hand to BLAS.
module Research.Tests.LinearKernelTests

open System
open Expecto
open TorchSharp
open Research.Host

let private rows, inputs, outputs, block, stride = 3, 5, 4, 2, 8

/// Products of two operands into a third, with the number of elements of each.
let private products
    : (string * int list * (Memory<float32> -> Memory<float32> -> Memory<float32> -> unit)) list = [
    "forward",
    [ rows * inputs; outputs * inputs; rows * outputs ],
    fun x w y -> Gemm.AddForward(x.Span, w.Span, y.Span, rows, inputs, outputs)

    "to the input",
    [ rows * outputs; outputs * inputs; rows * inputs ],
    fun dy w dx -> Gemm.BackwardInput(dy.Span, w.Span, dx.Span, rows, inputs, outputs, false)

    // The outputs' gradients begin at the first of the block, and end there in the last row.
    "to the weight",
    [ (rows - 1) * outputs + block; rows * inputs; block * inputs ],
    fun dy x dw -> Gemm.BackwardWeight(dy.Span, x.Span, dw.Span, rows, inputs, outputs, block)

    "forward by columns",
    [ rows * inputs; outputs * inputs; outputs * stride ],
    fun x w y -> Gemm.AddForwardColumns(x.Span, w.Span, y.Span, rows, inputs, outputs, stride)

    "to the input by columns",
    [ outputs * stride; outputs * inputs; rows * inputs ],
    fun dy w dx -> Gemm.BackwardInputColumns(dy.Span, w.Span, dx.Span, rows, inputs, outputs, stride, false)

    "to the weight by columns",
    [ block * stride; rows * inputs; block * inputs ],
    fun dy x dw -> Gemm.BackwardWeightColumns(dy.Span, x.Span, dw.Span, rows, inputs, block, stride)
]

[<Tests>]
let tests =
    testList "linear kernel" [
        for name, sizes, product in products do
            testCase $"{name}, operands too short" (fun () ->
                // BLAS is told sizes and believes them.
                let operands = [ for size in sizes -> Array.create size 1f ]

                let call lengths =
                    let parts = List.map2 (fun (x: float32[]) n -> Memory(x, 0, n)) operands lengths
                    product parts[0] parts[1] parts[2]

                call sizes

                for short in 0..2 do
                    let lengths = sizes |> List.mapi (fun i n -> if i = short then n - 1 else n)

                    Expect.throwsT<ArgumentOutOfRangeException>
                        (fun () -> call lengths)
                        $"operand {short + 1}")

        testCase "refuses" (fun () ->
            use _ = torch.NewDisposeScope()

            let weight, bias = torch.zeros (4L, 3L), torch.zeros 4L

            for wrong, what in
                [
                    LinearLayer(bias, bias, Nullable 0), "the weight of it is no matrix"
                    LinearLayer(weight.double (), bias, Nullable 0), "the weight of it must be"
                    LinearLayer(weight, torch.zeros 3L, Nullable 0), "the bias of it must be"
                    LinearLayer(weight, bias, Nullable 0, Mask = weight.t ()), "the mask of it must be"
                ] do
                Expect.throwsC (fun () -> LinearKernel(wrong, "it") |> ignore) (fun e ->
                    Expect.isTrue (e :? ArgumentException) what
                    Expect.stringStarts e.Message what "what is wrong"))

        testCase "pieces" (fun () ->
            for inputs in [ 1; 16; 784; 3137; 60_000 ] do
                for outputs in [ 1; 15; 16; 17; 5000 ] do
                    let piece = LinearKernel.PieceOf(inputs, outputs)
                    Expect.isTrue (piece >= 1 && piece <= outputs) $"{piece} of {outputs}, from {inputs}")

        testCase "a side longer than a piece" (fun () ->
            for inputs, outputs in [ 1, 60_000; 60_000, 1 ] do
                use _ = torch.NewDisposeScope()
                let weight, bias = torch.zeros (int64 outputs, int64 inputs), torch.zeros (int64 outputs)
                let kernel = LinearKernel(LinearLayer(weight, bias, Nullable 0), "it")

                let dy, x =
                    [| for i in 1..outputs -> float32 i |], [| for i in 1..inputs -> float32 (i + 1) |]

                let sink = GradientTensors [ weight; bias ]
                let scratch = Array.zeroCreate kernel.Scratch
                kernel.BackwardParameters(ReadOnlySpan dy, ReadOnlySpan x, 1, Span scratch, sink)
                let gradient i = sink.Tensors[i].data<float32>().ToArray()

                Expect.equal
                    (gradient 0)
                    (Array.allPairs dy x |> Array.map (fun (d, x) -> d * x))
                    "of the weight"

                Expect.equal (gradient 1) dy "of the bias")

        testCase "autoregressive steps of several widths" (fun () ->
            use _ = torch.NewDisposeScope()

            let layer inputs outputs =
                LinearLayer(
                    torch.zeros (int64 outputs, int64 inputs),
                    torch.zeros (int64 outputs),
                    Nullable 0
                )

            let step width = MadeLayers(layer 2 width, layer 3 width, layer width 4)
            let scratch widths = IafPosterior(IafLayers([| for w in widths -> step w |], 1.5), 2).Scratch
            let needed = scratch [ 50 ]
            Expect.equal [ scratch [ 50; 5 ]; scratch [ 5; 50 ] ] [ needed; needed ] "what the widest needs")
    ]
