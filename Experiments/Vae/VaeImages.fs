namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host

/// Images as a training or an evaluation takes them.
type VaeImages = {
    /// `[N,D]`, values 0 .. Levels; a conditional model's rows have the label behind the pixels.
    Raw: Tensor
    Levels: int
    /// Draw Bernoulli(value/Levels) anew for every batch; otherwise values are taken as they are.
    Binarise: bool
}

[<RequireQualifiedAccess>]
module VaeImages =
    let asTheyAre (raw: Tensor) : VaeImages = { Raw = raw; Levels = 1; Binarise = false }
    /// The rows as a model sees them; `stream` and `step` name the noise of a binarisation.
    let rows (images: VaeImages) (rows: int64[]) (noise: Noise) (stream: string) (step: int64) : Tensor =
        let x = Rows.pick images.Raw rows
        if images.Binarise then
            let u = noise.Uniform(stream, step, x.shape, device = x.device)
            u.lt(x / float images.Levels).``to`` torch.float32
        else
            x
