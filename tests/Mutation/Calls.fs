/// Wrong versions of calls: operators of tensors and vectors, exchanged arguments, dropped calls, wrong functions.
module Research.Mutation.Calls

open System
open System.Numerics
open Mono.Cecil
open Mono.Cecil.Cil
open TorchSharp

/// A method of the same owner under another name with the same signature, where there is one.
let private named (name: string) (m: MethodReference) : MethodReference option =
    let bare (m: MethodReference) =
        let other =
            MethodReference(
                name,
                m.ReturnType,
                m.DeclaringType,
                HasThis = m.HasThis,
                ExplicitThis = m.ExplicitThis,
                CallingConvention = m.CallingConvention
            )

        m.Parameters
        |> Seq.iter (fun p -> other.Parameters.Add(ParameterDefinition p.ParameterType))

        m.GenericParameters
        |> Seq.iter (fun g -> other.GenericParameters.Add(GenericParameter(g.Name, other)))

        other

    let candidate: MethodReference =
        match m with
        | :? GenericInstanceMethod as g ->
            let other = GenericInstanceMethod(bare g.ElementMethod)
            g.GenericArguments |> Seq.iter other.GenericArguments.Add
            other
        | _ -> bare m

    match candidate.Resolve() with
    | null -> None
    | _ -> Some candidate

let private again (i: Instruction) (m: MethodReference) = Instruction.Create(i.OpCode, m)

let private symbols =
    Map.ofList [ "op_Addition", "+"; "op_Subtraction", "-"; "op_Multiply", "*"; "op_Division", "/" ]

let private opposite =
    Map.ofList [
        "op_Addition", "op_Subtraction"
        "op_Subtraction", "op_Addition"
        "op_Multiply", "op_Division"
        "op_Division", "op_Multiply"
    ]

/// The operator with its operands' types exchanged, where there is one: for 1 - x, x - 1.
let private exchanged (m: MethodReference) : MethodReference option =
    let other = MethodReference(m.Name, m.ReturnType, m.DeclaringType)
    other.Parameters.Add(ParameterDefinition m.Parameters[1].ParameterType)
    other.Parameters.Add(ParameterDefinition m.Parameters[0].ParameterType)

    match other.Resolve() with
    | null -> None
    | _ -> Some other

let private operators (i: Instruction) (m: MethodReference) = [
    let sign = symbols[m.Name]
    let types, result = Il.inputTypes i m, Il.outputType i m
    let left, right = types[0], types[1]

    match named opposite[m.Name] m with
    | Some other ->
        Variant.make "operator" $"{sign} -> {symbols[other.Name]}" (fun _ -> [
            Instruction.Create(OpCodes.Call, other)
        ])
    | None -> ()

    if Il.same left result then
        Variant.make "term" $"a {sign} b -> a" (fun _ -> [ Variant.op OpCodes.Pop ])

    if Il.same right result then
        Variant.make "term" $"a {sign} b -> b" (Variant.dropUnder right)

    if sign = "-" || sign = "/" then
        match exchanged m with
        | Some other ->
            Variant.make "order" $"a {sign} b -> b {sign} a" (fun target ->
                Variant.exchange left right target @ [ Instruction.Create(OpCodes.Call, other) ])
        | None -> ()
]

/// a b + c in one rounding.
let private fusedMultiplyAdd (i: Instruction) (m: MethodReference) = [
    let vector = (Il.inputTypes i m)[0]

    let method (target: Target) (name: string) (types: Type[]) =
        match typeof<Vector<float32>>.GetMethod(name, types) with
        | null -> invalidOp $"Vector<float> has no {name}"
        | found -> Instruction.Create(OpCodes.Call, target.Module.ImportReference found)

    let v = typeof<Vector<float32>>
    Variant.make "sign" "a b + c -> a b - c" (fun t -> [ method t "op_UnaryNegation" [| v |]; Il.copy i ])

    Variant.make "term" "a b + c -> a b" (fun t -> [
        Variant.op OpCodes.Pop
        method t "op_Multiply" [| v; v |]
    ])

    Variant.make "term" "a b + c -> c" (fun t ->
        let c = Variant.temporary t vector
        [ Variant.store c; Variant.op OpCodes.Pop; Variant.op OpCodes.Pop; Variant.load c ])

    Variant.make "term" "a b + c -> b + c" (fun t ->
        let b, c = Variant.temporary t vector, Variant.temporary t vector

        [
            Variant.store c
            Variant.store b
            Variant.op OpCodes.Pop
            Variant.load b
            Variant.load c
            method t "op_Addition" [| v; v |]
        ])
]

