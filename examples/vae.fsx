// A variational auto-encoder from top to bottom: networks, ELBO, training, samples. A minute on one core:
//
//     dotnet fsi examples/vae.fsx [EPOCHS]       # writes vae.png
//
// Everything random comes from `noise`, so that two calls write the same bytes.
#load "research.fsx"

open System
open System.IO
open TorchSharp
open TorchSharp.Modules
open Research.Core
open Research.Host
open Research.Report

torch.set_num_threads 1

// ---- Data: 8 x 8 digits, pixels 0..16 -----------------------------------------------------------------------------

let data =
    Datasets.Load(DataSetId.Digits, DataOptions(DataOptions.Explicit null, false), Nullable())

printfn $"data: {data.Provenance.Describe()}"

let pixels (images: ImageSet) =
    torch.tensor(images.Pixels, ReadOnlySpan [| int64 images.Count; 64L |]).``to`` torch.float32

let train, test = pixels data.Train, pixels data.Test

// ---- Networks: 64 -> 256 -> (mean, log-variance) of 16 latents -> 256 -> 64 pixels x 17 levels ---------------------

let latent, levels = 16L, 17L
let noise = Noise 1L

let layer (name: string) (inputs: int64) (outputs: int64) =
    let bound = 1.0 / sqrt (float inputs)
    let uniform part shape = new Parameter((noise.Uniform($"{name}.{part}", 0L, shape) * 2.0 - 1.0) * bound)
    uniform "weight" [| outputs; inputs |], uniform "bias" [| outputs |]

let layers = [
    for name, inputs, outputs in
        [
            "encoder.0", 64L, 256L
            "encoder.1", 256L, 2L * latent
            "decoder.0", latent, 256L
            "decoder.1", 256L, 64L * levels
        ] -> layer name inputs outputs
]

let apply index (x: Tensor) =
    let weight, bias = layers[index]
    torch.nn.functional.linear (x, weight, bias)

let encode (x: Tensor) : Posterior =
    let parts = (x |> apply 0).relu() |> apply 1

    {
        Base = {
            Mu = parts.narrow (-1L, 0L, latent)
            LogVar = parts.narrow (-1L, latent, latent)
        }
        Flow = None
    }

let decode (z: Tensor) : Categorical =
    let logits = (z |> apply 2).relu() |> apply 3

    {
        Logits = logits.view (Array.append logits.shape[.. int logits.ndim - 2] [| 64L; levels |])
    }

let model: LatentModel = {
    Encode = encode
    LogLikelihood = fun x z -> Categorical.logProb (decode z) (x.``to`` torch.int64)
    Prior = Prior.standard
}

// ---- Training: minus the ELBO, one sample an image, Adam ----------------------------------------------------------

let parameters = [|
    for weight, bias in layers do
        yield! [ weight; bias ]
|]

let optimiser = torch.optim.Adam(parameters, lr = 1e-3)
let batch = 64

let epochs =
    if fsi.CommandLineArgs.Length > 1 then
        int fsi.CommandLineArgs[1]
    else
        40

/// Minus the ELBO of images, in nats an image.
let loss (x: Tensor) (stream: string) (step: int64) =
    total (elbo model x (noise.Normal(stream, step, [| x.size 0; latent |])))

for epoch in 0 .. epochs - 1 do
    use _ = torch.NewDisposeScope()
    let order = torch.tensor (noise.Permutation(int64 epoch, int (train.size 0)))

    for index, rows in Seq.indexed (order.split (int64 batch)) do
        use _ = torch.NewDisposeScope()
        optimiser.zero_grad ()
        (loss (train.index_select (0L, rows)) "posterior" (int64 (epoch * 1000 + index))).backward()
        optimiser.step () |> ignore

    if (epoch + 1) % 10 = 0 then
        use _ = torch.no_grad ()
        let nelbo = (loss test "test" (int64 epoch)).ToDouble()
        printfn $"epoch {epoch + 1}: {nelbo:F2} nats a test image"

// ---- Samples: z ~ p(z), each pixel at its mean -------------------------------------------------------------------

let images =
    use _ = torch.no_grad ()

    let means =
        (noise.Normal("prior", 0L, [| 64L; latent |]) |> decode |> Categorical.mean)
        / float (levels - 1L)

    [|
        for image in means.unbind 0 ->
            let grey = [| for p in image.data<float32>() -> byte (255.0f * p) |]
            { Png.Width = 8; Png.Height = 8; Png.Channels = 1; Png.Pixels = grey }
    |]

File.WriteAllBytes("vae.png", Png.encode (Png.tile 8 1 (images |> Array.map (Png.enlarge 4))))
printfn "wrote vae.png: 64 draws from the prior"
