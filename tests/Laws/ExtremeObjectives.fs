/// Extreme inputs of objectives, of adversarial functions and of diagnostics; and that no function of Core is left out.
module Research.Tests.Laws.ExtremeObjectives

open System
open System.Reflection
open Expecto
open TorchSharp
open Research.Core
open Research.Tests.Laws.Extremes

/// Two examples with one latent, whose posteriors have these log-variances.
let private model (v: Make) (logVars: float list) : LatentModel = {
    Encode =
        fun _ ->
            let logVar = matrix v [ for l in logVars -> [ l ] ]
            { Base = normal (torch.zeros_like logVar) logVar; Flow = None }
    LogLikelihood = fun x z -> -(sumLast (0.0 * z) + x)
    Prior = Prior.standard
}

let private x (v: Make) = v [ 1.0; 3.0 ]
let private noise (v: Make) = matrix v [ [ 0.0 ]; [ 0.0 ] ]

let private lossOf (objective: Objective) (v: Make) (logVars: float list) (eps: Tensor) =
    total (objective (model v logVars) (x v) eps)

/// No example at all.
let private lossOfNone (objective: Objective) (v: Make) (leading: int64 list) =
    let none: LatentModel = {
        Encode = fun _ -> { Base = normal (empty v [ 0L; 1L ]) (empty v [ 0L; 1L ]); Flow = None }
        LogLikelihood = fun _ z -> sumLast z
        Prior = Prior.standard
    }

    total (objective none (v []) (empty v (leading @ [ 0L; 1L ])))

/// The same model with a flow behind its posterior.
let private flowing (v: Make) : LatentModel =
    let plain = model v [ 0.0; 0.0 ]

    {
        plain with
            Encode = fun x -> { plain.Encode x with Flow = Some Transform.identity }
    }

let private sum (x: Tensor) (y: Tensor) : Tensor = x.sum () + y.sum ()

