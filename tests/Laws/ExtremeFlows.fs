/// Extreme inputs of transforms, flow densities and priors.
module Research.Tests.Laws.ExtremeFlows

open System
open TorchSharp
open Research.Core
open Research.Tests.Laws.Extremes

/// Image and log-determinant in one vector.
let private both (image: Tensor, logDet: Tensor) : Tensor =
    torch.cat [| image.flatten (); logDet.flatten () |]

/// A map without a closed-form inverse.
let private oneWay: Transform = { Transform.identity with Inverse = None }

let private simple = [
    is "Transform.identity" "one dimension, not a number" [ nan; 0.0 ] (fun v ->
        both (Transform.identity.Forward(v [ nan ])))
    is "Transform.flip" "one dimension, infinite" [ infinity; 0.0 ] (fun v ->
        both (Transform.flip.Forward(v [ infinity ])))
    raises "Transform.invert" "no closed form" "t" (fun _ -> Transform.invert oneWay)
    is "Transform.andThen" "no closed form of either" [ 1.0 ] (fun v ->
        v [
            (if (Transform.andThen Transform.flip oneWay).Inverse.IsNone then
                 1.0
             else
                 0.0)
        ])
    is "Transform.compose" "no transform" [ 1.0; 2.0; 0.0 ] (fun v ->
        both ((Transform.compose []).Forward(v [ 1.0; 2.0 ])))
]

/// log(tanh^2 x + softplus(a)/cosh^2 x), in a form that holds for all a and x.
let private planarLogDet (x: float) (a: float) =
    let slope = -2.0 * log (cosh x)

    let stretch =
        if a < -30.0 then
            a
        else
            log (log (1.0 + exp (min a 700.0)) + max 0.0 (a - 700.0))

    let ofH = 2.0 * log (abs (tanh x))
    let top = max ofH (slope + stretch)
    top + log (exp (ofH - top) + exp (slope + stretch - top))

/// A map along the first of two dimensions with w = (1,0), u = (a,0) and b = x, at the origin.
let private along (v: Make) (a: float) (x: float) =
    (planar (v [ a; 0.0 ]) (v [ 1.0; 0.0 ]) (scalar v x)).Forward(v [ 0.0; 0.0 ])

