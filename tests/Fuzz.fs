/// How much random testing is done: little in the suite, more on request.
module Research.Tests.Fuzz

open System

/// RESEARCH_FUZZ times the usual number of rounds.
let rounds (usual: int) =
    match Int32.TryParse(Environment.GetEnvironmentVariable "RESEARCH_FUZZ") with
    | true, factor when factor > 0 -> factor * usual
    | _ -> usual
