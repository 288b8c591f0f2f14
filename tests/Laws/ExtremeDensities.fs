/// Extreme inputs of the vocabulary, of derivatives, distributions, divergences, bounds and the linear model.
module Research.Tests.Laws.ExtremeDensities

open System
open TorchSharp
open Research.Core
open Research.Tests.Laws.Extremes

let private vocabulary = [
    is "sumLast" "nothing to sum" [ 0.0; 0.0 ] (fun v -> sumLast (empty v [ 2L; 0L ]))
    is "sumLast" "an infinity" [ infinity ] (fun v -> sumLast (v [ infinity; 1.0 ]))
    is
        "softplus"
        "large, small, infinite, none"
        [ 0.0; exp -30.0 - 0.5 * exp -60.0; 30.0 + exp -30.0; 800.0; 0.0; infinity; nan ]
        (fun v -> softplus (v [ -800.0; -30.0; 30.0; 800.0; -infinity; infinity; nan ]))
    is "softplus" "its slope" [ 0.0; 0.5; 1.0; 1.0 ] (fun v -> diff softplus (v [ -800.0; 0.0; 39.9; 800.0 ]))
    is "logSigmoid" "large, small, infinite, none" [ -800.0; 0.0; -infinity; 0.0; nan ] (fun v ->
        logSigmoid (v [ -800.0; 800.0; -infinity; infinity; nan ]))
    is "logMeanExp" "far below and far above 0" [ -1e4; 1e4 ] (fun v ->
        logMeanExp 0L (matrix v [ [ -1e4; 1e4 ]; [ -1e4; 1e4 ] ]))
    is "logMeanExp" "all zero, one infinite, one not a number" [ -infinity; infinity; nan ] (fun v ->
        logMeanExp -1L (matrix v [ [ -infinity; -infinity ]; [ infinity; 0.0 ]; [ nan; 0.0 ] ]))
    is "logMeanExp" "one element" [ -3.0 ] (fun v -> logMeanExp 0L (v [ -3.0 ]))
    raises "logMeanExp" "nothing" "x" (fun v -> logMeanExp 0L (v []))
    is "reciprocal" "0" [ 0.0; 0.0 ] (fun v -> reciprocal (v [ 0.0; 0.0 ]))
    is "reciprocal" "tiny and huge" [ 4e29; -8e29; 4e-31; 0.0 ] (fun v ->
        reciprocal (matrix v [ [ 5e-31; -1e-30 ]; [ 2.5e30; 0.0 ] ]))
    is "reciprocal" "its largest element negative" [ -4e-31 ] (fun v ->
        (reciprocal (v [ -2.5e30; 1.0 ])).narrow(0L, 0L, 1L))
    is "reciprocal" "finite slopes at 0" [ 0.0; 0.0 ] (fun v ->
        0.0 * grad (fun w -> (reciprocal w).sum()) (v [ 0.0; 0.0 ]))
]

let private derivatives = [
    is "grad" "one element, a point far out" [ 2e15 ] (fun v -> grad (fun x -> x.square().sum()) (v [ 1e15 ]))
    is "grad" "no element" [] (fun v -> grad (fun x -> x.square().sum()) (v []))
    is "grad" "an infinity and NaN" [ infinity; nan ] (fun v ->
        grad (fun x -> (0.5 * x.square ()).sum()) (v [ infinity; nan ]))
    is "grad" "x of no influence" [ 0.0 ] (fun v -> grad (fun _ -> scalar v 3.0) (v [ 1.0 ]))
    is "grad" "nothing recorded" [ 6.0 ] (fun v ->
        use _ = torch.no_grad ()
        grad (fun x -> x.square().sum()) (v [ 3.0 ]))
    raises "grad" "a vector for a scalar" "f" (fun v -> grad (fun x -> x.exp ()) (v [ 1.0; 2.0 ]))
    raises "grad" "whole numbers for real ones" "x" (fun v ->
        grad (fun x -> x.sum ()) ((v [ 1.0 ]).``to`` torch.int64))
    raises "grad" "a whole number for a result" "f" (fun v ->
        grad (fun x -> x.sum().``to`` torch.int64) (v [ 1.0 ]))
    is "diff" "no element" [] (fun v -> diff (fun x -> x.exp ()) (v []))
    is "diff" "a constant" [ 0.0; 0.0 ] (fun v -> diff torch.zeros_like (v [ 1.0; 2.0 ]))
    raises "diff" "a function that changes the shape" "f" (fun v -> diff sumLast (v [ 1.0; 2.0 ]))
    raises "diff" "a function of truth values" "f" (fun v -> diff (fun x -> x.isnan ()) (v [ 1.0; 2.0 ]))
    is "jacobian" "no output" [] (fun v -> jacobian (fun x -> x.narrow (0L, 0L, 0L)) (v [ 1.0; 2.0 ]))
    is "jacobian" "a constant" [ 0.0; 0.0 ] (fun v -> jacobian (fun _ -> v [ 7.0 ]) (v [ 1.0; 2.0 ]))
    raises "jacobian" "a scalar for a vector" "f" (fun v -> jacobian (fun x -> x.sum ()) (v [ 1.0 ]))
    raises "jacobian" "a matrix for a vector" "x" (fun v -> jacobian (fun x -> x) (matrix v [ [ 1.0 ] ]))
    is "hessian" "a constant" [ 0.0 ] (fun v -> hessian (fun _ -> scalar v 7.0) (v [ 1.0 ]))
    is "hessian" "a point far out" [ 2.0 ] (fun v -> hessian (fun x -> x.square().sum()) (v [ 1e15 ]))
    raises "hessian" "a vector for a scalar" "f" (fun v -> hessian (fun x -> x.exp ()) (v [ 1.0; 2.0 ]))
]

