/// The trainings of profile quick's six largest rows, done as the sources' notebooks do them (PyTorch eager, one after another,
/// on all cores) and as we do them (side by side, one on each core): `bench/run report`.
module Research.Bench.ReportWork

open System
open Research.Models
open Research.Experiments
open Research.Experiments.Hw.DigitsPriors
open Research.Experiments.Nora.FewLabelsRuns

/// So many steps of one kind, and whose row they are.
type private Work = {
    Row: string
    Name: string
    Steps: int
    Ours: unit -> unit -> unit
    Script: string
}

let private works = [
    let work row name steps ours script = {
        Row = row
        Name = name
        Steps = steps
        Ours = ours
        Script = script
    }

    let vae row name steps run script = work row name steps (fun () -> Ours.vae run 1L) $"vae.py {script}"
    // Epochs of ift1 and of a held decoder; the digits stop early, after 40 epochs at most, as hw5.4 does.
    let epoch = 50000 / VaeRow.ift1.Batch
    vae "ift9" "planar" (7 * epoch) VaeRow.ift9 "ift9"
    vae "ift9" "IAF" (7 * epoch) VaeRow.ift9Iaf "ift9.iaf"
    vae "ift9" "diagonal" (2 * epoch) VaeRow.ift1 "ift1"
    // Those with 2 latents take as long.
    vae "hw5.4" "standard" 1200 VaeRow.hw51 "hw5.1"
    vae "hw5.4" "mixtures" 3400 (VaeRow.hw54 (mixtureOf usual)) "hw5.4.mog"
    vae "hw5.4" "VampPriors" 3600 (VaeRow.hw54 (vampOf usual)) "hw5.4.vamp"
    vae "hw5.4" "topographic" 2100 (VaeRow.hw54 topographic) "hw5.4.gtm"
    vae "hw5.4" "flows" 2100 (VaeRow.hw54 realNvp) "hw5.4.flow"

    let steps method = stages method 100 Quick
    let semi, random, supervised = steps SemiSupervised, steps FromRandom, steps Supervised
    let m2 name steps stage script = work "nora6" name steps (Ours.m2 stage) $"m2.py {script}"
    let few, many = batch Everything
    m2 "all terms" (semi[3] + random[3]) Everything $"{few} {many}"
    let few, many = batch Annealed
    m2 "annealed" semi[2] Annealed $"{few} {many}"
    m2 "classifier" (semi[0] + supervised[0]) Labels $"{fst (batch Labels)} 0"

    let data = Research.Host.DataOptions(null, false, ForceStandIn = true, Warn = ignore)
    let scale = Ift.CifarProtocol.scale (Plan(Quick, TorchSharp.torch.CPU, data))

    for c in Ift.CifarProtocol.configurations do
        let run = Ift.CifarProtocol.gan scale c
        work "ift4" c.Id run.Steps (Ours.gan run) $"cifar.py {c.Id} {scale.Width} {scale.Batch}"

    let fashion = Cs.FashionMnist.gan Quick
    work "cs2.2" "" fashion.Steps (Ours.gan fashion) "gan.py"

    let steps =
        match VaeRow.cs1.Length with
        | Steps steps -> steps
        | _ -> invalidOp "cs1 counts steps"

    vae "cs1" "" steps VaeRow.cs1 "cs1"
]

let private rounds = 7

/// Seconds of ours and of theirs.
let private measureOne (work: Work) =
    use peer = new Peer(Rounds.script work.Script, Environment.ProcessorCount)
    use ours = new Rounds.SideBySide((fun _ -> work.Ours()), Environment.ProcessorCount)
    let ourSteps, theirSteps = Rounds.stepsOf ours.Round, Rounds.stepsOf peer.Round

    let times = [ for _ in 1..rounds -> ours.Round ourSteps, peer.Round theirSteps ]
    let seconds times = Rounds.median times * float work.Steps / 1000.0
    seconds (List.map fst times), seconds (List.map snd times)

let private print (name: string) (steps: string) (ours, theirs) =
    printfn $"%-22s{name} %7s{steps} %9.1f{ours} %9.1f{theirs} %9.3f{ours / theirs}"

/// Prints seconds of each row and of all, from the median time of a step and the number of steps.
let measure () : unit =
    printfn
        $"time of a step times the steps of profile quick, evaluations left out; {Environment.ProcessorCount} cores:"

    printfn "ours with a training on each, PyTorch's trainings one after another on all"
    printfn "%-22s %7s %9s %9s %9s" "seconds" "steps" "ours" "PyTorch" "/PyTorch"

    let byRow = [
        for row, works in List.groupBy _.Row works ->
            let times = [
                for work in works ->
                    let times = measureOne work

                    if works.Length > 1 then
                        print $"  {row} {work.Name}" (string work.Steps) times

                    times
            ]

            let sum = List.sumBy fst times, List.sumBy snd times
            print row (string (List.sumBy _.Steps works)) sum
            sum
    ]

    print "all six rows" "" (List.sumBy fst byRow, List.sumBy snd byRow)
