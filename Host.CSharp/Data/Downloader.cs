using System.Diagnostics;
using System.Net;
using System.Net.Http.Headers;

namespace Research.Host;

/// <summary>A file that could not be downloaded, in one sentence. Nothing unverified is left in its place.</summary>
public sealed class DownloadException(string message, Exception? inner = null)
    : ResearchException(message, RunFailed, inner);

/// <summary>How far a download is.</summary>
/// <param name="Name">File name.</param>
/// <param name="Received">Bytes on disk so far.</param>
/// <param name="Total">Size of the file, or null when the server does not tell.</param>
public readonly record struct DownloadProgress(string Name, long Received, long? Total);

/// <summary>
/// Downloads files: resumed where an earlier attempt broke off, verified before they get their name, renamed
/// atomically. A host that does not answer is remembered, so that without a network all sets together wait at
/// most <paramref name="budget"/>.
/// </summary>
/// <param name="patience">Longest wait for one answer.</param>
/// <param name="budget">Longest wait for hosts that do not answer, summed over the life of this object.</param>
/// <param name="stall">Longest pause in a transfer before the connection is given up and resumed.</param>
public sealed class Downloader(TimeSpan patience, TimeSpan budget, TimeSpan stall)
{
    private const int IdleAttempts = 3;

    private readonly HttpClient client = new() { Timeout = Timeout.InfiniteTimeSpan };
    /// <summary>Hosts that did not answer, with the sentence that says so; said again word for word.</summary>
    private readonly Dictionary<string, string> silentHosts = [];

    private readonly Lock gate = new();
    private TimeSpan waited;

    /// <summary>For loading on the way to something else: without a network, gives up within five seconds.</summary>
    public static Downloader Impatient { get; } =
        new(TimeSpan.FromSeconds(2.5), TimeSpan.FromSeconds(5), TimeSpan.FromSeconds(20));

    /// <summary>For <c>research data fetch</c>, where the user waits for the download itself.</summary>
    public static Downloader Patient { get; } =
        new(TimeSpan.FromSeconds(20), TimeSpan.FromMinutes(2), TimeSpan.FromSeconds(30));

    /// <summary>
    /// Downloads the first of <paramref name="addresses"/> that works to <paramref name="target"/>.
    /// <paramref name="verify"/> gets the complete download and raises <see cref="ResearchException"/>
    /// to refuse it; a refused file is deleted. A broken transfer stays as <c>target.part</c> for the next call.
    /// Raises <see cref="DownloadException"/> when no address gives the file.
    /// </summary>
    public void Fetch(IReadOnlyList<Uri> addresses, string target, Action<InputFile> verify,
        Action<DownloadProgress>? progress = null, CancellationToken cancel = default)
    {
        lock (gate)
        {
            string part = target + ".part";
            DownloadException? failure = null;
            try
            {
                foreach (var address in addresses)
                {
                    try
                    {
                        Transfer(address, part, progress, cancel).GetAwaiter().GetResult();
                        Accept(address, part, target, verify);
                        return;
                    }
                    catch (DownloadException e)
                    {
                        failure = e;
                    }
                }
            }
            catch (IOException e) when (Durable.IsDiskFull(e))
            {
                throw Durable.DiskFull(target, e);
            }
            catch (Exception e) when (e is IOException or UnauthorizedAccessException)
            {
                throw new DownloadException($"{target} cannot be written: {e.Message}", e);
            }
            throw failure ?? new DownloadException($"{target} has no address to download from.");
        }
    }

    private static void Accept(Uri address, string part, string target, Action<InputFile> verify)
    {
        try
        {
            verify(new InputFile(part, "it is fetched again by the next call"));
        }
        catch (ResearchException e)
        {
            File.Delete(part);
            throw new DownloadException($"{address} is not the published file and was discarded ({e.Message})", e);
        }
        File.Move(part, target, overwrite: true);
    }

