/// Priors, planar chains and posteriors with their parameters against second implementations.
module Research.Tests.Laws.LatentNetworks

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State

/// log N(z; mu, diag exp logVar).
let private logNormal (mu: Tensor) (logVar: Tensor) (z: Tensor) : Tensor =
    -0.5 * ((z - mu).square() / logVar.exp () + logVar + log (2.0 * System.Math.PI)).sum -1L

// ---- priors ----

let private latent = 4

/// An encoder of three-dimensional data without parameters of its own.
let private encode (x: Tensor) : DiagNormal = {
    Mu = x.matmul (normals 1 [ 3; latent ])
    LogVar = 0.5 * x.matmul (normals 2 [ 3; latent ])
}

let private mixture (logits: Tensor) (mu: Tensor) (logVar: Tensor) (z: Tensor) : Tensor =
    let weights = (logits.exp () / logits.exp().sum()).log()
    (weights + logNormal mu logVar (z.unsqueeze -2L)).exp().sum(-1L).log()

let private leaky (x: Tensor) : Tensor = x.clamp_min 0.0 + 0.01 * x.clamp_max 0.0

let private net s key (x: Tensor) =
    layer s $"{key}.4" (leaky (layer s $"{key}.2" (leaky (layer s $"{key}.0" x))))

/// Couplings on halves, the order of the latents reversed between them.
let private realNvp couplings (s: Map<string, Tensor>) (z: Tensor) : Tensor * Tensor =
    let half = int64 latent / 2L

    let couple (z: Tensor, logDet: Tensor) i =
        let z = if i = 0 then z else z.flip -1L
        let first, second = z.narrow (-1L, 0L, half), z.narrow (-1L, half, half)
        let scale, shift = (net s $"prior.s.{i}" first).tanh(), net s $"prior.t.{i}" first
        torch.cat ([| first; scale.exp () * second + shift |], -1L), logDet + scale.sum -1L

    List.fold couple (z, torch.zeros ([| z.size 0 |])) [ 0 .. couplings - 1 ]

/// The spline of Durkan et al. with knots and slopes from numbers `[..,C,3K-1]`, one bin after the other, the identity outside
/// of [-4,4]; images and the sum of the logarithms of its slopes.
let private splined (bins: int64) (numbers: Tensor) (z: Tensor) : Tensor * Tensor =
    let part first n = numbers.narrow (-1L, first, n)
    let one = torch.ones_like (part 0L 1L)

    let knots (x: Tensor) =
        let shares = 0.001 + (1.0 - 0.001 * float bins) * x.exp () / x.exp().sum(-1L, true)
        torch.cat ([| -4.0 * one; -4.0 + 8.0 * shares.cumsum -1L |], -1L)

    let x, y = knots (part 0L bins), knots (part bins bins)

    let inner =
        0.001 + 0.999 * (1.0 + (System.Math.E - 1.0) * (part (2L * bins) (bins - 1L)).exp()).log()

    let d = torch.cat ([| one; inner; one |], -1L)

    let bin (image: Tensor, logSlope: Tensor) (k: int64) =
        let at (all: Tensor) (k: int64) = all.select (-1L, k)
        let width, height = at x (k + 1L) - at x k, at y (k + 1L) - at y k
        let isInside = z.ge(at x k).logical_and(z.lt (at x (k + 1L)))
        // Elsewhere the formula may have no value.
        let t = ((z - at x k) / width).clamp(Scalar.op_Implicit 0.0, Scalar.op_Implicit 1.0)
        let s, d0, d1 = height / width, at d k, at d (k + 1L)
        let below = s + (d1 + d0 - 2.0 * s) * t * (1.0 - t)

        let slope =
            s * s * (d1 * t * t + 2.0 * s * t * (1.0 - t) + d0 * (1.0 - t) * (1.0 - t))
            / (below * below)

        torch.where (isInside, at y k + height * (s * t * t + d0 * t * (1.0 - t)) / below, image),
        torch.where (isInside, slope.log (), logSlope)

    let image, logSlope = [ 0L .. bins - 1L ] |> List.fold bin (z, torch.zeros_like z)
    image, logSlope.sum -1L

/// Couplings of splines on halves, their numbers from a network of the first; `z: [B,L]`.
let private splineCouplings
    bins
    (numbers: int -> Tensor -> Tensor)
    (turn: int -> Tensor -> Tensor)
    couplings
    (z: Tensor)
    =
    let half = int64 latent / 2L

    let couple (z: Tensor, logDet: Tensor) i =
        let z = turn i z
        let first, second = z.narrow (-1L, 0L, half), z.narrow (-1L, half, half)
        let image, own = splined bins ((numbers i first).view(-1L, half, 3L * bins - 1L)) second
        torch.cat ([| first; image |], -1L), logDet + own

    List.fold couple (z, torch.zeros ([| z.size 0 |])) [ 0 .. couplings - 1 ]

