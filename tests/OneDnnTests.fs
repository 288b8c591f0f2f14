/// Convolutions, which libtorch leaves to oneDNN where oneDNN gives the right numbers.
module Research.Tests.OneDnnTests

open Expecto
open TorchSharp
open Research.Host

type private Tensor = torch.Tensor

/// `[B,I,H,H]` with `[O,I,K,K]` or, transposed, `[I,O,K,K]`, in plain loops: each pixel of the result is the sum over the
/// pixels of the image that the kernel joins it with.
let private inLoops transposed (stride: int) (padding: int) (x: Tensor) (w: Tensor) (b: Tensor) =
    let batch, inputs, size = int x.shape[0], int x.shape[1], int x.shape[2]
    let kernel, outputs = int w.shape[2], int b.shape[0]

    let result =
        if transposed then
            stride * (size - 1) + kernel - 2 * padding
        else
            (size + 2 * padding - kernel) / stride + 1

    let images, weights, bias =
        x.data<float32>().ToArray(), w.data<float32>().ToArray(), b.data<float32>().ToArray()

    let weight o i r c =
        let first, second, count = if transposed then i, o, outputs else o, i, inputs
        float weights[((first * count + second) * kernel + r) * kernel + c]

    // The place in the image that meets place `at` of the result through place `k` of the kernel.
    let meets at k =
        if transposed then
            let n = at + padding - k
            if n % stride = 0 then n / stride else -1
        else
            at * stride + k - padding

    let at image output row column =
        let mutable sum = float bias[output]

        for r in 0 .. kernel - 1 do
            for c in 0 .. kernel - 1 do
                let y, x = meets row r, meets column c

                if y >= 0 && y < size && x >= 0 && x < size then
                    for i in 0 .. inputs - 1 do
                        sum <-
                            sum
                            + weight output i r c * float images[((image * inputs + i) * size + y) * size + x]

        sum

    let values = [|
        for image in 0 .. batch - 1 do
            for output in 0 .. outputs - 1 do
                for row in 0 .. result - 1 do
                    for column in 0 .. result - 1 do
                        at image output row column
    |]

    torch.tensor(values).view(int64 batch, int64 outputs, int64 result, int64 result)

let private convolve transposed (x: Tensor, w: Tensor, b: Tensor) (strides: int64[]) (padding: int64[]) =
    if transposed then
        torch.nn.functional.conv_transpose2d (x, w, b, strides, padding)
    else
        torch.nn.functional.conv2d (x, w, b, strides, padding)

let private distance (a: Tensor) (b: Tensor) =
    (a.``to`` torch.float64 - b.``to`` torch.float64).abs().max().ToDouble()

/// Numbers of channels that fill blocks of 8 or 16, and that do not; sizes and kernels of the networks here.
let private right =
    testCase "host/onednn/right" (fun () ->
        use random = new torch.Generator(3UL)

        for inputs, outputs in
            [ 1, 16; 3, 4; 4, 3; 4, 4; 8, 1; 8, 8; 12, 16; 16, 12; 20, 24; 24, 48; 32, 32; 100, 16 ] do
            for size, kernel, stride, padding, transposed in
                [
                    1, 4, 1, 0, true
                    4, 4, 1, 0, false
                    6, 3, 1, 1, false
                    6, 4, 2, 1, false
                    3, 4, 2, 1, true
                ] do
                use _ = torch.NewDisposeScope()

                let normal (shape: int list) =
                    torch.randn (Array.map int64 (List.toArray shape), generator = random)

                let first, second = if transposed then inputs, outputs else outputs, inputs

                let x, w, b =
                    normal [ 3; inputs; size; size ],
                    normal [ first; second; kernel; kernel ],
                    normal [ outputs ]

                let both (n: int) = [| int64 n; int64 n |]

                let withGradients (kind: torch.ScalarType) =
                    let leaf (t: Tensor) = t.``to``(kind, true).requires_grad_ true
                    let leaves = leaf x, leaf w, leaf b
                    let y = convolve transposed leaves (both stride) (both padding)
                    (y * y).sum().backward()
                    let x, w, b = leaves
                    y :: [ for leaf in [ x; w; b ] -> nonNull leaf.grad ]

                let what =
                    $"{inputs} to {outputs} channels, size {size}, kernel {kernel}, transposed: {transposed}"

                let single, double = withGradients torch.float32, withGradients torch.float64
                Expect.isLessThan (distance double.Head (inLoops transposed stride padding x w b)) 1e-9 what

                for name, a, b in List.zip3 [ "values"; "images"; "weight"; "bias" ] single double do
                    let scale = 1.0 + b.abs().max().ToDouble()
                    Expect.isLessThan (distance a b) (1e-4 * scale) $"{what}: {name}")

/// The look at oneDNN's convolutions finds planted faults, and none where there is none.
let private looks =
    testCase "host/onednn/looks" (fun () ->
        let sound (change: Tensor -> Tensor) (changeTransposed: Tensor -> Tensor) =
            let changed transposed change =
                OneDnn.Convolution(fun x w b strides padding ->
                    let y = convolve transposed (x, w, b) strides padding
                    if x.dtype = torch.float32 then change y else y)

            OneDnn.IsSound(changed false change, changed true changeTransposed)

        // Images with the last of so many channels undefined.
        let one (channels: int64) (y: Tensor) =
            let last = torch.arange(y.shape[1]).view(1L, -1L, 1L, 1L).eq(torch.tensor (channels - 1L))
            y.masked_fill (last, nan)

        /// The right values with gradients by the images, the weight and the bias that are too large.
        let steeper (y: Tensor) = y * 1.1 - (y * 0.1).detach()

        Expect.isTrue (sound id id) "what is right is kept"

        for what, change in
            [
                "a factor", (fun (y: Tensor) -> y * 1.01)
                "an undefined number in the last of 12 channels", one 12L
                "an undefined number in the last of 20 channels", one 20L
                "an undefined number in the last of 3 channels", one 3L
                "a gradient", steeper
            ] do
            Expect.isFalse (sound change id) $"{what}, of the convolution"
            Expect.isFalse (sound id change) $"{what}, of the transposed one")

[<Tests>]
let tests = testList "onednn" [ right; looks ]
