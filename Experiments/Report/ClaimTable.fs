/// The replication table: printed numbers beside ours.
module Research.Report.ClaimTable

/// a, b, ... z, aa, ab, ...
let rec private letter i = (if i < 26 then "" else letter (i / 26 - 1)) + string (char (int 'a' + i % 26))

/// Claims that a table shows in one row: neighbours about the same thing, none of which is judged. Their ids differ
/// in the last part only. Two values with their errors are too wide to stand side by side.
let private grouped (judgements: Judgement list) : Judgement list list =
    let stem judged = judged.Claim.Id[.. judged.Claim.Id.LastIndexOf '.' - 1]

    let together a b =
        stem a = stem b
        && a.Note = b.Note
        && a.Claim.Rule.IsNotJudged
        && a.Claim.Rule = b.Claim.Rule
        && List.forall (fun judged -> System.Double.IsNaN judged.Se) [ a; b ]

    List.foldBack
        (fun judged groups ->
            match groups with
            | (next :: _ as group) :: others when together judged next -> (judged :: group) :: others
            | _ -> [ judged ] :: groups)
        judgements
        []

/// `jsd-1: IS` and `jsd-1: FID` are `jsd-1: IS, FID` together.
let private whatOf (group: Judgement list) =
    let own (judged: Judgement) = Array.last (judged.Claim.What.Split(": ", 2))
    String.concat ", " (group.Head.Claim.What :: List.map own group.Tail)

/// A cell of a row: of one claim as it is, of several side by side.
let private cellOf (cell: Judgement -> Cell) (group: Judgement list) =
    match group with
    | [ single ] -> cell single
    | several -> several |> List.map (cell >> Cell.markup) |> String.concat ", " |> Text

/// The replication table, what the sources print before what theory expects: what was compared, by which rule, with which outcome.
let render (judgements: Judgement list) =
    let judgements =
        judgements |> List.sortBy (fun judged -> not (Yardstick.isPrinted judged.Claim.Reference))

    let notes =
        judgements
        |> List.map (fun j -> j.Note)
        |> List.filter (fun n -> n <> "")
        |> List.distinct

    let verdict judged =
        let text =
            Claim.verdictText judged.Verdict + (if judged.IsOutside then ", outside its rule" else "")

        match List.tryFindIndex ((=) judged.Note) notes with
        | Some i -> $"{text} ({letter i})"
        | None -> text

    let decimals judged = Claim.decimalsOf judged.Claim.Reference

    let reference judged =
        match judged.Claim.Reference with
        | Printed r
        // A whole number is printed without decimals.
        | Cited r -> Source(r, (if r = floor r then 0 else decimals judged))
        | Theory r -> Text $"${Markup.fixedPoint (decimals judged) r}$"
        | NoNumber -> Missing "the source prints no number"

    let ours judged = Seeds.resolved (decimals judged) judged.Mean judged.Se

    let row (group: Judgement list) = [
        Text group.Head.Claim.Source
        Text(whatOf group)
        cellOf reference group
        cellOf ours group
        Text(Rule.text group.Head.Claim.Rule)
        Text(verdict group.Head)
    ]

    {
        Id = "replication"
        Caption =
            "Printed values beside ours, of the sources and of works that they follow, then numbers that theory foretells and nobody prints. Rules were fixed before the runs; the notes say where a rule, or what is judged by it, was chosen after looking. Outside its rule: what cannot be judged and would not meet it as it stands."
        Columns = [
            Table.wrapped 0.08 "Source"
            Table.wrapped 0.23 "What"
            Table.right "Reference"
            Table.right "Ours"
            Table.wrapped 0.14 "Rule"
            Table.wrapped 0.14 "Verdict"
        ]
        Rows = grouped judgements |> List.map row
        Note =
            notes
            |> List.mapi (fun i note -> $"({letter i})\u00A0{Markup.sentence note}")
            |> String.concat " "
    }
