/// Sentences of the paper as HTML: the same text, with the same values, in the page.
module Research.Report.Prose

open System
open System.Text.RegularExpressions
open Research.Report.ProseContext

type Context = ProseContext.Context

type private Piece =
    | Words of string
    | Break
    | Block of string

let rec private pieces (context: Context) (text: string) : Piece list =
    let command = Regex(@"\G\\(?:([A-Za-z]+)\*?|(.))", RegexOptions.Singleline)

    /// A group after white space, and where it ends.
    let group at =
        let start =
            Seq.initInfinite (fun i -> at + i)
            |> Seq.find (fun i -> i >= text.Length || not (Char.IsWhiteSpace text[i]))

        if start < text.Length && text[start] = '{' then
            match Paper.closing text start with
            | -1 -> "", text.Length
            | stop -> text[start + 1 .. stop - 2], stop
        else
            "", at

    let groups count at = [ 1..count ] |> List.mapFold (fun at _ -> group at) at

    /// What stands in brackets, braces inside being whole.
    let optional at =
        let m =
            Regex.Match(
                text.Substring at,
                @"\A\[((?:[^\[\]{}]|\{(?:[^{}]|\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\})*\})*)\]"
            )

        if m.Success then
            m.Groups[1].Value, at + m.Length
        else
            "", at

    let rec go at : Piece list =
        if at >= text.Length then
            []
        else
            match text[at] with
            | '\\' ->
                let m = command.Match(text, at)

                let name =
                    if m.Groups[1].Success then
                        m.Groups[1].Value
                    else
                        m.Groups[2].Value

                run name (at + m.Length)
            | '$' ->
                match text.IndexOf('$', at + 1) with
                | -1 -> [ Words(typeset text[at..]) ]
                | stop ->
                    Words(MathMl.inLine context.Macros (formula context text[at + 1 .. stop - 1]))
                    :: go (stop + 1)
            | '{'
            | '}' -> go (at + 1)
            | '\n' when Regex.IsMatch(text.Substring at, @"\A\n\s*\n") ->
                let m = Regex.Match(text.Substring at, @"\A\n\s*\n")
                Break :: go (at + m.Length)
            | _ ->
                let stop = text.IndexOfAny([| '\\'; '$'; '{'; '}'; '\n' |], at + 1)
                let stop = if stop < 0 then text.Length else stop
                Words(typeset text[at .. stop - 1]) :: go stop

    and inside part = pieces context part

    and run name at : Piece list =
        /// A space after a command's name ends it.
        let afterName () =
            if at < text.Length && text[at] = ' ' && Char.IsLetter name[0] then
                at + 1
            else
                at

        match name with
        | "val" ->
            let id, next = group at

            let shown =
                match context.Values.TryFind id with
                | Some value -> context.Show value
                | None -> "–"

            Words shown :: go next
        | "source" ->
            let inner, next = group at
            inside inner @ go next
        | "guarded"
        | "whenrun" ->
            let arguments, next = groups 2 at
            let otherwise, next = optional next
            let holds, title = condition context name arguments.Head

            if holds then
                [ Words $"<span class=checked title=\"{encode title}\">" ]
                @ inside arguments[1]
                @ [ Words "</span>" ]
                @ go next
            else
                inside otherwise @ go next
        | "severalseeds"
        | "metaTF"
        | "decided" ->
            let arguments, next = groups 3 at
            let otherwise, next = if name = "decided" then optional next else "", next

            match isFirst context name arguments.Head with
            | Some true -> inside arguments[1] @ go next
            | Some false -> inside arguments[2] @ go next
            | None -> inside otherwise @ go next
        | "reportmeta" ->
            let key, next = group at
            Words(context.Meta.TryFind key |> Option.map encode |> Option.defaultValue "") :: go next
        | _ when marks.ContainsKey name ->
            let inner, next = group at
            [ Words $"<{marks[name]}>" ] @ inside inner @ [ Words $"</{marks[name]}>" ] @ go next
        | "paragraph" ->
            let inner, next = group at
            [ Break; Words "<strong>" ] @ inside inner @ [ Words "</strong> " ] @ go next
        | "answer" ->
            let inner, next = group at
            Block("<p class=answer>" + line context inner + "</p>") :: go next
        | "cref"
        | "Cref"
        | "ref"
        | "eqref" ->
            let labels, next = group at

            let links =
                labels.Split ','
                |> Array.map (fun label -> reference context (name = "Cref") (label.Trim()))
                |> String.concat ", "

            Words links :: go next
        | "pageref" ->
            let label, next = group at

            Words(context.Places.TryFind label |> Option.map (_.Page >> string) |> Option.defaultValue "–")
            :: go next
        | "cite"
        | "citep"
        | "citet"
        | "Citet" ->
            let keys, next = group at

            let names =
                keys.Split ','
                |> Array.map (fun key ->
                    context.Cited.TryFind(key.Trim()) |> Option.defaultValue (key.Trim()))
                |> String.concat "; "
                |> encode

            Words(
                if name.EndsWith("citet", StringComparison.OrdinalIgnoreCase) then
                    names
                else
                    $"({names})"
            )
            :: go next
        | "reportfigure"
        | "reporttable" ->
            let id, next = group at
            Block(context.Float id) :: go next
        | "label"
        | "verifiedby"
        | "reportpending" -> go (snd (group at))
        | "footnote" ->
            let inner, next = group at
            [ Words " (" ] @ inside inner @ [ Words ")" ] @ go next
        | "begin" -> environment at
        | "end" -> go (snd (group at))
        | _ when silent.Contains name -> go (afterName ())
        | _ ->
            match characters.TryGetValue name with
            | true, text -> Words text :: go (afterName ())
            // Left as it is, so that it is seen.
            | _ -> Words(encode ("\\" + name)) :: go at

    and environment at =
        let name, start = group at
        let ending = $"\\end{{{name}}}"

        let stop =
            match text.IndexOf(ending, start, StringComparison.Ordinal) with
            | -1 -> text.Length
            | stop -> stop

        let next = min text.Length (stop + ending.Length)
        let body = text[start .. stop - 1]
        let plain = name.TrimEnd '*'

        match plain with
        | "equation" -> Block(MathMl.display context.Macros (formula context body)) :: go next
        | "align"
        | "gather" ->
            let aligned = $@"\begin{{aligned}}{body}\end{{aligned}}"
            Block(MathMl.display context.Macros (formula context aligned)) :: go next
        | "itemize"
        | "enumerate" ->
            let tag = if plain = "itemize" then "ul" else "ol"
            let body = Regex.Replace(body, @"\A\s*\[[^\]]*\]", "")

            let items =
                Regex.Split(body, @"\\item(?![A-Za-z])")
                |> Array.skip 1
                |> Array.map (fun item -> $"<li>{line context item}</li>")
                |> String.concat "\n"

            Block $"<{tag}>{items}</{tag}>" :: go next
        | "tabular" -> Block(table context body) :: go next
        // The name of a row stands after the environment's.
        | "measured" -> inside (text[snd (group start) .. stop - 1]) @ go next
        | _ -> inside body @ go next

    go 0

