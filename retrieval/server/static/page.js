"use strict";

const WAIT_MS = 120; // of no typing, before a query is sent
const HITS = 20;
const LINES = 6; // shown of a hit
const AROUND = 100000; // characters shown around a passage of a long document
const TOKEN = "retrieval-token";

const at = (id) => document.getElementById(id);
const query = at("query"), hits = at("hits"), said = at("said"), index = at("index");

let timer = 0;
let searching = null; // what cancels the search under way
let reading = null;
let found = [];
let chosen = -1;

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

// Spans are in code points, as Python counts them.
function marked(parent, points, spans, start, end) {
  let from = start;
  for (const [first, last] of spans) {
    const a = Math.max(first, from), b = Math.min(last, end);
    if (a >= b) continue;
    parent.append(safe(points.slice(from, a).join("")));
    parent.append(element("mark", "", points.slice(a, b).join("")));
    from = b;
  }
  parent.append(safe(points.slice(from, end).join("")));
}

// The lines that hold most of what matched: [start, end) in code points.
function window_of(points, spans) {
  const starts = [0];
  points.forEach((point, place) => { if (point === "\n") starts.push(place + 1); });
  let best = 0, most = 0;
  for (let line = 0; line < starts.length; line++) {
    const end = starts[line + LINES] ?? points.length;
    const count = spans.filter(([a]) => a >= starts[line] && a < end).length;
    if (count > most) [best, most] = [line, count];
  }
  let start = starts[best];
  while (points[start] === "\n") { start++; best++; }
  return [start, starts[best + LINES] ?? points.length, best];
}

function shown(hit, place) {
  const points = Array.from(hit.text);
  const [start, end, line] = window_of(points, hit.highlights);
  const item = element("li");
  const button = element("button", "hit");
  button.type = "button";
  const where = element("span", "where");
  const path = (hit.path ?? hit.document_id).split("/").join(" › ");
  where.append(element("span", "path", `${path}:${hit.start_line + line}`));
  where.append(element("span", "relevance", hit.relevance.toFixed(2)));
  const lines = element("span", "lines");
  marked(lines, points, hit.highlights, start, end);
  const about = [hit.title, hit.heading, hit.symbol].filter(
    (one, which, all) => one && !all.slice(which + 1).some((other) => other.includes(one)));
  button.append(where, element("span", "about", about.join(" › ")), lines);
  button.addEventListener("click", () => { choose(place); open(); });
  item.append(button);
  return item;
}

async function search() {
  const text = query.value;
  searching?.abort();
  const cancel = searching = new AbortController();
  const address = new URL(location);
  if (text) address.searchParams.set("q", text); else address.searchParams.delete("q");
  history.replaceState(null, "", address);
  if (!text.trim()) { show([]); said.textContent = ""; return; }
  const began = performance.now();
  try {
    const answer = await ask(under("search"), { query: text, k: HITS }, cancel.signal);
    if (cancel !== searching) return;
    show(answer.hits);
    const count = answer.hits.length;
    const time = Math.round(performance.now() - began);
    said.textContent = `${count || "no"} ${count === 1 ? "hit" : "hits"} in ${time} ms`;
  } catch (error) {
    if (error.name !== "AbortError" && cancel === searching) { show([]); said.textContent = error.message; }
  }
}

function show(list) {
  found = list;
  chosen = -1;
  hits.replaceChildren(...list.map(shown));
  hits.scrollTop = 0;
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
  marked(passage, points, hit.highlights.map(([a, b]) => [a + start, b + start]), start, end);
  const before = safe((first ? "…" : "") + points.slice(first, start).join(""));
  const after = safe(points.slice(end, last).join("") + (last < points.length ? "…" : ""));
  at("text").replaceChildren(before, passage, after);
  const name = hit.path ?? hit.document_id;
  at("title").textContent = safe(`${name}, lines ${hit.start_line} to ${hit.end_line}`);
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
index.addEventListener("change", () => { close(); search(); });
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
