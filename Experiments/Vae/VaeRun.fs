namespace Research.Experiments

open System
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// What a training lowers.
type Loss =
    /// -E_q log p(x|z) + beta KL(q(z|x)||p(z)), minus the ELBO at beta = 1: a value, so that the way of lowering it can
    /// depend on it.
    | WeightedElbo of beta: float
    /// Another objective that asks once for q(z|x) of the batch and once for log p(x|z), and needs of them no more than values
    /// and first derivatives; its name stands for it in the key.
    | OfParts of name: string * Objective
    /// Any other objective.
    | Other of name: string * Objective

[<RequireQualifiedAccess>]
module Loss =
    let elbo = WeightedElbo 1.0
    let name loss =
        match loss with
        | WeightedElbo 1.0 -> "elbo"
        | WeightedElbo beta -> $"elbo with beta {inv beta}"
        | OfParts(name, _)
        | Other(name, _) -> name
    let objective loss : Objective =
        match loss with
        | WeightedElbo beta -> betaElbo beta
        | OfParts(_, objective)
        | Other(_, objective) -> objective

/// A variational auto-encoder and how it is trained: all that its run's key holds beside seed and data.
type VaeRun = {
    Data: DataSetId
    /// Draw Bernoulli(pixel/levels) anew for every batch; otherwise pixels are taken as they are.
    Binarise: bool
    Shape: VaeShape
    Prior: PriorShape
    Posterior: PosteriorShape
    Loss: Loss
    /// Noise samples per example that the objective takes: 0 for `[B,L]`, K for `[K,B,L]`.
    Samples: int
    Optimiser: OptimiserSettings
    Batch: int
    /// Early stopping watches the loss on the validation images.
    Length: Length
}

/// A model in memory: its parameters and its parts.
type BuiltVae = {
    Parameters: Parameters
    Vae: Vae
    /// The parts for one step; a VampPrior depends on the encoder as it is now.
    Model: unit -> LatentModel
}

/// A training together with what it trains.
type Trained = {
    Run: VaeRun
    Training: RunRequest
} with

    member this.Name = this.Training.Key.Name
    member this.Seed = this.Training.Key.Seed

[<RequireQualifiedAccess>]
module VaeRun =
    /// What a run's key holds.
    let configuration (run: VaeRun) : (string * string) list =
        let one (value: obj) =
            // One line, whatever the printer does with long values.
            String.Join(" ", (sprintf "%A" value).Split([| ' '; '\n' |], StringSplitOptions.RemoveEmptyEntries))
        [
            "data", string run.Data
            "binarise", string run.Binarise
            "model", one run.Shape
            "prior", one run.Prior
            "posterior", one run.Posterior
            "objective", Loss.name run.Loss
            "samples", string run.Samples
            "optimiser", one run.Optimiser
            "batch", string run.Batch
            "length", one run.Length
            "evaluate every", "epoch"
        ]
    /// The model at its start. Every parameter comes from the parameters' generator.
    let build (run: VaeRun) (parameters: Parameters) : BuiltVae =
        let vae = Vae.create parameters run.Shape
        let encode = Vae.encode vae
        let prior = PriorShape.create parameters encode run.Shape.Data run.Shape.Latent run.Prior
        let posterior = PosteriorShape.create parameters vae run.Posterior
        {
            Parameters = parameters
            Vae = vae
            Model = fun () -> { Encode = posterior; LogLikelihood = Vae.logLikelihood vae; Prior = prior () }
        }
    /// The shape of an objective's noise for so many examples; `samples` 0 for none but one.
    let noiseShape (run: VaeRun) (samples: int) (examples: int64) : int64[] = [|
        if samples > 0 then
            int64 samples
        examples
        int64 run.Shape.Latent
    |]
