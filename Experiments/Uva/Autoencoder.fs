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
let private draws = 500
let private columns = 16

/// Lines between the codes of neighbouring test images, and the points between the ends of each.
let private lines, steps = 3, 8

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

/// What is measured of one model: values, and tensors of pictures.
let private explore (built: BuiltVae) (train: Tensor) (test: Tensor) (noise: Noise) =
    let decode = Vae.meanImage built.Vae
    let posterior = Vae.encode built.Vae train
    let testCodes = (Vae.encode built.Vae test).Mu

    let eps =
        noise.Normal("draws", 0L, [| int64 draws; int64 built.Vae.Shape.Latent |], device = train.device)

    let standard = decode eps
    let normal = decode (DiagNormal.sample (fitted posterior.Mu) eps)

    let line i = decode (interpolate steps testCodes[2L * i] testCodes[2L * i + 1L])

    let pairs = testCodes.size 0 - 1L
    let halfway = 0.5 * (testCodes.narrow (0L, 0L, pairs) + testCodes.narrow (0L, 1L, pairs))
    let distance = distanceFromData train

    [
        "standard", distance standard
        "fitted", distance normal
        "halfway", distance (decode halfway)
        "reconstructions", distance (decode testCodes)
        "spread", posterior.Mu.std([| 0L |]).mean().ToDouble()
        "noise", ((0.5 * posterior.LogVar).exp()).mean().ToDouble()
    ],
    [
        "standard", standard.narrow (0L, 0L, int64 columns)
        "fitted", normal.narrow (0L, 0L, int64 columns)
        "lines", torch.cat (Array.init lines (int64 >> line), 0L)
    ]

type private Kind = { Name: string; Title: string; Trainings: Plan -> Digits.Trained list }

let private autoencoder = {
    Name = "ae"
    Title = "autoencoder"
    Trainings = fun plan -> DigitsBeta.trainings plan 0.0
}

let private vae = { Name = "vae"; Title = "VAE"; Trainings = Digits.plainTrainings }

let private request (plan: Plan) (kind: Kind) (trained: Digits.Trained) : RunRequest =
    let measure (context: RunContext) (built: BuiltVae) =

        let values, pictures =
            explore built (plan.Train Digits.set) (plan.Test Digits.set) context.Noise

        context.SaveTensors("pictures", [ for name, images in pictures -> NamedTensor(name, images) ])
        values

    VaeRun.measurement
        plan
        $"uva1.1.{kind.Name}.seed{trained.Training.Key.Seed}"
        [ "draws", string draws; "steps", string steps ]
        1
        trained.Run
        trained.Training
        measure

let private requests (plan: Plan) (kind: Kind) = kind.Trainings plan |> List.map (request plan kind)

let private runs (plan: Plan) = [
    for kind in [ autoencoder; vae ] do
        for trained in kind.Trainings plan do
            trained.Training
            request plan kind trained
]

let private pictures (plan: Plan) (results: Results) (kind: Kind) (name: string) =
    use images = results.Tensor "pictures" name (requests plan kind).Head
    Pictures.images (plan.Data Digits.set).Train Digits.top images

let private figures (plan: Plan) (results: Results) =
    let pictures = pictures plan results

    let interleaved =
        Array.map2
            Array.append
            (Array.chunkBySize (steps + 2) (pictures autoencoder "lines"))
            (Array.chunkBySize (steps + 2) (pictures vae "lines"))

    [
        Figure.single
            "uva1.1.samples"
            "Digits: the decoder's mean at draws from the latent space, for an autoencoder (VAE with $\\beta=0$) from $N(0,I)$ and from a diagonal normal with the moments of its codes, and for the VAE from its prior (first seed)."
            (Panel.images
                ""
                columns
                (Array.concat [
                    pictures autoencoder "standard"
                    pictures autoencoder "fitted"
                    pictures vae "standard"
                ])
             |> Panel.withCaptions [ "AE, $N(0,I)$"; "AE, fitted"; "VAE, $N(0,I)$" ] [])
        Figure.single
            "uva1.1.lines"
            $"Digits: the decoder's mean along the segment between the codes of two test images, ends included, for three pairs; autoencoder and VAE (first seed)."
            (Panel.images "" (steps + 2) (Array.concat interleaved)
             |> Panel.withCaptions (List.replicate lines [ "AE"; "VAE" ] |> List.concat) [])
    ]

