/// Gradients: what a model learns from must reach every tensor that a function of Core takes.
module Research.Tests.Laws.Gradients

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared

/// A function of several tensors and where it is differentiated.
type private Case = { F: Tensor list -> Tensor; At: Tensor list }

/// Outputs in one vector, since the law asks for all of them.
let private together (outputs: Tensor list) : Tensor = torch.cat [| for y in outputs -> y.flatten () |]

let private pair (a: Tensor, b: Tensor) = together [ a; b ]
let private three (a: Tensor, b: Tensor, c: Tensor) = together [ a; b; c ]

/// A function of one to five tensors.
let private of1 (f: Tensor -> Tensor) a = {
    F =
        (function
        | [ a ] -> f a
        | _ -> failtest "one tensor")
    At = [ a ]
}

let private of2 (f: Tensor -> Tensor -> Tensor) a b = {
    F =
        (function
        | [ a; b ] -> f a b
        | _ -> failtest "two tensors")
    At = [ a; b ]
}

let private of3 (f: Tensor -> Tensor -> Tensor -> Tensor) a b c = {
    F =
        (function
        | [ a; b; c ] -> f a b c
        | _ -> failtest "three tensors")
    At = [ a; b; c ]
}

let private of4 (f: Tensor -> Tensor -> Tensor -> Tensor -> Tensor) a b c d = {
    F =
        (function
        | [ a; b; c; d ] -> f a b c d
        | _ -> failtest "four tensors")
    At = [ a; b; c; d ]
}

let private normal (mu: Tensor) (logVar: Tensor) : DiagNormal = { Mu = mu; LogVar = logVar }
let private g = gaussian
let private positive seed shape = (g seed shape).exp()

let private table seed shape = torch.nn.functional.softmax (g seed shape, -1L)

