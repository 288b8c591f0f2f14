/// Data sets: where they come from, how they are verified, and the procedural stand-in.
module Research.Tests.DataTests

open System
open System.IO
open Expecto
open Research.Host
open Research.Tests.DataReaderTests
open Research.Tests.Hostile

/// Options that collect the warnings, without a network.
let private quiet (directory: string) =
    let warnings = ResizeArray<string>()
    DataOptions(directory, false, Warn = Action<string> warnings.Add), warnings

let private rowText (pixels: byte[]) (label: byte) =
    String.Join(",", Seq.map string (Seq.append pixels [ label ]))

/// A digits file of the published size, with drawn images.
let private writeDigits directory =
    let images = StandIn.Images(DataSetId.Digits, 0, 1797)
    let folder = Directory.CreateDirectory(Path.Combine(directory, "digits")).FullName

    let lines = [ for i in 0 .. images.Count - 1 -> rowText (images.Image(i).ToArray()) images.Labels[i] ]

    File.WriteAllLines(Path.Combine(folder, "optdigits.tes"), lines)
    images

let private resolution = [
    testCase "data/digits-split" (fun () ->
        inFolder (fun directory ->
            let images = writeDigits directory
            let options, warnings = quiet directory
            let data = Datasets.Load(DataSetId.Digits, options)

            Expect.equal
                (data.Train.Count, data.Validation.Count, data.Test.Count)
                (1000, 350, 447)
                "split by order"

            Expect.equal data.Validation.Labels images.Labels[1000..1349] "validation follows training"

            Expect.equal
                (data.Test.Image(0).ToArray())
                (images.Image(1350).ToArray())
                "test follows validation"

            Expect.isFalse data.Provenance.MatchesPublished "drawn rows are not the published ones"

            Expect.stringContains
                (data.Provenance.Describe())
                "differ from the publisher's"
                "and the caption says so"

            Expect.isFalse (data.Provenance.Describe().Contains directory) "a caption names no directory"
            Expect.isEmpty warnings "nothing is missing"))
    testCase "data/limit-samples" (fun () ->
        inFolder (fun directory ->
            writeDigits directory |> ignore
            let options, _ = quiet directory
            let full = Datasets.Load(DataSetId.Digits, options)
            let part = Datasets.Load(DataSetId.Digits, options, 400)
            let again = Datasets.Load(DataSetId.Digits, options, 400)

            Expect.equal
                (part.Train.Count, part.Validation.Count)
                (400, 350)
                "no part is larger than the limit"

            Expect.equal part.Provenance.Digest again.Provenance.Digest "the sample is fixed"
            Expect.notEqual part.Provenance.Digest full.Provenance.Digest "another selection is other data"
            Expect.notEqual part.Train.Labels full.Train.Labels[..399] "it is not a prefix"))
    testCase "data/incomplete-set" (fun () ->
        inFolder (fun directory ->
            let folder = Directory.CreateDirectory(Path.Combine(directory, "mnist")).FullName
            File.WriteAllBytes(Path.Combine(folder, "t10k-labels-idx1-ubyte.gz"), gzip threeLabels)
            let options, _ = quiet directory
            let load () = Datasets.Load(DataSetId.Mnist, options) |> ignore

            Expect.throwsC load (fun error ->
                Expect.stringContains error.Message "train-images-idx3-ubyte" "the missing file is named")))
    testCase "data/missing-directory" (fun () ->
        inFolder (fun directory ->
            let options, _ = quiet (Path.Combine(directory, "nowhere"))
            let load () = Datasets.Load(DataSetId.Digits, options) |> ignore
            Expect.throwsT<ResearchException> load "a named directory must exist"))
    for what, make, fragment in things do
        if what <> "nothing" then
            testCase $"data/set-is {what}" (fun () ->
                inFolder (fun directory ->
                    let folder = Directory.CreateDirectory(Path.Combine(directory, "digits")).FullName
                    let path = Path.Combine(folder, "optdigits.tes")
                    make path
                    let options, warnings = quiet directory

                    endsSoon (fun () ->
                        let sentence =
                            sentenceOf (fun () -> Datasets.Load(DataSetId.Digits, options) |> ignore)

                        Expect.stringStarts sentence (path + ": ") "the file is named"
                        Expect.stringContains sentence fragment "what is the case is said"
                        Expect.isEmpty warnings "no stand-in takes its place"
                        let row = DataCommands.Verify(DataCatalog.Parse "digits", directory)[0]
                        Expect.equal row.State DataFileState.Damaged "verify calls it damaged"
                        Expect.equal row.Message sentence "and says the same")))
    testCase "data/unreadable-folder" (fun () ->
        inFolder (fun directory ->
            writeDigits directory |> ignore
            let options, warnings = quiet directory
            let closed = Path.Combine(directory, "digits")

            let all =
                UnixFileMode.UserRead
                ||| UnixFileMode.UserWrite
                ||| UnixFileMode.UserExecute
                ||| UnixFileMode.OtherExecute

            for folder in [ closed; directory ] do
                File.SetUnixFileMode(directory, all)
                File.SetUnixFileMode(folder, UnixFileMode.UserRead ||| UnixFileMode.UserWrite)

                asNobody (fun () ->
                    let sentence =
                        sentenceOf (fun () -> Datasets.Load(DataSetId.Digits, options) |> ignore)

                    Expect.stringStarts sentence directory "the file is named"
                    Expect.stringContains sentence "permission denied" "it is there, and cannot be read")

                File.SetUnixFileMode(folder, all)

            Expect.isEmpty warnings "no stand-in takes its place"))
    testCase "data/no-folder" (fun () ->
        inFolder (fun directory ->
            let file = Path.Combine(directory, "file")
            File.WriteAllText(file, "")

            for named, fragment in
                [
                    Path.Combine(directory, "gone"), "no such folder"
                    Path.Combine(file, "inside"), "no such folder"
                    file, "a file where a folder belongs"
                ] do
                let options, _ = quiet named

                let sentence = sentenceOf (fun () -> Datasets.Load(DataSetId.Digits, options) |> ignore)

                Expect.stringStarts sentence (named + ": ") "the folder is named"
                Expect.stringContains sentence fragment "and what is wrong with it"))
    testCase "data/missing-set-warns" (fun () ->
        inFolder (fun directory ->
            let options, warnings = quiet directory
            Datasets.Load(DataSetId.Cifar10, options, 10) |> ignore

            Expect.stringContains
                warnings[0]
                "no cifar-10 folder"
                "the user learns that the named directory lacks it"))
    testCase "data/forced-stand-in" (fun () ->
        inFolder (fun directory ->
            writeDigits directory |> ignore
            let options, _ = quiet directory
            let data = Datasets.Load(DataSetId.Digits, DataOptions(options.Directory, false, true))
            Expect.isTrue data.Provenance.IsStandIn "files are ignored on request"
            Expect.stringContains (data.Provenance.Describe()) "stand-in" "and the caption says so"))
    testCase "data/hold-out" (fun () ->
        let data = StandIn.Load(DataSetId.Mnist, 50)
        let split = data.HoldOut 20
        Expect.equal (split.Train.Count, split.Validation.Count) (30, 20) "the last images move"
        Expect.equal split.Validation.Labels data.Train.Labels[30..] "with their labels"
        Expect.throwsT<ArgumentException> (fun () -> split.HoldOut 5 |> ignore) "only once")
    testCase "data/verify-rows" (fun () ->
        inFolder (fun directory ->
            writeDigits directory |> ignore
            let digits = DataCatalog.Parse "digits"

            Expect.equal
                (DataCommands.List(digits, directory)[0]).State
                DataFileState.Present
                "list does not read"

            Expect.equal
                (DataCommands.Verify(digits, directory)[0]).State
                DataFileState.Differs
                "verify does"

            File.WriteAllText(Path.Combine(directory, "digits", "optdigits.tes"), digitsText)
            let row = DataCommands.Verify(digits, directory)[0]
            Expect.equal row.State DataFileState.Damaged "two rows are not the set"
            Expect.stringContains row.Message "1,797 lines" "and the row says why"
            let missing = DataCommands.Verify(DataCatalog.Parse "mnist", directory)
            Expect.all missing (fun row -> row.State = DataFileState.Missing) "absent files are missing"
            let optional = DataCommands.Verify(DataCatalog.Parse "cifar-10", directory)

            Expect.equal
                [ for row in optional -> row.State = DataFileState.Optional ]
                [ false; true; true; true; true; false ]
                "one training batch is enough"))
    testCase "data/unknown-set" (fun () ->
        Expect.throwsC (fun () -> DataCatalog.Parse "minst" |> ignore) (fun error ->
            Expect.stringContains error.Message "'minst'" "the name is repeated"
            Expect.stringContains error.Message "binarized-mnist" "and the sets are listed"))
]

