/// Trainings of VAEs take the step that fits them, say so in their key, and resume to the same bits on it.
module Research.Tests.VaeTrainingTests

open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research
open Research.Host
open Research.Models
open Research.Experiments
open Research.Experiments.Hw

let private plan =
    lazy (Plan(Smoke, torch.CPU, DataOptions(null, false, ForceStandIn = true, Warn = ignore)))

/// hw5.1's model on the smallest digits.
let private run latent prior loss = Digits.vae Smoke latent prior loss

/// Core's objective under a name of its own, which no kernel knows.
let private byName = Other("minus the elbo", Core.elbo)

let private bits (parameters: Parameters) = [
    for struct (_, t) in parameters.All -> t.data<float32>().ToArray()
]

/// The parameters after some steps, each lowered the way that `lowering` makes of model and optimiser.
let private after (run: VaeRun) lowering =
    use _ = torch.NewDisposeScope()
    let noise = Noise 1L
    use generator = noise.For("initialisation", 0L)
    let built = VaeRun.build run (Parameters(generator, torch.CPU))
    let lower: VaeStep.Lowering = lowering built (Descent(built.Parameters, run.Optimiser))
    let images = VaeImages.asTheyAre (plan.Value.Train run.Data)

    for step in 0L .. 4L do
        VaeStep.take run images lower (StepContext(step, 0L, step, noise)) |> ignore

    bits built.Parameters

let private composed (run: VaeRun) (built: BuiltVae) descent =
    VaeStep.composed (Loss.objective run.Loss) built.Model descent

let private fused (run: VaeRun) beta (built: BuiltVae) (descent: Descent) =
    let kernel = FusedVae.kernel built.Parameters descent.Learned built.Vae run.Posterior beta
    VaeStep.fused kernel beta descent

/// The largest difference of two models' parameters.
let private distance (a: float32[] list) (b: float32[] list) =
    List.map2 (Array.map2 (fun (a: float32) b -> abs (a - b))) a b
    |> List.map Array.max
    |> List.max

/// What takes fused ends, and why.
let private between =
    let learned = "the divergence from a learned prior has no closed form"
    let infoVae = Core.infoVae 1.0 2.0 (Core.mmdUnbiased (Core.kernelRbf 1.0))

    [
        "a mixture", run 5 (MixturePrior 3) Loss.elbo, learned
        // Its pseudo-inputs pass the same encoder by operators.
        "a VampPrior", run 5 (VampPrior(3, 0.0, 17.0)) Loss.elbo, learned
        "a flow", run 4 (FlowPrior(2, 8)) (WeightedElbo 0.5), learned
        "a topographic prior", run 2 (TopographicPrior(2, 8)) Loss.elbo, learned
        "three draws", { run 5 StandardPrior Loss.elbo with Samples = 3 }, "several draws of z an example"
        "InfoVAE",
        { run 5 StandardPrior (OfParts("infovae", infoVae)) with Samples = 3 },
        "the objective is no weighted ELBO"
    ]

let private chosen =
    testList "chosen" [
        for beta in [ 1.0; 0.0; 4.0 ] do
            testCase $"vae-training/fused/{beta}" (fun () ->
                let run = run 5 StandardPrior (WeightedElbo beta)
                let taken = after run (VaeStep.choose run)
                Expect.equal taken (after run (fused run beta)) "the kernel's bits"

                // Five steps of 0.001; Adamax moves by their signs where gradients are small.
                Expect.isLessThan (distance taken (after run (composed run))) 1e-4f "near the operators'")

        for name, run, reason in between do
            testCase $"vae-training/ends/{name}" (fun () ->
                let expected = $"encoder and decoder fused, operators between: {reason}"
                Expect.equal (StepPath.describe (VaeStep.path torch.CPU run)) expected "the key"
                let taken, operators = after run (VaeStep.choose run), after run (composed run)
                Expect.isLessThan (distance taken operators) 1e-4f "near the operators'"
                Expect.notEqual taken operators "by a way of its own")

        for name, run in
            [
                "objective", run 5 StandardPrior byName
                "posterior", { run 5 (MixturePrior 3) Loss.elbo with Posterior = PlanarPosterior 2 }
            ] do
            testCase $"vae-training/operators/{name}" (fun () ->
                Expect.equal
                    (after run (VaeStep.choose run))
                    (after run (composed run))
                    "the operators' bits")

        testCase "vae-training/key" (fun () ->
            let step run = (VaeTraining.request plan.Value "a" 1L run).Training.Key.Configuration "step"
            Expect.equal (step (run 5 StandardPrior Loss.elbo)) "fused" "the key names the kernel"

            Expect.equal
                (step (run 5 StandardPrior byName))
                "operators: the objective is no weighted ELBO"
                "or why it is not taken")
    ]

/// Trains with early stopping in a store, cancelled in this step if one is given. Returns the exit code and, of a run that
/// is done, its model and metrics.
let private train (root: string) (cancelIn: int option) =
    let plan = plan.Value

    let run = { run 5 StandardPrior (WeightedElbo 0.5) with Length = EarlyStop(6, 2) }

    use source = new CancellationTokenSource()
    let mutable taken = 0

    let prepare _ parameters =
        let built = VaeRun.build run parameters

        let training =
            VaeTraining.training
                plan
                run
                built
                (Descent(parameters, run.Optimiser))
                (VaeTraining.data plan run)

        let step at =
            taken <- taken + 1

            if Some taken = cancelIn then
                source.Cancel()

            training.Step at

        { training with Step = step }

    let request = (VaeTraining.requestOf plan "resumed" 1L run [] [] prepare).Training
    use board = new PlainBoard(TextWriter.Null)

    let code =
        (Runner(RunStore root, torch.CPU, 1, board)).Run([ request ], source.Token).ExitCode

    let result () =
        let finished = RunStore(root).Require request.Key
        let model = finished.ReadTensors "model"

        [ for name in model.Names -> name, model[name].Data.ToArray() ],
        File.ReadAllText(finished.PathOf "metrics.csv")

    code, (if code = 0 then Some(result ()) else None)

let private resumed =
    testCase "vae-training/resume" (fun () ->
        inFolder (fun folder ->
            let root (name: string) = Path.Combine(folder, name)
            let _, whole = train (root "whole") None
            Expect.isSome whole "a run that nothing interrupts is done"

            for step in [ 1; 9; 20 ] do
                let name = root $"at {step}"
                Expect.equal (fst (train name (Some step))) 130 $"interrupted in step {step}"
                Expect.equal (train name None) (0, whole) "and resumed, the same bits"))

[<Tests>]
let tests = testList "vae training" [ chosen; resumed ]
