/// Runs the tests that reach a mutant's place against it, for many mutants, in worker processes.
module Research.Mutation.Campaign

open System
open System.Collections.Concurrent
open System.Diagnostics
open System.IO
open System.Security.Cryptography
open System.Threading
open Research.Mutation.Plant
open Research.Mutation.Worker

type Fate =
    | Dead of how: string
    | Alive
    /// No test reaches it.
    | Unreached

    override fate.ToString() =
        match fate with
        | Dead how -> $"killed by {how}"
        | Alive -> "survives"
        | Unreached -> "reached by no test"

type Verdict = { Mutant: Mutant; Fate: Fate; Seconds: float }

/// A test without a mutant: what it costs and which places it reaches.
type CoveredTest = { Name: string; Module: string; Seconds: float; Reached: Set<int> }

type Coverage = {
    Tests: CoveredTest list
    /// The places that each module's initialisation reaches.
    Initial: Map<string, Set<int>>
}

/// A worker process and the pipes to it.
type private Connection(folder: string, count: int, fresh: bool) =
    let worker =
        let info =
            ProcessStartInfo(
                nonNull Environment.ProcessPath,
                [| "worker"; folder; string count; (if fresh then "fresh" else "kept") |],
                RedirectStandardInput = true,
                RedirectStandardOutput = true,
                RedirectStandardError = true
            )

        // Workers share the processors, one each.
        for name in [ "OMP_NUM_THREADS"; "MKL_NUM_THREADS"; "OPENBLAS_NUM_THREADS" ] do
            info.Environment[name] <- "1"

        nonNull (Process.Start info)

    do
        worker.ErrorDataReceived.Add ignore
        worker.BeginErrorReadLine()

    member _.Ask(request: string) =
        worker.StandardInput.WriteLine request
        worker.StandardInput.Flush()

    /// The next answer; None when the worker has died, or answers nothing that makes sense.
    member _.Answer() : Answer option =
        match worker.StandardOutput.ReadLine() with
        | null -> None
        | line -> read line

    interface IDisposable with
        member _.Dispose() =
            if not worker.HasExited then
                worker.Kill()

            worker.WaitForExit()
            worker.Dispose()

// ---- coverage ----

let private lines (connection: Connection) = [
    let mutable more = true

    while more do
        match connection.Answer() with
        | Some Finished -> more <- false
        | Some answer -> answer
        | None -> invalidOp "the tests end their process without any mutant"
]

/// The built libraries' digest: what was measured with them holds while it stays.
let private key (folder: string) =
    let digest (path: string) = SHA256.HashData(File.ReadAllBytes path)

    let files =
        Seq.append
            (Directory.GetFiles(folder, "*.dll"))
            (Directory.GetFiles(AppContext.BaseDirectory, "*esearch.*.dll"))
        |> Seq.sort

    Convert.ToHexString(SHA256.HashData(files |> Seq.collect digest |> Array.ofSeq))

/// Runs every test once without a mutant, or takes what was measured before with the same libraries.
/// Raises InvalidOperationException naming the tests of the mathematics that fail.
let cover (folder: string) (count: int) : Coverage =
    let cache, key = Path.Combine(folder, "coverage.tsv"), key folder

    let answers =
        if File.Exists cache && Seq.head (File.ReadLines cache) = key then
            File.ReadLines cache |> Seq.skip 1 |> Seq.choose read |> List.ofSeq
        else
            use connection = new Connection(folder, count, false)
            connection.Ask "cover"
            let answers = lines connection
            File.WriteAllLines(cache, key :: List.map write answers)
            answers

    let failing = [
        for answer in answers do
            match answer with
            | Covered(name, _, _, false, reached) when reached.Length > 0 -> name
            | _ -> ()
    ]

    if not failing.IsEmpty then
        File.Delete cache
        let names = String.Join("\n  ", failing)
        invalidOp $"Tests that fail without any mutant:\n  {names}"

    {
        Tests = [
            for answer in answers do
                match answer with
                | Covered(name, modul, seconds, _, reached) -> {
                    Name = name
                    Module = modul
                    Seconds = seconds
                    Reached = Set.ofArray reached
                  }
                | _ -> ()
        ]
        Initial =
            Map.ofList [
                for answer in answers do
                    match answer with
                    | Initialised(modul, reached) -> modul, Set.ofArray reached
                    | _ -> ()
            ]
    }

// ---- mutants ----

let private request (mutant: Mutant) (tests: CoveredTest list) =
    String.Join(
        "\t",
        [
            "try"
            string mutant.Number
            string mutant.Place
            for test in tests do
                test.Module
                test.Name
                $"{test.Seconds:R}"
        ]
    )

/// The order in which tests are tried: the fastest first, where what killed such a mutant before may take ten times as
/// long. First at any price it would have a whole training run for what a law sees in a moment.
let private price (likely: string list) (test: CoveredTest) =
    if List.contains test.Name likely then
        0.1 * test.Seconds
    else
        test.Seconds

/// Tests that reach the place.
let private covering (coverage: Coverage) (likely: string list) (mutant: Mutant) =
    coverage.Tests
    |> List.filter _.Reached.Contains(mutant.Place)
    |> List.sortBy (price likely)

/// All tests of the mathematics, for what a library makes once: whichever test comes first reaches that place, and every
/// other uses what was made there.
let private everything (coverage: Coverage) (likely: string list) =
    coverage.Tests
    |> List.filter (fun test -> not test.Reached.IsEmpty)
    |> List.sortBy (price likely)