/// SHA-256 of the first twenty drawn training images; they must be the same on every machine.
let private drawnDigests = [
    DataSetId.Digits, "a365a7cf2ef4623efaca9349b6a12f0e36e3e1f1d6bf0e915069ac16d2b2b1c7"
    DataSetId.Mnist, "43d9e6cee0aca8ff80abf9ed0f25333d5b6428c501a82999b5f2759cea1949e0"
    DataSetId.FashionMnist, "ee5ed71c1ef6b8a911a511f42b26ff3f5632cf3e652d4d5186d715f9560b52b3"
    DataSetId.BinarizedMnist, "4b7c428e3ec4e2acf027948d7c19bef33cda53c2e63af346afbb5a579f30bfa4"
    DataSetId.Cifar10, "8dd2857af0c11e50574ef5e93851a1985a3352a81fb14045d09d3c9d8c7ac539"
]

let private standIn = [
    testCase "data/stand-in-deterministic" (fun () ->
        for id, expected in drawnDigests do
            let pixels = StandIn.Images(id, 0, 20).Pixels
            let digest = Convert.ToHexStringLower(Security.Cryptography.SHA256.HashData pixels)
            Expect.equal digest expected $"{id} is drawn the same everywhere")
    testCase "data/stand-in-prefix" (fun () ->
        let few, many = StandIn.Images(DataSetId.Mnist, 0, 13), StandIn.Images(DataSetId.Mnist, 0, 57)

        Expect.equal
            few.Pixels
            many.Pixels[.. few.Pixels.Length - 1]
            "an image does not depend on the number drawn")
    testCase "data/stand-in-balanced" (fun () ->
        for id in [ DataSetId.Digits; DataSetId.Mnist; DataSetId.FashionMnist; DataSetId.Cifar10 ] do
            Expect.equal
                (StandIn.Images(id, 2, 200).ClassCounts())
                (Array.create 10 20)
                $"{id} has all classes alike")
    testCase "data/stand-in-shapes" (fun () ->
        for id, shape, largest in
            [
                DataSetId.Digits, (1, 8, 8), 16
                DataSetId.Mnist, (1, 28, 28), 255
                DataSetId.FashionMnist, (1, 28, 28), 255
                DataSetId.BinarizedMnist, (1, 28, 28), 1
                DataSetId.Cifar10, (3, 32, 32), 255
            ] do
            let images = StandIn.Images(id, 1, 300)
            Expect.equal (images.Channels, images.Height, images.Width) shape $"shape of {id}"
            Expect.equal images.Levels largest $"levels of {id}"
            Expect.isLessThanOrEqual (int (Array.max images.Pixels)) largest $"range of {id}"
            Expect.isGreaterThan (int (Array.max images.Pixels)) (largest * 9 / 10) $"{id} uses its range")
    testCase "data/stand-in-parts-differ" (fun () ->
        let train, test =
            StandIn.Images(DataSetId.Mnist, 0, 200), StandIn.Images(DataSetId.Mnist, 2, 200)

        let seen = Set.ofSeq (Seq.init 200 (fun i -> train.Image(i).ToArray()))

        Expect.all
            (Seq.init 200 (fun i -> test.Image(i).ToArray()))
            (seen.Contains >> not)
            "no test image was trained on")
    testCase "data/stand-in-learnable" (fun () ->
        // A nearest class mean must do far better than chance, or the labels mean nothing.
        let train, test =
            StandIn.Images(DataSetId.Mnist, 0, 2000), StandIn.Images(DataSetId.Mnist, 2, 500)

        let means =
            Array.init 10 (fun label ->
                let mean = Array.zeroCreate<float> 784

                for i in 0 .. train.Count - 1 do
                    if int train.Labels[i] = label then
                        train.Image(i).ToArray()
                        |> Array.iteri (fun d x -> mean[d] <- mean[d] + float x / 200.0)

                mean)

        let guess (image: byte[]) =
            Array.init 10 (fun label ->
                Array.fold2 (fun sum x m -> sum + (float x - m) ** 2.0) 0.0 image means[label])
            |> Array.indexed
            |> Array.minBy snd
            |> fst

        let right =
            Seq.init 500 id
            |> Seq.filter (fun i -> guess (test.Image(i).ToArray()) = int test.Labels[i])
            |> Seq.length

        Expect.isGreaterThan right 300 "at least 60 % by the nearest mean")
]

