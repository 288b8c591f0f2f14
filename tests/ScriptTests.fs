/// The scripts in examples/, as a user runs them.
module Research.Tests.ScriptTests

open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
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

        testCase "scripts/cs" (fun () ->
            inFolder (fun folder ->
                let said = interactive folder [ example "cs.fsx" ]

                for line in
                    [
                        "N(1, 4) has mean 1.00 and standard deviation 2.00"
                        // KL(N(1/2, 1/2) || N(0, 1)) = (1/2 + 1/4 - 1 + log 2)/2 and (log 4 pi)/2 + 1/4.
                        "minus the ELBO 1.52 is KL 0.22 and reconstruction 1.30"
                        "the discriminator loses 1.39 and the generator 0.69"
                    ] do
                    Expect.stringContains said line "the values that theory has"))

        testCase "scripts/in the paper" (fun () ->
            let script = File.ReadAllText(example "cs.fsx")
            let paper = File.ReadAllText(Path.Combine(root, "paper", "derivations", "cs.tex"))

            let shown =
                Regex.Matches(paper, @"\\begin\{verbatim\}\n(.*?)\\end\{verbatim\}", RegexOptions.Singleline)

            Expect.hasLength shown 3 "P1.1, P1.2 and P2.2"

            for code in shown do
                Expect.stringContains
                    script
                    code.Groups[1].Value
                    "code of the paper stands in the script, letter by letter")

        testCase "scripts/all" (fun () ->
            let tested = set [ "research.fsx"; "vae.fsx"; "capacity.fsx"; "iwae.fsx"; "cs.fsx" ]

            Expect.equal
                (Set.ofArray (
                    Directory.GetFiles(Path.Combine(root, "examples"))
                    |> Array.map (Path.GetFileName >> nonNull)
                ))
                tested
                "every example is run here")
    ]