let private planarMaps = [
    is "planarInvertibleU" "w = 0" [ 3.0; -4.0 ] (fun v ->
        planarInvertibleU (v [ 3.0; -4.0 ]) (v [ 0.0; 0.0 ]))
    // w.u-hat is log 2 - 1 at u = 0, and w tiny.
    is "planarInvertibleU" "u = 0 and w tiny" [ (log 2.0 - 1.0) * 1e25; 0.0 ] (fun v ->
        planarInvertibleU (v [ 0.0; 0.0 ]) (v [ 1e-25; 0.0 ]))
    is "planarInvertibleU" "w.u large and small" [ 799.0; -1.0; 1e9 - 1.0 ] (fun v ->
        torch.cat [|
            planarInvertibleU (v [ 800.0 ]) (v [ 1.0 ])
            planarInvertibleU (v [ -800.0 ]) (v [ 1.0 ])
            planarInvertibleU (v [ 1e9 ]) (v [ 1.0 ])
        |])
    is "planarInvertibleU" "w huge" [ -1e-20 ] (fun v ->
        planarInvertibleU (v [ 0.0 ]) (v [ 1e20 ]) / (1.0 - log 2.0))
    raises "planarInvertibleU" "another dimension" "w" (fun v ->
        planarInvertibleU (v [ 1.0; 2.0 ]) (v [ 1.0 ]))
    isWithin 2e-7 "planar" "w = 0: a shift" [ 1.0 + 3.0 * tanh 0.5; 2.0 - 4.0 * tanh 0.5; 0.0 ] (fun v ->
        both ((planar (v [ 3.0; -4.0 ]) (v [ 0.0; 0.0 ]) (scalar v 0.5)).Forward(v [ 1.0; 2.0 ])))
    is "planar" "w without positive element" [ planarLogDet 0.5 2.0 ] (fun v ->
        snd ((planar (v [ -2.0; 0.0 ]) (v [ -1.0; 0.0 ]) (scalar v 0.5)).Forward(v [ 0.0; 0.0 ])))
    // w.u = 10, though no square of w is a number of float32.
    is "planar" "w tiny and u huge" [ planarLogDet 0.0 10.0 ] (fun v ->
        snd ((planar (v [ 1e26; 0.0 ]) (v [ 1e-25; 0.0 ]) (scalar v 0.0)).Forward(v [ 0.0; 0.0 ])))
    is "planar" "the slopes at w = 0" [ 2.0 * tanh 0.5 - 0.5 ] (fun v ->
        let slopes =
            grad
                (fun p ->
                    let image, logDet =
                        (planar (part 0L 2L p) (part 2L 2L p) (scalar v 0.5)).Forward(v [ 1.0; 2.0 ])

                    (image.sum () + logDet))
                (v [ 3.0; -4.0; 0.0; 0.0 ])
        // Of u; those of w at the jump of the definition are finite.
        (part 0L 2L slopes).sum() + 0.0 * slopes.sum () - 0.5)
    is "planar" "folded where it is steepest" [ -150.0; planarLogDet 1e-33 -150.0 ] (fun v ->
        torch.stack [| snd (along v -150.0 0.0); snd (along v -150.0 1e-33) |])
    isInDouble "planar" "folded further" [ -800.0; 0.0 ] (fun v ->
        both (snd (along v -800.0 0.0), (fst (along v -800.0 0.0))[1]))
    is "planar" "the slope where it is folded" [ 0.0 ] (fun v ->
        grad (fun b -> snd ((planar (v [ -150.0 ]) (v [ 1.0 ]) b).Forward(v [ 0.0 ]))) (scalar v 0.0))
    isWithin
        2e-7
        "planar"
        "a large stretch where the slope is nearly 0"
        [
            planarLogDet 9.0 1e6
            planarLogDet -9.0 1e6
            planarLogDet 10.5 1e9
            planarLogDet 6.0 -2.0
        ]
        (fun v ->
            torch.stack [|
                snd (along v 1e6 9.0)
                snd (along v 1e6 -9.0)
                snd (along v 1e9 10.5)
                snd (along v -2.0 6.0)
            |])
    is "planar" "far out" [ 0.0; 0.0 ] (fun v ->
        torch.stack [| snd (along v 2.0 1000.0); snd (along v 2.0 -infinity) |])
    is "planar" "not a number" [ nan ] (fun v -> snd (along v nan 0.0))
    raises "planar" "a point of one dimension for two" "z" (fun v ->
        (planar (v [ 1.0; 2.0 ]) (v [ 1.0; 2.0 ]) (scalar v 0.0)).Forward(v [ 1.0 ]))
    isWithin 4e-7 "invertiblePlanar" "w = 0: a shift" [ 1.0; 2.0; 0.0 ] (fun v ->
        let y = v [ 1.0 + 3.0 * tanh 0.5; 2.0 - 4.0 * tanh 0.5 ]
        both ((invertiblePlanar (v [ 3.0; -4.0 ]) (v [ 0.0; 0.0 ]) (scalar v 0.5)).Inverse.Value y))
    is "invertiblePlanar" "far out" [ 1e6 - (log (1.0 + exp 2.0) - 1.0) ] (fun v ->
        fst ((invertiblePlanar (v [ 2.0 ]) (v [ 1.0 ]) (scalar v 0.0)).Inverse.Value(v [ 1e6 ])))
    is "invertiblePlanar" "not a number" [ nan ] (fun v ->
        fst ((invertiblePlanar (v [ 2.0 ]) (v [ 1.0 ]) (scalar v 0.0)).Inverse.Value(v [ nan ])))
    raises "invertiblePlanar" "a point of one dimension for two" "y" (fun v ->
        (invertiblePlanar (v [ 1.0; 2.0 ]) (v [ 1.0; 2.0 ]) (scalar v 0.0)).Inverse.Value(v [ 1.0 ]))
    is "invertibleAutoregressive" "a gate nearly closed" [ 1e-20 * (1.0 + exp 50.0); 50.0 ] (fun v ->
        both ((invertibleAutoregressive (fun z -> 0.0 * z, 0.0 * z - 50.0)).Inverse.Value(v [ 1e-20 ])))
    is "invertibleAutoregressive" "a gate wide open" [ 3.0; 0.0 ] (fun v ->
        both ((invertibleAutoregressive (fun z -> 0.0 * z, 0.0 * z + 1e4)).Inverse.Value(v [ 3.0 ])))
    // Its own outputs would fit the image, which they have stretched.
    for isMean in [ true; false ] do
        raises "invertibleAutoregressive" $"two points for one, means: {isMean}" "net" (fun v ->
            let net (z: Tensor) : Tensor * Tensor =
                let two: Tensor = torch.zeros ([| 2L; 1L |], z.dtype)

                if isMean then
                    two, torch.zeros_like z
                else
                    torch.zeros_like z, two

            (invertibleAutoregressive net).Inverse.Value(v [ 1.0 ]))
    is "invertibleAutoregressive" "no dimension" [ 0.0 ] (fun v ->
        both ((invertibleAutoregressive (fun z -> z, z)).Inverse.Value(v [])))
    raises "invertibleAutoregressive" "one mean for two coordinates" "net" (fun v ->
        (invertibleAutoregressive (fun z -> z.narrow (-1L, 0L, 1L), z)).Inverse.Value(v [ 1.0; 2.0 ]))
]

