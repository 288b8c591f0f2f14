/// Readers of data files: what they accept, and the one sentence with which they refuse the rest.
module Research.Tests.DataReaderTests

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open System.Text
open Expecto
open Research.Host

let private bigEndian (value: int) =
    let bytes = Array.zeroCreate<byte> 4
    BinaryPrimitives.WriteInt32BigEndian(bytes, value)
    bytes

let gzip (content: byte[]) =
    use target = new MemoryStream()

    do
        use archive = new GZipStream(target, CompressionLevel.Fastest)
        archive.Write content

    target.ToArray()

let private ascii (text: string) = Encoding.ASCII.GetBytes text

let private idxImages count height width (body: byte[]) =
    Array.concat [ bigEndian 0x0803; bigEndian count; bigEndian height; bigEndian width; body ]

let private idxLabels count (body: byte[]) = Array.concat [ bigEndian 0x0801; bigEndian count; body ]

/// A file that parses, and the ways of reading each kind of file, at a small size.
let private twoImages = idxImages 2 28 28 (Array.init 1568 byte)
let threeLabels = idxLabels 3 [| 7uy; 0uy; 9uy |]
let private readImages file = IdxReader.ReadImages(ContentFile.Read(file, 2L * IdxReader.ImageBytes 2), 2)
let private readLabels file = IdxReader.ReadLabels(ContentFile.Read(file, 2L * IdxReader.LabelBytes 3), 3)

let private amatText = "0 1 1 \n1 0 0\n"
let private readAmat file = AmatReader.Read(ContentFile.Read(file, 2L * AmatReader.Bytes(2, 3)), 2, 3)

let private digitsRow (pixel: string) label =
    String.Join(",", Array.append (Array.create 64 pixel) [| label |]) + "\n"

let digitsText = digitsRow "0" "3" + digitsRow "16" "9"
let private readDigits file = DigitsReader.ReadRows(ContentFile.Read(file, 2L * DigitsReader.Bytes 2), 2)

let private cifarRecords =
    Array.init (2 * 3073) (fun i -> if i % 3073 = 0 then 4uy else byte i)

let private readCifar file = CifarReader.ReadRecords(ContentFile.Read(file, 2L * CifarReader.Bytes 2), 2)

/// The one sentence with which a file is refused. It must begin with the file's path.
let private refusal (folder: string) (name: string) (content: byte[] option) (read: InputFile -> byte[]) =
    let path = Path.Combine(folder, name)
    content |> Option.iter (fun bytes -> File.WriteAllBytes(path, bytes))

    let error =
        try
            read (InputFile(path, "remedy")) |> ignore
            None
        with :? ResearchException as error ->
            Some error

    let message = (Expect.wantSome error "the file is refused").Message
    Expect.stringStarts message (path + ": ") "the sentence names the file"
    Expect.stringEnds message "." "it is a sentence"
    Expect.isFalse (message.Contains '\n') "it is one line"
    message

/// A file that must be refused with a sentence that contains every one of the fragments.
let private refused id name (content: byte[]) read (fragments: string list) =
    testCase $"data/{id}" (fun () ->
        inFolder (fun folder ->
            let message = refusal folder name (Some content) read

            for fragment in fragments do
                Expect.stringContains message fragment "the sentence says what was expected and found"))

let private cut bytesFewer (content: byte[]) = content[.. content.Length - 1 - bytesFewer]

let private flip position (content: byte[]) =
    content |> Array.mapi (fun i b -> if i = position then b ^^^ 0x40uy else b)

