namespace Research.Bench

open Research.Models
open Research.Experiments

/// Trainings of profile quick whose steps are timed, on random images of the size of the row's.
[<RequireQualifiedAccess>]
module VaeRow =
    let ift1: VaeRun = Ift.BinarizedMnist.vae Quick
    let ift9 = { ift1 with Posterior = PlanarPosterior 8 }
    let ift9Iaf = { ift1 with Posterior = IafPosterior(2, 300) }
    let cs1: VaeRun = Cs.Mnist.vae Quick
    let hw51: VaeRun = Hw.Digits.plain Quick

    /// hw5.4 with 16 latents.
    let hw54 (choice: Hw.DigitsPriors.Choice) : VaeRun = { hw51 with Prior = choice.Prior }

    /// Inputs and outputs of the layers, the encoder's body first; of layers that read the encoder's features, one after
    /// the other.
    let layers (row: VaeRun) : (int * int) list =
        let shape = row.Shape
        let features = List.last shape.Hidden

        let maps =
            match row.Posterior with
            | PlanarPosterior maps -> maps
            | DiagonalPosterior
            | IafPosterior _
            | SylvesterPosterior _
            | SplinePosterior _ -> 0

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
