/// Random damage to every kind of file that the program reads: it is read, or refused with one sentence, soon and within
/// bounds.
module Research.Tests.FileFuzzTests

open System
open System.IO
open System.Text
open System.Text.Json
open Expecto
open Research.Host
open Research.Report
open Research.Tests.Hostile

let private input path = InputFile(path, "do something about it")

/// A data file of a set at a small size, as the catalogue reads it.
let private data bytes (parse: ContentFile -> byte[]) (path: string) =
    ContentFile.Read(input path, 2L * bytes) |> parse |> ignore

let private ascii (text: string) = Encoding.ASCII.GetBytes text

let private idx (kind: byte) (sizes: int list) (body: byte[]) =
    Array.concat [
        [| 0uy; 0uy; 8uy; kind |]
        yield! [ for size in sizes -> [| 0uy; 0uy; byte (size / 256); byte size |] ]
        body
    ]

let private tensors =
    let entry name kind (shape: int64 list) bytes =
        TensorEntry(TensorSpec(name, kind, List.toArray shape), ReadOnlyMemory(Array.init bytes byte))

    use stream = new MemoryStream()

    SafetensorsFile.Write(
        stream,
        [| entry "weight" ElementType.F32 [ 2L; 3L ] 24; entry "steps" ElementType.I64 [] 8 |],
        readOnlyDict [ "step", "12" ]
    )

    stream.ToArray()

let private laws =
    ascii
        """[{"id": "elbo/three-forms", "statement": "Three forms agree.", "labels": ["eq:elbo"], "function": "elbo", "instances": 7, "largestError": 2e-13, "tolerance": 1e-10, "reason": "rounding", "mutants": ["no prior"]}]"""

let private images, private labels =
    idx 3uy [ 2; 28; 28 ] (Array.init 1568 byte), idx 1uy [ 3 ] [| 7uy; 0uy; 9uy |]

let private rowsOf (pixel: string) =
    String.Join("\n", [ for label in [ "3"; "9" ] -> String.Join(",", List.replicate 64 pixel @ [ label ]) ])

/// Kinds of files: a sound one, and how it is read.
let private kinds: (string * byte[] * (string -> unit)) list = [
    "images", images, data (IdxReader.ImageBytes 2) (fun file -> IdxReader.ReadImages(file, 2))
    "images.gz",
    DataReaderTests.gzip images,
    data (IdxReader.ImageBytes 2) (fun file -> IdxReader.ReadImages(file, 2))
    "labels", labels, data (IdxReader.LabelBytes 3) (fun file -> IdxReader.ReadLabels(file, 3))
    "x.amat", ascii "0 1 1 \n1 0 0\n", data (AmatReader.Bytes(2, 3)) (fun file -> AmatReader.Read(file, 2, 3))
    "d.tes", ascii (rowsOf "16"), data (DigitsReader.Bytes 2) (fun file -> DigitsReader.ReadRows(file, 2))
    "b.bin",
    Array.create (2 * 3073) 4uy,
    data (CifarReader.Bytes 2) (fun file -> CifarReader.ReadRecords(file, 2))
    "x.safetensors", tensors, (fun path -> SafetensorsFile.Read(input path) |> ignore)
    "c.safetensors",
    tensors,
    (fun path -> CheckpointStore(nonNull (Path.GetDirectoryName path), "c").Load() |> ignore)
    "laws.json", laws, (fun path -> Law.read path |> List.map (Law.latex Set.empty) |> ignore)
    "metrics.csv",
    ascii "step,split,name,value\n1,train,loss,0.5\n2,train,loss,NaN\n",
    (fun path -> MetricsLog.Read(input path) |> ignore)
    "lease.json",
    ascii (
        LeaseRecord(Owner = LeaseOwner.Current, State = LeaseState.Held, Since = DateTimeOffset.UnixEpoch)
            .ToJson()
    ),
    (fun path ->
        LeaseRecord.Parse(File.ReadAllText path)
        |> Option.ofObj
        |> Option.iter (fun lease -> lease.Owner.IsAlive() |> ignore))
]

/// Pieces that formats stumble over.
let private pieces = [
    for text in
        [
            "\""
            "{"
            "}"
            "["
            "]"
            ","
            ":"
            "null"
            "-1"
            "1e999"
            "NaN"
            "\\ud800"
            "\n"
            "\r"
            " "
            "\000"
        ] do
        ascii text
    [| 0xFFuy; 0xFEuy |]
    [| 0xEFuy; 0xBBuy; 0xBFuy |]
    [| 0x1Fuy; 0x8Buy |]
    Array.create 8 0xFFuy
    Array.zeroCreate 300
    ascii (String('[', 200))
    ascii (String('9', 400))
]

let private mutate (random: Random) (sound: byte[]) =
    let change (bytes: byte[]) =
        let at = random.Next(bytes.Length + 1)
        let until = min bytes.Length (at + random.Next 20)

        match random.Next 7 with
        | 0 -> bytes[.. at - 1]
        | 1 when at < bytes.Length ->
            bytes |> Array.mapi (fun i b -> if i = at then b ^^^ (1uy <<< random.Next 8) else b)
        | 2 when at < bytes.Length ->
            bytes |> Array.mapi (fun i b -> if i = at then byte (random.Next 256) else b)
        | 3 -> Array.concat [ bytes[.. at - 1]; pieces[random.Next pieces.Length]; bytes[at..] ]
        | 4 -> Array.append bytes[.. at - 1] bytes[until..]
        | 5 -> Array.concat [ bytes[.. until - 1]; bytes[at..] ]
        | _ -> Array.append bytes (Array.truncate (random.Next 40) sound)

    Seq.init (1 + random.Next 4) ignore |> Seq.fold (fun bytes () -> change bytes) sound

[<Tests>]
let tests =
    testList "file fuzz" [
        for name, sound, read in kinds do
            testCase $"host/fuzz/{name}" (fun () ->
                inFolder (fun folder ->
                    let path = Path.Combine(folder, name)
                    File.WriteAllBytes(path, sound)
                    read path
                    let random = Random 13

                    endsSoon (fun () ->
                        for i in 1 .. Fuzz.rounds 100 do
                            for left in Directory.GetFiles folder do
                                File.Delete left

                            File.WriteAllBytes(path, mutate random sound)
                            let before = GC.GetAllocatedBytesForCurrentThread()

                            try
                                read path
                            with :? ResearchException as error ->
                                Expect.stringStarts error.Message (path + ": ") $"file {i} is named"

                                Expect.stringContains error.Message "; " "with a way to go on"

                            Expect.isLessThan
                                (GC.GetAllocatedBytesForCurrentThread() - before)
                                (4L <<< 20)
                                $"file {i} asks for little memory")))
    ]
