namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// What is measured on models, in blocks of images, so that memory does not grow with their number.
[<RequireQualifiedAccess>]
module Evaluation =
    /// Means over images of an objective's terms; `shape` gives the noise for so many examples.
    let terms
        (objective: Objective)
        (shape: int64 -> int64[])
        model
        images
        (noise: Noise)
        stream
        step
        : (string * float) list =
        let n = images.Raw.size 0
        let device = images.Raw.device
        blockwise 1000L n (fun block first count ->
            // Every block of every evaluation has noise of its own.
            let at = step * 100000L + block
            let x = VaeImages.rows images [| first .. first + count - 1L |] noise $"{stream}.binarise" at
            let eps = noise.Normal(stream, at, shape count, device = device)
            [ for name, value in objective model x eps -> name, float count / float n * value.ToDouble() ])
        |> List.concat
        |> List.groupBy fst
        |> List.map (fun (name, parts) -> name, List.sumBy snd parts)
    /// Means of the ELBO's parts with one sample each: reconstruction (-log p(x|z)), KL, and `nelbo`, their sum.
    let nelbo (latent: int) (model: LatentModel) (images: VaeImages) (noise: Noise) stream step =
        let parts = terms elbo (fun examples -> [| examples; int64 latent |]) model images noise stream step
        ("nelbo", List.sumBy snd parts) :: parts
    /// log p(x) of every image by importance sampling with K samples, in blocks that keep K x block near 20,000
    /// decoded images. `[N]` on the CPU.
    let logEvidence (built: BuiltVae) (images: Tensor) (samples: int) (noise: Noise) : float32[] =
        let model, latent = built.Model(), int64 built.Vae.Shape.Latent
        blockwise (max 1L (20000L / int64 samples)) (images.size 0) (fun block first count ->
            let shape = [| int64 samples; count; latent |]
            let eps = noise.Normal("importance", block, shape, device = images.device)
            (logEvidence model (images.narrow (0L, first, count)) eps).data<float32>().ToArray())
        |> Array.concat
    /// The encodings' divergence from the prior in two parts, from one draw of each. Diagonal posteriors only.
    let surgery (model: LatentModel) (q: DiagNormal) (noise: Noise) : Surgery =
        elboSurgery q model.Prior.LogProb (noise.Normal("surgery", 0L, q.Mu.shape, device = q.Mu.device))
    /// E[x|z] for z from the prior: so many images `[count,D]` in the data's units.
    let sampleMeans (built: BuiltVae) (count: int) (noise: Noise) : Tensor =
        use _ = torch.no_grad ()
        let device, shape = built.Parameters.Device, [| int64 count; int64 built.Vae.Shape.Latent |]
        let u = noise.Uniform("prior.component", 0L, [| int64 count |], device = device)
        let eps = noise.Normal("prior", 0L, shape, device = device)
        Vae.meanImage built.Vae (built.Model().Prior.Sample u eps)
