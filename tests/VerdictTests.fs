/// What the report says of results: verdicts on claims, checks behind sentences, faults of the paper's sources.
module Research.Tests.VerdictTests

open System
open System.IO
open System.Text
open System.Text.Json
open System.Text.RegularExpressions
open Expecto
open Research.Report

let source text : Paper.Source = { Name = "section.tex"; Text = Paper.stripComments text }

let origin = {
    Profile = "paper"
    Data = "MNIST"
    StandIn = false
    Device = "CPU"
    Seeds = 3
    Shortened = None
}

let private claims =
    testList "claims" [
        testCase "report/claim" (fun () ->
            let judge origin values =
                Claim.that "IFT P1.1" "ift1.elbo" "bound"
                |> Claim.beside 100.94
                |> Claim.judgedBy (AtMost 102.0) values
                |> Claim.judge origin

            let claim = judge origin [ 101.0; 102.0; 103.0 ]
            Expect.equal claim.Verdict Reproduced "At the limit"
            Expect.floatClose Accuracy.high claim.Se (1.0 / sqrt 3.0) "Standard error of the mean"
            Expect.equal (judge origin [ 102.1 ]).Verdict Differs "Above the limit"
            Expect.equal (judge origin [ nan ]).Verdict Differs "NaN reproduces nothing"

            let judgeTheory values =
                Claim.that "NORA" "nora3.ratio" "ratio"
                |> Claim.expecting 100.0
                |> Claim.judgedBy (AtMost 102.0) values
                |> Claim.judge origin

            Expect.equal (judgeTheory [ 101.0 ]).Verdict AsExpected "A number of theory is not reproduced"
            Expect.equal (judgeTheory [ 103.0 ]).Verdict NotAsExpected "Above the limit"

            Expect.equal
                (Claim.summary [
                    claim
                    claim
                    judge origin [ 102.1 ]
                    judgeTheory [ 101.0 ]
                    judgeTheory [ 103.0 ]
                ])
                "2 reproduced, 1 different, 0 not comparable; 1 of 2 expectations of theory met"
                "In a line"

            let cited =
                Claim.that "NORA" "nora6.error100" "error"
                |> Claim.besideCited 12.0
                |> Claim.judgedBy (AtMost 13.0) [ 12.5 ]

            Expect.equal (Claim.judge origin cited).Verdict Reproduced "A printed number, of another work"

            Expect.equal
                (Claim.summary [ claim; Claim.judge origin cited ])
                "1 reproduced, 0 different, 0 not comparable; 1 of 1 values of other works reproduced"
                "which is counted apart"

            let lost = Claim.judge origin (Claim.incomparable "the data are lost" cited)
            Expect.equal lost.Verdict NotComparable "No run can be held against it"
            Expect.equal lost.Note "the data are lost" "and why"
            Expect.isFalse lost.IsOutside "It meets its rule all the same"

            Expect.isTrue
                (judge { origin with Shortened = Some "4 epochs" } [ 103.0 ]).IsOutside
                "What cannot be judged and does not meet its rule is told apart"

            Expect.equal (judge { origin with StandIn = true } [ 101.0 ]).Verdict NotComparable "Stand-in"
            Expect.equal (judge { origin with Profile = "smoke" } [ 101.0 ]).Verdict NotComparable "Smoke"

            Expect.equal
                (judge { origin with Shortened = Some "4 epochs" } [ 101.0 ]).Note
                "4 epochs"
                "Shortened")

        testCase "report/replication" (fun () ->
            let judge note =
                Claim.that "CS P1" "cs1.kl" "KL"
                |> Claim.judgedBy (Within(1.0, 25.0)) [ 25.5 ]
                |> Claim.noting note
                |> Claim.judge origin

            let table = ClaimTable.render [ judge "first"; judge ""; judge "second"; judge "first" ]

            Expect.equal
                (table.Rows |> List.map (List.last >> Cell.markup))
                [ "as expected (a)"; "as expected"; "as expected (b)"; "as expected (a)" ]
                "Each note once, by letter"

            Expect.stringContains (Table.latex table) "(a)~first. (b)~second." "Under the table")

        testCase "report/claims-json" (fun () ->
            let claim =
                Claim.that "CS P1" "cs1.kl" "$-$KL"
                |> Claim.judgedBy (Within(1.0, 25.0)) [ 25.5 ]
                |> Claim.judge origin

            use json = JsonDocument.Parse(Claim.json "r1" [ claim ])
            let first = json.RootElement[0]
            Expect.equal (first.GetProperty("id").GetString()) "cs1.kl" "Id"
            Expect.equal (first.GetProperty("reference").ValueKind) JsonValueKind.Null "No reference"
            Expect.equal (first.GetProperty("se").ValueKind) JsonValueKind.Null "One seed has no error"
            Expect.equal (first.GetProperty("revision").GetString()) "r1" "Revision"
            Expect.equal (first.GetProperty("verdict").GetString()) "as expected" "Verdict")
    ]

