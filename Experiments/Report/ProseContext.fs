/// What the paper's sentences speak of, and the words that need no reading of their surroundings.
module Research.Report.ProseContext

open System
open System.Net
open System.Text.RegularExpressions
open Research.Report.Crossreferences

/// What the sentences speak of.
type Context = {
    Macros: Tex.Macros
    Values: Map<string, Value>
    Guards: Map<string, Guard * Outcome>
    /// The rows that were run.
    Ran: Set<string>
    /// What the title page says: profile, data and so on.
    Meta: Map<string, string>
    /// By label.
    Places: Map<string, Place>
    /// Authors and year by citation key.
    Cited: Map<string, string>
    /// The paper beside the page; empty when it was not compiled.
    Pdf: string
    /// A value as HTML, with the way to its runs.
    Show: Value -> string
    /// A figure or a table where the text has it.
    Float: string -> string
}

/// Text that may stand between tags and in quoted attributes.
let encode (text: string) = WebUtility.HtmlEncode text |> Option.ofObj |> Option.defaultValue ""

/// Commands that leave nothing in a page.
let silent =
    set [
        "noindent"
        "par"
        "smallskip"
        "FloatBarrier"
        "phantomsection"
        "medskip"
        "centering"
        "small"
        "footnotesize"
        "hfill"
        "ignorespaces"
        "protect"
    ]

/// Commands that are a character.
let characters =
    dict [
        ",", "\u202F"
        " ", " "
        "%", "%"
        "&", "&amp;"
        "_", "_"
        "#", "#"
        "$", "$"
        "{", "{"
        "}", "}"
        "-", ""
        "/", ""
        "\\", "<br>"
        "dots", "…"
        "ldots", "…"
        "LaTeX", "LaTeX"
    ]

/// Commands that are a tag around their argument.
let marks =
    dict [ "emph", "em"; "textit", "em"; "textbf", "strong"; "texttt", "code"; "code", "code" ]

/// Text outside commands: quotes and dashes as LaTeX reads them.
let typeset (text: string) =
    encode(text)
        .Replace("&#39;", "'")
        .Replace("``", "“")
        .Replace("''", "”")
        .Replace("`", "‘")
        .Replace("'", "’")
        .Replace("---", "—")
        .Replace("--", "–")
        .Replace("~", "\u00A0")

/// A label as the text names it, linked to where it stands in the page or else in the paper.
let reference (context: Context) capital (label: string) =
    let kind, target =
        match label.Split(':', 2) with
        | [| "fig"; id |] -> "figure", "#" + id
        | [| "tab"; id |] -> "table", "#" + id
        | [| "q"; row |]
        | [| "x"; row |] -> row, "#" + row
        | [| "eq"; _ |] -> "equation", "#" + label
        | _ -> "the paper", ""

    let name =
        match context.Places.TryFind label with
        | Some place when place.Kind <> "question" -> $"{place.Kind} {place.Number}"
        | _ -> kind

    let name =
        if capital && name <> "" then
            string (Char.ToUpperInvariant name[0]) + name.Substring 1
        else
            name

    match target, context.Places.TryFind label with
    | "", Some place when context.Pdf <> "" ->
        $"<a href=\"{encode context.Pdf}#page={place.Page}\">{encode name}</a>"
    | "", _ -> encode name
    | _ -> $"<a href=\"{encode target}\">{encode name}</a>"

/// Whether an id is of a row that was run.
let belongsToRun (context: Context) (id: string) =
    context.Ran |> Set.exists (fun row -> Paper.belongsTo row id)

/// Which of its two forms a text takes, None where nothing was assessed.
let isFirst (context: Context) (command: string) (id: string) : bool option =
    match command, context.Values.TryFind id, context.Guards.TryFind id with
    | "severalseeds", Some { Cell = MeanSe(_, se, _) }, _ -> Some(Double.IsFinite se)
    | "severalseeds", _, _ -> Some false
    | "decided", _, Some(_, Holds) -> Some true
    | "decided", _, Some(_, Fails) -> Some false
    | "decided", _, _ -> None
    | _ -> Some(context.Meta.ContainsKey id)

/// A formula with the values and the sources' numbers that it has.
let formula (context: Context) (tex: string) =
    let value (m: Match) =
        match context.Values.TryFind m.Groups[1].Value with
        | Some value -> (Cell.latex value.Cell).Trim('$')
        | None -> "?"

    let tex = Regex.Replace(tex, @"\\val\{([^}]*)\}", value)
    Regex.Replace(tex, @"\\source\{", "{")
