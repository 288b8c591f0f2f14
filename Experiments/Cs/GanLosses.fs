/// cs2.1: how strongly the minimax and the non-saturating loss pull at the generator, as a function of what the
/// discriminator says: in closed form, and through cs2.2's networks. Run it: `./reproduce --only cs2.1`.
module Research.Experiments.Cs.GanLosses

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
    let relative loss = logits |> Array.map (fun h -> norm loss h / unit')
    relative minimaxGeneratorLoss, relative nonSaturatingGeneratorLoss

let private request (plan: Plan) : RunRequest =
    let work (context: RunContext) =
        let minimax, nonSaturating = measure context.Noise
        context.Keep("gradients", [ "minimax", torch.tensor minimax; "non-saturating", torch.tensor nonSaturating ])
    let configuration = [ "logits", $"{logits[0]}..{logits[logits.Length - 1]}, {logits.Length}" ]
    plan.Run("cs2.1", configuration, 1L, None, work)

/// The curves of a loss: its name, gradients as measured and in closed form, and its values against D(G(z)).
let private losses (results: Results) =
    let measured name = results.Numbers "gradients" name (request results.Plan)
    [
        "minimax", measured "minimax", sigmoid, (fun d -> log (1.0 - d))
        "non-saturating", measured "non-saturating", (fun h -> sigmoid -h), (fun d -> -log d)
    ]

let private figure losses =
    let fine = [| for i in -120..2..120 -> float i / 10.0 |]
    let shares = [| for i in 1..199 -> float i / 200.0 |]
    let along xs f = xs |> Array.map (fun x -> x, f x)
    let h = Axis.linear "logit $h$ of the generated image"

    [
        // Room above 1, so that the axis marks it.
        let gradient = Axis.log "gradient relative to $\\partial h/\\partial\\theta$" |> Axis.between 4e-6 2.0
        Panel.axes "" h gradient [
            for name, measured, _, _ in losses do
                Scatter(name, Array.zip logits measured)
            for _, _, exact, _ in losses do
                Reference("", along fine exact)
        ]
        |> Panel.withLegend Below
        Panel.axes "" (Axis.linear "$D(G(z))$" |> Axis.between 0.0 1.0) (Axis.linear "loss") [
            for name, _, _, loss in losses -> Line(name, along shares loss, None)
        ]
    ]
    |> Figure.grid
        "cs2.1.gradients"
        "The generator's two losses. Left: the size of the gradient relative to that of the logit $h$ of one generated image; dashed: in closed form, $\\sigma(h)$ and $\\sigma(-h)$; points: over all weights of an untrained generator of the shape of CS P2.2, by automatic differentiation. Right: the losses themselves against $D(G(z))=\\sigma(h)$, in the same colours."
        2

let private report (results: Results) : Section =
    let losses = losses results
    let worst =
        Seq.max [
            for _, measured, exact, _ in losses do
                for h, gradient in Array.zip logits measured -> abs (gradient / exact h - 1.0)
        ]
    // Where the discriminator is all but sure that an image is generated.
    let sure = [ for _, measured, _, _ in losses -> measured[Array.findIndex ((=) -10.0) logits] ]
    let minimax, nonSaturating = sure[0], sure[1]

    {
        Section.empty "cs2.1" (results.Plan.Origin([], 0, None)) with
            Figures = [ figure losses ]
            Values = [
                Value.scientific "cs2.1.minimax" 2 minimax
                Value.number "cs2.1.nonsaturating" 4 nonSaturating
                Value.scientific "cs2.1.error" 1 worst
            ]
            Guards = [
                Guard.that "cs2.1.agrees" "measured gradients agree with the closed form to single precision"
                |> Guard.every (fun error -> error < 1e-4) "largest relative error" [ worst ]
                Guard.that
                    "cs2.1.vanishes"
                    "at h = -10 the minimax gradient is below a thousandth of the non-saturating one"
                |> Guard.pairs
                    (fun minimax other -> minimax < 1e-3 * other)
                    ("minimax", [ minimax ])
                    ("non-saturating", [ nonSaturating ])
            ]
    }

let experiment = Experiment.row "cs2.1" (fun plan -> [ request plan ]) report
