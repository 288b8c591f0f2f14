/// Wrong versions of numbers, arithmetic and comparisons.
namespace Research.Mutation

open System
open Mono.Cecil
open Mono.Cecil.Cil

/// Where a wrong version is written: temporaries live in the method's body, references in its module.
type Target = { Module: ModuleDefinition; Body: MethodBody }

/// A wrong version of one instruction: what takes its place.
type Variant = {
    Kind: string
    /// What is planted, for a reader of the source.
    What: string
    Code: Target -> Instruction list
}

[<RequireQualifiedAccess>]
module Variant =
    let make kind what code = { Kind = kind; What = what; Code = code }

    let op (code: OpCode) = Instruction.Create code

    let temporary (target: Target) (t: TypeReference) =
        let variable = VariableDefinition(target.Module.ImportReference t)
        target.Body.Variables.Add variable
        variable

    let store (v: VariableDefinition) = Instruction.Create(OpCodes.Stloc, v)
    let load (v: VariableDefinition) = Instruction.Create(OpCodes.Ldloc, v)

    /// Takes the value under the top one away.
    let dropUnder (t: TypeReference) (target: Target) =
        let top = temporary target t
        [ store top; op OpCodes.Pop; load top ]

    /// Exchanges the two values on top, each of its own type.
    let exchange (under: TypeReference) (top: TypeReference) (target: Target) =
        let a, b = temporary target under, temporary target top
        [ store b; store a; load b; load a ]

    /// The call that makes a tensor count as a constant.
    let detach (target: Target) =
        match typeof<Wrong>.GetMethod "Constant" with
        | null -> invalidOp "Wrong has no Constant"
        | method -> Instruction.Create(OpCodes.Call, target.Module.ImportReference method)

