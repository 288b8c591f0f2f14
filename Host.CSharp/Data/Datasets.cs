namespace Research.Host;

/// <summary>
/// Finds and loads data sets: a named directory, else <c>./data</c>, else the publisher, else the procedural
/// stand-in, in that order and never silently.
/// </summary>
[OutsideResults("the digest of the data is in the key")]
public static class Datasets
{
    /// <summary>
    /// Loads a set. With <paramref name="limit"/> each part holds at most that many images: a fixed random sample
    /// of published data (files may be sorted by class), the first ones of the stand-in.
    /// Raises <see cref="ResearchException"/> when files are there but cannot be used, or a named directory does not
    /// exist.
    /// </summary>
    public static Dataset Load(DataSetId id, DataOptions options, int? limit = null)
    {
        if (limit < 1) throw new ArgumentOutOfRangeException(nameof(limit), limit, "a part holds at least one image");
        var spec = DataCatalog.Of(id);
        if (!options.ForceStandIn && Locate(spec, options) is { } directory)
            return Limit(Read(spec, directory), limit);
        return StandIn.Load(id, limit);
    }

    /// <summary>
    /// Reads a set from the folder of its key in <paramref name="directory"/>. Every file must parse completely;
    /// one whose digest is not the publisher's is used, and the provenance says so.
    /// </summary>
    public static Dataset Read(DataSetSpec spec, string directory)
    {
        string folder = Path.Combine(directory, spec.Key);
        var values = new Dictionary<string, byte[]>();
        var differing = new List<string>();
        foreach (var entry in spec.Files)
        {
            if (entry.Optional && ContentFile.Find(folder, entry.Name) is null) continue;
            (var file, values[entry.Name]) = entry.Read(ContentFile.Require(folder, entry.Name));
            if (!entry.IsPublished(file, values[entry.Name])) differing.Add(entry.Name);
        }
        var (train, validation, test) = spec.Assemble(values);
        bool complete = train.Count == spec.Sizes.Train;
        var notes = new List<string>();
        if (differing.Count > 0) notes.Add(DifferenceNote(spec, differing, values.Count, train, test));
        if (!complete)
            notes.Add($"{Provenance.Grouped(train.Count)} of {Provenance.Grouped(spec.Sizes.Train)} training images");
        return new Dataset(train, validation, test, new Provenance(
            spec.Title, directory, IsStandIn: false, Provenance.DigestOf(train, validation, test),
            MatchesPublished: differing.Count == 0 && complete, string.Join("; ", notes)));
    }

    private static string DifferenceNote(
        DataSetSpec spec, List<string> differing, int files, ImageSet train, ImageSet test)
    {
        if (spec.KnownCopies.Count > 0
            && spec.KnownCopies.TryGetValue(DataCatalog.OrderFreeDigest(train, test), out string? known))
            return known;
        return differing.Count == files
            ? "digests differ from the publisher's"
            : $"digest differs from the publisher's: {string.Join(", ", differing)}";
    }

    /// <summary>Refuses a data directory that was named and is none.</summary>
    public static void RequireFolder(string named)
    {
        var folder = new InputFile(named, "name the folder that holds the data sets");
        if (!folder.Exists) throw folder.Refuse("there is no such folder");
        if (!Directory.Exists(named)) throw folder.Refuse("it is a file where a folder belongs");
    }

    /// <summary>The directory that holds the set, downloading it where allowed; null when there is none.</summary>
    private static string? Locate(DataSetSpec spec, DataOptions options)
    {
        if (options.Directory is { } named)
        {
            RequireFolder(named);
            if (Holds(spec, named)) return named;
            options.Warn($"{named} has no {spec.Key} folder with files of {spec.Title}; looking elsewhere.");
        }
        // Not Holds: an interrupted download is continued here rather than taken for a damaged set.
        if (DataCommands.IsComplete(spec, options.Default, withOptional: false)) return options.Default;
        if (options.AllowDownload)
        {
            try
            {
                DataCommands.Fetch(spec, options.Default, options.Downloader);
                return options.Default;
            }
            catch (DownloadException e)
            {
                options.Warn($"{spec.Title} cannot be downloaded: {e.Message}");
            }
        }
        options.Warn($"{spec.Title} is replaced by a procedural stand-in.");
        return null;
    }

    /// <summary>True when any file of the set is there; a set with some files missing is damaged, not absent.</summary>
    private static bool Holds(DataSetSpec spec, string directory) =>
        spec.Files.Any(f => ContentFile.Find(Path.Combine(directory, spec.Key), f.Name) is not null);

    private static Dataset Limit(Dataset data, int? limit)
    {
        ImageSet[] parts = [data.Train, data.Validation, data.Test];
        if (limit is not { } count || parts.All(part => part.Count <= count)) return data;
        ImageSet Sample(ImageSet part) =>
            part.Count <= count ? part : part.Select(StandInRandom.Sample(part.Count, count));
        var (train, validation, test) = (Sample(data.Train), Sample(data.Validation), Sample(data.Test));
        string note = $"a fixed sample of at most {Provenance.Grouped(count)} images a part";
        return new Dataset(train, validation, test, data.Provenance with
        {
            Digest = Provenance.DigestOf(train, validation, test),
            Note = data.Provenance.Note.Length == 0 ? note : $"{data.Provenance.Note}; {note}",
        });
    }
}
