/// Archives: accepted and refused as the program gzip does, within the memory that the content may need.
module Research.Tests.GzipTests

open System
open System.Diagnostics
open System.IO
open System.IO.Compression
open System.IO.Hashing
open Expecto
open Research.Host
open Research.Tests.Hostile

/// Optional fields of a member's header.
type private Fields = {
    Extra: byte[] option
    Name: string option
    Comment: string option
    Checksum: bool
}

let private plain = { Extra = None; Name = None; Comment = None; Checksum = false }

let private ascii (text: string) = Text.Encoding.ASCII.GetBytes text

/// A member as RFC 1952 spells it.
let private memberOf (fields: Fields) (level: CompressionLevel) (content: byte[]) =
    let flag bit isSet = if isSet then bit else 0uy

    let flags =
        flag 2uy fields.Checksum
        ||| flag 4uy fields.Extra.IsSome
        ||| flag 8uy fields.Name.IsSome
        ||| flag 16uy fields.Comment.IsSome

    let header =
        Array.concat [
            [| 0x1fuy; 0x8buy; 8uy; flags; 1uy; 2uy; 3uy; 4uy; 0uy; 255uy |]
            match fields.Extra with
            | Some extra ->
                BitConverter.GetBytes(uint16 extra.Length)
                extra
            | None -> ()
            for text in [ fields.Name; fields.Comment ] do
                match text with
                | Some text -> ascii (text + "\000")
                | None -> ()
        ]

    use body = new MemoryStream()

    do
        use deflate = new DeflateStream(body, level, true)
        deflate.Write content

    Array.concat [
        header
        if fields.Checksum then
            BitConverter.GetBytes(uint16 (Crc32.HashToUInt32(ReadOnlySpan header) &&& 0xFFFFu))
        // An empty content leaves the library's writer silent.
        if content.Length = 0 then
            [| 3uy; 0uy |]
        else
            body.ToArray()
        BitConverter.GetBytes(Crc32.HashToUInt32(ReadOnlySpan content))
        BitConverter.GetBytes content.Length
    ]

let private simple = memberOf plain CompressionLevel.Fastest
let private longest = 1L <<< 20

/// The content as we read it, or the sentence that refuses it.
let private ours (path: string) =
    try
        Ok(ContentFile.Read(InputFile(path, "remedy"), longest).Content)
    with :? ResearchException as error ->
        Error error.Message

/// The content as `gzip -dc` gives it, where `gzip -t` accepts the file.
let private theirs (path: string) =
    let info =
        ProcessStartInfo("gzip", [ "-dc"; path ], RedirectStandardOutput = true, RedirectStandardError = true)

    use gzip = Process.Start info |> nonNull
    let errors = gzip.StandardError.ReadToEndAsync()
    use content = new MemoryStream()
    gzip.StandardOutput.BaseStream.CopyTo content
    gzip.WaitForExit()

    if gzip.ExitCode = 0 then
        Ok(content.ToArray())
    else
        Error errors.Result

/// Ours and gzip's answer to the same bytes.
let private bothOn (bytes: byte[]) =
    let mutable answers = Error "", Error ""

    inFolder (fun folder ->
        let path = Path.Combine(folder, "x.gz")
        File.WriteAllBytes(path, bytes)
        answers <- ours path, theirs path)

    answers

let private one, private two =
    ascii "first content\n", Array.init 70_000 (fun i -> byte (i * i >>> 9))

let private fields = {
    Extra = Some [| 65uy; 66uy; 2uy; 0uy; 1uy; 2uy |]
    Name = Some "a.txt"
    Comment = Some "why"
    Checksum = true
}

let private accepted: (string * byte[]) list = [
    "one member", simple two
    "two members", Array.append (simple one) (simple two)
    "many members", Array.concat (List.replicate 40 (simple one))
    "every header field", memberOf fields CompressionLevel.Optimal two
    "stored blocks", memberOf plain CompressionLevel.NoCompression two
    "an empty member", simple [||]
    "an empty member first", Array.append (simple [||]) (simple one)
    "an empty member last", Array.append (simple one) (simple [||])
    "a content of zeros", simple (Array.zeroCreate 300)
    "zeros after the end", Array.append (simple one) (Array.zeroCreate 512)
]

let private refused: (string * byte[]) list = [
    "an empty file", [||]
    "a member and a half", Array.append (simple one) (Array.truncate 41 (simple two))
    "a header alone", Array.append (simple one) (Array.truncate 6 (simple two))
    "bytes after the end", Array.append (simple one) [| 7uy; 8uy |]
    "a magic number after the end", Array.append (simple one) [| 0x1fuy; 0x8buy |]
    "a member after zeros", Array.concat [ simple one; Array.zeroCreate 3; simple two ]
    "a wrong length",
    Array.append (Array.truncate ((simple two).Length - 4) (simple two)) (Array.zeroCreate 4)
    "flags of the future", simple one |> Array.mapi (fun i b -> if i = 3 then 0x80uy else b)
    "a wrong header checksum",
    memberOf fields CompressionLevel.Optimal one
    |> Array.mapi (fun i b -> if i = 17 then b ^^^ 1uy else b)
    "another method", simple one |> Array.mapi (fun i b -> if i = 2 then 7uy else b)
]

