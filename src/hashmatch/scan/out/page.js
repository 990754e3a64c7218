
"use strict";
(() => {
  const names = ["kind", "outcome", "reason", "item", "list", "entry", "algorithm", "distance", "view", "classes"];
  const ROW = 28, MORE = 12;
  const rows = JSON.parse(document.getElementById("rows").textContent);
  const at = (id) => document.getElementById(id);
  const view = at("view"), body = at("body"), table = at("matches");
  let shown = rows, sorted = -1, up = true, first = -1;

  const options = (id, column) => {
    for (const value of [...new Set(rows.map((row) => row[column]))].filter((value) => value !== "").sort()) {
      const option = document.createElement("option");
      option.value = option.textContent = value;
      at(id).append(option);
    }
  };

  const draw = (force) => {
    const from = Math.max(0, Math.floor(view.scrollTop / ROW) - MORE);
    if (!force && from === first) return;
    first = from;
    const to = Math.min(shown.length, from + Math.ceil(view.clientHeight / ROW) + 2 * MORE);
    const part = document.createDocumentFragment();
    const gap = (n) => {
      const row = document.createElement("tr");
      row.className = "gap";
      row.setAttribute("aria-hidden", "true");
      row.style.height = n * ROW + "px";
      part.append(row);
    };
    gap(from);
    for (let n = from; n < to; n++) {
      const row = document.createElement("tr");
      row.className = "row";
      row.setAttribute("aria-rowindex", n + 2);
      for (let c = 0; c < names.length; c++) {
        const cell = document.createElement("td");
        const value = shown[n][c] === null ? "" : shown[n][c];
        cell.textContent = value;
        cell.title = value;
        if (c === 7) cell.className = "n";
        row.append(cell);
      }
      part.append(row);
    }
    gap(shown.length - to);
    body.replaceChildren(part);
  };

  const order = (a, b) => {
    const x = a[sorted], y = b[sorted];
    if (typeof x === "number" && typeof y === "number") return x - y;
    if (typeof x === "number" || typeof y === "number") return typeof x === "number" ? -1 : 1;
    return x < y ? -1 : x > y ? 1 : 0;
  };

  const filter = () => {
    const text = at("text").value.toLowerCase(), kind = at("kind").value, list = at("list").value;
    shown = rows.filter((row) => (!kind || row[0] === kind) && (!list || row[4] === list) &&
      (!text || row.some((value) => String(value).toLowerCase().includes(text))));
    if (sorted >= 0) {
      shown.sort(order);
      if (!up) shown.reverse();
    }
    at("count").textContent = shown.length.toLocaleString("en") + " of " + rows.length.toLocaleString("en") + " rows";
    table.setAttribute("aria-rowcount", shown.length + 1);
    view.scrollTop = 0;
    draw(true);
  };

  names.forEach((name, c) => {
    const head = document.createElement("th"), button = document.createElement("button");
    head.scope = "col";
    head.setAttribute("aria-sort", "none");
    button.type = "button";
    button.textContent = name;
    button.addEventListener("click", () => {
      up = sorted === c ? !up : true;
      sorted = c;
      for (const other of at("head").children) other.setAttribute("aria-sort", "none");
      head.setAttribute("aria-sort", up ? "ascending" : "descending");
      filter();
    });
    head.append(button);
    at("head").append(head);
  });
  options("kind", 0);
  options("list", 4);
  let waiting = 0;
  at("text").addEventListener("input", () => { clearTimeout(waiting); waiting = setTimeout(filter, 120); });
  at("kind").addEventListener("change", filter);
  at("list").addEventListener("change", filter);
  document.querySelector(".filters").addEventListener("submit", (event) => event.preventDefault());
  view.addEventListener("scroll", () => requestAnimationFrame(() => draw(false)), { passive: true });
  addEventListener("resize", () => draw(true));
  filter();
})();