/// Whether a sentence stands, and by which check.
and private condition context name id : bool * string =
    match name, context.Guards.TryFind id with
    | "guarded", Some(guard, outcome) ->
        outcome.IsHolds, $"Checked: {Markup.plain guard.Check}. Found: {Guard.evidence guard}."
    | "guarded", None -> false, ""
    | _ -> belongsToRun context id, ""

/// A small table between rules: rows of cells.
and private table context (body: string) =
    let _, start =
        match Paper.closing (body.TrimStart()) 0 with
        | -1 -> "", 0
        | stop -> "", stop

    let rows =
        Regex
            .Replace(
                body.TrimStart().Substring start,
                @"\\(top|mid|bottom)rule|\\addlinespace(\[[^\]]*\])?",
                ""
            )
            .Split(@"\\")
        |> Array.map _.Trim()
        |> Array.filter ((<>) "")

    let row (text: string) =
        Regex.Split(text, @"(?<!\\)&")
        |> Array.map (fun cell -> $"<td>{line context (cell.Trim())}</td>")
        |> String.concat ""
        |> fun cells -> $"<tr>{cells}</tr>"

    "<div class=scroll><table>"
    + (rows |> Array.map row |> String.concat "\n")
    + "</table></div>"

/// A text without paragraphs.
and private line context (text: string) : string =
    pieces context (text.Trim())
    |> List.map (function
        | Words html
        | Block html -> html
        | Break -> " ")
    |> String.concat ""

/// A sentence or two as HTML without paragraphs.
let inLine (context: Context) (text: string) : string = line context text

/// A stretch of the paper as HTML paragraphs.
let html (context: Context) (text: string) : string =
    let paragraph (words: string) =
        if String.IsNullOrWhiteSpace words then
            ""
        else
            $"<p>{words.Trim()}</p>\n"

    let close (html: string, words: string) = html + paragraph words, ""

    pieces context text
    |> List.fold
        (fun (html, words) piece ->
            match piece with
            | Words text -> html, words + text
            | Break -> close (html, words)
            | Block block ->
                let html, _ = close (html, words)
                html + block + "\n", "")
        ("", "")
    |> close
    |> fst
