/// Finished runs whose files are no longer what the run wrote: never shown, never called done, and it is said how to
/// compute them again.
module Research.Tests.DamageTests

open System
open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Host
open Research.Tests.Hostile

let private keyOf name needs = RunKey(name, [], 1L, "none", "test", noCode, needs)
let private first = keyOf "first" []
let private second = keyOf "second" [ first ]

/// Every kind of file that a run leaves.
let private work (context: RunContext) =
    if context.Key.Name = "second" then
        context.Dependency(first).ReadValues() |> ignore

    context.Run.SaveValues(readOnlyDict [ "bound", 101.25; "seed", float context.Key.Seed ])

    do
        use metrics = context.Run.OpenMetrics()
        metrics.Add(1L, "train", "loss", 0.5)
        metrics.Add(2L, "train", "loss", 0.25)

    context.SaveTensors("model", [ NamedTensor("weight", torch.arange 6) ])
    File.WriteAllBytes(context.Run.PathForWriting "pictures/1.png", [| 1uy; 2uy; 3uy |])
    context.Run.Note "all is well"

let private compute (root: string) =
    use board = new PlainBoard(TextWriter.Null)
    let requests = [ for key in [ first; second ] -> RunRequest(key, 1, work) ]
    Runner(RunStore root, torch.device "cpu", 1, board).Run(requests, CancellationToken.None)

/// A store with both runs complete.
let private withStore (act: string -> RunStore -> string -> unit) =
    inFolder (fun root ->
        Expect.equal (compute root).ExitCode 0 "both runs are computed"
        act root (RunStore root) (Path.Combine(root, "runs", first.Id)))

let private files = [
    "run.json"
    "values.json"
    "metrics.csv"
    "model.safetensors"
    "pictures/1.png"
    "log.txt"
]

/// Ways in which a file may have changed.
let damages: (string * (string -> unit)) list = [
    let rewrite (change: byte[] -> byte[]) (path: string) =
        File.WriteAllBytes(path, change (File.ReadAllBytes path))

    for what, make, _ in things do
        what,
        (fun (path: string) ->
            File.Delete path
            make path)

    "empty", rewrite (fun _ -> [||])
    "cut", rewrite (fun bytes -> bytes[.. bytes.Length / 2])
    "longer", rewrite (fun bytes -> Array.append bytes [| byte '!' |])
    "of another type", rewrite (fun _ -> "[1]\n"B)
    "null", rewrite (fun _ -> "null"B)
    "another object", rewrite (fun _ -> "{\"a\": {\"b\": \"c\"}, \"d\": null}"B)

    "changed in its last digit",
    rewrite (fun bytes ->
        let changed = Array.copy bytes
        let isDigit (b: byte) = b >= byte '0' && b <= byte '8'

        match Array.tryFindIndexBack isDigit changed with
        | Some i -> changed[i] <- changed[i] + 1uy
        | None -> changed[0] <- changed[0] ^^^ 1uy

        changed)

    "endless", sparse (1L <<< 40)
]

/// Reads all that the report may read.
let private readAll (run: RunDirectory) =
    run.ReadValues() |> ignore
    run.ReadMetrics() |> ignore
    run.ReadTensors "model" |> ignore
    run.ReadNotes() |> ignore

