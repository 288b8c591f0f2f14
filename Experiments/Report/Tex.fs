/// Reads the part of LaTeX's mathematics that the report uses, for places without TeX. A control word that is not known
/// stays as it is, backslash included, so that it is seen.
module Research.Report.Tex

open System
open System.Text.RegularExpressions
open Research.Report.TexItems

/// What a control word of the paper's own stands for: how many arguments it takes, and its text with `#1`.
type Macros = Map<string, int * string>

/// What the report's labels use of the paper's macros.
let common: Macros =
    Map.ofList [
        "abs", (1, @"\left\lvert#1\right\rvert")
        "norm", (1, @"\left\lVert#1\right\rVert")
        "E", (0, @"\mathbb{E}")
        "N", (0, @"\mathcal{N}")
        "T", (0, @"\mathsf{T}")
    ]

/// Words in `\text{...}`, control words and symbols, parameters, numbers and single characters; spaces mean nothing.
let private tokens (text: string) =
    Regex.Matches(text, @"\\text\s*\{[^{}]*\}|\\[A-Za-z]+|\\.|=:|:=|#\d|\d+(?:\.\d+)?|\S")
    |> Seq.map (fun m -> m.Value)
    |> Seq.toList

/// The tokens of a group in braces, or the one that stands for it, and what follows.
let private argument (tokens: string list) : string list * string list =
    let rec inside depth (taken: string list) rest =
        match rest with
        | "}" :: after when depth = 0 -> List.rev taken, after
        | token :: after ->
            let change =
                match token with
                | "{" -> 1
                | "}" -> -1
                | _ -> 0

            inside (depth + change) (token :: taken) after
        | [] -> List.rev taken, []

    match tokens with
    | "{" :: rest -> inside 0 [] rest
    | one :: rest -> [ one ], rest
    | [] -> [], []

/// Replaces the macros by what they stand for.
let rec private expand (macros: Macros) (list: string list) : string list =
    match list with
    | [] -> []
    | word :: rest when word.Length > 1 && word[0] = '\\' && macros.ContainsKey(word.Substring 1) ->
        let count, body = macros[word.Substring 1]
        let given, after = List.mapFold (fun rest _ -> argument rest) rest [ 1..count ]

        let filled =
            tokens body
            |> List.collect (fun token ->
                if token.Length = 2 && token[0] = '#' then
                    given[int token[1] - int '1']
                else
                    [ token ])

        expand macros (filled @ after)
    | token :: rest -> token :: expand macros rest

let rec private restyle face item =
    match item with
    | Letter(text, Italic) -> Letter(text, face)
    // The indicator is a bold 1.
    | Digits text when face = Bold -> Letter(text, face)
    | Group inner -> Group(List.map (restyle face) inner)
    | other -> other

/// The items up to what closes them, or to the end, and what follows.
let rec private items (tokens: string list) : Item list * string list =
    match tokens with
    | []
    | ("}" | "&" | @"\\" | @"\right" | @"\end") :: _ -> [], tokens
    | _ ->
        let first, rest = item tokens
        let others, rest = items rest
        first :: others, rest

and private parsed (tokens: string list) : Item list = fst (items tokens)

/// What a command or a script applies to: a group, one digit, or one item with what belongs to it.
and private operand (tokens: string list) : Item list * string list =
    match tokens with
    | "{" :: _ ->
        let inner, rest = argument tokens
        parsed inner, rest
    | number :: rest when number.Length > 1 && Char.IsDigit number[0] ->
        [ Digits(string number[0]) ], number.Substring 1 :: rest
    | _ ->
        let one, rest = item tokens
        [ one ], rest

