/// Where the tests find the files of the repository.
module Research.Tests.Repository

open System
open System.IO

/// The root of the repository, found from where the tests run.
let root =
    let rec up (directory: DirectoryInfo | null) =
        match directory with
        | null -> failwith "the tests do not run inside the repository"
        | d when File.Exists(Path.Combine(d.FullName, "Research.sln")) -> d.FullName
        | d -> up d.Parent

    up (DirectoryInfo AppContext.BaseDirectory)
