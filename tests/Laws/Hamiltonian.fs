/// The transitions of annealed importance sampling: leapfrog steps and what is accepted of them.
module Research.Tests.Laws.Hamiltonian

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Shared
open Research.Tests.Laws.LinearModels

let private slope (f: Tensor -> Tensor) (z: Tensor) = grad (fun z -> (f z).sum()) z

/// So many times the same move of position and momentum.
let private repeated (move: Tensor * Tensor -> Tensor * Tensor) (count: int) (z: Tensor) (p: Tensor) =
    Seq.fold (fun state _ -> move state) (z, p) (seq { 1..count })

let private euler f (h: Tensor) count z p = repeated (fun (z, p) -> z + h * p, p + h * slope f z) count z p

let private symplecticEuler f (h: Tensor) count z p =
    repeated (fun (z, p) -> (let p = p + h * slope f z in z + h * p, p)) count z p

let private withoutLastKick f (h: Tensor) count z p =
    let kick (z, p) = z, p + 0.5 * h * slope f z
    let drift (z: Tensor, p: Tensor) = z + h * p, p

    let z, p = repeated (kick >> drift >> kick) (count - 1) z p
    (kick >> drift) (z, p)

/// A log-density of vectors, and the steps to take in it.
type private Landscape = { LogDensity: Tensor -> Tensor; Latent: int64; Step: Tensor; Count: int }

let private landscapes = [
    "normal", { LogDensity = logStandardNormal; Latent = 3L; Step = scalar 0.3; Count = 7 }
    "a step for each coordinate",
    {
        LogDensity = logStandardNormal
        Latent = 2L
        Step = vector [ 0.2; 0.7 ]
        Count = 5
    }
    "quartic and wavy",
    {
        LogDensity = fun z -> sumLast (-0.25 * z.square().square() + (2.0 * z).sin()) + z.prod -1L
        Latent = 2L
        Step = scalar 0.15
        Count = 10
    }
    "posterior of a linear model",
    {
        LogDensity =
            (let scene = scene (snd benches[1])

             fun z -> LinearGaussian.logLikelihood scene.Model scene.X[0] z + logStandardNormal z)
        Latent = 2L
        Step = scalar 0.1
        Count = 6
    }
]

let private reversible =
    let error map (instance: Landscape) =
        let l = instance.Latent
        let z, p = gaussian 1 [ l ], gaussian 2 [ l ]
        let move (z: Tensor) (p: Tensor) = map instance.LogDensity instance.Step instance.Count z p
        let z', p': Tensor * Tensor = move z p
        let back, negated = move z' (p'.neg ())

        let column (i: int64) =
            let at (shift: float) =
                let state = torch.cat [| z; p |]
                state[i].add_(Scalar.op_Implicit shift) |> ignore
                let z, p: Tensor * Tensor = move (state.narrow (0L, 0L, l)) (state.narrow (0L, l, l))
                torch.cat [| z; p |]

            (at 1e-5 - at -1e-5) / 2e-5

        let struct (_, logVolume) =
            torch.linalg.slogdet (torch.stack [| for i in 0L .. 2L * l - 1L -> column i |])

        List.max [
            // To rounding, where the volume is to that of differences.
            1e4 * relativeDistance back z
            1e4 * relativeDistance negated (p.neg ())
            abs (value logVolume)
        ]

    {
        Id = "hamiltonian/reversible"
        Statement = "Leapfrog steps with the momentum turned round lead back, and they keep volume."
        Labels = []
        Function = "leapfrog"
        Instances = landscapes
        Error = error leapfrog
        Tolerance = Tolerance.finiteDifference
        Mutants = [
            "Euler", error euler
            "whole steps in turn", error symplecticEuler
            "the last half step left out", error withoutLastKick
            "the momentum turned round",
            error (fun f h n z p -> (let z, p = leapfrog f h n z p in z, p.neg ()))
        ]
    }

