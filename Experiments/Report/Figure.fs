namespace Research.Report

type Scale =
    | Linear
    | Logarithmic

type Axis = {
    Label: string
    Scale: Scale
    /// `None`: from the data.
    Range: (float * float) option
}

/// A function sampled on a grid: `Values[row, column]`, row 0 at the lower end
/// of `Y`, column 0 at the lower end of `X`. Brighter is larger.
type DensityMap = { Values: float[,]; X: float * float; Y: float * float }

/// What is drawn in a panel with axes. Points are (x, y).
type Series =
    /// A curve, with an optional half-width (one standard error) at each point.
    | Line of name: string * points: (float * float)[] * error: float[] option
    | Scatter of name: string * points: (float * float)[]
    | ErrorBars of name: string * points: (float * float)[] * error: float[]
    /// Values of a source or of a theory, drawn dashed in black.
    | Reference of name: string * points: (float * float)[]
    /// A horizontal line at a value of a source or of a theory; in a series' colour when it has that series' name.
    | Level of name: string * value: float
    /// A long path, drawn thin: all that came before what a line shows.
    | Trail of name: string * points: (float * float)[]
    | Density of DensityMap
    /// A histogram: n + 1 edges, n heights.
    | Bars of name: string * edges: float[] * heights: float[]
    /// From point to point.
    | Arrows of name: string * arrows: ((float * float) * (float * float))[]

module Series =
    let name series =
        match series with
        | Line(name, _, _)
        | Scatter(name, _)
        | ErrorBars(name, _, _)
        | Reference(name, _)
        | Level(name, _)
        | Trail(name, _)
        | Bars(name, _, _)
        | Arrows(name, _) -> name
        | Density _ -> ""

    /// The same without a name, which keeps it out of the legend.
    let anonymous series =
        match series with
        | Line(_, points, error) -> Line("", points, error)
        | Scatter(_, points) -> Scatter("", points)
        | ErrorBars(_, points, error) -> ErrorBars("", points, error)
        | Reference(_, points) -> Reference("", points)
        | Level(_, value) -> Level("", value)
        | Trail(_, points) -> Trail("", points)
        | Bars(_, edges, heights) -> Bars("", edges, heights)
        | Arrows(_, arrows) -> Arrows("", arrows)
        | Density _ -> series

    /// Whether it is a single point with a name, which then stands at the point and not in the legend.
    let isLone series =
        match series with
        | Scatter(name, [| _ |])
        | ErrorBars(name, [| _ |], _) -> name <> ""
        | _ -> false

    /// Whether it takes the next colour of the palette: references are black and maps have colours of their own.
    let isColoured series =
        match series with
        | Reference _
        | Level _
        | Density _ -> false
        | _ -> true

    /// What axes without a range have to show: the points and the ends of their errors. A level takes the axes as the
    /// others make them.
    let shown series : (float * float)[] =
        let ends (points: (float * float)[]) (error: float[]) =
            Array.map2 (fun (x, y) e -> [| x, y; x, y - e; x, y + e |]) points error |> Array.concat

        match series with
        | Line(_, points, Some error)
        | ErrorBars(_, points, error) -> ends points error
        | Line(_, points, None)
        | Scatter(_, points)
        | Trail(_, points)
        | Reference(_, points) -> points
        | Bars(_, edges, heights) -> Array.zip edges (Array.append heights [| 0.0 |])
        | Arrows(_, arrows) -> arrows |> Array.collect (fun (a, b) -> [| a; b |])
        | Density map -> [| fst map.X, fst map.Y; snd map.X, snd map.Y |]
        | Level _ -> [||]

    /// The largest absolute coordinate that they show.
    let reach (series: Series list) : float =
        series |> Seq.collect shown |> Seq.map (fun (x, y) -> max (abs x) (abs y)) |> Seq.max

type Legend =
    | NorthEast
    | NorthWest
    | SouthEast
    | SouthWest
    /// Under the panel, in one row.
    | Below
    | NoLegend

