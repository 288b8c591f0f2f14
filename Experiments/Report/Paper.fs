/// What the LaTeX sources of the paper say, and whether it agrees with the
/// results: the checks that keep text, values, figures and tests together.
module Research.Report.Paper

open System
open System.IO
open System.Text.RegularExpressions
open Research.Host

/// A source file, comments removed, lines kept.
type Source = { Name: string; Text: string }

/// A macro with its brace arguments, and where it stands.
type Use = {
    Macro: string
    Arguments: string list
    File: string
    Line: int
    /// Characters before it in its file.
    At: int
}

/// `text` without LaTeX comments; the line structure stays.
let stripComments (text: string) = Regex.Replace(text, @"(?<!\\)((?:\\\\)*)%[^\n]*", "$1")

/// Sources are small; a file that is not has no business among them.
let longestSource = 64L <<< 20

/// A source of the paper as a file to read.
let source (path: string) = InputFile(path, "restore it, or move it out of the paper's folder")

/// The text of a source.
let text (path: string) : string = (source path).ReadText longestSource

/// Whether a path inside the paper's folder names what is generated or built, not a source.
let isMade (path: string) = List.contains (path.Replace('\\', '/').Split('/')[0]) [ "generated"; "build" ]

/// All `.tex` files under `directory`, except what is generated or built.
let read (directory: string) =
    Directory.GetFiles(directory, "*.tex", SearchOption.AllDirectories)
    |> Array.map (fun path -> Path.GetRelativePath(directory, path).Replace('\\', '/'), path)
    |> Array.filter (fst >> isMade >> not)
    |> Array.sortBy fst
    |> Array.map (fun (name, path) -> { Name = name; Text = stripComments (text path) })
    |> Array.toList

/// The index after the brace that closes the one at `start`, or -1.
let closing (text: string) start =
    let mutable depth = 0
    let mutable i = start
    let mutable result = -1

    while result < 0 && i < text.Length do
        match text[i] with
        | '\\' -> i <- i + 1
        | '{' -> depth <- depth + 1
        | '}' ->
            depth <- depth - 1

            if depth = 0 then
                result <- i + 1
        | _ -> ()

        i <- i + 1

    result

let private lineOf (text: string) index = 1 + (text.AsSpan(0, index).Count '\n')

/// Every use of `\macro` with `count` arguments in braces.
let uses (macro: string) (count: int) (sources: Source list) =
    let rec arguments (text: string) at n =
        if n = 0 then
            Some []
        else
            let start =
                Seq.initInfinite (fun i -> at + i)
                |> Seq.find (fun i -> i >= text.Length || not (Char.IsWhiteSpace text[i]))

            if start >= text.Length || text[start] <> '{' then
                None
            else
                match closing text start with
                | -1 -> None
                | stop ->
                    arguments text stop (n - 1)
                    |> Option.map (fun rest -> text[start + 1 .. stop - 2] :: rest)

    [
        for source in sources do
            for m in Regex.Matches(source.Text, @"\\" + macro + @"(?![A-Za-z])") do
                match arguments source.Text (m.Index + m.Length) count with
                | Some args -> {
                    Macro = macro
                    Arguments = args
                    File = source.Name
                    Line = lineOf source.Text m.Index
                    At = m.Index
                  }
                | None -> ()
    ]

let private firsts macro sources = uses macro 1 sources |> List.map (fun u -> u.Arguments.Head)

/// All labels.
let labels sources = firsts "label" sources

/// Labels of numbered equations that Core.fs implements: `\label{eq:...}`.
let equationLabels sources = labels sources |> List.filter (fun l -> l.StartsWith "eq:")

/// Test ids that the paper cites, also in its table of errata.
let verifiedBy sources =
    let errata = uses "erratum" 4 sources |> List.map (fun u -> u.Arguments[3])
    // A definition speaks of its parameter, not of a test.
    firsts "verifiedby" sources @ errata
    |> List.filter (fun id -> id <> "" && not (id.StartsWith '#'))

