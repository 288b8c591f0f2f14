namespace Research.Report

open System
open System.Text.Json
open System.Text.Json.Serialization
open System.Text.RegularExpressions
open Research.Host

/// Result of a law test, as the test program records it.
type Law = {
    /// Stable test id, e.g. `elbo/three-forms`.
    Id: string
    /// What holds, in words.
    Statement: string
    /// Labels of the equations that it verifies, e.g. `eq:elbo-joint`.
    Labels: string list
    /// The functions of Core.fs that it calls.
    Function: string
    /// On how many instances it was tested.
    Instances: int
    LargestError: float
    Tolerance: float
    /// What sets the tolerance, e.g. `rounding of float64`.
    Reason: string
    /// Planted wrong formulas that it rejected.
    Mutants: string list
}

module Law =
    /// The tests record more than the appendix shows.
    let private format =
        JsonSerializerOptions(
            JsonSerializerDefaults.Strict,
            PropertyNamingPolicy = JsonNamingPolicy.CamelCase,
            UnmappedMemberHandling = JsonUnmappedMemberHandling.Skip
        )

    /// Far more than all laws of the project.
    let private longest = 16L <<< 20

    /// Ids and names are typeset as they are: nothing in them may mean something to TeX.
    let private isId (text: string) = Regex.IsMatch(text, @"^[a-z0-9-]+(/[a-z0-9-]+)+\z")

    let private isName (text: string) = Regex.IsMatch(text, @"^[A-Za-z0-9_ .,:;()/+*=<>|'!?@-]*\z")

    let private isError (value: float) = Double.IsFinite value && value >= 0.0

    let private isText (text: string) = not (isNull (box text)) && not (Seq.exists Char.IsControl text)

    let private isSound (law: Law) =
        isText law.Id
        && isId law.Id
        && isText law.Function
        && isName law.Function
        && isError law.LargestError
        && isError law.Tolerance
        && law.Instances > 0
        && isText law.Statement
        && isText law.Reason
        && List.forall isText law.Labels
        && List.forall isText law.Mutants

    /// Reads `[{id, labels, function, largestError, tolerance, mutants, ..}]`; a missing file is an empty list.
    /// Raises ResearchException for anything else.
    let read (path: string) : Law list =
        let file = InputFile(path, "run `./test`, which writes it again")

        if not file.Exists then
            []
        else
            let laws = file.ReadJson<Law[]>(longest, format) |> List.ofArray

            match laws |> List.tryFindIndex (fun law -> isNull (box law) || not (isSound law)) with
            | Some i -> raise (file.Refuse $"law {i + 1} is not what a test records")
            | None when (laws |> List.distinctBy _.Id).Length < laws.Length ->
                raise (file.Refuse "a law occurs twice")
            | None -> laws

    /// One row of the appendix. Labels that the paper lacks are printed, not linked.
    let latex (paperLabels: Set<string>) law =
        let label l =
            if paperLabels.Contains l then
                $@"\labelcref{{{l}}}"
            else
                Markup.escape l

        let error e = $"${Markup.scientific 2 e}$"
        let labels = law.Labels |> List.map label |> String.concat ", "
        let mutants = law.Mutants |> List.map Markup.escape |> String.concat "; "

        $@"\deflaw{{{law.Id}}}{{{labels}}}{{{law.Function}}}{{{error law.LargestError}}}{{{error law.Tolerance}}}{{{mutants}}}"
