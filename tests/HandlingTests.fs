/// The page of the report in a reader's hands: every control does in a real browser what it promises.
module Research.Tests.HandlingTests

open System
open System.IO
open System.Threading
open System.Xml.Linq
open Expecto
open PuppeteerSharp
open Research.Tests.Browser
open Research.Tests.SamplePage

let private value<'a> (page: IPage) (expression: string) : 'a =
    wait (page.EvaluateExpressionAsync<'a> expression)

/// Waits until an expression is true; raises WaitTaskTimeoutException when it never becomes so.
let private until (page: IPage) (expression: string) = wait (page.WaitForExpressionAsync expression) |> ignore

let private press (page: IPage) (selector: string) = run (page.ClickAsync selector)

/// Left, top, width and height of an element that the window shows.
let private box (page: IPage) (selector: string) =
    let script =
        $"(() => {{ const e = document.querySelector(`{selector}`); e.scrollIntoView({{ block: 'center' }}); const b = e.getBoundingClientRect(); return [b.left, b.top, b.width, b.height]; }})()"

    match value<float[]> page script with
    | [| left; top; width; height |] -> left, top, width, height
    | _ -> failtest $"{selector} has no box"

let private point (x: float) (y: float) = decimal x, decimal y

/// The file that a button makes the browser download.
let private saved (opened: Opened) (button: string) (file: string) =
    press opened.Page button
    let path = Path.Combine(opened.Downloads, file)
    let until = DateTime.UtcNow.AddMinutes 1.0

    while not (File.Exists path) && DateTime.UtcNow < until do
        Thread.Sleep 50

    Expect.isTrue (File.Exists path) $"{button} saves {file}"
    path

let private chart = "#ift1-curve-0"
let private layout = $"document.querySelector('{chart}').layout"

let private opening width act =
    withPage (fun path _ ->
        let browser = sharedBrowser ()

        browser.Visit(
            path,
            width,
            1000,
            fun opened ->
                until opened.Page $"document.querySelector('{chart} .points path')"
                act opened
                Expect.isEmpty opened.Errors "Nothing went wrong"
                Expect.isEmpty opened.Requests "Nothing was asked for"
        ))

/// Two clicks in a moment, again where a busy machine took too long between them.
let private doubleClick (page: IPage) (x: decimal, y: decimal) (isDone: unit -> bool) =
    let mutable attempts = 0

    while not (isDone ()) && attempts < 20 do
        run (page.Mouse.ClickAsync(x, y))
        run (page.Mouse.ClickAsync(x, y))
        Thread.Sleep 500
        attempts <- attempts + 1

let private span page axis : float = value page $"{layout}.{axis}.range[1] - {layout}.{axis}.range[0]"

let private charts =
    testList "charts" [
        testCase "report/legend" (fun () ->
            opening 1400 (fun { Page = page } ->
                let curves = $"document.querySelectorAll('{chart} .scatterlayer .trace .js-line').length"
                let before: int = value page curves
                press page $"{chart} .legend .traces:nth-of-type(1) .legendtoggle"
                until page $"{curves} === {before - 1}"
                press page $"{chart} .legend .traces:nth-of-type(1) .legendtoggle"
                until page $"{curves} === {before}"))

        testCase "report/hover" (fun () ->
            opening 1400 (fun { Page = page } ->
                let left, top, width, height = box page $"{chart} .points path:nth-of-type(2)"
                let x, y = point (left + width / 2.0) (top + height / 2.0)
                run (page.Mouse.MoveAsync(x, y))
                until page $"document.querySelector('{chart} .hoverlayer .hovertext')"
                let text: string = value page $"document.querySelector('{chart} .hoverlayer').textContent"
                Expect.stringContains text "10" "Where the point is"
                Expect.stringContains text "2" "How high it is"))

        testCase "report/zoom" (fun () ->
            opening 1400 (fun { Page = page } ->
                let before = span page "xaxis", span page "yaxis"
                let left, top, width, height = box page $"{chart} .nsewdrag"
                let x0, y0 = point (left + 0.25 * width) (top + 0.25 * height)
                let x1, y1 = point (left + 0.75 * width) (top + 0.75 * height)
                run (page.Mouse.MoveAsync(x0, y0))
                run (page.Mouse.DownAsync())
                run (page.Mouse.MoveAsync(x1, y1, Input.MoveOptions(Steps = 5)))
                run (page.Mouse.UpAsync())
                let near (a: float) (b: float) = abs (a - b) < 0.02 * b
                until page $"{layout}.xaxis.range[1] - {layout}.xaxis.range[0] < {0.6 * fst before}"
                Expect.isTrue (near (span page "xaxis") (0.5 * fst before)) "Half as wide"
                Expect.isTrue (near (span page "yaxis") (0.5 * snd before)) "Half as high"
                doubleClick page (x0, y0) (fun () -> span page "xaxis" > 0.9 * fst before)
                Expect.isTrue (near (span page "xaxis") (fst before)) "A double click returns"
                Expect.isTrue (near (span page "yaxis") (snd before)) "On both axes"))
    ]

/// What a browser finds in a saved picture: its width and height, and how many of its pixels are not white.
let private inkIn (page: IPage) (path: string) (kind: string) =
    let data = Convert.ToBase64String(File.ReadAllBytes path)

    value<int[]>
        page
        $"(async () => {{
            const image = new Image();
            image.src = 'data:image/{kind};base64,{data}';
            await image.decode();
            const canvas = document.createElement('canvas'), pen = canvas.getContext('2d');
            [canvas.width, canvas.height] = [image.naturalWidth, image.naturalHeight];
            pen.drawImage(image, 0, 0);
            const pixels = pen.getImageData(0, 0, canvas.width, canvas.height).data;
            let ink = 0;
            for (let i = 0; i < pixels.length; i += 4) if (pixels[i] + pixels[i + 1] + pixels[i + 2] < 700) ink++;
            return [canvas.width, canvas.height, ink];
        }})()"

