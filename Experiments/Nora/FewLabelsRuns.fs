/// The runs of nora6: M2 and its classifier alone on MNIST with few labels, and what is measured on each.
module Research.Experiments.Nora.FewLabelsRuns

open System.Collections.Generic
open TorchSharp
open Research.Core
open Research.Host
open Research.Models
open Research.Experiments

let set = DataSetId.Mnist

/// The sizes of Kingma et al. (2014), section 4.1.
let shape: M2Shape = { Data = 784; Classes = 10; Latent = 50; Hidden = 500 }

/// Test errors (%) of M2 in the table 1 of its paper, by number of labels.
let source = Map [ 100, 11.97; 600, 4.94; 1000, 3.60 ]

/// Passes through the data in the program that its authors published.
let sourcePasses = 3000

type Method =
    /// M2 along the four stages below.
    | SemiSupervised
    /// M2 from random parameters.
    | FromRandom
    /// The classifier alone on the labelled examples alone, from the same start.
    | Supervised

let private name method =
    match method with
    | SemiSupervised -> "m2"
    | FromRandom -> "random"
    | Supervised -> "supervised"

/// What a step descends.
type Stage =
    /// The cross-entropy of the labelled examples.
    | Labels
    /// The bound of encoder and decoder at the labels and at classes drawn from the classifier, which is held.
    | Generator
    /// M2's objective with a heavier divergence of z and heavier terms of the labelled examples.
    | Annealed
    /// M2's objective as its source has it.
    | Everything

let private order = [ Labels; Generator; Annealed; Everything ]

/// Number of steps of each stage. From a random start M2's sum over classes drives the classifier of few labels away
/// from the digits, because an untrained decoder prefers classes by several nats for no reason; and at its own weight
/// z, which has 50 dimensions, soon says all that the class could say. While z is dear the decoder needs the class, and
/// the images it explains best as a class are those of one digit.
let stages method labels (profile: Profile) =
    // Half the length for time's sake: the question of few labels is that of 100.
    let annealed = if labels <= 100 then 12000 else 6000
    match method with
    | SemiSupervised -> Profile.pick profile [ 10; 10; 10; 10 ] [ 300; 500; 1000; 200 ] [ 300; 500; annealed; 1000 ]
    | FromRandom -> Profile.pick profile [ 0; 0; 0; 20 ] [ 0; 0; 0; 900 ] [ 0; 0; 0; 5000 ]
    // It has long reached a training loss near zero when it ends.
    | Supervised -> Profile.pick profile [ 20 ] [ 1000 ] [ 2000 ]

/// The stage of a step and how much of it is over, in [0,1).
let private stageOf (stages: int list) (step: int64) =
    let starts = stages |> List.scan (+) 0
    let index = starts |> List.tail |> List.findIndex (fun stop -> step < int64 stop)
    order[index], float (step - int64 starts[index]) / float stages[index]

/// Labelled and unlabelled examples of a step.
let batch stage =
    match stage with
    | Labels -> 50, 0
    | Generator -> 20, 200
    | Annealed -> 50, 64
    | Everything -> 50, 20

/// The weight of the divergence of z while it is dear.
let dear = 4.0

/// The weight of the labelled bound at first, in place of N_l/N: the few labelled images then tie the decoder's classes
/// to the digits.
let pinned = 0.3

/// Less probable classes are decoded at random only, until the source's objective takes over.
let floor = 0.01

/// The loss of a stage, `progress` of it over. The weight 0.1 is the source's alpha = 0.1 N over N.
let private lossOf stage (progress: float) (share: float) : M2Loss =
    let source = { LabelledShare = share; Weight = 0.1; KlWeight = 1.0; Floor = 0.0 }
    match stage with
    | Labels
    | Everything -> source
    | Generator -> { source with KlWeight = dear }
    | Annealed -> {
        LabelledShare = pinned * (1.0 - progress) + share * progress
        Weight = 1.0
        KlWeight = dear ** (1.0 - progress)
        Floor = floor
      }

let settings = OptimiserSettings.Adam 1e-3

/// The share of the learning rate: in the last fifth it falls linearly to zero, as the test error follows every step of
/// a constant rate by a point up or down.
let private schedule (progress: float) : float = min 1.0 (5.0 * (1.0 - progress))

let labelCounts (profile: Profile) = Profile.pick profile [ 100 ] [ 100 ] [ 100; 600; 1000 ]

