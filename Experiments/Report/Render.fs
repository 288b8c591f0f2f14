namespace Research.Report

open System
open System.IO
open System.Text

/// What one experiment contributes to the report.
type Section = {
    /// Row id, e.g. `ift1`.
    Row: string
    Origin: Origin
    Figures: Figure list
    Tables: Table list
    Values: Value list
    Claims: Claim list
    Guards: Guard list
    /// Guards speak of the full protocol: a shortened one proves none of them.
    FullOnly: bool
}

module Section =
    /// A section that shows nothing yet.
    let empty row origin = {
        Row = row
        Origin = origin
        Figures = []
        Tables = []
        Values = []
        Claims = []
        Guards = []
        FullOnly = false
    }

    let judgements (section: Section) : Judgement list =
        section.Claims |> List.map (Claim.judge section.Origin)

    let outcomes (section: Section) : (Guard * Outcome) list =
        section.Guards |> List.map (fun g -> g, Guard.outcome section.Origin section.FullOnly g)

/// What a source asks.
type Question = {
    /// Row id, e.g. `ift1`.
    Row: string
    /// E.g. `IFT P1.1`.
    Source: string
    Text: string
}

/// Everything that a rendering needs.
type Report = {
    Profile: string
    /// The data sets in use, as the title page names them.
    Data: string
    Device: string
    /// Processor, system and versions.
    Machine: string
    /// How many runs stand behind the report, and how long they took, added up.
    Work: string
    /// Revision of the sources as a title page names it, e.g. a commit.
    Revision: string
    Sections: Section list
    /// What each row asks, in the order of the sources.
    Questions: Question list
    /// Rows that did not run, with the reason as a sentence without full stop.
    NotRun: (string * string) list
    Laws: Law list
}

