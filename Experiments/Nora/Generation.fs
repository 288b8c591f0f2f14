/// nora2: generation from the posterior (algorithm 1) and from the prior (algorithm 2), and interpolation between codes,
/// with the VAE of ift1. Run it: `./reproduce --only nora2`.
module Research.Experiments.Nora.Generation

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Ift

let private columns = 12

/// Lines of the interpolation grid and the points between the ends of each.
let private lines, steps = 4, 10

/// Images whose pixels are compared with what is generated.
let private compared = 500

/// Bernoulli pixels of images whose means are given by a decoder.
let private draw (built: BuiltVae) (z: Tensor) (noise: Noise) (stream: string) =
    let output = Vae.decode built.Vae z

    let u =
        noise.Uniform(stream, 0L, [| z.size 0; int64 built.Vae.Shape.Data |], device = z.device)

    Likelihood.sample built.Vae.Shape.Likelihood output u

let private share (a: Tensor) (b: Tensor) = a.eq(b).``to``(torch.float64).mean().ToDouble()

/// Both algorithms. Values: the share of pixels that an image has in common with what algorithm 1 makes of it
/// (`posterior`), with what algorithm 2 makes (`prior`), and with another test image (`other`).
let private generate (built: BuiltVae) (x: Tensor) (noise: Noise) =
    let latent = int64 built.Vae.Shape.Latent
    let normal stream = noise.Normal(stream, 0L, [| x.size 0; latent |], device = x.device)
    // Algorithm 1: x to q(z|x), z from it, and from z a new x.
    let posterior = Vae.encode built.Vae x
    let z = DiagNormal.sample posterior (normal "posterior")
    let again = draw built z noise "pixels.posterior"
    // Algorithm 2: z from the prior, and from z an x.
    let prior = normal "prior"
    let fresh = draw built prior noise "pixels.prior"
    let mean = Vae.meanImage built.Vae

    let line i = mean (interpolate steps posterior.Mu[2L * i] posterior.Mu[2L * i + 1L])

    let first (t: Tensor) = t.narrow (0L, 0L, min (int64 columns) (t.size 0))

    [
        "posterior", share x again
        "prior", share x fresh
        "other", share x (torch.cat ([| x.narrow (0L, 1L, x.size 0 - 1L); x.narrow (0L, 0L, 1L) |], 0L))
    ],
    [
        "image", first x
        "posterior mean", mean (first z)
        "posterior draw", first again
        "prior mean", mean (first prior)
        "prior draw", first fresh
        "ends", x.narrow (0L, 0L, 2L * int64 lines)
        "lines", torch.cat (Array.init lines (int64 >> line), 0L)
    ]

let private request (plan: Plan) (training: RunRequest) : RunRequest =
    let run = BinarizedMnist.vae plan.Profile

    let measure (context: RunContext) (built: BuiltVae) =
        let values, pictures =
            generate built (VaeRun.sampleOf (plan.Test run.Data) compared) context.Noise

        context.SaveTensors("pictures", [ for name, images in pictures -> NamedTensor(name, images) ])
        values

    let configuration = [ "images", string compared; "steps", string steps ]
    VaeRun.measurement plan $"nora2.seed{training.Key.Seed}" configuration 1 run training measure

let private requests (plan: Plan) = BinarizedMnist.trainings plan |> List.map (request plan)

let private figures (plan: Plan) (results: Results) =
    let pictures name =
        use images = results.Tensor "pictures" name (requests plan).Head
        Pictures.images (plan.Data DataSetId.BinarizedMnist).Train 1.0 images

    let rows names = names |> List.map pictures |> Array.concat

    let ends = pictures "ends"

    let grid =
        pictures "lines"
        |> Array.chunkBySize (steps + 2)
        |> Array.mapi (fun i line -> Array.concat [ [| ends[2 * i] |]; line; [| ends[2 * i + 1] |] ])
        |> Array.concat

    [
        Figure.grid
            "nora2.generation"
            "Binarized MNIST. Algorithm 1: test images, the decoder's mean at a draw from the posterior of each, and a draw of pixels from it. Algorithm 2: the decoder's mean at draws from the prior, and draws of pixels (first seed)."
            1
            [
                Panel.images
                    "algorithm 1, from the posterior"
                    columns
                    (rows [ "image"; "posterior mean"; "posterior draw" ])
                |> Panel.withCaptions [ "test image"; "mean"; "draw" ] []
                Panel.images "algorithm 2, from the prior" columns (rows [ "prior mean"; "prior draw" ])
                |> Panel.withCaptions [ "mean"; "draw" ] []
            ]
        Pictures.grid
            "nora2.interpolation"
            $"Binarized MNIST: the decoder's mean along the segment between the posterior means of two test images, both ends and {steps} points between them; the test images themselves stand outside, left and right (first seed)."
            (steps + 4)
            grid
    ]

let private report (plan: Plan) (results: Results) : Section =
    let runs = requests plan
    let epochs = BinarizedMnist.epochs

    let origin =
        plan.Origin(
            [ DataSetId.BinarizedMnist ],
            runs.Length,
            shortened "epochs" (epochs plan.Profile) (epochs Paper)
        )

    let percent name = runs |> List.map (fun r -> 100.0 * results.Value name r)
    let value id values = Seeds.value id 1 values
    let numbers values = values |> List.map (Markup.fixedPoint 1) |> String.concat ", "

    {
        Row = "nora2"
        Origin = origin
        Figures = figures plan results
        Tables = []
        Values = [
            value "nora2.posterior" (percent "posterior")
            value "nora2.prior" (percent "prior")
            value "nora2.other" (percent "other")
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "nora2.like"
                "for every seed, a draw of algorithm 1 shares more pixels with its image than one of algorithm 2 and than another test image"
                (List.forall2 (>) (percent "posterior") (List.map2 max (percent "prior") (percent "other")))
                (numbers (percent "posterior" @ percent "prior" @ percent "other"))
        ]
    }

let private experiment: Experiment = {
    Row = "nora2"
    Title = "Generation and interpolation"
    Runs = fun plan -> BinarizedMnist.trainings plan |> List.collect (fun t -> [ t; request plan t ])
    Report = report
    Sample = None
}

let experiments = [ experiment ]
