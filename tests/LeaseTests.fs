/// A store that several processes share: who computes what, and what happens when one dies.
module Research.Tests.LeaseTests

open System
open System.Diagnostics
open System.IO
open Expecto
open TorchSharp
open Research.Host

/// A clock whose both hands are moved by the test; no timer of it ever fires.
type private Clock() =
    inherit TimeProvider()
    let mutable now = 0L
    member val Wall = DateTimeOffset.UnixEpoch with get, set
    member _.Move(time: TimeSpan) = now <- now + time.Ticks
    override _.TimestampFrequency = TimeSpan.TicksPerSecond
    override _.GetTimestamp() = now
    override this.GetUtcNow() = this.Wall

    override _.CreateTimer(_, _, _, _) = {
        new Threading.ITimer with
            member _.Change(_, _) = true
            member _.Dispose() = ()
            member _.DisposeAsync() = Threading.Tasks.ValueTask.CompletedTask
    }

let private times = LeaseTimes()
let private seconds (n: float) = TimeSpan.FromSeconds n
let private key = RunKey("run", [], 1L, "none", "test", noCode)
/// A process whose death only its silence can tell.
let private stranger name = LeaseOwner(name, 1, 0L, null, null)
let private storeOf (root: string) (clock: TimeProvider) name = RunStore(root, times, clock, stranger name)

let private taken (claim: Claim) =
    match claim with
    | :? Claim.Taken as taken -> taken
    | _ -> failtest $"the run should be free, not {claim}"

let private isHeld (claim: Claim) = claim :? Claim.Held
let private isComplete (claim: Claim) = claim :? Claim.Complete
let private values = readOnlyDict [ "x", 1.0 ]

