namespace Research.Bench

open System
open System.Diagnostics
open System.Globalization

/// The same work in PyTorch, in a process of its own that measures one round for every line it is sent. Rounds of
/// `steps` calls on both sides alternate, so that a machine whose speed drifts slows both.
type Peer(script: string, steps: int) =
    let info =
        // The system's Python is the one that Debian's python3-torch belongs to.
        ProcessStartInfo(
            "/usr/bin/python3",
            [ script; string steps ],
            RedirectStandardInput = true,
            RedirectStandardOutput = true
        )

    let child =
        info.Environment["OPENBLAS_NUM_THREADS"] <- "1"
        info.Environment["OMP_NUM_THREADS"] <- "1"

        match Process.Start info with
        | null -> failwith "python3 did not start"
        | started -> started

    let read () =
        match child.StandardOutput.ReadLine() with
        | null -> failwith $"{script} ended early: is python3-torch installed?"
        | line -> line

    /// Waits until the script has warmed up.
    member _.Ready() = read () |> ignore

    /// One round: milliseconds a step.
    member _.Round() : float =
        child.StandardInput.WriteLine()
        child.StandardInput.Flush()
        Double.Parse(read (), CultureInfo.InvariantCulture)

    interface IDisposable with
        member _.Dispose() =
            child.StandardInput.Close()
            child.WaitForExit()
            child.Dispose()

[<RequireQualifiedAccess>]
module Rounds =
    let median (values: float list) =
        let sorted = List.sort values
        let n = sorted.Length
        (sorted[(n - 1) / 2] + sorted[n / 2]) / 2.0

    /// Milliseconds a step of `steps` calls.
    let time (steps: int) (step: unit -> unit) : float =
        let watch = Stopwatch.StartNew()

        for _ in 1..steps do
            step ()

        watch.Elapsed.TotalMilliseconds / float steps

    /// Prints medians of both sides and the median of the ratios round by round.
    let report (name: string) (pairs: (float * float) list) =
        let ours, theirs = List.unzip pairs
        let ratio = pairs |> List.map (fun (a, b) -> a / b) |> median
        printfn $"%-34s{name} %9.4f{median ours} ms %9.4f{median theirs} ms   ratio %.3f{ratio}"
