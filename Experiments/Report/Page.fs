/// The whole report as one page for the browser: it needs nothing beside itself.
module Research.Report.Page

open System
open System.IO
open System.Reflection
open System.Text
open System.Text.RegularExpressions
open Research.Report.PageFrame

/// What the page is made from.
type Content = {
    Report: Report
    Runs: Run list
    /// The sources of the paper.
    Paper: Paper.Source list
    /// The text of its references.bib.
    Bibliography: string
    /// The text of Core.fs.
    Core: string
    /// Where the labels stand in the compiled paper; empty when it was not compiled.
    Places: Map<string, Crossreferences.Place>
    /// The compiled paper, as an address relative to the page; empty when there is none.
    Pdf: string
}

let private title = "Deep generative models: experiments"

/// The text of the resource whose name ends so.
let private resource (assembly: Assembly) (ending: string) =
    let name =
        assembly.GetManifestResourceNames()
        |> Array.find (fun name -> name.EndsWith(ending, StringComparison.Ordinal))

    match assembly.GetManifestResourceStream name with
    | null -> raise (FileNotFoundException name)
    | stream ->
        use reader = new StreamReader(stream)
        reader.ReadToEnd()

let private ours = resource (Assembly.GetExecutingAssembly())

/// plotly.js as the package Plotly.NET carries it (MIT): XPlot's own pages fetch it from a content network.
let private plotlyJs = lazy (resource typeof<Plotly.NET.GenericChart>.Assembly ".min.js")

/// The runs that a row reads.
let private source (content: Content) =
    let byRow =
        content.Report.Questions
        |> List.map (fun question ->
            let runs = content.Runs |> List.filter (fun run -> List.contains question.Row run.Rows)
            question.Row, Provenance runs)
        |> Map.ofList

    fun (row: string) ->
        ({
            Row = row
            Provenance = byRow.TryFind row |> Option.defaultWith (fun () -> Provenance [])
        }
        : Html.Source)

/// The row that an id such as `hw5.1.elbo` belongs to.
let private rowOf (report: Report) (id: string) =
    report.Questions
    |> List.map _.Row
    |> List.tryFind (fun row -> Paper.belongsTo row id)
    |> Option.defaultValue id

let private number (content: Content) (label: string) =
    content.Places.TryFind label |> Option.map _.Number |> Option.defaultValue ""

let private figure content row (figure: Figure) = Html.figure row (number content $"fig:{figure.Id}") figure

let private table content (source: string -> Html.Source) row (table: Table) =
    Html.table (Some(source row)) (number content $"tab:{table.Id}") table

/// What the paper's sentences mean here.
let private context (content: Content) (source: string -> Html.Source) : Prose.Context =
    let report = content.Report
    let collect f = report.Sections |> List.collect f

    let float' (id: string) =
        [
            for section in report.Sections do
                yield!
                    section.Figures
                    |> List.filter (fun f -> f.Id = id)
                    |> List.map (figure content section.Row)

                yield!
                    section.Tables
                    |> List.filter (fun t -> t.Id = id)
                    |> List.map (table content source section.Row)
        ]
        |> String.concat "\n"

    {
        Macros =
            content.Paper
            |> List.filter (fun s -> s.Name = "preamble.tex")
            |> List.map (_.Text >> Equations.macros)
            |> List.fold (fun all macros -> Map.foldBack Map.add macros all) Tex.common
        Values = collect _.Values |> List.map (fun value -> value.Id, value) |> Map.ofList
        Guards =
            collect Section.outcomes
            |> List.map (fun (guard, outcome) -> guard.Id, (guard, outcome))
            |> Map.ofList
        Ran = report.Sections |> List.map _.Row |> Set.ofList
        Meta = Map.ofList (Render.metaOf report)
        Places = content.Places
        Cited = Crossreferences.citations content.Bibliography
        Pdf = content.Pdf
        Show = fun value -> Html.cell (Some(source (rowOf report value.Id))) value.Cell
        Float = float'
    }

/// The text of the paper that answers each row: what follows a heading up to the next, without its own arguments.
let private answers (heading: string) (sources: Paper.Source list) : Map<string, string> =
    let next =
        Regex @"\\(?:question|experiment|section|subsection|part|reportpending)(?![A-Za-z])"

    Map.ofList [
        for source in sources do
            for u in Paper.uses heading 2 [ source ] do
                let start = Paper.closing source.Text (source.Text.IndexOf('{', u.At))
                let start = Paper.closing source.Text (source.Text.IndexOf('{', start))
                let found = next.Match(source.Text, start)
                let stop = if found.Success then found.Index else source.Text.Length
                u.Arguments.Head, source.Text[start .. stop - 1]
    ]

let private paperLink (content: Content) (label: string) =
    match content.Places.TryFind label with
    | Some place when content.Pdf <> "" -> [
        $"<a class=page href=\"{Html.encode content.Pdf}#page={place.Page}\">paper, page {place.Page}</a>"
      ]
    | _ -> []

