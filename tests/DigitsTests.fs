/// The digits experiments: a conditional model is a plain one when it ignores the class, early stopping watches the
/// loss that is trained, measurements add up, agreement is counted.
module Research.Tests.DigitsTests

open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Experiments.Hw
open Research.Tests.Hostile
open Research.Tests.Laws
open Research.Tests.Laws.Shared

let private cpu = torch.device "cpu"
let private classes = 10

let private conditionalFrom (seed: uint64) =
    use generator = new torch.Generator(seed)
    ConditionalVae.create (Parameters(generator, cpu)) (Digits.shape 3) classes

/// A network without the last `extra` inputs of its first layer.
let private narrowed (extra: int) (network: Mlp) =
    let first = network.Layers.Head
    let inputs = first.Weight.size 1 - int64 extra

    {
        network with
            Layers = { first with Weight = first.Weight.narrow (1L, 0L, inputs) } :: network.Layers.Tail
    }

/// Sets the weights of the class to zero: the model no longer sees it.
let private blind (vae: ConditionalVae) =
    use _ = torch.no_grad ()

    for network in [ vae.Networks.Encoder; vae.Networks.Decoder ] do
        let weight = network.Layers.Head.Weight
        weight.narrow(1L, weight.size 1 - int64 classes, int64 classes).zero_() |> ignore

let private pixels () = (uniform 1 [ 5; 64 ] * 17.0).floor().``to`` torch.float32

let private labels () = torch.tensor [| 0L; 3L; 9L; 3L; 1L |]
let private noise () = (gaussian 2 [ 4; 5; 3 ]).``to`` torch.float32

let private loss (model: LatentModel) x = value (total (elbo model x (noise ())))

let private stopping =
    testList "stopping" [
        testCase "digits/kept-epoch" (fun () ->
            let bounds = [| 3.0; 2.0; 2.5; 2.4; 1.0; 1.0; 0.9 |]
            let kept patience = Digits.keptWith patience bounds
            Expect.equal (kept 2) 2 "two epochs without a better one end it"
            Expect.equal (kept 3) 7 "three do not"
            Expect.equal (Digits.keptWith 1 [| 1.0; 1.0; 0.5 |]) 1 "an equal one is no better")
    ]

let private conditional =
    testList "conditional" [
        testCase "conditional/one-hot" (fun () ->
            use _ = torch.NewDisposeScope()
            let encoded = ConditionalVae.oneHot classes (labels ())
            Expect.equal (elements (sumLast encoded)) (Array.create 5 1.0) "one class each"
            Expect.equal (elements (encoded.argmax -1L)) [| 0.0; 3.0; 9.0; 3.0; 1.0 |] "the label's")

        testCase "conditional/blind" (fun () ->
            use _ = torch.NewDisposeScope()
            let vae = conditionalFrom 1UL
            let xy = ConditionalVae.withLabels classes (pixels ()) (labels ())
            let seeing = loss (ConditionalVae.model vae) xy
            blind vae

            let plain = {
                vae.Networks with
                    Encoder = narrowed classes vae.Networks.Encoder
                    Decoder = narrowed classes vae.Networks.Decoder
            }

            let unseeing = loss (ConditionalVae.model vae) xy
            let expected = loss (Vae.model plain Prior.standard) (pixels ())

            Expect.isLessThan
                (abs (unseeing - expected))
                1e-3
                "without class weights it is the plain VAE's loss"

            Expect.isGreaterThan (abs (seeing - expected)) 1e-2 "with them it is not")

        testCase "conditional/prior" (fun () ->
            use _ = torch.NewDisposeScope()
            use generator = new torch.Generator(4UL)
            let vae = ConditionalVae.createWithPrior (Parameters(generator, cpu)) (Digits.shape 3) classes
            let prior = { vae.Prior.Value with LogVar = (gaussian 5 [ 10; 3 ]).float() }
            let vae = { vae with Prior = Some prior }
            let xy, eps = ConditionalVae.withLabels classes (pixels ()) (labels ()), (noise ())[0]
            let terms = elbo (ConditionalVae.model vae) xy eps |> Map.ofList
            // q(z|x,y) against the class's normal, and z itself decoded by the model without a prior of its own.
            let q = Vae.encode vae.Networks xy
            let ofClass (table: Tensor) = Plain.rows (table.index_select (0L, labels ()))
            let qs = Array.zip (Plain.rows q.Mu) (Plain.rows q.LogVar)
            let ps = Array.zip (ofClass prior.Mu) (ofClass prior.LogVar)
            let kl = Array.map2 (fun (m, v) (m', v') -> Plain.klNormal m v m' v') qs ps |> Array.average

            Expect.isLessThan
                (abs (value terms["kl"] - kl))
                (1e-4 * kl)
                "the divergence from the class's prior"

            let z = DiagNormal.sample q eps

            let expected =
                (ConditionalVae.model { vae with Prior = None }).LogLikelihood xy z |> _.mean() |> value

            Expect.isLessThan
                (abs (value terms["reconstruction"] + expected))
                (1e-5 * abs expected)
                "the likelihood of the code itself"

            let u =
                DiagNormal.sample
                    {
                        Mu = torch.tensor (array2D (ofClass prior.Mu))
                        LogVar = torch.tensor (array2D (ofClass prior.LogVar))
                    }
                    (eps.double ())

            let mean = ConditionalVae.meanImage vae (labels ()) eps
            let asked = ConditionalVae.meanImage { vae with Prior = None } (labels ()) (u.float ())
            Expect.isLessThan (distance mean asked) 1e-3 "a draw of N(0,I) is one of the class's prior")

        testCase "conditional/request" (fun () ->
            use _ = torch.NewDisposeScope()
            let vae = conditionalFrom 2UL
            let z = (noise ())[0]
            let asked = ConditionalVae.meanImage vae (labels ()) z
            let other = ConditionalVae.meanImage vae (torch.tensor [| 1L; 3L; 9L; 3L; 1L |]) z
            let distances = (asked - other).abs().sum -1L |> elements
            Expect.isGreaterThan distances[0] 1e-3 "another request gives another image"
            Expect.isLessThan (Array.max distances[1..]) 1e-6 "and leaves the other examples alone")
    ]

