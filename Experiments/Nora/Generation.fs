/// nora2: generation from the posterior (algorithm 1) and from the prior (algorithm 2), interpolation between draws of
/// the prior and between codes of images, and arithmetic on codes, with the VAE of ift1. Run it: `./reproduce --only nora2`.
module Research.Experiments.Nora.Generation

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Hw
open Research.Experiments.Ift

let private columns = 12

/// Lines of the interpolation grids and the points between the ends of each. The slides' program has four of these.
let private lines, private steps = 4, 10

/// What is done with two codes, by the column of the figure.
let private arithmetic: (string * (Tensor -> Tensor -> Tensor)) list = [
    "$z_a$", fun a _ -> a
    "$z_b$", fun _ b -> b
    "mean", fun a b -> (a + b) / 2.0
    "$z_a+z_b$", fun a b -> a + b
    "$z_a-z_b$", fun a b -> a - b
    "$-z_a$", fun a _ -> a.neg ()
    "$2z_a$", fun a _ -> 2.0 * a
]

/// Images whose pixels are compared with what is generated.
let private compared = 500

/// Bernoulli pixels of images whose means are given by a decoder.
let private draw (built: BuiltVae) (z: Tensor) (noise: Noise) (stream: string) =
    let shape = [| z.size 0; int64 built.Vae.Shape.Data |]
    let u = noise.Uniform(stream, 0L, shape, device = z.device)
    Likelihood.sample built.Vae.Shape.Likelihood (Vae.decode built.Vae z) u

/// The share of pixels that two images have in common, of each pair.
let private share (a: Tensor) (b: Tensor) = a.eq(b).``to``(torch.float64).mean([| 1L |])

/// Both algorithms. Values: the share of pixels that an image has in common with what algorithm 1 makes of it
/// (`posterior`), with what algorithm 2 makes (`prior`), and with another test image (`other`).
let private generate (context: RunContext) (built: BuiltVae) (x: Tensor) =
    let noise, latent = context.Noise, int64 built.Vae.Shape.Latent
    let normal stream = noise.Normal(stream, 0L, [| x.size 0; latent |], device = x.device)
    // Algorithm 1: x to q(z|x), z from it, and from z a new x.
    let posterior = Vae.encode built.Vae x
    let z = DiagNormal.sample posterior (normal "posterior")
    let again = draw built z noise "pixels.posterior"
    // Algorithm 2: z from the prior, and from z an x.
    let prior = normal "prior"
    let fresh = draw built prior noise "pixels.prior"
    let mean, between = Vae.meanImage built.Vae, Evaluation.lines built lines steps
    let calculated = [|
        for i in 0L .. int64 lines - 1L do
            for _, operation in arithmetic -> operation prior[2L * i] prior[2L * i + 1L]
    |]
    let first (t: Tensor) = t.narrow (0L, 0L, min (int64 columns) (t.size 0))

    context.Keep(
        "pictures",
        [
            "image", first x
            "posterior mean", mean (first z)
            "posterior draw", first again
            "prior mean", mean (first prior)
            "prior draw", first fresh
            "ends", x.narrow (0L, 0L, 2L * int64 lines)
            "lines", between posterior.Mu
            "prior lines", between prior
            "arithmetic", mean (torch.stack (calculated, 0L))
        ]
    )
    // Many pairs, by blocks of which memory stays small.
    let half = x.size 0 / 2L
    let a, b = prior.narrow (0L, 0L, half), prior.narrow (0L, half, half)
    /// Mean and standard error.
    let summary name (each: Tensor) = [
        name, each.mean().ToDouble()
        $"{name}.error", each.std().ToDouble() / sqrt (float (each.size 0))
    ]
    /// The same of distances over all pixels, a pixel's share.
    let ofDistances name (distances: Tensor) = summary name (distances.double () / sqrt (float (x.size 1)))
    let away = [
        for i, (_, operation) in List.indexed arithmetic do
            yield! ofDistances $"away.{i}" (fst (Rows.nearest x (mean (operation a b))))
        // What a test image itself has to the nearest other one.
        yield! ofDistances "away.test" ((torch.cdist (x, x) + 1e9 * torch.eye (x.size 0, device = x.device)).amin 1L)
    ]
    let other = torch.cat ([| x.narrow (0L, 1L, x.size 0 - 1L); x.narrow (0L, 0L, 1L) |], 0L)
    summary "posterior" (share x again)
    @ summary "prior" (share x fresh)
    @ summary "other" (share x other)
    @ away

