using System.Security.Cryptography;

namespace Research.Host;

/// <summary>A data set: its files, its shape and how the parsed files make up its parts.</summary>
/// <param name="Id">The set.</param>
/// <param name="Key">Name on the command line and of the folder in a data directory.</param>
/// <param name="Title">Name in the report.</param>
/// <param name="Files">All files of the set.</param>
/// <param name="Archive">One archive that holds all files, for sets that are published so.</param>
/// <param name="Sizes">Published number of training, validation and test images.</param>
/// <param name="Assemble">Makes training, validation and test parts of the parsed files, found by name.</param>
/// <param name="KnownCopies">Order-free digests of copies that are known to differ, and how they differ.</param>
public sealed record DataSetSpec(
    DataSetId Id, string Key, string Title, IReadOnlyList<DataFile> Files, DataArchive? Archive,
    (int Train, int Validation, int Test) Sizes,
    Func<IReadOnlyDictionary<string, byte[]>, (ImageSet Train, ImageSet Validation, ImageSet Test)> Assemble,
    IReadOnlyDictionary<string, string> KnownCopies);

/// <summary>An archive in which a publisher ships a whole set, with its SHA-256.</summary>
public sealed record DataArchive(Uri Address, string Sha256);

/// <summary>The data sets with the publishers' addresses and digests.</summary>
public static class DataCatalog
{
    private static readonly Dictionary<string, string> NoKnownCopies = [];

    /// <summary>All sets, in the order in which they are listed.</summary>
    public static IReadOnlyList<DataSetSpec> All { get; } =
    [
        Digits(),
        Idx(DataSetId.Mnist, "mnist", "MNIST", DigestKind.ContentSha256,
        [
            "ba891046e6505d7aadcbbe25680a0738ad16aec93bde7f9b65e87a2fc25776db",
            "65a50cbbf4e906d70832878ad85ccda5333a97f0f4c3dd2ef09a8a9eef7101c5",
            "0fa7898d509279e482958e8ce81c8e77db3f2f8254e26661ceb7762c4d494ce7",
            "ff7bcfd416de33731a308c3f266cc351222c34898ecbeaf847f06e48f7ec33f2",
        ],
        NoKnownCopies,
        "https://ossci-datasets.s3.amazonaws.com/mnist/", "https://storage.googleapis.com/cvdf-datasets/mnist/"),
        Idx(DataSetId.FashionMnist, "fashion-mnist", "Fashion-MNIST", DigestKind.FileMd5,
        [
            "8d4fb7e6c68d591d4c3dfef9ec88bf0d", "25c81989df183df01b3e8a0aad5dffbe",
            "bef4ecab320f06d8554ea6380940ec79", "bb300cfdad3c16e7a12a480ee83cd310",
        ],
        new()
        {
            ["e6fe44cb2c19f1fc3c6aae86c05e138265caf2fbdf7c46a0ecf1420af672ea29" +
                "41815325a5314dfc78c4e6255bc1ceb0f15fdb608e408456831695ba7d73073b"] =
                "published images in another order",
        },
        "https://raw.githubusercontent.com/zalandoresearch/fashion-mnist/master/data/fashion/"),
        Binarized(),
        Cifar(),
    ];

    /// <summary>The entry of a set.</summary>
    public static DataSetSpec Of(DataSetId id) => All.First(s => s.Id == id);

    /// <summary>The entry named on the command line, or <see cref="ArgumentException"/> that lists the names.</summary>
    public static DataSetSpec Parse(string key) =>
        All.FirstOrDefault(s => s.Key == key)
        ?? throw new ArgumentException(
            $"unknown data set '{key}'; the sets are {string.Join(", ", All.Select(s => s.Key))}.");

    private static DataSetSpec Digits() => new(
        DataSetId.Digits, "digits", "UCI digits",
        [
            new("optdigits.tes",
                [new("https://archive.ics.uci.edu/ml/machine-learning-databases/optdigits/optdigits.tes")],
                DigestKind.ValuesSha256, "68aea062d35a127749050fa0e52dca09d6569ac08092c925610e0954e172dde2",
                Optional: false, DigitsReader.Bytes(), file => DigitsReader.ReadRows(file)),
        ],
        Archive: null, (1000, 350, 447),
        values =>
        {
            var all = DigitsReader.ToImages(values["optdigits.tes"]);
            return (all.Slice(0, 1000), all.Slice(1000, 350), all.Slice(1350, 447));
        },
        NoKnownCopies);