/// Row numbers of the labelled examples, equally many of each class, and of all others; both chosen by the seed.
let split (classes: int) (labels: byte[]) (count: int) (seed: int64) : int64[] * int64[] =
    // Training permutes by epochs from 0 up, so this order is one of its own.
    let order = Noise(seed).Permutation(-1L, labels.Length)
    let ofClass c = order |> Seq.filter (fun row -> int labels[int row] = c) |> Seq.truncate (count / classes)
    let labelled = [| for c in 0 .. classes - 1 -> ofClass c |> Array.ofSeq |] |> Array.concat
    let taken = HashSet labelled
    labelled, order |> Array.filter (taken.Contains >> not)

/// Share of wrong classes, in percent. `predicted: int64 [N]`; of so many of the first images.
let private wrong (predicted: Tensor) (part: ImageSet) : float =
    let truth = (Rows.labels part predicted.device).narrow(0L, 0L, predicted.size 0)
    100.0 * ((predicted.ne truth).double().mean()).ToDouble()

let private errorRate (m: M2) (images: Tensor) (part: ImageSet) : float =
    use _ = torch.no_grad ()
    wrong ((M2.logLabel m (images / 255.0)).argmax 1L) part

/// So many of the first test images measure the generative half, which decodes each at every class.
[<Literal>]
let GenerativeImages = 1000L

/// The same by the generative half alone: the class of least L(x,y).
let private generativeErrorRate (m: M2) (images: Tensor) (part: ImageSet) (noise: Noise) : float =
    let count = min GenerativeImages (images.size 0)
    let x = images.narrow (0L, 0L, count) / 255.0
    let shape = [| int64 m.Shape.Classes; count; int64 m.Shape.Latent |]
    let costs = M2.everyLabel m x (noise.Normal("generative", 0L, shape, device = images.device))
    wrong ((costs.neg ()).argmax 1L) part

/// The examples of a training, whose labels are few: pixels are drawn anew as Bernoulli(value/255) for every batch.
type private Examples(plan: Plan, labels: int, seed: int64) =
    let images, all = plan.Train set, (plan.Data set).Train.Labels
    let labelled, unlabelled = split shape.Classes all labels seed
    // A Noise remembers one permutation: passes through the few labels have a Noise of their own.
    let labelOrder = Noise seed
    let pixels (at: StepContext) stream (rows: int64[]) =
        let x = Rows.pick images rows / 255.0
        at.Noise.Uniform(stream, at.Step, x.shape, device = x.device).lt(x).``to`` torch.float32

    member _.Unlabelled = unlabelled.Length
    /// N_l/N.
    member _.Share = float labels / float all.Length
    /// So many labelled examples, x and y.
    member _.Few (at: StepContext) size =
        let perPass = int64 (labels / size)
        let order = labelOrder.Permutation(at.Step / perPass, labels)
        let start = int (at.Step % perPass) * size
        let rows = order[start .. start + size - 1] |> Array.map (fun i -> labelled[int i])
        let classes = rows |> Array.map (fun row -> int64 all[int row])
        pixels at "labelled.binarise" rows, torch.tensor (classes, device = images.device)
    /// So many unlabelled examples.
    member _.Many (at: StepContext) size =
        at.Batch(unlabelled.Length, size)
        |> Array.map (fun i -> unlabelled[int i])
        |> pixels at "unlabelled.binarise"

/// What a step descends, in a stage of which `progress` is over.
let private terms (m2: M2) (examples: Examples) (stage, progress) (at: StepContext) : Terms =
    let loss, (few, many) = lossOf stage progress examples.Share, batch stage
    let x, y = examples.Few at few
    let latent, device = int64 shape.Latent, x.device
    let normal stream shape = at.Noise.Normal(stream, at.Step, shape, device = device)
    let uniform stream shape = at.Noise.Uniform(stream, at.Step, shape, device = device)

    match stage with
    | Labels -> [ "classifier", M2.crossEntropy m2 x y ]
    | Generator ->
        let unlabelled = examples.Many at many
        let drawn = M2.sampleLabel m2 unlabelled (uniform "class" [| int64 many; 1L |])
        let eps = normal "unlabelled.posterior" [| int64 (few + many); latent |]
        let x, y = torch.cat [| x; unlabelled |], torch.cat [| y; drawn |]
        [ "unlabelled", (M2.labelled m2 loss.KlWeight x y eps).mean() ]
    | Annealed
    | Everything ->
        let eps = normal "labelled.posterior" [| int64 few; latent |]
        let each = normal "unlabelled.posterior" [| int64 shape.Classes; int64 many; latent |]
        let u = uniform "unlabelled.classes" [| int64 many; int64 shape.Classes |]
        M2.loss m2 loss (x, y, eps) (examples.Many at many, each, u)

