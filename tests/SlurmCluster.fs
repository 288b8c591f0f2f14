/// A real Slurm of two nodes on this machine, on the loopback interface and without a service manager: daemons of one's
/// own in a folder of one's own, to be killed at will.
module Research.Tests.SlurmCluster

open System
open System.Diagnostics
open System.IO
open System.Net
open System.Net.Sockets
open System.Security.Cryptography
open System.Threading
open Expecto

/// Where Debian puts daemons, which is not on every user's path.
let private folders =
    (Environment.GetEnvironmentVariable "PATH" |> Option.ofObj |> Option.defaultValue "").Split ':'
    |> Array.append [| "/usr/sbin"; "/usr/local/sbin" |]

let private find name = folders |> Array.map (fun f -> Path.Combine(f, name)) |> Array.tryFind File.Exists

/// What is not installed of a cluster.
let private missing: string list =
    [ "munged"; "slurmctld"; "slurmd"; "sbatch"; "squeue"; "scontrol" ]
    |> List.filter (find >> Option.isNone)

let private freePorts count =
    let listeners = [ for _ in 1..count -> new TcpListener(IPAddress.Loopback, 0) ]
    listeners |> List.iter (fun l -> l.Start())
    let ports = listeners |> List.map (fun l -> (l.LocalEndpoint :?> IPEndPoint).Port)
    listeners |> List.iter (fun l -> l.Stop())
    ports

/// `low` and `high` hold the same nodes; what is submitted to `high` preempts what runs in `low`. A node counts as lost
/// after five silent seconds, a requeued job may start again after five.
let private configuration (folder: string) =
    let host, user = Environment.MachineName, Environment.UserName

    match freePorts 4 with
    | [ control; daemon; first; second ] ->
        $"""ClusterName=test
SlurmctldHost={host}(127.0.0.1)
SlurmUser={user}
SlurmdUser={user}
AuthType=auth/munge
CredType=cred/munge
AuthInfo=socket={folder}/munge.socket,cred_expire=5
SlurmctldPort={control}
SlurmdPort={daemon}
SlurmctldPidFile={folder}/slurmctld.pid
SlurmdPidFile={folder}/slurmd-%%n.pid
StateSaveLocation={folder}/state
SlurmdSpoolDir={folder}/spool-%%n
SlurmctldLogFile={folder}/slurmctld.log
SlurmdLogFile={folder}/slurmd-%%n.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SchedulerType=sched/backfill
SchedulerParameters=batch_sched_delay=0,sched_interval=1,sched_min_interval=0
PreemptType=preempt/partition_prio
PreemptMode=REQUEUE
ReturnToService=2
MpiDefault=none
SwitchType=switch/none
KillWait=20
SlurmdTimeout=5
InactiveLimit=0
MailProg=/bin/true
NodeName=n1 NodeHostname={host} NodeAddr=127.0.0.1 Port={first} CPUs=2 RealMemory=2000 State=UNKNOWN
NodeName=n2 NodeHostname={host} NodeAddr=127.0.0.1 Port={second} CPUs=2 RealMemory=2000 State=UNKNOWN
PartitionName=low Nodes=ALL Default=YES MaxTime=10 State=UP PriorityTier=1
PartitionName=high Nodes=ALL Default=NO MaxTime=10 State=UP PriorityTier=10
"""
    | _ -> failwith "four ports were asked for"

/// The value of a variable in the environment of a process; None when it has none or is gone.
let private variableOf (name: string) (pid: int) =
    try
        File.ReadAllText($"/proc/{pid}/environ").Split '\000'
        |> Array.tryFind (fun line -> line.StartsWith($"{name}=", StringComparison.Ordinal))
        |> Option.map (fun line -> line.Substring(name.Length + 1))
    with
    | :? IOException
    | :? UnauthorizedAccessException -> None

let private parentOf (pid: int) =
    try
        let line = File.ReadAllText $"/proc/{pid}/stat"
        Some(int (line.Substring(line.LastIndexOf ')' + 2).Split(' ')[1]))
    with :? IOException ->
        None

let private kill (pid: int) =
    try
        use dying = Process.GetProcessById pid
        dying.Kill()
    with
    | :? ArgumentException
    | :? InvalidOperationException -> ()

/// Waits until something holds.
let await (what: string) (seconds: float) (holds: unit -> bool) : unit =
    let watch = Stopwatch.StartNew()

    while not (holds ()) do
        if watch.Elapsed.TotalSeconds > seconds then
            failtest $"waited {seconds} seconds for {what}"

        Thread.Sleep 100