/// Of functions of ours, needShape says only in its sentence which shape is the wrong one.
let private commutative =
    set [
        "needShape"
        "dot"
        "logaddexp"
        "maximum"
        "minimum"
        "Max"
        "Min"
        "FusedMultiplyAdd"
        "add"
        "mul"
        "Hypot"
        "hypot"
    ]

let private alike (a: Instruction option) (b: Instruction option) =
    match a, b with
    | Some a, Some b -> a.OpCode = b.OpCode && Object.Equals(a.Operand, b.Operand)
    | _ -> false

let private exchangeable (t: TypeReference) =
    match t.MetadataType with
    | MetadataType.Boolean
    | MetadataType.String
    | MetadataType.Object -> false
    | _ -> true

/// Adjacent arguments of one type, exchanged.
let private orders (i: Instruction) (m: MethodReference) = [
    let types = Il.inputTypes i m
    let n = types.Length

    for k in 0 .. n - 2 do
        let produced j = Il.producer (n - 1 - j) i

        if
            Il.same types[k] types[k + 1]
            && exchangeable types[k]
            && not (commutative.Contains m.Name)
            && not (alike (produced k) (produced (k + 1)))
        then
            Variant.make "order" $"{m.Name}: arguments {k + 1} and {k + 2} exchanged" (fun target ->
                let temporaries = types[k..] |> List.map (Variant.temporary target)
                let swapped = temporaries[1] :: temporaries[0] :: temporaries[2..]

                List.map Variant.store (List.rev temporaries)
                @ List.map Variant.load swapped
                @ [ Il.copy i ])
]

/// The method of `Wrong` that takes what the call takes from the stack and leaves what it leaves.
let private helper (body: MethodBody) (name: string) (inputs: TypeReference list) : MethodReference option =
    typeof<Wrong>.GetMethods()
    |> Seq.filter (fun w -> w.Name = name)
    |> Seq.map body.Method.Module.ImportReference
    |> Seq.tryFind (fun w ->
        w.Parameters.Count = inputs.Length
        && Seq.forall2 (fun (p: ParameterDefinition) t -> Il.same p.ParameterType t) w.Parameters inputs)

let private lists = set [ "cat"; "stack" ]

/// A list of tensors in reverse.
let private reversed (body: MethodBody) (i: Instruction) (m: MethodReference) = [
    match Il.inputTypes i m with
    | list :: rest when lists.Contains m.Name ->
        match helper body "Reversed" [ list ] with
        | Some reverse ->
            Variant.make "order" $"{m.Name}: list reversed" (fun target ->
                let temporaries = rest |> List.map (Variant.temporary target)

                List.map Variant.store (List.rev temporaries)
                @ [ Instruction.Create(OpCodes.Call, reverse) ]
                @ List.map Variant.load temporaries
                @ [ Il.copy i ])
        | None -> ()
    | _ -> ()
]

let private transposing = set [ "t"; "transpose"; "mT" ]

/// Moves of memory between scopes and devices change no number.
let private housekeeping =
    set [
        "MoveToOuterDisposeScope"
        "DetachFromDisposeScope"
        "contiguous"
        "AsReadOnly"
        "AsSpan"
    ]

/// The call left out: its first argument passes for its result, or nothing is done.
let private dropped (i: Instruction) (m: MethodReference) = [
    let types, result = Il.inputTypes i m, Il.outputType i m
    let pops count = List.init count (fun _ -> Variant.op OpCodes.Pop)

    if not (housekeeping.Contains m.Name || symbols.ContainsKey m.Name) then
        let kind = if transposing.Contains m.Name then "transposed" else "call"
        let what = $"{m.Name} left out"

        match types with
        | first :: rest when Il.same first result ->
            Variant.make kind what (fun _ -> pops rest.Length @ [ Variant.op OpCodes.Nop ])
        | [ func; x ] when m.Name = "Invoke" && Il.same x result ->
            Variant.make kind what (Variant.dropUnder x)
        | _ when result.MetadataType = MetadataType.Void && not types.IsEmpty && m.Name <> "Dispose" ->
            Variant.make kind what (fun _ -> pops types.Length)
        | _ -> ()
]