/// Tests of the modules whose initialisation reaches the place.
let private initialised (coverage: Coverage) (mutant: Mutant) =
    coverage.Tests
    |> List.filter (fun test -> coverage.Initial[test.Module].Contains mutant.Place)
    |> List.sortBy _.Seconds

/// The tests that killed mutants: by mutant, from a campaign before, and by function, the last one.
type Killers = ConcurrentDictionary<string, string>

/// What became of a mutant in one worker.
type private Outcome =
    | Died of test: string * seconds: float
    /// The worker died with it.
    | Ended of how: string
    | Lived of missed: string list * seconds: float
    /// The worker can no longer be trusted.
    | Spoilt

/// Tries one mutant after the other, keeping its process as long as that lives.
type private Runner(folder: string, count: int, coverage: Coverage, killers: Killers) =
    let mutable kept: Connection option = None

    let drop () =
        kept |> Option.iter (fun c -> (c :> IDisposable).Dispose())
        kept <- None

    let connection () =
        match kept with
        | Some c -> c
        | None ->
            let c = new Connection(folder, count, false)
            kept <- Some c
            c

    let ask (c: Connection) mutant tests =
        c.Ask(request mutant tests)

        match c.Answer() with
        | Some(Killed(test, seconds)) -> Died(test, seconds)
        | Some(Survived(missed, seconds)) -> Lived(missed, seconds)
        | Some(TimedOut test) -> Ended $"{test} (out of time)"
        | Some(Unclean _) -> Spoilt
        | _ -> Ended "the process died"

    let quick mutant tests =
        let outcome = ask (connection ()) mutant tests

        match outcome with
        | Ended _
        | Spoilt -> drop ()
        | _ -> ()

        outcome

    /// With the mutant there from the start.
    let fresh mutant tests =
        use c = new Connection(folder, count, true)

        match ask c mutant tests with
        | Died(test, seconds) -> Dead test, seconds
        | Ended how -> Dead how, 0.0
        | Lived(_, seconds) -> Alive, seconds
        | Spoilt -> invalidOp "a process of one mutant was asked for a second"

    let fate mutant tests initial =
        match tests with
        | [] when List.isEmpty initial -> Unreached, 0.0
        | [] -> fresh mutant initial
        | _ ->
            match quick mutant tests with
            | Died(test, seconds) -> Dead test, seconds
            | Ended how -> Dead how, 0.0
            // What a test leaves behind may spoil a result: then once more, from the start.
            | Spoilt -> fresh mutant tests
            | Lived(missed, seconds) ->
                let again =
                    List.distinct ((tests |> List.filter (fun t -> List.contains t.Name missed)) @ initial)

                if again.IsEmpty then
                    Alive, seconds
                else
                    let fate, more = fresh mutant again
                    fate, seconds + more

    member _.Try(mutant: Mutant) : Verdict =
        let likely = [
            for key in [ mutant.Id; mutant.Owner ] do
                match killers.TryGetValue key with
                | true, test -> test
                | _ -> ()
        ]

        let fate, seconds =
            if mutant.IsStartup then
                fresh mutant (everything coverage likely)
            else
                fate mutant (covering coverage likely mutant) (initialised coverage mutant)

        match fate with
        | Dead test ->
            killers[mutant.Id] <- test
            killers[mutant.Owner] <- test
        | _ -> ()

        { Mutant = mutant; Fate = fate; Seconds = seconds }

    interface IDisposable with
        member _.Dispose() = drop ()

let private readKillers (file: string) =
    let killers = Killers()

    if File.Exists file then
        for line in File.ReadLines file do
            match line.Split '\t' with
            | [| key; test |] -> killers[key] <- test
            | _ -> ()

    killers

let private writeKillers (file: string) (killers: Killers) =
    File.WriteAllLines(file, [ for KeyValue(key, test) in killers -> $"{key}\t{test}" ])

/// Tries all mutants on so many processes at once; `report` sees each verdict.
let run
    folder
    count
    (coverage: Coverage)
    (jobs: int)
    (mutants: Mutant list)
    (report: Verdict -> unit)
    : Verdict list =
    let waiting = ConcurrentQueue mutants
    let verdicts = ConcurrentBag<Verdict>()
    let memory = Path.Combine(folder, "killers.tsv")
    let killers = readKillers memory
    // Every verdict as it falls, with the test that gave it.
    use log = new StreamWriter(Path.Combine(folder, "verdicts.tsv"), AutoFlush = true)

    let work () =
        use runner = new Runner(folder, count, coverage, killers)
        let mutable busy = true

        while busy do
            match waiting.TryDequeue() with
            | true, mutant ->
                let verdict = runner.Try mutant
                verdicts.Add verdict

                lock report (fun () ->
                    log.WriteLine
                        $"{mutant.File}:{mutant.Line}\t{mutant.Id}\t{mutant.What}\t{verdict.Fate}\t{verdict.Seconds:F2}"

                    report verdict)
            | _ -> busy <- false

    let threads = [ for _ in 1 .. min jobs (max 1 mutants.Length) -> Thread work ]
    threads |> List.iter _.Start()
    threads |> List.iter _.Join()
    writeKillers memory killers
    verdicts |> Seq.sortBy _.Mutant.Number |> List.ofSeq
