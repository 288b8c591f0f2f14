/// uva1.1: two autoencoders (the sparse one of the source, and beta = 0) against the VAE on digits: draws from the latent
/// space of each, lines between two codes, reconstruction and denoising. Run it: `./reproduce --only uva1.1`.
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

/// The classes whose first test images' codes are the ends of the lines shown, and the points between the ends.
let private ends, private steps = [ 0, 1; 3, 7 ], 8

/// The diagonal normal with the moments of the codes. `[N,L]`, result `[1,L]` each.
let private fitted (codes: Tensor) : DiagNormal = {
    Mu = codes.mean([| 0L |]).unsqueeze 0L
    LogVar = codes.var([| 0L |], true).log().unsqueeze 0L
}

/// Standard deviation of the noise that is added to test images, in grey levels of 16.
let private noiseLevel = 4.0

/// The weight of the absolute values of the codes.
let private sparsity = 0.1

/// The source's (2) with absolute values in the place of their count, which has no gradient: -log p(x|f(x)) + w |f(x)|, f(x)
/// the encoder's mean. Nothing is drawn.
let private sparse: Objective =
    fun model x _ ->
        let code = (model.Encode x).Base.Mu
        [
            "reconstruction", (model.LogLikelihood x code).mean().neg()
            "sparsity", sparsity * sumLast(code.abs ()).mean()
        ]

type private Kind = {
    Name: string
    Title: string
    /// How its pictures are captioned.
    Short: string
    Trainings: Plan -> Trained list
    /// Its codes are drawn from q(z|x), and it has a bound.
    IsNoisy: bool
}

let private plainAutoencoder = {
    Name = "sparse"
    Title = "autoencoder (2)"
    Short = "AE (2)"
    IsNoisy = false
    Trainings =
        fun plan ->
            Digits.vae
                plan.Profile
                Digits.latent
                StandardPrior
                (OfParts($"reconstruction + {inv sparsity} |mu|", sparse))
            |> VaeTraining.each plan "uva1.1.sparse"
}

let private autoencoder = {
    Name = "ae"
    Title = "$\\beta=0$"
    Short = "$\\beta=0$"
    IsNoisy = true
    Trainings = fun plan -> DigitsBeta.trainings plan 0.0
}

let private vae = { Name = "vae"; Title = "VAE"; Short = "VAE"; IsNoisy = true; Trainings = Digits.plainTrainings }
let private kinds = [ plainAutoencoder; autoencoder; vae ]
let private noisy = [ autoencoder; vae ]

/// Root mean square over pixels of the distance between two images; the mean over images. `[N,D]` twice.
let private distance (a: Tensor) (b: Tensor) = (a - b).square().mean([| -1L |]).sqrt().mean().ToDouble()

