/// A headless Chromium that opens pages, through its DevTools protocol.
module Research.Tests.Browser

open System
open System.Diagnostics
open System.IO
open System.Net.WebSockets
open System.Text.Json
open System.Text.RegularExpressions
open System.Threading
open System.Threading.Tasks

/// What a page did while it was opened, and what a script found there.
type Visit = {
    /// Exceptions of its scripts, console errors and failed loads.
    Errors: string list
    /// Addresses that it asked for beside its own; what is inside the page does not count.
    Requests: string list
    /// What the script evaluated to.
    Answer: string
}

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

let private options (profile: string) = [
    "--headless=new"
    // Containers forbid the namespaces of Chromium's sandbox; the pages opened here are our own.
    "--no-sandbox"
    "--disable-gpu"
    "--disable-dev-shm-usage"
    "--disable-background-networking"
    "--disable-component-update"
    "--no-first-run"
    "--no-proxy-server"
    // Nothing outside can be reached, whatever the machine's network.
    "--host-resolver-rules=MAP * ~NOTFOUND"
    "--window-size=1200,1000"
    "--remote-debugging-port=0"
    $"--user-data-dir={profile}"
    "about:blank"
]

/// The answer to a first start on a machine with much else to do.
let private patience = TimeSpan.FromMinutes 2.0

let private text (name: string) (json: JsonElement) =
    match json.TryGetProperty name with
    | true, value when value.ValueKind = JsonValueKind.String ->
        value.GetString() |> Option.ofObj |> Option.defaultValue ""
    | _ -> ""

/// One conversation with a browser: calls, and the events that arrive before their answers.
type private Connection(address: Uri, patience: CancellationToken) =
    let socket = new ClientWebSocket()
    let mutable calls = 0

    do
        socket.Options.Proxy <- null
        socket.ConnectAsync(address, patience).GetAwaiter().GetResult()

    let receive () : JsonElement =
        use message = new MemoryStream()
        let part = Array.zeroCreate<byte> 65536

        let rec readOn () =
            let got = socket.ReceiveAsync(ArraySegment part, patience).GetAwaiter().GetResult()

            if got.MessageType = WebSocketMessageType.Close then
                raise (IOException "Chromium closed the connection.")

            message.Write(part, 0, got.Count)

            if not got.EndOfMessage then
                readOn ()

        readOn ()
        use document = JsonDocument.Parse(message.ToArray())
        document.RootElement.Clone()

    /// Events in the order in which they came.
    member val Events = ResizeArray<JsonElement>()

    /// Calls a method and waits for its result. Raises IOException with the protocol's message when it fails.
    member this.Call (session: string) (method: string) (parameters: (string * obj) list) : JsonElement =
        calls <- calls + 1

        let request =
            dict [
                "id", box calls
                "method", box method
                "params", box (dict parameters)
                if session <> "" then
                    "sessionId", box session
            ]

        let bytes = JsonSerializer.SerializeToUtf8Bytes request

        socket
            .SendAsync(ArraySegment bytes, WebSocketMessageType.Text, true, patience)
            .GetAwaiter()
            .GetResult()

        let rec await () =
            let message = receive ()

            match message.TryGetProperty "id" with
            | true, id when id.GetInt32() = calls ->
                match message.TryGetProperty "error" with
                | true, error -> raise (IOException(method + ": " + text "message" error))
                | _ -> message.GetProperty "result"
            | _ ->
                this.Events.Add message
                await ()

        await ()

    /// Reads until an event of that method has come.
    member this.Await (session: string) (method: string) =
        while not (this.Events.Exists(fun e -> text "sessionId" e = session && text "method" e = method)) do
            this.Events.Add(receive ())

    interface IDisposable with
        member _.Dispose() = socket.Dispose()

