/// Whether a browser shows all of a report's page, and shows it well.
module Research.Tests.Page

open System
open System.IO
open System.Reflection
open System.Text.Json
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
type Table = { id: string; headers: string[]; rows: int; wide: bool }

type Shown = {
    figures: Figure[]
    charts: int
    images: int
    tables: Table[]
    latex: string[]
}

/// What every run table tells of a run.
let private runColumns = [ "Configuration"; "Seed"; "Seconds"; "Started (UTC)" ]

let private runTableFaults (shown: Shown) =
    match shown.tables |> Array.tryFind (fun t -> t.id = "runs") with
    | None -> [ "the page has no table of runs" ]
    | Some table -> [
        if table.rows = 0 then
            "the table of runs is empty"
        for column in runColumns do
            if not (Array.contains column table.headers) then
                $"the table of runs has no column '{column}'"
      ]

/// Opens a page from its file and returns what it shows and all that is wrong with it: errors of its scripts, requests
/// to anywhere, figures that are missing, figures and images that are not drawn, labels that overlap, LaTeX in the
/// text, a table of runs that does not say what was run.
let look (browser: Browser) (expected: string list) (path: string) : Shown * string list =
    let visit = browser.Visit(path, script.Value)

    match visit.Answer with
    | "" -> { figures = [||]; charts = 0; images = 0; tables = [||]; latex = [||] }, visit.Errors
    | answer ->
        let shown =
            match JsonSerializer.Deserialize<Shown | null> answer with
            | null -> raise (JsonException "page.js returned nothing")
            | shown -> shown

        let there = shown.figures |> Array.map (fun f -> f.id) |> Set.ofArray

        shown,
        [
            yield! visit.Errors
            for address in visit.Requests do
                $"the page asks for {address}"
            for id in expected do
                if not (there.Contains id) then
                    $"the page lacks the figure '{id}'"
            for figure in shown.figures do
                for fault in figure.faults do
                    $"figure '{figure.id}': {fault}"
            for table in shown.tables do
                if table.wide then
                    $"the table '{table.id}' is wider than the page"
            for command in shown.latex do
                $"the text shows LaTeX: {command}"
            yield! runTableFaults shown
        ]

/// `--page PATH`: the exit code for a page that was rendered before, which must show every figure of the paper.
let tryRun (argv: string array) =
    match argv with
    | [| "--page"; path |] ->
        let sources = Paper.read (Path.Combine(root, "paper"))
        let expected = Paper.uses "reportfigure" 1 sources |> List.map (fun u -> u.Arguments.Head)
        use browser = new Browser()
        let shown, faults = look browser expected (Path.GetFullPath path)
        faults |> List.iter (eprintfn "%s")

        printfn
            $"{path}: {shown.figures.Length} figures, {shown.charts} charts and {shown.images} image grids; {faults.Length} faults"

        Some(if faults.IsEmpty then 0 else 1)
    | _ -> None
