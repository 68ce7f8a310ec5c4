"use strict";

const WAIT_MS = 120; // of no typing, before a query is sent
const HITS = 20;
const LINES = 6; // shown of a hit
const AROUND = 100000; // characters shown around a passage of a long document
const EXPLAIN_MS = 250; // of no typing, before it is asked what late interaction matched
const LEAST = 0.35, STRONG = 0.65; // of the strongest match: what is marked, and what is more so
const TOKEN = "retrieval-token";

const at = (id) => document.getElementById(id);
const query = at("query"), hits = at("hits"), said = at("said"), index = at("index");

let timer = 0, later = 0;
let searching = null; // what cancels the search under way
let reading = null;
let found = [];
let chosen = -1;
let filters = []; // of metadata: [key, value]
let explains = true; // whether the index can say what its tokens matched

// Document text is shown as text only. What would reorder a line or is no character is replaced.
const UNSAFE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
const safe = (text) => text.replace(UNSAFE, "\ufffd");

function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text) made.textContent = safe(text);
  return made;
}

async function ask(path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const method = body ? "POST" : "GET";
  const answer = await fetch(path, { method, headers, signal, body: body && JSON.stringify(body) });
  const value = await answer.json();
  if (answer.status === 401) at("login").hidden = false;
  if (!answer.ok) throw new Error(value.detail);
  return value;
}

const under = (path) => `/v1/indexes/${encodeURIComponent(index.value || "default")}/${path}`;

// How strongly each character of a text is marked, 0 to 3. Spans are in code points, as Python
// counts them: words of the query, and tokens that late interaction found for those of the query.
function strengths(hit, count) {
  const levels = new Uint8Array(count);
  const raise = (start, end, level) => {
    for (let at = Math.max(0, start); at < Math.min(end, count); at++)
      levels[at] = Math.max(levels[at], level);
  };
  const most = Math.max(0, ...(hit.explain ?? []).map((match) => match.score));
  for (const { passage_span: span, passage_token: token, score } of hit.explain ?? []) {
    if (span && /[\p{L}\p{N}]/u.test(token) && score >= LEAST * most)
      raise(...span, score >= STRONG * most ? 2 : 1);
  }
  for (const [start, end] of hit.highlights) raise(start, end, 3);
  return levels;
}

function marked(parent, points, levels, start, end) {
  for (let from = start, to; from < end; from = to) {
    for (to = from + 1; to < end && levels[to] === levels[from];) to++;
    const text = points.slice(from, to).join("");
    parent.append(levels[from] ? element("mark", `m${levels[from]}`, text) : safe(text));
  }
}

// The lines that hold most of what matched: [start, end) in code points.
function window_of(points, levels) {
  const starts = [0];
  points.forEach((point, place) => { if (point === "\n") starts.push(place + 1); });
  let best = 0, most = 0;
  for (let line = 0; line < starts.length; line++) {
    const end = starts[line + LINES] ?? points.length;
    let count = 0;
    for (let at = starts[line]; at < end; at++) count += levels[at];
    if (count > most) [best, most] = [line, count];
  }
  let start = starts[best];
  while (points[start] === "\n") { start++; best++; }
  let end = starts[best + LINES] ?? points.length;
  while (end > start && points[end - 1] === "\n") end--;
  return [start, end, best];
}

function shown(hit, place) {
  const points = Array.from(hit.text);
  const levels = strengths(hit, points.length);
  const [start, end, line] = window_of(points, levels);
  const item = element("li");
  const button = element("button", "hit");
  button.type = "button";
  const where = element("span", "where");
  const path = (hit.path ?? hit.document_id).split("/").join(" › ");
  where.append(element("span", "path", `${path}:${hit.start_line + line}`));
  where.append(element("span", "relevance", hit.relevance.toFixed(2)));
  const lines = element("span", "lines");
  marked(lines, points, levels, start, end);
  const about = [hit.title, hit.heading, hit.symbol].filter(
    (one, which, all) => one && !all.slice(which + 1).some((other) => other.includes(one)));
  button.append(where, element("span", "about", about.join(" › ")), lines);
  button.addEventListener("click", () => { choose(place); open(); });
  item.append(button);
  return item;
}

