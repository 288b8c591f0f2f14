/// Every function of Core at extreme inputs, none left out.
module Research.Tests.Laws.ExtremeTests

open System
open System.Reflection
open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Extremes

let private cases: Case list =
    List.concat [
        ExtremeDensities.cases
        ExtremeFlows.cases
        ExtremeObjectives.cases
        ExtremeScores.cases
    ]

/// Core's public functions and values as they are called, from the built library.
let publicFunctions: Set<string> =
    let core = nonNull (typeof<DiagNormal>).DeclaringType
    let flags = BindingFlags.Public ||| BindingFlags.Static ||| BindingFlags.DeclaredOnly

    let ofModule (prefix: string) (m: Type) = [
        for f in m.GetMethods flags do
            if not f.IsSpecialName then
                yield prefix + f.Name
        for p in m.GetProperties flags do
            yield prefix + p.Name
    ]

    let isModule (t: Type) = t.IsAbstract && t.IsSealed

    Set.ofList [
        yield! ofModule "" core
        for nested in core.GetNestedTypes() do
            if isModule nested then
                let name =
                    if nested.Name.EndsWith "Module" then
                        nested.Name[.. nested.Name.Length - 7]
                    else
                        nested.Name

                yield! ofModule (name + ".") nested
    ]

[<Tests>]
let tests =
    testList "extremes" [
        testCase "every function of Core is tried, and nothing else" (fun () ->
            Expect.equal (cases |> List.map _.Function |> Set.ofList) publicFunctions "functions")

        testCase "no derivative is taken for granted where none is recorded" (fun () ->
            use _ = torch.inference_mode ()

            Expect.throwsT<InvalidOperationException>
                (fun () -> grad (fun x -> x.sum ()) (torch.ones 2L) |> ignore)
                "inference mode")

        testCase "no derivative changes its point" (fun () ->
            use _ = torch.NewDisposeScope()
            let x = torch.ones 2L
            grad (fun x -> x.square().sum()) x |> ignore
            Expect.isFalse x.requires_grad "as it was")

        for name, cases in List.groupBy _.Function cases do
            testCase name (fun () ->
                let wrong =
                    cases
                    |> List.choose (fun case ->
                        case.Check() |> Option.map (fun wrong -> $"{case.Input}: {wrong}"))

                if not wrong.IsEmpty then
                    failtest (String.Join("\n", wrong)))
    ]
