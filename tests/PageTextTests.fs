/// The paper's text and formulas as the page shows them, and from which runs it says that its numbers come.
module Research.Tests.PageTextTests

open System
open System.IO
open System.Text.RegularExpressions
open System.Xml.Linq
open Expecto
open Research.Report
open Research.Experiments
open Research.Report.TexItems
open Research.Tests.Repository

let private paper = lazy (Paper.read (Path.Combine(root, "paper")))

let private macros =
    lazy
        (paper.Value
         |> List.filter (fun source -> source.Name = "preamble.tex")
         |> List.map (_.Text >> Equations.macros)
         |> List.fold (fun all some -> Map.foldBack Map.add some all) Tex.common)

let private letter text = Letter(text, Italic)

let private tex =
    testList "tex" [
        testCase "tex/scripts" (fun () ->
            Expect.equal
                (Tex.parse Map.empty @"\frac12 x_i^{23}")
                [
                    Fraction([ Digits "1" ], [ Digits "2" ], false)
                    letter "x"
                    Subscript [ letter "i" ]
                    Superscript [ Digits "23" ]
                ]
                "A fraction and scripts"

            Expect.equal
                (Tex.parse Map.empty "x^23")
                [ letter "x"; Superscript [ Digits "2" ]; Digits "3" ]
                "A script without braces takes one digit")

        testCase "tex/macros" (fun () ->
            let mine = Map.add "pair" (2, @"(#1,\abs{#2})") Tex.common

            Expect.equal
                (Tex.parse mine @"\pair{a}{\pair bc}")
                (Tex.parse mine @"(a,\left\lvert (b,\left\lvert c\right\rvert)\right\rvert)")
                "Macros with arguments, one inside the other")

        testCase "tex/rows" (fun () ->
            Expect.equal
                (Tex.parse Map.empty @"\begin{cases}a&b\\c\end{cases}x")
                [ Rows("{", [ [ [ letter "a" ]; [ letter "b" ] ]; [ [ letter "c" ] ] ], ""); letter "x" ]
                "Cells and rows, and what follows")

        testCase "tex/unknown" (fun () ->
            Expect.equal
                (Tex.parse Map.empty @"\nonsense")
                [ Letter(@"\nonsense", Upright) ]
                "A word that is not known stays to be seen")
    ]

let private mathMl =
    let shows (formula: string) html what =
        Expect.equal (MathMl.inLine Tex.common formula) $"<math>{html}</math>" what

    testList "mathml" [
        testCase "mathml/scripts" (fun () ->
            shows "x_i^2" "<msubsup><mi>x</mi><mi>i</mi><mn>2</mn></msubsup>" "Both scripts of a letter"

            shows
                @"\sum_i x"
                "<mrow><munder><mo movablelimits=\"true\">∑</mo><mi>i</mi></munder><mi>x</mi></mrow>"
                "A limit stands under a sum")

        testCase "mathml/minus" (fun () ->
            let prefixes formula = Regex.Matches(MathMl.inLine Tex.common formula, "form=\"prefix\"").Count

            Expect.equal (prefixes "-x") 1 "A sign"
            Expect.equal (prefixes "a-x") 0 "A difference"
            Expect.equal (prefixes "a=-x") 1 "A sign after a relation"
            Expect.equal (prefixes "(a)-x") 0 "A difference after a bracket")

        testCase "mathml/escapes" (fun () ->
            Expect.stringContains (MathMl.inLine Tex.common "a<b") "&lt;" "Signs that mean something to HTML")

        testCase "mathml/paper" (fun () ->
            for equation in Equations.read paper.Value do
                let html = MathMl.display macros.Value equation.Text
                let read = XDocument.Parse html
                let words = read.Descendants() |> Seq.filter (fun e -> not e.HasElements) |> Seq.map _.Value

                Expect.isFalse
                    (words |> Seq.exists (fun word -> word.Contains '\\'))
                    $"{equation.Label} shows no control word: {html}")
    ]

let private source name text : Paper.Source = { Name = name; Text = text }

