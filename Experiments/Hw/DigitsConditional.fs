/// hw5.3: a generator of requested digits: a grid with one row per class, how often a classifier agrees with the
/// request, and the conditional bound beside the unconditional one. Run it: `./reproduce --only hw5.3`.
module Research.Experiments.Hw.DigitsConditional

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits

let private classes = DigitsClassifier.classes

/// Images of each kind in a row of the sample grid.
let private columns = 10

/// Expected before the runs: the classifier recognises at least this share of what was requested.
let private expected = 0.9

let private build (run: VaeRun) (generator: torch.Generator) (device: torch.Device) =
    let parameters = Parameters(generator, device)
    let vae = ConditionalVae.create parameters run.Shape classes
    let model = ConditionalVae.model vae

    { Parameters = parameters; Vae = vae.Networks; Model = fun () -> model }

/// The model of hw5.1 with the class told to both networks.
let private run profile = plain profile

/// Rows `[x | one-hot y]`. (The labels are the digits 0 to 9; the values 0 to 16 are those of the pixels.)
let private rows (images: ImageSet) (x: Tensor) =
    ConditionalVae.withLabels classes x (DigitsClassifier.labels images x.device)

let private training (plan: Plan) (seed: int64) : RunRequest =
    let run = run plan.Profile

    VaeRun.requestOf plan $"hw5.3.seed{seed}" seed run [ "labels", "one-hot, both networks" ] {
        VaeRun.plainSetup plan run with
            Build = build run
            Train = fun () -> rows (plan.Data set).Train (plan.Train set)
            Validation = fun () -> rows (plan.Data set).Validation (plan.Validation set)
    }

/// So many images of each class: labels `[classes * each]`, drawn images and the decoder's means `[..,D]`. Image i of
/// every class has the same z, so that only the request differs.
let private generate (vae: ConditionalVae) (each: int) (noise: Noise) (device: torch.Device) =
    let labels = (torch.arange (int64 classes, torch.int64, device)).repeat_interleave(int64 each)
    let shape = vae.Networks.Shape
    let z = noise.Normal("generate", 0L, [| int64 each; int64 shape.Latent |], device = device)
    let z = z.repeat [| int64 classes; 1L |]
    let u = noise.Uniform("pixels", 0L, [| labels.size 0; int64 shape.Data |], device = device)
    labels, ConditionalVae.sample vae labels z u, ConditionalVae.meanImage vae labels z

/// So many codes of each class from its own aggregated posterior, the mean of q(z|x,y) over the training images of the
/// class, in the order of `generate`. `[classes * each, L]`.
let private aggregatedCodes (model: LatentModel) (train: Tensor) (images: ImageSet) each (noise: Noise) =
    let device = train.device

    let rows = [|
        for label in 0 .. classes - 1 do
            let members = [|
                for row in 0 .. images.Count - 1 do
                    if int images.Labels[row] = label then
                        int64 row
            |]

            let u = noise.Uniform("member", int64 label, [| int64 each |])
            for share in u.data<float32>().ToArray() -> members[int (share * float32 members.Length)]
    |]

    let codes = (model.Encode(train.index_select (0L, torch.tensor (rows, device = device)))).Base
    DiagNormal.sample codes (noise.Normal("member codes", 0L, codes.Mu.shape, device = device))

let private restored (plan: Plan) (trained: RunDirectory) (device: torch.Device) =
    let built = VaeRun.restore (build (run plan.Profile)) trained device
    built, { Networks = built.Vae; Classes = classes }

/// The divergence of each class's own aggregated posterior from the prior, averaged over the training images: how far
/// the codes that the decoder learned from are from those that it is given to generate.
let private marginalByClass (model: LatentModel) (train: Tensor) (images: ImageSet) (noise: Noise) =
    images.Labels
    |> Seq.indexed
    |> Seq.groupBy snd
    |> Seq.sumBy (fun (_, members) ->
        let indices = [| for i, _ in members -> int64 i |]
        let ofClass = train.index_select (0L, torch.tensor (indices, device = train.device))
        let parts = Map.ofList (surgery model ofClass noise latent)
        parts["marginal"] * float indices.Length / float images.Count)

