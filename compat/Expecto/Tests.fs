namespace Expecto

open System
open System.Collections.Generic
open System.Reflection
open System.Threading

/// How a test program is run.
[<AutoOpen>]
module Tests =
    [<Literal>]
    let private Failed = 1

    [<Literal>]
    let private BadUsage = 2

    let private complain (sentence: string) =
        eprintfn $"{sentence}"
        BadUsage

    let private printHelp () =
        for option, value, text in Arguments.help do
            printfn "  %-36s %s" (option + (if value = "" then "" else " " + value)) text

        0

    let private list states (tests: FlatTest list) =
        for test in tests do
            if List.isEmpty states || List.contains test.state states then
                printfn $"{test.fullName}"

        0

    let private duplicates (tests: FlatTest list) =
        tests |> List.countBy _.fullName |> List.filter (fun (_, n) -> n > 1) |> List.map fst

    /// Lets the tests that run end, and starts no other, when the user interrupts.
    let private untilInterrupted work =
        use source = new CancellationTokenSource()

        let interrupt =
            ConsoleCancelEventHandler(fun _ e ->
                e.Cancel <- not source.IsCancellationRequested
                source.Cancel())

        Console.CancelKeyPress.AddHandler interrupt

        try
            let result = work source.Token
            if source.IsCancellationRequested then Failed else result
        finally
            Console.CancelKeyPress.RemoveHandler interrupt

    let private runOnConsole settings (tests: FlatTest list) cancellation =
        Report.started tests.Length
        let summary = tests |> Impl.run settings.Workers cancellation Report.finished

        if settings.Summary then
            Report.summary summary

        settings.JUnit |> Option.iter (fun file -> Report.junit file summary)
        Report.totals summary
        if summary.successful then 0 else Failed

    let private start settings argv (all: FlatTest list) =
        let tests = all |> List.filter settings.Keep
        let focused = all |> List.filter _.state.IsFocused

        match duplicates all with
        | name :: _ when not settings.AllowDuplicates ->
            complain $"Two tests are named '{name}'; the names must differ."
        | _ when settings.FailOnFocus && not focused.IsEmpty ->
            eprintfn $"""Tests are focused: {String.Join(", ", focused |> List.map _.fullName)}."""
            Failed
        | _ when Platform.isCalledBy argv -> Platform.serve argv settings all
        | _ when settings.ListOnly.IsSome -> list settings.ListOnly.Value tests
        | _ when tests.IsEmpty && not all.IsEmpty -> complain "No test passes the filters."
        | _ -> untilInterrupted (runOnConsole settings tests)

    /// Runs the tests as the arguments and then the command line ask. 0: all passed, 1: some failed,
    /// 2: the command line makes no sense. Called by `dotnet test`, it answers through
    /// Microsoft.Testing.Platform instead, with that platform's exit codes.
    let runTestsWithCLIArgs (cliArgs: CLIArguments seq) (args: string array) (tests: Test) : int =
        let settings = cliArgs |> Seq.fold Arguments.apply Arguments.defaults
        let leaves = Test.toTestCodeList tests

        if Platform.isCalledBy args then
            start settings args leaves
        elif Array.contains "--help" args then
            printHelp ()
        else
            match Arguments.parse (List.ofArray args) with
            | Error sentence -> complain sentence
            | Ok parsed -> start (parsed |> List.fold Arguments.apply settings) args leaves

    let private marked (assembly: Assembly) =
        let everything = BindingFlags.Public ||| BindingFlags.NonPublic ||| BindingFlags.Static

        let stateOf (m: MemberInfo) =
            let has (attribute: Type) = m.IsDefined(attribute, false)

            if has typeof<FTestsAttribute> then Some Focused
            elif has typeof<PTestsAttribute> then Some Pending
            elif has typeof<TestsAttribute> then Some Normal
            else None

        let value (m: MemberInfo) =
            match m with
            | :? PropertyInfo as p -> p.GetValue null
            | :? FieldInfo as f -> f.GetValue null
            | :? MethodInfo as m -> m.Invoke(null, [||])
            | _ -> null

        // A let-bound value is a property and its backing field, both marked: taken once.
        let seen = HashSet<Test> HashIdentity.Reference

        [
            for type' in assembly.GetTypes() do
                for m in type'.GetMembers everything do
                    match stateOf m with
                    | None -> ()
                    | Some state ->
                        match value m with
                        | :? Test as test ->
                            if seen.Add test then
                                TestList([ test ], state)
                        | _ -> invalidOp $"{type'.FullName}.{m.Name} is marked as tests but is no Test."
        ]

    /// The tests of the calling program that are marked [<Tests>], [<PTests>] or [<FTests>].
    let testFromThisAssembly () =
        match Assembly.GetEntryAssembly() with
        | null -> None
        | assembly ->
            match marked assembly with
            | [] -> None
            | tests -> Some(TestList(tests, Normal))

    /// Collects the marked tests of this program and runs them.
    let runTestsInAssemblyWithCLIArgs (cliArgs: CLIArguments seq) (args: string array) : int =
        testFromThisAssembly ()
        |> Option.defaultValue (TestList([], Normal))
        |> runTestsWithCLIArgs cliArgs args