let private equations =
    testList "equations" [
        testCase "equations/read" (fun () ->
            let read =
                Equations.read [
                    source
                        "second.tex"
                        @"\section{Two}\begin{align}a&=b\label{eq:a},\\c&=d\\e&=f\label{eq:e}.\end{align}"
                    source "main.tex" @"\input{first}\input{second}"
                    source
                        "first.tex"
                        @"\section{One}\question{hw1.1}{Why}\begin{equation}\label{eq:first}x.\end{equation}\begin{equation}y\end{equation}"
                ]

            Expect.equal
                read
                [
                    { Label = "eq:first"; Text = "x"; Section = "One"; Row = "hw1.1" }
                    { Label = "eq:a"; Text = "a=b"; Section = "Two"; Row = "" }
                    { Label = "eq:e"; Text = "e=f"; Section = "Two"; Row = "" }
                ]
                "Those with a label, in the order of main.tex, each row of an align by itself")

        testCase "equations/implementations" (fun () ->
            let found =
                Equations.implementations
                    "let noDoc = 1\n\n/// Squares. Paper: eq:one, eq:two.\nlet square x =\n    x * x\n\nmodule Of =\n    /// Cubes.\n    [<Measure>]\n    let cube x = x * x * x\n\n    let hidden = 2\n"

            Expect.equal
                (found |> List.map (fun i -> i.Name, i.Line, i.Labels, i.Code))
                [
                    "square", 4, [ "eq:one"; "eq:two" ], "let square x =\n    x * x"
                    "Of.cube", 10, [], "let cube x = x * x * x"
                ]
                "Documented ones with name, place, labels and code")

        testCase "equations/complete" (fun () ->
            let core = File.ReadAllText(Path.Combine(root, "Core.fs"))

            let named = Equations.implementations core |> List.collect _.Labels |> Set.ofList

            for equation in Equations.read paper.Value do
                Expect.isTrue (named.Contains equation.Label) $"{equation.Label} has a function in the page")
    ]

let private titlePage =
    testCase "report/title-page" (fun () ->
        let said = Render.metaOf SamplePage.report |> Map.ofList

        Expect.equal
            (said["reproduced"], said["differs"], said["not-comparable"])
            ("1", "1", "0")
            "The verdicts"

        Expect.isFalse (said.ContainsKey "as-expected") "Nothing is said of theory where it expects nothing"

        let expectation =
            Claim.that "IFT P1.1" "ift1.theory" "ratio"
            |> Claim.expecting 2.0
            |> Claim.judgedBy (AtMost 2.0) [ 1.0 ]

        let section = SamplePage.report.Sections.Head

        let more = {
            SamplePage.report with
                Sections = [ { section with Claims = expectation :: section.Claims } ]
        }

        let said = Render.metaOf more |> Map.ofList

        Expect.equal
            (said["reproduced"], said["as-expected"], said["not-as-expected"], said["unjudged"])
            ("1", "1", "0", "0")
            "One is met")

/// What the sentences of the tests speak of: the values `ift1.elbo` and `ift1.one`, and the guards given.
let private context guards : Prose.Context = {
    Macros = Tex.common
    Values =
        Map.ofList [
            "ift1.elbo", { Id = "ift1.elbo"; Cell = MeanSe(101.25, 0.5, 2) }
            "ift1.one", { Id = "ift1.one"; Cell = MeanSe(3.5, nan, 1) }
        ]
    Guards =
        Map.ofList [
            for id, outcome in guards do
                id, (Guard.that id "it falls", outcome)
        ]
    Ran = set [ "ift1" ]
    Meta = Map.ofList [ "reproduced", "7" ]
    Places =
        Map.ofList [
            "eq:elbo", { Kind = "equation"; Number = "7"; Page = 3 }
            "sec:x", { Kind = "section"; Number = "2"; Page = 9 }
        ]
    Cited = Map.ofList [ "kingma", "Kingma and Welling 2014" ]
    Pdf = "report.pdf"
    Show = fun value -> "[" + Cell.latex value.Cell + "]"
    Float = fun id -> $"<figure id={id}></figure>"
}

