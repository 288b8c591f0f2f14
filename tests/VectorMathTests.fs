/// The elementary functions of the kernels are those of double precision to a few units in the last place.
module Research.Tests.VectorMathTests

open System
open System.Numerics
open Expecto
open Research.Host

/// A function of one number and where its largest error keeps to so many units in the last place.
type private Claim = {
    Name: string
    Ours: Vector<float32> -> Vector<float32>
    Exact: float -> float
    Points: float32[]
    Units: float
}

let private lanes = Vector<float32>.Count

let private each (f: Vector<float32> -> Vector<float32>) (points: float32[]) : float32[] =
    points
    |> Array.chunkBySize lanes
    |> Array.collect (fun chunk ->
        let values = Array.zeroCreate<float32> lanes
        chunk.CopyTo(values, 0)
        (f (Vector<float32>(values: float32[]))).CopyTo values
        values[.. chunk.Length - 1])

// .NET's own ExpM1 and LogP1 subtract and add 1 in between.
let private expMinusOne x = 2.0 * exp (0.5 * x) * sinh (0.5 * x)

let private logOnePlus x =
    let sum = 1.0 + x
    if sum = 1.0 then x else log sum * x / (sum - 1.0)

let private softplus x = max x 0.0 + logOnePlus (exp -(abs x))
let private sigmoid x = 1.0 / (1.0 + exp -x)
let private sech2 x = 1.0 / (cosh x * cosh x)

let private ofNegative x = fst (VectorMath.ExpOfNegative x), snd (VectorMath.ExpOfNegative x)
let private ofSoftplus (x: Vector<float32>) = let s, _, _ = VectorMath.Softplus x in s
let private ofSigmoid (x: Vector<float32>) = let _, s, _ = VectorMath.Softplus x in s
let private ofComplement (x: Vector<float32>) = let _, _, c = VectorMath.Softplus x in c

let private from low high = Array.init 50_000 (fun i -> float32 (low + (high - low) * float i / 49_999.0))

/// 0, and powers of two of both signs from the smallest number on.
let private small = [|
    0.0f
    for exponent in -149 .. -3 do
        MathF.ScaleB(1.0f, exponent)
        MathF.ScaleB(-1.0f, exponent)
|]

/// Up to half of ln 2 the polynomial of an exponential is all there is, and at these ends its last term counts most.
let private around = from -0.346 0.346

let private claims = [
    let claim name ours exact units points = {
        Name = name
        Ours = ours
        Exact = exact
        Points = Array.concat points
        Units = units
    }

    let negative = Array.filter (fun x -> x <= 0.0f) small
    let positive = Array.filter (fun x -> x >= 0.0f) small
    claim "exp" VectorMath.Exp exp 1.25 [ from -86.98 88.72; small ]
    claim "exp - 1" VectorMath.ExpMinusOne expMinusOne 1.75 [ from -200.0 88.72; small ]
    claim "exp - 1 around 0" VectorMath.ExpMinusOne expMinusOne 1.0 [ around ]
    claim "exp of negative" (ofNegative >> fst) exp 1.25 [ from -87.6 0.0; negative ]
    claim "exp - 1 of negative" (ofNegative >> snd) expMinusOne 1.0 [ from -200.0 0.0; negative ]
    claim "log(1 + e)" VectorMath.LogOnePlus logOnePlus 3.0 [ from 0.0 1.0; positive ]
    // Where the last terms count.
    claim "log(1 + e) for e near 1" VectorMath.LogOnePlus logOnePlus 2.5 [ from 0.9 1.0 ]
    claim "softplus" ofSoftplus softplus 3.25 [ from -87.6 200.0; around; small ]
    claim "sigmoid" ofSigmoid sigmoid 2.75 [ from -87.6 200.0; around; small ]
    claim "sigmoid of -x" ofComplement (fun x -> sigmoid -x) 2.75 [ from -200.0 87.6; around; small ]
    claim "tanh" (VectorMath.TanhSech2 >> fst) tanh 2.75 [ from -200.0 200.0; from -2.0 2.0; small ]
    claim "sech^2" (VectorMath.TanhSech2 >> snd) sech2 4.75 [ from -43.7 43.7; from -2.0 2.0; small ]
]

/// Error in units in the last place of the exact value; below float's normal numbers all have the unit of the smallest.
let private error (ours: float32) (exact: float) =
    if Single.IsNaN ours then
        infinity
    else
        (float ours - exact) / Math.ScaleB(1.0, max -126 (Math.ILogB exact) - 23)

