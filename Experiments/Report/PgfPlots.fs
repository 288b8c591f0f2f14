/// Figures as pgfplots: panels of series, and image grids as PNG beside them.
module Research.Report.PgfPlots

open System
open Research.Report.PgfSeries

type File = PgfSeries.File

/// Width of the text in millimetres, as preamble.tex sets it.
let private textWidth = 155.0

/// Width of a digit and height of a line of tick labels in millimetres.
let private digitWidth, private lineHeight = 1.6, 3.2

/// What tick labels and the name of an axis take beside a frame, and what a name alone does.
let private beside, private labelWidth = 14.5, 4.0

/// What sticks out on the right of a frame and above it, without a title and with one.
let private after, private above, private titled = 3.5, 2.2, 7.0

/// By this share the y axis is wider than what it has to show.
let private enlarged = 0.05

/// Between the panels of a row, at least.
let private gap = 1.5

/// A frame without its labels, in millimetres.
type private Frame = { Width: float; Height: float }

let private frameOf (columns: int) (panel: AxesPanel) : Frame =
    let share = textWidth / float columns

    if panel.IsMap || panel.Equal then
        let side = min 90.0 (share - beside - (if panel.Y.Label = "" then 0.0 else labelWidth))
        { Width = side; Height = side }
    else
        let width = min 94.0 (share - beside - after - gap)
        { Width = width; Height = max 26.5 (0.62 * width - 6.0) }

/// A thin bar under a map and its labels, from the colour of 0 to that of its largest value.
let private colourBar (largest: float) =
    let top =
        Ticks.label (float (largest.ToString("G2", Globalization.CultureInfo.InvariantCulture)))

    [
        "colorbar horizontal"
        "colormap/viridis"
        "point meta min=0"
        $"point meta max={Markup.coordinate largest}"
        $"colorbar style={{height=1.2mm, scaled ticks=false, xtick={{0,{Markup.coordinate largest}}}, xticklabels={{$0$,{Markup.latex top}}}, tick style={{draw=none}}, axis line style={{draw=none}}}}"
    ]

/// The largest value of a panel's map.
let private largest (panel: AxesPanel) =
    panel.Series
    |> List.tryPick (function
        | Density map -> Some(peak map)
        | _ -> None)

/// Along an axis, as it is scaled.
let private along (axis: Axis) (v: float) : float =
    match axis.Scale with
    | Linear -> v
    | Logarithmic -> log v

/// The ends of an axis: the given ones, or those of what it shows with a share of its extent on either side. None where
/// that has no extent: pgfplots finds some then.
let private ends (share: float) (axis: Axis) (shown: float[]) : (float * float) option =
    match axis.Range, axis.Scale with
    | Some range, _ -> Some range
    | None, scale ->
        match shown |> Array.filter (fun v -> Double.IsFinite(along axis v)) with
        | [||] -> None
        | values ->
            let low, high = Array.min values, Array.max values
            let slack = share * (along axis high - along axis low)

            if slack = 0.0 && low = high then None
            elif scale = Linear then Some(low - slack, high + slack)
            else Some(low / exp slack, high * exp slack)

let private range (key: string) (ends: (float * float) option) =
    match ends with
    | Some(low, high) -> [ $"{key}min={Markup.coordinate low}"; $"{key}max={Markup.coordinate high}" ]
    | None -> []

/// Where points stand in a frame between known ends. None where pgfplots makes the frame narrower, for units as long on both
/// axes.
let private placing (frame: Frame) (isSquare: bool) (panel: AxesPanel) xEnds yEnds : Placing option =
    let extent (axis: Axis) (low, high) = along axis high - along axis low
    let part (axis: Axis) ends v = (along axis v - along axis (fst ends)) / extent axis ends

    match xEnds, yEnds with
    | Some x, Some y when not isSquare || abs (extent panel.X x / extent panel.Y y - 1.0) < 1e-9 ->
        Some(fun (a, b) -> frame.Width * part panel.X x a, frame.Height * part panel.Y y b)
    | _ -> None

let private ticks (key: string) room (axis: Axis) (shown: float[]) =
    match Ticks.ofAxis room axis shown with
    | [] -> []
    | ticks -> [
        let list text = ticks |> List.map text |> String.concat ","
        $"{key}tick={{{list (fun tick -> Markup.coordinate tick.Value)}}}"
        $"{key}ticklabels={{{list (fun tick -> Markup.latex tick.Label)}}}"
      ]

