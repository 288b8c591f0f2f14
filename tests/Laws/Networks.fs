/// The networks of autoencoders against second implementations, tensor by tensor of their state.
module Research.Tests.Laws.Networks

open System
open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State

// ---- parameters ----

let private parameters =
    testList "parameters" [
        testCase "networks/parameters/values"
        <| within (fun () ->
            startsAs
                (fun p ->
                    p.Uniform("u", [| 3L; 2L |], -2.0, 3.0) |> ignore
                    p.Normal("n", [| 4L |], 0.7, 0.2) |> ignore
                    p.Zeros("z", [| 2L |]) |> ignore
                    p.Buffer("b", torch.full ([| 2L |], Scalar.op_Implicit 4.0f)) |> ignore
                    p.Learned("l", torch.full ([| 1L |], Scalar.op_Implicit 5.0f)))
                [
                    yield! one "u" [ 3; 2 ] (Interval(-2.0, 3.0))
                    yield! one "n" [ 4 ] (Normally(0.7, 0.2))
                    yield! one "z" [ 2 ] (Everywhere 0.0)
                    buffer "b" [ 2 ] (Everywhere 4.0)
                    yield! one "l" [ 1 ] (Everywhere 5.0)
                ])

        testCase "networks/parameters/own memory"
        <| within (fun () ->
            // Neither a view of the value nor, for a transposed one, its layout.
            let value = normals 1 [ 3; 2 ]
            let _, _, s = make 1 (fun p -> p.Learned("w", value.t ()))
            value.zero_ () |> ignore
            Expect.equal (elements (s["w"])) (elements ((normals 1 [ 3; 2 ]).t())) "the values at creation"
            Expect.isTrue (s["w"].is_contiguous()) "rows in order")

        testCase "networks/parameters/outlive a scope"
        <| within (fun () ->
            let _, _, s =
                use _ = torch.NewDisposeScope()
                make 1 (fun p -> p.Zeros("w", [| 2L |]))

            Expect.equal (elements (s["w"])) [| 0.0; 0.0 |] "still there")

        testCase "networks/parameters/names are used once"
        <| within (fun () ->
            for second in
                [
                    (fun (p: Parameters) -> p.Zeros("w", [| 2L |]))
                    fun p -> p.Buffer("w", torch.zeros 2L)
                ] do
                Expect.throwsT<ArgumentException>
                    (fun () ->
                        make 1 (fun p ->
                            p.Zeros("w", [| 2L |]) |> ignore
                            second p)
                        |> ignore)
                    "the same key twice")
    ]

// ---- multilayer perceptrons ----

let private activations: (string * Activation * (float -> float)) list = [
    "ELU", Elu, (fun x -> if x > 0.0 then x else exp x - 1.0)
    "ReLU", Relu, (fun x -> if x > 0.0 then x else 0.0)
    "leaky ReLU", LeakyRelu 0.3, (fun x -> if x > 0.0 then x else 0.3 * x)
    "tanh", Tanh, tanh
    "softplus", Softplus, (fun x -> log (1.0 + exp x))
]

let private perceptrons =
    testList "perceptrons" [
        for name, activation, plain in activations do
            testCase $"networks/activation/{name}"
            <| within (fun () ->
                let x = (vector [ -2.0; -0.4; 0.3; 1.7 ]).requires_grad_ true
                let y = Activation.apply activation x
                let expected = Array.map plain (elements x)
                Expect.isLessThan (distance (y.detach ()) (vector (List.ofArray expected))) 1e-12 "value"
                y.sum().backward()

                let slope x = (plain (x + 1e-6) - plain (x - 1e-6)) / 2e-6

                let slopes = vector (elements x |> Array.map slope |> List.ofArray)

                match x.grad with
                | null -> failtest "no gradient"
                | g -> Expect.isLessThan (distance g slopes) 1e-8 "slope")

        testCase "networks/linear/start"
        <| within (fun () ->
            startsAs (fun p -> Linear.create p "a" 5 3) (linear "a" 5 3)
            startsAs (fun p -> Linear.zeros p "a" 5 3) (zeroLinear "a" 5 3))

        testCase "networks/mlp/start"
        <| within (fun () ->
            startsAs (fun p -> Mlp.create p "net" Elu [ 4; 3; 5; 2 ]) (mlp "net" [ 4; 3; 5; 2 ]))

        testCase "networks/mlp/layers"
        <| within (fun () ->
            let net, p, s = make 2 (fun p -> Mlp.create p "net" Tanh [ 4; 3; 5; 2 ])

            agree "network" p [ normals 3 [ 6; 4 ] ] (List.head >> Mlp.apply net) (fun inputs ->
                let first = layer s "net.0" inputs.Head
                let second = layer s "net.2" (first.tanh ())
                layer s "net.4" (second.tanh ())))
    ]

