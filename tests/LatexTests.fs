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

/// A paper's folder and the program.
let private withPaper (act: string -> (PgfPlots.File list -> Result<string, string list>) -> unit) =
    inFolder (fun folder ->
        let latexmk = Path.Combine(folder, "latexmk")
        File.WriteAllText(latexmk, program)
        File.SetUnixFileMode(latexmk, UnixFileMode.UserRead ||| UnixFileMode.UserExecute)
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
                    [| "report.log"; "report.pdf" |]
                    "nothing else is left"))

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
