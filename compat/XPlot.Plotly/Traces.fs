namespace XPlot.Plotly

/// A series of data.
[<AbstractClass>]
type Trace() =
    inherit PlotlyObject()

    /// What the legend calls it.
    member this.name
        with get () = this.Get<string> "name"
        and set (value: string) = this.Set("name", value)

    /// Whether the legend lists it.
    member this.showlegend
        with get () = this.Get<bool> "showlegend"
        and set (value: bool) = this.Set("showlegend", value)

    /// 0 to 1.
    member this.opacity
        with get () = this.Get<float> "opacity"
        and set (value: float) = this.Set("opacity", value)

    /// Which values a pointer shows.
    member this.hoverinfo
        with get () = this.Get<string> "hoverinfo"
        and set (value: string) = this.Set("hoverinfo", value)

/// Lines and points.
type Scatter() as this =
    inherit Trace()

    do this.Set("type", "scatter")

    /// Horizontal positions.
    member this.x
        with get () = this.Get<obj> "x"
        and set (value: obj) = this.Set("x", value)

    /// Vertical positions.
    member this.y
        with get () = this.Get<obj> "y"
        and set (value: obj) = this.Set("y", value)

    /// lines, markers or lines+markers.
    member this.mode
        with get () = this.Get<string> "mode"
        and set (value: string) = this.Set("mode", value)

    /// Words at the points.
    member this.text
        with get () = this.Get<obj> "text"
        and set (value: obj) = this.Set("text", value)

    /// The line.
    member this.line
        with get () = this.Get<Line> "line"
        and set (value: Line) = this.Set("line", value)

    /// The points.
    member this.marker
        with get () = this.Get<Marker> "marker"
        and set (value: Marker) = this.Set("marker", value)

    /// tozeroy, tonexty (to the trace before), toself or none.
    member this.fill
        with get () = this.Get<string> "fill"
        and set (value: string) = this.Set("fill", value)

    /// A CSS colour.
    member this.fillcolor
        with get () = this.Get<string> "fillcolor"
        and set (value: string) = this.Set("fillcolor", value)

    /// Error bars.
    member this.error_y
        with get () = this.Get<ErrorY> "error_y"
        and set (value: ErrorY) = this.Set("error_y", value)

/// Bars from zero.
type Bar() as this =
    inherit Trace()

    do this.Set("type", "bar")

    /// Horizontal positions.
    member this.x
        with get () = this.Get<obj> "x"
        and set (value: obj) = this.Set("x", value)

    /// Vertical positions.
    member this.y
        with get () = this.Get<obj> "y"
        and set (value: obj) = this.Set("y", value)

    /// Width in units of x.
    member this.width
        with get () = this.Get<obj> "width"
        and set (value: obj) = this.Set("width", value)

    /// The bars.
    member this.marker
        with get () = this.Get<Marker> "marker"
        and set (value: Marker) = this.Set("marker", value)

    /// Error bars.
    member this.error_y
        with get () = this.Get<ErrorY> "error_y"
        and set (value: ErrorY) = this.Set("error_y", value)

/// Values of a grid as colours.
type Heatmap() as this =
    inherit Trace()

    do this.Set("type", "heatmap")

    /// Rows of values, the lowest row first.
    member this.z
        with get () = this.Get<obj> "z"
        and set (value: obj) = this.Set("z", value)

    /// Centres of the columns.
    member this.x
        with get () = this.Get<obj> "x"
        and set (value: obj) = this.Set("x", value)

    /// Centres of the rows.
    member this.y
        with get () = this.Get<obj> "y"
        and set (value: obj) = this.Set("y", value)

    /// Viridis, Greys, RdBu, Hot, or (position, colour) pairs.
    member this.colorscale
        with get () = this.Get<obj> "colorscale"
        and set (value: obj) = this.Set("colorscale", value)

    /// Turns the scale round.
    member this.reversescale
        with get () = this.Get<bool> "reversescale"
        and set (value: bool) = this.Set("reversescale", value)

    /// Whether the key is drawn.
    member this.showscale
        with get () = this.Get<bool> "showscale"
        and set (value: bool) = this.Set("showscale", value)

    /// The key.
    member this.colorbar
        with get () = this.Get<Colorbar> "colorbar"
        and set (value: Colorbar) = this.Set("colorbar", value)

    /// Value of the scale's lower end.
    member this.zmin
        with get () = this.Get<float> "zmin"
        and set (value: float) = this.Set("zmin", value)

    /// Value of the scale's upper end.
    member this.zmax
        with get () = this.Get<float> "zmax"
        and set (value: float) = this.Set("zmax", value)

    /// best or fast smooth the cells, false does not.
    member this.zsmooth
        with get () = this.Get<obj> "zsmooth"
        and set (value: obj) = this.Set("zsmooth", value)

/// Values of a grid as bands of colour.
type Contour() as this =
    inherit Trace()

    do this.Set("type", "contour")

    /// Rows of values, the lowest row first.
    member this.z
        with get () = this.Get<obj> "z"
        and set (value: obj) = this.Set("z", value)

    /// Centres of the columns.
    member this.x
        with get () = this.Get<obj> "x"
        and set (value: obj) = this.Set("x", value)

    /// Centres of the rows.
    member this.y
        with get () = this.Get<obj> "y"
        and set (value: obj) = this.Set("y", value)

    /// Viridis, Greys, RdBu, Hot, or (position, colour) pairs.
    member this.colorscale
        with get () = this.Get<obj> "colorscale"
        and set (value: obj) = this.Set("colorscale", value)

    /// Turns the scale round.
    member this.reversescale
        with get () = this.Get<bool> "reversescale"
        and set (value: bool) = this.Set("reversescale", value)

    /// Whether the key is drawn.
    member this.showscale
        with get () = this.Get<bool> "showscale"
        and set (value: bool) = this.Set("showscale", value)

    /// The key.
    member this.colorbar
        with get () = this.Get<Colorbar> "colorbar"
        and set (value: Colorbar) = this.Set("colorbar", value)

    /// Number of bands.
    member this.ncontours
        with get () = this.Get<int> "ncontours"
        and set (value: int) = this.Set("ncontours", value)

    /// Value of the scale's lower end.
    member this.zmin
        with get () = this.Get<float> "zmin"
        and set (value: float) = this.Set("zmin", value)

    /// Value of the scale's upper end.
    member this.zmax
        with get () = this.Get<float> "zmax"
        and set (value: float) = this.Set("zmax", value)
