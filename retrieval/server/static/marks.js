// What is marked of a text: words of the query, and tokens that late interaction found for its own.

import { element, safe } from "./common.js";

const LEAST = 0.35, STRONG = 0.65; // of the strongest match: what is marked, and what is more so

// How strongly each character of a hit is marked, 0 to 3. Spans are in code points, as Python
// counts them.
export function strengths(hit, count) {
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

// Appends a text, cut wherever its mark or its colour changes. `kinds` may be left out.
export function marked(parent, points, levels, start, end, kinds) {
  for (let from = start, to; from < end; from = to) {
    const same = (at) => levels[at] === levels[from] && kinds?.[at] === kinds?.[from];
    for (to = from + 1; to < end && same(to);) to++;
    const text = points.slice(from, to).join("");
    const kind = kinds?.[from] ? `c-${kinds[from]}` : "";
    if (levels[from]) parent.append(element("mark", `m${levels[from]} ${kind}`.trim(), text));
    else parent.append(kind ? element("span", kind, text) : safe(text));
  }
}

// The words of a hit that are marked, in lower case, and how strongly.
export function words(hit) {
  const points = Array.from(hit.text), levels = strengths(hit, points.length);
  const found = new Map();
  for (let from = 0, to; from < points.length; from = to) {
    for (to = from + 1; to < points.length && levels[to] === levels[from];) to++;
    if (levels[from]) found.set(points.slice(from, to).join("").toLowerCase(), levels[from]);
  }
  return found;
}

// Marks these words wherever they stand under an element.
export function mark(parent, found) {
  const walker = document.createTreeWalker(parent, NodeFilter.SHOW_TEXT);
  const texts = [];
  while (walker.nextNode()) texts.push(walker.currentNode);
  for (const text of texts) {
    const parts = text.data.split(/([\p{L}\p{N}_]+)/u);
    if (!parts.some((part) => found.has(part.toLowerCase()))) continue;
    text.replaceWith(...parts.map((part) => {
      const level = found.get(part.toLowerCase());
      return level ? element("mark", `m${level}`, part) : part;
    }));
  }
}
