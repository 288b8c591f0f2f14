/// nora5: the ELBO cut in three, reconstruction, mutual information of index and code, and marginal divergence, on
/// training and test images of two VAEs. Run it: `./reproduce --only nora5`.
module Research.Experiments.Nora.Surgery

open TorchSharp
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Hw
open Research.Experiments.Ift

/// A trained model, a part of its data, and how many images of it are taken; the aggregated posterior costs their square.
type private Case = {
    Name: string
    Title: string
    Part: string
    Images: Plan -> Tensor
    Limit: Profile -> int
    Trainings: Plan -> Trained list
}

let private binarized = DataSetId.BinarizedMnist

/// As many models of the digits as there are of the other set.
let private digits (plan: Plan) = Digits.plainTrainings plan |> List.truncate plan.Seeds.Length

let private cases = [
    for name, title, set, trainings, limit in
        [
            "digits", "digits", Digits.set, digits, (fun _ -> System.Int32.MaxValue)
            "mnist", "MNIST", binarized, BinarizedMnist.trainings, (fun p -> Profile.pick p 256 2000 10_000)
        ] do
        for part, images in [ "train", (fun (plan: Plan) -> plan.Train set); "test", (fun plan -> plan.Test set) ] ->
            {
                Name = $"{name}.{part}"
                Title = $"{title}, {part}"
                Part = part
                Images = images
                Limit = limit
                Trainings = trainings
            }
]

/// E log p(x|z) at one sample of each encoding, in blocks. `x: [N,D]`, `z: [N,L]`.
let private meanLogLikelihood (model: LatentModel) (x: Tensor) (z: Tensor) =
    let sums =
        blockwise 1000L (x.size 0) (fun _ first rows ->
            let logP = model.LogLikelihood (x.narrow (0L, first, rows)) (z.narrow (0L, first, rows))
            logP.double().sum().ToDouble())
    Array.sum sums / float (x.size 0)

/// The terms of the surgery from one draw of each posterior; `elbo` with the divergence in closed form instead, and
/// `error`, the standard error of the difference.
let private surgery (model: LatentModel) (x: Tensor) (noise: Noise) =
    let q = (model.Encode x).Base
    let z = DiagNormal.sample q (noise.Normal("surgery", 0L, q.Mu.shape, device = x.device))
    let parts = Evaluation.surgery model q noise
    let reconstruction = meanLogLikelihood model x z
    let closed = (klStandard q).double()
    let sampled = (DiagNormal.logProb q z - model.Prior.LogProb z).double()

    [
        "reconstruction", reconstruction
        "information", parts.MutualInformation
        "marginal", parts.MarginalKl
        "sum", reconstruction - parts.MutualInformation - parts.MarginalKl
        "elbo", reconstruction - closed.mean().ToDouble()
        "error", ((sampled - closed).std()).ToDouble() / sqrt (float (x.size 0))
        "limit", parts.Limit
    ]

let private request (plan: Plan) (case: Case) (trained: Trained) : RunRequest =
    let limit = case.Limit plan.Profile
    let configuration = [ "part", case.Part; "images", string limit ]
    VaeTraining.measure plan $"nora5.{case.Name}.seed{trained.Seed}" configuration trained (fun context built ->
        surgery (built.Model()) (Rows.sample (case.Images plan) limit) context.Noise)

let private runs (plan: Plan) =
    cases |> List.collect (fun case -> case.Trainings plan |> VaeTraining.withEach (request plan case))

let private each (results: Results) name case =
    case.Trainings results.Plan |> List.map (request results.Plan case >> results.Value name)

/// N, of which the measurement keeps the logarithm.
let private images (results: Results) case : float = (each results "limit" case).Head |> exp |> round

/// A term a row: with their errors they are too wide for columns.
let private table (results: Results) =
    [
        "reconstruction", "$\\E_q\\log p(x|z)$"
        "information", "$I(n;z)$"
        "marginal", "$\\mathrm{KL}(q(z)\\|p(z))$"
        "sum", "Sum"
        "elbo", "ELBO"
        "error", "standard error of the difference"
        "limit", "$\\log N$"
        "images", "$N$"
    ]
    |> Table.over
        "nora5.table"
        "ELBO surgery on digits and binarized MNIST: the sum is the first term minus the next two, each from the same draw of every posterior; the ELBO has its divergence in closed form instead (nats per image)."
        [
            Column.text "" snd
            for case in cases do
                Column.right case.Title (fun (name, _) ->
                    // The number of images does not vary.
                    match name with
                    | "images" -> Number(images results case, 0)
                    | "limit" -> Number((each results name case).Head, 2)
                    | "error" -> Seeds.cell 3 (each results name case)
                    | _ -> Seeds.cell 2 (each results name case))
        ]

let private report (results: Results) : Section =
    let plan = results.Plan
    let cut = BinarizedMnist.shortenedBy "epochs on binarized MNIST" plan.Profile
    let of' name case = each results name (cases |> List.find (fun c -> c.Name = case))
    let both set name = of' name $"{set}.train" @ of' name $"{set}.test"
    let room set = List.map2 (-) (both set "limit") (both set "information")
    /// Differences between the sum and the ELBO in standard errors.
    let deviations =
        [ "digits"; "mnist" ]
        |> List.collect (fun set ->
            let deviation sum elbo error = (sum - elbo) / error
            List.map3 deviation (both set "sum") (both set "elbo") (both set "error"))

    {
        Section.empty "nora5" (plan.Origin([ Digits.set; binarized ], plan.Seeds.Length, cut)) with
            Tables = [ table results ]
            Values = [
                Seeds.value "nora5.digits.information" 2 (of' "information" "digits.train")
                let count case = int (images results (cases |> List.find (fun c -> c.Name = case)))
                Value.integer "nora5.digits.images" (count "digits.train")
                Value.integer "nora5.mnist.images" (count "mnist.train")
                Value.integer "nora5.mnist.all" (plan.Data binarized).Train.Count
                Value.number "nora5.digits.limit" 2 (of' "limit" "digits.train").Head
                Seeds.value "nora5.digits.marginal" 2 (of' "marginal" "digits.train")
                Seeds.value "nora5.mnist.marginal" 2 (of' "marginal" "mnist.train")
                Seeds.value "nora5.mnist.marginal.test" 2 (of' "marginal" "mnist.test")
                Value.number "nora5.furthest" 1 (deviations |> List.map abs |> List.max)
            ]
            Guards = [
                Guard.that "nora5.sum" "in every case the sum is within four standard errors of the ELBO"
                |> Guard.every (fun d -> abs d <= 4.0) "deviations" deviations
                Guard.that
                    "nora5.saturates"
                    "on binarized MNIST the information is at least 95 % of log N, for every part and seed"
                |> Guard.holds (List.forall2 (fun r limit -> r <= 0.05 * limit) (room "mnist") (both "mnist" "limit"))
                |> Guard.found [ "log N less information", room "mnist" ]
                Guard.that
                    "nora5.informative"
                    "on digits the information is at least half of log N but short of it by a tenth of a nat or more, for every part and seed"
                |> Guard.holds (
                    List.forall2 (fun r limit -> r >= 0.1 && r <= 0.5 * limit) (room "digits") (both "digits" "limit")
                )
                |> Guard.found [ "log N less information", room "digits" ]
            ]
    }

let experiment = Experiment.row "nora5" runs report
