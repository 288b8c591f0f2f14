/// Second implementations in plain floats, one example at a time and by the textbook's formula: what a law compares Core
/// with where no other theorem gives the value. Nothing here calls Core, and nothing is shortened by an identity that
/// Core uses.
module Research.Tests.Laws.Plain

open System
open TorchSharp

// ---------------------------------------------------------------------------------------------------------------
// Tensors to arrays and back
// ---------------------------------------------------------------------------------------------------------------

/// The vectors along the last dimension, in row-major order.
let rows (x: torch.Tensor) : float[][] =
    x.detach().double().contiguous().data<float>().ToArray()
    |> Array.chunkBySize (int x.shape[x.shape.Length - 1])

/// The largest |a - b|/(1 + |b|) of a tensor's elements, in row-major order, against plain numbers; infinite where the
/// numbers of elements differ.
let against (expected: float[]) (actual: torch.Tensor) : float =
    let actual = actual.detach().double().contiguous().data<float>().ToArray()

    if actual.Length <> expected.Length then
        infinity
    else
        // F#'s max lets NaN through from one side only.
        Array.map2 (fun a b -> if a = b then 0.0 else abs (a - b) / (1.0 + abs b)) actual expected
        |> Array.fold (fun worst error -> if error <= worst then worst else error) 0.0

// ---------------------------------------------------------------------------------------------------------------
// Numbers and vectors
// ---------------------------------------------------------------------------------------------------------------

let dot (a: float[]) (b: float[]) : float = Array.fold2 (fun sum x y -> sum + x * y) 0.0 a b
let squaredNorm (a: float[]) : float = dot a a
let minus (a: float[]) (b: float[]) : float[] = Array.map2 (-) a b
let sigmoid (x: float) : float = 1.0 / (1.0 + exp -x)
let log1pExp (x: float) : float = if x > 700.0 then x else log (1.0 + exp x)

let logSumExp (xs: float[]) : float =
    let largest = Array.max xs
    largest + log (xs |> Array.sumBy (fun x -> exp (x - largest)))

let logMeanExp (xs: float[]) : float = logSumExp xs - log (float xs.Length)

let softmax (xs: float[]) : float[] =
    let total = logSumExp xs
    xs |> Array.map (fun x -> exp (x - total))

/// x log(x/y), 0 for x = 0.
let relative (x: float) (y: float) : float = if x = 0.0 then 0.0 else x * log (x / y)

/// KL(p||q) of two tables.
let klTable (p: float[]) (q: float[]) : float = Array.fold2 (fun sum x y -> sum + relative x y) 0.0 p q

// ---------------------------------------------------------------------------------------------------------------
// Matrices, as arrays of rows
// ---------------------------------------------------------------------------------------------------------------

let transpose (a: float[][]) : float[][] = Array.transpose a

let times (a: float[][]) (b: float[][]) : float[][] = [|
    for row in a -> [| for column in transpose b -> dot row column |]
|]

let apply (a: float[][]) (x: float[]) : float[] = a |> Array.map (fun row -> dot row x)

let identity (n: int) : float[][] = Array.init n (fun i -> Array.init n (fun j -> if i = j then 1.0 else 0.0))

let plus (a: float[][]) (b: float[][]) : float[][] = Array.map2 (Array.map2 (+)) a b
let scale (c: float) (a: float[][]) : float[][] = a |> Array.map (Array.map (fun x -> c * x))
let trace (a: float[][]) : float = a |> Array.mapi (fun i row -> row[i]) |> Array.sum

/// The determinant and the inverse, by elimination with the largest pivot.
let eliminate (a: float[][]) : float * float[][] =
    let n = a.Length
    let m = Array.map2 Array.append a (identity n)
    let mutable determinant = 1.0

    for column in 0 .. n - 1 do
        let pivot = Seq.maxBy (fun i -> abs (m[i][column])) [ column .. n - 1 ]

        if pivot <> column then
            let row = m[pivot]
            m[pivot] <- m[column]
            m[column] <- row
            determinant <- -determinant

        determinant <- determinant * m[column][column]
        m[column] <- m[column] |> Array.map (fun x -> x / m[column][column])

        for i in 0 .. n - 1 do
            if i <> column then
                let factor = m[i][column]
                m[i] <- Array.map2 (fun x p -> x - factor * p) m[i] m[column]

    determinant, m |> Array.map (fun row -> row[n..])

let determinant (a: float[][]) : float = fst (eliminate a)
let inverse (a: float[][]) : float[][] = snd (eliminate a)

/// log N(x; mean, covariance) with a dense covariance.
let logNormal (mean: float[]) (covariance: float[][]) (x: float[]) : float =
    let determinant, precision = eliminate covariance
    let centred = minus x mean

    -0.5
    * (dot centred (apply precision centred)
       + log determinant
       + float x.Length * log (2.0 * Math.PI))

// ---------------------------------------------------------------------------------------------------------------
// Distributions
// ---------------------------------------------------------------------------------------------------------------

/// The logarithm of the product of the one-dimensional densities.
let diagNormal (mu: float[]) (logVar: float[]) (z: float[]) : float =
    let one (m: float) (v: float) (x: float) = -((x - m) ** 2.0) / (2.0 * v) - log (sqrt (2.0 * Math.PI * v))
    Array.sum (Array.map3 one mu (Array.map exp logVar) z)

let standardNormal (z: float[]) : float =
    diagNormal (Array.map (fun _ -> 0.0) z) (Array.map (fun _ -> 0.0) z) z

/// E -log p(z) of the normal.
let normalEntropy (logVar: float[]) : float =
    logVar |> Array.sumBy (fun l -> log (sqrt (2.0 * Math.PI * Math.E * exp l)))

