/// The page of the report in a headless Chromium: everything is drawn, nothing comes from the network, and each planted
/// fault is found.
module Research.Tests.PageTests

open System
open System.IO
open Expecto
open PuppeteerSharp
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

/// What a reader does with the page that is open.
type private Reader(page: IPage) =
    /// A value of the page as text.
    member _.Reads(expression: string) : string =
        wait (page.EvaluateExpressionAsync<string> $"String({expression})")

    /// Waits until an expression is true.
    member _.Sees(expression: string) : unit = page.WaitForExpressionAsync expression |> wait |> ignore

    member _.Clicks(selector: string) : unit = run (page.ClickAsync selector)
    member _.Types(selector: string, text: string) : unit = run (page.TypeAsync(selector, text))
    member _.Presses(key: string) : unit = run (page.Keyboard.PressAsync key)

let private readers width act =
    withPage (fun path _ ->
        let browser = sharedBrowser ()

        browser.Visit(
            path,
            width,
            1000,
            (fun opened ->
                act (Reader opened.Page)
                Expect.isEmpty opened.Errors "No script fails"
                Expect.isEmpty opened.Requests "Nothing comes from the network")
        ))

/// The runs that the table shows, from top to bottom.
let private shownRuns =
    "[...document.querySelectorAll('#runs-table tbody tr')].filter(r => !r.hidden).map(r => r.cells[1].textContent).join(' ')"

/// Each as a reader goes through it with mouse and keys.
let private walks =
    testList "walks" [
        testCase "page/search" (fun () ->
            readers 1400 (fun reader ->
                reader.Presses "/"
                reader.Types("header input", "equation planar")

                Expect.equal
                    (reader.Reads "document.querySelectorAll('#found a').length")
                    "1"
                    "One equation is found"

                reader.Presses "Enter"
                reader.Sees "location.hash === '#eq:planar-logdet'"

                Expect.equal
                    (reader.Reads "document.querySelectorAll('#found a').length")
                    "0"
                    "The list closes"))

        testCase "page/theme" (fun () ->
            readers 1400 (fun reader ->
                let paper = "getComputedStyle(document.body).backgroundColor"

                let theme, before =
                    reader.Reads "document.documentElement.dataset.theme", reader.Reads paper

                reader.Clicks "#theme"

                Expect.notEqual
                    (reader.Reads "document.documentElement.dataset.theme")
                    theme
                    "The other theme"

                Expect.notEqual (reader.Reads paper) before "in other colours"
                reader.Clicks "#theme"
                Expect.equal (reader.Reads paper) before "and back"))

        testCase "page/runs" (fun () ->
            readers 1400 (fun reader ->
                let seconds = "#runs-table th:nth-child(6)"
                reader.Clicks seconds

                Expect.equal
                    (reader.Reads shownRuns)
                    "hw5.3.other ift1.seed1 ift1.seed2"
                    "From the quickest"

                reader.Clicks seconds
                Expect.equal (reader.Reads shownRuns) "ift1.seed2 ift1.seed1 hw5.3.other" "From the slowest"
                reader.Types("#run-filter", "ift1 128")
                Expect.equal (reader.Reads shownRuns) "ift1.seed2" "What has both words"
                reader.Clicks "#run-reset"
                Expect.equal (reader.Reads shownRuns) "ift1.seed2 ift1.seed1 hw5.3.other" "All again"))

        testCase "page/compare" (fun () ->
            readers 1400 (fun reader ->
                for name in [ "ift1.seed1"; "ift1.seed2" ] do
                    reader.Clicks $"input[aria-label='Compare {name}']"

                reader.Sees "document.querySelectorAll('#compared .scatterlayer .trace').length === 2"

                let differing =
                    "[...document.querySelectorAll('#comparison .differs th')].map(h => h.textContent).join(' ')"

                Expect.equal (reader.Reads differing) "elbo batch seed seconds" "What differs is marked"
                reader.Clicks "input[aria-label='Compare hw5.3.other']"
                let compared = "document.querySelector('#comparison h3').textContent"

                Expect.equal
                    (reader.Reads compared)
                    "ift1.seed2 and hw5.3.other"
                    "The oldest of three gives way"))

        testCase "page/equation" (fun () ->
            readers 1400 (fun reader ->
                reader.Clicks "#ift1 a[href='#eq:planar-logdet']"

                reader.Sees
                    "document.querySelector('.equation:target').getBoundingClientRect().top < innerHeight"

                let law = reader.Reads "document.querySelector('.equation:target .law .id').textContent"
                Expect.equal law "planar/jacobian" "The law that guards it"
                let code = reader.Reads "document.querySelector('.equation:target pre').textContent"
                Expect.stringContains code "let planar" "The function that computes it"
                reader.Clicks ".equation:target .users a"
                reader.Sees $"{shownRuns} === 'ift1.seed1'"))

        testCase "page/number" (fun () ->
            readers 1400 (fun reader ->
                reader.Clicks "#ift1 .answer a.run"
                reader.Sees $"{shownRuns} === 'ift1.seed1 ift1.seed2'"))

        testCase "page/verdicts" (fun () ->
            readers 1400 (fun reader ->
                let rows =
                    "[...document.querySelectorAll('#replication tbody tr')].filter(r => !r.hidden).length"

                Expect.equal (reader.Reads rows) "2" "Both claims"
                reader.Clicks ".verdicts .differs"
                Expect.equal (reader.Reads rows) "1" "The one that differs"
                reader.Clicks "#verdicts ~ .verdicts .differs"
                Expect.equal (reader.Reads rows) "2" "Both again"))

        testCase "page/phone" (fun () ->
            readers 400 (fun reader ->
                let isOpen = "getComputedStyle(document.querySelector('nav')).display !== 'none'"
                Expect.equal (reader.Reads isOpen) "false" "The contents are folded away"
                reader.Clicks "#menu"
                Expect.equal (reader.Reads isOpen) "true" "and come on demand"
                reader.Clicks "nav a[href='#runs']"
                reader.Sees "location.hash === '#runs'"
                Expect.equal (reader.Reads isOpen) "false" "and go when one is chosen"))
    ]

[<Tests>]
let tests =
    testSequencedGroup "browser"
    <| testList "page" [
        testCase "report/browser" (fun () ->
            withPage (fun path _ ->
                let browser = sharedBrowser ()

                for width in Page.widths do
                    let shown, faults = browser.Visit(path, width, 1000, Page.look ids)
                    Expect.equal faults [] $"The page is as it should be, {width} pixels wide"
                    Expect.equal (shown.charts, shown.images) (6, 1) "Every panel was looked at"
                    let runs = shown.tables |> Array.find (fun t -> t.id = "runs-table")
                    Expect.equal runs.rows 3 "Every run has its row"))

        testCase "report/browser-mutants" (fun () ->
            withPage (fun path html ->
                let browser = sharedBrowser ()

                for name, mutate, said in mutants do
                    let wrong = mutate html
                    Expect.notEqual wrong html $"The mutant '{name}' changes the page"
                    File.WriteAllText(path, wrong)
                    let _, faults = browser.Visit(path, 1400, 1000, Page.look ids)
                    let found = faults |> List.exists (fun fault -> fault.Contains said)
                    let all = String.Join("; ", faults)
                    Expect.isTrue found $"'{name}' must be reported as '{said}'; reported was: {all}"))
        walks
    ]
