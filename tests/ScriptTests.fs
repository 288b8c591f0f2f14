/// The scripts in examples/, as a user runs them.
module Research.Tests.ScriptTests

open System.Diagnostics
open System.IO
open Expecto
open Research.Experiments.Yours
open Research.Tests.Repository

let private example name = Path.Combine(root, "examples", name)

/// What F# Interactive writes, working in a folder.
let private interactive (folder: string) (arguments: string list) =
    let info = ProcessStartInfo("dotnet", "fsi" :: arguments)
    info.WorkingDirectory <- folder
    info.RedirectStandardOutput <- true
    info.RedirectStandardError <- true
    use child = Process.Start info |> nonNull
    let errors = child.StandardError.ReadToEndAsync()
    let output = child.StandardOutput.ReadToEnd()
    child.WaitForExit()
    Expect.equal child.ExitCode 0 $"it ends well: {errors.Result}"
    output

[<Tests>]
let tests =
    testList "scripts" [
        testCase "scripts/vae" (fun () ->
            inFolder (fun folder ->
                let output = interactive folder [ example "vae.fsx"; "1" ]
                Expect.stringContains output "wrote vae.png" "it comes to its end"
                let png = File.ReadAllBytes(Path.Combine(folder, "vae.png"))
                Expect.equal png[1..3] "PNG"B "a picture"))

        for name in [ "capacity"; "iwae" ] do
            testCase $"scripts/{name}" (fun () ->
                inFolder (fun folder -> interactive folder [ example $"{name}.fsx" ] |> ignore)
                let script = Script.load (example $"{name}.fsx")
                Expect.isEmpty (ObjectiveLaws.check script |> List.choose _.Fault) "it breaks no law")

        testCase "scripts/all" (fun () ->
            let tested = set [ "research.fsx"; "vae.fsx"; "capacity.fsx"; "iwae.fsx" ]

            Expect.equal
                (Set.ofArray (
                    Directory.GetFiles(Path.Combine(root, "examples"))
                    |> Array.map (Path.GetFileName >> nonNull)
                ))
                tested
                "every example is run here")
    ]
