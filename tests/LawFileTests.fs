/// laws.json between the tests that write it and the report that shows it: read whole or refused, never executed.
module Research.Tests.LawFileTests

open System.IO
open System.Text.Json.Nodes
open System.Text.RegularExpressions
open Expecto
open Research.Report
open Research.Tests.Hostile

/// As the tests write it.
let private sound =
    """[{"id": "elbo/three-forms", "statement": "a = b", "labels": ["eq:elbo", "eq:gone"], "function": "elbo, betaElbo",
    "instances": 3, "largestError": 2e-13, "tolerance": 1e-10, "reason": "rounding", "mutants": ["50% of the KL", "x_i^2"]}]"""

let private read (json: string) =
    let mutable laws: Law list = []

    inFolder (fun folder ->
        let path = Path.Combine(folder, "laws.json")
        File.WriteAllText(path, json)
        laws <- Law.read path)

    laws

/// The same file with one field of its law changed, or removed.
let private changed (field: string) (json: string option) =
    let file = JsonNode.Parse sound |> nonNull
    let law = file[0] |> nonNull

    match json with
    | Some json -> law[field] <- JsonNode.Parse json
    | None -> law.AsObject().Remove field |> ignore

    file.ToJsonString()

let private tex = [
    """\input{/etc/hostname}"""
    """}\input{/etc/hostname}{"""
    "$\\input{x}$"
    "^^5cinput x"
    "a%"
    "#1"
    "{"
]

let private quoted (text: string) = (nonNull (JsonValue.Create text)).ToJsonString()

let private faults = [
    "empty", "", "its JSON is damaged"
    "cut", sound[..60], "its JSON is damaged"
    "another type", "{}", "its JSON is damaged or of another version"
    "a null", "[null]", "law 1 is not what a test records"
    "a number", "[1]", "its JSON is damaged"
    "twice", sound.TrimEnd(']') + "," + sound.TrimStart('['), "a law occurs twice"
    for field in [ "id"; "labels"; "function"; "largestError"; "tolerance"; "mutants" ] do
        $"no {field}", changed field None, "its JSON is damaged or of another version"
        $"null for {field}", changed field (Some "null"), "laws.json"
    "no number", changed "largestError" (Some "\"1e-3\""), "its JSON is damaged or of another version"
    "a negative error", changed "largestError" (Some "-1"), "law 1 is not what a test records"
    "an endless error", changed "tolerance" (Some "1e999"), "law 1 is not what a test records"
    "a null label", changed "labels" (Some "[null]"), "law 1 is not what a test records"
    "a null mutant", changed "mutants" (Some "[null]"), "law 1 is not what a test records"
    "a line end in a mutant", changed "mutants" (Some "[\"a\\nb\"]"), "law 1 is not what a test records"
    for text in tex do
        $"TeX in id: {text}", changed "id" (Some(quoted text)), "law 1 is not what a test records"
        $"TeX in function: {text}", changed "function" (Some(quoted text)), "law 1 is not what a test records"
]

[<Tests>]
let tests =
    testList "laws.json" [
        testCase "report/laws-sound" (fun () ->
            let law = read sound |> List.exactlyOne

            Expect.equal
                (Law.latex (Set.singleton "eq:elbo") law)
                @"\deflaw{elbo/three-forms}{\labelcref{eq:elbo}, eq:gone}{elbo, betaElbo}{$2.0\cdot10^{-13}$}{$1.0\cdot10^{-10}$}{50\% of the KL; x\_i\textasciicircum{}2}"
                "One row")

        testCase "report/laws-written" (fun () ->
            // The writer and the reader are apart; they must agree.
            let record: LawRecord = {
                Id = "elbo/three-forms"
                Statement = "a = b"
                Labels = [ "eq:elbo" ]
                Function = "elbo"
                Instances = 2
                LargestError = 1e-13
                Tolerance = 1e-10
                Reason = "rounding"
                RejectedMutants = [ "without the prior" ]
            }

            let law = read (Law.toJson [ record ]) |> List.exactlyOne

            Expect.equal
                (law.Id, law.LargestError, law.Mutants)
                (record.Id, 1e-13, record.RejectedMutants)
                "Read back")

        for name, json, fragment in faults do
            testCase $"report/laws-refused {name}" (fun () ->
                let sentence = sentenceOf (fun () -> read json |> ignore)
                Expect.stringContains sentence "laws.json: " "it names the file"
                Expect.stringContains sentence fragment "it says what is wrong"
                Expect.stringContains sentence "; run `./test`" "it says how to go on")

        for text in tex do
            for field in [ "labels"; "mutants" ] do
                testCase $"report/laws-escaped in {field}: {text}" (fun () ->
                    let law = read (changed field (Some $"[{quoted text}]")) |> List.exactlyOne
                    let row = Law.latex Set.empty law
                    // Nothing but what the renderer writes itself, and every brace of it is closed.
                    let known = @"\\(deflaw|cdot|textbackslash|textasciicircum|[{}$%#_])"
                    let rest = Regex.Replace(row, known, "")

                    Expect.isFalse
                        (rest.Contains '\\' || rest.Contains "^^" || rest.Contains '%' || rest.Contains '#')
                        rest

                    let count c = rest |> Seq.filter ((=) c) |> Seq.length
                    Expect.equal (count '{') (count '}') "braces are closed")
    ]