let private refusals = [
    refused "idx-magic" "images" threeLabels readImages [ "0x00000803"; "0x00000801" ]
    refused "idx-swapped" "labels" twoImages[..20] readLabels [ "label file"; "0x00000803" ]
    refused "idx-too-long" "labels" twoImages readLabels [ "at most 22 bytes"; "found 1,584" ]
    refused "idx-count" "images" (idxImages 3 28 28 (Array.zeroCreate 2352)) readImages [
        "2 images"
        "3 of 28x28"
    ]
    refused "idx-dimension" "images" (idxImages 2 28 27 (Array.zeroCreate 1512)) readImages [
        "28x28"
        "28x27"
    ]
    refused "idx-short-header" "images" [| 0uy; 0uy; 8uy |] readImages [ "16 bytes"; "3 bytes" ]
    refused "idx-truncated" "images" (cut 1 twoImages) readImages [ "1,568 bytes"; "1,567 (truncated)" ]
    refused "idx-trailing" "images" (Array.append twoImages [| 1uy |]) readImages [ "1,569 (trailing bytes)" ]
    refused "idx-label" "labels" (idxLabels 3 [| 1uy; 10uy; 2uy |]) readLabels [
        "labels 0 to 9"
        "10 at position 1"
    ]
    refused "idx-label-count" "labels" (idxLabels 2 [| 1uy; 2uy |]) readLabels [ "3 labels"; "found 2" ]
    refused "gzip-truncated" "images.gz" (cut 20 (gzip twoImages)) readImages [ "complete gzip archive" ]
    refused "gzip-cut-trailer" "images.gz" (cut 3 (gzip twoImages)) readImages [ "complete gzip archive" ]
    refused "gzip-trailing" "images.gz" (Array.append (gzip twoImages) [| 1uy; 2uy |]) readImages [
        "after its end"
    ]
    refused "gzip-flipped" "images.gz" (flip 60 (gzip twoImages)) readImages [ "archive" ]
    refused "gzip-foreign" "images.gz" twoImages readImages [ "one complete gzip archive"; "other content" ]
    refused "gzip-empty" "images.gz" [||] readImages [ "an empty file" ]
    refused "amat-columns" "x.amat" (ascii "0 1 1\n1 0\n") readAmat [ "3 values on line 2"; "found 2" ]
    refused "amat-more-columns" "x.amat" (ascii "0 1 1 1\n1 0 0\n") readAmat [
        "3 values on line 1"
        "found 4"
    ]
    refused "amat-value" "x.amat" (ascii "0 1 1\n1 2 0\n") readAmat [ "only 0 and 1 on line 2"; "'2 0'" ]
    refused "amat-separator" "x.amat" (ascii "0 1 1\n1,0 0\n") readAmat [ "only 0 and 1 on line 2" ]
    refused "amat-truncated" "x.amat" (ascii "0 1 1\n") readAmat [ "2 lines"; "1 (truncated)" ]
    refused "amat-trailing" "x.amat" (ascii (amatText + "0 0 0\n")) readAmat [ "2 lines"; "more" ]
    refused "digits-columns" "d.tes" (ascii (digitsRow "0" "3" + "1,2,3\n")) readDigits [
        "65 columns on line 2"
        "found 3"
    ]
    refused "digits-pixel" "d.tes" (ascii (digitsRow "17" "3" + digitsRow "0" "1")) readDigits [
        "a pixel 0 to 16 on line 1, column 1"
        "'17'"
    ]
    refused "digits-label" "d.tes" (ascii (digitsRow "0" "3" + digitsRow "0" "12")) readDigits [
        "a class label 0 to 9 on line 2, column 65"
        "'12'"
    ]
    refused "digits-text" "d.tes" (ascii (digitsRow "x" "3" + digitsRow "0" "1")) readDigits [ "'x'" ]
    refused "digits-truncated" "d.tes" (ascii (digitsRow "0" "3")) readDigits [ "2 lines"; "1 (truncated)" ]
    refused "digits-trailing" "d.tes" (ascii (digitsText + "0\n")) readDigits [ "2 lines"; "more" ]
    refused "cifar-truncated" "b.bin" (cut 1 cifarRecords) readCifar [ "6,146 bytes"; "6,145 (truncated)" ]
    refused "cifar-trailing" "b.bin" (Array.append cifarRecords [| 0uy |]) readCifar [
        "6,147 (trailing bytes)"
    ]
    refused "cifar-label" "b.bin" (flip 3073 cifarRecords) readCifar [ "labels 0 to 9"; "68 in record 1" ]
    testCase "data/missing-file" (fun () ->
        inFolder (fun folder ->
            let message = refusal folder "images" None readImages
            Expect.stringContains message "there is no such file" "a missing file is said to be missing"))
]

let private accepted =
    let accepts (id: string) name (content: byte[]) (read: InputFile -> byte[]) (expected: byte[]) =
        testCase $"data/{id}" (fun () ->
            inFolder (fun folder ->
                let path = Path.Combine(folder, name)
                File.WriteAllBytes(path, content)
                Expect.equal (read (InputFile(path, "remedy"))) expected "the values are read"))

    let bits = [| 0uy; 1uy; 1uy; 1uy; 0uy; 0uy |]

    [
        accepts "idx-images" "images" twoImages readImages twoImages[16..]
        accepts "idx-gzipped" "images.gz" (gzip twoImages) readImages twoImages[16..]
        accepts "idx-labels" "labels" threeLabels readLabels [| 7uy; 0uy; 9uy |]
        accepts "amat-regular" "x.amat" (ascii amatText) readAmat bits
        accepts "amat-windows-lines" "x.amat" (ascii "0 1 1\r\n1 0 0 \r\n\r\n") readAmat bits
        accepts "amat-free-form" "x.amat" (ascii " 0  1\t1\n1 0 0") readAmat bits
        accepts
            "digits-rows"
            "d.tes"
            (ascii digitsText)
            readDigits
            (Array.concat [ Array.zeroCreate 64; [| 3uy |]; Array.create 64 16uy; [| 9uy |] ])
        testCase "data/cifar-planes" (fun () ->
            let images = CifarReader.ToImages(cifarRecords, cifarRecords)
            Expect.equal images.Count 4 "batches are joined"
            Expect.equal (images.Image(1).ToArray()) cifarRecords[3074..] "pixels follow the label"
            Expect.equal images.Labels [| 4uy; 4uy; 4uy; 4uy |] "labels are kept apart")
    ]

/// Any damage is either harmless or refused with a ResearchException; nothing else may escape.
let private mutation =
    testCase "data/damage-never-crashes" (fun () ->
        inFolder (fun folder ->
            let random = Random 5
            let path = Path.Combine(folder, "file")

            let files = [
                twoImages, readImages
                gzip twoImages, readImages
                threeLabels, readLabels
                ascii amatText, readAmat
                ascii digitsText, readDigits
                cifarRecords, readCifar
            ]

            for content, read in files do
                for _ in 1..150 do
                    let damaged = Array.copy content
                    damaged[random.Next damaged.Length] <- byte (random.Next 256)
                    File.WriteAllBytes(path, damaged[.. random.Next(damaged.Length / 2, damaged.Length)])

                    try
                        read (InputFile(path, "remedy")) |> ignore
                    with :? ResearchException ->
                        ()))

[<Tests>]
let tests = testList "data readers" (refusals @ accepted @ [ mutation ])
