/// What a program's instructions leave on the stack, as far as planting needs to know.
module Research.Mutation.Il

open System
open Mono.Cecil
open Mono.Cecil.Cil

let private inputs (method: MethodReference) = method.Parameters.Count + (if method.HasThis then 1 else 0)

/// The call that an instruction makes, constructors included.
let callee (i: Instruction) : MethodReference option =
    match i.OpCode.Code, i.Operand with
    | (Code.Call | Code.Callvirt | Code.Newobj), (:? MethodReference as m) -> Some m
    | _ -> None

/// How many values an instruction takes from the stack, and how many it leaves. `dup` leaves two.
let effect (i: Instruction) : int * int =
    match callee i with
    | Some m when i.OpCode.Code = Code.Newobj -> m.Parameters.Count, 1
    | Some m ->
        inputs m,
        (if m.ReturnType.MetadataType = MetadataType.Void then
             0
         else
             1)
    | None ->
        let pops =
            match i.OpCode.StackBehaviourPop with
            | StackBehaviour.Pop0
            | StackBehaviour.Varpop
            | StackBehaviour.PopAll -> 0
            | StackBehaviour.Pop1
            | StackBehaviour.Popi
            | StackBehaviour.Popref -> 1
            | StackBehaviour.Popref_popi_popi
            | StackBehaviour.Popref_popi_popi8
            | StackBehaviour.Popref_popi_popr4
            | StackBehaviour.Popref_popi_popr8
            | StackBehaviour.Popref_popi_popref
            | StackBehaviour.Popi_popi_popi -> 3
            | _ -> 2

        let pushes =
            match i.OpCode.StackBehaviourPush with
            | StackBehaviour.Push0
            | StackBehaviour.Varpush -> 0
            | StackBehaviour.Push1_push1 -> 2
            | _ -> 1

        pops, pushes

let private branches (i: Instruction) =
    match i.OpCode.FlowControl with
    | FlowControl.Branch
    | FlowControl.Cond_Branch
    | FlowControl.Return
    | FlowControl.Throw -> true
    | _ -> false

/// The instruction that takes what `i` leaves, through conversions, and which of its inputs that is (0 the first).
/// None where a branch comes first.
let consumer (i: Instruction) : (Instruction * int) option =
    let rec walk (above: int) (next: Instruction | null) =
        match next with
        | null -> None
        | next ->
            let pops, pushes = effect next

            if above < pops then
                match next.OpCode.Code with
                | Code.Conv_I8
                | Code.Conv_I4
                | Code.Conv_R8
                | Code.Conv_R4 -> walk 0 next.Next
                | _ -> Some(next, pops - 1 - above)
            elif next.OpCode.Code = Code.Ret && above = 0 then
                Some(next, 0)
            elif branches next then
                None
            else
                walk (above - pops + pushes) next.Next

    walk 0 i.Next

/// The instruction that left what lies under the top `depth` values before `i`. None where a branch comes between.
let producer (depth: int) (i: Instruction) : Instruction option =
    let rec walk (depth: int) (previous: Instruction | null) =
        match previous with
        | null -> None
        | previous when branches previous -> None
        | previous ->
            let pops, pushes = effect previous

            if depth < pushes then
                Some previous
            else
                walk (depth - pushes + pops) previous.Previous

    walk depth i.Previous

/// A type as the caller of a generic method or a generic type's method sees it.
let rec substitute (m: MethodReference) (t: TypeReference) : TypeReference =
    match t with
    | :? GenericParameter as p ->
        match p.Type, m, m.DeclaringType with
        | GenericParameterType.Method, (:? GenericInstanceMethod as g), _ -> g.GenericArguments[p.Position]
        | GenericParameterType.Type, _, (:? GenericInstanceType as g) -> g.GenericArguments[p.Position]
        | _ -> t
    | :? GenericInstanceType as g ->
        let copy = GenericInstanceType g.ElementType
        g.GenericArguments |> Seq.iter (substitute m >> copy.GenericArguments.Add)
        copy
    | :? ArrayType as a when a.IsVector -> ArrayType(substitute m a.ElementType)
    | :? ByReferenceType as r -> ByReferenceType(substitute m r.ElementType)
    | _ -> t