let private checks =
    let sources = [
        source
            "A \\val{ift1.elbo} % \\val{ift1.commented}\n\\guarded{ift1.falls}{The bound\n {really} falls.} \\val{hw5.2.kl}"
    ]

    testList "checks" [
        testCase "report/undefined-value" (fun () ->
            let found = Paper.undefinedValues sources [] (Set.ofList [ "ift1.elbo" ])
            Expect.equal found.Length 1 "One is undefined, the comment does not count"

            Expect.stringContains
                found.Head
                "section.tex:3: the text uses the value 'hw5.2.kl'"
                "Named with its place"

            Expect.isEmpty
                (Paper.undefinedValues sources [ "hw5.2" ] (Set.ofList [ "ift1.elbo" ]))
                "Its row did not run"

            Expect.isFalse (Paper.belongsTo "hw5.2" "hw5.20.kl") "Rows end at a dot")

        testCase "report/unused-value" (fun () ->
            let found = Paper.unusedValues sources (Set.ofList [ "ift1.elbo"; "ift1.kl" ])

            Expect.equal
                found
                [ "the value 'ift1.kl' is reported and never used in the text" ]
                "The unused one")

        testCase "report/guard/lists" (fun () ->
            let check = Guard.that "ift1.falls" "of two lists of numbers"

            let state (guard: Guard) = guard.Holds, guard.Found
            let low, high = ("low", [ 1.0; 2.0 ]), ("high", [ 3.0; 2.5 ])
            Expect.equal (state (check |> Guard.all ((>) 4.0) [ low; high ])) (true, [ low; high ]) "all"

            Expect.equal
                (state (check |> Guard.all ((>) 3.0) [ low; high ]))
                (false, [ low; high ])
                "but the first of high"

            Expect.equal
                (state (check |> Guard.every ((>) 2.0) "low" (snd low)))
                (false, [ low ])
                "but the last of low"

            Expect.equal (state (check |> Guard.pairs (<) low high)) (true, [ low; high ]) "seed by seed"
            Expect.equal (state (check |> Guard.pairs (>) low high)) (false, [ low; high ]) "in this order"
            Expect.equal (state (check |> Guard.ordered (<) "low" (snd low))) (true, [ low ]) "rises"
            Expect.equal (state (check |> Guard.ordered (<) "high" (snd high))) (false, [ high ]) "falls")

        testCase "report/guard" (fun () ->
            let outcome (origin: Origin) fullOnly holds =
                let guard =
                    Guard.that "ift1.falls" "last below first"
                    |> Guard.holds holds
                    |> Guard.found [ "first", [ 166.1 ]; "last", [ 170.2 ] ]

                guard, Guard.outcome origin fullOnly guard

            let guard holds = outcome origin false holds
            Expect.isEmpty (Paper.brokenGuards sources [] [ guard true ]) "It holds"
            let found = Paper.brokenGuards sources [] [ guard false ]
            Expect.equal found.Length 1 "It fails"
            Expect.stringContains found.Head "\"The bound {really} falls.\"" "The sentence is named"
            Expect.stringContains found.Head "first 166.1; last 170.2" "With the numbers that decided"
            Expect.stringContains (Paper.brokenGuards sources [] []).Head "has no check" "Without a check"

            let smoke = outcome { origin with Profile = "smoke" } false false
            Expect.isEmpty (Paper.brokenGuards sources [] [ smoke ]) "Not asserted in profile smoke"
            let short = { origin with Shortened = Some "4 epochs" }
            Expect.equal (snd (outcome short false false)) Fails "Asserted of a shortened protocol"

            Expect.equal
                (snd (outcome short true false))
                (NotAssessed "4 epochs")
                "Unless it speaks of the full one alone")

        testCase "report/typed-decimal" (fun () ->
            let found =
                Paper.typedDecimals [
                    source
                        "\\source{100.94} \\val{hw5.1.elbo} \\cref{fig:hw5.1.x} 0.5\\linewidth\n$10^{-3}$ and 101.2"
                ]

            Expect.equal found.Length 1 "Only the last"
            Expect.stringContains found.Head "section.tex:2: the number 101.2" "Named")

        testCase "report/log" (fun () ->
            let log = [
                "(./main.tex (./experiments/flows.tex"
                "Overfull \\hbox (4.9pt too wide) in paragraph at lines 1--2"
                "Overfull \\hbox (22.60912pt too wide) in alignment at lines 52--52"
                "LaTeX Warning: Reference `eq:nothing' on page 3 undefined on input line 7."
                "Package natbib Warning: Citation `nobody2020' on page 4 undefined on input line 9."
                "LaTeX Warning: Float too large for page by 51.2pt on input line 40."
            ]

            let found = Latex.problems (String.concat "\n" log)
            Expect.equal found.Length 4 "Four problems, the small box is none"
            Expect.stringContains found[0] "near experiments/flows.tex: a box is 22.6pt too large" "The box"
            Expect.stringContains found[1] "page 3 refers to 'eq:nothing'" "The reference"
            Expect.stringContains found[2] "'nobody2020' is cited" "The citation"
            Expect.stringContains found[3] "51.2pt higher than a page" "The float"

            let fatal =
                "./experiments/flows.tex:12: Package report Error: The value 'a.b' is used in the text."

            Expect.equal
                (Latex.problems (String.concat "\n" (log @ [ fatal ])))
                [ "experiments/flows.tex:12: The value 'a.b' is used in the text." ]
                "An error stands alone")
    ]

[<Tests>]
let tests = testList "report" [ claims; checks ]