/// Nets of a constant log-scale, and of a shift that doubles.
let private scaled (s: float) =
    coupling (fun z -> torch.full_like (z, Scalar.op_Implicit s)) (fun z -> 2.0 * z)

let private couplings = [
    is "coupling" "two dimensions, squeezed to nothing" [ 3.0; 6.0; -800.0 ] (fun v ->
        both ((scaled -800.0).Forward(v [ 3.0; 5.0 ])))
    is "coupling" "no dimension" [ 0.0 ] (fun v -> both ((scaled 1.0).Forward(v [])))
    is "coupling" "back from nearly nothing" [ 0.0; exp 20.0; 40.0 ] (fun v ->
        both ((scaled -40.0).Inverse.Value(v [ 0.0; exp -20.0 ])))
    for l in [ 1; 3 ] do
        raises "coupling" $"{l} dimensions" "z" (fun v -> (scaled 1.0).Forward(v [ for _ in 1..l -> 1.0 ]))

        raises "coupling" $"{l} dimensions, backwards" "z" (fun v ->
            (scaled 1.0).Inverse.Value(v [ for _ in 1..l -> 1.0 ]))
    raises "coupling" "one log-scale for two dimensions" "scale" (fun v ->
        (coupling (fun z -> z.narrow (-1L, 0L, 1L)) id).Forward(v [ 1.0; 2.0; 3.0; 4.0 ]))
    raises "coupling" "one shift for two dimensions" "shift" (fun v ->
        (coupling id (fun z -> z.narrow (-1L, 0L, 1L))).Forward(v [ 1.0; 2.0; 3.0; 4.0 ]))
    is "madeMask" "no unit" [] (fun _ -> madeMask true [| 1L |] [||])
    is "madeMask" "degrees at the ends of their type" [ 0.0; 1.0; 0.0; 0.0 ] (fun _ ->
        madeMask true [| Int64.MaxValue; Int64.MinValue |] [| Int64.MaxValue; Int64.MinValue |])
    is "inverseAutoregressive" "gates open and shut" [ 7.0; 1.0; -800.0 ] (fun v ->
        both ((inverseAutoregressive (fun _ -> v [ 7.0; 7.0 ], v [ -800.0; 800.0 ])).Forward(v [ 1.0; 1.0 ])))
    is "inverseAutoregressive" "a huge mean behind an open gate" [ 1e20 * exp -40.0 ] (fun v ->
        fst ((inverseAutoregressive (fun _ -> v [ 1e20 ], v [ 40.0 ])).Forward(v [ 0.0 ])))
    is "inverseAutoregressive" "no dimension" [ 0.0 ] (fun v ->
        both ((inverseAutoregressive (fun z -> z, z)).Forward(v [])))
    raises "inverseAutoregressive" "one gate for two dimensions" "net" (fun v ->
        (inverseAutoregressive (fun z -> z, z.narrow (-1L, 0L, 1L))).Forward(v [ 1.0; 2.0 ]))
    raises "inverseAutoregressive" "one mean for two dimensions" "net" (fun v ->
        (inverseAutoregressive (fun z -> z.narrow (-1L, 0L, 1L), z)).Forward(v [ 1.0; 2.0 ]))
]

