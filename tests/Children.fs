/// Processes of this very program, for tests that kill some.
module Research.Tests.Children

open System
open System.Diagnostics
open System.IO
open System.Reflection

/// The command line that starts this program.
let program: string list =
    let host = Environment.ProcessPath |> nonNull

    // Under `dotnet x.dll` the process is dotnet itself and needs to be told the program.
    if Path.GetFileNameWithoutExtension host = "dotnet" then
        [ host; Assembly.GetExecutingAssembly().Location ]
    else
        [ host ]

/// Starts this program in one of its hidden modes; what it writes can be read.
let start (arguments: string list) : Process =
    let info = ProcessStartInfo(program.Head, program.Tail @ arguments)
    info.RedirectStandardOutput <- true
    info.RedirectStandardError <- true
    Process.Start info |> nonNull