// ---- likelihoods ----

/// log p(x|output) and E[x|output] of one example, in plain floats.
let private plainLikelihood (likelihood: Likelihood) (output: float[]) (x: float[]) : float * float[] =
    let sigmoid a = 1.0 / (1.0 + exp -a)

    match likelihood with
    | BernoulliLogits shift ->
        let means = output |> Array.map (fun a -> sigmoid (a + shift))
        Array.fold2 (fun sum m x -> sum + x * log m + (1.0 - x) * log (1.0 - m)) 0.0 means x, means
    | GreyLevels levels ->
        let tables =
            output
            |> Array.chunkBySize levels
            |> Array.map (fun logits ->
                let weights = Array.map exp logits
                weights |> Array.map (fun w -> w / Array.sum weights))

        let means = tables |> Array.map (Array.mapi (fun v q -> float v * q) >> Array.sum)
        Array.fold2 (fun sum (q: float[]) x -> sum + log q[int x]) 0.0 tables x, means
    | Gaussian sigma ->
        let density m x = -0.5 * log (2.0 * Math.PI) - log sigma - (x - m) * (x - m) / (2.0 * sigma * sigma)

        Array.fold2 (fun sum m x -> sum + density m x) 0.0 output x, output

/// The same from tensors, to be differentiated. `output: [..,B,D * outputs]`, `x: [B,D]`, results `[..,B]` and `[..,B,D]`.
let private tensorLikelihood (likelihood: Likelihood) (output: Tensor) (x: Tensor) : Tensor * Tensor =
    match likelihood with
    | BernoulliLogits shift ->
        let m = 1.0 / (1.0 + (-shift - output).exp())
        (x * m.log () + (1.0 - x) * (1.0 - m).log()).sum -1L, m
    | GreyLevels levels ->
        let values = torch.arange (int64 levels, dtype = output.dtype)
        let weights = output.unfold(-1L, int64 levels, int64 levels).exp()
        let q = weights / weights.sum (-1L, true)
        let isChosen = (values.eq (x.unsqueeze -1L)).``to`` output.dtype
        (isChosen * q.log ()).sum [| -2L; -1L |], (q * values).sum -1L
    | Gaussian sigma ->
        let error = (x - output) / sigma
        (-0.5 * error * error - log (sigma * sqrt (2.0 * Math.PI))).sum -1L, output

let private likelihoodCases: (string * Likelihood * (int64 list -> Tensor)) list = [
    "Bernoulli", BernoulliLogits 0.0, (fun shape -> (uniform 3 shape).round())
    "shifted Bernoulli", BernoulliLogits -2.0, (fun shape -> (uniform 3 shape).round())
    "Bernoulli shifted by 1", BernoulliLogits 1.0, (fun shape -> (uniform 3 shape).round())
    "grey levels", GreyLevels 5, (fun shape -> (5.0 * uniform 3 shape).floor())
    "normal", Gaussian 0.4, gaussian 3
]

