/// `dotnet test` and IDEs ask a test program through Microsoft.Testing.Platform, which Expecto does not speak.
module Research.Tests.Platform

open System
open System.Collections.Generic
open System.Threading.Tasks
open Expecto
open Expecto.Impl
open Microsoft.Testing.Platform.Builder
open Microsoft.Testing.Platform.Capabilities.TestFramework
open Microsoft.Testing.Platform.Extensions
open Microsoft.Testing.Platform.Extensions.Messages
open Microsoft.Testing.Platform.Extensions.TestFramework
open Microsoft.Testing.Platform.Requests

/// The names of a test and of the lists around it, as Expecto prints them.
let private name (config: ExpectoConfig) (test: FlatTest) = config.joinWith.format test.name

type private Framework(tests: Test, config: ExpectoConfig) =
    let leaves = Test.toTestCodeList tests

    let node uid (properties: IProperty list) =
        TestNode(Uid = TestNodeUid uid, DisplayName = uid, Properties = PropertyBag(List.toArray properties))

    let timing (duration: TimeSpan) : IProperty =
        let finish = DateTimeOffset.UtcNow
        TimingProperty(TimingInfo(finish - duration, finish, duration))

    /// The tests that the caller chose.
    let chosen (request: TestExecutionRequest) =
        match request.Filter with
        | :? TestNodeUidListFilter as filter ->
            let ids = filter.TestNodeUids |> Seq.map _.Value |> HashSet
            leaves |> List.filter (fun test -> ids.Contains(name config test))
        | _ -> leaves

    /// Reports each test as it ends.
    let printer (report: string -> IProperty list -> unit) : TestPrinters =
        let now uid properties = async { report uid properties }

        {
            TestPrinters.silent with
                passed = fun uid time -> now uid [ PassedTestNodeStateProperty.CachedInstance; timing time ]
                ignored = fun uid reason -> now uid [ SkippedTestNodeStateProperty reason ]
                failed = fun uid message time -> now uid [ FailedTestNodeStateProperty message; timing time ]
                exn =
                    fun uid error time ->
                        now uid [ ErrorTestNodeStateProperty(error, error.Message); timing time ]
        }

    interface IExtension with
        member _.Uid = "Expecto"
        member _.Version = "11"
        member _.DisplayName = "Expecto"
        member _.Description = "Tests as values"
        member _.IsEnabledAsync() = Task.FromResult true

    interface ITestFramework with
        member _.CreateTestSessionAsync _ = Task.FromResult(CreateTestSessionResult(IsSuccess = true))
        member _.CloseTestSessionAsync _ = Task.FromResult(CloseTestSessionResult(IsSuccess = true))

        member this.ExecuteRequestAsync context =
            let report uid properties =
                let message = TestNodeUpdateMessage(context.Request.Session.SessionUid, node uid properties)
                context.MessageBus.PublishAsync(this, message).GetAwaiter().GetResult()

            let answer () =
                match context.Request with
                | :? DiscoverTestExecutionRequest as request ->
                    for test in chosen request do
                        report (name config test) [ DiscoveredTestNodeStateProperty.CachedInstance ]
                | :? RunTestExecutionRequest as request ->
                    let tests = Test.fromFlatTests config.joinWith.asString (chosen request)
                    let config = { config with printer = printer report }

                    runEvalWithCancel context.CancellationToken config tests
                    |> Async.RunSynchronously
                    |> ignore
                | other -> raise (NotSupportedException $"the tests cannot answer {other.GetType().Name}")

                context.Complete()

            Task.Run answer

    interface IDataProducer with
        member _.DataTypesProduced = [| typeof<TestNodeUpdateMessage> |]

/// Whether the command line was written by `dotnet test` or an IDE rather than by a user.
let isCalledBy (argv: string array) =
    argv |> Array.exists (fun word -> word = "--server" || word = "--dotnet-test-pipe")

/// Runs the tests for whoever speaks the platform's protocol; the exit code is the platform's.
let serve (argv: string array) (tests: Test) : int =
    task {
        let! builder = TestApplication.CreateBuilderAsync argv

        builder.RegisterTestFramework(
            (fun _ -> TestFrameworkCapabilities()),
            fun _ _ -> Framework(tests, ExpectoConfig.defaultConfig)
        )
        |> ignore

        use! application = builder.BuildAsync()
        return! application.RunAsync()
    }
    |> _.GetAwaiter().GetResult()
