/// Adversarial networks: sizes as the sources state them, normalisation, penalties, exact resumption, scores.
module Research.Tests.GanTests

open System
open System.Collections.Generic
open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Tests.Hostile

let private cpu = torch.device "cpu"

let private parametersFrom (seed: int) (body: Parameters -> unit) =
    use _ = torch.NewDisposeScope()
    use random = new torch.Generator(uint64 seed)
    body (Parameters(random, cpu))

let private size (parameters: Parameters) =
    parameters.All |> Seq.sumBy (fun struct (_, tensor) -> tensor.numel ())

let private sizes =
    testList "sizes" [
        testCase "gan/parameters/fashion" (fun () ->
            parametersFrom 1 (fun p ->
                FashionGan.generator p "generator" |> ignore
                Expect.equal (size p) 1654121L "the generator as the source states it")

            parametersFrom 1 (fun p ->
                FashionGan.discriminator p "critic" |> ignore
                Expect.equal (size p) 1640033L "the discriminator as the source states it"))

        testCase "gan/parameters/residual" (fun () ->
            parametersFrom 1 (fun p ->
                ResidualGan.generator p "generator" 100 128 |> ignore
                Expect.equal (size p) 6895494L "the generator as the source states it")

            for spectral in [ false; true ] do
                parametersFrom 1 (fun p ->
                    ResidualGan.critic p "critic" 128 spectral |> ignore
                    Expect.equal (size p) 6079108L "the critic as the source states it"))

        testCase "gan/shapes" (fun () ->
            parametersFrom 2 (fun p ->
                let check (generator: Generator) (critic: Critic) (image: int64 list) =
                    let z = torch.randn ([| 3L; int64 generator.Latent |], generator = p.Generator)
                    let x = generator.Apply (OfBatch 0.1) z
                    Expect.equal (List.ofArray x.shape) (3L :: image) "images"
                    Expect.equal ((critic.Ready () x).shape) [| 3L |] "one value an image"

                check (FashionGan.generator p "fg") (FashionGan.discriminator p "fc") [ 1L; 28L; 28L ]

                check (ResidualGan.generator p "rg" 100 2) (ResidualGan.critic p "rc" 2 true) [
                    3L
                    32L
                    32L
                ]))
    ]

