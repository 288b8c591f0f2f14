namespace XPlot.Plotly

open System
open System.IO
open System.Net
open System.Reflection

module private Page =
    /// The renderer, which Plotly.newPlot of the page stands for.
    let renderer =
        lazy
            (match Assembly.GetExecutingAssembly().GetManifestResourceStream "renderer.js" with
             | null -> raise (FileNotFoundException "renderer.js is not embedded in XPlot.Plotly")
             | stream ->
                 use reader = new StreamReader(stream)
                 reader.ReadToEnd())

    let ofBody title body =
        $"""<!DOCTYPE html>
<html>
<head>
<meta charset="UTF-8" />
<title>{WebUtility.HtmlEncode(title: string)}</title>
<script>
{renderer.Value}</script>
</head>
<body>
{body}
</body>
</html>
"""

/// Traces with a layout, and their HTML.
type PlotlyChart() =
    let mutable traces: Trace list = []
    let mutable layout: Layout option = None

    let options () =
        match layout with
        | Some options -> options
        | None ->
            let fresh = Layout()
            layout <- Some fresh
            fresh

    let axis name (fresh: unit -> 'a) : 'a =
        let options = options ()

        match options.Values.TryGetValue name with
        | true, axis -> unbox axis
        | _ ->
            let axis = fresh ()
            options.Set(name, axis)
            axis

    /// Identifies the chart in its page.
    member val Id = Guid.NewGuid().ToString() with get, set

    /// Pixels.
    member val Width = 900 with get, set

    /// Pixels.
    member val Height = 500 with get, set

    member _.Plot(data: seq<#Trace>, ?Layout: Layout) =
        traces <- [ for trace in data -> trace :> Trace ]

        if Layout.IsSome then
            layout <- Layout

    member _.WithLayout(value: Layout) = layout <- Some value
    member _.WithTitle(title: string) = options().title <- title
    member _.WithXTitle(title: string) = (axis "xaxis" Xaxis).title <- title
    member _.WithYTitle(title: string) = (axis "yaxis" Yaxis).title <- title
    member _.WithLegend(enabled: bool) = options().showlegend <- enabled
    member this.WithWidth(width: int) = this.Width <- width
    member this.WithHeight(height: int) = this.Height <- height
    member this.WithId(id: string) = this.Id <- id

    /// The name of each trace, in order.
    member _.WithLabels(labels: seq<string>) =
        for trace, label in Seq.zip traces labels do
            trace.name <- label

    /// An element and the script that draws into it, for a page whose head is that of GetHtml.
    member this.GetInlineHtml() =
        let layout = layout |> Option.map Json.serialize |> Option.defaultValue "{}"

        $"""<div id="{this.Id}" style="width: {this.Width}px; height: {this.Height}px;"></div>
<script>
Plotly.newPlot("{this.Id}", {Json.serialize traces}, {layout});
</script>"""

    /// A page of its own, which needs nothing from outside.
    member this.GetHtml() = Page.ofBody "Chart" (this.GetInlineHtml())

/// Charts in functional style.
type Chart =
    static member Plot(data: #Trace) =
        let chart = PlotlyChart()
        chart.Plot [ data ]
        chart

    static member Plot(data: seq<#Trace>) =
        let chart = PlotlyChart()
        chart.Plot data
        chart

    static member Plot(data: #Trace, layout: Layout) =
        let chart = PlotlyChart()
        chart.Plot([ data ], layout)
        chart

    static member Plot(data: seq<#Trace>, layout: Layout) =
        let chart = PlotlyChart()
        chart.Plot(data, layout)
        chart

    static member WithLayout (layout: Layout) (chart: PlotlyChart) =
        chart.WithLayout layout
        chart

    static member WithTitle (title: string) (chart: PlotlyChart) =
        chart.WithTitle title
        chart

    static member WithXTitle (title: string) (chart: PlotlyChart) =
        chart.WithXTitle title
        chart

    static member WithYTitle (title: string) (chart: PlotlyChart) =
        chart.WithYTitle title
        chart

    static member WithLegend (enabled: bool) (chart: PlotlyChart) =
        chart.WithLegend enabled
        chart

    static member WithLabels (labels: seq<string>) (chart: PlotlyChart) =
        chart.WithLabels labels
        chart

    static member WithWidth (width: int) (chart: PlotlyChart) =
        chart.WithWidth width
        chart

    static member WithHeight (height: int) (chart: PlotlyChart) =
        chart.WithHeight height
        chart

    static member WithSize (size: int * int) (chart: PlotlyChart) =
        chart.WithWidth(fst size)
        chart.WithHeight(snd size)
        chart

    static member WithId (id: string) (chart: PlotlyChart) =
        chart.WithId id
        chart