/// A question with its answer and what was measured.
let private questionHtml
    content
    source
    (context: Prose.Context)
    (derived: Map<string, string>)
    (measured: Map<string, string>)
    (question: Question, section: Section option)
    =
    let row = question.Row
    let reason = content.Report.NotRun |> List.tryFind (fun (r, _) -> r = row) |> Option.map snd

    let sentence =
        derived.TryFind row
        |> Option.bind (fun text -> Paper.uses "answer" 1 [ { Name = row; Text = text } ] |> List.tryHead)
        |> Option.map (fun u -> $"<p class=answer>{Prose.inLine context u.Arguments.Head}</p>")

    let links =
        paperLink content $"q:{row}" @ paperLink content $"x:{row}"
        |> List.distinct
        |> String.concat " "

    let results =
        match section, reason with
        | Some section, _ ->
            let text = measured.TryFind row |> Option.map (Prose.html context) |> Option.defaultValue ""
            let missing id = not (text.Contains $"id=\"{id}\"")

            [
                $"<p class=provenance>{Markup.html (Origin.describe section.Origin)} <a href=\"#runs?row={row}\">Its runs</a></p>"
                text
                yield! section.Figures |> List.filter (fun f -> missing f.Id) |> List.map (figure content row)
                yield!
                    section.Tables
                    |> List.filter (fun t -> missing t.Id)
                    |> List.map (table content source row)
            ]
        | None, Some reason -> [ $"<p class=provenance>Not run: {Markup.html reason}.</p>" ]
        | None, None -> []

    [
        $"<section class=question id=\"{Html.encode row}\" data-title=\"{Html.encode row} {Html.encode (Markup.plain question.Text)}\">"
        $"<h3>{link row row (Markup.html question.Text)} <span class=muted>{Html.encode question.Source}</span> {links}</h3>"
        yield! Option.toList sentence
        yield! results
        "</section>"
    ]
    |> String.concat "\n"

/// The paper's list of findings.
let private findings (context: Prose.Context) (sources: Paper.Source list) =
    sources
    |> List.tryFind (fun source -> source.Name = "findings.tex")
    |> Option.map (fun source ->
        let list = source.Text.IndexOf @"\begin{enumerate}"
        "<div class=findings>" + Prose.html context source.Text[max 0 list ..] + "</div>")
    |> Option.defaultValue ""

let private overview (content: Content) context =
    let report = content.Report
    let claims = report.Sections |> List.collect Section.judgements

    let pdf =
        if content.Pdf = "" then
            ""
        else
            $" <a class=pdf href=\"{Html.encode content.Pdf}\">The paper (PDF)</a>"

    [
        $"<h1>{title}</h1>"
        $"<p class=muted>Profile {Html.encode report.Profile}. Data: {Markup.html report.Data}. Device: {Markup.html report.Device}. Revision: {Html.encode report.Revision}.{pdf}</p>"
        if not claims.IsEmpty then
            $"<div class=verdicts>{Html.verdicts claims}</div>"
        findings context content.Paper
        "<p class=muted>Every number leads to its runs. In a chart: drag to zoom, double click to return, click a legend entry to switch it, hover for values.</p>"
    ]
    |> String.concat "\n"

/// The page.
let render (content: Content) : string =
    let report = content.Report
    let source = source content
    let context = context content source
    let derived, measured = answers "question" content.Paper, answers "experiment" content.Paper
    let claims = report.Sections |> List.collect Section.judgements

    let mathematics: MathematicsPage.Mathematics = {
        Equations = Equations.read content.Paper
        Implementations = Equations.implementations content.Core
        Laws = report.Laws
        Runs = content.Runs
    }

    [
        $"<!DOCTYPE html>\n<html lang=en><head><meta charset=UTF-8><meta name=viewport content=\"width=device-width, initial-scale=1\"><title>{title}</title>"
        "<style>" + ours "style.css" + "</style>"
        "<script>" + ours "theme.js" + "</script>"
        $"<script>{plotlyJs.Value}</script></head><body id=top>"
        bar content.Pdf
        $"<div class=body><nav>{navigation report}</nav><main>"
        overview content context
        for key, rows in groups report do
            $"<h2 id=\"{Html.encode key}\">{Html.encode (nameOf key)} <span class=muted>{Html.encode key}</span></h2>"
            yield! rows |> List.map (questionHtml content source context derived measured)
        "<h2 id=verdicts>The sources' values beside ours</h2>"
        if not claims.IsEmpty then
            $"<div class=verdicts>{Html.verdicts claims}</div>"
            Html.claims (fun claim -> source (rowOf report claim.Id)) claims
        "<h2 id=mathematics>The mathematics</h2><p>Every equation of the paper, the function of Core.fs that computes it, the law that guards the function and the runs that used it.</p>"
        MathematicsPage.html context mathematics
        "<section id=runs><h2>The runs</h2>"
        RunsPage.html content.Runs
        "</section></main></div>"
        yield!
            [ "charts.js"; "runs.js"; "page.js" ]
            |> List.map (fun script -> $"<script>{ours script}</script>")
        "</body></html>"
    ]
    |> String.concat "\n"

/// Writes `index.html` into the directory.
let write (resultsDirectory: string) (content: Content) =
    Directory.CreateDirectory resultsDirectory |> ignore
    Research.Host.Durable.ReplaceText(Path.Combine(resultsDirectory, "index.html"), render content)