const quoted = (value) => `"${value.replace(/["\\]/g, "\\$&")}"`;

const condition = ([key, value]) => key === "path"
  ? `path glob ${quoted(`${value.replace(/[*?[\\]/g, "\\$&")}/**`)}` : `${key} == ${quoted(value)}`;

function asked(text, explain) {
  const body = { query: text, k: HITS };
  if (filters.length) body.where = filters.map(condition).join(" and ");
  if (explain) body.explain = true;
  return body;
}

async function search() {
  const text = query.value;
  clearTimeout(later);
  searching?.abort();
  const cancel = searching = new AbortController();
  const address = new URL(location);
  if (text) address.searchParams.set("q", text); else address.searchParams.delete("q");
  history.replaceState(null, "", address);
  if (!text.trim()) { show([]); said.textContent = ""; return; }
  const began = performance.now();
  try {
    const answer = await ask(under("search"), asked(text), cancel.signal);
    if (cancel !== searching) return;
    show(answer.hits);
    const count = answer.hits.length;
    const time = Math.round(performance.now() - began);
    said.textContent = `${count || "no"} ${count === 1 ? "hit" : "hits"} in ${time} ms`;
    if (count && explains) later = setTimeout(explain, EXPLAIN_MS, text, cancel);
  } catch (error) {
    if (error.name !== "AbortError" && cancel === searching) { show([]); said.textContent = error.message; }
  }
}

// The same hits once more, with what late interaction matched: asked for when nobody types.
async function explain(text, cancel) {
  try {
    const answer = await ask(under("search"), asked(text, true), cancel.signal);
    if (cancel !== searching) return;
    const same = answer.hits.length === found.length && answer.hits.every((hit, at) =>
      hit.document_id === found[at].document_id && hit.passage.start === found[at].passage.start);
    if (!same) return;
    const held = chosen, top = hits.scrollTop;
    const focused = hits.contains(document.activeElement);
    show(answer.hits);
    if (held >= 0) choose(held);
    if (held >= 0 && focused) hits.querySelectorAll(".hit")[held].focus();
    hits.scrollTop = top;
  } catch (error) {
    if (error.name !== "AbortError") explains = false; // the index has no token vectors
  }
}

function show(list) {
  found = list;
  chosen = -1;
  hits.replaceChildren(...list.map(shown));
  hits.scrollTop = 0;
}

// What is in the index, by folder, format and language: each a filter; and what is left out.
async function overview() {
  const place = at("overview");
  const shows = place.hidden;
  place.hidden = !shows;
  at("about").setAttribute("aria-expanded", String(shows));
  document.body.classList.toggle("overview", shows);
  if (!shows) return;
  close();
  place.replaceChildren();
  const all = await ask(under("overview")).catch((error) => { said.textContent = error.message; });
  if (!all) return;
  const { status } = all;
  const facts = element("p", "", `${all.documents} documents, ${status.passages} passages, ` +
    `${Math.ceil(status.bytes / 1024).toLocaleString("en")} KB, generation ${status.generation}, encoder ${status.encoder}`);
  place.replaceChildren(facts,
    group("Folders", "path", all.folders), group("Formats", "format", all.format),
    group("Languages", "language", all.language), group("Roles", "role", all.role));
  const rest = await ask(under("left-out")).catch(() => null); // of an index without files
  if (!rest || place.hidden) return;
  const left = element("section");
  left.append(element("h2", "", "Left out"));
  const changed = rest.new + rest.changed + rest.gone;
  left.append(element("p", "", changed ? `${changed} files changed since` : "No file changed since"));
  left.append(table(rest.reasons.map((one) => [one.value, one.count])));
  const files = element("details");
  files.append(element("summary", "", "Files and folders"),
    table(rest.left_out.map((one) => [one.id, one.reason + (one.advice ? `: ${one.advice}` : "")])));
  left.append(files);
  place.append(left);
}

function group(name, key, rows) {
  const section = element("section");
  if (!rows.length) return section;
  section.append(element("h2", "", name));
  section.append(table(rows.map((one) => {
    const button = element("button", "filter", String(one.value));
    button.type = "button";
    button.addEventListener("click", () => { filter(key, String(one.value)); });
    return [key === "path" && one.value === "." ? "." : button, one.documents];
  })));
  return section;
}

function table(rows) {
  const made = element("table");
  for (const row of rows) {
    const line = element("tr");
    for (const cell of row) {
      const field = element("td");
      field.append(cell instanceof Node ? cell : safe(String(cell)));
      line.append(field);
    }
    made.append(line);
  }
  return made;
}

function filter(key, value) {
  filters = [...filters.filter(([other]) => other !== key), [key, value]];
  filtered();
  if (!at("overview").hidden) overview();
  query.focus();
}

function filtered() {
  at("chosen").replaceChildren(...filters.map(([key, value]) => {
    const chip = element("button", "chip", `${key}: ${value} ×`);
    chip.type = "button";
    chip.setAttribute("aria-label", `Remove the filter ${key}: ${safe(value)}`);
    chip.addEventListener("click", () => {
      filters = filters.filter(([other]) => other !== key);
      filtered();
    });
    return chip;
  }));
  search();
}

function choose(place) {
  const buttons = hits.querySelectorAll(".hit");
  if (!buttons.length) return;
  buttons[chosen]?.removeAttribute("aria-current");
  chosen = Math.max(0, Math.min(place, buttons.length - 1));
  buttons[chosen].setAttribute("aria-current", "true");
  buttons[chosen].scrollIntoView({ block: "nearest" });
}

async function open() {
  const hit = found[chosen];
  if (!hit) return;
  reading?.abort();
  const cancel = reading = new AbortController();
  let whole;
  try {
    const path = under(`documents/${encodeURIComponent(hit.document_id)}`);
    whole = await ask(path, null, cancel.signal);
  } catch (error) {
    if (error.name !== "AbortError") said.textContent = error.message;
    return;
  }
  if (cancel !== reading) return;
  const points = Array.from(whole.text);
  const { start, end } = hit.passage;
  const first = Math.max(0, start - AROUND), last = Math.min(points.length, end + AROUND);
  const passage = element("span");
  passage.id = "passage";
  marked(passage, points.slice(start, end), strengths(hit, end - start), 0, end - start);
  const before = safe((first ? "…" : "") + points.slice(first, start).join(""));
  const after = safe(points.slice(end, last).join("") + (last < points.length ? "…" : ""));
  at("text").replaceChildren(before, passage, after);
  const name = hit.path ?? hit.document_id;
  at("title").textContent = safe(`${name}, lines ${hit.start_line} to ${hit.end_line}`);
  if (!at("overview").hidden) overview();
  at("document").hidden = false;
  document.body.classList.add("open");
  passage.scrollIntoView({ block: "center" });
}

function close() {
  reading?.abort();
  at("document").hidden = true;
  document.body.classList.remove("open");
}

query.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, WAIT_MS); });
index.addEventListener("change", () => { close(); filters = []; explains = true; filtered(); });
at("about").addEventListener("click", overview);
at("back").addEventListener("click", close);
at("search").addEventListener("submit", (event) => event.preventDefault());
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  sessionStorage.setItem(TOKEN, at("token").value);
  at("login").hidden = true;
  begin();
});

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target === at("token") || event.target === index) return;
  if (event.key === "Escape" && !at("overview").hidden) { overview(); event.preventDefault(); return; }
  if (at("overview").contains(event.target)) return;
  const typing = event.target === query;
  if (event.key === "/" && !typing) { query.focus(); query.select(); }
  else if (event.key === "ArrowDown" && event.target !== at("text")) choose(chosen + 1);
  else if (event.key === "ArrowUp" && event.target !== at("text")) choose(chosen - 1);
  else if (event.key === "Enter" && typing) {
    if (chosen < 0) choose(0);
    open();
  } else if (event.key === "Escape" && !at("document").hidden) close();
  else if (event.key === "Escape") { query.value = ""; query.focus(); search(); }
  else return;
  event.preventDefault();
});

async function begin() {
  try {
    const { indexes } = await ask("/v1/indexes");
    index.replaceChildren(...indexes.map((name) => {
      const option = element("option", "", name);
      option.value = name;
      return option;
    }));
    index.hidden = indexes.length < 2;
    search();
  } catch (error) {
    said.textContent = error.message;
  }
}

query.value = new URL(location).searchParams.get("q") ?? "";
begin();
