namespace Research.Models

open TorchSharp
open Research.Core

/// What follows the diagonal normal of the encoder.
type PosteriorShape =
    | DiagonalPosterior
    /// k planar maps whose u, w and b the encoder's features give for each example.
    | PlanarPosterior of maps: int
    /// Inverse autoregressive steps with the order reversed between them, one MADE of the given width each.
    | IafPosterior of steps: int * width: int
    /// Sylvester maps, for each example with so many columns of a product of reflections, two triangles and an offset.
    | SylvesterPosterior of maps: int * columns: int * reflections: int
    /// Couplings of splines with so many bins and a flip between, one network of the given width each.
    | SplinePosterior of couplings: int * width: int * bins: int

/// A masked autoencoder with one hidden layer and a context: output i depends on the inputs before i and on h.
type Made = {
    Input: Linear
    Context: Linear
    Output: Linear
    InputMask: Tensor
    OutputMask: Tensor
}

[<RequireQualifiedAccess>]
module Made =
    /// Two outputs a latent (m and s), zero at the start. Masks are buffers; the hidden degrees cycle through 0 .. L-1,
    /// those of degree 0 reading the context alone, which is all that the outputs of the first latent may see.
    let create (parameters: Parameters) (name: string) (latent: int) (context: int) (width: int) : Made =
        if width < 1 then
            invalidArg (nameof width) $"a hidden layer of {width} units passes nothing on"

        let degrees = Array.init latent (fun i -> int64 (i + 1))
        let hidden = Array.init width (fun i -> int64 (i % latent))
        let outputs = Array.append degrees degrees

        {
            Input = Linear.create parameters $"{name}.input" latent width
            Context = Linear.create parameters $"{name}.context" context width
            Output = Linear.zeros parameters $"{name}.output" width (2 * latent)
            InputMask = parameters.Buffer($"{name}.input_mask", madeMask false degrees hidden)
            OutputMask = parameters.Buffer($"{name}.output_mask", madeMask true hidden outputs)
        }

    /// `h: [B,C]`, `z: [..,B,L]`, results m and s `[..,B,L]`.
    let apply (made: Made) (h: Tensor) (z: Tensor) : Tensor * Tensor =
        let masked (layer: Linear) mask x = torch.nn.functional.linear (x, layer.Weight * mask, layer.Bias)

        let hidden =
            torch.nn.functional.elu (masked made.Input made.InputMask z + Linear.apply made.Context h, 1.0)

        let output = masked made.Output made.OutputMask hidden
        let latent = made.InputMask.size 1
        output.narrow (-1L, 0L, latent), output.narrow (-1L, latent, latent)