/// The sentence of an error event; none for other events.
let private error (event: JsonElement) =
    let parameters () = event.GetProperty "params"

    match text "method" event with
    | "Runtime.exceptionThrown" ->
        let details = (parameters ()).GetProperty "exceptionDetails"

        match details.TryGetProperty "exception" with
        | true, thrown -> Some("exception: " + text "description" thrown)
        | _ -> Some("exception: " + text "text" details)
    | "Runtime.consoleAPICalled" when List.contains (text "type" (parameters ())) [ "error"; "assert" ] ->
        let words = [
            for a in (parameters ()).GetProperty("args").EnumerateArray() ->
                text "value" a + text "description" a
        ]

        Some("console: " + String.concat " " words)
    | "Log.entryAdded" ->
        let entry = (parameters ()).GetProperty "entry"

        if text "level" entry = "error" then
            Some $"""{text "source" entry}: {text "text" entry} {text "url" entry}"""
        else
            None
    | _ -> None

/// The address that an event asks for; none for other events and for what the page holds itself.
let private request (event: JsonElement) =
    match text "method" event with
    | "Network.requestWillBeSent" -> Some(text "url" (event.GetProperty("params").GetProperty "request"))
    | "Network.webSocketCreated" -> Some(text "url" (event.GetProperty "params"))
    | _ -> None
    |> Option.filter (fun url -> not (Regex.IsMatch(url, "^(data|blob|about):")))

/// A running browser with a profile of its own, gone when disposed.
type Browser() =
    let program = find ()
    let profile = Directory.CreateTempSubdirectory "research-chromium"
    let waiting = new CancellationTokenSource(patience)
    let listening = TaskCompletionSource<string>()
    let complaints = ResizeArray<string>()

    let chromium =
        let start =
            ProcessStartInfo(
                program,
                options profile.FullName,
                RedirectStandardError = true,
                RedirectStandardOutput = true
            )

        let running = new Process(StartInfo = start, EnableRaisingEvents = true)

        running.ErrorDataReceived.Add(fun line ->
            match line.Data with
            | null -> ()
            | words ->
                lock complaints (fun () -> complaints.Add words)
                let found = Regex.Match(words, @"^DevTools listening on (\S+)")

                if found.Success then
                    listening.TrySetResult found.Groups[1].Value |> ignore)

        running.Exited.Add(fun _ ->
            let words = lock complaints (fun () -> String.concat "\n" complaints)

            listening.TrySetException(IOException $"Chromium ended before it listened:\n{words}")
            |> ignore)

        running.Start() |> ignore
        running.BeginErrorReadLine()
        running.BeginOutputReadLine()
        running

    let connection =
        try
            let address = listening.Task.WaitAsync(waiting.Token).GetAwaiter().GetResult()
            new Connection(Uri address, waiting.Token)
        with _ ->
            chromium.Kill true
            reraise ()

    /// Opens a file, waits until it has loaded, and evaluates a script (which may return a promise of text) there.
    member _.Visit(path: string, script: string) : Visit =
        connection.Events.Clear()

        let target =
            connection.Call "" "Target.createTarget" [ "url", "about:blank" ] |> text "targetId"

        let session =
            connection.Call "" "Target.attachToTarget" [ "targetId", target; "flatten", true ]
            |> text "sessionId"

        for domain in [ "Page"; "Runtime"; "Log"; "Network" ] do
            connection.Call session $"{domain}.enable" [] |> ignore

        let address = Uri(path).AbsoluteUri
        connection.Call session "Page.navigate" [ "url", address ] |> ignore
        connection.Await session "Page.loadEventFired"

        let result =
            connection.Call session "Runtime.evaluate" [
                "expression", script
                "awaitPromise", true
                "returnByValue", true
            ]

        connection.Call "" "Target.closeTarget" [ "targetId", target ] |> ignore
        // A page that was closed may still have something to say.
        let events =
            connection.Events |> Seq.filter (fun e -> text "sessionId" e = session) |> List.ofSeq

        {
            Errors =
                (events |> List.choose error)
                @ [
                    match result.TryGetProperty "exceptionDetails" with
                    | true, details -> $"the script that looks at the page: {details}"
                    | _ -> ()
                ]
            Requests = events |> List.choose request |> List.filter ((<>) address)
            Answer = text "value" (result.GetProperty "result")
        }

    interface IDisposable with
        member _.Dispose() =
            (connection :> IDisposable).Dispose()
            chromium.Kill true
            chromium.WaitForExit()
            chromium.Dispose()
            waiting.Dispose()

            try
                profile.Delete true
            with :? IOException ->
                // A helper process may still be writing there; the system clears its temporary folder.
                ()