/// Bound, likelihood and agreement of a trained generator, and its sample grid.
let private measure (plan: Plan) (seed: int64) : RunRequest =
    let training, classifier = training plan seed, DigitsClassifier.training plan seed
    let samples = importanceSamples plan.Profile
    let each = Profile.pick plan.Profile 20 200 1000

    let work (context: RunContext) =
        use _ = torch.NewDisposeScope()
        use _ = torch.no_grad ()
        let built, vae = restored plan (context.Dependency training.Key) context.Device
        let judge = DigitsClassifier.load (context.Dependency classifier.Key) context.Device
        let test = rows (plan.Data set).Test (plan.Test set)
        let train = rows (plan.Data set).Train (plan.Train set)
        let labels, drawn, means = generate vae each context.Noise context.Device

        // The same requests with the best prior for this decoder in place of the standard one.
        let aggregated =
            let z = aggregatedCodes (built.Model()) train (plan.Data set).Train each context.Noise
            let shape = [| labels.size 0; 64L |]

            ConditionalVae.sample
                vae
                labels
                z
                (context.Noise.Uniform("member pixels", 0L, shape, device = context.Device))

        // The same judge on test images that went through the code: pixels as noisy, but z from the encoder.
        let truth = DigitsClassifier.labels (plan.Data set).Test context.Device
        let codes = (built.Model().Encode test).Base

        let z =
            DiagNormal.sample
                codes
                (context.Noise.Normal("codes", 0L, codes.Mu.shape, device = context.Device))

        let u =
            context.Noise.Uniform("code pixels", 0L, [| test.size 0; 64L |], device = context.Device)

        let redrawn = ConditionalVae.sample vae truth z u

        let agreement name images labels =
            DigitsClassifier.agreement name (DigitsClassifier.predict judge images) labels

        [
            yield! scores (built.Model()) latent samples test context.Noise
            "marginal", marginalByClass (built.Model()) train (plan.Data set).Train context.Noise
            yield! agreement "drawn" drawn labels
            yield! agreement "means" means labels
            yield! agreement "aggregated" aggregated labels
            yield! agreement "redrawn" redrawn truth
        ]
        |> dict
        |> Dictionary
        |> context.Run.SaveValues

        let _, gridDrawn, gridMeans = generate vae columns context.Noise context.Device
        context.SaveTensors("pictures", [ NamedTensor("drawn", gridDrawn); NamedTensor("means", gridMeans) ])

    plan.Run(
        training.Key.Name + ".test",
        [ "samples", string samples; "images of each class", string each ],
        seed,
        Some set,
        5,
        work,
        dependencies = [ training; classifier ]
    )

let private grid (plan: Plan) (results: Results) =
    let ofKind kind =
        use all = results.Tensor "pictures" kind (measure plan plan.Seeds.Head)

        Pictures.images (plan.Data set).Train top all |> Array.chunkBySize columns

    let rows = Array.map2 Array.append (ofKind "means") (ofKind "drawn")

    Figure.single
        "hw5.3.grid"
        "Digits: one row per requested class. Left half: the decoder's mean at ten draws of $z$, the same in every row; right half: pixels drawn from the decoder at the same $z$ (first seed)."
        (Panel.images "" (2 * columns) (Array.concat rows)
         |> Panel.withCaptions [ for c in 0 .. classes - 1 -> string c ] [])

let private percent (shares: float list) = shares |> List.map (fun share -> 100.0 * share) |> cell 1

let private byClass (results: Results) judges measured = {
    Id = "hw5.3.classes"
    Caption =
        "Digits: the percentage of images that the classifier takes for their class: pixels drawn from the decoder and the decoder's means at draws of $z$ from the prior, pixels drawn at draws from the class's aggregated posterior, pixels drawn at codes of test images, and the test images themselves."
    Columns = [
        Table.left "Class"
        Table.right "Drawn images"
        Table.right "Mean images"
        Table.right "Drawn, $q(z|y)$"
        Table.right "Redrawn test images"
        Table.right "Test images"
    ]
    Rows = [
        for suffix in "" :: [ for c in 0 .. classes - 1 -> $".{c}" ] do
            let share name runs = runs |> List.map (results.Value(name + suffix)) |> percent

            [
                Text(if suffix = "" then "all" else suffix[1..])
                share "drawn" measured
                share "means" measured
                share "aggregated" measured
                share "redrawn" measured
                share "accuracy" judges
            ]
    ]
    Note = ""
}

let private bounds (plan: Plan) (results: Results) best bestPlain measured plain = {
    Id = "hw5.3.table"
    Caption =
        $"Digits, $L={latent}$: conditional model against the one of hw5.1 (nats per image; likelihood by importance sampling with $K={importanceSamples plan.Profile}$). The difference is taken seed by seed."
    Columns = [ Table.left ""; Table.right "$p(x|y)$"; Table.right "$p(x)$"; Table.right "Difference" ]
    Rows = [
        let row name conditional unconditional = [
            Text name
            cell 2 conditional
            cell 2 unconditional
            cell 2 (List.map2 (-) conditional unconditional)
        ]

        row "best validation $-$ELBO" best bestPlain

        for title, name, sign in
            [
                "test $-$ELBO", "bound", 1.0
                "reconstruction", "reconstruction", 1.0
                "KL", "kl", 1.0
                "$-\\log p$, importance sampling", "logp", -1.0
            ] do
            row
                title
                (measured |> List.map (results.Value name >> (*) sign))
                (values plan results name plain |> List.map ((*) sign))
    ]
    Note = ""
}