let private distributions: (string * Case) list = [
    "DiagNormal.logProb",
    of3 (fun m s z -> DiagNormal.logProb (normal m s) z) (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ]) (g 3 [ 3; 2 ])
    "DiagNormal.sample",
    of3 (fun m s e -> DiagNormal.sample (normal m s) e) (g 1 [ 2 ]) (g 2 [ 2 ]) (g 3 [ 3; 2 ])
    "DiagNormal.entropy", of1 (fun s -> DiagNormal.entropy (normal (torch.zeros_like s) s)) (g 1 [ 3; 2 ])
    "logStandardNormal", of1 logStandardNormal (g 1 [ 3; 2 ])
    "Bernoulli.logProb",
    of2 (fun l x -> Bernoulli.logProb { Logits = l } x) (g 1 [ 3; 2 ]) (uniform 2 [ 3; 2 ])
    "Bernoulli.mean", of1 (fun l -> Bernoulli.mean { Logits = l }) (g 1 [ 3; 2 ])
    "Categorical.logProb",
    of1 (fun l -> Categorical.logProb { Logits = l } (torch.tensor [| 2L; 0L |])) (g 1 [ 3; 2; 4 ])
    "Categorical.mean", of1 (fun l -> Categorical.mean { Logits = l }) (g 1 [ 3; 2; 4 ])
    "Mixture.logProb",
    of4
        (fun l m s z -> Mixture.logProb { Logits = l; Components = normal m s } z)
        (g 1 [ 3 ])
        (g 2 [ 3; 2 ])
        (g 3 [ 3; 2 ])
        (g 4 [ 4; 2 ])
    "Mixture.sample",
    of3
        (fun m s e -> Mixture.sample { Logits = g 1 [ 3 ]; Components = normal m s } (uniform 5 [ 4 ]) e)
        (g 2 [ 3; 2 ])
        (g 3 [ 3; 2 ])
        (g 4 [ 4; 2 ])
    "pairwiseLogProb",
    of3 (fun m s z -> pairwiseLogProb (normal m s) z) (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ]) (g 3 [ 4; 2 ])
    "logAggregatedPosterior",
    of3 (fun m s z -> logAggregatedPosterior (normal m s) z) (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ]) (g 3 [ 4; 2 ])
    "klDiagNormal",
    of4
        (fun m s m' s' -> klDiagNormal (normal m s) (normal m' s'))
        (g 1 [ 3; 2 ])
        (g 2 [ 3; 2 ])
        (g 3 [ 3; 2 ])
        (g 4 [ 3; 2 ])
    "klStandardPerDimension",
    of2 (fun m s -> klStandardPerDimension (normal m s)) (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
    "klStandard", of2 (fun m s -> klStandard (normal m s)) (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
    "klMonteCarlo", of2 klMonteCarlo (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
]

let private bounds: (string * Case) list = [
    "sumLast", of1 sumLast (g 1 [ 3; 2 ])
    "softplus", of1 softplus (g 1 [ 3; 2 ])
    "logSigmoid", of1 logSigmoid (g 1 [ 3; 2 ])
    "logMeanExp", of1 (logMeanExp 0L) (g 1 [ 3; 2 ])
    "elboJoint", of2 elboJoint (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
    "elboKl", of2 elboKl (g 1 [ 3; 2 ]) (g 2 [ 2 ])
    "elboGap", of2 elboGap (g 1 [ 3 ]) (g 2 [ 3 ])
    "eubo", of2 eubo (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
    "evidenceBounds", of2 (fun up down -> pair (evidenceBounds up down)) (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
    "importanceWeightedBound", of1 importanceWeightedBound (g 1 [ 3; 2 ])
    "logLikelihoodImportance", of2 logLikelihoodImportance (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
    "logLikelihoodPrior", of1 logLikelihoodPrior (g 1 [ 3; 2 ])
    "jointSpaceForms",
    of3 (fun d q j -> three (jointSpaceForms d q j)) (table 1 [ 3 ]) (table 2 [ 3; 2 ]) (table 3 [ 3; 2 ])
    "elboThreeTerms",
    of3 (fun l h p -> three (elboThreeTerms l h p)) (g 1 [ 3; 2 ]) (g 2 [ 2 ]) (g 3 [ 3; 2 ])
    "flowFreeEnergy", of3 flowFreeEnergy (g 1 [ 3 ]) (g 2 [ 3 ]) (g 3 [ 3 ])
    "infoVaeForms",
    of4
        (fun d q l p -> pair (infoVaeForms 0.3 2.0 d q l p))
        (table 1 [ 3 ])
        (table 2 [ 3; 2 ])
        ((table 3 [ 2; 3 ]).t().contiguous())
        (table 4 [ 2 ])
    "mutualInformationBound", of1 mutualInformationBound (g 1 [ 3 ])
    "m2Labelled", of3 m2Labelled (g 1 [ 3 ]) (g 2 [ 3 ]) (g 3 [ 3 ])
    "m2Unlabelled", of2 m2Unlabelled (table (1) [ 3; 2 ] |> _.log()) (g 2 [ 3; 2 ])
    "scoreGradient", of2 (scoreGradient (fun x -> x.sin ())) (scalar 0.3) (g 1 [ 4 ])
    "pathwiseGradient", of2 (pathwiseGradient (fun x -> x.sin ())) (scalar 0.3) (g 1 [ 4 ])
    "interpolate", of2 (interpolate 2) (g 1 [ 3 ]) (g 2 [ 3 ])
]

let private networkOf (a: Tensor) (b: Tensor) (z: Tensor) = (z.matmul a).tanh(), z.matmul b

let private transforms: (string * Case) list = [
    let both (t: Transform) (z: Tensor) = pair (t.Forward z)
    let back (t: Transform) (z: Tensor) = pair (t.Inverse.Value z)
    let couple a b = coupling (fun z -> (z.matmul a).tanh()) (fun z -> z.matmul b)
    let a, b, z = g 1 [ 2; 2 ], g 2 [ 2; 2 ], g 3 [ 3; 4 ]
    "planarInvertibleU", of2 planarInvertibleU (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ])
    "planar", of4 (fun u w b z -> both (planar u w b) z) (g 1 [ 2 ]) (g 2 [ 2 ]) (scalar 0.3) (g 3 [ 4; 2 ])

    "planar, one map for each example",
    of4 (fun u w b z -> both (planar u w b) z) (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ]) (g 4 [ 3 ]) (g 3 [ 4; 3; 2 ])

    "coupling", of3 (fun a b z -> both (couple a b) z) a b z
    "coupling, inverse", of3 (fun a b z -> back (couple a b) z) a b z
    "Transform.invert", of3 (fun a b z -> both (Transform.invert (couple a b)) z) a b z
    "Transform.andThen", of3 (fun a b z -> both (couple a b |> Transform.andThen Transform.flip) z) a b z

    "Transform.compose",
    of3
        (fun a b z ->
            both (Transform.compose [ couple a b; Transform.flip; couple b a; Transform.identity ]) z)
        a
        b
        z

    "invertibleAutoregressive, inverse",
    of3
        (fun a b z ->
            back
                (invertibleAutoregressive (fun z ->
                    let below = z.matmul (torch.triu (a, 1L))
                    below.tanh (), z.matmul (torch.triu (b, 1L))))
                z)
        a
        b
        (g 3 [ 3; 2 ])

    "inverseAutoregressive",
    of3 (fun a b z -> both (inverseAutoregressive (networkOf a b)) z) a b (g 3 [ 3; 2 ])

    "householder", of1 householder (g 1 [ 2; 3; 4 ])

    "sylvester",
    of4
        (fun q r r' b -> both (sylvester q r r' b) (g 5 [ 4; 3 ]))
        (g 1 [ 3; 2 ])
        (g 2 [ 2; 2 ])
        (g 3 [ 2; 2 ])
        (g 4 [ 2 ])

    "sylvester, in the point",
    of1 (both (sylvester (g 1 [ 3; 2 ]) (g 2 [ 2; 2 ]) (g 3 [ 2; 2 ]) (g 4 [ 2 ]))) (g 5 [ 4; 3 ])

    let spline w h d z = pair ((rationalQuadratic 2.0 w h d).Forward z)
    let splineBack w h d z = pair ((rationalQuadratic 2.0 w h d).Inverse.Value z)
    "rationalQuadratic", of4 spline (g 1 [ 2; 3 ]) (g 2 [ 2; 3 ]) (g 3 [ 2; 2 ]) (g 4 [ 5; 2 ])
    "rationalQuadratic, inverse", of4 splineBack (g 1 [ 2; 3 ]) (g 2 [ 2; 3 ]) (g 3 [ 2; 2 ]) (g 4 [ 5; 2 ])

    let chosen (a: Tensor) (b: Tensor) =
        let first, second =
            (fun (z: Tensor) -> z.narrow (-1L, 0L, 1L)), (fun (z: Tensor) -> z.narrow (-1L, 1L, 1L))

        conditionalCoupling (fun z1 ->
            coupling (fun v -> (a * v * first z1).tanh()) (fun v -> b * v + second z1))

    "conditionalCoupling", of3 (fun a b z -> both (chosen a b) z) (scalar 0.7) (scalar -0.4) z
    "conditionalCoupling, inverse", of3 (fun a b z -> back (chosen a b) z) (scalar 0.7) (scalar -0.4) z

    "flowLogProb", of3 (fun a b z -> flowLogProb logStandardNormal (couple a b) z) a b z

    "flowDensityLoss",
    of3
        (fun a b z -> flowDensityLoss logStandardNormal (inverseAutoregressive (networkOf a b)) energyArcs z)
        a
        b
        (g 3 [ 3; 2 ])

    "energyArcs", of1 energyArcs (2.0 * g 1 [ 5; 2 ])
    "energySine", of1 energySine (g 1 [ 5; 2 ])
]

/// Three-dimensional data, two latents; every part has its own parameters.
let private modelOf
    (flow: (Tensor -> Transform) option)
    (prior: Prior)
    (encoder: Tensor)
    (decoder: Tensor)
    : LatentModel = {
    Encode =
        fun x ->
            let h = x.matmul encoder

            {
                Base = normal (h.narrow (-1L, 0L, 2L)) (h.narrow (-1L, 2L, 2L))
                Flow = flow |> Option.map (fun make -> make h)
            }
    LogLikelihood = fun x z -> Bernoulli.logProb { Logits = (z.tanh ()).matmul decoder } x
    Prior = prior
}

let private amortised (h: Tensor) : Transform =
    planar (h.narrow (-1L, 0L, 2L)) (h.narrow (-1L, 2L, 2L) + 1.0) (h.select (-1L, 0L))

let private mog (mu: Tensor) = Prior.mixtureOfGaussians (g 8 [ 2 ]) mu (g 9 [ 2; 2 ])

let private objectives: (string * Case) list = [
    let x, eps = uniform 1 [ 3; 3 ], g 2 [ 4; 3; 2 ]
    let encoder, decoder, centres = g 3 [ 3; 4 ], g 4 [ 2; 3 ], g 5 [ 2; 2 ]
    let ofMean: Objective = fun model x eps -> [ "evidence", (logEvidence model x eps).mean() ]

    let named: (string * Objective) list = [
        "elbo", elbo
        "betaElbo", betaElbo 0.3
        "importanceWeighted", importanceWeighted
        "logEvidence", ofMean
        "infoVae", infoVae 0.3 2.0 (mmdUnbiased (kernelImq 2.0))
    ]

    for name, objective in named do
        let noise = if name = "infoVae" then eps.narrow (0L, 0L, 3L) else eps

        for behind, flow in [ "", None; ", planar posterior", Some amortised ] do
            name + behind,
            of4
                (fun e d x eps -> total (objective (modelOf flow Prior.standard e d) x eps))
                encoder
                decoder
                x
                noise

            name + behind + ", learned prior",
            of3 (fun e d m -> total (objective (modelOf flow (mog m) e d) x noise)) encoder decoder centres

    "AnnealingPath.logDensity",
    of3
        (fun m s z ->
            let path = { Base = normal m s; LogJoint = fun z -> sumLast (z.sin ()) + z.prod -1L }
            together [ for t in [ 0.0; 0.3; 1.0 ] -> AnnealingPath.logDensity path t z ])
        (g 1 [ 3; 2 ])
        (g 2 [ 3; 2 ])
        eps

    "AnnealingPath.ofModel",
    of4
        (fun d m x z -> (AnnealingPath.ofModel (modelOf None (mog m) encoder d) x).LogJoint z)
        decoder
        centres
        x
        eps

    "jackknifeEvidence", of1 jackknifeEvidence (g 1 [ 4; 3 ])

    "freeBits",
    of4 (fun e d x eps -> total (freeBits 0.2 (modelOf None Prior.standard e d) x eps)) encoder decoder x eps

    let posterior flow = of3 (fun m s e -> pair (Posterior.sample { Base = normal m s; Flow = flow } e))

    "Posterior.sample", posterior None (g 1 [ 3; 2 ]) (g 2 [ 3; 2 ]) (g 3 [ 4; 3; 2 ])

    "Posterior.sample, planar posterior",
    posterior
        (Some(planar (g 4 [ 2 ]) (g 5 [ 2 ]) (scalar 0.3)))
        (g 1 [ 3; 2 ])
        (g 2 [ 3; 2 ])
        (g 3 [ 4; 3; 2 ])
]

let private priors: (string * Case) list = [
    let z = g 4 [ 3; 2 ]
    let logits, mu, logVar = g 1 [ 3 ], g 2 [ 3; 2 ], g 3 [ 3; 2 ]
    let u = uniform 5 [ 3 ]
    "Prior.standard", of1 (fun z -> together [ Prior.standard.LogProb z; Prior.standard.Sample u z ]) z
    "Prior.standard, divergence", of2 (fun m s -> Prior.standard.KlFrom.Value(normal m s)) mu logVar

    "Prior.mixtureOfGaussians",
    of4 (fun l m s z -> (Prior.mixtureOfGaussians l m s).LogProb z) logits mu logVar z

    "Prior.mixtureOfGaussians, samples",
    of3 (fun m s e -> (Prior.mixtureOfGaussians logits m s).Sample u e) mu logVar z

    let encode (w: Tensor) (x: Tensor) =
        let h = x.matmul w
        normal (h.narrow (-1L, 0L, 2L)) (h.narrow (-1L, 2L, 2L))

    let w, inputs = g 6 [ 2; 4 ], g 7 [ 3; 2 ]
    "Prior.vamp", of4 (fun w l x z -> (Prior.vamp (encode w) l x).LogProb z) w logits inputs z
    "Prior.vamp, samples", of3 (fun w x e -> (Prior.vamp (encode w) logits x).Sample u e) w inputs z
    "Prior.topographic", of4 (fun w l x z -> (Prior.topographic (encode w) l x).LogProb z) w logits inputs z

    "Prior.topographic, samples",
    of3 (fun w x e -> (Prior.topographic (encode w) logits x).Sample u e) w inputs z

    let couple (a: Tensor) (b: Tensor) = coupling (fun z -> a * z) (fun z -> (b * z).sin())
    "Prior.flow", of3 (fun a b z -> (Prior.flow (couple a b)).LogProb z) (g 8 [ 1 ]) (g 9 [ 1 ]) z
    "Prior.flow, samples", of3 (fun a b e -> (Prior.flow (couple a b)).Sample u e) (g 8 [ 1 ]) (g 9 [ 1 ]) z
]

let private adversarial: (string * Case) list = [
    "kernelRbf", of1 (kernelRbf 1.3) (positive 1 [ 4 ])
    "kernelImq", of1 (kernelImq 1.3) (positive 1 [ 4 ])
    "mmdUnbiased", of2 (mmdUnbiased (kernelRbf 1.3)) (g 1 [ 3; 2 ]) (g 2 [ 4; 2 ])
    "densityRatioLoss", of2 densityRatioLoss (g 1 [ 3 ]) (g 2 [ 4 ])
    "jsdMetric", of2 jsdMetric (g 1 [ 3 ]) (g 2 [ 4 ])
    "wassersteinMetric", of2 wassersteinMetric (g 1 [ 3 ]) (g 2 [ 4 ])
    "minimaxGeneratorLoss", of1 minimaxGeneratorLoss (g 1 [ 3 ])
    "nonSaturatingGeneratorLoss", of1 nonSaturatingGeneratorLoss (g 1 [ 3 ])

    let critic (w: Tensor) (x: Tensor) = ((x.flatten 1L).matmul w).sin().sum -1L
    let w, x, x' = g 1 [ 4; 3 ], g 2 [ 3; 2; 2 ], g 3 [ 3; 2; 2 ]
    "r1Penalty", of2 (fun w x -> r1Penalty (critic w) x) w x
    "gradientPenalty", of4 (fun w x x' u -> gradientPenalty (critic w) x x' u) w x x' (uniform 4 [ 3 ])

    for metric in [ Jsd; W1 ] do
        for penalty in [ NoPenalty; R1 0.3; Gp 0.3 ] do
            for order in [ Alternating; Simultaneous ] do
                $"diracStep, %A{metric} %A{penalty} %A{order}",
                of1 (diracStep metric (diracPenaltySlope penalty) order 0.2) (g 1 [ 4; 3 ])

    // u and v count as constants; at the singular vectors themselves that changes nothing of sigma's gradient.
    let struct (left, _, _) = torch.linalg.svd (g 1 [ 3; 2 ])

    "spectralNorm",
    of1 (fun w -> (let sigma, _, _ = spectralNorm w (left.select (1L, 0L)) in sigma)) (g 1 [ 3; 2 ])

    let covariance (a: Tensor) = a.matmul (a.t ())

    "frechetDistance",
    of4
        (fun m a m' a' -> frechetDistance m (covariance a) m' (covariance a'))
        (g 1 [ 2 ])
        (g 2 [ 2; 3 ])
        (g 3 [ 2 ])
        (g 4 [ 2; 3 ])

    "inceptionScore", of1 inceptionScore (g 1 [ 4; 3 ])
]

let private linearModels: (string * Case) list = [
    let model (w: Tensor) (b: Tensor) : LinearGaussian = { W = w; Offset = b; Sigma = 0.7 }
    let w, b, x, z = g 1 [ 3; 2 ], g 2 [ 3 ], g 3 [ 4; 3 ], g 4 [ 4; 2 ]
    "LinearGaussian.logEvidence", of3 (fun w b x -> LinearGaussian.logEvidence (model w b) x) w b x
    "LinearGaussian.posterior", of3 (fun w b x -> pair (LinearGaussian.posterior (model w b) x)) w b x
    "LinearGaussian.logPosterior", of4 (fun w b x z -> LinearGaussian.logPosterior (model w b) x z) w b x z
    "LinearGaussian.logLikelihood", of4 (fun w b x z -> LinearGaussian.logLikelihood (model w b) x z) w b x z
]

/// Derivatives differentiate again, in the point and in what their function closes over.
let private derivatives: (string * Case) list = [
    let f (a: Tensor) (x: Tensor) = ((a * x).sin() * x.flip 0L).sum()
    let a, x = g 1 [ 3 ], g 2 [ 3 ]
    "grad", of2 (fun a x -> grad (f a) x) a x
    "diff", of2 (fun a x -> diff (fun x -> (a * x).sin()) x) a x
    "jacobian", of2 (fun a x -> jacobian (fun x -> (a * x).sin() * x.flip 0L) x) a x
    "hessian", of2 (fun a x -> hessian (f a) x) a x
]

/// A random combination of the outputs, so that each counts.
let private combined (f: Tensor list -> Tensor) (inputs: Tensor list) : Tensor =
    let y = f inputs
    (y * gaussian 99 (List.ofArray y.shape)).sum()

let private analytic (f: Tensor list -> Tensor) (inputs: Tensor list) : Tensor list =
    let leaves = inputs |> List.map (fun x -> x.detach().clone().requires_grad_ true)
    // An error inside torch.autograd.grad would end the process; backward raises.
    (combined f leaves).backward()

    leaves
    |> List.map (fun x ->
        match x.grad with
        | null -> torch.zeros_like x
        | g -> g)

let private numeric (f: Tensor list -> Tensor) (inputs: Tensor list) (i: int) : Tensor =
    let x = inputs[i]
    let at (flat: Tensor) = combined f (List.updateAt i (flat.reshape x.shape) inputs)
    (finiteGradient at (x.detach().flatten())).reshape x.shape

/// One tensor counted as a constant: what the mutants spoil is the gradient alone, never the value.
let private lost (at: int -> int) (inputs: Tensor list) : Tensor list =
    let i = at inputs.Length
    List.updateAt i (inputs[i].detach() + 0.0 * inputs[i]) inputs

let private law (name: string) (instances: (string * Case) list) =
    let error (spoil: Tensor list -> Tensor list) (case: Case) =
        analytic (spoil >> case.F) case.At
        |> List.mapi (fun i gradient -> relativeDistance gradient (numeric case.F case.At i))
        |> List.max

    {
        Id = $"gradients/{name}"
        Statement = "The gradient in each of a function's tensors is that of central differences."
        Labels = []
        Function = "all that a model learns through"
        Instances = instances
        Error = error id
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "first tensor without gradient", error (lost (fun _ -> 0))
            "last tensor without gradient", error (lost (fun n -> n - 1))
        ]
    }

/// The gradients of the estimators that are not those of their values: the parts of log w that each counts, each part's
/// gradient by itself.
let private estimators =
    let encoder, decoder, x, eps = g 3 [ 3; 4 ], g 4 [ 2; 3 ], uniform 1 [ 3; 3 ], g 2 [ 4; 3; 2 ]

    let leaves () = [ for t in [ encoder; decoder; x; eps ] -> t.detach().clone().requires_grad_ true ]

    let gradients (loss: Tensor list -> Tensor) =
        let inputs = leaves ()
        (loss inputs).backward()
        inputs |> List.map (fun t -> nonNull t.grad)

    let through (objective: Objective) =
        gradients (function
            | [ e; d; x; eps ] -> total (objective (modelOf None Prior.standard e d) x eps)
            | _ -> failtest "four tensors")

    /// log w of a sample and of x with the density of q held: by the decoder's path and by the sample's.
    let byParts (direct: Tensor -> Tensor) (path: Tensor -> Tensor) =
        gradients (function
            | [ e; d; x; eps ] ->
                let model = modelOf None Prior.standard e d
                let q = (model.Encode x).Base
                let z = q.Mu + (0.5 * q.LogVar).exp() * eps

                let logW (model: LatentModel) (x: Tensor) (z: Tensor) =
                    let own = z - q.Mu.detach ()
                    let logQ = -0.5 * (own.square () / q.LogVar.detach().exp() + q.LogVar.detach ()).sum -1L
                    model.LogLikelihood x z - 0.5 * z.square().sum -1L - logQ

                let ofDecoder = logW model x (z.detach ())
                let ofSample = logW (modelOf None Prior.standard (e.detach ()) (d.detach ())) (x.detach ()) z
                let share = (ofSample.detach ()).exp() / (ofSample.detach ()).exp().sum(0L, true)
                let parts = direct share * ofDecoder + path share * ofSample
                parts.sum().neg() / float (x.size 0)
            | _ -> failtest "four tensors")

    let error (stl: Objective, dreg: Objective) (which: int) =
        let mean (share: Tensor) = torch.full_like (share, Research.Core.scalar (1.0 / float (share.size 0)))

        List.max [
            relativeDistance (List.item which (through stl)) (List.item which (byParts mean mean))
            relativeDistance (List.item which (through dreg)) (List.item which (byParts id _.square()))
        ]

    {
        Id = "gradients/estimators"
        Statement =
            "Stick-the-landing counts every path's gradient of log w once, the doubly reparameterised one by the share for the decoder and its square for the sample."
        Labels = []
        Function = "stickTheLanding, doublyReparameterised"
        Instances = [ "by the encoder", 0; "by the decoder", 1; "by the data", 2; "by the noise", 3 ]
        Error = error (stickTheLanding, doublyReparameterised)
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "with the score", error (elbo, doublyReparameterised)
            "with the weights' score", error (stickTheLanding, importanceWeighted)
        ]
    }

[<Tests>]
let tests =
    testList "gradients" [
        Law.test (law "derivatives" derivatives)
        Law.test (law "distributions" distributions)
        Law.test (law "bounds" bounds)
        Law.test (law "transforms" transforms)
        Law.test (law "objectives" objectives)
        Law.test (law "priors" priors)
        Law.test (law "adversarial" adversarial)
        Law.test (law "linear-models" linearModels)
        Law.test estimators
    ]
