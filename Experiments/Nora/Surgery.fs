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
    Trainings: Plan -> (VaeRun * RunRequest) list
}

let private digits (plan: Plan) = [ for t in Digits.plainTrainings plan -> t.Run, t.Training ]

let private mnist (plan: Plan) = [
    for training in BinarizedMnist.trainings plan -> BinarizedMnist.vae plan.Profile, training
]

let private case name title trainings limit part images = {
    Name = $"{name}.{part}"
    Title = $"{title}, {part}"
    Part = part
    Images = images
    Limit = limit
    Trainings = trainings
}

let private cases =
    let everything _ = System.Int32.MaxValue
    let some profile = Profile.pick profile 256 2000 10_000
    let binarized = DataSetId.BinarizedMnist
    let ofDigits = case "digits" "digits" digits everything
    let ofMnist = case "mnist" "MNIST" mnist some

    [
        ofDigits "train" (fun plan -> plan.Train Digits.set)
        ofDigits "test" (fun plan -> plan.Test Digits.set)
        ofMnist "train" (fun plan -> plan.Train binarized)
        ofMnist "test" (fun plan -> plan.Test binarized)
    ]

/// E log p(x|z) at one sample of each encoding, in blocks. `x: [N,D]`, `z: [N,L]`.
let private meanLogLikelihood (model: LatentModel) (x: Tensor) (z: Tensor) =
    let block = 1000L

    seq {
        for start in 0L .. block .. x.size 0 - 1L do
            use _ = torch.NewDisposeScope()
            let rows = min block (x.size 0 - start)
            let logP = model.LogLikelihood (x.narrow (0L, start, rows)) (z.narrow (0L, start, rows))
            logP.double().sum().ToDouble()
    }
    |> Seq.sum
    |> fun sum -> sum / float (x.size 0)

/// The terms of the surgery from one draw of each posterior; `elbo` with the divergence in closed form instead, and
/// `error`, the standard error of the difference.
let private surgery (model: LatentModel) (x: Tensor) (noise: Noise) =
    let q = (model.Encode x).Base
    let eps = noise.Normal("surgery", 0L, q.Mu.shape, device = x.device)
    let z = DiagNormal.sample q eps
    let parts = elboSurgery q model.Prior.LogProb eps
    let reconstruction = meanLogLikelihood model x z
    let closed = (klStandard q).double()
    let sampled = (DiagNormal.logProb q z - model.Prior.LogProb z).double()
    let error = ((sampled - closed).std()).ToDouble() / sqrt (float (x.size 0))

    [
        "reconstruction", reconstruction
        "information", parts.MutualInformation
        "marginal", parts.MarginalKl
        "sum", reconstruction - parts.MutualInformation - parts.MarginalKl
        "elbo", reconstruction - closed.mean().ToDouble()
        "error", error
        "limit", parts.Limit
    ]

let private request (plan: Plan) (case: Case) (run: VaeRun, training: RunRequest) : RunRequest =
    let limit = case.Limit plan.Profile

    let measure (context: RunContext) (built: BuiltVae) =
        surgery (built.Model()) (VaeRun.sampleOf (case.Images plan) limit) context.Noise

    VaeRun.measurement
        plan
        $"nora5.{case.Name}.seed{training.Key.Seed}"
        [ "part", case.Part; "images", string limit ]
        1
        run
        training
        measure

let private requests (plan: Plan) (case: Case) = case.Trainings plan |> List.map (request plan case)

/// The terms, a row each: with their errors they are too wide for columns.
let private terms = [
    "reconstruction", "$\\E_q\\log p(x|z)$"
    "information", "$I(n;z)$"
    "marginal", "$\\mathrm{KL}(q(z)\\|p(z))$"
    "sum", "Sum"
    "elbo", "ELBO"
    "limit", "$\\log N$"
]

let private report (plan: Plan) (results: Results) : Section =
    let epochs = BinarizedMnist.epochs

    let origin =
        plan.Origin(
            [ Digits.set; DataSetId.BinarizedMnist ],
            plan.Seeds.Length,
            shortened "epochs on binarized MNIST" (epochs plan.Profile) (epochs Paper)
        )

    let each case name = requests plan case |> List.map (fun run -> results.Value name run)

    let cell case name =
        let mean, se = Claim.meanSe (each case name)
        MeanSe(mean, (if name = "limit" then nan else se), 2)

    let find name = cases |> List.find (fun c -> c.Name = name)
    let value id case name = Seeds.value id 2 (each (find case) name)
    let numbers values = values |> List.map (Markup.fixedPoint 2) |> String.concat ", "

    /// Differences between the sum and the ELBO in standard errors.
    let deviations = [
        for case in cases do
            yield!
                List.map3
                    (fun sum elbo error -> (sum - elbo) / error)
                    (each case "sum")
                    (each case "elbo")
                    (each case "error")
    ]

    let limits name = each (find $"{name}.train") "limit" @ each (find $"{name}.test") "limit"

    let room name = List.map2 (-) (each (find name) "limit") (each (find name) "information")
    let mnistRoom = room "mnist.train" @ room "mnist.test"
    let digitsRoom = room "digits.train" @ room "digits.test"

    {
        Row = "nora5"
        Origin = origin
        Figures = []
        Tables = [
            {
                Id = "nora5.table"
                Caption =
                    "ELBO surgery on digits and binarized MNIST: the sum is the first term minus the next two, each from the same draw of every posterior; the ELBO has its divergence in closed form instead (nats per image)."
                Columns = Table.left "" :: [ for case in cases -> Table.right case.Title ]
                Rows = [ for name, title in terms -> Text title :: [ for case in cases -> cell case name ] ]
                Note = ""
            }
        ]
        Values = [
            value "nora5.digits.information" "digits.train" "information"
            Value.number "nora5.digits.limit" 2 (List.head (each (find "digits.train") "limit"))
            value "nora5.digits.marginal" "digits.train" "marginal"
            value "nora5.mnist.marginal" "mnist.train" "marginal"
            value "nora5.mnist.marginal.test" "mnist.test" "marginal"
            Value.number "nora5.furthest" 1 (deviations |> List.map abs |> List.max)
        ]
        Claims = []
        Guards = [
            Guard.check
                origin
                "nora5.sum"
                "in every case the sum is within four standard errors of the ELBO"
                (deviations |> List.forall (fun d -> abs d <= 4.0))
                (numbers deviations)
            Guard.check
                origin
                "nora5.saturates"
                "on binarized MNIST the information is at least 95 % of log N, for every part and seed"
                (List.forall2 (fun r limit -> r <= 0.05 * limit) mnistRoom (limits "mnist"))
                (numbers mnistRoom)
            Guard.check
                origin
                "nora5.informative"
                "on digits the information is at least half of log N but short of it by a tenth of a nat or more, for every part and seed"
                (List.forall2 (fun r limit -> r >= 0.1 && r <= 0.5 * limit) digitsRoom (limits "digits"))
                (numbers digitsRoom)
        ]
    }

let private experiment: Experiment = {
    Row = "nora5"
    Title = "ELBO surgery"
    Runs =
        fun plan -> [
            for case in cases do
                for run, training in case.Trainings plan do
                    training
                    request plan case (run, training)
        ]
    Report = report
    Sample = None
}

let experiments = [ experiment ]
