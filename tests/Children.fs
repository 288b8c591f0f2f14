/// Processes of this very program, for tests that kill some.
module Research.Tests.Children

open System
open System.Diagnostics
open Research.Host

/// Starts this program in one of its hidden modes, with variables of its own; what it writes can be read.
let startWith (variables: (string * string) list) (arguments: string list) : Process =
    let command = OwnProgram.CommandLine
    let info = ProcessStartInfo(command[0], Seq.append (Seq.skip 1 command) arguments)

    for name, value in variables do
        info.Environment[name] <- value

    info.RedirectStandardOutput <- true
    info.RedirectStandardError <- true
    Process.Start info |> nonNull

/// Ends a child with the test that started it, also when the test fails before the child is done.
let endWith (child: Process) : IDisposable = {
    new IDisposable with
        member _.Dispose() =
            if not child.HasExited then
                child.Kill()

            child.Dispose()
}

/// Starts this program in one of its hidden modes.
let start (arguments: string list) : Process = startWith [] arguments
