/// The part of LaTeX's mathematics that labels and captions use, for places without TeX: as plain Unicode or as
/// HTML. A control word that is not known stays as it is, backslash included, so that it is seen.
module Research.Report.Mathematics

open System
open System.Text.RegularExpressions

type private Item =
    | Symbol of string
    /// An upright name such as log, set off from its argument.
    | Operator of string
    | Superscript of Item list
    | Subscript of Item list
    | Fraction of Item list * Item list
    | Group of Item list
    /// A mark over or around an argument: what stands before and after it.
    | Wrapped of string * Item list * string

let private symbols =
    dict [
        "alpha", "α"
        "beta", "β"
        "delta", "δ"
        "epsilon", "ε"
        "varepsilon", "ε"
        "theta", "θ"
        "lambda", "λ"
        "mu", "μ"
        "pi", "π"
        "sigma", "σ"
        "phi", "φ"
        "psi", "ψ"
        "pm", "±"
        "times", "×"
        "cdot", "·"
        "le", "≤"
        "ge", "≥"
        "in", "∈"
        "infty", "∞"
        "partial", "∂"
        "E", "E"
        "N", "N"
        "T", "T"
        "left", ""
        "right", ""
        ",", "\u202F"
        "|", "‖"
        "{", "{"
        "}", "}"
    ]

let private operators = set [ "log"; "exp"; "tanh"; "det" ]

/// Commands of one argument, with what stands before and after it.
let private wrappers =
    dict [
        "abs", ("|", "|")
        "norm", ("‖", "‖")
        "sqrt", ("√(", ")")
        "mathrm", ("", "")
        "mathbb", ("", "")
        // Combining characters follow the letter that they mark.
        "hat", ("", "\u0302")
        "bar", ("", "\u0304")
    ]

/// Control words, control symbols and single characters; spaces mean nothing in mathematics.
let private tokens (text: string) =
    Regex.Matches(text, @"\\[A-Za-z]+|\\.|\S") |> Seq.map (fun m -> m.Value) |> Seq.toList

/// The items up to the brace that closes them, or to the end, and what follows.
let rec private items (tokens: string list) : Item list * string list =
    match tokens with
    | []
    | "}" :: _ -> [], tokens
    | _ ->
        let first, rest = item tokens
        let others, rest = items rest
        first :: others, rest

/// A group in braces, or the one item that stands for it.
and private argument tokens : Item list * string list =
    match tokens with
    | "{" :: rest ->
        match items rest with
        | inner, _ :: after -> inner, after
        | unclosed -> unclosed
    | [] -> [], []
    | _ ->
        let one, rest = item tokens
        [ one ], rest

and private item tokens : Item * string list =
    let taking make rest =
        let inner, rest = argument rest
        make inner, rest

    match tokens with
    | "{" :: _ -> argument tokens |> fun (inner, rest) -> Group inner, rest
    | "^" :: rest -> taking Superscript rest
    | "_" :: rest -> taking Subscript rest
    | "-" :: rest -> Symbol "−", rest
    | @"\frac" :: rest ->
        let above, rest = argument rest
        taking (fun below -> Fraction(above, below)) rest
    | word :: rest when word.StartsWith '\\' ->
        let name = word.Substring 1

        if operators.Contains name then
            Operator name, rest
        else
            match wrappers.TryGetValue name, symbols.TryGetValue name with
            | (true, (before, after)), _ -> taking (fun inner -> Wrapped(before, inner, after)) rest
            | _, (true, symbol) -> Symbol symbol, rest
            | _ -> Symbol word, rest
    | character :: rest -> Symbol character, rest
    | [] -> Group [], []

/// How scripts are written.
type private Style = { Above: string -> string; Below: string -> string; Literal: string -> string }

/// Whether a sign stands outside all brackets, so that a quotient needs some.
let private isSum (text: string) =
    let depths =
        text
        |> Seq.scan
            (fun depth c ->
                depth
                + (if c = '(' then 1
                   elif c = ')' then -1
                   else 0))
            0

    Seq.zip text depths |> Seq.exists (fun (c, depth) -> depth = 0 && (c = '+' || c = '−'))

let rec private write (style: Style) (list: Item list) : string =
    let one item =
        match item with
        | Symbol text
        | Operator text -> style.Literal text
        | Superscript inner -> style.Above(write style inner)
        | Subscript inner -> style.Below(write style inner)
        | Group inner -> write style inner
        | Wrapped("√(", [ single ], _) -> "√" + write style [ single ]
        | Wrapped(before, inner, after) -> before + write style inner + after
        | Fraction(above, below) ->
            [ above; below ]
            |> List.map (write style >> fun text -> if isSum text then $"({text})" else text)
            |> String.concat "/"

    /// Whether text that ends or begins like this touches an operator's name.
    let isWord (text: string) atEnd =
        text <> ""
        && (let c = if atEnd then text[text.Length - 1] else text[0]
            Char.IsLetterOrDigit c || c = '>' || c = '<')

    let append (text: string, afterOperator) item =
        let next = one item

        let apart =
            match item with
            | Operator _ -> isWord text true
            | Superscript _
            | Subscript _ -> false
            | _ -> afterOperator && isWord next false

        let after =
            match item with
            | Operator _ -> true
            // The base of a logarithm leaves it an operator.
            | Superscript _
            | Subscript _ -> afterOperator
            | _ -> false

        text + (if apart then " " else "") + next, after

    list |> List.fold append ("", false) |> fst

let private raised = dict (Seq.zip "0123456789+−()nT" "⁰¹²³⁴⁵⁶⁷⁸⁹⁺⁻⁽⁾ⁿᵀ")
let private lowered = dict (Seq.zip "0123456789+−()" "₀₁₂₃₄₅₆₇₈₉₊₋₍₎")

/// Unicode's script letters where it has them all, else the mark of LaTeX.
let private script (letters: Collections.Generic.IDictionary<char, char>) (mark: string) (text: string) =
    if text |> Seq.forall letters.ContainsKey then
        text |> String.map (fun c -> letters[c])
    elif text.Length = 1 then
        mark + text
    else
        $"{mark}({text})"

let private parse text = items (tokens text) |> fst

/// The mathematics between two dollars as plain Unicode, e.g. `10⁻³`, `√(θ²+ψ₀²)`.
let plain (text: string) =
    write { Above = script raised "^"; Below = script lowered "_"; Literal = id } (parse text)

/// The same with `<sup>` and `<sub>`; `literal` encodes what is no tag.
let html (literal: string -> string) (text: string) =
    write
        {
            Above = fun inner -> $"<sup>{inner}</sup>"
            Below = fun inner -> $"<sub>{inner}</sub>"
            Literal = literal
        }
        (parse text)
