/// Files that the program reads: whatever stands at their path is read, or refused with one sentence, within bounds.
module Research.Tests.InputFileTests

open System
open System.IO
open System.Text.Json
open Expecto
open Research.Host
open Research.Report
open Research.Tests.Hostile

type Shape = { Name: string; Sizes: int list }

let private remedy = "do something about it"
let private input path = InputFile(path, remedy)

let private format =
    JsonSerializerOptions(JsonSerializerDefaults.Strict, PropertyNamingPolicy = JsonNamingPolicy.CamelCase)

let private readShape (file: InputFile) = file.ReadJson<Shape>(1000L, format)

/// Every way of reading a file, under the name that the file must have.
let private readers: (string * string * (string -> unit)) list = [
    "bytes", "file", (fun path -> (input path).ReadBytes 1000L |> ignore)
    "text", "file", (fun path -> (input path).ReadText 1000L |> ignore)
    "JSON", "file", (fun path -> readShape (input path) |> ignore)
    "data", "file", (fun path -> ContentFile.Read(input path, 1000L) |> ignore)
    "archive", "file.gz", (fun path -> ContentFile.Read(input path, 1000L) |> ignore)
    "tensors", "file", (fun path -> SafetensorsFile.Read(input path) |> ignore)
    "laws", "laws.json", (fun path -> Law.read path |> ignore)
    "checkpoint",
    "c.safetensors",
    (fun path -> CheckpointStore(Path.GetDirectoryName path |> nonNull, "c").Load() |> ignore)
]

/// These go on without the file.
let private mayBeMissing = [ "laws"; "checkpoint" ]

let private instead = [
    for what, make, fragment in things do
        for reader, name, read in readers do
            if not (what = "nothing" && List.contains reader mayBeMissing) then
                testCase $"host/input/{what} for {reader}" (fun () ->
                    inFolder (fun folder ->
                        let path = Path.Combine(folder, name)
                        make path

                        endsSoon (fun () ->
                            let sentence = sentenceOf (fun () -> read path)
                            Expect.stringStarts sentence (path + ": ") "it names the file"
                            Expect.stringContains sentence fragment "it says what is the case"
                            Expect.stringContains sentence "; " "it says how to go on")))
]

let private unreadable =
    testCase "host/input/permissions" (fun () ->
        inFolder (fun folder ->
            let everybody =
                UnixFileMode.UserRead
                ||| UnixFileMode.UserExecute
                ||| UnixFileMode.OtherRead
                ||| UnixFileMode.OtherExecute

            File.SetUnixFileMode(folder, everybody ||| UnixFileMode.UserWrite)

            for reader, name, read in readers do
                let closed = Directory.CreateDirectory(Path.Combine(folder, "closed " + reader)).FullName
                let inside = Path.Combine(closed, name)
                File.WriteAllText(inside, "x")
                File.SetUnixFileMode(closed, UnixFileMode.UserRead ||| UnixFileMode.UserWrite)
                let opened = Directory.CreateDirectory(Path.Combine(folder, reader)).FullName
                File.SetUnixFileMode(opened, everybody ||| UnixFileMode.UserWrite)
                let bare = Path.Combine(opened, name)
                File.WriteAllText(bare, "x")
                File.SetUnixFileMode(bare, UnixFileMode.None)

                for path in [ inside; bare ] do
                    asNobody (fun () ->
                        let sentence = sentenceOf (fun () -> read path)

                        Expect.stringStarts
                            sentence
                            (path + ": it cannot be read (")
                            "it is not taken for missing"

                        Expect.stringContains
                            (sentence.ToLowerInvariant())
                            "permission denied"
                            "and the reason is said")

                File.SetUnixFileMode(closed, everybody ||| UnixFileMode.UserWrite)))

let private tooLong = [
    for reader, name, read in readers do
        if reader <> "checkpoint" then
            testCase $"host/input/endless {reader}" (fun () ->
                inFolder (fun folder ->
                    let path = Path.Combine(folder, name)
                    sparse (1L <<< 40) path

                    endsSoon (fun () ->
                        let before = GC.GetAllocatedBytesForCurrentThread()
                        let sentence = sentenceOf (fun () -> read path)
                        Expect.stringStarts sentence (path + ": ") "it names the file"

                        Expect.isLessThan
                            (GC.GetAllocatedBytesForCurrentThread() - before)
                            (1L <<< 20)
                            "memory is bounded by what the content can need")))
]

let private content =
    let refused (name: string) (bytes: byte[]) (fragment: string) =
        testCase $"host/input/{name}" (fun () ->
            inFolder (fun folder ->
                let path = Path.Combine(folder, "file")
                File.WriteAllBytes(path, bytes)
                let sentence = sentenceOf (fun () -> readShape (input path) |> ignore)
                Expect.stringStarts sentence (path + ": ") "it names the file"
                Expect.stringContains sentence fragment "it says what is wrong"
                Expect.stringEnds sentence $"; {remedy}." "it says how to go on"))

    let text (json: string) = Text.Encoding.UTF8.GetBytes json

    [
        refused "json-empty" [||] "its JSON is damaged"
        refused "json-cut" (text "{\"name\": \"a\",\n \"si") "(line 2)"
        refused "json-null" (text "null") "it holds nothing"
        refused "json-other-type" (text "[1, 2]") "its JSON is damaged or of another version"
        refused "json-null-member" (text """{"name": null, "sizes": []}""") "damaged or of another version"
        refused "json-missing-member" (text """{"sizes": []}""") "damaged or of another version"
        refused "json-member-twice" (text """{"name": "a", "name": "b", "sizes": []}""") "damaged"
        refused "json-half-character" (text """{"name": "\ud800", "sizes": []}""") "damaged"
        refused "json-half-name" (text """{"\ud800": 1, "name": "a", "sizes": []}""") "damaged"
        refused "json-deep" (text (String('[', 500))) "damaged"
        refused "json-number" (text """{"name": "a", "sizes": [99999999999]}""") "damaged"
        refused "json-no-text" [| 0x7Buy; 0xFFuy; 0xFEuy; 0x7Duy |] "it is no UTF-8 text"
        testCase "host/input/json-mark" (fun () ->
            inFolder (fun folder ->
                let path = Path.Combine(folder, "file")
                File.WriteAllText(path, """{"name": "a", "sizes": [1, 2]}""", Text.Encoding.UTF8)

                Expect.equal
                    (readShape (input path))
                    { Name = "a"; Sizes = [ 1; 2 ] }
                    "editors write a byte-order mark"))
    ]

[<Tests>]
let tests = testList "input files" (instead @ unreadable :: tooLong @ content)
