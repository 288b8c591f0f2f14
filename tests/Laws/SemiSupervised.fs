/// The networks and the loss of M2 against a second implementation that takes one class after the other.
module Research.Tests.Laws.SemiSupervised

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State

let private shape: M2Shape = { Data = 6; Classes = 3; Latent = 2; Hidden = 5 }
let private create p = M2.create p shape
let private batch = 4L

let private log1pExp (x: Tensor) = (1.0 + x.exp ()).log()

/// q(y|x) of every class.
let private probabilities s (x: Tensor) =
    let weights = (layer s "classifier.2" (log1pExp (layer s "classifier.0" x))).exp()
    weights / weights.sum (-1L, true)

let private image (s: Map<string, Tensor>) (y: int64) (z: Tensor) =
    let h = log1pExp (layer s "decoder.input" z + s["decoder.label"][y])
    1.0 / (1.0 + (layer s "decoder.output" h).neg().exp())

/// L(x,y) for one class, its divergence weighed.
let private cost (s: Map<string, Tensor>) (weight: float) (x: Tensor) (y: int64) (eps: Tensor) =
    let h =
        layer s "encoder.output" (log1pExp (layer s "encoder.input" x + s["encoder.label"][y]))

    let mu, logVar = h.narrow (-1L, 0L, 2L), h.narrow (-1L, 2L, 2L)
    let kl = 0.5 * (mu.square () + logVar.exp () - logVar - 1.0).sum -1L
    let p = image s y (mu + logVar.exp().sqrt() * eps)
    let logLikelihood = (x * p.log () + (1.0 - x) * (1.0 - p).log()).sum -1L
    weight * kl - logLikelihood + log 3.0

/// The weights of the classes at a floor: a row of plain numbers, and which class has the rest.
let private roulette (floor: float) (u: float[]) (q: float[]) =
    let top = Array.findIndex ((=) (Array.max q)) q

    let kept =
        Array.mapi2
            (fun c u q ->
                if c = top then 0.0
                elif q >= floor then q
                elif u < q / floor then floor
                else 0.0)
            u
            q

    top, kept

/// The mean of U(x) with thinned weights; a weight w has the gradient of w log q, and the first class what is left.
let private unlabelled s floor weight (x: Tensor) (eps: Tensor) (u: Tensor) =
    let q = probabilities s x

    let sums = [|
        for b in 0L .. batch - 1L do
            let top, kept = roulette floor (elements (u[b])) (elements (q[b]))
            let costs = [| for c in 0L .. 2L -> cost s weight (x[b]) c (eps[c, b]) |]
            let ones = [| for c in 0L .. 2L -> q[b, c] / q[b, c].detach() |]
            let others = Array.map2 (fun (k: float) (one: Tensor) -> k * one) kept ones
            let rest = 1.0 - Array.reduce (+) others
            let terms = Array.map2 (fun (w: Tensor) (c: Tensor) -> w * c) others costs
            Array.reduce (+) terms + rest * costs[top] + (q[b] * q[b].log()).sum()
    |]

    (torch.stack sums).mean()

let private model () =
    let m, p, s = make 3 create
    stir 20 p
    m, p, s

let private pixels () = ((uniform 1 [ batch; 6L ]).round()).float()
let private labels () = torch.tensor [| 2L; 0L; 1L; 1L |]

let private perLabel (cost: int -> int64 -> Tensor) =
    torch.stack [| for b, y in Array.indexed (elements (labels ())) -> cost b (int64 y) |]

let private crossEntropy s (x: Tensor) =
    let q = probabilities s x
    (perLabel (fun b y -> (q[int64 b, y]).log())).mean().neg()

