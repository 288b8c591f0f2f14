/// The contract of the TorchSharp subset: its operators exist, memory is freed, errors are exceptions.
module Research.Tests.TorchSharpTests

open System
open System.Reflection
open System.Runtime.InteropServices
open Expecto
open TorchSharp

let private instanceMembers =
    BindingFlags.Instance ||| BindingFlags.NonPublic ||| BindingFlags.Public

/// Every operator is looked up by name on first use; a wrong name would wait there for an unlucky user.
let private operatorsResolve () =
    let operators =
        nonNull (typeof<torch.Tensor>.Assembly.GetType("TorchSharp.Operators", throwOnError = true))

    let fields =
        operators.GetFields(BindingFlags.Static ||| BindingFlags.NonPublic ||| BindingFlags.Public)

    Expect.isGreaterThan fields.Length 100 "The subset has its operators in one class"

    let missing = [
        for field in fields do
            let operator = nonNull (field.GetValue null)
            let resolve = nonNull (operator.GetType().GetMethod("Resolve", instanceMembers))

            try
                resolve.Invoke(operator, [||]) |> ignore
            with :? TargetInvocationException as e ->
                field.Name + ": " + e.GetBaseException().Message
    ]

    Expect.isEmpty missing $"Operators that libtorch {torch.__version__} lacks"

let private disposal =
    testList "torch/disposal" [
        testCase "a disposed tensor throws" (fun () ->
            let t = torch.ones [| 2L |]
            t.Dispose()
            Expect.isTrue t.IsInvalid "It says so"
            Expect.throwsT<ObjectDisposedException> (fun () -> (t + 1.0).Dispose()) "An operator"
            Expect.throwsT<ObjectDisposedException> (fun () -> t.shape |> ignore) "A property"
            Expect.throwsT<ObjectDisposedException> (fun () -> (torch.cat [| t; t |]).Dispose()) "In a list"
            t.Dispose())

        testCase "a scope frees what was made in it, and keeps what moved out" (fun () ->
            use outer = torch.NewDisposeScope()
            let scope = torch.NewDisposeScope()
            let kept = (torch.ones [| 3L |]).MoveToOuterDisposeScope()
            let detached = (torch.ones [| 3L |]).DetachFromDisposeScope()
            let freed = kept + detached
            scope.Dispose()
            Expect.isTrue freed.IsInvalid "What stayed"
            Expect.isFalse kept.IsInvalid "What moved to the outer scope"
            outer.Dispose()
            Expect.isTrue kept.IsInvalid "The outer scope frees it"
            Expect.isFalse detached.IsInvalid "What was detached lives on"
            detached.Dispose())

        testCase "a graph outlives the handles of its inner tensors" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = torch.tensor([| 3.0 |]).requires_grad_ true

            let y =
                use _ = torch.NewDisposeScope()
                ((x * x) * x).sum().MoveToOuterDisposeScope()

            y.backward ()
            Expect.equal ((nonNull x.grad).ToDouble()) 27.0 "d x^3 / dx at 3")
    ]

let private errors =
    testList "torch/errors" [
        testCase "shapes that do not fit raise with both shapes" (fun () ->
            use _ = torch.NewDisposeScope()
            let a, b = torch.ones [| 2L; 3L |], torch.ones [| 4L; 5L |]

            let message =
                Expect.throwsC (fun () -> a.matmul b |> ignore) (fun e ->
                    Expect.isTrue (e :? ExternalException) "libtorch's error"
                    e.Message)

            Expect.stringContains message "2x3 and 4x5" "The shapes")

        testCase "an error leaves the library usable" (fun () ->
            use _ = torch.NewDisposeScope()

            Expect.throws
                (fun () -> (torch.ones [| 2L |]).view [| 3L |] |> ignore)
                "Two elements are not three"

            Expect.equal ((torch.ones([| 2L |]).sum()).ToDouble()) 2.0 "The next call")

        testCase "elements are read as their own type only" (fun () ->
            use _ = torch.NewDisposeScope()
            let t = torch.ones ([| 2L |], torch.float32)
            Expect.throwsT<ArgumentException> (fun () -> t.data<float>() |> ignore) "float32 is not float64"
            Expect.equal (t.data<float32>().ToArray()) [| 1.0f; 1.0f |] "As float32")
    ]