/// Three couplings of splines of five bins, the order of the latents reversed between them.
let private priorSplines (s: Map<string, Tensor>) (z: Tensor) : Tensor * Tensor =
    let turn i (z: Tensor) = if i = 0 then z else z.flip -1L
    splineCouplings 5L (fun i -> net s $"prior.spline.{i}") turn 3 z

/// All pairs of side points from -1 to 1, the first coordinate the slower.
let private codes (side: int) =
    let axis = [ for i in 0 .. side - 1 -> -1.0 + 2.0 * float i / float (side - 1) ]

    (torch.tensor (
        array2D [
            for x in axis do
                for y in axis -> [ x; y ]
        ]
    ))
        .float()

let private priorCases: (string * PriorShape * Entry list * (Map<string, Tensor> -> Tensor -> Tensor)) list = [
    "standard", StandardPrior, [], (fun _ z -> logNormal (torch.zeros_like z) (torch.zeros_like z) z)
    "mixture",
    MixturePrior 3,
    [
        yield! one "prior.logits" [ 3 ] (Everywhere 0.0)
        yield! one "prior.mu" [ 3; latent ] (Normally(0.0, 1.0))
        yield! one "prior.logvar" [ 3; latent ] (Normally(0.0, 1.0))
    ],
    (fun s -> mixture (s["prior.logits"]) (s["prior.mu"]) (s["prior.logvar"]))
    "vamp",
    VampPrior(5, -0.5, 2.0),
    [
        yield! one "prior.logits" [ 5 ] (Everywhere 0.0)
        yield! one "prior.pseudo_inputs" [ 5; 3 ] (Interval(-0.5, 2.0))
    ],
    (fun s ->
        let q = encode (s["prior.pseudo_inputs"])
        mixture (s["prior.logits"]) q.Mu q.LogVar)
    "flow",
    FlowPrior(3, 6),
    [
        for i in 0..2 do
            yield! mlp $"prior.s.{i}" [ 2; 6; 6; 2 ] @ mlp $"prior.t.{i}" [ 2; 6; 6; 2 ]
    ],
    (fun s z ->
        let image, logDet = realNvp 3 s z
        logNormal (torch.zeros_like image) (torch.zeros_like image) image + logDet)
    "splines",
    SplinePrior(3, 6, 5),
    [
        for i in 0..2 do
            yield! linear $"prior.spline.{i}.0" 2 6 @ linear $"prior.spline.{i}.2" 6 6
            yield! zeroLinear $"prior.spline.{i}.4" 6 (2 * 14)
    ],
    (fun s z ->
        let image, logDet = priorSplines s z
        logNormal (torch.zeros_like image) (torch.zeros_like image) image + logDet)
    "topographic",
    TopographicPrior(3, 6),
    [
        buffer "prior.codes" [ 9; 2 ] Given
        yield! one "prior.logits" [ 9 ] (Everywhere 0.0)
        yield! mlp "prior.net" [ 2; 6; 6; 2 * latent ]
    ],
    (fun s ->
        let h = net s "prior.net" (codes 3)
        let l = int64 latent
        mixture (s["prior.logits"]) (h.narrow (-1L, 0L, l)) (h.narrow (-1L, l, l)))
]

let private priors =
    testList "priors" [
        for name, shape, entries, reference in priorCases do
            testCase $"networks/prior/{name}"
            <| within (fun () ->
                let build p = PriorShape.create p encode 3 latent shape
                startsAs build entries
                let prior, p, s = make 3 build
                stir 20 p

                agree "log p(z)" p [ normals 4 [ 6; latent ] ] (fun i -> (prior ()).LogProb i.Head) (fun i ->
                    reference s i.Head)

                if name = "topographic" then
                    close "codes" (s["prior.codes"]) (codes 3)
                elif name = "standard" then
                    Expect.isSome (prior ()).KlFrom "in closed form")

        for name, shape, toBase in
            [ "flow", FlowPrior(3, 6), realNvp 3; "splines", SplinePrior(3, 6, 5), priorSplines ] do
            testCase $"networks/prior/{name}, samples"
            <| within (fun () ->
                let prior, p, s = make 3 (fun p -> PriorShape.create p encode 3 latent shape)
                stir 20 p
                let eps = normals 4 [ 6; latent ]
                close "the noise of a sample" (fst (toBase s ((prior ()).Sample eps eps))) eps)

        testCase "networks/prior/six latents"
        <| within (fun () ->
            let build shape p = PriorShape.create p encode 3 6 shape

            startsAs (build (FlowPrior(1, 5))) [
                yield! mlp "prior.s.0" [ 3; 5; 5; 3 ]
                yield! mlp "prior.t.0" [ 3; 5; 5; 3 ]
            ]

            startsAs (build (SplinePrior(1, 5, 4))) [
                yield! linear "prior.spline.0.0" 3 5 @ linear "prior.spline.0.2" 5 5
                yield! zeroLinear "prior.spline.0.4" 5 (3 * 11)
            ])

        testCase "networks/prior/odd latents"
        <| within (fun () ->
            Expect.throwsT<System.ArgumentException>
                (fun () -> make 3 (fun p -> PriorShape.create p encode 3 5 (FlowPrior(2, 4))) |> ignore)
                "five latents have no halves"

            Expect.throwsT<System.ArgumentException>
                (fun () -> make 3 (fun p -> PriorShape.create p encode 3 5 (SplinePrior(2, 4, 3))) |> ignore)
                "nor for splines")
    ]