let bernoulli (logits: float[]) (x: float[]) : float =
    Array.fold2 (fun sum l x -> sum + x * log (sigmoid l) + (1.0 - x) * log (sigmoid -l)) 0.0 logits x

/// log sum_k pi_k N(z; mu_k, exp logVar_k), the weights given by their logits.
let mixture (logits: float[]) (mu: float[][]) (logVar: float[][]) (z: float[]) : float =
    let weights = softmax logits
    logSumExp (Array.init weights.Length (fun k -> log weights[k] + diagNormal mu[k] logVar[k] z))

/// KL of two diagonal normals as Bishop has it: log of the ratio of the standard deviations and so on.
let klNormal (muQ: float[]) (logVarQ: float[]) (muP: float[]) (logVarP: float[]) : float =
    Seq.sum (
        seq {
            for i in 0 .. muQ.Length - 1 do
                let sQ, sP = sqrt (exp logVarQ[i]), sqrt (exp logVarP[i])
                log (sP / sQ) + (sQ ** 2.0 + (muQ[i] - muP[i]) ** 2.0) / (2.0 * sP ** 2.0) - 0.5
        }
    )

let klToStandard (mu: float[]) (logVar: float[]) : float =
    klNormal mu logVar (Array.map (fun _ -> 0.0) mu) (Array.map (fun _ -> 0.0) mu)

// ---------------------------------------------------------------------------------------------------------------
// Flows
// ---------------------------------------------------------------------------------------------------------------

/// u-hat of the planar map: the part of u along w replaced.
let planarU (u: float[]) (w: float[]) : float[] =
    let a, m = dot w u, log1pExp (dot w u) - 1.0
    let norm = squaredNorm w
    Array.map2 (fun u w -> u + (m - a) * w / norm) u w

/// The planar map's image and the logarithm of its whole Jacobian's determinant.
let planar (u: float[]) (w: float[]) (b: float) (z: float[]) : float[] * float =
    let uHat, x = planarU u w, dot w z + b
    let slope = 1.0 / cosh x ** 2.0

    let jacobian =
        plus (identity z.Length) (uHat |> Array.map (fun u -> w |> Array.map (fun w -> u * slope * w)))

    Array.map2 (fun z u -> z + u * tanh x) z uHat, log (abs (determinant jacobian))

/// The inverse of the planar map and the logarithm of its determinant: by bisection for s = w.z + b, which solves
/// s + (w.u-hat) tanh s = w.y + b.
let planarInverse (u: float[]) (w: float[]) (b: float) (y: float[]) : float[] * float =
    let uHat = planarU u w
    let slope, target = dot w uHat, dot w y + b

    let rec solve low high n =
        let middle = (low + high) / 2.0

        if n = 0 then
            middle
        elif middle + slope * tanh middle < target then
            solve middle high (n - 1)
        else
            solve low middle (n - 1)

    let s = solve (target - abs slope) (target + abs slope) 100
    let z = Array.map2 (fun y u -> y - u * tanh s) y uHat
    z, -(snd (planar u w b z))

/// (z1, exp(s) z2 + t) for s and t of the first half.
let coupling (scale: float[] -> float[]) (shift: float[] -> float[]) (z: float[]) : float[] * float =
    let half = z.Length / 2
    let first, second = z[.. half - 1], z[half..]
    let s, t = scale first, shift first
    Array.append first (Array.map3 (fun s t z -> exp s * z + t) s t second), Array.sum s

/// The product of the reflections I - 2 v v'/|v|^2.
let reflections (vs: float[][]) : float[][] =
    let reflection (v: float[]) =
        plus
            (identity v.Length)
            (v |> Array.map (fun a -> v |> Array.map (fun b -> -2.0 * a * b / squaredNorm v)))

    vs |> Array.map reflection |> Array.reduce times

/// z + Q R tanh(R' Q'z + b), nothing constrained.
let sylvester (q: float[][]) (r: float[][]) (r': float[][]) (b: float[]) (z: float[]) : float[] =
    let h = Array.map2 (fun a b -> tanh (a + b)) (apply r' (apply (transpose q) z)) b
    Array.map2 (+) z (apply q (apply r h))

/// The knots of a spline along one axis and its slopes there, from what is not constrained.
let splineKnots (bound: float) (x: float[]) : float[] =
    let k = float x.Length
    let shares = softmax x |> Array.map (fun p -> 0.001 + (1.0 - 0.001 * k) * p)
    Array.scan (fun at share -> at + 2.0 * bound * share) -bound shares

let splineSlopes (x: float[]) : float[] =
    let inner = x |> Array.map (fun a -> 0.001 + 0.999 * log1pExp (a + log (Math.E - 1.0)))
    Array.concat [ [| 1.0 |]; inner; [| 1.0 |] ]

/// The spline between its knots as Gregory and Delbourgo have it, the identity outside.
let spline (x: float[]) (y: float[]) (d: float[]) (z: float) : float =
    if z <= x[0] || z >= Array.last x then
        z
    else
        let k = (Array.findIndex (fun knot -> z < knot) x) - 1
        let s = (y[k + 1] - y[k]) / (x[k + 1] - x[k])
        let t = (z - x[k]) / (x[k + 1] - x[k])
        let above = (y[k + 1] - y[k]) * (s * t * t + d[k] * t * (1.0 - t))
        y[k] + above / (s + (d[k + 1] + d[k] - 2.0 * s) * t * (1.0 - t))

/// g z + (1 - g) m elementwise.
let gated (m: float[]) (s: float[]) (z: float[]) : float[] * float =
    let g = s |> Array.map sigmoid
    Array.map3 (fun g z m -> g * z + (1.0 - g) * m) g z m, g |> Array.sumBy log
