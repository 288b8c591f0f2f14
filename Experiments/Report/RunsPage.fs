/// The runs behind the report: a table to sort and filter, and what compares two of them.
module Research.Report.RunsPage

open System

let private enc = Html.encode

/// The digits of a digest or a revision that name it well enough.
let private short (digest: string) = digest[.. min 11 (digest.Length - 1)]

let private row (run: Run) =
    let rows =
        run.Rows
        |> List.map (fun row -> $"<a href=\"#{enc row}\">{enc row}</a>")
        |> String.concat " "

    let configuration =
        run.Configuration
        |> List.map (fun (name, value) -> $"{name}: {value}")
        |> String.concat "; "

    let seconds = run.Seconds.ToString("F1", Globalization.CultureInfo.InvariantCulture)
    let started = run.Started.UtcDateTime.ToString "yyyy-MM-dd HH:mm"

    $"<tr id=\"run:{enc run.Id}\"><td><input type=checkbox aria-label=\"Compare {enc run.Name}\"></td><td class=id>{enc run.Name}</td><td>{rows}</td><td class=number>{enc run.Seed}</td>"
    + $"<td class=clipped title=\"{enc configuration}\">{enc configuration}</td><td class=number>{seconds}</td><td>{started}</td><td class=id>{enc (short run.Revision)}</td></tr>"

/// The table with its controls, and what the page's script knows of each run.
let html (runs: Run list) : string =
    let engines =
        runs |> List.map _.Engine |> List.distinct |> List.filter ((<>) "") |> String.concat "; "

    let seconds = runs |> List.sumBy _.Seconds

    $"""<p>{runs.Length} runs, {Math.Round(seconds / 60.0)} minutes of computing. Click a heading to sort; tick two runs to compare them. {enc engines}</p>
<div class=controls><input type=search id=run-filter placeholder="Filter: name, row, setting" aria-label="Filter runs"><span id=run-count class=muted></span><button id=run-reset>Show all</button></div>
<div id=comparison hidden></div>
<div class="scroll tall"><table id=runs-table><thead><tr><th></th><th data-sort=text>Run</th><th data-sort=text>Row</th><th data-sort=number class=number>Seed</th><th data-sort=text>Configuration</th><th data-sort=number class=number>Seconds</th><th data-sort=text>Started (UTC)</th><th data-sort=text>Revision</th></tr></thead><tbody>
{runs |> List.map row |> String.concat "\n"}
</tbody></table></div>
<script type="application/json" id=run-data>{Run.json runs}</script>"""
