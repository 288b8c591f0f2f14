/// Formulas as MathML, which browsers draw themselves.
module Research.Report.MathMl

open System
open System.Net
open Research.Report.TexItems
open Research.Report.Tex

let private encode (text: string) = WebUtility.HtmlEncode text |> Option.ofObj |> Option.defaultValue ""

let private em (width: float) = width.ToString("0.##", Globalization.CultureInfo.InvariantCulture)

/// Letters that Unicode had before the alphabets of mathematics came, and which are missing there.
let private elsewhere =
    dict [
        (Blackboard, 'C'), "ℂ"
        (Blackboard, 'N'), "ℕ"
        (Blackboard, 'P'), "ℙ"
        (Blackboard, 'R'), "ℝ"
        (Blackboard, 'Z'), "ℤ"
        (Calligraphic, 'B'), "ℬ"
        (Calligraphic, 'E'), "ℰ"
        (Calligraphic, 'F'), "ℱ"
        (Calligraphic, 'H'), "ℋ"
        (Calligraphic, 'I'), "ℐ"
        (Calligraphic, 'L'), "ℒ"
        (Calligraphic, 'M'), "ℳ"
        (Calligraphic, 'R'), "ℛ"
    ]

/// Where a face has its capital A; its small letters come after the capitals.
let private capitalA face =
    match face with
    | Bold -> Some 0x1D400
    | Calligraphic -> Some 0x1D49C
    | Blackboard -> Some 0x1D538
    | Sans -> Some 0x1D5A0
    | Italic
    | Upright -> None

/// A letter in its face: MathML Core knows faces only as characters.
let private faced (face: Face) (text: string) =
    match text.Length, elsewhere.TryGetValue((face, text[0])), capitalA face with
    | 1, (true, letter), _ -> letter
    | 1, _, Some start when Char.IsAsciiLetterUpper text[0] ->
        Char.ConvertFromUtf32(start + int text[0] - int 'A')
    | 1, _, Some start when Char.IsAsciiLetterLower text[0] ->
        Char.ConvertFromUtf32(start + 26 + int text[0] - int 'a')
    | 1, _, Some _ when text = "1" && face = Bold -> "𝟏"
    | _ -> text

let private brackets = set [ "("; ")"; "["; "]"; "{"; "}"; "|"; "‖"; "⟨"; "⟩" ]

/// Signs that end an operand.
let private closing = set [ ")"; "]"; "}"; "⟩"; "′"; "∗"; "…" ]

/// Signs that stand close to their neighbours.
let private close = Set.union brackets (set [ "."; "/"; "′"; "∗" ])

let private row (nodes: string list) =
    match nodes with
    | [ single ] -> single
    | _ -> "<mrow>" + String.concat "" nodes + "</mrow>"

/// Whether something stands before that a following log belongs apart from, and a minus subtracts from.
let private isOperand item =
    match item with
    | Some(Sign text)
    | Some(Bracket(text, _)) -> closing.Contains text
    | None
    | Some(Operator _)
    | Some(Large _)
    | Some(Space _) -> false
    | Some _ -> true

let private tight = " lspace=\"0\" rspace=\"0\""

/// In scripts nothing is set apart.
let private sign inScript before (text: string) =
    let isUnary = List.contains text [ "−"; "+"; "±" ] && not (isOperand before)
    let stretchy = if brackets.Contains text then " stretchy=\"false\"" else ""
    let form = if isUnary then " form=\"prefix\"" else ""

    let space =
        if inScript || isUnary || close.Contains text then
            tight
        else
            ""

    $"<mo{form}{stretchy}{space}>{encode text}</mo>"

/// A named function: apart from an operand before it and from an argument without brackets.
let private operator before after (name: string) =
    let left = if isOperand before then "0.17em" else "0"

    let right =
        match after with
        | Some(Sign text)
        | Some(Bracket(text, _)) when brackets.Contains text -> "0"
        | None -> "0"
        | Some _ -> "0.17em"

    $"<mo form=\"prefix\" stretchy=\"false\" movablelimits=\"true\" lspace=\"{left}\" rspace=\"{right}\">{encode name}</mo>"

let rec private nodes inScript (before: Item option) (list: Item list) : string list =
    match list with
    | [] -> []
    // A script without a base, as in ^{2}.
    | (Subscript _ | Superscript _) :: _ -> nodes inScript before (Group [] :: list)
    | item :: rest ->
        let below, above, rest = scripts rest
        let node = one inScript before (List.tryHead rest) item
        scripted item node below above :: nodes inScript (Some item) rest

