namespace Expecto

open FsCheck

/// How a property is checked; change it from `FsCheckConfig.defaultConfig`.
type FsCheckConfig = {
    /// Cases that must pass.
    maxTest: int
    /// Size of the first case.
    startSize: int
    /// Size of the last case.
    endSize: int
    /// (seed, gamma, size) of a failure to be repeated, as its message prints them.
    replay: (uint64 * uint64 * int option) option
    /// Types whose static members hold the Arbitrary instances to be used.
    arbitrary: System.Type list
    /// Cases that preconditions may reject for one that passes.
    maxRejected: int
} with

    static member defaultConfig = {
        maxTest = 100
        startSize = 1
        endSize = 100
        replay = None
        arbitrary = []
        maxRejected = 1000
    }

/// Properties: tests over generated values, shrunk to a small counterexample when they fail.
[<AutoOpen>]
module ExpectoFsCheck =
    let private show (args: obj list) = args |> List.map (fun arg -> Show.value arg) |> String.concat " "

    /// Turns FsCheck's verdict into the outcome of a test.
    let private judge name result =
        match result with
        | TestResult.Passed _ -> ()
        | TestResult.Failed(_, _, _, Outcome.Failed(:? IgnoreException as skipped), _, _, _) -> raise skipped
        | TestResult.Failed(data, original, shrunk, outcome, _, seed, size) ->
            let shrunk =
                if data.NumberOfShrinks = 0 then
                    ""
                else
                    $"\nShrunk {data.NumberOfShrinks} times to:\n\t{show shrunk}"

            let reason =
                match outcome with
                | Outcome.Failed e -> e.Message
                | other -> sprintf "%A" other

            $"Failed after {data.NumberOfTests} tests. Parameters:\n\t{show original}{shrunk}\nResult:\n\t{reason}\n"
            + $"Replay \"{name}\" with replay = Some({seed.Seed}UL, {seed.Gamma}UL, Some {size})"
            |> FailedException
            |> raise
        | TestResult.Exhausted data ->
            raise (
                FailedException
                    $"Exhausted after {data.NumberOfTests} tests: the preconditions reject too many cases"
            )

    let private check config name (property: 'p) =
        let runner = {
            new IRunner with
                member _.OnStartFixture _ = ()
                member _.OnArguments(_, _, _) = ()
                member _.OnShrink(_, _) = ()
                member _.OnFinished(_, result) = judge name result
        }

        let replay =
            config.replay
            |> Option.map (fun (seed, gamma, size) -> { Rnd = Rnd(seed, gamma); Size = size })

        let fsCheck =
            Config.Default
                .WithMaxTest(config.maxTest)
                .WithStartSize(config.startSize)
                .WithEndSize(config.endSize)
                .WithReplay(replay)
                .WithArbitrary(config.arbitrary)
                .WithMaxRejected(config.maxRejected)
                .WithName(name)
                .WithQuietOnSuccess(true)
                .WithRunner(runner)

        Check.One(fsCheck, property)

    let private propertyTest state config name property =
        TestLabel(name, TestCase(Sync(fun () -> check config name property), state), state)

    let testPropertyWithConfig config name property = propertyTest Normal config name property
    let ptestPropertyWithConfig config name property = propertyTest Pending config name property
    let ftestPropertyWithConfig config name property = propertyTest Focused config name property

    /// The property holds for 100 generated cases.
    let testProperty name property = propertyTest Normal FsCheckConfig.defaultConfig name property

    let ptestProperty name property = propertyTest Pending FsCheckConfig.defaultConfig name property
    let ftestProperty name property = propertyTest Focused FsCheckConfig.defaultConfig name property
