// The frame of the page: contents, where the reader is, search, and the verdicts that are shown.
"use strict";

{
  const nav = document.querySelector("nav");
  document.querySelector("#menu").addEventListener("click", () => nav.classList.toggle("open"));
  nav.addEventListener("click", event => event.target.closest("a") && nav.classList.remove("open"));

  // The link of the last part whose heading has passed the bar.
  const parts = [...nav.querySelectorAll("a")].map(link => ({ link, part: document.getElementById(link.hash.slice(1)) }))
    .filter(({ part }) => part);
  let waiting = false;
  function mark() {
    waiting = false;
    const here = parts.filter(({ part }) => part === document.body || part.getBoundingClientRect().top < 120).pop();
    for (const { link } of parts) link.classList.toggle("here", link === here?.link);
    here?.link.scrollIntoView({ block: "nearest" });
  }
  addEventListener("scroll", () => {
    if (!waiting) requestAnimationFrame(mark);
    waiting = true;
  }, { passive: true });
  mark();

  // Everything that has a name, with its kind and its place.
  const kinds = { question: "question", equation: "equation", implementation: "function", law: "law" };
  const entries = [...document.querySelectorAll("[data-title]")].map(part => ({
    kind: kinds[part.className], text: part.dataset.title,
    place: part.id || part.closest("[id]").id,
  })).concat(
    [...document.querySelectorAll("figure, main table[id]")].map(part => ({
      kind: part.tagName.toLowerCase(), place: part.id,
      text: part.querySelector("figcaption, caption")?.textContent ?? "",
    })).filter(entry => entry.text),
    [...document.querySelectorAll("#runs-table tbody tr")].map(row => ({
      kind: "run", text: row.cells[1].textContent, place: `runs?id=${row.id.slice(4)}`,
    })));

  const input = document.querySelector("header input"), found = document.querySelector("#found");
  let chosen = 0;
  function search() {
    const words = input.value.toLowerCase().split(/\s+/).filter(Boolean);
    const hits = words.length ? entries.filter(({ text, kind }) => words.every(word => `${kind} ${text}`.toLowerCase().includes(word))) : [];
    chosen = 0;
    found.replaceChildren(...hits.slice(0, 30).map(({ kind, text, place }, i) => {
      const link = Object.assign(document.createElement("a"), { href: "#" + place, className: i ? "" : "chosen" });
      link.append(Object.assign(document.createElement("small"), { textContent: kind }), text.length > 90 ? text.slice(0, 90) + "…" : text);
      return Object.assign(document.createElement("li"), { innerHTML: "" }).appendChild(link).parentElement;
    }));
  }
  function close() {
    input.value = "";
    found.replaceChildren();
    input.blur();
  }
  input.addEventListener("input", search);
  input.addEventListener("keydown", event => {
    const links = [...found.querySelectorAll("a")];
    const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
    if (step && links.length) {
      links[chosen].classList.remove("chosen");
      chosen = (chosen + step + links.length) % links.length;
      links[chosen].classList.add("chosen");
      links[chosen].scrollIntoView({ block: "nearest" });
      event.preventDefault();
    }
    if (event.key === "Enter") links[chosen]?.click();
    if (event.key === "Escape") close();
  });
  found.addEventListener("click", event => event.target.closest("a") && close());
  document.addEventListener("click", event => event.target.closest(".search") || found.replaceChildren());
  document.addEventListener("keydown", event => {
    if (event.key !== "/" || event.target.matches("input, select, textarea")) return;
    event.preventDefault();
    input.focus();
  });

  // A verdict shows its claims alone, and all again when it is pressed again.
  document.addEventListener("click", event => {
    const verdict = event.target.closest("[data-verdict]")?.dataset.verdict, table = document.querySelector("#replication");
    if (!verdict) return;
    const alone = table.dataset.show === verdict ? "" : verdict;
    table.dataset.show = alone;
    for (const row of table.tBodies[0].rows) row.hidden = alone !== "" && !row.classList.contains(alone);
    for (const link of document.querySelectorAll("[data-verdict]")) link.classList.toggle("on", link.dataset.verdict === alone);
  });
}
