// Keeps what is chosen for each picture, counts it, and gives it back as the CSV file that juyi settle reads.
(function () {
  "use strict";
  const sheet = JSON.parse(document.getElementById("asked").textContent);
  const cards = [...document.querySelectorAll(".ask")];
  const place = "juyi-settle-" + sheet.tag;
  const status = document.querySelector(".count");
  const bar = document.querySelector("progress");
  let labels = Object.fromEntries(sheet.rows.map((row) => [row.id, row.label]));

  // A browser may forbid a page that lies in a file to remember anything; it then works until it is closed.
  function remembered() {
    try {
      return JSON.parse(localStorage.getItem(place)) || {};
    } catch {
      return {};
    }
  }

  function remember() {
    try {
      localStorage.setItem(place, JSON.stringify(labels));
    } catch {
      return;
    }
  }

  function fields(card) {
    return [...card.querySelectorAll("input, select")];
  }

  function show() {
    cards.forEach((card, i) => {
      const label = labels[sheet.rows[i].id];
      card.classList.toggle("done", label !== "");
      for (const field of fields(card)) {
        if (field.type === "radio") field.checked = field.value === label;
        else field.value = label;
      }
    });
    const done = Object.values(labels).filter((label) => label !== "").length;
    const open = sheet.rows.findIndex((row) => labels[row.id] === "");
    status.textContent = done + " of " + cards.length + " labelled" +
      (open >= 0 && done > open ? ", number " + (open + 1) + " is still open" : "");
    bar.value = done;
    return open;
  }

  function choose(i, label) {
    labels[sheet.rows[i].id] = label;
    remember();
    show();
  }

  function goTo(i) {
    if (i < 0) return;
    const chosen = fields(cards[i]);
    (chosen.find((field) => field.checked) || chosen[0]).focus({ preventScroll: true });
    cards[i].scrollIntoView({ block: "nearest" });
  }

  function nextOpen() {
    return sheet.rows.findIndex((row) => labels[row.id] === "");
  }

  function cell(text) {
    return /[",\r\n]/.test(text) ? '"' + text.replaceAll('"', '""') + '"' : text;
  }

  function download() {
    const lines = sheet.rows.map((row) => [row.id, row.name, labels[row.id]].map(cell).join(","));
    const file = new Blob([["id,name,label", ...lines].join("\n") + "\n"], { type: "text/csv" });
    const link = document.createElement("a");
    link.href = URL.createObjectURL(file);
    link.download = "filled.csv";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10000);
  }

  cards.forEach((card, i) => {
    card.addEventListener("change", (event) => choose(i, event.target.value));
  });
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || event.target.tagName === "SELECT") return;
    const label = sheet.keys[event.key];
    if (label === undefined) return;
    const here = cards.findIndex((card) => card.contains(document.activeElement));
    const i = here >= 0 ? here : nextOpen();
    if (i < 0) return;
    event.preventDefault();
    choose(i, label);
    const later = sheet.rows.findIndex((row, j) => j > i && labels[row.id] === "");
    goTo(later >= 0 ? later : nextOpen());
  });
  document.getElementById("next").addEventListener("click", () => goTo(nextOpen()));
  document.getElementById("download").addEventListener("click", download);
  const before = remembered();
  for (const row of sheet.rows) {
    const label = before[row.id];
    if (row.label === "" && sheet.labels.includes(label)) labels[row.id] = label;
  }
  show();
})();
