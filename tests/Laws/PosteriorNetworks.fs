/// Posteriors with their parameters against second implementations.
module Research.Tests.Laws.PosteriorNetworks

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State
open Research.Tests.Laws.ReferenceMaps

let private shape: VaeShape = {
    Data = 6
    Latent = latent
    Hidden = [ 5; 7 ]
    Activation = Elu
    Likelihood = Gaussian 1.0
    Variance = LogVariance
}

let private elu (x: Tensor) : Tensor = torch.where (x.gt (Scalar.op_Implicit 0.0: Scalar), x, x.exp () - 1.0)
let private features s x = elu (layer s "encoder.2" (elu (layer s "encoder.0" x)))
let private ofVae (posterior: PosteriorShape) p = PosteriorShape.create p (Vae.create p shape) posterior
let private vaeEntries = mlp "encoder" [ 6; 5; 7; 8 ] @ mlp "decoder" [ 4; 7; 5; 6 ]

let private madeEntries key width = [
    yield! linear $"{key}.input" latent width
    yield! linear $"{key}.context" 7 width
    yield! zeroLinear $"{key}.output" width (2 * latent)
    buffer $"{key}.input_mask" [ width; latent ] Given
    buffer $"{key}.output_mask" [ 2 * latent; width ] Given
]

/// z_i -> (g_i z_i + (1 - g_i) m_i)/sigmoid(1.5), g = sigmoid(s + 1.5), m and s from the masked network.
let private autoregressive (s: Map<string, Tensor>) key (h: Tensor) (z: Tensor) : Tensor * Tensor =
    let weights part = s[$"{key}.{part}.weight"] * s[$"{key}.{part}_mask"]

    let hidden =
        elu (z.matmul ((weights "input").t()) + s[$"{key}.input.bias"] + layer s $"{key}.context" h)

    let out = hidden.matmul ((weights "output").t()) + s[$"{key}.output.bias"]
    let l = int64 latent
    let m, g = out.narrow (-1L, 0L, l), 1.0 / (1.0 + (-1.5 - out.narrow (-1L, l, l)).exp())
    let scale = 1.0 + exp -1.5
    scale * (g * z + (1.0 - g) * m), (scale * g).log().sum -1L

let private planarReference maps (s: Map<string, Tensor>) (x: Tensor) (z: Tensor) =
    let h = features s x
    let all part = layer s $"posterior.planar.{part}" h
    let l = int64 latent
    let own (t: Tensor) (i: int64) = t.narrow (-1L, l * i, l)

    List.fold
        (fun (z, total: Tensor) (i: int64) ->
            let image, logDet =
                planarLayer
                    PlanarChain.centred
                    (own (all "u") i)
                    (own (all "w") i)
                    ((all "b").select(-1L, i))
                    z

            image, total + logDet)
        (z, torch.zeros 3L)
        [ 0L .. maps - 1L ]

let private iafReference steps (s: Map<string, Tensor>) (x: Tensor) (z: Tensor) =
    let h = features s x

    List.fold
        (fun (z: Tensor, total: Tensor) i ->
            let turn (t: Tensor) = if i % 2 = 0 then t else t.flip -1L
            let image, logDet = autoregressive s $"posterior.iaf.{i}" h (turn z)
            turn image, total + logDet)
        (z, torch.zeros 3L)
        [ 0 .. steps - 1 ]

