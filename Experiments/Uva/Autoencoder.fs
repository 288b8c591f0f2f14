/// uva1.1: the autoencoder (beta = 0) against the VAE on digits: draws from the latent space of both, and lines between
/// two codes of each. Run it: `./reproduce --only uva1.1`.
module Research.Experiments.Uva.Autoencoder

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Hw

/// Draws whose distance from the data is measured, of which the first row is shown.
let private draws, private columns = 500, 16

/// Lines between the codes of neighbouring test images, and the points between the ends of each.
let private lines, private steps = 3, 8

/// Root mean square over pixels of the distance from each image to the nearest training image, in grey levels; the mean
/// over images. `[N,D]` and `[M,D]`.
let private distanceFromData (train: Tensor) (images: Tensor) =
    let cross = images.matmul (train.t ())
    let norms (t: Tensor) = sumLast (t.square ())
    let squared = norms(images).unsqueeze 1L + (norms train).unsqueeze 0L - 2.0 * cross
    // Rounding may leave a tiny negative distance between equal images.
    let nearest = squared.amin([| 1L |]).relu() / float (train.size 1)
    nearest.sqrt().mean().ToDouble()

/// The diagonal normal with the moments of the codes. `[N,L]`, result `[1,L]` each.
let private fitted (codes: Tensor) : DiagNormal = {
    Mu = codes.mean([| 0L |]).unsqueeze 0L
    LogVar = codes.var([| 0L |], true).log().unsqueeze 0L
}

/// What is measured of one model; its pictures are saved.
let private explore (context: RunContext) (built: BuiltVae) (train: Tensor) (test: Tensor) =
    let decode = Vae.meanImage built.Vae
    let posterior, testCodes = Vae.encode built.Vae train, (Vae.encode built.Vae test).Mu
    let shape = [| int64 draws; int64 built.Vae.Shape.Latent |]
    let eps = context.Noise.Normal("draws", 0L, shape, device = train.device)
    let standard, normal = decode eps, decode (DiagNormal.sample (fitted posterior.Mu) eps)
    let first (images: Tensor) = images.narrow (0L, 0L, int64 columns)
    let between = Evaluation.lines built lines steps testCodes
    context.Keep("pictures", [ "standard", first standard; "fitted", first normal; "lines", between ])
    let pairs = testCodes.size 0 - 1L
    let halfway = 0.5 * (testCodes.narrow (0L, 0L, pairs) + testCodes.narrow (0L, 1L, pairs))
    let distance = distanceFromData train
    /// -log p(x|z) at one draw of each code.
    let reconstruction part images =
        Evaluation.nelbo built.Vae.Shape.Latent (built.Model()) (VaeImages.asTheyAre images) context.Noise part 0L
        |> List.find (fst >> (=) "reconstruction")
        |> snd

    [
        "standard", distance standard
        "fitted", distance normal
        "halfway", distance (decode halfway)
        "reconstructions", distance (decode testCodes)
        "reconstruction.train", reconstruction "train" train
        "reconstruction.test", reconstruction "test" test
        "spread", posterior.Mu.std([| 0L |]).mean().ToDouble()
        "noise", ((0.5 * posterior.LogVar).exp()).mean().ToDouble()
    ]

type private Kind = { Name: string; Title: string; Trainings: Plan -> Trained list }

let private autoencoder = { Name = "ae"; Title = "autoencoder"; Trainings = fun plan -> DigitsBeta.trainings plan 0.0 }

let private vae = { Name = "vae"; Title = "VAE"; Trainings = Digits.plainTrainings }
let private kinds = [ autoencoder; vae ]

let private request (plan: Plan) (kind: Kind) (trained: Trained) : RunRequest =
    let configuration = [ "draws", string draws; "steps", string steps ]
    VaeTraining.measure plan $"uva1.1.{kind.Name}.seed{trained.Seed}" configuration trained (fun context built ->
        explore context built (plan.Train Digits.set) (plan.Test Digits.set))

let private runs (plan: Plan) =
    let each run = kinds |> List.collect (fun kind -> kind.Trainings plan |> List.collect (run kind))
    each (fun kind trained -> [ trained.Training; request plan kind trained ])
    @ each (fun _ trained -> [ Digits.measure plan trained ])

