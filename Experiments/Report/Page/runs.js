// The table of runs: sorted by a heading, filtered by words or by an address such as #runs?row=hw5.1, and two runs
// compared by configuration, final figures and curves.
"use strict";

{
  const data = JSON.parse(document.querySelector("#run-data").textContent);
  const section = document.querySelector("#runs"), table = document.querySelector("#runs-table"), body = table.tBodies[0];
  const filter = document.querySelector("#run-filter"), count = document.querySelector("#run-count");
  const comparison = document.querySelector("#comparison");
  const rows = [...body.rows].map(row => ({ row, id: row.id.slice(4), text: row.textContent.toLowerCase(), box: row.querySelector("input") }));
  // What the address asks for: runs by id, of a row, or that used a function.
  let asked = new URLSearchParams();

  const wanted = ({ row, id, text }) =>
    filter.value.toLowerCase().split(/\s+/).every(word => text.includes(word))
    && (!asked.has("id") || asked.get("id").split(",").includes(id))
    && (!asked.has("row") || [...row.cells[2].querySelectorAll("a")].some(link => link.textContent === asked.get("row")))
    && (!asked.has("function") || data[id].functions.includes(asked.get("function")));

  function show() {
    let shown = 0;
    for (const entry of rows) {
      entry.row.hidden = !wanted(entry);
      if (!entry.row.hidden) shown++;
    }
    const why = [...asked].map(([name, value]) => name === "id" ? "behind that number" : `${name} ${value}`).join(", ");
    count.textContent = `${shown} of ${rows.length}${why ? ` (${why})` : ""}`;
  }

  filter.addEventListener("input", show);
  document.querySelector("#run-reset").addEventListener("click", () => {
    filter.value = "";
    asked = new URLSearchParams();
    rows.forEach(({ box }) => box.checked = false);
    history.replaceState(null, "", "#runs");
    show();
    compare();
  });

  table.tHead.addEventListener("click", event => {
    const heading = event.target.closest("th");
    if (!heading?.dataset.sort) return;
    const down = heading.getAttribute("aria-sort") === "ascending", column = heading.cellIndex;
    [...heading.parentElement.cells].forEach(cell => cell.removeAttribute("aria-sort"));
    heading.setAttribute("aria-sort", down ? "descending" : "ascending");
    const value = row => row.cells[column].textContent;
    const order = heading.dataset.sort === "number" ? (a, b) => Number(value(a)) - Number(value(b))
      : (a, b) => value(a).localeCompare(value(b), "en", { numeric: true });
    body.append(...[...body.rows].sort((a, b) => down ? order(b, a) : order(a, b)));
  });

  const element = (name, content, attributes = {}) => {
    const made = Object.assign(document.createElement(name), attributes);
    made.append(...[content].flat());
    return made;
  };

  // Names in the first column, one more column for each run; rows that differ are marked.
  function sideBySide(title, chosen, pairsOf) {
    const pairs = chosen.map(id => new Map(pairsOf(data[id])));
    const names = [...new Set(pairs.flatMap(map => [...map.keys()]))];
    const lines = names.map(name => {
      const values = pairs.map(map => map.get(name) ?? "–");
      const differs = values.length === 2 && values[0] !== values[1];
      return element("tr", [element("th", name), ...values.map(value => element("td", value))], { className: differs ? "differs" : "" });
    });
    if (!lines.length) return [];
    const head = element("thead", element("tr", [element("th", title), ...chosen.map(id => element("th", data[id].name))]));
    return [element("div", element("table", [head, element("tbody", lines)]), { className: "scroll" })];
  }

  function drawCurves(place, chosen, name) {
    const colours = ["#0072B2", "#D55E00"];
    const traces = chosen.flatMap((id, i) => data[id].curves.filter(curve => curve.name === name).map(curve =>
      ({ type: "scatter", mode: "lines", name: data[id].name, showlegend: true, x: curve.x, y: curve.y, line: { color: colours[i] } })));
    const spec = { data: traces, layout: { showlegend: true, xaxis: { title: "step" }, yaxis: { title: name } } };
    const layout = charts.layoutFor(spec, Math.min(place.clientWidth, 760));
    place.style.height = layout.height + "px";
    Plotly.react(place, traces, layout, { displaylogo: false });
  }

  function curves(chosen) {
    const names = [...new Set(chosen.flatMap(id => data[id].curves.map(curve => curve.name)))];
    if (!names.length) return [];
    const choice = element("select", names.map(name => element("option", name)), { ariaLabel: "Curve" });
    choice.value = names.find(name => name.startsWith("validation")) ?? names[0];
    const place = element("div", [], { className: "chart", id: "compared" });
    choice.addEventListener("change", () => drawCurves(place, chosen, choice.value));
    // It has a width only once it stands in the page.
    requestAnimationFrame(() => drawCurves(place, chosen, choice.value));
    return [element("div", [choice, place], { className: "compared" })];
  }

  function compare() {
    const chosen = rows.filter(({ box }) => box.checked).map(({ id }) => id);
    comparison.hidden = !chosen.length;
    comparison.replaceChildren();
    if (!chosen.length) return;
    comparison.append(element("h3", chosen.map(id => data[id].name).join(" and ")),
      ...curves(chosen), ...sideBySide("Figure", chosen, run => run.values), ...sideBySide("Setting", chosen, run => run.fields));
  }

  body.addEventListener("change", event => {
    const chosen = rows.filter(({ box }) => box.checked);
    // The oldest of three gives way.
    if (chosen.length > 2) chosen.find(({ box }) => box !== event.target).box.checked = false;
    compare();
  });

  function follow() {
    const [place, query] = location.hash.slice(1).split("?");
    if (place !== "runs" || query === undefined) return;
    asked = new URLSearchParams(query);
    filter.value = "";
    const ids = (asked.get("id") ?? "").split(",");
    rows.forEach(({ box, id }) => box.checked = ids.length <= 2 && ids.includes(id));
    show();
    compare();
    section.scrollIntoView();
  }

  addEventListener("hashchange", follow);
  show();
  follow();
}
