/// A headless Chromium that opens pages.
module Research.Tests.Browser

open System
open System.IO
open System.Threading.Tasks
open PuppeteerSharp

/// A page that was opened, and what it did since.
type Opened = {
    Page: IPage
    /// Exceptions of its scripts, console errors and failed loads.
    Errors: ResizeArray<string>
    /// Addresses that it asked for beside its own; what is inside the page does not count.
    Requests: ResizeArray<string>
    /// Where the browser puts what is downloaded.
    Downloads: string
}

/// Waits for what PuppeteerSharp does.
let wait (task: Task<'a>) : 'a = task.GetAwaiter().GetResult()

/// The same where nothing comes back.
let run (task: Task) : unit = task.GetAwaiter().GetResult()

let private programs = [ "chromium"; "chromium-browser"; "google-chrome-stable"; "google-chrome" ]

/// The program named by CHROMIUM, else the first of the usual names on the path.
/// Raises InvalidOperationException with what to install when there is none.
let private find () =
    let given =
        Environment.GetEnvironmentVariable "CHROMIUM" |> Option.ofObj |> Option.filter ((<>) "")

    let onPath name =
        Environment.GetEnvironmentVariable "PATH"
        |> Option.ofObj
        |> Option.defaultValue ""
        |> _.Split(Path.PathSeparator)
        |> Seq.map (fun folder -> Path.Combine(folder, name))
        |> Seq.tryFind File.Exists

    match given |> Option.orElseWith (fun () -> List.tryPick onPath programs) with
    | Some program -> program
    | None ->
        invalidOp
            "There is no Chromium to open the report's page with: apt-get install chromium, or name one in CHROMIUM."

let private arguments = [|
    // Containers forbid the namespaces of Chromium's sandbox; the pages opened here are our own.
    "--no-sandbox"
    "--disable-gpu"
    "--disable-dev-shm-usage"
    "--disable-background-networking"
    "--disable-component-update"
    "--no-first-run"
    "--no-proxy-server"
    // Nothing outside can be reached, whatever the machine's network.
    "\"--host-resolver-rules=MAP * ~NOTFOUND\""
|]

/// Milliseconds for an answer on a machine with much else to do.
let private patience = 120_000

let private isInside (address: string) =
    [ "data:"; "blob:"; "about:" ]
    |> List.exists (fun scheme -> address.StartsWith(scheme, StringComparison.Ordinal))

let private watch (page: IPage) (own: string) (errors: ResizeArray<string>) (requests: ResizeArray<string>) =
    let add (list: ResizeArray<string>) text = lock list (fun () -> list.Add text)

    page.PageError.Add(fun event -> add errors $"exception: {event.Message}")

    page.Console.Add(fun event ->
        match event.Message.Type with
        | ConsoleType.Error
        | ConsoleType.Assert -> add errors $"console: {event.Message.Text}"
        | _ -> ())

    page.RequestFailed.Add(fun event -> add errors $"not loaded: {event.Request.Url}")

    page.Request.Add(fun event ->
        if event.Request.Url <> own && not (isInside event.Request.Url) then
            add requests event.Request.Url)

/// A running browser, gone when disposed with everything that it downloaded.
type Browser() =
    let downloads = Directory.CreateTempSubdirectory "research-downloads-"

    let browser =
        LaunchOptions(
            Headless = true,
            ExecutablePath = find (),
            Args = arguments,
            Timeout = patience,
            ProtocolTimeout = patience
        )
        |> Puppeteer.LaunchAsync
        |> wait

    /// Opens a file in a window of that size, as a browser would that nobody has used yet, waits until it has loaded, and hands
    /// it to an action.
    member _.Visit(path: string, width: int, height: int, act: Opened -> 'a) : 'a =
        let own = Uri(path).AbsoluteUri
        let downloads = downloads.CreateSubdirectory(Path.GetRandomFileName()).FullName

        let options =
            BrowserContextOptions(
                DownloadBehavior = DownloadBehavior(Policy = DownloadPolicy.Allow, DownloadPath = downloads)
            )

        let context = wait (browser.CreateBrowserContextAsync options)

        try
            let page = wait (context.NewPageAsync())
            page.DefaultTimeout <- patience
            page.DefaultNavigationTimeout <- patience
            run (page.SetViewportAsync(ViewPortOptions(Width = width, Height = height)))
            let errors, requests = ResizeArray(), ResizeArray()
            watch page own errors requests
            wait (page.GoToAsync(own, WaitUntilNavigation.Load)) |> ignore

            act { Page = page; Errors = errors; Requests = requests; Downloads = downloads }
        finally
            run (context.CloseAsync())

    interface IDisposable with
        member _.Dispose() =
            run (browser.CloseAsync())
            downloads.Delete true

let private shared =
    lazy
        (let browser = new Browser()
         AppDomain.CurrentDomain.ProcessExit.Add(fun _ -> (browser :> IDisposable).Dispose())
         browser)

/// The browser of all tests of this process, which ends with it.
let sharedBrowser () : Browser = shared.Value
