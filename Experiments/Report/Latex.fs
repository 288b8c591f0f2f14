/// Compiles the paper with latexmk and says in a few clear sentences what is wrong.
module Research.Report.Latex

open System
open System.Diagnostics
open System.Globalization
open System.IO
open System.Text.RegularExpressions

/// Boxes that stick out by more than this many points fail the build.
let overfullLimit = 5.0

/// Says what to install when latexmk or pdflatex is missing.
let missing =
    "LaTeX is not installed: run `apt-get install --no-install-recommends latexmk texlive-latex-extra texlive-pictures texlive-science lmodern`, or pass --no-paper."

/// What makes a finished build unacceptable, from its log (lines must not be
/// wrapped: `max_print_line`). Empty when nothing does.
let problems (log: string) =
    let lines = log.Split '\n' |> Array.map (fun l -> l.TrimEnd '\r')
    // The last source that TeX announced is where a warning most likely belongs.
    let mutable file = "main.tex"

    [ for i in 0 .. lines.Length - 1 do
          let line = lines[i]
          let opened = Regex.Matches(line, @"\(\./([^\s()]+\.tex)")

          if opened.Count > 0 then
              file <- opened[opened.Count - 1].Groups[1].Value

          let error = Regex.Match(line, @"^(?:(\./[^:]+):(\d+): |! )(.+)$")

          if error.Success then
              let place = if error.Groups[1].Success then $"{error.Groups[1].Value}:{error.Groups[2].Value}: " else ""
              let text = Regex.Replace(error.Groups[3].Value, @"^(LaTeX Error|Package \w+ Error): ", "")

              if not (text.Contains "==> Fatal error") then
                  place + text

          let reference = Regex.Match(line, @"Reference `([^']+)' on page (\d+) undefined")

          if reference.Success then
              $"page {reference.Groups[2].Value} refers to '{reference.Groups[1].Value}', which has no label"

          let citation = Regex.Match(line, @"Citation [`']([^'`]+)' (?:on page (\d+) )?undefined")

          if citation.Success then
              $"'{citation.Groups[1].Value}' is cited and missing in references.bib"

          let twice = Regex.Match(line, @"Label `([^']+)' multiply defined")

          if twice.Success then
              $"the label '{twice.Groups[1].Value}' is defined twice"

          let box = Regex.Match(line, @"^Overfull \\([hv])box \(([0-9.]+)pt too (?:wide|high)\)(.*)$")

          if box.Success then
              let excess = Double.Parse(box.Groups[2].Value, CultureInfo.InvariantCulture)

              if excess > overfullLimit then
                  $"near {file}: a box is {excess:F1}pt too large{box.Groups[3].Value}" ]
    |> List.distinct

let private start (directory: string) (program: string) (arguments: string list) =
    let info = ProcessStartInfo(program, arguments)
    info.WorkingDirectory <- directory
    info.RedirectStandardOutput <- true
    info.RedirectStandardError <- true
    info.UseShellExecute <- false
    // TeX wraps the lines of its log by default, which would cut the messages.
    info.Environment["max_print_line"] <- "10000"

    match Process.Start info with
    | null -> failwith $"{program} did not start"
    | started -> started

/// Whether a program is on the PATH.
let private installed (program: string) =
    (Environment.GetEnvironmentVariable "PATH" |> Option.ofObj |> Option.defaultValue "").Split Path.PathSeparator
    |> Array.exists (fun directory -> directory <> "" && File.Exists(Path.Combine(directory, program)))

/// Builds `paperDirectory/build/report.pdf` from `main.tex` and returns its path,
/// or the sentences that say what is wrong. No exceptions for faults of the sources.
let compile (paperDirectory: string) : Result<string, string list> =
    if not (installed "latexmk" && installed "pdflatex") then
        Error [ missing ]
    else
        let arguments =
            [ "-pdf"
              "-interaction=nonstopmode"
              "-halt-on-error"
              "-file-line-error"
              "-outdir=build"
              "-jobname=report"
              "main.tex" ]

        use latexmk = start paperDirectory "latexmk" arguments
        let errors = latexmk.StandardError.ReadToEndAsync()
        latexmk.StandardOutput.ReadToEnd() |> ignore
        latexmk.WaitForExit()

        let log = Path.Combine(paperDirectory, "build", "report.log")
        // TeX writes the bytes of its input, which need not be UTF-8.
        let found = if File.Exists log then problems (File.ReadAllText(log, Text.Encoding.Latin1)) else []

        if latexmk.ExitCode = 0 && found.IsEmpty then
            Ok(Path.Combine(paperDirectory, "build", "report.pdf"))
        elif found.IsEmpty then
            Error [ $"latexmk failed: {errors.Result.Trim()}; see {log}" ]
        else
            Error found
