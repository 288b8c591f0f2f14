namespace Research.Report

/// One entry of a table, or one value in the text.
type Cell =
    /// Text with `$...$` for mathematics.
    | Text of string
    | Number of value: float * decimals: int
    /// Few significant digits of numbers of very different size.
    | Scientific of value: float * digits: int
    | MeanSe of mean: float * se: float * decimals: int
    /// A number that a source states, not ours.
    | Source of value: float * decimals: int
    /// Nothing to show; the reason goes under the table.
    | Missing of reason: string

type Alignment =
    | Left
    | Right
    | Centre
    /// Text that wraps, this fraction of the page's width.
    | Wrapped of float

type Column = { Header: string; Alignment: Alignment }

/// A column of a table whose rows are values of one type: how it is headed, and what it shows of a row.
type Column<'row> = { Heading: Column; Cell: 'row -> Cell }

type Table = {
    /// Row id, then what: `ift1.table`.
    Id: string
    Caption: string
    Columns: Column list
    Rows: Cell list list
    /// Under the table; empty for none.
    Note: string
}

module Cell =
    let latex cell =
        match cell with
        | Text text -> Markup.latex text
        | Number(value, decimals) -> $"${Markup.fixedPoint decimals value}$"
        | Scientific(value, digits) -> $"${Markup.readable digits value}$"
        // One run has no spread: a standard error of nothing is not 0.
        | MeanSe(mean, se, decimals) when System.Double.IsNaN se -> $"${Markup.fixedPoint decimals mean}$"
        | MeanSe(mean, se, decimals) ->
            $@"${Markup.fixedPoint decimals mean} \pm {Markup.fixedPoint decimals se}$"
        | Source(value, decimals) -> $@"\source{{${Markup.fixedPoint decimals value}$}}"
        | Missing _ -> "--"

    /// A number and its standard error as they are written, the latter empty where there is none; None for other cells.
    let private parts cell =
        match cell with
        | Number(value, decimals)
        | Source(value, decimals) -> Some(Markup.fixedPoint decimals value, "")
        | MeanSe(mean, se, decimals) ->
            let error =
                if System.Double.IsNaN se then
                    ""
                else
                    Markup.fixedPoint decimals se

            Some(Markup.fixedPoint decimals mean, error)
        | Text _
        | Scientific _
        | Missing _ -> None

    /// The cells of a column that is flush right, points under points where some have a standard error and some have
    /// none, or one of more digits. A column of quantities with different decimals stays as it is.
    let aligned (cells: Cell list) : string list =
        let numbers = cells |> List.choose parts
        let errors = numbers |> List.map snd |> List.filter ((<>) "")
        let point (text: string) = (text + ".").IndexOf '.'

        let decimals =
            numbers |> List.map (fun (mean, _) -> mean.Length - point mean) |> List.distinct

        let phantom text = if text = "" then "" else $@"\phantom{{{text}}}"

        if errors.IsEmpty || decimals.Length > 1 then
            List.map latex cells
        else
            let longest = errors |> List.maxBy String.length

            let written (mean, error: string) =
                if error = "" then
                    mean + phantom $@"{{}}\pm {longest}"
                else
                    $@"{mean} \pm {phantom (longest.Substring(0, longest.Length - error.Length))}{error}"

            [
                for cell in cells do
                    match cell, parts cell with
                    | _, None -> latex cell
                    | Source _, Some number -> $@"\source{{${written number}$}}"
                    | _, Some number -> $"${written number}$"
            ]

    /// As text with `$...$` for mathematics; the reason of a missing cell stands in the table's notes.
    let markup cell =
        match cell with
        | Text text -> text
        | Source(value, decimals) -> $"${Markup.fixedPoint decimals value}$"
        | Missing _ -> "–"
        | Number _
        | Scientific _
        | MeanSe _ -> latex cell

