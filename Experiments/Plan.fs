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
    /// Real data, fewer steps: about ten minutes on two cores.
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

    /// For captions of what is shown for one of several seeds: ` (first seed)`, or nothing where there is no other.
    let firstOf (seeds: 'seed list) = if seeds.Length > 1 then " (first seed)" else ""

    /// The same of what is a mean.
    let meanOver (seeds: 'seed list) = if seeds.Length > 1 then " (mean over seeds)" else ""

/// Requests that differ in what decides no result.
[<RequireQualifiedAccess>]
module RunRequest =
    /// It measures time: nothing else of the command runs beside it.
    let alone (request: RunRequest) = RunRequest(request.Key, request.Threads, request.Work, IsAlone = true)

/// What a run leaves behind, as lists.
[<AutoOpen>]
module Saving =
    type RunContext with

        /// The run's final figures, by name.
        member this.Save(values: (string * float) list) : unit = this.Run.SaveValues(readOnlyDict values)

        /// Tensors by name, in one file.
        member this.Keep(file: string, tensors: (string * torch.Tensor) list) : unit =
            this.SaveTensors(file, [ for name, tensor in tensors -> NamedTensor(name, tensor) ])

/// What the runs of a command share: profile, device and data. Data sets are read once and kept on the device.
[<OutsideResults("profile, device and data are in the key", ValuesOnly = true)>]
type Plan(profile: Profile, device: torch.Device, data: DataOptions) =
    let datasets = ConcurrentDictionary<DataSetId, Lazy<Dataset>>()
    let tensors = ConcurrentDictionary<DataSetId * string, Lazy<torch.Tensor>>()

    member _.Profile = profile
    member _.Device = device
    member _.Engine = Devices.Engine device

    /// Seeds of a trained model: one, three in profile paper.
    member _.Seeds: int64 list = Profile.pick profile [ 1L ] [ 1L ] [ 1L; 2L; 3L ]

    /// The same of a model that trains on this set: on the digits a training takes seconds, so that quick, too, can show
    /// how far two of them are apart.
    member this.SeedsOn(id: DataSetId) : int64 list =
        match profile, id with
        | Quick, DataSetId.Digits -> [ 1L; 2L ]
        | _ -> this.Seeds

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

    /// A run and its key: `configuration` holds what decides the result beside seed, data, engine and the code of `work`.
    member this.Run
        (
            name: string,
            configuration: (string * string) list,
            seed: int64,
            data: DataSetId option,
            work: RunContext -> unit,
            ?dependencies: RunRequest list
        ) : RunRequest =
        let digest =
            data
            |> Option.map (fun id -> (this.Data id).Provenance.Digest)
            |> Option.defaultValue "none"

        let fields = configuration |> List.map (fun (k, v) -> Collections.Generic.KeyValuePair(k, v))
        let needed = defaultArg dependencies [] |> List.map _.Key
        let work = Action<RunContext> work
        let key = RunKey(name, fields, seed, digest, this.Engine, RunCode.Of work, needed)
        RunRequest(key, 1, work)

    /// A run that measures: `measure` returns the run's values, and may save tensors.
    member this.Measure
        (
            name: string,
            configuration: (string * string) list,
            seed: int64,
            data: DataSetId option,
            measure: RunContext -> (string * float) list,
            ?dependencies: RunRequest list
        ) : RunRequest =
        let work (context: RunContext) =
            use _ = torch.NewDisposeScope()
            use _ = torch.no_grad ()
            context.Save(measure context)

        this.Run(name, configuration, seed, data, work, ?dependencies = dependencies)

    /// Where results come from, for captions and claims. `shortened` says how a run differs from its source's protocol.
    member this.Origin(sets: DataSetId list, seeds: int, shortened: string option) : Origin =
        let provenances = sets |> List.map (fun id -> (this.Data id).Provenance)

        {
            Profile = Profile.name profile
            Data = provenances |> List.map _.Describe() |> String.concat "; "
            StandIn = provenances |> List.exists _.IsStandIn
            Device = Devices.Describe device
            Seeds = seeds
            Shortened = shortened
        }
