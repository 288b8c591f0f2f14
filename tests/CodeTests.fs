/// The digest of the code behind a run: what changes it, what does not, and whom a function of Core.fs concerns.
module Research.Tests.CodeTests

open System
open System.IO
open System.Reflection
open Expecto
open Research.Core
open Research.Host
open Research.Report
open Research.Experiments
open Research.Experiments.Yours

/// Compiles a source in a folder of its own, as `name`.dll.
let private compile (name: string) (source: string) : Assembly =
    let folder = Directory.CreateTempSubdirectory "research-test-"

    try
        let file = Path.Combine(folder.FullName, $"{name}.fs")
        let library = Path.Combine(folder.FullName, $"{name}.dll")
        File.WriteAllText(file, source)

        let references = [
            for dll in [ "FSharp.Core.dll"; "TorchSharp.dll"; "Research.Core.dll" ] ->
                Path.Combine(AppContext.BaseDirectory, dll)
        ]

        let messages = FSharpCompiler.Compile([ file ], library, references)
        Expect.isEmpty (Seq.map string messages) "it compiles without a word"
        Assembly.Load(File.ReadAllBytes library)
    finally
        folder.Delete true

/// The code of a run whose work has captured an objective.
let private codeOf (objective: Objective) =
    RunCode.Of(Func<LatentModel, Tensor, Tensor, Terms>(fun model x eps -> objective model x eps))

let private original =
    """
    type Term = | Kept | Weighed
    let scale = 2.0
    let unrelated (x: float) = x + 1.0
    let weigh term (value: Tensor) =
        match term with
        | Kept -> value
        | Weighed -> scale * value
    let objective: Objective = fun model x eps ->
        [ for name, value in elbo model x eps -> name, weigh (if name = "kl" then Weighed else Kept) value ]
    let other: Objective = fun model x eps -> [ "loss", total (elbo model x eps) ]
"""

/// What is another function for people and not for the results.
let private same = [
    "comments",
    original.Replace("    let scale", "    // What the divergence weighs.\n\n    /// Nats.\n    let scale")
    // In their old alphabetical order, by which F# orders the variables of a pattern.
    "locals renamed", original.Replace("value", "worth").Replace("name", "label")
    "functions renamed", original.Replace("weigh ", "times ")
    "formatted", original.Replace("Kept -> value", "Kept ->\n            value")
    "an unrelated function", original.Replace("x + 1.0", "x + 2.0")
    "a function more",
    original.Replace("    let scale", "    let further (x: Tensor) = x.neg ()\n    let scale")
    "another order",
    original
        .Replace("    let unrelated (x: float) = x + 1.0\n", "")
        .Replace("    let other", "    let unrelated (x: float) = x + 1.0\n    let other")
]

/// What changes the results of `objective`, and not those of `other`.
let private different = [
    "a constant", original.Replace("scale = 2.0", "scale = 2.5")
    "a case", original.Replace("then Weighed else Kept", "then Kept else Weighed")
    "an operator", original.Replace("scale * value", "scale + value")
    "a callee", original.Replace("in elbo model", "in importanceWeighted model")
    "an argument captured", original.Replace("in elbo model", "in betaElbo 0.5 model")
]

let private source =
    String.concat "" [
        "module Sources\n#nowarn \"25\"\nopen Research.Core\n"
        for i, (_, text) in List.indexed (("original", original) :: same @ different) do
            $"\nmodule Variant{i} ="
            text
    ]

let private built = lazy compile "Sources" source

let private value (assembly: Assembly) (variant: int) (name: string) : Objective =
    match assembly.GetType $"Sources+Variant{variant}" with
    | null -> failtest $"there is no variant {variant}"
    | variant -> Script.objective name variant

let private digest assembly variant name = (codeOf (value assembly variant name)).Digest

let private plan =
    lazy Plan(Smoke, Devices.Parse "cpu", DataOptions(DataOptions.Explicit null, false))

/// The rows of which a run's code reaches the function.
let private rowsThatReach (name: string) =
    Set.ofList [
        for row in Registry.rows do
            match row.Answer with
            | Registry.Computed experiment ->
                if experiment.Runs plan.Value |> List.exists _.Key.Functions.ContainsKey(name) then
                    row.Id
            | Registry.Derived -> ()
    ]

