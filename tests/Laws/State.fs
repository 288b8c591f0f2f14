/// What the laws of the networks share: how a model's parameters start, and two implementations compared in value and
/// in every gradient.
module Research.Tests.Laws.State

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared

/// How a tensor of a model's state starts.
type Start =
    /// U[-bound, bound).
    | Within of bound: float
    | Interval of low: float * high: float
    | Normally of mean: float * sd: float
    | Everywhere of float
    /// A normal vector over its norm.
    | Direction
    /// Values that another law is about.
    | Given

type Entry = { Key: string; Shape: int list; Start: Start; Learned: bool }

/// A test whose tensors go with it.
let within (body: unit -> unit) () =
    use _ = torch.NewDisposeScope()
    body ()

let normals seed shape = (gaussian seed shape).float()

/// x W' + b.
let layer (s: Map<string, Tensor>) key (x: Tensor) : Tensor =
    x.matmul (s[$"{key}.weight"].t()) + s[$"{key}.bias"]

let private learned key shape start = { Key = key; Shape = shape; Start = start; Learned = true }
let buffer key shape start = { Key = key; Shape = shape; Start = start; Learned = false }
let one key shape start = [ learned key shape start ]

/// As torch.nn.Linear starts.
let linear key (inputs: int) (outputs: int) = [
    let bound = Within(1.0 / sqrt (float inputs))
    learned $"{key}.weight" [ outputs; inputs ] bound
    learned $"{key}.bias" [ outputs ] bound
]

let zeroLinear key (inputs: int) (outputs: int) = [
    learned $"{key}.weight" [ outputs; inputs ] (Everywhere 0.0)
    learned $"{key}.bias" [ outputs ] (Everywhere 0.0)
]

/// Linear layers at the even places of a torch.nn.Sequential.
let mlp key (widths: int list) = [
    for i, (inputs, outputs) in widths |> List.pairwise |> List.indexed do
        yield! linear $"{key}.{2 * i}" inputs outputs
]

/// As torch.nn.Conv2d starts.
let conv key (inputs: int) (outputs: int) (kernel: int) = [
    let bound = Within(1.0 / sqrt (float (inputs * kernel * kernel)))
    learned $"{key}.weight" [ outputs; inputs; kernel; kernel ] bound
    learned $"{key}.bias" [ outputs ] bound
]

/// As torch.nn.ConvTranspose2d starts: its weight is stored the other way round, and its bound counts outputs.
let transposed key (inputs: int) (outputs: int) (kernel: int) = [
    let bound = Within(1.0 / sqrt (float (outputs * kernel * kernel)))
    learned $"{key}.weight" [ inputs; outputs; kernel; kernel ] bound
    learned $"{key}.bias" [ outputs ] bound
]

/// As torch.nn.BatchNorm starts.
let batchNorm key (channels: int) = [
    learned $"{key}.weight" [ channels ] (Everywhere 1.0)
    learned $"{key}.bias" [ channels ] (Everywhere 0.0)
    buffer $"{key}.running_mean" [ channels ] (Everywhere 0.0)
    buffer $"{key}.running_var" [ channels ] (Everywhere 1.0)
]