let private request (plan: Plan) (trained: Trained) : RunRequest =
    let configuration = [ "images", string compared; "steps", string steps ]
    VaeTraining.measure plan $"nora2.seed{trained.Seed}" configuration trained (fun context built ->
        generate context built (Rows.sample (plan.Test trained.Run.Data) compared))

/// How gradual the path from one draw of the prior to another is: the largest change of the mean image from one point to
/// the next, as a share of the change from end to end (root mean square of the pixels, mean over the lines).
let private largestStep (results: Results) (run: RunRequest) : float =
    use _ = torch.NewDisposeScope()
    let images = (results.Tensor "pictures" "prior lines" run).double().view(int64 lines, int64 steps + 2L, -1L)
    let points = int64 steps + 1L
    let along = (images.narrow (1L, 1L, points) - images.narrow (1L, 0L, points)).square().mean([| 2L |]).sqrt()
    let ends = (images.select (1L, points) - images.select (1L, 0L)).square().mean([| 1L |]).sqrt()
    (along.amax ([| 1L |]) / ends).mean().ToDouble()

let private requests (plan: Plan) = BinarizedMnist.trainings plan |> List.map (request plan)

let private figures (results: Results) =
    let seed = firstOf results.Plan.Seeds
    let pictures kind = Pictures.saved results DataSetId.BinarizedMnist 1.0 kind (requests results.Plan).Head
    let ends = pictures "ends"
    let grid =
        pictures "lines"
        |> Array.chunkBySize (steps + 2)
        |> Array.mapi (fun i line -> Array.concat [ [| ends[2 * i] |]; line; [| ends[2 * i + 1] |] ])
        |> Array.concat

    [
        Figure.grid
            "nora2.generation"
            $"Binarized MNIST. Algorithm 1: test images, the decoder's mean at a draw from the posterior of each, and a draw of pixels from it. Algorithm 2: the decoder's mean at draws from the prior, and draws of pixels{seed}."
            1
            [
                Pictures.rowsPanel "algorithm 1, from the posterior" [
                    "test image", pictures "image"
                    "mean", pictures "posterior mean"
                    "draw", pictures "posterior draw"
                ]
                Pictures.rowsPanel "algorithm 2, from the prior" [
                    "mean", pictures "prior mean"
                    "draw", pictures "prior draw"
                ]
            ]
        Figure.grid
            "nora2.interpolation"
            $"Binarized MNIST: the decoder's mean along the segment between two codes, a pair of codes a row, both ends and {steps} points between them{seed}. Above, as in the slides' program, the ends are draws of the prior; below they are the posterior means of two test images, which stand outside, left and right."
            1
            [
                Panel.images "between draws of the prior" (steps + 2) (pictures "prior lines")
                Panel.images "between codes of test images" (steps + 4) grid
            ]
        Panel.images "" arithmetic.Length (pictures "arithmetic")
        |> Panel.withCaptions [] (List.map fst arithmetic)
        |> Figure.single
            "nora2.arithmetic"
            $"Binarized MNIST: arithmetic on pairs of draws $z_a$, $z_b$ of the prior, a pair a row, decoded to means{seed}. In 100 dimensions a sum is longer than a draw by the factor $\\sqrt2$, and a mean shorter by it."
    ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let shortened = BinarizedMnist.shortenedBy "epochs" plan.Profile
    let percent name = requests plan |> List.map (fun run -> 100.0 * results.Value name run)
    let largest = requests plan |> List.map (largestStep results)
    let ofEach name = requests plan |> List.map (results.Value name)
    let operation name = $"away.{arithmetic |> List.findIndex (fst >> (=) name)}"
    // Both have the law of a draw of the prior times the square root of two.
    let sum, difference = ofEach (operation "$z_a+z_b$"), ofEach (operation "$z_a-z_b$")
    let typical =
        List.map3
            (fun a b negative -> (a + b + negative) / 3.0)
            (ofEach (operation "$z_a$"))
            (ofEach (operation "$z_b$"))
            (ofEach (operation "$-z_a$"))
    let doubled, fromOther = ofEach (operation "$2z_a$"), Seeds.mean (ofEach "away.test")
    let ofLaw name = (ofEach $"{operation name}.error").Head
    // Of the difference of two means over the same pairs: at most the sum of both errors.
    let bothErrors = ofLaw "$2z_a$" + (ofLaw "$z_a$" + ofLaw "$z_b$") / 2.0
    let posterior, prior, other = percent "posterior", percent "prior", percent "other"

    {
        Section.empty "nora2" (plan.Origin([ DataSetId.BinarizedMnist ], plan.Seeds.Length, shortened)) with
            Figures = figures results
            Tables = [
                [
                    "algorithm 1 and the image that it was given", Seeds.cell 2 posterior, "posterior"
                    "algorithm 2 and a test image", Seeds.cell 2 prior, "prior"
                    // No model has a part in it: it is the same for every seed.
                    "a test image and the next one", Number(other.Head, 2), "other"
                ]
                |> Table.over
                    "nora2.table"
                    $"Binarized MNIST: the share of pixels that two images have in common, in per cent, the mean over {compared} test images, and its standard error over these."
                    [
                        Column.text "" (fun (pair, _, _) -> pair)
                        Column.right "Pixels in common" (fun (_, share, _) -> share)
                        Column.right "Error" (fun (_, _, name) -> Number(Seeds.mean (percent $"{name}.error"), 2))
                    ]
                List.indexed arithmetic
                |> Table.over
                    "nora2.arithmetic.table"
                    $"Binarized MNIST: how far the decoder's mean images at results of arithmetic are from the nearest of {compared} test images (root mean square over pixels between 0 and 1, mean over {compared / 2} pairs of draws of the prior, with its standard error over the pairs)."
                    [
                        Column.text "Code" (snd >> fst)
                        Column.right "Distance" (fun (i, _) -> Seeds.cell 3 (ofEach $"away.{i}"))
                        Column.right "Error" (fun (i, _) -> Number(Seeds.mean (ofEach $"away.{i}.error"), 3))
                    ]
                |> Table.withNote $"A test image, of pixels 0 and 1, is {fromOther:F3} from the nearest other one"
            ]
            Values = [
                Seeds.value "nora2.posterior" 2 posterior
                Seeds.value "nora2.prior" 2 prior
                Value.number "nora2.other" 2 other.Head
                Value.number "nora2.prior.error" 2 (Seeds.mean (percent "prior.error"))
                Value.number "nora2.other.error" 2 (Seeds.mean (percent "other.error"))
                Value.integer "nora2.points" steps
                Value.integer "nora2.compared" compared
                Value.number "nora2.even" 0 (100.0 / float (steps + 1))
                Seeds.value "nora2.largest" 0 (largest |> List.map ((*) 100.0))
                Value.integer "nora2.lines" lines
                Seeds.value "nora2.away.typical" 3 typical
                Seeds.value "nora2.away.mean" 3 (ofEach (operation "mean"))
                Seeds.value "nora2.away.longer" 3 (List.map2 (fun a b -> (a + b) / 2.0) sum difference)
                Seeds.value "nora2.away.doubled" 3 doubled
            ]
            Guards = [
                Guard.that
                    "nora2.like"
                    "for every seed, a draw of algorithm 1 shares more pixels with its image than one of algorithm 2 and than another test image"
                |> Guard.holds (List.forall2 (>) posterior (List.map2 max prior other))
                |> Guard.found [ "posterior", posterior; "prior", prior; "other", other ]
                Guard.that
                    "nora2.further"
                    "for every seed, at the double of a draw the mean image is further from the data than at a draw, by more than the sum of the standard errors"
                |> Guard.pairs (fun twice once -> twice - once > bothErrors) ("double", doubled) ("draws", typical)
                Guard.that "nora2.gradual" "no step between neighbours is more than a third of the way, for every seed"
                |> Guard.every (fun share -> share < 1.0 / 3.0) "largest step over the whole" largest
            ]
    }

let private runs (plan: Plan) = BinarizedMnist.trainings plan |> VaeTraining.withEach (request plan)

let experiment = Experiment.row "nora2" runs report