let private subset = [
    testCase "data/cs-subset-positions" (fun () ->
        let labels = Array.init 12000 (fun i -> byte (i % 10))
        let test = ImageSet(1, 1, 1, 1, Array.zeroCreate 12000, labels)
        let chosen = MnistTestSubset.Of test
        Expect.hasLength chosen.Indices 100 "ten images of each class"
        Expect.equal (Seq.length (Seq.distinct chosen.Indices)) 99 "one is listed twice"
        Expect.equal chosen.Indices[..1] [| 6840; 5590 |] "positions 684 and 559 of class 0"
        Expect.equal chosen.Indices[99] (3730 + 9) "position 373 of class 9"
        Expect.equal chosen.Note "" "nothing had to be changed")
    testCase "data/cs-subset-small" (fun () ->
        let chosen = MnistTestSubset.Of(StandIn.Load(DataSetId.Mnist, 200).Test)
        Expect.all chosen.Indices (fun i -> i < 200) "positions wrap around"
        Expect.stringContains chosen.Note "200 images" "and the note says so")
    testCase "data/cs-subset-unlabelled" (fun () ->
        let test = StandIn.Load(DataSetId.BinarizedMnist, 20).Test
        Expect.throwsT<ArgumentException> (fun () -> MnistTestSubset.Of test |> ignore) "labels are needed")
]