// ---- planar chains ----

let private log1pExp (x: Tensor) = (1.0 + x.exp ()).log()

/// One planar layer whose w.u-hat is softplus(w.u + offset) - 1. `u, w: [..,L]`, `b: [..]`.
let private planarLayer (offset: float) (u: Tensor) (w: Tensor) (b: Tensor) (z: Tensor) : Tensor * Tensor =
    let a = (u * w).sum -1L
    let target = log1pExp (a + offset) - 1.0
    let uHat = u + ((target - a) / w.square().sum -1L).unsqueeze -1L * w
    let h = ((z * w).sum -1L + b).tanh()
    z + uHat * h.unsqueeze -1L, (1.0 + (1.0 - h.square ()) * (uHat * w).sum -1L).abs().log()

let private chains =
    testList "planar chains" [
        testCase "networks/planar-chain/start"
        <| within (fun () ->
            startsAs (fun p -> PlanarChain.create p "flow" 0.0 5 3) [
                yield! one "flow.u" [ 5; 3 ] (Normally(0.0, 0.01))
                yield! one "flow.w" [ 5; 3 ] (Normally(0.0, 0.01))
                yield! one "flow.b" [ 5 ] (Everywhere 0.0)
            ]

            // exp(softplus(a)) = 1 + exp a: at the centred offset w.u = 0 gives w.u-hat = softplus - 1 = 0.
            Expect.floatClose Accuracy.veryHigh (log (1.0 + exp PlanarChain.centred)) 1.0 "centred")

        for offset in [ 0.0; PlanarChain.centred; -0.7 ] do
            testCase $"networks/planar-chain/layers, offset %.2f{offset}"
            <| within (fun () ->
                let chain, p, s = make 3 (fun p -> PlanarChain.create p "flow" offset 3 2)
                stir 20 p
                let z = normals 4 [ 6; 2 ]
                let energy (z: Tensor) = (z.square().sum -1L).sin()

                let reference (z: Tensor) =
                    List.fold
                        (fun (z, total: Tensor) (i: int64) ->
                            let image, logDet =
                                planarLayer offset (s["flow.u"][i]) (s["flow.w"][i]) (s["flow.b"][i]) z

                            image, total + logDet)
                        (z, torch.zeros 6L)
                        [ 0L; 1L; 2L ]

                let loss (z: Tensor) = (let image, logDet = reference z in (energy image - logDet).mean())
                // Made anew each time, since a backward pass frees the graph of u-hat.
                let image (i: Tensor list) = (PlanarChain.transform chain).Forward i.Head
                agree "image" p [ z ] (image >> fst) (List.head >> reference >> fst)
                agree "log-determinant" p [ z ] (image >> snd) (List.head >> reference >> snd)
                agree "loss" p [ z ] (List.head >> PlanarChain.energyLoss energy chain) (List.head >> loss)

                let value, gradients = PlanarChain.composed energy chain z
                Expect.floatClose Accuracy.medium value ((loss z).ToDouble()) "value"
                (loss z).backward()

                for i, key in List.indexed [ "flow.u"; "flow.w"; "flow.b" ] do
                    match s[key].grad with
                    | null -> failtest $"no gradient of {key}"
                    | g -> close key (gradients[i]) g)

        testCase "networks/planar-chain/no layer"
        <| within (fun () ->
            let chain, _, _ = make 3 (fun p -> PlanarChain.create p "flow" 0.0 0 2)
            let z = normals 4 [ 6; 2 ]
            let image, _ = (PlanarChain.transform chain).Forward z
            Expect.equal (elements image) (elements z) "the identity")
    ]

// ---- posteriors ----

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

let private posteriors =
    testList "posteriors" [
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

[<Tests>]
let tests = testList "latent networks" [ priors; chains; posteriors ]
