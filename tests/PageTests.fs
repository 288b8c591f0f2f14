/// The page of the report in a headless Chromium: everything is drawn, nothing comes from the network, and each planted
/// fault is found.
module Research.Tests.PageTests

open System
open System.IO
open Expecto
open Research.Tests.Browser
open Research.Tests.SamplePage

let private replacing (before: string) (after: string) (html: string) = html.Replace(before, after)

/// Wrong pages: what was planted, how, and a part of what must be said about it.
let private mutants = [
    "a script that fails",
    replacing "</body>" "<script>undefinedFunction()</script></body>",
    "undefinedFunction"
    "an error on the console",
    replacing "</body>" "<script>console.error('planted')</script></body>",
    "planted"
    "a chart that no script draws",
    replacing "<div class=chart id=\"ift1-curve-0\">" "<div id=\"ift1-curve-0\">",
    "figure 'ift1.curve': a chart is not drawn"
    "a curve without numbers",
    replacing "\"y\":[3.0,2.0,1.0]" "\"y\":[null,null,null]",
    "figure 'ift1.curve': series 2 of a chart shows nothing"
    "a chart without data", replacing "\"z\":[[" "\"w\":[[", "figure 'ift1.density': a chart has no series"
    "no series at all",
    replacing "\"width\":[1.0,1.0]" "\"visible\":false",
    "figure 'ift1.histogram': a chart has no series"
    "an image that is not there",
    replacing "src=\"data:image/png;base64," "src=\"samples.png?",
    "figure 'ift1.samples': an image is not drawn"
    "an image that is damaged",
    replacing "png;base64,iVBOR" "png;base64,AAAAA",
    "figure 'ift1.samples': an image is not drawn"
    "a figure that is left out",
    replacing "id=\"ift1.density\"" "id=\"ift1.other\"",
    "lacks the figure 'ift1.density'"
    "a caption that is left out", replacing "Histogram." "", "figure 'ift1.histogram': it has no caption"
    "a style sheet from the network",
    replacing "</head>" "<link rel=stylesheet href=\"https://example.org/serif.css\"></head>",
    "the page asks for https://example.org/serif.css"
    "a label that is too long",
    replacing "\"title\":\"nats\"" ("\"title\":\"" + String('n', 90) + "\""),
    "leaves the chart"
    "labels over each other",
    replacing "\"title\":\"share\"" "\"tickvals\":[0.5,0.501],\"ticktext\":[\"a half\",\"more\"]",
    "overlap"
    "LaTeX in a caption", replacing "Clouds and errors" "Clouds of \\norm{z}", "shows LaTeX: \\norm"
    "runs without a configuration", replacing ">Configuration<" "><", "no column 'Configuration'"
]

[<Tests>]
let tests =
    testSequencedGroup "browser"
    <| testList "page" [
        testCase "report/browser" (fun () ->
            withPage (fun path _ ->
                use browser = new Browser()

                for width in Page.widths do
                    let shown, faults = browser.Visit(path, width, 1000, Page.look ids)
                    Expect.equal faults [] $"The page is as it should be, {width} pixels wide"
                    Expect.equal (shown.charts, shown.images) (6, 1) "Every panel was looked at"
                    let runs = shown.tables |> Array.find (fun t -> t.id = "runs-table")
                    Expect.equal runs.rows 3 "Every run has its row"))

        testCase "report/browser-mutants" (fun () ->
            withPage (fun path html ->
                use browser = new Browser()

                for name, mutate, said in mutants do
                    let wrong = mutate html
                    Expect.notEqual wrong html $"The mutant '{name}' changes the page"
                    File.WriteAllText(path, wrong)
                    let _, faults = browser.Visit(path, 1400, 1000, Page.look ids)
                    let found = faults |> List.exists (fun fault -> fault.Contains said)
                    let all = String.Join("; ", faults)
                    Expect.isTrue found $"'{name}' must be reported as '{said}'; reported was: {all}"))
    ]