/// Checks of the real files, in the list only where RESEARCH_DATA names a directory that has them.
let private realFiles =
    let present =
        match DataOptions.Explicit null |> Option.ofObj with
        | Some directory -> [
            for spec in DataCatalog.All do
                if Directory.Exists(Path.Combine(directory, spec.Key)) then
                    directory, spec
          ]
        | None -> []

    [
        for directory, spec in present do
            testCase $"data/real-{spec.Key}" (fun () ->
                let rows = DataCommands.Verify(spec, directory)
                let data = Datasets.Read(spec, directory)

                let states =
                    rows |> Seq.map _.State |> Seq.filter (fun state -> state <> DataFileState.Optional)

                Expect.all
                    rows
                    (fun row -> row.State <> DataFileState.Damaged)
                    "every file parses completely"

                Expect.equal
                    data.Test.Count
                    (let struct (_, _, test) = spec.Sizes in test)
                    "the test part is complete"

                if data.Provenance.MatchesPublished then
                    Expect.all
                        states
                        (fun state -> state = DataFileState.Published)
                        "the rows agree with the provenance"
                else
                    Expect.isNonEmpty data.Provenance.Note "what differs is said"

                // Independent of the digests: facts of the published sets.
                if spec.Id = DataSetId.Mnist && data.Provenance.MatchesPublished then
                    Expect.equal
                        data.Train.Labels[..4]
                        [| 5uy; 0uy; 4uy; 1uy; 9uy |]
                        "MNIST begins with 5 0 4 1 9"

                    Expect.equal
                        (data.Test.ClassCounts())
                        [| 980; 1135; 1032; 1010; 982; 892; 958; 1028; 974; 1009 |]
                        "classes")
    ]

[<Tests>]
let tests = testList "data sets" (resolution @ standIn @ subset @ realFiles)
