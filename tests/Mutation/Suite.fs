/// The tests, loaded beside the planted libraries.
module Research.Mutation.Suite

open System
open System.Diagnostics
open System.IO
open System.Reflection
open System.Runtime.Loader
open Expecto
open TorchSharp
open Research.Host

/// A test that can be run any number of times, and the module whose initialisation makes it.
type Case = { Name: string; Module: string; Run: unit -> unit }

/// Resolves the planted libraries from their folder, the rest of this solution from the program's, both apart from the
/// program's own, and all packages as the program has them.
type private Planted(folder: string) =
    inherit AssemblyLoadContext "planted"

    override this.Load(name: AssemblyName) : Assembly | null =
        let file = $"{name.Name}.dll"
        let planted, built = Path.Combine(folder, file), Path.Combine(AppContext.BaseDirectory, file)
        let ours = file.StartsWith "Research." || file = "research.dll"

        if File.Exists planted then
            this.LoadFromAssemblyPath planted
        elif ours && file <> "Research.Mutation.dll" && File.Exists built then
            this.LoadFromAssemblyPath built
        else
            null

/// Tests of the host and the report, which see no mathematics, or only through processes of their own or for minutes.
/// Others that see none are found by running them.
let private elsewhere (name: string) =
    [
        "claims/claims/made"
        "data readers"
        "data sets"
        "downloads"
        "handling"
        "kill"
        "law kit"
        "leases"
        "page"
        "paper"
        "readme"
        "report"
        "runtime"
        "scheduling"
        "ticks"
        "torchsharp"
    ]
    |> List.exists (fun start -> name = start || name.StartsWith(start + "/"))

let private runs (code: TestCode) : (unit -> unit) option =
    match code with
    | Sync test -> Some test
    | Async test -> Some(fun () -> Async.RunSynchronously test)
    | _ -> None

let private cases (modul: string) (test: Test) = [
    for flat in Test.toTestCodeList test do
        let name = String.Join("/", flat.name)

        match runs flat.test with
        | Some run when not (elsewhere name) -> { Name = name; Module = modul; Run = run }
        | _ -> ()
]

/// The modules with tests, each with what makes its cases: a module is initialised, with all that it stands on, when
/// its cases are asked for.
let modules (folder: string) : (string * (unit -> Case list)) list =
    TorchLibrary.Load()
    torch.set_num_threads 1
    let context = Planted folder

    let tests =
        context.LoadFromAssemblyPath(Path.Combine(AppContext.BaseDirectory, "Research.Tests.dll"))

    [
        for t in tests.GetTypes() |> Array.sortBy string do
            for p in t.GetProperties(BindingFlags.Static ||| BindingFlags.Public) do
                if p.IsDefined typeof<TestsAttribute> then
                    string t.FullName,
                    fun () ->
                        match p.GetValue null with
                        | :? Test as test -> cases (string t.FullName) test
                        | _ -> []
    ]

/// Seconds of processor time that this process has used: other processes' load does not count.
let processorTime () = (Process.GetCurrentProcess()).TotalProcessorTime.TotalSeconds

/// Whether a test passes.
let passes (case: Case) : bool =
    try
        use _ = torch.NewDisposeScope()
        case.Run()
        true
    with _ ->
        false
