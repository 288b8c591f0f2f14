/// Chains of planar layers with their parameters against second implementations.
module Research.Tests.Laws.PlanarChains

open Expecto
open TorchSharp
open Research.Core
open Research.Models
open Research.Tests.Laws.Shared
open Research.Tests.Laws.State
open Research.Tests.Laws.ReferenceMaps

[<Tests>]
let tests =
    testList "planar chains" [
        testCase "networks/planar-chain/start"
        <| within (fun () ->
            startsAs (fun p -> PlanarChain.create p "flow" 0.0 5 3) [
                yield! one "flow.u" [ 5; 3 ] (Normally(0.0, 0.01))
                yield! one "flow.w" [ 5; 3 ] (Normally(0.0, 0.01))
                yield! one "flow.b" [ 5 ] (Everywhere 0.0)
            ]

            // exp(softplus(a)) = 1 + exp a: at the centred offset w.u = 0 gives w.u-hat = softplus - 1 = 0.
            Expect.floatClose Accuracy.veryHigh (log (1.0 + exp PlanarChain.centred)) 1.0 "centred")

        for offset in [ 0.0; PlanarChain.centred; -0.7 ] do
            testCase $"networks/planar-chain/layers, offset %.2f{offset}"
            <| within (fun () ->
                let chain, p, s = make 3 (fun p -> PlanarChain.create p "flow" offset 3 2)
                stir 20 p
                let z = normals 4 [ 6; 2 ]
                let energy (z: Tensor) = (z.square().sum -1L).sin()

                let reference (z: Tensor) =
                    List.fold
                        (fun (z, total: Tensor) (i: int64) ->
                            let image, logDet =
                                planarLayer offset (s["flow.u"][i]) (s["flow.w"][i]) (s["flow.b"][i]) z

                            image, total + logDet)
                        (z, torch.zeros 6L)
                        [ 0L; 1L; 2L ]

                let loss (z: Tensor) = (let image, logDet = reference z in (energy image - logDet).mean())
                // Made anew each time, since a backward pass frees the graph of u-hat.
                let image (i: Tensor list) = (PlanarChain.transform chain).Forward i.Head
                agree "image" p [ z ] (image >> fst) (List.head >> reference >> fst)
                agree "log-determinant" p [ z ] (image >> snd) (List.head >> reference >> snd)
                agree "loss" p [ z ] (List.head >> PlanarChain.energyLoss energy chain) (List.head >> loss)

                let value, gradients = PlanarChain.composed energy chain z
                Expect.floatClose Accuracy.medium value ((loss z).ToDouble()) "value"
                (loss z).backward()

                for i, key in List.indexed [ "flow.u"; "flow.w"; "flow.b" ] do
                    match s[key].grad with
                    | null -> failtest $"no gradient of {key}"
                    | g -> close key (gradients[i]) g)

        testCase "networks/planar-chain/no layer"
        <| within (fun () ->
            let chain, _, _ = make 3 (fun p -> PlanarChain.create p "flow" 0.0 0 2)
            let z = normals 4 [ 6; 2 ]
            let image, _ = (PlanarChain.transform chain).Forward z
            Expect.equal (elements image) (elements z) "the identity")
    ]
