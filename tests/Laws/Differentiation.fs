/// Derivatives through autograd against central differences, and the two gradient estimators.
module Research.Tests.Laws.Differentiation

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

type private ScalarFunction = Tensor -> Tensor

let private scalarFunctions: (string * (ScalarFunction * Tensor)) list =
    let smooth (x: Tensor) = (x.sin () * x.flip 0L).sum() + (x.square().sum() + 1.0).log()

    [
        "one variable", ((fun x -> x.exp().sum()), vector [ 0.3 ])
        "five variables", (smooth, gaussian 1 [ 5L ])
        "quadratic", ((fun x -> (x.cumsum 0L).square().sum()), gaussian 2 [ 3L ])
        "one variable unused", ((fun x -> x[0].square() * x[1]), gaussian 3 [ 3L ])
        "linear", ((fun x -> 2.0 * x.sum ()), gaussian 4 [ 2L ])
    ]

let private gradient =
    let error (grad: ScalarFunction -> Tensor -> Tensor) (f, x) =
        relativeDistance (grad f x) (finiteGradient f x)

    {
        Id = "differentiation/grad"
        Statement = "grad equals central differences."
        Labels = []
        Function = "grad"
        Instances = scalarFunctions
        Error = error grad
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "sign", error (fun f x -> (grad f x).neg())
            "at the origin", error (fun f x -> grad f (torch.zeros_like x))
        ]
    }

let private hessians =
    let error (hessian: ScalarFunction -> Tensor -> Tensor) (f, x: Tensor) =
        let n = int (x.size 0)
        let step = 2e-4

        let at (i: int) (a: float) (j: int) (b: float) =
            let y = x.detach().clone()
            y[int64 i].add_(Scalar.op_Implicit (a * step)) |> ignore
            y[int64 j].add_(Scalar.op_Implicit (b * step)) |> ignore
            value (f y)

        // Second differences of f itself.
        let second i j =
            (at i 1.0 j 1.0 - at i 1.0 j -1.0 - at i -1.0 j 1.0 + at i -1.0 j -1.0)
            / (4.0 * step * step)

        let direct = [|
            for i in 0 .. n - 1 do
                for j in 0 .. n - 1 -> second i j
        |]

        let computed = hessian f x

        if computed.shape = [| int64 n; int64 n |] then
            Plain.against direct computed
        else
            infinity

    {
        Id = "differentiation/hessian"
        Statement = "hessian equals second differences, zero for a linear function."
        Labels = []
        Function = "hessian"
        Instances = scalarFunctions
        Error = error hessian
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "diagonal only", error (fun f x -> (hessian f x).diagonal().diag())
            "outer product of the gradient",
            error (fun f x ->
                let g = grad f x
                g.outer g)
        ]
    }

let private jacobians =
    let error (jacobian: (Tensor -> Tensor) -> Tensor -> Tensor) (f: Tensor -> Tensor, x: Tensor) =
        let outputs = (f x).size 0
        let row (i: int64) = finiteGradient (fun x -> (f x)[i]) x
        relativeDistance (jacobian f x) (torch.stack [| for i in 0L .. outputs - 1L -> row i |])

    {
        Id = "differentiation/jacobian"
        Statement =
            "jacobian equals central differences, row by output; it is zero where nothing depends on x."
        Labels = []
        Function = "jacobian"
        Instances = [
            "square", ((fun (x: Tensor) -> (x.cumsum 0L).tanh()), gaussian 1 [ 4L ])
            "three by two",
            ((fun (x: Tensor) -> torch.stack [| x[0] * x[1]; x[0].exp(); x[1].sin() |]), gaussian 2 [ 2L ])
            "constant", ((fun (_: Tensor) -> vector [ 1.0; 2.0 ]), gaussian 3 [ 2L ])
        ]
        Error = error jacobian
        Tolerance = Tolerance.finiteDifference
        Mutants = [ "transposed", error (fun f x -> (jacobian f x).t()) ]
    }

let private elementwise =
    let error (diff: (Tensor -> Tensor) -> Tensor -> Tensor) (f: Tensor -> Tensor, exact: Tensor -> Tensor) =
        let x = gaussian 5 [ 3L; 4L ]
        distance (diff f x) (exact x)

    {
        Id = "differentiation/diff"
        Statement = "diff is the derivative at every element, and differentiates again."
        Labels = []
        Function = "diff"
        Instances = [
            "sine", ((fun (x: Tensor) -> x.sin ()), (fun (x: Tensor) -> x.cos ()))
            "second derivative", (diff (fun x -> x.exp () * x), (fun (x: Tensor) -> x.exp () * (x + 2.0)))
        ]
        Error = error diff
        Tolerance = Tolerance.float64Identity
        Mutants = [ "of the mean", error (fun f x -> diff f x / float (x.numel ())) ]
    }

type private Dependence = {
    Gradient: ScalarFunction -> Tensor -> Tensor
    Hessian: ScalarFunction -> Tensor -> Tensor
    Jacobian: (Tensor -> Tensor) -> Tensor -> Tensor
    Derivative: (Tensor -> Tensor) -> Tensor -> Tensor
}