/// The types that a call takes from the stack, the object first.
let inputTypes (i: Instruction) (m: MethodReference) : TypeReference list = [
    if m.HasThis && i.OpCode.Code <> Code.Newobj then
        if m.DeclaringType.IsValueType then
            ByReferenceType m.DeclaringType
        else
            m.DeclaringType
    for p in m.Parameters do
        substitute m p.ParameterType
]

let outputType (i: Instruction) (m: MethodReference) : TypeReference =
    if i.OpCode.Code = Code.Newobj then
        m.DeclaringType
    else
        substitute m m.ReturnType

let same (a: TypeReference) (b: TypeReference) = a.FullName = b.FullName

let isTensor (t: TypeReference) = t.FullName = "TorchSharp.torch/Tensor"

/// The type of the parameter that receives a call's input; None for the object itself.
let parameter (m: MethodReference) (call: Instruction) (input: int) : ParameterDefinition option =
    let index =
        if m.HasThis && call.OpCode.Code <> Code.Newobj then
            input - 1
        else
            input

    if index < 0 then None else Some m.Parameters[index]

/// The numeric type that an instruction leaves on top, where it is one of int32, int64, float32 and float64.
let rec numeric (body: MethodBody) (i: Instruction option) : MetadataType option =
    let ofType (t: TypeReference) =
        match t.MetadataType with
        | MetadataType.Int32
        | MetadataType.Int64
        | MetadataType.Single
        | MetadataType.Double -> Some t.MetadataType
        | _ -> None

    i
    |> Option.bind (fun i ->
        match i.OpCode.Code, i.Operand with
        | (Code.Ldc_R8 | Code.Conv_R8), _ -> Some MetadataType.Double
        | (Code.Ldc_R4 | Code.Conv_R4), _ -> Some MetadataType.Single
        | (Code.Ldc_I4 | Code.Conv_I4), _ -> Some MetadataType.Int32
        | (Code.Ldc_I8 | Code.Conv_I8), _ -> Some MetadataType.Int64
        | Code.Ldarg, (:? ParameterDefinition as p) -> ofType p.ParameterType
        | Code.Ldloc, (:? VariableDefinition as v) -> ofType v.VariableType
        | Code.Ldfld, (:? FieldReference as f) -> ofType f.FieldType
        | Code.Ldelem_R4, _ -> Some MetadataType.Single
        | Code.Ldelem_R8, _ -> Some MetadataType.Double
        | (Code.Ldind_R4 | Code.Ldobj), _ when i.OpCode.Code = Code.Ldind_R4 -> Some MetadataType.Single
        | Code.Ldind_R8, _ -> Some MetadataType.Double
        | (Code.Add | Code.Sub | Code.Mul | Code.Div | Code.Neg), _ -> numeric body (producer 0 i)
        | _ -> callee i |> Option.bind (outputType i >> ofType))

/// A copy of an instruction, to stand in another branch.
let copy (i: Instruction) : Instruction =
    match i.Operand with
    | null -> Instruction.Create i.OpCode
    | :? MethodReference as o -> Instruction.Create(i.OpCode, o)
    | :? FieldReference as o -> Instruction.Create(i.OpCode, o)
    | :? TypeReference as o -> Instruction.Create(i.OpCode, o)
    | :? VariableDefinition as o -> Instruction.Create(i.OpCode, o)
    | :? ParameterDefinition as o -> Instruction.Create(i.OpCode, o)
    | :? Instruction as o -> Instruction.Create(i.OpCode, o)
    | :? int as o -> Instruction.Create(i.OpCode, o)
    | :? int64 as o -> Instruction.Create(i.OpCode, o)
    | :? float as o -> Instruction.Create(i.OpCode, o)
    | :? float32 as o -> Instruction.Create(i.OpCode, o)
    | o -> invalidArg (nameof i) $"no copy of {i.OpCode} with the operand {o}"
