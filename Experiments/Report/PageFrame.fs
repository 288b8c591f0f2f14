/// The frame of the page: the bar above, the contents at the side, and the questions by their sources.
module Research.Report.PageFrame

open System

/// The documents by the word that begins a question's source.
let private documents =
    Map.ofList [
        "HW", "CSC 6137 Generative Models, homework 2"
        "UVA", "UvA Deep Learning, assignment 3"
        "IFT", "Deep generative models, an assignment of April 2020"
        "CS", "CS 274E Deep Generative Models, homework 3"
        "NORA", "DRE 7053 Generative Models, lecture 2"
    ]

/// A document in full.
let nameOf key = documents.TryFind key |> Option.defaultValue key

/// The questions of each document, with the sections that answer them.
let groups (report: Report) =
    let sections = report.Sections |> List.map (fun s -> s.Row, s) |> Map.ofList

    report.Questions
    |> List.groupBy (fun question -> (question.Source.Split ' ')[0])
    |> List.map (fun (key, questions) -> key, questions |> List.map (fun q -> q, sections.TryFind q.Row))

/// A link of the contents: an id, a label before it, and HTML.
let link (id: string) (label: string) (text: string) =
    let label =
        if label = "" then
            ""
        else
            $"<span class=id>{Html.encode label}</span>"

    $"<a href=\"#{Html.encode id}\">{label}<span>{text}</span></a>"

/// The contents.
let navigation (report: Report) =
    [
        link "top" "" "Findings and verdicts"
        for key, rows in groups report do
            $"<div class=group title=\"{Html.encode (nameOf key)}\">{Html.encode key}</div>"

            for question: Question, _ in rows do
                link question.Row question.Row (Markup.html question.Text)
        "<div class=group>All of it</div>"
        link "verdicts" "" "The sources' values beside ours"
        link "mathematics" "" "The mathematics"
        link "runs" "" "The runs"
    ]
    |> String.concat "\n"

/// The bar above, with search and theme.
let bar (pdf: string) =
    let paper =
        if pdf = "" then
            ""
        else
            $"<a href=\"{Html.encode pdf}\">PDF</a>"

    $"""<header><button id=menu aria-label="Contents">☰</button><a class=brand href="#top">Deep generative models</a>
<div class=search><input type=search placeholder="Search (press /)" aria-label="Search" autocomplete=off><ul id=found></ul></div>
{paper}<button id=theme aria-label="Light or dark" title="Light or dark">◐</button></header>"""