let private objectives = [
    is "Posterior.sample" "no variance" [ 3.0 ] (fun v ->
        fst (Posterior.sample { Base = normal (v [ 3.0 ]) (v [ -infinity ]); Flow = None } (v [ 1.0 ])))
    raises "Posterior.sample" "one number for two latents" "eps" (fun v ->
        Posterior.sample { Base = normal (v [ 3.0; 4.0 ]) (v [ 0.0; 0.0 ]); Flow = None } (v [ 1.0 ]))
    is "klFromPrior" "the prior itself" [ 0.0 ] (fun v ->
        let q = { Base = normal (v [ 0.0 ]) (v [ 0.0 ]); Flow = None }
        klFromPrior Prior.standard q (v [ 7.0 ]) (scalar v nan) (lazy scalar v nan))
    is "blockwise" "a last block of one" [ 3.0; 3.0; 1.0 ] (fun v ->
        v [ for rows in blockwise 3L 7L (fun _ _ rows -> rows) -> float rows ])
    is "blockwise" "no rows" [ 0.0 ] (fun v -> v [ float (blockwise 3L 0L (fun _ _ rows -> rows)).Length ])
    is "scalar" "infinite" [ infinity ] (fun v -> (v [ 1.0 ]).mul(Research.Core.scalar infinity))
    is "total" "infinite terms" [ infinity ] (fun v -> total [ "a", scalar v infinity; "b", scalar v 1.0 ])
    raises "total" "no term" "terms" (fun _ -> total [])
    // At beta = 0 the divergence counts nothing, though it overflows.
    isInSingle "betaElbo" "0 times what overflows" [ 2.0 ] (fun v ->
        lossOf (betaElbo 0.0) v [ 170.0; 0.0 ] (noise v))
    isInDouble "betaElbo" "0 times what overflows float64" [ 2.0 ] (fun v ->
        lossOf (betaElbo 0.0) v [ 1000.0; 0.0 ] (noise v))
    isInDouble "betaElbo" "an overflowing divergence" [ infinity ] (fun v ->
        lossOf (betaElbo 0.1) v [ 1000.0; 0.0 ] (noise v))
    raises "betaElbo" "no example" "x" (fun v -> lossOfNone (betaElbo 2.0) v [])
    is "elbo" "a narrow posterior" [ 2.0 + 0.25 * (169.0 + exp -170.0) ] (fun v ->
        lossOf elbo v [ -170.0; 0.0 ] (noise v))
    is "elbo" "not a number" [ nan ] (fun v -> lossOf elbo v [ nan; 0.0 ] (noise v))
    raises "elbo" "no example" "x" (fun v -> lossOfNone elbo v [])
    is "flowFreeEnergy" "one example of density 0" [ infinity ] (fun v ->
        flowFreeEnergy (v [ 1.0 ]) (v [ 2.0 ]) (v [ -infinity ]))
    raises "flowFreeEnergy" "no example" "logQ0" (fun v -> flowFreeEnergy (v []) (v []) (v []))
    raises "flowFreeEnergy" "one log-determinant for two examples" "logDet" (fun v ->
        flowFreeEnergy (v [ 1.0; 2.0 ]) (v [ 1.0 ]) (v [ 1.0; 2.0 ]))
    raises "flowFreeEnergy" "one density for two examples" "logJoint" (fun v ->
        flowFreeEnergy (v [ 1.0; 2.0 ]) (v [ 1.0; 2.0 ]) (v [ 1.0 ]))
    is "importanceWeighted" "one sample, narrow" [ 2.0 + 0.25 * 100.0 ] (fun v ->
        lossOf importanceWeighted v [ -100.0; 0.0 ] ((noise v).unsqueeze 0L))
    raises "importanceWeighted" "noise without samples" "eps" (fun v ->
        lossOf importanceWeighted v [ 0.0; 0.0 ] (noise v))
    raises "importanceWeighted" "no sample" "eps" (fun v ->
        lossOf importanceWeighted v [ 0.0; 0.0 ] (empty v [ 0L; 2L; 1L ]))
    raises "importanceWeighted" "no example" "x" (fun v -> lossOfNone importanceWeighted v [ 3L ])
    is "stickTheLanding" "narrow" [ 2.0 + 0.25 * 100.0 ] (fun v ->
        lossOf stickTheLanding v [ -100.0; 0.0 ] (noise v))
    raises "stickTheLanding" "a flow" "model" (fun v -> stickTheLanding (flowing v) (x v) (noise v))
    raises "stickTheLanding" "no example" "x" (fun v -> lossOfNone stickTheLanding v [])
    is "doublyReparameterised" "one sample, narrow" [ 2.0 + 0.25 * 100.0 ] (fun v ->
        lossOf doublyReparameterised v [ -100.0; 0.0 ] ((noise v).unsqueeze 0L))
    raises "doublyReparameterised" "noise without samples" "eps" (fun v ->
        lossOf doublyReparameterised v [ 0.0; 0.0 ] (noise v))
    raises "doublyReparameterised" "no sample" "eps" (fun v ->
        lossOf doublyReparameterised v [ 0.0; 0.0 ] (empty v [ 0L; 2L; 1L ]))
    raises "doublyReparameterised" "a flow" "model" (fun v ->
        doublyReparameterised (flowing v) (x v) ((noise v).unsqueeze 0L))
    raises "doublyReparameterised" "no example" "x" (fun v -> lossOfNone doublyReparameterised v [ 3L ])
    // 3 log-means of three weights less twice those of two: 3 (c - log 3) - 2/3 (c + c + 0) + 4/3 log 2 + 2/3 log 2.
    is
        "jackknifeEvidence"
        "one weight above all"
        [ 3.0 * (1e4 - log 3.0) - 2.0 / 3.0 * 2e4 + 4.0 / 3.0 * log 2.0 ]
        (fun v -> jackknifeEvidence (matrix v [ [ 1e4 ]; [ 0.0 ]; [ 0.0 ] ]))
    raises "jackknifeEvidence" "one weight" "logWeights" (fun v -> jackknifeEvidence (matrix v [ [ 1.0 ] ]))
    is "freeBits" "all free" [ 2.0 + 1e6 ] (fun v -> lossOf (freeBits 1e6) v [ -100.0; 0.0 ] (noise v))
    is "freeBits" "none free, narrow" [ 2.0 + 0.25 * (169.0 + exp -170.0) ] (fun v ->
        lossOf (freeBits 0.0) v [ -170.0; 0.0 ] (noise v))
    is "freeBits" "not a number" [ nan ] (fun v -> lossOf (freeBits 0.5) v [ nan; 0.0 ] (noise v))
    // Half of the four examples, in two rows, have a divergence of 49.5.
    is "freeBits" "a batch of two dimensions" [ 24.75 ] (fun v ->
        let logVar = (matrix v [ [ 0.0; -100.0 ]; [ -100.0; 0.0 ] ]).unsqueeze -1L

        let grid: LatentModel = {
            Encode = fun _ -> { Base = normal (torch.zeros_like logVar) logVar; Flow = None }
            LogLikelihood = fun _ z -> 0.0 * sumLast z
            Prior = Prior.standard
        }

        total (freeBits 1.0 grid (x v) (torch.zeros_like logVar)))
    raises "freeBits" "a debt" "lambda" (fun _ -> freeBits -1.0)
    raises "freeBits" "a flow" "model" (fun v -> freeBits 1.0 (flowing v) (x v) (noise v))
    raises "freeBits" "a prior without closed form" "model" (fun v ->
        let m = model v [ 0.0; 0.0 ]
        freeBits 1.0 { m with Prior = { m.Prior with KlFrom = None } } (x v) (noise v))
    raises "freeBits" "no example" "x" (fun v -> lossOfNone (freeBits 1.0) v [])
    is "logEvidence" "a narrow posterior" [ -1.0 - 50.0; -3.0 ] (fun v ->
        logEvidence (model v [ -100.0; 0.0 ]) (x v) ((noise v).unsqueeze 0L))
    raises "logEvidence" "noise without samples" "eps" (fun v ->
        logEvidence (model v [ 0.0; 0.0 ]) (x v) (noise v))
    raises "logEvidence" "no sample" "eps" (fun v ->
        logEvidence (model v [ 0.0; 0.0 ]) (x v) (empty v [ 0L; 2L; 1L ]))
    is "m2Labelled" "an impossible label" [ infinity ] (fun v ->
        m2Labelled (v [ 1.0 ]) (v [ -infinity ]) (v [ 1.0 ]))
    raises "m2Labelled" "one prior for two" "logPriorLabel" (fun v ->
        m2Labelled (v [ 1.0; 2.0 ]) (v [ 1.0 ]) (v [ 1.0; 2.0 ]))
    raises "m2Labelled" "one divergence for two" "kl" (fun v ->
        m2Labelled (v [ 1.0; 2.0 ]) (v [ 1.0; 2.0 ]) (v [ 1.0 ]))
    is "m2Unlabelled" "labels of probability 0, one of infinite cost" [ 5.0; 5.0; infinity ] (fun v ->
        m2Unlabelled
            (matrix v [ [ 0.0; -infinity ]; [ 0.0; -infinity ]; [ log 0.5; log 0.5 ] ])
            (matrix v [ [ 5.0; 7.0 ]; [ 5.0; infinity ]; [ 5.0; infinity ] ]))
    is "m2Unlabelled" "the slope at probability nearly 0" [ 1.0; exp -200.0 ] (fun v ->
        grad (fun l -> (m2Unlabelled (matrix v [ [ 0.0; -200.0 ] ]) (l.unsqueeze 0L)).sum()) (v [ 5.0; 7.0 ]))
    raises "m2Unlabelled" "one cost for two labels" "labelled" (fun v ->
        m2Unlabelled (matrix v [ [ 0.0; 0.0 ] ]) (matrix v [ [ 1.0 ] ]))
]

/// The path of two examples with one latent, from N(0,1) to the model's joint density.
let private annealed (v: Make) = AnnealingPath.ofModel (model v [ 0.0; 0.0 ]) (x v)

