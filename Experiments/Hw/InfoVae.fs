/// hw4.2: with the same weight on the divergence from the prior the ELBO collapses and InfoVAE does not: digits, five
/// objectives, with mutual information, marginal divergence, active units and the cost of a step.
/// Run it: `./reproduce --only hw4.2`.
module Research.Experiments.Hw.InfoVae

open Research.Report
open Research.Experiments
open Research.Experiments.Hw.Digits
open Research.Experiments.Hw.InfoVaeRuns

let private report (plan: Plan) (results: Results) : Section =
    let images = (plan.Data set).Train.Count
    let limit = log (float images)
    let cut = shortened "epochs" (epochs plan.Profile) fullEpochs
    let origin = plan.Origin([ set ], plan.Seeds.Length, cut)

    let values name method =
        plan.Seeds |> List.map (fun seed -> results.Value name (measurement plan method seed))

    let measured decimals name method = cell decimals (values name method)
    let milliseconds method = results.Value (key method) (timing plan)
    let cost method = milliseconds method / milliseconds methods[0]

    let list decimals (values: float list) =
        values |> List.map _.ToString($"F{decimals}") |> String.concat ", "

    let value id decimals name method = Seeds.value id decimals (values name method)
    let beta, informative = methods[1], methods[2..]
    let seen decimals name method = list decimals (values name method)
    let mean name method = Seeds.mean (values name method)
    let compared a b method = key method + ": " + seen 2 a method + " and " + seen 2 b method

    let pictures =
        methods
        |> List.map (fun method ->
            use all = results.Tensor "pictures" "samples" (measurement plan method plan.Seeds.Head)
            Pictures.images (plan.Data set).Train top all)
        |> Array.concat

    {
        Row = "hw4.2"
        Origin = origin
        Figures = [
            Figure.single
                "hw4.2.samples"
                $"Digits, {sampled} draws from the prior decoded by each model (mean image, first seed)."
                (Panel.images "" sampled pictures
                 |> Panel.withCaptions [ "ELBO"; "$\\beta=10$"; "RBF"; "IMQ"; "adversarial" ] [])
        ]
        Tables = [
            {
                Id = "hw4.2.table"
                Caption =
                    $"Digits, $L={latent}$: reconstruction on the test images; on the {images} training images the divergence from the prior and its two parts (nats; the information is at most $\\log {images}={limit:F2}$), a discriminator's estimate of the marginal part, and active units; median time of a training step."
                Columns = [
                    Table.left "Objective"
                    Table.right "Recon."
                    Table.right "KL"
                    Table.right "$I(n;z)$"
                    Table.right "Marginal"
                    Table.right "Discrim."
                    Table.right "Active"
                    Table.right "ms"
                ]
                Rows = [
                    for method in methods do
                        [
                            Text(label method)
                            measured 1 "reconstruction" method
                            measured 2 "kl" method
                            measured 2 "information" method
                            measured 2 "marginal" method
                            measured 2 "estimate" method
                            measured 1 "active" method
                            Number(milliseconds method, 1)
                        ]
                ]
                Note = ""
            }
        ]
        Values = [
            value "hw4.2.beta.kl" 3 "kl" beta
            value "hw4.2.beta.active" 1 "active" beta
            value "hw4.2.beta.rec" 1 "reconstruction" beta
            value "hw4.2.adversarial.rec" 1 "reconstruction" Adversarial
            value "hw4.2.adversarial.information" 2 "information" Adversarial
            value "hw4.2.adversarial.marginal" 2 "marginal" Adversarial
            value "hw4.2.adversarial.estimate" 2 "estimate" Adversarial
            Value.number "hw4.2.limit" 2 limit
            Value.number "hw4.2.mmd.cost" 2 (max (cost methods[2]) (cost methods[3]))
            Value.number "hw4.2.adversarial.cost" 2 (cost Adversarial)
        ]
        Claims = []
        Guards = [
            Guard.checkFull
                origin
                "hw4.2.agrees"
                "for the collapsed model both are within a tenth of a nat of zero, for every seed"
                (List.forall (fun v -> abs v < 0.1) (values "estimate" beta @ values "marginal" beta))
                (compared "marginal" "estimate" beta)
            Guard.checkFull
                origin
                "hw4.2.below"
                "for every other model the discriminator's mean logit is below the marginal divergence"
                (methods
                 |> List.filter (fun m -> key m <> key beta)
                 |> List.forall (fun m -> mean "estimate" m < mean "marginal" m))
                (methods |> List.map (compared "marginal" "estimate") |> String.concat ". ")
            Guard.checkFull
                origin
                "hw4.2.collapse"
                "with beta = 10 no unit is active and the divergence is below 0.05 nats, for every seed"
                (List.forall ((=) 0.0) (values "active" beta)
                 && List.forall (fun kl -> kl < 0.05) (values "kl" beta))
                (seen 3 "kl" beta + "; active " + seen 0 "active" beta)
            Guard.checkFull
                origin
                "hw4.2.informative"
                "every InfoVAE has more than half of its units active and an information above half its limit"
                (informative
                 |> List.forall (fun method ->
                     List.forall (fun a -> a > 0.5 * float latent) (values "active" method)
                     && List.forall (fun i -> i > 0.5 * limit) (values "information" method)))
                (informative
                 |> List.map (fun m -> key m + ": " + seen 0 "active" m + "; " + seen 2 "information" m)
                 |> String.concat ". ")
        ]
    }

let experiment: Experiment = {
    Row = "hw4.2"
    Title = "InfoVAE against collapse"
    Runs = runs
    Report = report
    Sample = None
}