let private claims =
    testList "claims" [
        testCase "host/lease/exclusive" (fun () ->
            inFolder (fun folder ->
                let a, b = storeOf folder (Clock()) "a", storeOf folder (Clock()) "b"
                let first = taken (a.TryClaim(key, a.Watch()))
                first.Run.SaveValues values
                Expect.isTrue (isHeld (b.TryClaim(key, b.Watch()))) "one at a time"
                Expect.equal (b.Sight(key).Record |> nonNull).Owner (stranger "a") "which says who it is"
                first.Lease.Release(LeaseState.Released, "interrupted")
                let second = taken (b.TryClaim(key, b.Watch()))
                Expect.equal (second.Run.ReadValues()["x"]) 1.0 "the next continues where the last stopped"
                Expect.isFalse (a.List().IsComplete key) "which is no result yet"
                second.Run.Complete TimeSpan.Zero
                Expect.isTrue (isComplete (a.TryClaim(key, a.Watch()))) "the other sees the whole run"
                Expect.equal ((a.Require key).ReadValues()["x"]) 1.0 "and its results"

                Expect.isEmpty
                    (Directory.GetFileSystemEntries(Path.Combine(folder, "work")))
                    "nothing is left"))

        testCase "host/lease/silence" (fun () ->
            inFolder (fun folder ->
                let owner, observer = Clock(), Clock()
                // Ten minutes ahead and behind: no two clocks are ever compared.
                observer.Wall <- owner.Wall.AddMinutes 10.0
                let a, b = storeOf folder owner "a", storeOf folder observer "b"
                taken (a.TryClaim(key, a.Watch())) |> ignore
                let watch = b.Watch()
                Expect.isTrue (isHeld (b.TryClaim(key, watch))) "held at first sight, however old it looks"
                observer.Move(TimeSpan.FromHours 1.0)
                Expect.isTrue (isHeld (b.TryClaim(key, watch))) "the observer's own sleep proves nothing"
                let looks = int (times.TakeOver / times.Beat)

                for _ in 2 .. looks - 1 do
                    observer.Move times.Beat
                    Expect.isTrue (isHeld (b.TryClaim(key, watch))) "not yet"

                observer.Move times.Beat

                Expect.equal
                    (taken (b.TryClaim(key, watch))).Lease.Number
                    2
                    "taken over after the stated time"))

        testCase "host/lease/heartbeat" (fun () ->
            inFolder (fun folder ->
                let fast = LeaseTimes(Beat = seconds 0.02, TakeOver = seconds 60.0)
                let a = RunStore(folder, fast, owner = stranger "a")
                let claim = taken (a.TryClaim(key, a.Watch()))
                claim.Lease.Report(7L, Nullable 9L)
                let watch = Stopwatch.StartNew()
                // A report is written with the next beat, and the heart may have beaten before it.
                let seen () =
                    let record = a.Sight(key).Record |> nonNull
                    record.Beat >= 3L && record.Step = 7L

                while not (seen ()) && watch.Elapsed < seconds 30.0 do
                    Threading.Thread.Sleep 5

                let record = a.Sight(key).Record |> nonNull
                Expect.isGreaterThanOrEqual record.Beat 3L "the heart beats by itself"
                Expect.equal (record.Step, record.Total) (7L, Nullable 9L) "and says how far the run is"
                claim.Lease.Release(LeaseState.Released, "done")))

        testCase "host/lease/fenced" (fun () ->
            inFolder (fun folder ->
                let a, b = storeOf folder (Clock()) "a", storeOf folder (Clock()) "b"
                let old = taken (a.TryClaim(key, a.Watch()))
                old.Run.PathForWriting "pictures/1.png" |> ignore
                old.Lease.Release(LeaseState.Released, "and goes on all the same")
                let next = taken (b.TryClaim(key, b.Watch()))
                Expect.isFalse (old.Lease.IsMine()) "the old owner can find out"

                for write in
                    [
                        fun () -> old.Run.SaveValues values
                        fun () -> old.Run.PathForWriting "pictures/2.png" |> ignore
                        fun () -> old.Run.Note "still here"
                        fun () -> old.Run.Complete TimeSpan.Zero
                    ] do
                    Expect.throwsT<DirectoryNotFoundException> write "and can write nothing any more"

                Expect.isFalse (b.IsComplete key) "nor publish what is not its own"
                next.Run.Complete TimeSpan.Zero
                Expect.isTrue (b.IsComplete key) "the new owner can"))

        testCase "host/lease/lost" (fun () ->
            inFolder (fun folder ->
                let fast = LeaseTimes(Beat = seconds 0.02)
                let a = RunStore(folder, fast, owner = stranger "a")
                let claim = taken (a.TryClaim(key, a.Watch()))
                File.WriteAllText(Path.Combine(folder, "work", key.Id, "lease-2.json"), "")

                Expect.isTrue
                    (claim.Lease.Lost.WaitHandle.WaitOne(seconds 30.0))
                    "the next heartbeat tells an owner that it was taken for dead"))

        testCase "host/lease/dead" (fun () ->
            inFolder (fun folder ->
                use dead = Process.Start("true", "")
                dead.WaitForExit()
                let here = LeaseOwner.Current
                Expect.equal (here.IsAlive()) (Nullable true) "this process lives"
                Expect.equal (stranger("x").IsAlive()) (Nullable()) "another machine's cannot be known"

                Expect.equal
                    (LeaseOwner("", here.Process, here.Started + 1L, here.Machine, null).IsAlive())
                    (Nullable false)
                    "a number given again is another process"

                let a = RunStore(folder, owner = LeaseOwner("here", dead.Id, 1L, here.Machine, null))
                taken (a.TryClaim(key, a.Watch())) |> ignore
                let b = RunStore folder

                Expect.equal
                    (taken (b.TryClaim(key, b.Watch()))).Lease.Number
                    2
                    "a death on this machine needs no waiting"))

        testCase "host/lease/failure" (fun () ->
            inFolder (fun folder ->
                let a, b = storeOf folder (Clock()) "a", storeOf folder (Clock()) "b"
                let claim = taken (a.TryClaim(key, a.Watch()))
                claim.Lease.Release(LeaseState.Failed, "the disk is made of cheese.")

                match b.TryClaim(key, b.Watch(), 0) with
                | :? Claim.Failed as failed ->
                    Expect.equal failed.Reason "the disk is made of cheese." "others learn why"
                    Expect.equal failed.By (stranger "a") "and where"
                | claim -> failtest $"a failure that was not known is an answer, not {claim}"

                taken (b.TryClaim(key, b.Watch(), 1)) |> ignore))

        testCase "host/lease/hostile" (fun () ->
            inFolder (fun folder ->
                let b = storeOf folder (Clock()) "b"
                let work = Path.Combine(folder, "work", key.Id)
                Directory.CreateDirectory work |> ignore

                for text in
                    [
                        ""
                        "null"
                        "{}"
                        "[1"
                        """{"owner":null,"state":"held","since":"2020-01-01T00:00:00Z"}"""
                    ] do
                    File.WriteAllText(Path.Combine(work, "lease-1.json"), text)
                    Expect.isTrue (isHeld (b.TryClaim(key, b.Watch()))) "what says nothing is waited for"

                File.WriteAllText(Path.Combine(work, "lease-x.json"), "")
                Expect.equal (b.Sight(key).Number) 1 "what is no lease is none"))
    ]