/// What is measured of one model; its pictures are saved.
let private explore (kind: Kind) (context: RunContext) (built: BuiltVae) (train: Tensor) (test: Tensor) labels =
    let decode, encode = Vae.meanImage built.Vae, Vae.encode built.Vae
    let posterior, testCodes = encode train, (encode test).Mu
    let normal stream (like: Tensor) count =
        context.Noise.Normal(stream, 0L, [| count; like.size 1 |], device = train.device)
    let eps = normal "draws" testCodes (int64 draws)
    let standard, moments = decode eps, decode (DiagNormal.sample (fitted posterior.Mu) eps)
    let first (images: Tensor) = images.narrow (0L, 0L, int64 columns)
    let between =
        let first (label: int) = labels |> Array.findIndex (fun known -> int known = label) |> int64
        let rows = [|
            for a, b in ends do
                yield! [ first a; first b ]
        |]
        Evaluation.lines built ends.Length steps (Rows.pick testCodes rows)
    context.Keep("pictures", [ "standard", first standard; "fitted", first moments; "lines", between ])
    let pairs = testCodes.size 0 - 1L
    /// The mean distance of codes from the nearest training code, beside that of test images' codes.
    let strayed (codes: Tensor) =
        let fromTraining codes = (fst (Rows.nearest posterior.Mu codes)).mean().ToDouble()
        fromTraining codes / fromTraining testCodes
    let halfway = 0.5 * (testCodes.narrow (0L, 0L, pairs) + testCodes.narrow (0L, 1L, pairs))
    let fromData = Digits.distanceFromData train
    let disturbed =
        (test + noiseLevel * normal "disturbed" test (test.size 0)).clamp(scalar 0.0, scalar Digits.top)
    /// -log p(x|z) at one draw of each code, or at the code where there is one only.
    let reconstruction part (images: Tensor) =
        if kind.IsNoisy then
            Evaluation.nelbo built.Vae.Shape.Latent (built.Model()) (VaeImages.asTheyAre images) context.Noise part 0L
            |> List.find (fst >> (=) "reconstruction")
            |> snd
        else
            (Vae.logLikelihood built.Vae images (encode images).Mu).mean().ToDouble() * -1.0

    [
        "standard", fromData standard
        "fitted", fromData moments
        "halfway", fromData (decode halfway)
        "reconstructions", fromData (decode testCodes)
        "test", fromData test
        "restored", distance (decode testCodes) test
        "disturbed", distance disturbed test
        "denoised", distance (decode (encode disturbed).Mu) test
        "reconstruction.train", reconstruction "train" train
        "reconstruction.test", reconstruction "test" test
        "spread", posterior.Mu.std([| 0L |]).mean().ToDouble()
        if kind.IsNoisy then
            "noise", ((0.5 * posterior.LogVar).exp()).mean().ToDouble()
        "reconstruction.mean", (Vae.logLikelihood built.Vae test testCodes).mean().ToDouble() * -1.0
        "reconstruction.mean.train", (Vae.logLikelihood built.Vae train posterior.Mu).mean().ToDouble() * -1.0
        "strayed.standard", strayed eps
        "strayed.halfway", strayed halfway
        let size = testCodes.abs ()
        "small", size.lt(0.01 * size.mean ()).``to``(torch.float64).mean().ToDouble()
    ]

let private request (plan: Plan) (kind: Kind) (trained: Trained) : RunRequest =
    let configuration = [
        "draws", string draws
        "steps", string steps
        "noise", inv noiseLevel
        "ends", String.concat ", " [ for a, b in ends -> $"{a} to {b}" ]
    ]
    let labels = (plan.Data Digits.set).Test.Labels
    VaeTraining.measure plan $"uva1.1.{kind.Name}.seed{trained.Seed}.test" configuration trained (fun context built ->
        explore kind context built (plan.Train Digits.set) (plan.Test Digits.set) labels)

let private runs (plan: Plan) = [
    for kind in kinds do
        for trained in kind.Trainings plan do
            trained.Training
            request plan kind trained
            if kind.IsNoisy then
                Digits.measure plan trained
]

let private figures (results: Results) =
    let first = Digits.ofFirst results.Plan
    let pictures kind name =
        let first = (kind.Trainings results.Plan).Head
        Pictures.saved results Digits.set Digits.top name (request results.Plan kind first)
    let lines kind = pictures kind "lines" |> Array.chunkBySize (steps + 2) |> Array.toList

    [
        Pictures.rows
            "uva1.1.samples"
            $"Digits: the decoder's mean at draws from the latent space: for the sparse autoencoder (2) and for $\\beta=0$ from $N(0,I)$ and from a diagonal normal with the moments of the codes, and for the VAE from its prior{first}."
            [
                for kind in kinds do
                    $"{kind.Short}, $N(0,I)$", pictures kind "standard"
                    if kind.Name <> vae.Name then
                        $"{kind.Short}, fitted", pictures kind "fitted"
            ]
        kinds
        |> List.map (fun kind -> List.map2 (fun (a, b) images -> $"{kind.Short}, {a} to {b}", images) ends (lines kind))
        |> List.transpose
        |> List.concat
        |> Pictures.rows
            "uva1.1.lines"
            $"Digits: the decoder's mean along the segment between the codes of two test images, ends included, the first ones of their classes, for each model{first}."
    ]

/// What is measured of the codes of a kind, and what Digits measures on its models.
let private ofCodes name (results: Results) kind =
    kind.Trainings results.Plan |> List.map (request results.Plan kind >> results.Value name)

let private ofTrained metric (results: Results) kind = kind.Trainings results.Plan |> Metric.each results metric

/// The rate on training images: what the code tells and what its aggregate is away from the prior.
let private rate (results: Results) kind =
    List.map2 (+) (ofTrained Digits.information results kind) (ofTrained Digits.marginal results kind)

