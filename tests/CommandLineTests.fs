/// Every value of the command line may be wrong: the answer is one sentence and a non-zero exit code.
module Research.Tests.CommandLineTests

open System
open System.IO
open Expecto
open Research.Host
open Research.Experiments

let private refused (argv: string list) : string =
    match Program.answer (List.toArray argv) with
    | 0, _ -> failtestf "%A is obeyed" argv
    | code, Some sentence ->
        Expect.isTrue (code = 1 || code = 2) $"{argv}: exit code {code}"
        Expect.isFalse (sentence.Contains '\n') $"{argv}: one line: {sentence}"

        Expect.isTrue
            (sentence.EndsWith '.' || sentence.EndsWith "(see research --help)")
            $"{argv}: {sentence}"

        for inside in [ "Exception"; "defect"; "   at " ] do
            Expect.isFalse (sentence.Contains inside) $"{argv} speaks to a user: {sentence}"

        sentence
    | code, None -> failtestf "%A ends with %d and no word" argv code

let private plan = [ "run"; "ift1"; "--profile"; "smoke" ]
let private slurm = plan @ [ "--executor"; "slurm" ]

/// Words that are no whole number of at least 1.
let private noNumbers = [ ""; " "; "0"; "-1"; "x"; "1.5"; "1e3"; "99999999999"; "NaN"; "٣" ]

/// Texts that name nothing.
let private noNames = [ ""; " "; "x y"; "-"; "../.."; "\000"; "ift1\n"; String('a', 5000); "\ud800" ]

let private numbers = [
    plan, "--jobs"
    slurm, "--throttle"
    slurm, "--runs-per-task"
    slurm, "--notice"
    [ "sample"; "ift1" ], "--count"
]

let private names = [
    [ "run"; "ift1" ], "--profile"
    plan, "--device"
    plan, "--executor"
    [ "run" ], "--only"
    [ "data"; "verify" ], "--set"
    [ "sample"; "ift1" ], "--profile"
]

/// Paths at which there can be no folder.
let private noFolders (folder: string) =
    let file, loop = Path.Combine(folder, "file"), Path.Combine(folder, "loop")
    File.WriteAllText(file, "")
    File.CreateSymbolicLink(loop, loop) |> ignore

    [
        ""
        " "
        file
        Path.Combine(file, "below")
        loop
        "/dev/null"
        "/proc/none"
        "/" + String('a', 5000)
    ]

[<Tests>]
let tests =
    testList "command line" [
        for command, option in numbers do
            testCase $"host/arguments/{option}" (fun () ->
                for value in noNumbers do
                    refused (command @ [ option; value ]) |> ignore)

        for command, option in names do
            testCase $"host/arguments/{command.Head} {option}" (fun () ->
                for value in noNames do
                    refused (command @ [ option; value ]) |> ignore)

        for command in [ "run"; "status"; "why"; "render"; "sample"; "data" ] do
            testCase $"host/arguments/{command} what is none" (fun () ->
                for value in noNames do
                    refused [ command; value ] |> ignore)

        testCase "host/arguments/--results" (fun () ->
            inFolder (fun folder ->
                for place in noFolders folder do
                    refused (plan @ [ "--results"; place ]) |> ignore

                for command in [ "status"; "why"; "render" ] do
                    refused [
                        command
                        "ift1"
                        "--profile"
                        "smoke"
                        "--results"
                        Path.Combine(folder, "file")
                    ]
                    |> ignore))

        testCase "host/arguments/--data" (fun () ->
            inFolder (fun folder ->
                for place in noFolders folder do
                    refused (plan @ [ "--results"; folder; "--data"; place ]) |> ignore

                    if place <> "/proc/none" then
                        refused [ "data"; "verify"; "--directory"; place ] |> ignore))

        testCase "host/arguments/--tasks" (fun () ->
            inFolder (fun folder ->
                for place in folder :: noFolders folder do
                    refused [
                        "worker"
                        "ift1"
                        "--profile"
                        "smoke"
                        "--results"
                        folder
                        "--tasks"
                        place
                    ]
                    |> ignore))

        testCase "host/arguments/--seed" (fun () ->
            for value in [ ""; "x"; "1.5"; "99999999999999999999" ] do
                refused [ "sample"; "ift1"; "--seed"; value ] |> ignore)

        testCase "host/arguments/texts for Slurm" (fun () ->
            for option in [ "--partition"; "--account"; "--time"; "--memory"; "--gpus" ] do
                refused (slurm @ [ option; "" ]) |> ignore
                let alone = refused (plan @ [ option; "1" ])

                Expect.stringContains
                    alone
                    "--executor slurm"
                    "what belongs to Slurm is not ignored without it")

        testCase "host/arguments/twice" (fun () ->
            for option in [ "--profile"; "--jobs"; "--results"; "--device"; "--data"; "--only" ] do
                let sentence = refused [ "run"; option; "1"; option; "1" ]
                Expect.stringContains sentence option "the sentence names it")

        testCase "host/arguments/none" (fun () ->
            for argv in
                [
                    []
                    [ "" ]
                    [ "x" ]
                    [ "--x" ]
                    [ "run"; "--x" ]
                    [ "run"; "--jobs" ]
                    [ "worker" ]
                    [ "why" ]
                ] do
                refused argv |> ignore)
    ]
