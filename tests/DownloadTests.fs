/// Downloads against a server in this process: resumed, verified, and quickly given up without a network.
module Research.Tests.DownloadTests

open System
open System.Diagnostics
open System.Formats.Tar
open System.IO
open System.Net
open System.Net.Sockets
open System.Security.Cryptography
open System.Text
open System.Threading
open Expecto
open Research.Host
open Research.Tests.DataReaderTests
open Research.Tests.Hostile

/// An HTTP server on 127.0.0.1 that serves one content and can misbehave. Requests are answered one by one.
type private Server(content: byte[], ranges: bool, breakAt: int list) =
    let listener = new TcpListener(IPAddress.Loopback, 0)
    let offsets = ResizeArray<int>()
    let mutable breaks = breakAt

    let header (client: NetworkStream) =
        let text = StringBuilder()

        while not (text.ToString().EndsWith "\r\n\r\n") do
            text.Append(char (client.ReadByte())) |> ignore

        text.ToString()

    let offset (request: string) =
        request.Split("\r\n")
        |> Array.tryPick (fun line ->
            if line.StartsWith("Range: bytes=", StringComparison.OrdinalIgnoreCase) then
                Some(int (line.Substring(13).TrimEnd '-'))
            else
                None)

    let answer (client: TcpClient) =
        use client = client
        let stream = client.GetStream()
        let asked = offset (header stream)
        let start = if ranges then defaultArg asked 0 else 0
        lock offsets (fun () -> offsets.Add start)

        let status =
            if ranges && asked.IsSome then
                $"206 Partial Content\r\nContent-Range: bytes {start}-{content.Length - 1}/{content.Length}"
            else
                "200 OK"

        let head =
            $"HTTP/1.1 {status}\r\nContent-Length: {content.Length - start}\r\nConnection: close\r\n\r\n"

        stream.Write(Encoding.ASCII.GetBytes head)

        match breaks with
        | stop :: rest ->
            breaks <- rest
            stream.Write(content, start, max 0 (stop - start))
        | [] -> stream.Write(content, start, content.Length - start)

    let serve () =
        try
            while true do
                answer (listener.AcceptTcpClient())
        with :? SocketException ->
            // The listener was stopped: the test is over.
            ()

    do
        listener.Start()
        Thread(serve, IsBackground = true).Start()

    member _.Address = Uri $"http://{listener.LocalEndpoint}/file.bin"

    member _.Content = content

    /// Where each answer began.
    member _.Offsets = lock offsets (fun () -> List.ofSeq offsets)

    interface IDisposable with
        member _.Dispose() = listener.Stop()

let private content = Array.init 300_000 (fun i -> byte (i * i >>> 7))

let private downloader () =
    Downloader(TimeSpan.FromSeconds 5.0, TimeSpan.FromSeconds 5.0, TimeSpan.FromSeconds 5.0)

let private requireContent =
    Action<InputFile>(fun file ->
        if file.ReadBytes 1_000_000L <> content then
            raise (file.Mismatch("the content", "another")))

/// Downloads in a new folder; the folder is inspected afterwards.
let private fetch (server: Server) (prepare: string -> unit) (inspect: string -> exn option -> unit) =
    inFolder (fun folder ->
        let target = Path.Combine(folder, "set", "file.bin")
        Directory.CreateDirectory(Path.Combine(folder, "set")) |> ignore
        prepare target

        let outcome =
            try
                downloader().Fetch([| server.Address |], target, requireContent)
                None
            with error ->
                Some error

        inspect target outcome)

let private folderOf (path: string) = DirectoryInfo(path).Parent |> Option.ofObj |> Option.get |> _.FullName

let private arrives target outcome =
    Expect.isNone outcome "the download succeeds"
    Expect.isTrue (File.ReadAllBytes target = content) "with the right content"
    Expect.isFalse (File.Exists(target + ".part")) "and no part is left"

let private isRefused (outcome: exn option) =
    match outcome with
    | Some(:? DownloadException as error) -> error.Message
    | other -> failtestf "expected a DownloadException, found %A" other