/// Literals.
module Numbers =
    /// Whether the compiler, and not the author, may have written this constant: the default of an optional parameter.
    let private isDefault (p: ParameterDefinition) (value: float) =
        p.HasConstant
        && (match p.Constant with
            | null
            | :? char
            | :? string -> false
            | :? bool as b -> value = (if b then 1.0 else 0.0)
            | constant -> Convert.ToDouble constant = value)

    let private reductions = set [ "keepdim"; "keepDim"; "unbiased" ]

    type private Role =
        | Number
        | Flag
        | NotMine

    let private roleOfType (t: TypeReference) =
        if t.MetadataType = MetadataType.Boolean then
            Flag
        elif t.MetadataType = MetadataType.Char then
            NotMine
        elif t.IsPrimitive then
            Number
        else
            match t.Resolve() with
            | null -> Number
            | d when d.IsEnum -> NotMine
            | _ -> Number

    let private isCall (name: string) (i: Instruction option) =
        i |> Option.bind Il.callee |> Option.exists (fun m -> m.Name = name)

    let private isComparison (i: Instruction option) =
        i
        |> Option.exists (fun i ->
            match i.OpCode.Code with
            | Code.Ceq
            | Code.Clt
            | Code.Cgt
            | Code.Clt_Un
            | Code.Cgt_Un -> true
            | _ -> false)

    let private roleOfArgument (m: MethodReference) call input (value: float) =
        match Il.parameter m call input with
        | None -> Number
        | Some p ->
            let resolved =
                match m.Resolve() with
                | null -> p
                | d -> d.Parameters[p.Index]

            if isDefault resolved value && not (reductions.Contains resolved.Name) then
                NotMine
            else
                roleOfType (Il.substitute m p.ParameterType)

    /// Literals of array sizes, indices within an array's literal, tags of unions and states of generated code are the
    /// compiler's.
    let private role (body: MethodBody) (i: Instruction) (value: float) =
        match Il.consumer i with
        | None -> Number
        | Some(user, input) ->
            match user.OpCode.Code, user.Operand with
            | Code.Newarr, _ when not (isNull user.Next) && user.Next.OpCode.Code = Code.Dup -> NotMine
            | (Code.Stelem_Ref | Code.Stelem_Any | Code.Stelem_I8 | Code.Stelem_I4 | Code.Stelem_R4 | Code.Stelem_R8),
              _ when input = 1 -> NotMine
            | Code.Ret, _ ->
                if body.Method.Name = "GenerateNext" then
                    NotMine
                else
                    roleOfType body.Method.ReturnType
            | Code.Stloc, (:? VariableDefinition as v) -> roleOfType v.VariableType
            | Code.Stfld, (:? FieldReference as f) ->
                if f.Name = "pc" || f.Name.StartsWith '<' then
                    NotMine
                else
                    roleOfType f.FieldType
            | (Code.Ceq | Code.Beq | Code.Bne_Un | Code.Switch | Code.Sub), _ when
                isCall "get_Tag" (Il.producer 0 i)
                ->
                NotMine
            | Code.Ceq, _ when isComparison (Il.producer 0 i) -> NotMine
            | _ ->
                match Il.callee user with
                | Some m -> roleOfArgument m user input value
                | None -> Number

    /// Whether a literal one is what a loop's counter grows by: less would never end.
    let private isIncrement (i: Instruction) =
        match Il.consumer i with
        | Some(user, 1) when user.OpCode.Code = Code.Add && not (isNull user.Next) ->
            user.Next.OpCode.Code = Code.Stloc
        | _ -> false

    let private floats (c: float) = [
        if c = 0.0 then
            1.0
        elif abs c < 1e-6 then
            0.0
            c * 1e6
        elif Double.IsFinite c then
            c * 1.5
            -c
    ]

    let private kindOf c wrong = if wrong = -c then "sign" else "number"

    let private ofFloat body (i: Instruction) (c: float) (load: float -> Instruction) =
        match role body i c with
        | NotMine
        | Flag -> []
        | Number -> [
            for wrong in floats c ->
                Variant.make (kindOf c wrong) $"{c:R} -> {wrong:R}" (fun _ -> [ load wrong ])
          ]

    let private ofInteger body (i: Instruction) (c: int64) (load: int64 -> Instruction) =
        match role body i (float c) with
        | NotMine -> []
        | Flag ->
            let name value = if value = 0L then "false" else "true"
            [ Variant.make "flag" $"{name c} -> {name (1L - c)}" (fun _ -> [ load (1L - c) ]) ]
        | Number -> [
            for wrong in [ c + 1L; c - 1L ] do
                if wrong > c || not (isIncrement i) then
                    Variant.make "number" $"{c} -> {wrong}" (fun _ -> [ load wrong ])
          ]

    let variants (body: MethodBody) (i: Instruction) : Variant list =
        match i.OpCode.Code, i.Operand with
        | Code.Ldc_R8, (:? float as c) -> ofFloat body i c (fun w -> Instruction.Create(OpCodes.Ldc_R8, w))
        | Code.Ldc_R4, (:? float32 as c) ->
            ofFloat body i (float c) (fun w -> Instruction.Create(OpCodes.Ldc_R4, float32 w))
        | Code.Ldc_I4, (:? int as c) when abs (int64 c) < int64 Int32.MaxValue ->
            ofInteger body i (int64 c) (fun w -> Instruction.Create(OpCodes.Ldc_I4, int w))
        | Code.Ldc_I8, (:? int64 as c) -> ofInteger body i c (fun w -> Instruction.Create(OpCodes.Ldc_I8, w))
        | _ -> []

