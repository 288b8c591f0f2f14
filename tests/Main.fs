module Research.Tests.Main

open Expecto
open TorchSharp
open Research.Host

/// Runs every value marked [<Tests>] in this assembly, or the training that a test wants in a process of its own, or
/// with `--page PATH` looks at a page that was rendered before.
/// One torch thread: the tests themselves run side by side.
[<EntryPoint>]
let main argv =
    NativeEnvironment.PinBlasThreads()

    match TinyTraining.tryRunChild argv |> Option.orElseWith (fun () -> Page.tryRun argv) with
    | Some code -> code
    | None ->
        torch.set_num_threads 1
        let code = runTestsInAssemblyWithCLIArgs [] argv
        Law.save ()
        code
