/// Series of a panel as pgfplots: vector graphics in the document's fonts, density maps as PNG beside them.
module Research.Report.PgfSeries

open System

/// A file under `paper/generated/`.
type File = { Path: string; Bytes: byte[] }

/// Points of one curve that TeX gets at most.
let maxPoints = 240

/// Points of one trail that TeX gets at most.
let private maxTrail = 1200

/// Points of one cloud that TeX gets at most.
let private maxScatter = 500

let private coordinates (points: (float * float)[]) =
    points
    |> Array.map (fun (x, y) -> $"({Markup.coordinate x},{Markup.coordinate y})")
    |> String.concat " "

/// At most so many of the points, evenly.
let private strided most (points: 'a[]) : 'a[] =
    let stride = max 1 ((points.Length + most - 1) / most)
    [| for i in 0..stride .. points.Length - 1 -> points[i] |]

let private pick (indices: int[]) (items: 'a[]) = indices |> Array.map (fun i -> items[i])

// Series differ in dash pattern and mark as well as in colour.
let private dashes = [|
    "solid"
    "densely dashed"
    "densely dotted"
    "dash dot"
    "loosely dashed"
    "dashed"
    "dotted"
|]

let private marks = [|
    "*"
    "square*"
    "triangle*"
    "diamond*"
    "pentagon*"
    "o"
    "square"
    "triangle"
    "diamond"
    "x"
|]

/// Curves with few points show them.
let private markLimit = 30

/// The largest value of a map, 0 when none is positive.
let peak (map: DensityMap) = map.Values |> Seq.cast<float> |> Seq.filter Double.IsFinite |> Seq.fold max 0.0

/// A density map as an image, upper row first, brightest at its largest value.
let densityImage (map: DensityMap) : Png.Image =
    let rows, columns = Array2D.length1 map.Values, Array2D.length2 map.Values
    let largest = peak map
    let pixels = Array.zeroCreate<byte>(rows * columns * 3)

    for r in 0 .. rows - 1 do
        for c in 0 .. columns - 1 do
            let value = map.Values[rows - 1 - r, c]
            let red, green, blue = Colours.viridisAt (if largest > 0.0 then value / largest else 0.0)
            let at = (r * columns + c) * 3
            pixels[at] <- red
            pixels[at + 1] <- green
            pixels[at + 2] <- blue

    { Width = columns; Height = rows; Channels = 3; Pixels = pixels }

let private legendEntry name =
    if name = "" then
        []
    else
        [ $@"\addlegendentry{{{Markup.latex name}}}" ]

let private forget name = if name = "" then ", forget plot" else ""

/// Where a point of a panel stands in its frame, in millimetres from the lower left corner.
type Placing = float * float -> float * float

/// Further away than any frame, and not too far for TeX.
let private outside = 2000.0

let private places (place: Placing) (points: (float * float)[]) : string =
    let millimetres (v: float) =
        (Math.Clamp(v, -outside, outside)).ToString("0.###", Globalization.CultureInfo.InvariantCulture)

    points
    |> Array.map (fun point ->
        let x, y = place point
        $"{millimetres x},{millimetres y};")
    |> String.concat ""

/// The stretches of a curve between points that it lacks.
let private stretches (place: Placing) (points: (float * float)[]) : (float * float)[] list =
    let isFinite point =
        let x, y = place point
        Double.IsFinite x && Double.IsFinite y

    [
        let mutable start = 0

        for i in 0 .. points.Length do
            if i = points.Length || not (isFinite points[i]) then
                if i > start then
                    points[start .. i - 1]

                start <- i + 1
    ]

/// A curve of many points, in millimetres where its frame is known.
let private path (place: Placing option) (options: string) name (points: (float * float)[]) : string list =
    match place with
    | Some place when points.Length > markLimit -> [
        for stretch in stretches place points do
            $@"\reportpath{{{options}}}{{{places place stretch}}}"
        if name <> "" then
            $@"\addlegendimage{{{options}, no marks}}"
      ]
    | _ -> [ $@"\addplot[{options}, no marks{forget name}] coordinates {{{coordinates points}}};" ]

/// The area between mean - error and mean + error. On a logarithmic axis the
/// lower edge stays positive.
let private band colour (scale: Scale) (points: (float * float)[]) (error: float[]) =
    let lower =
        Array.map2
            (fun (x, y) e ->
                let low = y - e
                x, (if scale = Logarithmic && low <= 0.0 then y / 10.0 else low))
            points
            error

    let upper = Array.map2 (fun (x, y) e -> x, y + e) points error
    let finite = Array.filter (fun (x: float, y: float) -> Double.IsFinite x && Double.IsFinite y)
    let outline = Array.append (finite upper) (Array.rev (finite lower))

    match outline.Length with
    | 0
    | 1 -> []
    // One point has an error.
    | 2 -> [ $@"\addplot[{colour}, no marks, forget plot] coordinates {{{coordinates outline}}};" ]
    | _ -> [
        $@"\addplot[draw=none, fill={colour}, fill opacity=0.2, forget plot] coordinates {{{coordinates outline}}} -- cycle;"
      ]

/// What names a series: an entry of the legend, or the name beside a single point.
let private named item =
    let name = Markup.latex (Series.name item)

    if Series.isLone item then
        // Above on the right, where no line from the point's left goes.
        $", forget plot, nodes near coords={{{name}}}, every node near coord/.style={{anchor=south west, inner sep=1.5pt, font=\\footnotesize, black}}",
        []
    else
        forget (Series.name item), legendEntry (Series.name item)

/// LaTeX of one series, and its PNG if it has one. `index` chooses colour, dash and mark; -1 is black.
/// `place` where the ends of both axes are known.
let latex
    (file: string)
    (scale: Scale)
    (place: Placing option)
    (index: int)
    (item: Series)
    : string list * File list =
    let colour =
        if index < 0 then
            "report-black"
        else
            fst (Colours.colour index)

    let isShared, index = index >= 0, max 0 index
    let naming, entry = named item

    match item with
    // pgfplots gives the legend entry of an empty plot to the next one.
    | Line(_, [||], _)
    | Trail(_, [||])
    | Scatter(_, [||])
    | ErrorBars(_, [||], _)
    | Reference(_, [||]) -> [], []
    | Line(name, points, error) ->
        let kept = Thinning.indices maxPoints (Array.map snd points)
        let drawn = pick kept points

        let dash = dashes[index % dashes.Length]

        let area =
            match error with
            | Some e when e |> Array.exists (fun v -> v > 0.0) -> band colour scale drawn (pick kept e)
            | _ -> []

        [
            yield! area
            if drawn.Length <= markLimit then
                let mark = marks[index % marks.Length]
                $@"\addplot[{colour}, {dash}, mark={mark}, mark size=1.2pt, mark options=solid{forget name}] coordinates {{{coordinates drawn}}};"
            else
                yield! path place $"{colour}, {dash}, line width=0.8pt" name drawn
            yield! legendEntry name
        ],
        []
    | Trail(name, points) ->
        [
            yield! path place $"{colour}, line width=0.3pt" name (strided maxTrail points)
            yield! legendEntry name
        ],
        []
    | Scatter(name, points) ->
        let drawn = strided maxScatter points
        // A few points should be seen beside a curve, many should not hide each other.
        let size = if drawn.Length <= 100 then "1.6pt" else "0.8pt"
        let mark = marks[index % marks.Length]
        let paint = $"{colour}, fill opacity=0.6, draw opacity=0.6"

        [
            match place with
            | Some place when drawn.Length > markLimit ->
                let seen = stretches place drawn |> Array.concat
                $@"\reportmarks{{{paint}, line width=0.8pt}}{{{mark}}}{{{size}}}{{{places place seen}}}"

                if name <> "" then
                    $@"\addlegendimage{{{paint}, only marks, mark={mark}, mark size={size}}}"
            | _ ->
                $@"\addplot[{paint}, only marks, mark={mark}, mark size={size}{naming}] coordinates {{{coordinates drawn}}};"
            yield! entry
        ],
        []
    | ErrorBars(_, points, error) ->
        let items =
            Array.map2
                (fun (x, y) e ->
                    $"({Markup.coordinate x},{Markup.coordinate y}) +- (0,{Markup.coordinate e})")
                points
                error
            |> String.concat " "

        // One with its name beside it needs no mark of its own.
        let mark =
            if Series.isLone item then
                "*"
            else
                marks[index % marks.Length]

        [
            $@"\addplot[{colour}, only marks, mark={mark}, mark size=2pt{naming}, error bars/.cd, y dir=both, y explicit] coordinates {{{items}}};"
            yield! entry
        ],
        []
    | Reference(name, points) ->
        let drawn = pick (Thinning.indices maxPoints (Array.map snd points)) points

        [
            yield! path place "report-black, dashed, line width=0.6pt" name drawn
            yield! legendEntry name
        ],
        []
    | Level(name, value) ->
        // Drawn across the axis whatever its range, without influencing it.
        let y = Markup.coordinate value

        [
            $@"\draw[{colour}, dotted, line width=0.9pt] ({{rel axis cs:0,0}} |- {{axis cs:1,{y}}}) -- ({{rel axis cs:1,0}} |- {{axis cs:1,{y}}});"
            // A series of the same name has the entry.
            if name <> "" && not isShared then
                @"\addlegendimage{report-black, dotted, line width=0.9pt, no marks}"
                yield! legendEntry name
        ],
        []
    | Density map ->
        let (x0, x1), (y0, y1) = map.X, map.Y
        let image = densityImage map
        let factor = max 1 (300 / max image.Width image.Height)
        let c = Markup.coordinate

        [
            $@"\addplot[forget plot] graphics[xmin={c x0}, xmax={c x1}, ymin={c y0}, ymax={c y1}] {{{file}}};"
        ],
        [ { Path = file; Bytes = Png.encode (Png.enlarge factor image) } ]
    | Bars(name, edges, heights) ->
        let points =
            Array.append (Array.zip edges[.. heights.Length - 1] heights) [| edges[edges.Length - 1], 0.0 |]

        [
            $@"\addplot[{colour}, fill={colour}, fill opacity=0.4, ybar interval, no marks{forget name}] coordinates {{{coordinates points}}};"
            yield! legendEntry name
        ],
        []
    | Arrows(name, arrows) ->
        [
            for (x0, y0), (x1, y1) in arrows do
                let c = Markup.coordinate
                $@"\draw[{colour}, -stealth, line width=0.4pt] (axis cs:{c x0},{c y0}) -- (axis cs:{c x1},{c y1});"
            if name <> "" then
                $@"\addlegendimage{{{colour}, -stealth, no marks}}"
            yield! legendEntry name
        ],
        []
