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

/// A computation on float32 numbers whose rounding to float32 on the way would show.
type private Promotion = { Compute: (Tensor -> Tensor) -> Tensor; Exact: unit -> float }

let private promoted =
    let single (seed: int) (shape: int64 list) = (gaussian seed shape).float()
    let covariance (a: Tensor) = (a.matmul (a.t ())).``to`` a.dtype

    let distanceOf round =
        let s1, s2 = covariance (single 1 [ 5L; 7L ]), covariance (single 2 [ 5L; 7L ])
        let m1, m2 = single 3 [ 5L ], single 4 [ 5L ]
        frechetDistance (round m1) (round s1) (round m2) (round s2)

    let q = { Mu = single 5 [ 30L; 3L ]; LogVar = single 6 [ 30L; 3L ] - 3.0 }
    let eps = single 7 [ 30L; 3L ]

    let information () =
        // The sample is rounded; what follows is exact.
        let z = Plain.rows (q.Mu + (0.5 * q.LogVar).exp() * eps)
        let mu, logVar = Plain.rows q.Mu, Plain.rows q.LogVar
        let own = Array.map3 Plain.diagNormal mu logVar z
        let ofAll z = Array.map2 (fun m l -> Plain.diagNormal m l z) mu logVar
        Array.average (Array.map2 (-) own (z |> Array.map (ofAll >> Plain.logMeanExp)))

    let error (spoil: Tensor -> Tensor) (p: Promotion) = Plain.against [| p.Exact() |] (p.Compute spoil)

    {
        Id = "precision/float64"
        Statement = "What cancels is computed in float64, whatever the type of the inputs."
        Labels = []
        Function = "frechetDistance, elboSurgery, pairwiseLogProb"
        Instances = [
            "distance",
            {
                Compute = distanceOf
                Exact = fun () -> value (distanceOf (fun x -> x.double ()))
            }
            "pairs",
            {
                Compute = fun spoil -> (pairwiseLogProb { q with LogVar = spoil q.LogVar } eps).mean()
                Exact =
                    fun () ->
                        let mu, logVar, z = Plain.rows q.Mu, Plain.rows q.LogVar, Plain.rows eps

                        z
                        |> Array.collect (fun z -> Array.map2 (fun m l -> Plain.diagNormal m l z) mu logVar)
                        |> Array.average
            }
            "information",
            {
                Compute =
                    fun spoil ->
                        let s = elboSurgery { q with LogVar = spoil q.LogVar } logStandardNormal eps
                        scalar s.MutualInformation
                Exact = information
            }
        ]
        Error = error id
        Tolerance = Tolerance.float64Identity
        Mutants = [ "moved by rounding", error (fun x -> x * (1.0 + 2e-7)) ]
    }

/// The largest number below 1 draws a value, though the probabilities' rounded sum may be less.
let private lastValue =
    let error (sample: Categorical -> Tensor -> Tensor) (v: int64) =
        let logits = (3.0 * gaussian 1 [ 200L; v ]).float()

        let u =
            torch.full ([| 200L |], Research.Core.scalar (1.0 - 2.0 ** -24.0), dtype = torch.float32)

        let drawn = sample { Logits = logits } u
        excess (value (drawn.max ())) (float (v - 1L))

    let bySums (p: Categorical) (u: Tensor) =
        let sums = torch.nn.functional.softmax(p.Logits, -1L).cumsum -1L
        sums.le(u.unsqueeze -1L).sum -1L

    {
        Id = "precision/last-value"
        Statement = "In float32 no number below 1 draws beyond a categorical variable's last value."
        Labels = []
        Function = "Categorical.sample"
        Instances = [ "seven values", 7L; "a thousand", 1000L ]
        Error = error Categorical.sample
        Tolerance = Tolerance.float64Identity
        Mutants = [ "compared with the rounded sums", error bySums ]
    }

/// Samples have the noise's type, and neither a gradient nor a minus before their zeros.
let private bits =
    testCase "precision/bits" (fun () ->
        use _ = torch.NewDisposeScope()
        let logits = (gaussian 1 [ 100L ]).requires_grad_ true
        let x = Bernoulli.sample { Logits = logits } ((uniform 2 [ 100L ]).float())
        Expect.equal x.dtype torch.float32 "type"
        Expect.isFalse x.requires_grad "gradient"
        Expect.isFalse ((x.signbit ()).any().ToBoolean()) "sign")

[<Tests>]
let tests =
    testList "precision" [ Law.test single; Law.test promoted; Law.test lastValue; bits ]
