/// Building the paper: what earlier and simultaneous builds leave behind decides nothing.
module Research.Tests.LatexTests

open System
open System.IO
open System.Text
open System.Threading.Tasks
open Expecto
open Research.Report
open Research.Tests.Hostile

/// In place of latexmk: fails when it finds anything of another build, works in two slow steps, and gives a PDF that
/// tells which sources went into it.
let private program =
    """#!/bin/sh
ls report.* >/dev/null 2>&1 && { echo 'there is something here already' >&2; exit 9; }
set -e
cat main.tex generated/values.tex > report.pdf
sleep 0.2
cat generated/values.tex >> report.pdf
echo 'This is pdfTeX' > report.log
"""

let private values (text: string) : PgfPlots.File = {
    Path = "values.tex"
    Bytes = Encoding.UTF8.GetBytes text
}

/// In place of pdflatex: a PDF for each document, unless it holds an error.
let private typesetter =
    """#!/bin/sh
for last; do :; done
grep -q '!error' "$last" && exit 1
: > "${last%.tex}.pdf"
"""

let private executable (folder: string) (name: string) (script: string) =
    let path = Path.Combine(folder, name)
    File.WriteAllText(path, script)
    File.SetUnixFileMode(path, UnixFileMode.UserRead ||| UnixFileMode.UserExecute)
    path

/// The figures after their pictures were typeset on two cores, and the documents.
let private prepared (figures: string list) =
    let mutable result = [], []

    inFolder (fun folder ->
        let at name = Path.Combine(folder, "generated", "figures", name)
        Directory.CreateDirectory(at "") |> ignore
        figures |> List.iteri (fun i text -> File.WriteAllText(at $"{i}.tex", text))
        LatexPictures.start (executable folder "pdflatex" typesetter) 2 folder |> LatexPictures.finish

        result <-
            List.init figures.Length (fun i -> File.ReadAllText(at $"{i}.tex")),
            [
                for path in Directory.GetFiles(folder, "pictures-*.tex") |> Array.sort ->
                    File.ReadAllText path
            ])

    result

let private tikz (text: string) = $"\\begin{{tikzpicture}}[x]\n{text}\n\\end{{tikzpicture}}"

/// A paper's folder and the program.
let private withPaper (act: string -> (PgfPlots.File list -> Result<string, string list>) -> unit) =
    inFolder (fun folder ->
        let latexmk = executable folder "latexmk" program
        let paper = Directory.CreateDirectory(Path.Combine(folder, "paper")).FullName
        File.WriteAllText(Path.Combine(paper, "main.tex"), "main ")
        act paper (Latex.compileWith latexmk paper))

let private built (paper: string) (result: Result<string, string list>) =
    let pdf = Expect.wantOk result "it is built"
    Expect.equal pdf (Path.Combine(paper, "build", "report.pdf")) "at its place"
    File.ReadAllText pdf