let private likelihoods =
    testList "likelihoods" [
        for name, likelihood, data in likelihoodCases do
            testCase $"networks/likelihood/{name}"
            <| within (fun () ->
                let perPixel = Likelihood.outputs likelihood
                Expect.equal perPixel (if likelihood = GreyLevels 5 then 5 else 1) "outputs of a pixel"
                let output, x = gaussian 1 [ 2; 4; int64 (3 * perPixel) ], data [ 4; 3 ]
                let ours = Likelihood.logProb likelihood output x
                let means = Likelihood.mean likelihood output
                Expect.equal ours.shape [| 2L; 4L |] "a number an example"
                Expect.equal means.shape [| 2L; 4L; 3L |] "a mean a pixel"

                for k in 0L .. 1L do
                    for b in 0L .. 3L do
                        let logProb, mean =
                            plainLikelihood likelihood (elements (output[k, b])) (elements (x[b]))

                        Expect.floatClose Accuracy.high (value (ours[k, b])) logProb "log-probability"
                        Expect.isLessThan (distance (means[k, b]) (vector (List.ofArray mean))) 1e-10 "mean")

        testCase "networks/likelihood/samples"
        <| within (fun () ->
            let noise = vector [ 0.1; 0.5; 0.9 ]

            let sample likelihood (output: float list) =
                elements (Likelihood.sample likelihood (vector output) noise)
            // sigmoid(1.2 - 1) = 0.55, sigmoid(-1) = 0.27, sigmoid(4 - 1) = 0.95.
            Expect.equal (sample (BernoulliLogits -1.0) [ 1.2; 0.0; 4.0 ]) [| 1.0; 0.0; 1.0 |] "Bernoulli"
            // Each pixel takes values 0, 1 and 2 with probabilities 1/4, 1/2 and 1/4.
            let table = [
                for _ in 1..3 do
                    yield! [ 0.0; log 2.0; 0.0 ]
            ]

            Expect.equal (sample (GreyLevels 3) table) [| 0.0; 1.0; 2.0 |] "grey levels"
            let drawn = sample (Gaussian 0.5) [ 1.0; 2.0; 3.0 ]

            Expect.isLessThan
                (distance (vector (List.ofArray drawn)) (vector [ 1.05; 2.25; 3.45 ]))
                1e-12
                "normal"

            let _, none, _ = make 1 (fun p -> p.Zeros("unused", [| 1L |]))

            agree
                "the normal's, which has gradients"
                none
                [ normals 1 [ 4; 3 ]; normals 2 [ 4; 3 ] ]
                (fun i -> Likelihood.sample (Gaussian 0.5) (i[0]) (i[1]))
                (fun i -> i[0] + i[1] / 2.0))
    ]

// ---- autoencoders ----

let private vaeShape likelihood variance : VaeShape = {
    Data = 6
    Latent = 2
    Hidden = [ 5; 4 ]
    Activation = Tanh
    Likelihood = likelihood
    Variance = variance
}

let private perceptron (s: Map<string, Tensor>) key (x: Tensor) : Tensor =
    layer s $"{key}.4" ((layer s $"{key}.2" ((layer s $"{key}.0" x).tanh())).tanh())

let private both (q: DiagNormal) = torch.cat ([| q.Mu; q.LogVar |], -1L)

let private autoencoders =
    testList "autoencoders" [
        testCase "networks/vae/start"
        <| within (fun () ->
            startsAs
                (fun p -> Vae.create p (vaeShape (GreyLevels 3) LogVariance))
                (mlp "encoder" [ 6; 5; 4; 4 ] @ mlp "decoder" [ 2; 4; 5; 18 ]))

        for name, variance, logVar in
            [
                "log-variance", LogVariance, id
                "softplus", SoftplusVariance, (fun (second: Tensor) -> (second.exp () + 1.0).log().log())
            ] do
            testCase $"networks/vae/encoder, {name}"
            <| within (fun () ->
                let vae, p, s = make 2 (fun p -> Vae.create p (vaeShape (Gaussian 0.4) variance))

                agree "q(z|x)" p [ normals 3 [ 3; 6 ] ] (List.head >> Vae.encode vae >> both) (fun inputs ->
                    let h = perceptron s "encoder" inputs.Head
                    torch.cat ([| h.narrow (-1L, 0L, 2L); logVar (h.narrow (-1L, 2L, 2L)) |], -1L)))

        testCase "networks/vae/variance has a floor"
        <| within (fun () ->
            let vae, _, s = make 2 (fun p -> Vae.create p (vaeShape (Gaussian 0.4) SoftplusVariance))
            use _ = torch.no_grad ()
            s["encoder.4.bias"].fill_(Scalar.op_Implicit -200.0f) |> ignore
            let q = Vae.encode vae (normals 3 [ 3; 6 ])

            Expect.isLessThan
                (distance q.LogVar (torch.full_like (q.LogVar, Scalar.op_Implicit (log 1e-8))))
                1e-5
                "1e-8")

        for name, likelihood, data in likelihoodCases do
            testCase $"networks/vae/decoder, {name}"
            <| within (fun () ->
                let vae, p, s = make 2 (fun p -> Vae.create p (vaeShape likelihood LogVariance))
                let x, z = (data [ 3; 6 ]).float(), normals 5 [ 4; 3; 2 ]
                let decoded (inputs: Tensor list) = perceptron s "decoder" inputs.Head
                agree "output" p [ z ] (List.head >> Vae.decode vae) decoded

                agree "log p(x|z)" p [ z; x ] (fun i -> Vae.logLikelihood vae (i[1]) (i[0])) (fun i ->
                    fst (tensorLikelihood likelihood (decoded i) (i[1])))

                agree "E[x|z]" p [ z ] (List.head >> Vae.meanImage vae) (fun i ->
                    snd (tensorLikelihood likelihood (decoded i) x)))

        testCase "networks/vae/model"
        <| within (fun () ->
            let vae, p, _ = make 2 (fun p -> Vae.create p (vaeShape (Gaussian 0.4) LogVariance))

            let prior =
                Prior.mixtureOfGaussians (vector [ 0.0 ]) (gaussian 1 [ 1; 2 ]) (gaussian 2 [ 1; 2 ])

            let model = Vae.model vae prior
            let x, z = normals 3 [ 3; 6 ], normals 4 [ 3; 2 ]
            Expect.isTrue (obj.ReferenceEquals(model.Prior, prior)) "the prior given"
            Expect.isNone (model.Encode x).Flow "no flow"

            agree "encoder" p [ x ] (fun i -> both (model.Encode i.Head).Base) (fun i ->
                both (Vae.encode vae i.Head))

            agree "decoder" p [ z ] (fun i -> model.LogLikelihood x i.Head) (fun i ->
                Vae.logLikelihood vae x i.Head))
    ]