let private normals = [
    is "DiagNormal.logProb" "no dimension" [ 0.0 ] (fun v -> DiagNormal.logProb (normal (v []) (v [])) (v []))
    // Precisions beyond the type, of which the squared deviation's product is not.
    is "DiagNormal.logProb" "narrow, at the mean" [ 0.5 * (170.0 - log2Pi); 0.5 * (100.0 - log2Pi) ] (fun v ->
        DiagNormal.logProb
            (normal (matrix v [ [ 7.0 ]; [ 0.0 ] ]) (matrix v [ [ -170.0 ]; [ -100.0 ] ]))
            (matrix v [ [ 7.0 ]; [ 0.0 ] ]))
    is "DiagNormal.logProb" "narrow, one standard deviation off" [ 0.5 * (99.0 - log2Pi) ] (fun v ->
        DiagNormal.logProb (normal (v [ 0.0 ]) (v [ -100.0 ])) (v [ exp -50.0 ]))
    is "DiagNormal.logProb" "wide and far" [ -0.5 * (110.0 + log2Pi + 4e50 / exp 110.0) ] (fun v ->
        DiagNormal.logProb (normal (v [ 1e25 ]) (v [ 110.0 ])) (v [ -1e25 ]))
    is "DiagNormal.logProb" "infinitely wide" [ -infinity ] (fun v ->
        DiagNormal.logProb (normal (v [ 1.0 ]) (v [ infinity ])) (v [ 2.0 ]))
    is "DiagNormal.logProb" "not a number" [ nan ] (fun v ->
        DiagNormal.logProb (normal (v [ 1.0 ]) (v [ 0.0 ])) (v [ nan ]))
    isInDouble "DiagNormal.logProb" "narrower than float32" [ 0.5 * (1400.0 - log2Pi) ] (fun v ->
        DiagNormal.logProb (normal (v [ -1.0 ]) (v [ -1400.0 ])) (v [ -1.0 ]))
    is "DiagNormal.logProb" "the slopes at the mean of a narrow one" [ 0.0; -0.5 ] (fun v ->
        grad
            (fun p -> DiagNormal.logProb (normal (part 0L 1L p) (part 1L 1L p)) (v [ 1.0 ]))
            (v [ 1.0; -100.0 ]))
    raises "DiagNormal.logProb" "a point of one dimension for two" "z" (fun v ->
        DiagNormal.logProb (normal (v [ 1.0; 2.0 ]) (v [ 0.0; 0.0 ])) (v [ 1.0 ]))
    is "DiagNormal.sample" "no variance, and next to none" [ 3.0; 4.0 ] (fun v ->
        DiagNormal.sample (normal (v [ 3.0; 4.0 ]) (v [ -infinity; -200.0 ])) (v [ 5.0; 5.0 ]))
    is "DiagNormal.sample" "wide" [ exp 80.0 ] (fun v ->
        DiagNormal.sample (normal (v [ 3.0 ]) (v [ 160.0 ])) (v [ 1.0 ]))
    raises "DiagNormal.sample" "one number for two dimensions" "eps" (fun v ->
        DiagNormal.sample (normal (v [ 1.0; 2.0 ]) (v [ 0.0; 0.0 ])) (v [ 1.0 ]))
    is
        "DiagNormal.entropy"
        "narrow, wide, none"
        [ 0.5 * (log2Pi + 1.0 - 1e4); 0.5 * (log2Pi + 1.0 + 1e4); -infinity ]
        (fun v ->
            DiagNormal.entropy (
                normal
                    (matrix v [ [ 0.0 ]; [ 0.0 ]; [ 0.0 ] ])
                    (matrix v [ [ -1e4 ]; [ 1e4 ]; [ -infinity ] ])
            ))
    raises "DiagNormal.entropy" "one log-variance for two dimensions" "p" (fun v ->
        DiagNormal.entropy (normal (v [ 1.0; 2.0 ]) (v [ 0.0 ])))
    is "DiagNormal.standardLike" "like what is not a number" [ 0.0; 0.0 ] (fun v ->
        (let p = DiagNormal.standardLike (v [ nan ]) in torch.cat [| p.Mu; p.LogVar |]))
    is "logStandardNormal" "no dimension" [ 0.0 ] (fun v -> logStandardNormal (v []))
    is "logStandardNormal" "tiny, huge, infinite, none" [ -0.5 * log2Pi; -infinity; -infinity; nan ] (fun v ->
        logStandardNormal (matrix v [ [ 1e-200 ]; [ 1e200 ]; [ -infinity ]; [ nan ] ]))
]

