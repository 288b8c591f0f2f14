/// Files that outlive a process: safetensors, checkpoints, run directories, metrics.
module Research.Tests.RuntimeTests

open System
open System.Buffers.Binary
open System.Collections.Generic
open System.IO
open System.Text
open Expecto
open Research.Host
open Research.Tests.Hostile

let private entry name elementType (shape: int64 list) (data: byte[]) =
    TensorEntry(TensorSpec(name, elementType, List.toArray shape), ReadOnlyMemory data)

let private sample = [|
    entry "mask" ElementType.BOOL [ 3L ] [| 1uy; 0uy; 1uy |]
    entry "layer.weight" ElementType.F32 [ 2L; 1L ] [| 1uy .. 8uy |]
    entry "scalar" ElementType.F64 [] [| 11uy .. 18uy |]
    entry "empty" ElementType.I32 [ 0L; 4L ] [||]
|]

let private encode (entries: TensorEntry array) (metadata: (string * string) list) =
    use stream = new MemoryStream()
    SafetensorsFile.Write(stream, entries, readOnlyDict metadata)
    stream.ToArray()

let private decode (bytes: byte[]) =
    SafetensorsFile.Read(new MemoryStream(bytes), InputFile("file", "remedy"))

/// A file as another program writes it: a header without our checksum, then data.
let private foreign (header: string) (data: byte[]) =
    let json = Encoding.UTF8.GetBytes header
    let length = Array.zeroCreate<byte> 8
    BinaryPrimitives.WriteInt64LittleEndian(length, int64 json.Length)
    Array.concat [ length; json; data ]