    /// <summary>Brings the part to its full length, reconnecting as long as some attempt makes progress.</summary>
    private async Task Transfer(
        Uri address, string part, Action<DownloadProgress>? progress, CancellationToken cancel)
    {
        for (int idle = 0; ;)
        {
            long before = Length(part);
            try
            {
                await Attempt(address, part, progress, cancel).ConfigureAwait(false);
                return;
            }
            catch (Exception e) when (e is HttpIOException or TransferStalled)
            {
                idle = Length(part) > before ? 0 : idle + 1;
                if (idle == IdleAttempts)
                    throw new DownloadException($"{address} breaks off at byte {Length(part)}.", e);
            }
        }
    }

    private async Task Attempt(
        Uri address, string part, Action<DownloadProgress>? progress, CancellationToken cancel)
    {
        long have = Length(part);
        using var request = new HttpRequestMessage(HttpMethod.Get, address);
        if (have > 0) request.Headers.Range = new RangeHeaderValue(have, null);
        using var response = await Answer(request, cancel).ConfigureAwait(false);
        var range = response.Content.Headers.ContentRange;
        if (response.StatusCode == HttpStatusCode.RequestedRangeNotSatisfiable && have > 0)
        {
            if (range?.Length == have) return;
            // The part is longer than the file: it belongs to something else.
            File.Delete(part);
            throw new TransferStalled();
        }
        if (!response.IsSuccessStatusCode)
            throw new DownloadException($"{address} answers {(int)response.StatusCode} {response.ReasonPhrase}.");
        bool resumes = response.StatusCode == HttpStatusCode.PartialContent && range?.From == have;
        if (!resumes) have = 0;
        long? total = response.Content.Headers.ContentLength + have;

        // Only now: a download that never begins should leave no folder.
        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(part))!);
        await using var file = new FileStream(part, resumes ? FileMode.Append : FileMode.Create, FileAccess.Write,
            FileShare.None);
        await using var body = await response.Content.ReadAsStreamAsync(cancel).ConfigureAwait(false);
        var buffer = new byte[1 << 16];
        while (await Receive(body, buffer, cancel).ConfigureAwait(false) is > 0 and var read)
        {
            file.Write(buffer, 0, read);
            have += read;
            progress?.Invoke(new DownloadProgress(Path.GetFileNameWithoutExtension(part), have, total));
        }
        // On disk before the rename, or a power cut could leave the name on an empty file.
        file.Flush(flushToDisk: true);
    }

    private async Task<int> Receive(Stream body, byte[] buffer, CancellationToken cancel)
    {
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(stall);
        try
        {
            return await body.ReadAsync(buffer, limit.Token).ConfigureAwait(false);
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested)
        {
            throw new TransferStalled();
        }
        catch (IOException e) when (e is not HttpIOException)
        {
            // A reset connection; told apart here from errors of the local disk.
            throw new HttpIOException(HttpRequestError.ResponseEnded, e.Message, e);
        }
    }

    private async Task<HttpResponseMessage> Answer(HttpRequestMessage request, CancellationToken cancel)
    {
        var address = request.RequestUri!;
        var left = budget - waited < patience ? budget - waited : patience;
        if (silentHosts.TryGetValue(address.Authority, out string? known)) throw new DownloadException(known);
        if (left <= TimeSpan.Zero) throw new DownloadException($"{address.Host} was not tried: no network.");
        var watch = Stopwatch.StartNew();
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancel);
        limit.CancelAfter(left);
        try
        {
            return await client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, limit.Token)
                .ConfigureAwait(false);
        }
        catch (HttpRequestException e) when (e.HttpRequestError == HttpRequestError.ResponseEnded)
        {
            throw new HttpIOException(HttpRequestError.ResponseEnded, e.Message, e);
        }
        catch (Exception e) when (e is HttpRequestException or OperationCanceledException)
        {
            cancel.ThrowIfCancellationRequested();
            waited += watch.Elapsed;
            string reason = e is HttpRequestException ? e.Message : "no answer in time";
            silentHosts[address.Authority] = $"{address.Host} cannot be reached ({reason}).";
            throw new DownloadException(silentHosts[address.Authority], e);
        }
    }

    private static long Length(string path) => File.Exists(path) ? new FileInfo(path).Length : 0;

    /// <summary>The transfer has to be taken up again.</summary>
    private sealed class TransferStalled : Exception;
}
