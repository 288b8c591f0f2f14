/// A second implementation of annealed chains in plain numbers, where forces are linear and coordinates apart.
module Research.Tests.Laws.AnnealedClimb

open Expecto
open TorchSharp
open Research.Core
open Research.Tests
open Research.Tests.Laws.Annealing
open Research.Tests.Laws.Shared

/// A path whose ends are normals of independent coordinates, so that the force of every rung is known in plain numbers:
/// the base N(mu, exp logVar) and log f_1 = sum_l (pull_l z_l - stiffness_l z_l^2 / 2).
type private Springs = {
    Mu: float[][]
    LogVar: float[][]
    Stiffness: float[]
    Pull: float[]
    Ladder: float[]
    Leapfrogs: int
    Chains: int
}

let private springPath (s: Springs) : AnnealingPath =
    let of' (rows: float[][]) = torch.tensor (array2D rows)

    {
        Base = { Mu = of' s.Mu; LogVar = of' s.LogVar }
        LogJoint = fun z -> sumLast (torch.tensor s.Pull * z - 0.5 * torch.tensor s.Stiffness * z.square ())
    }

/// In plain floats: the sizes of every rung and the log-weight of each chain, the chains moving by sizes that adapt.
let private plainClimb (s: Springs) (z: float[][][]) (momentum: int -> float[][][]) (u: int -> float[][]) =
    let examples, latent = s.Mu.Length, s.Pull.Length
    let z = z |> Array.map (Array.map Array.copy)

    let logBase (b: int) (z: float[]) = Plain.diagNormal (s.Mu[b]) (s.LogVar[b]) z

    let logJoint (z: float[]) =
        Seq.sum [ for l in 0 .. latent - 1 -> s.Pull[l] * z[l] - s.Stiffness[l] * z[l] * z[l] / 2.0 ]

    let gain (step: float) = z |> Array.map (Array.mapi (fun b z -> step * (logJoint z - logBase b z)))

    let force (t: float) (b: int) (l: int) (z: float) =
        (t - 1.0) * (z - s.Mu[b][l]) / exp (s.LogVar[b][l]) + t * (s.Pull[l] - s.Stiffness[l] * z)

    let energy (t: float) (b: int) (z: float[]) (p: float[]) =
        Plain.squaredNorm p / 2.0 - (1.0 - t) * logBase b z - t * logJoint z

    let climb (size: float[], logWeights: float[][]) (rung: int) =
        let t, momentum, u = s.Ladder[rung], momentum rung, u rung
        let accepted = Array.zeroCreate<float> examples

        for k in 0 .. s.Chains - 1 do
            for b in 0 .. examples - 1 do
                let at, p = Array.copy (z[k][b]), Array.copy (momentum[k][b])

                // Coordinates do not see each other, so each goes its whole way alone.
                for l in 0 .. latent - 1 do
                    let h = size[b] * exp (s.LogVar[b][l] / 2.0)

                    for _ in 1 .. s.Leapfrogs do
                        p[l] <- p[l] + h * force t b l (at[l]) / 2.0
                        at[l] <- at[l] + h * p[l]
                        p[l] <- p[l] + h * force t b l (at[l]) / 2.0

                let chance = min 1.0 (exp (energy t b (z[k][b]) (momentum[k][b]) - energy t b at p))
                accepted[b] <- accepted[b] + chance

                if u[k][b] < chance then
                    z[k][b] <- at

        let next = Array.map2 (fun h a -> h * exp ((a / float s.Chains - 0.65) / 2.0)) size accepted
        size, (next, Array.map2 (Array.map2 (+)) logWeights (gain (s.Ladder[rung + 1] - t)))

    let start = Array.create examples 0.5, gain (s.Ladder[1] - s.Ladder[0])
    let sizes, (_, logWeights) = Array.mapFold climb start [| 1 .. s.Ladder.Length - 2 |]
    Array.concat sizes, Array.concat logWeights

let private climbed =
    let error
        (adapt: AnnealingPath -> float[] -> int -> (int -> Tensor * Tensor) -> Tensor -> Tensor)
        (weigh: Weights)
        (s: Springs)
        =
        let path = springPath s
        let shape = [ int64 s.Chains; int64 s.Mu.Length; int64 s.Pull.Length ]
        let noise = noise 21 shape
        let z = DiagNormal.sample path.Base (gaussian 22 shape)
        let chains (x: Tensor) = Plain.rows x |> Array.chunkBySize s.Mu.Length

        let expectedSizes, expectedWeights =
            plainClimb s (chains z) (fst << noise >> chains) (snd << noise >> Plain.rows)

        let sizes = adapt path s.Ladder s.Leapfrogs noise z
        let weights = weigh path s.Ladder (hamiltonianMoves path sizes s.Leapfrogs noise) z
        max (Plain.against expectedSizes sizes) (Plain.against expectedWeights weights)

    let springs = {
        Mu = [| [| 0.3; -0.5 |]; [| -1.0; 0.2 |] |]
        LogVar = [| [| 0.4; -0.7 |]; [| -0.2; 1.1 |] |]
        Stiffness = [| 3.0; 0.4 |]
        Pull = [| 1.5; -0.6 |]
        Ladder = [| 0.0; 0.2; 0.45; 0.8; 1.0 |]
        Leapfrogs = 3
        Chains = 5
    }

    {
        Id = "ais/climb"
        Statement =
            "The sizes at every rung and the weight of every chain are those of a calculation in plain numbers, where coordinates are independent and the forces linear."
        Labels = []
        Function = "adaptedSizes, annealedLogWeights, hamiltonianMoves"
        Instances = [
            "two examples", springs
            "a ladder of three rungs",
            { springs with Ladder = [| 0.0; 0.6; 1.0 |]; Leapfrogs = 1; Chains = 1 }
            "a ladder that begins inside", { springs with Ladder = [| 0.1; 0.5; 0.7; 0.9 |]; Leapfrogs = 2 }
        ]
        Error = error adaptedSizes annealedLogWeights
        Tolerance = Tolerance.float64Identity
        Mutants = [
            "never adapted",
            error
                (fun path rungs n noise z ->
                    torch.full_like (adaptedSizes path rungs n noise z, Research.Core.scalar 0.5))
                annealedLogWeights
            "the weight of the first step alone",
            error adaptedSizes (fun path rungs _ z ->
                annealedLogWeights path [| rungs[0]; rungs[1] |] (fun _ _ z -> z) z)
            "the chains stay",
            error adaptedSizes (fun path rungs _ z -> annealedLogWeights path rungs (fun _ _ z -> z) z)
        ]
    }

[<Tests>]
let tests = testList "annealed climb" [ Law.test climbed ]
