/// A gradient that fails ends its own run with one sentence that names the term.
module Research.Tests.GradientTests

open System.Collections.Generic
open System.Threading
open Expecto
open TorchSharp
open Research.Host

type private Tensor = torch.Tensor

/// x -> 2x with a gradient of another shape: what a mistake in a hand-written backward pass looks like.
type private Misshapen() =
    inherit torch.autograd.SingleTensorFunction<Misshapen>()
    override _.Name = "Misshapen"

    override _.forward(_, vars) = (vars[0] :?> Tensor) * 2.0

    override _.backward(_, gradient) = List<Tensor>([ torch.cat ([| gradient; gradient |], 0L) ])

let private weight () = torch.tensor([| 1.0f; 2.0f; 3.0f |]).requires_grad_ true

let private good (w: Tensor) = struct ("reconstruction", w.square().sum())

/// A value that the backward pass needs, changed after it was used.
let private overwritten (w: Tensor) =
    let e = w.exp ()
    let term = e.sum ()
    e.add_ (Scalar.op_Implicit 1.0: Scalar) |> ignore
    struct ("kl", term)

let private misshapen (w: Tensor) = struct ("penalty", (Misshapen.apply w).sum())

let private gradients (terms: (Tensor -> struct (string * Tensor)) list) (w: Tensor) =
    Gradients.Of((fun () -> [| for term in terms -> term w |]), [| struct ("encoder.weight", w) |])

let private sentence action =
    try
        action () |> ignore
        failtest "nothing was raised"
    with :? ResearchException as error ->
        error.Message

let private refused =
    [
        "a shape error inside a backward pass", [ good; misshapen ], "gradient of the term 'penalty' failed: "
        "a value changed in place", [ good; overwritten ], "gradient of the term 'kl' failed: "
        "the only term", [ misshapen ], "gradient of the term 'penalty' failed: "
        "a vector for a number",
        [ good; (fun w -> struct ("kl", w * 2.0)) ],
        "the term 'kl' has the shape [3]"
        "a detached term",
        [ good; (fun w -> struct ("kl", w.detach().sum())) ],
        "the term 'kl' has no gradient"
        "a step function",
        [
            good
            (fun w -> struct ("accuracy", w.gt(Scalar.op_Implicit 1.5: Scalar).float().mean()))
        ],
        "the term 'accuracy' has no gradient"
    ]
    |> List.map (fun (name, terms, expected) ->
        testCase $"gradients/{name}" (fun () ->
            use _ = torch.NewDisposeScope()
            let said = sentence (fun () -> gradients terms (weight ()))
            Expect.stringContains said expected "The term is named"
            Expect.isFalse (said.Contains '\n') "One sentence"
            Expect.isFalse (said.Contains "frame #") "No native stack"))

[<Tests>]
let tests =
    testList "gradients" [
        yield! refused

        testCase "gradients/sum" (fun () ->
            use _ = torch.NewDisposeScope()
            let w = weight ()
            let struct (_, found) = gradients [ good; (fun w -> struct ("kl", 3.0 * w.sum ())) ] w
            let values = found[0] |> Option.ofObj |> Option.map (fun g -> g.data<float32>().ToArray())
            Expect.equal values (Some [| 5.0f; 7.0f; 9.0f |]) "2w + 3"
            Expect.isTrue (isNull (box w.grad)) "nothing accumulates")

        testCase "gradients/unused" (fun () ->
            use _ = torch.NewDisposeScope()
            let w, other = weight (), weight ()
            let parameters = [| struct ("w", w); struct ("prior.mean", other) |]
            let terms () : IReadOnlyList<struct (string * Tensor)> = [| good w |]
            let said = sentence (fun () -> Gradients.Of(terms, parameters))
            Expect.stringContains said "the parameter 'prior.mean' has no part in the loss" "It is named"
            let struct (_, found) = Gradients.Of(terms, parameters, allowUnused = true)
            Expect.isTrue (isNull (box found[1])) "null where that is allowed")

        testCase "gradients/other-runs-finish" (fun () ->
            let step terms (_: WorkContext) =
                use _ = torch.NewDisposeScope()
                let w = weight ()

                for _ in 1..50 do
                    gradients terms w |> ignore

            let items = [|
                for name, terms in
                    [ "a", [ good ]; "b", [ good; misshapen ]; "c", [ good ]; "d", [ overwritten ] ] do
                    WorkItem(name, [||], 1, step terms)
            |]

            use board = new PlainBoard(System.IO.TextWriter.Null)
            let outcomes = Scheduler(2, board).Run(items, CancellationToken.None)

            Expect.equal
                [ for outcome in outcomes -> outcome.Status ]
                [ WorkStatus.Done; WorkStatus.Failed; WorkStatus.Done; WorkStatus.Failed ]
                "Only what failed has failed")
    ]
