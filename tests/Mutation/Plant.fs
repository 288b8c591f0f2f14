/// Puts every wrong version beside the right one in the built libraries, behind `Switch`.
module Research.Mutation.Plant

open System
open System.IO
open System.Text.RegularExpressions
open Mono.Cecil
open Mono.Cecil.Cil
open Mono.Cecil.Rocks

/// One wrong version of the source.
type Mutant = {
    Number: int
    /// The number under which its place is noted when it is reached.
    Place: int
    /// Function, kind and ordinal: stable while that function's text is.
    Id: string
    Owner: string
    Kind: string
    What: string
    /// Relative to the repository.
    File: string
    Line: int
    /// Whether it lies where a library's values are made, once a process.
    IsStartup: bool
}

/// A place in the code: an instruction and its wrong versions.
type private Place = {
    Method: MethodDefinition
    Instruction: Instruction
    Variants: Variant list
    Owner: string
    File: string
    Line: int
    Column: int
    Order: int
}

let rec private nested (t: TypeDefinition) : TypeDefinition seq =
    seq {
        yield t

        for n in t.NestedTypes do
            yield! nested n
    }

let private methods (m: ModuleDefinition) =
    m.Types
    |> Seq.collect nested
    |> Seq.collect _.Methods
    |> Seq.filter _.HasBody
    |> List.ofSeq

let private isGenerated (attributes: CustomAttribute seq) =
    attributes |> Seq.exists (fun a -> a.AttributeType.Name = "CompilerGeneratedAttribute")

let private isStartup (t: TypeReference) = t.FullName.StartsWith "<StartupCode$"

/// A closure of F#, or a class that C# makes for lambdas.
let private isClosure (t: TypeReference) = t.Name.Contains '@' || t.Name.StartsWith '<'

// ---- names ----

/// The method that makes a closure's object, for every closure.
let private makers (all: MethodDefinition list) =
    Map.ofList [
        for m in all do
            for i in m.Body.Instructions do
                let made =
                    match i.OpCode.Code, i.Operand with
                    | Code.Newobj, (:? MethodReference as c) -> Some c.DeclaringType
                    | Code.Ldsfld, (:? FieldReference as f) -> Some f.DeclaringType
                    | _ -> None

                match made with
                | Some t when isClosure t && t.FullName <> m.DeclaringType.FullName ->
                    t.GetElementType().FullName, m
                | _ -> ()
    ]

let private typeName (t: TypeReference) =
    let rec path (t: TypeReference) =
        match t.DeclaringType with
        | null -> [ t.Name ]
        | outer -> path outer @ [ t.Name ]

    path t
    |> List.filter ((<>) "Core")
    |> List.map (fun n -> Regex.Replace(Regex.Replace(n, "`\\d+$", ""), "(?<=.)Module$", ""))

let private csharpLambda = Regex "^<(\\w+)>"

/// The function of the source that an instruction belongs to.
let rec private owner makers (m: MethodDefinition) (i: Instruction) : string =
    let full name = String.Join(".", typeName m.DeclaringType @ [ name ])

    if isStartup m.DeclaringType then
        // The value that this code ends up in.
        let rec assigned (i: Instruction | null) =
            match i with
            | null -> "initialisation"
            | i ->
                match i.OpCode.Code, i.Operand with
                | Code.Stsfld, (:? FieldReference as f) -> Regex.Replace(f.Name, "@.*$", "")
                | _ -> assigned i.Next

        assigned i
    elif isClosure m.DeclaringType then
        match Map.tryFind (m.DeclaringType.GetElementType().FullName) makers with
        | Some maker -> owner makers maker maker.Body.Instructions[0]
        | None -> full m.Name
    else
        let lambda = csharpLambda.Match m.Name

        if lambda.Success then full lambda.Groups[1].Value
        elif m.Name = ".ctor" then full "new"
        elif m.Name = ".cctor" then full "static"
        else full (Regex.Replace(m.Name, "^get_|@.*$", ""))

// ---- places ----

/// The source position of each instruction: that of the last one that has any.
let private positions (m: MethodDefinition) =
    let points =
        m.DebugInformation.SequencePoints
        |> Seq.filter (fun p -> not p.IsHidden)
        |> Seq.map (fun p -> p.Offset, p)
        |> List.ofSeq

    fun (i: Instruction) ->
        points
        |> List.filter (fun (offset, _) -> offset <= i.Offset)
        |> List.tryLast
        |> Option.orElse (List.tryHead points)
        |> Option.map snd

/// A tensor that a function returns, without its gradient.
let private returned (m: MethodDefinition) (i: Instruction) = [
    if i.OpCode.Code = Code.Ret && Il.isTensor m.ReturnType then
        Variant.make "detached" "result without gradient" (fun target -> [
            Variant.detach target
            Variant.op OpCodes.Ret
        ])
]

