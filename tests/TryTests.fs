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
    "a backward pass that fails",
    script (
        elboWith (fun kl ->
            let grown = kl.exp ()
            let loss = grown.mean ()
            // The value that the gradient of exp needs is overwritten.
            grown.add_ (scalar 1.0) |> ignore
            loss)
    ),
    [ "the gradient of the term 'kl' cannot be computed"; "modified by an inplace operation" ]
    "no tensor",
    script (fun model x eps -> elbo model x eps @ [ "none", Unchecked.defaultof<Tensor> ]),
    [ "the term 'none' is no tensor" ]
    "a tensor that is gone",
    script (
        elboWith (fun kl ->
            kl.Dispose()
            kl)
    ),
    [ "the term 'kl' is no tensor" ]
    "no bound", { script (betaElbo 0.5) with IsBound = true }, [ "no upper bound"; "400 draws" ]
    "no bound with samples",
    {
        script (fun model x eps -> [ "iwae", 0.9 * total (importanceWeighted model x eps) ]) with
            Samples = 5
            IsBound = true
    },
    [ "no upper bound" ]
]

let private smoke () = Plan(Smoke, Devices.Parse "cpu", DataOptions(DataOptions.Explicit null, false))

let private fault (script: Script.Script) = ObjectiveLaws.check script |> List.tryPick _.Fault

/// `research` as a child of the tests, which are given the program's command line behind this word.
let private mode = "research"

/// Does what the program does; None when the command line asks for something else.
let tryRunChild (argv: string array) : int option =
    match List.ofArray argv with
    | word :: arguments when word = mode -> Some(Program.main (List.toArray arguments))
    | _ -> None

/// A script of the elbo and one term more, of z.
let private withTerm (odd: string) =
    $"open Research.Core\nlet objective: Objective = fun model x eps ->\n    let z, _ = Posterior.sample (model.Encode x) eps\n    elbo model x eps @ [ \"odd\", {odd} ]\n"

/// Scripts that end the process they run in, and what the one that watches it must say.
let private deadly: (string * string * string list) list = [
    "matmul of shapes that do not fit",
    withTerm "(z.matmul z).mean()",
    [ "mine breaks a law"; "noise of the shape [4, 2]"; "(4x2 and 4x2)" ]
    "the same in training alone",
    withTerm "(if x.size -1 > 20L then z.matmul z else z).mean()",
    [ "mine cannot be trained: step 1 ended the process"; "(64x16 and 64x16)" ]
    "an end of its own", withTerm "(exit 0)", [ "the script ended the process" ]
    "at once",
    "open Research.Core\nexit 0\nlet objective: Objective = elbo\n",
    [ "cannot be run"; "the script ended the process" ]
]

/// Scripts that are sound on the laws' model and break in training, and what must be said of each.
let private untrainable: (string * string * string list) list = [
    "nan", "(if x.size -1 > 20L then nan * z else z).mean()", [ "'odd' became NaN in step 1" ]
    "a vector",
    "(if x.size -1 > 20L then z else z.mean())",
    [ "step 1 failed"; "'odd' has the shape [64, 16]" ]
]

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

        testList "try/deadly" [
            for what, text, said in deadly do
                testCase what (fun () ->
                    inFolder (fun folder ->
                        let path = Path.Combine(folder, "mine.fsx")
                        File.WriteAllText(path, text)

                        use child =
                            Children.start [ mode; "try"; path; "--profile"; "smoke"; "--results"; folder ]

                        let errors = child.StandardError.ReadToEnd().Trim()
                        child.StandardOutput.ReadToEnd() |> ignore
                        child.WaitForExit()
                        Expect.equal child.ExitCode 1 $"it fails: {errors}"
                        Expect.isFalse (errors.Contains '\n') $"one sentence: {errors}"

                        for part in said do
                            Expect.stringContains errors part "what ended it is named"))
        ]

        testList "try/untrainable" [
            for what, body, said in untrainable do
                testCase what (fun () ->
                    inFolder (fun folder ->
                        let path = Path.Combine(folder, "mine.fsx")

                        File.WriteAllText(path, withTerm body)

                        let places: Session.Places = {
                            Results = folder
                            Paper = Path.Combine(root, "paper")
                        }

                        let message =
                            try
                                Rendering.tryScript places (smoke ()) 1 path |> ignore
                                failtest "it cannot be trained"
                            with :? ResearchException as error ->
                                error.Message

                        for part in "mine cannot be trained" :: said do
                            Expect.stringContains message part "what broke is named"))
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
                (refused "open Research.Core\nlet samples = -5\nlet objective: Objective = elbo\n")
                "'samples' is -5"
                "no number of samples"

            Expect.stringContains
                (refused
                    "open Research.Core\nlet weights = [| 1.0 |]\nlet beta = weights[3]\nlet objective: Objective = betaElbo beta\n")
                "the script cannot be run: Index was outside the bounds of the array"
                "a value that raises"

            Expect.stringContains
                (refused
                    "open Research.Core\nlet objective: Objective = fun model x eps -> [ \"kl\", x y ]\n")
                "mine.fsx(2,"
                "an error with its place")

        testCase "try/row" (fun () ->
            inFolder (fun folder ->
                let places: Session.Places = { Results = folder; Paper = Path.Combine(root, "paper") }
                let path = Path.Combine(root, "examples", "capacity.fsx")
                Expect.equal (Rendering.tryScript places (smoke ()) 1 path) 0 "it is trained"
                let page = File.ReadAllText(Path.Combine(folder, "smoke", "index.html"))
                Expect.stringContains page "id=\"yours\"" "the page has a section"
                let section = page.Substring(page.IndexOf "id=\"yours\"")
                Expect.stringContains section "capacity" "with the script's row"
                Expect.stringContains page "yours.capacity.seed1" "and its run among the others"))
    ]
