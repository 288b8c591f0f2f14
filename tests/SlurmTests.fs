/// Runs on a real Slurm, which loses some of them; and what needs none: settings, levels.
module Research.Tests.SlurmTests

open System
open System.Collections.Generic
open System.Diagnostics
open System.IO
open System.Text.RegularExpressions
open Expecto
open TorchSharp
open Research.Host
open Research.Tests.Hostile
open Research.Tests.SlurmCluster

let private settings =
    testCase "host/slurm/settings" (fun () ->
        inFolder (fun folder ->
            let file = Path.Combine(folder, "slurm.json")

            let read (text: string) =
                File.WriteAllText(file, text)
                SlurmSettings.Read file

            Expect.equal
                (SlurmSettings.Read(Path.Combine(folder, "none")))
                (SlurmSettings())
                "none is needed"

            let said =
                read
                    """{"partition":"gpu","time":90,"gpus":"a100:1","throttle":4,"options":["--qos=long"]}"""

            Expect.equal (said.Partition, said.Time, said.Throttle) ("gpu", "90", Nullable 4) "as it says"
            let over = SlurmSettings(Time = "5", Options = [| "--hold" |]).Over said
            Expect.equal (over.Time, over.Gpus) ("5", "a100:1") "the command line comes first"
            Expect.sequenceEqual over.Options [ "--qos=long"; "--hold" ] "options add up"

            for text, fault in
                [
                    "", "JSON"
                    "[]", "JSON object"
                    """{"partiton":"gpu"}""", "'partiton'"
                    """{"throttle":"4"}""", "'throttle'"
                    """{"throttle":0}""", "'throttle'"
                    """{"time":null}""", "'time'"
                    """{"options":"--hold"}""", "'options'"
                ] do
                let sentence = sentenceOf (fun () -> read text |> ignore)
                Expect.stringContains sentence fault "the sentence names the fault"
                Expect.stringStarts sentence (file + ": ") "and the file"

            for what, make, fragment in things do
                if what <> "nothing" then
                    File.Delete file
                    make file

                    endsSoon (fun () ->
                        let sentence = sentenceOf (fun () -> SlurmSettings.Read file |> ignore)
                        Expect.stringStarts sentence (file + ": ") $"{what}: the file is named"
                        Expect.stringContains sentence fragment "and what it is")

                    if Directory.Exists file then
                        Directory.Delete file))

/// The files that a submission leaves for its tasks.
let private worker =
    testCase "host/slurm/worker" (fun () ->
        inFolder (fun folder ->
            let tasks, leases = Path.Combine(folder, "0.txt"), Path.Combine(folder, "leases.txt")

            let refused (file: string) (index: int) =
                use board = new PlainBoard(TextWriter.Null)
                let worker = SlurmWorker(RunStore folder, torch.device "cpu", 1, board)
                let sentence = sentenceOf (fun () -> worker.Run([], tasks, index) |> ignore)
                Expect.stringContains sentence file "the sentence names the file"
                sentence

            let reset () =
                for file in [ tasks; leases ] do
                    if Directory.Exists file then
                        Directory.Delete file

                    File.Delete file

                File.WriteAllText(tasks, "a b\nc\n")
                File.WriteAllText(leases, "a 1\n")

            reset ()
            Expect.stringContains (refused tasks 0) "the run b" "what this node cannot compute is named"
            Expect.stringContains (refused tasks 2) "no task 2" "and a task that is none"

            for file in [ tasks; leases ] do
                for what, make, fragment in things do
                    reset ()
                    File.Delete file
                    make file
                    endsSoon (fun () -> Expect.stringContains (refused file 0) fragment what)

            for text in [ "a"; "a b"; "a 1 2"; "a -1"; "a 99999999999"; "\000" ] do
                reset ()
                File.WriteAllText(leases, text)
                Expect.stringContains (refused leases 0) "something else" text))

let private levels =
    testCase "host/slurm/levels" (fun () ->
        let request name (needs: RunRequest list) =
            let key = RunKey(name, [], 1L, "none", "test", noCode, needs |> List.map _.Key)
            RunRequest(key, 1, ignore)

        let a, elsewhere = request "a" [], request "elsewhere" []
        let b = request "b" [ a; elsewhere ]
        let c = request "c" [ b; a ]

        Expect.equal
            [ for level in SlurmExecutor.Levels [| c; b; a |] -> [ for r in level -> r.Key.Name ] ]
            [ [ "a" ]; [ "b" ]; [ "c" ] ]
            "each level needs only what comes before it or is there already")

