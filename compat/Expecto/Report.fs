namespace Expecto

open System
open System.IO
open System.Xml.Linq
open Expecto.Impl

/// What a run shows and leaves behind.
module internal Report =
    let private line level (text: string) =
        let now = DateTime.Now.ToString "HH:mm:ss"
        printfn $"[{now} {level}] {text}"

    let private why =
        function
        | TestResult.Passed -> ""
        | TestResult.Ignored reason
        | TestResult.Failed reason -> reason
        | TestResult.Error e -> e.ToString()

    let started count = line "INF" $"EXPECTO? Running {count} tests..."

    /// A failure is shown when it happens, with its reason.
    let finished (run: TestRun) =
        match run.result with
        | TestResult.Failed _ ->
            line "ERR" $"{run.test.fullName} failed in {run.duration}.\n{why run.result}\n"
        | TestResult.Error _ ->
            line "ERR" $"{run.test.fullName} errored in {run.duration}.\n{why run.result}\n"
        | TestResult.Passed
        | TestResult.Ignored _ -> ()

    /// The names of every outcome, for --summary.
    let summary (runs: TestRunSummary) =
        let section title predicate =
            let chosen = runs.results |> List.filter (fun r -> predicate r.result)
            printfn $"{title}: {chosen.Length}"

            for run in chosen do
                printfn $"\t{run.test.fullName}"

        section "Passed" _.IsPassed
        section "Ignored" _.IsIgnored
        section "Failed" _.IsFailed
        section "Errored" _.IsError

    /// The last line: the totals.
    let totals (runs: TestRunSummary) =
        let verdict = if runs.successful then "Success!" else "Failure!"

        line
            "INF"
            $"EXPECTO! {runs.results.Length} tests run in {runs.duration} - {runs.passed} passed, {runs.ignored} ignored, {runs.failed} failed, {runs.errored} errored. {verdict}"

    /// Control characters, which XML 1.0 cannot hold, become U+FFFD.
    let private xmlText (text: string) =
        text
        |> String.map (fun c ->
            if Xml.XmlConvert.IsXmlChar c || Char.IsSurrogate c then
                c
            else
                '\uFFFD')

    let private name text = XName.Get text
    let private attribute key (value: obj) = XAttribute(name key, value)

    let private junitCase (run: TestRun) =
        let path = run.test.name
        let suite = String.Join(".", List.take (path.Length - 1) path)

        let case =
            XElement(
                name "testcase",
                attribute "name" (xmlText (List.last path)),
                attribute "classname" (xmlText suite),
                attribute "time" (run.duration.TotalSeconds.ToString "F3")
            )

        let outcome kind = case.Add(XElement(name kind, attribute "message" (xmlText (why run.result))))

        match run.result with
        | TestResult.Passed -> ()
        | TestResult.Ignored _ -> outcome "skipped"
        | TestResult.Failed _ -> outcome "failure"
        | TestResult.Error _ -> outcome "error"

        case

    /// Writes the run in the form that JUnit's readers know; the attributes of its root are the totals.
    let junit (file: string) (runs: TestRunSummary) =
        Path.GetDirectoryName(Path.GetFullPath file)
        |> Option.ofObj
        |> Option.iter (fun folder -> Directory.CreateDirectory folder |> ignore)

        let totals = [
            attribute "tests" runs.results.Length
            attribute "failures" runs.failed
            attribute "errors" runs.errored
            attribute "skipped" runs.ignored
            attribute "time" (runs.duration.TotalSeconds.ToString "F3")
        ]

        let suite =
            XElement(name "testsuite", attribute "name" "Expecto", totals, runs.results |> List.map junitCase)

        XDocument(XElement(name "testsuites", totals, suite)).Save file
