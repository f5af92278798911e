"use strict";
(() => {
  const panel = document.querySelector("aside");
  const told = document.getElementById("told");
  const rows = [...document.querySelectorAll(".row")];
  let chosen = null;

  // What a row tells lies in a template beside it, written and escaped by claudebox: it is cloned, never parsed again.
  const choose = (row) => {
    if (chosen) chosen.setAttribute("aria-pressed", "false");
    chosen = row;
    row.setAttribute("aria-pressed", "true");
    told.replaceChildren(row.nextElementSibling.content.cloneNode(true));
    panel.className = [...row.classList].filter((name) => name !== "row" && name !== "hit").join(" ") + " open";
    panel.scrollTop = 0;
  };
  for (const row of rows) row.addEventListener("click", () => choose(row));
  document.querySelector(".close").addEventListener("click", () => panel.classList.remove("open"));

  const field = document.querySelector("input[type=search]");
  const items = [...document.querySelectorAll("li.item")];
  const groups = [...document.querySelectorAll(".group")];
  const lines = [...document.querySelectorAll("tr")];
  const sections = [...document.querySelectorAll("section")];
  const folds = [...document.querySelectorAll("ul.tree details")];
  const usual = new Map(folds.map((fold) => [fold, fold.open]));
  const search = () => {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    let found = 0;
    for (const item of items) item.classList.add("gone");
    for (const item of items) {
      const row = item.querySelector(".row");
      const hit = words.every((word) => item.dataset.text.includes(word));
      row.classList.toggle("hit", hit && words.length > 0);
      if (!hit) continue;
      found += 1;
      for (let up = item; up; up = up.parentElement.closest("li.item")) up.classList.remove("gone");
    }
    for (const line of lines) {
      const text = line.textContent.toLowerCase();
      const hit = words.every((word) => text.includes(word));
      line.classList.toggle("gone", !hit);
      if (hit) found += 1;
    }
    for (const fold of folds) fold.open = words.length > 0 || usual.get(fold);
    for (const group of groups) group.classList.toggle("gone", !group.nextElementSibling.querySelector("li.item:not(.gone)"));
    for (const section of sections) section.classList.toggle("gone", !section.querySelector("li.item:not(.gone), tr:not(.gone)"));
    document.body.classList.toggle("empty", found === 0);
  };
  field.addEventListener("input", search);
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && document.activeElement !== field) {
      event.preventDefault();
      field.focus();
    } else if (event.key === "Escape") {
      if (field.value) { field.value = ""; search(); }
      panel.classList.remove("open");
    }
  });

  // A link to one thing: page.html#/path or page.html#NAME.
  const wanted = decodeURIComponent(location.hash.slice(1));
  const row = wanted && rows.find((row) => row.dataset.name === wanted);
  if (row) {
    for (let up = row.closest("details"); up; up = up.parentElement.closest("details")) up.open = true;
    choose(row);
    row.scrollIntoView({ block: "center" });
  }
})();
