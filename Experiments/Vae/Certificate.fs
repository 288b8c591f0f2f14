namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report

/// log p(x) of a trained model from both sides, by annealed importance sampling from the encoder's posterior: on images that
/// the model generates, whose latents are exact samples of the posterior, and from below on test images.
[<RequireQualifiedAccess>]
module Certificate =
    /// How much is computed: `Steps` even rungs from the encoder's posterior to the model's, and between two of them a
    /// Hamiltonian transition of `Leapfrogs` steps. An image takes `Chains` chains for the step sizes and as many for a side.
    type private Effort = { Images: int; Chains: int; Steps: int; Leapfrogs: int }

    let private effort (plan: Plan) : Effort =
        Profile.pick
            plan.Profile
            { Images = 4; Chains = 2; Steps = 3; Leapfrogs = 2 }
            { Images = 16; Chains = 4; Steps = 100; Leapfrogs = 4 }
            { Images = 100; Chains = 8; Steps = 300; Leapfrogs = 4 }

    /// Of either kind.
    let images (plan: Plan) : int = (effort plan).Images

    /// The most nats between both sides that certify an estimate, in the mean over images.
    let private allowed = 1.0

    /// Below and, where the images' latents `[B,L]` are known, above. `x: [B,D]`, results `[B]`.
    let private bounds
        (effort: Effort)
        (model: LatentModel)
        (noise: Noise)
        (part: string)
        (block: int64)
        (x: Tensor)
        (latents: Tensor option)
        : Tensor * Tensor option =
        let path = AnnealingPath.ofModel model x
        let shape = [| int64 effort.Chains; x.size 0; path.Base.Mu.size -1 |]
        let normal (stream: string) (at: int64) = noise.Normal($"{part}.{stream}", at, shape, device = x.device)
        let uniform (stream: string) (at: int64) =
            noise.Uniform($"{part}.{stream}.accept", at, shape[..1], device = x.device)
        let start stream = DiagNormal.sample path.Base (normal $"{stream}.start" block)
        let draws stream rung = (let at = block * 100_000L + int64 rung in normal stream at, uniform stream at)
        let ladder = [| for i in 0 .. effort.Steps -> float i / float effort.Steps |]
        let sizes = adaptedSizes path ladder effort.Leapfrogs (draws "sizes") (start "sizes")
        let anneal ladder sizes stream z =
            annealedLogWeights path ladder (hamiltonianMoves path sizes effort.Leapfrogs (draws stream)) z
        let up = anneal ladder sizes "up" (start "up")
        match latents with
        | None -> importanceWeightedBound up, None
        | Some z ->
            let down = anneal (Array.rev ladder) (sizes.flip 0L) "down" (z.expand shape)
            let lower, upper = evidenceBounds up down
            lower, Some upper

    /// The same for any number of images, in blocks of so many chains that their memory is small: one number an image.
    let private both (effort: Effort) model noise part (x: Tensor) (latents: Tensor option) : float[] * float[] =
        let numbers (perImage: Tensor) = perImage.cpu().double().data<float>().ToArray()
        let chains = if x.device_type = DeviceType.CPU then 256 else 8192
        let lower, upper =
            blockwise (max 1L (int64 (chains / effort.Chains))) (x.size 0) (fun block first count ->
                let rows (all: Tensor) = all.narrow (0L, first, count)
                let lower, upper = bounds effort model noise part block (rows x) (Option.map rows latents)
                numbers lower, upper |> Option.map numbers |> Option.defaultValue [||])
            |> Array.unzip
        Array.concat lower, Array.concat upper

    /// Latents from the prior and an image of each.
    let private simulate (built: BuiltVae) (count: int) (noise: Noise) : Tensor * Tensor =
        let device, n, shape = built.Parameters.Device, int64 count, built.Vae.Shape
        let u = noise.Uniform("simulated.component", 0L, [| n |], device = device)
        let eps = noise.Normal("simulated.latents", 0L, [| n; int64 shape.Latent |], device = device)
        let z = built.Model().Prior.Sample u eps
        let pixels = [| n; int64 shape.Data |]
        let ofPixels =
            match shape.Likelihood with
            | Gaussian _ -> noise.Normal("simulated.pixels", 0L, pixels, device = device)
            | BernoulliLogits _
            | GreyLevels _ -> noise.Uniform("simulated.pixels", 0L, pixels, device = device)
        z, Likelihood.sample shape.Likelihood (Vae.decode built.Vae z) ofPixels

    /// A run `row.certificate.seedN` on a trained model: on generated images `simulated.is` (importance sampling with K
    /// samples), `simulated.lower`, `simulated.upper`, the standard error `error` of the mean gap between these two, and on so
    /// many of the test images that `test` gives, `test.is`, `test.lower` and `test.missed.error`, the standard error of the mean
    /// difference of these two.
    let request (plan: Plan) (row: string) (samples: int) (test: Trained -> Tensor) (trained: Trained) : RunRequest =
        let effort = effort plan
        let configuration = [
            "samples", string samples
            "images", string effort.Images
            "chains", string effort.Chains
            "steps", string effort.Steps
            "leapfrogs", string effort.Leapfrogs
        ]
        VaeTraining.measure plan $"{row}.certificate.seed{trained.Seed}" configuration trained (fun context built ->
            let model, noise = built.Model(), context.Noise
            let importance x = Evaluation.logEvidence built x samples noise |> Array.map float
            let z, simulated = simulate built effort.Images noise
            let real = Rows.sample (test trained) effort.Images
            let lower, upper = both effort model noise "simulated" simulated (Some z)
            let below, _ = both effort model noise "test" real None
            let gaps, sampled = Array.map2 (-) upper lower, importance real
            // Differences of models are taken image by image.
            context.Keep("images", [ "test.lower", torch.tensor below ])
            [
                "simulated.is", Array.average (importance simulated)
                "simulated.lower", Array.average lower
                "simulated.upper", Array.average upper
                "error", Statistics.standardError gaps
                "test.is", Array.average sampled
                "test.lower", Array.average below
                "test.missed.error", Statistics.standardError (Array.map2 (-) below sampled)
            ])

    let private value name = Metric.value name "nats" 2 name

    let private gap = value "simulated.upper" |> Metric.minus "gap between both sides" (value "simulated.lower")

    /// One line for generated images and one for test images.
    let table (results: Results) (row: string) (data: string) (samples: int) (runs: RunRequest list) : Table =
        let effort = effort results.Plan
        let error = Metric.mean results (value "error") runs
        // Both sides and the chains of the step sizes.
        let moves = 3 * effort.Chains * effort.Steps * effort.Leapfrogs
        let of' metric = Metric.cell results metric runs
        let unknown = Missing "the posterior of a test image cannot be sampled exactly, so there is no upper side"
        [
            "generated",
            [ of' (value "simulated.is"); of' (value "simulated.lower"); of' (value "simulated.upper"); of' gap ]
            "test", [ of' (value "test.is"); of' (value "test.lower"); unknown; unknown ]
        ]
        |> Table.over
            $"{row}.certificate"
            $"{data}: $\\log p(x)$ of {effort.Images} images that the model generates and of {effort.Images} test images by importance sampling with $K={samples}$ and from both sides by annealed importance sampling with {effort.Steps} steps and {effort.Chains} chains a side (nats per image)."
            [
                Column.text "Images" fst
                Column.right "Importance sampling" (snd >> List.item 0)
                Column.right "From below" (snd >> List.item 1)
                Column.right "From above" (snd >> List.item 2)
                Column.right "Gap" (snd >> List.item 3)
            ]
        |> Table.withNote
            $"A transition has {effort.Leapfrogs} leapfrog steps, which makes $3\\cdot{effort.Chains}\\cdot{effort.Steps}\\cdot{effort.Leapfrogs}={moves}$ of them for an image, for the step sizes and both sides. The standard error of the gap over images is {error:F2}."

    /// By how much annealing lies above importance sampling on test images, one a seed: what importance sampling misses
    /// at least.
    let missed (results: Results) (runs: RunRequest list) : float list =
        Metric.each results (value "test.lower" |> Metric.minus "missed" (value "test.is")) runs

    /// The same on images that the model generates.
    let missedOnGenerated (results: Results) (runs: RunRequest list) : float list =
        Metric.each results (value "simulated.lower" |> Metric.minus "missed" (value "simulated.is")) runs

    /// The gap for the text.
    let reported (results: Results) (row: string) (runs: RunRequest list) : Value =
        Seeds.value $"{row}.certified" 2 (Metric.each results gap runs)

    /// At most a nat between both sides, in the mean over seeds.
    let claim (results: Results) (source: string) (row: string) (data: string) (runs: RunRequest list) : Claim =
        Claim.that source $"{row}.certified" $"{data}, generated images: nats between both sides of $\\log p(x)$"
        |> Claim.judgedBy (AtMost allowed) (Metric.each results gap runs)

    /// The same for every seed, behind a sentence of the text.
    let guard (results: Results) (row: string) (runs: RunRequest list) : Guard =
        Guard.that
            $"{row}.certified"
            "both sides of log p(x) of generated images are at most a nat apart for every seed"
        |> Guard.every (fun gap -> gap <= allowed) "gaps" (Metric.each results gap runs)