let private critics =
    testList "critics" [
        testCase "gan/spectral-convolution" (fun () ->
            parametersFrom 3 (fun p ->
                let layer = SpectralConv.create p "conv" 3 8 4 2 1

                for _ in 1..300 do
                    SpectralConv.normalise layer |> ignore

                let weight = (SpectralConv.normalise layer).Weight.detach().flatten 1L
                let largest = (torch.linalg.svdvals (weight.double ())).max().ToDouble()
                Expect.floatClose Accuracy.low largest 1.0 "the normalised matrix has norm 1"
                Expect.isFalse layer.Direction.requires_grad "the direction is no parameter"))

        // R1 is homogeneous of degree 2 in the last layer's weight, so Euler's theorem gives its derivative along
        // it: a second derivative through every convolution and LeakyReLU, known exactly.
        testCase "gan/r1-second-derivative" (fun () ->
            parametersFrom 4 (fun p ->
                let critic = ResidualGan.critic p "critic" 4 false
                let x = torch.randn ([| 5L; 3L; 32L; 32L |], generator = p.Generator)
                let penalty = r1Penalty (critic.Ready()) x

                let struct (_, last) = p.All |> Seq.find (fun struct (name, _) -> name = "critic.9.weight")

                let slope = torch.autograd.grad([| penalty |], [| last |])[0]
                let along = (slope * last).sum().ToDouble()
                let expected = 2.0 * penalty.ToDouble()

                Expect.isLessThan
                    (abs (along / expected - 1.0))
                    Tolerance.float32Identity.Bound
                    "the derivative along the weight is twice the penalty"))

        // A training shows its critic data and samples in one pass.
        testCase "gan/critic-by-example" (fun () ->
            parametersFrom 6 (fun p ->
                let check (critic: Critic) (image: int64 list) =
                    let batch n = torch.randn (List.toArray (n :: image), generator = p.Generator)
                    let values, x, y = critic.Ready(), batch 4L, batch 3L
                    let apart = torch.cat [| values x; values y |]
                    let error = (values (torch.cat [| x; y |]) - apart).abs().max() / apart.abs().max()

                    Expect.isLessThan
                        (error.ToDouble())
                        Tolerance.float32Identity.Bound
                        "an image's value does not depend on those beside it"

                check (FashionGan.discriminator p "fc") [ 1L; 28L; 28L ]
                check (ResidualGan.critic p "rc" 2 true) [ 3L; 32L; 32L ]
                check (ResidualGan.critic p "rp" 2 false) [ 3L; 32L; 32L ]))

        testCase "gan/batch-statistics" (fun () ->
            parametersFrom 5 (fun p ->
                let norm = BatchNorm.create p "norm" 2
                let batches = [ for _ in 1..3 -> torch.randn ([| 50L; 2L |], generator = p.Generator) ]

                batches
                |> List.iteri (fun i x -> BatchNorm.apply norm (OfBatch(1.0 / float (i + 1))) x |> ignore)

                let mean = (torch.cat (List.toArray batches)).mean [| 0L |]
                let error = (norm.Mean - mean).abs().max().ToDouble()
                Expect.isLessThan error Tolerance.float32Identity.Bound "shares 1/k give the plain mean"
                let before = norm.Mean.clone ()
                BatchNorm.apply norm Running batches.Head |> ignore
                Expect.isTrue (norm.Mean.Equals before) "and running statistics stay"))
    ]

/// The smallest training that has every kind of state.
let private tiny: GanRun = {
    Data = DataSetId.Cifar10
    Networks = ResidualNetworks(2, true)
    Adversary = Adversary.jsd
    R1 = 1.0
    GeneratorOptimiser = OptimiserSettings.Adam(2e-4, 0.0, 0.99)
    CriticOptimiser = OptimiserSettings.Adam(4e-4, 0.0, 0.99, WeightDecay = 1e-6)
    CriticSteps = 2
    Ema = 0.9
    Batch = 4
    Steps = 7
    Snapshots = Weights 3
    LogEvery = 2
}

let private trainTiny (root: string) (policy: CheckpointPolicy) (cancellation: CancellationToken) =
    let key = RunKey("gan", [ KeyValuePair("run", "tiny") ], 1L, "none", "test", noCode)

    let work (context: RunContext) =
        let images = Noise(9L).Uniform("images", 0L, [| 20L; 3072L |]) * 255.0
        let job = Training.job (GanRun.training tiny 255 images context)
        context.Train(job, policy) |> ignore
        context.SaveTensors("final", job.State)

        context.Run.SaveValues(
            dict [ for c in job.Counters -> c.Name, float (c.Read.Invoke()) ] |> Dictionary
        )

    use board = new PlainBoard(TextWriter.Null)
    let runner = Runner(RunStore root, cpu, 1, board)
    let summary = runner.Run([ RunRequest(key, 1, work) ], cancellation)
    summary, RunStore(root).Find key |> nonNull

let private contents (run: RunDirectory) = [
    for file in [ "final"; GanRun.snapshotFile 3L; GanRun.snapshotFile 6L; GanRun.snapshotFile 7L ] do
        let tensors = run.ReadTensors file

        for name in tensors.Names do
            file + "/" + name, tensors[name].Data.ToArray()

    "metrics", File.ReadAllBytes(run.PathOf "metrics.csv")
    "values", File.ReadAllBytes(run.PathOf "values.json")
]