let private still (v: Make) (_: int) = matrix v [ [ 0.0 ]; [ 0.0 ] ], v [ 0.0; 0.0 ]

let private annealing = [
    is "eubo" "a sample that the encoder excludes" [ infinity ] (fun v ->
        eubo (matrix v [ [ 1.0 ]; [ 1.0 ] ]) (matrix v [ [ -infinity ]; [ 1.0 ] ]))
    raises "eubo" "no sample" "logJoint" (fun v -> eubo (empty v [ 0L; 2L ]) (empty v [ 0L; 2L ]))
    raises "eubo" "one density for two samples" "logQ" (fun v ->
        eubo (matrix v [ [ 1.0 ]; [ 2.0 ] ]) (matrix v [ [ 1.0 ] ]))
    is
        "AnnealingPath.ofModel"
        "the model's joint density"
        [ -1.0 - 0.5 * log2Pi; -3.0 - 0.5 * log2Pi ]
        (fun v -> (annealed v).LogJoint(noise v))
    raises "AnnealingPath.ofModel" "a flow" "model" (fun v -> AnnealingPath.ofModel (flowing v) (x v))
    // What has no weight counts nothing, though it is infinite.
    is "AnnealingPath.logDensity" "at both ends" [ -0.5 * log2Pi; 7.0 ] (fun v ->
        let of' (joint: float) = {
            Base = normal (v [ 0.0 ]) (v [ 0.0 ])
            LogJoint = fun z -> 0.0 * sumLast z + joint
        }

        let apart = { (of' 7.0) with Base = normal (v [ infinity ]) (v [ 0.0 ]) }

        torch.stack [|
            AnnealingPath.logDensity (of' -infinity) 0.0 (v [ 0.0 ])
            AnnealingPath.logDensity apart 1.0 (v [ 0.0 ])
        |])
    is "leapfrog" "no slope" [ 7.0; 2.0 ] (fun v ->
        torch.cat (
            let z, p =
                leapfrog (fun z -> torch.ones_like (z.sum -1L)) (v [ 0.5 ]) 6 (v [ 1.0 ]) (v [ 2.0 ])

            [| z; p |]
        ))
    raises "leapfrog" "no steps" "leapfrogs" (fun v ->
        leapfrog logStandardNormal (v [ 0.1 ]) 0 (v [ 1.0 ]) (v [ 1.0 ]))
    raises "leapfrog" "one momentum for two latents" "momentum" (fun v ->
        leapfrog logStandardNormal (v [ 0.1 ]) 1 (v [ 1.0; 2.0 ]) (v [ 1.0 ]))
    raises "leapfrog" "one density for two rows" "logDensity" (fun v ->
        leapfrog (fun z -> z.sum ()) (v [ 0.1 ]) 1 (noise v) (noise v))
    // A step out of the numbers' range is not taken; a chain that is nowhere stays there.
    is "hamiltonianStep" "into infinity, and from what is no number" [ 1.0; 0.0; nan; 0.0 ] (fun v ->
        let at (z: float) =
            let z, acceptance =
                hamiltonianStep logStandardNormal (v [ 1e30 ]) 9 (v [ 1.0 ]) (scalar v 0.0) (v [ z ])

            [| z; acceptance.unsqueeze 0L |]

        torch.cat (Array.append (at 1.0) (at nan)))
    raises "hamiltonianStep" "no steps" "leapfrogs" (fun v ->
        hamiltonianStep logStandardNormal (v [ 0.1 ]) 0 (v [ 1.0 ]) (scalar v 0.0) (v [ 1.0 ]))
    raises "hamiltonianStep" "one momentum for two latents" "momentum" (fun v ->
        hamiltonianStep logStandardNormal (v [ 0.1 ]) 1 (v [ 1.0 ]) (scalar v 0.0) (v [ 1.0; 2.0 ]))
    raises "hamiltonianStep" "two decisions for one row" "u" (fun v ->
        hamiltonianStep logStandardNormal (v [ 0.1 ]) 1 (v [ 1.0 ]) (v [ 0.0; 0.0 ]) (v [ 1.0 ]))
    is "annealedLogWeights" "an impossible example" [ -infinity ] (fun v ->
        let path = {
            Base = normal (v [ 0.0 ]) (v [ 0.0 ])
            LogJoint = fun z -> 0.0 * sumLast z - infinity
        }

        annealedLogWeights path [| 0.0; 0.5; 1.0 |] (fun _ _ z -> z) (v [ 0.0 ]))
    raises "annealedLogWeights" "one rung" "ladder" (fun v ->
        annealedLogWeights (annealed v) [| 1.0 |] (fun _ _ z -> z) (noise v))
    is "hamiltonianMoves" "at rest where there is no slope" [ 0.0; 0.0 ] (fun v ->
        hamiltonianMoves (annealed v) (matrix v [ [ 1.0; 1.0 ] ]) 1 (still v) 1 logStandardNormal (noise v))
    is "adaptedSizes" "everything accepted" [ 0.5; 0.5; 0.5 * exp 0.175; 0.5 * exp 0.175 ] (fun v ->
        adaptedSizes
            (annealed v)
            [| 0.0; 0.3; 0.7; 1.0 |]
            1
            (fun rung -> (let p, u = still v rung in p.unsqueeze 0L, u.unsqueeze 0L))
            ((noise v).unsqueeze 0L))
    raises "adaptedSizes" "no rung between" "ladder" (fun v ->
        adaptedSizes (annealed v) [| 0.0; 1.0 |] 1 (still v) (noise v))
    is "evidenceBounds" "no chain arrives" [ -infinity; infinity ] (fun v ->
        let none = matrix v [ [ -infinity ]; [ -infinity ] ]
        let lower, upper = evidenceBounds none none
        torch.cat [| lower; upper |])
    raises "evidenceBounds" "no chain up" "up" (fun v ->
        evidenceBounds (empty v [ 0L; 1L ]) (matrix v [ [ 1.0 ] ]))
    raises "evidenceBounds" "no chain down" "down" (fun v ->
        evidenceBounds (matrix v [ [ 1.0 ] ]) (empty v [ 0L; 1L ]))
]

let private infoVaes = [
    is "kernelRbf" "distance 0, infinite, not a number" [ 1.0; 0.0; nan ] (fun v ->
        kernelRbf 1e-3 (v [ 0.0; infinity; nan ]))
    is "kernelImq" "distance 0, infinite, huge" [ 1.0; 0.0; 1e-30 ] (fun v ->
        kernelImq 1.0 (v [ 0.0; infinity; 1e30 ]))
    for bad in [ 0.0; -1.0; nan; infinity ] do
        raises "kernelRbf" $"a squared length of {bad}" "h" (fun _ -> kernelRbf bad)
        raises "kernelImq" $"a squared length of {bad}" "c" (fun _ -> kernelImq bad)
    // Points at 0, 1 and 0, 2 but for a shift: (k(1) + k(4) - (1 + k(4) + k(1) + k(1))/2 for the kernel 1/(1 + d^2).
    for shift in [ 0.0; 1e4; -1e6 ] do
        is "mmdUnbiased" $"points around {shift}" [ 0.5 + 0.2 - (1.0 + 0.2 + 0.5 + 0.5) / 2.0 ] (fun v ->
            mmdUnbiased
                (kernelImq 1.0)
                (matrix v [ [ shift ]; [ shift + 1.0 ] ])
                (matrix v [ [ shift ]; [ shift + 2.0 ] ]))
    isInDouble
        "mmdUnbiased"
        "points that no sum of them is near"
        [
            (let k d = 1.0 / (1.0 + d * d)
             let x, y = [ 1e6 + 0.1; 1e6 + 0.7 ], [ 1e6 + 0.4; 1e6 + 1.9 ]

             let between =
                 List.averageBy k [
                     for a in x do
                         for b in y -> a - b
                 ]

             k (x[0] - x[1]) + k (y[0] - y[1]) - 2.0 * between)
        ]
        (fun v ->
            mmdUnbiased
                (kernelImq 1.0)
                (matrix v [ [ 1e6 + 0.1 ]; [ 1e6 + 0.7 ] ])
                (matrix v [ [ 1e6 + 0.4 ]; [ 1e6 + 1.9 ] ]))
    // Equal points are at distance 0 or at what rounding leaves, of which a kernel may take the root.
    isWithin 1e-6 "mmdUnbiased" "a kernel of the distance, equal points" [ 0.0 ] (fun v ->
        let points = (v [ for i in 1..140 -> sin (float (i * i)) ]).reshape [| 20L; 7L |]
        let twice = torch.cat [| points; points |]
        let energy (d2: Tensor) = d2.sqrt().neg()
        // Of 40 points, 20 twice, a sample has 1560 ordered pairs, the pair of samples 1600.
        let mean = (torch.cdist (points.double (), points.double ())).mean()
        (mmdUnbiased energy twice twice).double() + 2.0 * mean * (1600.0 / 1560.0 - 1.0))
    // Two pairs of near points a million apart: only the near ones feel each other.
    isWithin 1e-3 "mmdUnbiased" "points far from each other" [ 0.0 ] (fun v ->
        let points = matrix v [ [ 0.0 ]; [ 1e6 ] ]
        mmdUnbiased (kernelRbf 1.0) points points + 1.0)
    raises "mmdUnbiased" "one point of x" "x" (fun v ->
        mmdUnbiased (kernelRbf 1.0) (matrix v [ [ 0.0 ] ]) (matrix v [ [ 0.0 ]; [ 1.0 ] ]))
    raises "mmdUnbiased" "one point of y" "y" (fun v ->
        mmdUnbiased (kernelRbf 1.0) (matrix v [ [ 0.0 ]; [ 1.0 ] ]) (matrix v [ [ 0.0 ] ]))
    is "infoVaeForms" "one x and one z" [ 0.0; 0.0 ] (fun v ->
        let one = matrix v [ [ 1.0 ] ]
        let a, b = infoVaeForms 0.5 2.0 (v [ 1.0 ]) one one (v [ 1.0 ])
        torch.stack [| a; b |])
    // z tells x: information log 2, no marginal divergence, a likelihood that is right.
    isWithin 1e-7 "infoVaeForms" "probabilities of 0" [ 0.5 * log 2.0; 0.5 * log 2.0 ] (fun v ->
        let identity = matrix v [ [ 1.0; 0.0 ]; [ 0.0; 1.0 ] ]
        let half = v [ 0.5; 0.5 ]
        let a, b = infoVaeForms 0.5 2.0 half identity identity half
        torch.stack [| a; b |])
    is "infoVaeForms" "weight 0 of what is infinite" [ log 2.0 ] (fun v ->
        let identity = matrix v [ [ 1.0; 0.0 ]; [ 0.0; 1.0 ] ]
        fst (infoVaeForms 1.0 0.0 (v [ 0.5; 0.5 ]) identity identity (v [ 1.0; 0.0 ])))
    // One x, whose posterior is one of two z: nothing is told and the likelihood is right.
    is "infoVaeForms" "a z that is never drawn" [ 2.0 * log 0.5; 2.0 * log 0.5 ] (fun v ->
        let a, b =
            infoVaeForms
                0.5
                2.0
                (v [ 1.0 ])
                (matrix v [ [ 1.0; 0.0 ] ])
                (matrix v [ [ 1.0; 1.0 ] ])
                (v [ 0.5; 0.5 ])

        torch.stack [| a; b |])
    for name, d, l, p in [ "pData", 1, 2, 2; "likelihood", 2, 1, 2; "prior", 2, 2, 1 ] do
        raises "infoVaeForms" $"{name} of another size" name (fun v ->
            let half = matrix v [ [ 0.5; 0.5 ]; [ 0.5; 0.5 ] ]
            let vector n = v [ for _ in 1..n -> 0.5 ]
            infoVaeForms 1.0 1.0 (vector d) half (half.narrow (1L, 0L, int64 l)) (vector p))
    is "infoVae" "0 times what overflows" [ 2.0 ] (fun v ->
        lossOf (infoVae 1.0 1.0 sum) v [ 170.0; 0.0 ] (torch.zeros ([| 3L; 2L; 1L |], (x v).dtype)))
    is "infoVae" "0 times an infinite divergence" [ 2.0 ] (fun v ->
        lossOf
            (infoVae 1.0 0.0 (fun x y -> sum x y / 0.0))
            v
            [ 0.0; 0.0 ]
            (torch.ones ([| 3L; 2L; 1L |], (x v).dtype)))
    // The chosen component at the ends of a normal number's range.
    is "infoVae" "the prior's first and last component" [ 2.0 + 7.0 + 9.0 ] (fun v ->
        let components = matrix v [ [ 7.0 ]; [ 9.0 ] ]
        let prior = Prior.mixtureOfGaussians (v [ 0.0; 0.0 ]) components (torch.zeros_like components)
        let eps = torch.stack [| noise v; noise v; matrix v [ [ -40.0 ]; [ 8.0 ] ] |]
        total (infoVae 1.0 1.0 sum { model v [ 0.0; 0.0 ] with Prior = prior } (x v) eps))
    // The first coordinate of two chooses the component, the second does not.
    is "infoVae" "the first coordinate chooses" [ 9.0 ] (fun v ->
        let components = matrix v [ [ 7.0; 0.0 ]; [ 9.0; 0.0 ] ]
        let prior = Prior.mixtureOfGaussians (v [ 0.0; 0.0 ]) components (torch.zeros_like components)
        let point = normal (matrix v [ [ 0.0; 0.0 ] ]) (matrix v [ [ 0.0; 0.0 ] ])

        let model: LatentModel = {
            Encode = fun _ -> { Base = point; Flow = None }
            LogLikelihood = fun _ z -> 0.0 * sumLast z
            Prior = prior
        }

        let eps = (matrix v [ [ 0.0; 0.0 ]; [ 0.0; 0.0 ]; [ 8.0; -8.0 ] ]).unsqueeze 1L
        total (infoVae 1.0 1.0 sum model (v [ 1.0 ]) eps))
    // Weights that are 0 make no term: 1 - alpha, and alpha + lambda - 1.
    is "infoVae" "which terms there are" [ 3.0; 2.0; 2.0 ] (fun v ->
        let eps = torch.zeros ([| 3L; 2L; 1L |], (x v).dtype)

        v [
            for alpha, lambda in [ 1.5, 0.5; 0.5, 0.5; 1.0, 2.0 ] ->
                float (infoVae alpha lambda sum (model v [ 0.0; 0.0 ]) (x v) eps).Length
        ])
    raises "infoVae" "noise without examples" "eps" (fun v ->
        lossOf (infoVae 0.0 1.0 sum) v [ 0.0; 0.0 ] (torch.zeros ([| 3L; 1L |], (x v).dtype)))
    raises "infoVae" "noise for the posterior and the prior alone" "eps" (fun v ->
        lossOf (infoVae 0.0 1.0 sum) v [ 0.0; 0.0 ] (torch.zeros ([| 2L; 2L; 1L |], (x v).dtype)))
    raises "infoVae" "no example" "x" (fun v -> lossOfNone (infoVae 0.0 1.0 sum) v [ 3L ])
    is "densityRatioLoss" "certain" [ 0.0; infinity; 1600.0 ] (fun v ->
        torch.stack [|
            densityRatioLoss (v [ infinity ]) (v [ -infinity ])
            densityRatioLoss (v [ -infinity ]) (v [ 0.0 ])
            densityRatioLoss (v [ -800.0 ]) (v [ 800.0 ])
        |])
    raises "densityRatioLoss" "no sample of q" "logitsQ" (fun v -> densityRatioLoss (v []) (v [ 1.0 ]))
    raises "densityRatioLoss" "no sample of p" "logitsP" (fun v -> densityRatioLoss (v [ 1.0 ]) (v []))
]

/// A critic without slope.
let private flat (x: Tensor) : Tensor = torch.ones ([| x.size 0 |], x.dtype)

let private games = [
    is "jsdMetric" "certain, and certainly wrong" [ log 2.0; -infinity; log 2.0 - 800.0 ] (fun v ->
        torch.stack [|
            jsdMetric (v [ infinity ]) (v [ -infinity ])
            jsdMetric (v [ -infinity ]) (v [ 0.0 ])
            jsdMetric (v [ -800.0 ]) (v [ 800.0 ])
        |])
    raises "jsdMetric" "no data" "criticOnData" (fun v -> jsdMetric (v []) (v [ 1.0 ]))
    raises "jsdMetric" "no sample of the model" "criticOnModel" (fun v -> jsdMetric (v [ 1.0 ]) (v []))
    is "wassersteinMetric" "infinite" [ infinity ] (fun v ->
        wassersteinMetric (v [ infinity ]) (v [ 1.0; 2.0 ]))
    raises "wassersteinMetric" "no data" "criticOnData" (fun v -> wassersteinMetric (v []) (v [ 1.0 ]))
    raises "wassersteinMetric" "no sample of the model" "criticOnModel" (fun v ->
        wassersteinMetric (v [ 1.0 ]) (v []))
    is "minimaxGeneratorLoss" "certain" [ -800.0; 0.0; -infinity ] (fun v ->
        torch.stack [|
            minimaxGeneratorLoss (v [ 800.0 ])
            minimaxGeneratorLoss (v [ -800.0 ])
            minimaxGeneratorLoss (v [ infinity ])
        |])
    raises "minimaxGeneratorLoss" "no sample" "criticOnModel" (fun v -> minimaxGeneratorLoss (v []))
    is "nonSaturatingGeneratorLoss" "certain" [ 0.0; 800.0; infinity ] (fun v ->
        torch.stack [|
            nonSaturatingGeneratorLoss (v [ 800.0 ])
            nonSaturatingGeneratorLoss (v [ -800.0 ])
            nonSaturatingGeneratorLoss (v [ -infinity ])
        |])
    raises "nonSaturatingGeneratorLoss" "no sample" "criticOnModel" (fun v ->
        nonSaturatingGeneratorLoss (v []))
    is "r1Penalty" "a critic without slope" [ 0.0 ] (fun v -> r1Penalty flat (matrix v [ [ 1.0; 2.0 ] ]))
    is "r1Penalty" "steep, of numbers" [ 1e30; infinity ] (fun v ->
        torch.stack [|
            r1Penalty (fun x -> 1e15 * x) (v [ 1.0; 2.0 ])
            r1Penalty (fun x -> 1e200 * x) (v [ 1.0 ])
        |])
    raises "r1Penalty" "no example" "x" (fun v -> r1Penalty sumLast (empty v [ 0L; 2L ]))
    raises "r1Penalty" "a mean for each example's value" "critic" (fun v ->
        r1Penalty (fun x -> x.mean ()) (matrix v [ [ 1.0 ]; [ 2.0 ] ]))
    is "gradientPenalty" "a critic without slope" [ 1.0 ] (fun v ->
        gradientPenalty flat (matrix v [ [ 1.0 ] ]) (matrix v [ [ 2.0 ] ]) (v [ 0.5 ]))
    raises "gradientPenalty" "one eps for two examples" "eps" (fun v ->
        gradientPenalty sumLast (matrix v [ [ 1.0 ]; [ 2.0 ] ]) (matrix v [ [ 1.0 ]; [ 2.0 ] ]) (v [ 0.5 ]))
    raises "gradientPenalty" "one sample for two" "model" (fun v ->
        gradientPenalty sumLast (matrix v [ [ 1.0 ]; [ 2.0 ] ]) (matrix v [ [ 1.0 ] ]) (v [ 0.5; 0.5 ]))
    raises "gradientPenalty" "a mean for each example's value" "critic" (fun v ->
        let two = matrix v [ [ 1.0 ]; [ 2.0 ] ]
        gradientPenalty (fun x -> x.mean ()) two two (v [ 0.5; 0.5 ]))
    raises "gradientPenalty" "no example" "x" (fun v ->
        (let none = empty v [ 0L; 1L ] in gradientPenalty sumLast none none (v [])))
    is "diracStep" "two states at once" [ 1.2; 1.9; 0.0; 2.9; -1.3; 5.0 ] (fun v ->
        diracStep W1 NoPenalty Simultaneous 0.1 (matrix v [ [ 1.0; 2.0; 0.0 ]; [ 3.0; -1.0; 5.0 ] ]))
    // The discriminator is sure: no slope but the penalty's, which is 0 at psi0 = 0.
    is "diracStep" "a sure critic" [ 1.0; 0.0; -800.05; 1.0; 0.0; 800.0 - 0.05; 2.0; -0.1; 0.0 ] (fun v ->
        torch.stack [|
            diracStep Jsd (Gp 1.0) Alternating 0.1 (v [ 1.0; 0.0; -800.1 ])
            diracStep Jsd (R1 1.0) Simultaneous 0.1 (v [ 1.0; 0.0; 800.0 ]) + v [ 0.0; 0.05; 0.0 ]
            diracStep W1 NoPenalty Simultaneous 0.05 (v [ 2.0; 0.0; 0.0 ])
        |])
    raises "diracStep" "two numbers" "state" (fun v ->
        diracStep W1 NoPenalty Simultaneous 0.1 (v [ 1.0; 2.0 ]))
    raises "diracStep" "four numbers" "state" (fun v ->
        diracStep W1 NoPenalty Simultaneous 0.1 (v [ 1.0; 2.0; 3.0; 4.0 ]))
    is "spectralNorm" "of nothing: the direction stays" [ 0.0; 0.6; 0.8; 0.0 ] (fun v ->
        let sigma, u, w = spectralNorm (matrix v [ [ 0.0 ]; [ 0.0 ] ]) (v [ 0.6; 0.8 ])
        torch.cat [| sigma.unsqueeze 0L; u; w |])
    is "spectralNorm" "tiny and huge" [ 5e-30; 0.6; 5e15; 0.6 ] (fun v ->
        let norm (scale: float) =
            let sigma, u, _ = spectralNorm (scale * matrix v [ [ 3.0 ]; [ 4.0 ] ]) (v [ 1.0; 0.0 ])
            [| sigma; u[0] |]

        torch.stack (Array.append (norm 1e-30) (norm 1e15)))
]

/// A covariance of rank one in so many dimensions, scaled.
let private thin (v: Make) (n: int) (scale: float) =
    let a = v [ for i in 1..n -> scale * float i ]
    a.outer a

let private diagonal (v: Make) (a: float) (b: float) = matrix v [ [ a; 0.0 ]; [ 0.0; b ] ]

let private scores = [
    // |a - 2a|^2 = |a|^2 for two covariances along one direction.
    isWithin 1e-9 "frechetDistance" "singular: one set, and another along it" [ 0.0; 9455.0 ] (fun v ->
        let mean = v [ for _ in 1..30 -> 0.0 ]
        let s = thin v 30 1.0
        torch.stack [| frechetDistance mean s mean s; frechetDistance mean s mean (thin v 30 2.0) |])
    // Of a a' and S the cross term is sqrt(a'S a): no root of an eigenvalue that is rounding adds to it.
    for scale in [ 1e-6; 1.0; 1e6 ] do
        let a = [ for i in 1..60 -> 0.01 * sqrt scale * float i ]
        let variances = [ for i in 1..60 -> scale * float i ]
        let along = List.sum (List.map2 (fun a s -> a * a * s) a variances)

        isInDouble
            "frechetDistance"
            $"of rank one, and another, at {scale}"
            [ List.sumBy (fun a -> a * a) a + List.sum variances - 2.0 * sqrt along ]
            (fun v ->
                let mean = v [ for _ in 1..60 -> 0.0 ]
                frechetDistance mean ((v a).outer(v a)) mean (torch.diag (v variances)))
    is "frechetDistance" "no variance" [ 4.0 + 9.0 ] (fun v ->
        frechetDistance (v [ 2.0 ]) (matrix v [ [ 0.0 ] ]) (v [ 0.0 ]) (matrix v [ [ 9.0 ] ]))
    is "frechetDistance" "along and across" [ 1.0 + 4.0 ] (fun v ->
        frechetDistance (v [ 0.0; 0.0 ]) (diagonal v 1.0 0.0) (v [ 0.0; 0.0 ]) (diagonal v 0.0 4.0))
    raises "frechetDistance" "a negative variance" "cov1" (fun v ->
        frechetDistance (v [ 0.0; 0.0 ]) (diagonal v 1.0 -1.0) (v [ 0.0; 0.0 ]) (diagonal v 1.0 1.0))
    raises "frechetDistance" "a matrix that is not symmetric" "cov2" (fun v ->
        frechetDistance
            (v [ 0.0; 0.0 ])
            (diagonal v 1.0 1.0)
            (v [ 0.0; 0.0 ])
            (matrix v [ [ 1.0; 0.5 ]; [ 0.0; 1.0 ] ]))
    raises "frechetDistance" "what is not a number" "cov1" (fun v ->
        frechetDistance (v [ 0.0; 0.0 ]) (diagonal v nan 1.0) (v [ 0.0; 0.0 ]) (diagonal v 1.0 1.0))
    raises "frechetDistance" "a variance for a covariance" "cov2" (fun v ->
        frechetDistance (v [ 0.0; 0.0 ]) (diagonal v 1.0 1.0) (v [ 0.0; 0.0 ]) (v [ 1.0; 1.0 ]))
    raises "frechetDistance" "means of other sizes" "mean2" (fun v ->
        frechetDistance (v [ 0.0; 0.0 ]) (diagonal v 1.0 1.0) (v [ 0.0 ]) (matrix v [ [ 1.0 ] ]))
    raises "frechetDistance" "an infinite covariance" "cov2" (fun v ->
        frechetDistance
            (v [ 0.0; 0.0 ])
            (diagonal v 1.0 1.0)
            (v [ 0.0; 0.0 ])
            (matrix v [ [ 1.0; -infinity ]; [ -infinity; 1.0 ] ]))
    // What rounding may leave is a hundred-thousandth of the largest element, at any scale.
    for scale in [ 1e-8; 1.0; 1e8 ] do
        let pair v (a: Tensor) = frechetDistance (v [ 0.0; 0.0 ]) a (v [ 0.0; 0.0 ]) a

        isWithin
            (1e-4 * scale)
            "frechetDistance"
            $"nearly symmetric, near 0, at {scale}"
            [ 0.0; 0.0 ]
            (fun v ->
                torch.stack [|
                    pair v (scale * matrix v [ [ 1.0; 0.5 + 0.8e-5 ]; [ 0.5; 1.0 ] ])
                    pair v (scale * diagonal v 1.0 -0.8e-5)
                |])

        raises "frechetDistance" $"not quite symmetric at {scale}" "cov1" (fun v ->
            pair v (scale * matrix v [ [ 1.0; 0.5 + 1.2e-5 ]; [ 0.5; 1.0 ] ]))

        raises "frechetDistance" $"a slightly negative variance at {scale}" "cov1" (fun v ->
            pair v (scale * diagonal v 1.0 -1.2e-5))
    is "inceptionScore" "certain, of one class, of all alike" [ 2.0; 1.0; 1.0 ] (fun v ->
        torch.stack [|
            inceptionScore (matrix v [ [ 0.0; -infinity ]; [ -infinity; 0.0 ] ])
            inceptionScore (matrix v [ [ 3.0 ]; [ -800.0 ] ])
            inceptionScore (matrix v [ [ 1e4; -infinity ] ])
        |])
    raises "inceptionScore" "no example" "logits" (fun v -> inceptionScore (empty v [ 0L; 3L ]))
]

let private surgeryOf (v: Make) (mu: float list) (logVar: float) =
    let rows = [ for m in mu -> [ m ] ]
    let q = normal (matrix v rows) (matrix v [ for _ in mu -> [ logVar ] ])
    elboSurgery q logStandardNormal (torch.zeros_like q.Mu)

let private diagnostics = [
    // Codes without overlap tell everything: log N.
    is "elboSurgery" "narrow and far from 0" [ log 3.0 ] (fun v ->
        v [ (surgeryOf v [ 100.0; 101.0; -100.0 ] -30.0).MutualInformation ])
    is "elboSurgery" "one example" [ 0.0; 0.5 * 61.0; 0.0 ] (fun v ->
        (let s = surgeryOf v [ 1.0 ] -60.0 in v [ s.MutualInformation; s.MarginalKl; s.Limit ]))
    raises "elboSurgery" "no example" "encodings" (fun v ->
        (let none = empty v [ 0L; 1L ] in elboSurgery (normal none none) logStandardNormal none))
    raises "elboSurgery" "one number for two latents" "eps" (fun v ->
        (let q = matrix v [ [ 1.0; 2.0 ] ] in
         elboSurgery (normal q q) logStandardNormal (matrix v [ [ 1.0 ] ])))
    raises "elboSurgery" "one example's noise for two" "eps" (fun v ->
        (let q = matrix v [ [ 1.0 ]; [ 2.0 ] ] in
         elboSurgery (normal q q) logStandardNormal (matrix v [ [ 1.0 ] ])))
    is "mutualInformationBound" "infinite" [ infinity ] (fun v ->
        mutualInformationBound (v [ infinity; 1.0 ]))
    raises "mutualInformationBound" "no example" "klPerExample" (fun v -> mutualInformationBound (v []))
    is "collapsedProportion" "infinite divergences, every share" [ 0.5; 1.0; 0.5 ] (fun v ->
        let kl = matrix v [ [ infinity; 0.0 ]; [ infinity; 0.0 ] ]

        v [
            collapsedProportion 0.01 0.0 kl
            collapsedProportion 0.01 1.0 kl
            collapsedProportion 0.01 0.5 kl
        ])
    is "collapsedProportion" "one divergence, at the threshold and below" [ 0.0; 1.0 ] (fun v ->
        v [ for kl in [ 0.25; 0.125 ] -> collapsedProportion 0.25 0.0 (matrix v [ [ kl ] ]) ])
    // 1 - 0.7 rounds above 0.3; one example of 2,000 is a share of 0.0005.
    is "collapsedProportion" "exactly the share, and one example of many less" [ 1.0; 0.0 ] (fun v ->
        let column small n = matrix v [ for i in 1..n -> [ if i <= small then 0.0 else 1.0 ] ]

        v [
            collapsedProportion 0.01 0.7 (column 3 10)
            collapsedProportion 0.01 0.0 (column 1999 2000)
        ])
    raises "collapsedProportion" "no example" "klPerDimension" (fun v ->
        collapsedProportion 0.01 0.01 (empty v [ 0L; 2L ]))
    raises "collapsedProportion" "not a number" "klPerDimension" (fun v ->
        collapsedProportion 0.01 0.01 (matrix v [ [ nan; 0.0 ] ]))
    raises "collapsedProportion" "a threshold that is not a number" "eps" (fun v ->
        collapsedProportion nan 0.01 (matrix v [ [ 0.0 ] ]))
    for delta in [ -0.1; 1.1; nan ] do
        raises "collapsedProportion" $"a share of {delta}" "delta" (fun v ->
            collapsedProportion 0.01 delta (matrix v [ [ 0.0 ] ]))
    is "activeUnits" "far from 0" [ 1.0 ] (fun v ->
        v [ float (activeUnits 0.01 (matrix v [ [ 1e5; 1e5 ]; [ 1e5 + 1.0; 1e5 ] ])) ])
    is "activeUnits" "a variance of 2, at the threshold and above" [ 0.0; 1.0 ] (fun v ->
        v [
            for threshold in [ 2.0; 1.9 ] -> float (activeUnits threshold (matrix v [ [ 1.0 ]; [ -1.0 ] ]))
        ])
    raises "activeUnits" "one example" "mu" (fun v -> activeUnits 0.01 (matrix v [ [ 1.0 ] ]))
    raises "activeUnits" "not a number" "mu" (fun v -> activeUnits 0.01 (matrix v [ [ nan ]; [ 1.0 ] ]))
    raises "activeUnits" "infinite" "mu" (fun v -> activeUnits 0.01 (matrix v [ [ infinity ]; [ 1.0 ] ]))
    raises "activeUnits" "a threshold that is not a number" "threshold" (fun v ->
        activeUnits nan (matrix v [ [ 0.0 ]; [ 1.0 ] ]))
    is "interpolate" "no point between; none at all" [ 1e30; -1e30 ] (fun v ->
        torch.cat [|
            (interpolate 0 (v [ 1e30 ]) (v [ -1e30 ])).flatten()
            (interpolate 3 (v []) (v [])).flatten()
        |])
    raises "interpolate" "fewer than none" "steps" (fun v -> interpolate -1 (v [ 1.0 ]) (v [ 2.0 ]))
    raises "interpolate" "matrices" "a" (fun v -> interpolate 1 (matrix v [ [ 1.0 ] ]) (matrix v [ [ 2.0 ] ]))
    raises "interpolate" "whole numbers" "a" (fun _ ->
        interpolate 1 (torch.tensor [| 1L |]) (torch.tensor [| 2L |]))
    raises "interpolate" "another dimension" "b" (fun v -> interpolate 1 (v [ 1.0; 2.0 ]) (v [ 2.0 ]))
]

let private cases: Case list =
    List.concat [
        ExtremeDensities.cases
        ExtremeFlows.cases
        objectives
        annealing
        infoVaes
        games
        scores
        diagnostics
    ]

/// Core's public functions and values as they are called, from the built library.
let publicFunctions: Set<string> =
    let core = nonNull (typeof<DiagNormal>).DeclaringType
    let flags = BindingFlags.Public ||| BindingFlags.Static ||| BindingFlags.DeclaredOnly

    let ofModule (prefix: string) (m: Type) = [
        for f in m.GetMethods flags do
            if not f.IsSpecialName then
                yield prefix + f.Name
        for p in m.GetProperties flags do
            yield prefix + p.Name
    ]

    let isModule (t: Type) = t.IsAbstract && t.IsSealed

    Set.ofList [
        yield! ofModule "" core
        for nested in core.GetNestedTypes() do
            if isModule nested then
                let name =
                    if nested.Name.EndsWith "Module" then
                        nested.Name[.. nested.Name.Length - 7]
                    else
                        nested.Name

                yield! ofModule (name + ".") nested
    ]

[<Tests>]
let tests =
    testList "extremes" [
        testCase "every function of Core is tried, and nothing else" (fun () ->
            Expect.equal (cases |> List.map _.Function |> Set.ofList) publicFunctions "functions")

        testCase "no derivative is taken for granted where none is recorded" (fun () ->
            use _ = torch.inference_mode ()

            Expect.throwsT<InvalidOperationException>
                (fun () -> grad (fun x -> x.sum ()) (torch.ones 2L) |> ignore)
                "inference mode")

        testCase "no derivative changes its point" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = torch.ones 2L
            grad (fun x -> x.square().sum()) x |> ignore
            Expect.isFalse x.requires_grad "as it was")

        for name, cases in List.groupBy _.Function cases do
            testCase name (fun () ->
                let wrong =
                    cases
                    |> List.choose (fun case ->
                        case.Check() |> Option.map (fun wrong -> $"{case.Input}: {wrong}"))

                if not wrong.IsEmpty then
                    failtest (String.Join("\n", wrong)))
    ]
