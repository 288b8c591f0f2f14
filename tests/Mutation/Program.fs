/// ./test --mutants [--only PATTERN] [--sample N] [--list] [--jobs N]
module Research.Mutation.Program

open System
open System.IO
open System.Text.RegularExpressions
open Research.Mutation.Plant
open Research.Mutation.Campaign
open Research.Host

type private Options = { Only: string option; Sample: int option; Jobs: int; List: bool }

let private usage =
    """./test --mutants [--only PATTERN] [--sample N] [--jobs N] [--list]
  plants wrong versions of the mathematics, one at a time, and prints those that no test rejects
  --only PATTERN  of these alone: a regular expression over `file section function kind ordinal`
  --sample N      so many of them, chosen at random, the same ones every time
  --jobs N        processes side by side; else one a processor
  --list          name them and run nothing"""

let rec private parse (options: Options) (arguments: string list) : Result<Options, string> =
    let number (text: string) (apply: int -> Options) rest =
        match Int32.TryParse text with
        | true, n when n > 0 -> parse (apply n) rest
        | _ -> Error $"'{text}' is not a positive number"

    match arguments with
    | [] -> Ok options
    | "--only" :: pattern :: rest -> parse { options with Only = Some pattern } rest
    | "--sample" :: n :: rest -> number n (fun n -> { options with Sample = Some n }) rest
    | "--jobs" :: n :: rest -> number n (fun n -> { options with Jobs = n }) rest
    | "--list" :: rest -> parse { options with List = true } rest
    | other :: _ -> Error $"'{other}' is not understood here, or lacks its value"

let private select (root: string) (options: Options) (mutants: Mutant list) =
    let section = Summary.sectionOf root

    let wanted =
        match options.Only with
        | None -> mutants
        | Some pattern ->
            let regex = Regex(pattern, RegexOptions.IgnoreCase)
            mutants |> List.filter (fun m -> regex.IsMatch $"{m.File} {section m} {m.Id}")

    match options.Sample with
    | Some n when n < wanted.Length ->
        let mixed = Array.ofList wanted
        Random(1).Shuffle mixed
        mixed |> Array.take n |> List.ofArray |> List.sortBy _.Number
    | _ -> wanted

/// Says on standard error how far the campaign is, twice a minute.
let private progress (count: int) =
    let mutable tried, alive, said = 0, 0, DateTime.UtcNow

    fun (v: Verdict) ->
        tried <- tried + 1

        match v.Fate with
        | Dead _ -> ()
        | _ -> alive <- alive + 1

        if DateTime.UtcNow - said > TimeSpan.FromSeconds 30.0 then
            said <- DateTime.UtcNow
            eprintfn $"{tried} of {count} mutants tried, {tried - alive} killed"

let private campaign
    (root: string)
    (folder: string)
    (options: Options)
    (all: Mutant list)
    (chosen: Mutant list)
    =
    let known = Summary.equivalents (Path.Combine(root, "tests", "Mutation", "equivalent.txt"))
    let coverage = cover folder all.Length
    let verdicts = run folder all.Length coverage options.Jobs chosen (progress chosen.Length)
    let rows = Summary.rows root known verdicts
    let survivors = Summary.survivors known verdicts
    let stale = Summary.stale all known verdicts
    Summary.table rows |> List.iter (printfn "%s")

    if not survivors.IsEmpty then
        printfn "\nSurvivors:"
        survivors |> List.iter (Summary.describe >> printfn "  %s")

    if not stale.IsEmpty then
        printfn "\nIn tests/Mutation/equivalent.txt, and no longer true:"
        stale |> List.iter (printfn "  %s")

    // Only a section of which nothing was left out may replace what the report's appendix shows of it.
    let count = List.countBy (Summary.sectionOf root) >> Map.ofList
    let ofAll, ofChosen = count all, count chosen

    Summary.save
        (Path.Combine(root, "paper", "mutants.tex"))
        HostInfo.Revision[..7]
        (rows |> List.filter (fun r -> ofChosen[r.Section] = ofAll[r.Section]))

    if survivors.IsEmpty && stale.IsEmpty then 0 else 1

let private start (root: string) (options: Options) =
    let folder = Path.Combine(root, "results", "mutants")
    let all = Plant.all root folder
    let chosen = select root options all

    if chosen.IsEmpty then
        eprintfn "No mutant matches."
        2
    elif options.List then
        for m in chosen do
            printfn $"{m.File}:{m.Line}  {m.Id} | {m.What}"

        0
    else
        campaign root folder options all chosen

[<EntryPoint>]
let main argv =
    match List.ofArray argv with
    | [ "worker"; folder; count; life ] -> Worker.serve folder (int count) (life = "fresh")
    | [ _; "--help" ] ->
        printfn "%s" usage
        0
    | root :: arguments when File.Exists(Path.Combine(root, "Core.fs")) ->
        let defaults = { Only = None; Sample = None; Jobs = Environment.ProcessorCount; List = false }

        match parse defaults arguments with
        | Error complaint ->
            eprintfn "%s" complaint
            2
        | Ok options ->
            try
                start root options
            with
            | :? RegexParseException as e ->
                eprintfn "--only: %s" e.Message
                2
            | :? InvalidOperationException
            | :? IOException as e ->
                eprintfn "%s" e.Message
                1
    | _ ->
        eprintfn "%s" usage
        2