type Cluster() =
    let folder = (Directory.CreateTempSubdirectory "research-slurm-").FullName
    let file = Path.Combine(folder, "slurm.conf")
    let daemons = Collections.Generic.Dictionary<string, Process>()

    let start (name: string) (program: string) (arguments: string list) =
        let info = ProcessStartInfo(find program |> Option.get, arguments)
        info.RedirectStandardOutput <- true
        info.RedirectStandardError <- true
        let daemon = Process.Start info |> nonNull
        // Nobody reads what they say: their logs have it.
        daemon.OutputDataReceived.Add ignore
        daemon.ErrorDataReceived.Add ignore
        daemon.BeginOutputReadLine()
        daemon.BeginErrorReadLine()
        daemons[name] <- daemon

    let stop (name: string) =
        match daemons.TryGetValue name with
        | true, daemon ->
            daemons.Remove name |> ignore
            daemon.Kill()
            daemon.WaitForExit()
            daemon.Dispose()
        | _ -> ()

    let startMunge () =
        let key = Path.Combine(folder, "munge.key")
        File.WriteAllBytes(key, RandomNumberGenerator.GetBytes 128)
        File.SetUnixFileMode(key, UnixFileMode.UserRead)

        start "munged" "munged" [
            "--foreground"
            $"--key-file={key}"
            $"--socket={folder}/munge.socket"
            $"--pid-file={folder}/munge.pid"
            $"--seed-file={folder}/munge.seed"
        ]

    do
        for name in [ "state"; "spool-n1"; "spool-n2" ] do
            Directory.CreateDirectory(Path.Combine(folder, name)) |> ignore

        // Munge wants its socket where everybody may get to it.
        File.SetUnixFileMode(folder, enum<UnixFileMode> 0o711)
        File.WriteAllText(file, configuration folder)

    /// Waits for a daemon's work unless one of them has ended.
    let awaitDaemons (what: string) (holds: unit -> bool) =
        await what 60.0 (fun () ->
            for KeyValue(name, daemon) in daemons do
                if daemon.HasExited then
                    failtest $"{name} ends with {daemon.ExitCode}"

            holds ())

    /// Environment of whoever uses this cluster.
    member _.Environment = [ "SLURM_CONF", file ]

    /// Runs a command of Slurm; its output when it ends well.
    member this.Ask (program: string) (arguments: string list) : string option =
        let info = ProcessStartInfo(find program |> Option.get, arguments)

        for name, value in this.Environment do
            info.Environment[name] <- value

        info.RedirectStandardOutput <- true
        info.RedirectStandardError <- true
        use asked = Process.Start info |> nonNull
        let errors = asked.StandardError.ReadToEndAsync()
        let output = asked.StandardOutput.ReadToEnd()
        asked.WaitForExit()
        errors.Wait()

        if asked.ExitCode = 0 then Some output else None

    member _.StartController() = start "slurmctld" "slurmctld" [ "-D"; "-i"; "-f"; file ]
    member _.StartNode(node: string) = start node "slurmd" [ "-D"; "-N"; node; "-f"; file ]

    /// Starts all of it and waits until both nodes take jobs.
    member this.Start() =
        startMunge ()
        awaitDaemons "munge" (fun () -> File.Exists(Path.Combine(folder, "munge.socket")))
        this.StartController()
        [ "n1"; "n2" ] |> List.iter this.StartNode

        awaitDaemons "two idle nodes" (fun () ->
            match this.Ask "sinfo" [ "--noheader"; "--partition=low"; "--format=%T %D" ] with
            | Some states -> states.Trim() = "idle 2"
            | None -> false)

    /// What a daemon says that gives up.
    member _.Complaint =
        Directory.EnumerateFiles(folder, "*.log")
        |> Seq.collect File.ReadAllLines
        |> Seq.tryFind _.Contains("fatal: ")
        |> Option.defaultValue "no word of it in the logs"

    /// Kills the controller as a crash would.
    member _.KillController() = stop "slurmctld"

    /// Kills a node as a power cut would: the daemon, the guardian of each job, and the jobs. True when there was one.
    member _.KillNode(node: string) : bool =
        stop node

        let jobs = [
            for entry in Directory.EnumerateDirectories "/proc" do
                match Int32.TryParse(Path.GetFileName entry) with
                | true, pid when
                    variableOf "SLURM_CONF" pid = Some file && variableOf "SLURMD_NODENAME" pid = Some node
                    ->
                    pid
                | _ -> ()
        ]

        let guardians =
            jobs |> List.choose parentOf |> List.except jobs |> List.filter ((<) 1) |> List.distinct

        guardians @ jobs |> List.iter kill
        not jobs.IsEmpty

    /// Takes both nodes away from whatever runs in `low`, for so many seconds.
    member this.Preempt(seconds: int) =
        let options = [ "--partition=high"; "--nodes=2"; "--exclusive"; "--output=/dev/null" ]

        Expect.isSome
            (this.Ask "sbatch" (options @ [ $"--wrap=sleep {seconds}" ]))
            "a more important job is taken"

    interface IDisposable with
        member this.Dispose() =
            if daemons.ContainsKey "slurmctld" then
                this.Ask "scancel" [ $"--user={Environment.UserName}" ] |> ignore

            [ "n1"; "n2" ] |> List.iter (this.KillNode >> ignore)
            [ "slurmctld"; "munged" ] |> List.iter stop
            Directory.Delete(folder, true)

/// Gives a test a cluster of its own. Where there is no Slurm, or the system does not let one start, the test says so in
/// one sentence instead.
let withCluster (act: Cluster -> unit) : unit =
    let nothing reason = skiptest $"nothing of --executor slurm is tested here: {reason}"

    if not missing.IsEmpty then
        let names = String.Join(", ", missing)
        nothing $"Slurm is not installed ({names} missing)"

    use cluster = new Cluster()

    try
        cluster.Start()
    with
    | :? AssertException as error -> nothing $"Slurm does not start ({error.Message}; {cluster.Complaint})"
    | :? ComponentModel.Win32Exception as error -> nothing $"Slurm does not start ({error.Message})"

    act cluster
