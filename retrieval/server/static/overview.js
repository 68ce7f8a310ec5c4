// What is in the index: chips to filter by, and a view of all of it and of what is left out.

import { ask, at, button, element, safe, say } from "./common.js";

const CHIPS = 6; // of a key
const KEYS = ["format", "language", "role"];

export let filters = []; // of metadata: [key, value]
let groups = []; // of what is in the index: [key, [{ value, documents }]]
let changed = () => {};

export const onFilter = (act) => { changed = act; };

const quoted = (value) => `"${value.replace(/["\\]/g, "\\$&")}"`;
// In backquotes a key is that of the metadata, whatever its characters: not `heading`, nor a word
// of the filter's language.
const name = (key) => KEYS.includes(key) ? key : `\`${key}\``;

// The filters as an expression of docs/filters.md; "" where there are none.
export const where = () => filters.map(([key, value]) => key === "path"
  ? `path glob ${quoted(`${value.replace(/[*?[\\]/g, "\\$&")}/**`)}`
  : `${name(key)} == ${quoted(value)}`).join(" and ");

export function setFilter(key, value) {
  filters = filters.filter(([other]) => other !== key);
  if (value !== null) filters.push([key, value]);
  drawChips();
  changed();
}

// Asked for once an index is chosen.
export async function loadChips() {
  filters = [];
  groups = [];
  drawChips();
  const all = await ask("overview").catch(() => null);
  if (!all) return;
  groups = [...KEYS.map((key) => [key, all[key]]), ...Object.entries(all.others),
    ["path", all.folders.filter((one) => one.value !== ".")]].filter(([, rows]) => rows.length > 1);
  drawChips();
}

function drawChips() {
  const place = at("chips");
  const focused = place.contains(document.activeElement);
  const pressed = filters.map(([key, value]) => {
    const chip = button("chip", `${key}: ${value} ×`, () => setFilter(key, null));
    chip.setAttribute("aria-pressed", "true");
    return chip;
  });
  const offered = groups.filter(([key]) => !filters.some(([other]) => other === key))
    .flatMap(([key, rows]) => rows.slice(0, CHIPS).map((row) => {
      const value = String(row.value), text = key === "path" ? `${value}/` : value;
      const chip = button("chip", text, () => setFilter(key, value));
      chip.setAttribute("aria-pressed", "false");
      chip.title = safe(`${key}: ${row.value}`);
      chip.append(element("span", "count", row.documents.toLocaleString("en")));
      return chip;
    }));
  place.replaceChildren(...pressed, ...offered);
  if (focused) place.querySelector(".chip")?.focus();
}

export const isShown = () => !at("overview").hidden;

export async function showOverview(shows) {
  const place = at("overview");
  place.hidden = !shows;
  at("about").setAttribute("aria-expanded", String(shows));
  document.body.classList.toggle("overview", shows);
  if (!shows) return;
  place.replaceChildren();
  const all = await ask("overview").catch((error) => { say(error.message); });
  if (!all) return;
  const others = Object.entries(all.others);
  place.replaceChildren(kept(all), group("Folders", "path", all.folders),
    group("Formats", "format", all.format), group("Languages", "language", all.language),
    group("Roles", "role", all.role), ...others.map(([key, rows]) => group(key, key, rows)));
  const rest = await ask("left-out").catch(() => null); // of an index without files
  if (rest && isShown()) place.append(leftOut(rest));
}

const kilobytes = (bytes) => `${Math.ceil(bytes / 1024).toLocaleString("en")} KB`;

// How the index is kept, and what that costs, once it is asked for.
function kept({ documents, status }) {
  const section = element("section");
  section.append(element("p", "", `${documents} documents, ${status.passages} passages, ` +
    `${kilobytes(status.bytes)}, generation ${status.generation}, encoder ${status.encoder}`));
  const parts = status.bytes_by_part
    ? Object.entries(status.bytes_by_part).map(([part, bytes]) => [part, kilobytes(bytes)])
    : [["shards", status.shards], ...status.documents_by_shard.map((n, at) => [`documents, shard ${at}`, n])];
  const bits = new Set(Object.keys(status.regimes ?? {}).map((way) => way === "exact" ? "8 bits"
    : status.late?.bits ? `${status.late.bits} bits` : "4 bits, or 2 once there are many"));
  const late = status.token_dim && bits.size
    ? [["a token's vector", `${status.token_dim} numbers of ${[...bits].join(" and ")}`]] : [];
  const ways = Object.entries(status.regimes ?? {}).map(([way, count]) => [`passages, ${way}`, count]);
  const details = element("details");
  details.append(element("summary", "", "How it is kept"), table([...parts, ...late, ...ways]));
  const measure = button("plain-button", "Measure what approximate search misses", async () => {
    measure.disabled = true;
    say("measuring…");
    try {
      const found = await ask("measure");
      say("");
      measure.replaceWith(table(measured(found)));
    } catch (error) {
      measure.disabled = false;
      say(error.message);
    }
  });
  if (status.regimes) details.append(measure); // of a collection in shards nobody can tell
  section.append(details);
  return section;
}

const measured = (found) => [
  ["queries, drawn from the passages", found.queries],
  [`late: of the best ${found.k}, found`, found.recall_at_k.toFixed(3)],
  [`late, against exact vectors`, found.float_recall_at_k.toFixed(3)],
  ...(found.dense_recall_at_k === null ? []
    : [[`dense: of the best ${found.k}, found`, found.dense_recall_at_k.toFixed(3)]]),
  [`hybrid: of the best ${found.k}, found`, found.hybrid_recall_at_k.toFixed(3)],
  ["late, median", `${found.p50_ms.toFixed(1)} ms`],
  ["hybrid, median", `${found.hybrid_p50_ms.toFixed(1)} ms`],
  ["bytes of a token", found.bytes_per_token.toFixed(0)],
];

function leftOut(rest) {
  const left = element("section");
  left.append(element("h2", "", "Left out"));
  const count = rest.new + rest.changed + rest.gone;
  left.append(element("p", "", count ? `${count} files changed since` : "No file changed since"));
  left.append(table(rest.reasons.map((one) => [one.value, one.count])));
  const files = element("details");
  files.append(element("summary", "", "Files and folders"),
    table(rest.left_out.map((one) => [one.id, one.reason + (one.advice ? `: ${one.advice}` : "")])));
  left.append(files);
  return left;
}

function group(title, key, rows) {
  const section = element("section");
  if (!rows.length) return section;
  section.append(element("h2", "", title));
  section.append(table(rows.map((one) => {
    const value = String(one.value);
    const filter = button("filter", value, () => { showOverview(false); setFilter(key, value); });
    return [key === "path" && value === "." ? "." : filter, one.documents];
  })));
  return section;
}

function table(rows) {
  const made = element("table"), body = element("tbody");
  for (const row of rows) {
    const line = element("tr");
    for (const cell of row) {
      const field = element("td");
      field.append(cell instanceof Node ? cell : safe(cell));
      line.append(field);
    }
    body.append(line);
  }
  made.append(body);
  return made;
}
