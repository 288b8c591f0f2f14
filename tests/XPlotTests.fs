/// The XPlot.Plotly subset: Plotly's JSON as its users write it, and pages that need no network.
module Research.Tests.XPlotTests

open System.Text.Json
open Expecto
open XPlot.Plotly

/// The n-th argument of the script's call of newPlot: 0 the data, 1 the layout.
let private argument n (html: string) =
    let start = html.LastIndexOf "Plotly.newPlot("
    let call = html.Substring(start + "Plotly.newPlot".Length)
    let arguments = call.Substring(1, call.IndexOf(");\n</script>") - 1)
    JsonDocument.Parse($"[{arguments}]").RootElement[n + 1]

let private curve =
    Scatter(
        x = [ 1; 2; 3 ],
        y = [| 0.5; nan; 1e-300 |],
        mode = "lines+markers",
        name = "a</script>b",
        line = Line(color = "#000000", dash = "dash"),
        error_y = ErrorY(array = [ 0.1; 0.1; 0.1 ])
    )

[<Tests>]
let tests =
    testList "xplot subset" [
        testCase "a trace has Plotly's names and values" (fun () ->
            let json = (Chart.Plot curve).GetInlineHtml() |> argument 0
            let trace = json[0]
            let text (name: string) = trace.GetProperty(name).GetString()

            Expect.equal
                (text "type", text "mode", text "name")
                ("scatter", "lines+markers", "a</script>b")
                "Text"

            Expect.equal (trace.GetProperty("x").GetRawText()) "[1,2,3]" "Integers"
            Expect.equal (trace.GetProperty("y").GetRawText()) "[0.5,null,1E-300]" "Floats, NaN as a gap"
            Expect.equal (trace.GetProperty("line").GetProperty("dash").GetString()) "dash" "Nested options"
            Expect.isFalse (fst (trace.TryGetProperty "fill")) "What was not set is left out")

        testCase "text cannot leave the script" (fun () ->
            let html = (Chart.Plot curve).GetInlineHtml()
            Expect.equal (html.Split("</script>").Length) 2 "Only the script's own end")

        testCase "the layout is the one given, and can be built up" (fun () ->
            let layout = Layout(title = "t", xaxis = Xaxis(``type`` = "log", range = [ 0.0; 2.0 ]))

            let json =
                Chart.Plot([ curve :> Trace; Bar(x = [ "a" ], y = [ 1.0 ]) ], layout)
                |> Chart.WithXTitle "N"
                |> Chart.WithYTitle "variance"
                |> Chart.WithLegend true
                |> _.GetInlineHtml()
                |> argument 1

            let axis (name: string) = json.GetProperty name
            Expect.equal ((axis "xaxis").GetRawText()) """{"range":[0,2],"title":"N","type":"log"}""" "x"
            Expect.equal ((axis "yaxis").GetRawText()) """{"title":"variance"}""" "y"
            Expect.isTrue (json.GetProperty("showlegend").GetBoolean()) "Legend")

        testCase "a grid keeps its rows" (fun () ->
            let map =
                Heatmap(z = [ [ 1.0; 2.0 ]; [ 3.0; 4.0 ] ], colorscale = "Viridis", showscale = false)

            let json = (Chart.Plot map).GetInlineHtml() |> argument 0
            Expect.equal (json[0].GetProperty("z").GetRawText()) "[[1,2],[3,4]]" "Rows")

        testCase "a page holds the data, the renderer and nothing from outside" (fun () ->
            let html = (Chart.Plot curve |> Chart.WithSize(640, 480)).GetHtml()
            Expect.stringContains html "[0.5,null,1E-300]" "Data"
            Expect.stringContains html "root.Plotly = " "Renderer"
            Expect.stringContains html "width: 640px; height: 480px;" "Size"

            for outside in [ "http:"; "https:"; "src="; "<link"; "import(" ] do
                Expect.isFalse (html.Contains outside) $"The page contains {outside}")
    ]
