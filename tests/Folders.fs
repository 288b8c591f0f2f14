/// Folders and runs that tests write to.
[<AutoOpen>]
module Research.Tests.Folders

open System.IO
open Expecto
open Research.Host

/// A new empty folder that is gone afterwards.
let inFolder (body: string -> unit) =
    let folder = Directory.CreateTempSubdirectory "research-test-"

    try
        body folder.FullName
    finally
        folder.Delete true

/// For the key of a run whose code does not matter.
let noCode = RunCode("none", readOnlyDict [])

/// A run opened for computing, as the runner opens it.
let opened (store: RunStore) (key: RunKey) : RunDirectory =
    match store.TryClaim(key, store.Watch()) with
    | :? Claim.Taken as taken -> taken.Run
    | claim -> failtest $"the run should be free, not {claim}"