/// log(1 + tanh a tanh b) for a > 0 > b, whose product nears -1.
let private folded (a: float) (b: float) =
    let logCosh x = abs x + log ((1.0 + exp (-2.0 * abs x)) / 2.0)
    logCosh (a + b) - logCosh a - logCosh b

/// A Sylvester map of one dimension with these diagonals, at the origin.
let private scalarSylvester (v: Make) (a: float) (b: float) (z: float) =
    (sylvester (matrix v [ [ 1.0 ] ]) (matrix v [ [ a ] ]) (matrix v [ [ b ] ]) (v [ 0.0 ])).Forward(v [ z ])

let private sylvesterMaps = [
    is "householder" "a vector of zeros" [ 1.0; 0.0; 0.0; 1.0 ] (fun v ->
        householder (matrix v [ [ 0.0; 0.0 ] ]))
    is "householder" "no vector" [ 1.0 ] (fun v -> householder (empty v [ 0L; 1L ]))
    is "householder" "no vector, twice" [ 1.0; 1.0 ] (fun v -> householder (empty v [ 2L; 0L; 1L ]))
    isWithin 2e-7 "householder" "tiny and huge" [ 0.0; -1.0; -1.0; 0.0; 0.0; -1.0; -1.0; 0.0 ] (fun v ->
        torch.cat [|
            householder (matrix v [ [ 1e-25; 1e-25 ] ])
            householder (matrix v [ [ 1e25; 1e25 ] ])
        |])
    raises "householder" "a vector for a matrix" "v" (fun v -> householder (v [ 1.0 ]))
    is "sylvester" "folded where it is steepest" [ folded 70.0 -70.0; folded 3.0 -60.0 ] (fun v ->
        torch.stack [| snd (scalarSylvester v 70.0 -70.0 0.0); snd (scalarSylvester v 3.0 -60.0 0.0) |])
    is "sylvester" "diagonals of a thousand" [ log 2.0 ] (fun v -> snd (scalarSylvester v 1e3 1e3 0.0))
    let half = log (1.0 - tanh 1.0)

    for a, b, expected in
        [
            -1e30, -1e30, log 2.0
            1e30, 1e30, log 2.0
            1.0, -1e30, half
            -1e30, 1.0, half
            1e30, -1.0, half
            -1.0, 1e30, half
        ] do
        is "sylvester" $"diagonals {a} and {b}" [ expected ] (fun v -> snd (scalarSylvester v a b 0.0))

    is "sylvester" "far out" [ 1001.0; 0.0 ] (fun v -> both (scalarSylvester v 1e3 1e3 1e3))

    is "sylvester" "the slopes at zeros" [ 0.0; 0.5 ] (fun v ->
        let slopes (which: int) =
            grad
                (fun p ->
                    let at i x = if which = i then p.view (1L, 1L) else matrix v [ [ x ] ]

                    snd (
                        (sylvester (matrix v [ [ 1.0 ] ]) (at 0 0.0) (at 1 (0.5 * log 3.0)) (v [ 0.0 ]))
                            .Forward(v [ 0.0 ])
                    ))
                (v [ (if which = 0 then 0.0 else 0.5 * log 3.0) ])
        // d log(1 + tanh a tanh b) is tanh b by a at a = 0.
        torch.cat [| slopes 1; slopes 0 |])

    is "sylvester" "not a number" [ nan ] (fun v -> snd (scalarSylvester v 1.0 1.0 nan))

    raises "sylvester" "a triangle of another size" "r" (fun v ->
        sylvester (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0; 0.0 ] ]) (matrix v [ [ 1.0 ] ]) (v [ 0.0 ]))

    raises "sylvester" "two rows for one column" "r" (fun v ->
        sylvester (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0 ]; [ 1.0 ] ]) (matrix v [ [ 1.0 ] ]) (v [ 0.0 ]))

    raises "sylvester" "a diagonal for a triangle" "r" (fun v ->
        sylvester (matrix v [ [ 1.0 ] ]) (v [ 1.0 ]) (matrix v [ [ 1.0 ] ]) (v [ 0.0 ]))

    raises "sylvester" "another one" "r'" (fun v ->
        sylvester (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0; 0.0 ] ]) (v [ 0.0 ]))

    raises "sylvester" "two offsets for one column" "b" (fun v ->
        sylvester (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0 ] ]) (v [ 0.0; 0.0 ]))

    raises "sylvester" "a point of two dimensions for one" "z" (fun v ->
        (sylvester (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0 ] ]) (matrix v [ [ 1.0 ] ]) (v [ 0.0 ]))
            .Forward(v [ 0.0; 0.0 ]))
]

