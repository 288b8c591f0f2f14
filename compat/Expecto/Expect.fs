namespace Expecto

open System
open System.Collections
open System.Globalization
open System.Reflection
open System.Text.RegularExpressions
open Microsoft.FSharp.Reflection

/// How far apart two floats may be and still count as close: |a-b| <= absolute + relative * max(|a|,|b|).
type Accuracy = { absolute: float; relative: float }

[<RequireQualifiedAccess>]
module Accuracy =
    let areCloseLhs a b = abs (a - b)
    let areCloseRhs m a b = m.absolute + m.relative * max (abs a) (abs b)

    /// Equal infinities are close; NaN is close to nothing.
    let areClose m (a: float) (b: float) =
        if Double.IsInfinity a || Double.IsInfinity b then
            a = b
        else
            areCloseLhs a b <= areCloseRhs m a b

    let low = { absolute = 1e-6; relative = 1e-3 }
    let medium = { absolute = 1e-8; relative = 1e-5 }
    let high = { absolute = 1e-10; relative = 1e-7 }
    let veryHigh = { absolute = 1e-12; relative = 1e-9 }

/// How a value and the difference between two values are shown.
module internal Show =
    /// Numbers with all the digits that tell them apart, text in quotes, the rest as F# prints it.
    let value (value: obj | null) =
        match value with
        | null -> "null"
        | :? float as x -> x.ToString("R", CultureInfo.InvariantCulture)
        | :? float32 as x -> x.ToString("R", CultureInfo.InvariantCulture) + "f"
        | :? string as s -> "\"" + s + "\""
        | x -> sprintf "%A" x

    let private firstDifferentIndex (a: string) (b: string) =
        let shared = min a.Length b.Length

        seq { 0 .. shared - 1 }
        |> Seq.tryFind (fun i -> a[i] <> b[i])
        |> Option.defaultValue shared

    /// Private records are compared like public ones.
    let private all = BindingFlags.Public ||| BindingFlags.NonPublic

    let private items (sequence: IEnumerable) = sequence |> Seq.cast<obj | null> |> Seq.toArray

    /// Where two values part, when that can be said in a line.
    let rec difference (actual: obj | null) (expected: obj | null) : string option =
        match actual, expected with
        | (:? string as a), (:? string as e) ->
            let i = firstDifferentIndex a e
            Some $"The strings part at index {i}: actual \"{a.Substring i}\", expected \"{e.Substring i}\"."
        | (:? IEnumerable as a), (:? IEnumerable as e) ->
            let a, e = items a, items e

            match Seq.tryFind (fun i -> a[i] <> e[i]) (seq { 0 .. min a.Length e.Length - 1 }) with
            | Some i -> Some $"The sequences part at index {i}: actual {value a[i]}, expected {value e[i]}."
            | None when a.Length <> e.Length ->
                Some $"The actual has {a.Length} items, the expected {e.Length}."
            | None -> None
        | a, e ->
            match Option.ofObj a, Option.ofObj e with
            | Some a, Some e when FSharpType.IsRecord(a.GetType(), all) && a.GetType() = e.GetType() ->
                Seq.zip3
                    (FSharpType.GetRecordFields(a.GetType(), all))
                    (FSharpValue.GetRecordFields(a, all))
                    (FSharpValue.GetRecordFields(e, all))
                |> Seq.tryFind (fun (_, x, y) -> x <> y)
                |> Option.map (fun (field, x, y) ->
                    $"The records part in field {field.Name}: actual {value x}, expected {value y}.")
            | _ -> None

    /// The two values below each other, and where they part.
    let expectedActual message actual expected =
        let parting =
            difference actual expected |> Option.map (fun s -> "\n" + s) |> Option.defaultValue ""

        $"{message}.\nexpected: {value expected}\n  actual: {value actual}{parting}"

