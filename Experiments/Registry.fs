/// Every row of the contents table: what the report must answer, and by what.
module Research.Experiments.Registry

open Research.Report

/// What computes the rows that are not answered in the text alone.
let experiments: Experiment list = [
    Hw.DigitsVae.experiment
    Hw.DigitsBeta.experiment
    Hw.DigitsConditional.experiment
    yield! Hw.DigitsPriorReport.experiments
    Hw.InfoVae.experiment
    Nora.FewLabels.experiment
    yield! Ift.BinarizedMnist.experiments
    Ift.FlowPosterior.experiment
    Ift.PlanarLayer.experiment
    Ift.PlanarCost.experiment
    Ift.PlanarSamples.experiment
    Ift.PlanarDensities.experiment
    Ift.DiracGan.experiment
    Cs.Mnist.experiment
    Nora.GradientVariance.experiment
    Nora.Generation.experiment
    Nora.Collapse.experiment
    Nora.Surgery.experiment
    Uva.Autoencoder.experiment
    Uva.FloatingPoint.experiment
    Ift.Cifar.experiment
    Cs.GanLosses.experiment
    Cs.FashionMnist.experiment
    Uva.Likelihood.experiment
    Uva.Gap.experiment
]

/// How a row is answered.
type Answer =
    /// In the text alone.
    | Derived
    | Computed of Experiment

type Row = { Id: string; Source: string; Question: string; Answer: Answer }

let private text id source question = { Id = id; Source = source; Question = question; Answer = Derived }

let private run id source question = {
    Id = id
    Source = source
    Question = question
    Answer = experiments |> List.find (fun e -> e.Row = id) |> Computed
}

let rows: Row list = [
    text "hw1.1" "HW Q1" "The ELBO is a lower bound"
    text "hw1.2" "HW Q1" "Its three equal forms"
    text "hw1.3" "HW Q1" "Stochastic gradients for diagonal Gaussians"
    text "hw1.4" "HW Q1" "The joint-space form"
    text "hw1.5" "HW Q1" "Its equality with the data and latent forms"
    text "hw2.1" "HW Q2" "The planar log-determinant"
    text "hw2.2" "HW Q2" "The ELBO of a flow posterior"
    text "hw2.3" "HW Q2" "How both sets of parameters are optimised"
    text "hw2.4" "HW Q2" "Inverse autoregressive flow"
    text "hw3.1" "HW Q3" "The ELBO in three terms"
    text "hw3.2" "HW Q3" "The optimal prior"
    text "hw3.3" "HW Q3" "Back-propagation through a VampPrior"
    text "hw3.4" "HW Q3" "The number of pseudo-inputs"
    text "hw3.5" "HW Q3" "A mixture of Gaussians as prior"
    text "hw3.6" "HW Q3" "The prior in the encoder's gradient"
    text "hw4.1" "HW Q4" "Posterior collapse and its cause"
    run "hw4.2" "HW Q4" "InfoVAE: why, and its cost"
    text "hw4.3" "HW Q4" "The rewritten objective"
    text "hw4.4" "HW Q4" "A discriminator that estimates the marginal divergence"
    run "hw5.1" "HW Q5" "A VAE on digits"
    run "hw5.2" "HW Q5" "The weight of the divergence"
    run "hw5.3" "HW Q5" "A conditional generator"
    run "hw5.4" "HW Q5" "Learned priors: mixture and VampPrior"
    run "hw5.5" "HW Q5" "A flow as the prior"
    run "uva1.1" "UVA" "Autoencoder against VAE"
    text "uva1.2" "UVA" "Ancestral sampling"
    text "uva1.3" "UVA" "Why a simple prior is not restrictive"
    run "uva1.4" "UVA" "Monte-Carlo against importance sampling"
    run "uva1.5" "UVA" "Two divergences in floating point"
    run "uva1.6" "UVA" "The gap of the bound"
    text "uva1.7" "UVA" "What the gap is"
    text "uva1.8" "UVA" "What pushes the bound up"
    run "ift1" "IFT P1.1" "VAE on binarized MNIST"
    run "ift2" "IFT P1.2" "log p(x) by importance sampling"
    run "ift3" "IFT P2.1" "Twenty Dirac-GAN configurations"
    run "ift4" "IFT P2.7" "Five CIFAR-10 GANs"
    run "ift5" "IFT P3.1" "One planar layer"
    run "ift6" "IFT P3.2-3.3" "The matrix determinant lemma"
    run "ift7" "IFT P3.4" "Planar flows fitted to samples"
    run "ift8" "IFT P3.5" "Planar flows fitted to densities"
    run "ift9" "IFT P3.6" "VAE with a flow posterior"
    run "cs1" "CS P1" "VAE on MNIST"
    run "cs2.1" "CS P2.1" "The saturating generator loss"
    run "cs2.2" "CS P2.2" "Non-saturating GAN on Fashion-MNIST"
    text "nora1" "NORA" "The ELBO's terms in closed form"
    run "nora2" "NORA" "Generation and interpolation"
    run "nora3" "NORA" "Variance of two gradient estimators"
    run "nora4" "NORA" "Mutual information and collapse"
    run "nora5" "NORA" "ELBO surgery"
    run "nora6" "NORA" "Semi-supervised learning with few labels"
]

/// The rows whose runs take longest. They start first where no earlier run tells how long each takes: started last,
/// they would leave the other cores idle.
let longest = [ "ift1"; "ift9"; "cs2.2"; "ift4"; "nora6"; "cs1" ]

/// Values of the sources that the replication table must compare in a profile, by the ids of their claims.
let claims (profile: Profile) : string list = [
    "hw5.1.elbo"
    "hw5.1.certified"
    "hw5.2.beta10.kl"
    "hw5.2.beta10.active"
    "hw5.2.beta0.kl"
    "hw5.3.agreement"
    "hw5.3.aggregated"
    "hw5.3.ofclass"
    for latent in Hw.DigitsPriors.dimensions do
        $"hw5.4.mog1.l{latent}"
    "uva1.5.small"
    "uva1.5.big"
    "ift1.elbo"
    "ift2.logp"
    "ift2.certified"
    for configuration in [ "jsd-1"; "jsd-2"; "jsd-3"; "w1-2"; "w1-3" ] do
        $"ift4.{configuration}.is"
        $"ift4.{configuration}.fid"
    for target in [ "arcs"; "sine" ] do
        for layers in [ 2; 8; 32 ] do
            $"ift7.{target}.k{layers}"
    "cs1.nelbo"
    "cs1.kl"
    "cs1.rec"
    "cs1.certified"
    "nora3.ratio"
    "nora6.error100"
    if profile = Paper then
        "nora6.error600"
        "nora6.error1000"
    "nora6.gain100"
]

/// What is wrong with the claims of a report: each must be made once by a row that ran, and no others.
let claimFaults (profile: Profile) (report: Report) : string list =
    let made = report.Sections |> List.collect _.Claims |> List.map _.Id

    let due =
        claims profile
        |> List.filter (fun id ->
            report.Sections
            |> List.exists (fun section -> Research.Report.Paper.belongsTo section.Row id))

    [
        for id in List.except made due do
            $"the replication table lacks the claim '{id}'"
        for id in List.except (claims profile) made do
            $"the claim '{id}' is not in the list of claims (Registry.fs)"
        for id, count in List.countBy id made do
            if count > 1 then
                $"the claim '{id}' is made {count} times"
    ]
