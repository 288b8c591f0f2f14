namespace Research.Bench

open Research.Host
open Research.Models

/// A VAE whose training step is timed: on random images of the size of the row's.
type VaeRow = {
    Shape: VaeShape
    Posterior: PosteriorShape
    Optimiser: OptimiserSettings
    Batch: int
    /// Whether a batch is binarised anew.
    Binarise: bool
}

[<RequireQualifiedAccess>]
module VaeRow =
    let ift1: VaeRow = {
        Shape = {
            Data = 784
            Latent = 100
            Hidden = [ 300; 300 ]
            Activation = Elu
            Likelihood = BernoulliLogits -5.0
            Variance = LogVariance
        }
        Posterior = DiagonalPosterior
        Optimiser = OptimiserSettings.Adam 3e-4
        Batch = 64
        Binarise = false
    }

    let ift9 = { ift1 with Posterior = PlanarPosterior 8 }

    let cs1: VaeRow = {
        ift1 with
            Shape = {
                ift1.Shape with
                    Latent = 10
                    Likelihood = BernoulliLogits 0.0
                    Variance = SoftplusVariance
            }
            Batch = 100
            Binarise = true
    }

    let hw51: VaeRow = {
        ift1 with
            Shape = {
                Data = 64
                Latent = 16
                Hidden = [ 256; 256 ]
                Activation = LeakyRelu 0.01
                Likelihood = GreyLevels 17
                Variance = LogVariance
            }
            Optimiser = OptimiserSettings.Adamax 1e-3
    }

    /// Inputs and outputs of the layers, the encoder's body first; of layers that read the encoder's features, one after
    /// the other.
    let layers (row: VaeRow) : (int * int) list =
        let shape = row.Shape
        let features = List.last shape.Hidden

        let maps =
            match row.Posterior with
            | PlanarPosterior maps -> maps
            | DiagonalPosterior
            | IafPosterior _ -> 0

        [
            yield! List.pairwise (shape.Data :: shape.Hidden @ [ 2 * shape.Latent ])
            if maps > 0 then
                yield! [ features, maps * shape.Latent; features, maps * shape.Latent; features, maps ]
            yield!
                List.pairwise (
                    shape.Latent :: List.rev shape.Hidden
                    @ [ shape.Data * Likelihood.outputs shape.Likelihood ]
                )
        ]