/// The tensors that a function takes, without their gradients, at its first instruction: those that it looks at, where
/// its result is more than a number, which has no gradient.
let private taken (m: MethodDefinition) = [
    let isUsed (p: ParameterDefinition) =
        m.Body.Instructions |> Seq.exists (fun i -> Object.Equals(i.Operand, p))

    for p in m.Parameters do
        if Il.isTensor p.ParameterType && isUsed p && not m.ReturnType.IsPrimitive then
            Variant.make "detached" $"{p.Name} without gradient" (fun target -> [
                Instruction.Create(OpCodes.Ldarg, p)
                Variant.detach target
                Instruction.Create(OpCodes.Starg, p)
            ])
]

/// Where a method only ends in an error, its numbers are the text's.
let private isComplaint (i: Instruction) =
    let rec walk (i: Instruction | null) =
        match i with
        | null -> false
        | i ->
            match i.OpCode.FlowControl, Il.callee i with
            | FlowControl.Throw, _ -> true
            | _, Some m when m.Name = "Raise" || m.Name = "FailWith" || m.Name.StartsWith "Invalid" -> true
            | (FlowControl.Branch | FlowControl.Cond_Branch | FlowControl.Return), _ -> false
            | _ -> walk i.Next

    walk i

/// The instructions that a slice of an array, written xs[a..b], is compiled to, after its bounds: from the last bound to
/// the copy of the elements.
let private slices (body: MethodBody) : Set<int> =
    let isBound (i: Instruction) =
        match Il.callee i with
        | Some m -> m.Name = "Some" && m.DeclaringType.FullName.Contains "FSharpOption`1<System.Int32>"
        | None -> false

    let isCopy (i: Instruction) =
        match Il.callee i with
        | Some m -> m.Name = "Copy" && m.DeclaringType.FullName = "System.Array" && m.Parameters.Count = 5
        | None -> false

    let instructions = List.ofSeq body.Instructions

    Set.ofList [
        for copy in List.filter isCopy instructions do
            match instructions |> List.tryFindBack (fun i -> i.Offset < copy.Offset && isBound i) with
            | Some bound ->
                for i in instructions do
                    if i.Offset > bound.Offset && i.Offset <= copy.Offset then
                        i.Offset
            | None -> ()
    ]

let private places (root: string) (wanted: string -> bool) makers (m: MethodDefinition) : Place list =
    let position = positions m
    let body = m.Body
    let sliced = slices body

    let at (i: Instruction) variants =
        match position i with
        | Some p when not (List.isEmpty variants) && wanted p.Document.Url ->
            Some {
                Method = m
                Instruction = i
                Variants = variants
                Owner = owner makers m i
                File = Path.GetRelativePath(root, p.Document.Url).Replace('\\', '/')
                Line = p.StartLine
                Column = p.StartColumn
                Order = i.Offset
            }
        | _ -> None

    let within =
        body.Instructions
        |> Seq.filter (fun i -> not (isComplaint i || sliced.Contains i.Offset))
        |> Seq.map (fun i ->
            Numbers.variants body i
            @ Arithmetic.variants body i
            @ Calls.variants body i
            @ returned m i
            |> at i)
        |> List.ofSeq

    let entry =
        match taken m with
        | [] -> None
        | variants ->
            let nop = Variant.op OpCodes.Nop
            body.Instructions.Insert(0, nop)
            at nop variants

    List.choose id (entry :: within)

/// Text holds no mathematics.
let private isSource (m: MethodDefinition) =
    m.DebugInformation.HasSequencePoints
    && not (isGenerated m.CustomAttributes)
    && m.ReturnType.MetadataType <> MetadataType.String
    && not (
        m.Name.EndsWith "Equals"
        || m.Name = "GetHashCode"
        || m.Name = "CompareTo"
        || m.Name = "ToString"
    )

// ---- writing ----

/// Replaces an instruction by a choice among itself and its wrong versions, the first of which has the number given.
let private install (select: MethodReference) (first: int) (place: Place) =
    let instructions = place.Method.Body.Instructions
    let target = { Module = place.Method.Module; Body = place.Method.Body }
    // A method may not run past its last instruction, not even where nothing leads there.
    let finish =
        if place.Instruction.OpCode.Code = Code.Ret then
            Variant.op OpCodes.Ret
        else
            Variant.op OpCodes.Nop

    let leave () = Instruction.Create(OpCodes.Br, finish)
    let wrong = place.Variants |> List.map (fun v -> v.Code target)
    let original = Il.copy place.Instruction

    let added =
        [
            Instruction.Create(OpCodes.Call, select)
            Instruction.Create(OpCodes.Switch, wrong |> List.map List.head |> Array.ofList)
            original
            leave ()
        ]
        @ List.collect (fun code -> code @ [ leave () ]) wrong
        @ [ finish ]

    let index = instructions.IndexOf place.Instruction
    // The instruction itself stays, as the first of the new ones: jumps to it still arrive.
    place.Instruction.OpCode <- OpCodes.Ldc_I4
    place.Instruction.Operand <- box first
    added |> List.iteri (fun k i -> instructions.Insert(index + 1 + k, i))