/// A function that does not depend on x, in one of the ways in which autograd sees that.
let private constants =
    let error (d: Dependence) (constant: unit -> Tensor) =
        let x = gaussian 1 [ 3L ]
        let zeros n = Array.create n 0.0
        let value = constant ()

        List.max [
            Plain.against (zeros 3) (d.Gradient (fun _ -> value.sum ()) x)
            Plain.against (zeros 9) (d.Hessian (fun _ -> value.sum ()) x)
            Plain.against (zeros 9) (d.Jacobian (fun _ -> value) x)
            Plain.against (zeros 3) (d.Derivative (fun _ -> value) x)
            // Whatever the caller has switched off.
            (use _ = torch.no_grad ()
             distance (d.Gradient (fun x -> x.square().sum()) x) (2.0 * x))
        ]

    let core = { Gradient = grad; Hessian = hessian; Jacobian = jacobian; Derivative = diff }

    {
        Id = "differentiation/constant"
        Statement =
            "Derivatives of what does not depend on x are zero, and gradients are recorded where the caller records none."
        Labels = []
        Function = "grad, diff, jacobian, hessian"
        Instances = [
            "a number", (fun () -> vector [ 1.0; 2.0; 3.0 ])
            "another variable", (fun () -> (vector [ 1.0; 2.0; 3.0 ]).requires_grad_ true)
            "a function of another variable",
            (fun () -> ((vector [ 1.0; 2.0; 3.0 ]).requires_grad_ true).exp())
        ]
        Error = error core
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "the value for the slope", error { core with Derivative = fun f x -> f x }
            "nothing recorded", error { core with Gradient = fun _ x -> torch.zeros_like x }
        ]
    }

type private Estimand = {
    F: Tensor -> Tensor
    /// d/dtheta E f(x), x ~ N(theta, 1).
    Exact: float -> float
}

let private estimands =
    let square = { F = (fun x -> x.square ()); Exact = fun theta -> 2.0 * theta }

    let cube = {
        F = (fun x -> x * x.square ())
        Exact = fun theta -> 3.0 * theta * theta + 3.0
    }

    let sine = { F = (fun x -> x.sin ()); Exact = fun theta -> exp -0.5 * cos theta }

    [
        for name, estimand in [ "square", square; "cube", cube; "sine", sine ] do
            for theta in [ -1.0; 0.0; 2.0; 10.0 ] -> $"{name} at {theta}", (estimand, theta)
    ]

type private Estimator = (Tensor -> Tensor) -> Tensor -> Tensor -> Tensor

let private sameMean =
    let error (score: Estimator, pathwise: Estimator) (estimand: Estimand, theta: float) =
        let mean (estimator: Estimator) = normalExpectation (estimator estimand.F (scalar theta))
        let exact = estimand.Exact theta
        let deviation = max (abs (mean score - exact)) (abs (mean pathwise - exact))
        deviation / (1.0 + abs exact)

    {
        Id = "gradient/same-mean"
        Statement = "Score and pathwise estimates both have the mean d/dtheta E f(x)."
        Labels = [ "eq:score-gradient"; "eq:pathwise-gradient" ]
        Function = "scoreGradient, pathwiseGradient"
        Instances = estimands
        Error = error (scoreGradient, pathwiseGradient)
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "score of the sample, not its noise",
            error ((fun f theta eps -> f (theta + eps) * (theta + eps)), pathwiseGradient)
            "score with the wrong sign", error ((fun f theta eps -> f (theta - eps) * eps), pathwiseGradient)
            "slope at the mean", error (scoreGradient, (fun f theta eps -> diff f (theta + 0.0 * eps)))
        ]
    }

let private thetas = [ 0.0; 1.0; -3.0; 10.0 ]

/// The variance of the mean of n estimates of the square's gradient, by quadrature.
let private varianceOfMean (estimator: Estimator) (theta: float) (n: int) =
    let estimates eps = estimator (fun x -> x.square ()) (scalar theta) eps
    let mean = normalExpectation estimates
    normalExpectation (fun eps -> (estimates eps - mean).square()) / float n

let private scoreVariance =
    let error (formula: float -> int -> float) (theta: float, n: int) =
        let exact = varianceOfMean scoreGradient theta n
        abs (formula theta n - exact) / exact

    {
        Id = "gradient/score-variance"
        Statement =
            "The score estimate of the square's gradient has the variance (theta^4 + 14 theta^2 + 15)/N."
        Labels = [ "eq:score-variance" ]
        Function = "scoreVarianceOfSquare"
        Instances = [
            for theta in thetas do
                for n in [ 1; 100 ] -> $"theta {theta}, {n} samples", (theta, n)
        ]
        Error = error scoreVarianceOfSquare
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "second moment for the variance",
            error (fun theta n -> scoreVarianceOfSquare theta n + 4.0 * theta * theta / float n)
            "not divided by N", error (fun theta _ -> scoreVarianceOfSquare theta 1)
        ]
    }

let private pathwiseVariance =
    let error (formula: int -> float) (theta: float, n: int) =
        let exact = varianceOfMean pathwiseGradient theta n
        abs (formula n - exact) / exact

    {
        Id = "gradient/pathwise-variance"
        Statement = "The pathwise estimate of the square's gradient has the variance 4/N whatever theta is."
        Labels = [ "eq:pathwise-variance" ]
        Function = "pathwiseVarianceOfSquare"
        Instances = [
            for theta in thetas do
                for n in [ 1; 100 ] -> $"theta {theta}, {n} samples", (theta, n)
        ]
        Error = error pathwiseVarianceOfSquare
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "standard deviation", error (fun n -> sqrt (pathwiseVarianceOfSquare n))
            "not divided by N", error (fun _ -> pathwiseVarianceOfSquare 1)
        ]
    }

[<Tests>]
let tests =
    testList "differentiation" [
        Law.test gradient
        Law.test hessians
        Law.test jacobians
        Law.test elementwise
        Law.test constants
        Law.test sameMean
        Law.test scoreVariance
        Law.test pathwiseVariance
    ]