/// A model and its tensors by key.
let make (seed: int) (build: Parameters -> 'model) : 'model * Parameters * Map<string, Tensor> =
    use generator = new torch.Generator(uint64 seed)
    let parameters = Parameters(generator, torch.device "cpu")
    let model = build parameters

    let tensors =
        Map.ofSeq [
            for struct (name, tensor) in Seq.append parameters.All parameters.Buffers -> name, tensor
        ]

    model, parameters, tensors

/// The draws of a generator of the same seed, in the entries' order.
let private expected (generator: torch.Generator) (entry: Entry) : Tensor =
    let shape = entry.Shape |> List.map int64 |> Array.ofList
    let uniform low high : Tensor = torch.rand (shape, generator = generator) * (high - low) + low

    match entry.Start with
    | Within bound -> uniform -bound bound
    | Interval(low, high) -> uniform low high
    | Normally(mean, sd) -> torch.randn (shape, generator = generator) * sd + mean
    | Everywhere value -> torch.full (shape, Scalar.op_Implicit value, dtype = torch.float32)
    | Direction ->
        let x = torch.randn (shape, generator = generator)
        x / x.square().sum().sqrt()
    | Given -> torch.zeros shape

/// A model has these tensors under these keys, in this order, with these values.
let startsAs (build: Parameters -> 'model) (entries: Entry list) : unit =
    use _ = torch.NewDisposeScope()
    let _, parameters, tensors = make 7 build
    let names (list: struct (string * Tensor) seq) = [ for struct (name, _) in list -> name ]

    let keys isLearned = [
        for e in entries do
            if e.Learned = isLearned then
                e.Key
    ]

    Expect.equal (names parameters.All) (keys true) "learned, in order"
    Expect.equal (names parameters.Buffers) (keys false) "not learned, in order"
    use generator = new torch.Generator(7UL)

    for entry in entries do
        let tensor = tensors[entry.Key]
        Expect.equal (tensor.shape |> Array.map int |> List.ofArray) entry.Shape $"shape of {entry.Key}"
        Expect.equal tensor.requires_grad entry.Learned $"{entry.Key}: whether it is learned"
        let start = expected generator entry

        if entry.Start <> Given then
            Expect.isLessThan (distance tensor start) 1e-6 $"start of {entry.Key}"

/// Other values for all learned tensors: what starts at zero must be seen as well.
let stir (seed: int) (parameters: Parameters) : unit =
    use _ = torch.no_grad ()

    for i, struct (_, tensor) in Seq.indexed parameters.All do
        let noise = (gaussian (seed + i) (List.ofArray tensor.shape)).float()
        tensor.add_ (0.3 * noise) |> ignore

let private gradientsOf (output: Tensor) (leaves: (string * Tensor) list) : (string * Tensor) list =
    (output * (gaussian 42 (List.ofArray output.shape)).``to`` output.dtype).sum().backward()

    [
        for name, leaf in leaves do
            match leaf.grad with
            | null -> name, torch.zeros_like leaf
            | g ->
                let copy = g.clone ()
                g.zero_ () |> ignore
                name, copy
    ]

/// |a - b| over the largest |b|, or over the least size that counts.
let private relative (least: float) (a: Tensor) (b: Tensor) : float =
    if a.shape <> b.shape then
        infinity
    else
        value ((a - b).abs().max()) / max (value (b.abs().max())) least

/// The rounding of float32 through some ten layers, in units of a tensor's largest element.
let private deepRounding = 2e-4

let close (what: string) (ours: Tensor) (theirs: Tensor) : unit =
    Expect.isLessThan (relative 1e-3 ours theirs) deepRounding what

/// Two implementations give the same values, and the same gradients in the inputs and in every parameter.
let agree
    (what: string)
    (parameters: Parameters)
    (inputs: Tensor list)
    (ours: Tensor list -> Tensor)
    (theirs: Tensor list -> Tensor)
    =
    let inputs = inputs |> List.map (fun x -> x.detach().clone().requires_grad_ true)

    let leaves = [
        for struct (name, tensor) in parameters.All -> name, tensor
        for i, x in List.indexed inputs -> $"input {i}", x
    ]

    let reference = theirs inputs
    let expected = gradientsOf reference leaves
    let output = ours inputs
    close what output reference

    // A gradient that is zero, as a bias' before a batch normalisation, is the rounding of the others.
    let largest = expected |> List.map (fun (_, g) -> value (g.abs().max())) |> List.max

    for (name, ours), (_, theirs) in List.zip (gradientsOf output leaves) expected do
        Expect.isLessThan (relative (0.03 * largest) ours theirs) deepRounding $"{what}: gradient of {name}"
