/// Whether the paper, Core.fs and the tests refer to each other without gaps.
module Research.Tests.PaperTests

open System
open System.IO
open System.Text.RegularExpressions
open Expecto
open Research.Tests.Repository
open Research.Report

let private paper = lazy (Paper.read (Path.Combine(root, "paper")))

let private fsharpSources folder =
    Directory.GetFiles(Path.Combine(root, folder), "*.fs", SearchOption.AllDirectories)
    |> Array.filter (fun path -> not (Regex.IsMatch(path, @"[\\/](bin|obj)[\\/]")))
    |> Array.map File.ReadAllText

let private matches (pattern: string) (text: string) =
    Regex.Matches(text, pattern) |> Seq.map (fun m -> m.Groups[1].Value) |> Set.ofSeq

let private noDifference left right message = Expect.isEmpty (Set.difference left right) message

let private laws =
    lazy
        (fsharpSources "tests"
         |> Seq.collect (fun text ->
             Regex.Matches(text, "\\bId = \"([a-z0-9-]+/[a-z0-9-]+)\"[\\s\\S]*?Labels =\\s*\\[([^\\]]*)\\]")
             |> Seq.map (fun m -> m.Groups[1].Value, matches "\"(eq:[^\"]+)\"" m.Groups[2].Value))
         |> Seq.toList)

[<Tests>]
let tests =
    testList "paper" [
        testCase "paper/labels" (fun () ->
            let inPaper = Paper.equationLabels paper.Value |> Set.ofList
            let inCore = matches @"\b(eq:[a-z0-9-]+)" (File.ReadAllText(Path.Combine(root, "Core.fs")))
            noDifference inCore inPaper "Equations that Core.fs cites and the paper lacks"
            noDifference inPaper inCore "Equations of the paper that Core.fs does not implement")

        testCase "paper/verified-by" (fun () ->
            let tests =
                fsharpSources "tests" |> Seq.map (matches "\"([a-z0-9-]+/[a-z0-9-]+)\"") |> Set.unionMany

            let cited = Paper.verifiedBy paper.Value |> Set.ofList
            noDifference cited tests "Tests that the paper cites and nobody wrote"

            let lawful = laws.Value |> List.filter (fun (_, labels) -> not labels.IsEmpty)

            noDifference
                (lawful |> List.map fst |> Set.ofList)
                cited
                "Laws of equations that the paper does not cite"

            let verified = lawful |> List.map snd |> Set.unionMany
            noDifference (Paper.equationLabels paper.Value |> Set.ofList) verified "Equations without a law")

        testCase "paper/no-typed-decimals" (fun () ->
            let results = paper.Value |> List.filter (fun s -> s.Name.StartsWith "experiments/")
            Expect.isNonEmpty results "There are sections with results"
            Expect.isEmpty (Paper.typedDecimals results) "Decimals typed by hand")

        testCase "paper/contents" (fun () ->
            let listed = Paper.contentsRows paper.Value
            Expect.equal listed.Length 50 "The five sources have fifty rows"
            let answered = Paper.answeredRows paper.Value |> Set.ofList
            noDifference (Set.ofList listed) answered "Rows without an answer"
            noDifference answered (Set.ofList listed) "Answers to rows that are not listed")

        testCase "paper/inputs" (fun () ->
            let names = paper.Value |> List.map (fun s -> s.Name) |> Set.ofList

            for used in Paper.uses "input" 1 paper.Value do
                let file = used.Arguments.Head + ".tex"
                Expect.isTrue (names.Contains file) $"{used.File}:{used.Line} inputs {file}")
    ]
