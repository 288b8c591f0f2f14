/// Panels with axes as Plotly charts.
module Research.Report.Charts

open System
open XPlot.Plotly

/// Points of one curve that the browser gets at most.
let private maxPoints = 2000

// As in the paper, series differ in dash pattern and mark as well as in colour; captions name them.
let private dashes = [| "solid"; "dash"; "dot"; "dashdot"; "longdash" |]
let private symbols = [| "circle"; "square"; "triangle-up"; "diamond" |]

/// Curves with few points show them.
let private markLimit = 30

let private xs (points: (float * float)[]) = Array.map fst points
let private ys (points: (float * float)[]) = Array.map snd points

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

    XPlot.Plotly.Scatter(
        x = xs outline,
        y = ys outline,
        mode = "lines",
        fill = "toself",
        fillcolor = transparent colour 0.2,
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
        name = Markup.plotly name,
        showlegend = (name <> ""),
        line = XPlot.Plotly.Line(color = colour, dash = dash)
    )

/// XPlot's bar has no width, plotly.js' has one for each bar.
type WideBar() =
    inherit Bar()
    member val width: float[] = [||] with get, set

let private traces (extent: float * float) (index: int) (series: Series) : Trace list =
    let _, colour = Colours.colour index
    let dash = dashes[index % dashes.Length]
    let symbol = symbols[index % symbols.Length]
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
            let line = lines name colour dash drawn

            if drawn.Length <= markLimit then
                line.mode <- "lines+markers"
                line.marker <- Marker(color = colour, size = 5.0, symbol = symbol)

            line
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
            name = Markup.plotly name,
            showlegend = (name <> ""),
            // A few points should be seen beside a curve, many should not hide each other.
            marker =
                Marker(
                    color = colour,
                    size = (if points.Length <= 100 then 7.0 else 4.0),
                    opacity = 0.6,
                    symbol = symbol
                )
        )
      ]
    | ErrorBars(name, points, error) -> [
        XPlot.Plotly.Scatter(
            x = xs points,
            y = ys points,
            mode = "markers",
            name = Markup.plotly name,
            showlegend = (name <> ""),
            marker = Marker(color = colour, size = 6.0, symbol = symbol),
            error_y = Error_y(``type`` = "data", array = error, visible = true)
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
            WideBar(
                x = middles,
                y = heights,
                width = widths,
                name = Markup.plotly name,
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

/// Gives an axis the report's own ticks where it has any: their values and their labels.
let private mark (ticks: Ticks.Tick list) (set: float[] * string[] -> unit) =
    if not ticks.IsEmpty then
        set ([| for tick in ticks -> tick.Value |], [| for tick in ticks -> Markup.plotly tick.Label |])

/// Whether a panel holds a density map, and is drawn square.
let holdsMap panel =
    match panel with
    | Axes axes -> axes.IsMap
    | Images _ -> false

/// How a panel is drawn: pixels, and whether its legend stands under it.
type Frame = { Width: int; Height: int; LegendBelow: bool }

/// The least and the largest finite abscissa: how far a level is drawn.
let private extent (shown: (float * float)[]) =
    let across = xs shown |> Array.filter Double.IsFinite

    if across.Length = 0 then
        0.0, 1.0
    elif Array.min across = Array.max across then
        // As wide as the axis that a single point gets.
        across[0] - 0.5, across[0] + 0.5
    else
        Array.min across, Array.max across

/// A panel as a chart; `id` names its element in the page. Series of which nothing can be seen are left out.
let chart (id: string) (frame: Frame) (panel: AxesPanel) : PlotlyChart =
    let shown = panel.Series |> List.toArray |> Array.collect Series.shown
    let extent = extent shown

    let data, _ =
        panel.Series
        |> List.mapFold
            (fun index series ->
                let next = if Series.isColoured series then index + 1 else index

                (if visible panel series then
                     traces extent index series
                 else
                     []),
                next)
            0

    let x = Xaxis(title = Markup.plotly panel.X.Label, ``type`` = kind panel.X, ticks = "outside")
    let y = Yaxis(title = Markup.plotly panel.Y.Label, ``type`` = kind panel.Y, ticks = "outside")
    range panel.X |> Option.iter (fun r -> x.range <- r)
    range panel.Y |> Option.iter (fun r -> y.range <- r)

    mark (Ticks.ofAxis panel.X (xs shown)) (fun (values, labels) ->
        x.tickvals <- values
        x.ticktext <- labels)

    mark (Ticks.ofAxis panel.Y (ys shown)) (fun (values, labels) ->
        y.tickvals <- values
        y.ticktext <- labels)

    let named = panel.Series |> List.exists (fun s -> Series.name s <> "")
    let below = frame.LegendBelow || panel.Legend = Below

    let layout =
        Layout(
            title = Markup.plotly panel.Title,
            xaxis = x,
            yaxis = y,
            showlegend = (named && panel.Legend <> NoLegend),
            legend = Legend(orientation = (if below then "h" else "v")),
            // Histograms lie over each other, as in the paper.
            barmode = "overlay",
            bargap = 0.0,
            // plotly.js' own leave small panels no room.
            margin = Margin(l = 60.0, r = 15.0, t = (if panel.Title = "" then 15.0 else 35.0), b = 45.0)
        )

    let chart = Chart.Plot(List.concat data, layout)
    chart.WithId id
    chart.WithWidth frame.Width
    chart.WithHeight frame.Height
    chart
