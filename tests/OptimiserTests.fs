/// The optimisers against PyTorch's results, in both of their forms, and against themselves after a restart.
module Research.Tests.OptimiserTests

open System
open System.Globalization
open System.IO
open System.Reflection
open Expecto
open TorchSharp
open Research.Host

type private Reference = {
    Optimiser: string
    Dtype: torch.ScalarType
    Element: int
    Step10: float
    Step100: float
}

/// fixtures/optimisers.csv, which fixtures/optimisers.py wrote.
let private references =
    lazy
        (use stream =
            nonNull (Assembly.GetExecutingAssembly().GetManifestResourceStream "optimisers.csv")

         use reader = new StreamReader(stream)

         [
             for line in reader.ReadToEnd().Split('\n', StringSplitOptions.RemoveEmptyEntries) |> Seq.skip 1 do
                 let field = line.Split ','

                 {
                     Optimiser = field[0]
                     Dtype =
                         if field[1] = "float64" then
                             torch.float64
                         else
                             torch.float32
                     Element = int field[2]
                     Step10 = Double.Parse(field[3], CultureInfo.InvariantCulture)
                     Step100 = Double.Parse(field[4], CultureInfo.InvariantCulture)
                 }
         ])

let private settings: (string * OptimiserSettings) list = [
    "sgd", OptimiserSettings.Sgd 0.05
    "sgd-momentum", OptimiserSettings.Sgd(0.01, Momentum = 0.9, WeightDecay = 0.01)
    "adam", OptimiserSettings.Adam()
    "adam-gan", OptimiserSettings.Adam(4e-4, Beta1 = 0.0, Beta2 = 0.99, WeightDecay = 1e-6)
    "adamax", OptimiserSettings.Adamax(1e-3, WeightDecay = 0.01)
    "rmsprop", OptimiserSettings.RmsProp 5e-4
]

let private adam = settings |> List.find (fst >> (=) "adam") |> snd

/// The parameters of the fixture: 19 elements, so that no vector width divides them.
let private parameters (dtype: torch.ScalarType) =
    let element start count (shape: int64 array) =
        let values = Array.init count (fun i -> cos (float (start + i)))
        torch.tensor(values).``to``(dtype).reshape(shape).requires_grad_ true

    [ "weight", element 0 9 [| 3L; 3L |]; "bias", element 9 10 [| 10L |] ]

let private values (named: (string * torch.Tensor) list) =
    named
    |> List.map (fun (_, p) -> p.detach().``to``(torch.float64).data<float>().ToArray())
    |> Array.concat

/// The fixture's gradient of step t: p/2 + cos(0.3 t + 0.7 i).
let private gradients t (named: (string * torch.Tensor) list) : torch.Tensor array =
    let mutable start = 0

    [|
        for _, p in named do
            let now = p.detach().``to``(torch.float64).data<float>().ToArray()
            let g = now |> Array.mapi (fun i v -> v / 2.0 + cos (0.3 * float t + 0.7 * float (start + i)))
            start <- start + now.Length
            torch.tensor(g).``to``(p.dtype).reshape(p.shape)
    |]

let private pairs (named: (string * torch.Tensor) list) = [| for name, p in named -> struct (name, p) |]

let private advance (optimiser: IOptimiser) named first last =
    for t in first..last do
        use _ = torch.NewDisposeScope()
        optimiser.Step(gradients t named)

/// A hundred steps leave at most a hundred roundings of numbers near 1.
let private rounding dtype = 100.0 * if dtype = torch.float64 then 2.3e-16 else 1.2e-7

let private matchesPyTorch name setting dtype fused () =
    use _ = torch.NewDisposeScope()
    let named = parameters dtype
    let optimiser = Optimiser.Create(setting, pairs named, fused)

    let expected =
        references.Value |> List.filter (fun r -> r.Optimiser = name && r.Dtype = dtype)

    Expect.hasLength expected 19 "The fixture has every element"

    let agree step (expected: float list) =
        let error = Seq.zip (values named) expected |> Seq.map (fun (a, e) -> abs (a - e)) |> Seq.max
        Expect.isLessThanOrEqual error (rounding dtype) $"Distance from PyTorch after {step} steps"

    advance optimiser named 1 10
    agree 10 (expected |> List.map _.Step10)
    advance optimiser named 11 100
    agree 100 (expected |> List.map _.Step100)