let private saving =
    testList "saving" [
        testCase "report/csv" (fun () ->
            opening 1400 (fun opened ->
                let path = saved opened "figure[id='ift1.curve'] [data-save=csv]" "ift1.curve.csv"
                let lines = File.ReadAllLines path
                Expect.equal lines[0] "panel,series,x,y,error,value" "The header"
                Expect.contains lines "Bound,\"ours, β=10^−3\",10,2,0.2," "A point with its error"
                Expect.contains lines "Bound,source,100,0.5,," "A point of the source"
                let map = saved opened "figure[id='ift1.density'] [data-save=csv]" "ift1.density.csv"
                let cells = File.ReadAllLines map |> Array.filter (fun line -> line.StartsWith "density,,")
                Expect.equal cells.Length 64 "Every cell of a map"
                Expect.contains cells "density,,0.625,0.625,,1" "The peak"))

        testCase "report/svg-and-png" (fun () ->
            opening 1400 (fun opened ->
                for figure in [ "ift1.points"; "ift1.samples"; "ift1.density" ] do
                    let svg = saved opened $"figure[id='{figure}'] [data-save=svg]" $"{figure}.svg"
                    let drawing = XDocument.Load svg
                    Expect.isNonEmpty (drawing.Descendants()) $"{figure} is a drawing"
                    let png = saved opened $"figure[id='{figure}'] [data-save=png]" $"{figure}.png"
                    let _, _, width, height = box opened.Page $"figure[id='{figure}'] .panels"

                    for path, kind, scale in [ svg, "svg+xml", 1.0; png, "png", 2.0 ] do
                        match inkIn opened.Page path kind with
                        | [| w; h; ink |] ->
                            Expect.isTrue
                                (abs (float w - scale * width) <= 2.0)
                                $"{path} is as wide as the figure"

                            Expect.isTrue (abs (float h - scale * height) <= 2.0) $"{path} is as high"
                            Expect.isGreaterThan ink 500 $"{path} shows something"
                        | _ -> failtest "no size"))
    ]

[<Tests>]
let tests = testSequencedGroup "browser" <| testList "handling" [ charts; saving ]
