namespace Expecto

open System

/// What a caller or a command line can ask of a run.
type CLIArguments =
    /// Don't run the tests in parallel.
    | Sequenced
    /// Run the tests in parallel, which is the default.
    | Parallel
    /// Number of threads (default: the number of logical processors).
    | Parallel_Workers of int
    /// Fail when some test is focused.
    | Fail_On_Focused_Tests
    /// Keep the tests whose full name, joined by dots, starts with this.
    | Filter of hiera: string
    /// Keep the tests in a list whose name contains this.
    | Filter_Test_List of substring: string
    /// Keep the tests whose own name contains this.
    | Filter_Test_Case of substring: string
    /// Keep the tests with these full names.
    | Run of tests: string list
    /// Print the names and run nothing.
    | List_Tests of listStates: FocusState list
    /// Print the names by outcome after the run.
    | Summary
    /// Write the results to this file in JUnit's form.
    | JUnit_Summary of string
    /// Accept tests that share a full name.
    | Allow_Duplicate_Names

/// Settings of a run, folded from arguments.
type internal Settings = {
    Workers: int
    Keep: FlatTest -> bool
    FailOnFocus: bool
    ListOnly: FocusState list option
    Summary: bool
    JUnit: string option
    AllowDuplicates: bool
}

module internal Arguments =
    let defaults = {
        Workers = Environment.ProcessorCount
        Keep = fun _ -> true
        FailOnFocus = false
        ListOnly = None
        Summary = false
        JUnit = None
        AllowDuplicates = false
    }

    let private keep condition settings = {
        settings with
            Keep = fun test -> settings.Keep test && condition test
    }

    let private has (part: string) (text: string) = text.Contains(part, StringComparison.Ordinal)

    let apply settings argument =
        match argument with
        | Sequenced -> { settings with Workers = 1 }
        | Parallel -> { settings with Workers = Environment.ProcessorCount }
        | Parallel_Workers n -> { settings with Workers = n }
        | Fail_On_Focused_Tests -> { settings with FailOnFocus = true }
        | Filter prefix -> keep (fun t -> t.fullName.StartsWith(prefix, StringComparison.Ordinal)) settings
        | Filter_Test_List part ->
            keep (fun t -> t.name |> List.take (t.name.Length - 1) |> List.exists (has part)) settings
        | Filter_Test_Case part -> keep (fun t -> has part (List.last t.name)) settings
        | Run names -> keep (fun t -> List.contains t.fullName names) settings
        | List_Tests states -> { settings with ListOnly = Some states }
        | CLIArguments.Summary -> { settings with Settings.Summary = true }
        | JUnit_Summary file -> { settings with JUnit = Some file }
        | Allow_Duplicate_Names -> { settings with AllowDuplicates = true }

    /// Argument, its value's name, what it does: the help, and what the parser knows.
    let help = [
        "--sequenced", "", "Don't run the tests in parallel."
        "--parallel", "", "Run the tests in parallel (default)."
        "--parallel-workers", "NUMBER", "Number of threads (default: the logical processors)."
        "--filter", "PREFIX", "Keep tests whose full name, joined by dots, starts with PREFIX."
        "--filter-test-list", "TEXT", "Keep tests in a list whose name contains TEXT."
        "--filter-test-case", "TEXT", "Keep tests whose own name contains TEXT."
        "--run", "NAME ...", "Keep tests with these full names."
        "--list-tests", "[STATE ...]", "Print the names and run nothing; states are normal, pending, focused."
        "--summary", "", "Print the names by outcome after the run."
        "--junit-summary", "FILE", "Write the results to FILE in JUnit's form."
        "--fail-on-focused-tests", "", "Fail when some test is focused."
        "--allow-duplicate-names", "", "Accept tests that share a full name."
        "--help", "", "Print this."
    ]

    let private isOption (word: string) = word.StartsWith("--", StringComparison.Ordinal)

    let private focusState (word: string) =
        match word.ToLowerInvariant() with
        | "normal" -> Ok Normal
        | "pending" -> Ok Pending
        | "focused" -> Ok Focused
        | _ -> Error $"'{word}' is no test state; the states are normal, pending and focused."

    let private allStates (words: string list) =
        (words, Ok [])
        ||> List.foldBack (fun word states ->
            states
            |> Result.bind (fun states -> focusState word |> Result.map (fun state -> state :: states)))

    let private workers (text: string) =
        match Int32.TryParse text with
        | true, n when n > 0 -> Ok(Parallel_Workers n)
        | _ -> Error $"--parallel-workers needs a positive number, not '{text}'."

    /// The arguments of a command line, or one sentence that says what is wrong with it.
    let parse (argv: string list) =
        let rec next words parsed =
            let single value rest = value |> Result.bind (fun argument -> next rest (argument :: parsed))

            match words with
            | [] -> Ok(List.rev parsed)
            | "--sequenced" :: rest -> single (Ok Sequenced) rest
            | "--parallel" :: rest -> single (Ok Parallel) rest
            | "--fail-on-focused-tests" :: rest -> single (Ok Fail_On_Focused_Tests) rest
            | "--summary" :: rest -> single (Ok CLIArguments.Summary) rest
            | "--allow-duplicate-names" :: rest -> single (Ok Allow_Duplicate_Names) rest
            | "--parallel-workers" :: value :: rest when not (isOption value) -> single (workers value) rest
            | "--filter" :: value :: rest when not (isOption value) -> single (Ok(Filter value)) rest
            | "--filter-test-list" :: value :: rest when not (isOption value) ->
                single (Ok(Filter_Test_List value)) rest
            | "--filter-test-case" :: value :: rest when not (isOption value) ->
                single (Ok(Filter_Test_Case value)) rest
            | "--junit-summary" :: value :: rest when not (isOption value) ->
                single (Ok(JUnit_Summary value)) rest
            | "--run" :: rest when not rest.IsEmpty && not (isOption rest.Head) ->
                single
                    (Ok(Run(List.takeWhile (isOption >> not) rest)))
                    (List.skipWhile (isOption >> not) rest)
            | "--list-tests" :: rest ->
                let states = rest |> List.takeWhile (isOption >> not) |> allStates
                single (states |> Result.map List_Tests) (List.skipWhile (isOption >> not) rest)
            | word :: _ when help |> List.exists (fun (option, _, _) -> option = word) ->
                Error $"{word} needs a value."
            | word :: _ -> Error $"Unknown argument '{word}'; --help lists the arguments."

        next argv []