/// Functions that are taken for each other.
let private confused =
    Map.ofList [
        "exp", [ "expm1" ]
        "expm1", [ "exp" ]
        "log", [ "log1p" ]
        "log1p", [ "log" ]
        "Exp", [ "Expm1" ]
        "Log", [ "Log1p" ]
        "LogP1", [ "Log" ]
        "ExpM1", [ "Exp" ]
        "sigmoid", [ "tanh" ]
        "tanh", [ "sigmoid" ]
        "softplus", [ "logSigmoid"; "Softplus" ]
        "sin", [ "cos" ]
        "cos", [ "sin" ]
        "square", [ "abs" ]
        "abs", [ "square" ]
        "sqrt", [ "square" ]
        "relu", [ "abs" ]
        "sign", [ "abs" ]
        "lt", [ "le"; "gt" ]
        "le", [ "lt"; "ge" ]
        "gt", [ "ge"; "lt" ]
        "ge", [ "gt"; "le" ]
        "eq", [ "ne" ]
        "mean", [ "Sum"; "SumOver" ]
        "sum", [ "Mean"; "MeanOver" ]
        "logsumexp", [ "MaxOver" ]
        "trace", [ "Total" ]
        "softmax", [ "LogSoftmax" ]
        "log_softmax", [ "Softmax" ]
        "cumsum", [ "cumprod" ]
        "var", [ "std" ]
        "argmax", [ "argmin" ]
        "max", [ "min" ]
        "min", [ "max" ]
        "maximum", [ "minimum" ]
        "minimum", [ "maximum" ]
        "Max", [ "Min" ]
        "Min", [ "Max" ]
        "clamp_min", [ "clamp_max" ]
        "clamp_max", [ "clamp_min" ]
        "logaddexp", [ "maximum" ]
        "zeros", [ "ones" ]
        "ones", [ "zeros" ]
        "zeros_like", [ "ones_like" ]
        "ones_like", [ "zeros_like" ]
        "rand", [ "randn" ]
        "randn", [ "rand" ]
        "Head", [ "Last" ]
        "Last", [ "Head" ]
        "get_Item1", [ "get_Item2" ]
        "get_Item2", [ "get_Item1" ]
    ]

let private functions (body: MethodBody) (i: Instruction) (m: MethodReference) = [
    for name in confused |> Map.tryFind m.Name |> Option.defaultValue [] do
        let replacement =
            match named name m with
            | Some other -> Some(again i other)
            | None ->
                helper body name (Il.inputTypes i m)
                |> Option.map (fun w -> Instruction.Create(OpCodes.Call, w))

        match replacement with
        | Some wrong -> Variant.make "function" $"{m.Name} -> {name}" (fun _ -> [ Il.copy wrong ])
        | None -> ()
]

/// The getter of another field of the same type, and the field without its gradient.
let private fields (i: Instruction) (m: MethodReference) = [
    let result = Il.outputType i m

    match m.Resolve() with
    | null -> ()
    | d when d.IsGetter && d.Module.Assembly.Name.Name.StartsWith "Research." && d.HasThis ->
        let rivals =
            d.DeclaringType.Properties
            |> Seq.filter (fun p -> Il.same p.PropertyType d.ReturnType && not (isNull p.GetMethod))
            |> List.ofSeq

        let at = rivals |> List.findIndex (fun p -> p.GetMethod.Name = d.Name)

        if rivals.Length > 1 then
            let rival = rivals[(at + 1) % rivals.Length]

            match named rival.GetMethod.Name m with
            | Some other -> Variant.make "field" $"{m.Name[4..]} -> {rival.Name}" (fun _ -> [ again i other ])
            | None -> ()

        if Il.isTensor result then
            Variant.make "detached" $"{m.Name[4..]} without gradient" (fun target -> [
                Il.copy i
                Variant.detach target
            ])
    | _ -> ()
]

let private foreign = [
    "System.String"
    "System.Object"
    "System.IDisposable"
    "System.Console"
    "System.Environment"
    "System.GC"
]

/// Text, errors and the compiler's own helpers hold no mathematics.
let private isMine (m: MethodReference) =
    let owner = m.DeclaringType.FullName

    not (List.contains owner foreign)
    && not (owner.EndsWith "Exception")
    && not (owner.Contains "Printf" || owner.Contains "StringHandler" || owner.Contains "HashCompare")
    && not (owner.Contains "DisposeScope" || owner.StartsWith "System.Runtime.CompilerServices")
    && not (owner.Contains "ExtraTopLevelOperators" || owner.StartsWith "System.Reflection")
    && m.ReturnType.MetadataType <> MetadataType.String
    // How a loop over a list is compiled.
    && m.Name <> "get_TailOrNull"

let variants (body: MethodBody) (i: Instruction) : Variant list =
    let prefixed = not (isNull i.Previous) && i.Previous.OpCode.OpCodeType = OpCodeType.Prefix

    match Il.callee i with
    | Some m when isMine m && not prefixed ->
        if i.OpCode.Code = Code.Newobj then
            if m.DeclaringType.FullName.Contains '@' then
                []
            else
                orders i m
        elif m.Name = ".ctor" then
            []
        elif symbols.ContainsKey m.Name && m.Parameters.Count = 2 && not m.HasThis then
            operators i m
        elif m.Name = "FusedMultiplyAdd" then
            fusedMultiplyAdd i m
        else
            functions body i m @ orders i m @ reversed body i m @ dropped i m @ fields i m
    | _ -> []
