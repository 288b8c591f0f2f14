/// Panels with axes as Plotly charts.
module Research.Report.Charts

open System
open Newtonsoft.Json
open XPlot.Plotly

/// Points of one curve that the browser gets at most.
let private maxPoints = 2000

// As in the paper, series differ in dash pattern and mark as well as in colour; captions name them.
let private dashes = [| "solid"; "dash"; "dot"; "dashdot"; "longdash" |]
let private symbols = [| "circle"; "square"; "triangle-up"; "diamond" |]

/// Curves with few points show them.
let private markLimit = 30

let private xs (points: (float * float)[]) = points |> Array.map (fst >> Markup.significant)
let private ys (points: (float * float)[]) = points |> Array.map (snd >> Markup.significant)

/// Whether any of it can be seen: a point that is a number, and positive where the axis is logarithmic.
let private visible (panel: AxesPanel) series =
    let shows (axis: Axis) value = Double.IsFinite value && (axis.Scale = Linear || value > 0.0)

    match series with
    | Density _ -> true
    | Level(_, value) -> shows panel.Y value
    | Bars(_, _, heights) -> heights |> Array.exists Double.IsFinite
    | _ -> Series.shown series |> Array.exists (fun (x, y) -> shows panel.X x && shows panel.Y y)

/// `#0072B2` as a colour that lets through what lies behind it.
let private transparent (hex: string) (opacity: float) =
    let part i = Convert.ToInt32(hex.Substring(i, 2), 16)
    $"rgba({part 1},{part 3},{part 5},{Markup.coordinate opacity})"

/// The closed outline between mean - error and mean + error.
let private band colour (points: (float * float)[]) (error: float[]) =
    let upper = Array.map2 (fun (x, y) e -> x, y + e) points error
    let lower = Array.map2 (fun (x, y) e -> x, y - e) points error
    let outline = Array.append upper (Array.rev lower)

    Scatter(
        x = xs outline,
        y = ys outline,
        mode = "lines",
        fill = "toself",
        fillcolor = transparent colour 0.2,
        line = Line(color = colour, width = 0.0),
        hoverinfo = "skip",
        showlegend = false
    )
    :> Trace

let private lines name colour dash (points: (float * float)[]) =
    Scatter(
        x = xs points,
        y = ys points,
        mode = "lines",
        name = Markup.plotly name,
        showlegend = (name <> ""),
        line = Line(color = colour, dash = dash)
    )

/// XPlot's bar has no width, plotly.js' has one for each bar.
type WideBar() =
    inherit Bar()
    member val width: float[] = [||] with get, set

/// XPlot's axis cannot be tied to another, plotly.js' can: then a unit is as long on both.
type TiedAxis() =
    inherit Yaxis()
    member val scaleanchor = "x"

let private curve name colour dash symbol points error =
    let kept = Thinning.indices maxPoints (Array.map snd points)
    let drawn = kept |> Array.map (fun i -> points[i])
    let line = lines name colour dash drawn

    if drawn.Length <= markLimit then
        line.mode <- "lines+markers"
        line.marker <- Marker(color = colour, size = 5.0, symbol = symbol)

    match error with
    | Some e when e |> Array.exists (fun v -> v > 0.0) ->
        let shown = kept |> Array.map (fun i -> e[i])
        // Not drawn, the band is; but whoever takes the chart's data wants it.
        line.error_y <-
            Error_y(``type`` = "data", array = Array.map Markup.significant shown, visible = false)

        [ band colour drawn shown; line ]
    | _ -> [ line ]

/// A thin curve.
let private trail name colour (points: (float * float)[]) : Trace =
    let drawn =
        points |> Array.chunkBySize (1 + points.Length / maxPoints) |> Array.map Array.head

    let line = lines name colour "solid" drawn
    line.line <- Line(color = colour, dash = "solid", width = 0.5)
    line

let private cloud name colour symbol (points: (float * float)[]) =
    let isLone = Series.isLone (Series.Scatter(name, points))

    Scatter(
        x = xs points,
        y = ys points,
        mode = (if isLone then "markers+text" else "markers"),
        text = [| Markup.plotly name |],
        textposition = "top center",
        name = Markup.plotly name,
        showlegend = (name <> "" && not isLone),
        // A few points should be seen beside a curve, many should not hide each other.
        marker =
            Marker(
                color = colour,
                size = (if points.Length <= 100 then 8.0 else 4.0),
                opacity = (if points.Length <= 100 then 0.9 else 0.6),
                symbol = symbol
            )
    )

let private heatmap (map: DensityMap) =
    let rows, columns = Array2D.length1 map.Values, Array2D.length2 map.Values

    let centres (low, high) n = [|
        for i in 0 .. n - 1 -> Markup.significant (low + (high - low) * (float i + 0.5) / float n)
    |]

    Heatmap(
        z = [| for r in 0 .. rows - 1 -> map.Values[r, *] |> Array.map Markup.significant |],
        x = centres map.X columns,
        y = centres map.Y rows,
        colorscale = "Viridis",
        colorbar = Colorbar(thickness = 8.0, outlinewidth = 0.0, nticks = 4)
    )

let private bars name colour (edges: float[]) heights =
    WideBar(
        x = (Array.pairwise edges |> Array.map (fun (a, b) -> Markup.significant ((a + b) / 2.0))),
        y = Array.map Markup.significant heights,
        width = (Array.pairwise edges |> Array.map (fun (a, b) -> Markup.significant (b - a))),
        name = Markup.plotly name,
        showlegend = (name <> ""),
        marker = Marker(color = colour, opacity = 0.6)
    )

