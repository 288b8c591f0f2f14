/// What ift9 rests on: flow posteriors that begin as the diagonal one, and descents over a part of a model.
module Research.Tests.PosteriorTests

open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments
open Research.Tests
open Research.Tests.Laws
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

type private Network = { Latent: int; Width: int }

/// The MADE of an autoregressive step with output weights of its own (it begins with zeros).
let private made (n: Network) =
    use generator = new torch.Generator(1UL)
    let made = Made.create (Parameters(generator, torch.device "cpu")) "made" n.Latent 3 n.Width
    let weight = (gaussian 4 [ 2L * int64 n.Latent; int64 n.Width ]).float()
    { made with Output = { made.Output with Weight = weight } }

/// What every output may depend on, from the derivatives of m and s: all of the context, and the latents before its own.
let private context =
    let error (change: Network -> Made -> Made) (n: Network) =
        let made = change n (made n)
        let h, z = (gaussian 5 [ 3L ]).float(), (gaussian 6 [ int64 n.Latent ]).float()
        let outputs h z = torch.cat (let m, s = Made.apply made h z in [| m; s |])
        let ofContext = Plain.rows (jacobian (fun h -> outputs h z) h)
        let ofLatents = Plain.rows (jacobian (outputs h) z)

        let wrong = [
            for o in 0 .. 2 * n.Latent - 1 do
                // A unit may be flat at a point; all of a row's would be by the masks.
                if ofContext[o] |> Array.forall (fun slope -> slope = 0.0) then
                    1.0

                for i in 0 .. n.Latent - 1 do
                    if (ofLatents[o][i] <> 0.0) <> (i < o % n.Latent) then
                        1.0
        ]

        List.sum wrong

    /// Hidden degrees from 1, which leave the first output connected to nothing.
    let fromOne (n: Network) (made: Made) =
        let degrees = [| 1L .. int64 n.Latent |]
        let hidden = Array.init n.Width (fun i -> 1L + int64 (i % max 1 (n.Latent - 1)))

        {
            made with
                InputMask = madeMask false degrees hidden
                OutputMask = madeMask true hidden (Array.append degrees degrees)
        }

    {
        Id = "iaf/context"
        Statement =
            "Each mean and each gate of an autoregressive step depends on the context and on every latent before its own, for any number of latents."
        Labels = []
        Function = "Made.create"
        Instances = [
            for latent in [ 1; 2; 3; 5; 16 ] -> $"{latent}", { Latent = latent; Width = 3 * latent }
        ]
        Error = error (fun _ made -> made)
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "degrees from 1", error fromOne
            "output not strict",
            error (fun _ made -> { made with OutputMask = torch.ones_like made.OutputMask })
        ]
    }

[<Tests>]
let tests =
    testList "posteriors" [
        Law.test context

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

        testCase "a descent in which nothing learns is refused" (fun () ->
            use _ = torch.NewDisposeScope()
            let parameters, _ = build DiagonalPosterior

            Expect.throwsT<System.ArgumentException>
                (fun () -> Descent(parameters, OptimiserSettings.Sgd 0.5, (fun _ -> false)) |> ignore)
                "its model would never change")

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
