namespace XPlot.Plotly

/// How a line is drawn.
type Line() =
    inherit PlotlyObject()

    /// A CSS colour.
    member this.color
        with get () = this.Get<string> "color"
        and set (value: string) = this.Set("color", value)

    /// Pixels.
    member this.width
        with get () = this.Get<float> "width"
        and set (value: float) = this.Set("width", value)

    /// solid, dash, dot, dashdot or longdash.
    member this.dash
        with get () = this.Get<string> "dash"
        and set (value: string) = this.Set("dash", value)

    /// linear, or hv for steps.
    member this.shape
        with get () = this.Get<string> "shape"
        and set (value: string) = this.Set("shape", value)

/// How points and bars are drawn.
type Marker() =
    inherit PlotlyObject()

    /// A CSS colour, or one colour or class number a point.
    member this.color
        with get () = this.Get<obj> "color"
        and set (value: obj) = this.Set("color", value)

    /// Diameter in pixels.
    member this.size
        with get () = this.Get<obj> "size"
        and set (value: obj) = this.Set("size", value)

    /// circle and others.
    member this.symbol
        with get () = this.Get<string> "symbol"
        and set (value: string) = this.Set("symbol", value)

    /// 0 to 1.
    member this.opacity
        with get () = this.Get<float> "opacity"
        and set (value: float) = this.Set("opacity", value)

    /// The outline.
    member this.line
        with get () = this.Get<Line> "line"
        and set (value: Line) = this.Set("line", value)

/// Error bars along y.
type ErrorY() =
    inherit PlotlyObject()

    /// data, constant, percent or sqrt.
    member this.``type``
        with get () = this.Get<string> "type"
        and set (value: string) = this.Set("type", value)

    /// Half-lengths, upwards when arrayminus is set.
    member this.array
        with get () = this.Get<obj> "array"
        and set (value: obj) = this.Set("array", value)

    /// Half-lengths downwards.
    member this.arrayminus
        with get () = this.Get<obj> "arrayminus"
        and set (value: obj) = this.Set("arrayminus", value)

    /// Whether they are drawn.
    member this.visible
        with get () = this.Get<bool> "visible"
        and set (value: bool) = this.Set("visible", value)

    /// A CSS colour.
    member this.color
        with get () = this.Get<string> "color"
        and set (value: string) = this.Set("color", value)

/// The key of a colour scale.
type Colorbar() =
    inherit PlotlyObject()

    /// Its title.
    member this.title
        with get () = this.Get<string> "title"
        and set (value: string) = this.Set("title", value)

/// The horizontal axis.
type Xaxis() =
    inherit PlotlyObject()

    /// What is measured, with its unit.
    member this.title
        with get () = this.Get<string> "title"
        and set (value: string) = this.Set("title", value)

    /// linear, log or category.
    member this.``type``
        with get () = this.Get<string> "type"
        and set (value: string) = this.Set("type", value)

    /// Two ends; exponents of ten on a log axis.
    member this.range
        with get () = this.Get<obj> "range"
        and set (value: obj) = this.Set("range", value)

    /// true, false or reversed.
    member this.autorange
        with get () = this.Get<obj> "autorange"
        and set (value: obj) = this.Set("autorange", value)

    /// Where ticks stand.
    member this.tickvals
        with get () = this.Get<obj> "tickvals"
        and set (value: obj) = this.Set("tickvals", value)

    /// What they say.
    member this.ticktext
        with get () = this.Get<obj> "ticktext"
        and set (value: obj) = this.Set("ticktext", value)

    /// Whether they say anything.
    member this.showticklabels
        with get () = this.Get<bool> "showticklabels"
        and set (value: bool) = this.Set("showticklabels", value)

    /// Whether grid lines are drawn.
    member this.showgrid
        with get () = this.Get<bool> "showgrid"
        and set (value: bool) = this.Set("showgrid", value)

    /// Whether the line at zero is drawn.
    member this.zeroline
        with get () = this.Get<bool> "zeroline"
        and set (value: bool) = this.Set("zeroline", value)