let private rows = [
    "standard", "draws from $N(0,I)$"
    "fitted", "draws from a normal fitted to the codes"
    "halfway", "half-way between the codes of two test images"
    "reconstructions", "reconstructions of test images"
]

let private report (plan: Plan) (results: Results) : Section =
    let origin = Digits.origin plan plan.Seeds.Length
    let of' kind name = requests plan kind |> List.map (results.Value name)
    let trained kind name = kind.Trainings plan |> Digits.values plan results name
    let numbers values = values |> List.map (Markup.fixedPoint 2) |> String.concat ", "
    let standard kind = of' kind "standard"

    {
        Row = "uva1.1"
        Origin = origin
        Figures = figures plan results
        Tables = [
            {
                Id = "uva1.1.table"
                Caption =
                    $"Digits: distance of decoded images from the nearest training image (root mean square over pixels, in grey levels of 16; mean over {draws} draws or all test images), and what the models are on test images."
                Columns = [ Table.left ""; Table.right autoencoder.Title; Table.right vae.Title ]
                Rows =
                    let both decimals title values = [
                        Text title
                        Digits.cell decimals (values autoencoder)
                        Digits.cell decimals (values vae)
                    ]

                    let ofTrained name kind = trained kind name
                    let ofCodes name kind = of' kind name

                    [ for name, title in rows -> both 2 title (ofCodes name) ]
                    @ [
                        both 1 "reconstruction $-\\E_q\\log p(x|z)$ (nats)" (ofTrained "reconstruction")
                        both 1 "$-$ELBO with $N(0,I)$ as prior (nats)" (ofTrained "bound")
                        both 2 "standard deviation of the codes" (ofCodes "spread")
                        both 3 "standard deviation of $q(z|x)$" (ofCodes "noise")
                    ]
                Note = ""
            }
        ]
        Values = [
            Seeds.value "uva1.1.ae.rec" 1 (trained autoencoder "reconstruction")
            Seeds.value "uva1.1.vae.rec" 1 (trained vae "reconstruction")
            Seeds.value "uva1.1.ae.bound" 0 (trained autoencoder "bound")
            Seeds.value "uva1.1.spread" 1 (of' autoencoder "spread")
            Seeds.value "uva1.1.noise" 3 (of' autoencoder "noise")
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "uva1.1.draws"
                "for every seed, draws from N(0,I) decode to images further from the data for the autoencoder than for the VAE"
                (List.forall2 (>) (standard autoencoder) (standard vae))
                $"autoencoder {numbers (standard autoencoder)}; VAE {numbers (standard vae)}"
            Guard.check
                origin
                "uva1.1.fitted"
                "for every seed, draws of the autoencoder from the fitted normal are at most 70 % as far from the data as its draws from N(0,I)"
                (List.forall2
                    (fun fitted own -> fitted <= 0.7 * own)
                    (of' autoencoder "fitted")
                    (standard autoencoder))
                (numbers (of' autoencoder "fitted" @ standard autoencoder))
            Guard.check
                origin
                "uva1.1.halfway"
                "for every seed the distances half-way between two codes differ by at most a fifth"
                (List.forall2
                    (fun a v -> abs (a - v) <= 0.2 * v)
                    (of' autoencoder "halfway")
                    (of' vae "halfway"))
                (numbers (of' autoencoder "halfway" @ of' vae "halfway"))
            Guard.check
                origin
                "uva1.1.reconstructs"
                "for every seed the autoencoder reconstructs test images better than the VAE"
                (List.forall2 (<) (trained autoencoder "reconstruction") (trained vae "reconstruction"))
                (numbers (trained autoencoder "reconstruction"))
        ]
    }

let private experiment: Experiment = {
    Row = "uva1.1"
    Title = "Autoencoder against VAE"
    Runs =
        fun plan ->
            runs plan
            @ ([ autoencoder; vae ]
               |> List.collect (fun kind -> kind.Trainings plan |> List.map (Digits.measure plan)))
    Report = report
    Sample = None
}

let experiments = [ experiment ]
