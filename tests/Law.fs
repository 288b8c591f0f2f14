namespace Research.Tests

open System
open System.Collections.Concurrent
open System.IO
open System.Text
open System.Text.Encodings.Web
open System.Text.Json
open Expecto
open TorchSharp

/// A bound on an error together with the reason that sets its size.
type Tolerance = { Bound: float; Reason: string }

module Tolerance =
    let private because reason bound = { Bound = bound; Reason = reason }

    /// Two expressions of the same number in float64: only rounding, over sums of some thousand terms.
    let float64Identity = because "rounding of float64" 1e-10

    /// Two expressions of the same number in float32.
    let float32Identity = because "rounding of float32" 1e-5

    /// A mean of n draws whose standard deviation is sd: five standard errors, exceeded by chance
    /// once in two million.
    let monteCarlo (n: int64) (sd: float) =
        because $"five standard errors of {n} draws" (5.0 * sd / sqrt (float n))

    /// An integral by a rule whose step leaves this much of a smooth integrand.
    let quadrature = because "error of the quadrature rule" 1e-6

    /// A derivative by central differences in float64: step squared against rounding over step.
    let finiteDifference = because "truncation and rounding of central differences" 1e-6

    /// A limit approached within a stated distance.
    let limit (distance: float) = because "distance from the limit" distance

    /// Whether an error is within the tolerance; NaN never is.
    let admits (error: float) (tolerance: Tolerance) = error <= tolerance.Bound

/// A statement that must hold for every instance of a list, and wrong versions of it that must not.
/// Adding an instance is one line in the list. A tolerance too wide to tell the formula from its
/// mutants fails, so the law is known to be able to fail.
type Law<'a> = {
    /// Stable name, cited by the paper as \verifiedby{...}.
    Id: string
    /// The identity or inequality in a sentence.
    Statement: string
    /// Labels of the paper's equations that it stands behind.
    Labels: string list
    /// What is tested, as it is called in the source.
    Function: string
    /// What it is tested on, each with a name.
    Instances: (string * 'a) list
    /// The largest deviation from the statement on an instance.
    Error: 'a -> float
    Tolerance: Tolerance
    /// The same with an error planted, each with a name: some instance must expose it.
    Mutants: (string * ('a -> float)) list
}

/// What a law's test measured.
type LawRecord = {
    Id: string
    Statement: string
    Labels: string list
    Function: string
    Instances: int
    LargestError: float
    Tolerance: float
    Reason: string
    RejectedMutants: string list
}

module Law =
    let private records = ConcurrentDictionary<string, LawRecord>()
    let private known = ConcurrentDictionary<string, bool>()

    /// Every tensor that a measurement makes is freed after it.
    let private measure (error: 'a -> float) instance =
        use _ = torch.NewDisposeScope()
        error instance

    /// NaN counts as infinite, so that it can neither pass nor hide behind a smaller error.
    let private worst errors =
        errors |> List.map (fun e -> if Double.IsNaN e then infinity else e) |> List.fold max 0.0

    let private complaints (law: Law<'a>) errors surviving = [
        for name, error in errors do
            if not (Tolerance.admits error law.Tolerance) then
                $"instance '{name}': error %.3g{error} exceeds %.3g{law.Tolerance.Bound} ({law.Tolerance.Reason})"
        for name, error in surviving do
            $"mutant '{name}' survives: its largest error %.3g{error} is within %.3g{law.Tolerance.Bound}"
    ]

    /// What the law measures on all its instances.
    /// Raises AssertException naming each instance outside the tolerance and each mutant within it.
    let check (law: Law<'a>) : LawRecord =
        if law.Instances.IsEmpty then
            failtest $"{law.Id} has no instance"

        if law.Mutants.IsEmpty then
            failtest $"{law.Id} has no mutant, so nothing shows that it can fail"

        let errors =
            law.Instances |> List.map (fun (name, instance) -> name, measure law.Error instance)

        let rejected, surviving =
            law.Mutants
            |> List.map (fun (name, error) -> name, law.Instances |> List.map (snd >> measure error) |> worst)
            |> List.partition (fun (_, error) -> not (Tolerance.admits error law.Tolerance))

        match complaints law errors surviving with
        | [] -> {
            Id = law.Id
            Statement = law.Statement
            Labels = law.Labels
            Function = law.Function
            Instances = law.Instances.Length
            LargestError = errors |> List.map snd |> worst
            Tolerance = law.Tolerance.Bound
            Reason = law.Tolerance.Reason
            RejectedMutants = rejected |> List.map fst
          }
        | faults -> failtest (law.Statement + "\n  " + String.Join("\n  ", faults))

    /// The law as a test named by its id; what it measured is kept for `save`.
    let test (law: Law<'a>) : Test =
        known[law.Id] <- true
        testCase law.Id (fun () -> records[law.Id] <- check law)

    /// Whether a test is a law, by its name.
    let isKnown (id: string) = known.ContainsKey id

    let private write (json: Utf8JsonWriter) (record: LawRecord) =
        let strings (name: string) (values: string list) =
            json.WriteStartArray name
            values |> List.iter json.WriteStringValue
            json.WriteEndArray()

        json.WriteStartObject()
        json.WriteString("id", record.Id)
        json.WriteString("statement", record.Statement)
        strings "labels" record.Labels
        json.WriteString("function", record.Function)
        json.WriteNumber("instances", record.Instances)

        json.WriteNumber("largestError", record.LargestError)
        json.WriteNumber("tolerance", record.Tolerance)
        json.WriteString("reason", record.Reason)
        strings "mutants" record.RejectedMutants
        json.WriteEndObject()

    let private readable =
        JsonWriterOptions(Indented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping)

    /// Records as a JSON array, by id.
    let toJson (records: LawRecord seq) =
        use buffer = new MemoryStream()

        do
            use json = new Utf8JsonWriter(buffer, readable)
            json.WriteStartArray()
            records |> Seq.sortBy _.Id |> Seq.iter (write json)
            json.WriteEndArray()

        Encoding.UTF8.GetString(buffer.ToArray())

    /// Writes what the laws that held have measured.
    let save (file: string) =
        Directory.CreateDirectory(Path.GetDirectoryName file |> Option.ofObj |> Option.defaultValue ".")
        |> ignore

        let temporary = file + ".tmp"
        File.WriteAllText(temporary, toJson records.Values + "\n")
        File.Move(temporary, file, overwrite = true)
