/// Noise without state, and trainings that end in the same bits however often they are interrupted.
module Research.Tests.TrainingTests

open System
open System.Collections.Generic
open System.IO
open System.Runtime.InteropServices
open System.Threading
open Expecto
open FsCheck
open FsCheck.FSharp
open TorchSharp
open Research.Host
open Research.Tests.Hostile

let private floats (t: torch.Tensor) = t.data<float32>().ToArray()

let private noise =
    testList "noise" [
        testCase "host/noise/stateless" (fun () ->
            use _ = torch.NewDisposeScope()
            let draw stream step = floats (Noise(7L).Normal(stream, step, [| 3L; 5L |]))

            let calls = [
                for stream in [ "encoder"; "decoder" ] do
                    for step in [ 0L; 1L; 1L <<< 40 ] -> stream, step
            ]

            let forwards = calls |> List.map (fun (stream, step) -> draw stream step)

            let backwards =
                calls |> List.rev |> List.map (fun (stream, step) -> draw stream step) |> List.rev

            Expect.isTrue (forwards = backwards) "the same bits in whatever order they are drawn"

            Expect.hasLength
                (List.distinct forwards)
                calls.Length
                "every stream and step has noise of its own"

            Expect.notEqual
                (floats (Noise(8L).Normal("encoder", 0L, [| 3L; 5L |])))
                forwards.Head
                "and every seed")

        testCase "host/noise/no-collision" (fun () ->
            // The Mersenne Twister sees 32 bits; by chance 2^17 steps would share about two seeds.
            use _ = torch.NewDisposeScope()
            let source = Noise 7L
            let steps = 1 <<< 17

            let first step =
                use value = source.Uniform("encoder", int64 step, [| 2L |], torch.float64)
                MemoryMarshal.Cast<byte, int64>(Span.op_Implicit value.bytes)[0]

            let distinct = HashSet(Seq.init steps first)
            Expect.equal distinct.Count steps "no two steps of a stream share their noise")

        testCase "host/noise/moments" (fun () ->
            use _ = torch.NewDisposeScope()
            let n = 4000
            // One number from each of many steps: steps must be independent of each other.
            let source = Noise 3L
            let sample draw = [| for step in 0L .. int64 n - 1L -> float (Array.head (floats (draw step))) |]
            let normal = sample (fun step -> source.Normal("a", step, [| 1L |]))
            let uniform = sample (fun step -> source.Uniform("a", step, [| 1L |]))
            let mean (xs: float[]) = Array.average xs
            let within sd = (Tolerance.monteCarlo (int64 n) sd).Bound
            Expect.isLessThan (abs (mean normal)) (within 1.0) "mean 0"

            Expect.isLessThan
                (abs (mean (Array.map (fun x -> x * x) normal) - 1.0))
                (within (sqrt 2.0))
                "variance 1"

            Expect.isLessThan (abs (mean uniform - 0.5)) (within (sqrt (1.0 / 12.0))) "mean one half"
            let lagged = Array.map2 (*) normal[.. n - 2] normal[1..]
            Expect.isLessThan (abs (mean lagged)) (within 1.0) "neighbouring steps are uncorrelated")

        testProperty "host/noise/permutation" (fun (seed: int64) (epoch: NonNegativeInt) (PositiveInt n) ->
            let source = Noise seed
            let order = Array.copy (source.Permutation(int64 epoch.Get, n))
            source.Permutation(int64 epoch.Get + 1L, n) |> ignore
            Expect.sequenceEqual (Array.sort order) [ 0L .. int64 n - 1L ] "every row once"

            Expect.sequenceEqual
                (Noise(seed).Permutation(int64 epoch.Get, n))
                order
                "from seed and epoch alone")

        testCase "host/noise/permutation-uniform" (fun () ->
            let source = Noise 11L
            let epochs = 6000
            let counts = Array.zeroCreate<int> 27

            for epoch in 1..epochs do
                let order = source.Permutation(int64 epoch, 3)
                let code = int (order[0] * 9L + order[1] * 3L + order[2])
                counts[code] <- counts[code] + 1

            let share = 1.0 / 6.0
            let sd = sqrt (share * (1.0 - share))
            let seen = counts |> Array.filter ((<>) 0)
            Expect.hasLength seen 6 "all six orders of three occur"

            for count in seen do
                let error = abs (float count / float epochs - share)
                Expect.isLessThan error (Tolerance.monteCarlo (int64 epochs) sd).Bound "and equally often")
    ]

/// Runs work in a run of a store on this thread, as the scheduler would.
let private inRun (root: string) (cancellation: CancellationToken) (seed: int64) (work: RunContext -> unit) =
    use board = new PlainBoard(TextWriter.Null)
    let runner = Runner(RunStore root, torch.device "cpu", 1, board)
    let summary = runner.Run([ RunRequest(TinyTraining.key seed, 1, work) ], cancellation)
    summary, RunStore(root).Find(TinyTraining.key seed) |> nonNull

let private finalBytes (run: RunDirectory) =
    let final = run.ReadTensors "final"

    [ for name in final.Names -> name, final[name].Data.ToArray() ],
    File.ReadAllText(run.PathOf "metrics.csv")

let private policy = CheckpointPolicy()
let private steps = 40L

/// Trains until a step is reached and interrupts there, as Ctrl-C does.
let private interruptAt root (step: int) =
    use source = new CancellationTokenSource()
    let mutable taken = 0

    let pause () =
        taken <- taken + 1

        if taken = step then
            source.Cancel()

    inRun root source.Token 1L (TinyTraining.work steps policy pause)