/// A debug build tells the runtime not to optimise; the planted code should run as fast as it can.
let private optimised (assembly: AssemblyDefinition) =
    assembly.CustomAttributes
    |> Seq.filter (fun a -> a.AttributeType.Name = "DebuggableAttribute")
    |> List.ofSeq
    |> List.iter (assembly.CustomAttributes.Remove >> ignore)

let private stripTailCalls (m: MethodDefinition) =
    for i in m.Body.Instructions do
        if i.OpCode.Code = Code.Tail then
            i.OpCode <- OpCodes.Nop

let private number (firstNumber: int) (places: Place list) : (int * Place) list * Mutant list =
    let ordered = places |> List.sortBy (fun p -> p.Owner, p.File, p.Line, p.Column, p.Order)
    let firsts = ordered |> List.scan (fun n p -> n + p.Variants.Length) firstNumber
    let numbered = List.zip (List.take ordered.Length firsts) ordered

    let anonymous = [
        for first, place in numbered do
            for k, v in List.indexed place.Variants do
                first, first + k, place, v
    ]

    let mutants =
        anonymous
        |> List.groupBy (fun (_, _, place, v) -> place.Owner, v.Kind)
        |> List.collect (fun ((owner, kind), group) -> [
            for ordinal, (first, n, place, v) in List.indexed group ->
                {
                    Number = n
                    Place = first
                    Id = $"{owner} {kind} {ordinal + 1}"
                    Owner = owner
                    Kind = kind
                    What = v.What
                    File = place.File
                    Line = place.Line
                    IsStartup = isStartup place.Method.DeclaringType || place.Method.Name = ".cctor"
                }
        ])
        |> List.sortBy _.Number

    numbered, mutants

/// Plants one library's wrong versions, numbered from the number given, and writes it to a folder.
let private library
    (root: string)
    (folder: string)
    (first: int)
    (path: string, wanted: string -> bool, planted: Variant -> bool)
    : Mutant list =
    use resolver = new DefaultAssemblyResolver()
    resolver.AddSearchDirectory(AppContext.BaseDirectory)
    resolver.AddSearchDirectory(Runtime.InteropServices.RuntimeEnvironment.GetRuntimeDirectory())

    use assembly =
        AssemblyDefinition.ReadAssembly(
            path,
            ReaderParameters(ReadSymbols = true, AssemblyResolver = resolver)
        )

    let all = methods assembly.MainModule
    let makers = makers all
    let sources = all |> List.filter isSource
    sources |> List.iter (fun m -> m.Body.SimplifyMacros())
    sources |> List.iter stripTailCalls

    let select =
        match typeof<Switch>.GetMethod "Select" with
        | null -> invalidOp "Switch has no Select"
        | m -> assembly.MainModule.ImportReference m

    let numbered, mutants =
        sources
        |> List.collect (places root wanted makers)
        |> List.map (fun place -> { place with Variants = List.filter planted place.Variants })
        |> List.filter (fun place -> not place.Variants.IsEmpty)
        |> number first

    numbered |> List.iter (fun (n, place) -> install select n place)
    optimised assembly
    assembly.Write(Path.Combine(folder, string (Path.GetFileName path)))
    mutants

/// Kernels and optimisers; how memory is laid out for them is no mathematics.
let private isKernel (url: string) =
    Regex.IsMatch(url, @"[\\/](Kernels|Optimisers)[\\/](?!AlignedFloats|TensorMemory)")

/// Libraries that hold the mathematics, which of their sources, and what is planted there.
let private libraries: (string * (string -> bool) * (Variant -> bool)) list = [
    "Research.Core.dll", (fun _ -> true), (fun _ -> true)
    "Research.Models.dll", (fun _ -> true), (fun _ -> true)
    // Kernels write their gradients out: nothing is recorded there that could be detached.
    "Research.Host.dll", isKernel, (fun v -> v.Kind <> "detached")
]

/// Plants all libraries that lie beside this program into a folder and returns the mutants, numbered from 0.
let all (root: string) (folder: string) : Mutant list =
    Directory.CreateDirectory folder |> ignore

    (0, libraries)
    |> Seq.unfold (function
        | _, [] -> None
        | first, (name, wanted, planted) :: rest ->
            let path = Path.Combine(AppContext.BaseDirectory, name)
            let mutants = library root folder first (path, wanted, planted)
            Some(mutants, (first + mutants.Length, rest)))
    |> List.concat
