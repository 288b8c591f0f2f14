/// A process that runs tests against mutants on request. It may hang or die with a mutant; the campaign starts another.
module Research.Mutation.Worker

open System
open System.Diagnostics
open System.IO
open System.Threading

/// What a worker answers, as a line.
type Answer =
    /// A case's name, module, seconds, whether it passed, and the places it reached.
    | Covered of name: string * modul: string * seconds: float * passed: bool * reached: int[]
    /// The places that a module's initialisation reached.
    | Initialised of modul: string * reached: int[]
    | Finished
    /// The test that failed with the mutant and passes without it.
    | Killed of test: string * seconds: float
    /// The tests that did not reach the mutant's place again: something made once holds what the place made.
    | Survived of missed: string list * seconds: float
    /// A test keeps failing after the mutant is gone.
    | Unclean of test: string
    | TimedOut of test: string

let private numbers (xs: int[]) = String.Join(",", xs)

let private ofNumbers (text: string) = text.Split(',', StringSplitOptions.RemoveEmptyEntries) |> Array.map int

let write (answer: Answer) : string =
    let line (parts: string list) = String.Join("\t", parts)

    match answer with
    | Covered(name, modul, seconds, passed, reached) ->
        line [ "covered"; name; modul; $"{seconds:R}"; $"{passed}"; numbers reached ]
    | Initialised(modul, reached) -> line [ "initialised"; modul; numbers reached ]
    | Finished -> "finished"
    | Killed(test, seconds) -> line [ "killed"; test; $"{seconds:R}" ]
    | Survived(missed, seconds) -> line ("survived" :: $"{seconds:R}" :: missed)
    | Unclean test -> line [ "unclean"; test ]
    | TimedOut test -> line [ "timed out"; test ]

/// None for what is no answer: a mutant may make its worker write anything, or die in the middle of a line.
let read (line: string) : Answer option =
    match line.Split '\t' |> List.ofArray with
    | [ "covered"; name; modul; seconds; passed; reached ] ->
        Some(Covered(name, modul, float seconds, bool.Parse passed, ofNumbers reached))
    | [ "initialised"; modul; reached ] -> Some(Initialised(modul, ofNumbers reached))
    | [ "finished" ] -> Some Finished
    | [ "killed"; test; seconds ] -> Some(Killed(test, float seconds))
    | "survived" :: seconds :: missed -> Some(Survived(missed, float seconds))
    | [ "unclean"; test ] -> Some(Unclean test)
    | [ "timed out"; test ] -> Some(TimedOut test)
    | _ -> None

/// Ends the process when a test takes far longer than it did without a mutant: ten times the processor time and some
/// seconds for compilation, or ten minutes of waiting.
type private Watchdog(answer: Answer -> unit, allowance: float) =
    let gate = obj ()
    let mutable current = ""
    let mutable processor = infinity
    let mutable clock = DateTime.MaxValue

    let watch () =
        while true do
            Thread.Sleep 200

            lock gate (fun () ->
                if Suite.processorTime () > processor || DateTime.UtcNow > clock then
                    answer (TimedOut current)
                    Process.GetCurrentProcess().Kill())

    do Thread(watch, IsBackground = true).Start()

    member _.Start(test: string, usual: float) =
        lock gate (fun () ->
            current <- test
            processor <- Suite.processorTime () + allowance + 10.0 * usual
            clock <- DateTime.UtcNow.AddMinutes 10.0)

    member _.Stop() =
        lock gate (fun () ->
            processor <- infinity
            clock <- DateTime.MaxValue)

let private cover answer modules =
    for modul, cases in modules do
        let cases: Suite.Case list = cases ()
        answer (Initialised(modul, Switch.Reached()))

        for case in cases do
            let start = Suite.processorTime ()
            let passed = Suite.passes case
            let seconds = Suite.processorTime () - start
            answer (Covered(case.Name, modul, seconds, passed, Switch.Reached()))

    answer Finished

/// Runs tests with a mutant until one fails; `cases` gives a test by module and name.
let private attempt
    (watchdog: Watchdog)
    mutant
    place
    (cases: string -> string -> Suite.Case option)
    tests
    : Answer =
    let start = Suite.processorTime ()
    let mutable missed = []
    Switch.Reached() |> ignore

    let fails (modul, test: string, usual) =
        Switch.Activate mutant
        watchdog.Start(test, usual)

        let passed =
            try
                cases modul test |> Option.exists Suite.passes
            with _ ->
                false

        watchdog.Stop()
        Switch.Activate -1

        if not (Array.contains place (Switch.Reached())) then
            missed <- test :: missed

        not passed

    match tests |> List.tryFind fails with
    | None -> Survived(missed, Suite.processorTime () - start)
    | Some(_, test, _) -> Killed(test, Suite.processorTime () - start)

let rec private triples (parts: string list) =
    match parts with
    | modul :: test :: usual :: rest -> (modul, test, float usual) :: triples rest
    | _ -> []

/// Answers requests on standard input, one a line: `cover`, or `try` with a mutant, its place, and the tests as module,
/// name and usual seconds. With `fresh` the first request's mutant is there before any test is initialised, and no
/// second request follows.
let serve (folder: string) (count: int) (fresh: bool) : int =
    let out = Console.Out
    Console.SetOut TextWriter.Null
    Switch.Prepare count

    let answer (a: Answer) =
        lock out (fun () ->
            out.WriteLine(write a)
            out.Flush())

    let watchdog = Watchdog(answer, (if fresh then 30.0 else 5.0))
    let modules = Suite.modules folder
    let made = Map.ofList [ for name, cases in modules -> name, lazy (cases ()) ]
    let case modul test = made[modul].Value |> List.tryFind (fun c -> c.Name = test)

    let rec requests () =
        match Console.In.ReadLine() with
        | null -> 0
        | line ->
            match line.Split '\t' |> List.ofArray with
            | [ "cover" ] ->
                cover answer modules
                requests ()
            | "try" :: mutant :: place :: tests ->
                let tests = triples tests

                if not fresh then
                    for modul, _, _ in tests do
                        made[modul].Force() |> ignore

                let result = attempt watchdog (int mutant) (int place) case tests

                match result with
                | Killed(test, _) when not fresh ->
                    let modul = tests |> List.pick (fun (m, t, _) -> if t = test then Some m else None)

                    if case modul test |> Option.exists Suite.passes then
                        answer result
                        requests ()
                    else
                        answer (Unclean test)
                        0
                | _ ->
                    answer result
                    requests ()
            | _ -> invalidOp $"no request to a worker: {line}"

    requests ()