/// Steps of a stage on a model of its own, each at the place in the training that it is given: to be timed.
let stepper (plan: Plan) stage : StepContext -> IReadOnlyList<Term> =
    use generator = Noise(1L).For("initialisation", 0L)
    let parameters = Parameters(generator, plan.Device)
    let m2, examples = M2.create parameters shape, Examples(plan, 100, 1L)
    let descent = Descent(parameters, settings)
    fun at -> descent.LowerTerms((fun () -> terms m2 examples (stage, 0.5) at), allowUnused = true)

let private train (plan: Plan) method labels (context: RunContext) =
    // The baseline learns its classifier only.
    let learns (key: string) = method <> Supervised || key.StartsWith "classifier."
    let m2, descent =
        Training.fromStart context (fun parameters -> M2.create parameters shape, Descent(parameters, settings, learns))
    let stages = stages method labels plan.Profile
    let steps = List.sum stages
    let examples = Examples(plan, labels, context.Key.Seed)
    let step (at: StepContext) =
        descent.LowerTerms((fun () -> terms m2 examples (stageOf stages at.Step) at), allowUnused = true)
    // Whole batches of the largest size: smaller ones take a part of each epoch's order.
    let perEpoch = int64 (examples.Unlabelled / snd (batch Generator))

    {
        Training.create [ descent ] perEpoch (Steps steps) step with
            Schedule = schedule
            EvaluateEvery = Some(max 1 (steps / 10))
            Evaluate = Some(fun _ -> [ "test/error", errorRate m2 (plan.Test set) (plan.Data set).Test ])
    }
    |> Training.run context
    |> ignore

let training (plan: Plan) method labels seed : RunRequest =
    let configuration = [
        "method", name method
        "labels", string labels
        "model", $"{shape.Data}-{shape.Hidden}-{shape.Classes}, z {shape.Latent}"
        "losses", $"{[ for stage in order -> lossOf stage 0.0 0.0 ]}, annealed to the last"
        "optimiser", $"{settings}, falling to 0 in the last fifth"
        "batches", $"{List.map batch order}"
        "stages", $"{stages method labels plan.Profile}"
    ]
    let work = train plan method labels
    plan.Run($"nora6.{name method}.{labels}.seed{seed}", configuration, seed, Some set, work)

/// Styles in the picture of every class.
let styles = 8

/// Means of p(x|y,z): one row for each z from the prior, one column for each class.
let private everyClass (m: M2) (noise: Noise) (device: torch.Device) : Tensor =
    let z = noise.Normal("style", 0L, [| int64 styles; int64 shape.Latent |], device = device)
    let classes = torch.arange (int64 shape.Classes, torch.int64, device)
    M2.meanImage m (classes.repeat [| int64 styles |]) (z.repeat_interleave (int64 shape.Classes, 0L))

let evaluation (plan: Plan) method labels seed : RunRequest =
    let training = training plan method labels seed
    let measure (context: RunContext) =
        let build parameters = M2.create parameters shape
        let m2 = ModelFile.restore build (context.Dependency training.Key) context.Device
        let images, test = plan.Test set, (plan.Data set).Test
        if method = SemiSupervised then
            context.Keep("pictures", [ "classes", everyClass m2 context.Noise context.Device ])
        [
            "error", errorRate m2 images test
            // On the images that the generative half is measured on.
            "error.few", errorRate m2 (images.narrow (0L, 0L, min GenerativeImages (images.size 0))) test
            if method <> Supervised then
                "generative", generativeErrorRate m2 images test context.Noise
        ]
    let name = training.Key.Name.Replace("nora6", "nora6.test")
    plan.Measure(name, [ "styles", string styles ], seed, Some set, measure, [ training ])

let runs (plan: Plan) : RunRequest list = [
    let both method labels seed = [ training plan method labels seed; evaluation plan method labels seed ]
    for labels in labelCounts plan.Profile do
        for method in [ SemiSupervised; Supervised ] do
            yield! plan.Seeds |> List.collect (both method labels)
    yield! plan.Seeds |> List.collect (both FromRandom 100)
]
