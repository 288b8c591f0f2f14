/// Adversarial metrics, generator losses and gradient penalties.
module Research.Tests.Laws.Adversarial

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.InfoVae

let private optimalDiscriminator =
    let error (metric: Tensor -> Tensor -> Tensor) (c: Counts) =
        let critic = logRatio c
        let slope = grad (evaluate c metric) critic
        let jsd = jensenShannon c
        let atOptimum = value (evaluate c metric critic)
        // The game's value without the shift and scale: E log D + E log(1 - D) = 2 JSD - log 4.
        let game =
            value ((shares c.P * logSigmoid critic).sum() + (shares c.Q * logSigmoid (critic.neg ())).sum())

        let others = [
            for seed in 1..3 -> value (evaluate c metric (critic + gaussian seed (List.ofArray critic.shape)))
        ]

        List.max (
            value (slope.abs().max())
            :: abs (atOptimum - jsd)
            :: abs (2.0 * atOptimum - log 4.0 - game)
            :: [ for other in others -> excess other jsd ]
        )

    {
        Id = "gan/optimal-discriminator"
        Statement =
            "The critic log p/q maximises the metric, which then is JSD, with 2 JSD - log 4 the game's value."
        Labels = [ "eq:jsd-metric" ]
        Function = "jsdMetric"
        Instances = counted
        Error = error jsdMetric
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "log 4 left out", error (fun p q -> jsdMetric p q - log 2.0)
            "not halved", error (fun p q -> 2.0 * jsdMetric p q)
            "critic's sign", error (fun p q -> jsdMetric (p.neg ()) (q.neg ()))
        ]
    }

type PointMasses = { Data: float list; Model: float list }

let private wasserstein =
    let error (metric: Tensor -> Tensor -> Tensor) (m: PointMasses) =
        let data, model = vector m.Data, vector m.Model
        let sorted (x: Tensor) = let struct (values, _) = x.sort () in values
        // In one dimension the optimal plan couples the sorted points.
        let exact = value ((sorted data - sorted model).abs().mean())
        let shift = value (data.mean () - model.mean ())
        let unit (critic: Tensor -> Tensor) = value (metric (critic data) (critic model))

        let lipschitz: (Tensor -> Tensor) list = [
            fun x -> x
            fun x -> x.neg ()
            fun x -> x.abs ()
            fun x -> x.sin ()
            fun x -> (x - 1.0).relu()
        ]

        let above = lipschitz |> List.map (fun critic -> excess (unit critic) exact)
        let byHand = abs (unit (fun x -> x) - shift)
        // Where one set lies wholly on one side of the other, a linear critic reaches the distance.
        let onOneSide = List.min m.Data >= List.max m.Model || List.max m.Data <= List.min m.Model
        let reached = unit (fun x -> (if shift >= 0.0 then x else x.neg ()))
        List.max (byHand :: (if onOneSide then abs (reached - exact) else 0.0) :: above)

    {
        Id = "gan/w1"
        Statement =
            "No 1-Lipschitz critic exceeds the Wasserstein distance; a linear one reaches it for a shift."
        Labels = [ "eq:w1-metric" ]
        Function = "wassersteinMetric"
        Instances = [
            "two point masses", { Data = [ 0.0 ]; Model = [ 1.7 ] }
            "the same point", { Data = [ 0.5 ]; Model = [ 0.5 ] }
            "three and three", { Data = [ 3.0; 4.0; 7.0 ]; Model = [ -2.0; 0.0; 2.5 ] }
            "interleaved", { Data = [ 0.0; 2.0 ]; Model = [ 1.0; 1.0 ] }
        ]
        Error = error wassersteinMetric
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "model minus data", error (fun p q -> wassersteinMetric q p)
            "sums for means", error (fun p q -> p.sum () - q.sum ())
            "absolute values", error (fun p q -> p.abs().mean() - q.abs().mean())
        ]
    }

