namespace Research.Models

open TorchSharp
open Research.Core

/// Latents `[B,L]` to images `[B,C,H,W]`, data being scaled to [-1,1].
type Generator = { Latent: int; Apply: Statistics -> Tensor -> Tensor }

/// Images `[B,C,H,W]` to logits or values `[B]`. `Ready` gives the function for one step: where weights are spectrally
/// normalised it takes the power iteration, once for all the batches of the step.
type Critic = { Ready: unit -> Tensor -> Tensor }

/// The networks of cs2.2 for images of 28x28 grey pixels.
[<RequireQualifiedAccess>]
module FashionGan =
    let private latent = 64

    /// Linear 512 - Linear 3136 - two pixel shuffles with a convolution after each; 1,654,121 parameters. The output
    /// is linear. Keys are those of a PyTorch Sequential with a reshape before the first shuffle.
    let generator (parameters: Parameters) (name: string) : Generator =
        let hidden = Linear.create parameters $"{name}.0" latent 512
        let hiddenNorm = BatchNorm.create parameters $"{name}.1" 512
        let planes = Linear.create parameters $"{name}.3" 512 3136
        let planesNorm = BatchNorm.create parameters $"{name}.4" 3136
        let middle = Conv.create parameters $"{name}.8" 16 32 3 1 1
        let middleNorm = BatchNorm.create parameters $"{name}.9" 32
        let last = Conv.create parameters $"{name}.12" 8 1 3 1 1

        let apply statistics (z: Tensor) =
            let norm layer (x: Tensor) = (BatchNorm.apply layer statistics x).relu()
            let shuffle (x: Tensor) = torch.nn.functional.pixel_shuffle (x, 2L)
            let flat = Linear.apply hidden z |> norm hiddenNorm |> Linear.apply planes |> norm planesNorm

            flat.view (-1L, 64L, 7L, 7L)
            |> shuffle
            |> Conv.apply middle
            |> norm middleNorm
            |> shuffle
            |> Conv.apply last

        { Latent = latent; Apply = apply }

    /// Two strided convolutions and two linear layers with LeakyReLU 0.1; 1,640,033 parameters.
    let discriminator (parameters: Parameters) (name: string) : Critic =
        let leaky (x: Tensor) = torch.nn.functional.leaky_relu (x, 0.1)
        let first = Conv.create parameters $"{name}.0" 1 32 4 2 1
        let second = Conv.create parameters $"{name}.2" 32 64 4 2 1
        let hidden = Linear.create parameters $"{name}.5" 3136 512
        let logit = Linear.create parameters $"{name}.7" 512 1

        let apply (x: Tensor) =
            let features = x |> Conv.apply first |> leaky |> Conv.apply second |> leaky
            let flat = features.flatten 1L
            (flat |> Linear.apply hidden |> leaky |> Linear.apply logit).squeeze 1L

        { Ready = fun () -> apply }

/// The residual networks of ift4 for images of 32x32 colour pixels, at width h (128 in the source).
[<RequireQualifiedAccess>]
module ResidualGan =
    // A gated residual begins close to the identity: sigmoid(-3) = 0.047.
    let private gate (parameters: Parameters) (name: string) =
        parameters.Learned($"{name}.alpha", torch.tensor -3.0f)

    /// x -> (1 - s) x + s block(x), s = sigmoid(alpha).
    let private residual (alpha: Tensor) (block: Tensor -> Tensor) (x: Tensor) : Tensor =
        torch.lerp (x, block x, alpha.sigmoid ())

    /// Four transposed convolutions from 1x1 to 32x32 with gated blocks between, hyperbolic tangent at the end;
    /// 6,895,494 parameters at h = 128.
    let generator (parameters: Parameters) (name: string) (latent: int) (width: int) : Generator =
        let stage index inputs outputs kernel stride padding =
            let at i = $"{name}.{index + i}"
            let up = Conv.createTransposed parameters (at 0) inputs outputs kernel stride padding
            let upNorm = BatchNorm.create parameters (at 1) outputs
            let alpha = gate parameters (at 3)
            let wide = Conv.create parameters $"{at 3}.block.0" outputs outputs 3 1 1
            let wideNorm = BatchNorm.create parameters $"{at 3}.block.1" outputs
            let narrow = Conv.create parameters $"{at 3}.block.3" outputs outputs 1 1 0
            let narrowNorm = BatchNorm.create parameters $"{at 3}.block.4" outputs

            fun statistics (x: Tensor) ->
                let norm layer (x: Tensor) = (BatchNorm.apply layer statistics x).relu()
                let block = Conv.apply wide >> norm wideNorm >> Conv.apply narrow >> norm narrowNorm
                x |> Conv.applyTransposed up |> norm upNorm |> residual alpha block

        let stages = [
            stage 0 latent (4 * width) 4 1 0
            stage 4 (4 * width) (2 * width) 4 2 1
            stage 8 (2 * width) width 4 2 1
        ]

        let last = Conv.createTransposed parameters $"{name}.12" width 3 4 2 1

        let apply statistics (z: Tensor) =
            let features =
                stages
                |> List.fold (fun x stage -> stage statistics x) (z.view (-1L, int64 latent, 1L, 1L))

            (Conv.applyTransposed last features).tanh()

        { Latent = latent; Apply = apply }

    /// Four convolutions from 32x32 to 1x1 with gated blocks between, LeakyReLU 0.2; 6,079,108 parameters at
    /// h = 128. With `spectral` every convolution's weight is spectrally normalised.
    let critic (parameters: Parameters) (name: string) (width: int) (spectral: bool) : Critic =
        let leaky (x: Tensor) = torch.nn.functional.leaky_relu (x, 0.2)

        // A convolution that is made once and made ready every step.
        let conv layer inputs outputs kernel stride padding =
            if spectral then
                let made = SpectralConv.create parameters layer inputs outputs kernel stride padding
                fun () -> Conv.apply (SpectralConv.normalise made)
            else
                let made = Conv.create parameters layer inputs outputs kernel stride padding
                fun () -> Conv.apply made

        let stage index inputs outputs =
            let at i = $"{name}.{index + i}"
            let down = conv (at 0) inputs outputs 4 2 1
            let alpha = gate parameters (at 2)
            let wide = conv $"{at 2}.block.0" outputs outputs 3 1 1
            let narrow = conv $"{at 2}.block.2" outputs outputs 1 1 0

            fun () ->
                let down, wide, narrow = down (), wide (), narrow ()
                down >> leaky >> residual alpha (wide >> leaky >> narrow >> leaky)

        let stages = [ stage 0 3 width; stage 3 width (2 * width); stage 6 (2 * width) (4 * width) ]
        let last = conv $"{name}.9" (4 * width) 1 4 1 0

        let ready () =
            let stages, last = stages |> List.map (fun stage -> stage ()), last ()
            fun (x: Tensor) -> (List.fold (|>) x stages |> last).flatten()

        { Ready = ready }