[<Tests>]
let tests =
    testList "latex" [
        testCase "report/latex-leftovers" (fun () ->
            withPaper (fun paper compile ->
                for folder in [ "build"; "generated" ] do
                    Directory.CreateDirectory(Path.Combine(paper, folder)) |> ignore

                // What a killed build may leave: half files that LaTeX would read, a half PDF, another rendering's values.
                for name in
                    [ "report.aux"; "report.bbl"; "report.fdb_latexmk"; "report.pdf"; "report.pdf.x.tmp" ] do
                    File.WriteAllText(Path.Combine(paper, "build", name), @"\relax \cita")

                File.WriteAllText(Path.Combine(paper, "generated", "values.tex"), "of another rendering")

                Expect.equal
                    (built paper (compile [ values "1" ]))
                    "main 11"
                    "made of the sources and this rendering alone"

                Expect.equal (built paper (compile [ values "2" ])) "main 22" "and again"

                Expect.isTrue
                    (File.Exists(Path.Combine(paper, "build", "report.log")))
                    "its log is beside it"))

        testCase "report/latex-pictures" (fun () ->
            let a, b, c = tikz "a", tikz (String('b', 900)), tikz "c"
            let figures, documents = prepared [ $"x {a}\\hfill {b} y"; $"{c} {a}" ]
            Expect.hasLength documents 2 "one for each core"

            // The page of a picture is its place among those of its document.
            let place (text: string) =
                documents
                |> List.indexed
                |> List.pick (fun (i, document) ->
                    match document.IndexOf text with
                    | -1 -> None
                    | at ->
                        let page = document.Substring(0, at).Split("begin{tikzpicture}").Length
                        Some $"\\reportpicture{{pictures-{i + 1}}}{{{page}}}")

            Expect.equal
                figures
                [ $"x {place a}\\hfill {place b} y"; $"{place c} {place a}" ]
                "each picture is replaced by its page, and the rest stays"

            Expect.all documents (fun text -> text.Contains "\\input{preamble}") "in the report's own fonts"
            let broken = [ "x " + tikz "!error" ]
            Expect.equal (fst (prepared broken)) broken "an error is left to the report's own run"
            Expect.equal (fst (prepared [ "no picture" ])) [ "no picture" ] "and text stays as it is")

        testCase "report/latex-together" (fun () ->
            withPaper (fun paper compile ->
                let results =
                    [ for i in 1..4 -> Task.Run(fun () -> compile [ values (string i) ]) ]
                    |> List.map _.Result

                for result in results do
                    let pdf = built paper result
                    Expect.equal (Seq.length pdf, pdf[5]) (7, pdf[6]) "one of them, whole"

                Expect.equal
                    (Directory.GetFiles(Path.Combine(paper, "build"))
                     |> Array.map Path.GetFileName
                     |> Array.sort)
                    [| "report.log"; "report.pdf"; "report.sources" |]
                    "nothing else is left"))

        testCase "report/latex-unchanged" (fun () ->
            withPaper (fun paper compile ->
                let without = Latex.compileWith "no such program" paper
                let pdf = Path.Combine(paper, "build", "report.pdf")
                built paper (compile [ values "1" ]) |> ignore

                Expect.equal
                    (built paper (without [ values "1" ]))
                    "main 11"
                    "what it was made from is the same"

                let isMadeAgain why =
                    Expect.throws (fun () -> without [ values "1" ] |> ignore) why
                    Expect.equal (built paper (compile [ values "1" ])) "main 11" why

                File.WriteAllText(pdf, "another")
                isMadeAgain "the PDF is another one"
                built paper (compile [ values "2" ]) |> ignore
                isMadeAgain "the values were others"
                File.WriteAllText(Path.Combine(paper, "main.tex"), "main  ")
                Expect.throws (fun () -> without [ values "1" ] |> ignore) "a source is another one"
                File.WriteAllText(Path.Combine(paper, "main.tex"), "main ")
                File.Delete pdf
                isMadeAgain "there is no PDF"))

        testCase "report/latex-failure" (fun () ->
            withPaper (fun paper compile ->
                built paper (compile [ values "1" ]) |> ignore
                // Without values.tex the program fails.
                let problems = Expect.wantError (compile []) "the failure is told"
                Expect.stringContains (String.Concat problems) "latexmk failed" "in a sentence"

                Expect.equal
                    (File.ReadAllText(Path.Combine(paper, "build", "report.pdf")))
                    "main 11"
                    "the last good report stays"))

        for what, make, fragment in things do
            if what <> "nothing" then
                testCase $"report/latex-source is {what}" (fun () ->
                    withPaper (fun paper compile ->
                        let path = Path.Combine(paper, "figure.dat")
                        make path

                        endsSoon (fun () ->
                            if what = "a folder" then
                                built paper (compile [ values "1" ]) |> ignore
                            else
                                let sentence = sentenceOf (fun () -> compile [ values "1" ] |> ignore)
                                Expect.stringStarts sentence (path + ": ") "it names the file"
                                Expect.stringContains sentence fragment "it says what is the case")))
    ]