/// What hangs on an item: subscript, superscript, and what follows them.
and private scripts (list: Item list) =
    let rec go below above list =
        match list with
        | Subscript inner :: rest -> go (below @ inner) above rest
        | Superscript inner :: rest -> go below (above @ inner) rest
        | _ -> below, above, list

    go [] [] list

and private scripted item node below above =
    let under =
        match item with
        | Large text -> text <> "∫"
        | Operator(_, limits) -> limits
        | Underbrace _ -> true
        | _ -> false

    let enlarged =
        match item with
        | Bracket(_, size) -> size
        | _ -> 0.0

    let script list = row (nodes true None list)

    match below, above, under with
    | [], [], _ -> node
    // An enlarged bracket keeps its size only outside the script's element, which takes its height from a blank.
    | _ when enlarged > 0.0 ->
        let blank =
            $"<mspace width=\"0\" height=\"{em (0.72 * enlarged)}em\" depth=\"{em (0.28 * enlarged)}em\"></mspace>"

        node + scripted (Group []) blank below above
    | _, [], true -> $"<munder>{node}{script below}</munder>"
    | [], _, true -> $"<mover>{node}{script above}</mover>"
    | _, _, true -> $"<munderover>{node}{script below}{script above}</munderover>"
    | _, [], false -> $"<msub>{node}{script below}</msub>"
    | [], _, false -> $"<msup>{node}{script above}</msup>"
    | _, _, false -> $"<msubsup>{node}{script below}{script above}</msubsup>"

and private one inScript before after item : string =
    let block list = row (nodes inScript None list)

    match item with
    | Letter(text, Upright) -> $"<mi mathvariant=\"normal\">{encode text}</mi>"
    | Letter(text, face) -> $"<mi>{encode (faced face text)}</mi>"
    | Digits text -> $"<mn>{text}</mn>"
    | Sign text -> sign inScript before text
    | Operator(name, _) -> operator before after name
    | Large text -> $"<mo movablelimits=\"true\">{text}</mo>"
    | Words text -> $"<mtext>{encode (text.Replace(' ', '\u00A0'))}</mtext>"
    | Space width -> $"<mspace width=\"{em width}em\"></mspace>"
    | Group inner -> block inner
    | Fraction(above, below, small) ->
        let style = if small then " displaystyle=\"false\"" else ""
        $"<mfrac{style}>{block above}{block below}</mfrac>"
    | Root inner -> $"<msqrt>{block inner}</msqrt>"
    | Accent(mark, _, inner) ->
        let stretchy = if inner.Length > 1 then "true" else "false"
        $"<mover accent=\"true\">{block inner}<mo stretchy=\"{stretchy}\">{mark}</mo></mover>"
    | Underbrace inner -> $"<munder>{block inner}<mo stretchy=\"true\">⏟</mo></munder>"
    | Bracket("", _) -> ""
    | Bracket(text, 0.0) -> $"<mo stretchy=\"true\"{tight}>{encode text}</mo>"
    | Bracket(text, size) ->
        $"<mo stretchy=\"true\" symmetric=\"true\" minsize=\"{em size}em\" maxsize=\"{em size}em\"{tight}>{encode text}</mo>"
    | Rows(opening, rows, closing) ->
        let bracket text =
            if text = "" then
                ""
            else
                $"<mo stretchy=\"true\">{text}</mo>"

        let cells =
            rows
            |> List.map (fun cells ->
                cells
                |> List.map (fun cell -> $"<mtd>{block cell}</mtd>")
                |> String.concat ""
                |> fun cells -> $"<mtr>{cells}</mtr>")
            |> String.concat ""

        let kind =
            if opening = "" then
                " class=\"aligned\" displaystyle=\"true\""
            else
                ""

        $"<mrow>{bracket opening}<mtable{kind}>{cells}</mtable>{bracket closing}</mrow>"
    // They hang on what stands before them.
    | Subscript _
    | Superscript _ -> ""

let private math (display: string) (macros: Macros) (text: string) =
    $"<math{display}>{row (nodes false None (Tex.parse macros text))}</math>"

/// A formula in a line of text.
let inLine (macros: Macros) = math "" macros

/// A formula on a line of its own.
let display (macros: Macros) = math " display=\"block\"" macros