/// The ends of what an axis shows: of its data, and what pgfplots adds to them.
let private shownRange (isSquare: bool) (axis: Axis) (shown: float[]) : Axis =
    match axis.Range, axis.Scale with
    // The labels of two ticks in a corner would touch.
    | Some(low, high), Linear when isSquare ->
        let slack = 0.04 * (high - low)
        axis |> Axis.between (low + slack) (high - slack)
    | None, Linear ->
        match Array.filter Double.IsFinite shown with
        | [||] -> axis
        | values ->
            let low, high = Array.min values, Array.max values
            let slack = enlarged * (high - low)
            axis |> Axis.between (low - slack) (high + slack)
    | _ -> axis

/// Entries of a legend to a row: all of them (-1), or half where a row of all would be wider than the panel's room in
/// millimetres, which would push the figure's panels below each other.
let private legendColumns (room: float) (panel: AxesPanel) =
    let names =
        panel.Series
        |> List.filter (Series.isLone >> not)
        |> List.map Series.name
        |> List.filter ((<>) "")
    // A footnote's letters, and a piece of the line with its margins.
    let width = names |> List.sumBy (fun name -> 1.6 * float (Markup.plain name).Length + 9.0)
    if width <= room then -1 else (names.Length + 1) / 2

/// A panel; where another one of its row has a title it keeps room for one, so that the frames of a row are level.
let private axesPanel
    (path: int -> string)
    (columns: int)
    (hasTitle: bool)
    (colours: int list)
    (panel: AxesPanel)
    =
    let square = panel.IsMap || panel.Equal
    let frame = frameOf columns panel
    let roomBefore = textWidth / float columns - gap - after - frame.Width
    let c = Markup.coordinate

    let environment =
        match panel.X.Scale, panel.Y.Scale with
        | Linear, Linear -> "axis"
        | Logarithmic, Linear -> "semilogxaxis"
        | Linear, Logarithmic -> "semilogyaxis"
        | Logarithmic, Logarithmic -> "loglogaxis"

    let legend =
        match panel.Legend with
        | NorthEast -> [ "legend pos=north east" ]
        | NorthWest -> [ "legend pos=north west" ]
        | SouthEast -> [ "legend pos=south east" ]
        | SouthWest -> [ "legend pos=south west" ]
        // Room for tick and axis labels, whatever the panel's height.
        | Below -> [
            $"legend columns={legendColumns (textWidth / float columns) panel}"
            "legend style={at={(0.5,0)}, yshift=-11mm, anchor=north}"
          ]
        | NoLegend -> []

    let shown = panel.Series |> List.toArray |> Array.collect Series.shown
    let xs, ys = Array.map fst shown, Array.map snd shown
    // A map fills its frame.
    let slack share = if panel.IsMap then 0.0 else share
    let xEnds = ends (slack 0.02) panel.X xs
    let yEnds = ends (slack enlarged) panel.Y ys
    let place = placing frame square panel xEnds yEnds

    let options =
        [
            (if panel.IsMap then "report image axis" else "report axis")
            if panel.Series |> List.exists Series.isLone then
                // A name beside a point at the edge is not cut.
                "clip mode=individual"
            $"width={c frame.Width}mm, height={c frame.Height}mm, scale only axis"
            if square then
                "axis equal image"
            if panel.Title <> "" then
                $"title={{{Markup.latex panel.Title}}}"
            if panel.X.Label <> "" then
                $"xlabel={{{Markup.latex panel.X.Label}}}"
            if panel.Y.Label <> "" then
                $"ylabel={{{Markup.latex panel.Y.Label}}}"
            yield! range "x" xEnds
            yield! range "y" yEnds
            let x = if square then shownRange true panel.X xs else panel.X
            yield! ticks "x" (Ticks.Along(frame.Width / digitWidth)) x xs
            yield! ticks "y" (Ticks.Across(frame.Height / lineHeight)) (shownRange square panel.Y ys) ys
            yield! largest panel |> Option.map colourBar |> Option.defaultValue []
            yield! legend
        ]
        |> String.concat ", "

    let shownAs item =
        if panel.Legend = NoLegend && not (Series.isLone item) then
            Series.anonymous item
        else
            item

    let drawn, files =
        List.zip colours panel.Series
        |> List.fold
            (fun (lines, files) (colour, item) ->
                let text, png = latex (path (List.length files)) panel.Y.Scale place colour (shownAs item)
                lines @ text, files @ png)
            ([], [])

    [
        @"\begin{tikzpicture}[baseline=(current bounding box.north)]"
        $@"\begin{{{environment}}}[{options}]"
        yield! drawn
        $@"\end{{{environment}}}"
        // The same room about every frame of a figure: frames stand in rows and columns.
        if columns > 1 then
            let top = if hasTitle then titled else above
            $@"\path ([xshift=-{c roomBefore}mm, yshift={c top}mm]current axis.north west) rectangle ([xshift={c after}mm]current axis.south east);"
        @"\end{tikzpicture}"
    ],
    files

