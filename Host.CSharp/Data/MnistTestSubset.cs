namespace Research.Host;

/// <summary>A selection of test images, and what had to be changed to make it (empty when nothing).</summary>
public sealed record TestSubset(int[] Indices, string Note);

/// <summary>
/// The 100 MNIST test images on which CS 274E homework 3 reports its VAE: ten per class, given as positions
/// within the class in test-set order. One image is listed twice, so 99 are distinct.
/// </summary>
public static class MnistTestSubset
{
    private static readonly int[][] Positions =
    [
        [684, 559, 629, 192, 835, 763, 707, 359, 9, 723],
        [277, 599, 1094, 600, 314, 705, 551, 87, 174, 849],
        [537, 845, 72, 777, 115, 976, 755, 448, 850, 99],
        [984, 177, 755, 797, 659, 147, 910, 423, 288, 961],
        [265, 697, 639, 544, 543, 714, 244, 151, 675, 510],
        [459, 882, 183, 28, 802, 128, 128, 53, 550, 488],
        [756, 273, 335, 388, 617, 42, 442, 543, 888, 257],
        [57, 291, 779, 430, 91, 398, 611, 908, 633, 84],
        [203, 324, 774, 964, 47, 639, 131, 972, 868, 180],
        [1000, 846, 143, 660, 227, 954, 791, 719, 909, 373],
    ];

    /// <summary>
    /// The indices of the subset in <paramref name="test"/>, class by class. Where a class has too few images
    /// (stand-in, limited loads) a position is taken modulo the class's size and the note says so. Raises
    /// <see cref="ArgumentException"/> without labels or when a class has no image.
    /// </summary>
    public static TestSubset Of(ImageSet test)
    {
        if (!test.HasLabels) throw new ArgumentException("the test subset needs labelled images", nameof(test));
        var indices = new List<int>(100);
        bool wrapped = false;
        for (int label = 0; label < Positions.Length; label++)
        {
            int[] members = [.. Enumerable.Range(0, test.Count).Where(i => test.Labels[i] == label)];
            if (members.Length == 0) throw new ArgumentException($"no test image of class {label}", nameof(test));
            wrapped |= Positions[label].Max() >= members.Length;
            indices.AddRange(Positions[label].Select(position => members[position % members.Length]));
        }
        return new([.. indices], wrapped
            ? $"the test part has only {Provenance.Grouped(test.Count)} images, so positions wrap around"
            : "");
    }
}
