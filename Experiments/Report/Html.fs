/// The same figures and tables for the browser: one page with Plotly charts.
module Research.Report.Html

open System
open System.IO
open System.Net
open System.Text
open XPlot.Plotly

let private encode (text: string) = WebUtility.HtmlEncode(text) |> Option.ofObj |> Option.defaultValue ""
let private words (text: string) = encode (Markup.plain text)

/// Points of one curve that the browser gets at most.
let private maxPoints = 2000

let private dashes = [| "solid"; "dash"; "dot"; "dashdot"; "longdash" |]

let private xs (points: (float * float)[]) = Array.map fst points
let private ys (points: (float * float)[]) = Array.map snd points

let private points series =
    match series with
    | Line(_, points, _)
    | Scatter(_, points)
    | ErrorBars(_, points, _)
    | Reference(_, points) -> points
    | Bars(_, edges, _) -> edges |> Array.map (fun x -> x, 0.0)
    | Arrows(_, arrows) -> arrows |> Array.collect (fun (a, b) -> [| a; b |])
    | Density map -> [| fst map.X, fst map.Y; snd map.X, snd map.Y |]
    | Level _ -> [||]

/// The closed outline between mean - error and mean + error.
let private band colour (points: (float * float)[]) (error: float[]) =
    let upper = Array.map2 (fun (x, y) e -> x, y + e) points error
    let lower = Array.map2 (fun (x, y) e -> x, y - e) points error
    let outline = Array.append upper (Array.rev lower)

    XPlot.Plotly.Scatter(
        x = xs outline,
        y = ys outline,
        mode = "lines",
        fill = "toself",
        fillcolor = colour,
        opacity = 0.2,
        line = XPlot.Plotly.Line(color = colour, width = 0.0),
        hoverinfo = "none",
        showlegend = false
    )
    :> Trace

let private lines name colour dash (points: (float * float)[]) =
    XPlot.Plotly.Scatter(
        x = xs points,
        y = ys points,
        mode = "lines",
        name = Markup.plain name,
        showlegend = (name <> ""),
        line = XPlot.Plotly.Line(color = colour, dash = dash)
    )

let private traces (extent: float * float) (index: int) (series: Series) : Trace list =
    let _, colour = Colours.colour index
    let dash = dashes[index % dashes.Length]
    let thinned points = Thinning.indices maxPoints (ys points)

    match series with
    | Line(name, points, error) ->
        let kept = thinned points
        let drawn = kept |> Array.map (fun i -> points[i])

        [
            match error with
            | Some e when e |> Array.exists (fun v -> v > 0.0) ->
                band colour drawn (kept |> Array.map (fun i -> e[i]))
            | _ -> ()
            lines name colour dash drawn
        ]
    | Reference(name, points) -> [
        lines name "#000000" "dash" (thinned points |> Array.map (fun i -> points[i]))
      ]
    | Level(name, value) -> [ lines name "#000000" "dot" [| fst extent, value; snd extent, value |] ]
    | Scatter(name, points) -> [
        XPlot.Plotly.Scatter(
            x = xs points,
            y = ys points,
            mode = "markers",
            name = Markup.plain name,
            showlegend = (name <> ""),
            marker = Marker(color = colour, size = 4.0, opacity = 0.6)
        )
      ]
    | ErrorBars(name, points, error) -> [
        XPlot.Plotly.Scatter(
            x = xs points,
            y = ys points,
            mode = "markers",
            name = Markup.plain name,
            showlegend = (name <> ""),
            marker = Marker(color = colour, size = 6.0),
            error_y = ErrorY(``type`` = "data", array = error, visible = true)
        )
      ]
    | Density map ->
        let rows, columns = Array2D.length1 map.Values, Array2D.length2 map.Values

        let centres (low, high) n = [|
            for i in 0 .. n - 1 -> low + (high - low) * (float i + 0.5) / float n
        |]

        [
            Heatmap(
                z = [| for r in 0 .. rows - 1 -> map.Values[r, *] |],
                x = centres map.X columns,
                y = centres map.Y rows,
                colorscale = "Viridis",
                showscale = false
            )
        ]
    | Bars(name, edges, heights) ->
        let middles = Array.pairwise edges |> Array.map (fun (a, b) -> (a + b) / 2.0)
        let widths = Array.pairwise edges |> Array.map (fun (a, b) -> b - a)

        [
            Bar(
                x = middles,
                y = heights,
                width = widths,
                name = Markup.plain name,
                showlegend = (name <> ""),
                marker = Marker(color = colour, opacity = 0.6)
            )
        ]
    | Arrows(name, arrows) ->
        // A missing point between two segments lifts the pen.
        [
            arrows |> Array.collect (fun (a, b) -> [| a; b; nan, nan |]) |> lines name colour "solid"
        ]

/// Plotly wants the exponents of ten on a logarithmic axis.
let private range (axis: Axis) =
    axis.Range
    |> Option.map (fun (low, high) ->
        match axis.Scale with
        | Linear -> [| low; high |]
        | Logarithmic -> [| log10 low; log10 high |])

let private kind (axis: Axis) =
    match axis.Scale with
    | Linear -> "linear"
    | Logarithmic -> "log"