/// Two bins of equal width and height on [-2,2], with this slope between them before it is constrained.
let private twoBins (v: Make) (slope: float) =
    rationalQuadratic 2.0 (matrix v [ [ 0.0; 0.0 ] ]) (matrix v [ [ 0.0; 0.0 ] ]) (matrix v [ [ slope ] ])

let private splineMaps = [
    for z in [ -1e30; -2.0; 2.0; infinity ] do
        is "rationalQuadratic" $"outside at {z}" [ z; 0.0 ] (fun v -> both ((twoBins v 5.0).Forward(v [ z ])))

        is "rationalQuadratic" $"outside at {z}, backwards" [ z; 0.0 ] (fun v ->
            both ((twoBins v 5.0).Inverse.Value(v [ z ])))
    is "rationalQuadratic" "the slopes far outside" [ 1.0; 1.0 ] (fun v ->
        let flow = twoBins v 5.0
        let slope (map: Tensor -> Tensor * Tensor) = grad (fun z -> (fst (map z)).sum()) (v [ 1e25 ])
        torch.cat [| slope flow.Forward; slope flow.Inverse.Value |])
    is "rationalQuadratic" "flat at a knot" [ 0.0; log 0.001 ] (fun v ->
        both ((twoBins v -800.0).Forward(v [ 0.0 ])))
    is
        "rationalQuadratic"
        "steep at a knot"
        [ 0.0; log (0.001 + 0.999 * (1e6 + log (Math.E - 1.0))) ]
        (fun v -> both ((twoBins v 1e6).Forward(v [ 0.0 ])))
    isWithin 1e-3 "rationalQuadratic" "steep at a knot, there and back" [ -1.5; 1.0 ] (fun v ->
        let flow = twoBins v 1e4

        torch.cat [|
            fst (flow.Inverse.Value(fst (flow.Forward(v [ -1.5 ]))))
            fst (flow.Inverse.Value(fst (flow.Forward(v [ 1.0 ]))))
        |])
    isWithin 1e-6 "rationalQuadratic" "bins as small as they get" [ 0.5 ] (fun v ->
        let flow =
            rationalQuadratic
                2.0
                (matrix v [ [ 1e3; 0.0 ] ])
                (matrix v [ [ 1e3; 0.0 ] ])
                (matrix v [ [ 0.0 ] ])

        fst (flow.Forward(v [ 0.5 ])))
    is "rationalQuadratic" "not a number" [ nan; nan ] (fun v -> both ((twoBins v 0.0).Forward(v [ nan ])))
    raises "rationalQuadratic" "no bin" "widths" (fun v ->
        (let none = empty v [ 1L; 0L ] in rationalQuadratic 1.0 none none none))
    raises "rationalQuadratic" "one row of bins and no dimension" "widths" (fun v ->
        rationalQuadratic 1.0 (v [ 0.0 ]) (v [ 0.0 ]) (v []))
    raises "rationalQuadratic" "a thousand bins" "widths" (fun v ->
        let many = (v [ for _ in 1..1000 -> 0.0 ]).unsqueeze 0L
        rationalQuadratic 1.0 many many (many.narrow (1L, 0L, 999L)))
    for bound in [ 0.0; -1.0; nan; infinity ] do
        raises "rationalQuadratic" $"bound {bound}" "bound" (fun v ->
            (let one = matrix v [ [ 0.0 ] ] in rationalQuadratic bound one one (empty v [ 1L; 0L ])))
    raises "rationalQuadratic" "two heights for one width" "heights" (fun v ->
        rationalQuadratic 1.0 (matrix v [ [ 0.0 ] ]) (matrix v [ [ 0.0; 0.0 ] ]) (empty v [ 1L; 0L ]))
    raises "rationalQuadratic" "a slope at an edge" "slopes" (fun v ->
        (let one = matrix v [ [ 0.0 ] ] in rationalQuadratic 1.0 one one one))
    raises "rationalQuadratic" "a point of two dimensions for one" "z" (fun v ->
        (twoBins v 0.0).Forward(v [ 0.0; 0.0 ]))
    is "conditionalCoupling" "no dimension" [ 0.0 ] (fun v ->
        both ((conditionalCoupling (fun _ -> scaled 1.0)).Forward(empty v [ 1L; 0L ])))
    raises "conditionalCoupling" "three dimensions" "z" (fun v ->
        (conditionalCoupling (fun _ -> Transform.identity)).Forward(v [ 1.0; 2.0; 3.0 ]))
    raises "conditionalCoupling" "no closed form, backwards" "t" (fun v ->
        (conditionalCoupling (fun _ -> oneWay)).Inverse.Value(v [ 1.0; 2.0 ]))
]

