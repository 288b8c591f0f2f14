namespace Expecto

open System
open System.Collections.Generic
open System.Threading.Tasks
open Microsoft.Testing.Platform.Builder
open Microsoft.Testing.Platform.Capabilities.TestFramework
open Microsoft.Testing.Platform.CommandLine
open Microsoft.Testing.Platform.Extensions
open Microsoft.Testing.Platform.Extensions.CommandLine
open Microsoft.Testing.Platform.Extensions.Messages
open Microsoft.Testing.Platform.Extensions.TestFramework
open Microsoft.Testing.Platform.Requests
open Microsoft.Testing.Platform.Services
open Expecto.Impl

/// The bridge to Microsoft.Testing.Platform: `dotnet test`, IDEs and their reports.
module internal Platform =
    let private version =
        match typeof<Test>.Assembly.GetName().Version with
        | null -> "0"
        | v -> v.ToString()

    /// Expecto's arguments that take a value or none, offered beside the platform's own.
    let private offered = [
        "sequenced"
        "parallel-workers"
        "filter"
        "filter-test-list"
        "filter-test-case"
        "junit-summary"
    ]

    let private options = [
        for option, value, text in Arguments.help do
            if List.contains (option.Substring 2) offered then
                let arity =
                    if value = "" then
                        ArgumentArity.Zero
                    else
                        ArgumentArity.ExactlyOne

                CommandLineOption(option.Substring 2, text, arity, false)
    ]

    /// Lets `dotnet test -- --filter kl` understand what `dotnet run -- --filter kl` does.
    type private Options() =
        interface ICommandLineOptionsProvider with
            member _.Uid = "Expecto.Options"
            member _.Version = version
            member _.DisplayName = "Expecto"
            member _.Description = "Expecto's command line"
            member _.IsEnabledAsync() = Task.FromResult true
            member _.GetCommandLineOptions() = List<CommandLineOption> options
            member _.ValidateCommandLineOptionsAsync _ = ValidationResult.ValidTask

            member _.ValidateOptionArgumentsAsync(option, values) =
                match Arguments.parse (("--" + option.Name) :: List.ofArray values) with
                | Ok _ -> ValidationResult.ValidTask
                | Error sentence -> ValidationResult.InvalidTask sentence

    let private parsed (commandLine: ICommandLineOptions) = [
        for option in offered do
            match commandLine.TryGetOptionArgumentList option with
            | true, values ->
                let values = values |> Option.ofObj |> Option.map List.ofArray |> Option.defaultValue []

                match Arguments.parse (("--" + option) :: values) with
                | Ok arguments -> yield! arguments
                | Error sentence -> invalidArg option sentence
            | _ -> ()
    ]

    let private state result : IProperty =
        match result with
        | TestResult.Passed -> PassedTestNodeStateProperty.CachedInstance
        | TestResult.Ignored reason -> SkippedTestNodeStateProperty reason
        | TestResult.Failed message -> FailedTestNodeStateProperty message
        | TestResult.Error e -> ErrorTestNodeStateProperty(e, e.Message)

    type private Framework(tests: FlatTest list, settings: Settings, commandLine: ICommandLineOptions) =
        let node (test: FlatTest) properties =
            TestNode(
                Uid = TestNodeUid test.fullName,
                DisplayName = test.fullName,
                Properties = PropertyBag(Array.ofList properties)
            )

        let timing (run: TestRun) : IProperty =
            let finish = DateTimeOffset.UtcNow
            TimingProperty(TimingInfo(finish - run.duration, finish, run.duration))

        let chosen (request: TestExecutionRequest) settings =
            match request.Filter with
            | :? TestNodeUidListFilter as filter ->
                let ids = filter.TestNodeUids |> Seq.map _.Value |> HashSet
                tests |> List.filter (fun test -> ids.Contains test.fullName && settings.Keep test)
            | _ -> tests |> List.filter settings.Keep

        interface IExtension with
            member _.Uid = "Expecto"
            member _.Version = version
            member _.DisplayName = "Expecto"
            member _.Description = "Tests as values"
            member _.IsEnabledAsync() = Task.FromResult true

        interface ITestFramework with
            member _.CreateTestSessionAsync _ = Task.FromResult(CreateTestSessionResult(IsSuccess = true))
            member _.CloseTestSessionAsync _ = Task.FromResult(CloseTestSessionResult(IsSuccess = true))

            member this.ExecuteRequestAsync context =
                let settings = parsed commandLine |> List.fold Arguments.apply settings

                let publish (request: TestExecutionRequest) node =
                    let message = TestNodeUpdateMessage(request.Session.SessionUid, node)
                    context.MessageBus.PublishAsync(this, message).GetAwaiter().GetResult()

                let answer () =
                    match context.Request with
                    | :? DiscoverTestExecutionRequest as request ->
                        for test in chosen request settings do
                            publish request (node test [ DiscoveredTestNodeStateProperty.CachedInstance ])
                    | :? RunTestExecutionRequest as request ->
                        let report run = publish request (node run.test [ state run.result; timing run ])

                        let summary =
                            chosen request settings |> run settings.Workers context.CancellationToken report

                        settings.JUnit |> Option.iter (fun file -> Report.junit file summary)
                    | other -> raise (NotSupportedException $"Expecto cannot answer {other.GetType().Name}")

                    context.Complete()

                Task.Run answer

        interface IDataProducer with
            member _.DataTypesProduced = [| typeof<TestNodeUpdateMessage> |]

    /// Whether the command line was written by `dotnet test` or an IDE rather than by a user.
    let isCalledBy (argv: string array) =
        argv |> Array.exists (fun word -> word = "--server" || word = "--dotnet-test-pipe")

    /// Runs the tests for whoever speaks the platform's protocol; the exit code is the platform's.
    let serve (argv: string array) settings (tests: FlatTest list) =
        task {
            let! builder = TestApplication.CreateBuilderAsync argv
            builder.CommandLine.AddProvider(fun () -> Options() :> ICommandLineOptionsProvider)

            builder.RegisterTestFramework(
                (fun _ -> TestFrameworkCapabilities()),
                fun _ services -> Framework(tests, settings, services.GetCommandLineOptions())
            )
            |> ignore

            use! application = builder.BuildAsync()
            return! application.RunAsync()
        }
        |> _.GetAwaiter().GetResult()