and private item (tokens: string list) : Item * string list =
    let taking make rest =
        let inner, rest = operand rest
        make inner, rest

    match tokens with
    | "{" :: _ -> taking Group tokens
    | "^" :: rest -> taking Superscript rest
    | "_" :: rest -> taking Subscript rest
    | "'" :: rest -> Superscript [ Sign "′" ], rest
    | "-" :: rest -> Sign "−", rest
    | (@"\frac" | @"\tfrac" as kind) :: rest ->
        let above, rest = operand rest
        taking (fun below -> Fraction(above, below, (kind = @"\tfrac"))) rest
    | @"\sqrt" :: rest -> taking Root rest
    | @"\underbrace" :: rest -> taking Underbrace rest
    | @"\left" :: rest -> fenced rest
    | @"\middle" :: rest ->
        let text, rest = bracket rest
        Bracket(text, 0.0), rest
    | @"\begin" :: rest -> environment rest
    | @"\operatorname" :: "*" :: rest -> named true rest
    | @"\operatorname" :: rest -> named false rest
    | word :: rest when word.StartsWith(@"\text", StringComparison.Ordinal) ->
        if word.EndsWith '}' then
            Words(word.Substring(word.IndexOf '{' + 1).TrimEnd '}'), rest
        else
            let words, rest = argument rest
            Words(String.concat "" words), rest
    | word :: rest when word.Length > 1 && word[0] = '\\' -> control (word.Substring 1) rest
    | token :: rest when Char.IsDigit token[0] -> Digits token, rest
    | token :: rest when Char.IsLetter token[0] -> Letter(token, Italic), rest
    | token :: rest -> Sign token, rest
    | [] -> Group [], []

and private control name rest : Item * string list =
    match symbols.TryGetValue name, faces.TryGetValue name, accents.TryGetValue name with
    | (true, symbol), _, _ -> symbol, rest
    | _, (true, face), _ ->
        let inner, rest = operand rest

        // Letters of a name belong together.
        if face = Upright && inner |> List.forall _.IsLetter && inner.Length > 1 then
            let letters =
                inner
                |> List.map (function
                    | Letter(text, _) -> text
                    | _ -> "")

            Letter(String.concat "" letters, Upright), rest
        else
            Group(List.map (restyle face) inner), rest
    | _, _, (true, (mark, combining)) ->
        let inner, rest = operand rest
        Accent(mark, combining, inner), rest
    | _ ->
        match brackets.TryGetValue name, sizes.TryGetValue name with
        | (true, text), _ -> Sign text, rest
        | _, (true, size) ->
            let text, rest = bracket rest
            Bracket(text, size), rest
        | _ when ignored.Contains name -> Group [], rest
        | _ -> Letter("\\" + name, Upright), rest

and private named limits rest : Item * string list =
    let name, rest = argument rest

    let spelled =
        parsed name
        |> List.map (function
            | Letter(text, _) -> text
            | Space _ -> "\u202F"
            | _ -> "")

    Operator(String.concat "" spelled, limits), rest

/// The bracket that a word such as `\left` enlarges; none for a dot.
and private bracket rest : string * string list =
    match rest with
    | "." :: rest -> "", rest
    | word :: rest when word.Length > 1 ->
        (match brackets.TryGetValue(word.Substring 1) with
         | true, text -> text
         | _ -> word),
        rest
    | text :: rest -> text, rest
    | [] -> "", []

and private fenced rest : Item * string list =
    let opening, rest = bracket rest
    let inner, rest = items rest

    let closing, rest =
        match rest with
        | @"\right" :: rest -> bracket rest
        | _ -> "", rest

    Group [ Bracket(opening, 0.0); yield! inner; Bracket(closing, 0.0) ], rest

and private environment rest : Item * string list =
    let name, rest = argument rest

    let rec cells rest =
        let cell, rest = items rest

        match rest with
        | "&" :: rest ->
            let row, rest = cells rest
            cell :: row, rest
        | _ -> [ cell ], rest

    let rec rows rest =
        let row, rest = cells rest

        match rest with
        | @"\\" :: rest ->
            let others, rest = rows rest
            row :: others, rest
        | @"\end" :: rest -> [ row ], snd (argument rest)
        | _ -> [ row ], rest

    let rows, rest = rows rest

    let opening, closing =
        match String.concat "" name with
        | "pmatrix" -> "(", ")"
        | "cases" -> "{", ""
        | _ -> "", ""

    Rows(opening, rows, closing), rest

/// The items of a formula, its macros expanded.
let parse (macros: Macros) (text: string) : Item list = tokens text |> expand macros |> parsed