/// The vertical axis.
type Yaxis() =
    inherit PlotlyObject()

    /// What is measured, with its unit.
    member this.title
        with get () = this.Get<string> "title"
        and set (value: string) = this.Set("title", value)

    /// linear, log or category.
    member this.``type``
        with get () = this.Get<string> "type"
        and set (value: string) = this.Set("type", value)

    /// Two ends; exponents of ten on a log axis.
    member this.range
        with get () = this.Get<obj> "range"
        and set (value: obj) = this.Set("range", value)

    /// true, false or reversed.
    member this.autorange
        with get () = this.Get<obj> "autorange"
        and set (value: obj) = this.Set("autorange", value)

    /// Where ticks stand.
    member this.tickvals
        with get () = this.Get<obj> "tickvals"
        and set (value: obj) = this.Set("tickvals", value)

    /// What they say.
    member this.ticktext
        with get () = this.Get<obj> "ticktext"
        and set (value: obj) = this.Set("ticktext", value)

    /// Whether they say anything.
    member this.showticklabels
        with get () = this.Get<bool> "showticklabels"
        and set (value: bool) = this.Set("showticklabels", value)

    /// Whether grid lines are drawn.
    member this.showgrid
        with get () = this.Get<bool> "showgrid"
        and set (value: bool) = this.Set("showgrid", value)

    /// Whether the line at zero is drawn.
    member this.zeroline
        with get () = this.Get<bool> "zeroline"
        and set (value: bool) = this.Set("zeroline", value)

    /// x keeps the units square.
    member this.scaleanchor
        with get () = this.Get<string> "scaleanchor"
        and set (value: string) = this.Set("scaleanchor", value)

/// Where the legend stands.
type Legend() =
    inherit PlotlyObject()

    /// v beside the plot, h under it.
    member this.orientation
        with get () = this.Get<string> "orientation"
        and set (value: string) = this.Set("orientation", value)

    /// In widths of the plot.
    member this.x
        with get () = this.Get<float> "x"
        and set (value: float) = this.Set("x", value)

    /// In heights of the plot.
    member this.y
        with get () = this.Get<float> "y"
        and set (value: float) = this.Set("y", value)

/// Space around the plot in pixels.
type Margin() =
    inherit PlotlyObject()

    /// Left.
    member this.l
        with get () = this.Get<float> "l"
        and set (value: float) = this.Set("l", value)

    /// Right.
    member this.r
        with get () = this.Get<float> "r"
        and set (value: float) = this.Set("r", value)

    /// Top.
    member this.t
        with get () = this.Get<float> "t"
        and set (value: float) = this.Set("t", value)

    /// Bottom.
    member this.b
        with get () = this.Get<float> "b"
        and set (value: float) = this.Set("b", value)

/// All of a chart that is not data.
type Layout() =
    inherit PlotlyObject()

    /// Above the plot.
    member this.title
        with get () = this.Get<string> "title"
        and set (value: string) = this.Set("title", value)

    /// Pixels.
    member this.width
        with get () = this.Get<float> "width"
        and set (value: float) = this.Set("width", value)

    /// Pixels.
    member this.height
        with get () = this.Get<float> "height"
        and set (value: float) = this.Set("height", value)

    /// The horizontal axis.
    member this.xaxis
        with get () = this.Get<Xaxis> "xaxis"
        and set (value: Xaxis) = this.Set("xaxis", value)

    /// The vertical axis.
    member this.yaxis
        with get () = this.Get<Yaxis> "yaxis"
        and set (value: Yaxis) = this.Set("yaxis", value)

    /// Whether there is a legend.
    member this.showlegend
        with get () = this.Get<bool> "showlegend"
        and set (value: bool) = this.Set("showlegend", value)

    /// Where it stands.
    member this.legend
        with get () = this.Get<Legend> "legend"
        and set (value: Legend) = this.Set("legend", value)

    /// Space around the plot.
    member this.margin
        with get () = this.Get<Margin> "margin"
        and set (value: Margin) = this.Set("margin", value)

    /// group or overlay.
    member this.barmode
        with get () = this.Get<string> "barmode"
        and set (value: string) = this.Set("barmode", value)

    /// Space between bars, 0 to 1.
    member this.bargap
        with get () = this.Get<float> "bargap"
        and set (value: float) = this.Set("bargap", value)
