/// Where the paper's labels stand, and whom its citations name.
module Research.Report.Crossreferences

open System.IO
open System.Text.RegularExpressions

/// Where a label stands in the compiled paper.
type Place = {
    /// `equation`, `figure`, `section` ...
    Kind: string
    Number: string
    Page: int
}

/// Where the labels stand, from the file that LaTeX leaves beside the paper; empty when it was not compiled.
let places (aux: string) : Map<string, Place> =
    let entry =
        Regex
            @"\\newlabel\{([^}@]+)@cref\}\{\{\[(\w+)\]\[[^\]]*\]\[[^\]]*\]((?:[^{}]|\{[^{}]*\})*)\}\{\[[^\]]*\]\[[^\]]*\]\[[^\]]*\](\d+)\}"

    if not (File.Exists aux) then
        Map.empty
    else
        Map.ofList [
            for m in entry.Matches(File.ReadAllText aux) do
                m.Groups[1].Value,
                {
                    Kind = m.Groups[2].Value
                    Number = m.Groups[3].Value
                    Page = int m.Groups[4].Value
                }
        ]

/// `Kingma and Welling 2014` by key, from a BibTeX file.
let citations (bibliography: string) : Map<string, string> =
    let field (name: string) (entry: string) =
        let m = Regex.Match(entry, $@"(?s)\b{name}\s*=\s*\{{((?:[^{{}}]|\{{[^{{}}]*\}})*)\}}")
        m.Groups[1].Value.Replace("{", "").Replace("}", "")

    let family (author: string) = author.Split(',')[0] |> _.Trim()

    Map.ofList [
        for m in Regex.Matches(bibliography, @"(?s)@\w+\{([^,\s]+),(.*?)\n\}") do
            let entry = m.Groups[2].Value

            let names =
                match (field "author" entry).Split(" and ") |> Array.toList with
                | [ "" ] -> field "title" entry
                | [ one ] -> family one
                | [ one; two ] -> $"{family one} and {family two}"
                | first :: _ -> $"{family first} et al."
                | [] -> ""

            let year = field "year" entry
            m.Groups[1].Value, $"{names} {year}".Trim()
    ]