let private safetensors =
    testList "safetensors" [
        testCase "host/safetensors/round-trip" (fun () ->
            let file = decode (encode sample [ "step", "12"; "note", "λ \"quoted\"" ])
            Expect.equal file.Metadata["note"] "λ \"quoted\"" "metadata survive"
            Expect.isTrue file.IsChecksummed "our files carry a checksum"

            for expected in sample do
                let actual = file[expected.Name]
                Expect.sequenceEqual actual.Spec.Shape expected.Spec.Shape "shape"
                Expect.equal actual.Spec.Type expected.Spec.Type "type"
                Expect.isTrue (actual.Data.Span.SequenceEqual expected.Data.Span) "bytes")

        testCase "host/safetensors/aligned" (fun () ->
            let bytes = encode sample []
            let header = BinaryPrimitives.ReadInt64LittleEndian bytes
            Expect.equal (header % 8L) 0L "data start at a multiple of eight"
            Expect.equal (decode bytes).Names[0] "scalar" "wide elements come first, so that all are aligned")

        testCase "host/safetensors/foreign" (fun () ->
            let header =
                """{"b":{"dtype":"U8","shape":[2],"data_offsets":[4,6]},"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""

            let file = decode (foreign header [| 1uy .. 6uy |])
            Expect.sequenceEqual file.Names [ "a"; "b" ] "tensors come in the order of their data"
            Expect.isFalse file.IsChecksummed "a file of another program needs no checksum"
            Expect.sequenceEqual (file["b"].Data.ToArray()) [ 5uy; 6uy ] "bytes")

        testCase "host/safetensors/damage" (fun () ->
            let bytes = encode [| sample[1] |] [ "step", "12" ]

            for length in 0 .. bytes.Length - 1 do
                sentenceOf (fun () -> decode bytes[.. length - 1] |> ignore) |> ignore

            for position in 0 .. bytes.Length * 8 - 1 do
                let flipped = Array.copy bytes
                flipped[position / 8] <- flipped[position / 8] ^^^ (1uy <<< position % 8)

                // A flip in the checksum's own key makes a sound file without one, which no checkpoint may be.
                let isNoticed =
                    try
                        not (decode flipped).IsChecksummed
                    with :? ResearchException ->
                        true

                Expect.isTrue isNoticed $"bit {position} is noticed")

        for name, fault, header in
            [
                "no JSON", "not valid JSON", "{nonsense"
                "a list", "not a JSON object", "[]"
                "half a character for a name",
                "not valid JSON",
                """{"\ud800":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""
                "half a character for a type",
                "not valid JSON",
                """{"a":{"dtype":"\ud800","shape":[1],"data_offsets":[0,4]}}"""
                "half a character for a value", "not valid JSON", """{"__metadata__":{"a":"\udfff"}}"""
                "a member twice",
                "says something twice",
                """{"a":{"dtype":"I32","dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""
                "a member twice, once escaped",
                "says something twice",
                """{"a":{"dtype":"F32","shape":[1],"shap\u0065":[1],"data_offsets":[0,4]}}"""
                "metadata twice",
                "says something twice",
                """{"__metadata__":{"a":"1"},"__metadata__":{"b":"2"},"x":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"""
                "a value of the metadata twice",
                "says something twice",
                """{"__metadata__":{"a":"1","a":"2"}}"""
                "a checksum that is not first",
                "not where it belongs",
                "{\"__metadata__\":{\"step\":\"1\",\"xxh128\":\""
                + String('0', 32)
                + "\"},\"a\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]}}"
                "an empty tensor of a huge shape",
                "too large",
                """{"a":{"dtype":"F32","shape":[0,9999999999,9999999999],"data_offsets":[0,0]}}"""
                "a hundred extents",
                "not a list of at most",
                "{\"a\":{\"dtype\":\"F32\",\"shape\":["
                + String.concat "," (List.replicate 100 "1")
                + "],\"data_offsets\":[0,4]}}"
                "no dtype", "lacks dtype", """{"a":{"shape":[1],"data_offsets":[0,4]}}"""
                "half floats",
                "unsupported type 'F16'",
                """{"a":{"dtype":"F16","shape":[2],"data_offsets":[0,4]}}"""
                "a number for a type",
                "unsupported type '2'",
                """{"a":{"dtype":"2","shape":[1],"data_offsets":[0,4]}}"""
                "a gap", "start at 1", """{"a":{"dtype":"U8","shape":[3],"data_offsets":[1,4]}}"""
                "a wrong size", "shape needs 8", """{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"""
                "a negative extent",
                "whole numbers",
                """{"a":{"dtype":"U8","shape":[-4],"data_offsets":[0,4]}}"""
                "a huge shape",
                "too large",
                """{"a":{"dtype":"U8","shape":[9999999999,9999999999],"data_offsets":[0,4]}}"""
                "a twin",
                "says something twice",
                """{"a":{"dtype":"U8","shape":[0],"data_offsets":[0,0]},"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]}}"""
                "metadata that are no text", "not a string", """{"__metadata__":{"a":1}}"""
            ] do
            testCase $"host/safetensors/malformed: {name}" (fun () ->
                let sentence = sentenceOf (fun () -> decode (foreign header (Array.zeroCreate 4)) |> ignore)
                Expect.stringContains sentence fault "the sentence names the fault")
    ]

let private save (store: CheckpointStore) (step: int) =
    let data = BitConverter.GetBytes(int64 step)
    let specs = [| TensorSpec("x", ElementType.I64, [||]) |]

    store.Save(
        specs,
        (fun _ append -> append.Invoke(ReadOnlySpan data)),
        readOnlyDict [ "step", string step ]
    )

let private stepOf (loaded: LoadedCheckpoint) =
    match loaded.File with
    | null -> None
    | file -> Some(int file.Metadata["step"])

/// Damages that a checkpoint file may suffer.
let private damages: (string * (byte[] -> byte[])) list = [
    "truncated", (fun bytes -> bytes[.. bytes.Length / 2])
    "bit-flipped", (fun bytes -> [| yield! bytes[.. bytes.Length - 2]; bytes[bytes.Length - 1] ^^^ 1uy |])
    "empty", (fun _ -> [||])
]

let private damage (path: string) (how: byte[] -> byte[]) =
    File.WriteAllBytes(path, how (File.ReadAllBytes path))

let private checkpoints =
    testList "checkpoints" [
        for name, how in damages do
            testCase $"host/checkpoint/{name}" (fun () ->
                inFolder (fun folder ->
                    let store = CheckpointStore(folder, "c")
                    let current = Path.Combine(folder, "c.safetensors")
                    save store 1
                    save store 2
                    damage current how
                    let loaded = store.Load()
                    Expect.equal (stepOf loaded) (Some 1) "the previous checkpoint is used"
                    Expect.stringContains loaded.Messages[0] "cannot be used" "it says why"
                    Expect.stringContains (Seq.last loaded.Messages) "previous" "and what it does instead"

                    save store 3
                    damage current how

                    Expect.equal
                        (stepOf (store.Load()))
                        (Some 1)
                        "the damaged file did not replace the sound one"

                    damage (Path.Combine(folder, "c.previous.safetensors")) how
                    let lost = store.Load()
                    Expect.equal (stepOf lost) None "nothing is left"
                    Expect.stringContains (Seq.last lost.Messages) "from scratch" "it says so"))

        testCase "host/checkpoint/none" (fun () ->
            inFolder (fun folder ->
                let loaded = CheckpointStore(folder, "c").Load()
                Expect.equal (stepOf loaded) None "there is none"
                Expect.isEmpty loaded.Messages "a new run has nothing to complain about"))

        testCase "host/checkpoint/stages" (fun () ->
            inFolder (fun folder ->
                save (CheckpointStore(folder, "c")) 1
                // A copy of the folder at each stage of a save is what a kill would leave there.
                for stage in Enum.GetValues<SaveStage>() do
                    let left = Path.Combine(folder, string stage)
                    Directory.CreateDirectory left |> ignore

                    let observe (at: SaveStage) =
                        if at = stage then
                            for file in Directory.GetFiles folder do
                                File.Copy(file, Path.Combine(left, nonNull (Path.GetFileName file)), true)

                    save (CheckpointStore(folder, "c", Observer = observe)) 2
                    let loaded = CheckpointStore(left, "c").Load()
                    Expect.isSome (stepOf loaded) $"a checkpoint survives a kill at {stage}"))

        testCase "host/checkpoint/no-space" (fun () ->
            inFolder (fun folder ->
                let store = CheckpointStore(folder, "c")
                let temporary = Path.Combine(folder, "c.tmp")
                save store 1
                // Writing to /dev/full fails like writing to a full disk.
                File.CreateSymbolicLink(temporary, "/dev/full") |> ignore
                let sentence = sentenceOf (fun () -> save store 2)
                Expect.stringContains sentence "no space left" "one sentence says what is wrong"
                Expect.equal (stepOf (store.Load())) (Some 1) "the last checkpoint is intact"
                Expect.isFalse (Path.Exists temporary) "the temporary file is gone"
                save store 3
                Expect.equal (stepOf (store.Load())) (Some 3) "saving works again once there is space"))
    ]

let private keyWith changes =
    let value field standard =
        changes
        |> List.tryFind (fst >> (=) field)
        |> Option.map snd
        |> Option.defaultValue standard

    RunKey(
        value "name" "ift1",
        [ KeyValuePair("rate", value "rate" "0.001"); KeyValuePair("batch", "64") ],
        int64 (value "seed" "1"),
        value "data" "abc",
        value "engine" "libtorch 1.13.0 cpu",
        RunCode(value "code" "1", readOnlyDict [ "Core.elbo", value "code" "1"; "Core.total", "1" ])
    )

let private runs =
    testList "run store" [
        testCase "host/run/key" (fun () ->
            let changed = [
                []
                [ "name", "ift2" ]
                [ "rate", "0.01" ]
                [ "seed", "2" ]
                [ "data", "abd" ]
                [ "engine", "x" ]
                [ "code", "2" ]
            ]

            let digests = changed |> List.map (fun changes -> (keyWith changes).Digest)
            Expect.hasLength (List.distinct digests) changed.Length "every field changes the digest"
            Expect.equal (keyWith []).Digest digests.Head "equal keys have equal digests"
            Expect.equal digests.Head.Length 16 "sixteen digits"

            Expect.throwsT<ArgumentException>
                (fun () -> keyWith [ "name", "a/b" ] |> ignore)
                "a name is a file name")

        testCase "host/run/why" (fun () ->
            inFolder (fun folder ->
                let store = RunStore folder
                let why changes = store.Why(keyWith changes).ToString()
                Expect.stringContains (why []) "there is no run named ift1" "nothing exists"
                (opened store (keyWith [])).Complete(TimeSpan.Zero)
                opened store (keyWith [ "rate", "0.01"; "code", "7" ]) |> ignore
                Expect.stringContains (why []) "is complete" "complete"
                Expect.stringContains (why [ "rate", "0.01"; "code", "7" ]) "continued" "begun"

                let report = store.Why(keyWith [ "seed", "2" ])

                Expect.equal
                    (Seq.toList report.Changes)
                    [ KeyChange("seed", "1", "2") ]
                    "the nearest run is compared"

                Expect.stringContains (report.ToString()) "seed was 1, is now 2" "in words"

                Expect.stringContains
                    (why [ "code", "2" ])
                    "code has changed: Core.elbo."
                    "the functions that changed, and no others"))

        testCase "host/run/immutable" (fun () ->
            inFolder (fun folder ->
                let store = RunStore folder
                let run = opened store (keyWith [])
                run.SaveValues(readOnlyDict [ "third", 1.0 / 3.0; "nan", nan ])

                Expect.throwsT<ResearchException>
                    (fun () -> store.Require(keyWith []) |> ignore)
                    "not shown yet"

                run.Complete(TimeSpan.FromSeconds 2.0)
                let again = store.Require(keyWith [])
                Expect.equal (again.ReadValues()["third"]) (1.0 / 3.0) "values come back to the bit"
                Expect.isTrue (Double.IsNaN(again.ReadValues()["nan"])) "NaN too"
                Expect.equal again.Record.Seconds 2.0 "the time is kept"

                for write in
                    [
                        (fun () -> again.PathForWriting "x.png" |> ignore)
                        (fun () -> again.SaveTensors("x", sample))
                        (fun () -> again.OpenMetrics().Dispose())
                    ] do
                    Expect.throwsT<InvalidOperationException> write "a complete run is never written"))

        testCase "host/run/metrics" (fun () ->
            inFolder (fun folder ->
                let path = Path.Combine(folder, "metrics.csv")

                let kept =
                    use log = new MetricsLog(path)
                    log.Add(1L, "train", "loss", 0.1)
                    log.Flush()
                    let length = log.Length
                    log.Add(2L, "train", "loss", nan)
                    length

                do
                    use log = new MetricsLog(path)
                    log.Truncate kept
                    log.Add(2L, "train", "loss", 1e-300 / 3.0)

                File.AppendAllText(path, "3,train,lo")
                let rows = MetricsLog.Read(InputFile(path, "remedy")) |> Seq.toList

                let expected = [
                    MetricRow(1L, "train", "loss", 0.1)
                    MetricRow(2L, "train", "loss", 1e-300 / 3.0)
                ]

                Expect.equal rows expected "cut back, continued, and a torn last line ignored"))

        testCase "host/run/no-results" (fun () ->
            inFolder (fun folder ->
                let file = Path.Combine(folder, "file")
                File.WriteAllText(file, "")
                let inside = Path.Combine(file, "results")
                let sentence = sentenceOf (fun () -> RunStore(inside).RequireWritable())

                Expect.stringStarts
                    sentence
                    $"the results directory '{inside}' cannot be written"
                    "names it"))
    ]

[<Tests>]
let tests = testList "runtime" [ safetensors; checkpoints; runs ]
