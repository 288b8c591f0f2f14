namespace Expecto

open System

/// The base of the exceptions by which a test says how it ended.
type ExpectoException(message: string) =
    inherit Exception(message)

/// An expectation did not hold.
type AssertException(message: string) =
    inherit ExpectoException(message)

/// The test failed for a reason that it states itself.
type FailedException(message: string) =
    inherit ExpectoException(message)

/// The test asks to be skipped.
type IgnoreException(message: string) =
    inherit ExpectoException(message)

/// Whether a test runs: Focused ones silence the Normal ones, Pending ones never run.
type FocusState =
    | Normal
    | Pending
    | Focused

/// What a test does; it ends by returning or by an exception.
type TestCode =
    | Sync of stest: (unit -> unit)
    | Async of atest: Async<unit>

/// How a test may overlap others in time.
type SequenceMethod =
    /// Alone, after all parallel tests.
    | Synchronous
    /// Never together with a test of the same group.
    | SynchronousGroup of string
    | InParallel

/// A tree of tests.
type Test =
    | TestCase of code: TestCode * state: FocusState
    | TestList of tests: Test list * state: FocusState
    | TestLabel of label: string * test: Test * state: FocusState
    | Sequenced of sequenceMethod: SequenceMethod * test: Test

/// A leaf of the tree with what its branches say about it.
type FlatTest = {
    name: string list
    test: TestCode
    state: FocusState
    sequenced: SequenceMethod
} with

    /// The labels from the root to the leaf, joined by the separator that filters use.
    member this.fullName = String.Join(".", this.name)

/// Marks a value or property whose tests `runTestsInAssemblyWithCLIArgs` collects.
[<AttributeUsage(AttributeTargets.Property ||| AttributeTargets.Field ||| AttributeTargets.Method)>]
type TestsAttribute() =
    inherit Attribute()

/// Marks tests to be collected as pending.
[<AttributeUsage(AttributeTargets.Property ||| AttributeTargets.Field ||| AttributeTargets.Method)>]
type PTestsAttribute() =
    inherit Attribute()

/// Marks tests to be collected as focused.
[<AttributeUsage(AttributeTargets.Property ||| AttributeTargets.Field ||| AttributeTargets.Method)>]
type FTestsAttribute() =
    inherit Attribute()

[<RequireQualifiedAccess>]
module Test =
    /// An outer Pending wins over everything; an outer Focused over Normal.
    let private inherit' outer inner =
        match outer, inner with
        | Pending, _
        | _, Pending -> Pending
        | Focused, _
        | _, Focused -> Focused
        | Normal, Normal -> Normal

    /// The leaves in the order of the source, each with its path and inherited state.
    let toTestCodeList test =
        let rec walk path state sequenced test =
            match test with
            | TestCase(code, own) -> [
                {
                    name = List.rev path
                    test = code
                    state = inherit' state own
                    sequenced = sequenced
                }
              ]
            | TestList(tests, own) -> tests |> List.collect (walk path (inherit' state own) sequenced)
            | TestLabel(label, test, own) -> walk (label :: path) (inherit' state own) sequenced test
            | Sequenced(method', test) -> walk path state method' test

        walk [] Normal InParallel test

/// How tests are written.
[<AutoOpen>]
module TestBuilders =
    let private case state name code = TestLabel(name, TestCase(code, state), state)

    /// A test: a name and what it does.
    let testCase name (test: unit -> unit) = case Normal name (Sync test)

    /// A test that is listed and not run.
    let ptestCase name (test: unit -> unit) = case Pending name (Sync test)

    /// A test that silences those without focus.
    let ftestCase name (test: unit -> unit) = case Focused name (Sync test)

    let testCaseAsync name (test: Async<unit>) = case Normal name (Async test)
    let ptestCaseAsync name (test: Async<unit>) = case Pending name (Async test)
    let ftestCaseAsync name (test: Async<unit>) = case Focused name (Async test)

    let private list state name tests = TestLabel(name, TestList(List.ofSeq tests, state), state)

    /// A named list of tests.
    let testList name (tests: Test seq) = list Normal name tests

    /// A list none of whose tests run.
    let ptestList name (tests: Test seq) = list Pending name tests

    /// A list that silences the tests outside it.
    let ftestList name (tests: Test seq) = list Focused name tests

    let testLabel name test = TestLabel(name, test, Normal)

    /// Runs the tests alone, after those that run side by side.
    let testSequenced test = Sequenced(Synchronous, test)

    /// Runs the tests one after the other, beside tests of other groups.
    let testSequencedGroup name test = Sequenced(SynchronousGroup name, test)

    /// Ends the test as failed.
    let failtest (message: string) : 'a = raise (AssertException message)

    /// Ends the test as failed, with a formatted message.
    let failtestf format = Printf.ksprintf failtest format

    /// Ends the test as ignored.
    let skiptest (message: string) : 'a = raise (IgnoreException message)

    /// Ends the test as ignored, with a formatted message.
    let skiptestf format = Printf.ksprintf skiptest format

    /// The computation expression behind `test "name" { ... }`.
    type TestCaseBuilder(name: string, state: FocusState) =
        member _.TryFinally(body: unit -> unit, compensation: unit -> unit) =
            try
                body ()
            finally
                compensation ()

        member _.TryWith(body: unit -> unit, handler: exn -> unit) =
            try
                body ()
            with e ->
                handler e

        member _.Using(resource: 'r :> IDisposable, body: 'r -> unit) =
            use r = resource
            body r

        member _.For(sequence: 'a seq, body: 'a -> unit) =
            for item in sequence do
                body item

        member _.While(guard: unit -> bool, body: unit -> unit) =
            while guard () do
                body ()

        member _.Combine((), rest: unit -> unit) = rest ()
        member _.Zero() = ()
        member _.Delay(body: unit -> unit) = body
        member _.Run(body: unit -> unit) = case state name (Sync body)

    let test name = TestCaseBuilder(name, Normal)
    let ptest name = TestCaseBuilder(name, Pending)
    let ftest name = TestCaseBuilder(name, Focused)
