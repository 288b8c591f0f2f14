/// The same figures and tables for the browser: one page with Plotly charts.
module Research.Report.Html

open System
open System.IO
open System.Net
open System.Text
open XPlot.Plotly

let private encode (text: string) = WebUtility.HtmlEncode text |> Option.ofObj |> Option.defaultValue ""

let private title = "Deep generative models: experiments"

let private dataUri (image: Png.Image) = "data:image/png;base64," + Convert.ToBase64String(Png.encode image)

/// Pixels that an image of a grid is wide at most, and all of them together.
let private cell, private widestGrid = 48, 800

/// One stitched image; captions stand beside its rows and above its columns.
let private gridHtml (grid: ImageGrid) =
    let image = Png.tile grid.Columns 1 grid.Images
    let width = min widestGrid (grid.Columns * cell)

    let captions kind texts =
        if List.isEmpty texts then
            ""
        else
            let spans =
                texts |> List.map (fun text -> $"<span>{Markup.html text}</span>") |> String.concat ""

            $"<div class={kind}>{spans}</div>"

    let title =
        if grid.Title = "" then
            ""
        else
            $"<p>{Markup.html grid.Title}</p>"

    let rows = captions "rows" grid.RowCaptions
    let columns = captions "columns" grid.ColumnCaptions

    $"""<div>{title}<div class=grid>{columns}{rows}<img alt="{encode (Markup.plain grid.Title)}" style="width:{width}px" src="{dataUri image}"></div></div>"""

/// Pixels that the page is wide, and one panel at most.
let private page, private widestPanel = 960, 760

let private figureHtml (suffix: string) (figure: Figure) =
    let width = min widestPanel (page / figure.Columns - 10)
    // Panels side by side are equally high; maps are square.
    let square = figure.Panels |> List.exists Charts.holdsMap

    let frame: Charts.Frame = {
        Width = width
        Height = if square then width else max 230 (width * 5 / 8)
        // Beside narrow axes a legend leaves them no room.
        LegendBelow = figure.Columns > 1
    }

    let panel i item =
        match item with
        | Axes axes -> (Charts.chart $"{figure.Id.Replace('.', '-')}-{i}" frame axes).GetInlineHtml()
        | Images grid -> gridHtml grid

    let panels = figure.Panels |> List.mapi panel |> String.concat "\n"

    $"""<figure id="{encode figure.Id}"><div class=panels>
{panels}
</div><figcaption>{Markup.html (Markup.sentence figure.Caption)} {Markup.html suffix}</figcaption></figure>"""

let private tableHtml (suffix: string) (table: Table) =
    let row tag cells =
        let cell (column: Column) text =
            let style =
                match column.Alignment with
                | Left -> ""
                | Right -> " class=number"
                | Centre -> " class=centre"
                | Wrapped fraction ->
                    $" class=wrapped style=\"width:{Markup.coordinate (100.0 * fraction)}%%\""

            $"<{tag}{style}>{Markup.html text}</{tag}>"

        "<tr>" + String.Join("", List.map2 cell table.Columns cells) + "</tr>"

    let header = row "th" (table.Columns |> List.map (fun c -> c.Header))
    let body = table.Rows |> List.map (List.map Cell.markup >> row "td") |> String.concat "\n"
    let notes = Table.notes table

    let note =
        if notes = "" then
            ""
        else
            $"<p class=note>{Markup.html notes}</p>"

    $"""<table id="{encode table.Id}"><caption>{Markup.html (Markup.sentence table.Caption)} {Markup.html suffix}</caption>
{header}
{body}
</table>{note}"""

let private sectionHtml (questions: Map<string, string>) (section: Section) =
    let suffix = Origin.describe section.Origin
    let question = questions.TryFind section.Row |> Option.defaultValue ""

    [
        $"<h2 id=\"{encode section.Row}\">{encode section.Row} {Markup.html question}</h2>"
        yield! section.Figures |> List.map (figureHtml suffix)
        yield! section.Tables |> List.map (tableHtml suffix)
    ]
    |> String.concat "\n"