let private discrete = [
    is "Bernoulli.logProb" "nearly certain, and as it is" [ 0.0; 0.0; 0.0; 0.0 ] (fun v ->
        Bernoulli.logProb
            { Logits = matrix v [ [ 3e38 ]; [ -3e38 ]; [ 800.0 ]; [ -800.0 ] ] }
            (matrix v [ [ 1.0 ]; [ 0.0 ]; [ 1.0 ]; [ 0.0 ] ]))
    is "Bernoulli.logProb" "nearly certain, and otherwise" [ -800.0; -800.0; -1.5e38 ] (fun v ->
        Bernoulli.logProb
            { Logits = matrix v [ [ -800.0 ]; [ 800.0 ]; [ 3e38 ] ] }
            (matrix v [ [ 1.0 ]; [ 0.0 ]; [ 0.5 ] ]))
    is "Bernoulli.logProb" "not a number" [ nan; nan ] (fun v ->
        Bernoulli.logProb { Logits = matrix v [ [ nan ]; [ 1.0 ] ] } (matrix v [ [ 1.0 ]; [ nan ] ]))
    is "Bernoulli.logProb" "the slopes of large logits" [ 0.0; 1.0; 0.0; -1.0 ] (fun v ->
        grad
            (fun l -> Bernoulli.logProb { Logits = l } (v [ 1.0; 1.0; 0.0; 0.0 ]))
            (v [ 800.0; -800.0; -800.0; 800.0 ]))
    is "Bernoulli.logProb" "no variable" [ 0.0 ] (fun v -> Bernoulli.logProb { Logits = v [] } (v []))
    raises "Bernoulli.logProb" "one outcome for two variables" "x" (fun v ->
        Bernoulli.logProb { Logits = v [ 1.0; 2.0 ] } (v [ 1.0 ]))
    is "Bernoulli.mean" "large, infinite, none" [ 0.0; 1.0; 0.0; 1.0; nan ] (fun v ->
        Bernoulli.mean { Logits = v [ -800.0; 800.0; -infinity; infinity; nan ] })
    is
        "Bernoulli.sample"
        "certain, at both ends of u; not a number"
        [ 0.0; 1.0; 0.0; 1.0; nan; nan ]
        (fun v ->
            Bernoulli.sample
                { Logits = v [ -infinity; infinity; -800.0; 800.0; nan; 0.0 ] }
                (v [ 0.0; 0.999999; 0.999999; 0.0; 0.5; nan ]))
    raises "Bernoulli.sample" "one u for two variables" "u" (fun v ->
        Bernoulli.sample { Logits = v [ 1.0; 2.0 ] } (v [ 0.5 ]))
    is "Categorical.logProb" "certain, impossible, far apart" [ 0.0; -infinity; -2e4 ] (fun v ->
        Categorical.logProb
            {
                Logits = (matrix v [ [ 3.0; -infinity ]; [ 3.0; -infinity ]; [ 1e4; -1e4 ] ]).unsqueeze 1L
            }
            ((torch.tensor [| 0L; 1L; 1L |]).unsqueeze 1L))
    is "Categorical.logProb" "one value; no variable" [ 0.0; 0.0 ] (fun v ->
        torch.stack [|
            Categorical.logProb { Logits = matrix v [ [ 7.0 ] ] } (torch.tensor [| 0L |])
            Categorical.logProb { Logits = empty v [ 0L; 3L ] } ((torch.tensor [| 0L |]).narrow(0L, 0L, 0L))
        |])
    raises "Categorical.logProb" "one outcome for two variables" "x" (fun v ->
        Categorical.logProb { Logits = matrix v [ [ 1.0; 2.0 ]; [ 3.0; 4.0 ] ] } (torch.tensor [| 0L |]))
    is "Categorical.mean" "one value, certain, not a number" [ 0.0; 1.0; nan ] (fun v ->
        torch.cat [|
            Categorical.mean { Logits = matrix v [ [ 7.0 ] ] }
            Categorical.mean { Logits = matrix v [ [ -infinity; 0.0 ]; [ nan; 0.0 ] ] }
        |])
    // Impossible values at both ends are never drawn; what is not a number draws no value.
    is "Categorical.sample" "impossible values, u at both ends" [ 1.0; 2.0; 4.0; 4.0 ] (fun v ->
        Categorical.sample
            {
                Logits =
                    matrix v [
                        [ -infinity; 0.0; 5.0; -infinity ]
                        [ -infinity; 0.0; 5.0; -infinity ]
                        [ nan; 0.0; 0.0; 0.0 ]
                        [ 0.0; 0.0; 0.0; 0.0 ]
                    ]
            }
            (v [ 0.0; 0.999999; 0.5; nan ]))
    is "Categorical.sample" "one value" [ 0.0 ] (fun v ->
        Categorical.sample { Logits = matrix v [ [ -900.0 ] ] } (v [ 0.999999 ]))
    raises "Categorical.sample" "one u for two variables" "u" (fun v ->
        Categorical.sample { Logits = matrix v [ [ 1.0; 2.0 ]; [ 3.0; 4.0 ] ] } (v [ 0.5 ]))
]

