/// Whether the paper, Core.fs and the tests refer to each other without gaps.
module Research.Tests.PaperTests

open System
open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
open Expecto
open Research.Tests.Repository
open Research.Host
open Research.Report
open Research.Experiments

let private paper = lazy (Paper.read (Path.Combine(root, "paper")))

let private fsharpSources folder =
    Directory.GetFiles(Path.Combine(root, folder), "*.fs", SearchOption.AllDirectories)
    |> Array.filter (fun path -> not (Regex.IsMatch(path, @"[\\/](bin|obj)[\\/]")))
    |> Array.map File.ReadAllText

let private matches (pattern: string) (text: string) =
    Regex.Matches(text, pattern) |> Seq.map (fun m -> m.Groups[1].Value) |> Set.ofSeq

let private noDifference left right message = Expect.isEmpty (Set.difference left right) message

/// Who names whom: Core.fs and the paper equations, the paper tests, laws equations.
type private Links = {
    /// Labels of equations that Core.fs cites.
    Implemented: Set<string>
    /// Labels of the paper's equations.
    Labelled: Set<string>
    /// Test ids that the paper cites.
    Cited: Set<string>
    /// Ids of all tests.
    Tests: Set<string>
    /// Ids of laws with the labels that they stand behind.
    Laws: Map<string, Set<string>>
}

let private linksOf (core: string) (tests: string seq) (sources: Paper.Source list) =
    let law = Regex("\\bId = \"([a-z0-9-]+/[a-z0-9-]+)\"[\\s\\S]*?Labels =\\s*\\[([^\\]]*)\\]")

    {
        Implemented = matches @"\b(eq:[a-z0-9-]+)" core
        Labelled = Paper.equationLabels sources |> Set.ofList
        Cited = Paper.verifiedBy sources |> Set.ofList
        // An id that is only mentioned somewhere is not a test.
        Tests =
            tests
            |> Seq.map (matches "\\b(?:Id =|test[A-Za-z]*)\\s+\"([a-z0-9-]+/[a-z0-9-]+)\"")
            |> Set.unionMany
        Laws =
            tests
            |> Seq.collect law.Matches
            |> Seq.map (fun m -> m.Groups[1].Value, matches "\"(eq:[^\"]+)\"" m.Groups[2].Value)
            |> Map.ofSeq
    }

/// Every link that leads nowhere, as a sentence that names it.
let private gaps links =
    let lawful = links.Laws |> Map.filter (fun _ labels -> not labels.IsEmpty)

    let lacking sentence left right = Set.difference left right |> Seq.map sentence |> List.ofSeq

    List.concat [
        lacking (sprintf "Core.fs cites %s, which the paper lacks") links.Implemented links.Labelled
        lacking (sprintf "Core.fs does not implement the paper's %s") links.Labelled links.Implemented
        lacking (sprintf "the paper cites the test %s, which nobody wrote") links.Cited links.Tests
        lacking
            (sprintf "the paper does not cite %s, a law of its equations")
            (Set.ofSeq lawful.Keys)
            links.Cited
        lacking (sprintf "no law stands behind %s") links.Labelled (Set.unionMany lawful.Values)
    ]

let private core = lazy (File.ReadAllText(Path.Combine(root, "Core.fs")))
let private testSources = lazy (fsharpSources "tests")
let private links = lazy (linksOf core.Value testSources.Value paper.Value)

/// Places that the table at the front names and the paper lacks: LaTeX cannot tell them from those of rows that were not run.
let private placesLacking (sources: Paper.Source list) =
    let made kind macro count =
        Paper.uses macro count sources |> List.map (fun u -> $"{kind}:{u.Arguments.Head}")

    let places =
        Set.ofList (
            Paper.labels sources
            @ made "q" "question" 2
            @ made "q" "subquestion" 3
            @ made "x" "experiment" 2
            @ made "fig" "reportfigure" 1
            @ made "tab" "reporttable" 1
        )

    let named =
        Paper.uses "contentspart" 5 sources
        |> List.collect (fun u -> u.Arguments[2..3])
        |> List.filter ((<>) "")
        |> Set.ofList

    Set.difference named places

/// The paper without each occurrence of a text.
let private without (text: string) =
    paper.Value |> List.map (fun s -> { s with Text = s.Text.Replace(text, "") })

let private names (name: string) (found: string list) =
    found
    |> List.exists (fun sentence -> Regex.IsMatch(sentence, $"(^|\\s){Regex.Escape name}(,|$)"))