let private againstPyTorch = [
    for name, setting in settings do
        for dtype, label in [ torch.float32, "float32"; torch.float64, "float64" ] do
            for fused, form in [ true, "fused"; false, "operators" ] do
                testCase $"optimiser/{name}/{label}/{form}" (matchesPyTorch name setting dtype fused)
]

let private behaviour = [
    testCase "optimiser/state-names" (fun () ->
        use _ = torch.NewDisposeScope()

        for setting, expected in
            [
                adam, [ "exp_avg.weight"; "exp_avg.bias"; "exp_avg_sq.weight"; "exp_avg_sq.bias" ]
                OptimiserSettings.Adamax(),
                [ "exp_avg.weight"; "exp_avg.bias"; "exp_inf.weight"; "exp_inf.bias" ]
                OptimiserSettings.RmsProp(), [ "square_avg.weight"; "square_avg.bias" ]
                OptimiserSettings.Sgd(0.1, Momentum = 0.9),
                [ "momentum_buffer.weight"; "momentum_buffer.bias" ]
                OptimiserSettings.Sgd 0.1, []
            ] do
            let optimiser = Optimiser.Create(setting, pairs (parameters torch.float32))
            Expect.sequenceEqual [ for struct (name, _) in optimiser.State -> name ] expected $"{setting}")

    for name, setting in settings do
        testCase $"optimiser/{name}/restart" (fun () ->
            use _ = torch.NewDisposeScope()
            let whole = parameters torch.float32
            advance (Optimiser.Create(setting, pairs whole)) whole 1 20

            let named = parameters torch.float32
            let before = Optimiser.Create(setting, pairs named)
            advance before named 1 7
            let after = Optimiser.Create(setting, pairs named)
            after.StepCount <- before.StepCount

            for struct (_, target), struct (_, source) in Seq.zip after.State before.State do
                target.copy_ source |> ignore

            advance after named 8 20
            Expect.isTrue (values named = values whole) "The same bits as without the restart")

    for fused, form in [ true, "fused"; false, "operators" ] do
        testCase $"optimiser/null-gradient/{form}" (fun () ->
            use _ = torch.NewDisposeScope()
            let named = parameters torch.float32
            let before = values named
            let optimiser = Optimiser.Create(adam, pairs named, fused)
            optimiser.Step [| null; (gradients 1 named)[1] |]
            let after = values named
            Expect.isTrue (before[..8] = after[..8]) "The parameter without a gradient stays"
            Expect.isTrue (Array.forall2 (<>) before[9..] after[9..]) "The other moves")

    // Operators move all parameters as one, or one by one where a gradient is missing.
    for name, setting in settings do
        testCase $"optimiser/{name}/together" (fun () ->
            use _ = torch.NewDisposeScope()
            let together, apart = parameters torch.float32, parameters torch.float32
            let whole = Optimiser.Create(setting, pairs together, false)
            let alone = [ for _ in apart -> Optimiser.Create(setting, pairs apart, false) ]

            for t in 1..5 do
                let g = gradients t together
                whole.Step g

                for i, optimiser in List.indexed alone do
                    let only: (torch.Tensor | null)[] = Array.create g.Length null
                    only[i] <- g[i]
                    optimiser.Step only

            Expect.isTrue (values together = values apart) "The same bits as one by one"
            Expect.isTrue (together |> List.forall (fun (_, p) -> p.requires_grad)) "Parameters stay leaves")

    for name, setting in settings do
        testCase $"optimiser/{name}/state" (fun () ->
            use _ = torch.NewDisposeScope()

            let states = [
                for fused in [ true; false ] do
                    let named = parameters torch.float32
                    let optimiser = Optimiser.Create(setting, pairs named, fused)
                    advance optimiser named 1 10
                    [ for struct (name, tensor) in optimiser.State -> name, tensor ]
            ]

            for (name, ours), (_, theirs) in Seq.zip states[0] states[1] do
                let error = (ours - theirs).abs().max().ToDouble()
                Expect.isLessThanOrEqual error (rounding torch.float32) $"{name} is that of the operators")

    testCase "optimiser/half-precision" (fun () ->
        use _ = torch.NewDisposeScope()

        let after fused =
            let named = parameters torch.float16

            advance
                (Optimiser.Create(OptimiserSettings.Sgd(0.01, Momentum = 0.9), pairs named, fused))
                named
                1
                5

            values named

        Expect.isTrue (after true = after false) "Through operators, whether or not fused is asked for")

    // A scope frees the tensors that are made in it; the state outlives the one that it is made in.
    for fused, form in [ true, "fused"; false, "operators" ] do
        testCase $"optimiser/scope/{form}" (fun () ->
            use _ = torch.NewDisposeScope()
            let inside, outside = parameters torch.float32, parameters torch.float32

            let optimiser =
                use _ = torch.NewDisposeScope()
                Optimiser.Create(adam, pairs inside, fused)

            let expected = Optimiser.Create(adam, pairs outside, fused)
            advance optimiser inside 1 3
            advance expected outside 1 3
            Expect.isTrue (values inside = values outside) "The same steps"

            for struct (name, ours), struct (_, theirs) in Seq.zip optimiser.State expected.State do
                Expect.isTrue (values [ name, ours ] = values [ name, theirs ]) $"{name} is the same")

    testCase "optimiser/transposed-gradient" (fun () ->
        use _ = torch.NewDisposeScope()
        let straight, turned = parameters torch.float32, parameters torch.float32
        let g = gradients 1 straight
        (Optimiser.Create(adam, pairs straight)).Step g
        let view = g[0].t().contiguous().t()
        Expect.isFalse (view.is_contiguous ()) "The gradient is laid out by columns"
        (Optimiser.Create(adam, pairs turned)).Step [| view; g[1] |]
        Expect.isTrue (values straight = values turned) "The layout does not matter")

    testCase "optimiser/infinite-gradient" (fun () ->
        use _ = torch.NewDisposeScope()

        for name, setting in settings do
            let named = [ "w", torch.zeros([| 64L |]).requires_grad_ true ]
            let optimiser = Optimiser.Create(setting, pairs named)
            let overflow = Array.init 64 (fun i -> if i = 3 then infinityf else 1.0f)
            optimiser.Step [| torch.tensor overflow |]
            let bad = values named |> Array.indexed |> Array.filter (snd >> Double.IsFinite >> not)

            Expect.isTrue
                (bad |> Array.forall (fun (i, _) -> i = 3))
                $"{name}: an overflow stays in its element")

    testCase "optimiser/misfit" (fun () ->
        use _ = torch.NewDisposeScope()
        let named = parameters torch.float32
        let optimiser = Optimiser.Create(adam, pairs named)

        for wrong in
            [
                [| torch.ones ([| 3L; 3L |]) |]
                [| torch.ones ([| 3L; 3L |]); torch.ones ([| 9L |]) |]
            ] do
            Expect.throwsT<ArgumentException> (fun () -> optimiser.Step wrong) "Gradients that do not fit"

        for dtype, fused in [ torch.float16, true; torch.float64, true; torch.float32, false ] do
            Expect.throwsT<InvalidOperationException>
                (fun () -> Optimiser.Create(adam, pairs (parameters dtype), fused).Begin() |> ignore)
                $"Pieces of {dtype}, fused: {fused}"

        Expect.throwsC
            (fun () -> Optimiser.Create(adam, pairs [ "w", torch.zeros(3L, 2L).t() ]) |> ignore)
            (fun e -> Expect.stringContains e.Message "'w' is not contiguous" "A transposed parameter"))
]

[<Tests>]
let tests = testList "optimisers" (againstPyTorch @ behaviour)