/// At the ends, where a result is 0, 1, x or infinite, and beyond.
let private ends = [
    let at name f points = name, f, points
    let inf = infinityf
    at "exp" VectorMath.Exp [ -inf, 0f; -1e4f, 0f; -100f, 0f; -87.001f, 0f; 88.73f, inf; 100f, inf; inf, inf ]
    at "exp - 1" VectorMath.ExpMinusOne [ -inf, -1f; -1e4f, -1f; 88.73f, inf; 100f, inf; inf, inf ]
    at "exp of negative" (ofNegative >> fst) [ -inf, 0f; -1e4f, 0f; -100f, 0f; -88.001f, 0f; 0f, 1f ]
    at "exp - 1 of negative" (ofNegative >> snd) [ -inf, -1f; -1e4f, -1f; -88.001f, -1f; 0f, 0f ]
    at "log(1 + e)" VectorMath.LogOnePlus [ 0f, 0f ]
    at "softplus" ofSoftplus [ -inf, 0f; -1e4f, 0f; 1e4f, 1e4f; inf, inf ]
    at "sigmoid" ofSigmoid [ -inf, 0f; -1e4f, 0f; 1e4f, 1f; inf, 1f ]
    at "sigmoid of -x" ofComplement [ -inf, 1f; -1e4f, 1f; 1e4f, 0f; inf, 0f ]
    at "tanh" (VectorMath.TanhSech2 >> fst) [ -inf, -1f; -1e4f, -1f; 1e4f, 1f; inf, 1f ]
    at "sech^2" (VectorMath.TanhSech2 >> snd) [ -inf, 0f; -1e4f, 0f; 0f, 1f; 1e4f, 0f; inf, 0f ]
]

/// Numbers from 1 on, so many; what stands behind them is not to be touched.
let private guarded count : float32[] =
    Array.init (count + 3) (fun i -> if i < count then float32 (i + 1) else nanf)

let private isGuarded count (values: float32[]) = values[count..] |> Array.forall Single.IsNaN

[<Tests>]
let tests =
    testList "VectorMath" [
        for claim in claims do
            testCase claim.Name (fun () ->
                let exact = claim.Points |> Array.map (float >> claim.Exact)
                let errors = Array.map2 error (each claim.Ours claim.Points) exact
                let largest, point = Array.zip (Array.map abs errors) claim.Points |> Array.max
                Expect.isLessThanOrEqual largest claim.Units $"Units in the last place, at {point}"
                // Rounding falls to both sides of the exact value, a coefficient that is a little off to one.
                Expect.isLessThan (abs (Array.average errors)) 0.15 "Mean error in units in the last place")

        testCase "softplus of one number" (fun () ->
            for x in
                Array.concat [ from -87.6 200.0; around; small ]
                |> Array.map float
                |> Array.append [| -700.0; 700.0 |] do
                let exact = softplus x
                Expect.isLessThan (abs (VectorMath.Softplus x - exact)) (2e-8 * exact) $"at {x}")

        testCase "ends" (fun () ->
            for name, f, points in ends do
                let points, values = List.unzip points
                Expect.equal (each f (Array.ofList points)) (Array.ofList values) name
                Expect.isTrue (each f [| nanf |] |> Array.forall Single.IsNaN) $"{name}: NaN stays NaN")

        testCase "head" (fun () ->
            // What is left out may be anything.
            for count in -1 .. 2 * lanes do
                let kept = max 0 (min lanes count)
                let values = Array.init lanes (fun i -> if i < kept then float32 (i + 1) else nanf)
                let expected = values |> Array.map (fun x -> if Single.IsNaN x then 0f else x)
                Expect.equal (each (fun v -> VectorMath.Head(v, count)) values) expected $"{count} lanes")

        testCase "spans" (fun () ->
            for count in 0..20 do
                let a, b = guarded count, guarded count |> Array.map (fun x -> 0.5f * x + 3f)
                let part (values: float32[]) = values[.. count - 1]
                let sum, product = guarded count, guarded count
                VectorMath.Add(ReadOnlySpan(part a), ReadOnlySpan(part b), Span sum)
                VectorMath.Multiply(ReadOnlySpan(part a), ReadOnlySpan b, Span product)
                Expect.equal (part sum) (Array.map2 (+) (part a) (part b)) $"The sum of {count}"
                Expect.equal (part product) (Array.map2 (*) (part a) (part b)) $"The product of {count}"
                let scaled = guarded count
                VectorMath.Scale(Span(scaled, 0, count), 3f)
                Expect.equal (part scaled) (part a |> Array.map ((*) 3f)) $"{count} times a factor"
                VectorMath.Multiply(ReadOnlySpan(b, 0, count), ReadOnlySpan a, Span b)
                Expect.equal (part b) (part product) $"The product of {count} in place"

                for values in [ sum; product; scaled; b ] do
                    Expect.isTrue (isGuarded count values) $"What stands behind {count}")
    ]