type AxesPanel = {
    Title: string
    X: Axis
    Y: Axis
    Series: Series list
    Legend: Legend
    /// A unit is as long on both axes: for panels whose message is a shape.
    Equal: bool
} with

    member this.IsMap = this.Series |> List.exists _.IsDensity

/// Equal images in rows. Captions may be empty lists.
type ImageGrid = {
    Title: string
    /// Images to a row.
    Columns: int
    /// One size, grey or RGB; in reading order.
    Images: Png.Image[]
    RowCaptions: string list
    ColumnCaptions: string list
}

type Panel =
    | Axes of AxesPanel
    | Images of ImageGrid

/// A figure of the report: the same value becomes pgfplots in the paper and
/// Plotly in the browser. Strings are text with `$...$` for mathematics.
type Figure = {
    /// Row id, then what: `ift1.curve`.
    Id: string
    Caption: string
    Panels: Panel list
    /// Panels to a row.
    Columns: int
    /// Names that take the first colours, also where no series has them: so that figures about the same things agree.
    Names: string list
}

module Axis =
    let linear label = { Label = label; Scale = Linear; Range = None }

    let log label = { Label = label; Scale = Logarithmic; Range = None }

    let between low high axis = { axis with Range = Some(low, high) }

module Panel =
    /// Axes with a title, a legend in the upper right corner and these series.
    let axes title x y series =
        Axes {
            Title = title
            X = x
            Y = y
            Series = series
            Legend = NorthEast
            Equal = false
        }

    /// The same with a unit as long on both axes.
    let equal panel =
        match panel with
        | Axes axes -> Axes { axes with Equal = true }
        | Images _ -> panel

    let withLegend legend panel =
        match panel with
        | Axes axes -> Axes { axes with Legend = legend }
        | Images _ -> panel

    /// The plane around the origin as far as `reach` in each direction, a unit as long on both axes and without a legend.
    let around (reach: float) title x y series =
        let axis label = Axis.linear label |> Axis.between (-1.05 * reach) (1.05 * reach)
        axes title (axis x) (axis y) series |> equal |> withLegend NoLegend

    /// A grid of images without captions.
    let images title columns images =
        Images {
            Title = title
            Columns = columns
            Images = images
            RowCaptions = []
            ColumnCaptions = []
        }

    let withCaptions rows columns panel =
        match panel with
        | Images grid -> Images { grid with RowCaptions = rows; ColumnCaptions = columns }
        | Axes _ -> panel

module Figure =
    /// A figure of several panels, `columns` to a row.
    let grid id caption columns panels = {
        Id = id
        Caption = caption
        Panels = panels
        Columns = columns
        Names = []
    }

    /// A figure of one panel.
    let single id caption panel = grid id caption 1 [ panel ]

    /// The same with the colours of a family of figures.
    let naming names (figure: Figure) = { figure with Names = names }

    let private series panel =
        match panel with
        | Axes axes -> axes.Series
        | Images _ -> []

    /// Which colour of the palette each series of each panel takes. A name has one colour in the whole figure, and no
    /// other name has it; series without a name are told apart within their panel. -1 is black.
    let colours (figure: Figure) : int list list =
        let isNamed item = Series.isColoured item && Series.name item <> ""

        let names =
            figure.Panels
            |> List.collect series
            |> List.filter isNamed
            |> List.map Series.name
            |> List.append figure.Names
            |> List.distinct

        let index item = List.findIndex ((=) (Series.name item)) names

        [
            for panel in figure.Panels do
                let taken = series panel |> List.filter isNamed |> List.map index |> Set.ofList
                let free = Seq.initInfinite id |> Seq.filter (taken.Contains >> not)

                series panel
                |> List.mapFold
                    (fun nameless item ->
                        if isNamed item then
                            index item, nameless
                        elif Series.isColoured item then
                            Seq.item nameless free, nameless + 1
                        else
                            (names |> List.tryFindIndex ((=) (Series.name item)) |> Option.defaultValue -1),
                            nameless)
                    0
                |> fst
        ]
