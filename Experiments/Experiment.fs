namespace Research.Experiments

open System
open System.Collections.Concurrent
open System.Globalization
open TorchSharp
open Research.Host
open Research.Report

/// How much is computed.
type Profile =
    /// Tiny: proves that everything works, about a minute in all.
    | Smoke
    /// Real data, fewer steps: about six minutes on two cores.
    | Quick
    /// The sources' protocols.
    | Paper

[<RequireQualifiedAccess>]
module Profile =
    let all = [ Smoke; Quick; Paper ]

    let name profile =
        match profile with
        | Smoke -> "smoke"
        | Quick -> "quick"
        | Paper -> "paper"

    /// The profile of that name, None for another word.
    let tryParse (word: string) = all |> List.tryFind (fun p -> name p = word)

    /// One of three values.
    let pick profile smoke quick paper =
        match profile with
        | Smoke -> smoke
        | Quick -> quick
        | Paper -> paper

/// What the runs of a command share: profile, device and data. Data sets are read once and kept on the device.
type Plan(profile: Profile, device: torch.Device, data: DataOptions) =
    let datasets = ConcurrentDictionary<DataSetId, Lazy<Dataset>>()
    let tensors = ConcurrentDictionary<DataSetId * string, Lazy<torch.Tensor>>()

    member _.Profile = profile
    member _.Device = device
    member _.Engine = Devices.Engine device

    /// Seeds of a trained model: one, three in profile paper.
    member _.Seeds: int64 list = Profile.pick profile [ 1L ] [ 1L ] [ 1L; 2L; 3L ]

    /// Profile smoke reads few images, so that the stand-in is drawn quickly.
    member _.Data(id: DataSetId) : Dataset =
        let limit = Profile.pick profile (Nullable 512) (Nullable()) (Nullable())
        datasets.GetOrAdd(id, fun id -> lazy Datasets.Load(id, data, limit)).Value

    /// Pixels of a part of a set as float32 `[N,D]`, raw values 0..Levels, on the device.
    member this.Images(id: DataSetId, part: string, images: ImageSet) : torch.Tensor =
        let make () =
            let shape = [| int64 images.Count; int64 images.Dimension |]
            use raw = torch.tensor (images.Pixels, ReadOnlySpan shape)
            raw.``to``(torch.float32, device).DetachFromDisposeScope()

        tensors.GetOrAdd((id, part), fun _ -> lazy make ()).Value

    member this.Train(id: DataSetId) = this.Images(id, "train", (this.Data id).Train)
    member this.Validation(id: DataSetId) = this.Images(id, "validation", (this.Data id).Validation)
    member this.Test(id: DataSetId) = this.Images(id, "test", (this.Data id).Test)

    /// A run and its key. `configuration` holds everything but seed, data and engine that decides the result;
    /// `version` is raised by hand when the code behind the run changes its results.
    member this.Run
        (
            name: string,
            configuration: (string * string) list,
            seed: int64,
            data: DataSetId option,
            version: int,
            work: RunContext -> unit,
            ?threads: int,
            ?dependencies: RunRequest list
        ) : RunRequest =
        let digest =
            data
            |> Option.map (fun id -> (this.Data id).Provenance.Digest)
            |> Option.defaultValue "none"

        let fields = configuration |> List.map (fun (k, v) -> Collections.Generic.KeyValuePair(k, v))
        let needed = defaultArg dependencies [] |> List.map _.Key
        let key = RunKey(name, fields, seed, digest, this.Engine, version, needed)
        RunRequest(key, defaultArg threads 1, Action<RunContext> work)

    /// Where results come from, for captions and claims. `shortened` says how a run differs from its source's protocol.
    member this.Origin(sets: DataSetId list, seeds: int, shortened: string option) : Origin =
        let provenances = sets |> List.map (fun id -> (this.Data id).Provenance)

        {
            Profile = Profile.name profile
            Data = provenances |> List.map _.Describe() |> String.concat "; "
            StandIn = provenances |> List.exists _.IsStandIn
            Device = (if device.``type`` = DeviceType.CPU then "CPU" else "GPU")
            Seeds = seeds
            Shortened = shortened
        }

/// The finished runs, as the report reads them.
type Results(store: RunStore) =
    member _.Of(request: RunRequest) : RunDirectory = store.Require request.Key

    /// One of the run's final figures. Raises KeyNotFoundException naming the run when it has none of that name.
    member this.Value (name: string) (request: RunRequest) : float =
        match (this.Of request).ReadValues().TryGetValue name with
        | true, value -> value
        | _ ->
            raise (Collections.Generic.KeyNotFoundException $"run {request.Key.Name} has no value '{name}'")

    /// (step, value) of a metric in order.
    member this.Curve (split: string) (name: string) (request: RunRequest) : (float * float)[] = [|
        for row in (this.Of request).ReadMetrics() do
            if row.Split = split && row.Name = name then
                float row.Step, row.Value
    |]

    /// A saved array as a CPU tensor.
    member this.Tensor (file: string) (name: string) (request: RunRequest) : torch.Tensor =
        TensorBytes.ToTensor((this.Of request).ReadTensors(file)[name])

/// A row of the contents table that is computed.
type Experiment = {
    /// Row id, e.g. `ift1`.
    Row: string
    Title: string
    Runs: Plan -> RunRequest list
    /// From the finished runs to figures, tables, values, claims and guards.
    Report: Plan -> Results -> Section
    /// So many images from the trained generator, for `research sample`; None where a row has none.
    Sample: (Plan -> Results -> int -> Noise -> Png.Image[]) option
}

/// Small helpers that experiments share.
[<AutoOpen>]
module Text =
    /// A number for a key or a name: shortest text that reads back, with a point.
    let inv (value: float) = value.ToString("R", CultureInfo.InvariantCulture)

    /// `7 of 20 epochs` when shortened, None at full length.
    let shortened (unit': string) (actual: int) (full: int) =
        if actual < full then
            Some $"{actual} of {full} {unit'}"
        else
            None
