/// The semi-supervised model M2: its bounds by enumeration of the classes, and its networks against plain ones.
module Research.Tests.M2Tests

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.LinearModels

type private Formulas = {
    Labelled: Tensor -> Tensor -> Tensor -> Tensor
    Unlabelled: Tensor -> Tensor -> Tensor
}

type private Classes = { Bench: Bench; Count: int }

/// A linear-Gaussian model for every class, whose evidence and posterior are exact, an encoder off its posterior and
/// any classifier: then both gaps are known divergences.
let private enumeration =
    let error (formulas: Formulas) (i: Classes) =
        let models = [
            for y in 0 .. i.Count - 1 -> (scene { i.Bench with Seed = i.Bench.Seed + 10 * y }).Model
        ]

        let x = (scene i.Bench).X
        let seeded seed shape = torch.nn.functional.log_softmax (gaussian seed shape, -1L)
        let logPrior = seeded (i.Bench.Seed + 100) [ int64 i.Count ]
        let logLabel = seeded (i.Bench.Seed + 200) [ x.size 0; int64 i.Count ]

        let perClass = [
            for y, model in List.indexed models do
                let mean, covariance = LinearGaussian.posterior model x
                let logVar = (covariance.diagonal().log() + 0.2).expand_as mean
                let q = { Mu = mean + 0.1; LogVar = logVar }
                let z = DiagNormal.sample q (quadraticNoise i.Bench.Latent)
                let logLikelihood = (LinearGaussian.logLikelihood model x z).mean [| 0L |]
                let prior = logPrior[y].expand_as logLikelihood
                let cost = formulas.Labelled logLikelihood prior (klStandard q)
                let logJoint = LinearGaussian.logEvidence model x + prior
                cost, logJoint, klToDense q mean covariance
        ]

        let stack part = torch.stack (perClass |> List.map part |> Array.ofList, 1L)
        let costs = stack (fun (c, _, _) -> c)
        let logJoint = stack (fun (_, j, _) -> j)
        let gaps = stack (fun (_, _, g) -> g)
        let logEvidence = logJoint.logsumexp -1L
        let logPosterior = logJoint - logEvidence.unsqueeze -1L
        let gap = sumLast (logLabel.exp () * (logLabel - logPosterior + gaps))

        max
            (relativeDistance costs (gaps - logJoint))
            (relativeDistance (formulas.Unlabelled logLabel costs) (gap - logEvidence))

    let core = { Labelled = m2Labelled; Unlabelled = m2Unlabelled }

    {
        Id = "m2/enumeration"
        Statement =
            "L(x,y) and U(x) exceed -log p(x,y) and -log p(x), summed over the classes, by the divergences of the encoder and the classifier from the model's posterior."
        Labels = [ "eq:m2-labelled"; "eq:m2-unlabelled" ]
        Function = "m2Unlabelled"
        Instances = [
            "two classes", { Bench = { Seed = 1; Data = 2L; Latent = 1L; Sigma = 0.7 }; Count = 2 }
            "ten classes", { Bench = { Seed = 2; Data = 4L; Latent = 2L; Sigma = 0.5 }; Count = 10 }
            "one class", { Bench = { Seed = 3; Data = 3L; Latent = 2L; Sigma = 2.0 }; Count = 1 }
        ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "entropy of the label with the wrong sign",
            error { core with Unlabelled = fun q costs -> sumLast (q.exp () * (costs - q)) }
            "entropy left out", error { core with Unlabelled = fun q costs -> sumLast (q.exp () * costs) }
            "classes weighted alike",
            error { core with Unlabelled = fun q costs -> (costs + q).mean [| -1L |] }
            "class prior left out",
            error { core with Labelled = fun ll prior kl -> m2Labelled ll (0.0 * prior) kl }
        ]
    }

let private shape: M2Shape = { Data = 7; Classes = 3; Latent = 2; Hidden = 5 }

let private build () =
    use generator = new torch.Generator(1UL)
    M2.create (Parameters(generator, torch.device "cpu")) shape

let private batch = 4L
let private pixels () = ((uniform 2 [ batch; 7L ]).round()).float()
let private noise () = (gaussian 3 [ 3L; batch; 2L ]).float()
let private constant (y: int64) = torch.full ([| batch |], Scalar.op_Implicit y, dtype = torch.int64)

/// L(x,y) by networks that read (x, one-hot y) and (z, one-hot y) as one input each.
let private joined (m: M2) (x: Tensor) (y: Tensor) (eps: Tensor) =
    let oneHot = (torch.eye (3L, dtype = torch.float32)).index_select(0L, y)

    let layer (input: Linear) (label: Tensor) (value: Tensor) =
        let weight = torch.cat ([| input.Weight; label.t () |], 1L)
        softplus (torch.nn.functional.linear (torch.cat ([| value; oneHot |], 1L), weight, input.Bias))

    let h = Linear.apply m.EncoderOutput (layer m.EncoderInput m.EncoderLabel x)
    let q = { Mu = h.narrow (-1L, 0L, 2L); LogVar = h.narrow (-1L, 2L, 2L) }
    let z = DiagNormal.sample q eps

    let p: Bernoulli = {
        Logits = Linear.apply m.DecoderOutput (layer m.DecoderInput m.DecoderLabel z)
    }

    klStandard q - Bernoulli.logProb p x + log 3.0