let private transfers = [
    testCase "download/whole" (fun () ->
        use server = new Server(content, true, [])

        fetch server ignore (fun target outcome ->
            arrives target outcome
            Expect.equal server.Offsets [ 0 ] "in one answer"))
    testCase "download/resumes-after-break" (fun () ->
        use server = new Server(content, true, [ 150_000; 220_000 ])

        fetch server ignore (fun target outcome ->
            arrives target outcome

            Expect.equal
                server.Offsets
                [ 0; 150_000; 220_000 ]
                "each answer goes on where the last one broke off"))
    testCase "download/resumes-old-part" (fun () ->
        use server = new Server(content, true, [])

        fetch
            server
            (fun target -> File.WriteAllBytes(target + ".part", content[..99_999]))
            (fun target outcome ->
                arrives target outcome
                Expect.equal server.Offsets [ 100_000 ] "an earlier process's part is used"))
    testCase "download/restarts-without-ranges" (fun () ->
        use server = new Server(content, false, [ 150_000 ])

        fetch server ignore (fun target outcome ->
            arrives target outcome
            Expect.equal server.Offsets [ 0; 0 ] "a server that cannot resume starts over"))
    testCase "download/keeps-part" (fun () ->
        use server = new Server(content, true, List.replicate 20 150_000)

        fetch server ignore (fun target outcome ->
            Expect.stringContains
                (isRefused outcome)
                "breaks off at byte 150000"
                "it gives up without progress"

            Expect.isFalse (File.Exists target) "no file is made"

            Expect.equal
                (FileInfo(target + ".part").Length)
                150_000L
                "but the part is kept for the next call"))
    testCase "download/refuses-other-content" (fun () ->
        use server = new Server(Array.rev content, true, [])

        fetch server ignore (fun target outcome ->
            Expect.stringContains (isRefused outcome) "was discarded" "another content is refused"
            Expect.isEmpty (Directory.GetFiles(folderOf target)) "and nothing is kept"))
    testCase "download/second-address" (fun () ->
        use wrong = new Server(Array.rev content, true, [])
        use right = new Server(content, true, [])

        inFolder (fun folder ->
            let target = Path.Combine(folder, "file.bin")
            downloader().Fetch([| wrong.Address; right.Address |], target, requireContent)
            arrives target None))
]

let private withoutNetwork = [
    testCase "download/unreachable-is-quick" (fun () ->
        // A port that nobody listens on.
        let listener = new TcpListener(IPAddress.Loopback, 0)
        listener.Start()
        let address = Uri $"http://{listener.LocalEndpoint}/x"
        listener.Stop()

        inFolder (fun folder ->
            let fetch () = downloader().Fetch([| address |], Path.Combine(folder, "x"), requireContent)

            Expect.throwsC fetch (fun error ->
                Expect.stringContains error.Message "cannot be reached" "it is said")))
    testCase "download/silence-is-bounded" (fun () ->
        // Accepts connections and never answers, as some firewalls do.
        let silent = new TcpListener(IPAddress.Loopback, 0)
        silent.Start()
        let port = (silent.LocalEndpoint :?> IPEndPoint).Port

        let impatient =
            Downloader(TimeSpan.FromSeconds 0.2, TimeSpan.FromSeconds 0.3, TimeSpan.FromSeconds 1.0)

        let watch = Stopwatch.StartNew()

        inFolder (fun folder ->
            for name in [ "127.0.0.1"; "localhost"; "127.0.0.1"; "127.0.0.2"; "127.0.0.3" ] do
                let fetch () =
                    impatient.Fetch(
                        [| Uri $"http://{name}:{port}/x" |],
                        Path.Combine(folder, "x"),
                        requireContent
                    )

                Expect.throwsT<DownloadException> fetch "no answer")

        silent.Stop()
        Expect.isLessThan watch.Elapsed.TotalSeconds 2.5 "all sets together wait a bounded time")
]

/// A set of one file that a server has.
let private spec (address: Uri) (digest: string) =
    let mnist = DataCatalog.Of DataSetId.Mnist

    let file =
        DataFile("file.bin", [| address |], DigestKind.ContentSha256, digest, false, 1_000_000L, _.Content)

    DataSetSpec(mnist.Id, "set", "a set", [| file |], null, mnist.Sizes, mnist.Assemble, mnist.KnownCopies)

let private sha256 (bytes: byte[]) = Convert.ToHexStringLower(SHA256.HashData bytes)

let private tarball (files: (string * byte[]) list) =
    use target = new MemoryStream()

    do
        use archive = new TarWriter(target, true)

        for name, bytes in files do
            archive.WriteEntry(
                UstarTarEntry(TarEntryType.RegularFile, name, DataStream = new MemoryStream(bytes))
            )

    gzip (target.ToArray())

