// The search box, the hits, and the keys.

import { allow, ask, at, button, element, of, safe, say } from "./common.js";
import { close, isOpen, open, shown, toggle, turn } from "./document.js";
import { marked, strengths } from "./marks.js";
import { isShown, loadChips, onFilter, showOverview, where } from "./overview.js";

const WAIT_MS = 120; // of no typing, before a query is sent
const HITS = 20;
const LINES = 6; // shown of a hit
const EXPLAIN_MS = 250; // of no typing, before it is asked what late interaction matched

const query = at("query"), hits = at("hits"), index = at("index");

let timer = 0, later = 0;
let ready = false; // whether it is known which indexes there are
let searching = null; // what cancels the search under way
let found = [];
let chosen = -1;
let explains = true; // whether the index can say what its tokens matched

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

// Where a hit stands beside its line: the page, the cell, the time.
const places = (hit) => Object.entries(hit.place ?? {})
  .filter(([, value]) => value !== null).map(([unit, value]) => `${unit} ${value}`);

function row(hit, place) {
  const points = Array.from(hit.text);
  const levels = strengths(hit, points.length);
  const [start, end, line] = window_of(points, levels);
  const item = element("li");
  const made = button("hit", "", () => { choose(place); show_document(); });
  const at_path = element("span", "where");
  const path = (hit.path ?? hit.document_id).split("/").join(" › ");
  at_path.append(element("span", "path", `${path}:${hit.start_line + line}`));
  at_path.append(element("span", "relevance", hit.relevance.toFixed(2)));
  const lines = element("span", "lines");
  marked(lines, points, levels, start, end);
  const about = [hit.title, hit.heading, hit.symbol, ...places(hit)].filter(
    (one, which, all) => one && !all.slice(which + 1).some((other) => other.includes(one)));
  made.append(at_path, element("span", "about", about.join(" › ")), lines);
  item.append(made);
  return item;
}

function asked(text, explain) {
  const body = { query: text, k: HITS };
  const filter = where();
  if (filter) body.where = filter;
  if (explain) body.explain = true;
  return body;
}

async function search() {
  clearTimeout(timer);
  clearTimeout(later);
  if (!ready) return; // `begin` searches for what has been typed by then
  const text = query.value;
  searching?.abort();
  const cancel = searching = new AbortController();
  const address = new URL(location);
  if (text) address.searchParams.set("q", text); else address.searchParams.delete("q");
  history.replaceState(null, "", address);
  if (!text.trim()) { show([]); say(""); return; }
  hits.setAttribute("aria-busy", "true");
  const began = performance.now();
  try {
    const answer = await ask("search", asked(text), cancel.signal);
    if (cancel !== searching) return;
    show(answer.hits);
    const count = answer.hits.length;
    const time = Math.round(performance.now() - began);
    say(`${count || "no"} ${count === 1 ? "hit" : "hits"} in ${time} ms`);
    if (count && explains) later = setTimeout(explain, EXPLAIN_MS, text, cancel);
  } catch (error) {
    if (error.name !== "AbortError" && cancel === searching) { show([]); say(error.message); }
  }
}

// The same hits once more, with what late interaction matched: asked for when nobody types.
async function explain(text, cancel) {
  try {
    const answer = await ask("search", asked(text, true), cancel.signal);
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

// Passages elsewhere that are like the one that is open.
async function similar() {
  const hit = shown();
  if (!hit) return;
  clearTimeout(later);
  searching?.abort();
  const cancel = searching = new AbortController();
  try {
    const place = `${of("related", hit.document_id)}?line=${hit.start_line}&k=${HITS}`;
    const answer = await ask(place, null, cancel.signal);
    if (cancel !== searching) return;
    show(answer.hits);
    say(`${answer.hits.length} passages like ${hit.path ?? hit.document_id}:${hit.start_line}`);
    if (matchMedia("(max-width: 720px)").matches) close();
  } catch (error) {
    if (error.name !== "AbortError") { hits.removeAttribute("aria-busy"); say(error.message); }
  }
}

function show(list) {
  found = list;
  chosen = -1;
  hits.removeAttribute("aria-busy");
  hits.replaceChildren(...list.map(row));
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

function show_document() {
  if (!found[chosen]) return;
  if (isShown()) showOverview(false);
  open(found[chosen]);
}

function toggle_overview() {
  close();
  showOverview(!isShown());
}

query.addEventListener("input", () => { clearTimeout(timer); timer = setTimeout(search, WAIT_MS); });
index.addEventListener("change", () => { close(); explains = true; loadChips(); search(); });
at("about").addEventListener("click", toggle_overview);
at("back").addEventListener("click", close);
at("similar").addEventListener("click", similar);
at("plain").addEventListener("click", toggle);
at("before").addEventListener("click", () => turn(-1));
at("after").addEventListener("click", () => turn(1));
at("search").addEventListener("submit", (event) => event.preventDefault());
at("login").addEventListener("submit", (event) => {
  event.preventDefault();
  allow(at("token").value);
  at("login").hidden = true;
  begin();
});
onFilter(() => { search(); query.focus(); });

// Keys that count wherever one is but in a field, and what they do.
const KEYS = {
  "/": () => { query.focus(); query.select(); },
  s: similar,
  t: toggle,
  ArrowLeft: () => turn(-1),
  ArrowRight: () => turn(1),
};

document.addEventListener("keydown", (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || event.isComposing) return;
  if (event.target === at("token") || event.target === index) return;
  if (event.key === "Escape" && isShown()) { showOverview(false); event.preventDefault(); return; }
  if (at("overview").contains(event.target)) return;
  const typing = event.target === query;
  if (!typing && Object.hasOwn(KEYS, event.key)) {
    if (KEYS[event.key]() === false) return;
  } else if (event.key === "ArrowDown" && event.target !== at("text")) choose(chosen + 1);
  else if (event.key === "ArrowUp" && event.target !== at("text")) choose(chosen - 1);
  else if (event.key === "Enter" && typing) {
    if (chosen < 0) choose(0);
    show_document();
  } else if (event.key === "Escape" && isOpen()) close();
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
    ready = true;
    search();
    loadChips();
  } catch (error) {
    say(error.message);
  }
}

query.value = new URL(location).searchParams.get("q") ?? "";
begin();