/// Expectations. The order is always: actual, expected, message; a failure shows both values.
[<RequireQualifiedAccess>]
module Expect =
    let private outcome (f: unit -> unit) =
        try
            f ()
            None
        with e ->
            Some e

    /// f raises some exception.
    let throws (f: unit -> unit) message =
        if (outcome f).IsNone then
            failtestf "%s. Expected f to throw." message

    /// f raises, and the continuation judges the exception.
    let throwsC (f: unit -> unit) (cont: exn -> 'a) : 'a =
        match outcome f with
        | Some e -> cont e
        | None -> failtest "Expected f to throw."

    /// f raises an exception of this very type or of one derived from it.
    let throwsT<'e when 'e :> exn> (f: unit -> unit) message =
        match outcome f with
        | Some(:? 'e) -> ()
        | Some e ->
            failtestf
                "%s. Expected f to throw an exn of type %s, but one of type %s was thrown: %s"
                message
                typeof<'e>.FullName
                (e.GetType().FullName)
                e.Message
        | None -> failtestf "%s. Expected f to throw." message

    let equal (actual: 'a) (expected: 'a) message =
        if actual <> expected then
            failtest (Show.expectedActual message (box actual) (box expected))

    let notEqual (actual: 'a) (expected: 'a) message =
        if actual = expected then
            failtestf "%s. Both values are %s." message (Show.value (box actual))

    let isTrue actual message =
        if not actual then
            failtestf "%s. Actual value was false but had expected it to be true." message

    let isFalse actual message =
        if actual then
            failtestf "%s. Actual value was true but had expected it to be false." message

    let private compared relation holds (a: 'a) (b: 'a) message =
        if not (holds a b) then
            failtestf
                "%s. Actual value was %s but had expected it to be %s %s."
                message
                (Show.value (box a))
                relation
                (Show.value (box b))

    let isLessThan (a: 'a) (b: 'a) message = compared "less than" (<) a b message
    let isLessThanOrEqual (a: 'a) (b: 'a) message = compared "less than or equal to" (<=) a b message
    let isGreaterThan (a: 'a) (b: 'a) message = compared "greater than" (>) a b message
    let isGreaterThanOrEqual (a: 'a) (b: 'a) message = compared "greater than or equal to" (>=) a b message

    /// |actual - expected| is within the accuracy.
    let floatClose accuracy (actual: float) (expected: float) message =
        if
            Double.IsNaN actual
            || Double.IsNaN expected
            || not (Accuracy.areClose accuracy actual expected)
        then
            failtestf
                "%s. Expected difference to be less than %.10g for accuracy {absolute=%.0e; relative=%.0e}, but was %.10g. actual=%.17g expected=%.17g"
                message
                (Accuracy.areCloseRhs accuracy actual expected)
                accuracy.absolute
                accuracy.relative
                (Accuracy.areCloseLhs actual expected)
                actual
                expected

    /// actual < expected, or close to it.
    let floatLessThanOrClose accuracy (actual: float) (expected: float) message =
        if not (actual < expected || Accuracy.areClose accuracy actual expected) then
            failtestf
                "%s. Expected actual to be less than or close to expected. actual=%.17g expected=%.17g"
                message
                actual
                expected

    /// actual > expected, or close to it.
    let floatGreaterThanOrClose accuracy (actual: float) (expected: float) message =
        if not (actual > expected || Accuracy.areClose accuracy actual expected) then
            failtestf
                "%s. Expected actual to be greater than or close to expected. actual=%.17g expected=%.17g"
                message
                actual
                expected

    let isNotNaN (f: float) message =
        if Double.IsNaN f then
            failtestf "%s. Float was the NaN (not a number) value." message

    let isNotInfinity (f: float) message =
        if Double.IsInfinity f then
            failtestf "%s. Float was an infinity: %g." message f

    let isSome (x: 'a option) message =
        if x.IsNone then
            failtestf "%s. Expected Some _, was None." message

    let isNone (x: 'a option) message =
        if x.IsSome then
            failtestf "%s. Expected None, was Some(%s)." message (Show.value (box x.Value))

    /// The value of an option that must have one.
    let wantSome (x: 'a option) message =
        match x with
        | Some value -> value
        | None -> failtestf "%s. Expected Some _, was None." message

    let isOk (x: Result<'a, 'b>) message =
        match x with
        | Ok _ -> ()
        | Error e -> failtestf "%s. Expected Ok, was Error(%s)." message (Show.value (box e))

    let isError (x: Result<'a, 'b>) message =
        match x with
        | Ok value -> failtestf "%s. Expected Error _, was Ok(%s)." message (Show.value (box value))
        | Error _ -> ()

    /// The value of a result that must be Ok.
    let wantOk (x: Result<'a, 'b>) message =
        match x with
        | Ok value -> value
        | Error e -> failtestf "%s. Expected Ok, was Error(%s)." message (Show.value (box e))

    /// The error of a result that must be Error.
    let wantError (x: Result<'a, 'b>) message =
        match x with
        | Ok value -> failtestf "%s. Expected Error _, was Ok(%s)." message (Show.value (box value))
        | Error e -> e

    let isEmpty (actual: 'a seq) message =
        if not (Seq.isEmpty actual) then
            failtestf
                "%s. Should be empty but has %i items, first %s."
                message
                (Seq.length actual)
                (Show.value (box (Seq.head actual)))

    let isNonEmpty (actual: 'a seq) message =
        if Seq.isEmpty actual then
            failtestf "%s. Should not be empty." message

    let hasLength (sequence: 'a seq) length message =
        let actual = Seq.length sequence

        if actual <> length then
            failtestf "%s. Expected a sequence of length %i, but it has %i items." message length actual

    /// Every element passes the predicate.
    let all (sequence: 'a seq) (asserter: 'a -> bool) message =
        sequence
        |> Seq.indexed
        |> Seq.tryFind (fun (_, x) -> not (asserter x))
        |> Option.iter (fun (i, x) ->
            failtestf "%s. The element at index %i fails: %s." message i (Show.value (box x)))

    /// Some element passes the predicate.
    let exists (sequence: 'a seq) (asserter: 'a -> bool) message =
        if not (Seq.exists asserter sequence) then
            failtestf "%s. No element passes." message

    let contains (sequence: 'a seq) (element: 'a) message =
        if not (Seq.contains element sequence) then
            failtestf
                "%s. Sequence does not contain %s.\nactual: %s"
                message
                (Show.value (box element))
                (Show.value (box (List.ofSeq sequence)))

    let containsAll (sequence: 'a seq) (elements: 'a seq) message =
        let missing = elements |> Seq.filter (fun e -> not (Seq.contains e sequence)) |> List.ofSeq

        if not missing.IsEmpty then
            failtestf "%s. Missing elements: %s." message (Show.value (box missing))

    let sequenceEqual (actual: 'a seq) (expected: 'a seq) message =
        let a, e = List.ofSeq actual, List.ofSeq expected

        if a <> e then
            failtest (Show.expectedActual message (box a) (box e))

    let private text relation holds (subject: string) (other: string) message =
        if not (holds subject other) then
            failtestf "%s. Expected subject to %s \"%s\".\nsubject: \"%s\"" message relation other subject

    let stringContains (subject: string) (substring: string) message =
        text "contain" (fun s o -> s.Contains(o, StringComparison.Ordinal)) subject substring message

    let stringStarts (subject: string) (prefix: string) message =
        text "start with" (fun s o -> s.StartsWith(o, StringComparison.Ordinal)) subject prefix message

    let stringEnds (subject: string) (suffix: string) message =
        text "end with" (fun s o -> s.EndsWith(o, StringComparison.Ordinal)) subject suffix message

    /// The subject matches the regular expression.
    let isMatch (actual: string) (pattern: string) message =
        text "match" (fun s o -> Regex.IsMatch(s, o)) actual pattern message
