/// Typesets the pictures of the generated figures once, side by side, and lets the report include them. LaTeX goes over
/// the report several times, and most of each time would go into its pictures.
module Research.Report.LatexPictures

open System.Diagnostics
open System.IO
open System.Text.RegularExpressions

let private picture =
    Regex(@"\\begin\{tikzpicture\}.*?\\end\{tikzpicture\}", RegexOptions.Singleline)

/// A document with one page of its own size for each picture, in the fonts of the report.
let private document (pictures: string list) : string =
    String.concat "\n" [
        @"\documentclass[11pt]{article}"
        @"\input{preamble}"
        @"\nofiles"
        @"\newsavebox{\picturebox}"
        @"\begin{document}"
        @"\pdfhorigin=0pt \pdfvorigin=0pt"
        for text in pictures do
            $@"\sbox{{\picturebox}}{{{text}}}%%"
            @"\pdfpagewidth=\wd\picturebox \pdfpageheight=\dimexpr\ht\picturebox+\dp\picturebox\relax"
            @"\shipout\box\picturebox"
        @"\end{document}"
        ""
    ]

/// Shares the pictures out so that all documents take about the same time, which goes with the length of the source.
let private share (documents: int) (pictures: string list) : string list list =
    let parts = Array.init documents (fun _ -> ResizeArray<string>())
    let load = Array.zeroCreate documents

    for text in pictures |> List.sortByDescending String.length do
        let least = load |> Array.indexed |> Array.minBy snd |> fst
        parts[least].Add text
        // What even the shortest one takes.
        load[least] <- load[least] + text.Length + 500

    parts
    |> Array.map List.ofSeq
    |> List.ofArray
    |> List.filter (fun part -> not part.IsEmpty)

let private name index = $"pictures-{index + 1}"

/// Pictures that are being typeset, and the files that they were taken from, as these were.
type Typesetting = { Documents: Process list; Sources: (string * string) list }

/// Replaces the pictures in `generated/figures` of a folder with the report's sources by pages of PDF files, and begins to make
/// these beside `main.tex`. Until `finish` nobody may include them.
let start (pdflatex: string) (cores: int) (folder: string) : Typesetting =
    let figures = Path.Combine(folder, "generated", "figures")

    let sources = [
        if Directory.Exists figures then
            for path in Directory.GetFiles(figures, "*.tex") |> Array.sort do
                path, File.ReadAllText path
    ]

    let pictures = [
        for _, text in sources do
            for found in picture.Matches text do
                found.Value
    ]

    let parts = pictures |> List.distinct |> share (max 1 cores)

    let pages =
        Map.ofList [
            for index, part in List.indexed parts do
                for page, text in List.indexed part do
                    text, $@"\reportpicture{{{name index}}}{{{page + 1}}}"
        ]

    for path, text in sources do
        File.WriteAllText(path, picture.Replace(text, (fun (found: Match) -> pages[found.Value])))

    let typeset index part =
        File.WriteAllText(Path.Combine(folder, name index + ".tex"), document part)
        LatexRun.start folder pdflatex (LatexRun.unattended @ [ name index + ".tex" ])

    { Documents = List.mapi typeset parts; Sources = sources }

/// Waits until all pictures are there. One with an error leaves all figures as they were: the report's own run then meets
/// the error, and says where it is.
let finish (typesetting: Typesetting) : unit =
    let codes = [
        for document in typesetting.Documents do
            use document = document
            fst (LatexRun.finish document)
    ]

    if List.exists ((<>) 0) codes then
        for path, text in typesetting.Sources do
            File.WriteAllText(path, text)