let private damagedCheckpoint root =
    let run = RunStore(root).Find(TinyTraining.key 1L) |> nonNull
    run.PathOf(Path.Combine("checkpoints", "training.safetensors"))

let private training =
    testList "training" [
        testCase "host/training/interrupted" (fun () ->
            inFolder (fun folder ->
                let root name = Path.Combine(folder, name)

                let _, whole =
                    inRun (root "whole") CancellationToken.None 1L (TinyTraining.work steps policy ignore)

                for step in [ 1; 8; 17 ] do
                    let name = root $"at {step}"
                    let summary, _ = interruptAt name step
                    Expect.equal summary.ExitCode 130 "the run is interrupted"

                    let summary, run =
                        inRun name CancellationToken.None 1L (TinyTraining.work steps policy ignore)

                    Expect.equal summary.ExitCode 0 "and completed"

                    Expect.isTrue
                        (finalBytes run = finalBytes whole)
                        $"interrupted after step {step}, the same bits"

                    let notes = String.concat "\n" (run.ReadNotes())
                    Expect.stringContains notes $"resuming after step {step}" "the log says so"))

        testCase "host/training/damaged" (fun () ->
            inFolder (fun folder ->
                let root name = Path.Combine(folder, name)

                let _, whole =
                    inRun (root "whole") CancellationToken.None 1L (TinyTraining.work steps policy ignore)

                interruptAt (root "cut") 8 |> ignore
                interruptAt (root "cut") 8 |> ignore
                let path = damagedCheckpoint (root "cut")
                File.WriteAllBytes(path, (File.ReadAllBytes path)[..100])

                let _, run =
                    inRun (root "cut") CancellationToken.None 1L (TinyTraining.work steps policy ignore)

                let notes = String.concat "\n" (run.ReadNotes())
                Expect.stringContains notes "continuing from the previous checkpoint" "the log says so"

                Expect.stringContains
                    notes
                    "resuming after step 8"
                    "the previous checkpoint is the older one"

                Expect.isTrue (finalBytes run = finalBytes whole) "the same bits"))

        testCase "host/training/metrics-lost" (fun () ->
            inFolder (fun folder ->
                interruptAt folder 8 |> ignore
                let run = RunStore(folder).Find(TinyTraining.key 1L) |> nonNull
                File.Delete(run.PathOf "metrics.csv")
                let _, run = inRun folder CancellationToken.None 1L (TinyTraining.work steps policy ignore)
                let notes = String.concat "\n" (run.ReadNotes())

                Expect.stringContains
                    notes
                    "metrics file is shorter"
                    "a checkpoint without its metrics is not used"

                Expect.stringContains notes "from scratch" "so that none is missing"
                Expect.equal ((Seq.head (run.ReadMetrics())).Step) 3L "metrics start at the first log"))

        for name, value, word in [ "NaN", nan, "NaN"; "infinity", -infinity, "infinite" ] do
            testCase $"host/training/{name}" (fun () ->
                inFolder (fun folder ->
                    let step (at: StepContext) : IReadOnlyList<Term> =
                        let loss = torch.tensor (if at.Step = 4L then value else 1.0)
                        [| Term("loss", 1.0); Term("kl", loss) |]

                    let job = TrainingJob(State = [||], TotalSteps = 9L, StepsPerEpoch = 3L, Step = step)
                    let work (context: RunContext) = context.Train job |> ignore
                    let summary, _ = inRun folder CancellationToken.None 1L work
                    Expect.equal summary.ExitCode 1 "the run fails"

                    Expect.stringContains
                        (Seq.last (summary.Lines()))
                        $"'kl' became {word} in step 5"
                        "term and step"))

        testCase "host/training/early-stopping" (fun () ->
            inFolder (fun folder ->
                use weight = torch.zeros [| 1L |]
                let mutable outcome = None

                // The metric falls until the third evaluation and rises after it.
                let evaluate (at: EvaluationContext) =
                    readOnlyDict [ "loss", abs (float at.Evaluation - 3.0) ]

                let step (_: StepContext) : IReadOnlyList<Term> =
                    weight.add_ (Scalar.op_Implicit 1.0: Scalar) |> ignore
                    [| Term("loss", weight.sum ()) |]

                let job =
                    TrainingJob(
                        State = [| NamedTensor("w", weight) |],
                        StepsPerEpoch = 2L,
                        Step = step,
                        Evaluate = evaluate,
                        EarlyStopping =
                            EarlyStopping(
                                Metric = "loss",
                                Patience = 2L,
                                Keep = [| NamedTensor("w", weight) |]
                            )
                    )

                inRun folder CancellationToken.None 1L (fun context -> outcome <- Some(context.Train job))
                |> ignore

                let expected = TrainingOutcome(10L, 5L, true, Nullable 0.0, Nullable 6L)
                Expect.equal outcome (Some expected) "it stops two evaluations after the best"
                Expect.equal (weight.item<float32>()) 6.0f "and the best weights are back"))

        testCase "host/training/batches" (fun () ->
            let source = Noise 5L
            let batches = [ for step in 0L .. 2L -> StepContext(step, 0L, step, source).Batch(10, 4) ]
            Expect.sequenceEqual (batches |> List.map Array.length) [ 4; 4; 2 ] "the last batch is short"

            Expect.sequenceEqual
                (Array.concat batches)
                (source.Permutation(0L, 10))
                "an epoch is one permutation")
    ]

[<Tests>]
let tests = testList "training" [ noise; training ]
