/// A script is code of a user's, which may end the process that runs it: libtorch does where the shapes of `matmul` do not fit
/// or a function of `Core.grad` has no gradient, the runtime where a stack overflows. It is tried in a process of its own, and
/// of what ends that one the first makes a sentence.
module Research.Experiments.Yours.Guard

open System
open System.Diagnostics
open System.IO
open System.Runtime.InteropServices
open Research.Host

/// Names, to the process that tries a script, the file that says what its end would mean.
let private variable = "RESEARCH_TRY"

let private file = lazy (Environment.GetEnvironmentVariable variable |> Option.ofObj)

/// Whether this is the process that may end.
let isInside () : bool = file.Value.IsSome

/// From now on the end of this process would mean this; nothing where it is empty.
let ifItEnds (sentence: string) : unit =
    file.Value |> Option.iter (fun path -> File.WriteAllText(path, sentence))

/// The end of this process would mean this, unless something else is said, until the result is disposed of.
let during (sentence: string) : IDisposable =
    ifItEnds sentence

    {
        new IDisposable with
            member _.Dispose() = ifItEnds ""
    }

/// A board to which the step is known that a script's training takes.
let watching (script: string) (training: RunRequest) (board: IProgressBoard) : IProgressBoard =
    let announce (step: int64) = ifItEnds $"{script} cannot be trained: step {step} ended the process"

    let watched (progress: IRunProgress) = {
        new IRunProgress with
            member _.Report(step, total, loss) =
                announce (step + 1L)
                progress.Report(step, total, loss)

            member _.Say message = progress.Say message
    }

    {
        new IProgressBoard with
            member _.Begin id =
                if id <> training.Key.Id then
                    board.Begin id
                else
                    announce 1L
                    watched (board.Begin id)

            member _.End outcome =
                if outcome.Id = training.Key.Id then
                    ifItEnds $"{script} was trained, and then the process ended"

                board.End outcome

            member _.Plan forecast = board.Plan forecast
            member _.Pause id = board.Pause id
            member _.Say message = board.Say message
            member _.Dispose() = board.Dispose()
    }

/// What a process said of its end: of a C++ exception its message, of one of .NET the first line.
let private lastWords (errors: string) : string =
    let after (mark: string) (line: string) =
        match line.IndexOf(mark, StringComparison.Ordinal) with
        | -1 -> None
        | at -> Some(line.Substring(at + mark.Length).Trim())

    let lines = errors.Split('\n', StringSplitOptions.RemoveEmptyEntries)

    lines
    |> Array.tryPick (after "what():")
    |> Option.orElse (lines |> Array.tryPick (after "Unhandled exception."))
    |> Option.orElse (Array.tryHead lines)
    |> Option.defaultValue "the script ended the process"
    |> _.Trim().TrimEnd('.')

/// This command once more as a process that may end: its exit code, or, where it ended without one of its own, that of a
/// failed run and the sentence.
let supervise () : int * string option =
    let path = Path.GetTempFileName()

    try
        let own = OwnProgram.CommandLine
        let arguments = Environment.GetCommandLineArgs() |> Seq.skip 1
        let info = ProcessStartInfo(own[0], Seq.append (Seq.skip 1 own) arguments)
        info.Environment[variable] <- path
        info.RedirectStandardError <- true
        use child = Process.Start info |> nonNull
        // Ctrl-C reaches both: the other one saves what it has, and this one waits for it.
        use _ =
            PosixSignalRegistration.Create(PosixSignal.SIGINT, (fun signal -> signal.Cancel <- true))

        use _ = PosixSignalRegistration.Create(PosixSignal.SIGTERM, (fun _ -> child.Kill()))
        let errors = child.StandardError.ReadToEnd()
        child.WaitForExit()

        match File.ReadAllText path, child.ExitCode with
        | "", code
        | _, (130 as code) ->
            eprintf "%s" errors
            code, None
        | meaning, _ -> ResearchException.RunFailed, Some $"{meaning}: {lastWords errors}."
    finally
        File.Delete path