let private critics = [
    "moderate", [ -2.0; -0.1; 0.0; 1.5 ]
    "one", [ 0.7 ]
    "sure", [ -30.0; 40.0 ]
    "overflowing", [ -800.0; 0.0; 800.0 ]
]

let private generatorGradient (exact: Tensor -> Tensor) (loss: Tensor -> Tensor) (critic: float list) =
    let c = vector critic
    distance (grad loss c) (exact c / float critic.Length)

let private minimax =
    let error = generatorGradient (fun c -> c.sigmoid().neg())

    {
        Id = "gan/minimax-gradient"
        Statement = "The minimax loss has the gradient -sigmoid(C)/N."
        Labels = [ "eq:minimax" ]
        Function = "minimaxGeneratorLoss"
        Instances = critics
        Error = error minimaxGeneratorLoss
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "sign", error (fun c -> (minimaxGeneratorLoss c).neg())
            "non-saturating", error nonSaturatingGeneratorLoss
            "through the probability", error (fun c -> (1.0 - c.sigmoid ()).log().mean())
        ]
    }

let private nonSaturating =
    let error = generatorGradient (fun c -> c.neg().sigmoid().neg())

    {
        Id = "gan/nonsaturating-gradient"
        Statement = "The non-saturating loss has the gradient -sigmoid(-C)/N."
        Labels = [ "eq:nonsaturating" ]
        Function = "nonSaturatingGeneratorLoss"
        Instances = critics
        Error = error nonSaturatingGeneratorLoss
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "minimax", error minimaxGeneratorLoss
            "a sum", error (fun c -> nonSaturatingGeneratorLoss c * (1.0 + float (c.numel ())))
            "through the probability", error (fun c -> c.sigmoid().log().mean().neg())
        ]
    }

/// Critics C(x) = a x'Ax/2 + b'x on flattened inputs, whose gradient is known; inputs of a shape.
type Quadratic = { Seed: int; Shape: int64 list; Curvature: float }

let private quadratics = [
    "vectors", { Seed = 1; Shape = [ 6L; 3L ]; Curvature = 1.0 }
    "images", { Seed = 2; Shape = [ 4L; 3L; 2L; 2L ]; Curvature = 0.5 }
    "linear", { Seed = 3; Shape = [ 5L; 4L ]; Curvature = 0.0 }
]

let private size (q: Quadratic) = q.Shape |> List.tail |> List.fold (*) 1L

let private symmetric (q: Quadratic) =
    let d = size q
    let a = gaussian (q.Seed + 1) [ d; d ]
    q.Curvature * 0.5 * (a + a.t ())

/// The critic with its weights in one vector b, so that a penalty can be differentiated in them.
let private critic (q: Quadratic) (b: Tensor) (x: Tensor) =
    let flat = x.flatten 1L
    0.5 * sumLast (flat.matmul (symmetric q) * flat) + flat.matmul b

let private slopes (q: Quadratic) (b: Tensor) (x: Tensor) = x.flatten(1L).matmul(symmetric q) + b

/// The penalty's value by hand, and its gradient in the critic's weights (a double backward) by differences.
let private penaltyError
    (penalty: (Tensor -> Tensor) -> Tensor -> Tensor)
    (byHand: Tensor -> Tensor)
    (q: Quadratic)
    =
    let x = gaussian q.Seed q.Shape
    let b = gaussian (q.Seed + 2) [ size q ]
    let ofWeights b = penalty (critic q b) x
    let double = grad ofWeights b
    let direct = byHand (slopes q b x)
    max (distance ((ofWeights b).detach()) direct) (relativeDistance double (finiteGradient ofWeights b))

let private r1 =
    let error penalty = penaltyError penalty (fun slopes -> (sumLast (slopes.square ())).mean())

    {
        Id = "gan/r1"
        Statement =
            "R1 is the mean squared norm of the critic's slope on data, and differentiates in its weights."
        Labels = [ "eq:r1" ]
        Function = "r1Penalty"
        Instances = quadratics
        Error = error r1Penalty
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "averaged over elements", error (fun c x -> r1Penalty c x / float (x[0].numel()))
            "norm for its square", error (fun c x -> (r1Penalty c x).sqrt())
            "slope of the mean critic", error (fun c x -> r1Penalty (fun x -> c x / float (x.size 0)) x)
        ]
    }

