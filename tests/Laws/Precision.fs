/// Training runs in float32: Core computes there what it computes in float64, and stays there.
module Research.Tests.Laws.Precision

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

/// A function of real tensors, and their shapes.
type private Computation = { Of: Tensor[] -> Tensor; Shapes: int64 list list }

let private normal (mu: Tensor) (logVar: Tensor) : DiagNormal = { Mu = mu; LogVar = logVar }

let private autoregressive (x: Tensor[]) (z: Tensor) = z.cumsum -1L - z, x[1] + z.cumsum -1L - z

let private computations: (string * Computation) list = [
    "normal density",
    {
        Of = (fun x -> DiagNormal.logProb (normal x[0] x[1]) x[2])
        Shapes = List.replicate 3 [ 9L; 20L ]
    }
    "normal sample",
    {
        Of = (fun x -> DiagNormal.sample (normal x[0] x[1]) x[2])
        Shapes = List.replicate 3 [ 9L; 20L ]
    }
    "Bernoulli density",
    {
        Of = (fun x -> Bernoulli.logProb { Logits = 10.0 * x[0] } (x[1].sigmoid()))
        Shapes = [ [ 9L; 100L ]; [ 9L; 100L ] ]
    }
    "categorical mean",
    {
        Of = (fun x -> Categorical.mean { Logits = x[0] })
        Shapes = [ [ 9L; 4L; 17L ] ]
    }
    "mixture density",
    {
        Of = (fun x -> Mixture.logProb { Logits = x[0]; Components = normal x[1] x[2] } x[3])
        Shapes = [ [ 5L ]; [ 5L; 8L ]; [ 5L; 8L ]; [ 9L; 8L ] ]
    }
    "divergence",
    {
        Of = (fun x -> klDiagNormal (normal x[0] x[1]) (normal x[2] x[3]))
        Shapes = List.replicate 4 [ 9L; 20L ]
    }
    "divergence from the prior",
    {
        Of = (fun x -> klStandard (normal x[0] x[1]))
        Shapes = List.replicate 2 [ 9L; 20L ]
    }
    "importance-weighted bound",
    {
        Of = (fun x -> importanceWeightedBound (50.0 * x[0]))
        Shapes = [ [ 50L; 9L ] ]
    }
    "planar map",
    {
        Of = (fun x -> snd ((planar x[0] x[1] x[2]).Forward x[3]))
        Shapes = [ [ 9L; 8L ]; [ 9L; 8L ]; [ 9L ]; [ 9L; 8L ] ]
    }
    "inverse autoregressive step",
    {
        Of = (fun x -> snd ((inverseAutoregressive (autoregressive x)).Forward x[0]))
        Shapes = List.replicate 2 [ 9L; 8L ]
    }
    "arcs", { Of = (fun x -> energyArcs (3.0 * x[0])); Shapes = [ [ 50L; 2L ] ] }
    "discrepancy",
    {
        Of = (fun x -> mmdUnbiased (kernelImq 2.0) x[0] x[1])
        Shapes = [ [ 30L; 4L ]; [ 20L; 4L ] ]
    }
    "JSD metric",
    {
        Of = (fun x -> jsdMetric (9.0 * x[0]) (9.0 * x[1]))
        Shapes = [ [ 30L ]; [ 20L ] ]
    }
    "inception score", { Of = (fun x -> inceptionScore (3.0 * x[0])); Shapes = [ [ 30L; 10L ] ] }
    "interpolation", { Of = (fun x -> interpolate 5 x[0] x[1]); Shapes = [ [ 9L ]; [ 9L ] ] }
]

let private single =
    let error (compute: Computation -> Tensor[] -> Tensor) (c: Computation) =
        // float64 sees the rounded inputs too: the inputs' own rounding is not the computation's.
        let inputs =
            c.Shapes |> List.mapi (fun seed shape -> (gaussian seed shape).float()) |> List.toArray

        let result = compute c inputs
        let exact = c.Of(inputs |> Array.map _.double())

        if result.dtype = torch.float32 then
            relativeDistance (result.double ()) exact
        else
            infinity

    let rounded (x: Tensor) = (x * 256.0).round() / 256.0

    {
        Id = "precision/float32"
        Statement = "In float32 Core agrees with float64 to rounding, and no constant promotes the result."
        Labels = []
        Function = "Core in float32"
        Instances = computations
        Error = error _.Of
        Tolerance = Tolerance.float32Identity
        Mutants = [
            "promoted to float64", error (fun c x -> (c.Of x).double())
            "inputs of eight bits", error (fun c x -> c.Of(Array.map rounded x))
        ]
    }

[<Tests>]
let tests = Law.test single