/// A few, so that reading all sources again for each stays quick.
let private sampled (all: Set<string>) =
    all |> Seq.indexed |> Seq.filter (fun (i, _) -> i % 12 = 0) |> Seq.map snd

[<Tests>]
let tests =
    testList "paper" [
        testCase "paper/links" (fun () ->
            Expect.isGreaterThan links.Value.Labelled.Count 50 "There are equations"
            Expect.isGreaterThan links.Value.Cited.Count 50 "There are tests behind them"
            Expect.isEmpty (gaps links.Value) "Equations, functions and tests refer to each other")

        testCase "paper/places" (fun () ->
            Expect.isEmpty (placesLacking paper.Value) "The table at the front names places that there are"

            for text in [ @"\label{x:cs1.digits}"; @"\subquestion{uva1.1a}"; @"\reporttable{ift7.table}" ] do
                Expect.isNonEmpty (placesLacking (without text)) $"{text} is missed")

        testCase "paper/links-mutants" (fun () ->
            let found = links.Value

            for label in found.Labelled do
                Expect.isTrue
                    (gaps { found with Labelled = found.Labelled.Remove label } |> names label)
                    $"The label {label} is missed"

            for id in found.Cited do
                Expect.isTrue
                    (gaps { found with Tests = found.Tests.Remove id } |> names id)
                    $"The test {id} is missed"

            for label in sampled found.Labelled do
                let mutant = without (@"\label{" + label + "}") |> linksOf core.Value testSources.Value
                Expect.isTrue (gaps mutant |> names label) $"The label {label} is missed when its text goes"

            for id in sampled found.Cited do
                let renamed = testSources.Value |> Array.map _.Replace($"\"{id}\"", $"\"{id}-gone\"")
                let mutant = linksOf core.Value renamed paper.Value
                Expect.isTrue (gaps mutant |> names id) $"The test {id} is missed when it is renamed")

        testCase "paper/guards-mutants" (fun () ->
            let sentences = Paper.uses "guarded" 2 paper.Value
            Expect.isNonEmpty sentences "There are guarded sentences"
            let words (text: string) = Regex.Replace(text.Trim(), @"\s+", " ")

            let guard holds (u: Paper.Use) =
                Guard.that u.Arguments.Head "planted", (if holds then Holds else Fails)

            let decided = Paper.uses "decided" 3 paper.Value
            let either = decided |> List.map (guard false)

            Expect.isEmpty
                (Paper.brokenGuards paper.Value [] (either @ (sentences |> List.map (guard true))))
                "Results that support every sentence"

            for used in decided do
                Expect.exists
                    (Paper.brokenGuards paper.Value [] (sentences |> List.map (guard true)))
                    _.Contains(used.Arguments.Head)
                    $"The missing check of {used.Arguments.Head} is missed"

            for used in sentences do
                let guards =
                    either
                    @ (sentences |> List.map (fun u -> guard (u.Arguments.Head <> used.Arguments.Head) u))

                let found = Paper.brokenGuards paper.Value [] guards
                Expect.isNonEmpty found $"{used.Arguments.Head} is missed"

                Expect.isTrue
                    (found |> List.exists _.Contains(words used.Arguments[1]))
                    $"The sentence of {used.Arguments.Head} is named")

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

        testCase "paper/revision" (fun () ->
            inFolder (fun folder ->
                let write (text: string) = File.WriteAllText(Path.Combine(folder, "main.tex"), text)

                let git (arguments: string list) =
                    let identity = [ "-c"; "user.name=a"; "-c"; "user.email=a@b.c" ]

                    use git =
                        ProcessStartInfo("git", [ "-C"; folder ] @ identity @ arguments)
                        |> Process.Start
                        |> nonNull


                    git.WaitForExit()
                    Expect.equal git.ExitCode 0 $"git {arguments.Head}"

                write "one"
                let built = Rendering.revision folder

                Expect.stringStarts
                    HostInfo.Revision
                    built
                    "without a repository, what the program was built from"

                git [ "init"; "--quiet" ]
                git [ "add"; "main.tex" ]
                git [ "commit"; "--quiet"; "-m"; "one" ]
                let first = Rendering.revision folder
                Expect.isMatch first "^[0-9a-f]{12}$" "the commit of the text"
                Expect.notEqual first built "and not that of the program"
                write "two"

                Expect.equal
                    (Rendering.revision folder)
                    $"{first}, with changes that are not committed"
                    "a changed text"))
    ]
