namespace Research.Models

open TorchSharp
open Research.Core

/// y = x W' + b. `Weight: [out,in]`, `Bias: [out]`.
type Linear = { Weight: Tensor; Bias: Tensor }

[<RequireQualifiedAccess>]
module Linear =
    /// Both tensors from U(-1/sqrt in, 1/sqrt in), as PyTorch's nn.Linear starts.
    let create (parameters: Parameters) (name: string) (inputs: int) (outputs: int) : Linear =
        if inputs < 1 then
            invalidArg (nameof inputs) $"layer '{name}' has {inputs} inputs"

        let bound = 1.0 / sqrt (float inputs)

        {
            Weight = parameters.Uniform($"{name}.weight", [| int64 outputs; int64 inputs |], -bound, bound)
            Bias = parameters.Uniform($"{name}.bias", [| int64 outputs |], -bound, bound)
        }

    /// Both tensors zero: a layer that says nothing before it has learned.
    let zeros (parameters: Parameters) (name: string) (inputs: int) (outputs: int) : Linear = {
        Weight = parameters.Zeros($"{name}.weight", [| int64 outputs; int64 inputs |])
        Bias = parameters.Zeros($"{name}.bias", [| int64 outputs |])
    }

    let apply (layer: Linear) (x: Tensor) : Tensor = torch.nn.functional.linear (x, layer.Weight, layer.Bias)

type Activation =
    | Elu
    | Relu
    | LeakyRelu of slope: float
    | Tanh
    | Softplus

[<RequireQualifiedAccess>]
module Activation =
    let apply (activation: Activation) (x: Tensor) : Tensor =
        match activation with
        | Elu -> torch.nn.functional.elu (x, 1.0)
        | Relu -> x.relu ()
        | LeakyRelu slope -> torch.nn.functional.leaky_relu (x, slope)
        | Tanh -> x.tanh ()
        | Softplus -> softplus x

/// Linear layers with an activation between them, none after the last.
type Mlp = { Layers: Linear list; Activation: Activation }

[<RequireQualifiedAccess>]
module Mlp =
    /// A network through the given widths. Keys are those of a PyTorch Sequential that alternates layers and
    /// activations: `name.0.weight`, `name.2.weight`, ...
    let create (parameters: Parameters) (name: string) (activation: Activation) (widths: int list) : Mlp =
        if widths.Length < 2 then
            invalidArg (nameof widths) $"network '{name}' needs the widths of its input and its output"

        {
            Layers =
                widths
                |> List.pairwise
                |> List.mapi (fun i (inputs, outputs) ->
                    Linear.create parameters $"{name}.{2 * i}" inputs outputs)
            Activation = activation
        }

    /// `[..,in] -> [..,out]`.
    let apply (mlp: Mlp) (x: Tensor) : Tensor =
        let first, rest = List.head mlp.Layers, List.tail mlp.Layers

        List.fold
            (fun h layer -> Linear.apply layer (Activation.apply mlp.Activation h))
            (Linear.apply first x)
            rest
