// Light or dark, before anything is drawn: as it was chosen last, else as the reader's system is.
"use strict";
{
  const root = document.documentElement;
  let chosen = null;
  // A page opened from a file may have no storage.
  try { chosen = localStorage.getItem("theme"); } catch { }
  root.dataset.theme = chosen ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
  addEventListener("click", event => {
    if (!event.target.closest("#theme")) return;
    root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
    try { localStorage.setItem("theme", root.dataset.theme); } catch { }
  });
}
