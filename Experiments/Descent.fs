namespace Research.Experiments

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models

/// Gradient steps of one optimiser over the learned tensors of a model, or over those whose names `learns` accepts. The
/// optimiser's state belongs in the training's checkpoints: `TrainingJob.WithOptimiser`.
type Descent(parameters: Parameters, settings: OptimiserSettings, ?learns: string -> bool) =
    let learned =
        match learns with
        | None -> parameters.All
        | Some learns -> [|
            for struct (name, _) as entry in parameters.All do
                if learns name then
                    entry
          |]

    let optimiser = Optimiser.Create(settings, learned)

    member _.Optimiser = optimiser

    /// Sets the learning rate to a share of the settings' own.
    member _.Rate(share: float) : unit = optimiser.LearningRate <- share * settings.LearningRate

    /// One step on the sum of an objective's terms. Raises ResearchException, which names the term or the tensor, when
    /// a term is no number or has no gradient, or when a learned tensor has no part in the sum, unless `allowUnused`:
    /// such a tensor stays as it is. Returns what is logged: the sum as `loss`, then the terms. `terms` is called again
    /// only to find the term that failed.
    member _.LowerTerms(terms: unit -> Terms, ?allowUnused: bool) : IReadOnlyList<Term> =
        let named () : IReadOnlyList<struct (string * Tensor)> = [| for name, value in terms () -> struct (name, value) |]
        let struct (values, gradients) = Gradients.Of(named, learned, defaultArg allowUnused false)
        optimiser.Step gradients
        use _ = torch.no_grad ()

        [|
            Term("loss", total [ for struct (name, value) in values -> name, value ])
            for struct (name, value) in values do
                Term(name, value)
        |]

    /// One step on a scalar; otherwise as LowerTerms.
    member this.Lower(loss: Tensor, ?allowUnused: bool) : unit =
        this.LowerTerms((fun () -> [ "loss", loss ]), ?allowUnused = allowUnused) |> ignore

/// A model's tensors in its training's checkpoints and in the file `model.safetensors` of the finished run.
[<RequireQualifiedAccess>]
module ModelFile =
    /// The learned tensors, then the buffers.
    let tensors (parameters: Parameters) : IReadOnlyList<NamedTensor> =
        NamedTensor.From(Seq.append parameters.All parameters.Buffers)

    let save (context: RunContext) (parameters: Parameters) : unit =
        context.SaveTensors("model", tensors parameters)

    /// Overwrites the parameters with those of a finished run. Raises KeyNotFoundException for a tensor that its file
    /// lacks.
    let load (trained: RunDirectory) (parameters: Parameters) : unit =
        let file = trained.ReadTensors "model"

        for named in tensors parameters do
            TensorBytes.CopyInto(file[named.Name], named.Tensor)

    /// The same for the tensors that the file has; the others stay as they are.
    let loadShared (trained: RunDirectory) (parameters: Parameters) : unit =
        let file = trained.ReadTensors "model"

        for named in tensors parameters do
            match file.Find named.Name with
            | null -> ()
            | entry -> TensorBytes.CopyInto(entry, named.Tensor)