let private publishing =
    testList "publishing" [
        testCase "host/publish/killed-before" (fun () ->
            inFolder (fun folder ->
                let a = storeOf folder (Clock()) "a"
                let claim = taken (a.TryClaim(key, a.Watch()))
                claim.Run.SaveValues values
                let attempt = claim.Run.Path
                claim.Run.Complete TimeSpan.Zero
                // As if the owner had died after it wrote that the run is complete and before the rename.
                Directory.CreateDirectory(Path.GetDirectoryName attempt |> nonNull) |> ignore
                Directory.Move(claim.Run.Path, attempt)
                let b = storeOf folder (Clock()) "b"
                Expect.isTrue (isComplete (b.TryClaim(key, b.Watch()))) "the next publishes it"
                Expect.equal ((b.Require key).ReadValues()["x"]) 1.0 "as it is"))

        testCase "host/publish/killed-after" (fun () ->
            inFolder (fun folder ->
                let a = storeOf folder (Clock()) "a"
                (taken (a.TryClaim(key, a.Watch()))).Run.Complete TimeSpan.Zero
                let left = Path.Combine(folder, "work", key.Id)
                Directory.CreateDirectory left |> ignore
                File.WriteAllText(Path.Combine(left, "lease-1.json"), "")
                let listing = a.List()
                Expect.isTrue (listing.IsComplete key) "published is complete"
                Expect.equal listing.Count 1 "and counted once"
                a.Tidy listing
                Expect.isFalse (Directory.Exists left) "what is left of the work goes"))

        testCase "host/publish/twice" (fun () ->
            inFolder (fun folder ->
                let a = storeOf folder (Clock()) "a"
                let claim = taken (a.TryClaim(key, a.Watch()))
                // A file server's cache may hide for a while that another machine has published the run.
                let other = Path.Combine(folder, "runs", key.Id)
                Directory.CreateDirectory other |> ignore
                File.WriteAllText(Path.Combine(other, "mark"), "")
                claim.Run.Complete TimeSpan.Zero
                Expect.equal claim.Run.Path other "the first stays"
                Expect.isTrue (File.Exists(claim.Run.PathOf "mark")) "untouched"))
    ]

let private noLocks =
    testCase "host/lease/no-flock" (fun () ->
        inFolder (fun folder ->
            let path = Path.Combine(folder, "file")
            use _ = new FileStream(path, FileMode.Create, FileAccess.ReadWrite, FileShare.None)
            // Opened a second time only because .NET takes no lock of the system.
            use _ = new FileStream(path, FileMode.Open, FileAccess.ReadWrite, FileShare.None)
            ()))

let private races =
    testList "races" [
        for name, minutes in [ "clocks agree", 0.0; "clocks 10 minutes apart", 10.0 ] do
            testCase $"host/lease/race: {name}" (fun () ->
                inFolder (fun folder ->
                    let runs = 1000
                    let offset seed = TimeSpan.FromMinutes(minutes * float (seed % 3 - 1))

                    Expect.equal
                        (LeaseRace.run folder 8 runs offset)
                        []
                        "no run is computed twice, at once or ever"

                    let listing = RunStore(folder).List()

                    Expect.all
                        [ 0 .. runs - 1 ]
                        (fun index -> listing.IsComplete(LeaseRace.key index))
                        "no run is lost"

                    Expect.isEmpty
                        (Directory.GetFileSystemEntries(Path.Combine(folder, "work")))
                        "nothing is left"))
    ]

[<Tests>]
let tests = testList "leases" [ claims; publishing; noLocks; races ]