let private oscillator =
    let error map (step: float, count: int) =
        let z, p = gaussian 3 [ 5L ], gaussian 4 [ 5L ]
        let h = step

        // In the normal's potential a step is linear: this matrix for each coordinate.
        let matrix = [| [| 1.0 - h * h / 2.0; h |]; [| -h * (1.0 - h * h / 4.0); 1.0 - h * h / 2.0 |] |]

        let ends =
            Array.map2
                (fun z p -> Seq.fold (fun state _ -> Plain.apply matrix state) [| z; p |] (seq { 1..count }))
                (elements z)
                (elements p)

        let z', p': Tensor * Tensor = map logStandardNormal (scalar step) count z p
        max (Plain.against (Array.map Array.head ends) z') (Plain.against (Array.map Array.last ends) p')

    {
        Id = "hamiltonian/oscillator"
        Statement = "In the potential of N(0,I) leapfrog steps are the powers of a matrix."
        Labels = []
        Function = "leapfrog"
        Instances = [ "one", (0.3, 1); "several", (0.7, 5); "nearly unstable", (1.9, 20) ]
        Error = error leapfrog
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "Euler", error euler
            "whole steps in turn", error symplecticEuler
            "the last half step left out", error withoutLastKick
            "one more", error (fun f h n z p -> leapfrog f h (n + 1) z p)
        ]
    }

/// Draws of the exact posterior of one example of a linear model, and its log-density. `[N,1,2]`.
let private posteriorDraws (draws: int64) =
    let scene = scene (snd benches[1])
    let x = scene.X.narrow (0L, 0L, 1L)
    let mean, covariance = LinearGaussian.posterior scene.Model x
    let z = mean + (gaussian 5 [ draws; 1L; 2L ]).matmul((torch.linalg.cholesky covariance).t())
    (fun z -> LinearGaussian.logLikelihood scene.Model x z + logStandardNormal z), z

let private invariant =
    let draws = 40_000L

    let error transition (leapfrogs: int, step: float) =
        let logDensity, z = posteriorDraws draws
        let momentum, u = gaussian 6 [ draws; 1L; 2L ], uniform 7 [ draws; 1L ]
        let next, acceptance = transition logDensity (scalar step) leapfrogs momentum u z
        let coordinate (i: int64) (z: Tensor) = z.select (-1L, i)

        let unchanged (f: Tensor -> Tensor) = deviation 0.0 (f next - f z)
        let moved = (next.ne z).any(-1L).double()

        List.max [
            unchanged logDensity
            unchanged (coordinate 0L)
            unchanged (fun z -> (coordinate 0L z).square())
            unchanged (fun z -> coordinate 0L z * coordinate 1L z)
            // It moves as often as it says.
            deviation 0.0 (moved - acceptance)
        ]

    /// The same with another rule: u and the states before and after to who moves.
    let judged (moves: Tensor -> Tensor -> Tensor -> Tensor) f step n momentum u (z: Tensor) =
        let z', p' = leapfrog f step n z momentum
        let kinetic (p: Tensor) = 0.5 * sumLast (p.square ())
        let accepted = moves u (f z' - f z) (kinetic momentum - kinetic p')
        torch.where ((accepted: Tensor).unsqueeze -1L, z', z), accepted.double ()

    {
        Id = "hamiltonian/invariant"
        Statement = "A transition leaves its density as it is, and moves as often as it says."
        Labels = []
        Function = "hamiltonianStep"
        Instances = [ "one step", (1, 0.35); "two", (2, 0.3); "four", (4, 0.25) ]
        Error = error hamiltonianStep
        Tolerance = Tolerance.monteCarlo draws 1.0
        Mutants = [
            "always accepted", error (judged (fun u _ _ -> u.ge (Research.Core.scalar 0.0)))
            "the momentum left out", error (judged (fun u potential _ -> u.lt (potential.exp ())))
            "the momentum added",
            error (judged (fun u potential kinetic -> u.lt ((potential - kinetic).exp())))
            "accepted where it should not be",
            error (judged (fun u potential kinetic -> u.gt ((potential + kinetic).exp())))
        ]
    }

/// A chain may start where something learns: what it finds there is not written into the gradient of that.
let private startIsLeftAlone =
    testCase "the start keeps its gradient"
    <| fun () ->
        let z, p = (gaussian 8 [ 3L ]).requires_grad_ true, gaussian 9 [ 3L ]
        let move z = leapfrog logStandardNormal (scalar 0.3) 4 z p
        Expect.equal (distance (fst (move z)) (fst (move (z.detach ())))) 0.0 "another path"
        Expect.isTrue (isNull z.grad) "a gradient was written"

[<Tests>]
let tests =
    testList "hamiltonian" [ Law.test reversible; Law.test oscillator; Law.test invariant; startIsLeftAlone ]
