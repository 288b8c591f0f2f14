/// An objective from a script: compiled, and read by the names of its values.
module Research.Experiments.Yours.Script

open System
open System.IO
open System.Reflection
open Research.Core
open Research.Host

/// What a script defines.
type Script = {
    /// The file's name without its ending.
    Name: string
    Objective: Objective
    /// K where the objective's noise has the shape `[K,B,L]`, 0 where it is `[B,L]`: the value `samples`, if there is one.
    Samples: int
    /// Whether its mean is an upper bound of -log p(x): the value `isBound`, if there is one.
    IsBound: bool
}

let private fail (message: string) = raise (ResearchException message)

let private members =
    BindingFlags.Static ||| BindingFlags.Public ||| BindingFlags.DeclaredOnly

/// A value of a module, or None.
let private tryValue<'value> (name: string) (script: Type) : 'value option =
    match script.GetProperty(name, members) with
    | null -> None
    | property ->
        let value =
            try
                property.GetValue null
            with :? TargetInvocationException as error ->
                // The values of a script are all computed when the first is asked for.
                let cause = error.GetBaseException()
                fail $"the script cannot be run: {(Sentence.Of cause).TrimEnd '.'}."

        match value with
        | :? 'value as value -> Some value
        | _ ->
            fail
                $"the script's value '{name}' is a {property.PropertyType.Name}, not a {typeof<'value>.Name}."

/// How many samples of each example a script asks for.
let private samples (script: Type) : int =
    match tryValue<int> "samples" script |> Option.defaultValue 0 with
    | n when n >= 0 -> n
    | n ->
        fail
            $"the script's value 'samples' is {n}: it is a number of samples, or 0 for noise of the shape [B,L]."

/// An objective of a module: a value, or a function of model, x and eps, which F# compiles to a method. Raises
/// ResearchException where there is none.
let objective (name: string) (script: Type) : Objective =
    let taken = [| typeof<LatentModel>; typeof<Tensor>; typeof<Tensor> |]

    match script.GetMethod(name, members) with
    | null ->
        tryValue<Objective> name script
        |> Option.defaultWith (fun () ->
            fail
                $"there is no value '{name}' in the script: let {name}: Objective = fun model x eps -> [ .. ]")
    | method when
        method.ReturnType = typeof<Terms>
        && [| for parameter in method.GetParameters() -> parameter.ParameterType |] = taken
        ->
        let call = method.CreateDelegate<Func<LatentModel, Tensor, Tensor, Terms>>()
        fun model x eps -> call.Invoke(model, x, eps)
    | _ ->
        fail
            $"the script's '{name}' is no objective, a function of model, x and eps to named terms: annotate it, let {name}: Objective = .., to see where."

/// The libraries of this program that a script may use, beside the framework's.
let private libraries = [
    for name in
        [
            "FSharp.Core"
            "TorchSharp"
            "Research.Core"
            "Research.Host"
            "Research.Report"
            "Research.Models"
        ] -> Path.Combine(AppContext.BaseDirectory, $"{name}.dll")
]

/// Compiles a script and reads what it defines. Raises ResearchException with the compiler's errors, or where there is no
/// objective.
let load (path: string) : Script =
    if not (File.Exists path) then
        raise (ResearchException($"there is no script '{path}'.", ResearchException.BadUsage))

    let name = Path.GetFileNameWithoutExtension path |> Option.ofObj |> Option.defaultValue ""

    if
        name = ""
        || not (name |> String.forall (fun c -> Char.IsAsciiLetterOrDigit c || c = '-' || c = '_'))
    then
        raise (
            ResearchException(
                $"'{path}' names a run: use letters, digits, - and _ before .fsx.",
                ResearchException.BadUsage
            )
        )

    let folder = Directory.CreateTempSubdirectory "research-script-"

    try
        let library = Path.Combine(folder.FullName, $"{name}.dll")
        let messages = FSharpCompiler.Compile([ Path.GetFullPath path ], library, libraries)

        // The warnings, too: the one that a script meets is a number that becomes a tensor, and throws when it runs.
        if messages.Count > 0 then
            fail (String.Join(Environment.NewLine, messages |> Seq.map string |> Seq.distinct))

        // From memory, so that the folder can go.
        let assembly = Assembly.Load(File.ReadAllBytes library)

        // The file of a script is a module of its name; those that it loads come before it.
        let script =
            assembly.GetExportedTypes()
            |> Array.tryFind (fun t ->
                not t.IsNested
                && String.Equals(t.Name, name.Replace('-', '_'), StringComparison.OrdinalIgnoreCase))
            |> Option.orElse (
                assembly.GetExportedTypes() |> Array.filter (fun t -> not t.IsNested) |> Array.tryLast
            )
            |> Option.defaultWith (fun () -> fail $"the script '{path}' defines nothing.")

        {
            Name = name
            Objective = objective "objective" script
            Samples = samples script
            IsBound = tryValue "isBound" script |> Option.defaultValue false
        }
    finally
        folder.Delete true