let private two (v: Make) = normal (matrix v [ [ 0.0 ]; [ 4.0 ] ]) (matrix v [ [ 0.0 ]; [ 0.0 ] ])

let private mixtures = [
    is "Mixture.logProb" "a weight of 0" [ -0.5 * (log2Pi + 1.0) ] (fun v ->
        Mixture.logProb { Logits = v [ 3.0; -infinity ]; Components = two v } (v [ 1.0 ]))
    is "Mixture.logProb" "far from all components" [ log 0.5 - 0.5 * (log2Pi + 996.0 ** 2.0) ] (fun v ->
        Mixture.logProb { Logits = v [ 0.0; 0.0 ]; Components = two v } (v [ 1000.0 ]))
    is "Mixture.logProb" "log-weights far from 0" [ -0.5 * (log2Pi + 4.0) + log 2.0 ] (fun v ->
        Mixture.logProb { Logits = v [ 1e5; 1e5 ]; Components = two v } (v [ 2.0 ]) + log 2.0)
    raises "Mixture.logProb" "one log-weight for two components" "m" (fun v ->
        Mixture.logProb { Logits = v [ 0.0 ]; Components = two v } (v [ 1.0 ]))
    raises "Mixture.logProb" "no component" "m" (fun v ->
        let none = normal (empty v [ 0L; 1L ]) (empty v [ 0L; 1L ])
        Mixture.logProb { Logits = v []; Components = none } (v [ 1.0 ]))
    is "Mixture.sample" "a weight of 0" [ 4.5 ] (fun v ->
        Mixture.sample
            { Logits = v [ -infinity; 3.0 ]; Components = two v }
            (v [ 0.0 ])
            (matrix v [ [ 0.5 ] ]))
    raises "Mixture.sample" "one choice for two samples" "u" (fun v ->
        Mixture.sample
            { Logits = v [ 0.0; 0.0 ]; Components = two v }
            (v [ 0.5 ])
            (matrix v [ [ 0.5 ]; [ 1.0 ] ]))
    raises "Mixture.sample" "one log-weight for two components" "m" (fun v ->
        Mixture.sample { Logits = v [ 0.0 ]; Components = two v } (v [ 0.5 ]) (matrix v [ [ 0.5 ] ]))
    raises "Mixture.sample" "a choice without example for samples of examples" "u" (fun v ->
        Mixture.sample
            { Logits = v [ 0.0; 0.0 ]; Components = two v }
            (scalar v 0.5)
            ((matrix v [ [ 0.5 ] ]).unsqueeze 0L))
    // The difference of 1 is 3e6 standard deviations: of its square, 1e13, an expanded form keeps three digits.
    is
        "pairwiseLogProb"
        "narrow and far from 0"
        [ 0.5 * (30.0 - log2Pi); 0.5 * (30.0 - log2Pi - exp 30.0) ]
        (fun v ->
            pairwiseLogProb
                (normal (matrix v [ [ 100.0 ]; [ 101.0 ] ]) (matrix v [ [ -30.0 ]; [ -30.0 ] ]))
                (matrix v [ [ 100.0 ] ])
            |> fun pairs -> pairs.reshape -1L)
    is "pairwiseLogProb" "no point" [] (fun v -> pairwiseLogProb (two v) (empty v [ 0L; 1L ]))
    is "pairwiseLogProb" "no dimension" [ 0.0; 0.0 ] (fun v ->
        pairwiseLogProb (normal (empty v [ 1L; 0L ]) (empty v [ 1L; 0L ])) (empty v [ 2L; 0L ]))
    is "pairwiseLogProb" "not a number" [ nan; nan ] (fun v -> pairwiseLogProb (two v) (matrix v [ [ nan ] ]))
    raises "pairwiseLogProb" "points of one dimension for two" "z" (fun v ->
        pairwiseLogProb
            (normal (matrix v [ [ 1.0; 2.0 ] ]) (matrix v [ [ 0.0; 0.0 ] ]))
            (matrix v [ [ 1.0 ] ]))
]

