namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// What is measured on models, in blocks of images, so that memory does not grow with their number.
[<RequireQualifiedAccess>]
module Evaluation =
    /// Means over images of an objective's terms; `shape` gives the noise for so many examples.
    let terms (objective: Objective) (shape: int64 -> int64[]) model images (noise: Noise) stream step =
        let n, device = images.Raw.size 0, images.Raw.device
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
    /// The ELBO of every image of a binary or grey set, with one sample, and the divergence in closed form as far as it has one.
    let elboPerImage (built: BuiltVae) (images: Tensor) (noise: Noise) : float[] =
        let model, latent = built.Model(), int64 built.Vae.Shape.Latent
        blockwise 1000L (images.size 0) (fun block first count ->
            let x = images.narrow (0L, first, count)
            let q, eps = model.Encode x, noise.Normal("bound", block, [| count; latent |], device = images.device)
            let z, logQ = Posterior.sample q eps
            let kl = klFromPrior model.Prior q eps logQ (lazy model.Prior.LogProb z)
            (model.LogLikelihood x z - kl).double().cpu().data<float>().ToArray())
        |> Array.concat
    /// log p(x) of every image by importance sampling with K samples, in blocks of K x block decoded images: about 20,000,
    /// and ten times as many on a GPU, which fewer would not fill. `[N]` on the CPU.
    let logEvidence (built: BuiltVae) (images: Tensor) (samples: int) (noise: Noise) : float32[] =
        let model, latent = built.Model(), int64 built.Vae.Shape.Latent
        let decoded = if images.device_type = DeviceType.CPU then 20000L else 200000L
        blockwise (max 1L (decoded / int64 samples)) (images.size 0) (fun block first count ->
            let shape = [| int64 samples; count; latent |]
            let eps = noise.Normal("importance", block, shape, device = images.device)
            (logEvidence model (images.narrow (0L, first, count)) eps).cpu().data<float32>().ToArray())
        |> Array.concat
    /// Of every image `[N,D]`: log p(x) by importance sampling with K samples, the ELBO with one, and their difference.
    let evidence (built: BuiltVae) (images: Tensor) (samples: int) (noise: Noise) : (string * float[]) list =
        let logP = logEvidence built images samples noise |> Array.map float
        let elbo = elboPerImage built images noise
        [ "logp", logP; "elbo", elbo; "gap", Array.map2 (-) logP elbo ]
    /// The mean of each quantity under its name, and its standard error over images under the name with `.error`.
    let summary (perImage: (string * float[]) list) : (string * float) list =
        perImage
        |> List.collect (fun (name, values) -> [
            name, Array.average values
            $"{name}.error", Statistics.standardError values
        ])
    /// The encodings' divergence from the prior in two parts, from one draw of each. Diagonal posteriors only.
    let surgery (model: LatentModel) (q: DiagNormal) (noise: Noise) : Surgery =
        elboSurgery q model.Prior.LogProb (noise.Normal("surgery", 0L, q.Mu.shape, device = q.Mu.device))
    /// E[x|z] on `count` lines, each from the code 2 i to the code 2 i + 1 with so many points between them.
    let lines (built: BuiltVae) (count: int) (points: int) (codes: Tensor) : Tensor =
        let line i = Vae.meanImage built.Vae (interpolate points codes[2L * i] codes[2L * i + 1L])
        torch.cat (Array.init count (int64 >> line), 0L)
    /// E[x|z] for z from the prior: so many images `[count,D]` in the data's units.
    let sampleMeans (built: BuiltVae) (count: int) (noise: Noise) : Tensor =
        use _ = torch.no_grad ()
        let device, shape = built.Parameters.Device, [| int64 count; int64 built.Vae.Shape.Latent |]
        let u = noise.Uniform("prior.component", 0L, [| int64 count |], device = device)
        let eps = noise.Normal("prior", 0L, shape, device = device)
        Vae.meanImage built.Vae (built.Model().Prior.Sample u eps)
