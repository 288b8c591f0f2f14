/// What every objective obeys, tried on a linear-Gaussian model, whose evidence is exact.
module Research.Experiments.Yours.ObjectiveLaws

open System
open TorchSharp
open Research.Core
open Research.Host

/// A law in a sentence, and the fault that was found, if any.
type Verdict = { Law: string; Fault: string option }

/// Raised within a law by what breaks it.
exception private Broken of string

let private broken sentence = raise (Broken sentence)

/// A model with its decoder and its posterior in the open, and data `[B,D]`.
type private Scene = {
    Model: LatentModel
    X: Tensor
    Exact: LinearGaussian
    Parameters: (string * Tensor) list
}

/// What `f` gives; where it raises, or ends the process, a sentence that begins so.
let private attempt (script: Script.Script) (failure: string) (f: unit -> 'a) : 'a =
    Guard.ifItEnds $"{script.Name} breaks a law: {failure}"

    try
        f ()
    with error when not (error :? ResearchException) ->
        broken $"{failure}: {(Sentence.Of error).TrimEnd '.'}"

let private noise = Noise 1L

/// A posterior that is near the exact one, moved by `shift` and with so much added to its log-variance.
let private scene
    (dtype: torch.ScalarType)
    (batch, data, latent)
    (shift: float)
    (logVariance: float)
    : Scene =
    let normal name (shape: int64[]) = noise.Normal(name, 0L, shape).``to`` torch.float64
    let learned (x: Tensor) = x.detach().clone().``to``(dtype).requires_grad_ true

    let exact = {
        W = normal "decoder" [| data; latent |]
        Offset = normal "offset" [| data |]
        Sigma = 0.5
    }

    let z = normal "latents" [| batch; latent |]
    let x = z.matmul (exact.W.t ()) + exact.Offset + 0.5 * normal "pixels" [| batch; data |]
    let mean, covariance = LinearGaussian.posterior exact x
    let w, mu = learned exact.W, learned (mean + 0.1 + shift)
    let logVar = learned (covariance.diagonal().log().expand_as mean + 0.1 + logVariance)

    {
        Model = {
            Encode = fun _ -> { Base = { Mu = mu; LogVar = logVar }; Flow = None }
            LogLikelihood =
                LinearGaussian.logLikelihood { exact with W = w; Offset = exact.Offset.``to`` dtype }
            Prior = Prior.standard
        }
        X = x.``to`` dtype
        Exact = exact
        Parameters = [ "the decoder", w; "the posterior's mean", mu; "the posterior's log-variance", logVar ]
    }

/// Examples, data dimension, latents: the laws' own, and another size, for what depends on one by chance.
let private usual, other = (4L, 4L, 2L), (3L, 20L, 5L)

/// The loss's terms at the noise of a step, as many samples as the script asks for.
let private terms (script: Script.Script) (scene: Scene) (step: int64) : Terms =
    let batch, latent =
        let shape = (scene.Parameters |> List.item 1 |> snd).shape in shape[0], shape[1]

    let shape = [|
        if script.Samples > 0 then
            int64 script.Samples
        batch
        latent
    |]

    let eps = (noise.Normal("posterior", step, shape)).``to`` scene.X.dtype

    let shape = String.Join(", ", shape)

    let terms =
        attempt script $"it cannot be computed for noise of the shape [{shape}]" (fun () ->
            script.Objective scene.Model scene.X eps)

    for name, value in terms do
        if isNull (box value) || value.IsInvalid then
            broken $"the term '{name}' is no tensor, or one that was disposed of"

    terms

let private shapeOf (t: Tensor) = String.Join(", ", t.shape)

let private areNumbers (script: Script.Script) =
    for size in [ usual; other ] do
        let terms = terms script (scene torch.float64 size 0.0 0.0) 1L

        if terms.IsEmpty then
            broken "it has no term"

        match terms |> List.countBy fst |> List.tryFind (fun (_, n) -> n > 1) with
        | Some(name, n) -> broken $"{n} terms have the name '{name}'"
        | None -> ()

        for name, value in terms do
            if name = "" then
                broken "a term has no name"

            if value.ndim > 0L then
                broken
                    $"the term '{name}' has the shape [{shapeOf value}] for {size |> fun (b, _, _) -> b} examples: a term is one number, of the shape []; take its mean()"

            if not (Double.IsFinite(value.ToDouble())) then
                broken $"the term '{name}' is {value.ToDouble()}"

let private gradients (script: Script.Script) (scene: Scene) (where: string) =
    let terms = terms script scene 1L

    for name, value in terms do
        if not (Double.IsFinite(value.ToDouble())) then
            broken $"the term '{name}' is {value.ToDouble()}{where}"

        if not value.requires_grad then
            broken
                $"the term '{name}' has no gradient{where}: no differentiable operation connects it with a parameter, as after detach() or ToDouble()"

        for _, parameter in scene.Parameters do
            parameter.grad <- null

        attempt script $"the gradient of the term '{name}' cannot be computed{where}" (fun () ->
            value.backward ([||], retain_graph = true))

        for parameterName, parameter in scene.Parameters do
            match parameter.grad with
            | null -> ()
            | grad when grad.isfinite().all().ToBoolean() -> ()
            | _ -> broken $"the gradient of the term '{name}' by {parameterName} is not finite{where}"

    for _, parameter in scene.Parameters do
        parameter.grad <- null

    (total terms).backward()
    terms

let private reachAll (script: Script.Script) =
    for dtype in [ torch.float64; torch.float32 ] do
        let scene = scene dtype usual 0.0 0.0
        let terms = gradients script scene $" in {dtype}"

        for name, parameter in scene.Parameters do
            let isUnused =
                match parameter.grad with
                | null -> true
                | grad -> not (grad.any().ToBoolean())

            if isUnused then
                let names = String.Join(" + ", terms |> List.map fst)
                broken $"{name}, of the shape [{shapeOf parameter}], has no part in the loss {names}"

let private isPure (script: Script.Script) =
    let scene = scene torch.float64 usual 0.0 0.0

    for (name, first), (_, second) in List.zip (terms script scene 1L) (terms script scene 1L) do
        if first.ToDouble() <> second.ToDouble() then
            broken
                $"the term '{name}' is {first.ToDouble()} and then {second.ToDouble()} for the same model, data and noise: take what is random from eps"

/// Where sums of squares and exponentials still are numbers in float32.
let private extremes = [
    "a posterior a thousand standard deviations away", 1000.0, 0.0
    "a posterior's log-variance of 40", 0.0, 40.0
    "a posterior's log-variance of -40", 0.0, -40.0
]

let private areFinite (script: Script.Script) =
    for where, shift, logVariance in extremes do
        gradients script (scene torch.float32 usual shift logVariance) $" at {where}" |> ignore

let private draws = 400

/// Standard errors that chance does not reach: one objective in a million.
let private tooFar = 5.0

let private isBound (script: Script.Script) =
    use _ = torch.no_grad ()
    let scene = scene torch.float64 usual 0.0 0.0

    let losses = [| for draw in 1..draws -> (total (terms script scene (int64 draw))).ToDouble() |]

    let exact = -(LinearGaussian.logEvidence scene.Exact scene.X).mean().ToDouble()
    let mean = Array.average losses

    let se =
        sqrt ((losses |> Array.sumBy (fun loss -> (loss - mean) ** 2.0)) / float (draws * (draws - 1)))

    if not (mean > exact - tooFar * se - 1e-9) then
        broken
            $"its mean over {draws} draws is {mean:F4} with a standard error of {se:F4}, and -log p(x) is {exact:F4}: no upper bound"

let private laws (script: Script.Script) = [
    "its terms are named numbers", areNumbers
    "its gradient reaches every parameter", reachAll
    "equal noise gives equal terms", isPure
    "it is finite at extreme inputs", areFinite
    if script.IsBound then
        $"its mean over {draws} draws is no less than -log p(x)", isBound
]

/// The laws in order, up to the first that is broken.
let check (script: Script.Script) : Verdict list =
    let rec go laws =
        match laws with
        | [] -> []
        | (law, test) :: rest ->
            use _ = torch.NewDisposeScope()

            match
                (try
                    test script
                    None
                 with
                 | Broken sentence -> Some sentence
                 | error when not (error :? ResearchException) -> Some((Sentence.Of error).TrimEnd '.'))
            with
            | Some fault -> [ { Law = law; Fault = Some fault } ]
            | None -> { Law = law; Fault = None } :: go rest

    go (laws script)
