/// Text of labels, captions and numbers, for LaTeX and for HTML.
///
/// Everywhere in a report a string is plain text in which `$...$` encloses LaTeX
/// mathematics. All escaping happens here: `latex` for the paper, `plain` for
/// the console and the browser.
module Research.Report.Markup

open System
open System.Globalization
open System.Text
open System.Text.RegularExpressions

let private escapes =
    dict [
        '\\', @"\textbackslash{}"
        '{', @"\{"
        '}', @"\}"
        '$', @"\$"
        '&', @"\&"
        '#', @"\#"
        '%', @"\%"
        '_', @"\_"
        '~', @"\textasciitilde{}"
        '^', @"\textasciicircum{}"
        '<', @"\textless{}"
        '>', @"\textgreater{}"
        '|', @"\textbar{}"
        '"', @"\textquotedbl{}"
        '±', @"$\pm$"
        '×', @"$\times$"
        '≤', @"$\le$"
        '≥', @"$\ge$"
        '–', "--"
        '\u00A0', "~"
        '\u2212', "$-$"
        '…', @"\dots{}"
    ]

/// Plain text as LaTeX: every character typesets as itself.
let escape (text: string) =
    let out = StringBuilder(text.Length)

    for c in text do
        match escapes.TryGetValue c with
        | true, escaped -> out.Append escaped |> ignore
        | _ -> out.Append c |> ignore

    out.ToString()

/// Splits at unescaped dollars into (is mathematics, text).
/// An odd number of dollars means that they are meant literally.
let private segments (text: string) =
    let parts = text.Split '$'

    if parts.Length % 2 = 0 then
        [| false, text |]
    else
        parts |> Array.mapi (fun i part -> i % 2 = 1, part)

/// Text with `$...$` as LaTeX: mathematics is kept, the rest is escaped.
let latex (text: string) =
    segments text
    |> Array.map (fun (isMath, part) -> if isMath then $"${part}$" else escape part)
    |> String.concat ""

let private symbols = [
    @"\theta", "θ"
    @"\phi", "φ"
    @"\lambda", "λ"
    @"\beta", "β"
    @"\alpha", "α"
    @"\psi", "ψ"
    @"\mu", "μ"
    @"\sigma", "σ"
    @"\varepsilon", "ε"
    @"\epsilon", "ε"
    @"\pi", "π"
    @"\pm", "±"
    @"\times", "×"
    @"\cdot", "·"
    @"\le", "≤"
    @"\ge", "≥"
    @"\in", "∈"
    @"\log", "log"
    @"\exp", "exp"
    @"\mathrm", ""
    @"\E", "E"
    @"\,", " "
    @"\|", "‖"
]

/// The same text without LaTeX: mathematics becomes its nearest Unicode spelling.
let plain (text: string) =
    let math (part: string) =
        let named =
            symbols
            |> List.fold
                (fun (s: string) (name: string, symbol: string) ->
                    // A control word ends where its letters end: \le must not eat \left.
                    let boundary =
                        if Char.IsLetter name[name.Length - 1] then
                            "(?![A-Za-z])"
                        else
                            ""

                    Regex.Replace(s, Regex.Escape name + boundary, symbol))
                part

        Regex.Replace(named, @"[{}]|\\(?=[A-Za-z])", "").Replace("-", "−")

    segments text
    |> Array.map (fun (isMath, part) -> if isMath then math part else part)
    |> String.concat ""

/// The text ending with a full stop, as captions do; empty stays empty.
let sentence (text: string) =
    let text = text.TrimEnd()
    if text = "" || text.EndsWith '.' then text else text + "."

/// A number for a data file or a TeX coordinate: at most 6 significant digits,
/// invariant culture, `nan`, `inf`, `-inf` as TeX reads them.
let coordinate (x: float) =
    if Double.IsNaN x then "nan"
    elif Double.IsPositiveInfinity x then "inf"
    elif Double.IsNegativeInfinity x then "-inf"
    else x.ToString("G6", CultureInfo.InvariantCulture)

let private grouped (digits: string) =
    // 20000 reads as 20 000; four digits stay together.
    if digits.Length <= 4 then
        digits
    else
        let rec go (s: string) =
            if s.Length <= 3 then
                [ s ]
            else
                go s[.. s.Length - 4] @ [ s[s.Length - 3 ..] ]

        String.concat @"\," (go digits)

/// `value` with a fixed number of decimals as LaTeX mathematics without dollars,
/// e.g. `-95.59`, `20\,000`, `\infty`, `\mathrm{nan}`.
let fixedPoint (decimals: int) (value: float) =
    if Double.IsNaN value then
        @"\mathrm{nan}"
    elif Double.IsInfinity value then
        if value > 0.0 then @"\infty" else @"-\infty"
    else
        let text = value.ToString("F" + string decimals, CultureInfo.InvariantCulture)
        let negative = text.StartsWith '-' && text |> Seq.exists (fun c -> c >= '1' && c <= '9')
        let text = text.TrimStart '-'

        let whole, fraction =
            match text.IndexOf '.' with
            | -1 -> text, ""
            | i -> text[.. i - 1], text[i..]

        (if negative then "-" else "") + grouped whole + fraction

/// `value` with `digits` significant digits as `1.2\cdot10^{-7}`.
let scientific (digits: int) (value: float) =
    if value = 0.0 then
        "0"
    elif not (Double.IsFinite value) then
        fixedPoint 0 value
    else
        let text = value.ToString("E" + string (digits - 1), CultureInfo.InvariantCulture)
        let i = text.IndexOf 'E'
        let exponent = int text[i + 1 ..]

        if exponent = 0 then
            text[.. i - 1]
        else
            $@"{text[.. i - 1]}\cdot10^{{{exponent}}}"