let private densities = [
    is "flowLogProb" "no example; not a number" [ nan ] (fun v ->
        torch.cat [|
            flowLogProb logStandardNormal Transform.identity (empty v [ 0L; 2L ])
            flowLogProb logStandardNormal Transform.flip (matrix v [ [ nan; 0.0 ] ])
        |])
    is "flowLogProb" "where the base has no mass" [ -infinity ] (fun v ->
        flowLogProb (fun z -> (sumLast z).mul(scalar v -infinity)) Transform.identity (v [ 1.0 ]))
    raises "flowLogProb" "a density of each dimension" "baseLogProb" (fun v ->
        flowLogProb (fun z -> -0.5 * z.square ()) Transform.identity (matrix v [ [ 1.0; 2.0 ] ]))
    is "flowDensityLoss" "an infinite energy" [ infinity ] (fun v ->
        flowDensityLoss
            logStandardNormal
            Transform.identity
            (fun z -> sumLast z / 0.0)
            (matrix v [ [ 1.0 ] ]))
    raises "flowDensityLoss" "no example" "z0" (fun v ->
        flowDensityLoss logStandardNormal Transform.identity sumLast (empty v [ 0L; 2L ]))
    raises "flowDensityLoss" "an energy of each dimension" "energy" (fun v ->
        flowDensityLoss logStandardNormal Transform.identity id (matrix v [ [ 1.0; 2.0 ] ]))
    raises "flowDensityLoss" "a density of each dimension" "baseLogProb" (fun v ->
        flowDensityLoss id Transform.identity sumLast (matrix v [ [ 1.0; 2.0 ] ]))
    is "energyArcs" "at the origin" [ 12.5 + 0.5 * (2.0 / 0.6) ** 2.0 - log 2.0 ] (fun v ->
        energyArcs (v [ 0.0; 0.0 ]))
    is "energyArcs" "the slope at the origin" [ 0.0; 0.0 ] (fun v -> grad energyArcs (v [ 0.0; 0.0 ]))
    is
        "energyArcs"
        "far out, and at infinity"
        [ 0.5 * (998.0 / 0.4) ** 2.0 + 0.5 * (998.0 / 0.6) ** 2.0; infinity; infinity ]
        (fun v -> energyArcs (matrix v [ [ 1000.0; 0.0 ]; [ infinity; 0.0 ]; [ 0.0; -infinity ] ]))
    raises "energyArcs" "three dimensions" "z" (fun v -> energyArcs (v [ 1.0; 2.0; 3.0 ]))
    isWithin 1e-12 "energySine" "a million periods away" [ 0.0; 3.125; infinity ] (fun v ->
        energySine (matrix v [ [ 4000000.0; 0.0 ]; [ -3999999.0; 0.0 ]; [ 0.0; infinity ] ]))
    raises "energySine" "one dimension" "z" (fun v -> energySine (v [ 1.0 ]))
]

let private two (v: Make) = matrix v [ [ 0.0 ]; [ 4.0 ] ], matrix v [ [ 0.0 ]; [ 0.0 ] ]

