/// Compares training steps with PyTorch eager and with idiomatic TorchSharp on the same machine, one thread each.
/// Run it: `bench/run`. Needs Debian's python3-torch, and OpenBLAS for it: without, Debian's PyTorch multiplies matrices
/// by the reference BLAS, which is slower by an order of magnitude.
module Research.Bench.Program

open System
open System.Diagnostics
open TorchSharp
open Research.Host
open Research.Experiments
open Research.Bench.Rounds

/// What is compared: its name, our step, the peer's script, and, where there are such, the idiomatic step and the floor.
type Row = {
    Name: string
    Ours: unit -> unit -> unit
    Script: string
    Idiomatic: (unit -> unit -> unit) option
    Floor: (unit -> unit -> unit) option
}

let private vaeRow name script (row: VaeRun) = {
    Name = name
    Ours = fun () -> Ours.vae row 1L
    Script = $"vae.py {script}"
    Idiomatic = Some(fun () -> Idiomatic.vae row)
    Floor = Some(fun () -> Floor.products row.Batch (VaeRow.layers row))
}

let private rows = [
    vaeRow "ift1" "ift1" VaeRow.ift1
    vaeRow "cs1" "cs1" VaeRow.cs1
    vaeRow "hw5.1" "hw5.1" VaeRow.hw51
    vaeRow "ift9, planar posterior" "ift9" VaeRow.ift9
    {
        Name = "ift7, planar flow, k = 32"
        Ours = Ours.planar
        Script = "planar.py"
        Idiomatic = Some Idiomatic.planarFlow
        Floor = None
    }
    {
        Name = "cs2.2, a step of a GAN"
        Ours = Ours.gan (Cs.FashionMnist.gan Quick)
        Script = "gan.py"
        Idiomatic = Some Idiomatic.gan
        Floor = None
    }
    {
        Name = "100 additions"
        Ours = Ours.add
        Script = "add.py"
        Idiomatic = None
        Floor = None
    }
]

let private show (time: float option) =
    match time with
    | Some ms -> $"%9.4f{ms}"
    | None -> "        -"

let private print name (sides: float list option list) =
    let medians = sides |> List.map (Option.map median)

    let ratio index =
        match sides.Head, sides[index] with
        | Some ours, Some theirs -> List.map2 (/) ours theirs |> median |> Some
        | _ -> None

    let times = medians |> List.map show |> String.concat " "
    printfn $"%-28s{name} {times}   {show (ratio 1)} {show (ratio 2)}"

let private heading () =
    printfn
        "%-28s %9s %9s %9s %9s   %9s %9s"
        (if Clock.ofProcessor then
             "processor time, ms a step"
         else
             "ms a step")
        "ours"
        "PyTorch"
        "TorchSh."
        "products"
        "/PyTorch"
        "/TorchSh."

let private compare (row: Row) =
    use peer = new Peer(script row.Script, 1)
    let local made = Clock.time (made ())

    let sides = [
        Some(local row.Ours)
        Some peer.Round
        Option.map local row.Idiomatic
        Option.map local row.Floor
    ]

    let timed = sides |> List.map (Option.map (fun round -> round, stepsOf round))

    let times = [
        for _ in 1..rounds -> timed |> List.map (Option.map (fun (round, steps) -> round steps))
    ]

    print row.Name [
        for side in 0 .. sides.Length - 1 ->
            let column = times |> List.map (List.item side)

            if column.Head.IsSome then
                Some(List.map Option.get column)
            else
                None
    ]

/// Two trainings of ift1 side by side, beside one of PyTorch's.
let private pair () =
    use peer = new Peer(script "vae.py ift1", 1)
    use ours = new SideBySide((fun seed -> Ours.vae VaeRow.ift1 (int64 seed)), 2)
    let ourSteps, theirSteps = stepsOf ours.Round, stepsOf peer.Round
    let times = [ for _ in 1..rounds -> ours.Round ourSteps, peer.Round theirSteps ]
    print "ift1, two runs at once" [ Some(List.map fst times); Some(List.map snd times); None; None ]

/// Resident memory in the course of 20,000 steps.
let private memory () =
    let resident () =
        GC.Collect()
        use me = Process.GetCurrentProcess()
        float me.WorkingSet64 / 1e6

    let step = Ours.vae VaeRow.ift1 1L
    Clock.time step 2000 |> ignore
    printfn $"resident memory after step 2,000 of ift1: {resident ():F1} MB"

    for after in 5000..3000..20000 do
        Clock.time step 3000 |> ignore
        printfn $"after step {after:N0}: {resident ():F1} MB"

[<EntryPoint>]
let main argv =
    TorchLibrary.Load()
    torch.set_num_threads 1

    match List.ofArray argv with
    | [] ->
        heading ()
        List.iter compare rows
        pair ()
        0
    | [ "--processor" ] ->
        Clock.ofProcessor <- true
        heading ()
        List.iter compare rows
        0
    | [ "memory" ] ->
        memory ()
        0
    | [ "report" ] ->
        ReportWork.measure ()
        0
    | [ "plan" ] ->
        PlanSize.measure ()
        0
    | _ ->
        eprintfn "usage: bench/run [--processor | memory | plan | report]"
        2
