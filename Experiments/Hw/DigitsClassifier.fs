/// A classifier of the UCI digits, the judge of hw5.3: 64-256-256-10, cross-entropy, early stopping.
module Research.Experiments.Hw.DigitsClassifier

open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments

let classes = 10

/// Class logits of raw images. `[B,64] -> [B,10]`.
let private logits (network: Mlp) (x: Tensor) = Mlp.apply network (x / Digits.top)

let private crossEntropy network (x: Tensor) (y: Tensor) =
    // One categorical variable with a value per class.
    let one = { Categorical.Logits = (logits network x).unsqueeze 1L }
    (Categorical.logProb one (y.unsqueeze 1L)).mean().neg()

let private build (parameters: Parameters) =
    Mlp.create parameters "classifier" (LeakyRelu 0.01) [ 64; 256; 256; classes ]

/// The predicted classes. `[B,64] -> int64 [B]`.
let predict (network: Mlp) (x: Tensor) : Tensor = (logits network x).argmax -1L

/// The class of the nearest training image of each. `[N,D]`, result int64 `[N]`.
let nearestClass (train: Tensor) (labels: Tensor) (images: Tensor) : Tensor =
    labels.index_select (0L, snd (Rows.nearest train images))

/// The share of examples whose prediction is the label, overall (`name`) and for each class (`name.0`, ...).
let agreement (name: string) (predicted: Tensor) (label: Tensor) : (string * float) list =
    let right = predicted.eq(label).``to`` torch.float64
    [
        name, (right.mean ()).ToDouble()
        for c in 0 .. classes - 1 do
            let ofClass = label.eq(scalar (float c)).``to`` torch.float64
            $"{name}.{c}", (right * ofClass).sum().ToDouble() / ofClass.sum().ToDouble()
    ]

let private batch = 64

let private train (plan: Plan) (length: Length) (context: RunContext) =
    let data, labels = plan.Data Digits.set, (fun part -> Rows.labels part context.Device)
    let validX, validY = plan.Validation Digits.set, labels data.Validation
    let network, training =
        Training.fromStart context (fun parameters ->
            let network, descent = build parameters, Descent(parameters, OptimiserSettings.Adam 1e-3)
            let labelled = plan.Train Digits.set, labels data.Train
            network, Training.supervised descent labelled batch length (crossEntropy network))
    let validate _ = [ "loss", (crossEntropy network validX validY).ToDouble() ]

    { training with Evaluate = Some validate } |> Training.run context |> ignore
    use _ = torch.no_grad ()
    context.Save(agreement "accuracy" (predict network (plan.Test Digits.set)) (labels data.Test))

/// The training as a run, with the accuracy on the test images, overall and by class.
let training (plan: Plan) (seed: int64) : RunRequest =
    let epochs, patience = Profile.pick plan.Profile (5, 5) (200, 10) (200, 20)
    let configuration = [
        "classifier", "64-256-256-10, leaky rectifiers, Adam 1e-3, batch 64"
        "epochs", string epochs
        "patience", string patience
    ]
    let work = train plan (EarlyStop(epochs, patience))
    plan.Run($"hw5.3.classifier.seed{seed}", configuration, seed, Some Digits.set, work)

/// The trained network of a finished run.
let load (trained: RunDirectory) (device: torch.Device) : Mlp = ModelFile.restore build trained device
