/// No comparison with a source gets lost: the list of claims is fixed here, the experiments make them all, and the
/// report misses each one that is taken away.
module Research.Tests.ClaimTests

open System.IO
open System.Threading
open Expecto
open TorchSharp
open Research.Host
open Research.Report
open Research.Experiments
open Research.Tests.Repository
open Research.Tests.Hostile

/// Every claim of the full protocols, written out: it must not follow a change of the code.
let private expected = [
    "cs1.certified"
    "cs1.kl"
    "cs1.nelbo"
    "cs1.rec"
    "hw5.1.certified"
    "hw5.1.elbo"
    "hw5.2.beta0.kl"
    "hw5.2.beta10.active"
    "hw5.2.beta10.kl"
    "hw5.3.agreement"
    "hw5.3.aggregated"
    "hw5.3.ofclass"
    "hw5.4.mog1.l16"
    "hw5.4.mog1.l2"
    "ift1.elbo"
    "ift2.certified"
    "ift2.logp"
    "ift4.jsd-1.fid"
    "ift4.jsd-1.is"
    "ift4.jsd-2.fid"
    "ift4.jsd-2.is"
    "ift4.jsd-3.fid"
    "ift4.jsd-3.is"
    "ift4.w1-2.fid"
    "ift4.w1-2.is"
    "ift4.w1-3.fid"
    "ift4.w1-3.is"
    "ift7.arcs.k2"
    "ift7.arcs.k32"
    "ift7.arcs.k8"
    "ift7.sine.k2"
    "ift7.sine.k32"
    "ift7.sine.k8"
    "nora3.ratio"
    "nora6.error100"
    "nora6.error1000"
    "nora6.error600"
    "nora6.gain100"
    "uva1.5.big"
    "uva1.5.small"
]

/// The rows that claim something, run in profile smoke on the stand-in.
let private smoke act =
    inFolder (fun root ->
        let device = torch.device "cpu"
        let plan = Plan(Smoke, device, DataOptions(null, false, ForceStandIn = true, Warn = ignore))

        let experiments =
            Registry.experiments
            |> List.distinctBy _.Row
            |> List.filter (fun e -> expected |> List.exists (Paper.belongsTo e.Row))

        use board = new PlainBoard(TextWriter.Null)
        let runner = Runner(RunStore root, device, 1, board)

        let summary =
            runner.Run(experiments |> List.collect (fun e -> e.Runs plan), CancellationToken.None)

        Expect.equal summary.ExitCode 0 "the runs are done"
        let places: Session.Places = { Results = root; Paper = Path.Combine(Repository.root, "paper") }
        act places (Rendering.report places plan (experiments |> List.map _.Row)))

/// The report without one claim.
let private without id (report: Report) =
    let keep (section: Section) = {
        section with
            Claims = section.Claims |> List.filter (fun claim -> claim.Id <> id)
    }

    { report with Sections = List.map keep report.Sections }

[<Tests>]
let tests =
    testList "claims" [
        testCase "claims/fixed" (fun () ->
            Expect.equal
                (List.sort (Registry.claims Profile.Paper))
                (List.sort expected)
                "None more and none less")

        testCase "claims/made" (fun () ->
            smoke (fun places report ->
                Expect.isEmpty (Registry.claimFaults Smoke report) "The experiments make them all"

                Expect.isEmpty
                    (Render.check (Paper.read places.Paper) report)
                    "The text and these rows agree on values, figures, tables and guards"

                for id in Registry.claims Smoke do
                    Expect.equal
                        (Registry.claimFaults Smoke (without id report))
                        [ $"the replication table lacks the claim '{id}'" ]
                        "A claim that is taken away is missed"

                let twice = { report with Sections = report.Sections @ report.Sections[..0] }

                Expect.isNonEmpty
                    (Registry.claimFaults Smoke twice)
                    "Claims that are made twice are reported"))
    ]
