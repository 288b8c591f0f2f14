/// A classifier of the UCI digits, the judge of hw5.3: 64-256-256-10, cross-entropy, early stopping.
module Research.Experiments.Hw.DigitsClassifier

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments

let classes = 10

/// Labels of a part of the set as int64 `[N]`.
let labels (images: ImageSet) (device: torch.Device) : Tensor =
    torch.tensor (Array.map int64 images.Labels, device = device)

/// Class logits of raw images. `[B,64] -> [B,10]`.
let private logits (network: Mlp) (x: Tensor) = Mlp.apply network (x / Digits.top)

let private crossEntropy network (x: Tensor) (y: Tensor) =
    // One categorical variable with a value per class.
    let one = { Categorical.Logits = (logits network x).unsqueeze 1L }
    (Categorical.logProb one (y.unsqueeze 1L)).mean().neg()

let private build (generator: torch.Generator) device =
    let parameters = Parameters(generator, device)
    parameters, Mlp.create parameters "classifier" (LeakyRelu 0.01) [ 64; 256; 256; classes ]

/// The predicted classes. `[B,64] -> int64 [B]`.
let predict (network: Mlp) (x: Tensor) : Tensor = (logits network x).argmax -1L

/// The share of examples whose prediction is the label, overall (`name`) and for each class (`name.0`, ...).
let agreement (name: string) (predicted: Tensor) (label: Tensor) : (string * float) list =
    let right = predicted.eq(label).``to`` torch.float64

    [
        name, (right.mean ()).ToDouble()
        for c in 0 .. classes - 1 do
            let ofClass = label.eq(Scalar.op_Implicit (int64 c)).``to`` torch.float64
            $"{name}.{c}", (right * ofClass).sum().ToDouble() / ofClass.sum().ToDouble()
    ]

let private train (plan: Plan) (epochs: int) (patience: int) (context: RunContext) =
    let data = plan.Data Digits.set
    let part (images: ImageSet) pixels = pixels, labels images context.Device
    let x, y = part data.Train (plan.Train Digits.set)
    let validX, validY = part data.Validation (plan.Validation Digits.set)
    let testX, testY = part data.Test (plan.Test Digits.set)
    use generator = context.Noise.For("initialisation", 0L)
    let parameters, network = build generator context.Device
    let descent = Descent(parameters, OptimiserSettings.Adam 1e-3)
    let batch = 64
    let perEpoch = StepContext.StepsPerEpoch(data.Train.Count, batch)
    let state = ModelFile.tensors parameters

    let step (at: StepContext) : IReadOnlyList<Term> =
        let rows = torch.tensor (at.Batch(data.Train.Count, batch), device = context.Device)
        let loss = crossEntropy network (x.index_select (0L, rows)) (y.index_select (0L, rows))
        descent.Lower loss
        [| Term("loss", loss) |]

    let evaluate (_: EvaluationContext) =
        readOnlyDict [ "loss", (crossEntropy network validX validY).ToDouble() ]

    TrainingJob(
        State = state,
        StepsPerEpoch = perEpoch,
        TotalSteps = int64 epochs * perEpoch,
        EarlyStopping = EarlyStopping(Metric = "loss", Patience = int64 patience, Keep = state),
        Step = step,
        Evaluate = evaluate
    )
        .WithOptimiser(descent.Optimiser)
    |> context.Train
    |> ignore

    ModelFile.save context parameters
    use _ = torch.no_grad ()

    agreement "accuracy" (predict network testX) testY
    |> readOnlyDict
    |> context.Run.SaveValues

/// The training as a run, with the accuracy on the test images, overall and by class.
let training (plan: Plan) (seed: int64) : RunRequest =
    let epochs, patience = Profile.pick plan.Profile (5, 5) (200, 10) (200, 20)

    plan.Run(
        $"hw5.3.classifier.seed{seed}",
        [
            "classifier", "64-256-256-10, leaky rectifiers, Adam 1e-3, batch 64"
            "epochs", string epochs
            "patience", string patience
        ],
        seed,
        Some Digits.set,
        1,
        train plan epochs patience
    )

/// The trained network of a finished run.
let load (trained: RunDirectory) (device: torch.Device) : Mlp =
    use generator = new torch.Generator(0UL)
    let parameters, network = build generator device
    ModelFile.load trained parameters
    network
