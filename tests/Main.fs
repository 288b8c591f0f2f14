module Research.Tests.Main

open Expecto
open TorchSharp

/// Runs every value marked [<Tests>] in this assembly. One torch thread: the tests themselves run side by side.
[<EntryPoint>]
let main argv =
    torch.set_num_threads 1
    let code = runTestsInAssemblyWithCLIArgs [] argv
    Law.save ()
    code
