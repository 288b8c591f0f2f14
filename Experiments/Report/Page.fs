/// The whole report as one page for the browser: it needs nothing beside itself.
module Research.Report.Page

open System
open System.IO
open System.Reflection
open System.Text

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

/// The documents by the word that begins a question's source.
let private documents =
    Map.ofList [
        "HW", "CSC 6137 Generative Models, homework 2"
        "UVA", "UvA Deep Learning, assignment 3"
        "IFT", "Deep generative models, an assignment of April 2020"
        "CS", "CS 274E Deep Generative Models, homework 3"
        "NORA", "DRE 7053 Generative Models, lecture 2"
    ]

/// What the page shows of a document: its key and its questions with the sections that answer them.
let private groups (report: Report) =
    let sections = report.Sections |> List.map (fun s -> s.Row, s) |> Map.ofList

    report.Questions
    |> List.groupBy (fun question -> (question.Source.Split ' ')[0])
    |> List.map (fun (key, questions) -> key, questions |> List.map (fun q -> q, sections.TryFind q.Row))

let private nameOf key = documents.TryFind key |> Option.defaultValue key

let private link (id: string) (label: string) (text: string) =
    let label =
        if label = "" then
            ""
        else
            $"<span class=id>{Html.encode label}</span>"

    $"<a href=\"#{Html.encode id}\">{label}{text}</a>"

let private navigation groups =
    [
        for key, rows in groups do
            $"<div class=group title=\"{Html.encode (nameOf key)}\">{Html.encode key}</div>"

            for question: Question, _ in rows do
                link question.Row question.Row (Markup.html question.Text)
        "<div class=group>The results as a whole</div>"
        link "replication" "" "Values of the sources beside ours"
        link "runs" "" "Runs"
    ]
    |> String.concat "\n"

let private sectionHtml (notRun: Map<string, string>) (question: Question, section: Section option) =
    let heading =
        $"<h3>{link question.Row question.Row (Markup.html question.Text)} <span class=muted>{Html.encode question.Source}</span></h3>"

    let content =
        match section, notRun.TryFind question.Row with
        | Some section, _ -> [
            $"<p class=provenance>{Markup.html (Origin.describe section.Origin)}</p>"
            yield! section.Figures |> List.map Html.figure
            yield! section.Tables |> List.map Html.table
          ]
        | None, Some reason -> [ $"<p class=provenance>Not run: {Markup.html reason}.</p>" ]
        | None, None -> [ "<p class=provenance>Answered by a derivation in the paper.</p>" ]

    $"<section id=\"{Html.encode question.Row}\">{heading}\n"
    + String.concat "\n" content
    + "</section>"

let private groupHtml notRun (key: string, rows) =
    $"<h2 id=\"{Html.encode key}\">{Html.encode (nameOf key)} <span class=muted>{Html.encode key}</span></h2>\n"
    + (rows |> List.map (sectionHtml notRun) |> String.concat "\n")

let private bar =
    """<header><button id=menu aria-label="Contents">☰</button><a class=brand href="#top">Deep generative models</a>
<div class=search><input type=search placeholder="Search (press /)" aria-label="Search"><ul id=found></ul></div>
<button id=theme aria-label="Light or dark" title="Light or dark">◐</button></header>"""

/// The page; `tables` (e.g. of runs) stand at its end.
let render (report: Report) (tables: Table list) =
    let claims = report.Sections |> List.collect (fun s -> s.Claims)
    let groups = groups report
    let notRun = Map.ofList report.NotRun

    [
        $"<!DOCTYPE html>\n<html lang=en><head><meta charset=UTF-8><meta name=viewport content=\"width=device-width, initial-scale=1\"><title>{title}</title>"
        "<style>" + ours "style.css" + "</style>"
        $"<script>{plotlyJs.Value}</script></head><body id=top>"
        bar
        $"<div class=body><nav>{navigation groups}</nav><main>"
        $"<h1>{title}</h1>"
        $"<p class=muted>Profile {Html.encode report.Profile}. Data: {Markup.html report.Data}. Device: {Markup.html report.Device}. Revision: {Html.encode report.Revision}.</p>"
        "<p class=muted>In a chart: drag to zoom, double click to return, click a legend entry to switch it, hover for values.</p>"
        yield! groups |> List.map (groupHtml notRun)
        "<h2>The results as a whole</h2>"
        if not claims.IsEmpty then
            Html.table (Claim.table claims)
        yield! tables |> List.map Html.table
        "</main></div>"
        yield! [ "charts.js"; "page.js" ] |> List.map (fun script -> $"<script>{ours script}</script>")
        "</body></html>"
    ]
    |> String.concat "\n"

/// Writes `index.html` into the directory.
let write (resultsDirectory: string) (report: Report) (tables: Table list) =
    Directory.CreateDirectory resultsDirectory |> ignore
    File.WriteAllText(Path.Combine(resultsDirectory, "index.html"), render report tables, UTF8Encoding false)
