/// Extreme inputs of bounds and objectives, of annealing and of InfoVAE.
module Research.Tests.Laws.ExtremeObjectives

open System
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

let cases: Case list = List.concat [ objectives; annealing; infoVaes ]
