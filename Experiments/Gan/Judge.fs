namespace Research.Experiments

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// The classifier whose features judge generated images, and how it is trained.
type JudgeRun = { Data: DataSetId; Width: int; Epochs: int; Batch: int; LearningRate: float }

/// Mean `[F]` and covariance `[F,F]` of features, float64.
type Moments = { Mean: Tensor; Covariance: Tensor }

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
    let private blocks (levels: int) (images: Tensor) =
        seq {
            for start in 0L .. block .. images.size 0 - 1L do
                scaled levels (images.narrow (0L, start, min block (images.size 0 - start)))
        }
    /// Features and logits of images that come in blocks; every block is freed before the next one is made.
    let extract (network: FeatureNetwork) (blocks: seq<Tensor>) : Tensor * Tensor =
        use _ = torch.no_grad ()
        let features, logits =
            [
                use blocks = blocks.GetEnumerator()
                let mutable more = true
                while more do
                    use _ = torch.NewDisposeScope()
                    more <- blocks.MoveNext()
                    if more then
                        let features, logits = network.Extract blocks.Current
                        features.MoveToOuterDisposeScope(), logits.MoveToOuterDisposeScope()
            ]
            |> List.unzip
        torch.cat (List.toArray features), torch.cat (List.toArray logits)
    /// Frechet distance from the reference and inception score, in one split, in the network's feature space.
    let score (network: FeatureNetwork) (reference: Moments) (blocks: seq<Tensor>) : Scores =
        use _ = torch.NewDisposeScope()
        let features, logits = extract network blocks
        let moments = Moments.ofFeatures features
        {
            Frechet = (frechetDistance moments.Mean moments.Covariance reference.Mean reference.Covariance).ToDouble()
            Inception = (inceptionScore (logits.double ())).ToDouble()
        }
    let private build (run: JudgeRun) (parameters: Parameters) : Classifier =
        Classifier.create parameters run.Width classes
    let private train (plan: Plan) (run: JudgeRun) (context: RunContext) =
        let set, device = (plan.Data run.Data).Train, context.Device
        let images, labels = plan.Train run.Data, Rows.labels set device
        use random = context.Noise.For("initialisation", 0L)
        let parameters = Parameters(random, device)
        let classifier = build run parameters
        let descent = Descent(parameters, OptimiserSettings.Adam run.LearningRate)
        let step (at: StepContext) : IReadOnlyList<Term> =
            let rows = torch.tensor (at.Batch(set.Count, run.Batch), device = device)
            let x = scaled set.Levels (images.index_select (0L, rows))
            let _, logits = Classifier.apply classifier (OfBatch 0.1) x
            let loss = torch.nn.functional.cross_entropy (logits, labels.index_select (0L, rows))
            descent.Lower loss
            [| Term("loss", loss) |]
        let perEpoch = StepContext.StepsPerEpoch(set.Count, run.Batch)
        Training.create [ descent ] perEpoch (Epochs run.Epochs) step |> Training.run context |> ignore
    /// The training of the classifier as a run.
    let training (plan: Plan) (run: JudgeRun) (threads: int) : RunRequest =
        let configuration = [
            "data", string run.Data
            "width", string run.Width
            "epochs", string run.Epochs
            "batch", string run.Batch
            "learning rate", inv run.LearningRate
        ]
        plan.Run("judge", configuration, 1L, Some run.Data, train plan run, threads)
    /// The classifier of a finished training.
    let load (run: JudgeRun) (trained: RunDirectory) (device: torch.Device) : FeatureNetwork =
        ModelFile.restore (build run) trained device
        |> Classifier.network $"a classifier of width {run.Width} trained on the same data"
    /// What samples are compared with: the moments of the test images' features, the classifier's accuracy on them,
    /// and the scores of as many training images as samples are scored, the best that a generator could hope for.
    let reference (plan: Plan) (run: JudgeRun) (samples: int) (threads: int) (training: RunRequest) : RunRequest =
        let set = plan.Data run.Data
        let measure (context: RunContext) =
            let network = load run (context.Dependency training.Key) context.Device
            let features, logits = extract network (blocks set.Test.Levels (plan.Test run.Data))
            let moments = Moments.ofFeatures features
            let right = (logits.argmax 1L).eq(Rows.labels set.Test context.Device).double().mean()
            let train = plan.Train run.Data
            let some = train.narrow (0L, 0L, min (int64 samples) (train.size 0))
            let data = score network moments (blocks set.Train.Levels some)
            context.SaveTensors(
                "moments",
                [ NamedTensor("mean", moments.Mean); NamedTensor("covariance", moments.Covariance) ]
            )
            [ "accuracy", right.ToDouble(); "fid", data.Frechet; "is", data.Inception ]
        plan.Measure(
            "judge.reference",
            [ "samples", string samples ],
            1L,
            Some run.Data,
            measure,
            [ training ],
            threads
        )
    /// The moments that a reference run saved.
    let readMoments (reference: RunDirectory) (device: torch.Device) : Moments =
        let file = reference.ReadTensors "moments"
        {
            Mean = TensorBytes.ToTensor(file["mean"], device)
            Covariance = TensorBytes.ToTensor(file["covariance"], device)
        }
