// Draws, as SVG and without a network, the part of Plotly's JSON that XPlot.Plotly's subset emits:
// scatter, bar, heatmap and contour traces on one pair of axes, with legend, hover and zoom.
// Plotly's names: Plotly.newPlot(id, data, layout).
(function (root) {
  "use strict";

  const palette = ["#1f77b4", "#ff7f0e", "#2ca02c", "#d62728", "#9467bd", "#8c564b", "#e377c2", "#7f7f7f", "#bcbd22", "#17becf"];
  const scales = {
    Viridis: ["#440154", "#482878", "#3e4989", "#31688e", "#26828e", "#1f9e89", "#35b779", "#6ece58", "#b5de2b", "#fde725"],
    Greys: ["#000000", "#ffffff"],
    RdBu: ["#053061", "#4393c3", "#f7f7f7", "#d6604d", "#67001f"],
    Hot: ["#000000", "#e60000", "#ffd200", "#ffffff"]
  };
  // A mark of radius 1 round the origin.
  const marks = { square: "M-.9-.9h1.8v1.8h-1.8Z", "triangle-up": "M0-1.15L1 .7H-1Z", diamond: "M0-1.25L1 0L0 1.25L-1 0Z" };
  const dashes = { dash: "7 4", dot: "2 3", dashdot: "7 3 2 3", longdash: "12 5" };
  const finite = v => typeof v === "number" && isFinite(v);
  const text = v => v === undefined || v === null ? "" : typeof v === "object" ? text(v.text) : String(v);
  const escape = v => text(v).replace(/&/g, "&amp;").replace(/</g, "&lt;").replace(/"/g, "&quot;");
  const plain = v => text(v).replace(/<\/?su[bp]>/g, "");
  // Plotly's <sub> and <sup> as shifted, smaller letters.
  const rich = v => escape(v).replace(/&lt;(su[bp])>(.*?)&lt;\/\1>/g, (_, kind, inner) => {
    const shift = kind === "sub" ? 3 : -4;
    return `<tspan dy="${shift}" font-size="75%">${inner}</tspan><tspan dy="${-shift}">\u200b</tspan>`;
  });

  function format(v) {
    if (v === 0) return "0";
    const size = Math.abs(v);
    return size >= 1e6 || size < 1e-4 ? v.toExponential(2).replace(/\.?0+e/, "e") : String(Number(v.toPrecision(5)));
  }

  // ---- Axes: a linear, logarithmic or category scale between two pixels --------------------------------------

  function axis(spec, values, pad, zoom) {
    const names = values.find(v => v !== null && v !== undefined);
    const categories = typeof names === "string" ? [...new Set(values)] : null;
    const log = spec.type === "log";
    const number = v => categories ? (typeof v === "string" ? categories.indexOf(v) : v) : v;
    const to = v => log ? Math.log10(number(v)) : number(v);
    const seen = values.map(to).filter(finite);
    let low = seen.length ? seen.reduce((a, b) => Math.min(a, b)) : 0;
    let high = seen.length ? seen.reduce((a, b) => Math.max(a, b)) : 1;
    if (low === high) { low -= 0.5; high += 0.5; }
    const margin = categories ? 0.5 : (high - low) * pad;
    let range = zoom || spec.range || [low - margin, high + margin];
    if (spec.autorange === "reversed" && !zoom) range = [range[1], range[0]];
    const result = { log, categories, to, low: range[0], high: range[1], title: spec.title };
    result.at = v => result.start + (to(v) - result.low) / (result.high - result.low) * (result.end - result.start);
    result.back = p => result.low + (p - result.start) / (result.end - result.start) * (result.high - result.low);
    result.ticks = () => ticks(result, spec);
    return result;
  }

  function ticks(a, spec) {
    if (spec.showticklabels === false) return [];
    if (spec.tickvals) return spec.tickvals.map((v, i) => [v, spec.ticktext ? spec.ticktext[i] : format(v)]);
    if (a.categories) return a.categories.map(c => [c, c]);
    const low = Math.min(a.low, a.high), high = Math.max(a.low, a.high);
    // As many as have room: labels stand above each other along y, side by side along x.
    if (a.end < a.start) return evenTicks(a, low, high, Math.min(6, Math.floor((a.start - a.end) / 26)));
    for (let room = 6; room > 2; room--) {
      const found = evenTicks(a, low, high, room);
      if (found.reduce((sum, [, label]) => sum + 7 * label.length + 14, 0) <= a.end - a.start) return found;
    }
    return evenTicks(a, low, high, 2);
  }

  // About so many round numbers between two.
  function evenTicks(a, low, high, count) {
    const room = Math.max(2, count), found = [];
    if (a.log) {
      const every = Math.max(1, Math.ceil((high - low) / (room + 2))), within = high - low < 2 ? [1, 2, 5] : [1];
      for (let p = Math.floor(low); p <= Math.ceil(high); p += every)
        for (const m of within) {
          const e = p + Math.log10(m);
          if (e >= low - 1e-9 && e <= high + 1e-9) found.push([m * 10 ** p, format(m * 10 ** p)]);
        }
      return found;
    }
    const rough = (high - low) / room, power = 10 ** Math.floor(Math.log10(rough));
    const step = power * [1, 2, 5, 10].find(m => m * power >= rough);
    for (let i = Math.ceil(low / step - 1e-9); i * step <= high + 1e-9 * step; i++) found.push([i * step, format(i * step)]);
    return found;
  }

  // ---- Heatmaps: a bitmap stretched over its cells ------------------------------------------------------------

  const indices = n => Array.from({ length: n }, (_, i) => i);
  const columns = t => t.x || indices(t.z[0].length);
  const rows = t => t.y || indices(t.z.length);
  const edges = c => c.length < 2 || typeof c[0] === "string" ? [-0.5, c.length - 0.5]
    : [c[0] - (c[1] - c[0]) / 2, c[c.length - 1] + (c[c.length - 1] - c[c.length - 2]) / 2];

  function colour(scale, fraction) {
    const list = Array.isArray(scale) ? scale : (scales[scale] || scales.Viridis).map((c, i, all) => [i / (all.length - 1), c]);
    const f = Math.min(1, Math.max(0, fraction));
    let i = 1;
    while (i < list.length - 1 && list[i][0] < f) i++;
    const [p, a] = list[i - 1], [q, b] = list[i], w = q > p ? Math.min(1, Math.max(0, (f - p) / (q - p))) : 0;
    const rgb = c => c[0] === "#" ? [1, 3, 5].map(k => parseInt(c.substr(k, 2), 16)) : c.match(/[\d.]+/g).slice(0, 3).map(Number);
    const from = rgb(a), to = rgb(b);
    return from.map((v, k) => Math.round(v + w * (to[k] - v)));
  }

  function shading(t) {
    const all = t.z.flat().filter(finite);
    const low = finite(t.zmin) ? t.zmin : all.reduce((a, b) => Math.min(a, b), Infinity);
    const high = finite(t.zmax) ? t.zmax : all.reduce((a, b) => Math.max(a, b), -Infinity);
    const bands = t.type === "contour" ? t.ncontours || 15 : 0;
    const fraction = v => {
      const f = high > low ? (v - low) / (high - low) : 0.5;
      const g = bands ? Math.min(bands - 1, Math.floor(f * bands)) / (bands - 1) : f;
      return t.reversescale ? 1 - g : g;
    };
    return { low, high, rgb: v => finite(v) ? colour(t.colorscale, fraction(v)) : [255, 255, 255] };
  }

  // Rows from the bottom, as bitmaps and Plotly both have them.
  function bitmap(z, rgb) {
    const h = z.length, w = z[0].length, stride = (w * 3 + 3) & ~3, bytes = new Uint8Array(54 + stride * h);
    const view = new DataView(bytes.buffer);
    bytes[0] = 66; bytes[1] = 77;
    view.setUint32(2, bytes.length, true); view.setUint32(10, 54, true); view.setUint32(14, 40, true);
    view.setInt32(18, w, true); view.setInt32(22, h, true); view.setUint16(26, 1, true); view.setUint16(28, 24, true);
    for (let r = 0; r < h; r++)
      for (let c = 0; c < w; c++) {
        const [red, green, blue] = rgb(z[r][c]), o = 54 + r * stride + c * 3;
        bytes[o] = blue; bytes[o + 1] = green; bytes[o + 2] = red;
      }
    let binary = "";
    for (const b of bytes) binary += String.fromCharCode(b);
    return "data:image/bmp;base64," + btoa(binary);
  }

  const image = (href, x0, y0, x1, y1, smooth) =>
    `<image href="${href}" x="${Math.min(x0, x1)}" y="${Math.min(y0, y1)}" width="${Math.abs(x1 - x0)}" height="${Math.abs(y1 - y0)}" preserveAspectRatio="none"` +
    ` style="image-rendering:${smooth ? "auto" : "pixelated"}"/>`;

  function drawHeatmap(t, x, y) {
    const [left, right] = edges(columns(t)), [bottom, top] = edges(rows(t));
    return image(bitmap(t.z, shading(t).rgb), x.at(left), y.at(bottom), x.at(right), y.at(top), t.zsmooth || t.type === "contour");
  }

  function drawColourbar(t, left, top, height) {
    const s = shading(t), ramp = indices(64).map(i => [s.low + (s.high - s.low) * i / 63]);
    const labels = indices(5).map(i => {
      const span = s.high - s.low, v = s.low + span * i / 4;
      return `<text x="${left + 18}" y="${top + height * (1 - i / 4) + 4}">${format(Math.abs(v) < 1e-9 * span ? 0 : v)}</text>`;
    });
    return image(bitmap(ramp, s.rgb), left, top, left + 13, top + height, true) + labels.join("");
  }

  // ---- Scatter and bar ----------------------------------------------------------------------------------------

  const xs = t => t.x || indices((t.y || []).length);
  const bars = t => t.type === "bar";
  const maps = t => t.type === "heatmap" || t.type === "contour";
  const lines = t => (t.mode || "lines").includes("lines");
  const markers = t => (t.mode || "").includes("markers");
  const tint = t => (t.line && t.line.color) || (t.marker && typeof t.marker.color === "string" && t.marker.color) || t.tint;

  // A path that breaks where a point is missing.
  function path(points) {
    let d = "", pen = "M";
    for (const [px, py] of points) {
      if (!finite(px) || !finite(py)) { pen = "M"; continue; }
      d += pen + px.toFixed(1) + " " + py.toFixed(1);
      pen = "L";
    }
    return d;
  }

  function drawFill(t, points, below, y) {
    if (!t.fill || t.fill === "none") return "";
    const solid = points.filter(p => finite(p[0]) && finite(p[1]));
    if (!solid.length) return "";
    const zero = y.log ? y.start : y.at(0);
    const back = t.fill === "tonexty" && below ? below.filter(p => finite(p[0]) && finite(p[1])).reverse()
      : t.fill === "toself" ? [] : [[solid[solid.length - 1][0], zero], [solid[0][0], zero]];
    return `<path d="${path(solid.concat(back))}Z" fill="${escape(t.fillcolor || tint(t))}" ${t.fillcolor ? "" : 'fill-opacity="0.25"'} stroke="none"/>`;
  }

  function drawErrors(t, points, y) {
    const e = t.error_y;
    if (!e || e.visible === false) return "";
    return points.map(([px], i) => {
      const v = t.y[i], size = e.array ? e.array[i] : e.value, minus = e.arrayminus ? e.arrayminus[i] : size;
      if (!finite(size) || !finite(px)) return "";
      const top = y.at(v + size), bottom = y.at(v - minus);
      return `<path d="M${px} ${bottom}V${top}M${px - 3} ${top}h6M${px - 3} ${bottom}h6" stroke="${escape(e.color || tint(t))}" fill="none"/>`;
    }).join("");
  }

  function drawMark(marker, px, py, colour) {
    const r = (marker.size || 6) / 2, fill = `fill="${escape(colour)}"` + (finite(marker.opacity) ? ` fill-opacity="${marker.opacity}"` : "");
    return marks[marker.symbol]
      ? `<path d="${marks[marker.symbol]}" transform="translate(${px.toFixed(1)} ${py.toFixed(1)}) scale(${r})" ${fill}/>`
      : `<circle cx="${px.toFixed(1)}" cy="${py.toFixed(1)}" r="${r}" ${fill}/>`;
  }

  function drawScatter(t, x, y, below) {
    const points = xs(t).map((v, i) => [x.at(v), y.at(t.y[i])]), line = t.line || {}, marker = t.marker || {};
    let out = drawFill(t, points, below, y) + drawErrors(t, points, y);
    if (lines(t) && line.width !== 0)
      out += `<path d="${path(points)}" fill="none" stroke="${escape(tint(t))}" stroke-width="${line.width || 2}" stroke-linejoin="round"` +
        (dashes[line.dash] ? ` stroke-dasharray="${dashes[line.dash]}"/>` : "/>");
    if (markers(t))
      out += points.map(([px, py], i) => !finite(px) || !finite(py) ? "" :
        drawMark(marker, px, py, !Array.isArray(marker.color) ? tint(t)
          : typeof marker.color[i] === "number" ? palette[marker.color[i] % palette.length] : marker.color[i])).join("");
    return { svg: out, points };
  }

  function drawBars(t, x, y, place, count) {
    const c = xs(t), step = c.length > 1 && !x.categories ? Math.abs(c[1] - c[0]) : 1;
    const zero = y.log ? y.start : y.at(0);
    return c.map((v, i) => {
      const width = (Array.isArray(t.width) ? t.width[i] : t.width) || step * 0.9;
      const centre = x.categories ? x.to(v) : v, slot = width / count, left = centre - width / 2 + place * slot;
      const px = x.at(left), pw = x.at(left + slot) - px, py = y.at(t.y[i]);
      return `<rect x="${px}" y="${Math.min(py, zero)}" width="${Math.abs(pw)}" height="${Math.abs(py - zero)}" fill="${escape(tint(t))}" fill-opacity="${(t.marker && t.marker.opacity) || 1}"/>`;
    }).join("");
  }

  // ---- The whole chart as a string ----------------------------------------------------------------------------

  function extents(traces) {
    const x = [], y = [];
    for (const t of traces) {
      if (maps(t)) { x.push(...(typeof columns(t)[0] === "string" ? columns(t) : edges(columns(t)))); y.push(...edges(rows(t))); continue; }
      const c = xs(t), half = bars(t) && typeof c[0] !== "string" ? ((Array.isArray(t.width) ? t.width[0] : t.width) || (c.length > 1 ? c[1] - c[0] : 1)) / 2 : 0;
      for (const v of c) half ? x.push(v - half, v + half) : x.push(v);
      const e = t.error_y && t.error_y.array;
      t.y.forEach((v, i) => { if (v !== null) e && finite(e[i]) ? y.push(v - e[i], v + e[i]) : y.push(v); });
      if (bars(t)) y.push(0);
    }
    return { x, y };
  }

  function legend(traces, layout, hidden) {
    const listed = traces.filter(t => t.name && t.showlegend !== false && !maps(t));
    const shown = layout.showlegend === undefined ? listed.length > 1 : layout.showlegend;
    return shown ? listed.map(t => ({ t, faded: hidden.has(t.index) })) : [];
  }

  const entryWidth = e => 44 + plain(e.t.name).length * 6.6;

  // Entries under each other, or in lines as wide as the axes.
  function placeLegend(entries, width, horizontal) {
    let x = 0, y = 0;
    return entries.map(e => {
      if (!horizontal) return { ...e, x: 0, y: (y += 18) - 18 };
      if (x > 0 && x + entryWidth(e) > width) { x = 0; y += 18; }
      return { ...e, x: (x += entryWidth(e)) - entryWidth(e), y };
    });
  }

  function drawLegend(placed, left, top) {
    return placed.map(e => {
      const t = e.t, x = left + e.x, y = top + e.y;
      const dash = t.line && dashes[t.line.dash] ? ` stroke-dasharray="${dashes[t.line.dash]}"` : "";
      const line = bars(t) || !lines(t) ? "" : `<path d="M${x} ${y - 4}h20" stroke="${escape(tint(t))}" stroke-width="2"${dash}/>`;
      const mark = bars(t) ? drawMark({ size: 9, symbol: "square", ...t.marker }, x + 10, y - 4, tint(t))
        : markers(t) ? drawMark({ ...t.marker, size: 7, opacity: 1 }, x + 10, y - 4, tint(t)) : "";
      return `<g data-trace="${t.index}" opacity="${e.faded ? 0.35 : 1}" style="cursor:pointer">${line}${mark}<text x="${x + 26}" y="${y}">${rich(t.name)}</text></g>`;
    }).join("");
  }

  function draw(data, layout, state, width, height) {
    const traces = data.map((t, index) => ({ ...t, index, tint: palette[index % palette.length] }));
    const visible = traces.filter(t => !state.hidden.has(t.index) && t.visible !== false && t.visible !== "legendonly");
    const bar = visible.find(t => maps(t) && t.showscale !== false);
    const entries = legend(traces, layout, state.hidden), below = layout.legend && layout.legend.orientation === "h";
    const beside = entries.length && !below ? Math.max(...entries.map(entryWidth)) : 0;
    const right = width - 26 - (bar ? 62 : 0) - beside, top = plain(layout.title) ? 40 : 16;
    const spread = extents(visible), tight = visible.some(maps) ? 0 : 0.04;
    const x = axis(layout.xaxis || {}, spread.x, visible.some(t => markers(t) || t.error_y) ? tight : 0, state.x);
    const y = axis(layout.yaxis || {}, spread.y, tight, state.y);
    const placed = placeLegend(entries, right - 40, below), lowest = Math.max(0, ...placed.map(e => e.y));
    const bottom = height - (plain(x.title) ? 52 : 28) - (placed.length && below ? 24 + lowest : 0);
    y.start = bottom; y.end = top;
    // Tick labels of y decide where the axes begin.
    const longest = Math.max(1, ...y.ticks().map(([, label]) => text(label).length));
    const left = 14 + (plain(y.title) ? 18 : 0) + longest * 7;
    x.start = left; x.end = right;

    const grid = x.ticks().map(([v, label]) => [x.at(v), label]).filter(([p]) => p >= left - 0.5 && p <= right + 0.5)
      .map(([p, label]) => `<path d="M${p} ${top}V${bottom}" stroke="#e8e8e8"/><text x="${p}" y="${bottom + 16}" text-anchor="middle">${escape(label)}</text>`).join("") +
      y.ticks().map(([v, label]) => [y.at(v), label]).filter(([p]) => p >= top - 0.5 && p <= bottom + 0.5)
        .map(([p, label]) => `<path d="M${left} ${p}H${right}" stroke="#e8e8e8"/><text x="${left - 6}" y="${p + 4}" text-anchor="end">${escape(label)}</text>`).join("");

    const grouped = layout.barmode === "overlay" ? [] : visible.filter(bars);
    let previous = null;
    const marks = visible.map(t => {
      if (maps(t)) return drawHeatmap(t, x, y);
      if (bars(t)) return drawBars(t, x, y, Math.max(0, grouped.indexOf(t)), Math.max(1, grouped.length));
      const drawn = drawScatter(t, x, y, previous);
      previous = drawn.points;
      return drawn.svg;
    }).map(svg => `<g class="trace">${svg}</g>`).join("");

    const clip = `clip-${state.id}`;
    const svg = `<svg width="${width}" height="${height}" viewBox="0 0 ${width} ${height}" font-family="sans-serif" font-size="12" fill="#333">` +
      `<clipPath id="${clip}"><rect x="${left}" y="${top}" width="${right - left}" height="${bottom - top}"/></clipPath>${grid}` +
      `<g clip-path="url(#${clip})">${marks}</g><path d="M${left} ${top}V${bottom}H${right}" stroke="#333" fill="none"/>` +
      `<text x="${width / 2}" y="24" text-anchor="middle" font-size="15">${rich(layout.title)}</text>` +
      `<text x="${(left + right) / 2}" y="${bottom + 38}" text-anchor="middle">${rich(x.title)}</text>` +
      `<text transform="translate(16 ${(top + bottom) / 2}) rotate(-90)" text-anchor="middle">${rich(y.title)}</text>` +
      (bar ? drawColourbar(bar, right + 14, top, bottom - top) : "") +
      `<rect class="pane" x="${left}" y="${top}" width="${right - left}" height="${bottom - top}" fill="transparent"/>` +
      drawLegend(placed, below ? left : right + 18 + (bar ? 62 : 0), below ? height - 10 - lowest : top + 12) + `<g class="hover" pointer-events="none"></g></svg>`;
    return { svg, x, y, visible };
  }

  // ---- In the page: hover, zoom by dragging, double click to return, legend entries as switches ---------------

  function nearest(chart, px, py) {
    let best = null, least = 900;
    for (const t of chart.visible) {
      if (maps(t)) {
        const c = columns(t), r = rows(t), near = (list, a, p) => list.reduce((b, v, i) => Math.abs(a.at(v) - p) < Math.abs(a.at(list[b]) - p) ? i : b, 0);
        const i = near(c, chart.x, px), j = near(r, chart.y, py);
        if (!best) best = { x: c[i], y: r[j], label: finite(t.z[j][i]) ? format(t.z[j][i]) : "" };
        continue;
      }
      if (t.hoverinfo === "none") continue;
      xs(t).forEach((v, i) => {
        const d = (chart.x.at(v) - px) ** 2 + (chart.y.at(t.y[i]) - py) ** 2;
        if (d < least) { least = d; best = { x: v, y: t.y[i], label: text(t.name) }; }
      });
    }
    return best;
  }

  function showHover(group, chart, px, py) {
    const hit = nearest(chart, px, py);
    if (!hit) { group.innerHTML = ""; return; }
    const value = v => typeof v === "number" ? format(v) : v;
    const words = `(${value(hit.x)}, ${value(hit.y)}) ${hit.label}`, w = plain(words).length * 6.8 + 12;
    const hx = chart.x.at(hit.x), hy = chart.y.at(hit.y), bx = hx + w + 12 > chart.x.end ? hx - w - 8 : hx + 8;
    group.innerHTML = `<circle cx="${hx}" cy="${hy}" r="4" fill="none" stroke="#000"/><rect x="${bx}" y="${hy - 22}" width="${w}" height="20" rx="3" fill="#fff" stroke="#888"/>` +
      `<text x="${bx + 6}" y="${hy - 8}">${rich(words)}</text>`;
  }

  function newPlot(id, data, layout) {
    const element = typeof id === "string" ? document.getElementById(id) : id, spec = layout || {};
    const width = spec.width || element.clientWidth || 700, height = spec.height || element.clientHeight || 450;
    const state = { id: element.id, hidden: new Set(), x: null, y: null };
    const refresh = () => {
      const chart = draw(data, spec, state, width, height);
      element.innerHTML = chart.svg;
      const svg = element.firstChild, pane = svg.querySelector(".pane"), hover = svg.querySelector(".hover");
      const at = e => { const box = svg.getBoundingClientRect(); return [e.clientX - box.left, e.clientY - box.top]; };
      let from = null;
      pane.onmousemove = e => showHover(hover, chart, ...at(e));
      pane.onmouseleave = () => { hover.innerHTML = ""; };
      pane.onmousedown = e => { from = at(e); e.preventDefault(); };
      pane.onmouseup = e => {
        const to = at(e);
        if (from && Math.abs(to[0] - from[0]) > 8 && Math.abs(to[1] - from[1]) > 8) {
          state.x = [chart.x.back(Math.min(from[0], to[0])), chart.x.back(Math.max(from[0], to[0]))];
          state.y = [chart.y.back(Math.max(from[1], to[1])), chart.y.back(Math.min(from[1], to[1]))];
          refresh();
        }
        from = null;
      };
      pane.ondblclick = () => { state.x = state.y = null; refresh(); };
      for (const entry of svg.querySelectorAll("[data-trace]"))
        entry.onclick = () => {
          const i = Number(entry.dataset.trace);
          state.hidden.has(i) ? state.hidden.delete(i) : state.hidden.add(i);
          refresh();
        };
    };
    refresh();
  }

  root.Plotly = { newPlot, draw };
})(typeof window === "undefined" ? globalThis : window);
