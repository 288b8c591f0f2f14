/// Folders that tests write to.
[<AutoOpen>]
module Research.Tests.Folders

open System.IO

/// A new empty folder that is gone afterwards.
let inFolder (body: string -> unit) =
    let folder = Directory.CreateTempSubdirectory "research-test-"

    try
        body folder.FullName
    finally
        folder.Delete true
