"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const LEVEL = 0.05;
  const PAGE = 25;
  const NAMED = 10; // so many points of a picture can have their names beside them
  const state = {
    measure: data.measures[0], reference: data.systems[0], collection: data.collections[0],
    collections: new Set(data.collections), systems: new Set(data.systems),
    sort: null, descending: true, find: "", listed: PAGE, open: null,
  };
  const $ = (id) => document.getElementById(id);

  // Texts only ever become text nodes, so nothing in the data is read as HTML.
  function make(name, attributes, ...children) {
    const element = document.createElement(name);
    for (const [key, value] of Object.entries(attributes || {})) {
      if (key.startsWith("on")) element.addEventListener(key.slice(2), value);
      else element.setAttribute(key, value);
    }
    element.append(...children);
    return element;
  }
  function draw(name, attributes, text) {
    const element = document.createElementNS("http://www.w3.org/2000/svg", name);
    for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
    if (text !== undefined) element.textContent = text;
    return element;
  }
  function fill(id, ...children) { $(id).replaceChildren(...children); }
  const key = (collection, system, measure) => JSON.stringify([collection, system, measure]);

  const rows = new Map(data.rows.map((row) => [key(row.collection, row.system, row.measure), row]));
  const cell = (collection, system) => rows.get(key(collection, system, state.measure));
  const shownSystems = () => data.systems.filter((name) => state.systems.has(name));
  const shownCollections = () => data.collections.filter((name) => state.collections.has(name));
  const colour = (system) => "c" + (data.systems.indexOf(system) % 8);
  const number = (value, digits) => value.toLocaleString("en", {
    minimumFractionDigits: digits, maximumFractionDigits: digits,
  });
  const probability = (p) => (p < 0.001 ? "p < 0.001" : "p = " + p.toFixed(3));

  function choice(id, names, field, then) {
    const select = $(id);
    select.append(...names.map((name) => make("option", { value: name }, name)));
    select.addEventListener("change", () => { state[field] = select.value; then(); });
  }
  function boxes(id, names, chosen) {
    fill(id, ...names.map((name) => {
      const box = make("input", { type: "checkbox", value: name });
      box.checked = true;
      box.addEventListener("change", () => {
        if (box.checked) chosen.add(name); else chosen.delete(name);
        render();
      });
      return make("label", {}, box, name);
    }));
  }

  function ordered(names) {
    if (state.sort === null) return names;
    const sign = state.descending ? -1 : 1;
    if (state.sort === "") {
      return [...names].sort((a, b) => sign * a.localeCompare(b));
    }
    const value = (name) => (cell(name, state.sort) || { value: -Infinity }).value;
    return [...names].sort((a, b) => sign * (value(a) - value(b)));
  }
  function heading(label, column) {
    const sorted = state.sort === column;
    const direction = sorted ? (state.descending ? "descending" : "ascending") : "none";
    const button = make("button", { type: "button", onclick: () => {
      state.descending = sorted ? !state.descending : column !== "";
      state.sort = column;
      renderTable();
    } }, label);
    return make("th", { scope: "col", "aria-sort": direction }, button);
  }
  function quality(collection, system, best) {
    const row = cell(collection, system);
    if (!row) return make("td", {}, "–");
    const found = make("span", { class: row.value === best ? "value best" : "value" },
      row.value.toFixed(4));
    const inside = make("td", {}, found);
    const mark = (((data.marks[state.reference] || {})[state.measure] || {})[collection]
      || {})[system];
    if (mark) {
      const [difference, p] = mark;
      const said = (difference >= 0 ? "+" : "") + difference.toFixed(4) + " against "
        + state.reference + ", " + probability(p);
      inside.setAttribute("title", said);
      if (p <= LEVEL) {
        const better = difference > 0;
        found.append(make("span", { class: better ? "better" : "worse", role: "img",
          "aria-label": said }, better ? " ▲" : " ▼"));
      }
    }
    if (row.low !== null && row.high !== null) {
      inside.append(make("span", { class: "interval" },
        row.low.toFixed(3) + "–" + row.high.toFixed(3)));
    }
    return inside;
  }
  function renderTable() {
    const systems = shownSystems();
    const names = ordered(shownCollections());
    const head = make("thead", {}, make("tr", {}, heading("collection", ""),
      ...systems.map((system) => heading(system, system))));
    const body = make("tbody", {}, ...names.map((name) => {
      const values = systems.map((s) => cell(name, s)).filter(Boolean).map((r) => r.value);
      const best = Math.max(...values);
      const queries = systems.map((s) => cell(name, s)).filter(Boolean).map((r) => r.queries);
      const title = make("th", { scope: "row" }, name);
      if (queries.length) {
        title.append(make("span", { class: "interval" },
          number(Math.max(...queries), 0) + (Math.max(...queries) === 1 ? " query" : " queries")));
      }
      return make("tr", {}, title, ...systems.map((system) => quality(name, system, best)));
    }));
    const parts = [head, body];
    const full = systems.length && names.length > 1
      && systems.every((system) => names.every((name) => cell(name, system)));
    if (full) {
      const mean = (system) => names.reduce((sum, name) => sum + cell(name, system).value, 0)
        / names.length;
      parts.push(make("tfoot", {}, make("tr", {}, make("th", { scope: "row" }, "mean"),
        ...systems.map((system) => make("td", {}, mean(system).toFixed(4))))));
    }
    fill("table", ...parts);
    $("legend").textContent = "Small figures: 95 % confidence interval (BCa bootstrap over queries). "
      + "▲ ▼: better or worse than " + state.reference + ", p ≤ 0.05 (paired randomisation test, "
      + "Holm-corrected over all systems and collections). Bold: the highest value in the row.";
  }

  function ticks(low, high) {
    const found = [];
    for (let power = Math.floor(Math.log10(low)); power <= Math.ceil(Math.log10(high)); power++) {
      for (const step of [1, 2, 5]) {
        const value = step * 10 ** power;
        if (value >= low && value <= high) found.push(value);
      }
    }
    if (found.length <= 6) return found;
    return found.filter((value) => Number.isInteger(Math.round(Math.log10(value) * 1e6) / 1e6));
  }
  function short(value) {
    if (value >= 1e6) return value / 1e6 + "M";
    return value >= 1e3 ? value / 1e3 + "k" : String(+value.toPrecision(3));
  }
  // A crowd of points goes by numbers and without intervals, which leaves it more room.
  function plot(id, field, crowded = false) {
    const points = [];
    for (const system of shownSystems()) {
      const row = cell(state.collection, system);
      const cost = data.efficiency.find((found) => found.system === system
        && found.collection === state.collection);
      if (row && cost && cost[field] > 0) points.push({ system, row, x: cost[field] });
    }
    if (!points.length) {
      fill(id, make("p", { class: "faint" }, "not measured on this collection"));
      return;
    }
    const [width, height, left, right, top, bottom] = [440, 280, 44, 12, 12, 28];
    const xs = points.map((p) => p.x);
    const ends = points.flatMap(({ row }) => (crowded ? [row.value]
      : [row.low ?? row.value, row.high ?? row.value]));
    const [x0, x1] = [Math.min(...xs) / 1.6, Math.max(...xs) * 1.6];
    const pad = Math.max(0.01, (Math.max(...ends) - Math.min(...ends)) * 0.08);
    const [y0, y1] = [Math.min(...ends) - pad, Math.max(...ends) + pad];
    const atX = (x) => left + (width - left - right) * Math.log(x / x0) / Math.log(x1 / x0);
    const atY = (y) => height - bottom - (height - top - bottom) * (y - y0) / (y1 - y0);
    const svg = draw("svg", { viewBox: `0 0 ${width} ${height}`, role: "img",
      "aria-label": points.map((p) => `${p.system}: ${state.measure} ${p.row.value.toFixed(4)} `
        + `at ${short(p.x)}`).join("; ") });
    for (const x of ticks(x0, x1)) {
      svg.append(draw("line", { class: "grid", x1: atX(x), x2: atX(x), y1: top, y2: height - bottom }),
        draw("text", { x: atX(x), y: height - 9, "text-anchor": "middle" }, short(x)));
    }
    const step = [0.01, 0.02, 0.05, 0.1, 0.2, 0.5].find((s) => (y1 - y0) / s <= 6) || 1;
    for (let y = Math.ceil(y0 / step) * step; y <= y1; y += step) {
      svg.append(draw("line", { class: "grid", x1: left, x2: width - right, y1: atY(y), y2: atY(y) }),
        draw("text", { x: left - 6, y: atY(y) + 4, "text-anchor": "end" }, y.toFixed(2)));
    }
    const text = (point) => (crowded ? String(ordinal(point.system)) : point.system);
    const placed = labels(points, text, atX, atY, width, height - bottom);
    if (!crowded && (!placed.clear || points.length > NAMED)) {
      plot(id, field, true);
      return;
    }
    for (const point of points) {
      const [x, y] = [atX(point.x), atY(point.row.value)];
      if (!crowded && point.row.low !== null && point.row.high !== null) {
        svg.append(draw("line", { class: "whisker " + colour(point.system), x1: x, x2: x,
          y1: atY(point.row.low), y2: atY(point.row.high) }));
      }
      svg.append(draw("circle", { class: colour(point.system), cx: x, cy: y, r: 5 }));
    }
    svg.append(...placed.drawn);
    fill(id, svg, ...(crowded ? [legend(points)] : []));
  }
  const ordinal = (system) => data.systems.indexOf(system) + 1;
  // What the numbers stand for, best first.
  function legend(points) {
    const best = [...points].sort((a, b) => b.row.value - a.row.value);
    return make("ol", { class: "key" }, ...best.map(({ system }) =>
      make("li", { value: String(ordinal(system)), class: colour(system) },
        make("span", {}, system))));
  }
  // Names where there is room: beside, above or below their points, with a line to those far off.
  // They are clear where none covers another or a point; else numbers are put in their place.
  function labels(points, text, atX, atY, width, floor) {
    const taken = points.map((p) => {
      const [x, y] = [atX(p.x), atY(p.row.value)];
      return { left: x - 6, right: x + 6, top: y - 6, bottom: y + 6 };
    });
    const clash = (a) => taken.reduce((sum, b) => sum
      + Math.max(0, Math.min(a.right, b.right) - Math.max(a.left, b.left))
      * Math.max(0, Math.min(a.bottom, b.bottom) - Math.max(a.top, b.top)), 0)
      + 100 * (Math.max(0, 2 - a.left) + Math.max(0, a.right - width + 2)
        + Math.max(0, 2 - a.top) + Math.max(0, a.bottom - floor));
    let clear = true;
    const [lines, names] = [[], []];
    for (const point of points) {
      const [x, y] = [atX(point.x), atY(point.row.value)];
      const long = text(point).length * 6.6 + 3;
      const boxes = [];
      for (const down of [0, -16, 16, -30, 30, -44, 44, -58, 58]) {
        for (const aside of [9, 24, 40]) {
          for (const left of [x + aside, x - aside - long, x - long / 2]) {
            boxes.push({ left, right: left + long, top: y + down - 8, bottom: y + down + 6 });
          }
        }
      }
      const found = boxes.reduce((best, box) => (clash(box) < clash(best) - 0.5 ? box : best));
      clear = clear && clash(found) < 12;
      taken.push(found);
      const middle = [(found.left + found.right) / 2, found.top + 7];
      if (Math.abs(middle[1] - y) > 18 || Math.abs(middle[0] - x) > long / 2 + 12) {
        const end = Math.min(Math.max(x, found.left), found.right);
        lines.push(draw("line", { class: "leader", x1: x, y1: y, x2: end, y2: middle[1] }));
      }
      names.push(draw("text", { class: "name", x: middle[0], y: found.top + 12,
        "text-anchor": "middle" }, text(point)));
    }
    return { clear, drawn: [...lines, ...names] };
  }
  const COSTS = [["build_s", "build s", 1], ["tokens_per_s", "tokens/s", 0],
    ["index_bytes_per_document", "bytes/document", 0], ["qps", "queries/s", 1],
    ["p50_ms", "p50 ms", 1], ["p95_ms", "p95 ms", 1], ["p99_ms", "p99 ms", 1],
    ["peak_rss_mb", "peak MB", 0]];
  function renderCost() {
    plot("latency", "p50_ms");
    plot("size", "index_bytes_per_document");
    const shown = data.efficiency.filter((cost) => cost.collection === state.collection
      && state.systems.has(cost.system));
    fill("efficiency",
      make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "system"),
        ...COSTS.map(([, title]) => make("th", { scope: "col" }, title)))),
      make("tbody", {}, ...shown.map((cost) => make("tr", {},
        make("th", { scope: "row" }, cost.system),
        ...COSTS.map(([name, , digits]) => make("td", {},
          cost[name] === null ? "–" : number(cost[name], digits)))))));
  }

  const WORD = /([\p{L}\p{N}]+)/u;
  const common = new Map();
  // Words in more than a third of a collection's passages tell nothing: "the", "der", "what".
  function commonWords(drill) {
    if (!common.has(drill)) {
      const texts = Object.values(drill.documents);
      const counts = new Map();
      for (const text of texts) {
        for (const word of new Set(text.toLowerCase().split(WORD))) {
          counts.set(word, (counts.get(word) || 0) + 1);
        }
      }
      common.set(drill, new Set(texts.length < 20 ? []
        : [...counts].filter(([, n]) => n > texts.length / 3).map(([word]) => word)));
    }
    return common.get(drill);
  }
  // The words of a query, whole, in any case.
  function highlighted(text, query, drill) {
    const words = (query || "").toLowerCase().match(/[\p{L}\p{N}]{2,}/gu) || [];
    const known = new Set(words.filter((word) => !commonWords(drill).has(word)));
    return text.split(WORD).map((part) =>
      (known.has(part.toLowerCase()) ? make("mark", {}, part) : part));
  }
  function passages(query, drill) {
    const sides = shownSystems().filter((system) => query.ranked[system]).map((system) =>
      make("div", {}, make("h3", {}, system), make("ol", {},
        ...query.ranked[system].map(([id, score, grade]) => {
          const head = make("div", { class: "head" }, id + "  " + number(score, 3));
          if (grade !== null) {
            head.append(make("span", { class: grade > 0 ? "relevant" : "" },
              grade > 0 ? "  ✓ relevant (" + grade + ")" : "  judged not relevant"));
          }
          const text = drill.documents[id];
          return make("li", {}, head, ...(text ? highlighted(text, query.text, drill) : []));
        }))));
    return sides.length ? make("div", { class: "sides" }, ...sides)
      : make("p", { class: "faint" }, "no ranking was kept for this query");
  }
  function renderDrill() {
    const drill = data.drills[state.collection];
    if (!drill) return;
    const systems = shownSystems();
    const wanted = state.find.trim().toLowerCase();
    const at = data.measures.indexOf(state.measure);
    const values = (query) => systems.map((s) =>
      (query.values[data.systems.indexOf(s)] || [])[at]);
    const spread = (query) => {
      const found = values(query).filter((value) => value !== undefined);
      return found.length ? Math.max(...found) - Math.min(...found) : 0;
    };
    const found = drill.queries
      .filter((q) => !wanted || (q.id + " " + (q.text || "")).toLowerCase().includes(wanted))
      .map((query) => [spread(query), query]).sort((a, b) => b[0] - a[0])
      .map(([, query]) => query);
    const listed = found.slice(0, state.listed);
    $("shown").textContent = `${number(found.length, 0)} of ${number(drill.total, 0)} queries, `
      + `those on which the systems differ most first; at most ${data.limits.queries} are kept here, `
      + `${data.limits.passages} of them with their rankings. Choose one to see what was found.`;
    const body = make("tbody");
    for (const query of listed) {
      const open = state.open === query.id;
      const best = Math.max(...values(query).filter((value) => value !== undefined));
      const toggle = () => { state.open = open ? null : query.id; renderDrill(); };
      const name = make("button", { type: "button", "aria-expanded": String(open), onclick: toggle },
        query.text || query.id);
      const title = make("th", { scope: "row" }, name);
      if (query.text) title.append(make("span", { class: "interval" }, query.id));
      body.append(make("tr", {}, title, ...values(query).map((value) =>
        make("td", { class: value === best ? "best" : "" },
          value === undefined ? "–" : value.toFixed(3)))));
      if (open) {
        body.append(make("tr", {}, make("td", { class: "open", colspan: systems.length + 1 },
          passages(query, drill))));
      }
    }
    fill("drill", make("thead", {}, make("tr", {}, make("th", { scope: "col" }, "query"),
      ...systems.map((system) => make("th", { scope: "col" }, system)))), body);
    $("more").hidden = found.length <= listed.length;
  }

  function renderProtocols() {
    fill("protocols", ...Object.entries(data.protocols).map(([name, facts]) =>
      make("details", {}, make("summary", {}, name),
        make("dl", {}, ...facts.flatMap(([what, how]) =>
          [make("dt", {}, what), make("dd", {}, how)])))));
  }
  function render() { renderTable(); renderCost(); renderDrill(); }

  const listed = (facts) => Object.entries(facts).map((pair) => pair.join(" "));
  $("facts").textContent = [data.created, ...listed(data.machine), ...listed(data.versions)]
    .join(" · ");
  choice("measure", data.measures, "measure", render);
  choice("reference", data.systems, "reference", renderTable);
  choice("collection", data.collections, "collection", () => {
    Object.assign(state, { open: null, listed: PAGE });
    renderCost();
    renderDrill();
  });
  boxes("collections", data.collections, state.collections);
  boxes("systems", data.systems, state.systems);
  $("find").addEventListener("input", () => {
    Object.assign(state, { find: $("find").value, listed: PAGE });
    renderDrill();
  });
  $("more").addEventListener("click", () => { state.listed += PAGE; renderDrill(); });
  for (const form of document.forms) form.addEventListener("submit", (e) => e.preventDefault());
  fill("failed", ...Object.entries(data.failed).map(([name, why]) =>
    make("li", {}, make("strong", { class: "worse" }, name), " failed: " + why)));
  renderProtocols();
  render();
})();