/// A set of two files that comes in an archive, its server, and an empty data directory.
let private fromArchive (body: DataSetSpec -> Server -> string -> unit) =
    let archive =
        tarball [
            "folder/file.bin", content
            "folder/readme", [| 1uy |]
            "folder/other.bin", content[..9]
        ]

    use server = new Server(archive, true, [])
    let address = Uri(server.Address, "archive.tar.gz")
    let plain = spec address ""
    let file name = DataFile(name, [||], DigestKind.Recorded, "", false, 1_000_000L, _.Content)

    let set =
        DataSetSpec(
            plain.Id,
            "set",
            "a set",
            [| file "file.bin"; file "other.bin" |],
            DataArchive(address, sha256 archive),
            plain.Sizes,
            plain.Assemble,
            plain.KnownCopies
        )

    inFolder (body set server)

let private commands = [
    testCase "download/fetch-pinned" (fun () ->
        use server = new Server(content, true, [])

        inFolder (fun directory ->
            let set = spec server.Address (sha256 content)
            let seen = ResizeArray<int64>()
            DataCommands.Fetch(set, directory, downloader (), (fun progress -> seen.Add progress.Received))
            DataCommands.Fetch(set, directory, downloader ())
            Expect.equal server.Offsets [ 0 ] "what is there is not fetched again"
            Expect.equal (Seq.last seen) (int64 content.Length) "progress reaches the end"

            Expect.equal
                (DataCommands.Verify(set, directory)[0]).State
                DataFileState.Published
                "and it verifies"))
    testCase "download/fetch-digest-mismatch" (fun () ->
        use server = new Server(content, true, [])

        inFolder (fun directory ->
            let set = spec server.Address (sha256 [| 1uy |])
            let fetch () = DataCommands.Fetch(set, directory, downloader ())
            Expect.throwsT<DownloadException> fetch "another digest is refused"
            Expect.isEmpty (Directory.GetFiles(Path.Combine(directory, "set"))) "and nothing is kept"))
    testCase "download/fetch-archive" (fun () ->
        fromArchive (fun set server directory ->
            DataCommands.Fetch(set, directory, downloader ())
            let folder = Path.Combine(directory, "set")
            let names = Directory.GetFiles folder |> Array.map Path.GetFileName |> Array.sort

            Expect.equal
                names
                [| "SHA256SUMS"; "file.bin"; "other.bin" |]
                "the files and their record, not the archive"

            let state () = (DataCommands.Verify(set, directory)[0]).State
            Expect.equal (state ()) DataFileState.Published "it is recognised"
            File.WriteAllBytes(Path.Combine(folder, "file.bin"), Array.rev content)
            Expect.equal (state ()) DataFileState.Differs "a change is too"))
    testCase "download/unpacking-continues" (fun () ->
        fromArchive (fun set server directory ->
            let folder = Directory.CreateDirectory(Path.Combine(directory, "set")).FullName
            let archive = Path.Combine(folder, "archive.tar.gz")
            // What a kill between two files leaves.
            DataCommands.Fetch(set, directory, downloader ())
            File.WriteAllBytes(archive, server.Content)
            File.Delete(Path.Combine(folder, "other.bin"))

            DataCommands.Fetch(set, directory, downloader ())
            Expect.equal server.Offsets [ 0 ] "the archive that is there is used"
            Expect.isFalse (File.Exists archive) "and is gone afterwards"

            Expect.all
                (DataCommands.Verify(set, directory))
                (fun row -> row.State = DataFileState.Published)
                "every file is there"))
    testCase "download/unpacking-mixes-nothing" (fun () ->
        fromArchive (fun set server directory ->
            let folder = Directory.CreateDirectory(Path.Combine(directory, "set")).FullName
            let mine = Path.Combine(folder, "other.bin")

            for hasArchive in [ false; true ] do
                File.WriteAllBytes(mine, [| 1uy |])

                if hasArchive then
                    File.WriteAllBytes(Path.Combine(folder, "archive.tar.gz"), server.Content)

                let sentence = sentenceOf (fun () -> DataCommands.Fetch(set, directory, downloader ()))
                Expect.stringStarts sentence mine "the file is named"
                Expect.stringContains sentence "move it away" "and what to do"
                Expect.equal (File.ReadAllBytes mine) [| 1uy |] "it stays as it is"))
    testCase "download/other-archive" (fun () ->
        fromArchive (fun set server directory ->
            let folder = Directory.CreateDirectory(Path.Combine(directory, "set")).FullName
            let archive = Path.Combine(folder, "archive.tar.gz")
            File.WriteAllBytes(archive, Array.rev server.Content)
            let sentence = sentenceOf (fun () -> DataCommands.Fetch(set, directory, downloader ()))
            Expect.stringStarts sentence (archive + ": ") "the archive is named"
            Expect.stringContains sentence "move it away" "and what to do"))
]

[<Tests>]
let tests = testList "downloads" (transfers @ withoutNetwork @ commands)