[<Tests>]
let tests =
    testList "code" [
        testCase "code/cosmetic" (fun () ->
            for i, (what, _) in List.indexed same do
                for name in [ "objective"; "other" ] do
                    Expect.equal
                        (digest built.Value (i + 1) name)
                        (digest built.Value 0 name)
                        $"{what}: {name} is the same")

        testCase "code/changed" (fun () ->
            for i, (what, _) in List.indexed different do
                let variant = 1 + same.Length + i

                Expect.notEqual
                    (digest built.Value variant "objective")
                    (digest built.Value 0 "objective")
                    $"{what}: objective is another"

                Expect.equal
                    (digest built.Value variant "other")
                    (digest built.Value 0 "other")
                    $"{what}: what does not use it is the same")

        testCase "code/two-builds" (fun () ->
            let again = compile "Again" source

            for variant in 0 .. same.Length + different.Length do
                Expect.equal
                    (digest again variant "objective")
                    (digest built.Value variant "objective")
                    "another build in another folder")

        testCase "code/functions" (fun () ->
            let functions variant = (codeOf (value built.Value variant "objective")).Functions

            let changed =
                [
                    for KeyValue(name, digest) in functions (1 + same.Length) ->
                        name.Split('.') |> Array.last, digest
                ]
                |> List.except [
                    for KeyValue(name, digest) in functions 0 -> name.Split('.') |> Array.last, digest
                ]

            Expect.equal (List.map fst changed) [ "scale" ] "the value that is another"
            Expect.isTrue ((functions 0).ContainsKey "Core.klFromPrior") "with what it calls in Core.fs")

        testCase "code/refused" (fun () ->
            let memory = Collections.Generic.Dictionary<string, float>()

            Expect.throwsT<NotSupportedException>
                (fun () -> RunCode.Of(System.Action(fun () -> memory["a"] <- 1.0)) |> ignore)
                "what may change while it runs has no digest")

        testCase "code/caches" (fun () ->
            // What C# keeps in fields of <>O, or named <>9, from a first use on would make a key depend on what ran before it.
            for row in Registry.rows do
                match row.Answer with
                | Registry.Computed experiment ->
                    for run in experiment.Runs plan.Value do
                        let caches =
                            run.Key.Functions.Keys
                            |> Seq.filter (fun name -> name.Contains "<>O." || name.Contains "<>9")

                        Expect.equal (List.ofSeq caches) [] $"{run.Key.Id} holds no cache as a value"
                | Registry.Derived -> ())

        testCase "code/closed" (fun () ->
            // A row alone, on an empty store, in every profile: whatever a run needs is among the row's runs.
            for profile in Profile.all do
                let plan = Plan(profile, Devices.Parse "cpu", DataOptions(DataOptions.Explicit null, false))

                for row in Registry.rows do
                    match row.Answer with
                    | Registry.Computed experiment ->
                        let keys = experiment.Runs plan |> List.map _.Key
                        let known = keys |> List.map _.Id |> Set.ofList

                        for key in keys do
                            for needed in key.Dependencies do
                                Expect.isTrue
                                    (known.Contains needed.Id)
                                    $"{row.Id} alone in profile {Profile.name profile}: {key.Id} needs {needed.Id}"
                    | Registry.Derived -> ())

        testCase "code/rows" (fun () ->
            Expect.equal (rowsThatReach "Core.diracStep") (set [ "ift3" ]) "Dirac-GANs alone"
            Expect.equal (rowsThatReach "Core.mmdUnbiased") (set [ "hw4.2" ]) "the InfoVAE alone"
            let divergence = rowsThatReach "Core.klStandard"
            let autoencoders = set [ "hw4.2"; "hw5.1"; "hw5.2"; "hw5.4"; "ift1"; "ift9"; "cs1"; "nora4" ]
            let others = set [ "ift3"; "ift4"; "ift5"; "ift6"; "ift7"; "ift8"; "cs2.1"; "nora3" ]
            Expect.isTrue (Set.isSubset autoencoders divergence) "every autoencoder with a standard prior"
            Expect.isEmpty (Set.intersect others divergence) "no GAN, no planar flow between densities")
    ]