/// Sylvester maps with 3 columns of two reflections, every matrix written out.
let private sylvesterReference (maps: int64) (s: Map<string, Tensor>) (x: Tensor) (z: Tensor) =
    let h = features s x
    let l = int64 latent

    let all part (shape: int64 list) =
        (layer s $"posterior.sylvester.{part}" h).view [| 3L; maps; yield! shape |]

    let vs, bs = all "v" [ 2L; l ], all "b" [ 3L ]
    let rs, rs' = all "r" [ 3L; 3L ], all "r2" [ 3L; 3L ]

    let triangle (r: Tensor) = r * torch.ones(3L, 3L).triu 1L + r.tanh () * torch.eye 3L

    let map (z: Tensor, total: Tensor) (i: int64) =
        let reflection (j: int64) =
            let v = vs.select(1L, i).select(1L, j).unsqueeze -1L
            torch.eye l - 2.0 * v.matmul (v.transpose (-1L, -2L)) / (v * v).sum(1L, true)

        let q = (reflection(0L).matmul(reflection 1L)).narrow(-1L, 0L, 3L)
        let r, r' = triangle (rs.select (1L, i)), triangle (rs'.select (1L, i))
        let column (t: Tensor) = t.unsqueeze -1L

        let hidden =
            (r'.matmul (q.transpose(-1L, -2L).matmul(column z)) + column (bs.select (1L, i))).tanh()
        // The whole Jacobian's determinant.
        let slopes = (1.0 - hidden.square ()) * r'.matmul (q.transpose (-1L, -2L))
        let jacobian = torch.eye l + q.matmul (r.matmul slopes)
        z + (q.matmul (r.matmul hidden)).squeeze -1L, total + jacobian.det().log()

    List.fold map (z, torch.zeros 3L) [ 0L .. maps - 1L ]

let private splineReference couplings (s: Map<string, Tensor>) (x: Tensor) (z: Tensor) =
    let h = features s x

    let numbers i first =
        let name = $"posterior.spline.{i}"
        layer s $"{name}.output" (elu (layer s $"{name}.input" first + layer s $"{name}.context" h))

    // Written for one coupling at a time: every second one in reversed order, and back.
    List.fold
        (fun (z: Tensor, total: Tensor) i ->
            let turn (t: Tensor) = if i % 2 = 0 then t else t.flip -1L
            let image, logDet = splineCouplings 4L (fun _ -> numbers i) (fun _ z -> z) 1 (turn z)
            turn image, total + logDet)
        (z, torch.zeros 3L)
        [ 0 .. couplings - 1 ]

let private posteriorCases = [
    for maps in [ 3; 1 ] do
        $"planar, maps: {maps}",
        PlanarPosterior maps,
        [
            yield! zeroLinear "posterior.planar.u" 7 (maps * latent)
            yield! linear "posterior.planar.w" 7 (maps * latent)
            yield! linear "posterior.planar.b" 7 maps
        ],
        planarReference (int64 maps)
    "autoregressive",
    IafPosterior(3, 9),
    [
        for i in 0..2 do
            yield! madeEntries $"posterior.iaf.{i}" 9
    ],
    iafReference 3
    for maps in [ 2; 1 ] do
        $"Sylvester, maps: {maps}",
        SylvesterPosterior(maps, 3, 2),
        [
            yield! linear "posterior.sylvester.v" 7 (maps * 2 * latent)
            yield! zeroLinear "posterior.sylvester.r" 7 (maps * 9)
            yield! linear "posterior.sylvester.r2" 7 (maps * 9)
            yield! linear "posterior.sylvester.b" 7 (maps * 3)
        ],
        sylvesterReference (int64 maps)
    "splines",
    SplinePosterior(3, 9, 4),
    [
        for i in 0..2 do
            yield! linear $"posterior.spline.{i}.input" 2 9
            yield! linear $"posterior.spline.{i}.context" 7 9
            yield! zeroLinear $"posterior.spline.{i}.output" 9 (2 * 11)
    ],
    splineReference 3
]

[<Tests>]
let tests =
    testList "posterior networks" [
        for name, posterior, entries, reference in posteriorCases do
            testCase $"networks/posterior/{name}"
            <| within (fun () ->
                startsAs (ofVae posterior) (vaeEntries @ entries)
                let encode, p, s = make 3 (ofVae posterior)
                stir 20 p
                let x, z = normals 4 [ 3; 6 ], normals 5 [ 3; latent ]
                let flow (i: Tensor list) = (encode (i[0])).Flow.Value.Forward(i[1])
                let theirs (i: Tensor list) = reference s (i[0]) (i[1])
                agree "image" p [ x; z ] (flow >> fst) (theirs >> fst)
                agree "log-determinant" p [ x; z ] (flow >> snd) (theirs >> snd)
                let normal (q: Posterior) = torch.cat ([| q.Base.Mu; q.Base.LogVar |], -1L)

                agree "base" p [ x ] (List.head >> encode >> normal) (fun i ->
                    layer s "encoder.4" (features s i.Head)))

        testCase "networks/posterior/diagonal"
        <| within (fun () ->
            startsAs (ofVae DiagonalPosterior) vaeEntries
            let encode, p, s = make 3 (ofVae DiagonalPosterior)
            let x = normals 4 [ 3; 6 ]
            Expect.isNone (encode x).Flow "no flow"
            let normal (q: Posterior) = torch.cat ([| q.Base.Mu; q.Base.LogVar |], -1L)

            agree "base" p [ x ] (List.head >> encode >> normal) (fun i ->
                layer s "encoder.4" (features s i.Head)))

        for name, posterior in
            [
                "planar", (fun maps -> PlanarPosterior maps)
                "autoregressive", (fun maps -> IafPosterior(maps, 9))
                "Sylvester", (fun maps -> SylvesterPosterior(maps, 3, 2))
                "splines", (fun maps -> SplinePosterior(maps, 9, 4))
            ] do
            testCase $"networks/posterior/{name}, no map"
            <| within (fun () ->
                let encode, _, _ = make 3 (ofVae (posterior 0))
                let z = normals 5 [ 3; latent ]
                let image, logDet = (encode (normals 4 [ 3; 6 ])).Flow.Value.Forward z
                Expect.equal (elements image) (elements z) "the identity"
                Expect.equal (elements (logDet + torch.zeros 3L)) [| 0.0; 0.0; 0.0 |] "of determinant one")

            testCase $"networks/posterior/{name}, any leading dimensions"
            <| within (fun () ->
                let encode, p, _ = make 3 (ofVae (posterior 2))
                stir 20 p
                let x, z = normals 4 [ 2; 3; 6 ], normals 5 [ 2; 3; latent ]
                let flow (x: Tensor) (z: Tensor) = (encode x).Flow.Value.Forward z
                let image, logDet = flow x z
                let rows, rowLogDet = flow (x.flatten (0L, 1L)) (z.flatten (0L, 1L))
                close "image" image (rows.view_as image)
                close "log-determinant" logDet (rowLogDet.view [| 2L; 3L |]))

        testCase "networks/posterior/one latent"
        <| within (fun () ->
            let build p =
                PosteriorShape.create p (Vae.create p { shape with Latent = 1 }) (IafPosterior(2, 4))

            let encode, _, _ = make 3 build
            let z = normals 5 [ 3; 1 ]
            let image, logDet = (encode (normals 4 [ 3; 6 ])).Flow.Value.Forward z
            close "the identity at its start" image z
            close "of determinant one" logDet (torch.zeros 3L))

        testCase "networks/posterior/odd latents"
        <| within (fun () ->
            let build p =
                PosteriorShape.create p (Vae.create p { shape with Latent = 5 }) (SplinePosterior(2, 4, 3))

            Expect.throwsT<System.ArgumentException>
                (fun () -> make 3 build |> ignore)
                "five latents have no halves")

        testCase "networks/posterior/outputs see what comes before"
        <| within (fun () ->
            let made, p, _ = make 3 (fun p -> Made.create p "made" latent 7 9)
            stir 20 p
            let h = normals 5 [ 7 ]

            for part in [ fst; snd ] do
                let j = jacobian (fun z -> part (Made.apply made h z)) (normals 4 [ latent ])

                for i in 0L .. int64 latent - 1L do
                    for k in 0L .. int64 latent - 1L do
                        Expect.equal (abs (value j[i, k]) > 1e-8) (k < i) $"output {i} and input {k}")
    ]
