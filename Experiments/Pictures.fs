namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Report

/// Tensors as pictures of the report.
[<RequireQualifiedAccess>]
module Pictures =
    /// Images `[N,D]` of a data set's shape, values 0..top, as PNG images; a bright pixel is a large value.
    let images (shape: ImageSet) (top: float) (x: Tensor) : Png.Image[] =
        use _ = torch.NewDisposeScope()

        let scaled =
            (x.detach().cpu() * (255.0 / top)).round().clamp(Scalar.op_Implicit 0.0, Scalar.op_Implicit 255.0)
        // PNG wants the channels of a pixel side by side.
        let planes = scaled.view (-1L, int64 shape.Channels, int64 shape.Height, int64 shape.Width)

        let bytes =
            planes.permute(0L, 2L, 3L, 1L).contiguous().``to``(torch.uint8).data<byte>().ToArray()

        [|
            for pixels in Array.chunkBySize shape.Dimension bytes ->
                {
                    Width = shape.Width
                    Height = shape.Height
                    Channels = shape.Channels
                    Pixels = pixels
                }
        |]

    /// A figure of one grid of images.
    let grid id caption columns images = Figure.single id caption (Panel.images "" columns images)

    /// The values of a function on a square grid, row 0 at the bottom: f takes `[n*n,2]` points to `[n*n]`.
    let density (low: float) (high: float) (n: int) (f: Tensor -> Tensor) : DensityMap =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let axis = torch.linspace (low, high, int64 n)
        let x = axis.repeat [| int64 n |]
        let y = axis.repeat_interleave (int64 n)
        let values = (f (torch.stack ([| x; y |], 1L))).double().cpu().data<float>().ToArray()

        {
            Values = Array2D.init n n (fun row column -> values[row * n + column])
            X = low, high
            Y = low, high
        }
