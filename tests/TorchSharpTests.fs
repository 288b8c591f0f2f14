/// What this code relies on in TorchSharp where its meaning differs from PyTorch's or is stated nowhere.
module Research.Tests.TorchSharpTests

open System
open System.Diagnostics
open System.IO
open System.Reflection
open System.Threading
open Expecto
open TorchSharp
open Research.Tests.Repository

type private Tensor = torch.Tensor

let private scalar (x: float) : Scalar = Scalar.op_Implicit x

let private leaf (values: float32[]) = torch.tensor(values).requires_grad_ true

let private meanings =
    testList "meanings" [
        testCase "torchsharp/grad-graph" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = leaf [| 3.0f |]
            let y = (x * x * x).sum()
            let first = torch.autograd.grad([| y |], [| x |], retain_graph = true, create_graph = true)[0]
            let second = torch.autograd.grad([| first.sum () |], [| x |])[0]
            Expect.equal (second.ToSingle()) 18.0f "a graph that is kept can be differentiated again")

        testCase "torchsharp/grad-unused" (fun () ->
            use _ = torch.NewDisposeScope()
            let x, unused = leaf [| 1.0f |], leaf [| 1.0f |]
            let gradients = torch.autograd.grad ([| x.sum () |], [| x; unused |], allow_unused = true)
            Expect.isTrue gradients[1].IsInvalid "autograd.grad gives a tensor with an empty handle"
            torch.autograd.backward ([| x.sum () |], inputs = [| x; unused |])
            Expect.isTrue (isNull (box unused.grad)) "backward leaves the gradient null"

            Expect.equal
                (x.grad |> Option.ofObj |> Option.map _.ToSingle())
                (Some 1.0f)
                "of the other, its value")

        testCase "torchsharp/grad-reset" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = leaf [| 2.0f |]

            for _ in 1..2 do
                torch.autograd.backward ([| (x * x).sum() |], inputs = [| x |])

                Expect.equal
                    (x.grad |> Option.ofObj |> Option.map _.ToSingle())
                    (Some 4.0f)
                    "not accumulated"

                x.grad <- null)

        testCase "torchsharp/in-place" (fun () ->
            use x = torch.zeros 2L

            Expect.isTrue
                (Object.ReferenceEquals(x.add_ (scalar 1.0), x))
                "an in-place operator returns its tensor")

        testCase "torchsharp/generator" (fun () ->
            use generator = new torch.Generator(1UL)
            Expect.equal generator.device.``type`` DeviceType.CPU "a generator is the CPU's")

        testCase "torchsharp/dispose-scope" (fun () ->
            use scope = torch.NewDisposeScope()
            let mutable made: Tensor | null = null
            let thread = Thread(fun () -> made <- torch.ones 1L)
            thread.Start()
            thread.Join()

            match made with
            | null -> failtest "the thread made no tensor"
            | tensor ->
                Expect.equal scope.DisposablesCount 0 "a scope belongs to its thread"
                tensor.Dispose())
    ]

/// Whether an ELF library asks for a version weakly, which is bit 1 of the entry's flags.
let private asksWeakly (version: string) (path: string) =
    let bytes = File.ReadAllBytes path
    let int32 at = BitConverter.ToInt32(bytes, at)

    let hash =
        (0u, version)
        ||> Seq.fold (fun h c ->
            let h = (h <<< 4) + uint32 c
            let high = h &&& 0xf0000000u
            (h ^^^ (high >>> 24)) &&& ~~~high)
        |> int

    // An entry of a version need: hash, flags (16 bits), index (16 bits), name, next.
    let entries = [
        for at in 0..4 .. bytes.Length - 16 do
            if int32 at = hash && (int32 (at + 4) &&& 0xffff) <= 2 && int32 (at + 12) < 0x1000 then
                (int32 (at + 4) &&& 2) <> 0
    ]

    Expect.hasLength entries 1 $"{path} asks for {version} once"
    entries.Head

/// Files of this name in the package of the TorchSharp that runs, where the outputs are links into the package cache.
let private published (name: string) =
    match FileInfo(Path.Combine(AppContext.BaseDirectory, "Expecto.dll")).ResolveLinkTarget true with
    | null -> []
    | target ->
        // packages/expecto/VERSION/lib/FRAMEWORK/Expecto.dll
        let packages = Path.GetFullPath(Path.Combine(target.FullName, "..", "..", "..", "..", ".."))
        let version = (typeof<torch>.Assembly.GetName().Version |> nonNull).ToString 3
        let package = Path.Combine(packages, "torchsharp", version)

        [
            for file in Directory.GetFiles(package, name, SearchOption.AllDirectories) do
                if not (file.Contains "netstandard") then
                    file
        ]

let private native =
    testList "native library" [
        testCase "torchsharp/loads" (fun () ->
            if not (OperatingSystem.IsLinux()) then
                skiptest "only Linux's library asks for a version of libstdc++"

            let own = Path.Combine(AppContext.BaseDirectory, "libLibTorchSharp.so")
            Expect.isTrue (asksWeakly "GLIBCXX_3.4.32" own) "the copy beside the program loads on Debian 12"

            for original in published "libLibTorchSharp.so" do
                Expect.isFalse
                    (asksWeakly "GLIBCXX_3.4.32" original)
                    "the package's own is as it was published")

        testCase "torchsharp/arguments-live" (fun () ->
            let debuggable = typeof<torch>.Assembly.GetCustomAttribute<DebuggableAttribute>() |> nonNull

            Expect.isTrue
                debuggable.IsJITOptimizerDisabled
                "an operator's scalar lives as long as the operator runs"

            let own = File.ReadAllBytes(typeof<torch>.Assembly.Location)

            for original in published "TorchSharp.dll" do
                let changed = Seq.zip own (File.ReadAllBytes original) |> Seq.filter (fun (a, b) -> a <> b)

                Expect.isLessThanOrEqual
                    (Seq.length changed)
                    2
                    "the copy differs from the package's in the flag alone")

        testCase "torchsharp/no-copies" (fun () ->
            let copies = [
                for folder in Directory.GetDirectories(root, "Release", SearchOption.AllDirectories) do
                    for file in Directory.GetFiles(folder, "*torch_cpu*", SearchOption.AllDirectories) do
                        if isNull (File.ResolveLinkTarget(file, false)) then
                            file
            ]

            Expect.isLessThanOrEqual copies.Length 1 "libtorch, half a gigabyte, lies here at most once")
    ]

[<Tests>]
let tests = testList "torchsharp" [ meanings; native ]
