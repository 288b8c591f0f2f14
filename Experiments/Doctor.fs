/// What `research doctor` says about the machine.
module Research.Experiments.Doctor

open System
open System.Diagnostics
open System.IO
open TorchSharp
open Research.Host

/// The BLAS libraries mapped into this process, which are the ones in use.
let private blas () =
    if File.Exists "/proc/self/maps" then
        File.ReadAllLines "/proc/self/maps"
        |> Array.choose (fun line ->
            let path = line.Substring(line.LastIndexOf ' ' + 1)
            let name = path.Substring(path.LastIndexOf '/' + 1)

            if name.Contains "blas" || name.Contains "mkl" then
                Some path
            else
                None)
        |> Array.distinct
    else
        [||]

/// Billions of floating-point operations a second of a float32 product of two n x n matrices, one thread.
let private gemmRate (device: torch.Device) n =
    use _ = torch.NewDisposeScope()
    let a = torch.ones ([| n; n |], device = device)
    let product () = a.matmul(a).[0L].cpu() |> ignore
    product ()
    let watch = Stopwatch.StartNew()
    let mutable count = 0

    while watch.Elapsed.TotalSeconds < 0.5 do
        product ()
        count <- count + 1

    2.0 * float n ** 3.0 * float count / watch.Elapsed.TotalSeconds / 1e9

/// How many there are, and what they are called.
let private gpus () =
    let count = torch.cuda.device_count ()
    let names = [ for i in 0 .. count - 1 -> Devices.Describe(torch.device $"cuda:{i}") ]
    String.Join(", ", string count :: names)

let lines (device: torch.Device) : string list =
    torch.set_num_threads 1
    let host = HostInfo.Current

    [
        $"system     {host.System}, {host.Runtime}"
        $"processor  {host.Processor}, {host.Cores} cores"
        $"engine     {Devices.Engine device}"
        let rate = gemmRate device 1024L
        $"GEMM       {rate:F0} GFLOP/s in float32, one thread, on {device}"

        match blas () with
        | [||] -> "BLAS       not known on this system"
        | paths -> yield! paths |> Array.map (fun path -> $"BLAS       {path}")

        if OneDnn.IsUsed then
            "oneDNN     in use: its convolutions are right here"
        else
            "oneDNN     not in use: its convolutions are wrong on this processor, so libtorch takes its own, slower ones"

        $"GPUs       {gpus ()}"
    ]