let private values =
    testList "torch/values" [
        testCase "integer scalars keep integer tensors integer" (fun () ->
            use _ = torch.NewDisposeScope()
            let index = torch.tensor [| 0L; 5L |]
            Expect.equal (index.clamp (max = Scalar.op_Implicit 3L)).dtype torch.int64 "clamp"
            Expect.equal (index + 1L).dtype torch.int64 "addition"

            Expect.equal
                ((index.clamp (max = Scalar.op_Implicit 3L)).data<int64>().ToArray())
                [| 0L; 3L |]
                "The values")

        testCase "a generator's numbers depend on its seed alone" (fun () ->
            use _ = torch.NewDisposeScope()

            let draw seed =
                use generator = new torch.Generator(seed)

                (torch.randn ([| 5L |], dtype = torch.float64, generator = generator))
                    .data<float>()
                    .ToArray()

            let first = draw 7UL
            torch.manual_seed 123L |> ignore
            Expect.equal (draw 7UL) first "The same seed"
            Expect.notEqual (draw 8UL) first "Another seed")

        testCase "bytes are the tensor's memory" (fun () ->
            use _ = torch.NewDisposeScope()
            let t = torch.zeros ([| 4L |], torch.float32)
            let memory = MemoryMarshal.Cast<byte, float32> t.bytes
            memory[2] <- 5.0f
            Expect.equal (t.data<float32>().ToArray()) [| 0.0f; 0.0f; 5.0f; 0.0f |] "Written in place"

            Expect.throwsT<InvalidOperationException>
                (fun () -> (torch.ones([| 2L; 3L |]).t()).bytes.Clear())
                "A transposed view has no row-major memory")
    ]

let private autograd =
    testList "torch/autograd" [
        testCase "nothing is recorded under no_grad, which nests" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = torch.ones([| 2L |]).requires_grad_ true

            let inside =
                use _ = torch.no_grad ()
                use _ = torch.no_grad ()
                x * 2.0

            Expect.isFalse inside.requires_grad "Inside"
            Expect.isTrue (x * 2.0).requires_grad "Outside"
            Expect.isTrue (torch.is_grad_enabled ()) "Restored")

        testCase "grad differentiates again with create_graph" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = torch.tensor([| 2.0 |]).requires_grad_ true
            let first = torch.autograd.grad([| (x * x * x).sum() |], [| x |], create_graph = true)[0]
            let second = torch.autograd.grad([| first.sum () |], [| x |])[0]
            Expect.equal (first.ToDouble()) 12.0 "3 x^2"
            Expect.equal (second.ToDouble()) 12.0 "6 x"
            Expect.isTrue (isNull x.grad) "grad does not accumulate")

        testCase "an unused input is null when allowed and an error otherwise" (fun () ->
            use _ = torch.NewDisposeScope()
            let x, y = torch.ones([| 1L |]).requires_grad_ true, torch.ones([| 1L |]).requires_grad_ true
            let f = (x * 2.0).sum()

            let grads =
                torch.autograd.grad ([| f |], [| x; y |], retain_graph = true, allow_unused = true)

            Expect.equal (grads[0].ToDouble()) 2.0 "Of the used input"
            Expect.isTrue (isNull (box grads[1])) "Of the unused input"

            Expect.throwsT<ExternalException>
                (fun () -> torch.autograd.grad ([| f |], [| x; y |]) |> ignore)
                "Without allow_unused")

        testCase "backward accumulates" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = torch.ones([| 1L |]).requires_grad_ true
            (x * 2.0).sum().backward()
            (x * 3.0).sum().backward()
            Expect.equal ((nonNull x.grad).ToDouble()) 5.0 "2 + 3")
    ]

[<Tests>]
let tests =
    testList "torch" [
        testCase "torch/operators-resolve" operatorsResolve
        disposal
        errors
        values
        autograd
    ]