let private prose =
    let reads text html what = Expect.equal (Prose.inLine (context []) text) html what

    testList "prose" [
        testCase "prose/words" (fun () ->
            reads
                @"``A \emph{word}''---10\,\% --- `b'"
                "“A <em>word</em>”—10\u202F% — ‘b’"
                "Quotes and dashes"

            reads @"\nonsense x" @"\nonsense x" "A command that is not known stays to be seen"
            reads @"A < B \& C" "A &lt; B &amp; C" "Signs that mean something to HTML")

        testCase "prose/values" (fun () ->
            reads @"\val{ift1.elbo} nats" @"[$101.25 \pm 0.50$] nats" "A value"
            reads @"\val{ift1.missing}" "–" "A value that is not there"
            reads @"\severalseeds{ift1.elbo}{many}{one}" "many" "A mean over seeds"
            reads @"\severalseeds{ift1.one}{many}{one}" "one" "A single seed"

            reads
                @"\whenrun{ift1}{yes}[no] \whenrun{hw5.1}{yes}[no]"
                "<span class=checked title=\"\">yes</span> no"
                "Rows that ran"

            reads
                @"\metaTF{reproduced}{\reportmeta{reproduced} of them}{none}"
                "7 of them"
                "What the title page says"

            reads @"\metaTF{other}{some}{none}" "none" "And does not")

        testCase "prose/guards" (fun () ->
            let read outcome =
                Prose.inLine
                    (context [ "ift1.falls", outcome ])
                    @"\guarded{ift1.falls}{It falls}[See \val{ift1.one} ($x$)]."

            Expect.stringContains (read Holds) ">It falls</span>." "What holds is said"
            Expect.stringContains (read Holds) "it falls" "and by which check"

            for outcome in [ Fails; NotAssessed "profile smoke" ] do
                Expect.isFalse ((read outcome).Contains "It falls") "What does not hold is not said"
                Expect.stringStarts (read outcome) "See [$3.5$] (" "but what stands in its place")

        testCase "prose/decided" (fun () ->
            let read outcome =
                Prose.inLine (context [ "ift1.falls", outcome ]) @"\decided{ift1.falls}{yes}{no}[open]."

            Expect.equal (read Holds) "yes." "The question is answered"
            Expect.equal (read Fails) "no." "either way"
            Expect.equal (read (NotAssessed "profile smoke")) "open." "or not at all")

        testCase "prose/references" (fun () ->
            reads
                @"\eqref{eq:elbo}"
                "<a href=\"#eq:elbo\">equation 7</a>"
                "An equation has its place in the page"

            reads @"\Cref{sec:x}" "<a href=\"report.pdf#page=9\">Section 2</a>" "A section is in the paper"
            reads @"\cref{q:hw3.2}" "<a href=\"#hw3.2\">hw3.2</a>" "A question is called by its row"

            reads
                @"\citet{kingma} say, \citep{kingma}"
                "Kingma and Welling 2014 say, (Kingma and Welling 2014)"
                "A paper")

        testCase "prose/blocks" (fun () ->
            Expect.equal
                (Prose.html
                    (context [])
                    "\\answer{Yes.} Why?\n\n\\reportfigure{ift1.curve}\\begin{itemize}[nosep]\\item a\\item b\\end{itemize}")
                "<p class=answer>Yes.</p>\n<p>Why?</p>\n<figure id=ift1.curve></figure>\n<ul><li>a</li>\n<li>b</li></ul>\n"
                "Paragraphs, answers, figures and lists")

        testCase "prose/paper" (fun () ->
            let shown =
                paper.Value
                |> List.filter (fun s -> s.Name.StartsWith "experiments/" || s.Name = "findings.tex")

            let ids =
                Paper.uses "guarded" 2 shown @ Paper.uses "decided" 3 shown |> List.map _.Arguments.Head

            Expect.isNonEmpty ids "There are sentences to read"

            for outcome in [ Holds; Fails; NotAssessed "smoke" ] do
                let context = {
                    context [ for id in ids -> id, outcome ] with
                        Macros = macros.Value
                        Show = fun value -> value.Id
                }

                for source in shown do
                    let body = Regex.Replace(source.Text, @"\\(experiment|section|subsection)\b", @"\emph")

                    let words =
                        Regex.Matches(Prose.html context body, @"\\[A-Za-z]+")
                        |> Seq.map _.Value
                        |> List.ofSeq

                    Expect.isEmpty words $"{source.Name} shows no command")
    ]

let private provenance =
    testList "provenance" [
        testCase "provenance/of" (fun () ->
            let provenance = Provenance SamplePage.runs
            let both = SamplePage.runs[..1] |> List.map _.Id
            Expect.equal (provenance.Of 101.4) both[1..] "A number that one run recorded"
            Expect.equal (provenance.Of -101.4) both[1..] "Up to its sign"
            Expect.equal (provenance.Of((101.0 + 101.4) / 2.0)) both "The mean over the seeds of a training"
            Expect.isEmpty (provenance.Of 25.75) "A number that none has"
            Expect.isEmpty (provenance.Of 2.0) "A count, which any run may have")

        testCase "provenance/functions" (fun () ->
            let run name configuration from : Run = {
                SamplePage.runs.Head with
                    Name = name
                    Configuration = configuration
                    From = from
                    Functions =
                        set [ "elbo"; "Prior.vamp"; "Mixture.logProb"; "Prior.flow"; "planar"; "r1Penalty" ]
            }

            let functions =
                RunTable.narrowed [
                    run "vamp" [ "prior", "VampPrior (16, 0.0, 17.0)"; "posterior", "DiagonalPosterior" ] []
                    run "vamp.test" [ "images", "447" ] [ "vamp" ]
                    run "gan" [ "r1", "0.1" ] []
                    run "times" [ "rounds", "25" ] []
                ]
                |> List.map (fun r -> Set.toList r.Functions)

            let ofVamp = [ "Mixture.logProb"; "Prior.vamp"; "elbo"; "r1Penalty" ]

            Expect.equal
                functions
                [
                    ofVamp
                    ofVamp
                    [ "Mixture.logProb"; "Prior.flow"; "Prior.vamp"; "elbo"; "planar"; "r1Penalty" ]
                    [ "Mixture.logProb"; "Prior.flow"; "Prior.vamp"; "elbo"; "planar"; "r1Penalty" ]
                ]
                "A configuration decides, also that of a training whose result is read")

        testCase "provenance/decided" (fun () ->
            let known =
                Equations.implementations (File.ReadAllText(Path.Combine(root, "Core.fs")))
                |> List.map _.Name
                |> Set.ofList

            for name in RunTable.decidedFunctions do
                Expect.isTrue (known.Contains name) $"{name} is a function of Core.fs")
    ]

[<Tests>]
let tests = testList "page text" [ tex; mathMl; equations; titlePage; prose; provenance ]
