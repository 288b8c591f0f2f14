/// `render` killed at any instant: the next call gives the whole report.
module Research.Tests.RenderKillTests

open System
open System.Diagnostics
open System.IO
open System.Threading
open Expecto
open Research.Report
open Research.Experiments

/// LaTeX takes minutes of the suite: it comes in where more rounds are asked for. Else a program stands for it that, like
/// it, fails on what another build left, and writes its files in several steps.
let private isReal = Fuzz.rounds 1 > 1 && Latex.isInstalled ()

let private standIn =
    """#!/bin/sh
[ -e report.aux ] || [ -e report.pdf ] && { echo 'there is something here already' >&2; exit 9; }
set -e
printf '%%PDF ' > report.pdf
sleep 0.1
cat main.tex generated/values.tex >> report.pdf
sleep 0.1
echo '%%EOF' >> report.pdf
echo '\relax' > report.aux
echo 'This is pdfTeX' > report.log
"""

/// The hidden mode `render RESULTS PAPER` of the test program.
let tryRunChild (argv: string array) =
    match argv with
    | [| "render"; results; paper |] ->
        Rendering.render
            { Results = results; Paper = paper }
            StoreFuzzTests.plan.Value
            StoreFuzzTests.rows
            true

        Some 0
    | _ -> None

let private withLatex (folder: string) =
    let programs = Directory.CreateDirectory(Path.Combine(folder, "programs")).FullName

    // Without pictures made beforehand latexmk makes them, which stays one program to kill.
    for name, text in [ "latexmk", standIn; "pdflatex", "#!/bin/sh\nexit 1\n" ] do
        let program = Path.Combine(programs, name)
        File.WriteAllText(program, text)
        File.SetUnixFileMode(program, UnixFileMode.UserRead ||| UnixFileMode.UserExecute)

    let path = Environment.GetEnvironmentVariable "PATH"
    // Whoever is killed leaves its temporary files; they go with the test.
    let temporary = Directory.CreateDirectory(Path.Combine(folder, "temporary")).FullName

    [
        "TMPDIR", temporary
        if not isReal then
            "PATH", $"{programs}:{path}"
    ]

[<Tests>]
let tests =
    testSequencedGroup
        "processes"
        (testCase "report/render-killed" (fun () ->
            inFolder (fun folder ->
                let results, paper = Path.Combine(folder, "results"), paperIn folder
                Expect.equal (StoreFuzzTests.compute results).ExitCode 0 "the rows are computed"
                let variables = withLatex folder
                let start () = Children.startWith variables [ "render"; results; paper ]

                let files () =
                    [
                        Path.Combine(results, "smoke", "claims.json")
                        Path.Combine(paper, "generated", "values.tex")
                    ]
                    |> List.map File.ReadAllText

                let whole () =
                    use child = start ()
                    child.StandardOutput.ReadToEnd() |> ignore
                    child.WaitForExit()
                    Expect.equal child.ExitCode 0 $"it is rendered: {child.StandardError.ReadToEnd()}"
                    let pdf = File.ReadAllText(Path.Combine(paper, "build", "report.pdf"))
                    Expect.stringStarts pdf "%PDF" "the report is a PDF"
                    Expect.stringEnds (pdf.TrimEnd()) "%%EOF" "and whole"

                    Expect.isTrue
                        (File.Exists(Path.Combine(results, "smoke", "index.html")))
                        "its page is there"

                    files ()

                let watch = Stopwatch.StartNew()
                let expected = whole ()
                let longest = int watch.ElapsedMilliseconds
                let random = Random 3

                for i in 1 .. Fuzz.rounds 3 do
                    Directory.Delete(Path.Combine(paper, "build"), true)
                    use child = start ()
                    Thread.Sleep(random.Next longest)
                    child.Kill()
                    child.WaitForExit()
                    Expect.equal (whole ()) expected $"after kill {i} it says the same")))