/// Images smaller than this many pixels a side are enlarged before they are written.
let private crisp = 56

/// Captions stand beside the rows and above the columns of one stitched PNG.
let private imagePanel (path: string) (columns: int) (grid: ImageGrid) =
    let first = grid.Images[0]
    let factor = max 1 ((crisp + max first.Width first.Height - 1) / max first.Width first.Height)
    let stitched = grid.Images |> Array.map (Png.enlarge factor) |> Png.tile grid.Columns 2
    let rows = (grid.Images.Length + grid.Columns - 1) / grid.Columns
    let captionWidth = if grid.RowCaptions.IsEmpty then 0.0 else 24.0
    let available = textWidth / float columns - 3.0 - captionWidth
    // Cells of at most 14 mm, and a page high at most.
    let width = min available (14.0 * float grid.Columns)
    let ratio = float stitched.Height / float stitched.Width
    let width = if width * ratio > 190.0 then 190.0 / ratio else width
    let height = width * ratio
    let c = Markup.coordinate

    let node x y anchor text =
        $@"\node[anchor={anchor}, font=\footnotesize, inner sep=1.5pt] at ({c x}mm,{c y}mm) {{{Markup.latex text}}};"

    [
        @"\begin{tikzpicture}[baseline=(current bounding box.north)]"
        $@"\node[anchor=south west, inner sep=0] at (0,0) {{\includegraphics[width={c width}mm]{{{path}}}}};"
        for i, caption in List.indexed grid.RowCaptions do
            node -0.5 (height * (1.0 - (float i + 0.5) / float rows)) "east" caption
        for i, caption in List.indexed grid.ColumnCaptions do
            node (width * (float i + 0.5) / float grid.Columns) (height + 0.3) "south" caption
        if grid.Title <> "" then
            let y =
                if grid.ColumnCaptions.IsEmpty then
                    height + 1.0
                else
                    height + 5.0

            $@"\node[anchor=south, font=\small] at ({c (width / 2.0)}mm,{c y}mm) {{{Markup.latex grid.Title}}};"
        @"\end{tikzpicture}"
    ],
    [ { Path = path; Bytes = Png.encode stitched } ]

/// The figure as `figures/ID.tex` with the PNG files that it includes.
/// Raises `ArgumentException` for a figure without panels or a grid without images.
let render (figure: Figure) : File list =
    if figure.Panels.IsEmpty || figure.Columns < 1 then
        invalidArg (nameof figure) $"figure {figure.Id} has no panels"

    // LaTeX takes everything after the first dot for the extension.
    let stem = figure.Id.Replace('.', '-')

    let hasTitle =
        figure.Panels
        |> List.map (function
            | Axes axes -> axes.Title <> ""
            | Images _ -> false)
        |> List.chunkBySize figure.Columns
        |> List.collect (fun row -> row |> List.map (fun _ -> List.contains true row))

    let panels, files =
        List.zip3 (Figure.colours figure) hasTitle figure.Panels
        |> List.mapi (fun i (colours, hasTitle, panel) ->
            let png part = $"figures/{stem}-{i + 1}-{part + 1}.png"

            match panel with
            | Axes axes -> axesPanel png figure.Columns hasTitle colours axes
            | Images grid ->
                if grid.Images.Length = 0 then
                    invalidArg (nameof figure) $"figure {figure.Id} has an image panel without images"

                imagePanel (png 0) figure.Columns grid)
        |> List.unzip

    let rows = panels |> List.chunkBySize figure.Columns

    // Panels that fill their row reach from margin to margin, others stand together in its middle.
    let between row =
        if List.length row < figure.Columns then
            "\\qquad\n"
        else
            "\\hfill\n"

    let body =
        rows
        |> List.map (fun row -> row |> List.map (String.concat "\n") |> String.concat (between row))
        |> String.concat "\\par\\medskip\n"

    let tex =
        [
            @"\begin{figure}[!htbp]"
            @"\centering"
            body
            $@"\caption{{{Markup.latex (Markup.sentence figure.Caption)}}}"
            $@"\label{{fig:{figure.Id}}}"
            @"\end{figure}"
            ""
        ]
        |> String.concat "\n"

    {
        Path = $"figures/{figure.Id}.tex"
        Bytes = System.Text.Encoding.UTF8.GetBytes tex
    }
    :: List.concat files