let private training =
    testList "training" [
        testCase "gan/resume" (fun () ->
            inFolder (fun folder ->
                let root name = Path.Combine(folder, name)
                let _, whole = trainTiny (root "whole") (CheckpointPolicy()) CancellationToken.None

                for step in [ 2L; 5L ] do
                    let name = root $"cut at {step}"
                    use source = new CancellationTokenSource()

                    let policy = CheckpointPolicy(EverySteps = step, Observer = (fun _ -> source.Cancel()))

                    let summary, _ = trainTiny name policy source.Token
                    Expect.equal summary.ExitCode 130 "the training is interrupted"
                    let summary, resumed = trainTiny name (CheckpointPolicy()) CancellationToken.None
                    Expect.equal summary.ExitCode 0 "and completed"

                    for (name, expected), (_, actual) in List.zip (contents whole) (contents resumed) do
                        Expect.isTrue (actual = expected) $"cut after step {step}: {name} has the same bits"))

        testCase "gan/state" (fun () ->
            inFolder (fun folder ->
                let _, run = trainTiny folder (CheckpointPolicy()) CancellationToken.None
                let names = (run.ReadTensors "final").Names |> Set.ofSeq

                for name in
                    [
                        "generator.0.weight"
                        "generator.1.running_mean"
                        "averaged.generator.0.weight"
                        "critic.0.weight_u"
                        "generator.optimiser.exp_avg.generator.0.weight"
                        "critic.optimiser.exp_avg_sq.critic.9.bias"
                    ] do
                    Expect.isTrue (names.Contains name) $"the state holds {name}"

                let steps = run.ReadValues()
                Expect.equal steps["generator.optimiser"] 7.0 "one generator step a step"
                Expect.equal steps["critic.optimiser"] 14.0 "two critic steps"))
    ]

let private scores =
    testList "scores" [
        testCase "gan/scores" (fun () ->
            parametersFrom 6 (fun p ->
                let network = Classifier.network "random" (Classifier.create p 2 10)

                let images = [
                    for _ in 1..3 -> torch.randn ([| 20L; 3L; 32L; 32L |], generator = p.Generator)
                ]

                let blocks (images: Tensor list) : Blocks = fun each -> [| for x in images -> each x |]
                let features, logits = Judge.extract network (blocks images)
                Expect.equal features.shape [| 60L; 8L |] "features"
                Expect.equal logits.shape [| 60L; 10L |] "logits"
                let own = Moments.ofFeatures features
                let same = Judge.score network own (blocks images)
                Expect.isLessThan (abs same.Frechet) 1e-9 "the distance of a set to itself is 0"
                Expect.equal (Judge.score network own (blocks images)) same "and comes out the same again"
                let dark = images |> List.map (fun x -> 0.1 * x - 0.9)

                Expect.isGreaterThan
                    (Judge.score network own (blocks dark)).Frechet
                    1e-3
                    "other images are further"

                Expect.isGreaterThanOrEqual same.Inception 1.0 "the inception score is at least 1"
                Expect.isLessThanOrEqual same.Inception 10.0 "and at most the number of classes"))

        testCase "gan/rank-correlation" (fun () ->
            let xs = [| 1.0; 2.0; 4.0; 8.0 |]
            let correlation = Statistics.rankCorrelation xs
            Expect.floatClose Accuracy.veryHigh (correlation (Array.map log xs)) 1.0 "monotone"
            Expect.floatClose Accuracy.veryHigh (correlation (Array.map (fun x -> -x) xs)) -1.0 "reversed"
            // Ranks 2 1 4 3 against 1 2 3 4: 1 - 6 * 4 / (4 * 15).
            Expect.floatClose Accuracy.veryHigh (correlation [| 2.0; 1.0; 4.0; 3.0 |]) 0.6 "by hand"

            Expect.isTrue
                (Double.IsNaN(Statistics.rankCorrelation [| 1.0; 2.0 |] [| 1.0; 2.0 |]))
                "two say nothing")
    ]

[<Tests>]
let tests = testList "gan" [ sizes; critics; training; scores ]
