/// The kill promise: a run that is killed at any instant, also inside a save, resumes to the same bits.
module Research.Tests.KillTests

open System
open System.Diagnostics
open System.IO
open System.Reflection
open Expecto
open Research.Host

let private kills = 20

/// Milliseconds that the child waits in every step and at each stage of a save.
let private pause = 2

/// Longest time from the child's first step to its death: about ten steps and two saves.
let private longestLife = 70

let private start root (seed: int64) (pause: int) =
    let host = Environment.ProcessPath |> nonNull
    let arguments = [ "tiny-training"; root; string seed; string pause ]

    // Under `dotnet x.dll` the process is dotnet itself and needs to be told the program.
    let info =
        if Path.GetFileNameWithoutExtension host = "dotnet" then
            ProcessStartInfo(host, Assembly.GetExecutingAssembly().Location :: arguments)
        else
            ProcessStartInfo(host, arguments)

    info.RedirectStandardOutput <- true
    info.RedirectStandardError <- true
    Process.Start info |> nonNull

let private finish (child: Process) =
    let errors = child.StandardError.ReadToEnd()
    child.WaitForExit()
    Expect.equal child.ExitCode 0 $"the child ends well: {errors}"

let private runDirectory root seed = RunStore(root).Find(TinyTraining.key seed) |> nonNull

/// All that must be equal to the bit.
let private results root seed =
    let run = runDirectory root seed
    let final = run.ReadTensors "final"
    let tensors = [ for name in final.Names -> name, final[name].Data.ToArray() ]
    let values = [ for pair in run.ReadValues() -> pair.Key, BitConverter.DoubleToInt64Bits pair.Value ]
    tensors, values, File.ReadAllBytes(run.PathOf "metrics.csv")

/// Kills a child some time after its first step; true when that was inside a save.
let private killOnce (random: Random) root seed =
    use child = start root seed pause

    Expect.equal
        (child.StandardOutput.ReadLine())
        TinyTraining.ready
        "the child reaches its first step, so no lock or file of its killed predecessor is in its way"

    Threading.Thread.Sleep(random.Next longestLife)
    Expect.isFalse child.HasExited "the child is killed before it is done"
    child.Kill()
    child.WaitForExit()
    let checkpoints = Path.Combine((runDirectory root seed).Path, "checkpoints")
    let exists name = File.Exists(Path.Combine(checkpoints, $"{TrainingNames.Default}.{name}"))
    exists "tmp" || (exists "previous.safetensors" && not (exists "safetensors"))

let private killAndResume () =
    let folder = Directory.CreateTempSubdirectory "research-kill-"

    try
        let root name = Path.Combine(folder.FullName, name)
        let seed, otherSeed = 7L, 8L
        let random = Random 20

        let insideSave =
            [ for _ in 1..kills -> killOnce random (root "killed") seed ] |> List.filter id

        use resumed = start (root "killed") seed 0
        use whole = start (root "whole") seed 0
        use other = start (root "other") otherSeed 0
        [ resumed; whole; other ] |> List.iter finish

        Expect.isGreaterThan insideSave.Length 0 "some kills fall inside a save"
        let tensors, values, metrics = results (root "killed") seed
        let wholeTensors, wholeValues, wholeMetrics = results (root "whole") seed
        let otherTensors, _, otherMetrics = results (root "other") otherSeed
        Expect.isTrue (tensors = wholeTensors) "weights and optimiser state are equal bit for bit"
        Expect.equal values wholeValues "best value, its step and the optimiser's step count are equal"
        Expect.isTrue (metrics = wholeMetrics) "metrics.csv is equal byte for byte"
        Expect.isTrue (tensors <> otherTensors) "another seed gives other weights"
        Expect.isTrue (metrics <> otherMetrics) "another seed gives other metrics"
        let resumptions = (runDirectory (root "killed") seed).Record.Resumed
        Expect.equal resumptions kills "every start after the first continued the same run"
    finally
        folder.Delete true

[<Tests>]
let tests = testList "kill" [ testSequenced (testCase "host/kill-resume" killAndResume) ]
