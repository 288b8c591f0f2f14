/// What ift9 rests on: flow posteriors that begin as the diagonal one, and descents over a part of a model.
module Research.Tests.PosteriorTests

open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Tests
open Research.Tests.Laws.Shared

let private shape: VaeShape = {
    Data = 9
    Latent = 4
    Hidden = [ 6; 5 ]
    Activation = Elu
    Likelihood = BernoulliLogits 0.0
    Variance = LogVariance
}

let private build (posterior: PosteriorShape) =
    use generator = new torch.Generator(1UL)
    let parameters = Parameters(generator, torch.device "cpu")
    let vae = Vae.create parameters shape
    parameters, PosteriorShape.create parameters vae posterior

let private x () = (uniform 2 [ 3L; 9L ]).float()

[<Tests>]
let tests =
    testList "posteriors" [
        for name, posterior in
            [
                "planar", PlanarPosterior 3
                "one autoregressive step", IafPosterior(1, 7)
                "two autoregressive steps", IafPosterior(2, 7)
            ] do
            testCase $"{name}: the flow begins as the identity" (fun () ->
                use _ = torch.NewDisposeScope()
                let _, encode = build posterior
                let q, eps = encode (x ()), (gaussian 3 [ 3L; 4L ]).float()
                let z, logQ = Posterior.sample q eps
                let z0, logQ0 = Posterior.sample { q with Flow = None } eps
                Expect.isLessThan (relativeDistance z z0) Tolerance.float32Identity.Bound "z"
                Expect.isLessThan (relativeDistance logQ logQ0) Tolerance.float32Identity.Bound "log q(z)")

        testCase "a descent changes what it learns, at a share of its rate, and nothing else" (fun () ->
            use _ = torch.NewDisposeScope()
            let parameters, encode = build DiagonalPosterior
            let learns (name: string) = name.StartsWith "encoder.0."
            let descent = Descent(parameters, OptimiserSettings.Sgd 0.5, learns)
            let before = [ for struct (name, tensor) in parameters.All -> name, tensor.detach().clone() ]
            descent.Rate 0.1
            let mu () = (encode (x ())).Base.Mu.sum()

            let leaves = [|
                for struct (name, tensor) in parameters.All do
                    if learns name then
                        tensor
            |]

            let gradients = torch.autograd.grad ([| mu () |], leaves)
            descent.Lower(mu ())

            let steps = [
                for (name, old), struct (_, tensor) in Seq.zip before parameters.All ->
                    name, old - tensor.detach ()
            ]

            for (name, step), gradient in
                List.zip (steps |> List.filter (fst >> learns)) (List.ofSeq gradients) do
                Expect.isLessThan
                    (relativeDistance step (0.05 * gradient))
                    Tolerance.float32Identity.Bound
                    name

            for name, step in steps |> List.filter (fst >> learns >> not) do
                Expect.equal (value (step.abs().max())) 0.0 name)
    ]
