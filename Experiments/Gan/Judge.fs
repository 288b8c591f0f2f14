namespace Research.Experiments

open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// The classifier whose features judge generated images, and how it is trained.
type JudgeRun = { Data: DataSetId; Width: int; Epochs: int }

/// Mean `[F]` and covariance `[F,F]` of features, float64.
type Moments = { Mean: Tensor; Covariance: Tensor }

/// Images of a set, a block at a time, to what is made of each block: it is freed before the next one is made.
type Blocks = (Tensor -> Tensor * Tensor) -> (Tensor * Tensor)[]

/// Scores of a set of images.
type Scores = { Frechet: float; Inception: float }

[<RequireQualifiedAccess>]
module Moments =
    /// Of features `[N,F]`, with Bessel's correction.
    let ofFeatures (features: Tensor) : Moments =
        let x = features.double ()
        let mean = x.mean [| 0L |]
        let centred = x - mean
        { Mean = mean; Covariance = centred.t().matmul centred / float (x.size 0 - 1L) }

[<RequireQualifiedAccess>]
module Judge =
    let private classes = 10
    /// Images in one block of an evaluation.
    let private block = 250L
    let private scaled (levels: int) (rows: Tensor) = (rows * (2.0 / float levels) - 1.0).view(-1L, 3L, 32L, 32L)
    let private blocks (levels: int) (images: Tensor) : Blocks =
        fun each ->
            blockwise block (images.size 0) (fun _ first size -> each (scaled levels (images.narrow (0L, first, size))))
    /// Features and logits of images that come in blocks.
    let extract (network: FeatureNetwork) (blocks: Blocks) : Tensor * Tensor =
        use _ = torch.no_grad ()
        let features, logits =
            blocks (fun images ->
                let features, logits = network.Extract images
                features.MoveToOuterDisposeScope(), logits.MoveToOuterDisposeScope())
            |> Array.unzip
        torch.cat features, torch.cat logits
    /// Frechet distance from the reference and inception score, in one split, in the network's feature space.
    let score (network: FeatureNetwork) (reference: Moments) (blocks: Blocks) : Scores =
        use _ = torch.NewDisposeScope()
        let features, logits = extract network blocks
        let moments = Moments.ofFeatures features
        {
            Frechet = (frechetDistance moments.Mean moments.Covariance reference.Mean reference.Covariance).ToDouble()
            Inception = (inceptionScore (logits.double ())).ToDouble()
        }
    let private build (run: JudgeRun) (parameters: Parameters) : Classifier =
        Classifier.create parameters run.Width classes
    let private batch, private rate = 64, 1e-3
    let private train (plan: Plan) (run: JudgeRun) (context: RunContext) =
        let set = (plan.Data run.Data).Train
        Training.fromStart context (fun parameters ->
            let classifier, descent = build run parameters, Descent(parameters, OptimiserSettings.Adam rate)
            let labelled = plan.Train run.Data, Rows.labels set context.Device
            Training.supervised descent labelled batch (Epochs run.Epochs) (fun x y ->
                let _, logits = Classifier.apply classifier (OfBatch 0.1) (scaled set.Levels x)
                torch.nn.functional.cross_entropy (logits, y)))
        |> Training.run context
        |> ignore
    /// The training of the classifier as a run.
    let training (plan: Plan) (run: JudgeRun) : RunRequest =
        let configuration = [
            "data", string run.Data
            "width", string run.Width
            "epochs", string run.Epochs
            "batch", string batch
            "learning rate", inv rate
        ]
        plan.Run("judge", configuration, 1L, Some run.Data, train plan run)
    /// The classifier of a finished training.
    let load (run: JudgeRun) (trained: RunDirectory) (device: torch.Device) : FeatureNetwork =
        ModelFile.restore (build run) trained device
        |> Classifier.network $"a classifier of width {run.Width} trained on the same data"
    /// What samples are compared with: the moments of the test images' features, the classifier's accuracy on them,
    /// and the scores of as many training images as samples are scored, the best that a generator could hope for.
    let reference (plan: Plan) (run: JudgeRun) (samples: int) (training: RunRequest) : RunRequest =
        let set = plan.Data run.Data
        let measure (context: RunContext) =
            let network = load run (context.Dependency training.Key) context.Device
            let features, logits = extract network (blocks set.Test.Levels (plan.Test run.Data))
            let moments = Moments.ofFeatures features
            let right = (logits.argmax 1L).eq(Rows.labels set.Test context.Device).double().mean()
            let train = plan.Train run.Data
            let some = train.narrow (0L, 0L, min (int64 samples) (train.size 0))
            let data = score network moments (blocks set.Train.Levels some)
            context.Keep("moments", [ "mean", moments.Mean; "covariance", moments.Covariance ])
            [ "accuracy", right.ToDouble(); "fid", data.Frechet; "is", data.Inception ]
        plan.Measure("judge.reference", [ "samples", string samples ], 1L, Some run.Data, measure, [ training ])
    /// The moments that a reference run saved.
    let readMoments (reference: RunDirectory) (device: torch.Device) : Moments =
        let file = reference.ReadTensors "moments"
        {
            Mean = TensorBytes.ToTensor(file["mean"], device)
            Covariance = TensorBytes.ToTensor(file["covariance"], device)
        }