let private divergences = [
    is "klDiagNormal" "of itself" [ 0.0 ] (fun v ->
        (let q = normal (v [ 1e20; 3.0 ]) (v [ 90.0; -90.0 ]) in klDiagNormal q q))
    is "klDiagNormal" "far and wide" [ 0.5 * (4e50 / exp 110.0) ] (fun v ->
        klDiagNormal (normal (v [ 1e25 ]) (v [ 110.0 ])) (normal (v [ -1e25 ]) (v [ 110.0 ])))
    is
        "klDiagNormal"
        "beside a narrow one, and the narrow one"
        [ 0.5 * (exp 170.0 - 171.0); 0.5 * (exp -120.0 - 1.0 + 120.0) ]
        (fun v ->
            torch.stack [|
                klDiagNormal (normal (v [ 0.0 ]) (v [ 0.0 ])) (normal (v [ 0.0 ]) (v [ -170.0 ]))
                klDiagNormal (normal (v [ 0.0 ]) (v [ -120.0 ])) (normal (v [ 0.0 ]) (v [ 0.0 ]))
            |])
    is "klDiagNormal" "a point" [ infinity ] (fun v ->
        klDiagNormal (normal (v [ 0.0 ]) (v [ -infinity ])) (normal (v [ 0.0 ]) (v [ 0.0 ])))
    raises "klDiagNormal" "one dimension for two" "p" (fun v ->
        klDiagNormal (normal (v [ 1.0; 2.0 ]) (v [ 0.0; 0.0 ])) (normal (v [ 1.0 ]) (v [ 0.0 ])))
    is
        "klStandardPerDimension"
        "a point, too wide, far, not a number"
        [ infinity; infinity; infinity; nan ]
        (fun v ->
            klStandardPerDimension (normal (v [ 0.0; 0.0; 1e200; nan ]) (v [ -infinity; 800.0; 0.0; 0.0 ])))
    // l^2/4, of which the exponential of 1e-4 less 1 would keep four digits in float32.
    isWithin 1e-11 "klStandardPerDimension" "close" [ 2.5e-9; 2.5e-9 ] (fun v ->
        klStandardPerDimension (normal (v [ 0.0; 0.0 ]) (v [ 1e-4; -1e-4 ])))
    is "klStandard" "no dimension" [ 0.0 ] (fun v -> klStandard (normal (v []) (v [])))
    is
        "klStandard"
        "a narrow and a wide dimension"
        [ 0.5 * (exp -85.0 - 1.0 + 85.0 + exp 85.0 - 1.0 - 85.0) ]
        (fun v -> klStandard (normal (v [ 0.0; 0.0 ]) (v [ -85.0; 85.0 ])))
    is "klMonteCarlo" "one sample; one that p has not" [ 1.5; infinity ] (fun v ->
        klMonteCarlo (matrix v [ [ 1.0; 1.0 ] ]) (matrix v [ [ -0.5; -infinity ] ]))
    raises "klMonteCarlo" "no sample" "logQ" (fun v -> klMonteCarlo (empty v [ 0L; 2L ]) (empty v [ 0L; 2L ]))
    raises "klMonteCarlo" "other shapes" "logP" (fun v ->
        klMonteCarlo (matrix v [ [ 1.0; 1.0 ] ]) (v [ 1.0; 1.0 ]))
]