/// The Sylvester maps of an amortised posterior, every part of them given by the encoder's features for each example.
[<RequireQualifiedAccess>]
module private SylvesterMaps =
    /// The first triangle is zero at the start, so that the flow begins as the identity.
    let create (parameters: Parameters) features latent maps columns reflections : Tensor -> Transform =
        let layer part make count = make parameters $"posterior.sylvester.{part}" features (maps * count)
        let vNet = layer "v" Linear.create (reflections * latent)
        let rNet = layer "r" Linear.zeros (columns * columns)
        let r'Net = layer "r2" Linear.create (columns * columns)
        let bNet = layer "b" Linear.create columns

        fun h ->
            // Of each map: `[..,maps,..]`.
            let parts net (shape: int list) =
                let all = Linear.apply net h
                let leading = all.shape[.. all.shape.Length - 2]
                all.view [| yield! leading; int64 maps; yield! List.map int64 shape |]

            let vs, bs = parts vNet [ reflections; latent ], parts bNet [ columns ]
            let rs, rs' = parts rNet [ columns; columns ], parts r'Net [ columns; columns ]

            Transform.compose [
                for i in 0L .. int64 maps - 1L do
                    let q = (householder (vs.select (-3L, i))).narrow(-1L, 0L, int64 columns)
                    sylvester q (rs.select (-3L, i)) (rs'.select (-3L, i)) (bs.select (-2L, i))
            ]

/// The splines of an amortised posterior: couplings whose networks see one half of the latents and the encoder's features.
[<RequireQualifiedAccess>]
module private SplineCouplings =
    /// The last layers are zero at the start, so that the flow begins as the identity.
    let create (parameters: Parameters) features latent couplings width bins : Tensor -> Transform =
        if latent % 2 <> 0 then
            invalidArg (nameof latent) $"a coupling splits the latents in two halves, which {latent} has not"

        let half = latent / 2

        let nets =
            List.init couplings (fun i ->
                let name = $"posterior.spline.{i}"

                Linear.create parameters $"{name}.input" half width,
                Linear.create parameters $"{name}.context" features width,
                Linear.zeros parameters $"{name}.output" width (Spline.outputs bins half))

        fun h ->
            let step (input, context, output) =
                let ofContext = Linear.apply context h

                conditionalCoupling (fun z1 ->
                    torch.nn.functional.elu (Linear.apply input z1 + ofContext, 1.0)
                    |> Linear.apply output
                    |> Spline.ofOutput bins)

            nets
            |> List.map step
            // Every second coupling sees the latents in reversed order, and returns them in their own.
            |> List.mapi (fun i step ->
                if i % 2 = 0 then
                    step
                else
                    Transform.compose [ Transform.flip; step; Transform.flip ])
            |> Transform.compose

[<RequireQualifiedAccess>]
module PosteriorShape =
    /// Where the gates of the autoregressive steps start: mostly open, and not yet saturated.
    let openGate = 1.5

    /// z -> z / sigmoid(openGate), which makes a step at its start, where m is zero, the identity.
    let private rescale (latent: int) : Transform =
        let factor = 1.0 + exp -openGate

        {
            Forward =
                fun z -> factor * z, torch.full_like (z.select (-1L, 0L), scalar (float latent * log factor))
            Inverse = None
        }

    /// Makes the flow's parameters and returns the posterior as a function of the batch. The flow reads the same
    /// hidden features as the encoder's last layer, so the diagonal posterior costs nothing extra.
    let create (parameters: Parameters) (vae: Vae) (shape: PosteriorShape) : Tensor -> Posterior =
        let latent = vae.Shape.Latent
        let features = List.last vae.Shape.Hidden

        // The encoder without its last layer.
        let body = {
            vae.Encoder with
                Layers = vae.Encoder.Layers |> List.take (vae.Encoder.Layers.Length - 1)
        }

        let hidden x = Activation.apply vae.Encoder.Activation (Mlp.apply body x)
        let head = { vae.Encoder with Layers = [ List.last vae.Encoder.Layers ] }

        let diagonal h = Vae.encode { vae with Encoder = head } h

        match shape with
        | DiagonalPosterior -> fun x -> { Base = Vae.encode vae x; Flow = None }
        | PlanarPosterior maps ->
            let count = int64 maps

            // u starts at zero for every example and the map is centred, so that the flow begins as the identity.
            let uNet = Linear.zeros parameters "posterior.planar.u" features (maps * latent)
            let wNet = Linear.create parameters "posterior.planar.w" features (maps * latent)
            let bNet = Linear.create parameters "posterior.planar.b" features maps

            fun x ->
                let h = hidden x
                let us, ws, bs = Linear.apply uNet h, Linear.apply wNet h, Linear.apply bNet h

                let flow = [
                    for i in 0L .. count - 1L do
                        let slice (all: Tensor) = all.narrow (-1L, i * int64 latent, int64 latent)
                        let w = slice ws
                        planar (PlanarChain.shift PlanarChain.centred (slice us) w) w (bs.select (-1L, i))
                ]

                { Base = diagonal h; Flow = Some(Transform.compose flow) }
        | SylvesterPosterior(maps, columns, reflections) ->
            let flow = SylvesterMaps.create parameters features latent maps columns reflections

            fun x ->
                let h = hidden x
                { Base = diagonal h; Flow = Some(flow h) }
        | SplinePosterior(couplings, width, bins) ->
            let flow = SplineCouplings.create parameters features latent couplings width bins

            fun x ->
                let h = hidden x
                { Base = diagonal h; Flow = Some(flow h) }
        | IafPosterior(steps, width) ->
            let mades =
                List.init steps (fun i -> Made.create parameters $"posterior.iaf.{i}" latent features width)

            fun x ->
                let h = hidden x

                let flow =
                    mades
                    |> List.mapi (fun i made ->
                        let net z =
                            let m, s = Made.apply made h z
                            m, s + openGate

                        let step = Transform.andThen (rescale latent) (inverseAutoregressive net)
                        // Every second step sees the latents in reversed order, and returns them in their own.
                        if i % 2 = 0 then
                            step
                        else
                            Transform.compose [ Transform.flip; step; Transform.flip ])

                { Base = diagonal h; Flow = Some(Transform.compose flow) }
