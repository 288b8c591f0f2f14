/// An objective of one's own: what is said of one that breaks a law, and the way of a sound one to its row.
module Research.Tests.TryTests

open System.IO
open Expecto
open TorchSharp
open Research.Core
open Research.Host
open Research.Experiments
open Research.Experiments.Yours
open Research.Tests.Repository

let private script objective : Script.Script = {
    Name = "mine"
    Objective = objective
    Samples = 0
    IsBound = false
}

/// The elbo with its divergence replaced.
let private elboWith (change: Tensor -> Tensor) : Objective =
    fun model x eps -> [
        for name, value in elbo model x eps -> name, (if name = "kl" then change value else value)
    ]

let private rate (model: LatentModel) x = klStandard (model.Encode x).Base

/// Objectives that break a law, and what must be said of each.
let private broken: (string * Script.Script * string list) list = [
    "nan", script (elboWith (fun kl -> (kl - kl) / (kl - kl))), [ "'kl' is NaN" ]
    "a vector for a scalar",
    script (fun model x eps -> elbo model x eps @ [ "rate", rate model x ]),
    [ "'rate' has the shape [4]"; "one number" ]
    "a detached term", script (elboWith _.detach()), [ "'kl' has no gradient" ]
    "a constant",
    script (fun model x eps -> elbo model x eps @ [ "one", torch.tensor 1.0 ]),
    [ "'one' has no gradient" ]
    "an unused parameter",
    script (fun model x _ -> [ "rate", (rate model x).mean() ]),
    [ "the decoder, of the shape [4, 2], has no part in the loss rate" ]
    "an unused log-variance",
    script (fun model x _ ->
        let q = (model.Encode x).Base
        [ "reconstruction", -(model.LogLikelihood x q.Mu).mean() ]),
    [ "the posterior's log-variance"; "has no part in the loss reconstruction" ]
    "noise of its own",
    script (fun model x eps -> elbo model x (torch.randn_like eps)),
    [ "'reconstruction'"; "for the same model, data and noise" ]
    "two terms of one name",
    script (fun model x eps -> elbo model x eps @ elbo model x eps),
    [ "2 terms have the name" ]
    "no term", script (fun _ _ _ -> []), [ "no term" ]
    "an overflow",
    script (elboWith (fun kl -> kl + 1e-30 * (kl * kl * kl))),
    [ "'kl' is"; "log-variance of 40" ]
    "a gradient that is none",
    script (elboWith (fun kl -> kl + 0.0 * (kl - kl).sqrt())),
    [ "the gradient of the term 'kl' by the posterior's mean is not finite" ]
    "shapes that do not fit",
    script (fun model x eps -> [ "loss", (model.LogLikelihood x (eps + torch.ones [| 3L |])).mean() ]),
    [ "cannot be computed for noise of the shape [4, 2]" ]
    "no bound", { script (betaElbo 0.5) with IsBound = true }, [ "no upper bound"; "400 draws" ]
    "no bound with samples",
    {
        script (fun model x eps -> [ "iwae", 0.9 * total (importanceWeighted model x eps) ]) with
            Samples = 5
            IsBound = true
    },
    [ "no upper bound" ]
]

let private fault (script: Script.Script) = ObjectiveLaws.check script |> List.tryPick _.Fault

/// A script in a folder of its own.
let private loaded (text: string) =
    let mutable loaded = None

    inFolder (fun folder ->
        let path = Path.Combine(folder, "mine.fsx")
        File.WriteAllText(path, text)
        loaded <- Some(Script.load path))

    loaded.Value

let private refused (text: string) =
    try
        loaded text |> ignore
        failtest "it should be refused"
    with :? ResearchException as error ->
        error.Message

[<Tests>]
let tests =
    testList "try" [
        testList "try/broken" [
            for what, script, said in broken ->
                testCase what (fun () ->
                    match fault script with
                    | None -> failtest "no law is broken"
                    | Some fault ->
                        for part in said do
                            Expect.stringContains fault part "the fault is named")
        ]

        testCase "try/sound" (fun () ->
            for what, objective, samples, bounds in
                [
                    "elbo", elbo, 0, true
                    "elbo of samples", elbo, 3, true
                    "beta", betaElbo 4.0, 0, true
                    "importance-weighted", importanceWeighted, 5, true
                    "infovae", infoVae 0.5 2.0 (mmdUnbiased (kernelImq 4.0)), 3, false
                ] do
                let script = { script objective with Samples = samples; IsBound = bounds }
                Expect.equal (fault script) None $"{what} breaks no law")

        testCase "try/script" (fun () ->
            let script =
                loaded
                    "open Research.Core\nlet samples = 2\nlet objective model x eps : Terms = importanceWeighted model x eps\n"

            Expect.equal (script.Samples, script.IsBound, script.Name) (2, false, "mine") "its values"
            Expect.equal (fault script) None "a function of three arguments is an objective"

            Expect.stringContains
                (refused "open Research.Core\nlet loss = 1\n")
                "there is no value 'objective'"
                "nothing to try"

            Expect.stringContains
                (refused "open Research.Core\nlet objective = 3\n")
                "'objective' is a Int32"
                "another value"

            Expect.stringContains
                (refused
                    "open Research.Core\nlet objective: Objective = fun model x eps -> [ \"kl\", x y ]\n")
                "mine.fsx(2,"
                "an error with its place")

        testCase "try/row" (fun () ->
            inFolder (fun folder ->
                let places: Session.Places = { Results = folder; Paper = Path.Combine(root, "paper") }
                let path = Path.Combine(root, "examples", "capacity.fsx")
                let plan = Plan(Smoke, Devices.Parse "cpu", DataOptions(DataOptions.Explicit null, false))
                Expect.equal (Rendering.tryScript places plan 1 path) 0 "it is trained"
                let page = File.ReadAllText(Path.Combine(folder, "smoke", "index.html"))
                Expect.stringContains page "id=\"yours\"" "the page has a section"
                let section = page.Substring(page.IndexOf "id=\"yours\"")
                Expect.stringContains section "capacity" "with the script's row"))
    ]