let private bounds = [
    is "elboJoint" "one sample; one of density 0" [ 1.5; -infinity ] (fun v ->
        elboJoint (matrix v [ [ 1.0; -infinity ] ]) (matrix v [ [ -0.5; 0.0 ] ]))
    raises "elboJoint" "no sample" "logJoint" (fun v -> elboJoint (empty v [ 0L; 2L ]) (empty v [ 0L; 2L ]))
    raises "elboJoint" "one sample of two" "logQ" (fun v ->
        elboJoint (matrix v [ [ 1.0 ]; [ 2.0 ] ]) (matrix v [ [ 1.0 ] ]))
    is "elboKl" "an infinite divergence" [ -infinity ] (fun v ->
        elboKl (matrix v [ [ 1.0 ] ]) (v [ infinity ]))
    raises "elboKl" "no sample" "logLikelihood" (fun v -> elboKl (empty v [ 0L; 1L ]) (v [ 1.0 ]))
    raises "elboKl" "one divergence for two examples" "kl" (fun v ->
        elboKl (matrix v [ [ 1.0; 2.0 ] ]) (v [ 1.0 ]))
    is "elboGap" "no example" [] (fun v -> elboGap (v []) (v []))
    raises "elboGap" "one gap for two examples" "klToPosterior" (fun v ->
        elboGap (v [ 1.0; 2.0 ]) (v [ 1.0 ]))
    is "importanceWeightedBound" "weights of 0; far from 1" [ -infinity; 1e4 - log 2.0; -1e4 ] (fun v ->
        importanceWeightedBound (matrix v [ [ -infinity; -1e4; -1e4 ]; [ -infinity; 1e4; -1e4 ] ]))
    raises "importanceWeightedBound" "no sample" "logWeights" (fun v ->
        importanceWeightedBound (empty v [ 0L; 2L ]))
    is "logLikelihoodImportance" "one sample, weights of 0" [ -infinity; 2.0 ] (fun v ->
        logLikelihoodImportance (matrix v [ [ -infinity; 3.0 ] ]) (matrix v [ [ 0.0; 1.0 ] ]))
    raises "logLikelihoodImportance" "no sample" "logJoint" (fun v ->
        logLikelihoodImportance (empty v [ 0L; 2L ]) (empty v [ 0L; 2L ]))
    raises "logLikelihoodImportance" "one density of two" "logQ" (fun v ->
        logLikelihoodImportance (matrix v [ [ 1.0 ]; [ 2.0 ] ]) (matrix v [ [ 1.0 ] ]))
    is "logLikelihoodPrior" "all but one sample impossible" [ -1e4 - log 2.0 ] (fun v ->
        logLikelihoodPrior (matrix v [ [ -1e4 ]; [ -infinity ] ]))
    raises "logLikelihoodPrior" "no sample" "logLikelihood" (fun v -> logLikelihoodPrior (empty v [ 0L; 2L ]))
    is "scoreGradient" "no noise, infinite values" [ 0.0; infinity ] (fun v ->
        scoreGradient (fun x -> 1.0 / (x - 1.0).abs()) (scalar v 0.0) (v [ 0.0; 1.0 ]))
    raises "scoreGradient" "a sum for values" "f" (fun v ->
        scoreGradient sumLast (scalar v 0.0) (v [ 0.0; 1.0 ]))
    is "pathwiseGradient" "noise on one side" [ 3.0 * 0.75 ** 2.0; 3.0 * 2.25 ** 2.0 ] (fun v ->
        pathwiseGradient (fun x -> x * x.square ()) (scalar v 0.25) (v [ 0.5; 2.0 ]))
    is "pathwiseGradient" "a constant" [ 0.0; 0.0 ] (fun v ->
        pathwiseGradient torch.ones_like (scalar v 0.0) (v [ 0.0; 1.0 ]))
    raises "pathwiseGradient" "a sum for values" "f" (fun v ->
        pathwiseGradient sumLast (scalar v 0.0) (v [ 0.0; 1.0 ]))
    is "scoreVarianceOfSquare" "0, huge, not a number" [ 15.0; infinity; nan ] (fun v ->
        v [ for theta in [ 0.0; 1e100; nan ] -> scoreVarianceOfSquare theta 1 ])
    raises "scoreVarianceOfSquare" "no estimate" "n" (fun _ -> scoreVarianceOfSquare 1.0 0)
    is "pathwiseVarianceOfSquare" "as many as there are" [ 4.0 / 2147483647.0 ] (fun v ->
        v [ pathwiseVarianceOfSquare Int32.MaxValue ])
    raises "pathwiseVarianceOfSquare" "no estimate" "n" (fun _ -> pathwiseVarianceOfSquare 0)
]

