/// The kill promise: a run that is killed at any instant, also inside a save, resumes to the same bits.
module Research.Tests.KillTests

open System
open System.Diagnostics
open System.IO
open Expecto
open Research.Host

let private kills = 20

/// Milliseconds that the child waits in every step and at each stage of a save.
let private pause = 2

/// From which of the child's announcements a kill counts, and the longest time from it to the kill, in
/// milliseconds: some ten steps and two saves after the first step, or the length of the first save.
let private instants = [ TinyTraining.stepping, 70; TinyTraining.saving, 8 ]

let private start root (seed: int64) (pause: int) =
    Children.start [ "tiny-training"; root; string seed; string pause ]

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

/// Waits until the child says that it has got to an instant.
let rec private await (child: Process) instant =
    match child.StandardOutput.ReadLine() with
    | null -> failtest $"the child ends before it is {instant}: {child.StandardError.ReadToEnd()}"
    | line when line = instant -> ()
    | _ -> await child instant

/// Kills a child within some time of an instant; true when that was inside a save.
let private killOnce (random: Random) root seed (instant, longest) =
    use child = start root seed pause
    // That it gets there shows that no lock or file of its killed predecessor is in its way.
    await child instant
    Threading.Thread.Sleep(random.Next longest)
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
            [
                for i in 1..kills -> killOnce random (root "killed") seed instants[i % instants.Length]
            ]
            |> List.filter id

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
let tests =
    testList "kill" [ testSequencedGroup "processes" (testCase "host/kill-resume" killAndResume) ]