module Column =
    let private make alignment header cell = {
        Heading = { Header = header; Alignment = alignment }
        Cell = cell
    }

    let left header (cell: 'row -> Cell) = make Left header cell
    let right header (cell: 'row -> Cell) = make Right header cell

    /// Words that wrap within this fraction of the page's width.
    let wrapped width header (text: 'row -> string) = make (Wrapped width) header (text >> Text)

    /// Words.
    let text header (text: 'row -> string) = left header (text >> Text)

    /// Numbers with so many decimals.
    let number header decimals (value: 'row -> float) = right header (fun row -> Number(value row, decimals))

    /// Numbers of very different size, with so many significant digits.
    let scientific header digits (value: 'row -> float) =
        right header (fun row -> Scientific(value row, digits))

module Table =
    /// A table as its columns and what its rows show.
    let over id caption (columns: Column<'row> list) (rows: 'row list) : Table = {
        Id = id
        Caption = caption
        Columns = columns |> List.map _.Heading
        Rows = rows |> List.map (fun row -> columns |> List.map (fun column -> column.Cell row))
        Note = ""
    }

    /// Quantities that are stated elsewhere beside ours: a title, the cell from there and our cell a row.
    let beside elsewhere id caption (rows: (string * Cell * Cell) list) : Table =
        rows
        |> over id caption [
            Column.text "" (fun (title, _, _) -> title)
            Column.right elsewhere (fun (_, stated, _) -> stated)
            Column.right "Ours" (fun (_, _, ours) -> ours)
        ]

    /// The same beside a source's.
    let besideSource id caption rows : Table = beside "Source" id caption rows

    let withNote note (table: Table) = { table with Note = note }

    let left header = { Header = header; Alignment = Left }
    let right header = { Header = header; Alignment = Right }
    let centre header = { Header = header; Alignment = Centre }

    let wrapped width header = { Header = header; Alignment = Wrapped width }

    let private specification column =
        match column.Alignment with
        | Left -> "l"
        | Right -> "r"
        | Centre -> "c"
        | Wrapped width -> $@">{{\raggedright\arraybackslash}}p{{{Markup.coordinate width}\linewidth}}"

    /// More lines than this may not fit on one page.
    let private longest = 36

    /// Characters to a line of small text as wide as the page.
    let private lineLength = 90.0

    /// Lines that the rows take, wrapped text included.
    let private lines (table: Table) =
        let lines column cell =
            match column.Alignment, cell with
            | Wrapped width, Text text -> max 1 (int (ceil (float text.Length / (width * lineLength))))
            | _ -> 1

        table.Rows |> List.sumBy (fun row -> List.map2 lines table.Columns row |> List.max)

    /// What stands under the table, with `$...$` for mathematics: its note, and why cells are missing.
    let notes (table: Table) =
        let reasons =
            table.Rows
            |> List.concat
            |> List.choose (function
                | Missing reason -> Some $"–: {reason}."
                | _ -> None)
            |> List.distinct

        (if table.Note = "" then
             reasons
         else
             Markup.sentence table.Note :: reasons)
        |> String.concat " "

    /// The table as LaTeX (booktabs).
    /// Raises `ArgumentException` when a row has not one cell per column.
    let latex (table: Table) =
        for row in table.Rows do
            if row.Length <> table.Columns.Length then
                invalidArg
                    (nameof table)
                    $"table {table.Id}: a row has {row.Length} cells, there are {table.Columns.Length} columns"

        let specification = table.Columns |> List.map specification |> String.concat ""
        let line cells = String.concat " & " cells + @" \\"
        let header = line (table.Columns |> List.map (fun c -> Markup.latex c.Header))

        let isLong = lines table > longest

        let body =
            table.Columns
            |> List.mapi (fun i column ->
                let cells = table.Rows |> List.map (List.item i)

                // A table of many pages has columns of many kinds, and no room to spare.
                if column.Alignment = Right && not isLong then
                    Cell.aligned cells
                else
                    List.map Cell.latex cells)
            |> List.transpose
            |> List.map line

        let caption =
            $@"\caption{{{Markup.latex (Markup.sentence table.Caption)}}}\label{{tab:{table.Id}}}"

        let notes = Markup.latex (notes table)

        if isLong then
            [
                @"\begingroup\small\setlength{\tabcolsep}{4.5pt}"
                $@"\begin{{longtable}}{{@{{}}{specification}@{{}}}}"
                caption + @"\\"
                @"\toprule"
                header
                @"\midrule\endfirsthead"
                @"\toprule"
                header
                @"\midrule\endhead"
                @"\bottomrule\endfoot"
                // Rows of wrapped cells run into each other without it.
                yield! body |> List.map (fun row -> row + @" \addlinespace[2pt]")
                @"\end{longtable}"
                if notes <> "" then
                    $@"\noindent\footnotesize {notes}\par"
                @"\endgroup"
            ]
        else
            [
                @"\begin{table}[!htbp]"
                @"\centering\small"
                caption
                @"\smallskip"
                // Standard errors make some tables wider than a page: these shrink, the others stay as they are.
                @"\begin{adjustbox}{max width=\linewidth}"
                $@"\begin{{tabular}}{{@{{}}{specification}@{{}}}}"
                @"\toprule"
                header
                @"\midrule"
                yield! body
                @"\bottomrule"
                @"\end{tabular}"
                @"\end{adjustbox}"
                if notes <> "" then
                    $@"\par\smallskip\parbox{{0.92\linewidth}}{{\centering\footnotesize {notes}}}"
                @"\end{table}"
            ]
        |> String.concat "\n"
