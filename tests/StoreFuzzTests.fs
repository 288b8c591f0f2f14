/// Stores with a damaged file: the report of them is either that of the sound store or one sentence, and never another
/// number.
module Research.Tests.StoreFuzzTests

open System
open System.IO
open System.Text
open System.Threading
open Expecto
open TorchSharp
open Research.Host
open Research.Report
open Research.Experiments
open Research.Tests.Hostile

/// Small rows with all kinds of results: metrics, figures, values, arrays.
let rows = [ "hw5.1"; "ift1"; "ift5" ]

/// Profile smoke on the stand-in.
let plan =
    lazy (Plan(Smoke, torch.device "cpu", DataOptions(null, false, ForceStandIn = true, Warn = ignore)))

let private requests () = [
    for row in Session.select rows do
        match row.Answer with
        | Registry.Computed experiment -> yield! experiment.Runs plan.Value
        | Registry.Derived -> ()
]

/// Has the runs of the rows computed that are not complete.
let compute (root: string) =
    use board = new PlainBoard(TextWriter.Null)
    Runner(RunStore root, torch.device "cpu", 2, board).Run(requests (), CancellationToken.None)

/// All that the report shows, as text.
let private shown (root: string) =
    use _ = torch.NewDisposeScope()
    let report = Rendering.report { Results = root; Paper = "" } plan.Value rows

    [
        for file in Render.generated Set.empty report do
            file.Path, Encoding.Latin1.GetString file.Bytes
        "claims.json", report.Sections |> List.collect Section.judgements |> Claim.json report.Revision
    ]

/// One to three changes to files of the store.
let private damage (random: Random) (root: string) = [
    let files =
        Directory.GetFiles(Path.Combine(root, "runs"), "*", SearchOption.AllDirectories)
        |> Array.sort

    for path in random.GetItems(files, 1 + random.Next 3) |> Array.distinct do
        if random.Next 2 = 0 then
            let what, damage = DamageTests.damages[random.Next DamageTests.damages.Length]
            damage path
            $"{Path.GetFileName path} {what}"
        else
            let bytes = File.ReadAllBytes path
            let at = random.Next bytes.Length
            bytes[at] <- bytes[at] ^^^ (1uy <<< random.Next 8)
            File.WriteAllBytes(path, bytes)
            $"{Path.GetFileName path} flipped at {at}"
]

[<Tests>]
let tests =
    testCase "host/damage/whole report" (fun () ->
        inFolder (fun folder ->
            let sound = Path.Combine(folder, "sound")
            Expect.equal (compute sound).ExitCode 0 "the rows are computed"
            let expected = shown sound
            let random = Random 7
            let mutable refused = 0

            for i in 1 .. Fuzz.rounds 10 do
                let root = Path.Combine(folder, string i)
                copyFolder sound root
                let what = String.Join(", ", damage random root)

                endsSoon (fun () ->
                    match
                        (try
                            Ok(shown root)
                         with :? ResearchException as error ->
                             Error error.Message)
                    with
                    | Ok text -> Expect.isTrue (text = expected) $"{what}: no other number is shown"
                    | Error sentence ->
                        refused <- refused + 1
                        Expect.stringStarts sentence root $"{what}: a file is named"
                        Expect.stringEnds sentence "." $"{what}: it is a sentence"

                    let summary = compute root
                    Expect.equal summary.ExitCode 1 $"{what}: the command to compute notices")

                Directory.Delete(root, true)

            Expect.isGreaterThan refused 0 "some damage shows in the report"))
