namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report

/// Tensors as pictures of the report.
[<RequireQualifiedAccess>]
module Pictures =
    /// Images `[N,D]` of a data set's shape, values 0..top, as PNG images; a bright pixel is a large value.
    let images (plan: Plan) (set: DataSetId) (top: float) (x: Tensor) : Png.Image[] =
        use _ = torch.NewDisposeScope()
        let shape = (plan.Data set).Train
        let scaled = (x.detach().cpu() * (255.0 / top)).round().clamp(scalar 0.0, scalar 255.0)
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

    /// The same of what a VAE decodes: grey levels, or means in [0,1].
    let ofVae (plan: Plan) (run: VaeRun) (x: Tensor) : Png.Image[] =
        let top =
            match run.Shape.Likelihood with
            | GreyLevels levels -> float (levels - 1)
            | BernoulliLogits _
            | Gaussian _ -> 1.0

        images plan run.Data top x

    /// Images of one kind that a measurement kept in its file `pictures`.
    let saved
        (results: Results)
        (set: DataSetId)
        (top: float)
        (kind: string)
        (request: RunRequest)
        : Png.Image[] =
        use all = results.Tensor "pictures" kind request
        images results.Plan set top all

    /// A figure of one grid of images.
    let grid id caption columns images = Figure.single id caption (Panel.images "" columns images)

    /// A panel with a row of images under each caption.
    let rowsPanel title (rows: (string * Png.Image[]) list) : Panel =
        Panel.images title (snd rows.Head).Length (rows |> List.map snd |> Array.concat)
        |> Panel.withCaptions (List.map fst rows) []

    /// A figure of rows of images, a caption beside each.
    let rows id caption (rows: (string * Png.Image[]) list) : Figure =
        Figure.single id caption (rowsPanel "" rows)

    /// Values on a square grid of n x n points, row by row from the bottom, as a map of the square [low, high]^2.
    let map (low: float) (high: float) (n: int) (values: float[]) : DensityMap = {
        Values = Array2D.init n n (fun row column -> values[row * n + column])
        X = low, high
        Y = low, high
    }

    /// The points of such a grid, `[n*n,2]`.
    let gridPoints (low: float) (high: float) (n: int) (device: torch.Device) : Tensor =
        let axis = torch.linspace (low, high, int64 n, torch.float32, device)
        torch.stack ([| axis.repeat [| int64 n |]; axis.repeat_interleave (int64 n) |], 1L)

    /// The values of a function on such a grid: f takes points `[n*n,2]` to `[n*n]`.
    let density (low: float) (high: float) (n: int) (f: Tensor -> Tensor) : DensityMap =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        map low high n ((f (gridPoints low high n torch.CPU)).double().cpu().data<float>().ToArray())
