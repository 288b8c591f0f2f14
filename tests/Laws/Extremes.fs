/// What extreme inputs are and what is demanded of them: the value that the mathematics has, to rounding of the type, or
/// an ArgumentException that names the argument.
module Research.Tests.Laws.Extremes

open System
open TorchSharp
open Research.Core

/// A function of Core, named as it is called, at an input in words; the check returns what is wrong.
type Case = { Function: string; Input: string; Check: unit -> string option }

/// Makes a vector of the type under test.
type Make = float list -> Tensor

let private types = [ torch.float32; torch.float64 ]

let private maker (dtype: torch.ScalarType) : Make =
    fun xs -> torch.tensor(List.toArray xs, dtype = torch.float64).``to`` dtype

/// An expected number as the type has it: what it cannot hold is infinite or zero.
let private inType (dtype: torch.ScalarType) (x: float) =
    if dtype = torch.float32 then float (float32 x) else x

let private close (tolerance: float) (absolute: float) (expected: float) (actual: float) =
    expected = actual
    || (Double.IsNaN expected && Double.IsNaN actual)
    || abs (actual - expected) <= tolerance * abs expected + absolute

/// The elements, of which there may be none.
let private elements (x: Tensor) : float list =
    if x.numel () = 0L then
        []
    else
        x.double().contiguous().data<float>().ToArray() |> List.ofArray

let private compare dtype absolute (expected: float list) (actual: Tensor) =
    let tolerance = if dtype = torch.float32 then 2e-6 else 1e-12
    let expected = expected |> List.map (inType dtype)
    let actual = elements (actual.detach ())

    if actual.Length = expected.Length && List.forall2 (close tolerance absolute) expected actual then
        None
    else
        Some $"%A{dtype}: %A{actual} where %A{expected} is right"

let private inTypes dtypes absolute name input (expected: float list) (compute: Make -> Tensor) : Case =
    let check () =
        dtypes
        |> List.tryPick (fun dtype ->
            use _ = torch.NewDisposeScope()

            try
                compare dtype absolute expected (compute (maker dtype))
            with e ->
                Some $"%A{dtype}: {e.GetType().Name}: {e.Message}")

    { Function = name; Input = input; Check = check }

/// The value in float32 and in float64, relative to its size. A number that float32 cannot hold is expected as what it
/// rounds to.
let is name input expected compute : Case = inTypes types 0.0 name input expected compute

/// The value but for an absolute error, where terms of about size 1 cancel.
let isWithin absolute name input expected compute : Case = inTypes types absolute name input expected compute

/// The value in float64, for what float32 has no numbers for.
let isInDouble name input expected compute : Case = inTypes [ torch.float64 ] 0.0 name input expected compute

/// The value in float32, where float64 would need another number.
let isInSingle name input expected compute : Case = inTypes [ torch.float32 ] 0.0 name input expected compute

/// An ArgumentException that names the argument.
let raises name input (argument: string) (compute: Make -> 'a) : Case =
    let check () =
        types
        |> List.tryPick (fun dtype ->
            use _ = torch.NewDisposeScope()

            try
                let result = compute (maker dtype)
                Some $"%A{dtype}: %A{box result} where '{argument}' should be refused"
            with
            | :? ArgumentException as e when e.ParamName = argument -> None
            | e -> Some $"%A{dtype}: {e.GetType().Name}: {e.Message} where '{argument}' should be refused")

    { Function = name; Input = input; Check = check }

/// A matrix of the type under test, by its rows.
let matrix (v: Make) (rows: float list list) : Tensor =
    (v (List.concat rows)).view [| int64 rows.Length; int64 rows.Head.Length |]

/// A tensor without elements.
let empty (v: Make) (shape: int64 list) : Tensor = (v []).view(List.toArray shape)

let scalar (v: Make) (x: float) : Tensor = (v [ x ]).view [||]

let normal (mu: Tensor) (logVar: Tensor) : DiagNormal = { Mu = mu; LogVar = logVar }

/// Elements first .. first + count - 1 of a vector.
let part (first: int64) (count: int64) (x: Tensor) : Tensor = x.narrow (0L, first, count)

/// log 2 pi.
let log2Pi = log (2.0 * Math.PI)