/// The largest distance of the mean of thinned weights over a grid of u from q, and of its gradient from q's; the grid
/// leaves an error of the floor over its size.
let private thinningError (thin: float -> Tensor -> Tensor -> Tensor) =
    let floor, points = 0.05, 500L
    let logits = (2.0 * gaussian 5 [ 6L; 4L ]).requires_grad_ true
    let value = gaussian 6 [ 6L; 4L ]

    let both (weights: Tensor) =
        let gradient = torch.autograd.grad ([| (weights * value).sum() |], [| logits |])
        weights.detach (), gradient[0]

    let logQ () = torch.nn.functional.log_softmax (logits, -1L)
    let expected, slope = both ((logQ ()).exp())
    let u = (torch.arange (points, torch.float64) + 0.5) / float points

    let mean, meanSlope =
        both (
            torch
                .stack([| for i in 0L .. points - 1L -> thin floor (u[i].expand [| 6L; 4L |]) (logQ ()) |])
                .mean
                [| 0L |]
        )

    max (distance mean expected) (distance meanSlope slope)

let private agree (what: string) (a: Tensor) (b: Tensor) =
    Expect.isLessThan (relativeDistance a b) Tolerance.float32Identity.Bound what

[<Tests>]
let tests =
    testList "m2" [
        Law.test enumeration

        testCase "the label's table is the part of a joined layer that one-hot labels meet" (fun () ->
            use _ = torch.NewDisposeScope()
            let m, x, eps = build (), pixels (), noise ()
            let y = torch.tensor [| 2L; 0L; 1L; 0L |]
            agree "L(x,y)" (M2.labelled m 1.0 x y eps[0]) (joined m x y eps[0]))

        testCase "all classes at once cost what each costs alone" (fun () ->
            use _ = torch.NewDisposeScope()
            let m, x, eps = build (), pixels (), noise ()
            let all = M2.everyLabel m x eps

            for y in 0L .. 2L do
                agree $"class {y}" (all.select (1L, y)) (M2.labelled m 1.0 x (constant y) eps[int y]))

        testCase "thinned weights have the mean and the gradient of the probabilities" (fun () ->
            use _ = torch.NewDisposeScope()
            Expect.isLessThan (thinningError M2.thin) 1e-3 "thin"

            let mutants = [
                "rare classes not weighed up",
                fun (floor: float) (u: Tensor) (logQ: Tensor) ->
                    let q = logQ.exp ()
                    (floor * u).lt(q).``to`` q.dtype * q
                "rare classes dropped and the rest normalised",
                fun floor _ logQ ->
                    let q = logQ.exp ()
                    let kept = (q.ge (Scalar.op_Implicit (floor: float): Scalar)).``to`` q.dtype * q
                    kept / kept.sum (-1L, true)
            ]

            for name, mutant in mutants do
                Expect.isGreaterThan (thinningError mutant) 1e-3 name)

        testCase "thinned weights add up to one and few are not zero" (fun () ->
            use _ = torch.NewDisposeScope()
            let logQ = torch.nn.functional.log_softmax (8.0 * gaussian 7 [ 1000L; 10L ], -1L)
            let weights = M2.thin 0.01 (uniform 8 [ 1000L; 10L ]) logQ
            agree "sum" (sumLast weights) (torch.ones ([| 1000L |], torch.float64))
            let kept (w: Tensor) = ((w.gt (Scalar.op_Implicit 0.0: Scalar)).double().mean()).ToDouble()
            Expect.isLessThan (kept weights) 0.3 "kept"
            Expect.equal (kept (M2.thin 0.0 (uniform 8 [ 1000L; 10L ]) logQ)) 1.0 "all of q")

        testCase "thinned weights and their gradient are finite where a probability underflows" (fun () ->
            use _ = torch.NewDisposeScope()

            let logits =
                (torch.tensor [| 0.0f; -95.0f; -300.0f |]).reshape([| 1L; 3L |]).requires_grad_ true

            let u = torch.zeros ([| 1L; 3L |], torch.float32)

            for floor in [ 0.0; 0.01 ] do
                let weights = M2.thin floor u (torch.nn.functional.log_softmax (logits, -1L))
                let gradient = torch.autograd.grad ([| weights.square().sum() |], [| logits |])

                // One that is 0 has no weight at any u, one above 0 has one at u = 0.
                let kept = if floor = 0.0 then exp -95.0 else floor
                Expect.floatClose Accuracy.medium (value weights[0, 1]) kept $"floor {floor}"
                Expect.equal (value weights[0, 2]) 0.0 $"floor {floor}"

                for values in [ weights; gradient[0] ] do
                    Expect.isTrue ((values.isfinite ()).all().ToBoolean()) $"floor {floor}")

        testCase "the sum over classes is exact at floor 0" (fun () ->
            use _ = torch.NewDisposeScope()
            let m, x, eps = build (), pixels (), noise ()
            let u = (uniform 4 [ batch; 3L ]).float()
            let exact = (m2Unlabelled (M2.logLabel m x) (M2.everyLabel m x eps)).mean()
            agree "U(x)" (M2.unlabelled m 0.0 1.0 x eps u) exact)

        testCase "the loss is the source's sum over all examples, over N" (fun () ->
            use _ = torch.NewDisposeScope()
            let m, x, eps = build (), pixels (), noise ()
            let y = constant 1L
            // Four labelled of ten examples: the same batch stands for both parts.
            let u = (uniform 4 [ batch; 3L ]).float()
            let settings = { LabelledShare = 0.4; Weight = 0.1; KlWeight = 1.0; Floor = 0.0 }
            let loss = total (M2.loss m settings (x, y, eps[1]) (x, eps, u))
            let logLabel = M2.logLabel m x
            let labelled = (M2.labelled m 1.0 x y eps[1]).mean()
            let unlabelled = (m2Unlabelled logLabel (M2.everyLabel m x eps)).mean()
            let classification = ((logLabel.select (1L, 1L)).mean()).neg()
            agree "loss" loss ((4.0 * labelled + 6.0 * unlabelled + 0.1 * 10.0 * classification) / 10.0))
    ]
