/// README.md shows code and names files; both must be there.
module Research.Tests.ReadmeTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open Research.Tests.Repository

let private readme = lazy (File.ReadAllText(Path.Combine(root, "README.md")))

/// Code blocks of a language.
let private blocks language =
    Regex.Matches(readme.Value, $"```{language}\n(.*?)```", RegexOptions.Singleline)
    |> Seq.map (fun m -> m.Groups[1].Value)
    |> List.ofSeq

[<Tests>]
let tests =
    testList "readme" [
        testCase "code"
        <| fun () ->
            let text (path: string) = File.ReadAllText(Path.Combine(root, path))
            // A script; an objective, compiled with Core.fs and under every law of tests/Laws/Objectives.fs; a training step.
            let sources = [ "examples/capacity.fsx"; "Core.fs"; "Experiments/Vae/VaeStep.fs" ]
            let shown = blocks "fsharp"
            Expect.hasLength shown sources.Length "the README shows how to add an objective, and a step"

            for source, block in List.zip sources shown do
                Expect.stringContains
                    (text source)
                    (block.Trim())
                    $"code shown in the README stands in {source}, letter by letter"

        testCase "files"
        <| fun () ->
            for m in Regex.Matches(readme.Value, @"`([A-Za-z.]+/[A-Za-z./]*)`|\]\(([^)#:]+)\)") do
                let path =
                    if m.Groups[1].Success then
                        m.Groups[1].Value
                    else
                        m.Groups[2].Value
                // Written by the commands, not kept in the repository.
                let isOutput =
                    Regex.IsMatch(path, @"^(\./)?(data|results|generated)(/|$)|^paper/(build|generated)/")

                let there = Path.Combine(root, path)

                Expect.isTrue
                    (isOutput || File.Exists there || Directory.Exists there)
                    $"README.md names {path}, which is not there"
    ]