/// How much more a test image costs to reconstruct than a training image.
let private unseen (results: Results) kind =
    List.map2 (-) (ofCodes "reconstruction.test" results kind) (ofCodes "reconstruction.train" results kind)

/// One a seed, from 1.
let private keptEpochs (results: Results) kind =
    kind.Trainings results.Plan |> List.map (Digits.keptEpoch results >> float)

let private table (results: Results) =
    let column kind =
        Column.right kind.Title (fun (_, decimals, of') ->
            match of' results kind with
            | [] ->
                Missing
                    "its code is one point: it has neither a bound nor a spread, and tells all of log N where no two codes agree"
            | values -> Seeds.cell decimals values)
    let ifNoisy of' results kind = if kind.IsNoisy then of' results kind else []

    [
        "draws from $N(0,I)$", 2, ofCodes "standard"
        "draws from a normal fitted to the codes", 2, ofCodes "fitted"
        "half-way between the codes of two test images", 2, ofCodes "halfway"
        "reconstructions of test images", 2, ofCodes "reconstructions"
        "test images themselves", 2, ofCodes "test"
        "reconstruction, from the test image itself", 2, ofCodes "restored"
        "from noisy test images restored, from the clean ones", 2, ofCodes "denoised"
        "reconstruction of test images, $-\\log p(x|z)$ (nats)", 1, ofCodes "reconstruction.test"
        "the same of training images (nats)", 1, ofCodes "reconstruction.train"
        "the same of test images at the mean code (nats)", 1, ofCodes "reconstruction.mean"
        "and of training images at the mean code (nats)", 1, ofCodes "reconstruction.mean.train"
        "$-$ELBO with $N(0,I)$ as prior (nats)", 1, ifNoisy (ofTrained Digits.bound)
        "rate on training images (nats)", 2, ifNoisy rate
        "information of the code on training images (nats)", 2, ifNoisy (ofTrained Digits.information)
        "draws of $N(0,I)$ from the nearest training code", 2, ofCodes "strayed.standard"
        "half-way points from the nearest training code", 2, ofCodes "strayed.halfway"
        "standard deviation of the codes", 2, ofCodes "spread"
        "standard deviation of $q(z|x)$", 3, ifNoisy (ofCodes "noise")
        "epoch of the model that is kept", 0, keptEpochs
    ]
    |> Table.over
        "uva1.1.table"
        $"Digits, two autoencoders and a VAE. Above, distances as the root mean square over pixels, in grey levels of 16, codes at their means: of decoded images from the nearest training image (means over {draws} draws or all test images), and of restored images from what they restore. Below, nats an image (at the code of the first autoencoder, at a draw of the code of the others), how far codes are from the nearest training code (1: as far as a test image's), and the scale of the codes."
        (Column.text "" (fun (title, _, _) -> title) :: List.map column kinds)
    |> Table.withNote (Digits.patienceNote results "The VAE")

let private report (results: Results) : Section =
    let reconstruction = ofCodes "reconstruction.test" results
    let standard, fitted, halfway =
        ofCodes "standard" results, ofCodes "fitted" results, ofCodes "halfway" results
    let denoised, disturbed = ofCodes "denoised" results, ofCodes "disturbed" results
    let autoencoders = [ plainAutoencoder; autoencoder ]
    /// A condition on each autoencoder's value and the VAE's, seed by seed.
    let compared condition of' =
        Guard.pairs
            condition
            ("autoencoders", List.collect of' autoencoders)
            ("VAE", List.collect (fun _ -> of' vae) autoencoders)
    /// What the values of both autoencoders exceed the VAE's by, seed by seed.
    let beyondVae of' = autoencoders |> List.collect (fun kind -> List.map2 (-) (of' kind) (standard vae))
    let rate = rate results vae
    let limit = log (float (results.Plan.Data Digits.set).Train.Count)

    {
        Section.empty "uva1.1" (Digits.origin results.Plan) with
            Figures = figures results
            Tables = [ table results ]
            Values = [
                for kind in kinds do
                    Seeds.value $"uva1.1.{kind.Name}.rec" 1 (reconstruction kind)
                    Seeds.value $"uva1.1.{kind.Name}.unseen" 1 (unseen results kind)
                    Seeds.value $"uva1.1.{kind.Name}.restored" 2 (ofCodes "restored" results kind)
                    Seeds.value $"uva1.1.{kind.Name}.denoised" 2 (denoised kind)
                Seeds.value "uva1.1.vae.draws" 2 (standard vae)
                Seeds.value "uva1.1.disturbed" 2 (disturbed vae)
                Value.number "uva1.1.test" 2 (ofCodes "test" results vae).Head
                Seeds.value "uva1.1.ae.train" 1 (ofCodes "reconstruction.train" results autoencoder)
                Value.integer "uva1.1.added" (int noiseLevel)
                for kind in kinds do
                    Seeds.value $"uva1.1.{kind.Name}.strayed" 1 (ofCodes "strayed.standard" results kind)
                    Seeds.value $"uva1.1.{kind.Name}.between" 1 (ofCodes "strayed.halfway" results kind)
                for kind in noisy do
                    let atMean name = ofCodes $"reconstruction.{name}" results kind
                    Seeds.value
                        $"uva1.1.{kind.Name}.unseen.mean"
                        1
                        (List.map2 (-) (atMean "mean") (atMean "mean.train"))
                Seeds.value "uva1.1.vae.atmean" 1 (ofCodes "reconstruction.mean" results vae)
                Seeds.value "uva1.1.sparse.small" 1 (ofCodes "small" results plainAutoencoder |> List.map ((*) 100.0))
                Seeds.value "uva1.1.rate" 2 rate
                Seeds.value "uva1.1.information" 2 (ofTrained Digits.information results vae)
                Seeds.value "uva1.1.ae.information" 2 (ofTrained Digits.information results autoencoder)
                Value.number "uva1.1.limit" 2 limit
                Seeds.value "uva1.1.ae.bound" 0 (ofTrained Digits.bound results autoencoder)
                Seeds.value "uva1.1.spread" 1 (ofCodes "spread" results autoencoder)
                Seeds.value "uva1.1.vae.spread" 2 (ofCodes "spread" results vae)
                Seeds.value "uva1.1.vae.noise" 2 (ofCodes "noise" results vae)
                Seeds.value "uva1.1.noise" 3 (ofCodes "noise" results autoencoder)
            ]
            Guards = [
                Guard.that
                    "uva1.1.draws"
                    "for every seed, draws from N(0,I) decode to images further from the data for both autoencoders than for the VAE"
                |> compared (>) standard
                Guard.that
                    "uva1.1.generalises"
                    "for every seed, from training to test images the reconstruction gets worse by more nats for both autoencoders than for the VAE"
                |> compared (>) (unseen results)
                let atMean kind =
                    List.map2
                        (-)
                        (ofCodes "reconstruction.mean" results kind)
                        (ofCodes "reconstruction.mean.train" results kind)
                Guard.that "uva1.1.atmean" "the same with every code at its mean" |> compared (>) atMean
                Guard.that
                    "uva1.1.fitted"
                    "for every seed, a fitted normal takes away at least half of what draws of both autoencoders from N(0,I) are further from the data than the VAE's"
                |> Guard.pairs
                    (fun fitted own -> fitted <= 0.5 * own)
                    ("fitted", beyondVae fitted)
                    ("N(0,I)", beyondVae standard)
                Guard.that
                    "uva1.1.halfway"
                    "for every seed the distances half-way between two codes differ by at most a fifth"
                |> compared (fun a v -> abs (a - v) <= 0.2 * v) halfway
                Guard.that
                    "uva1.1.reconstructs"
                    "for every seed both autoencoders reconstruct test images better than the VAE"
                |> compared (<) reconstruction
                Guard.that
                    "uva1.1.denoises"
                    "for every seed all three models return noisy test images closer to the clean ones than they were"
                |> Guard.pairs (<) ("restored", List.collect denoised kinds) ("noisy", List.collect disturbed kinds)
                Guard.that
                    "uva1.1.affords"
                    "the VAE's mean rate on training images exceeds log N, its information does not reach it"
                |> Guard.holds (
                    Seeds.mean rate > limit && Seeds.mean (ofTrained Digits.information results vae) < limit - 0.5
                )
                |> Guard.found [ "rate", rate; "information", ofTrained Digits.information results vae ]
            ]
    }

let experiment = Experiment.row "uva1.1" runs report
