using System.Globalization;
using TorchSharp;

namespace Research.Host;

/// <summary>Where tensors are computed.</summary>
public static class Devices
{
    /// <summary>
    /// The device that `auto`, `cpu`, `cuda` or `cuda:N` names; `auto` is the first GPU when there is one.
    /// </summary>
    /// <param name="name">As above.</param>
    /// <param name="isHere">
    /// False when other machines compute, whose devices cannot be known: then `auto` is the CPU and any GPU exists.
    /// </param>
    /// <exception cref="ResearchException">
    /// The name is unknown or the GPU does not exist; one sentence says what to do.
    /// </exception>
    public static torch.Device Parse(string name, bool isHere = true)
    {
        var text = name.Trim().ToLowerInvariant();
        var index = 0;
        var isCuda = text == "cuda"
            || (text.StartsWith("cuda:", StringComparison.Ordinal)
                && int.TryParse(text["cuda:".Length..], NumberStyles.None, CultureInfo.InvariantCulture, out index));
        if (!isCuda && text is not ("auto" or "cpu"))
            throw new ResearchException(
                $"'{name}' is not a device: choose auto, cpu, cuda or cuda:N.", ResearchException.BadUsage);
        if (!isHere)
            return new torch.Device(isCuda ? DeviceType.CUDA : DeviceType.CPU, isCuda ? index : -1);
        var available = torch.cuda.is_available() ? torch.cuda.device_count() : 0;
        if (text == "cpu" || (text == "auto" && available == 0))
            return torch.device("cpu");
        if (available == 0)
            throw new ResearchException(
                "this libtorch has no CUDA device: use --device cpu, or build with -p:Torch=cuda on a machine with a GPU.",
                ResearchException.BadUsage);
        if (index >= available)
            throw new ResearchException(
                $"there is no GPU {index}: this machine has {available}, counted from 0.", ResearchException.BadUsage);
        return torch.device(string.Create(CultureInfo.InvariantCulture, $"cuda:{index}"));
    }

    /// <summary>
    /// The engine as it stands in a run's key: library, version and kind of device, since results agree to the bit
    /// only within these.
    /// </summary>
    public static string Engine(torch.Device device) =>
        $"libtorch {torch.__version__} {device.type.ToString().ToLowerInvariant()}";
}
