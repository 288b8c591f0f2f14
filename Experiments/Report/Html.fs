/// Figures, tables and claims as parts of a page for the browser.
module Research.Report.Html

open System
open System.Net

/// Text that may stand between tags and in quoted attributes.
let encode (text: string) = WebUtility.HtmlEncode text |> Option.ofObj |> Option.defaultValue ""

/// From a number to the runs that it came from.
type Source = {
    /// The row that prints it.
    Row: string
    Provenance: Provenance
}

/// A number with the way to its runs: those that recorded it, else all that its row reads.
let private linked (source: Source) (value: float) (text: string) =
    let target, title =
        match source.Provenance.Of value with
        | [] -> $"row={Uri.EscapeDataString source.Row}", $"Computed from the runs of {source.Row}"
        | [ id ] -> $"id={Uri.EscapeDataString id}", $"Recorded by {id}"
        | ids ->
            let list = String.concat "," ids
            $"id={Uri.EscapeDataString list}", $"The mean of {ids.Length} runs"

    $"<a class=run href=\"#runs?{target}\" title=\"{encode title}\">{text}</a>"

/// A cell of a table or a value of the text; our own numbers lead to their runs.
let cell (source: Source option) (cell: Cell) : string =
    let text = Markup.html (Cell.markup cell)

    match source, cell with
    | Some source, (Number(value, _) | Scientific(value, _) | MeanSe(value, _, _)) -> linked source value text
    | _ -> text

let private dataUri (image: Png.Image) = "data:image/png;base64," + Convert.ToBase64String(Png.encode image)

/// Pixels that an image of a grid is wide at most, and all of them together.
let private square, private widestGrid = 48, 800

/// One stitched image; captions stand beside its rows and above its columns.
let private grid (grid: ImageGrid) =
    let image = Png.tile grid.Columns 1 grid.Images
    let width = min widestGrid (grid.Columns * square)

    let captions kind texts =
        if List.isEmpty texts then
            ""
        else
            let spans =
                texts |> List.map (fun text -> $"<span>{Markup.html text}</span>") |> String.concat ""

            $"<div class={kind}>{spans}</div>"

    let rows = captions "rows" grid.RowCaptions
    let columns = captions "columns" grid.ColumnCaptions

    $"""<div class=grid>{columns}{rows}<img alt="{encode (Markup.plain grid.Title)}" style="width:{width}px" src="{dataUri image}"></div>"""

let private panel (id: string) (colours: int list) panel =
    let title, content =
        match panel with
        | Axes axes ->
            axes.Title,
            $"<div class=chart id=\"{encode id}\"><script type=\"application/json\">{Charts.json colours axes}</script></div>"
        | Images images -> images.Title, grid images

    let title =
        if title = "" then
            ""
        else
            $"<p class=title>{Markup.html title}</p>"

    $"<div class=panel>{title}{content}</div>"

/// A figure with the buttons that save it and the way to the runs of its row; `number` is the paper's, or empty.
let figure (row: string) (number: string) (figure: Figure) =
    let panels =
        List.zip (Figure.colours figure) figure.Panels
        |> List.mapi (fun i (colours, p) -> panel $"{figure.Id.Replace('.', '-')}-{i}" colours p)
        |> String.concat "\n"

    let kinds = [
        if figure.Panels |> List.exists _.IsAxes then
            "csv"
        "svg"
        "png"
    ]

    let buttons =
        kinds
        |> List.map (fun kind -> $"<button data-save={kind}>{kind.ToUpperInvariant()}</button>")
        |> String.concat ""

    let single = if figure.Panels.Length = 1 then " single" else ""

    let name =
        if number = "" then
            ""
        else
            $"<b>Figure {encode number}.</b> "

    $"""<figure id="{encode figure.Id}"><div class="panels{single}" style="--columns:{figure.Columns}">
{panels}
</div><figcaption>{name}{Markup.html (Markup.sentence figure.Caption)}</figcaption><div class=tools>{buttons}<a href="#runs?row={encode row}">its runs</a></div></figure>"""

