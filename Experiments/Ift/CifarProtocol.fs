/// The five configurations of ift4 and their runs: trainings, and scores by a classifier trained on the same images.
module Research.Experiments.Ift.CifarProtocol

open TorchSharp
open Research.Host
open Research.Experiments

/// A configuration, with the scores that the source prints for it (inception score and FID, Inception's features).
type Configuration = {
    /// The source's name, which claims and figures carry.
    Id: string
    Adversary: Adversary
    Spectral: bool
    R1: float
    SourceInception: float
    SourceFrechet: float
}

let private configuration id adversary spectral r1 (inception, frechet) = {
    Id = id
    Adversary = adversary
    Spectral = spectral
    R1 = r1
    SourceInception = inception
    SourceFrechet = frechet
}

let configurations = [
    configuration "jsd-1" Adversary.jsd false 0.0 (3.483, 124.472)
    configuration "jsd-2" Adversary.jsd true 0.0 (4.873, 40.891)
    configuration "jsd-3" Adversary.jsd false 1.0 (5.424, 33.065)
    configuration "w1-2" Adversary.w1 true 0.0 (3.642, 84.269)
    configuration "w1-3" Adversary.w1 false 1.0 (5.812, 24.911)
]

/// What tames the critic, in words.
let penalty (c: Configuration) =
    if c.Spectral then "spectral norm"
    elif c.R1 > 0.0 then "R1"
    else "none"

/// How large the networks are and how long they train.
type Scale = {
    Width: int
    /// Generator steps.
    Steps: int
    /// Generator steps between two evaluations.
    Every: int
    Batch: int
    /// The source's step sizes times this: narrow networks that train briefly need larger steps.
    Rate: float
    /// Decay of the generator's moving average; a short run needs a short memory.
    Ema: float
    /// Images behind every score.
    Samples: int
    Judge: JudgeRun
}

let private judge width epochs : JudgeRun = { Data = DataSetId.Cifar10; Width = width; Epochs = epochs }

let private full = {
    Width = 128
    Steps = 100_000
    Every = 2000
    Batch = 64
    Rate = 1.0
    Ema = 0.998
    Samples = 10000
    Judge = judge 64 20
}

/// The source's width and length need a GPU; on a CPU both are cut so that all five end in the profile's time.
let scale (plan: Plan) : Scale =
    match plan.Profile with
    | Paper when plan.Device.``type`` <> DeviceType.CPU -> full
    | Paper -> {
        full with
            Width = 16
            Steps = 1200
            Every = 200
            Rate = 2.0
            Ema = 0.99
            Samples = 2000
            Judge = judge 24 6
      }
    | Quick -> {
        full with
            Width = 8
            Steps = 240
            Every = 60
            Batch = 32
            Rate = 4.0
            Ema = 0.95
            Samples = 500
            Judge = judge 8 1
      }
    | Smoke -> { full with Width = 4; Steps = 2; Every = 1; Ema = 0.5; Samples = 100; Judge = judge 4 1 }

let gan (scale: Scale) (c: Configuration) : GanRun = {
    Data = DataSetId.Cifar10
    Networks = ResidualNetworks(scale.Width, c.Spectral)
    Adversary = c.Adversary
    R1 = c.R1
    GeneratorOptimiser = OptimiserSettings.Adam(2e-4 * scale.Rate, 0.0, 0.99)
    CriticOptimiser = OptimiserSettings.Adam(4e-4 * scale.Rate, 0.0, 0.99, WeightDecay = 1e-6)
    CriticSteps = 2
    Ema = scale.Ema
    Batch = scale.Batch
    Steps = scale.Steps
    Snapshots = Weights scale.Every
    // Every evaluation stands for the mean metric of the steps before it.
    LogEvery = max 1 (scale.Every / 10)
}

/// The runs behind one configuration: its training, and its scores.
type Runs = { Configuration: Configuration; Training: RunRequest; Scores: RunRequest }

/// What samples are scored by, and all configurations. One seed: the source has one run of each configuration, and five
/// are what the time allows.
let runs (plan: Plan) : GanScores.Setting * Runs list =
    let scale = scale plan
    let setting = GanScores.setting plan scale.Judge scale.Samples

    setting,
    [
        for c in configurations do
            let run = gan scale c
            let training = GanRun.request plan $"ift4.{c.Id}" 1L run
            { Configuration = c; Training = training; Scores = GanScores.request plan setting run training }
    ]

/// In what the runs differ from the source's protocol.
let differences (plan: Plan) : string =
    let scale = scale plan
    let unless source ours words = if ours = source then [] else [ words ]

    String.concat ", " [
        "scored by a classifier trained here"
        yield! unless full.Width scale.Width $"width {scale.Width} of {full.Width}"
        yield! unless full.Steps scale.Steps $"{scale.Steps} of 100,000 steps"
        yield! unless full.Rate scale.Rate $"step sizes times {inv scale.Rate}"
        yield! unless full.Ema scale.Ema $"averaging {inv scale.Ema} instead of {inv full.Ema}"
        yield! unless full.Batch scale.Batch $"batches of {scale.Batch} instead of {full.Batch}"
    ]