// ---- conditional autoencoders ----

let private conditionals =
    testList "conditional" [
        testCase "networks/conditional/start"
        <| within (fun () ->
            startsAs
                (fun p -> ConditionalVae.create p (vaeShape (GreyLevels 3) LogVariance) 7)
                (mlp "encoder" [ 13; 5; 4; 4 ] @ mlp "decoder" [ 9; 4; 5; 18 ]))

        testCase "networks/conditional/parts"
        <| within (fun () ->
            let shape = vaeShape (BernoulliLogits -1.0) LogVariance
            let vae, p, s = make 2 (fun p -> ConditionalVae.create p shape 3)
            let x, labels = (uniform 3 [ 4; 6 ]).round().float(), torch.tensor [| 2L; 0L; 1L; 2L |]

            let hot =
                torch.tensor (
                    array2D [
                        [ 0.0f; 0.0f; 1.0f ]
                        [ 1.0f; 0.0f; 0.0f ]
                        [ 0.0f; 1.0f; 0.0f ]
                        [ 0.0f; 0.0f; 1.0f ]
                    ]
                )

            let rows = torch.cat ([| x; hot |], 1L)
            let model = ConditionalVae.model vae
            let z = normals 5 [ 2; 4; 2 ]

            let logits (z: Tensor) =
                let told = torch.stack [| hot; hot |]
                perceptron s "decoder" (torch.cat ([| z; told |], -1L))

            Expect.equal (elements (ConditionalVae.oneHot 3 labels)) (elements hot) "one-hot"
            Expect.equal (elements (ConditionalVae.withLabels 3 x labels)) (elements rows) "rows"
            Expect.isNone (model.Encode rows).Flow "no flow"
            Expect.isSome model.Prior.KlFrom "the prior is N(0,I)"

            agree "q(z|x,y)" p [ rows ] (fun i -> both (model.Encode i.Head).Base) (fun i ->
                perceptron s "encoder" i.Head)

            // x log sigmoid(l) + (1 - x) log sigmoid(-l), the logits shifted.
            let bernoulli (rows: Tensor) (l: Tensor) =
                let x = rows.narrow (-1L, 0L, 6L)
                let m = (l - 1.0).sigmoid()
                (x * m.log () + (1.0 - x) * (1.0 - m).log()).sum -1L

            agree "log p(x|y,z)" p [ z ] (fun i -> model.LogLikelihood rows i.Head) (fun i ->
                bernoulli rows (logits i.Head))
            // The pixels count as data and may be differentiated in.
            agree "in x" p [ rows ] (fun i -> model.LogLikelihood i.Head z) (fun i ->
                let y = (i.Head.narrow (-1L, 6L, 3L)).expand [| 2L; 4L; 3L |]
                bernoulli i.Head (perceptron s "decoder" (torch.cat ([| z; y |], -1L))))

            let image (z: Tensor) = ((logits (torch.stack [| z; z |]))[0] - 1.0).sigmoid()

            agree
                "E[x|y,z]"
                p
                [ z[0] ]
                (List.head >> ConditionalVae.meanImage vae labels)
                (List.head >> image)

            let u = (uniform 6 [ 4; 6 ]).float()
            let drawn = ConditionalVae.sample vae labels (z[0]) u

            Expect.equal
                (elements drawn)
                (elements ((u.lt (image (z[0]))).float()))
                "a pixel is lit where u is below its mean")
    ]

[<Tests>]
let tests =
    testList "networks" [ parameters; perceptrons; likelihoods; autoencoders; conditionals ]
