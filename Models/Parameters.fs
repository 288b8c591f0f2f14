namespace Research.Models

open System.Collections.Generic
open TorchSharp
open Research.Core

/// Makes a model's parameters and remembers them under PyTorch's key names, in order of creation. Values are drawn
/// on the CPU from the generator and then moved, so that every device starts from the same model.
type Parameters(generator: torch.Generator, device: torch.Device) =
    let parameters = List<struct (string * Tensor)>()
    let buffers = List<struct (string * Tensor)>()

    let register (list: List<struct (string * Tensor)>) (name: string) (value: Tensor) (learned: bool) =
        for struct (other, _) in Seq.append parameters buffers do
            if other = name then
                invalidArg (nameof name) $"two tensors of a model are called '{name}'"

        let leaf = value.detach().``to``(device).contiguous().detach().requires_grad_ learned
        list.Add(struct (name, leaf.DetachFromDisposeScope()))
        leaf

    /// The learned tensors.
    member _.All: IReadOnlyList<struct (string * Tensor)> = parameters

    /// The tensors that belong to the model's state but are not learned.
    member _.Buffers: IReadOnlyList<struct (string * Tensor)> = buffers

    member _.Generator = generator
    member _.Device = device

    /// A learned tensor that starts at the value.
    member _.Learned(name: string, value: Tensor) : Tensor = register parameters name value true

    /// A tensor of the state that no optimiser changes.
    member _.Buffer(name: string, value: Tensor) : Tensor = register buffers name value false

    /// U[low, high) of a shape.
    member this.Uniform(name: string, shape: int64[], low: float, high: float) : Tensor =
        let u = torch.rand (shape, generator = generator)
        this.Learned(name, u * (high - low) + low)

    /// N(mean, sd^2) of a shape.
    member this.Normal(name: string, shape: int64[], mean: float, sd: float) : Tensor =
        let z = torch.randn (shape, generator = generator)
        this.Learned(name, z * sd + mean)

    /// Zeros of a shape.
    member this.Zeros(name: string, shape: int64[]) : Tensor = this.Learned(name, torch.zeros shape)
