/// cs2.1: how strongly the minimax and the non-saturating loss pull at the generator, as a function of what the
/// discriminator says: in closed form, and through cs2.2's networks. Run it: `./reproduce --only cs2.1`.
module Research.Experiments.Cs.GanLosses

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Report
open Research.Experiments

let private sigmoid h = 1.0 / (1.0 + exp -h)

/// Logits of one generated image at which the gradients are measured.
let private logits = [| for i in -24..2..24 -> float i / 2.0 |]

/// |dL/dtheta| / |dh/dtheta| over all generator weights for one latent, with the discriminator's output bias moved so
/// that its logit is each of `logits`: minimax, then non-saturating.
let private measure (noise: Noise) : float[] * float[] =
    use random = noise.For("initialisation", 0L)
    let built = GanRun.build FashionNetworks random torch.CPU

    let weights = [| for struct (_, w) in built.GeneratorParameters.All -> w |]
    let z = GanRun.latents built.Generator noise "latent" 0L 1 torch.CPU
    let critic = built.Critic.Ready()

    /// The norm of the gradient of a loss of the logit when the logit is moved to h.
    let norm (loss: Tensor -> Tensor) (h: float) =
        use _ = torch.NewDisposeScope()
        // One image has no batch statistics.
        let logit = critic (built.Generator.Apply Running z)
        let moved = (logit + (h - logit.detach().ToDouble())).double()

        torch.autograd.grad ([| loss moved |], weights)
        |> Seq.sumBy (fun g -> g.double().square().sum().ToDouble())
        |> sqrt

    let unit' = norm (fun h -> h.sum ()) 0.0

    logits |> Array.map (fun h -> norm minimaxGeneratorLoss h / unit'),
    logits |> Array.map (fun h -> norm nonSaturatingGeneratorLoss h / unit')

let private request (plan: Plan) : RunRequest =
    let work (context: RunContext) =
        let minimax, nonSaturating = measure context.Noise

        context.SaveTensors(
            "gradients",
            [
                NamedTensor("minimax", torch.tensor minimax)
                NamedTensor("non-saturating", torch.tensor nonSaturating)
            ]
        )

    plan.Run(
        "cs2.1",
        [ "logits", $"{logits[0]}..{logits[logits.Length - 1]}, {logits.Length}" ],
        1L,
        None,
        1,
        work
    )

let private cs21: Experiment = {
    Row = "cs2.1"
    Title = "The saturating generator loss"
    Runs = fun plan -> [ request plan ]
    Report =
        fun plan results ->
            let origin = plan.Origin([], 0, None)
            let measured name = (results.Tensor "gradients" name (request plan)).data<float>().ToArray()
            let minimax, nonSaturating = measured "minimax", measured "non-saturating"

            let error exact values =
                Array.map2 (fun h v -> abs (v / exact h - 1.0)) logits values |> Array.max

            let worst = max (error sigmoid minimax) (error (fun h -> sigmoid -h) nonSaturating)
            let fine = [| for i in -120..2..120 -> float i / 10.0 |]
            let curve f = fine |> Array.map (fun h -> h, f h)
            let inD f = [| for i in 1..199 -> float i / 200.0, f (float i / 200.0) |]
            let at h = Array.findIndex ((=) h) logits

            {
                Row = "cs2.1"
                Origin = origin
                Figures = [
                    Figure.grid
                        "cs2.1.gradients"
                        "The generator's two losses. Left: the size of the gradient relative to that of the logit $h$ of one generated image; dashed: in closed form, $\\sigma(h)$ and $\\sigma(-h)$; points: over all weights of the generator of cs2.2, by automatic differentiation. Right: the losses themselves against $D(G(z))=\\sigma(h)$, in the same colours."
                        2
                        [
                            Panel.axes
                                ""
                                (Axis.linear "logit $h$ of the generated image")
                                (Axis.log "gradient relative to $\\partial h$")
                                [
                                    Scatter("minimax", Array.zip logits minimax)
                                    Scatter("non-saturating", Array.zip logits nonSaturating)
                                    Reference("", curve sigmoid)
                                    Reference("", curve (fun h -> sigmoid -h))
                                ]
                            |> Panel.withLegend NoLegend
                            Panel.axes "" (Axis.linear "$D(G(z))$") (Axis.linear "loss") [
                                Line("minimax", inD (fun d -> log (1.0 - d)), None)
                                Line("non-saturating", inD (fun d -> -log d), None)
                            ]
                        ]
                ]
                Tables = []
                Values = [
                    Value.scientific "cs2.1.minimax" 2 minimax[at -10.0]
                    Value.number "cs2.1.nonsaturating" 4 nonSaturating[at -10.0]
                    Value.scientific "cs2.1.error" 1 worst
                ]
                Claims = []
                Guards = [
                    Guard.check
                        origin
                        "cs2.1.agrees"
                        "measured gradients agree with the closed form to single precision"
                        (worst < 1e-4)
                        $"largest relative error {worst:E1}"
                    Guard.check
                        origin
                        "cs2.1.vanishes"
                        "at h = -10 the minimax gradient is below a thousandth of the non-saturating one"
                        (minimax[at -10.0] < 1e-3 * nonSaturating[at -10.0])
                        $"{minimax[at -10.0]:E1} against {nonSaturating[at -10.0]:F4}"
                ]
            }
    Sample = None
}

let experiments = [ cs21 ]
