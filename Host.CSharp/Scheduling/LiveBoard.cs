using Spectre.Console;
using Spectre.Console.Rendering;

namespace Research.Host;

/// <summary>
/// Progress on a terminal: one live line per running item and one for the whole, redrawn in place; endings and
/// messages scroll past above them.
/// </summary>
public sealed class LiveBoard : IProgressBoard
{
    private static readonly TimeSpan Refresh = TimeSpan.FromMilliseconds(250);

    private readonly IAnsiConsole console;
    private readonly object gate = new();
    private readonly Dictionary<string, ProgressMeter> running = [];
    private readonly ManualResetEventSlim closing = new();
    private readonly long started = TimeProvider.System.GetTimestamp();
    private readonly Thread painter;
    private Forecast forecast = new(0);
    private int ended, failed;

    public LiveBoard(IAnsiConsole console)
    {
        this.console = console;
        painter = new Thread(Paint) { Name = "progress", IsBackground = true };
        painter.Start();
    }

    /// <summary>The board that suits standard output: live on a terminal, plain lines otherwise.</summary>
    public static IProgressBoard ForConsole() =>
        Console.IsOutputRedirected || !AnsiConsole.Profile.Capabilities.Ansi
            ? new PlainBoard(Console.Out)
            : new LiveBoard(AnsiConsole.Console);

    public void Plan(Forecast forecast)
    {
        lock (gate)
            this.forecast = forecast;
    }

    public IRunProgress Begin(string id)
    {
        var meter = new ProgressMeter(id, Say, TimeProvider.System);
        lock (gate)
            running.Add(id, meter);
        return meter;
    }

    public void Pause(string id)
    {
        lock (gate)
            running.Remove(id);
    }

    public void End(WorkOutcome outcome)
    {
        lock (gate)
        {
            running.Remove(outcome.Id);
            forecast.End(outcome.Id);
            ended++;
            failed += outcome.Status == WorkStatus.Failed ? 1 : 0;
        }
        var colour = outcome.Status switch
        {
            WorkStatus.Done => "green",
            WorkStatus.Failed => "red",
            _ => "yellow",
        };
        console.MarkupLine($"[{colour}]{Markup.Escape(outcome.Id)}[/] {Markup.Escape(ProgressFormat.Ending(outcome))}");
    }

    public void Say(string message) => console.MarkupLine(Markup.Escape(message));

    public void Dispose()
    {
        closing.Set();
        painter.Join();
        closing.Dispose();
    }

    private void Paint() =>
        console.Live(Draw()).AutoClear(true).Start(live =>
        {
            while (!closing.Wait(Refresh))
                live.UpdateTarget(Draw());
        });

    private Rows Draw()
    {
        lock (gate)
        {
            var lines = running.Values.Select(meter => Line(meter.Id, meter.Read().ToString(), meter.Elapsed)).ToList();
            var failures = failed > 0 ? $", {failed} failed" : "";
            var left = forecast.Left(running.Values) is { Length: > 0 } known ? $", {known}" : "";
            lines.Add(Line("all runs", $"{ended} of {forecast.Items} ended{failures}{left}",
                TimeProvider.System.GetElapsedTime(started)));
            return new Rows(lines);
        }
    }

    private static IRenderable Line(string id, string text, TimeSpan elapsed) =>
        new Markup($"[bold]{Markup.Escape(id)}[/]  {Markup.Escape(text)}  [dim]{ProgressFormat.Time(elapsed)}[/]")
        {
            Overflow = Overflow.Ellipsis,
        };
}