let private measurements =
    testList "measurements" [
        testCase "digits/scores" (fun () ->
            use _ = torch.NewDisposeScope()
            use generator = new torch.Generator(3UL)
            let vae = Vae.create (Parameters(generator, cpu)) (Digits.shape 3)
            let model = Vae.model vae Prior.standard
            let scored = Digits.scores model 3 8 (pixels ()) (Noise 1L) |> Map.ofList
            let kl = value ((klStandard (Vae.encode vae (pixels ()))).mean())
            Expect.isLessThan (abs (scored["kl"] - kl)) 1e-5 "the divergence is the closed form"

            Expect.isLessThan
                (abs (scored["bound"] - scored["reconstruction"] - scored["kl"]))
                1e-9
                "the parts add up"

            let many =
                Digits.scores model 3 2_000 ((pixels ()).narrow(0L, 0L, 2L)) (Noise 1L) |> Map.ofList

            Expect.isGreaterThan many["logp"] -many["bound"] "importance sampling lies above the bound")

        testCase "digits/agreement" (fun () ->
            use _ = torch.NewDisposeScope()
            let truth = torch.tensor (Array.init 20 (fun i -> int64 (i % 10)))
            let predicted = torch.tensor (Array.init 20 (fun i -> if i = 3 then 0L else int64 (i % 10)))
            let shares = DigitsClassifier.agreement "a" predicted truth |> Map.ofList
            Expect.equal shares["a"] 0.95 "19 of 20"
            Expect.equal shares["a.3"] 0.5 "one of two threes"
            Expect.equal shares["a.0"] 1.0 "a wrong zero does not count against the zeros")
    ]

let private earlyStopping =
    testCase "digits/watched-loss" (fun () ->
        inFolder (fun root ->
            let plan = Plan(Smoke, cpu, DataOptions(null, false, ForceStandIn = true, Warn = ignore))

            let run = {
                Digits.vae Smoke 2 StandardPrior (WeightedElbo 0.5) with
                    Length = EarlyStop(3, 3)
            }

            let request = (VaeTraining.request plan "watched" 1L run).Training
            use board = new PlainBoard(TextWriter.Null)
            let store = RunStore root
            let summary = Runner(store, cpu, 1, board).Run([ request ], CancellationToken.None)
            Expect.equal summary.ExitCode 0 "the run is done"
            let results = Results(plan, store)
            let curve name = results.Curve "validation" name request |> Array.map snd

            let expected =
                Array.map2 (fun rec' kl -> rec' + 0.5 * kl) (curve "reconstruction") (curve "kl")

            Array.iter2
                (fun loss expected ->
                    Expect.isLessThan (abs (loss - expected)) 1e-3 "the loss that is trained")
                (curve "loss")
                expected

            Expect.equal
                (results.Value "best" request)
                (Array.min (curve "loss"))
                "decides which model is kept"))

[<Tests>]
let tests = testList "digits" [ conditional; measurements; earlyStopping; stopping ]