let private tables = [
    is "jointSpaceForms" "one x and one z" [ 0.0; 0.0; 0.0 ] (fun v ->
        let one = matrix v [ [ 1.0 ] ]
        let a, b, c = jointSpaceForms (v [ 1.0 ]) one one
        torch.stack [| a; b; c |])
    // q(x,z) is 1/2 at (0,0) and (1,1), p(x,z) 1/4 at these and (2,0), (0,1): the divergence is log 2.
    isWithin 1e-7 "jointSpaceForms" "probabilities of 0" [ -(log 2.0); -(log 2.0); -(log 2.0) ] (fun v ->
        let posterior = matrix v [ [ 1.0; 0.0 ]; [ 0.0; 1.0 ]; [ 0.5; 0.5 ] ]
        let joint = matrix v [ [ 0.25; 0.25 ]; [ 0.0; 0.25 ]; [ 0.25; 0.0 ] ]
        let a, b, c = jointSpaceForms (v [ 0.5; 0.5; 0.0 ]) posterior joint
        torch.stack [| a; b; c |])
    is "jointSpaceForms" "what the model has not" [ -infinity; -infinity; -infinity ] (fun v ->
        let posterior, joint = matrix v [ [ 0.5; 0.5 ] ], matrix v [ [ 1.0; 0.0 ] ]
        let a, b, c = jointSpaceForms (v [ 1.0 ]) posterior joint
        torch.stack [| a; b; c |])
    raises "jointSpaceForms" "data of another size" "pData" (fun v ->
        (let one = matrix v [ [ 0.5; 0.5 ]; [ 0.5; 0.5 ] ] in jointSpaceForms (v [ 1.0 ]) one (0.5 * one)))
    raises "jointSpaceForms" "a table of another size" "joint" (fun v ->
        jointSpaceForms (v [ 1.0 ]) (matrix v [ [ 0.5; 0.5 ] ]) (matrix v [ [ 1.0 ] ]))
]

/// W = a b' of rank one with |a| = |b| = 5, in two data dimensions.
let private rankOne (v: Make) (sigma: float) : LinearGaussian = {
    W = matrix v [ [ 9.0; 12.0 ]; [ 12.0; 16.0 ] ]
    Offset = v [ 0.0; 0.0 ]
    Sigma = sigma
}

/// log N(x; 0, W W' + sigma^2 I) at x = 2 a, which has length 10 along the one direction of variance 625 + sigma^2.
let private rankOneEvidence sigma =
    -0.5
    * (100.0 / (625.0 + sigma ** 2.0)
       + log (625.0 + sigma ** 2.0)
       + 2.0 * log sigma
       + 2.0 * log2Pi)

let private wide (v: Make) : LinearGaussian = {
    W = matrix v [ [ 3.0; 4.0 ] ]
    Offset = v [ 1.0 ]
    Sigma = 1e-7
}

