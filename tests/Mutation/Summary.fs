/// What a campaign found, by section of Core.fs and by file.
module Research.Mutation.Summary

open System
open System.IO
open System.Text.RegularExpressions
open Research.Mutation.Plant
open Research.Mutation.Campaign

/// Mutants that no test can kill because they compute the same, with the reason.
type Equivalent = { Pattern: Regex; Text: string; What: string; Reason: string }

/// Lines `id | what | reason`, where `*` in an id or for a whole `what` stands for anything; `#` starts a comment.
/// Raises InvalidDataException naming a line of another form.
let equivalents (file: string) : Equivalent list = [
    for line in File.ReadLines file do
        if not (String.IsNullOrWhiteSpace line || line.StartsWith '#') then
            match line.Split('|', 3) |> Array.map _.Trim() with
            | [| id; what; reason |] when reason <> "" -> {
                Pattern = Regex("^" + (Regex.Escape id).Replace("\\*", ".*") + "$")
                Text = id
                What = what
                Reason = reason
              }
            | _ -> raise (InvalidDataException $"{file}: not `id | what | reason`: {line}")
]

let isMatch (mutant: Mutant) (e: Equivalent) =
    e.Pattern.IsMatch mutant.Id && (e.What = "*" || e.What = mutant.What)

type Row = {
    Section: string
    Mutants: int
    Killed: int
    Equivalent: int
    Survivors: int
    /// Of processor time.
    Seconds: float
}

/// The heading in Core.fs above a line; for other files, the file.
let sectionOf (root: string) : Mutant -> string =
    let lines = File.ReadAllLines(Path.Combine(root, "Core.fs"))

    let headings = [
        for i in 1 .. lines.Length - 2 do
            if
                lines[i - 1].StartsWith "// ---"
                && lines[i].StartsWith "// "
                && lines[i + 1].StartsWith "// ---"
            then
                i, (lines[i].Substring(3).Split([| ','; ':'; '('; ';' |])[0]).Trim()
    ]

    fun (mutant: Mutant) ->
        if mutant.File = "Core.fs" then
            let heading =
                headings |> List.tryFindBack (fun (line, _) -> line < mutant.Line) |> Option.map snd

            "Core: " + Option.defaultValue "head" heading
        else
            mutant.File

let rows (root: string) (known: Equivalent list) (verdicts: Verdict list) : Row list =
    let section = sectionOf root
    let isKnown v = known |> List.exists (isMatch v.Mutant)

    let isDead v =
        match v.Fate with
        | Dead _ -> true
        | _ -> false

    verdicts
    |> List.groupBy (fun v -> section v.Mutant)
    |> List.map (fun (name, vs) ->
        let alive = vs |> List.filter (isDead >> not)
        let equivalent = alive |> List.filter isKnown

        {
            Section = name
            Mutants = vs.Length
            Killed = vs.Length - alive.Length
            Equivalent = equivalent.Length
            Survivors = alive.Length - equivalent.Length
            Seconds = vs |> List.sumBy _.Seconds
        })

let survivors (known: Equivalent list) (verdicts: Verdict list) : Verdict list =
    verdicts
    |> List.filter (fun v ->
        match v.Fate with
        | Dead _ -> false
        | _ -> not (known |> List.exists (isMatch v.Mutant)))

/// Entries that no longer hold: they name no mutant of the whole, or all that they name are killed.
let stale (all: Mutant list) (known: Equivalent list) (verdicts: Verdict list) : string list = [
    for e in known do
        let tried = verdicts |> List.filter (fun v -> isMatch v.Mutant e)

        if not (all |> List.exists (fun m -> isMatch m e)) then
            $"{e.Text} | {e.What}: no such mutant"
        elif
            not tried.IsEmpty
            && tried |> List.forall (fun v -> v.Fate <> Alive && v.Fate <> Unreached)
        then
            $"{e.Text} | {e.What}: killed, so not equivalent"
]

let describe (v: Verdict) =
    let note =
        match v.Fate with
        | Unreached -> " (no test reaches it)"
        | _ -> ""

    $"{v.Mutant.File}:{v.Mutant.Line}  {v.Mutant.Id} | {v.Mutant.What}{note}"

let private total (rows: Row list) = {
    Section = "all"
    Mutants = rows |> List.sumBy _.Mutants
    Killed = rows |> List.sumBy _.Killed
    Equivalent = rows |> List.sumBy _.Equivalent
    Survivors = rows |> List.sumBy _.Survivors
    Seconds = rows |> List.sumBy _.Seconds
}

let table (rows: Row list) : string list = [
    $"""{"section", -44} {"mutants", 8} {"killed", 8} {"equivalent", 11} {"survive", 8} {"seconds", 8}"""
    for r in rows @ [ total rows ] do
        $"{r.Section, -44} {r.Mutants, 8} {r.Killed, 8} {r.Equivalent, 11} {r.Survivors, 8} {r.Seconds, 8:F0}"
]

let private rowPattern = Regex @"^\\mutantrow\{([^{}]+)\}"

/// Puts the rows into the file that the report's appendix shows, in place of those of the same sections, with the revision
/// that they were measured at.
let save (file: string) (revision: string) (rows: Row list) : unit =
    let line r =
        $@"\mutantrow{{{r.Section}}}{{{r.Mutants}}}{{{r.Killed}}}{{{r.Equivalent}}}{{{r.Survivors}}}{{{revision}}}"

    let sectionOf (line: string) = rowPattern.Match(line).Groups[1].Value

    let kept =
        if File.Exists file then
            File.ReadAllLines file |> List.ofArray
        else
            []

    let measured = rows |> List.map (fun r -> r.Section, line r) |> Map.ofList
    let isKept (line: string) = rowPattern.IsMatch line && not (measured.ContainsKey(sectionOf line))
    let all = List.filter isKept kept @ (measured |> Map.toList |> List.map snd)
    let temporary = file + ".tmp"

    File.WriteAllLines(
        temporary,
        "% Written by ./test --mutants: section, mutants, killed, equivalent, survivors, revision."
        :: List.sort all
    )

    File.Move(temporary, file, overwrite = true)