let private figures (results: Results) =
    let pictures kind name =
        let first = (kind.Trainings results.Plan).Head
        Pictures.saved results Digits.set Digits.top name (request results.Plan kind first)
    let lines kind = pictures kind "lines" |> Array.chunkBySize (steps + 2) |> Array.toList

    [
        Pictures.rows
            "uva1.1.samples"
            "Digits: the decoder's mean at draws from the latent space, for an autoencoder (VAE with $\\beta=0$) from $N(0,I)$ and from a diagonal normal with the moments of its codes, and for the VAE from its prior (first seed)."
            [
                "AE, $N(0,I)$", pictures autoencoder "standard"
                "AE, fitted", pictures autoencoder "fitted"
                "VAE, $N(0,I)$", pictures vae "standard"
            ]
        List.zip (lines autoencoder) (lines vae)
        |> List.collect (fun (ours, theirs) -> [ "AE", ours; "VAE", theirs ])
        |> Pictures.rows
            "uva1.1.lines"
            "Digits: the decoder's mean along the segment between the codes of two test images, ends included, for three pairs; autoencoder and VAE (first seed)."
    ]

/// What is measured of the codes of a kind, and what Digits measures on its models.
let private ofCodes name (results: Results) kind =
    kind.Trainings results.Plan |> List.map (request results.Plan kind >> results.Value name)

let private ofTrained metric (results: Results) kind = kind.Trainings results.Plan |> Metric.each results metric

/// How much more a test image costs to reconstruct than a training image.
let private unseen (results: Results) kind =
    List.map2 (-) (ofCodes "reconstruction.test" results kind) (ofCodes "reconstruction.train" results kind)

let private table (results: Results) =
    let column kind = Column.right kind.Title (fun (_, decimals, of') -> Seeds.cell decimals (of' results kind))

    [
        "draws from $N(0,I)$", 2, ofCodes "standard"
        "draws from a normal fitted to the codes", 2, ofCodes "fitted"
        "half-way between the codes of two test images", 2, ofCodes "halfway"
        "reconstructions of test images", 2, ofCodes "reconstructions"
        "reconstruction $-\\E_q\\log p(x|z)$ (nats)", 1, ofTrained Digits.reconstruction
        "the same of training images (nats)", 1, ofCodes "reconstruction.train"
        "$-$ELBO with $N(0,I)$ as prior (nats)", 1, ofTrained Digits.bound
        "standard deviation of the codes", 2, ofCodes "spread"
        "standard deviation of $q(z|x)$", 3, ofCodes "noise"
    ]
    |> Table.over
        "uva1.1.table"
        $"Digits: distance of decoded images from the nearest training image (root mean square over pixels, in grey levels of 16; mean over {draws} draws or all test images), and what the models are on test images."
        (Column.text "" (fun (title, _, _) -> title) :: List.map column kinds)

let private report (results: Results) : Section =
    let reconstruction kind = ofTrained Digits.reconstruction results kind
    let standard, fitted, halfway =
        ofCodes "standard" results, ofCodes "fitted" results, ofCodes "halfway" results
    /// A condition on the autoencoder's value and the VAE's, seed by seed.
    let compared condition of' = Guard.pairs condition (autoencoder.Title, of' autoencoder) (vae.Title, of' vae)

    {
        Section.empty "uva1.1" (Digits.origin results.Plan) with
            Figures = figures results
            Tables = [ table results ]
            Values = [
                Seeds.value "uva1.1.ae.rec" 1 (reconstruction autoencoder)
                Seeds.value "uva1.1.vae.rec" 1 (reconstruction vae)
                Seeds.value "uva1.1.ae.unseen" 1 (unseen results autoencoder)
                Seeds.value "uva1.1.vae.unseen" 1 (unseen results vae)
                Seeds.value "uva1.1.ae.bound" 0 (ofTrained Digits.bound results autoencoder)
                Seeds.value "uva1.1.spread" 1 (ofCodes "spread" results autoencoder)
                Seeds.value "uva1.1.noise" 3 (ofCodes "noise" results autoencoder)
            ]
            Guards = [
                Guard.that
                    "uva1.1.draws"
                    "for every seed, draws from N(0,I) decode to images further from the data for the autoencoder than for the VAE"
                |> compared (>) standard
                Guard.that
                    "uva1.1.generalises"
                    "for every seed, from training to test images the reconstruction gets worse by more nats for the autoencoder than for the VAE"
                |> compared (>) (unseen results)
                Guard.that
                    "uva1.1.fitted"
                    "for every seed, draws of the autoencoder from the fitted normal are at most 70 % as far from the data as its draws from N(0,I)"
                |> Guard.pairs
                    (fun fitted own -> fitted <= 0.7 * own)
                    ("fitted", fitted autoencoder)
                    ("N(0,I)", standard autoencoder)
                Guard.that
                    "uva1.1.halfway"
                    "for every seed the distances half-way between two codes differ by at most a fifth"
                |> compared (fun a v -> abs (a - v) <= 0.2 * v) halfway
                Guard.that
                    "uva1.1.reconstructs"
                    "for every seed the autoencoder reconstructs test images better than the VAE"
                |> compared (<) reconstruction
            ]
    }

let experiment = Experiment.row "uva1.1" runs report