let private linear = [
    isInDouble "LinearGaussian.logEvidence" "rank one and nearly no noise" [ rankOneEvidence 1e-7 ] (fun v ->
        LinearGaussian.logEvidence (rankOne v 1e-7) (matrix v [ [ 6.0; 8.0 ] ]))
    is "LinearGaussian.logEvidence" "rank one and much noise" [ rankOneEvidence 1e10 ] (fun v ->
        LinearGaussian.logEvidence (rankOne v 1e10) (matrix v [ [ 6.0; 8.0 ] ]))
    isInDouble
        "LinearGaussian.logEvidence"
        "more latents than data"
        [ -0.5 * (4.0 / 25.0 + log 25.0 + log2Pi) ]
        (fun v -> LinearGaussian.logEvidence (wide v) (matrix v [ [ 3.0 ] ]))
    raises "LinearGaussian.logEvidence" "no noise" "m" (fun v ->
        LinearGaussian.logEvidence (rankOne v 0.0) (matrix v [ [ 6.0; 8.0 ] ]))
    raises "LinearGaussian.logEvidence" "one dimension for two" "x" (fun v ->
        LinearGaussian.logEvidence (rankOne v 1.0) (matrix v [ [ 6.0 ] ]))
    // Along b/5 = (0.6, 0.8) the mean is |W x|/(625 + sigma^2) = 250/625 and the variance 0; across, the prior's.
    isWithin
        1e-15
        "LinearGaussian.posterior"
        "rank one and nearly no noise"
        [ 0.24; 0.32; 0.64; -0.48; -0.48; 0.36 ]
        (fun v ->
            let m = rankOne v 1e-7
            let m = { m with W = m.W.double (); Offset = m.Offset.double () }
            let mean, covariance = LinearGaussian.posterior m ((matrix v [ [ 6.0; 8.0 ] ]).double())
            torch.cat [| mean.flatten (); covariance.flatten () |])
    // The variance sigma^2/(W W' + sigma^2) keeps its digits where 1 - W W'/(W W' + sigma^2) would have none.
    isInDouble "LinearGaussian.posterior" "a variance near 0" [ 2.0; 1e-20 ] (fun v ->
        let m = { W = matrix v [ [ 1.0 ] ]; Offset = v [ 0.0 ]; Sigma = 1e-10 }
        let mean, covariance = LinearGaussian.posterior m (matrix v [ [ 2.0 ] ])
        torch.cat [| mean.flatten (); covariance.flatten () |])
    raises "LinearGaussian.posterior" "negative noise" "m" (fun v ->
        LinearGaussian.posterior (rankOne v -1.0) (matrix v [ [ 6.0; 8.0 ] ]))
    raises "LinearGaussian.posterior" "one dimension for two" "x" (fun v ->
        LinearGaussian.posterior (rankOne v 1.0) (matrix v [ [ 6.0 ] ]))
    // At the mean, with standard deviations 1 across and sigma/25 along b.
    isInDouble
        "LinearGaussian.logPosterior"
        "rank one and nearly no noise"
        [ -log2Pi - log (1e-7 / 25.0) ]
        (fun v ->
            LinearGaussian.logPosterior
                (rankOne v 1e-7)
                (matrix v [ [ 0.0; 0.0 ] ])
                (matrix v [ [ 0.0; 0.0 ] ]))
    raises "LinearGaussian.logPosterior" "infinite noise" "m" (fun v ->
        LinearGaussian.logPosterior
            (rankOne v infinity)
            (matrix v [ [ 6.0; 8.0 ] ])
            (matrix v [ [ 0.0; 0.0 ] ]))
    raises "LinearGaussian.logPosterior" "one latent for two" "z" (fun v ->
        LinearGaussian.logPosterior (rankOne v 1.0) (matrix v [ [ 6.0; 8.0 ] ]) (matrix v [ [ 0.0 ] ]))
    is "LinearGaussian.logLikelihood" "nearly no noise, at the mean" [ -log2Pi - 2.0 * log 1e-30 ] (fun v ->
        LinearGaussian.logLikelihood
            (rankOne v 1e-30)
            (matrix v [ [ 0.0; 0.0 ] ])
            (matrix v [ [ 0.0; 0.0 ] ]))
    raises "LinearGaussian.logLikelihood" "no noise" "m" (fun v ->
        LinearGaussian.logLikelihood (rankOne v 0.0) (matrix v [ [ 6.0; 8.0 ] ]) (matrix v [ [ 0.0; 0.0 ] ]))
    raises "LinearGaussian.logLikelihood" "one dimension for two" "x" (fun v ->
        LinearGaussian.logLikelihood (rankOne v 1.0) (matrix v [ [ 6.0 ] ]) (matrix v [ [ 0.0; 0.0 ] ]))
]

let cases: Case list =
    List.concat [
        vocabulary
        derivatives
        normals
        discrete
        mixtures
        divergences
        bounds
        tables
        linear
    ]