/// Writes `paper/generated/` and `claims.json` from results.
module Render =
    let private utf8 (text: string) = Encoding.UTF8.GetBytes text

    let private allClaims (report: Report) = report.Sections |> List.collect Section.judgements

    /// What the title page says of a report, by key.
    let metaOf (report: Report) : (string * string) list =
        let claims = allClaims report
        let ofSources, cited = Claim.ofSources claims, Claim.ofCited claims
        let count verdict judgements = string (Claim.count verdict judgements)

        [
            "profile", report.Profile
            "data", (if report.Data = "" then "none" else report.Data)
            "device", report.Device
            "machine", report.Machine
            "work", report.Work
            "revision", report.Revision
            "reproduced", count Reproduced ofSources
            "differs", count Differs ofSources
            "not-comparable", count NotComparable ofSources
            if not cited.IsEmpty then
                "cited", string cited.Length
                "cited-reproduced", count Reproduced cited
            if claims |> List.exists (fun judged -> not (Yardstick.isPrinted judged.Claim.Reference)) then
                "as-expected", count AsExpected claims
                "not-as-expected", count NotAsExpected claims
                "unjudged", count Unjudged claims
            "ruled", string (claims |> List.filter _.IsUndecided |> List.length)
            "outside", string (claims |> List.filter _.IsOutside |> List.length)
        ]

    let private meta (report: Report) =
        metaOf report
        |> List.map (fun (key, value) -> $@"\defmeta{{{key}}}{{{Markup.latex value}}}" + "\n")
        |> String.concat ""

    let private values (report: Report) =
        [
            for section in report.Sections do
                $@"\ran{{{section.Row}}}"
                $@"\defprovenance{{{section.Row}}}{{{Markup.latex (Origin.describe section.Origin)}}}"
                yield! section.Values |> List.map Value.latex
            for row, reason in report.NotRun do
                $@"\notrun{{{row}}}{{{Markup.latex reason}}}"
        ]
        |> List.map (fun line -> line + "\n")
        |> String.concat ""

    let private guards (report: Report) =
        report.Sections
        |> List.collect Section.outcomes
        |> List.map (fun g -> Guard.latex g + "\n")
        |> String.concat ""

    /// The files of `paper/generated/`, for sources that define these labels.
    let generated (labels: Set<string>) (report: Report) : PgfPlots.File list =
        let file path text : PgfPlots.File = { Path = path; Bytes = utf8 text }

        [
            file "meta.tex" (meta report)
            file "values.tex" (values report)
            file "guards.tex" (guards report)
            file "laws.tex" (report.Laws |> List.map (fun l -> Law.latex labels l + "\n") |> String.concat "")
            for section in report.Sections do
                yield! section.Figures |> List.collect PgfPlots.render

                for table in section.Tables do
                    file $"tables/{table.Id}.tex" (Table.latex table)
            match allClaims report with
            | [] -> ()
            | claims -> file "tables/replication.tex" (Table.latex (ClaimTable.render claims))
        ]

    /// Disagreements between the text of the paper and the results.
    let check (sources: Paper.Source list) (report: Report) =
        let notRun = report.NotRun |> List.map fst
        let collect f = report.Sections |> List.collect f
        let defined = collect (fun s -> s.Values) |> List.map (fun v -> v.Id)
        let figures = collect (fun s -> s.Figures) |> List.map (fun f -> f.Id)
        let tables = collect (fun s -> s.Tables) |> List.map (fun t -> t.Id)

        let strangers =
            collect (fun s -> [
                for id in
                    (s.Values |> List.map (fun v -> v.Id))
                    @ (s.Figures |> List.map (fun f -> f.Id))
                    @ (s.Tables |> List.map (fun t -> t.Id))
                    @ (s.Guards |> List.map (fun g -> g.Id))
                    @ (s.Claims |> List.map (fun c -> c.Id)) do
                    if not (Paper.belongsTo s.Row id) then
                        $"the experiment '{s.Row}' reports '{id}', whose id belongs to another row"
            ])

        let twice kind items =
            items
            |> List.countBy id
            |> List.filter (fun (_, n) -> n > 1)
            |> List.map (fun (id, _) -> $"the {kind} '{id}' is reported twice")

        strangers
        @ twice "value" defined
        @ twice "figure" figures
        @ twice "table" tables
        @ Paper.undefinedValues sources notRun (Set.ofList defined)
        @ Paper.unusedValues sources (Set.ofList defined)
        @ Paper.brokenGuards sources notRun (collect Section.outcomes)
        @ Paper.unusedInputs "reportfigure" sources figures
        @ Paper.unusedInputs "reporttable" sources tables

    let private replace (path: string) (bytes: byte[]) =
        Directory.CreateDirectory(Path.GetDirectoryName path |> nonNull) |> ignore
        Research.Host.Durable.Replace(path, (fun stream -> stream.Write bytes))

    /// Replaces `paperDirectory/generated/` and writes `claims.json` into `resultsDirectory`. Returns the files of
    /// `generated/` and what disagrees; the files are written all the same, so that they can be looked at.
    let write
        (paperDirectory: string)
        (resultsDirectory: string)
        (report: Report)
        : PgfPlots.File list * string list =
        let sources = Paper.read paperDirectory
        let directory = Path.Combine(paperDirectory, "generated")
        let files = generated (Paper.labels sources |> Set.ofList) report

        let wanted =
            files
            |> List.map (fun f -> Path.GetFullPath(Path.Combine(directory, f.Path)))
            |> Set.ofList

        if Directory.Exists directory then
            for path in Directory.GetFiles(directory, "*", SearchOption.AllDirectories) do
                // A figure of an earlier rendering must not pass for one of this.
                if not (wanted.Contains(Path.GetFullPath path)) then
                    File.Delete path

        for file in files do
            replace (Path.Combine(directory, file.Path)) file.Bytes

        replace
            (Path.Combine(resultsDirectory, "claims.json"))
            (utf8 (Claim.json report.Revision (allClaims report)))

        files, check sources report
