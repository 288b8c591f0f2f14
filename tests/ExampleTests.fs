/// The examples in the docstrings of Core.fs have the values that stand there.
module Research.Tests.ExampleTests

open System
open System.IO
open System.Reflection
open System.Text.RegularExpressions
open Expecto
open TorchSharp
open Research.Host
open Research.Tests.Laws
open Research.Tests.Repository

type private Example = { Function: string; Line: int; Expression: string; Value: string }

/// What stands at the head of Core.fs about the names in its examples.
let private vocabulary =
    """module Examples
open System
open System.Globalization
open TorchSharp
open Research.Core

let t (values: float list) : Tensor = torch.tensor (Array.ofList values)
let tt (rows: float list list) : Tensor = torch.tensor (array2D rows)
let q = { Mu = t [ 0.0; 1.0 ]; LogVar = t [ 0.0; log 4.0 ] }
let mixture: Mixture = {
    Logits = t [ 0.0; 0.0 ]
    Components = { Mu = tt [ [ -1.0 ]; [ 1.0 ] ]; LogVar = tt [ [ 0.0 ]; [ 0.0 ] ] }
}
let coupled = coupling (fun z -> z * log 2.0) (fun z -> 3.0 * z)
let line = { W = tt [ [ 1.0 ] ]; Offset = t [ 0.0 ]; Sigma = 1.0 }
let encode (x: Tensor) = { Mu = x / 2.0; LogVar = torch.full_like (x, scalar (log 0.5)) }
let model = {
    Encode = fun x -> { Base = encode x; Flow = None }
    LogLikelihood = LinearGaussian.logLikelihood line
    Prior = Prior.standard
}
let x, eps = tt [ [ 2.0 ] ], tt [ [ 1.0 ] ]
let path = AnnealingPath.ofModel model x
let half, even = t [ 0.5; 0.5 ], tt [ [ 0.5; 0.5 ]; [ 0.5; 0.5 ] ]
let linear (x: Tensor) = sumLast (x * t [ 3.0; 4.0 ])

let private number (x: float) = x.ToString("G4", CultureInfo.InvariantCulture)

let rec show (value: obj) : string =
    match value with
    | :? Tensor as tensor ->
        tensor.``to``(torch.float64).flatten().data<float>().ToArray() |> Seq.map number |> String.concat "; "
    | :? float as x -> number x
    | :? (string * Tensor) as term -> fst term + " " + show (snd term)
    | :? System.Runtime.CompilerServices.ITuple as tuple ->
        String.concat "; " [ for i in 0 .. tuple.Length - 1 -> show tuple[i] ]
    | :? System.Collections.IEnumerable as all -> String.concat "; " [ for one in all -> show one ]
    | other -> string other

let values () : string list = [
"""

/// The examples of a source, each with the function in whose docstring it is the last line.
let private examples (source: string) : Example list =
    let lines = source.Split '\n'
    let mutable inModule = ""

    [
        for i in 0 .. lines.Length - 1 do
            let opens = Regex.Match(lines[i], @"^module (\w+) =")

            if opens.Success then
                inModule <- opens.Groups[1].Value + "."
            elif Regex.IsMatch(lines[i], @"^(let|type)\b") then
                inModule <- ""

            let example = Regex.Match(lines[i], @"^ *///? > (.+) = (.+?)\r?$")

            if example.Success then
                let name = Regex.Match(lines[i + 1], @"^ *let (?:inline )?(\w+)").Groups[1].Value

                {
                    // A function at the left margin ends the module before it.
                    Function =
                        (if lines[i + 1].StartsWith "let" then
                             name
                         else
                             inModule + name)
                    Line = i + 1
                    Expression = example.Groups[1].Value
                    Value = example.Groups[2].Value
                }
    ]

/// What the expressions evaluate to, compiled with what a script has.
let private evaluate (folder: string) (expressions: string list) : string list =
    let source, library =
        Path.Combine(folder, "Examples.fs"), Path.Combine(folder, "Examples.dll")

    let body = expressions |> List.map (fun e -> $"    show (box ({e}))\n") |> String.concat ""
    File.WriteAllText(source, vocabulary + body + "]\n")

    let references = [
        for name in [ "Research.Core"; "TorchSharp"; "FSharp.Core" ] ->
            Path.Combine(AppContext.BaseDirectory, name + ".dll")
    ]

    let errors = FSharpCompiler.Compile([ source ], library, references) |> Seq.filter _.IsError
    Expect.equal (errors |> Seq.map string |> List.ofSeq) [] "the examples compile"

    let run = Assembly.LoadFrom(library).GetType("Examples") |> nonNull |> _.GetMethod("values")
    (nonNull run).Invoke(null, [||]) |> nonNull |> unbox<string list>

[<Tests>]
let tests =
    testList "examples" [
        testCase "every public function of Core has one" (fun () ->
            let shown = examples (File.ReadAllText(Path.Combine(root, "Core.fs")))

            Expect.equal
                (shown |> List.map _.Function |> Set.ofList)
                ExtremeTests.publicFunctions
                "functions")

        testCase "each has the value that stands there" (fun () ->
            inFolder (fun folder ->
                use _ = torch.NewDisposeScope()
                let shown = examples (File.ReadAllText(Path.Combine(root, "Core.fs")))
                let values = evaluate folder (shown |> List.map _.Expression)

                let wrong = [
                    for example, value in List.zip shown values do
                        if example.Value <> value then
                            $"line {example.Line}: {example.Expression} = {value}, and not {example.Value}"
                ]

                if not wrong.IsEmpty then
                    failtest (String.Join("\n", wrong))))
    ]