/// Instructions that add, subtract, multiply, divide, compare and branch.
module Arithmetic =
    let private typeOf (target: Target) (t: MetadataType) : TypeReference =
        let types = target.Module.TypeSystem

        match t with
        | MetadataType.Int32 -> types.Int32
        | MetadataType.Int64 -> types.Int64
        | MetadataType.Single -> types.Single
        | _ -> types.Double

    let private isCounter (i: Instruction) =
        match Il.producer 0 i with
        | Some one when one.OpCode.Code = Code.Ldc_I4 || one.OpCode.Code = Code.Conv_I8 ->
            not (isNull i.Next) && i.Next.OpCode.Code = Code.Stloc
        | _ -> false

    let private operation (i: Instruction) (t: MetadataType) (sign: string) (other: string, code: OpCode) = [
        Variant.make "operator" $"{sign} -> {other}" (fun _ -> [ Variant.op code ])
        Variant.make "term" $"a {sign} b -> a" (fun _ -> [ Variant.op OpCodes.Pop ])
        Variant.make "term" $"a {sign} b -> b" (fun target -> Variant.dropUnder (typeOf target t) target)
        if sign = "-" || sign = "/" then
            Variant.make "order" $"a {sign} b -> b {sign} a" (fun target ->
                Variant.exchange (typeOf target t) (typeOf target t) target @ [ Il.copy i ])
    ]

    let private calculation (body: MethodBody) (i: Instruction) =
        match Il.numeric body (Il.producer 0 i) with
        | None -> []
        | Some t ->
            match i.OpCode.Code with
            | _ when isCounter i -> []
            | Code.Add -> operation i t "+" ("-", OpCodes.Sub)
            | Code.Sub -> operation i t "-" ("+", OpCodes.Add)
            | Code.Mul -> operation i t "*" ("/", OpCodes.Div)
            | Code.Div -> operation i t "/" ("*", OpCodes.Mul)
            | Code.Rem -> operation i t "%" ("/", OpCodes.Div)
            | Code.Neg -> [ Variant.make "sign" "-a -> a" (fun _ -> [ Variant.op OpCodes.Nop ]) ]
            | _ -> []

    let private negated code = [
        Variant.op code
        Instruction.Create(OpCodes.Ldc_I4, 0)
        Variant.op OpCodes.Ceq
    ]

    let private comparison (i: Instruction) =
        let wrong what code = Variant.make "comparison" what (fun _ -> code ())

        match i.OpCode.Code with
        | Code.Ceq -> [ wrong "= -> <>" (fun () -> negated OpCodes.Ceq) ]
        | Code.Clt -> [
            wrong "< -> >=" (fun () -> negated OpCodes.Clt)
            wrong "< -> <=" (fun () -> negated OpCodes.Cgt)
          ]
        | Code.Cgt -> [
            wrong "> -> <=" (fun () -> negated OpCodes.Cgt)
            wrong "> -> >=" (fun () -> negated OpCodes.Clt)
          ]
        | _ -> []

    /// The opposite of a condition, and its boundary where it has one.
    let private wrongBranches =
        Map.ofList [
            Code.Brtrue, [ "if a -> if not a", OpCodes.Brfalse ]
            Code.Brfalse, [ "if a -> if not a", OpCodes.Brtrue ]
            Code.Beq, [ "= -> <>", OpCodes.Bne_Un ]
            Code.Bne_Un, [ "= -> <>", OpCodes.Beq ]
            Code.Blt, [ "< -> >=", OpCodes.Bge; "< -> <=", OpCodes.Ble ]
            Code.Ble, [ "<= -> >", OpCodes.Bgt; "<= -> <", OpCodes.Blt ]
            Code.Bgt, [ "> -> <=", OpCodes.Ble; "> -> >=", OpCodes.Bge ]
            Code.Bge, [ ">= -> <", OpCodes.Blt; ">= -> >", OpCodes.Bgt ]
            Code.Blt_Un, [ "< -> >=", OpCodes.Bge_Un; "< -> <=", OpCodes.Ble_Un ]
            Code.Ble_Un, [ "<= -> >", OpCodes.Bgt_Un; "<= -> <", OpCodes.Blt_Un ]
            Code.Bgt_Un, [ "> -> <=", OpCodes.Ble_Un; "> -> >=", OpCodes.Bge_Un ]
            Code.Bge_Un, [ ">= -> <", OpCodes.Blt_Un; ">= -> >", OpCodes.Bgt_Un ]
        ]

    let private inFinally (body: MethodBody) (i: Instruction) =
        body.ExceptionHandlers
        |> Seq.exists (fun h ->
            h.HandlerType = ExceptionHandlerType.Finally
            && i.Offset >= h.HandlerStart.Offset
            && (isNull h.HandlerEnd || i.Offset < h.HandlerEnd.Offset))

    /// A compiler's `use` disposes in a finally, and its caches of lambdas test a duplicate: neither is the author's.
    let private branch (body: MethodBody) (i: Instruction) =
        match Map.tryFind i.OpCode.Code wrongBranches, i.Operand with
        | Some wrong, (:? Instruction as destination) when
            not (inFinally body i) && (isNull i.Previous || i.Previous.OpCode.Code <> Code.Dup)
              ->
              [
                  for what, code in wrong ->
                      Variant.make "comparison" what (fun _ -> [ Instruction.Create(code, destination) ])
              ]
        | _ -> []

    let variants (body: MethodBody) (i: Instruction) : Variant list =
        match i.OpCode.Code with
        | Code.Add
        | Code.Sub
        | Code.Mul
        | Code.Div
        | Code.Rem
        | Code.Neg -> calculation body i
        | Code.Ceq
        | Code.Clt
        | Code.Cgt -> comparison i
        | _ -> branch body i