let private chart (id: string) (width: int) (panel: AxesPanel) =
    let isMap =
        panel.Series
        |> List.exists (function
            | Density _ -> true
            | _ -> false)

    let across =
        panel.Series
        |> Seq.collect points
        |> Seq.map fst
        |> Seq.filter Double.IsFinite
        |> Seq.toArray

    let extent =
        if across.Length = 0 then
            0.0, 1.0
        else
            Array.min across, Array.max across

    let data, _ =
        panel.Series
        |> List.mapFold
            (fun index series ->
                let next =
                    match series with
                    | Reference _
                    | Level _
                    | Density _ -> index
                    | _ -> index + 1

                traces extent index series, next)
            0

    let x = Xaxis(title = Markup.plain panel.X.Label, ``type`` = kind panel.X)
    let y = Yaxis(title = Markup.plain panel.Y.Label, ``type`` = kind panel.Y)
    range panel.X |> Option.iter (fun r -> x.range <- r)
    range panel.Y |> Option.iter (fun r -> y.range <- r)

    let named = panel.Series |> List.exists (fun s -> Series.name s <> "")

    let layout =
        Layout(
            title = Markup.plain panel.Title,
            xaxis = x,
            yaxis = y,
            showlegend = (named && panel.Legend <> NoLegend),
            bargap = 0.0
        )

    let chart = Chart.Plot(List.concat data, layout)
    chart.WithId id
    chart.WithWidth width
    chart.WithHeight(if isMap then width else width * 5 / 8)
    chart

let private dataUri (image: Png.Image) = "data:image/png;base64," + Convert.ToBase64String(Png.encode image)

let private gridHtml (grid: ImageGrid) =
    let rows = grid.RowCaptions |> List.map words |> String.concat ", "
    let captions = if rows = "" then "" else $"<p class=note>Rows: {rows}</p>"
    let image = Png.tile grid.Columns 1 grid.Images

    $"""<div><p>{words grid.Title}</p>{captions}<img alt="{words grid.Title}" style="width:{min 900 (grid.Columns * 48)}px" src="{dataUri image}"></div>"""

let private page = 960

let private figureHtml (suffix: string) (figure: Figure) =
    let width = page / figure.Columns - 10

    let panel i item =
        match item with
        | Axes axes -> (chart $"{figure.Id.Replace('.', '-')}-{i}" width axes).GetInlineHtml()
        | Images grid -> gridHtml grid

    let panels = figure.Panels |> List.mapi panel |> String.concat "\n"

    let id = encode figure.Id

    $"""<figure id="{id}"><div class=panels>
{panels}
</div><figcaption>{words (Markup.sentence figure.Caption)} {words suffix}</figcaption></figure>"""

let private tableHtml (suffix: string) (table: Table) =
    let row tag cells =
        "<tr>"
        + (cells |> List.map (fun c -> $"<{tag}>{c}</{tag}>") |> String.concat "")
        + "</tr>"

    let header = row "th" (table.Columns |> List.map (fun c -> words c.Header))

    let body =
        table.Rows |> List.map (List.map (Cell.plain >> encode) >> row "td") |> String.concat "\n"

    $"""<table id="{encode table.Id}"><caption>{words (Markup.sentence table.Caption)} {words suffix}</caption>
{header}
{body}
</table><p class=note>{words table.Note}</p>"""

let private sectionHtml (section: Section) =
    let suffix = Origin.describe section.Origin

    [
        $"<h2>{encode section.Row}</h2>"
        yield! section.Figures |> List.map (figureHtml suffix)
        yield! section.Tables |> List.map (tableHtml suffix)
    ]
    |> String.concat "\n"

let private style =
    "body{font-family:serif;max-width:960px;margin:2em auto;padding:0 1em;color:#222}
figure{margin:2em 0}figcaption,caption,.note{font-size:.9em;color:#444;text-align:left}
.panels{display:flex;flex-wrap:wrap;gap:6px;align-items:flex-start}img{image-rendering:pixelated}
table{border-collapse:collapse;margin:1.5em 0 .3em;border-top:2px solid;border-bottom:2px solid}
th{border-bottom:1px solid}td,th{padding:.15em .7em;text-align:left;vertical-align:top}"

/// Everything up to the body of a page that holds charts: with the script that draws them.
let private head () =
    let html = PlotlyChart().GetHtml()
    html.Substring(0, html.IndexOf "</head>")

/// The whole report as one page; `tables` (e.g. of runs) stand at its end.
let render (report: Report) (tables: Table list) =
    let claims = report.Sections |> List.collect (fun s -> s.Claims)

    [
        head ()
        $"<style>{style}</style></head><body>"
        "<h1>Deep generative models: experiments</h1>"
        $"<p>Profile {encode report.Profile}. Data: {words report.Data}. Device: {words report.Device}. Revision: {encode report.Revision}.</p>"
        yield! report.Sections |> List.map sectionHtml
        if not claims.IsEmpty then
            tableHtml "" (Claim.table claims)
        yield! tables |> List.map (tableHtml "")
        if not report.NotRun.IsEmpty then
            "<h2>Not run</h2><ul>"
            yield! report.NotRun |> List.map (fun (row, reason) -> $"<li>{encode row}: {words reason}</li>")
            "</ul>"
        "</body></html>"
    ]
    |> String.concat "\n"

/// Writes `index.html` into the directory.
let write (resultsDirectory: string) (report: Report) (tables: Table list) =
    Directory.CreateDirectory resultsDirectory |> ignore
    File.WriteAllText(Path.Combine(resultsDirectory, "index.html"), render report tables, UTF8Encoding false)
