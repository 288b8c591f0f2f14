/// Compiles the paper with latexmk and says in a few clear sentences what is wrong.
module Research.Report.Latex

open System
open System.Diagnostics
open System.Globalization
open System.IO
open System.Security.Cryptography
open System.Text
open System.Text.RegularExpressions
open Research.Host

/// Boxes that stick out by more than this many points fail the build.
let overfullLimit = 5.0

/// Says what to install when latexmk or pdflatex is missing.
let missing =
    "LaTeX is not installed: run `apt-get install --no-install-recommends latexmk texlive-latex-extra texlive-pictures texlive-science lmodern`, or pass --no-paper."

let private error (line: string) =
    let found = Regex.Match(line, @"^(?:(\./[^:]+):(\d+): |! )(.+)$")

    if found.Success && not (found.Groups[3].Value.Contains "==> Fatal error") then
        let place =
            if found.Groups[1].Success then
                $"{found.Groups[1].Value.Substring 2}:{found.Groups[2].Value}: "
            else
                ""

        Some(place + Regex.Replace(found.Groups[3].Value, @"^(LaTeX Error|Package \w+ Error): ", ""))
    else
        None

let private unresolved (line: string) =
    let reference = Regex.Match(line, @"Reference `([^']+)' on page (\d+) undefined")
    let citation = Regex.Match(line, @"Citation [`']([^'`]+)' (?:on page \d+ )?undefined")
    let tall = Regex.Match(line, @"Float too large for page by ([0-9.]+pt)")
    let twice = Regex.Match(line, @"Label `([^']+)' multiply defined")

    if reference.Success then
        Some $"page {reference.Groups[2].Value} refers to '{reference.Groups[1].Value}', which has no label"
    elif citation.Success then
        Some $"'{citation.Groups[1].Value}' is cited and missing in references.bib"
    elif twice.Success then
        Some $"the label '{twice.Groups[1].Value}' is defined twice"
    elif tall.Success then
        Some $"a figure or table is {tall.Groups[1].Value} higher than a page"
    else
        None

let private overfull (file: string) (line: string) =
    let box = Regex.Match(line, @"^Overfull \\[hv]box \(([0-9.]+)pt too (?:wide|high)\)(.*)$")

    if box.Success then
        let excess = Double.Parse(box.Groups[1].Value, CultureInfo.InvariantCulture)

        if excess > overfullLimit then
            Some $"near {file}: a box is {excess:F1}pt too large{box.Groups[2].Value}"
        else
            None
    else
        None

/// What makes a build unacceptable, from its log (lines must not be wrapped:
/// `max_print_line`). Empty when nothing does. An error ends the build before
/// references settle, so the errors stand alone.
let problems (log: string) =
    let lines = log.Split '\n' |> Array.map (fun l -> l.TrimEnd '\r') |> Array.toList

    match lines |> List.choose error with
    | [] ->
        // The last source that TeX opened is where a box most likely belongs.
        let folder file line =
            let opened = Regex.Matches(line, @"\(\./([^\s()]+\.tex)")

            let file =
                if opened.Count > 0 then
                    opened[opened.Count - 1].Groups[1].Value
                else
                    file

            (overfull file line |> Option.orElse (unresolved line)), file

        lines |> List.mapFold folder "main.tex" |> fst |> List.choose id |> List.distinct
    | errors -> List.distinct errors

/// Whether the programs that compile the paper are on the PATH.
let isInstalled () = LatexRun.isInstalled "latexmk" && LatexRun.isInstalled "pdflatex"

let private citation = Regex @"\\(?:no)?cite[a-z]*\s*(?:\[[^\]]*\]\s*)*\{([^{}]+)\}"
let private bibliography = Regex @"\\(bibliographystyle|bibliography)\{([^{}]+)\}"

/// Makes the bibliography from what the sources in a folder cite, before LaTeX goes over them: else it would have to go
/// over all of them once more. Where this sees less than LaTeX, or fails, that time is lost and nothing else.
let private prepareBibliography (folder: string) : unit =
    let text =
        Directory.GetFiles(folder, "*.tex", SearchOption.AllDirectories)
        |> Seq.map (File.ReadAllText >> Paper.stripComments)
        |> String.concat "\n"

    // What LaTeX would leave for BibTeX to read.
    File.WriteAllLines(
        Path.Combine(folder, "citations.aux"),
        List.distinct [
            for found in citation.Matches text do
                for key in found.Groups[1].Value.Split(',', StringSplitOptions.TrimEntries) do
                    $@"\citation{{{key}}}"
            for found in bibliography.Matches text do
                let macro =
                    if found.Groups[1].Value = "bibliography" then
                        "bibdata"
                    else
                        "bibstyle"

                $@"\{macro}{{{found.Groups[2].Value}}}"
        ]
    )

    use running = LatexRun.start folder "bibtex" [ "-terse"; "citations" ]

    if fst (LatexRun.finish running) = 0 then
        File.Move(Path.Combine(folder, "citations.bbl"), Path.Combine(folder, "report.bbl"))

