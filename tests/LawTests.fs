/// The law kit itself: a law must be able to fail in each of the ways it promises.
module Research.Tests.LawTests

open System.Text.Json
open Expecto
open Research.Tests

let private halving: Law<float> = {
    Id = "kit/law"
    Statement = "x/2 + x/2 = x"
    Labels = []
    Function = "(/)"
    Instances = [ "one", 1.0; "minus a third", -1.0 / 3.0 ]
    Error = fun x -> abs (x / 2.0 + x / 2.0 - x)
    Tolerance = Tolerance.float64Identity
    Mutants = [ "a third", fun x -> abs (x / 3.0 + x / 2.0 - x) ]
}

let private rejects because law =
    Expect.throwsC (fun () -> Law.check law |> ignore) (fun e ->
        Expect.stringContains e.Message because "The failure names its reason")

[<Tests>]
let tests =
    testList "law kit" [
        testCase "an instance outside the tolerance fails" (fun () ->
            rejects "instance 'one'" { halving with Error = fun _ -> 1e-3 })

        testCase "NaN fails" (fun () -> rejects "NaN" { halving with Error = fun _ -> nan })

        testCase "a surviving mutant fails" (fun () ->
            rejects "mutant 'the same' survives" { halving with Mutants = [ "the same", halving.Error ] })

        testCase "a law without mutants fails" (fun () -> rejects "no mutant" { halving with Mutants = [] })

        testCase "a law without instances fails" (fun () ->
            rejects "no instance" { halving with Instances = [] })

        testCase "what was measured is recorded" (fun () ->
            use json = JsonDocument.Parse(Law.toJson [ Law.check halving ])
            let record = json.RootElement[0]
            Expect.equal (record.GetProperty("id").GetString()) "kit/law" "Id"
            Expect.equal (record.GetProperty("instances").GetInt32()) 2 "Instances"
            Expect.equal (record.GetProperty("mutants").[0].GetString()) "a third" "Rejected mutants"
            Expect.isLessThan (record.GetProperty("largestError").GetDouble()) 1e-10 "Largest error")
    ]
