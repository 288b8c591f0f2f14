/// Mathematics of labels and captions as plain Unicode or as HTML; `MathMl` writes what is displayed.
module Research.Report.Mathematics

open System
open Research.Report.TexItems
open Research.Report.Tex

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
        | Letter(text, _)
        | Digits text
        | Sign text
        | Large text
        | Words text
        | Operator(text, _)
        | Bracket(text, _) -> style.Literal text
        | Space width when width < 0.0 -> ""
        | Space width -> if width < 0.5 then "\u202F" else " "
        | Superscript inner -> style.Above(write style inner)
        | Subscript inner -> style.Below(write style inner)
        | Group inner
        | Underbrace inner -> write style inner
        | Root [ single ] -> "√" + write style [ single ]
        | Root inner -> "√(" + write style inner + ")"
        // Combining characters follow the letter that they mark.
        | Accent(_, combining, inner) -> write style inner + combining
        | Fraction(above, below, _) ->
            [ above; below ]
            |> List.map (write style >> fun text -> if isSum text then $"({text})" else text)
            |> String.concat "/"
        | Rows(opening, rows, closing) ->
            let row cells = cells |> List.map (write style) |> String.concat " "
            opening + (rows |> List.map row |> String.concat "; ") + closing

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

/// The mathematics between two dollars as plain Unicode, e.g. `10⁻³`, `√(θ²+ψ₀²)`.
let plain (text: string) =
    write { Above = script raised "^"; Below = script lowered "_"; Literal = id } (parse common text)

/// The same with `<sup>` and `<sub>`; `literal` encodes what is no tag.
let html (literal: string -> string) (text: string) =
    write
        {
            Above = fun inner -> $"<sup>{inner}</sup>"
            Below = fun inner -> $"<sub>{inner}</sub>"
            Literal = literal
        }
        (parse common text)