let private agreement = [
    for name, bytes in accepted do
        testCase $"data/gzip-accepts {name}" (fun () ->
            let ours, theirs = bothOn bytes
            Expect.isOk theirs "the program accepts it"
            Expect.equal ours theirs "and so do we, with the same content")
    for name, bytes in refused do
        testCase $"data/gzip-refuses {name}" (fun () ->
            let ours, theirs = bothOn bytes
            Expect.isError theirs "the program refuses it"
            Expect.isError ours "and so do we")
    testCase "data/gzip-every-length" (fun () ->
        // The library's own reader ends quietly at most of these.
        inFolder (fun folder ->
            let path = Path.Combine(folder, "x.gz")
            let random = Random 3

            let isCut (whole: byte[]) length =
                File.WriteAllBytes(path, Array.truncate length whole)
                Expect.isError (ours path) $"cut to {length} of {whole.Length} bytes it is refused"

            let short = Array.append (simple one) (memberOf fields CompressionLevel.Optimal one)

            for length in 0 .. short.Length - 1 do
                if length <> (simple one).Length then
                    isCut short length

            for _ in 1..30 do
                isCut (simple two) (random.Next (simple two).Length)))
]

/// An archive of one to three members with any fields, perhaps damaged.
let private anyArchive (random: Random) =
    let content () =
        let bytes =
            Array.zeroCreate<byte>(
                if random.Next 4 = 0 then
                    random.Next 4
                else
                    random.Next 60_000
            )

        match random.Next 3 with
        | 0 -> random.NextBytes bytes
        | 1 -> bytes |> Array.iteri (fun i _ -> bytes[i] <- byte (i / (1 + i % 7)))
        | _ -> ()

        bytes

    let perhaps make = if random.Next 2 = 0 then Some(make ()) else None

    let whole =
        Array.concat [
            for _ in 0 .. random.Next 3 do
                let fields = {
                    Extra = perhaps (fun () -> Array.init (random.Next 300) byte)
                    Name = perhaps (fun () -> String('n', random.Next 20))
                    Comment = perhaps (fun () -> String('c', random.Next 20))
                    Checksum = random.Next 2 = 0
                }

                memberOf fields (enum (random.Next 4)) (content ())
            if random.Next 5 = 0 then
                Array.zeroCreate (random.Next 100)
        ]

    match random.Next 4 with
    | 0 -> whole
    | 1 -> whole[.. random.Next whole.Length - 1]
    | 2 ->
        let damaged = Array.copy whole
        damaged[random.Next damaged.Length] <- byte (random.Next 256)
        damaged
    | _ -> Array.concat [ whole; Array.init (random.Next 4) (fun _ -> byte (random.Next 3)) ]

let private oracle =
    testCase "data/gzip-oracle" (fun () ->
        let random = Random 11
        let mutable good = 0

        for i in 1 .. Fuzz.rounds 60 do
            let bytes = anyArchive random
            let ours, theirs = bothOn bytes

            if theirs.IsOk then
                good <- good + 1

            match ours, theirs with
            | Error _, Error _ -> ()
            | _ -> Expect.equal ours theirs $"archive {i} of seed 11 is read as gzip reads it"

        Expect.isGreaterThan good 10 "some of the archives are sound")

let private bounded = [
    testCase "data/gzip-bomb" (fun () ->
        inFolder (fun folder ->
            let path = Path.Combine(folder, "x.gz")
            // 300 members of 16 MiB each: 4.7 GiB out of 5 MiB.
            let bomb = simple (Array.zeroCreate (16 <<< 20))
            File.WriteAllBytes(path, Array.concat(List.replicate 300 bomb)[.. 1 <<< 20])

            endsSoon (fun () ->
                let before = GC.GetAllocatedBytesForCurrentThread()

                let sentence =
                    sentenceOf (fun () -> ContentFile.Read(InputFile(path, "remedy"), longest) |> ignore)

                Expect.stringContains sentence "more than 1,048,576 bytes in it" "it says what is wrong"

                Expect.isLessThan
                    (GC.GetAllocatedBytesForCurrentThread() - before)
                    (4L <<< 20)
                    "and stops there")))
    testCase "data/gzip-false-length" (fun () ->
        // The last four bytes promise 4 GiB.
        let lie = simple one
        Array.fill lie (lie.Length - 4) 4 0xFFuy
        let ours, _ = bothOn lie
        Expect.isError ours "it is refused")
]

[<Tests>]
let tests = testList "gzip" (agreement @ oracle :: bounded)