[<Tests>]
let tests =
    testList "semi-supervised networks" [
        testCase "networks/m2/start"
        <| within (fun () ->
            let joined name (inputs: int) = [
                let bound = Within(1.0 / sqrt (float inputs))
                yield! one $"{name}.input.weight" [ 5; inputs ] bound
                yield! one $"{name}.input.bias" [ 5 ] bound
                yield! one $"{name}.label" [ 3; 5 ] (Normally(0.0, 1e-3))
            ]

            startsAs create [
                yield! joined "encoder" 6
                yield! joined "decoder" 2
                yield! mlp "classifier" [ 6; 5; 3 ]
                yield! linear "encoder.output" 5 4
                yield! linear "decoder.output" 5 6
            ])

        testCase "networks/m2/classifier"
        <| within (fun () ->
            let m, p, s = model ()
            let x, y = pixels (), labels ()
            agree "log q(y|x)" p [ x ] (List.head >> M2.logLabel m) (fun i -> (probabilities s i.Head).log())

            agree "cross-entropy" p [ x ] (fun i -> M2.crossEntropy m i.Head y) (fun i ->
                (crossEntropy s i.Head))

            // The class whose interval of the distribution function holds u.
            let u = (uniform 4 [ batch; 1L ]).float()

            let drawn = [|
                for b in 0L .. batch - 1L ->
                    let upper = Array.scan (+) 0.0 (elements ((probabilities s x)[b]))
                    float (Array.findIndex (fun edge -> value (u[b]) < edge) upper - 1)
            |]

            let sampled = M2.sampleLabel m x u
            Expect.equal sampled.shape [| batch |] "a class an example"
            Expect.equal (elements sampled) drawn "a class drawn"
            Expect.isFalse sampled.requires_grad "without gradient")

        for weight in [ 1.0; 0.3; 0.0 ] do
            testCase $"networks/m2/labelled, divergence weighed {weight}"
            <| within (fun () ->
                let m, p, s = model ()
                let x, eps = pixels (), normals 5 [ batch; 2L ]

                agree
                    "L(x,y)"
                    p
                    [ x; eps ]
                    (fun i -> M2.labelled m weight (i[0]) (labels ()) (i[1]))
                    (fun i -> perLabel (fun b y -> cost s weight (i[0][int64 b]) y (i[1][int64 b]))))

        testCase "networks/m2/every label"
        <| within (fun () ->
            let m, p, s = model ()

            agree
                "L(x,.)"
                p
                [ pixels (); normals 5 [ 3L; batch; 2L ] ]
                (fun i -> M2.everyLabel m (i[0]) (i[1]))
                (fun i -> torch.stack ([| for c in 0L .. 2L -> cost s 1.0 (i[0]) c (i[1][c]) |], 1L)))

        for floor, weight in [ 0.0, 1.0; 0.32, 0.3 ] do
            testCase $"networks/m2/unlabelled, floor {floor}"
            <| within (fun () ->
                let m, p, s = model ()
                let x, eps, u = pixels (), normals 5 [ 3L; batch; 2L ], (uniform 6 [ batch; 3L ]).float()

                // Both outcomes of the roulette occur.
                if floor > 0.0 then
                    let q = elements (probabilities s x)
                    let dropped = Array.forall2 (fun u q -> u < q / floor || q >= floor) (elements u) q
                    Expect.isFalse dropped "some class is left out"

                agree "U(x)" p [ x; eps ] (fun i -> M2.unlabelled m floor weight (i[0]) (i[1]) u) (fun i ->
                    unlabelled s floor weight (i[0]) (i[1]) u))

        testCase "networks/m2/loss"
        <| within (fun () ->
            let m, p, s = model ()
            let settings = { LabelledShare = 0.4; Weight = 0.7; KlWeight = 0.3; Floor = 0.32 }
            let x, eps = pixels (), normals 5 [ batch; 2L ]

            let x', eps', u =
                ((uniform 7 [ batch; 6L ]).round()).float(),
                normals 8 [ 3L; batch; 2L ],
                (uniform 6 [ batch; 3L ]).float()

            let inputs = [ x; eps; x'; eps' ]
            let loss (i: Tensor list) = M2.loss m settings (i[0], labels (), i[1]) (i[2], i[3], u)

            let expected: (string * (Tensor list -> Tensor)) list = [
                "labelled",
                (fun i -> 0.4 * (perLabel (fun b y -> cost s 0.3 (i[0][int64 b]) y (i[1][int64 b]))).mean())
                "unlabelled", (fun i -> 0.6 * unlabelled s 0.32 0.3 (i[2]) (i[3]) u)
                "classifier", (fun i -> 0.7 * crossEntropy s (i[0]))
            ]

            Expect.equal (loss inputs |> List.map fst) (expected |> List.map fst) "terms"

            for name, term in expected do
                agree name p inputs (fun i -> loss i |> List.find (fst >> (=) name) |> snd) term)

        testCase "networks/m2/a share without examples"
        <| within (fun () ->
            let m, _, _ = model ()
            let settings = { LabelledShare = 0.4; Weight = 0.0; KlWeight = 1.0; Floor = 0.0 }
            let none = pixels().narrow(0L, 0L, 0L), labels().narrow(0L, 0L, 0L), normals 5 [ 0L; 2L ]
            let some = pixels (), normals 8 [ 3L; batch; 2L ], (uniform 6 [ batch; 3L ]).float()

            Expect.throwsT<System.ArgumentException>
                (fun () -> M2.loss m settings none some |> ignore)
                "no labelled example has a mean")

        testCase "networks/m2/image"
        <| within (fun () ->
            let m, p, s = model ()

            agree
                "E[x|y,z]"
                p
                [ normals 5 [ batch; 2L ] ]
                (fun i -> M2.meanImage m (labels ()) i.Head)
                (fun i -> perLabel (fun b y -> image s y (i.Head[int64 b]))))
    ]