let private traces (left: float, right: float) (index: int) (series: Series) : Trace list =
    let colour = if index < 0 then "#000000" else snd (Colours.colour index)
    let isShared, index = index >= 0, max 0 index
    let dash = dashes[index % dashes.Length]
    let symbol = symbols[index % symbols.Length]

    match series with
    | Series.Line(name, points, error) -> curve name colour dash symbol points error
    | Reference(name, points) ->
        let kept = Thinning.indices maxPoints (Array.map snd points)
        [ lines name "#000000" "dash" (kept |> Array.map (fun i -> points[i])) ]
    | Level(name, value) -> [
        lines (if isShared then "" else name) colour "dot" [| left, value; right, value |]
      ]
    | Trail(name, points) -> [ trail name colour points ]
    | Series.Scatter(name, points) -> [ cloud name colour symbol points ]
    | ErrorBars(name, points, error) ->
        let marks = cloud name colour symbol points

        marks.error_y <-
            Error_y(``type`` = "data", array = Array.map Markup.significant error, visible = true)

        [ marks ]
    | Density map -> [ heatmap map ]
    | Bars(name, edges, heights) -> [ bars name colour edges heights ]
    | Arrows(name, arrows) ->
        // A missing point between two segments lifts the pen.
        [
            arrows |> Array.collect (fun (a, b) -> [| a; b; nan, nan |]) |> lines name colour "solid"
        ]

let private kind (axis: Axis) =
    match axis.Scale with
    | Linear -> "linear"
    | Logarithmic -> "log"

/// Plotly wants the exponents of ten on a logarithmic axis.
let private range (axis: Axis) =
    axis.Range
    |> Option.map (fun (low, high) ->
        match axis.Scale with
        | Linear -> [| low; high |]
        | Logarithmic -> [| log10 low; log10 high |])

/// Gives a logarithmic axis the report's own ticks: their values and their labels. plotly.js abbreviates 20 to 2 there.
/// The page's script knows how long the axis is and takes as many as fit.
let private mark (axis: Axis) room (shown: float[]) (set: float[] * string[] -> unit) =
    let ticks = Ticks.ofAxis room axis shown

    if axis.Scale = Logarithmic && not ticks.IsEmpty then
        set ([| for tick in ticks -> tick.Value |], [| for tick in ticks -> Markup.plotly tick.Label |])

let private layout (panel: AxesPanel) (shown: (float * float)[]) =
    let x = Xaxis(title = Markup.plotly panel.X.Label, ``type`` = kind panel.X)

    let y =
        if panel.Equal || panel.IsMap then
            TiedAxis() :> Yaxis
        else
            Yaxis()

    y.title <- Markup.plotly panel.Y.Label
    y.``type`` <- kind panel.Y
    range panel.X |> Option.iter (fun r -> x.range <- r)
    range panel.Y |> Option.iter (fun r -> y.range <- r)

    mark panel.X (Ticks.Along 100.0) (Array.map fst shown) (fun (values, labels) ->
        x.tickvals <- values
        x.ticktext <- labels)

    mark panel.Y (Ticks.Across 20.0) (Array.map snd shown) (fun (values, labels) ->
        y.tickvals <- values
        y.ticktext <- labels)

    let named =
        panel.Series |> List.exists (fun s -> Series.name s <> "" && not (Series.isLone s))

    Layout(
        xaxis = x,
        yaxis = y,
        showlegend = (named && panel.Legend <> NoLegend),
        // Histograms lie over each other, as in the paper.
        barmode = "overlay",
        bargap = 0.0
    )

/// The least and the largest finite abscissa: how far a level is drawn.
let private extent (shown: (float * float)[]) =
    let across = shown |> Array.map fst |> Array.filter Double.IsFinite

    if across.Length = 0 then
        0.0, 1.0
    elif Array.min across = Array.max across then
        // As wide as the axis that a single point gets.
        across[0] - 0.5, across[0] + 0.5
    else
        Array.min across, Array.max across

/// Whether a lone point's name would lie over that of one before it: they are closer than a name is long and high.
let private isCrowded (shown: (float * float)[]) (before: Series list) (series: Series) =
    let span (values: float[]) = max 1e-12 (Array.max values - Array.min values)
    let point = Series.shown >> Array.head
    let x, y = point series

    before
    |> List.filter Series.isLone
    |> List.exists (fun other ->
        let x', y' = point other

        abs (x - x') < 0.15 * span (Array.map fst shown)
        && abs (y - y') < 0.1 * span (Array.map snd shown))

/// The same trace with its name in the legend instead of at the point.
let private inLegend (trace: Trace) : Trace =
    match trace with
    | :? Scatter as marks ->
        marks.mode <- "markers"
        marks.showlegend <- true
    | _ -> ()

    trace

/// Values and layout of a panel's chart as JSON that may stand in a page; each series takes the colour of its number.
/// Series of which nothing can be seen are left out. The page's script adds what all charts share: fonts, margins,
/// the grid and where the legend stands; the panel's title is the page's.
let json (colours: int list) (panel: AxesPanel) : string =
    let shown = panel.Series |> List.toArray |> Array.collect Series.shown
    let extent = extent shown

    let data =
        List.zip colours panel.Series
        |> List.filter (snd >> visible panel)
        |> List.collect (fun (colour, series) ->
            let before =
                panel.Series |> List.takeWhile (fun other -> not (obj.ReferenceEquals(other, series)))

            if Series.isLone series && isCrowded shown before series then
                traces extent colour series |> List.map inLegend
            else
                traces extent colour series)

    let escaped = JsonSerializerSettings(StringEscapeHandling = StringEscapeHandling.EscapeHtml)
    JsonConvert.SerializeObject({| data = data; layout = layout panel shown |}, escaped)
