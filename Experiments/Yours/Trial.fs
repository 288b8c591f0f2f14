/// An objective of one's own, trained on the digits beside the rows of hw5.2. Run it: `./research try objective.fsx`.
module Research.Experiments.Yours.Trial

open System
open System.Collections.Generic
open System.IO
open System.Text.Json
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments
open Research.Experiments.Hw

/// What was measured on a model, by the names of `Digits.scores`, and minus the ELBO on the validation images after each
/// epoch.
type Outcome = {
    Title: string
    Values: IReadOnlyDictionary<string, float>
    Curve: float[]
    /// The training and the measurement, as the store names them.
    Runs: string[]
}

/// The training of a script's objective: hw5.2's protocol with another objective.
let training (plan: Plan) (script: Script.Script) : Trained =
    let objective = Other($"script {script.Name}", script.Objective)

    VaeTraining.request plan $"yours.{script.Name}.seed1" 1L {
        Digits.vae plan.Profile Digits.latent StandardPrior objective with
            Samples = script.Samples
    }

let private outcome (results: Results) title (trained: Trained) : Outcome =
    let measured = Digits.measure results.Plan trained

    {
        Title = title
        Values = results.Values measured
        Curve = Digits.byEpoch results "nelbo" trained
        Runs = [| trained.Training.Key.Id; measured.Key.Id |]
    }

/// The models of hw5.2 that are trained, one seed of each.
let private beside (results: Results) (isComplete: RunRequest -> bool) : Outcome list = [
    for beta in DigitsBeta.betas results.Plan.Profile do
        let trained = (DigitsBeta.trainings results.Plan beta).Head

        if [ trained.Training; Digits.measure results.Plan trained ] |> List.forall isComplete then
            outcome results $"$\\beta={inv beta}$" trained
]

/// The run requests of a trial, the script's first, and how its outcome is read once they are done.
let requests (plan: Plan) (script: Script.Script) : RunRequest list =
    let ofHomework =
        DigitsBeta.betas plan.Profile
        |> List.collect (fun beta -> Digits.withMeasurements plan [ (DigitsBeta.trainings plan beta).Head ])

    Digits.withMeasurements plan [ training plan script ] @ ofHomework

let private folder (results: string) (plan: Plan) = Path.Combine(results, Profile.name plan.Profile, "yours")

/// Keeps what a trial measured where the page finds it.
let keep (places: string) (results: Results) (script: Script.Script) : Outcome =
    let outcome = outcome results script.Name (training results.Plan script)
    let folder = folder places results.Plan
    Directory.CreateDirectory folder |> ignore
    Durable.ReplaceText(Path.Combine(folder, $"{script.Name}.json"), JsonSerializer.Serialize outcome)
    outcome

let private kept (places: string) (plan: Plan) : Outcome list = [
    let folder = folder places plan

    if Directory.Exists folder then
        for file in Directory.GetFiles(folder, "*.json") |> Array.sort do
            let input =
                InputFile(file, $"remove it, and the page is without {Path.GetFileNameWithoutExtension file}")

            input.ReadJson<Outcome>(1L <<< 20, JsonSerializerOptions JsonSerializerDefaults.Strict)
]

let private columns: (string * string * int * float) list = [
    "Reconstruction", "reconstruction", 2, 1.0
    "KL", "kl", 2, 1.0
    "$-$ELBO", "bound", 2, 1.0
    "$-\\log p(x)$", "logp", 2, -1.0
    "Active units", "active", 0, 1.0
]

let private table (outcomes: Outcome list) : Table =
    Column.text "Objective" _.Title
    :: [
        for header, name, decimals, sign in columns ->
            Column.number header decimals (fun (outcome: Outcome) -> sign * outcome.Values[name])
    ]
    |> fun columns ->
        Table.over
            "yours.table"
            "Digits: test images under the model of each objective, the homework's and yours (nats per image)"
            columns
            outcomes

let private figure (homework: Outcome list) (yours: Outcome list) : Figure =
    let point (outcome: Outcome) =
        Scatter(outcome.Title, [| max 1e-3 outcome.Values["kl"], outcome.Values["reconstruction"] |])

    let curve (outcome: Outcome) =
        Line(outcome.Title, outcome.Curve |> Array.mapi (fun i v -> float (i + 1), v), None)

    [
        Panel.axes "" (Axis.log "rate: KL (nats)") (Axis.linear "reconstruction (nats)") [
            if not homework.IsEmpty then
                Scatter(
                    "hw5.2",
                    homework
                    |> List.toArray
                    |> Array.collect (fun o -> [| max 1e-3 o.Values["kl"], o.Values["reconstruction"] |])
                )
            yield! yours |> List.map point
        ]
        Panel.axes
            ""
            (Axis.linear "epoch")
            (Axis.linear "validation $-$ELBO (nats)")
            (homework @ yours |> List.map curve)
    ]
    |> Figure.grid
        "yours.figure"
        "Left: distortion against rate on the test images. Right: minus the ELBO on the validation images"
        2

/// The store's names of the runs of all objectives that were tried.
let runs (places: string) (plan: Plan) : string list =
    kept places plan |> List.collect (_.Runs >> Array.toList)

/// The page's section of all objectives that were tried, beside hw5.2's; None where there is none.
let section
    (places: string)
    (results: Results)
    (isComplete: RunRequest -> bool)
    : (Question * Section) option =
    match kept places results.Plan with
    | [] -> None
    | yours ->
        let homework = beside results isComplete

        Some(
            {
                Row = "yours"
                Source = "Yours"
                Text = "Objectives from scripts of your own, beside hw5.2's"
            },
            {
                Section.empty
                    "yours"
                    (results.Plan.Origin([ Digits.set ], 1, Digits.shortenedBy results.Plan.Profile)) with
                    Tables = [ table (homework @ yours) ]
                    Figures = [ figure homework yours ]
            }
        )

/// The outcomes as lines of a console, the script's last.
let lines (results: Results) (isComplete: RunRequest -> bool) (own: Outcome) : string list =
    let cells =
        ("" :: [ for header, _, _, _ in columns -> Markup.plain header ])
        :: [
            for outcome in beside results isComplete @ [ own ] ->
                Markup.plain outcome.Title
                :: [
                    for _, name, decimals, sign in columns ->
                        (sign * outcome.Values[name])
                            .ToString($"F{decimals}", Globalization.CultureInfo.InvariantCulture)
                ]
        ]

    let widths = cells |> List.transpose |> List.map (List.map String.length >> List.max)

    [
        for row in cells ->
            List.zip widths row
            |> List.mapi (fun i (width, cell) ->
                if i = 0 then
                    cell.PadRight width
                else
                    cell.PadLeft(width + 2))
            |> String.concat ""
    ]
