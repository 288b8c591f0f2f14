namespace Research.Bench

open System
open System.Diagnostics
open System.Globalization

/// What a step is timed by.
[<RequireQualifiedAccess>]
module Clock =
    /// Processor time in place of wall-clock time, which on a machine that others use says more about them.
    let mutable ofProcessor = false

    let private now () =
        if ofProcessor then
            Environment.CpuUsage.TotalTime.TotalMilliseconds
        else
            Stopwatch.GetElapsedTime(0L).TotalMilliseconds

    /// Milliseconds a step of `steps` calls.
    let time (step: unit -> unit) (steps: int) : float =
        let start = now ()

        for _ in 1..steps do
            step ()

        (now () - start) / float steps

/// The same work in PyTorch, in a process of its own that times as many steps as it is told, line by line.
type Peer(script: string, threads: int) =
    let info =
        // The system's Python is the one that Debian's python3-torch belongs to.
        ProcessStartInfo(
            "/usr/bin/python3",
            script.Split ' ',
            RedirectStandardInput = true,
            RedirectStandardOutput = true
        )

    let child =
        for name in [ "OPENBLAS_NUM_THREADS"; "OMP_NUM_THREADS" ] do
            info.Environment[name] <- string threads

        info.Environment["BENCH_THREADS"] <- string threads
        info.Environment["BENCH_CLOCK"] <- if Clock.ofProcessor then "cpu" else "wall"

        match Process.Start info with
        | null -> failwith "/usr/bin/python3 did not start"
        | started -> started

    /// Milliseconds a step.
    member _.Round(steps: int) : float =
        child.StandardInput.WriteLine steps
        child.StandardInput.Flush()

        match child.StandardOutput.ReadLine() with
        | null -> failwith $"{script} ended early; its message stands above"
        | line -> Double.Parse(line, CultureInfo.InvariantCulture)

    interface IDisposable with
        member _.Dispose() =
            child.StandardInput.Close()
            child.WaitForExit()
            child.Dispose()
