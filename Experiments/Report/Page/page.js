// The frame of the page: theme, menu, where the reader is.
"use strict";

const root = document.documentElement;
const remember = theme => { try { localStorage.setItem("theme", theme); } catch { /* a file may have no storage */ } };
const remembered = () => { try { return localStorage.getItem("theme"); } catch { return null; } };
root.dataset.theme = remembered() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
document.querySelector("#theme").addEventListener("click", () => {
  root.dataset.theme = root.dataset.theme === "dark" ? "light" : "dark";
  remember(root.dataset.theme);
});

const nav = document.querySelector("nav");
document.querySelector("#menu").addEventListener("click", () => nav.classList.toggle("open"));
nav.addEventListener("click", event => event.target.closest("a") && nav.classList.remove("open"));
