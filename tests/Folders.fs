/// Folders and runs that tests write to.
[<AutoOpen>]
module Research.Tests.Folders

open System
open System.IO
open Expecto
open Research.Host

/// A process that was told to end may still write while its folder goes.
let rec private remove (attempts: int) (folder: DirectoryInfo) : unit =
    try
        folder.Delete true
    with :? IOException when attempts > 1 ->
        Threading.Thread.Sleep 500
        remove (attempts - 1) folder

/// A new empty folder that is gone afterwards.
let inFolder (body: string -> unit) =
    let folder = Directory.CreateTempSubdirectory "research-test-"

    try
        body folder.FullName
    finally
        remove 20 folder

/// For the key of a run whose code does not matter.
let noCode = RunCode("none", readOnlyDict [])

/// Copies a folder with all that is in it.
let rec copyFolder (source: string) (target: string) : unit =
    Directory.CreateDirectory target |> ignore

    for file in Directory.GetFiles source do
        File.Copy(file, Path.Combine(target, nonNull (Path.GetFileName file)))

    for folder in Directory.GetDirectories source do
        copyFolder folder (Path.Combine(target, nonNull (Path.GetFileName folder)))

/// A copy of the paper's sources in a new folder, with Core.fs where the report looks for it: beside the paper.
let paperIn (folder: string) : string =
    let paper = Path.Combine(folder, "paper")
    copyFolder (Path.Combine(Repository.root, "paper")) paper

    for made in [ "generated"; "build" ] do
        let made = Path.Combine(paper, made)

        if Directory.Exists made then
            Directory.Delete(made, true)

    File.Copy(Path.Combine(Repository.root, "Core.fs"), Path.Combine(folder, "Core.fs"))
    paper

/// A run opened for computing, as the runner opens it.
let opened (store: RunStore) (key: RunKey) : RunDirectory =
    match store.TryClaim(key, store.Watch()) with
    | :? Claim.Taken as taken -> taken.Run
    | claim -> failtest $"the run should be free, not {claim}"
