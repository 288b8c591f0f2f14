namespace Research.Report

open System.IO
open System.Text.Json

/// Result of a law test, as the test program records it.
type Law = {
    /// Stable test id, e.g. `elbo/three-forms`.
    Id: string
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
    let private string (e: JsonElement) = e.GetString() |> Option.ofObj |> Option.defaultValue ""

    let private ofJson (e: JsonElement) =
        let text (name: string) =
            match e.TryGetProperty name with
            | true, v when v.ValueKind = JsonValueKind.String -> string v
            | _ -> ""

        let number (name: string) =
            match e.TryGetProperty name with
            | true, v when v.ValueKind = JsonValueKind.Number -> v.GetDouble()
            | _ -> nan

        let list (name: string) =
            match e.TryGetProperty name with
            | true, v when v.ValueKind = JsonValueKind.Array -> [ for s in v.EnumerateArray() -> string s ]
            | _ -> []

        {
            Id = text "id"
            Statement = text "statement"
            Labels = list "labels"
            Function = text "function"
            Instances = int (number "instances" |> fun n -> if System.Double.IsNaN n then 0.0 else n)
            LargestError = number "largestError"
            Tolerance = number "tolerance"
            Reason = text "reason"
            Mutants = list "mutants"
        }

    /// Reads `[{id, statement, labels, function, instances, largestError, tolerance, reason, mutants}]`;
    /// a missing file is an empty list. Raises `JsonException` for anything else.
    let read (path: string) =
        if not (File.Exists path) then
            []
        else
            use document = JsonDocument.Parse(File.ReadAllText path)
            [ for e in document.RootElement.EnumerateArray() -> ofJson e ]

    /// One row of the appendix. Labels that the paper lacks are printed, not linked.
    let latex (paperLabels: Set<string>) law =
        let label l =
            if paperLabels.Contains l then
                $@"\cref{{{l}}}"
            else
                Markup.escape l

        let error e =
            if System.Double.IsNaN e then
                "--"
            else
                $"${Markup.scientific 2 e}$"

        let labels = law.Labels |> List.map label |> String.concat ", "
        let mutants = law.Mutants |> List.map Markup.latex |> String.concat "; "

        $@"\deflaw{{{law.Id}}}{{{labels}}}{{{law.Function}}}{{{error law.LargestError}}}{{{error law.Tolerance}}}{{{mutants}}}"
