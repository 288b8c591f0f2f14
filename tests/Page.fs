/// Whether a browser shows all of a report's page, and shows it well.
module Research.Tests.Page

open System
open System.IO
open System.Reflection
open System.Text.Json
open Research.Host
open Research.Report
open Research.Tests.Browser
open Research.Tests.Repository

let private script =
    lazy
        (match Assembly.GetExecutingAssembly().GetManifestResourceStream "page.js" with
         | null -> raise (FileNotFoundException "page.js is not embedded in the tests")
         | stream ->
             use reader = new StreamReader(stream)
             reader.ReadToEnd())

/// What page.js returns.
type Figure = { id: string; faults: string[] }
type Table = { id: string; headers: string[]; rows: int }

type Shown = {
    figures: Figure[]
    charts: int
    images: int
    tables: Table[]
    latex: string[]
    wide: bool
}

/// What every run table tells of a run.
let private runColumns = [ "Configuration"; "Seed"; "Seconds"; "Started (UTC)" ]

let private runTableFaults (shown: Shown) =
    match shown.tables |> Array.tryFind (fun t -> t.id = "runs-table") with
    | None -> [ "the page has no table of runs" ]
    | Some table -> [
        if table.rows = 0 then
            "the table of runs is empty"
        for column in runColumns do
            if not (Array.contains column table.headers) then
                $"the table of runs has no column '{column}'"
      ]

/// What an open page shows and all that is wrong with it: errors of its scripts, requests to anywhere, figures that are
/// missing, figures and images that are not drawn, labels that overlap, LaTeX in the text, a page wider than its window,
/// a table of runs that does not say what was run.
let look (expected: string list) (opened: Opened) : Shown * string list =
    let answer = wait (opened.Page.EvaluateFunctionAsync<string> script.Value)

    let shown =
        match JsonSerializer.Deserialize<Shown | null> answer with
        | null -> raise (JsonException "page.js returned nothing")
        | shown -> shown

    let there = shown.figures |> Array.map (fun f -> f.id) |> Set.ofArray

    shown,
    [
        yield! opened.Errors
        for address in opened.Requests do
            $"the page asks for {address}"
        for id in expected do
            if not (there.Contains id) then
                $"the page lacks the figure '{id}'"
        for figure in shown.figures do
            for fault in figure.faults do
                $"figure '{figure.id}': {fault}"
        if shown.wide then
            "the page is wider than its window"
        for command in shown.latex do
            $"the text shows LaTeX: {command}"
        yield! runTableFaults shown
    ]

/// Pixels of a screen and of a phone.
let widths = [ 1400; 400 ]

/// `--page PATH`: the exit code for a page that was rendered before, which must show every figure of the paper.
let tryRun (argv: string array) =
    match argv with
    | [| "--page"; path |] when not (File.Exists path) ->
        raise (ResearchException($"There is no page {path}: ./reproduce makes one."))
    | [| "--page"; path |] ->
        let sources = Paper.read (Path.Combine(root, "paper"))
        let expected = Paper.uses "reportfigure" 1 sources |> List.map (fun u -> u.Arguments.Head)
        let browser = sharedBrowser ()

        let faults = [
            for width in widths do
                let shown, faults = browser.Visit(Path.GetFullPath path, width, 1000, look expected)

                faults |> List.iter (eprintfn "%d pixels: %s" width)

                printfn
                    $"{path}, {width} pixels wide: {shown.figures.Length} figures, {shown.charts} charts and {shown.images} image grids; {faults.Length} faults"

                yield! faults
        ]

        Some(if faults.IsEmpty then 0 else 1)
    | _ -> None