let private report (plan: Plan) (results: Results) : Section =
    let measured = plan.Seeds |> List.map (measure plan)
    let judges = plan.Seeds |> List.map (DigitsClassifier.training plan)
    let plain = plainTrainings plan

    let best =
        plan.Seeds
        |> List.map (fun seed ->
            Digits.best results { Run = run plan.Profile; Training = training plan seed })

    let bestPlain = plain |> List.map (Digits.best results)
    let drawn = measured |> List.map (results.Value "drawn")
    let means = measured |> List.map (results.Value "means")
    let aggregated = measured |> List.map (results.Value "aggregated")
    let accuracy = judges |> List.map (results.Value "accuracy")

    let gain =
        List.map2 (-) (measured |> List.map (results.Value "logp")) (values plan results "logp" plain)

    let origin = origin plan plan.Seeds.Length
    let value id decimals values = Value.meanSe id decimals <|| Claim.meanSe values
    let inPercent = List.map (fun share -> 100.0 * share)

    {
        Row = "hw5.3"
        Origin = origin
        Figures = [ grid plan results ]
        Tables = [ byClass results judges measured; bounds plan results best bestPlain measured plain ]
        Values = [
            value "hw5.3.agreement" 1 (inPercent drawn)
            value "hw5.3.means" 1 (inPercent means)
            value "hw5.3.aggregated" 1 (inPercent aggregated)
            value "hw5.3.redrawn" 1 (measured |> List.map (results.Value "redrawn") |> inPercent)
            value "hw5.3.accuracy" 1 (inPercent accuracy)
            value "hw5.3.gain" 2 gain
            value "hw5.3.marginal" 2 (measured |> List.map (results.Value "marginal"))
        ]
        Claims = [
            let claim id prior shares explanation =
                Claim.judge
                    origin
                    id
                    "HW Q5"
                    $"digits, share of images drawn with {prior} that the classifier takes for the requested class"
                    None
                    (Rule.between expected 1.0)
                    shares
                    explanation

            claim
                "hw5.3.agreement"
                "the standard prior"
                drawn
                "expected at least 0.9; the prior also draws codes that no image of the class was given, see the next row"

            claim
                "hw5.3.aggregated"
                "the class's aggregated posterior as prior"
                aggregated
                "the same decoder and classifier as in the row before; this prior was added after the standard one had missed, to test the explanation"
        ]
        Guards = [
            Guard.check
                origin
                "hw5.3.obeys"
                "per seed the classifier agrees with the requests for mean images more often than for drawn ones, and far more often than by chance for both"
                (List.forall2 (fun drawn means -> means > drawn && drawn > 0.5) drawn means)
                (List.map2 (fun drawn means -> $"{drawn:F3} and {means:F3}") drawn means
                 |> String.concat "; ")
            Guard.check
                origin
                "hw5.3.holes"
                "per seed the classifier agrees with more of the images drawn with the class's aggregated posterior than with the prior"
                (List.forall2 (<) drawn aggregated)
                (List.map2 (fun p q -> $"{p:F3} and {q:F3}") drawn aggregated |> String.concat "; ")
            Guard.check
                origin
                "hw5.3.cheaper"
                "the likelihood of an image given its class exceeds that of the image for every seed"
                (List.forall (fun g -> g > 0.0) gain)
                (gain |> List.map (fun g -> $"{g:F2}") |> String.concat ", ")
        ]
    }

let experiment: Experiment = {
    Row = "hw5.3"
    Title = "A conditional generator"
    Runs =
        fun plan -> [
            yield! withMeasurements plan (plainTrainings plan)
            for seed in plan.Seeds do
                training plan seed
                DigitsClassifier.training plan seed
                measure plan seed
        ]
    Report = report
    Sample =
        Some(fun plan results count noise ->
            let _, vae = restored plan (results.Of(training plan plan.Seeds.Head)) plan.Device
            let each = (count + classes - 1) / classes
            let _, _, means = generate vae each noise plan.Device
            Array.truncate count (Pictures.images (plan.Data set).Train top means))
}
