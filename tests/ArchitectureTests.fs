/// Who may know whom, as ARCHITECTURE.md says it: references of projects, namespaces that sources open, files it names.
module Research.Tests.ArchitectureTests

open System.IO
open System.Text.RegularExpressions
open Expecto
open Research.Report
open Research.Tests.Repository

let private text (path: string) = File.ReadAllText(Path.Combine(root, path))

/// A project and the projects that it may refer to, by file name.
let private projects = [
    "Research.fsproj", []
    "Models/Models.fsproj", [ "Research.fsproj" ]
    "Host.CSharp/Host.csproj", []
    "Experiments/Report/Report.fsproj", [ "Host.csproj" ]
    "Experiments/Experiments.fsproj", [ "Research.fsproj"; "Models.fsproj"; "Host.csproj"; "Report.fsproj" ]
]

/// What the text of a project refers to.
let private references (project: string) =
    Regex.Matches(project, "<ProjectReference Include=\"([^\"]+)\"")
    |> Seq.map (fun m -> Path.GetFileName m.Groups[1].Value)
    |> Set.ofSeq

let private tools = [ "Core"; "Host"; "Models"; "Report"; "Experiments" ]

/// Sources, and the namespaces and modules below `Research.` that each may open, with all that is in them.
let private folders = [
    "Core.fs", []
    "Models/*.fs", [ "Core" ]
    "Host.CSharp/*.cs", [ "Host" ]
    "Experiments/Report/*.fs", [ "Report"; "Host" ]
    "Experiments/*.fs", tools
    "Experiments/Vae/*.fs", tools
    "Experiments/Gan/*.fs", tools
    "Experiments/Hw/*.fs", "Experiments.Hw" :: tools
    "Experiments/Ift/*.fs", "Experiments.Ift" :: tools
    "Experiments/Cs/*.fs", "Experiments.Cs" :: tools
    "Experiments/Yours/*.fs", "Experiments.Yours" :: "Experiments.Hw" :: tools
    "Experiments/Uva/*.fs", [ "Experiments.Uva"; "Experiments.Hw"; "Experiments.Ift" ] @ tools
    "Experiments/Nora/*.fs", [ "Experiments.Nora"; "Experiments.Hw"; "Experiments.Ift" ] @ tools
]

let private rows = [ "Hw"; "Ift"; "Cs"; "Uva"; "Nora" ]

/// What a source opens, or calls a row's module by, that the list does not allow.
let private strangers (allowed: string list) (source: string) =
    let opened =
        Regex.Matches(source, @"^\s*(?:open|using) Research\.([\w.]+);?", RegexOptions.Multiline)
        |> Seq.map _.Groups[1].Value

    let allowedToOpen (name: string) =
        let folder = name.Split('.') |> Array.truncate 2 |> String.concat "."

        List.contains name allowed
        || List.contains folder allowed
        || not (rows |> List.exists (fun row -> folder = $"Experiments.{row}"))
           && List.contains (name.Split('.')[0]) allowed

    opened |> Seq.filter (allowedToOpen >> not) |> Set.ofSeq

let private sourcesOf (pattern: string) =
    let folder, files =
        Path.GetDirectoryName pattern |> Option.ofObj |> Option.defaultValue "", Path.GetFileName pattern

    let depth =
        if folder = "Host.CSharp" then
            SearchOption.AllDirectories
        else
            SearchOption.TopDirectoryOnly

    Directory.GetFiles(Path.Combine(root, folder), nonNull files, depth)
    |> Array.filter (fun path -> not (Regex.IsMatch(path, @"[/\\](obj|bin)[/\\]")))

[<Tests>]
let tests =
    testList "architecture" [
        testCase "projects" (fun () ->
            for project, allowed in projects do
                Expect.isEmpty
                    (Set.difference (references (text project)) (Set.ofList allowed))
                    $"{project} refers to what it must not know"

            let planted =
                text "Models/Models.fsproj"
                + "<ProjectReference Include=\"../Host.CSharp/Host.csproj\" />"

            Expect.isTrue ((references planted).Contains "Host.csproj") "a planted reference is seen")

        testCase "namespaces" (fun () ->
            for pattern, allowed in folders do
                let sources = sourcesOf pattern
                Expect.isNonEmpty sources $"{pattern} names sources"

                for path in sources do
                    Expect.isEmpty
                        (strangers allowed (File.ReadAllText path))
                        $"{Path.GetRelativePath(root, path)} opens what it must not know"

            for allowed, planted in
                [
                    [ "Core" ], "open Research.Host\n"
                    tools, "open Research.Experiments.Hw.Digits\n"
                    "Experiments.Hw" :: tools, "open Research.Experiments.Ift\n"
                    [ "Host" ], "using Research.Models;\n"
                ] do
                Expect.isNonEmpty (strangers allowed planted) $"a planted '{planted.Trim()}' is seen")

        testCase "map" (fun () ->
            for m in Regex.Matches(text "ARCHITECTURE.md", @"`([A-Za-z.]+/[A-Za-z./]*)`") do
                let path = m.Groups[1].Value.TrimEnd('*')
                let isMade = path.StartsWith "paper/generated"
                let there = Path.Combine(root, path)

                Expect.isTrue
                    (isMade || File.Exists there || Directory.Exists there)
                    $"ARCHITECTURE.md names {path}, which is not there")

        testCase "colours" (fun () ->
            let pdf =
                Regex.Matches(
                    text "paper/report.sty",
                    @"\\definecolor\{([a-z-]+)\}\{HTML\}\{([0-9A-F]{6})\}"
                )
                |> Seq.map (fun m -> m.Groups[1].Value, "#" + m.Groups[2].Value)
                |> Map.ofSeq

            for name, colour in Colours.palette do
                Expect.equal
                    (pdf.TryFind name)
                    (Some colour)
                    $"{name} is the same in the PDF and on the page")
    ]
