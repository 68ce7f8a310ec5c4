// What every part of the page needs: elements, text that is safe to show, questions to the server.

export const at = (id) => document.getElementById(id);
const TOKEN = "retrieval-token";

// Document text is shown as text only. What would reorder a line or is no character is replaced.
const UNSAFE = /[\u0000-\u0008\u000b\u000c\u000e-\u001f\u007f-\u009f\u202a-\u202e\u2066-\u2069]/g;
export const safe = (text) => String(text).replace(UNSAFE, "\ufffd");

export function element(name, kind, text) {
  const made = document.createElement(name);
  if (kind) made.className = kind;
  if (text) made.textContent = safe(text);
  return made;
}

export function button(kind, text, act) {
  const made = element("button", kind, text);
  made.type = "button";
  made.addEventListener("click", act);
  return made;
}

export function say(text) { at("said").textContent = safe(text); }

// A request to the server; of a place in the index that is chosen, where `path` begins with none.
// Addresses are relative to the page, which may stand under a path of a proxy.
async function asked(path, body, signal) {
  const headers = {};
  const token = sessionStorage.getItem(TOKEN);
  if (token) headers.Authorization = `Bearer ${token}`;
  if (body) headers["Content-Type"] = "application/json";
  const place = path.startsWith("/") ? `.${path}`
    : `./v1/indexes/${encodeURIComponent(at("index").value || "default")}/${path}`;
  const method = body ? "POST" : "GET";
  const answer = await fetch(place, { method, headers, signal, body: body && JSON.stringify(body) });
  if (answer.status === 401) at("login").hidden = false;
  if (!answer.ok) { // a proxy's own error is no JSON
    const { detail } = await answer.json().catch(() => ({}));
    throw new Error(detail ?? `the server answered ${answer.status} ${answer.statusText}`);
  }
  return answer;
}

export const ask = async (path, body, signal) => (await asked(path, body, signal)).json();
export const picture = async (path, signal) => (await asked(path, null, signal)).blob();
export const allow = (token) => sessionStorage.setItem(TOKEN, token);

export const of = (kind, id) => `${kind}/${encodeURIComponent(id)}`;
