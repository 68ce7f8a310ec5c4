// The document beside the hits: Markdown as it reads, code in colours, pages of PDF as pictures.

import { ask, at, element, of, picture, safe, say } from "./common.js";
import { mark, marked, strengths, words } from "./marks.js";

const AROUND = 100000; // characters shown around a passage of a long document
const SOON_MS = 150; // a view that comes later is shown after the text
const TAGS = new Set(("p h1 h2 h3 h4 h5 h6 ul ol li blockquote pre code span em strong s a hr br " +
  "img table thead tbody tr th td").split(" "));
const KINDS = new Set(["comment", "string", "number", "keyword", "name", "type"]);
const LINK = /^(?:https?|mailto):/i;

let reading = null; // what cancels the requests under way
let hit = null, text = "", view = null;
let plain = false; // whether the text is shown in the place of more
let page = 0;

export const shown = () => hit;
export const isOpen = () => !at("document").hidden;

export async function open(which) {
  reading?.abort();
  const cancel = reading = new AbortController();
  const viewing = ask(of("view", which.document_id), null, cancel.signal).catch(() => null);
  let whole, soon;
  try {
    whole = await ask(of("documents", which.document_id), null, cancel.signal);
    const late = new Promise((done) => setTimeout(done, SOON_MS, undefined));
    soon = await Promise.race([viewing, late]);
  } catch (error) {
    if (error.name !== "AbortError") say(error.message);
    return;
  }
  if (cancel !== reading) return;
  [hit, text, plain, page] = [which, whole.text, false, which.place?.page ?? 1];
  const name = which.path ?? which.document_id;
  at("title").textContent = safe(`${name}, lines ${which.start_line} to ${which.end_line}`);
  at("document").hidden = false;
  document.body.classList.add("open");
  view = soon ?? null;
  draw();
  if (soon !== undefined) return;
  const came = await viewing;
  if (cancel !== reading || !came || came.kind === "text") return;
  view = came;
  draw();
}

export function close() {
  reading?.abort();
  reading = null;
  hit = null;
  at("document").hidden = true;
  document.body.classList.remove("open");
}

export function turn(by) {
  if (!hit || plain || view?.kind !== "pages") return false;
  page = Math.max(1, Math.min(view.pages, page + by));
  draw();
  return true;
}

export function toggle() {
  if (!hit || !view || view.kind === "text") return;
  plain = !plain;
  draw();
}

function draw() {
  const place = at("text"), more = Boolean(view) && view.kind !== "text";
  const kind = more && !plain ? view.kind : "plain";
  at("plain").hidden = !more;
  at("plain").setAttribute("aria-pressed", String(plain));
  at("pages").hidden = kind !== "pages";
  place.className = kind;
  if (kind === "markdown") drawMarkdown(place);
  else if (kind === "pages") drawPage(place);
  else drawText(place, kind === "code" ? view.colours : []);
  const passage = at("passage");
  const block = passage?.offsetHeight > place.clientHeight ? "start" : "center";
  passage?.scrollIntoView({ block });
}

function drawText(place, colours) {
  const points = Array.from(text);
  const { start, end } = hit.passage;
  const first = Math.max(0, start - AROUND), last = Math.min(points.length, end + AROUND);
  const kinds = new Array(points.length);
  for (const [from, to, kind] of colours) if (KINDS.has(kind)) kinds.fill(kind, from, to);
  const levels = new Uint8Array(points.length);
  levels.set(strengths(hit, end - start), start);
  const passage = element("span");
  passage.id = "passage";
  let begins = start; // with the blanks before its first line
  while (begins > first && /[ \t]/.test(points[begins - 1])) begins--;
  place.replaceChildren(first ? "…" : "");
  marked(place, points, levels, first, begins, kinds);
  marked(passage, points, levels, begins, end, kinds);
  place.append(passage);
  marked(place, points, levels, end, last, kinds);
  place.append(last < points.length ? "…" : "");
}

function drawMarkdown(place) {
  place.replaceChildren(...view.nodes.map(built));
  const blocks = [...place.querySelectorAll("[data-first]")].filter((block) =>
    block.dataset.first <= hit.end_line && block.dataset.last >= hit.start_line &&
    !block.querySelector("[data-first]"));
  const found = words(hit);
  for (const block of blocks) {
    block.classList.add("passage");
    mark(block, found);
  }
  if (blocks.length) blocks[0].id = "passage";
}

// An element of a tree that the server made of Markdown; what is not of a known kind is text.
function built(node) {
  if (!Array.isArray(node)) return safe(node);
  const [tag, attributes, children] = node;
  if (!TAGS.has(tag)) return safe(children.join(""));
  if (tag === "img") return element("span", "picture", `[${children.join("") || "picture"}]`);
  const made = element(tag, KINDS.has(attributes.kind) ? `c-${attributes.kind}` : "");
  if (attributes.lines) {
    [made.dataset.first, made.dataset.last] = attributes.lines.map(Number);
  }
  if (tag === "a" && LINK.test(attributes.href ?? "")) {
    made.href = attributes.href;
    made.rel = "noopener noreferrer";
    made.target = "_blank";
    made.title = safe(attributes.href);
  }
  made.append(...children.map(built));
  return made;
}

async function drawPage(place) {
  const cancel = reading, number = page;
  at("number").textContent = `${page} of ${view.pages}`;
  const width = Math.round(Math.min(2000, Math.max(200, place.clientWidth - 32) * devicePixelRatio));
  try {
    const found = await picture(
      `${of("pages", hit.document_id)}?page=${page}&width=${width}`, cancel.signal);
    if (cancel !== reading || number !== page || plain) return;
    const drawn = element("img");
    drawn.alt = safe(`Page ${page} of ${hit.title || hit.path || hit.document_id}`);
    drawn.src = URL.createObjectURL(found);
    drawn.addEventListener("load", () => URL.revokeObjectURL(drawn.src));
    place.replaceChildren(drawn);
    place.scrollTop = 0;
  } catch (error) {
    if (error.name === "AbortError" || cancel !== reading) return;
    view = null; // the text is there in any case
    draw();
    say(error.message);
  }
}