let private damaged = [
    for file in files do
        for what, damage in damages do
            testCase $"host/damage/{file} is {what}" (fun () ->
                withStore (fun root store folder ->
                    let path = Path.Combine(folder, file)
                    damage path

                    endsSoon (fun () ->
                        let sentence = store.FaultOf first |> nonNull
                        sentenceOf (fun () -> raise (ResearchException sentence)) |> ignore
                        Expect.stringStarts sentence (path + ": ") "it names the file, and with it the run"

                        Expect.stringContains
                            sentence
                            $"remove the folder '{folder}'"
                            "it says how to go on"

                        if file <> "pictures/1.png" then
                            let read = sentenceOf (fun () -> readAll (store.Require first))
                            Expect.equal read sentence "whoever reads it hears the same"

                        Expect.equal (store.Why(first).ToString()) sentence "and whoever asks why"
                        let summary = compute root
                        Expect.equal (summary.ExitCode, summary.Cached) (1, 1) "it is not called cached"

                        Expect.stringContains
                            (String.Join("\n", summary.Lines()))
                            sentence
                            "the command says the sentence"

                        // As the sentence says.
                        Directory.Delete(folder, true)
                        let again = compute root
                        Expect.equal (again.ExitCode, again.Cached) (0, 1) "and then it is computed again"
                        Expect.isNull (store.FaultOf first) "and sound")))
]

let private others = [
    testCase "host/damage/another run's folder" (fun () ->
        withStore (fun root store folder ->
            // A copy of a sound run under another's name.
            Directory.Delete(folder, true)
            Directory.CreateDirectory folder |> ignore

            for file in Directory.GetFiles(Path.Combine(root, "runs", second.Id)) do
                File.Copy(file, Path.Combine(folder, nonNull (Path.GetFileName file)))

            Expect.stringContains (nonNull (store.FaultOf first)) "another run" "it is noticed"))
    testCase "host/damage/a file for a folder" (fun () ->
        withStore (fun root store folder ->
            Directory.Delete(folder, true)
            File.WriteAllText(folder, "")
            let summary = compute root
            Expect.equal (summary.ExitCode, summary.Cached) (1, 1) "it is not called cached"))
    testCase "host/damage/another version" (fun () ->
        withStore (fun _ store folder ->
            let path = Path.Combine(folder, "run.json")

            for version in
                [
                    File.ReadAllText(path).Replace("\"seal\"", "\"seals\"")
                    File.ReadAllText(path).Replace("\"artefacts\"", "\"files\"")
                    File.ReadAllText(path).Replace("\"name\"", "\"future\": 1, \"name\"")
                ] do
                File.WriteAllText(path, version)
                Expect.stringContains (nonNull (store.FaultOf first)) "of another version" "it is said"))
    testCase "host/damage/dependency" (fun () ->
        withStore (fun root store folder ->
            Directory.Delete(Path.Combine(root, "runs", second.Id), true)
            File.WriteAllText(Path.Combine(folder, "values.json"), "{}")
            let summary = compute root
            let states = [ for outcome in summary.Outcomes -> outcome.Status ]
            Expect.equal states [ WorkStatus.Failed; WorkStatus.Skipped ] "nothing is computed from it"))
    testCase "host/damage/unpublished" (fun () ->
        withStore (fun root store folder ->
            // What a kill right before publishing leaves, then damaged.
            let attempt = Path.Combine(root, "work", first.Id, "attempt-1")
            Directory.CreateDirectory(Path.Combine(root, "work", first.Id)) |> ignore
            Directory.Move(folder, attempt)
            File.WriteAllText(Path.Combine(attempt, "values.json"), "{\"bound\": 1}")
            let summary = compute root
            Expect.equal (summary.ExitCode, summary.Outcomes.Count) (0, 1) "it is computed again"
            Expect.equal ((store.Require first).ReadValues()["bound"]) 101.25 "and right"))
    testCase "host/damage/failed run" (fun () ->
        inFolder (fun root ->
            use board = new PlainBoard(TextWriter.Null)
            let fails (_: RunContext) = raise (ResearchException "the moon is made of cheese.")

            let runner = Runner(RunStore root, torch.device "cpu", 1, board)
            runner.Run([ RunRequest(first, 1, fails) ], CancellationToken.None) |> ignore

            Expect.equal
                ((RunStore root).Why(first).ToString())
                $"{first.Id} failed (the moon is made of cheese), so it is tried again."
                "why says what was the case"))
]

[<Tests>]
let tests = testList "damage" (damaged @ others)
