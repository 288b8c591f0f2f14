/// Every equation of the paper beside the function that computes it, the laws that guard it and the runs that used it:
/// what stands behind equation (7).
module Research.Report.MathematicsPage

open System
open Research.Report.Equations

/// What the page knows about the mathematics.
type Mathematics = {
    Equations: Equation list
    Implementations: Implementation list
    Laws: Law list
    Runs: Run list
}

let private enc = Html.encode

/// Where a function has its place in the page.
let private anchor (implementation: Implementation) = "fn:" + implementation.Name

/// Documentation: code between back-quotes, the rest as it is.
let private documentation (text: string) =
    text.Split '`'
    |> Array.mapi (fun i part -> if i % 2 = 1 then $"<code>{enc part}</code>" else enc part)
    |> String.concat ""

/// `1.2·10⁻⁷`.
let private measured (value: float) =
    if Double.IsNaN value then
        "–"
    else
        Markup.plain $"${Markup.scientific 2 value}$"

let private lawHtml (law: Law) =
    let mutants =
        law.Mutants
        |> List.map (fun mutant -> $"<li>{Markup.html mutant}</li>")
        |> String.concat ""

    let cases =
        if law.Instances = 1 then
            "1 instance"
        else
            $"{law.Instances} instances"

    // As a share of the decades between 1e-17 and 1.
    let position value =
        Markup.coordinate (100.0 * Math.Clamp((log10 (max value 1e-17) + 17.0) / 17.0, 0.0, 1.0))

    $"""<div class=law data-title="{enc law.Id}"><p><span class=id>{enc law.Id}</span> {Markup.html law.Statement}</p>
<div class=gauge title="Largest error and tolerance, logarithmic from 1e-17 to 1"><i style="width:{position law.LargestError}%%"></i><b style="left:{position law.Tolerance}%%"></b></div>
<p class=muted>Largest error <strong>{measured law.LargestError}</strong> on {cases}; allowed {measured law.Tolerance}{(if law.Reason = "" then "" else $" ({enc law.Reason})")}. {law.Mutants.Length} wrong versions rejected:</p><ul class=mutants>{mutants}</ul></div>"""

/// How many runs of each row used a function.
let private usersHtml (runs: Run list) (name: string) =
    let users = runs |> List.filter (fun run -> run.Functions.Contains name)

    if users.IsEmpty then
        "<p class=muted>No run of this profile trains or measures with it: the law beside it checks the formula, and tables may compute it from what runs have left.</p>"
    else
        let rows =
            users
            |> List.collect (fun run -> run.Rows |> List.map (fun row -> row, run))
            |> List.countBy fst
            |> List.map (fun (row, count) ->
                $"<a class=chip href=\"#runs?row={enc row}&amp;function={enc name}\">{enc row} <b>{count}</b></a>")
            |> String.concat " "

        let plural = if users.Length = 1 then "run" else "runs"
        $"<p class=users><a href=\"#runs?function={enc name}\">Used by {users.Length} {plural}</a> {rows}</p>"

let private implementationHtml (mathematics: Mathematics) first (implementation: Implementation) =
    let id =
        if first then
            $" id=\"{enc (anchor implementation)}\""
        else
            ""

    $"""<div class=implementation{id} data-title="{enc implementation.Name}"><p class=signature><code>{enc implementation.Name}</code> <span class=muted>Core.fs, line {implementation.Line}</span></p>
<p class=doc>{documentation implementation.Doc}</p>
<pre><code>{enc implementation.Code}</code></pre>
{usersHtml mathematics.Runs implementation.Name}</div>"""

let private equationHtml
    (context: Prose.Context)
    (mathematics: Mathematics)
    (isFirst: Implementation -> bool)
    (equation: Equation)
    =
    let place = context.Places.TryFind equation.Label

    let number =
        match place with
        | Some place -> $"({place.Number})"
        | None -> ""

    let page =
        match place with
        | Some place when context.Pdf <> "" ->
            $"<a href=\"{enc context.Pdf}#page={place.Page}\">page {place.Page}</a>"
        | _ -> ""

    let row =
        if equation.Row = "" then
            ""
        else
            $"<a href=\"#{enc equation.Row}\">{enc equation.Row}</a>"

    let implementations =
        mathematics.Implementations
        |> List.filter (fun i -> List.contains equation.Label i.Labels)

    let laws =
        mathematics.Laws |> List.filter (fun law -> List.contains equation.Label law.Labels)

    let guarded =
        match laws with
        | [] when mathematics.Laws.IsEmpty ->
            "<p class=muted>The law tests have not been run on this copy: run ./test and render again.</p>"
        | [] -> "<p class=muted>No law names it.</p>"
        | _ -> laws |> List.map lawHtml |> String.concat "\n"

    let code =
        implementations
        |> List.map (fun i -> implementationHtml mathematics (isFirst i) i)
        |> String.concat "\n"

    $"""<article class=equation id="{enc equation.Label}" data-title="{enc equation.Label} {enc number} {Markup.html equation.Section}">
<div class=heading><b>{number}</b> <span class=id>{enc equation.Label}</span> <span class=muted>{Prose.inLine context equation.Section}</span> {row} {page}</div>
<div class=formula>{MathMl.display context.Macros equation.Text}</div>
<div class=behind><div>{code}</div><div class=guard>{guarded}</div></div></article>"""

/// The whole chapter.
let html (context: Prose.Context) (mathematics: Mathematics) : string =
    let named = mathematics.Equations |> List.map _.Label |> Set.ofList

    // A function that computes two equations is shown with both, and has its place at the first.
    let homes =
        mathematics.Equations
        |> List.collect (fun e ->
            mathematics.Implementations
            |> List.filter (fun i -> List.contains e.Label i.Labels)
            |> List.map (fun i -> i.Name, e.Label))
        |> List.distinctBy fst
        |> Map.ofList

    let others =
        mathematics.Laws
        |> List.filter (fun law -> not (law.Labels |> List.exists named.Contains))

    [
        yield!
            mathematics.Equations
            |> List.map (fun e ->
                equationHtml context mathematics (fun i -> homes.TryFind i.Name = Some e.Label) e)
        if not others.IsEmpty then
            "<h3 id=laws>Laws that guard no equation of the paper</h3><div class=others>"
            yield! others |> List.map lawHtml
            "</div>"
    ]
    |> String.concat "\n"
