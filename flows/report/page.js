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
  const grid = document.getElementById("grid");
  const list = document.getElementById("list");
  const views = [...document.querySelectorAll("input[name=view]")];
  const cardOf = new Map();
  const THEMES = ["system", "light", "dark"];

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
    pair(cell);
  }

  // A dubbed film goes with its video, and both begin a shot where its button says.
  function pair(cell) {
    const [video, film] = cell.querySelectorAll(".pair video");
    if (!film) return;
    const meet = () => {
      if (Math.abs(film.currentTime - video.currentTime) > 0.1) film.currentTime = video.currentTime;
    };
    video.addEventListener("play", () => film.play().catch(() => {})); // it may not be playable here
    video.addEventListener("pause", () => film.pause());
    video.addEventListener("ratechange", () => { film.playbackRate = video.playbackRate; });
    for (const event of ["play", "pause", "seeked", "timeupdate"]) video.addEventListener(event, meet);
    cell.addEventListener("click", (event) => {
      const button = event.target.closest(".seek");
      if (!button) return;
      video.currentTime = Number(button.dataset.start);
      video.play().catch(() => {});
    });
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
      if (cardOf.has(row)) cardOf.get(row).hidden = !fits;
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
    for (const row of rows) if (cardOf.has(row)) grid.append(cardOf.get(row));
    for (const other of heads) other.removeAttribute("aria-sort");
    head.setAttribute("aria-sort", down ? "descending" : "ascending");
  }

  // Cards are made when the grid is first shown: a page of many rows opens without them.
  function showGrid() {
    for (const row of rows) if (!cardOf.has(row)) cardOf.set(row, makeCard(row));
    grid.append(...rows.map((row) => cardOf.get(row)));
    filter();
  }

  function element(name, className, ...children) {
    const made = document.createElement(name);
    if (className) made.className = className;
    made.append(...children);
    return made;
  }

  function makeCard(row) {
    const screen = element("span", "screen");
    const poster = /poster="(data:image[^"]+)"/.exec(row.querySelector("script").textContent);
    if (poster) {
      const image = element("img");
      image.alt = "";
      image.decoding = "async";
      image.src = poster[1];
      screen.append(image);
    }
    const badge = row.querySelector(".badge").cloneNode(true);
    const name = element("b", "", row.querySelector(".open").textContent);
    const why = element("span", "why", row.dataset.status === "ready" ? "" : row.dataset.reason);
    const button = element("button", "", screen, element("span", "said", name, badge, why));
    button.type = "button";
    button.addEventListener("click", () => openRow(row));
    if (row.dataset.video) {
      for (const event of ["mouseenter", "focus"]) button.addEventListener(event, () => play(screen, row));
      for (const event of ["mouseleave", "blur"]) button.addEventListener(event, () => stop(screen));
    }
    return element("li", "", button);
  }

  function play(screen, row) {
    if (screen.querySelector("video") || matchMedia("(prefers-reduced-motion: reduce)").matches) return;
    const video = element("video");
    Object.assign(video, { muted: true, loop: true, playsInline: true, src: row.dataset.video });
    video.setAttribute("aria-hidden", "true");
    screen.append(video);
    video.play().catch(() => video.remove()); // it has left, or cannot be played here
  }

  function stop(screen) {
    screen.querySelector("video")?.remove();
  }

  function openRow(row) {
    views[0].checked = true;
    show();
    if (!detailOf.has(row)) toggle(row);
    row.scrollIntoView();
    row.querySelector(".open").focus();
  }

  function show() {
    const isGrid = views[1].checked;
    if (isGrid) showGrid();
    grid.hidden = !isGrid;
    list.hidden = isGrid;
  }

  function themeNow() {
    return document.documentElement.dataset.theme ?? "system";
  }

  function setTheme(name) {
    if (name === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = name;
    document.getElementById("theme").textContent = `Theme: ${name}`;
  }

  function kept(name) {
    try { // a browser may keep nothing for a file of the disk
      if (name) localStorage.setItem("sonic-theme", name);
      return localStorage.getItem("sonic-theme") ?? "system";
    } catch {
      return "system";
    }
  }

  function nextTheme() {
    const next = THEMES[(THEMES.indexOf(themeNow()) + 1) % THEMES.length];
    setTheme(next);
    kept(next);
  }

  body.addEventListener("click", (event) => {
    const button = event.target.closest(".open");
    if (button) toggle(button.closest("tr"));
  });
  heads.forEach((head) => head.firstElementChild.addEventListener("click", () => sort(head)));
  [search, noted, ...boxes].forEach((input) => input.addEventListener("input", filter));
  document.getElementById("tools").addEventListener("submit", (event) => event.preventDefault());
  document.getElementById("theme").addEventListener("click", nextTheme);
  views.forEach((view) => view.addEventListener("change", show));
  setTheme(THEMES.includes(kept()) ? kept() : "system");
  if (rows.length === 1) toggle(rows[0]);
})();
