/// What `research data` does with data sets in a folder.
module Research.Experiments.DataCommand

open Research.Host

let private print (rows: DataRow seq) =
    for row in rows do
        let state = (string row.State).ToLowerInvariant()
        printfn "%s" ($"%-16s{row.Set} %-36s{row.File} %12d{row.Bytes}  %-10s{state} {row.Message}".TrimEnd())

let private isBad (row: DataRow) = row.State = DataFileState.Missing || row.State = DataFileState.Damaged

/// Lists, verifies or fetches the sets; the process's exit code.
let run (action: DataAction) (sets: DataSetSpec list) (directory: string) : int =
    match action with
    | DataAction.List ->
        for set in sets do
            print (DataCommands.List(set, directory))

        0
    | DataAction.Verify ->
        let rows = [ for set in sets -> DataCommands.Verify(set, directory) ]
        Seq.iter print rows

        if rows |> Seq.exists (Seq.exists isBad) then
            ResearchException.RunFailed
        else
            0
    | DataAction.Fetch ->
        for set in sets do
            DataCommands.Fetch(set, directory, Downloader.Patient)
            printfn "%s is complete" set.Title

        0
