/// Programs of LaTeX as processes.
module Research.Report.LatexRun

open System
open System.Diagnostics
open System.IO

/// Whether a program is on the PATH.
let isInstalled (program: string) : bool =
    (Environment.GetEnvironmentVariable "PATH" |> Option.ofObj |> Option.defaultValue "").Split
        Path.PathSeparator
    |> Array.exists (fun directory -> directory <> "" && File.Exists(Path.Combine(directory, program)))

/// Starts a program in a folder; `finish` reads what it writes.
let start (directory: string) (program: string) (arguments: string list) : Process =
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

/// Waits for the end of a started program: its exit code, and what it wrote to its error output.
let finish (running: Process) : int * string =
    let errors = running.StandardError.ReadToEndAsync()
    running.StandardOutput.ReadToEnd() |> ignore
    running.WaitForExit()
    running.ExitCode, errors.Result

/// Nobody waits for an answer, and the first error ends the run.
let unattended = [ "-interaction=nonstopmode"; "-halt-on-error"; "-file-line-error" ]