/// Rows that have an answer: `\question` or `\experiment`.
let answeredRows sources =
    (uses "question" 2 sources @ uses "experiment" 2 sources)
    |> List.map (fun u -> u.Arguments.Head)
    |> List.distinct

/// Rows of the table at the front.
let contentsRows sources = uses "contentsrow" 2 sources |> List.map (fun u -> u.Arguments.Head)

/// Whether an id such as `hw5.1.elbo` belongs to a row such as `hw5.1`.
let belongsTo (row: string) (id: string) = id = row || id.StartsWith(row + ".", StringComparison.Ordinal)

/// Values that the text uses and `defined` lacks, unless their row did not run.
let undefinedValues (sources: Source list) (notRun: string list) (defined: Set<string>) =
    uses "val" 1 sources
    |> List.filter (fun u ->
        let id = u.Arguments.Head
        not (defined.Contains id) && not (notRun |> List.exists (fun row -> belongsTo row id)))
    |> List.map (fun u ->
        $"{u.File}:{u.Line}: the text uses the value '{u.Arguments.Head}', which no experiment reports")

/// Values that experiments report and the text never uses.
let unusedValues (sources: Source list) (defined: Set<string>) =
    let used = firsts "val" sources |> Set.ofList

    Set.difference defined used
    |> Seq.map (fun id -> $"the value '{id}' is reported and never used in the text")
    |> Seq.toList

/// Sentences that the results do not support, and guards and sentences without each other.
let brokenGuards (sources: Source list) (notRun: string list) (guards: (Guard * Outcome) list) =
    let sentences = uses "guarded" 2 sources
    // These have a form for either outcome.
    let decided = uses "decided" 3 sources

    let byId =
        guards |> List.map (fun (guard, outcome) -> guard.Id, (guard, outcome)) |> Map.ofList

    let oneLine (s: string) = Regex.Replace(s.Trim(), @"\s+", " ")

    [
        for u in sentences @ decided do
            let id = u.Arguments[0]

            match byId.TryFind id with
            | Some(guard, Fails) when u.Macro = "guarded" ->
                $"{u.File}:{u.Line}: the results do not support \"{oneLine u.Arguments[1]}\" (guard '{id}': {guard.Check}; found {Guard.evidence guard})"
            | Some _ -> ()
            | None ->
                if not (notRun |> List.exists (fun row -> belongsTo row id)) then
                    $"{u.File}:{u.Line}: the sentence guarded by '{id}' has no check"
        let guarded = sentences @ decided |> List.map (fun u -> u.Arguments[0]) |> Set.ofList

        for g, _ in guards do
            if not (guarded.Contains g.Id) then
                $"the guard '{g.Id}' guards no sentence of the text"
    ]

/// Figures or tables that are produced and never shown; `macro` is
/// `reportfigure` or `reporttable`.
let unusedInputs (macro: string) (sources: Source list) (ids: string list) =
    let used = firsts macro sources |> Set.ofList

    ids
    |> List.filter (fun id -> not (used.Contains id))
    |> List.map (fun id -> $"'{id}' is produced and no \\{macro} shows it")

let private decimal = Regex(@"(?<![A-Za-z0-9.:\-/])\d+\.\d+(?![A-Za-z0-9.]*\})")

/// Decimal numbers typed by hand: results must come through `\val`, a source's
/// numbers through `\source`. Arguments of `\source`, ids and lengths do not count.
let typedDecimals (sources: Source list) =
    let blank (m: Match) = String([| for c in m.Value -> if c = '\n' then '\n' else ' ' |])

    let hidden =
        @"\\(source|val|guarded|decided|reportfigure|reporttable|question|experiment|verifiedby|c?ref|label|citep?|citet|input)\s*\{[^{}]*\}|\d*\.\d+\s*\\(linewidth|textwidth)"

    [
        for source in sources do
            let visible = Regex.Replace(source.Text, hidden, blank)

            for m in decimal.Matches visible do
                $"{source.Name}:{lineOf visible m.Index}: the number {m.Value} is typed by hand; use \\val{{...}} for a result or \\source{{...}} for a source's"
    ]
