/// The Expecto subset: what a failing run shows, what the arguments choose, what the shell sees.
module Research.Tests.ExpectoTests

open System
open System.IO
open System.Threading
open System.Xml.Linq
open Expecto

type private Point = { X: int; Y: int }

/// Runs a tree as its own program would; gives the exit code and what it printed.
let private run (arguments: string list) tree =
    use output = new StringWriter()
    let out, error = Console.Out, Console.Error
    Console.SetOut output
    Console.SetError output

    try
        let code = runTestsWithCLIArgs [] (Array.ofList arguments) tree
        code, output.ToString()
    finally
        Console.SetOut out
        Console.SetError error

let private tree =
    testList "root" [
        testList "sums" [ testCase "one" ignore; testCase "two" ignore ]
        testList "products" [ testCase "one" ignore; ptestCase "pending" (fun () -> failtest "ran") ]
    ]

let private failing body =
    let code, output = run [] (testCase "breaks" body)
    Expect.equal code 1 "A failure is exit code 1"
    output

let private shows (parts: string list) output =
    for part in parts do
        Expect.stringContains output part "The report"

let private reporting = [
    testCase "a passing run is 0 and counts" (fun () ->
        let code, output = run [] tree
        Expect.equal code 0 "Exit code"
        shows [ "EXPECTO! 4 tests run"; "3 passed, 1 ignored, 0 failed, 0 errored. Success!" ] output)

    testCase "text shows where it parts" (fun () ->
        failing (fun () -> Expect.equal "kettle" "kernel" "Words")
        |> shows [ "breaks failed"; "Words"; "expected: \"kernel\""; "actual: \"kettle\""; "index 2" ])

    testCase "records show the field" (fun () ->
        failing (fun () -> Expect.equal { X = 1; Y = 2 } { X = 1; Y = 3 } "Points")
        |> shows [ "field Y: actual 2, expected 3"; "1 failed"; "Failure!" ])

    testCase "sequences show the index" (fun () ->
        failing (fun () -> Expect.sequenceEqual [ 1; 2; 3 ] [ 1; 5; 3 ] "Items")
        |> shows [ "index 1: actual 2, expected 5" ])

    testCase "floats show all their digits" (fun () ->
        failing (fun () -> Expect.equal (0.1 + 0.2) 0.3 "Sum") |> shows [ "0.30000000000000004" ])

    testCase "an exception is an error with its trace" (fun () ->
        failing (fun () -> invalidOp "boom")
        |> shows [ "breaks errored"; "boom"; "1 errored"; "ExpectoTests" ])

    testCase "the junit file holds the totals" (fun () ->
        let file = Path.Combine(Path.GetTempPath(), Path.GetRandomFileName())

        try
            run [ "--junit-summary"; file ] tree |> ignore

            let total name =
                match (XDocument.Load file).Root with
                | null -> failtest "The document has no root"
                | root -> root.Attribute(XName.Get name) |> string

            Expect.equal
                (total "tests", total "skipped", total "failures")
                ("tests=\"4\"", "skipped=\"1\"", "failures=\"0\"")
                "Totals"
        finally
            File.Delete file)
]

let private selecting = [
    testCase "--filter keeps a prefix of the path" (fun () ->
        run [ "--filter"; "root.sums" ] tree |> snd |> shows [ "2 tests run" ])

    testCase "--filter-test-case keeps names" (fun () ->
        run [ "--filter-test-case"; "one" ] tree |> snd |> shows [ "2 tests run" ])

    testCase "--filter-test-list keeps lists" (fun () ->
        run [ "--filter-test-list"; "prod" ] tree |> snd |> shows [ "2 tests run"; "1 ignored" ])

    testCase "--list-tests runs nothing" (fun () ->
        let code, output = run [ "--list-tests" ] tree
        let names = output.Split('\n', StringSplitOptions.RemoveEmptyEntries)
        Expect.equal code 0 "Exit code"

        Expect.sequenceEqual
            names
            [ "root.sums.one"; "root.sums.two"; "root.products.one"; "root.products.pending" ]
            "Names")

    testCase "focus silences the rest, and can be forbidden" (fun () ->
        let focused =
            testList "root" [ testCase "a" (fun () -> failtest "ran"); ftestCase "b" ignore ]

        run [] focused |> snd |> shows [ "1 passed, 1 ignored" ]
        Expect.equal (run [ "--fail-on-focused-tests" ] focused |> fst) 1 "Forbidden")

    testCase "nonsense is one sentence and exit code 2" (fun () ->
        for words, sentence in
            [
                [ "--nonsense" ], "Unknown argument '--nonsense'"
                [ "--filter" ], "--filter needs a value."
                [ "--parallel-workers"; "none" ], "positive number"
                [ "--filter"; "elsewhere" ], "No test passes the filters."
            ] do
            let code, output = run words tree
            Expect.equal code 2 "Exit code"
            Expect.stringContains output sentence "Sentence"
            Expect.equal (output.Trim().Split('\n').Length) 1 "One line")

    testCase "two tests of one name are refused" (fun () ->
        run [] (testList "root" [ testCase "a" ignore; testCase "a" ignore ])
        |> snd
        |> shows [ "Two tests are named 'root.a'" ])
]

let private running = [
    testCase "parallel tests meet, sequenced ones do not" (fun () ->
        let inside, most = ref 0, ref 0
        use meeting = new Barrier 2

        let enter body =
            lock most (fun () ->
                inside.Value <- inside.Value + 1
                most.Value <- max most.Value inside.Value)

            body ()
            lock most (fun () -> inside.Value <- inside.Value - 1)

        let meet () = Expect.isTrue (meeting.SignalAndWait 5000) "The other test runs meanwhile"
        let pair = testList "pair" [ testCase "a" meet; testCase "b" meet ]
        Expect.equal (run [ "--parallel-workers"; "2" ] pair |> fst) 0 "Parallel"

        let alone =
            List.init 4 (fun i -> testCase $"{i}" (fun () -> enter (fun () -> Thread.Sleep 2)))

        run [ "--parallel-workers"; "4" ] (testSequenced (testList "alone" alone)) |> ignore
        Expect.equal most.Value 1 "Sequenced"

        run [ "--parallel-workers"; "4" ] (testSequencedGroup "g" (testList "group" alone))
        |> ignore

        Expect.equal most.Value 1 "Grouped")

    testCase "a false property shows a shrunk counterexample and its seed" (fun () ->
        let fixedSeed = { FsCheckConfig.defaultConfig with replay = Some(1UL, 3UL, None) }

        let code, output =
            run [] (testPropertyWithConfig fixedSeed "small" (fun (n: int) -> abs n < 20))

        Expect.equal code 1 "Exit code"
        shows [ "Shrunk"; "20"; "replay = Some(" ] output)

    testPropertyWithConfig
        { FsCheckConfig.defaultConfig with maxTest = 200 }
        "reversing twice changes nothing"
        (fun (xs: int list) -> List.rev (List.rev xs) = xs)
]

/// Sequenced: the console is redirected.
[<Tests>]
let tests = testSequenced (testList "expecto subset" (reporting @ selecting @ running))
