/// Text of labels, captions and numbers, for LaTeX and for HTML.
///
/// Everywhere in a report a string is plain text in which `$...$` encloses LaTeX
/// mathematics. All escaping happens here: `latex` for the paper, `plain` for
/// the console and `claims.json`, `html` and `plotly` for the browser.
module Research.Report.Markup

open System
open System.Globalization
open System.Net
open System.Text

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

let private join (math: string -> string) (other: string -> string) (text: string) =
    segments text
    |> Array.map (fun (isMath, part) -> if isMath then math part else other part)
    |> String.concat ""

/// Text with `$...$` as LaTeX: mathematics is kept, the rest is escaped.
let latex = join (fun part -> $"${part}$") escape

/// The same text without LaTeX: mathematics becomes its nearest Unicode spelling.
let plain = join Mathematics.plain id

let private encode (text: string) = WebUtility.HtmlEncode text |> Option.ofObj |> Option.defaultValue ""

/// The same text as HTML.
let html = join (Mathematics.html encode) encode

/// The same text as Plotly reads its labels: `<sup>` and `<sub>` are tags, the rest is literal.
let plotly = join (Mathematics.html id) id

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

/// The number that `coordinate` writes: more digits than can be seen only make a page large.
let significant (x: float) =
    if Double.IsFinite x then
        Double.Parse(coordinate x, CultureInfo.InvariantCulture)
    else
        x

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

/// The same, but plain for numbers that read well so: `0.012`, `88`.
let readable (digits: int) (value: float) =
    let magnitude = abs value

    if 0.01 <= magnitude && magnitude < 1000.0 then
        fixedPoint (max 0 (digits - 1 - int (floor (log10 magnitude)))) value
    else
        scientific digits value
