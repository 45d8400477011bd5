"use strict";
// Rows are shown, hidden and put in order where they are. Their details were escaped when the page was
// written, and become elements when they are opened.
(() => {
  const body = document.querySelector("#rows tbody");
  const rows = [...body.rows];
  const heads = [...document.querySelectorAll("#rows > thead th[data-column]")];
  const search = document.getElementById("search");
  const noted = document.getElementById("noted");
  const boxes = [...document.querySelectorAll("input[name=status]")];
  const shown = document.getElementById("shown");
  const detailOf = new Map();

  function toggle(row) {
    const button = row.querySelector(".open");
    const opens = button.getAttribute("aria-expanded") !== "true";
    button.setAttribute("aria-expanded", String(opens));
    if (!opens) {
      detailOf.get(row).remove();
      detailOf.delete(row);
      return;
    }
    const detail = document.createElement("tr");
    const cell = detail.insertCell();
    detail.className = "detail";
    cell.colSpan = row.cells.length;
    cell.innerHTML = row.querySelector("script").textContent;
    row.after(detail);
    detailOf.set(row, detail);
    follow(cell);
  }

  // A line in the curves goes with the video; a click in a curve goes to its time.
  function follow(cell) {
    const video = cell.querySelector("video");
    const charts = cell.querySelector(".timed");
    if (!video || !charts) return;
    video.addEventListener("timeupdate", () => {
      charts.style.setProperty("--now", video.duration ? video.currentTime / video.duration : 0);
    });
    charts.addEventListener("click", (event) => {
      const plot = event.target.closest(".plot");
      if (!plot || !video.duration) return; // nothing is loaded before it plays
      const place = plot.getBoundingClientRect();
      video.currentTime = video.duration * (event.clientX - place.left) / place.width;
    });
  }

  function filter() {
    const words = search.value.toLowerCase().split(/\s+/).filter(Boolean);
    const wanted = new Set(boxes.filter((box) => box.checked).map((box) => box.value));
    let count = 0;
    for (const row of rows) {
      const fits = wanted.has(row.dataset.status) && (!noted.checked || "noted" in row.dataset)
        && words.every((word) => row.dataset.words.includes(word));
      row.hidden = !fits;
      if (detailOf.has(row)) detailOf.get(row).hidden = !fits;
      count += fits;
    }
    shown.textContent = `${count} of ${rows.length} rows`;
  }

  function sort(head) {
    const column = Number(head.dataset.column) + 1;
    const down = head.getAttribute("aria-sort") === "ascending";
    const isNumber = head.classList.contains("number");
    const values = new Map(rows.map((row) => [row, row.cells[column].dataset.value]));
    const compare = (one, other) => {
      const [a, b] = [values.get(one), values.get(other)];
      if (a === "" || b === "") return (a === "") - (b === "");
      const order = isNumber ? a - b : a.localeCompare(b, undefined, { numeric: true });
      return down ? -order : order;
    };
    const page = document.createDocumentFragment();
    for (const row of rows.sort(compare)) {
      page.append(row);
      if (detailOf.has(row)) page.append(detailOf.get(row));
    }
    body.append(page);
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  function theme() {
    const root = document.documentElement;
    const dark = root.dataset.theme ? root.dataset.theme === "dark"
      : matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "light" : "dark";
    say();
  }

  function say() {
    const set = document.documentElement.dataset.theme;
    const dark = set ? set === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
    document.getElementById("theme").setAttribute("aria-pressed", String(dark));
  }

  body.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (button) toggle(button.closest("tr"));
  });
  heads.forEach((head) => head.firstElementChild.addEventListener("click", () => sort(head)));
  [search, noted, ...boxes].forEach((input) => input.addEventListener("input", filter));
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("theme").addEventListener("click", theme);
  say();
  if (rows.length === 1) toggle(rows[0]);
})();
