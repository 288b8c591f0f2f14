/// The PNG encoder, decoded chunk by chunk.
module Research.Tests.PngTests

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open System.IO.Hashing
open System.Text
open Expecto
open Research.Report

let private png =
    let image: Png.Image = {
        Width = 3
        Height = 2
        Channels = 3
        Pixels = Array.init 18 (fun i -> byte (i * 13))
    }

    /// Chunks as (type, data, stated CRC).
    let rec chunks (file: byte[]) at =
        if at >= file.Length then
            []
        else
            let length = BinaryPrimitives.ReadInt32BigEndian(ReadOnlySpan(file, at, 4))
            let kind = Encoding.ASCII.GetString(file, at + 4, 4)
            let data = file[at + 8 .. at + 7 + length]
            let crc = BinaryPrimitives.ReadUInt32BigEndian(ReadOnlySpan(file, at + 8 + length, 4))
            (kind, data, crc) :: chunks file (at + 12 + length)

    testList "png" [
        testCase "report/png-round-trip" (fun () ->
            let file = Png.encode image
            Expect.sequenceEqual file[..7] Png.signature "Signature"
            let parts = chunks file 8
            Expect.sequenceEqual (parts |> List.map (fun (k, _, _) -> k)) [ "IHDR"; "IDAT"; "IEND" ] "Chunks"

            for kind, data, crc in parts do
                let typed = Array.append (Encoding.ASCII.GetBytes kind) data
                Expect.equal (Crc32.HashToUInt32(ReadOnlySpan typed)) crc $"CRC of {kind}"

            let _, _, last = parts[2]
            Expect.equal last 0xAE426082u "The same four bytes end every PNG file"

            let _, header, _ = parts[0]

            Expect.sequenceEqual
                header
                [| 0uy; 0uy; 0uy; 3uy; 0uy; 0uy; 0uy; 2uy; 8uy; 2uy; 0uy; 0uy; 0uy |]
                "Header"

            let _, data, _ = parts[1]
            use zlib = new ZLibStream(new MemoryStream(data), CompressionMode.Decompress)
            use raw = new MemoryStream()
            zlib.CopyTo raw
            let rows = raw.ToArray() |> Array.chunkBySize 10
            Expect.equal rows.Length 2 "Two rows, each with its filter byte"
            Expect.sequenceEqual (rows |> Array.collect Array.tail) image.Pixels "Pixels")

        testCase "report/png-rejects" (fun () ->
            Expect.throwsT<ArgumentException>
                (fun () -> Png.encode { image with Height = 3 } |> ignore)
                "Too few pixels"

            Expect.throwsT<ArgumentException>
                (fun () -> Png.tile 2 0 [| image; { image with Width = 2; Height = 3 } |] |> ignore)
                "A grid of two sizes")

        testCase "report/png-enlarge" (fun () ->
            let large = Png.enlarge 2 image
            Expect.equal (large.Width, large.Height) (6, 4) "Size"
            // Pixel (row 3, column 4) comes from (row 1, column 2).
            Expect.sequenceEqual
                large.Pixels[(3 * 6 + 4) * 3 .. (3 * 6 + 4) * 3 + 2]
                image.Pixels[(1 * 3 + 2) * 3 .. (1 * 3 + 2) * 3 + 2]
                "Nearest neighbour")
    ]

[<Tests>]
let tests = testList "report" [ png ]