/// A table with what stands under it; `number` is the paper's, or empty.
let table (source: Source option) (number: string) (table: Table) =
    let row tag (cells: string list) =
        let one (column: Column) text =
            let style =
                match column.Alignment with
                | Left -> ""
                | Right -> " class=number"
                | Centre -> " class=centre"
                | Wrapped _ -> " class=wrapped"

            $"<{tag}{style}>{text}</{tag}>"

        "<tr>" + String.Join("", List.map2 one table.Columns cells) + "</tr>"

    let header = row "th" (table.Columns |> List.map (fun c -> Markup.html c.Header))
    let body = table.Rows |> List.map (List.map (cell source) >> row "td") |> String.concat "\n"
    let notes = Table.notes table

    let note =
        if notes = "" then
            ""
        else
            $"<p class=note>{Markup.html notes}</p>"

    let name =
        if number = "" then
            ""
        else
            $"<b>Table {encode number}.</b> "

    $"""<div class=scroll><table id="{encode table.Id}"><caption>{name}{Markup.html (Markup.sentence table.Caption)}</caption>
<thead>{header}</thead><tbody>
{body}
</tbody></table></div>{note}"""

let private verdictClass verdict =
    match verdict with
    | Reproduced -> "reproduced"
    | Differs -> "differs"
    | AsExpected -> "expected"
    | NotAsExpected -> "unexpected"
    | NotComparable -> "incomparable"
    | Unjudged -> "unjudged"

/// How many claims have each verdict.
let verdicts (claims: Judgement list) =
    Claim.counts claims
    |> List.filter (fun (verdict, count) ->
        count > 0 || List.contains verdict [ Reproduced; Differs; NotComparable ])
    |> List.map (fun (verdict, count) ->
        $"<a class=\"verdict {verdictClass verdict}\" href=\"#replication\" data-verdict={verdictClass verdict}><b>{count}</b> {Claim.verdictText verdict}</a>")
    |> String.concat "\n"

/// What the sources state beside ours, with the rule and the verdict.
let claims (sources: Claim -> Source) (judgements: Judgement list) =
    let row (judged: Judgement) =
        let claim = judged.Claim
        let source = sources claim
        let decimals = Claim.decimalsOf claim.Reference

        let reference =
            match claim.Reference with
            | Printed reference -> cell None (Cell.Source(reference, decimals))
            | Cited reference ->
                cell None (Cell.Source(reference, decimals)) + " <span class=muted>(another work)</span>"
            | Theory reference ->
                cell None (Cell.Source(reference, decimals)) + " <span class=muted>(theory)</span>"
            | NoNumber -> "–"

        let ours = cell (Some source) (Seeds.resolved decimals judged.Mean judged.Se)

        let note =
            if judged.Note = "" then
                ""
            else
                $"<div class=muted>{Markup.html judged.Note}</div>"

        let kind = verdictClass judged.Verdict

        let outside =
            if judged.IsOutside then
                " <span class=muted>outside its rule</span>"
            else
                ""

        $"<tr class={kind}><td><a href=\"#{encode source.Row}\">{encode claim.Source}</a></td><td>{Markup.html claim.What}</td>"
        + $"<td class=number>{reference}</td><td class=number>{ours}</td><td>{Markup.html (Rule.text claim.Rule)}</td>"
        + $"<td><span class=\"verdict {kind}\">{Claim.verdictText judged.Verdict}</span>{outside}{note}</td></tr>"

    $"""<div class=scroll><table id=replication><caption>Values of the sources beside ours. Rules were fixed before the runs; the notes say where one was chosen after looking.</caption>
<thead><tr><th>Source</th><th>What</th><th class=number>Reference</th><th class=number>Ours</th><th>Rule</th><th>Verdict</th></tr></thead><tbody>
{judgements |> List.map row |> String.concat "\n"}
</tbody></table></div>"""