    private static DataSetSpec Idx(DataSetId id, string key, string title, DigestKind kind, string[] digests,
        Dictionary<string, string> knownCopies, params string[] bases)
    {
        const string trainImages = "train-images-idx3-ubyte", trainLabels = "train-labels-idx1-ubyte";
        const string testImages = "t10k-images-idx3-ubyte", testLabels = "t10k-labels-idx1-ubyte";
        DataFile Entry(string name, string digest, long bytes, Func<ContentFile, byte[]> parse) => new(
            name, [.. bases.Select(b => new Uri(b + name + ".gz"))], kind, digest, Optional: false, bytes, parse);
        DataFile Images(string name, string digest, int count) =>
            Entry(name, digest, IdxReader.ImageBytes(count), f => IdxReader.ReadImages(f, count));
        DataFile Labels(string name, string digest, int count) =>
            Entry(name, digest, IdxReader.LabelBytes(count), f => IdxReader.ReadLabels(f, count));
        return new(id, key, title,
            [
                Images(trainImages, digests[0], 60_000), Labels(trainLabels, digests[1], 60_000),
                Images(testImages, digests[2], 10_000), Labels(testLabels, digests[3], 10_000),
            ],
            Archive: null, (60_000, 0, 10_000),
            values => (
                new ImageSet(1, 28, 28, 255, values[trainImages], values[trainLabels]),
                new ImageSet(1, 28, 28, 255, []),
                new ImageSet(1, 28, 28, 255, values[testImages], values[testLabels])),
            knownCopies);
    }

    private static DataSetSpec Binarized()
    {
        static DataFile Entry(string part, int count, string digest) => new(
            $"binarized_mnist_{part}.amat",
            [new($"https://www.cs.toronto.edu/~larocheh/public/datasets/binarized_mnist/binarized_mnist_{part}.amat")],
            DigestKind.ValuesSha256, digest, Optional: false, AmatReader.Bytes(count),
            f => AmatReader.Read(f, count));
        return new(DataSetId.BinarizedMnist, "binarized-mnist", "binarized MNIST",
            [
                Entry("train", 50_000, "43490d4d6ac9002727af4426d8748609fdb7e4094fa65ad8d681ea60082a7a5a"),
                Entry("valid", 10_000, "069b4f0beb389b776478c3e872b4df71c95ac4be64d7cbe6d32e24ebac8e6d5e"),
                Entry("test", 10_000, "ca0294c3b8d984c7a1dc891015a8eea6f37bae59a34e35ea0fc8c47110a8dd86"),
            ],
            Archive: null, (50_000, 10_000, 10_000),
            values =>
            {
                ImageSet Part(string part) => new(1, 28, 28, 1, values[$"binarized_mnist_{part}.amat"]);
                return (Part("train"), Part("valid"), Part("test"));
            },
            NoKnownCopies);
    }

    private static DataSetSpec Cifar()
    {
        static DataFile Entry(string name, bool optional) => new(
            name, [], DigestKind.Recorded, "", optional, CifarReader.Bytes(10_000), f => CifarReader.ReadRecords(f));
        string[] batches = [.. Enumerable.Range(1, 5).Select(n => $"data_batch_{n}.bin")];
        return new(DataSetId.Cifar10, "cifar-10", "CIFAR-10",
            // One training batch is enough; which ones are there is part of the provenance.
            [.. batches.Select((name, n) => Entry(name, optional: n > 0)), Entry("test_batch.bin", optional: false)],
            new(new("https://www.cs.toronto.edu/~kriz/cifar-10-binary.tar.gz"),
                "c4a38c50a1bc5f3a1c5537f2155ab9d68f9f25eb1ed8d9ddda3db29a59bca1dd"),
            (50_000, 0, 10_000),
            values => (
                CifarReader.ToImages([.. batches.Where(values.ContainsKey).Select(name => values[name])]),
                new ImageSet(3, 32, 32, 255, []),
                CifarReader.ToImages(values["test_batch.bin"])),
            new Dictionary<string, string>
            {
                ["adf2d5e103cdc46ef068221a5e73af89916566df58aa5758dd19f0aea9a1022d" +
                "af306aeaa037d0f044a921108e7f733a28152ada073cee02a0184e2c4a3871f3"] =
                    "re-compressed copy (JPEG, quality 75), not the published pixels",
            });
    }

    /// <summary>
    /// Digest (hex) of training and test images with labels that does not depend on the order within each part:
    /// the sum of the images' SHA-256, word by word modulo 2^64.
    /// </summary>
    internal static string OrderFreeDigest(ImageSet train, ImageSet test)
    {
        var words = new ulong[8];
        Sum(train, words.AsSpan(0, 4));
        Sum(test, words.AsSpan(4, 4));
        return string.Concat(words.Select(w => w.ToString("x16")));

        static void Sum(ImageSet part, Span<ulong> sum)
        {
            var record = new byte[part.Dimension + 1];
            Span<byte> digest = stackalloc byte[32];
            for (int i = 0; i < part.Count; i++)
            {
                record[0] = part.HasLabels ? part.Labels[i] : byte.MaxValue;
                part.Image(i).CopyTo(record.AsSpan(1));
                SHA256.HashData(record, digest);
                for (int w = 0; w < 4; w++)
                    sum[w] += System.Buffers.Binary.BinaryPrimitives.ReadUInt64LittleEndian(digest[(8 * w)..]);
            }
        }
    }
}
