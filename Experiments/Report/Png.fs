/// A PNG encoder for 8-bit grey and RGB images (PNG Specification, W3C, 2003).
module Research.Report.Png

open System
open System.Buffers.Binary
open System.IO
open System.IO.Compression
open System.IO.Hashing
open System.Text

/// Row-major pixels, `Channels` bytes each (1 grey, 3 RGB): `Width*Height*Channels` bytes.
type Image = { Width: int; Height: int; Channels: int; Pixels: byte[] }

/// The eight bytes that every PNG file starts with.
let signature = [| 0x89uy; 0x50uy; 0x4Euy; 0x47uy; 0x0Duy; 0x0Auy; 0x1Auy; 0x0Auy |]

let private chunk (out: Stream) (kind: string) (data: byte[]) =
    let typed = Array.append (Encoding.ASCII.GetBytes kind) data
    let word = Array.zeroCreate<byte> 4
    BinaryPrimitives.WriteInt32BigEndian(Span word, data.Length)
    out.Write(word, 0, 4)
    out.Write(typed, 0, typed.Length)
    BinaryPrimitives.WriteUInt32BigEndian(Span word, Crc32.HashToUInt32(ReadOnlySpan typed))
    out.Write(word, 0, 4)

/// The image as a PNG file.
/// Raises `ArgumentException` when the pixels do not fill the stated size.
let encode (image: Image) =
    if image.Channels <> 1 && image.Channels <> 3 then
        invalidArg (nameof image) $"an image has 1 or 3 channels, not {image.Channels}"

    let stride = image.Width * image.Channels

    if image.Width < 1 || image.Height < 1 || image.Pixels.Length <> stride * image.Height then
        invalidArg
            (nameof image)
            $"{image.Pixels.Length} bytes do not fill {image.Width} x {image.Height} x {image.Channels}"

    let header = Array.zeroCreate<byte> 13
    BinaryPrimitives.WriteInt32BigEndian(Span(header, 0, 4), image.Width)
    BinaryPrimitives.WriteInt32BigEndian(Span(header, 4, 4), image.Height)
    header[8] <- 8uy // bits per channel
    header[9] <- if image.Channels = 3 then 2uy else 0uy

    use packed = new MemoryStream()

    do
        use zlib = new ZLibStream(packed, CompressionLevel.SmallestSize, leaveOpen = true)

        for y in 0 .. image.Height - 1 do
            zlib.WriteByte 0uy // no filter
            zlib.Write(image.Pixels, y * stride, stride)

    use out = new MemoryStream()
    out.Write(signature, 0, signature.Length)
    chunk out "IHDR" header
    chunk out "IDAT" (packed.ToArray())
    chunk out "IEND" [||]
    out.ToArray()

/// Every pixel becomes a `factor` x `factor` square. Viewers smooth what they
/// enlarge, so small images are enlarged here.
let enlarge (factor: int) (image: Image) =
    let width, height, channels = image.Width * factor, image.Height * factor, image.Channels
    let pixels = Array.zeroCreate<byte>(width * height * channels)

    for y in 0 .. height - 1 do
        for x in 0 .. width - 1 do
            let source = ((y / factor) * image.Width + x / factor) * channels
            Array.blit image.Pixels source pixels ((y * width + x) * channels) channels

    { Width = width; Height = height; Channels = channels; Pixels = pixels }

/// Equal images side by side, `columns` to a row, `gap` white pixels between them.
/// Missing images at the end are white.
let tile (columns: int) (gap: int) (images: Image[]) =
    if images.Length = 0 || columns < 1 then
        invalidArg (nameof images) "a grid needs at least one image and one column"

    let first = images[0]

    if
        images
        |> Array.exists (fun i ->
            (i.Width, i.Height, i.Channels) <> (first.Width, first.Height, first.Channels))
    then
        invalidArg (nameof images) "the images of a grid have one size"

    let rows = (images.Length + columns - 1) / columns
    let width = columns * first.Width + (columns - 1) * gap
    let height = rows * first.Height + (rows - 1) * gap
    let pixels = Array.create (width * height * first.Channels) 255uy
    let stride = first.Width * first.Channels

    images
    |> Array.iteri (fun i image ->
        let left, top = (i % columns) * (first.Width + gap), (i / columns) * (first.Height + gap)

        for y in 0 .. first.Height - 1 do
            Array.blit image.Pixels (y * stride) pixels (((top + y) * width + left) * first.Channels) stride)

    { Width = width; Height = height; Channels = first.Channels; Pixels = pixels }
