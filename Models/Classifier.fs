namespace Research.Models

open TorchSharp
open Research.Core

/// What generated images are judged by: a network from images `[B,C,H,W]` in [-1,1] to features `[B,F]` and class
/// logits `[B,Y]`. Scores compare only under the same network; one that reads Inception's weights fits here as well.
type FeatureNetwork = {
    /// For keys and captions.
    Name: string
    Features: int
    Extract: Tensor -> Tensor * Tensor
}

/// A small convolutional classifier of 32x32 colour images.
type Classifier = { Blocks: (Conv * BatchNorm) list; Output: Linear }

[<RequireQualifiedAccess>]
module Classifier =
    /// Three 3x3 convolutions of width, 2 width and 4 width channels, each with batch normalisation, ReLU and a
    /// maximum over 2x2; the mean over positions is the feature vector, of 4 width elements.
    let create (parameters: Parameters) (width: int) (classes: int) : Classifier =
        let block i (inputs, outputs) =
            Conv.create parameters $"blocks.{i}.0" inputs outputs 3 1 1,
            BatchNorm.create parameters $"blocks.{i}.1" outputs

        {
            Blocks = [ 3; width; 2 * width; 4 * width ] |> List.pairwise |> List.mapi block
            Output = Linear.create parameters "output" (4 * width) classes
        }

    /// Features `[B,F]` and logits `[B,Y]` of images `[B,3,32,32]`.
    let apply (classifier: Classifier) (statistics: Statistics) (x: Tensor) : Tensor * Tensor =
        let step (h: Tensor) (conv, norm) =
            let activated = (Conv.apply conv h |> BatchNorm.apply norm statistics).relu()
            torch.nn.functional.max_pool2d (activated, [| 2L; 2L |])

        let features = (List.fold step x classifier.Blocks).mean [| 2L; 3L |]
        features, Linear.apply classifier.Output features

    /// The trained classifier as a judge.
    let network (name: string) (classifier: Classifier) : FeatureNetwork = {
        Name = name
        Features = int (classifier.Output.Weight.size 1)
        Extract = apply classifier Running
    }