let private gp =
    let ends
        (penalty: (Tensor -> Tensor) -> Tensor -> Tensor -> Tensor -> Tensor)
        (e: float)
        critic
        (x: Tensor)
        =
        // The other end is far away: at eps = 1 it must not matter, at eps = 0 it is all that matters.
        let far = x + 100.0
        let eps = torch.full ([| x.size 0 |], Scalar.op_Implicit e, torch.float64)

        if e = 1.0 then
            penalty critic x far eps
        else
            penalty critic far x eps

    let between (penalty: (Tensor -> Tensor) -> Tensor -> Tensor -> Tensor -> Tensor) critic (x: Tensor) =
        // x is a quarter of the way from one point to another, the same for all.
        penalty
            critic
            (x + 3.0)
            (x - 1.0)
            (torch.full ([| x.size 0 |], Scalar.op_Implicit 0.25, torch.float64))

    let unitSlope penalty (q: Quadratic) =
        let direction = gaussian q.Seed [ size q ]
        let unit = direction / direction.norm ()
        let x = gaussian (q.Seed + 1) q.Shape
        value (between penalty (fun x -> x.flatten(1L).matmul unit) x)

    // A critic may be flat at a point, as networks of rectifiers are: the penalty is 1 there and its gradient finite.
    let flat penalty (q: Quadratic) =
        let x = gaussian (q.Seed + 1) q.Shape
        let ofWeights (b: Tensor) = between penalty (fun x -> x.flatten(1L).matmul b) x
        let b = torch.zeros ([| size q |], torch.float64)
        let slope = elements (grad ofWeights b) |> Array.sumBy abs

        if System.Double.IsFinite slope then
            abs (value (ofWeights b) - 1.0)
        else
            infinity

    let error penalty (q: Quadratic) =
        let byHand (slopes: Tensor) = (sumLast(slopes.square ()).sqrt() - 1.0).square().mean()

        List.max [
            penaltyError (ends penalty 1.0) byHand q
            penaltyError (ends penalty 0.0) byHand q
            penaltyError (between penalty) byHand q
            unitSlope penalty q
            flat penalty q
        ]

    let throughSqrt (critic: Tensor -> Tensor) (data: Tensor) (model: Tensor) (eps: Tensor) =
        let weight = eps.view (Array.append [| -1L |] (Array.create (int data.ndim - 1) 1L))

        let slopes =
            (grad (fun x -> (critic x).sum()) (weight * data + (1.0 - weight) * model)).flatten 1L

        (sumLast(slopes.square ()).sqrt() - 1.0).square().mean()

    {
        Id = "gan/gp"
        Statement =
            "The penalty is zero for unit slope, one and differentiable for a flat critic, and by hand between."
        Labels = [ "eq:gp" ]
        Function = "gradientPenalty"
        Instances = quadratics
        Error = error gradientPenalty
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "squared norm minus 1",
            error (fun c data model eps ->
                let weight = eps.view (Array.append [| -1L |] (Array.create (int data.ndim - 1) 1L))

                let slopes =
                    (grad (fun x -> (c x).sum()) (weight * data + (1.0 - weight) * model)).flatten 1L

                (sumLast (slopes.square ()) - 1.0).square().mean())
            "ends swapped", error (fun c data model eps -> gradientPenalty c model data eps)
            "square root, NaN for a flat critic", error throughSqrt
        ]
    }

[<Tests>]
let tests =
    testList "adversarial" [
        Law.test optimalDiscriminator
        Law.test wasserstein
        Law.test minimax
        Law.test nonSaturating
        Law.test r1
        Law.test gp
    ]
