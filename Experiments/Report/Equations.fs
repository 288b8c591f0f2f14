/// The paper's equations and the functions of Core.fs that compute them, as their sources say.
module Research.Report.Equations

open System
open System.IO
open System.Text.RegularExpressions

/// A labelled equation of the paper.
type Equation = {
    /// E.g. `eq:planar`.
    Label: string
    /// Its LaTeX.
    Text: string
    /// The title of its section.
    Section: string
    /// The row whose answer it belongs to; empty before the first of a file.
    Row: string
}

/// A function or type of Core.fs.
type Implementation = {
    /// As laws and callers name it, e.g. `DiagNormal.logProb`.
    Name: string
    /// What its documentation says, without the slashes.
    Doc: string
    Code: string
    /// Where it begins in the file, counted from 1.
    Line: int
    /// The equations that its documentation names.
    Labels: string list
}

/// The macros that a preamble defines.
let macros (preamble: string) : Tex.Macros =
    let preamble = Paper.stripComments preamble

    let body (m: Match) =
        let start = m.Index + m.Length - 1
        preamble[start + 1 .. Paper.closing preamble start - 2]

    Map.ofList [
        for m in Regex.Matches(preamble, @"\\newcommand\{\\([A-Za-z]+|\d)\}(?:\[(\d)\])?\{") do
            let count = if m.Groups[2].Success then int m.Groups[2].Value else 0
            m.Groups[1].Value, (count, body m)
        for m in Regex.Matches(preamble, @"\\DeclareMathOperator(\*?)\{\\([A-Za-z]+)\}\{") do
            m.Groups[2].Value, (0, $@"\operatorname{m.Groups[1].Value}{{{body m}}}")
    ]

let private label = Regex(@"\\label\{(eq:[^}]*)\}")

/// The rows of an environment that ends every equation of its own with two backslashes.
let private rows kind (text: string) =
    if kind = "align" then
        text.Split @"\\" |> Array.map _.Replace("&", "") |> Array.toList
    else
        [ text ]

/// The labelled equations of a source, in order.
let private ofSource (source: Paper.Source) : Equation list =
    /// The last argument of a heading before a position.
    let before (heading: string) position =
        Paper.uses heading 1 [ source ]
        |> List.filter (fun u -> u.At < position)
        |> List.tryLast
        |> Option.map _.Arguments.Head
        |> Option.defaultValue ""

    [
        for m in Regex.Matches(source.Text, @"(?s)\\begin\{(equation|align)\}(.*?)\\end\{\1\}") do
            for row in rows m.Groups[1].Value m.Groups[2].Value do
                let found = label.Match row

                if found.Success then
                    {
                        Label = found.Groups[1].Value
                        Text = Regex.Replace(label.Replace(row, ""), @"[\s.,;:]+$", "").Trim()
                        Section = before @"(?:sub)?section" m.Index
                        Row = before "question" m.Index
                    }
    ]

/// The labelled equations of the paper, in its order.
let read (sources: Paper.Source list) : Equation list =
    let position =
        sources
        |> List.filter (fun source -> source.Name = "main.tex")
        |> List.collect (fun main -> Paper.uses "input" 1 [ main ])
        |> List.mapi (fun i u -> u.Arguments.Head + ".tex", i)
        |> Map.ofList

    sources
    |> List.sortBy (fun source -> position.TryFind source.Name |> Option.defaultValue Int32.MaxValue)
    |> List.collect ofSource

let private declaration =
    Regex(@"^(?<indent> *)(?:let (?:rec |inline )*|type |module )(?<name>[A-Za-z]\w*)")

let private indentation (line: string) = line.Length - line.TrimStart().Length

/// Functions and types of a source file that have documentation, in order.
let implementations (text: string) : Implementation list =
    let lines = text.Split '\n' |> Array.map _.TrimEnd()

    let documentation i =
        [ i - 1 .. -1 .. 0 ]
        |> List.skipWhile (fun j -> lines[j].TrimStart().StartsWith "[<")
        |> List.takeWhile (fun j -> lines[j].TrimStart().StartsWith "///")
        |> List.rev
        |> List.map (fun j -> lines[j].TrimStart().Substring(3).Trim())

    /// The line after the last of a declaration: deeper ones, and brackets that close it.
    let finish i =
        let own = indentation lines[i]

        Seq.initInfinite (fun k -> i + 1 + k)
        |> Seq.find (fun j ->
            j = lines.Length
            || (lines[j] <> ""
                && indentation lines[j] <= own
                && not (Seq.contains (lines[j].TrimStart()[0]) "})]|")))

    let rec go i owner = [
        if i < lines.Length then
            let m = declaration.Match lines[i]

            let owner =
                if m.Success && m.Groups["indent"].Length = 0 then
                    ""
                else
                    owner

            if m.Success && lines[i].StartsWith "module " then
                yield! go (i + 1) (m.Groups["name"].Value + ".")
            else
                let doc = if m.Success then documentation i else []

                if doc.IsEmpty then
                    yield! go (i + 1) owner
                else
                    let next = finish i
                    let own = indentation lines[i]

                    let body =
                        lines[i .. next - 1] |> Array.map (fun l -> if l = "" then l else l.Substring own)

                    let said = String.concat " " doc

                    {
                        Name = owner + m.Groups["name"].Value
                        Doc = said
                        Code = (String.concat "\n" body).TrimEnd()
                        Line = i + 1
                        Labels = [ for m in Regex.Matches(said, "eq:[a-z0-9-]+") -> m.Value ]
                    }

                    yield! go next owner
    ]

    go 0 ""
