namespace Research.Models

open TorchSharp
open Research.Core

/// A two-dimensional convolution, or a transposed one: the adjoint of a convolution's linear part. `Bias: [O]` and
/// `Weight: [O,I,K,K]`, which a transposed one stores as `[I,O,K,K]`.
type Conv = { Weight: Tensor; Bias: Tensor; Stride: int64[]; Padding: int64[] }

[<RequireQualifiedAccess>]
module Conv =
    /// Both tensors from U(-1/sqrt fanIn, 1/sqrt fanIn), where PyTorch takes K^2 times the weight's second axis for the
    /// fan-in of either kind.
    let private start (parameters: Parameters) name (first, second) outputs kernel stride padding : Conv =
        let bound = 1.0 / sqrt (float (second * kernel * kernel))
        let shape = [| int64 first; int64 second; int64 kernel; int64 kernel |]

        {
            Weight = parameters.Uniform($"{name}.weight", shape, -bound, bound)
            Bias = parameters.Uniform($"{name}.bias", [| int64 outputs |], -bound, bound)
            Stride = [| int64 stride; int64 stride |]
            Padding = [| int64 padding; int64 padding |]
        }

    /// A convolution that starts as PyTorch's nn.Conv2d.
    let create parameters name inputs outputs kernel stride padding : Conv =
        start parameters name (outputs, inputs) outputs kernel stride padding

    /// A transposed convolution that starts as PyTorch's nn.ConvTranspose2d.
    let createTransposed parameters name inputs outputs kernel stride padding : Conv =
        start parameters name (inputs, outputs) outputs kernel stride padding

    /// `[B,I,H,W] -> [B,O,(H+2P-K)/S+1,..]`.
    let apply (layer: Conv) (x: Tensor) : Tensor =
        torch.nn.functional.conv2d (x, layer.Weight, layer.Bias, layer.Stride, layer.Padding)

    /// `[B,I,H,W] -> [B,O,S(H-1)+K-2P,..]`.
    let applyTransposed (layer: Conv) (x: Tensor) : Tensor =
        torch.nn.functional.conv_transpose2d (x, layer.Weight, layer.Bias, layer.Stride, layer.Padding)

/// A convolution whose weight, as a matrix `[O,I K^2]`, is divided by an estimate of its largest singular value.
/// `Direction: [O]` is the estimate's left singular vector, carried from step to step as part of the state.
type SpectralConv = { Conv: Conv; Direction: Tensor }

[<RequireQualifiedAccess>]
module SpectralConv =
    /// A convolution as `Conv.create` makes it, with a random unit direction under the key `name.weight_u`.
    let create (parameters: Parameters) name inputs outputs kernel stride padding : SpectralConv =
        let conv = Conv.create parameters name inputs outputs kernel stride padding
        let u = torch.randn ([| int64 outputs |], generator = parameters.Generator)

        {
            Conv = conv
            Direction = parameters.Buffer($"{name}.weight_u", u / u.norm ())
        }

    /// Takes one power iteration, moves the direction, and returns the convolution with the normalised weight; a weight
    /// of norm 0 stays as it is. The gradient flows through the weight and its singular value.
    let normalise (layer: SpectralConv) : Conv =
        let weight = layer.Conv.Weight
        let sigma, u, _ = spectralNorm (weight.flatten 1L) layer.Direction
        layer.Direction.copy_ u |> ignore
        let isZero = sigma.detach().logical_not()
        { layer.Conv with Weight = weight / sigma.masked_fill (isZero, 1) }

/// Which mean and variance a batch normalisation uses.
type Statistics =
    /// The batch's own; the running ones move towards them by this share.
    | OfBatch of momentum: float
    /// The running ones, which do not move.
    | Running

/// Normalisation of every channel over batch and positions, then scale and shift. All `[C]`; mean and variance are
/// buffers.
type BatchNorm = { Scale: Tensor; Shift: Tensor; Mean: Tensor; Variance: Tensor }

[<RequireQualifiedAccess>]
module BatchNorm =
    /// Scale 1, shift 0, running mean 0, running variance 1, under PyTorch's names.
    let create (parameters: Parameters) (name: string) (channels: int) : BatchNorm =
        let size = [| int64 channels |]

        {
            Scale = parameters.Learned($"{name}.weight", torch.ones size)
            Shift = parameters.Learned($"{name}.bias", torch.zeros size)
            Mean = parameters.Buffer($"{name}.running_mean", torch.zeros size)
            Variance = parameters.Buffer($"{name}.running_var", torch.ones size)
        }

    /// `[B,C]` or `[B,C,H,W]`, same shape out.
    let apply (layer: BatchNorm) (statistics: Statistics) (x: Tensor) : Tensor =
        let training, momentum =
            match statistics with
            | OfBatch momentum -> true, momentum
            | Running -> false, 0.0

        torch.nn.functional.batch_norm (
            x,
            layer.Mean,
            layer.Variance,
            layer.Scale,
            layer.Shift,
            training,
            momentum
        )