let private style =
    "body{font-family:serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}
figure{margin:2em 0}figcaption,caption,.note{font-size:.9em;color:#444;text-align:left}
h2{margin-top:2.5em;border-top:1px solid #ccc;padding-top:.5em}nav a{margin-right:.8em;white-space:nowrap}
.panels{display:flex;flex-wrap:wrap;gap:6px;align-items:flex-start}img{image-rendering:pixelated;grid-area:image}
.grid{display:inline-grid;grid-template:'. columns' 'rows image';font-size:.85em}
.rows{grid-area:rows;display:flex;flex-direction:column;text-align:right;margin-right:.6em}.columns{grid-area:columns;display:flex;text-align:center}
.rows span{flex:1;align-content:center}.columns span{flex:1}
table{border-collapse:collapse;min-width:28em;margin:1.5em 0 .3em;border-top:2px solid;border-bottom:2px solid}caption{padding-bottom:.4em}
th{border-bottom:1px solid}td,th{padding:.15em .7em;text-align:left;vertical-align:top}
.number{text-align:right}.centre{text-align:center}sup,sub{line-height:0;font-size:.75em}
.wrapped{overflow-wrap:anywhere}#runs,#replication{font-size:.8em}#runs td:not(.wrapped){white-space:nowrap}"

/// plotly.js as the package Plotly.NET carries it (MIT): XPlot's own pages fetch it from a content network.
let private plotlyJs =
    lazy
        (let assembly = typeof<Plotly.NET.GenericChart>.Assembly

         let name =
             assembly.GetManifestResourceNames()
             |> Array.find (fun name -> name.EndsWith(".min.js", StringComparison.Ordinal))

         match assembly.GetManifestResourceStream name with
         | null -> raise (FileNotFoundException name)
         | stream ->
             use reader = new StreamReader(stream)
             reader.ReadToEnd())

/// Everything up to the body of a page that holds charts: with the script that draws them.
let private head () =
    $"<!DOCTYPE html>\n<html lang=en><head><meta charset=UTF-8><title>{title}</title>\n<script>{plotlyJs.Value}</script>\n"

/// The whole report as one page; `tables` (e.g. of runs) stand at its end.
let render (report: Report) (tables: Table list) =
    let claims = report.Sections |> List.collect (fun s -> s.Claims)
    let questions = Map.ofList report.Questions

    let closing = [
        if not claims.IsEmpty then
            Claim.table claims
        yield! tables
    ]

    let links =
        (report.Sections |> List.map (fun s -> s.Row)) @ (closing |> List.map (fun t -> t.Id))
        |> List.map (fun id -> $"<a href=\"#{encode id}\">{encode id}</a>")
        |> String.concat "\n"

    [
        head ()
        $"<style>{style}</style></head><body>"
        $"<h1>{title}</h1>"
        $"<p>Profile {encode report.Profile}. Data: {Markup.html report.Data}. Device: {Markup.html report.Device}. Revision: {encode report.Revision}.</p>"
        "<p class=note>In a chart: drag to zoom, double click to return, click a legend entry to switch it, hover for values.</p>"
        $"<nav>{links}</nav>"
        yield! report.Sections |> List.map (sectionHtml questions)
        "<h2>The results as a whole</h2>"
        yield! closing |> List.map (tableHtml "")
        if not report.NotRun.IsEmpty then
            "<h2>Not run</h2><ul>"

            yield!
                report.NotRun
                |> List.map (fun (row, reason) -> $"<li>{encode row}: {Markup.html reason}</li>")

            "</ul>"
        "</body></html>"
    ]
    |> String.concat "\n"

/// Writes `index.html` into the directory.
let write (resultsDirectory: string) (report: Report) (tables: Table list) =
    Directory.CreateDirectory resultsDirectory |> ignore
    Research.Host.Durable.ReplaceText(Path.Combine(resultsDirectory, "index.html"), render report tables)
