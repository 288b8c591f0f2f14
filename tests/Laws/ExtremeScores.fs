/// Extreme inputs of adversarial functions, of scores of samples and of diagnostics.
module Research.Tests.Laws.ExtremeScores

open System
open TorchSharp
open Research.Core
open Research.Tests.Laws.Extremes

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
    is "diracPenaltySlope" "at 0 and far away" [ 0.0; 0.0; 2e300; 0.0; -1e300 ] (fun v ->
        torch.cat [|
            diracPenaltySlope NoPenalty (v [ 1e300 ])
            diracPenaltySlope (R1 1.0) (v [ 0.0; 1e300 ])
            diracPenaltySlope (Gp 0.5) (v [ 0.0; -1e300 ])
        |])
    is "diracStep" "two states at once" [ 1.2; 1.9; 0.0; 2.9; -1.3; 5.0 ] (fun v ->
        diracStep
            W1
            (diracPenaltySlope NoPenalty)
            Simultaneous
            0.1
            (matrix v [ [ 1.0; 2.0; 0.0 ]; [ 3.0; -1.0; 5.0 ] ]))
    // The discriminator is sure: no slope but the penalty's, which is 0 at psi0 = 0.
    is "diracStep" "a sure critic" [ 1.0; 0.0; -800.05; 1.0; 0.0; 800.0 - 0.05; 2.0; -0.1; 0.0 ] (fun v ->
        torch.stack [|
            diracStep Jsd (diracPenaltySlope (Gp 1.0)) Alternating 0.1 (v [ 1.0; 0.0; -800.1 ])
            diracStep Jsd (diracPenaltySlope (R1 1.0)) Simultaneous 0.1 (v [ 1.0; 0.0; 800.0 ])
            + v [ 0.0; 0.05; 0.0 ]
            diracStep W1 (diracPenaltySlope NoPenalty) Simultaneous 0.05 (v [ 2.0; 0.0; 0.0 ])
        |])
    raises "diracStep" "two numbers" "state" (fun v ->
        diracStep W1 (diracPenaltySlope NoPenalty) Simultaneous 0.1 (v [ 1.0; 2.0 ]))
    raises "diracStep" "four numbers" "state" (fun v ->
        diracStep W1 (diracPenaltySlope NoPenalty) Simultaneous 0.1 (v [ 1.0; 2.0; 3.0; 4.0 ]))
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

let cases: Case list = List.concat [ games; scores; diagnostics ]