/// What must be equal to the bit.
let private results (root: string) = [
    for request in SlurmChildren.plan do
        let run = RunStore(root).Require request.Key
        let values = [ for pair in run.ReadValues() -> pair.Key, BitConverter.DoubleToInt64Bits pair.Value ]

        let files = [
            for name in [ "final.safetensors"; "metrics.csv" ] do
                if File.Exists(run.PathOf name) then
                    Convert.ToHexString(
                        Security.Cryptography.SHA256.HashData(File.ReadAllBytes(run.PathOf name))
                    )
        ]

        request.Key.Id, values, files
]

/// Runs at work: a process holds their lease.
let private atWork (root: string) =
    let keys = [| for request in SlurmChildren.plan -> request.Key |]

    RunStatus.Of(RunStore root, keys)
    |> Seq.filter (fun run -> run.Phase = RunPhase.Running)
    |> Seq.length

let private logs (root: string) =
    Directory.EnumerateFiles(Path.Combine(root, "slurm"), "*.log", SearchOption.AllDirectories)
    |> Seq.map File.ReadAllText
    |> String.concat "\n"

let private submitting (cluster: Cluster) root =
    Children.startWith (cluster.Environment @ [ SlurmChildren.pauseVariable, "50" ]) [ "slurm-submit"; root ]

let rec private awaitSubmission (child: Process) =
    match child.StandardOutput.ReadLine() with
    | null -> failtest $"nothing was submitted: {child.StandardError.ReadToEnd()}"
    | line when line.StartsWith("submitted", StringComparison.Ordinal) -> ()
    | _ -> awaitSubmission child

let private faults (cluster: Cluster) =
    inFolder (fun folder ->
        let root, here = Path.Combine(folder, "slurm"), Path.Combine(folder, "here")
        // The controller and the submitting process die right after the first array was taken, or just after the second:
        // what is left to be submitted then is for the next process to find out.
        let first = submitting cluster root
        use _ = Children.endWith first
        awaitSubmission first
        cluster.KillController()
        first.Kill()
        cluster.StartController()
        let second = submitting cluster root
        use _ = Children.endWith second
        let said = second.StandardOutput.ReadToEndAsync()
        let resumed () = Regex.Matches(logs root, "resuming after step").Count

        /// Waits until tasks that were stopped are at work again, on both nodes.
        let awaitReturn before =
            await "the return of what was stopped" 120.0 (fun () -> resumed () > before && atWork root >= 3)

        await "runs at work" 60.0 (fun () -> atWork root >= 3)
        // What Slurm sends when the time limit is near.
        Expect.isSome (cluster.Ask "scancel" [ "--batch"; "--signal=USR1"; "--state=RUNNING" ]) "it is sent"
        await "the saving" 30.0 (fun () -> (logs root).Contains "the time limit is near: saving")
        awaitReturn 0
        cluster.Preempt 3
        await "the preemption" 30.0 (fun () -> (logs root).Contains "asked to stop: saving")
        awaitReturn (resumed ())
        // A node dies with what it computes, and comes back.
        Expect.isTrue (cluster.KillNode "n2") "it was at work"

        await "the loss of the node" 60.0 (fun () ->
            match cluster.Ask "sinfo" [ "--noheader"; "--nodes=n2"; "--format=%T" ] with
            | Some state -> state.Contains "down"
            | None -> false)

        cluster.StartNode "n2"
        second.WaitForExit()
        Expect.equal second.ExitCode 0 $"all runs are done: {said.Result}"
        Expect.isEmpty (Directory.GetFileSystemEntries(Path.Combine(root, "work"))) "nothing is left"
        Expect.equal (SlurmChildren.computeHere here).ExitCode 0 "the same runs here"
        Expect.equal (results root) (results here) "give the same bits")

let private refused (cluster: Cluster) =
    inFolder (fun folder ->
        let child =
            Children.startWith (cluster.Environment @ [ "SBATCH_PARTITION", "none" ]) [
                "slurm-submit"
                folder
            ]

        child.WaitForExit()
        Expect.equal child.ExitCode 1 "what Slurm refuses for good ends the command"
        Expect.stringContains (child.StandardError.ReadToEnd()) "Slurm refuses" "in its own words")

/// One cluster for all, which takes seconds to start.
let private onCluster =
    testCase "host/slurm/cluster" (fun () ->
        withCluster (fun cluster ->
            refused cluster
            faults cluster))

[<Tests>]
let tests =
    testList "slurm" [ settings; worker; levels; testSequencedGroup "processes" onCluster ]