/// Begins to go over `main.tex` before its pictures are there: LaTeX then knows what every reference says, though not yet
/// on which page everything stands.
let private lookAhead (pdflatex: string) (folder: string) : Process =
    LatexRun.start
        folder
        pdflatex
        (LatexRun.unattended
         @ [ "-draftmode"; "-jobname=report"; @"\def\withoutpictures{}\input{main}" ])

/// Runs latexmk on `main.tex` in a folder. Returns whether it made the PDF, and what is wrong.
let private build (latexmk: string) (folder: string) : bool * string list =
    // Nobody's own settings.
    let arguments = [ "-norc"; "-pdf" ] @ LatexRun.unattended @ [ "-jobname=report"; "main.tex" ]
    use running = LatexRun.start folder latexmk arguments
    let exitCode, errors = LatexRun.finish running
    let log = Path.Combine(folder, "report.log")
    // TeX writes the bytes of its input, which need not be UTF-8.
    let found =
        if File.Exists log then
            problems (File.ReadAllText(log, Text.Encoding.Latin1))
        else
            []

    let isMade = exitCode = 0

    if isMade || not found.IsEmpty then
        isMade, found
    else
        false, [ $"latexmk failed: {errors.Trim()}; see paper/build/report.log" ]

/// Copies the sources, and beside them what was generated for this build.
let private copy (paperDirectory: string) (generated: PgfPlots.File list) (folder: string) =
    let write (path: string) (bytes: byte[]) =
        let target = Path.Combine(folder, path)
        Directory.CreateDirectory(Path.GetDirectoryName target |> nonNull) |> ignore
        File.WriteAllBytes(target, bytes)

    for path in Directory.GetFiles(paperDirectory, "*", SearchOption.AllDirectories) do
        let name = Path.GetRelativePath(paperDirectory, path)

        if not (Paper.isMade name) then
            write name ((Paper.source path).ReadBytes Paper.longestSource)

    for file in generated do
        write (Path.Combine("generated", file.Path)) file.Bytes

/// SHA-256 of files, by their names and contents.
let private digest (folder: string) (names: string seq) : string =
    use all = IncrementalHash.CreateHash HashAlgorithmName.SHA256

    for name in Seq.sortWith (fun a b -> String.CompareOrdinal(a, b)) names do
        all.AppendData(Encoding.UTF8.GetBytes name)
        all.AppendData(SHA256.HashData(File.ReadAllBytes(Path.Combine(folder, name))))

    Convert.ToHexStringLower(all.GetHashAndReset())

/// What a build leaves for others to read: the PDF, and the numbers of equations and pages, which the page takes from it.
let private products = [ "report.pdf"; "report.aux" ]

/// As `compile`, with the program that does the work.
let compileWith
    (latexmk: string)
    (paperDirectory: string)
    (generated: PgfPlots.File list)
    : Result<string, string list> =
    let folder = Directory.CreateTempSubdirectory "research-paper-"
    let target (name: string) = Path.Combine(paperDirectory, "build", name)

    let publish (name: string) =
        let made = Path.Combine(folder.FullName, name)

        if File.Exists made then
            Durable.Replace(target name, (fun stream -> stream.Write(File.ReadAllBytes made)))

    // From which sources the last build that found nothing wrong made what: a build beside it may have put its own products there.
    let record = target "report.sources"

    let made (place: string) =
        digest place (products |> List.filter (fun name -> File.Exists(Path.Combine(place, name))))

    let shown = Path.Combine(paperDirectory, "build")

    try
        copy paperDirectory generated folder.FullName

        let sources =
            Directory.GetFiles(folder.FullName, "*", SearchOption.AllDirectories)
            |> Seq.map (fun path -> Path.GetRelativePath(folder.FullName, path))
            |> digest folder.FullName

        Directory.CreateDirectory shown |> ignore

        if File.Exists record && File.ReadAllText record = $"{sources} {made shown}" then
            Ok(target "report.pdf")
        else
            if LatexRun.isInstalled "bibtex" then
                prepareBibliography folder.FullName

            let pictures = LatexPictures.start "pdflatex" Environment.ProcessorCount folder.FullName

            if not pictures.Documents.IsEmpty then
                use ahead = lookAhead "pdflatex" folder.FullName
                // Its errors are met again.
                LatexRun.finish ahead |> ignore

            LatexPictures.finish pictures
            let isMade, problems = build latexmk folder.FullName
            publish "report.log"

            if isMade then
                products |> List.iter publish

            if problems.IsEmpty then
                let text = $"{sources} {made folder.FullName}"
                Durable.Replace(record, (fun stream -> stream.Write(Encoding.UTF8.GetBytes text)))
                Ok(target "report.pdf")
            else
                Error problems
    finally
        folder.Delete true

/// Builds the report from the sources in `paperDirectory` and the generated files, publishes it as
/// `build/report.pdf` beside the sources, and returns its path, or the sentences that say what is wrong. No exceptions
/// for faults of the sources.
///
/// LaTeX works on copies in a folder of its own and the PDF appears by renaming: what a killed build or another build at
/// the same time leaves behind decides nothing. Where the sources and the PDF are those of the last build, nothing is done.
let compile (paperDirectory: string) (generated: PgfPlots.File list) : Result<string, string list> =
    if isInstalled () then
        compileWith "latexmk" paperDirectory generated
    else
        Error [ missing ]
