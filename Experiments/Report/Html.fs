/// Figures and tables as parts of a page for the browser.
module Research.Report.Html

open System
open System.Net

/// Text that may stand between tags and in quoted attributes.
let encode (text: string) = WebUtility.HtmlEncode text |> Option.ofObj |> Option.defaultValue ""

let private dataUri (image: Png.Image) = "data:image/png;base64," + Convert.ToBase64String(Png.encode image)

/// Pixels that an image of a grid is wide at most, and all of them together.
let private cell, private widestGrid = 48, 800

/// One stitched image; captions stand beside its rows and above its columns.
let private grid (grid: ImageGrid) =
    let image = Png.tile grid.Columns 1 grid.Images
    let width = min widestGrid (grid.Columns * cell)

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

/// A figure with the buttons that save it.
let figure (figure: Figure) =
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

    $"""<figure id="{encode figure.Id}"><div class="panels{single}" style="--columns:{figure.Columns}">
{panels}
</div><figcaption>{Markup.html (Markup.sentence figure.Caption)}</figcaption><div class=tools>{buttons}</div></figure>"""

/// A table with what stands under it.
let table (table: Table) =
    let row tag cells =
        let cell (column: Column) text =
            let style =
                match column.Alignment with
                | Left -> ""
                | Right -> " class=number"
                | Centre -> " class=centre"
                | Wrapped _ -> " class=wrapped"

            $"<{tag}{style}>{Markup.html text}</{tag}>"

        "<tr>" + String.Join("", List.map2 cell table.Columns cells) + "</tr>"

    let header = row "th" (table.Columns |> List.map (fun c -> c.Header))
    let body = table.Rows |> List.map (List.map Cell.markup >> row "td") |> String.concat "\n"
    let notes = Table.notes table

    let note =
        if notes = "" then
            ""
        else
            $"<p class=note>{Markup.html notes}</p>"

    $"""<div class=scroll><table id="{encode table.Id}"><caption>{Markup.html (Markup.sentence table.Caption)}</caption>
<thead>{header}</thead><tbody>
{body}
</tbody></table></div>{note}"""
