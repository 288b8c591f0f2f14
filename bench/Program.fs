/// Compares this project with PyTorch on the same machine, one thread each, rounds interleaved.
/// Run it: `bench/run`. Needs Debian's python3-torch, the same libtorch that this project binds.
module Research.Bench.Program

open System
open System.IO
open System.Threading
open TorchSharp
open Research.Host

let private script name = Path.Combine(Environment.CurrentDirectory, "bench", name)

let private vae (rounds: int) (steps: int) =
    use peer = new Peer(script "vae.py", steps)
    let step = VaeStep.create 1L
    Rounds.time 50 step |> ignore
    peer.Ready()

    [ for _ in 1..rounds -> Rounds.time steps step, peer.Round() ]
    |> Rounds.report "ift1 training step"

/// Two independent trainings side by side: wall-clock time divided by the steps of both.
let private pair (rounds: int) (steps: int) =
    use peer = new Peer(script "vae.py", steps)
    use start = new Barrier(3)
    use stop = new Barrier(3)
    let mutable running = true

    let worker seed =
        let body () =
            torch.set_num_threads 1
            let step = VaeStep.create seed
            Rounds.time 50 step |> ignore
            start.SignalAndWait()

            while running do
                Rounds.time steps step |> ignore
                stop.SignalAndWait()
                start.SignalAndWait()

        let thread = Thread(body, 64 <<< 20, IsBackground = true)
        thread.Start()
        thread

    let threads = [ worker 1L; worker 2L ]
    peer.Ready()
    start.SignalAndWait()

    let round last =
        let watch = Diagnostics.Stopwatch.StartNew()
        stop.SignalAndWait()
        let ours = watch.Elapsed.TotalMilliseconds / float (2 * steps)
        let theirs = peer.Round()
        running <- not last
        start.SignalAndWait()
        ours, theirs

    let pairs = [ for i in 1..rounds -> round (i = rounds) ]
    threads |> List.iter (fun t -> t.Join())
    Rounds.report "ift1, two runs side by side" pairs

/// The fused planar chain, 32 layers: its rounds have more steps, so that both sides' last about as long.
let private planar (rounds: int) (steps: int) =
    use peer = new Peer(script "planar.py", steps)
    let step = PlanarStep.create 1L
    Rounds.time 5000 step |> ignore
    peer.Ready()

    let pairs = [ for _ in 1..rounds -> Rounds.time (100 * steps) step, peer.Round() ]
    Rounds.report "ift7 training step, k = 32" pairs
    printfn "PyTorch's time over ours: %.0f" (pairs |> List.map (fun (a, b) -> b / a) |> Rounds.median)

/// Resident memory of 20,000 steps, after step 2,000.
let private memory () =
    let resident () =
        GC.Collect()
        use me = Diagnostics.Process.GetCurrentProcess()
        float me.WorkingSet64 / 1e6

    let step = VaeStep.create 1L
    Rounds.time 2000 step |> ignore
    let before = resident ()
    Rounds.time 18000 step |> ignore
    printfn $"resident memory, steps 2,000 to 20,000: {before:F1} MB to {resident ():F1} MB"

[<EntryPoint>]
let main argv =
    TorchLibrary.Load()
    torch.set_num_threads 1

    let heading () = printfn "%-34s %12s %12s" "" "ours" "PyTorch"

    match argv with
    | [||] ->
        heading ()
        vae 15 100
        pair 15 100
        planar 9 50
        0
    | [| "vae" |] ->
        heading ()
        vae 15 100
        pair 15 100
        0
    | [| "planar" |] ->
        heading ()
        planar 9 50
        0
    | [| "memory" |] ->
        memory ()
        0
    | _ ->
        eprintfn "usage: bench [vae|planar|memory]"
        2