let private priors = [
    is "Prior.standard" "far out, at infinity" [ -0.5 * (log2Pi + 1e20); -infinity ] (fun v ->
        Prior.standard.LogProb(matrix v [ [ 1e10 ]; [ infinity ] ]))
    is "Prior.mixtureOfGaussians" "a weight of 0" [ -0.5 * (log2Pi + 1.0) ] (fun v ->
        (let mu, logVar = two v in
         (Prior.mixtureOfGaussians (v [ 0.0; -infinity ]) mu logVar).LogProb(v [ 1.0 ])))
    raises "Prior.mixtureOfGaussians" "one log-weight for two components" "logits" (fun v ->
        (let mu, logVar = two v in Prior.mixtureOfGaussians (v [ 0.0 ]) mu logVar))
    raises "Prior.mixtureOfGaussians" "no component" "logits" (fun v ->
        (let none = empty v [ 0L; 1L ] in Prior.mixtureOfGaussians (v []) none none))
    is "Prior.vamp" "one pseudo-input" [ -0.5 * log2Pi ] (fun v ->
        let encode (x: Tensor) = normal x (torch.zeros_like x)
        (Prior.vamp encode (v [ -1e4 ]) (matrix v [ [ 3.0 ] ])).LogProb(v [ 3.0 ]))
    raises "Prior.vamp" "one log-weight for two pseudo-inputs" "logits" (fun v ->
        Prior.vamp (fun x -> normal x x) (v [ 0.0 ]) (fst (two v)))
    is "Prior.topographic" "codes of weight 0" [ -0.5 * log2Pi ] (fun v ->
        let network (u: Tensor) = normal u (torch.zeros_like u)
        (Prior.topographic network (v [ -infinity; 0.0 ]) (fst (two v))).LogProb(v [ 4.0 ]))
    raises "Prior.topographic" "one log-weight for two codes" "logits" (fun v ->
        Prior.topographic (fun x -> normal x x) (v [ 0.0 ]) (fst (two v)))
    is "Prior.flow" "squeezed to nothing" [ -log2Pi - 800.0 ] (fun v ->
        (Prior.flow (scaled -800.0)).LogProb(v [ 0.0; 5.0 ]))
    raises "Prior.flow" "no closed form" "toBase" (fun _ -> Prior.flow oneWay)
    is "elboThreeTerms" "an infinite cross-entropy" [ 1.0; 2.0; -infinity ] (fun v ->
        let a, b, c = elboThreeTerms (matrix v [ [ 1.0 ] ]) (v [ 2.0 ]) (matrix v [ [ -infinity ] ])
        torch.stack [| a; b; c |])
    raises "elboThreeTerms" "no sample" "logLikelihood" (fun v ->
        elboThreeTerms (empty v [ 0L; 1L ]) (v [ 1.0 ]) (matrix v [ [ 1.0 ] ]))
    raises "elboThreeTerms" "no entropy" "entropy" (fun v ->
        elboThreeTerms (matrix v [ [ 1.0 ] ]) (v []) (matrix v [ [ 1.0 ] ]))
    raises "elboThreeTerms" "no density" "logPrior" (fun v ->
        elboThreeTerms (matrix v [ [ 1.0 ] ]) (v [ 1.0 ]) (empty v [ 0L; 1L ]))
    is "logAggregatedPosterior" "narrow and far from 0" [ 0.5 * (30.0 - log2Pi) - log 2.0 ] (fun v ->
        let encodings = normal (matrix v [ [ 100.0 ]; [ 101.0 ] ]) (matrix v [ [ -30.0 ]; [ -30.0 ] ])
        logAggregatedPosterior encodings (matrix v [ [ 100.0 ] ]))
    is "logAggregatedPosterior" "one encoding, no point" [] (fun v ->
        logAggregatedPosterior (normal (matrix v [ [ 1.0 ] ]) (matrix v [ [ 0.0 ] ])) (empty v [ 0L; 1L ]))
    raises "logAggregatedPosterior" "no encoding" "encodings" (fun v ->
        logAggregatedPosterior (normal (empty v [ 0L; 1L ]) (empty v [ 0L; 1L ])) (matrix v [ [ 1.0 ] ]))
]

let cases: Case list =
    List.concat [ simple; planarMaps; couplings; sylvesterMaps; splineMaps; densities; priors ]
