// Draws a figure's charts when they come near the window, and saves figures as CSV, SVG or PNG.
"use strict";

const charts = (() => {
  const font = { family: "system-ui, 'Segoe UI', Roboto, 'DejaVu Sans', sans-serif", size: 12, color: "#222" };
  const touch = matchMedia("(pointer: coarse)").matches;
  const config = {
    displaylogo: false,
    doubleClickDelay: 500,
    // Figures are saved whole, by the buttons under them.
    modeBarButtonsToRemove: ["toImage", "select2d", "lasso2d", "autoScale2d"],
  };

  const ruler = document.createElement("canvas").getContext("2d");
  const wide = text => {
    ruler.font = `${font.size}px ${font.family}`;
    return ruler.measureText(text.replace(/<[^>]*>/g, "")).width;
  };

  // Rows that plotly.js breaks a legend under the axes into: one if all fit, else equal columns.
  function legendRows(data, width) {
    const entries = data.filter(trace => trace.name && trace.showlegend !== false).map(trace => wide(trace.name) + 46);
    if (entries.reduce((sum, entry) => sum + entry, 0) < width) return 1;
    return Math.ceil(entries.length / Math.max(1, Math.floor(width / Math.max(...entries))));
  }

  // An axis' own ticks without those whose labels would touch; `pixels` is its length.
  function thin(axis, pixels, size) {
    if (!axis.tickvals) return axis;
    const position = value => axis.type === "log" ? Math.log10(value) : value;
    const places = axis.tickvals.map(position), span = Math.max(...places) - Math.min(...places) || 1;
    let last = -Infinity;
    const kept = places.map((place, i) => {
      const at = (place - Math.min(...places)) / span * pixels * 0.8, free = at - last >= size(axis.ticktext[i]) + 8;
      if (free) last = at;
      return free;
    });
    return { ...axis, tickvals: axis.tickvals.filter((_, i) => kept[i]), ticktext: axis.ticktext.filter((_, i) => kept[i]) };
  }

  // A label longer than its axis is broken at the space nearest to its middle.
  function fold(text, pixels) {
    if (!text || wide(text) < pixels) return text;
    const spaces = [...text.matchAll(/ /g)].map(match => match.index).sort((a, b) => Math.abs(a - text.length / 2) - Math.abs(b - text.length / 2));
    return spaces.length ? text.slice(0, spaces[0]) + "<br>" + text.slice(spaces[0] + 1) : text;
  }

  // What all charts share, for a chart this wide: fonts, margins, the grid, the legend under the axes.
  function layoutFor({ data, layout }, width) {
    const colourBar = data.some(trace => trace.type === "heatmap");
    const margin = { l: 54, r: colourBar ? 52 : 14, t: 12, b: layout.xaxis.title ? 54 : 28 };
    const inner = width - margin.l - margin.r, tied = Boolean(layout.yaxis.scaleanchor);
    const height = tied ? Math.min(inner, 420) : Math.min(Math.max(inner * 0.62, 170), 340);
    const legend = layout.showlegend ? legendRows(data, width - 10) * 19 + 8 : 0;
    const axis = { showline: true, linecolor: "#8a929b", ticks: "outside", ticklen: 4, tickcolor: "#8a929b", tickangle: 0,
      gridcolor: "#e9ecef", zerolinecolor: "#d5d9de", exponentformat: "power" };
    const fit = tied ? { constrain: "domain" } : {};
    return {
      ...layout, font, height: height + margin.t + margin.b + legend, width,
      margin: { ...margin, b: margin.b + legend },
      xaxis: { ...axis, ...fit, nticks: Math.max(3, Math.floor(inner / 65)), ...thin(layout.xaxis, inner, wide),
        title: { text: fold(layout.xaxis.title, inner), standoff: 6 }, automargin: true },
      yaxis: { ...axis, ...fit, nticks: Math.max(3, Math.floor(height / 36)), ...thin(layout.yaxis, height, () => 12),
        title: { text: fold(layout.yaxis.title, height), standoff: 6 }, automargin: true },
      legend: { orientation: "h", x: 0, xanchor: "left", y: 0, yref: "container", yanchor: "bottom" },
      dragmode: touch ? false : "zoom", hovermode: "closest",
    };
  }

  const described = new Map();
  const specification = chart => {
    if (!described.has(chart)) described.set(chart, JSON.parse(chart.querySelector("script").textContent));
    return described.get(chart);
  };

  // An axis' own ticks are meant for all of it: zoomed in, plotly.js chooses.
  function watchZoom(chart) {
    chart.on("plotly_relayout", change => {
      for (const name of ["xaxis", "yaxis"]) {
        if (!chart.layout[name].tickvals) continue;
        if (`${name}.range[0]` in change) Plotly.relayout(chart, { [`${name}.tickmode`]: "auto" });
        if (`${name}.autorange` in change) Plotly.relayout(chart, { [`${name}.tickmode`]: "array" });
      }
    });
  }

  function draw(chart) {
    const width = Math.floor(chart.getBoundingClientRect().width), spec = specification(chart);
    if (!width || chart.drawnAt === width) return;
    const first = chart.drawnAt === undefined;
    chart.drawnAt = width;
    const layout = layoutFor(spec, width);
    chart.style.height = layout.height + "px";
    // plotly.js writes into what it is given.
    Plotly.react(chart, structuredClone(spec.data), layout, config);
    if (first) watchZoom(chart);
  }

  const all = () => [...document.querySelectorAll(".chart")];
  const near = new IntersectionObserver(
    entries => entries.filter(entry => entry.isIntersecting).forEach(entry => draw(entry.target)), { rootMargin: "800px" });
  all().forEach(chart => near.observe(chart));
  let settled;
  addEventListener("resize", () => {
    clearTimeout(settled);
    settled = setTimeout(() => all().filter(chart => chart.drawnAt).forEach(draw), 150);
  });
  addEventListener("beforeprint", () => all().forEach(draw));

  // One line a value: panel, series, x, y and the error or the map's value.
  function csv(figure) {
    const plain = text => text.replace(/<sup>(.*?)<\/sup>/g, "^$1").replace(/<sub>(.*?)<\/sub>/g, "_$1");
    const quoted = text => /[",\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
    const lines = ["panel,series,x,y,error,value"];
    for (const panel of figure.querySelectorAll(".panel")) {
      const chart = panel.querySelector(".chart");
      if (!chart) continue;
      const title = quoted(panel.querySelector(".title")?.textContent ?? "");
      for (const trace of specification(chart).data.filter(trace => trace.hoverinfo !== "skip")) {
        const start = `${title},${quoted(plain(trace.name ?? ""))}`;
        if (trace.z) trace.z.forEach((row, r) => row.forEach((z, c) => lines.push(`${start},${trace.x[c]},${trace.y[r]},,${z}`)));
        else trace.x.forEach((x, i) => lines.push(`${start},${x},${trace.y[i]},${trace.error_y?.array[i] ?? ""},`));
      }
    }
    return lines.join("\n") + "\n";
  }

  const escaped = text => text.replace(/[&<>"]/g, c => ({ "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;" }[c]));

  // The whole figure as one drawing: charts, image grids and the words beside them where they stand in the page.
  async function svg(figure) {
    const panels = figure.querySelector(".panels"), page = panels.getBoundingClientRect(), parts = [];
    figure.querySelectorAll(".chart").forEach(draw);
    for (const chart of figure.querySelectorAll(".chart")) {
      const box = chart.getBoundingClientRect();
      const picture = await Plotly.toImage(chart, { format: "svg", width: chart.layout.width, height: chart.layout.height });
      const inner = decodeURIComponent(picture.slice(picture.indexOf(",") + 1));
      parts.push(inner.replace("<svg ", `<svg x="${box.left - page.left}" y="${box.top - page.top}" `));
    }
    for (const image of figure.querySelectorAll("img")) {
      const box = image.getBoundingClientRect();
      parts.push(`<image x="${box.left - page.left}" y="${box.top - page.top}" width="${box.width}" height="${box.height}" style="image-rendering:pixelated" href="${image.src}"/>`);
    }
    for (const words of figure.querySelectorAll(".panels .title, .grid span")) {
      const box = words.getBoundingClientRect(), style = getComputedStyle(words);
      parts.push(`<text x="${box.left + box.width / 2 - page.left}" y="${box.top + box.height / 2 - page.top}" text-anchor="middle" dominant-baseline="central" font-size="${style.fontSize}" font-weight="${style.fontWeight}">${escaped(words.textContent)}</text>`);
    }
    return `<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink" width="${page.width}" height="${page.height}" viewBox="0 0 ${page.width} ${page.height}" font-family="${escaped(font.family)}" fill="#222"><rect width="100%" height="100%" fill="#fff"/>${parts.join("")}</svg>`;
  }

  async function png(figure) {
    const image = new Image();
    image.src = URL.createObjectURL(new Blob([await svg(figure)], { type: "image/svg+xml" }));
    await image.decode();
    URL.revokeObjectURL(image.src);
    const canvas = document.createElement("canvas"), scale = 2;
    canvas.width = image.width * scale;
    canvas.height = image.height * scale;
    canvas.getContext("2d").drawImage(image, 0, 0, canvas.width, canvas.height);
    return new Promise(done => canvas.toBlob(done, "image/png"));
  }

  const makers = {
    csv: figure => new Blob([csv(figure)], { type: "text/csv" }),
    svg: async figure => new Blob([await svg(figure)], { type: "image/svg+xml" }),
    png,
  };

  document.addEventListener("click", async event => {
    const kind = event.target.dataset?.save;
    if (!kind) return;
    const figure = event.target.closest("figure"), link = document.createElement("a");
    link.href = URL.createObjectURL(await makers[kind](figure));
    link.download = `${figure.id}.${kind}`;
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  });

  return { draw, layoutFor, drawAll: () => all().forEach(draw) };
})();
